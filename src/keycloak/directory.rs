//! Which id Keycloak gave to which name, remembered so that a grant costs one call and not three.
//!
//! Only what endpoints are made of is kept: they are few and live long. An entry can be outdated, so whoever uses one
//! and is told «not found» forgets it and looks again.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::core::person::Person;

/// How long Keycloak's word is trusted that this account sees the realm's clients.
const VISIBILITY_AGE: Duration = Duration::from_secs(60);

/// The directories of all realms of a server.
#[derive(Debug, Default)]
pub(super) struct Directories {
    realms: Mutex<HashMap<String, Arc<Directory>>>,
}

impl Directories {
    pub fn of(&self, realm: &str) -> Arc<Directory> {
        let mut realms = self.realms.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(realms.entry(realm.to_owned()).or_default())
    }
}

/// The names of one realm.
#[derive(Debug, Default)]
pub(super) struct Directory {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    clients: HashMap<String, String>,
    roles: HashMap<(String, String), String>,
    scopes: HashMap<String, String>,
    absent: HashMap<String, BTreeSet<Person>>,
    clients_seen_at: Option<Instant>,
}

impl Directory {
    /// The internal id of a client.
    pub fn client(&self, client_id: &str) -> Option<String> {
        self.entries().clients.get(client_id).cloned()
    }

    /// Keeps the internal id of a client.
    pub fn keep_client(&self, client_id: &str, id: &str) {
        self.entries().clients.insert(client_id.to_owned(), id.to_owned());
    }

    /// The id of a role of the client with this internal id.
    pub fn role(&self, client: &str, role: &str) -> Option<String> {
        self.entries().roles.get(&(client.to_owned(), role.to_owned())).cloned()
    }

    /// Keeps the id of a client role.
    pub fn keep_role(&self, client: &str, role: &str, id: &str) {
        self.entries().roles.insert((client.to_owned(), role.to_owned()), id.to_owned());
    }

    /// Forgets a client, by client id, and its roles.
    pub fn forget_client(&self, client_id: &str) {
        let mut entries = self.entries();
        if let Some(id) = entries.clients.remove(client_id) {
            entries.roles.retain(|(client, _), _| client != &id);
        }
    }

    /// The id of a client scope.
    pub fn scope(&self, name: &str) -> Option<String> {
        self.entries().scopes.get(name).cloned()
    }

    /// Keeps the id of a client scope.
    pub fn keep_scope(&self, name: &str, id: &str) {
        self.entries().scopes.insert(name.to_owned(), id.to_owned());
    }

    /// Forgets a client scope.
    pub fn forget_scope(&self, name: &str) {
        self.entries().scopes.remove(name);
    }

    /// The people whom the realm does not have and who should hold roles of a client.
    pub fn absent(&self, client_id: &str) -> BTreeSet<Person> {
        self.entries().absent.get(client_id).cloned().unwrap_or_default()
    }

    /// The client ids of those with such people.
    pub fn clients_with_absent(&self) -> Vec<String> {
        self.entries().absent.keys().cloned().collect()
    }

    /// Keeps one more.
    pub fn keep_absent(&self, client_id: &str, person: &Person) {
        self.entries().absent.entry(client_id.to_owned()).or_default().insert(person.clone());
    }

    /// Keeps these and no others.
    pub fn set_absent(&self, client_id: &str, people: BTreeSet<Person>) {
        let mut entries = self.entries();
        if people.is_empty() {
            entries.absent.remove(client_id);
        } else {
            entries.absent.insert(client_id.to_owned(), people);
        }
    }

    /// Whether it was seen lately that this account can list the realm's clients.
    pub fn sees_clients(&self) -> bool {
        self.entries().clients_seen_at.is_some_and(|at| at.elapsed() < VISIBILITY_AGE)
    }

    /// Notes that this account can list the realm's clients.
    pub fn note_clients_seen(&self) {
        self.entries().clients_seen_at = Some(Instant::now());
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

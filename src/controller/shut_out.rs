//! People whose tokens count no more, though they are good: who was disabled, deleted, or lost what he was granted by.
//!
//! Keycloak tells of it in its admin events; the guards are told by their policies, which also remember it over a restart of the
//! operator.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    controller::{context::Context, documents, objects::ObjectError, watch::Queues},
    core::{
        name::Ref,
        policy::document::{GuardPolicy, Holder, Revocation},
    },
    keycloak::{AdminEvent, ApiError, RealmAdmin},
    policy::{DocumentKey, DocumentKind},
};

/// How many are remembered of each realm; of more, those whose tokens have run out go first.
const MOST: usize = 10_000;
/// The longest that an access token counts, in seconds: a revocation of earlier ones says nothing after that.
const LONGEST: i64 = 24 * 3600;
/// Users per request.
const PAGE: usize = 200;

/// By the id of the account: tokens issued before this time, in seconds since the epoch; `None`: all.
type OfRealm = BTreeMap<String, Option<i64>>;

/// Who is shut out of each Realm, by its object's name.
#[derive(Debug, Default)]
pub struct ShutOut {
    realms: Mutex<HashMap<String, OfRealm>>,
    /// The endpoints whose earlier policies were looked at.
    recalled: Mutex<HashSet<Ref>>,
}

impl ShutOut {
    /// As policies have it.
    pub fn of(&self, realm: &str) -> Vec<Revocation> {
        let realms = self.realms();
        let all = realms.get(realm).into_iter().flatten();
        all.map(|(account, before)| Revocation { of: Holder::Subject(account.clone()), before: *before }).collect()
    }

    /// Whether what an earlier run published of an endpoint was looked at.
    pub fn is_recalled(&self, endpoint: &Ref) -> bool {
        self.recalled.lock().unwrap_or_else(PoisonError::into_inner).contains(endpoint)
    }

    /// Takes in what an earlier run published of an endpoint. What this run knows better stays.
    pub fn recall(&self, realm: &str, endpoint: &Ref, published: &[Revocation]) {
        self.recalled.lock().unwrap_or_else(PoisonError::into_inner).insert(endpoint.clone());
        let mut realms = self.realms();
        let known = realms.entry(realm.to_owned()).or_default();
        for Revocation { of, before } in published {
            if let Holder::Subject(account) = of {
                known.entry(account.clone()).or_insert(*before);
            }
        }
    }

    /// Notes that an account's tokens count no more, or those from before a time. Tells whether that is news.
    fn note(&self, realm: &str, account: &str, before: Option<i64>, now: i64) -> bool {
        let mut realms = self.realms();
        let known = realms.entry(realm.to_owned()).or_default();
        if known.len() >= MOST {
            known.retain(|_, before| before.is_none_or(|before| before.saturating_add(LONGEST) > now));
        }
        known.insert(account.to_owned(), before) != Some(before)
    }

    /// Notes who is disabled now. Whoever was and is not comes back: with tokens that are issued from now on.
    fn settle(&self, realm: &str, disabled: &BTreeSet<String>, now: i64) -> bool {
        let back = self.of(realm).into_iter().filter_map(|revocation| match revocation {
            Revocation { of: Holder::Subject(account), before: None } => Some(account),
            _ => None,
        });
        let back: Vec<_> = back.filter(|account| !disabled.contains(account)).collect();
        let until_now = Some(now.saturating_add(1));
        let out = disabled.iter().map(|account| (account, None));
        let back = back.iter().map(|account| (account, until_now));
        // Each of them, whether it is news or not.
        out.chain(back).filter(|(account, before)| self.note(realm, account, *before, now)).count() > 0
    }

    /// Whether all of an account's tokens are refused.
    fn is_out(&self, realm: &str, account: &str) -> bool {
        self.realms().get(realm).and_then(|known| known.get(account)).is_some_and(Option::is_none)
    }

    // Each change is one insertion or removal: the map is whole even after a panic.
    fn realms(&self) -> MutexGuard<'_, HashMap<String, OfRealm>> {
        self.realms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who is shut out of a realm, for the policy of this name. What an earlier run knew of them is in what it published.
///
/// # Errors
/// [`ObjectError`] where that cannot be read.
pub async fn known(ctx: &Context, realm: &str, name: &Ref) -> Result<Vec<Revocation>, ObjectError> {
    if !ctx.shut_out.is_recalled(name) {
        let key = DocumentKey { kind: DocumentKind::Guard, object: name.clone() };
        let before = match ctx.published.get(&key) {
            Some(_) => documents::published::<GuardPolicy>(ctx, DocumentKind::Guard, name).await?,
            None => None,
        };
        ctx.shut_out.recall(realm, name, &before.map(|policy| policy.revoked).unwrap_or_default());
    }
    Ok(ctx.shut_out.of(realm))
}

/// What a change means to the account that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Concern<'a> {
    /// The account itself changed: whether it is enabled has to be looked up.
    Account(&'a str),
    /// It is gone.
    Gone(&'a str),
    /// What it is granted by changed.
    Rights(&'a str),
}

fn concern(event: &AdminEvent) -> Option<Concern<'_>> {
    let path: Vec<&str> = event.resource_path.split('/').collect();
    match (path.as_slice(), event.operation_type.as_str()) {
        (["users", account], "DELETE") => Some(Concern::Gone(account)),
        (["users", account], "UPDATE" | "ACTION") => Some(Concern::Account(account)),
        (["users", account, "groups" | "role-mappings", ..], "DELETE") => Some(Concern::Rights(account)),
        _ => None,
    }
}

/// Takes one change in. `now` is in seconds since the epoch.
///
/// # Errors
/// Where the account cannot be read.
pub async fn heed(
    ctx: &Context,
    queues: &Queues,
    name: &str,
    realm: &RealmAdmin,
    event: &AdminEvent,
    now: i64,
) -> Result<(), ApiError> {
    let Some(concern) = concern(event) else { return Ok(()) };
    // In this second, too.
    let until_now = Some(now.saturating_add(1));
    let (account, before) = match concern {
        Concern::Gone(account) => (account, None),
        Concern::Account(account) | Concern::Rights(account) => {
            match ApiError::none_if_missing(realm.get_user(account).await)? {
                None => (account, None),
                // What workloads may do is written in the policies themselves.
                Some(found) if found.client_id().is_some() => return Ok(()),
                Some(found) if !found.enabled => (account, None),
                // A name or a mail address has changed, unless he comes back.
                Some(_) if concern == Concern::Account(account) && !ctx.shut_out.is_out(name, account) => return Ok(()),
                Some(_) => (account, until_now),
            }
        }
    };
    if ctx.shut_out.note(name, account, before, now) {
        tracing::info!(realm = name, account, until = ?before, "tokens of an account count no more");
        tell(ctx, queues, name);
    }
    Ok(())
}

/// Looks who is disabled: after a start, and after a while in which nobody looked.
///
/// # Errors
/// Where the list cannot be read.
pub async fn look(ctx: &Context, queues: &Queues, name: &str, realm: &RealmAdmin, now: i64) -> Result<(), ApiError> {
    let mut disabled = BTreeSet::new();
    loop {
        let page = realm.list_disabled_users(disabled.len(), PAGE).await?;
        let is_last = page.len() < PAGE || disabled.len() >= MOST;
        disabled.extend(page.into_iter().filter_map(|user| user.id));
        if is_last {
            break;
        }
    }
    if ctx.shut_out.settle(name, &disabled, now) {
        tell(ctx, queues, name);
    }
    Ok(())
}

/// What is open to people of a realm is looked at again.
fn tell(ctx: &Context, queues: &Queues, realm: &str) {
    for name in ctx.caches.open_to_people(realm) {
        queues.guarded(&name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(account: &str, before: Option<i64>) -> Revocation {
        Revocation { of: Holder::Subject(account.into()), before }
    }

    #[test]
    fn what_is_noted_is_told_and_what_was_published_is_recalled() {
        let all = ShutOut::default();
        assert!(all.note("ml", "ann", None, 10));
        assert!(!all.note("ml", "ann", None, 11), "no news");
        all.recall(
            "ml",
            &Ref::new("a", "b"),
            &[of("ann", Some(3)), of("ben", Some(4)), Revocation { of: Holder::Client("c".into()), before: None }],
        );
        assert_eq!(all.of("ml"), [of("ann", None), of("ben", Some(4))]);
        assert!(all.is_out("ml", "ann") && !all.is_out("ml", "ben"));
        assert!(all.note("ml", "ann", Some(12), 11), "enabled again: only what was issued before is refused");
        assert_eq!(all.of("other"), []);
        assert!(all.settle("ml", &BTreeSet::from(["cyd".to_owned()]), 20));
        assert_eq!(all.of("ml"), [of("ann", Some(12)), of("ben", Some(4)), of("cyd", None)]);
        assert!(all.settle("ml", &BTreeSet::new(), 30), "enabled while nobody looked");
        assert!(!all.settle("ml", &BTreeSet::new(), 31));
        assert_eq!(all.of("ml")[2], of("cyd", Some(31)));
    }

    #[test]
    fn events_tell_whom_they_concern() {
        let event = |operation: &str, path: &str| AdminEvent {
            operation_type: operation.into(),
            resource_path: path.into(),
            ..AdminEvent::default()
        };
        for (operation, path, expected) in [
            ("UPDATE", "users/u", Some(Concern::Account("u"))),
            ("DELETE", "users/u", Some(Concern::Gone("u"))),
            ("DELETE", "users/u/groups/g", Some(Concern::Rights("u"))),
            ("DELETE", "users/u/role-mappings/clients/c", Some(Concern::Rights("u"))),
            ("CREATE", "users/u/groups/g", None),
            ("CREATE", "users/u", None),
            ("UPDATE", "clients/c", None),
        ] {
            assert_eq!(concern(&event(operation, path)), expected, "{operation} {path}");
        }
    }
}

//! A tenant: objects, a realm and a way to Keycloak of its own, so that it can live beside others and die alone.

use std::{collections::BTreeMap, sync::Arc};

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    cluster::Cluster,
    journal::Journal,
    keycloak::{InKeycloak, Keycloak, uid_of},
    kubernetes::InKubernetes,
    normal::{Words, normal},
    objects::{Login, changed, made},
};

/// What happens to a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Its server and realm are made.
    Found,
    /// Its endpoint, identity and grant are made.
    Create,
    /// Each of the objects is changed.
    Change,
    /// Grant, identity and endpoint are deleted.
    Empty,
    /// What is left is deleted: the realm and its server.
    Remove,
}

/// Kinds that are deleted in [`Phase::Empty`].
const TENANTS_OWN: [&str; 3] = ["accessgrants", "workloadidentities", "modelendpoints"];
/// Kinds that are deleted in [`Phase::Remove`].
const PLATFORM: [&str; 2] = ["realms", "keycloakservers"];

/// One tenant.
pub struct Tenant {
    /// Name of its namespace, KeycloakServer, Realm and realm.
    pub name: String,
    pub login: Login,
    pub journal: Arc<Journal>,
}

/// How a tenant stands.
pub struct Standing {
    pub kubernetes: InKubernetes,
    /// None where it has no realm.
    pub keycloak: Option<InKeycloak>,
}

impl Tenant {
    /// Does what is to be done with the objects; the rest is the operator's.
    pub async fn begin(&self, cluster: &Cluster, phase: Phase) {
        if phase == Phase::Create {
            // It may have been created and emptied before.
            cluster.collect_garbage(&self.name).await;
        }
        let (first, later) = (made(&self.name, &self.login), changed(&self.name, &self.login));
        let objects = match phase {
            Phase::Found => &first[..2],
            Phase::Create => &first[2..],
            // The server has no change.
            Phase::Change => &later[1..],
            Phase::Empty => return cluster.delete(&self.name, &TENANTS_OWN).await,
            Phase::Remove => return cluster.delete(&self.name, &PLATFORM).await,
        };
        join_all(objects.iter().map(|object| cluster.apply(object))).await;
    }

    /// Removes what it is, without the operator.
    pub async fn wipe(&self, cluster: &Cluster, keycloak: &Keycloak) {
        cluster.wipe(&self.name).await;
        keycloak.delete_realm(&self.name).await;
    }

    /// How it stands, seen past the proxies.
    pub async fn look(&self, everything: &[Value], keycloak: &Keycloak) -> Standing {
        let kubernetes = InKubernetes::of(everything, &self.name);
        Standing { kubernetes, keycloak: keycloak.realm(&self.name).await }
    }

    /// How it stands in Kubernetes, in every tenant's words.
    pub fn shape_in_kubernetes(&self, kubernetes: &InKubernetes) -> Value {
        normal(&kubernetes.shape(), &self.words(kubernetes))
    }

    /// How it stands, in every tenant's words.
    pub fn shape(&self, standing: &Standing) -> Value {
        let words = self.words(&standing.kubernetes);
        let keycloak = standing.keycloak.as_ref().map(|realm| normal(&realm.shape(), &words));
        json!({"kubernetes": self.shape_in_kubernetes(&standing.kubernetes), "keycloak": keycloak})
    }

    fn words(&self, kubernetes: &InKubernetes) -> Words {
        let mut words = kubernetes.words();
        words.push((self.login.internal_url.clone(), "INTERNAL-URL".to_owned()));
        words.push((self.login.secret.clone(), "LOGIN".to_owned()));
        words.push((self.name.clone(), "TENANT".to_owned()));
        words
    }
}

impl Standing {
    /// What would be another one if it were made anew.
    pub fn identities(&self) -> BTreeMap<String, String> {
        let mut all = self.keycloak.as_ref().map(InKeycloak::identities).unwrap_or_default();
        all.extend(self.kubernetes.ids());
        all
    }

    /// What is ours and belongs to no object.
    pub fn orphans(&self) -> Vec<String> {
        let uids: Vec<_> = self.kubernetes.ids().into_values().collect();
        let marks = self.keycloak.as_ref().map(InKeycloak::owners).unwrap_or_default();
        let stray = marks.into_iter().filter(|mark| !uid_of(mark).is_some_and(|uid| uids.contains(&uid)));
        stray.chain(self.kubernetes.orphans()).collect()
    }
}

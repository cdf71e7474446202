//! What of this cluster a realm should hold: by id, and ready to be compared.

use std::collections::{HashMap, HashSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use uuid::Uuid;

use crate::{
    api::{Credential, parse::name_of},
    controller::{
        app,
        context::Context,
        endpoint, identity,
        ledger::{Recorded, Standing, Traced},
        sync::fingerprint,
        watch::Caches,
    },
    core::{
        build::{Site, kind},
        desired::{DesiredEndpoint, DesiredWorkload, permission_scope_id},
        name::Ref,
    },
    keycloak::Held,
};

/// The objects that a realm was made to hold.
pub struct Expected {
    cluster: String,
    realm: String,
    /// By the id of their clients, as we give them.
    pub by_id: HashMap<Uuid, Traced>,
    /// The endpoints by the ids of their scopes.
    pub by_scope: HashMap<Uuid, Traced>,
    /// The workloads that have two clients.
    pub seconds: HashSet<Ref>,
    /// Number of objects that use the realm, grants included.
    pub objects: usize,
}

impl Expected {
    /// Of the Realm of this name, which is called `realm` in Keycloak.
    pub fn of(ctx: &Context, object: &str, realm: &str) -> Self {
        let site = Site { cluster: &ctx.cluster, realm };
        let mut by_scope = HashMap::new();
        let endpoints = ctx.caches.endpoints.state().into_iter().filter_map(|found| {
            let status = found.status.as_ref().filter(|_| found.held_in() == Some(object))?;
            let of = Traced { kind: kind::ENDPOINT, name: name_of(found.as_ref()) };
            let id = site.client_id(of.kind, &of.name);
            let scopes = status.permissions.iter().map(|permission| permission_scope_id(id, permission));
            by_scope.extend(scopes.map(|scope| (scope, of.clone())));
            Some((id, of))
        });
        let apps = ctx.caches.apps.state().into_iter().filter_map(|found| {
            let is_held = found.held_in() == Some(object);
            let of = is_held.then(|| Traced { kind: kind::APP, name: name_of(found.as_ref()) })?;
            Some((site.client_id(of.kind, &of.name), of))
        });
        let mut seconds = HashSet::new();
        let identities = ctx.caches.identities.state().into_iter().filter_map(|found| {
            let of = (found.held_in() == Some(object))
                .then(|| Traced { kind: kind::WORKLOAD, name: name_of(found.as_ref()) })?;
            if found.spec.credential == Credential::ClientSecret {
                seconds.insert(of.name.clone());
            }
            Some((site.client_id(of.kind, &of.name), of))
        });
        let by_id: HashMap<_, _> = endpoints.chain(apps).chain(identities).collect();
        let objects = by_id.len() + ctx.caches.grants.state().len();
        Self { cluster: ctx.cluster.clone(), realm: realm.to_owned(), by_id, by_scope, seconds, objects }
    }

    /// Whether the realm was made to hold this object.
    pub fn has(&self, of: &Traced) -> bool {
        let site = Site { cluster: &self.cluster, realm: &self.realm };
        self.by_id.contains_key(&site.client_id(of.kind, &of.name))
    }

    /// This cluster's name, as owner marks have it.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }
}

/// The endpoint or application as Keycloak was made to hold it; `None` while a pass has something to do about it anyway.
pub fn settled_server(ctx: &Context, of: &Traced) -> Option<DesiredEndpoint> {
    if of.kind == kind::APP {
        let object = Caches::namespaced(&ctx.caches.apps, &of.name)?;
        return settled(ctx, &object.metadata, of, &app::recorded(&object), app::desired(ctx, &object)?);
    }
    let object = Caches::namespaced(&ctx.caches.endpoints, &of.name)?;
    settled(ctx, &object.metadata, of, &endpoint::recorded(&object), endpoint::desired(ctx, &object)?)
}

/// The workload as Keycloak was made to hold it; `None` while a pass has something to do about it anyway.
pub fn settled_workload(ctx: &Context, name: &Ref) -> Option<DesiredWorkload> {
    let object = Caches::namespaced(&ctx.caches.identities, name)?;
    let of = Traced { kind: kind::WORKLOAD, name: name.clone() };
    settled(ctx, &object.metadata, &of, &identity::recorded(&object), identity::desired(ctx, &object)?)
}

fn settled<D: Held>(ctx: &Context, meta: &ObjectMeta, of: &Traced, recorded: &Recorded, desired: D) -> Option<D> {
    let standing = ctx.ledger.standing(of, recorded, fingerprint(&desired).as_ref());
    (meta.deletion_timestamp.is_none() && standing == Standing::Same).then_some(desired)
}

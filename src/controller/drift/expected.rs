//! What of this cluster a realm should hold: by id, and ready to be compared.

use std::{collections::HashMap, sync::Arc};

use kube::Resource;
use uuid::Uuid;

use crate::{
    api::{ModelEndpoint, WorkloadIdentity, parse::name_of},
    controller::{
        context::Context,
        endpoint, identity,
        ledger::{Recorded, Standing, Traced},
    },
    core::{
        build::{Site, kind},
        desired::{DesiredEndpoint, DesiredWorkload, permission_scope_id},
        fingerprint::Fingerprint,
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
    /// Number of objects that use the realm, grants included.
    pub objects: usize,
}

impl Expected {
    /// Of the Realm of this name, which is called `realm` in Keycloak.
    pub fn of(ctx: &Context, object: &str, realm: &str) -> Self {
        let site = Site { cluster: &ctx.cluster, realm };
        let mut by_scope = HashMap::new();
        let endpoints = ctx.caches.endpoints.state().into_iter().filter_map(|found| {
            let status = found.status.as_ref().filter(|status| status.realm.as_deref() == Some(object))?;
            let of = Traced { kind: kind::ENDPOINT, name: name_of(found.as_ref()) };
            let id = site.client_id(of.kind, &of.name);
            let scopes = status.permissions.iter().map(|permission| permission_scope_id(id, permission));
            by_scope.extend(scopes.map(|scope| (scope, of.clone())));
            Some((id, of))
        });
        let identities = ctx.caches.identities.state().into_iter().filter_map(|found| {
            let held_in = found.status.as_ref()?.realm.as_deref()?;
            let of = (held_in == object).then(|| Traced { kind: kind::WORKLOAD, name: name_of(found.as_ref()) })?;
            Some((site.client_id(of.kind, &of.name), of))
        });
        let by_id: HashMap<_, _> = endpoints.chain(identities).collect();
        let objects = by_id.len() + ctx.caches.grants.state().len();
        Self { cluster: ctx.cluster.clone(), realm: realm.to_owned(), by_id, by_scope, objects }
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

/// The endpoint as Keycloak was made to hold it; `None` while a pass has something to do about it anyway.
pub fn settled_endpoint(ctx: &Context, name: &Ref) -> Option<DesiredEndpoint> {
    let object = crate::controller::watch::Caches::namespaced(&ctx.caches.endpoints, name)?;
    let status = object.status.clone().unwrap_or_default();
    let recorded = Recorded::of(status.fingerprint.as_deref(), &status.conditions);
    let desired = endpoint::desired(ctx, &object)?;
    let of = Traced { kind: kind::ENDPOINT, name: name.clone() };
    is_settled::<ModelEndpoint>(ctx, &object, &of, &recorded, &desired).then_some(desired)
}

/// The workload as Keycloak was made to hold it; `None` while a pass has something to do about it anyway.
pub fn settled_workload(ctx: &Context, name: &Ref) -> Option<DesiredWorkload> {
    let object = crate::controller::watch::Caches::namespaced(&ctx.caches.identities, name)?;
    let status = object.status.clone().unwrap_or_default();
    let recorded = Recorded::of(status.fingerprint.as_deref(), &status.conditions);
    let desired = identity::desired(ctx, &object)?;
    let of = Traced { kind: kind::WORKLOAD, name: name.clone() };
    is_settled::<WorkloadIdentity>(ctx, &object, &of, &recorded, &desired).then_some(desired)
}

fn is_settled<K: Resource>(
    ctx: &Context,
    object: &Arc<K>,
    of: &Traced,
    recorded: &Recorded,
    desired: &impl Held,
) -> bool {
    let wanted = desired.fresh_plan().ok().and_then(|plan| Fingerprint::of(&plan));
    object.meta().deletion_timestamp.is_none() && ctx.ledger.standing(of, recorded, wanted.as_ref()) == Standing::Same
}

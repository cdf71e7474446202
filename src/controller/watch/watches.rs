//! All watches together.

use std::sync::Arc;

use futures::{FutureExt, future};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, runtime::watcher};
use tokio::sync::oneshot;

use super::{
    caches::Caches,
    index::Index,
    kind::{Change, Watch, Watched},
    triggers::Queues,
};
use crate::{
    admission::RunningPod,
    api::{AccessGrant, KeycloakServer, ModelEndpoint, Realm, WebApp, WorkloadIdentity},
};

/// One watch per kind, and the caches that they keep.
pub struct Watches {
    caches: Arc<Caches>,
    servers: Watch<KeycloakServer>,
    realms: Watch<Realm>,
    endpoints: Watch<ModelEndpoint>,
    apps: Watch<WebApp>,
    identities: Watch<WorkloadIdentity>,
    grants: Watch<AccessGrant>,
    namespaces: Watch<Namespace>,
    pods: Watch<RunningPod>,
}

fn everywhere<K: Watched>(client: &Client) -> Watch<K> {
    Watch::new(Api::all(client.clone()), watcher::Config::default())
}

impl Watches {
    /// Watches of the whole cluster; nothing is asked yet.
    pub fn new(client: &Client) -> Self {
        let servers = everywhere(client);
        let realms = everywhere(client);
        let endpoints = everywhere(client);
        let apps = everywhere(client);
        let identities = everywhere(client);
        let grants = everywhere(client);
        let namespaces = everywhere(client);
        let pods = everywhere(client);
        let caches = Caches {
            servers: servers.store(),
            realms: realms.store(),
            endpoints: endpoints.store(),
            apps: apps.store(),
            identities: identities.store(),
            grants: grants.store(),
            namespaces: namespaces.store(),
            pods: pods.store(),
            endpoints_by_namespace: Index::default(),
            apps_by_namespace: Index::default(),
            grants_by_endpoint: Index::default(),
            grants_by_subject: Index::default(),
            identities_by_target: Index::default(),
            identities_by_account: Index::default(),
            pods_by_namespace: Index::default(),
            pods_by_account: Index::default(),
        };
        Self { caches: Arc::new(caches), servers, realms, endpoints, apps, identities, grants, namespaces, pods }
    }

    /// The caches that the watches keep.
    pub fn caches(&self) -> Arc<Caches> {
        self.caches.clone()
    }

    /// Watches for ever and queues what has to be looked at. `listed` is told once every kind was listed.
    pub async fn run(self, queues: Queues, listed: oneshot::Sender<()>) {
        let Self { caches, servers, realms, endpoints, apps, identities, grants, namespaces, pods } = self;
        let queues = Arc::new(queues);
        let mut all = Vec::new();
        let mut told = Vec::new();
        macro_rules! watch {
            ($watch:ident, $on_change:ident) => {{
                let (listed, is_listed) = oneshot::channel();
                let (queues, caches) = (queues.clone(), caches.clone());
                told.push(is_listed);
                all.push($watch.run(listed, move |change: Change<_>| queues.$on_change(&caches, &change)).boxed());
            }};
        }
        watch!(servers, on_server);
        watch!(realms, on_realm);
        watch!(endpoints, on_endpoint);
        watch!(apps, on_app);
        watch!(identities, on_identity);
        watch!(grants, on_grant);
        watch!(namespaces, on_namespace);
        watch!(pods, on_pod);
        let tell = async {
            if future::join_all(told).await.into_iter().all(|told| told.is_ok()) {
                let _ = listed.send(());
            }
        };
        future::join(future::join_all(all), tell).await;
    }
}

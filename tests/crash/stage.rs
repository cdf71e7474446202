//! What the whole test has: servers, proxies, operators, and tenants side by side.

use std::{
    hash::{BuildHasher, RandomState},
    panic::{AssertUnwindSafe, resume_unwind},
    sync::Arc,
};

use futures::{FutureExt, future::join_all};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::{
    cluster::Cluster,
    journal::{Journal, Journals},
    keycloak::Keycloak,
    objects::{Login, OPERATOR_NAMESPACE},
    operator::Operators,
    proxy,
    tenant::{Standing, Tenant},
};

/// Tenants at a time. One operator has them all: at its point in the order of its own writes each of them is cut off,
/// and once all are, the operator is killed. So one death serves for many points. The operator looks at 16 objects of
/// each kind at a time, so more tenants would wait for those that wait for ever.
pub const LANES: usize = 16;

/// A way to Keycloak that one tenant after the other uses.
struct Lane {
    login: Login,
    journal: Arc<Journal>,
}

/// All of it.
pub struct Stage {
    pub cluster: Cluster,
    pub keycloak: Keycloak,
    pub journals: Arc<Journals>,
    /// Writes to what is no tenant's: the operator's certificates.
    pub common: Arc<Journal>,
    pub operators: Operators,
    lanes: Vec<Lane>,
    /// The beginning of every name of this run.
    prefix: String,
}

/// Runs a test on a stage, and removes what it made in Keycloak whatever the outcome.
pub async fn on_stage(test: impl AsyncFnOnce(Stage)) {
    let prefix = format!("crash-{:06x}", RandomState::new().hash_one("crash") & 0xff_ffff);
    let keycloak = Keycloak::from_env();
    let run = async { test(Stage::new(prefix.clone(), keycloak.clone()).await).await };
    let outcome = AssertUnwindSafe(run).catch_unwind().await;
    keycloak.delete_all(&prefix).await;
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

impl Stage {
    async fn new(prefix: String, keycloak: Keycloak) -> Self {
        let cluster = Cluster::with_our_kinds().await;
        cluster.apply_namespace(OPERATOR_NAMESPACE).await;
        cluster.apply_secret("ada", json!({"password": "only-for-this-test"})).await;
        let journals = Arc::<Journals>::default();
        let api_server = proxy::kubernetes(straight_client().await, Arc::clone(&journals)).await;
        let operators = Operators::new(&api_server, cluster.client.clone());
        let (mut lanes, realms) = (Vec::new(), Arc::default());
        for number in 0..LANES {
            lanes.push(Lane::new(&format!("{prefix}-login-{number:02}"), &cluster, &keycloak, &realms).await);
        }
        Self { cluster, keycloak, journals, common: Arc::default(), operators, lanes, prefix }
    }

    /// From here on writes to the certificates are nobody's but the operator's.
    pub fn note_common(&self) {
        for name in [OPERATOR_NAMESPACE, "keywire"] {
            self.journals.put(name, &self.common);
        }
    }

    /// New tenants, as many as are asked for.
    pub async fn tenants(&self, round: usize, count: usize) -> Vec<Tenant> {
        let tenants = self.lanes[..count].iter().enumerate().map(|(number, lane)| Tenant {
            name: format!("{}-{round:03}-{number:02}", self.prefix),
            login: lane.login.clone(),
            journal: Arc::clone(&lane.journal),
        });
        let tenants: Vec<_> = tenants.collect();
        for tenant in &tenants {
            self.journals.put(&tenant.name, &tenant.journal);
        }
        join_all(tenants.iter().map(|tenant| self.cluster.apply_namespace(&tenant.name))).await;
        tenants
    }

    /// How each of them stands.
    pub async fn look(&self, tenants: &[Tenant]) -> Vec<Standing> {
        let everything: Vec<Value> = self.cluster.everything().await;
        join_all(tenants.iter().map(|tenant| tenant.look(&everything, &self.keycloak))).await
    }
}

impl Lane {
    async fn new(name: &str, cluster: &Cluster, keycloak: &Keycloak, realms: &Arc<Mutex<()>>) -> Self {
        let journal = Arc::<Journal>::default();
        let secret = "only-for-this-test";
        keycloak.make_login(name, secret).await;
        cluster.apply_secret(name, json!({"clientId": name, "clientSecret": secret})).await;
        let internal_url = proxy::keycloak(keycloak.url.clone(), Arc::clone(&journal), Arc::clone(realms)).await;
        let login = Login { internal_url, url: keycloak.issuer.clone(), secret: name.to_owned() };
        Self { login, journal }
    }
}

/// A client that tries nothing twice: the operator is to see what there is to see.
async fn straight_client() -> kube::Client {
    let mut config = kube::Config::infer().await.expect("KUBECONFIG");
    config.default_retry = false;
    kube::Client::try_from(config).expect("a client")
}

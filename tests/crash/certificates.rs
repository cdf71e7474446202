//! Deaths at the first start in a new namespace: the CA and the servers' certificate are made once.

use std::{sync::Arc, time::Instant};

use serde_json::{Value, json};

use crate::{
    eventually::eventually,
    journal::{Death, Journal, Side},
    stage::Stage,
};

/// CA, certificate, and the bundle in the webhook's configuration.
const WRITES: usize = 3;
/// The configuration that the operator writes its CA into.
const CONFIGURATION: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/keywire";

/// All of them.
pub async fn die(stage: &Stage) {
    let begun = Instant::now();
    let sides = |write| [Side::Before, Side::After].map(|side| Death { write, side });
    for (number, death) in (0..WRITES).flat_map(sides).enumerate() {
        die_once(stage, &format!("crash-start-{number}"), death).await;
    }
    println!("Start: {WRITES} writes; {0} points, {0} deaths, {1:.0} s", 2 * WRITES, begun.elapsed().as_secs_f64());
}

async fn die_once(stage: &Stage, namespace: &str, death: Death) {
    let journal = Arc::<Journal>::default();
    for name in [namespace, "keywire"] {
        stage.journals.put(name, &journal);
    }
    stage.cluster.apply_namespace(namespace).await;
    stage.cluster.apply(&configuration()).await;
    journal.begin(Some(death));
    let operator = stage.operators.start(namespace).await;
    let is_dead = async || if journal.is_dead() { Ok(()) } else { Err(format!("{death:?} does not come")) };
    eventually("the operator dies", is_dead).await;
    operator.die();
    let before = stage.cluster.secrets(namespace).await;

    journal.begin(None);
    let operator = stage.operators.start(namespace).await;
    let is_done =
        async || if journal.is_idle() { is_published(stage, namespace).await } else { Err("busy".to_owned()) };
    eventually("the certificates are there and trusted", is_done).await;
    operator.die();
    let after = stage.cluster.secrets(namespace).await;
    for (name, secret) in &before {
        // Not compared by assert_eq: what a Secret holds is not for a log.
        assert!(after[name] == *secret, "{death:?}: Secret {name} was made anew");
    }

    journal.begin(None);
    let reads = stage.journals.reads(CONFIGURATION);
    let operator = stage.operators.start(namespace).await;
    // The second look comes after all that the first one made it do.
    let has_looked =
        async || if stage.journals.reads(CONFIGURATION) >= reads + 2 { Ok(()) } else { Err(String::new()) };
    eventually("the keeper of the certificates has looked", has_looked).await;
    operator.die();
    assert_eq!(journal.writes(), [""; 0], "{death:?}: the second start after the death writes");
}

async fn is_published(stage: &Stage, namespace: &str) -> Result<(), String> {
    let secrets = stage.cluster.secrets(namespace).await;
    let bundle = secrets.get("keywire-tls").map(|secret| &secret["ca.crt"]);
    let configuration = stage.cluster.get_raw(CONFIGURATION).await;
    let trusted = &configuration["webhooks"][0]["clientConfig"]["caBundle"];
    let is_there = secrets.contains_key("keywire-ca") && bundle.is_some_and(|bundle| bundle == trusted);
    if is_there { Ok(()) } else { Err(format!("Secrets {:?}", secrets.keys())) }
}

/// As the chart has it, but that nothing is ever sent there: it selects no pod that anybody makes.
fn configuration() -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "keywire"},
        "webhooks": [{
            "name": "pods.keywire.dev",
            "clientConfig": {"service": {"namespace": "keywire-system", "name": "keywire-webhook", "path": "/mutate"}},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}],
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": "Ignore",
        }],
    })
}

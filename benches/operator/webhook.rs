//! Reviews at a fixed rate, whatever the answers take.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{
    process::{Binaries, Process},
    scene::{OBJECTS, Scene, caller, model},
    stats::summary,
};

const LISTEN: &str = "127.0.0.1:28443";
const ADMIN: &str = "127.0.0.1:28081";
/// Pods a second.
const RATE: u32 = 500;
const SECONDS: u32 = 20;

pub async fn measure(scene: &Scene, binaries: &Binaries) -> Value {
    let arguments =
        ["webhook", "--listen", LISTEN, "--admin", ADMIN, "--namespace", &scene.name, "--proxy-image", "bench"];
    let arguments = arguments.map(str::to_owned);
    let mut webhook = Process::start(&binaries.operator, &arguments, &scene.file("webhook.log"));
    webhook.until_ready(&scene.http, ADMIN).await;
    // As an API server has it: HTTP/2, one connection.
    let client = scene.trusting(|builder| builder);
    let reviews: Vec<_> = (0..OBJECTS).map(|index| Arc::new(review(scene, index).to_string())).collect();
    run(&client, &reviews, RATE * 2).await;
    let cpu = webhook.cpu();
    let latencies = run(&client, &reviews, RATE * SECONDS).await;
    let cpu = (webhook.cpu() - cpu) / f64::from(SECONDS);
    let mut figures = summary(latencies);
    figures["podsPerSecond"] = json!(RATE);
    figures["cpuPercentOfOneCore"] = json!((cpu * 1000.0).round() / 10.0);
    figures["memoryMB"] = json!(webhook.memory() / 1_000_000);
    figures
}

async fn run(client: &reqwest::Client, reviews: &[Arc<String>], count: u32) -> Vec<Duration> {
    let (start, mut running) = (Instant::now(), JoinSet::new());
    for index in 0..count {
        let due = start + Duration::from_secs(1) * index / RATE;
        sleep_until(due).await;
        let request =
            client.post(format!("https://localhost:{}/mutate", LISTEN.rsplit(':').next().unwrap_or_default()));
        let body = Arc::clone(&reviews[index as usize % reviews.len()]);
        let request = request.header("content-type", "application/json").body(body.as_str().to_owned());
        running.spawn(async move {
            // Not since it was due: this program's own timer is a millisecond late, and it waits for no answer.
            let sent = Instant::now();
            let answer = request.send().await.expect("an answer").bytes().await.expect("a body");
            let taken = sent.elapsed();
            let answer: Value = serde_json::from_slice(&answer).expect("JSON");
            assert_eq!(answer["response"]["allowed"], true, "{answer}");
            assert!(!answer["response"]["patch"].is_null(), "a sidecar: {answer}");
            taken
        });
    }
    running.join_all().await
}

/// A pod as a Deployment has it: half of them models, half of them callers.
fn review(scene: &Scene, index: usize) -> Value {
    let (app, account) =
        if index.is_multiple_of(2) { (model(index), "default".to_owned()) } else { (caller(index), caller(index)) };
    let container = json!({"name": "app", "image": "example/app:1", "ports": [{"containerPort": 28080}],
        "env": [{"name": "LOG", "value": "info"}], "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
        "livenessProbe": {"httpGet": {"path": "/livez", "port": 28080}}});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": format!("{app}-"), "namespace": scene.name,
        "labels": {"app": app, "pod-template-hash": "5d8f"}}, "spec": {"serviceAccountName": account, "containers": [container]}});
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": format!("00000000-0000-4000-8000-{index:012}"), "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"}, "name": "", "namespace": scene.name,
        "operation": "CREATE", "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
        "object": pod, "oldObject": null, "dryRun": false, "options": null}})
}

//! The first call of a fresh sidecar: its token is fetched from Keycloak meanwhile.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    app,
    process::{Binaries, Process},
    scene::{Scene, caller, model, shown},
    stats::summary,
};

const ADMIN: &str = "127.0.0.1:28083";
const PORT: u16 = 28100;
const SIDECARS: usize = 200;

pub async fn measure(scene: &Scene, binaries: &Binaries) -> Value {
    let behind = app::start().await;
    let (tokens, egress) = (scene.file("egress-tokens"), scene.file("egress"));
    std::fs::create_dir_all(&tokens).and_then(|()| std::fs::create_dir_all(&egress)).expect("folders");
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for index in 0..SIDECARS {
        // Each is another identity, as in a rollout: nothing of its login is remembered.
        std::fs::write(tokens.join("keycloak"), scene.account_token(index, scene.issuer()).await).expect("a token");
        let audience = scene.audience(index);
        let document = json!({
            "number": 1, "identity": {"namespace": scene.name, "name": caller(index)},
            "clientId": format!("{}.{}.workload", caller(index), scene.name),
            "tokenSource": {"tokenUrl": scene.token_url(), "assertionAudience": scene.issuer()},
            "targets": [{"endpoint": {"namespace": scene.name, "name": model(index)}, "listen": PORT,
                "upstream": format!("http://{behind}"), "audience": &audience,
                "scopes": [format!("{audience}:read"), format!("{audience}:predict")]}],
        });
        std::fs::write(egress.join("egress.json"), document.to_string()).expect("a document");
        let arguments = [
            format!("--egress={}", shown(&egress)),
            format!("--egress-port={PORT}"),
            format!("--tokens={}", shown(&tokens)),
            format!("--admin={ADMIN}"),
        ];
        let mut proxy = Process::start(&binaries.proxy, &arguments, &scene.file("egress.log"));
        proxy.until_ready(&scene.http, ADMIN).await;
        first.push(call(&scene.http).await);
        second.push(call(&scene.http).await);
    }
    json!({"firstCall": summary(first), "secondCall": summary(second)})
}

async fn call(http: &reqwest::Client) -> Duration {
    let begun = Instant::now();
    let answer = http.get(format!("http://127.0.0.1:{PORT}/v2/models/iris")).send().await.expect("an answer");
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap_or_default());
    begun.elapsed()
}

//! `make bench-operator`: admission, the policy stream, revocation and first tokens, with the real binaries against the test
//! cluster's API server, its controllers and Keycloak. All of it on one machine, the load too.

mod app;
mod process;
mod scene;
mod stats;
mod streams;
mod tokens;
mod webhook;

use process::Binaries;
use scene::Scene;
use serde_json::{Value, json};

#[tokio::main]
async fn main() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut arguments = std::env::args().skip(1);
    let mut next = |what: &str| arguments.next().unwrap_or_else(|| panic!("an argument: {what}"));
    let binaries = Binaries { operator: next("the operator"), proxy: next("the sidecar") };
    let (out, parts) = (next("the report"), next("the parts"));
    let scene = Scene::make().await;
    let mut report = json!({"cores": std::thread::available_parallelism().map_or(0, std::num::NonZero::get)});
    for part in parts.split_whitespace() {
        let figures: Value = match part {
            "webhook" => webhook::measure(&scene, &binaries).await,
            "memory" => streams::memory(&scene, &binaries).await,
            "revocation" => streams::revocation(&scene, &binaries).await,
            "tokens" => tokens::measure(&scene, &binaries).await,
            other => panic!("no part {other}: webhook, memory, revocation, tokens"),
        };
        println!("{part}: {figures:#}");
        report[part] = figures;
        std::fs::write(&out, format!("{report:#}\n")).expect("the report can be written");
    }
    scene.remove().await;
}

//! The policy stream: what a proxy costs the operator, and how fast a revocation is at all of them.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    app,
    process::{Binaries, Process},
    scene::{APP_PORT, OBJECTS, Scene, model, shown},
    stats::summary,
};

const LISTEN: &str = "127.0.0.1:28444";
const ADMIN: &str = "127.0.0.1:28082";
const URL: &str = "https://localhost:28444";
const AUDIENCE: &str = "keywire-policy";
/// Connections that open at one time.
const AT_ONCE: usize = 16;
/// How often each proxy is asked while a grant is being revoked: how exact the figure is.
const POLL: Duration = Duration::from_millis(200);
const ROUNDS: usize = 5;

async fn server(scene: &Scene, binaries: &Binaries) -> Process {
    let arguments = ["policy", "--listen", LISTEN, "--admin", ADMIN, "--namespace", &scene.name].map(str::to_owned);
    let mut server = Process::start(&binaries.operator, &arguments, &scene.file("policy.log"));
    server.until_ready(&scene.http, ADMIN).await;
    server
}

/// Resident memory of the server with so many streams, each of a connection and a token of its own, as proxies have them.
pub async fn memory(scene: &Scene, binaries: &Binaries) -> Value {
    let server = server(scene, binaries).await;
    let client = scene.trusting(|builder| builder.http1_only());
    let empty = server.memory();
    let (mut open, mut steps) = (Vec::new(), Vec::new());
    for wanted in [500, 2000] {
        let more = stream::iter(open.len()..wanted).map(|index| follow(scene, &client, index));
        open.extend(more.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await);
        // The reviews of their tokens are over, and the allocator has had its time.
        sleep(Duration::from_secs(5)).await;
        let (taken, each) = (server.memory(), wanted as u64);
        steps.push(json!({"streams": wanted, "memoryMB": mb(taken), "bytesEach": taken.saturating_sub(empty) / each}));
    }
    json!({"emptyMB": mb(empty), "steps": steps})
}

fn mb(bytes: u64) -> f64 {
    (bytes as f64 / 1e5).round() / 10.0
}

async fn follow(scene: &Scene, client: &reqwest::Client, index: usize) -> reqwest::Response {
    let token = scene.account_token(index % OBJECTS, AUDIENCE).await;
    let url = format!("{URL}/v1/guard/{}/{}", scene.name, model(index % OBJECTS));
    let mut answer = client.get(url).bearer_auth(token).send().await.expect("a stream");
    assert!(answer.status().is_success(), "{}", answer.status());
    answer.chunk().await.expect("a document").expect("a document");
    answer
}

/// From the API server's answer to the deletion of a grant to the first refused call at each proxy. They are real processes,
/// replicas of one model, each at a loopback address of its own.
pub async fn revocation(scene: &Scene, binaries: &Binaries) -> Value {
    let count: u16 = std::env::var("BENCH_PROXIES").ok().and_then(|text| text.parse().ok()).unwrap_or(500);
    let server = server(scene, binaries).await;
    let behind = app::start().await;
    let (tokens, guard) = (scene.file("tokens"), scene.file("guard"));
    std::fs::create_dir_all(&tokens).and_then(|()| std::fs::create_dir_all(&guard)).expect("folders");
    std::fs::copy(scene.file("ca.crt"), guard.join("stream-ca.crt")).expect("a CA");
    std::fs::write(tokens.join("policy"), scene.account_token(0, AUDIENCE).await).expect("a token");
    forward(behind);
    let mut proxies = Vec::new();
    for index in 0..count {
        let address = address(index);
        let arguments = [
            format!("--guard={}", shown(&guard)),
            format!("--guard-port={}:{APP_PORT}", APP_PORT + 10_000),
            format!("--guard-identity={}/{}", scene.name, model(0)),
            format!("--tokens={}", shown(&tokens)),
            format!("--stream={URL}"),
            format!("--bind={address}"),
            format!("--admin={address}:15090"),
            "--audit=off".to_owned(),
        ];
        let mut proxy = Process::start(&binaries.proxy, &arguments, &scene.file("proxy.log"));
        proxy.until_ready(&scene.http, &format!("{address}:15090")).await;
        proxies.push(proxy);
    }
    let mut all = Vec::new();
    for round in 0..ROUNDS {
        let token = scene.access_token(0).await;
        let polls: Vec<_> = (0..count).map(|index| Poll::new(index, &token)).collect();
        stream::iter(&polls).for_each_concurrent(AT_ONCE, |poll| poll.until(scene, 200)).await;
        let mut running = JoinSet::new();
        for (index, poll) in polls.into_iter().enumerate() {
            let http = scene.http.clone();
            running.spawn(async move {
                // Spread over the interval: they are not to be asked all at once.
                sleep(POLL * u32::try_from(index).unwrap_or_default() / u32::from(count)).await;
                poll.first_refused(&http).await
            });
        }
        sleep(Duration::from_secs(2)).await;
        scene.revoke(0).await;
        let revoked = Instant::now();
        let refused = running.join_all().await;
        let taken: Vec<_> = refused.into_iter().map(|at| at.saturating_duration_since(revoked)).collect();
        println!("  round {round}: {}", summary(taken.clone()));
        all.extend(taken);
        scene.grant(0).await;
    }
    let mut figures = summary(all);
    figures["proxies"] = json!(count);
    figures["rounds"] = json!(ROUNDS);
    figures["pollMs"] = json!(POLL.as_millis() as u64);
    figures["proxyMemoryMB"] = json!(mb(proxies.iter().map(Process::memory).sum::<u64>() / u64::from(count)));
    figures["serverMemoryMB"] = json!(mb(server.memory()));
    figures
}

/// The application's port leads to the one application of all of them.
fn forward(behind: std::net::SocketAddr) {
    tokio::spawn(async move {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", APP_PORT)).await.expect("the port is free");
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut onward = tokio::net::TcpStream::connect(behind).await.ok()?;
                tokio::io::copy_bidirectional(&mut stream, &mut onward).await.ok()
            });
        }
    });
}

/// A loopback address of its own.
fn address(index: u16) -> Ipv4Addr {
    let [high, low] = (index + 1).to_be_bytes();
    Ipv4Addr::new(127, 1, high, low)
}

/// Calls of one proxy.
struct Poll {
    url: String,
    token: String,
}

impl Poll {
    fn new(index: u16, token: &str) -> Self {
        let url = format!("http://{}:{}/v2/models/iris", address(index), APP_PORT + 10_000);
        Self { url, token: token.to_owned() }
    }

    async fn status(&self, http: &reqwest::Client) -> u16 {
        let answer = http.get(&self.url).bearer_auth(&self.token).send().await.expect("the proxy answers");
        let status = answer.status().as_u16();
        let _ = answer.bytes().await;
        status
    }

    async fn until(&self, scene: &Scene, wanted: u16) {
        while self.status(&scene.http).await != wanted {
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn first_refused(&self, http: &reqwest::Client) -> Instant {
        loop {
            let asked = Instant::now();
            match self.status(http).await {
                200 => sleep(POLL.saturating_sub(asked.elapsed())).await,
                403 => return Instant::now(),
                other => panic!("{}: {other}", self.url),
            }
        }
    }
}

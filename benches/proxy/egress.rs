//! What the outbound half adds to a call, and how long the first one takes, for which a token has to be had.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    runtime::Builder,
};

use crate::{
    Result,
    fixture::{AUDIENCE, CLIENT},
    latency,
    process::{Process, address, free},
    report::Report,
    scene::{Scene, part},
    upstream,
};

/// Calls per round, one after the other on one connection.
const CALLS: usize = 2_000;
/// How often a new process has a first call.
const FIRST_CALLS: usize = 5;

/// Gives the same token to whoever asks, until the process ends.
pub fn issuer(listen: SocketAddr, file: &Path) -> Result<()> {
    let token = fs::read_to_string(file)?;
    let scope = format!("{AUDIENCE}:predict {AUDIENCE}:read");
    let body = json!({"access_token": token, "token_type": "Bearer", "expires_in": 3600, "scope": scope}).to_string();
    let answer =
        format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    Builder::new_current_thread().enable_io().build()?.block_on(async {
        let listener = TcpListener::bind(listen).await?;
        loop {
            let (mut stream, _) = listener.accept().await?;
            let mut request = Vec::new();
            while upstream::whole(&request).is_none() && stream.read_buf(&mut request).await? > 0 {}
            stream.write_all(answer.as_bytes()).await?;
        }
    })
}

/// The median of a call with the outbound half before the guard, less that of a call to the guard alone.
pub fn measure(scene: &Scene, report: &mut Report) -> Result<()> {
    report.part("The outbound half before the guard, one call after the other");
    let guard = scene.contestants.iter().find(|process| process.name == "keywire").ok_or("no guard")?;
    let file = scene.path("token");
    fs::write(&file, scene.fixture.token(0)?)?;
    let issuer = part("issuer", &[&file.display().to_string()])?;
    let request = b"GET /v2/models/iris/ready HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    let mut first = Vec::new();
    for _ in 0..FIRST_CALLS {
        let egress = start(scene, guard.port, issuer.port)?;
        first.extend(calls(egress.port, request, 1)?);
    }
    let egress = start(scene, guard.port, issuer.port)?;
    let (mut alone, mut both) = (Vec::new(), Vec::new());
    for round in 0..=scene.bench.rounds {
        let (direct, through) = (calls(guard.port, &scene.request, CALLS)?, calls(egress.port, request, CALLS)?);
        // The first round warms up.
        if round > 0 {
            alone.extend(direct);
            both.extend(through);
        }
    }
    let (alone, both) = (median(alone), median(both));
    report.figure("p50 of a call to the guard", alone, "ms", None);
    report.figure("p50 of the same through the outbound half", both, "ms", None);
    report.figure("the outbound half adds", both - alone, "ms", Some(("≤ 0.15 ms", 0.15)));
    let what = "a process's first call, token and all (issuer on loopback)";
    report.figure(what, median(first), "ms", Some(("≤ 150 ms", 150.0)));
    Ok(())
}

/// An outbound half whose one target is the guard.
fn start(scene: &Scene, guard: u16, issuer: u16) -> Result<Process> {
    let (port, admin, folder) = (free()?, free()?, scene.path("egress"));
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("keycloak"), "an.assertion.of-the-pod")?;
    let document = json!({
        "number": 1, "identity": {"namespace": "agents", "name": "labeler"}, "clientId": CLIENT,
        "tokenSource": {"tokenUrl": format!("http://127.0.0.1:{issuer}/token"), "assertionAudience": "http://auth.example.com"},
        "targets": [{"endpoint": {"namespace": "vision", "name": "iris"}, "listen": port, "audience": AUDIENCE,
            "upstream": format!("http://127.0.0.1:{guard}"), "scopes": [format!("{AUDIENCE}:predict"), format!("{AUDIENCE}:read")]}],
    });
    fs::write(folder.join("egress.json"), document.to_string())?;
    let mut command = Command::new(&scene.bench.proxy);
    command.arg("--egress").arg(&folder).args(["--egress-port", &port.to_string(), "--log", "warn"]);
    command.arg("--tokens").arg(&folder).args(["--admin", &address(admin).to_string()]);
    Process::start("egress", port, &mut command)
}

/// So many calls on one connection, each after the answer to the one before.
fn calls(port: u16, request: &[u8], count: usize) -> Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(address(port))?;
    stream.set_nodelay(true)?;
    let (mut times, mut buffer) = (Vec::with_capacity(count), Vec::with_capacity(4096));
    for _ in 0..count {
        let started = Instant::now();
        latency::call(&mut stream, request, &mut buffer)?;
        times.push(started.elapsed());
    }
    Ok(times)
}

/// In milliseconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}

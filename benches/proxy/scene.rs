//! The run: who takes part, and what is measured, part by part.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    Result, cost, egress,
    fixture::{self, Fixture},
    grants, grpc, latency,
    load::{self, End},
    memory, others,
    process::{Process, address, free},
    report::{self, Report},
    sessions, swap,
};

/// Threads of each contestant.
pub const THREADS: usize = 2;
/// Connections of a load.
pub const CONNECTIONS: usize = 16;

/// What was asked for.
pub struct Bench {
    /// The keywire-proxy binary.
    pub proxy: PathBuf,
    /// The Envoy binary.
    pub envoy: Option<PathBuf>,
    /// The nginx binary.
    pub nginx: Option<PathBuf>,
    /// Seconds of load per contestant and round.
    pub seconds: f64,
    /// Rounds.
    pub rounds: usize,
    /// New tokens per round.
    pub tokens: usize,
    /// Only the part of this name.
    pub only: Option<String>,
}

/// What every part uses.
pub struct Scene {
    /// What was asked for.
    pub bench: Bench,
    /// Key and tokens.
    pub fixture: Fixture,
    /// The bare hop, nginx, Envoy, the guard, the guard with an audit record for each request.
    pub contestants: Vec<Process>,
    /// The request that all of them let pass.
    pub request: Vec<u8>,
    /// The model server.
    pub app: Process,
    keys: Process,
    scratch: TempDir,
}

/// A part's name, and the part.
type Part = (&'static str, fn(&Scene, &mut Report) -> Result<()>);
const PARTS: [Part; 12] = [
    ("cost", cost::known_token),
    ("bodies", cost::bodies),
    ("sessions", sessions::measure),
    ("tokens", cost::new_tokens),
    ("grpc", grpc::measure),
    ("latency", latency::measure),
    ("egress", egress::measure),
    ("memory", memory::tokens_and_connections),
    ("streams", memory::streams),
    ("grants", grants::measure),
    ("swap", swap::measure),
    ("binary", memory::binary),
];

impl Bench {
    /// Measures everything, and writes it to `out`.
    pub fn run(self, out: &Path) -> Result<()> {
        let started = Instant::now();
        if report::busy() {
            println!("note: this machine is busy with other work, which adds to every figure");
        }
        let scene = Scene::start(self)?;
        println!(
            "token RS256, {} bytes; {CONNECTIONS} connections; {} s × {} rounds, the least of them",
            scene.request.len(),
            scene.bench.seconds,
            scene.bench.rounds
        );
        let mut report = Report::default();
        for (name, part) in PARTS {
            if scene.bench.only.as_deref().is_none_or(|only| only == name) {
                part(&scene, &mut report)?;
            }
        }
        println!("\nin {} s", started.elapsed().as_secs());
        report.end(out)
    }
}

impl Scene {
    fn start(bench: Bench) -> Result<Self> {
        let (scratch, fixture) = (tempfile::tempdir()?, Fixture::new()?);
        let jwks = scratch.path().join("jwks.json");
        fs::write(&jwks, fixture.jwks.to_string())?;
        let app = part("upstream", &[])?;
        let keys = part("keys", &[&jwks.display().to_string()])?;
        let request = fixture::request("GET /v2/models/iris/ready", &fixture.token(0)?, "", "");
        let mut scene = Self { bench, fixture, contestants: Vec::new(), request, app, keys, scratch };
        scene.contestants.push(part("hop", &[&address(scene.app.port).to_string(), &THREADS.to_string()])?);
        scene.others()?;
        let policy = scene.policy("OpenInference");
        scene.contestants.push(scene.guard("keywire", &policy, &[])?);
        scene.contestants.push(scene.guard("keywire, audit all", &policy, &["--audit", "all"])?);
        if scene.has_flag("--audit-file") {
            let file = scene.scratch.path().join("audit.log").display().to_string();
            scene.contestants.push(scene.guard(
                "keywire, audit file",
                &policy,
                &["--audit", "all", "--audit-file", &file],
            )?);
        }
        for contestant in &scene.contestants {
            scene.until_open(contestant, &scene.request)?;
        }
        Ok(scene)
    }

    fn others(&mut self) -> Result<()> {
        let scratch = self.scratch.path();
        if let Some(nginx) = &self.bench.nginx {
            let (port, config) = (free()?, scratch.join("nginx.conf"));
            fs::write(&config, others::nginx(scratch, port, self.app.port))?;
            self.contestants.push(Process::start(
                "nginx",
                port,
                Command::new(nginx).arg("-c").arg(&config).arg("-p").arg(scratch),
            )?);
        }
        if let Some(envoy) = &self.bench.envoy {
            let (port, config) = (free()?, scratch.join("envoy.json"));
            fs::write(&config, others::envoy(&self.fixture, port, self.app.port).to_string())?;
            let mut command = Command::new(envoy);
            command.args([
                "--concurrency",
                &THREADS.to_string(),
                "--log-level",
                "error",
                "--disable-hot-restart",
                "-c",
            ]);
            self.contestants.push(Process::start("envoy", port, command.arg(&config))?);
        }
        Ok(())
    }

    /// A run that only shows that all of it works.
    pub fn is_short(&self) -> bool {
        self.bench.tokens < 5_000
    }

    /// A policy before the model server.
    pub fn policy(&self, protocol: &str) -> Value {
        fixture::policy(protocol, self.app.port, self.keys.port)
    }

    /// A guard of its own, with this policy.
    pub fn guard(&self, name: &str, policy: &Value, flags: &[&str]) -> Result<Process> {
        let (port, admin) = (free()?, free()?);
        self.write_policy(name, policy, port)?;
        let mut command = Command::new(&self.bench.proxy);
        command.arg("--guard").arg(self.folder(name)).args([
            "--guard-port",
            &format!("{port}:1"),
            "--bind",
            "127.0.0.1",
        ]);
        command.args([
            "--admin",
            &address(admin).to_string(),
            "--workers",
            &THREADS.to_string(),
            "--log",
            "warn,audit=info",
        ]);
        Process::start(name, port, command.args(flags))
    }

    /// Writes a guard's policy as a ConfigMap does: whole or not at all.
    pub fn write_policy(&self, name: &str, policy: &Value, port: u16) -> Result<()> {
        let mut policy = policy.clone();
        policy["listeners"][0]["listen"] = json!(port);
        let folder = self.folder(name);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("staged"), policy.to_string())?;
        Ok(fs::rename(folder.join("staged"), folder.join("guard.json"))?)
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.path(&name.replace([' ', ','], "-"))
    }

    /// A place for a file of this run.
    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn has_flag(&self, flag: &str) -> bool {
        let help = Command::new(&self.bench.proxy).arg("--help").output();
        help.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(flag))
    }

    /// Waits until a good request passes. One without a token must not, where tokens are checked.
    pub fn until_open(&self, process: &Process, request: &[u8]) -> Result<()> {
        let once = |request: Vec<u8>| load::closed(process.port, &[request], 1, End::Once, || ());
        let deadline = Instant::now() + Duration::from_secs(20);
        while once(request.to_vec())?.good == 0 {
            if Instant::now() > deadline {
                return Err(format!("{} does not let a good call pass", process.name).into());
            }
            thread::sleep(Duration::from_millis(50));
        }
        let checks = !matches!(process.name.as_str(), "hop" | "nginx");
        let bare = once(b"GET /v2/models/iris/ready HTTP/1.1\r\nHost: iris\r\n\r\n".to_vec())?;
        if checks == (bare.good > 0) {
            Err(format!("{} does not check tokens as it should", process.name).into())
        } else {
            Ok(())
        }
    }
}

/// This program in another part: `NAME LISTEN REST…`.
pub fn part(name: &str, rest: &[&str]) -> Result<Process> {
    let port = free()?;
    Process::start(
        name,
        port,
        Command::new(std::env::current_exe()?).args([name, &address(port).to_string()]).args(rest),
    )
}

//! Starting the contestants, loading them in turn, and reading what it cost.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{Result, fixture::Fixture};

/// Connections that wrk keeps open.
const CONNECTIONS: usize = 16;
/// Threads of each contestant.
const THREADS: usize = 2;
/// The kernel's clock ticks per second in /proc (USER_HZ).
const TICKS: f64 = 100.0;
/// The route: a model rule is decided for it.
const PATH: &str = "/v2/models/iris/ready";

/// One benchmark.
pub struct Bench {
    /// The keywire-proxy binary.
    pub proxy: PathBuf,
    /// The Envoy binary.
    pub envoy: Option<PathBuf>,
    /// Where the figures go.
    pub out: PathBuf,
    /// Seconds of load per contestant and round.
    pub seconds: u64,
    /// Rounds.
    pub rounds: usize,
}

/// A child that is ended with its handle.
struct Process {
    name: &'static str,
    child: Child,
    port: u16,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What one load of one contestant came to.
#[derive(Clone, Copy)]
struct Sample {
    cpu_micros: f64,
    per_second: f64,
    rss_kb: u64,
}

impl Bench {
    /// Runs it; true if the first line holds.
    pub fn run(&self) -> Result<bool> {
        let scratch = tempfile::tempdir()?;
        let fixture = Fixture::new()?;
        println!(
            "token: {} bytes, RS256; answer: 1024 bytes; {CONNECTIONS} connections; {} s × {} rounds",
            fixture.token.len(),
            self.seconds,
            self.rounds
        );
        if busy() {
            println!("note: this machine is busy with other work, which adds to every figure");
        }
        let (helpers, contestants) = self.start(&fixture, scratch.path())?;
        for contestant in &contestants {
            check(contestant, &fixture.token)?;
        }
        let mut samples: Vec<Vec<Sample>> = contestants.iter().map(|_| Vec::new()).collect();
        // The first round warms up and is not counted.
        for round in 0..=self.rounds {
            for (contestant, samples) in contestants.iter().zip(&mut samples) {
                let seconds = if round == 0 { 1 } else { self.seconds };
                let sample = load(contestant, &fixture.token, seconds)?;
                if round > 0 {
                    println!(
                        "round {round}  {:<8} {:6.2} µs/request {:8.0} requests/s {:6.1} MB",
                        contestant.name,
                        sample.cpu_micros,
                        sample.per_second,
                        sample.rss_kb as f64 / 1024.0
                    );
                    samples.push(sample);
                }
            }
        }
        drop(helpers);
        self.report(&contestants, &samples)
    }

    fn start(&self, fixture: &Fixture, scratch: &Path) -> Result<(Vec<Process>, Vec<Process>)> {
        let this = std::env::current_exe()?;
        let (app, keys) = (free()?, free()?);
        let jwks = scratch.join("jwks.json");
        fs::write(&jwks, fixture.jwks.to_string())?;
        let helpers = vec![
            spawn("upstream", app, Command::new(&this).args(["upstream", &address(app)]))?,
            spawn("keys", keys, Command::new(&this).args(["keys", &address(keys)]).arg(&jwks))?,
        ];
        let hop = free()?;
        let mut contestants = vec![
            spawn("hop", hop, Command::new(&this).args(["hop", &address(hop), &address(app), &THREADS.to_string()]))?,
            self.guard("keywire", fixture, &scratch.join("guard"), app, keys)?,
            // The same with each decision in a file.
            self.guard("audited", fixture, &scratch.join("audited"), app, keys)?,
        ];
        if let Some(envoy) = &self.envoy {
            let (port, config) = (free()?, scratch.join("envoy.json"));
            fs::write(&config, fixture.envoy(port, app).to_string())?;
            let mut command = Command::new(envoy);
            command.args([
                "--concurrency",
                &THREADS.to_string(),
                "--log-level",
                "error",
                "--disable-hot-restart",
                "-c",
            ]);
            contestants.push(spawn("envoy", port, command.arg(&config))?);
        }
        Ok((helpers, contestants))
    }

    fn guard(&self, name: &'static str, fixture: &Fixture, scratch: &Path, app: u16, keys: u16) -> Result<Process> {
        let (port, admin) = (free()?, free()?);
        fs::create_dir(scratch)?;
        fixture.write_policy(scratch, port, app, address(keys).parse()?)?;
        let mut command = Command::new(&self.proxy);
        command.arg("--guard").arg(scratch).args([
            "--guard-port",
            &format!("{port}:{app}"),
            "--admin",
            &address(admin),
        ]);
        command.args(["--workers", &THREADS.to_string(), "--log", "warn", "--bind", "127.0.0.1"]);
        if name == "audited" {
            command.args(["--audit", "all", "--audit-file"]).arg(scratch.join("audit.log"));
        }
        spawn(name, port, &mut command)
    }

    fn report(&self, contestants: &[Process], samples: &[Vec<Sample>]) -> Result<bool> {
        let mut figures = serde_json::Map::new();
        let mut cpu = std::collections::HashMap::new();
        // CPU: the least disturbed round, since other work on the machine only adds. The rest: medians.
        println!("\n            CPU µs/request   requests/s   RSS MB");
        for (contestant, samples) in contestants.iter().zip(samples) {
            let median = |of: fn(&Sample) -> f64| median(samples.iter().map(of).collect());
            let (micros, rate) = (least(samples), median(|s| s.per_second));
            let rss = median(|s| s.rss_kb as f64) / 1024.0;
            println!("{:<10} {micros:15.2} {rate:12.0} {rss:8.1}", contestant.name);
            figures.insert(
                contestant.name.to_owned(),
                json!({"cpuMicrosPerRequest": micros, "requestsPerSecond": rate, "rssMb": rss}),
            );
            cpu.insert(contestant.name, micros);
        }
        let (ours, hop) = (cpu["keywire"], cpu["hop"]);
        let mut verdicts = vec![verdict("CPU ≤ 2 × bare hop", ours / hop, 2.0)];
        match cpu.get("envoy") {
            Some(envoy) => verdicts.push(verdict("CPU below Envoy's", ours / envoy, 1.0)),
            None => println!("Envoy is not there: not compared"),
        }
        let holds = verdicts.iter().all(|verdict| verdict["holds"] == true);
        println!("for information, the final goals:");
        let goals =
            [("CPU ≤ 1.35 × bare hop", Some(hop), 1.35), ("CPU ≤ 0.5 × Envoy's", cpu.get("envoy").copied(), 0.5)];
        let mut goals: Vec<Value> =
            goals.iter().filter_map(|(what, of, limit)| Some(verdict(what, ours / (*of)?, *limit))).collect();
        goals.push(verdict("CPU with every decision in a file ≤ 1.6 × bare hop", cpu["audited"] / hop, 1.6));
        let machine = machine();
        println!("machine: {machine}");
        let report = json!({"machine": machine, "connections": CONNECTIONS, "threads": THREADS, "seconds": self.seconds,
            "rounds": self.rounds, "figures": figures, "verdicts": verdicts, "goals": goals});
        if let Some(directory) = self.out.parent() {
            fs::create_dir_all(directory)?;
        }
        fs::write(&self.out, format!("{report:#}\n"))?;
        println!("written: {}", self.out.display());
        Ok(holds)
    }
}

fn verdict(what: &str, ratio: f64, limit: f64) -> Value {
    let holds = ratio <= limit;
    println!("{} {what}: {ratio:.2}", if holds { "ok  " } else { "MISS" });
    json!({"what": what, "ratio": ratio, "limit": limit, "holds": holds})
}

fn least(samples: &[Sample]) -> f64 {
    samples.iter().map(|sample| sample.cpu_micros).fold(f64::INFINITY, f64::min)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Loads a contestant; CPU is that of its whole process over the requests served.
fn load(contestant: &Process, token: &str, seconds: u64) -> Result<Sample> {
    let before = cpu_seconds(contestant.child.id())?;
    let output = Command::new("wrk")
        .args([
            "-t1",
            &format!("-c{CONNECTIONS}"),
            &format!("-d{seconds}s"),
            "-H",
            &format!("Authorization: Bearer {token}"),
        ])
        .arg(format!("http://{}{PATH}", address(contestant.port)))
        .output()?;
    let spent = cpu_seconds(contestant.child.id())? - before;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.contains("requests in"));
    let requests: f64 = line
        .and_then(|line| line.split_whitespace().next()?.parse().ok())
        .ok_or_else(|| format!("wrk said: {text}"))?;
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return Err(format!("{} failed requests: {text}", contestant.name).into());
    }
    let rss_kb = rss_kb(contestant.child.id())?;
    Ok(Sample { cpu_micros: spent / requests * 1e6, per_second: requests / seconds as f64, rss_kb })
}

/// Waits until the contestant lets a good call pass; a call without a token
/// must fail, except at the hop.
fn check(contestant: &Process, token: &str) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while status(contestant.port, Some(token)) != Some(200) {
        if Instant::now() > deadline {
            return Err(format!("{} does not let a good call pass", contestant.name).into());
        }
        thread::sleep(Duration::from_millis(50));
    }
    let expected = if contestant.name == "hop" { 200 } else { 401 };
    match status(contestant.port, None) {
        Some(found) if found == expected => Ok(()),
        found => Err(format!("{} answers {found:?} to a call without a token", contestant.name).into()),
    }
}

fn status(port: u16, token: Option<&str>) -> Option<u16> {
    use std::io::{Read, Write};
    let mut stream = TcpStream::connect(address(port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    stream.write_all(format!("GET {PATH} HTTP/1.1\r\nHost: iris\r\n{authorization}\r\n").as_bytes()).ok()?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).ok()?;
    std::str::from_utf8(&head[9..]).ok()?.parse().ok()
}

fn spawn(name: &'static str, port: u16, command: &mut Command) -> Result<Process> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    Ok(Process { name, child, port })
}

fn free() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn address(port: u16) -> String {
    SocketAddr::from(([127, 0, 0, 1], port)).to_string()
}

/// utime and stime of a process and its threads (proc(5)).
fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The command's name may hold spaces; it ends with the last parenthesis.
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).ok_or("no CPU time in /proc");
    Ok((ticks(11)? + ticks(12)?) / TICKS)
}

fn rss_kb(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).ok_or_else(|| "no VmRSS in /proc".into())
}

/// More is waiting for a CPU than there are CPUs.
fn busy() -> bool {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let waiting: f64 = load.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0.0);
    waiting > thread::available_parallelism().map_or(1, usize::from) as f64
}

fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown CPU", |rest| rest.trim_start_matches(['\t', ' ', ':']));
    let count = thread::available_parallelism().map_or(0, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!("{count} × {model}, load average {}", load.split(' ').next().unwrap_or("?"))
}

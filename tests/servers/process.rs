//! Servers and clients as processes, which end with the test in whatever way that ends.

use std::{
    fs::{self, File},
    net::SocketAddr,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::support::{client, proxy::free_port};

/// How long a server may take to answer, or a client to end: it is far more than they need, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// Runs a command and kills its process group once standard input ends: when the test drops the other side of it, or is
/// itself killed. What the command starts dies with it.
const KEEPER: &str = r#"exec 3<&0; (cat <&3 >/dev/null; kill -KILL 0) & exec "$@" </dev/null 3<&-"#;

/// A process group, a folder to work in and to log to.
pub struct Process {
    child: Child,
    lifeline: Option<ChildStdin>,
    log: PathBuf,
    _directory: TempDir,
}

/// A command of the environment that `tests/env/servers` made for `server`.
pub struct Program {
    pub server: &'static str,
    pub arguments: Vec<String>,
    pub variables: Vec<(String, String)>,
}

/// The folder of a server's environment.
pub fn folder(server: &str) -> PathBuf {
    let variable = format!("SERVER_{}", server.to_uppercase());
    let path = std::env::var_os(&variable);
    PathBuf::from(path.unwrap_or_else(|| panic!("{variable} is not set: run `make servers`")))
}

/// A file beside this one.
pub fn source(name: &str) -> String {
    format!("{}/tests/servers/{name}", env!("CARGO_MANIFEST_DIR"))
}

impl Program {
    /// A program of the environment, found in its `bin`.
    pub fn new(server: &'static str, name: &str) -> Self {
        let path = folder(server).join("bin").join(name);
        Self { server, arguments: vec![path.display().to_string()], variables: Vec::new() }
    }

    /// A Python file beside this one.
    pub fn python(server: &'static str, file: &str) -> Self {
        Self::new(server, "python").args([source(file)])
    }

    pub fn args<T: ToString>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.to_string()));
        self
    }

    pub fn env(mut self, name: &str, value: impl ToString) -> Self {
        self.variables.push((name.to_owned(), value.to_string()));
        self
    }

    /// Starts it in `directory`, with nothing of this process's own environment.
    fn start(self, directory: TempDir, output: Stdio) -> Process {
        let log = directory.path().join("log");
        let errors = File::create(&log).expect("a log");
        let path = format!("{}:/usr/bin:/bin", folder(self.server).join("bin").display());
        let mut child = Command::new("bash")
            .args(["-c", KEEPER, "keeper"])
            .args(&self.arguments)
            .env_clear()
            .env("PATH", path)
            .env("HOME", directory.path())
            .env("PYTHONUNBUFFERED", "1")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("DO_NOT_TRACK", "1")
            .envs(self.variables)
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .expect("starts");
        Process { lifeline: child.stdin.take(), child, log, _directory: directory }
    }
}

impl Process {
    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("is ours")
    }

    fn log(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let _ = self.child.wait();
    }
}

/// A server on a loopback port.
pub struct Server {
    pub address: SocketAddr,
    _process: Process,
}

impl Server {
    /// Starts it and waits until it answers `ready` (a path) with 200.
    pub async fn start(ready: &str, program: impl FnOnce(u16, &Path) -> Program) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let port = free_port();
        let program = program(port, directory.path());
        let output = File::create(directory.path().join("output")).expect("a file");
        let mut process = program.start(directory, output.into());
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let end = Instant::now() + PATIENCE;
        while !answers(address, ready).await {
            if let Some(status) = process.ended() {
                panic!("the server ended, {status}:\n{}", process.log());
            }
            assert!(Instant::now() < end, "the server does not answer {ready}:\n{}", process.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Self { address, _process: process }
    }
}

async fn answers(address: SocketAddr, path: &str) -> bool {
    if TcpStream::connect(address).await.is_err() {
        return false;
    }
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    client::raw(address, request).await.is_some_and(|answer| answer.status == 200)
}

/// Runs a client to its end; the last line that it printed, as JSON.
pub async fn run(program: Program) -> Value {
    tokio::task::spawn_blocking(move || run_here(program)).await.expect("runs")
}

fn run_here(program: Program) -> Value {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("output");
    let output = File::create(&path).expect("a file");
    let what = program.arguments.join(" ");
    let mut process = program.start(directory, output.into());
    let end = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = process.ended() {
            break status;
        }
        assert!(Instant::now() < end, "{what} does not end:\n{}", process.log());
        std::thread::sleep(Duration::from_millis(20));
    };
    let output = fs::read_to_string(&path).expect("text");
    assert!(status.success(), "{what}: {status}\n{output}\n{}", process.log());
    let last = output.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{what}: {error} in {output}\n{}", process.log()))
}

//! One file without an operator: the binary itself, its file changed, broken, mended.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustls::version;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::tls;
use crate::support::{
    app::App,
    client::{call, raw},
    issuer::{Issuer, now},
    proxy::{ENDPOINT, LABELER, free_port, policy},
    until,
};

const BINARY: &str = env!("CARGO_BIN_EXE_keywire-proxy");
const PATH: &str = "/v2/models/iris/infer";

struct Standalone {
    directory: TempDir,
    child: Child,
    guard: SocketAddr,
    admin: SocketAddr,
}

impl Drop for Standalone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn write(path: &Path, text: &str) {
    let staged = path.with_extension("staged");
    fs::write(&staged, text).and_then(|()| fs::rename(&staged, path)).expect("written");
}

impl Standalone {
    fn start(guard: &Value) -> Self {
        Self::start_with(guard, tempfile::tempdir().expect("directory"), |text, _| text)
    }

    /// With what is in this directory, and a file that is `changed`.
    fn start_with(guard: &Value, directory: TempDir, changed: impl FnOnce(String, &Path) -> String) -> Self {
        let (admin, port) = (free_port(), free_port());
        let mut guard = guard.clone();
        guard["listeners"][0]["listen"] = json!(port);
        guard.as_object_mut().expect("object").remove("number");
        let path = directory.path().join("keywire.yaml");
        write(&path, &changed(file(admin, &guard), directory.path()));
        let child = Command::new(BINARY)
            .env_clear()
            .args(["--config", &path.display().to_string()])
            .stdout(Stdio::null())
            .spawn()
            .expect("starts");
        Self { directory, child, guard: local(port), admin: local(admin) }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("keywire.yaml")
    }

    async fn metric(&self, line: &str) -> bool {
        call(self.admin, "GET", "/metrics", None).await.body.lines().any(|found| found == line)
    }

    async fn until_ready(&self) {
        until("the process to be ready", || async {
            let asked = tokio::net::TcpStream::connect(self.admin).await.is_ok();
            asked && raw(self.admin, "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n").await.is_some_and(|a| a.status == 200)
        })
        .await;
    }
}

/// Every JSON text is YAML too.
fn file(admin: u16, guard: &Value) -> String {
    format!("# by a person\nprocess:\n  admin: 127.0.0.1:{admin}\n  bind: 127.0.0.1\n  workers: 1\nguard: {guard}\n")
}

#[tokio::test]
async fn a_file_is_put_in_force_followed_and_not_broken_by_a_typo() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let document = policy(&issuer, &app);
    let process = Standalone::start(&document);
    process.until_ready().await;
    let token = issuer.token(ENDPOINT, LABELER, &["predict"], now());
    let infer = async || call(process.guard, "POST", PATH, Some(&token)).await.status;
    assert_eq!((infer().await, call(process.guard, "POST", PATH, None).await.status), (200, 401));

    let good = fs::read_to_string(process.path()).expect("reads");
    write(&process.path(), &good.replace("\"grants\"", "\"grant\""));
    let broken = "keywire_documents_total{half=\"config\",result=\"malformed\"} 1";
    until("the typo to be noticed", || async { process.metric(broken).await }).await;
    assert!(process.metric("keywire_config_last_reload_successful 0").await);
    assert_eq!(infer().await, 200, "the last good one is in force");

    // A half that goes is no revocation that could be meant by that.
    write(&process.path(), "egress: {}\n");
    until("the second refusal", || async {
        !process.metric(broken).await
            || call(process.admin, "GET", "/metrics", None).await.body.contains("malformed\"} 2")
    })
    .await;
    assert_eq!(infer().await, 200);

    write(&process.path(), &good.replace(LABELER, "nobody.agents.workload"));
    until("the grant to be gone", || async { infer().await == 403 }).await;
    assert!(process.metric("keywire_config_last_reload_successful 1").await);
    write(&process.path(), &good);
    until("the grant to be back", || async { infer().await == 200 }).await;
}

#[tokio::test]
async fn a_file_may_name_a_certificate() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let (certificate, key) = tls::pair();
    let directory = tempfile::tempdir().expect("directory");
    for (name, text) in [("tls.crt", &certificate), ("tls.key", &key)] {
        write(&directory.path().join(name), text);
    }
    let with_tls = |text: String, path: &Path| text.replace("workers: 1", &format!("guardTls: {}", path.display()));
    let process = Standalone::start_with(&policy(&issuer, &app), directory, with_tls);
    process.until_ready().await;
    let mut stream = tls::connect(process.guard, &certificate, &[], &[&version::TLS13]).await.expect("a connection");
    stream.write_all(b"GET /v2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.expect("sends");
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text).await;
    assert!(text.starts_with("HTTP/1.1 401 "), "{text}");
    assert!(raw(process.guard, "GET /v2 HTTP/1.1\r\nHost: a\r\n\r\n").await.is_none(), "nothing plain");
}

#[tokio::test]
async fn check_names_the_file_the_place_and_what_was_expected() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let mut document = policy(&issuer, &app);
    document["listeners"][0]["listen"] = json!(18080);
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("k.yaml");
    let check = |text: &str| {
        write(&path, text);
        let output =
            Command::new(BINARY).env_clear().args(["--config", &path.display().to_string(), "--check"]).output();
        let output = output.expect("runs");
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let good = file(15090, &document);
    assert_eq!(check(&good), (true, "ok\n".to_owned()));
    for (text, expected) in [
        (good.replace("workers", "worker"), &["k.yaml:5:", "worker", "workers"][..]),
        (good.replace("127.0.0.1:15090", "here"), &["k.yaml:3:", "socket address"]),
        (good.replace("\"execute\"", "\"Execute\""), &["k.yaml:6:", "Execute", "no permission name"]),
        (good.replace("\"/hello\"", "\"hello\""), &["k.yaml", "guard.rules", "hello"]),
        ("process: {}\n".to_owned(), &["k.yaml", "neither"]),
        ("guard: [".to_owned(), &["k.yaml:"]),
    ] {
        let (good, said) = check(&text);
        assert!(!good && expected.iter().all(|part| said.contains(part)), "{expected:?}: {said}");
    }
    // Neither does it start.
    let output =
        Command::new(BINARY).env_clear().args(["--config", &path.display().to_string()]).output().expect("runs");
    assert!(!output.status.success());
}

#[test]
fn the_schema_is_printed_and_the_examples_are_good() {
    let output = Command::new(BINARY).env_clear().arg("--schema").output().expect("runs");
    let schema: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(schema["properties"]["guard"].is_object() && schema["properties"]["egress"].is_object());
    for name in ["guard.yaml", "egress.yaml", "browser.yaml"] {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/examples/standalone/").to_owned() + name;
        let output = Command::new(BINARY).env_clear().args(["--config", &path, "--check"]).output().expect("runs");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

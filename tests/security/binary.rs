//! The binary itself: its flags, its documents, its end.

use std::process::{Command, Output, Stdio};

use crate::support::{
    app::App,
    client::raw,
    issuer::Issuer,
    proxy::{Proxy, egress, policy},
    until,
};

const BINARY: &str = env!("CARGO_BIN_EXE_keywire-proxy");

fn run(args: &[&str]) -> Output {
    Command::new(BINARY).args(args).env_clear().output().expect("runs")
}

#[test]
fn help_has_examples_and_bad_flags_are_explained() {
    let help = String::from_utf8(run(&["--help"]).stdout).expect("text");
    for part in ["Examples:", "--guard-port 18080:8080", "KEYWIRE_STREAM", "Retry-After"] {
        assert!(help.contains(part), "{part} in {help}");
    }
    for (args, said) in [
        (&[][..], "nothing to do"),
        (&["--guard", "d", "--guard-port", "x:1"], "no port"),
        (&["--guard", "d", "--stream", "http://policy"], "https"),
        (&["--guard", "d", "--log", "=,="], "log filter"),
        (&["--wat"], "--wat"),
    ] {
        let output = run(args);
        let text = String::from_utf8(output.stderr).expect("text");
        assert!(output.status.code() == Some(2) && text.contains(said), "{args:?}: {text}");
    }
}

#[tokio::test]
async fn check_judges_the_documents_and_leaves() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::prepare();
    let directory = |name: &str| proxy.directory.path().join(name).display().to_string();
    let check = |expected: bool, said: &str| {
        let output = run(&["--guard", &directory("guard"), "--egress", &directory("egress"), "--check"]);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(output.status.success() == expected && text.contains(said), "{said}: {text}");
    };
    check(false, "guard.json cannot be read");
    let good = proxy.with_ports(&policy(&issuer, &app));
    proxy.write("guard/guard.json", &good.to_string());
    check(false, "egress.json cannot be read");
    proxy.write("egress/egress.json", &proxy.with_ports(&egress(&issuer, app.address)).to_string());
    check(true, "ok");
    let mut bad = good;
    bad["rules"] = serde_json::json!([{"path": "/a/**/b", "access": "public"}]);
    proxy.write("guard/guard.json", &bad.to_string());
    check(false, "misplaced wildcard");
}

#[tokio::test]
async fn sigterm_ends_it_well() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::prepare();
    proxy.write("guard/guard.json", &proxy.with_ports(&policy(&issuer, &app)).to_string());
    let guard = proxy.guard_address();
    let mut child = Command::new(BINARY)
        .env_clear()
        .env("KEYWIRE_GUARD", proxy.directory.path().join("guard"))
        .env("KEYWIRE_GUARD_PORTS", format!("{}:1", guard.port()))
        .args(["--bind", "127.0.0.1", "--admin", "127.0.0.1:0", "--drain", "5"])
        .stdout(Stdio::null())
        .spawn()
        .expect("starts");
    let health = "GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n";
    until("the guard to serve", || async {
        tokio::net::TcpStream::connect(guard).await.is_ok() && raw(guard, health).await.is_some_and(|a| a.status == 200)
    })
    .await;
    // An idle connection must not hold it up.
    let _idle = tokio::net::TcpStream::connect(guard).await.expect("connects");
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().is_ok_and(|s| s.success()));
    let status = tokio::task::spawn_blocking(move || child.wait()).await.expect("joins").expect("ends");
    assert!(status.success(), "{status}");
}

//! Browsers: what a request costs that comes with a session's cookie, and what ten thousand sessions take.
//!
//! The cookie is as long as one of Keycloak's: it holds an access token and a refresh token.

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use keywire::{
    core::signin::{cookies::Names, session::Session},
    proxy::signin::keys::{Purpose, Sealer},
};
use serde_json::json;

use crate::{
    Result,
    cost::{cost, rounds},
    fixture::AUDIENCE,
    load::{self, End},
    process::Process,
    report::Report,
    scene::{CONNECTIONS, Scene},
};

const KEY: [u8; 32] = [7; 32];
/// Length of a refresh token of Keycloak's.
const REFRESH: usize = 750;

/// Cost and memory.
pub fn measure(scene: &Scene, report: &mut Report) -> Result<()> {
    report.part("Browsers' sessions");
    let guard = signing_in(scene)?;
    let known = request(&scene.fixture.token(0)?)?;
    scene.until_open(&guard, &known)?;
    let idle = guard.rss()?;
    let hop = (&scene.contestants[0], "hop".to_owned(), scene.request.clone());
    let costs = rounds(scene, &[hop, (&guard, "cookie".to_owned(), known)])?;
    let (hop, ours) = (costs["hop"], costs["cookie"]);
    report.figure("bare hop", hop, "µs", None);
    let limit = Some(("≤ 1.6 × the bare hop", 1.6 * hop));
    report.figure(&format!("keywire, with a cookie ({:.2} × the bare hop)", ours / hop), ours, "µs", limit);

    let count = if scene.is_short() { 500 } else { 10_000 };
    let requests = scene.fixture.tokens(count)?.iter().map(|token| request(token)).collect::<Result<Vec<_>>>()?;
    let new = cost(&guard, &requests, End::Once)?;
    report.figure("keywire, a session that it has not seen", new, "µs", None);
    let mut held = Ok(0.0);
    let tally = load::closed(guard.port, &requests, CONNECTIONS, End::Once, || held = guard.rss())?;
    if tally.failed > 0 {
        return Err(format!("sessions: {tally:?}").into());
    }
    let what = format!("keywire, {count} sessions (idle: {idle:.1} MB)");
    report.figure(&what, held?, "MB", Some(("≤ 20", 20.0)));
    Ok(())
}

/// A guard that signs people in.
fn signing_in(scene: &Scene) -> Result<Process> {
    let mut policy = scene.policy("OpenInference");
    let keycloak = "http://127.0.0.1:1/realms/ml/protocol/openid-connect";
    policy["signIn"] = json!({"url": "https://iris", "clientId": AUDIENCE, "authorizationUrl": format!("{keycloak}/auth"),
        "logoutUrl": format!("{keycloak}/logout"), "tokenUrl": format!("{keycloak}/token"), "login": "clientSecret"});
    let secrets = scene.path("sign-in");
    fs::create_dir_all(&secrets)?;
    fs::write(secrets.join("cookie.key"), BASE64_STANDARD.encode(KEY))?;
    fs::write(secrets.join("client-secret"), "not needed here")?;
    scene.guard("sessions", &policy, &["--sign-in", &secrets.display().to_string()])
}

/// A page's request, with the session of somebody who has this token.
fn request(token: &str) -> Result<Vec<u8>> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    let session = Session {
        id: "2b1f6a53-6d1c-4a4e-9d2e-3f1f3a7c9b11".into(),
        subject: "9f6e2a54-8f63-4a3e-8c0e-0d6d3a5b7f11".into(),
        began: now,
        used: now,
        access: token.into(),
        expires_at: now + 3600,
        refresh: "r".repeat(REFRESH).into(),
    };
    let sealer = Sealer::new(&[KEY.to_vec()], AUDIENCE).ok_or("no key")?;
    let sealed = sealer.seal(Purpose::Session, &serde_json::to_vec(&session)?).ok_or("not sealed")?;
    let set = Names::new(true).session(&sealed, 3600, 0).ok_or("too long for a browser")?;
    let cookies: Vec<_> = set.iter().filter_map(|set| set.split(';').next()).collect();
    let line = "GET /v2/models/iris/ready HTTP/1.1\r\nHost: iris\r\nAccept: text/html\r\nSec-Fetch-Mode: navigate";
    Ok(format!("{line}\r\nCookie: theme=dark; {}\r\n\r\n", cookies.join("; ")).into_bytes())
}

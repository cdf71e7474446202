//! People who come with a browser: signed in, kept in, and kept out. Each attack fails if its guard is taken out.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use url::Url;

use crate::support::{
    app::App,
    client::{Answer, Connection, raw},
    issuer::{Issuer, TokenAnswer},
    keys,
    proxy::{ENDPOINT, Proxy, Setup, policy},
    until,
};

const CLIENT: &str = "dagster.tools.app";
const SUBJECT: &str = "9f6e2a54-8f63-4a3e-8c0e-0d6d3a5b7f11";
const ROLES: [&str; 2] = ["grant.viewers", "read"];
const PAGE: &str = "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\n";
const OWN: &str = "Origin: https://app.example\r\n";

struct Scene {
    issuer: Issuer,
    app: App,
    proxy: Proxy,
}

/// One browser.
#[derive(Clone, Default)]
struct Browser(BTreeMap<String, String>);

impl Browser {
    fn cookies(&self) -> String {
        self.0.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn keep(&mut self, answer: &Answer) {
        for (_, set) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (pair, attributes) = set.split_once(';').expect("attributes");
            let (name, value) = pair.split_once('=').expect("a pair");
            if attributes.contains("Max-Age=0;") {
                self.0.remove(name);
            } else {
                self.0.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

/// A browser at Keycloak: what it was sent there with.
struct Sent {
    url: Url,
}

impl Sent {
    fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 303, "{answer:?}");
        Self { url: answer.header("location").expect("a place").parse().expect("a URL") }
    }

    fn parameter(&self, name: &str) -> String {
        let mut found = self.url.query_pairs().filter(|(known, _)| known == name).map(|(_, value)| value.into_owned());
        let value = found.next().unwrap_or_else(|| panic!("{name} in {}", self.url));
        assert_eq!(found.next(), None, "{name} is there once");
        value
    }
}

impl Scene {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Value)) -> Self {
        let (issuer, app) = (Issuer::start().await, App::start().await);
        let mut document = policy(&issuer, &app);
        document["grants"] =
            json!([{"name": "viewers", "subject": {"role": "grant.viewers"}, "permissions": ["read"]}]);
        document["signIn"] = json!({
            "url": "https://app.example", "clientId": CLIENT, "authorizationUrl": "https://kc.example/auth",
            "logoutUrl": "https://kc.example/logout", "tokenUrl": issuer.token_url(), "login": "clientSecret",
            "api": ["/open/api"], "brand": {"name": "Dagster <b>", "contact": "Ask ann@example.com"},
        });
        change(&mut document);
        let mut proxy = Proxy::prepare();
        proxy.write("sign-in/cookie.key", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n");
        proxy.write("sign-in/client-secret", "the.secret\n");
        proxy.write("guard/guard.json", &proxy.with_ports(&document).to_string());
        proxy.start(&Setup { guard: true, sign_in: true, ..Setup::default() });
        proxy.until_ready().await;
        Self { issuer, app, proxy }
    }

    async fn send(&self, browser: &Browser, method: &str, path: &str, fields: &str, body: &str) -> Answer {
        let cookie = match browser.cookies() {
            none if none.is_empty() => none,
            cookies => format!("Cookie: {cookies}\r\n"),
        };
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: app.example\r\n{fields}{cookie}Content-Length: {length}\r\n\r\n{body}"
        );
        raw(self.proxy.guard_address(), request).await.unwrap_or_else(|| panic!("an answer to {method} {path}"))
    }

    async fn open(&self, browser: &Browser, path: &str) -> Answer {
        self.send(browser, "GET", path, PAGE, "").await
    }

    /// The browser asks for a page, and is sent to Keycloak.
    async fn leave(&self, browser: &mut Browser, path: &str) -> Sent {
        let answer = self.open(browser, path).await;
        browser.keep(&answer);
        Sent::of(&answer)
    }

    fn access(&self, roles: &[&str], lifetime: i64) -> String {
        let claims = self.issuer.claims(ENDPOINT, CLIENT, roles, self.proxy.now(), lifetime);
        self.issuer.signed(keys::issuer(), &claims)
    }

    fn id_claims(&self, nonce: &str) -> Value {
        let now = self.proxy.now();
        json!({"iss": self.issuer.url(), "aud": CLIENT, "azp": CLIENT, "typ": "ID", "nonce": nonce, "sid": "session-1",
            "sub": SUBJECT, "iat": now, "exp": now + 300})
    }

    /// What Keycloak will answer to a code or a refresh token.
    fn says(&self, access: &str, id_claims: &Value, refresh: &str) {
        let id = self.issuer.signed(keys::issuer(), id_claims);
        let body = json!({"access_token": access, "token_type": "Bearer", "expires_in": 300, "refresh_token": refresh, "id_token": id});
        self.issuer.set_answer(TokenAnswer::Plain(200, body));
    }

    /// Keycloak sends the browser back.
    async fn come_back(&self, browser: &mut Browser, sent: &Sent) -> Answer {
        let query = self.answer_of(sent);
        let answer = self.open(browser, &format!("/.keywire/callback?{query}")).await;
        browser.keep(&answer);
        answer
    }

    fn answer_of(&self, sent: &Sent) -> String {
        let issuer: String = url::form_urlencoded::byte_serialize(self.issuer.url().as_bytes()).collect();
        format!("state={}&session_state=x&iss={issuer}&code=the.code", sent.parameter("state"))
    }

    /// A browser that is signed in.
    async fn signed_in(&self) -> Browser {
        self.signed_in_with(&ROLES, 300).await
    }

    async fn signed_in_with(&self, roles: &[&str], lifetime: i64) -> Browser {
        let mut browser = Browser::default();
        let sent = self.leave(&mut browser, "/open/x").await;
        self.says(&self.access(roles, lifetime), &self.id_claims(&sent.parameter("nonce")), "refresh-1");
        let answer = self.come_back(&mut browser, &sent).await;
        assert_eq!(answer.status, 303, "{answer:?}");
        browser
    }
}

#[tokio::test]
async fn a_person_is_signed_in_with_two_redirects_and_comes_where_he_wanted() {
    let scene = Scene::new().await;
    let mut browser = Browser::default();
    let sent = scene.leave(&mut browser, "/open/runs?tab=logs").await;
    assert!(sent.url.as_str().starts_with("https://kc.example/auth?"), "{}", sent.url);
    for (name, expected) in [
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("redirect_uri", "https://app.example/.keywire/callback"),
        ("scope", "openid"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(sent.parameter(name), expected);
    }
    assert!(
        sent.parameter("state").len() >= 22
            && sent.parameter("nonce").len() >= 22
            && sent.parameter("code_challenge").len() == 43
    );
    scene.says(&scene.access(&ROLES, 300), &scene.id_claims(&sent.parameter("nonce")), "refresh-1");
    let answer = scene.come_back(&mut browser, &sent).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("https://app.example/open/runs?tab=logs")));
    for (_, set) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
        assert!(set.contains("; HttpOnly; SameSite=Lax; Secure"), "{set}");
        assert!(!set.contains("eyJ"), "no token in clear: {set}");
    }
    let form = scene.issuer.forms().remove(0);
    for part in ["grant_type=authorization_code", "code=the.code", "code_verifier=", "client_secret=the.secret"] {
        assert!(form.contains(part), "{part} in {form}");
    }
    assert_eq!(browser.names(), ["__Host-keywire-session", "__Secure-keywire-farewell"]);
    let page = scene.open(&browser, "/open/runs?tab=logs").await;
    assert_eq!(page.status, 200, "{page:?}");
    assert_eq!(scene.app.last("x-keywire-subject"), [SUBJECT]);
    assert_eq!(scene.app.last("x-keywire-roles"), ["grant.viewers,read"]);
    assert!(
        scene.app.last("cookie").is_empty() && scene.app.last("authorization").is_empty(),
        "the application gets none of it"
    );
}

#[tokio::test]
async fn scripts_are_told_and_never_led_away() {
    let scene = Scene::new().await;
    let nobody = Browser::default();
    for (method, path, fields) in [
        ("GET", "/open/x", "Accept: application/json\r\n"),
        ("GET", "/open/x", "Accept: text/html\r\nSec-Fetch-Mode: cors\r\n"),
        ("GET", "/open/x", "Accept: text/html\r\nX-Requested-With: XMLHttpRequest\r\n"),
        ("GET", "/open/api/runs", PAGE),
        ("POST", "/open/x", PAGE),
    ] {
        let answer = scene.send(&nobody, method, path, fields, "").await;
        assert_eq!((answer.status, answer.reason().as_str()), (401, "token_missing"), "{method} {path} {fields}");
        assert_eq!(answer.header("location"), None);
    }
    assert!(scene.app.heads().is_empty());
    // A token does beside cookies, for whoever has one.
    let token = scene.access(&ROLES, 300);
    let answer = scene.send(&nobody, "POST", "/open/x", &format!("Authorization: Bearer {token}\r\n"), "").await;
    assert_eq!(answer.status, 200);
    let answer = scene.send(&scene.signed_in().await, "GET", "/open/x", "Authorization: Bearer x.y.z\r\n", "").await;
    assert_eq!(
        (answer.status, answer.reason().as_str()),
        (401, "token_invalid"),
        "a bad token is not mended by a cookie"
    );
}

/// What a route needs is the guard's to say, after the login as without one.
#[tokio::test]
async fn who_may_not_is_shown_a_page_that_says_so() {
    let scene = Scene::new().await;
    let browser = scene.signed_in_with(&[], 300).await;
    scene.proxy.advance(20);
    let page = scene.open(&browser, "/open/x").await;
    assert_eq!((page.status, page.header("x-keywire-reason")), (403, Some("no_grant")), "{page:?}");
    for part in ["Dagster &lt;b&gt;", "You have no access", "Ask ann@example.com", "Reference: <code>"] {
        assert!(page.body.contains(part), "{part} in {}", page.body);
    }
    for (name, part) in
        [("content-security-policy", "default-src 'none'"), ("x-frame-options", "DENY"), ("cache-control", "no-store")]
    {
        assert!(page.header(name).is_some_and(|value| value.contains(part)), "{name}");
    }
    let script = scene.send(&browser, "GET", "/open/api/x", "", "").await;
    assert_eq!((script.status, script.reason().as_str()), (403, "no_grant"));
    let viewer = scene.signed_in().await;
    let answer = scene.send(&viewer, "POST", "/tools/t/x", OWN, "").await;
    assert_eq!((answer.status, answer.reason().as_str()), (403, "permission_not_granted"));
    assert!(scene.app.heads().is_empty());
}

/// Login CSRF, code injection, mix-up, replay: an answer counts for the browser that asked, once, and from whom it asked.
#[tokio::test]
async fn an_answer_that_was_not_asked_for_signs_nobody_in() {
    let scene = Scene::new().await;
    let mut browser = Browser::default();
    let sent = scene.leave(&mut browser, "/open/x").await;
    let good = scene.answer_of(&sent);
    let nonce = sent.parameter("nonce");
    scene.says(&scene.access(&ROLES, 300), &scene.id_claims(&nonce), "refresh-1");
    let other = {
        let mut other = Browser::default();
        scene.leave(&mut other, "/open/x").await;
        other
    };
    let state = sent.parameter("state");
    let foreign = format!("{}{}", &state[..10], "A".repeat(state.len() - 10));
    for (browser, query, status, reason) in [
        (&Browser::default(), good.clone(), 400, "unknown_attempt"),
        (&other, good.clone(), 400, "unknown_attempt"),
        (&browser, good.replace(&state, &foreign), 400, "unknown_attempt"),
        (&browser, good.replace(&state, "x"), 400, "unknown_attempt"),
        (&browser, good.replace("state=", "stat="), 400, "malformed"),
        (&browser, good.replace("code=the.code", ""), 400, "malformed"),
        (&browser, format!("{good}&code=another"), 400, "malformed"),
        (&browser, good.replace("iss=", "is="), 400, "wrong_issuer"),
        (&browser, good.replace("realms%2Fml", "realms%2Fother"), 400, "wrong_issuer"),
        (&browser, format!("{good}&error=access_denied"), 403, "denied"),
        (&browser, format!("{good}&error=temporarily_unavailable"), 503, "failed"),
    ] {
        let answer = scene.open(browser, &format!("/.keywire/callback?{query}")).await;
        assert_eq!((answer.status, answer.header("x-keywire-reason")), (status, Some(reason)), "{query}");
        assert!(!answer.headers.iter().any(|(name, set)| name == "set-cookie" && set.contains("session=")), "{query}");
    }
    assert_eq!(scene.issuer.token_fetches(), 0, "no code was redeemed");
    // Keycloak is asked, and what it gives is not for this attempt, this application, or this person.
    let changed = |field: &str, value: Value| {
        let mut claims = scene.id_claims(&nonce);
        claims[field] = value;
        claims
    };
    for (claims, reason) in [
        (changed("nonce", json!("another")), "id_token"),
        (changed("nonce", Value::Null), "id_token"),
        (changed("aud", json!("other")), "id_token"),
        (changed("aud", json!([CLIENT, "other"])), "id_token"),
        (changed("azp", json!("other")), "id_token"),
        (changed("typ", json!("Bearer")), "id_token"),
        (changed("iss", json!("https://evil.example")), "id_token"),
        (changed("exp", json!(scene.proxy.now() - 100)), "id_token"),
        (changed("iat", json!(scene.proxy.now() + 600)), "id_token"),
        (changed("sid", Value::Null), "id_token"),
        (changed("sub", json!("somebody-else")), "access_token"),
    ] {
        scene.says(&scene.access(&ROLES, 300), &claims, "refresh-1");
        let answer = scene.open(&browser, &format!("/.keywire/callback?{good}")).await;
        assert_eq!((answer.status, answer.header("x-keywire-reason")), (500, Some(reason)), "{claims}");
    }
    let forged = scene.issuer.signed(keys::attacker(), &scene.id_claims(&nonce));
    let body = json!({"access_token": scene.access(&ROLES, 300), "token_type": "Bearer", "expires_in": 300, "id_token": forged});
    scene.issuer.set_answer(TokenAnswer::Plain(200, body));
    let answer = scene.open(&browser, &format!("/.keywire/callback?{good}")).await;
    assert_eq!(answer.header("x-keywire-reason"), Some("id_token"), "a forged one");
    let wrong = scene.issuer.token("another.endpoint", CLIENT, &ROLES, scene.proxy.now());
    scene.says(&wrong, &scene.id_claims(&nonce), "refresh-1");
    let answer = scene.open(&browser, &format!("/.keywire/callback?{good}")).await;
    assert_eq!(answer.header("x-keywire-reason"), Some("access_token"), "for another audience");
    for (status, body, expected, reason) in [
        (400, json!({"error": "invalid_grant"}), 400, "grant_refused"),
        (401, json!({"error": "unauthorized_client"}), 503, "client_refused"),
        (503, json!({}), 503, "unavailable"),
        (200, json!({"nothing": 1}), 503, "invalid_answer"),
    ] {
        scene.issuer.set_answer(TokenAnswer::Plain(status, body));
        let answer = scene.open(&browser, &format!("/.keywire/callback?{good}")).await;
        assert_eq!((answer.status, answer.header("x-keywire-reason")), (expected, Some(reason)));
    }
    // And then it works once, and not again.
    scene.says(&scene.access(&ROLES, 300), &scene.id_claims(&nonce), "refresh-1");
    assert_eq!(scene.come_back(&mut browser, &sent).await.status, 303);
    let again = scene.open(&browser, &format!("/.keywire/callback?{good}")).await;
    assert_eq!((again.status, again.header("x-keywire-reason")), (400, Some("unknown_attempt")));
}

#[tokio::test]
async fn an_attempt_ends_after_half_an_hour() {
    let scene = Scene::new().await;
    let mut browser = Browser::default();
    let sent = scene.leave(&mut browser, "/open/x").await;
    scene.proxy.advance(30 * 60);
    let answer = scene.open(&browser, &format!("/.keywire/callback?{}", scene.answer_of(&sent))).await;
    assert_eq!(answer.header("x-keywire-reason"), Some("unknown_attempt"));
}

/// Open redirects: whatever is asked for, a browser stays at the application.
#[tokio::test]
async fn nobody_is_led_elsewhere() {
    let scene = Scene::new().await;
    for to in ["https://evil.example", "//evil.example", "/\\evil.example", "/%2F/evil.example", "/.keywire/sign-out"] {
        let mut browser = Browser::default();
        let to: String = url::form_urlencoded::byte_serialize(to.as_bytes()).collect();
        let sent = scene.leave(&mut browser, &format!("/.keywire/sign-in?to={to}")).await;
        scene.says(&scene.access(&ROLES, 300), &scene.id_claims(&sent.parameter("nonce")), "r");
        let answer = scene.come_back(&mut browser, &sent).await;
        assert_eq!(answer.header("location"), Some("https://app.example/"), "{to}");
    }
}

/// Two tabs at once: each finds its own way back. And a hundred attempts leave no hundred cookies.
#[tokio::test]
async fn tabs_do_not_disturb_each_other() {
    let scene = Scene::new().await;
    let mut browser = Browser::default();
    let (one, two) = (scene.leave(&mut browser, "/open/one").await, scene.leave(&mut browser, "/open/two").await);
    for (sent, place) in [(&two, "https://app.example/open/two"), (&one, "https://app.example/open/one")] {
        scene.says(&scene.access(&ROLES, 300), &scene.id_claims(&sent.parameter("nonce")), "r");
        assert_eq!(scene.come_back(&mut browser, sent).await.header("location"), Some(place));
    }
    let mut browser = Browser::default();
    for _ in 0..20 {
        scene.proxy.advance(1);
        scene.leave(&mut browser, "/open/x").await;
        assert!(browser.0.len() <= 5, "{:?}", browser.names());
    }
}

/// Cookies that were changed, copied together, tossed by another host, or made by another key.
#[tokio::test]
async fn only_what_was_sealed_here_is_a_session() {
    let scene = Scene::new().await;
    let good = scene.signed_in().await;
    let sealed = good.0["__Host-keywire-session"].clone();
    let script = |browser: Browser| {
        let scene = &scene;
        async move { scene.send(&browser, "GET", "/open/x", "", "").await.status }
    };
    assert_eq!(script(good.clone()).await, 200);
    let with = |name: &str, value: &str| Browser([(name.to_owned(), value.to_owned())].into());
    let mut changed = sealed.clone().into_bytes();
    changed[100] ^= 1;
    let changed = String::from_utf8(changed).expect("ASCII");
    let farewell = good.0["__Secure-keywire-farewell"].clone();
    for (name, value) in [
        ("__Host-keywire-session", changed.as_str()),
        ("__Host-keywire-session", &sealed[..sealed.len() / 2]),
        ("__Host-keywire-session", &farewell),
        ("__Host-keywire-session-1", &sealed),
        ("keywire-session", &sealed),
        ("__Secure-keywire-session", &sealed),
        ("__Host-keywire-session", ""),
        ("__Host-keywire-session", "AAAA"),
    ] {
        assert_eq!(script(with(name, value)).await, 401, "{name}");
    }
    // Twice, as where another host of the site has set one as well.
    let twice = format!(
        "GET /open/x HTTP/1.1\r\nHost: a\r\nCookie: __Host-keywire-session={sealed}\r\nCookie: __Host-keywire-session={sealed}\r\n\r\n"
    );
    assert_eq!(raw(scene.proxy.guard_address(), twice).await.expect("an answer").status, 401);
    // The application's own cookies go on; ours it may not set.
    let mut both = good.clone();
    both.0.insert("own".to_owned(), "1".to_owned());
    assert_eq!(script(both).await, 200);
    assert_eq!(scene.app.last("cookie"), ["own=1"]);
    scene.app.script(
        "HTTP/1.1 200 OK\r\nSet-Cookie: __Host-keywire-session=x\r\nSet-Cookie: own=2\r\nContent-Length: 0\r\n\r\n",
    );
    let answer = scene.send(&good, "GET", "/open/x", "", "").await;
    let set: Vec<_> =
        answer.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, set)| set.as_str()).collect();
    assert_eq!(set, ["own=2"]);
}

#[tokio::test]
async fn what_somebody_is_shown_no_cache_keeps_for_others() {
    let scene = Scene::new().await;
    let browser = scene.signed_in().await;
    for (fields, expected) in [
        ("Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n", "private, no-cache"),
        ("Cache-Control: public, max-age=60\r\n", "public, max-age=60"),
    ] {
        scene.app.script(&format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n"));
        let answer = scene.open(&browser, "/open/x").await;
        assert_eq!(answer.header("cache-control"), Some(expected), "{answer:?}");
    }
}

#[tokio::test]
async fn keys_are_replaced_and_sessions_go_on() {
    let scene = Scene::new().await;
    let browser = scene.signed_in().await;
    let status = || async { scene.send(&browser, "GET", "/open/x", "", "").await.status };
    scene.proxy.write("sign-in/cookie.previous.key", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n");
    scene.proxy.write("sign-in/cookie.key", "eHl6MzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n");
    let newer = || async {
        let fresh = scene.signed_in().await;
        // What the new key alone opens, it has sealed.
        fresh.0["__Host-keywire-session"] != browser.0["__Host-keywire-session"]
    };
    until("the new key", newer).await;
    assert_eq!(status().await, 200, "sealed by the one before");
    scene.proxy.remove("sign-in/cookie.previous.key");
    until("the old key is gone", || async { status().await == 401 }).await;
    // A key that cannot be read leaves the one before in force.
    let fresh = scene.signed_in().await;
    scene.proxy.write("sign-in/cookie.key", "short\n");
    scene.proxy.write("sign-in/cookie.previous.key", "eHl6MzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n");
    assert_eq!(scene.send(&fresh, "GET", "/open/x", "", "").await.status, 200);
}

/// What a cookie lets in must come from the application's own pages: SameSite does not keep other hosts of the site out.
#[tokio::test]
async fn other_sites_pages_change_nothing() {
    let scene = Scene::with(|document| document["cors"] = json!({"origins": ["https://chat.example"]})).await;
    let browser = scene.signed_in().await;
    for (method, fields, status) in [
        ("POST", "", 403),
        ("POST", "Origin: https://evil.example\r\n", 403),
        ("POST", "Origin: null\r\n", 403),
        ("DELETE", "Sec-Fetch-Site: same-site\r\n", 403),
        ("POST", OWN, 200),
        ("POST", "Origin: https://chat.example\r\n", 200),
        ("PUT", "Sec-Fetch-Site: same-origin\r\n", 200),
        ("GET", "Origin: https://evil.example\r\n", 200),
    ] {
        let answer = scene.send(&browser, method, "/open/x", fields, "").await;
        assert_eq!(answer.status, status, "{method} {fields}");
        assert_eq!(answer.reason(), if status == 403 { "cross_site_request" } else { "" }, "{method} {fields}");
    }
    // There are servers that change something at a GET: a link of another site's may lead to a page, and no further.
    let link = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nAccept: text/html\r\n";
    assert_eq!(scene.send(&browser, "GET", "/open/x", link, "").await.status, 200);
    let answer = scene.send(&browser, "GET", "/open/api/x?query=mutation", link, "").await;
    assert_eq!((answer.status, answer.reason().as_str()), (403, "cross_site_request"));
    let handshake = |origin: &str| {
        format!(
            "GET /open/x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{origin}Cookie: {}\r\n\r\n",
            browser.cookies()
        )
    };
    for origin in ["", "Origin: https://evil.example\r\n"] {
        let answer = raw(scene.proxy.guard_address(), handshake(origin)).await.expect("an answer");
        assert_eq!((answer.status, answer.reason().as_str()), (403, "cross_site_request"), "{origin}");
    }
}

#[tokio::test]
async fn tokens_are_renewed_once_however_many_wait() {
    let scene = Scene::new().await;
    let mut browser = scene.signed_in_with(&ROLES, 300).await;
    scene.proxy.advance(280);
    scene.says(&scene.access(&ROLES, 300), &scene.id_claims("x"), "refresh-2");
    let before = scene.issuer.token_fetches();
    scene.issuer.hold_tokens();
    let calls = async {
        tokio::join!(scene.open(&browser, "/open/1"), scene.open(&browser, "/open/2"), scene.open(&browser, "/open/3"))
    };
    let release = async {
        until("the question", || async { scene.issuer.token_fetches() > before }).await;
        scene.issuer.release_tokens();
    };
    let ((one, two, three), ()) = tokio::join!(calls, release);
    assert_eq!([one.status, two.status, three.status], [200; 3]);
    assert_eq!(scene.issuer.token_fetches(), before + 1);
    assert!(
        scene
            .issuer
            .forms()
            .last()
            .is_some_and(|form| form.contains("grant_type=refresh_token") && form.contains("refresh_token=refresh-1"))
    );
    // One that was still on its way with the old cookie.
    assert_eq!(scene.open(&browser, "/open/4").await.status, 200);
    assert_eq!(scene.issuer.token_fetches(), before + 1);
    browser.keep(&one);
    scene.proxy.advance(280);
    scene.says(&scene.access(&ROLES, 300), &scene.id_claims("x"), "refresh-3");
    assert_eq!(scene.open(&browser, "/open/5").await.status, 200);
    assert!(
        scene.issuer.forms().last().is_some_and(|form| form.contains("refresh_token=refresh-2")),
        "the new one is in the cookie"
    );
}

/// Keycloak away, and a session that it has ended: the one goes on for as long as its token does, the other does not.
#[tokio::test]
async fn what_keycloak_says_no_to_ends() {
    let scene = Scene::new().await;
    let mut browser = scene.signed_in_with(&ROLES, 300).await;
    scene.proxy.advance(280);
    scene.issuer.set_answer(TokenAnswer::Plain(503, json!({})));
    assert_eq!(scene.open(&browser, "/open/1").await.status, 200, "its token is still good");
    scene.proxy.advance(20);
    let page = scene.open(&browser, "/open/2").await;
    assert_eq!((page.status, page.header("x-keywire-reason")), (503, Some("unavailable")));
    assert!(page.body.contains("does not work at the moment") && page.header("retry-after").is_some());
    let script = scene.send(&browser, "GET", "/open/api/x", "", "").await;
    assert_eq!((script.status, script.reason().as_str()), (503, "unavailable"));
    scene.proxy.advance(2);
    scene.issuer.set_answer(TokenAnswer::Plain(400, json!({"error": "invalid_grant"})));
    let answer = scene.open(&browser, "/open/3").await;
    browser.keep(&answer);
    assert_eq!(answer.status, 303, "signed in anew");
    assert!(!browser.0.contains_key("__Host-keywire-session"));
    // Tokens of somebody else are not a renewal.
    let browser = scene.signed_in_with(&ROLES, 300).await;
    scene.proxy.advance(280);
    let mut claims = scene.issuer.claims(ENDPOINT, CLIENT, &ROLES, scene.proxy.now(), 300);
    claims["sub"] = json!("somebody-else");
    scene.says(&scene.issuer.signed(keys::issuer(), &claims), &scene.id_claims("x"), "r");
    assert_eq!(scene.send(&browser, "GET", "/open/api/x", "", "").await.status, 401);
}

#[tokio::test]
async fn sessions_end_by_rest_and_by_age() {
    let scene = Scene::with(|document| {
        document["signIn"]["absolute"] = json!(600);
        document["signIn"]["idle"] = json!(120);
    })
    .await;
    let status = |browser: Browser| {
        let scene = &scene;
        async move { scene.send(&browser, "GET", "/open/x", "", "").await }
    };
    let browser = scene.signed_in_with(&ROLES, 3000).await;
    scene.proxy.advance(119);
    let answer = status(browser.clone()).await;
    assert_eq!(answer.status, 200);
    let mut used = browser.clone();
    used.keep(&answer);
    scene.proxy.advance(1);
    assert_eq!(status(browser).await.status, 401, "not used for two minutes, as this cookie tells");
    assert_eq!(status(used.clone()).await.status, 200);
    for _ in 0..4 {
        scene.proxy.advance(110);
        let answer = status(used.clone()).await;
        assert_eq!(answer.status, 200);
        used.keep(&answer);
    }
    scene.proxy.advance(40);
    assert_eq!(status(used).await.status, 401, "ten minutes old");
}

#[tokio::test]
async fn signing_out_ends_it_here_and_there_and_only_if_asked() {
    let scene = Scene::new().await;
    let mut browser = scene.signed_in().await;
    for (method, fields) in [
        ("GET", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nAccept: text/html\r\n"),
        ("GET", ""),
        ("POST", "Origin: https://evil.example\r\n"),
    ] {
        let page = scene.send(&browser, method, "/.keywire/sign-out", fields, "").await;
        assert_eq!(page.status, 200, "{method} {fields}");
        assert!(page.body.contains("Sign out?") && page.header("set-cookie").is_none());
        assert_eq!(page.header("referrer-policy"), Some("same-origin"), "else browsers send its form from origin null");
    }
    assert_eq!(scene.send(&browser, "GET", "/open/x", "", "").await.status, 200);
    let copied = browser.clone();
    let answer = scene.send(&browser, "POST", "/.keywire/sign-out", OWN, "").await;
    let sent = Sent::of(&answer);
    assert!(sent.url.as_str().starts_with("https://kc.example/logout?"));
    assert_eq!(sent.parameter("client_id"), CLIENT);
    assert_eq!(sent.parameter("post_logout_redirect_uri"), "https://app.example/.keywire/signed-out");
    assert_eq!(sent.parameter("id_token_hint").split('.').count(), 3);
    browser.keep(&answer);
    assert!(browser.0.is_empty(), "{:?}", browser.names());
    assert_eq!(
        scene.send(&copied, "GET", "/open/x", "", "").await.status,
        401,
        "a copy of its cookie is worth nothing"
    );
    assert!(scene.open(&browser, "/.keywire/signed-out").await.body.contains("You are signed out"));
}

/// OpenID Connect Back-Channel Logout 1.0: what Keycloak says ends sessions; nobody else's word, and none twice.
#[tokio::test]
async fn keycloak_ends_sessions_and_nobody_else_does() {
    let scene = Scene::new().await;
    let browser = scene.signed_in().await;
    let now = scene.proxy.now();
    let event = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
    let good = json!({"iss": scene.issuer.url(), "aud": CLIENT, "iat": now, "exp": now + 120, "jti": "1", "typ": "Logout",
        "sid": "session-1", "sub": SUBJECT, "events": event});
    let changed = |field: &str, value: Value| {
        let mut claims = good.clone();
        claims[field] = value;
        claims
    };
    let tell = |token: String| {
        let scene = &scene;
        async move {
            let fields = "Content-Type: application/x-www-form-urlencoded\r\n";
            let nobody = Browser::default();
            scene
                .send(&nobody, "POST", "/.keywire/backchannel-logout", fields, &format!("logout_token={token}"))
                .await
                .status
        }
    };
    let signed = |claims: &Value| scene.issuer.signed(keys::issuer(), claims);
    let refused = [
        signed(&changed("aud", json!("other"))),
        signed(&changed("iss", json!("https://evil.example"))),
        signed(&changed("events", json!({}))),
        signed(&changed("events", Value::Null)),
        signed(&changed("nonce", json!("x"))),
        signed(&changed("typ", json!("ID"))),
        signed(&changed("exp", json!(now - 100))),
        signed(&changed("iat", json!(now + 600))),
        signed(&{
            let mut claims = good.clone();
            claims["sid"].take();
            claims["sub"].take();
            claims
        }),
        scene.issuer.signed(keys::attacker(), &good),
        signed(&scene.id_claims("x")),
        scene.access(&ROLES, 300),
        "x".to_owned(),
        String::new(),
    ];
    for token in refused {
        assert_eq!(tell(token.clone()).await, 400, "{token}");
    }
    let status = || async { scene.send(&browser, "GET", "/open/x", "", "").await.status };
    assert_eq!(status().await, 200);
    assert_eq!(tell(signed(&changed("sid", json!("session-2")))).await, 200);
    assert_eq!(status().await, 200, "another session's");
    assert_eq!(tell(signed(&good)).await, 400, "the same token's id again");
    assert_eq!(tell(signed(&changed("jti", json!("2")))).await, 200);
    assert_eq!(status().await, 401);
    // All of somebody's: those that there are, not those to come.
    let browser = scene.signed_in().await;
    let mut all = changed("jti", json!("3"));
    all.as_object_mut().expect("claims").remove("sid");
    assert_eq!(tell(signed(&all)).await, 200);
    assert_eq!(scene.send(&browser, "GET", "/open/x", "", "").await.status, 401);
}

#[tokio::test]
async fn too_many_cookies_and_what_is_none_do_no_harm() {
    let scene = Scene::new().await;
    let mut connection = Connection::open(scene.proxy.guard_address()).await;
    let bomb: String = (0..300).map(|at| format!("__Host-keywire-attempt-{at}=x; ")).collect();
    connection.send(format!("GET /open/x HTTP/1.1\r\nHost: a\r\n{PAGE}Cookie: {bomb}a=b\r\n\r\n").as_bytes()).await;
    let answer = connection.answer().await.expect("an answer");
    assert_eq!(answer.status, 303, "they go, and the browser is sent on");
    assert!(answer.headers.iter().filter(|(name, _)| name == "set-cookie").count() > 290);
    let broken = b"GET /open/x HTTP/1.1\r\nHost: a\r\nCookie: a=\xff\r\n\r\n";
    assert_eq!(raw(scene.proxy.guard_address(), broken).await.expect("an answer").status, 400);
    for path in ["/.keywire/", "/.keywire/other", "/.keywire/callback/x", "/.keywire"] {
        assert_eq!(scene.open(&Browser::default(), path).await.status, 404, "{path}");
    }
    assert!(scene.app.heads().is_empty());
}

/// Keycloak lets in whom the guard refuses: the browser must not go to and fro between them.
#[tokio::test]
async fn nobody_is_sent_in_circles() {
    let scene = Scene::with(|document| document["revoked"] = json!([{"of": {"subject": SUBJECT}}])).await;
    let mut browser = Browser::default();
    let sent = scene.leave(&mut browser, "/open/x").await;
    scene.says(&scene.access(&ROLES, 300), &scene.id_claims(&sent.parameter("nonce")), "r");
    let answer = scene.come_back(&mut browser, &sent).await;
    assert_eq!((answer.status, answer.header("x-keywire-reason")), (500, Some("access_token")), "not even signed in");
    // One that is revoked while he is signed in is sent away once, not again and again.
    let scene = Scene::new().await;
    let browser = scene.signed_in().await;
    let mut document = scene.proxy.document();
    document["number"] = json!(101);
    document["revoked"] = json!([{"of": {"subject": SUBJECT}}]);
    scene.proxy.write("guard/guard.json", &document.to_string());
    let refused = || async { scene.send(&browser, "GET", "/open/x", "", "").await.status == 401 };
    until("the revocation", refused).await;
    let page = scene.open(&browser, "/open/x").await;
    assert_eq!((page.status, page.header("x-keywire-reason")), (401, Some("token_invalid")));
    assert!(page.body.contains("Signing in did not work"), "{}", page.body);
    scene.proxy.advance(20);
    assert_eq!(scene.open(&browser, "/open/x").await.status, 303, "much later it is worth a try");
}

#[tokio::test]
async fn without_keys_nobody_is_let_in() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let mut document = policy(&issuer, &app);
    document["signIn"] = json!({"url": "https://app.example", "clientId": CLIENT, "authorizationUrl": "https://kc.example/auth",
        "logoutUrl": "https://kc.example/logout", "tokenUrl": issuer.token_url()});
    // A directory without a key, and none at all.
    for sign_in in [true, false] {
        let mut proxy = Proxy::prepare();
        proxy.write("guard/guard.json", &proxy.with_ports(&document).to_string());
        proxy.start(&Setup { guard: true, sign_in, ..Setup::default() });
        until("the document", || async { proxy.admin("/readyz").await.body.contains("cookies") }).await;
        let request = format!("GET /open/x HTTP/1.1\r\nHost: a\r\n{PAGE}\r\n");
        let answer = raw(proxy.guard_address(), request).await.expect("an answer");
        assert_eq!((answer.status, answer.header("x-keywire-reason")), (503, Some("sign_in_keys_missing")));
    }
}

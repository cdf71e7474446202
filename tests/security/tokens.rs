//! Tokens that are not what they claim to be.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::{
    app::App,
    client::{Connection, call},
    issuer::{Issuer, KID},
    keys,
    proxy::{ENDPOINT, LABELER, Proxy, Setup, policy},
    until,
};

const PATH: &str = "/v2/models/iris/infer";

async fn infer(proxy: &Proxy, token: &str) -> u16 {
    call(proxy.guard_address(), "POST", PATH, Some(token)).await.status
}

fn claims(issuer: &Issuer, proxy: &Proxy) -> Value {
    issuer.claims(ENDPOINT, LABELER, &["read", "predict"], proxy.now(), 300)
}

fn header(alg: &str) -> Value {
    json!({"alg": alg, "typ": "JWT", "kid": KID})
}

#[tokio::test]
async fn forged_signatures_are_refused() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |_| {}).await;
    let claims = claims(&issuer, &proxy);
    let good = keys::token(keys::issuer(), &header("RS256"), &claims);
    assert_eq!(infer(&proxy, &good).await, 200, "the counter-example");

    let jwk = keys::attacker().jwk("mine", "RS256");
    let with = |extra: Value| {
        let mut header = header("RS256");
        for (name, value) in extra.as_object().expect("object") {
            header[name] = value.clone();
        }
        header
    };
    let (message, signature) = good.rsplit_once('.').expect("a token");
    let public = keys::issuer().public_der();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", URL_SAFE_NO_PAD.encode(&public));
    let mut flipped = URL_SAFE_NO_PAD.decode(signature).expect("base64");
    flipped[0] ^= 1;
    for (what, token) in [
        ("alg none", keys::unsigned_token(&header("none"), &claims, "")),
        ("alg none with a signature", keys::unsigned_token(&header("none"), &claims, "c2ln")),
        ("alg nOnE", keys::unsigned_token(&header("nOnE"), &claims, "c2ln")),
        ("empty signature", format!("{message}.")),
        ("no signature", message.to_owned()),
        ("flipped signature", format!("{message}.{}", URL_SAFE_NO_PAD.encode(&flipped))),
        ("HMAC by the public DER", keys::hmac_token(&public, &header("HS256"), &claims)),
        ("HMAC by the public PEM", keys::hmac_token(pem.as_bytes(), &header("HS256"), &claims)),
        ("HMAC tag under RS256", keys::hmac_token(&public, &header("RS256"), &claims)),
        ("another's key under our kid", keys::token(keys::attacker(), &header("RS256"), &claims)),
        ("a PS256 signature by an RS256 key", keys::token(keys::issuer(), &header("PS256"), &claims)),
        (
            "a PS256 header over an RS256 signature",
            keys::token_signed_as(keys::issuer(), "RS256", &header("PS256"), &claims),
        ),
        ("an ES256 header for an RSA key", keys::token(keys::elliptic(), &header("ES256"), &claims)),
        ("the encryption key", keys::token(keys::attacker(), &with(json!({"kid": "enc-1"})), &claims)),
        ("embedded jwk", keys::token(keys::attacker(), &with(json!({"jwk": jwk})), &claims)),
        ("embedded jwk, our signature", keys::token(keys::issuer(), &with(json!({"jwk": jwk})), &claims)),
        ("jku", keys::token(keys::attacker(), &with(json!({"jku": "http://127.0.0.1:1/jwks"})), &claims)),
        ("x5u", keys::token(keys::issuer(), &with(json!({"x5u": "http://127.0.0.1:1/x"})), &claims)),
        ("crit", keys::token(keys::issuer(), &with(json!({"crit": ["exp"]})), &claims)),
        ("no kid", keys::token(keys::issuer(), &json!({"alg": "RS256"}), &claims)),
        ("kid traversal", keys::token(keys::issuer(), &with(json!({"kid": "../../../dev/null"})), &claims)),
        ("giant kid", keys::token(keys::issuer(), &with(json!({"kid": "k".repeat(5000)})), &claims)),
        ("four parts", format!("{good}.x")),
        ("padding", format!("{good}==")),
        ("payload swapped", {
            let (head, _) = message.split_once('.').expect("parts");
            let mut other = claims.clone();
            other["azp"] = json!("other");
            format!("{head}.{}.{signature}", URL_SAFE_NO_PAD.encode(other.to_string()))
        }),
    ] {
        assert_eq!(infer(&proxy, &token).await, 401, "{what}");
    }
    assert_eq!(app.heads().len(), 1, "only the good one came through");
}

#[tokio::test]
async fn each_claim_is_checked() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |_| {}).await;
    let now = proxy.now();
    for (claim, value, status) in [
        ("aud", json!([ENDPOINT]), 200),
        ("nbf", json!(now + 9), 200),
        ("exp", json!(now - 9), 200),
        ("aud", json!("other.vision.endpoint"), 401),
        ("aud", json!([ENDPOINT, "other"]), 401),
        ("aud", json!([]), 401),
        ("aud", Value::Null, 401),
        ("iss", json!(format!("{}/", issuer.url())), 401),
        ("iss", json!("http://evil/realms/ml"), 401),
        ("exp", json!(now - 10), 401),
        ("exp", json!((now + 300).to_string()), 401),
        ("exp", json!(now as f64 + 300.5), 401),
        ("exp", json!(1e30), 401),
        ("exp", Value::Null, 401),
        ("nbf", json!(now + 11), 401),
        ("nbf", json!("0"), 401),
        ("iat", json!(now + 11), 401),
        ("typ", json!("ID"), 401),
        ("typ", json!("Refresh"), 401),
        ("typ", Value::Null, 401),
        ("azp", Value::Null, 401),
        ("azp", json!(""), 401),
        ("azp", json!("a\r\nx-keywire-client: root"), 401),
        ("sub", json!("a\nb"), 401),
        ("cnf", json!({"jkt": "x"}), 401),
        // A role of another client is no role here.
        ("resource_access", json!({"other": {"roles": ["predict"]}}), 403),
        ("resource_access", Value::Null, 401),
        ("azp", json!("stranger"), 403),
    ] {
        let mut claims = claims(&issuer, &proxy);
        claims[claim] = value.clone();
        let token = issuer.signed(keys::issuer(), &claims);
        assert_eq!(infer(&proxy, &token).await, status, "{claim}: {value}");
    }
}

#[tokio::test]
async fn every_accepted_algorithm_verifies_by_its_own_key_alone() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let all = [
        (keys::issuer(), "RS256"),
        (keys::issuer(), "RS384"),
        (keys::issuer(), "RS512"),
        (keys::attacker(), "PS256"),
        (keys::attacker(), "PS384"),
        (keys::attacker(), "PS512"),
        (keys::elliptic(), "ES256"),
        (keys::elliptic_384(), "ES384"),
        (keys::edwards(), "EdDSA"),
    ];
    let mut published: Vec<_> = all.iter().map(|(signer, alg)| signer.jwk(alg, alg)).collect();
    // Keys that fit no algorithm count for nothing, whatever they say of themselves.
    published.push(keys::elliptic_384().jwk("384 as 256", "ES256"));
    published.push(keys::elliptic().jwk("256 as 384", "ES384"));
    published.push(keys::edwards().jwk("ed as es", "ES256"));
    published.push(keys::issuer().jwk("rsa as ed", "EdDSA"));
    let mut other_curve = keys::elliptic().jwk("secp256k1", "ES256");
    other_curve["crv"] = json!("secp256k1");
    published.push(other_curve);
    issuer.set_keys(published);
    let proxy = Proxy::ready(&issuer, &app, |_| {}).await;
    let claims = claims(&issuer, &proxy);
    for (signer, alg) in all {
        for (_, kid) in all {
            let token = keys::token(signer, &json!({"alg": alg, "kid": kid}), &claims);
            let status = if kid == alg { 200 } else { 401 };
            assert_eq!(infer(&proxy, &token).await, status, "{alg} by the key for {kid}");
            // The header names what the key is for, the signature is another's.
            let token = keys::token_signed_as(signer, alg, &json!({"alg": kid, "kid": kid}), &claims);
            assert_eq!(infer(&proxy, &token).await, status, "{alg} in the name of {kid}");
        }
    }
    for (signer, alg, kid) in [
        (keys::elliptic_384(), "ES256", "384 as 256"),
        (keys::elliptic_384(), "ES384", "384 as 256"),
        (keys::elliptic(), "ES384", "256 as 384"),
        (keys::edwards(), "ES256", "ed as es"),
        (keys::edwards(), "EdDSA", "ed as es"),
        (keys::issuer(), "EdDSA", "rsa as ed"),
        (keys::elliptic(), "ES256", "secp256k1"),
        (keys::elliptic(), "ES256K", "ES256"),
        (keys::elliptic(), "ES512", "ES256"),
    ] {
        let token = keys::token(signer, &json!({"alg": alg, "kid": kid}), &claims);
        assert_eq!(infer(&proxy, &token).await, 401, "{alg} by {kid}");
    }
}

#[tokio::test]
async fn what_the_realm_took_back_is_refused_also_where_it_was_known() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |_| {}).await;
    let token = issuer.signed(keys::issuer(), &claims(&issuer, &proxy));
    let request =
        format!("POST {PATH} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n");
    let mut same = Connection::open(proxy.guard_address()).await;
    same.send(request.as_bytes()).await;
    assert_eq!(same.answer().await.map(|a| a.status), Some(200));
    for _ in 0..3 {
        assert_eq!(infer(&proxy, &token).await, 200, "in both workers' caches");
    }
    let fetches = issuer.key_fetches();
    let mut revoking = proxy.with_ports(&crate::support::proxy::policy(&issuer, &app));
    revoking["number"] = json!(101);
    revoking["issuers"][0]["notBefore"] = json!(proxy.now() + 1);
    proxy.write("guard/guard.json", &revoking.to_string());
    until("the policy", || async { proxy.metric("keywire_guard_policy_number").await == 101.0 }).await;
    same.send(request.as_bytes()).await;
    assert_eq!(same.answer().await.map(|a| a.status), Some(401), "on the connection that knew it");
    for _ in 0..3 {
        assert_eq!(infer(&proxy, &token).await, 401);
    }
    assert!(proxy.metric("keywire_guard_requests_total{decision=\"denied\",reason=\"token_revoked\"").await >= 4.0);
    // What is issued from then on passes, with the keys that were there all the time.
    let mut later = claims(&issuer, &proxy);
    later["iat"] = json!(proxy.now() + 1);
    assert_eq!(infer(&proxy, &issuer.signed(keys::issuer(), &later)).await, 200);
    later.as_object_mut().expect("claims").remove("iat");
    assert_eq!(infer(&proxy, &issuer.signed(keys::issuer(), &later)).await, 401, "it does not say when it was issued");
    assert_eq!(issuer.key_fetches(), fetches, "the keys were fetched again");
}

#[tokio::test]
async fn a_token_bound_to_a_key_is_no_bearer_token() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |_| {}).await;
    for cnf in [json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}), json!({"x5t#S256": "x"}), json!({})] {
        let mut claims = claims(&issuer, &proxy);
        claims["cnf"] = cnf.clone();
        assert_eq!(infer(&proxy, &issuer.signed(keys::issuer(), &claims)).await, 401, "{cnf}");
    }
    let metric = "keywire_guard_requests_total{decision=\"denied\",reason=\"sender_constrained\"";
    assert_eq!(proxy.metric(metric).await, 3.0);
    assert_eq!(app.heads().len(), 0);
}

/// A body may take half a minute: the token of its head must not outlive its time for that.
#[tokio::test]
async fn a_token_that_ends_while_the_body_comes_is_refused() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |policy| policy["protocol"] = json!("OpenAI")).await;
    let token = issuer.signed(keys::issuer(), &claims(&issuer, &proxy));
    let body = r#"{"model":"iris","messages":[]}"#;
    let fields = format!(
        "Host: a\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}",
        body.len()
    );
    for (seconds, status) in [(309, 200), (1, 401)] {
        let mut slow = Connection::open(proxy.guard_address()).await;
        slow.send(format!("POST /v1/chat/completions HTTP/1.1\r\n{fields}\r\n\r\n").as_bytes()).await;
        slow.send(&body.as_bytes()[..5]).await;
        until("the body to be held", || async { proxy.metric("keywire_guard_bodies_bytes").await > 0.0 }).await;
        proxy.advance(seconds);
        slow.send(&body.as_bytes()[5..]).await;
        assert_eq!(slow.answer().await.map(|answer| answer.status), Some(status));
        until("the body to be gone", || async { proxy.metric("keywire_guard_bodies_bytes").await == 0.0 }).await;
    }
    assert_eq!(app.heads().len(), 1);
}

#[tokio::test]
async fn what_was_verified_does_not_outlive_its_time() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |_| {}).await;
    let token = issuer.signed(keys::issuer(), &claims(&issuer, &proxy));
    let request =
        format!("POST {PATH} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n");
    let mut same = Connection::open(proxy.guard_address()).await;
    for _ in 0..2 {
        same.send(request.as_bytes()).await;
        assert_eq!(same.answer().await.map(|a| a.status), Some(200));
    }
    // Two workers: at least one of three connections finds the token in its cache.
    for _ in 0..3 {
        assert_eq!(infer(&proxy, &token).await, 200);
    }
    assert!(proxy.metric("keywire_guard_tokens_same_connection_total").await >= 1.0);
    assert!(proxy.metric("keywire_guard_tokens_cached_total").await >= 1.0);
    assert!(proxy.metric("keywire_guard_tokens_verified_total").await <= 2.0);

    proxy.advance(309);
    assert_eq!(infer(&proxy, &token).await, 200, "within the leeway");
    proxy.advance(1);
    same.send(request.as_bytes()).await;
    assert_eq!(same.answer().await.map(|a| a.status), Some(401), "on the same connection");
    for _ in 0..3 {
        assert_eq!(infer(&proxy, &token).await, 401, "from the cache");
    }
}

#[tokio::test]
async fn a_token_on_the_same_connection_is_compared_whole() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |_| {}).await;
    let token = issuer.signed(keys::issuer(), &claims(&issuer, &proxy));
    let mut connection = Connection::open(proxy.guard_address()).await;
    let mut ask = async |token: &str| {
        let request =
            format!("POST {PATH} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n");
        connection.send(request.as_bytes()).await;
        connection.answer().await.map(|answer| answer.status)
    };
    assert_eq!(ask(&token).await, Some(200));
    let last = if token.ends_with('A') { 'B' } else { 'A' };
    let mut other = token.clone();
    other.pop();
    for forged in [format!("{other}{last}"), other, format!("{token}A"), "x".to_owned()] {
        assert_eq!(ask(&forged).await, Some(401), "{forged}");
        assert_eq!(ask(&token).await, Some(200));
    }
}

/// The key is part of the token's SHA-256, never of its beginning: two of one caller differ late.
#[tokio::test]
async fn tokens_that_begin_alike_are_not_taken_for_each_other() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let mut proxy = Proxy::prepare();
    proxy.write("guard/guard.json", &proxy.with_ports(&policy(&issuer, &app)).to_string());
    proxy.start(&Setup { guard: true, one_worker: true, ..Setup::default() });
    proxy.until_ready().await;
    let good = issuer.token(ENDPOINT, LABELER, &["read", "predict"], proxy.now());
    let other = issuer.token(ENDPOINT, "stranger", &["read", "predict"], proxy.now());
    let (message, _) = good.rsplit_once('.').expect("a token");
    let (_, signature) = other.rsplit_once('.').expect("a token");
    for (token, status) in [(&good, 200), (&other, 403), (&format!("{message}.{signature}"), 401), (&good, 200)] {
        assert_eq!(infer(&proxy, token).await, status, "{token}");
    }
}

/// Two realms may give their keys one name.
#[tokio::test]
async fn a_key_id_of_two_issuers_is_looked_up_with_the_tokens_own() {
    let (first, second, app) = (Issuer::start().await, Issuer::start().await, App::start().await);
    second.set_keys(vec![keys::attacker().jwk(KID, "RS256")]);
    let proxy = Proxy::ready(&first, &app, |policy| {
        let trusted = json!({"issuer": second.url(), "jwksUrl": second.jwks_url()});
        policy["issuers"].as_array_mut().expect("issuers").push(trusted);
    })
    .await;
    for (issuer, signer, status) in [
        (&first, keys::issuer(), 200),
        (&second, keys::attacker(), 200),
        (&first, keys::attacker(), 401),
        (&second, keys::issuer(), 401),
    ] {
        assert_eq!(infer(&proxy, &issuer.signed(signer, &claims(issuer, &proxy))).await, status, "{}", issuer.url());
    }
}

#[tokio::test]
async fn a_new_key_is_found_and_a_flood_is_not_passed_on() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |_| {}).await;
    assert_eq!(issuer.key_fetches(), 1);
    // Keycloak rotates: its next token is taken at once.
    issuer.set_keys(vec![keys::issuer().jwk(KID, "RS256"), keys::attacker().jwk("rsa-2", "RS256")]);
    let claims = claims(&issuer, &proxy);
    let rotated = keys::token(keys::attacker(), &json!({"alg": "RS256", "kid": "rsa-2"}), &claims);
    assert_eq!(infer(&proxy, &rotated).await, 200);
    assert_eq!(issuer.key_fetches(), 2);
    // An attacker invents keys: Keycloak is asked a few times, not each time.
    let started = std::time::Instant::now();
    for n in 0..60 {
        let invented = keys::token(keys::attacker(), &json!({"alg": "RS256", "kid": format!("x{n}")}), &claims);
        assert_eq!(infer(&proxy, &invented).await, 401);
    }
    // A burst of three (one is spent), then one in ten seconds.
    let allowed = 2 + 2 + started.elapsed().as_secs() / 10 + 1;
    assert!(issuer.key_fetches() as u64 <= allowed, "{} fetches in {:?}", issuer.key_fetches(), started.elapsed());
}

#[tokio::test]
async fn a_revoked_key_takes_its_tokens_along() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |_| {}).await;
    let token = issuer.signed(keys::issuer(), &claims(&issuer, &proxy));
    assert_eq!(infer(&proxy, &token).await, 200);
    let request =
        format!("POST {PATH} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n");
    let mut same = Connection::open(proxy.guard_address()).await;
    same.send(request.as_bytes()).await;
    assert_eq!(same.answer().await.map(|a| a.status), Some(200));
    issuer.set_keys(vec![keys::attacker().jwk("rsa-2", "RS256")]);
    // Any unknown key makes the guard look; then the old one is gone, and the cache with it.
    let other = keys::token(keys::attacker(), &json!({"alg": "RS256", "kid": "rsa-2"}), &claims(&issuer, &proxy));
    assert_eq!(infer(&proxy, &other).await, 200);
    assert_eq!(infer(&proxy, &token).await, 401);
    same.send(request.as_bytes()).await;
    assert_eq!(same.answer().await.map(|a| a.status), Some(401), "on the connection that knew it");
}

#[tokio::test]
async fn without_keys_nothing_passes_and_old_keys_serve_for_a_day() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let url = issuer.url().to_owned();
    let policy = crate::support::proxy::policy(&issuer, &app);
    let address = issuer.stop().await;
    let proxy = Proxy::guard(Some(&policy), &[]);
    let token = |lifetime: i64| {
        let claims = json!({"iss": url, "aud": ENDPOINT, "exp": proxy.now() + lifetime, "typ": "Bearer", "azp": LABELER,
            "sub": "s", "resource_access": {ENDPOINT: {"roles": ["predict"]}}});
        keys::token(keys::issuer(), &header("RS256"), &claims)
    };
    let ready = proxy.admin("/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("keys of issuer"), "{}", ready.body);
    let answer = call(proxy.guard_address(), "POST", PATH, Some(&token(60))).await;
    assert_eq!((answer.status, answer.reason().as_str()), (503, "keys_missing"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    // It heals by itself.
    let issuer = Issuer::start_at(address).await;
    proxy.until_ready().await;
    assert_eq!(infer(&proxy, &token(60)).await, 200);
    // Keycloak is gone again. Its keys serve for a day…
    issuer.stop().await;
    proxy.advance(24 * 3600 - 60);
    let long = token(9999);
    // Two workers, and connections are dealt out in turn: both know it.
    for _ in 0..2 {
        assert_eq!(infer(&proxy, &long).await, 200);
    }
    // …and no longer, not even for a token that was verified.
    proxy.advance(120);
    for token in [&long, &long, &token(9998), &token(9997)] {
        let answer = call(proxy.guard_address(), "POST", PATH, Some(token)).await;
        assert_eq!((answer.status, answer.reason().as_str()), (503, "keys_stale"));
    }
}

/// A stolen credential is replaced, and a person is shut out, while tokens are out.
#[tokio::test]
async fn what_was_taken_back_of_one_holder_is_refused_and_of_no_other() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |_| {}).await;
    let claims = claims(&issuer, &proxy);
    let (client, subject) = (claims["azp"].clone(), claims["sub"].clone());
    let token = issuer.signed(keys::issuer(), &claims);
    let mut later = claims.clone();
    later["iat"] = json!(proxy.now() + 1);
    let later = issuer.signed(keys::issuer(), &later);
    let (soon, all) = (json!(proxy.now() + 1), json!(null));
    for (number, holder, before, of_now, of_later) in [
        (101, json!({"client": client}), &soon, 401, 200),
        (102, json!({"client": client}), &all, 401, 401),
        (103, json!({"client": "another"}), &all, 200, 200),
        (104, json!({"subject": subject}), &soon, 401, 200),
        (105, json!({"subject": subject}), &all, 401, 401),
        (106, json!({"subject": client}), &all, 200, 200),
    ] {
        let mut revoking = proxy.with_ports(&crate::support::proxy::policy(&issuer, &app));
        revoking["number"] = json!(number);
        revoking["revoked"] = json!([{"of": holder, "before": before}]);
        proxy.write("guard/guard.json", &revoking.to_string());
        until("the policy", || async { proxy.metric("keywire_guard_policy_number").await == f64::from(number) }).await;
        assert_eq!((infer(&proxy, &token).await, infer(&proxy, &later).await), (of_now, of_later), "{number}");
    }
}

/// A node whose clock is a minute off refuses what is good. Its guard says why, and to whom nothing was signed it says nothing.
#[tokio::test]
async fn a_clock_that_is_off_is_told_to_who_holds_a_real_token() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    for (seconds, issued_ago, lifetime, words) in
        [(-60, 0, 300, "is not valid yet"), (60, 45, 50, "has expired by the clock")]
    {
        let mut proxy = Proxy::prepare();
        proxy.write("guard/guard.json", &proxy.with_ports(&policy(&issuer, &app)).to_string());
        proxy.advance(seconds);
        proxy.start(&Setup { guard: true, ..Setup::default() });
        proxy.until_ready().await;
        let issued = proxy.now() - seconds - issued_ago;
        let claims = issuer.claims(ENDPOINT, LABELER, &["read", "predict"], issued, lifetime);
        let good = issuer.signed(keys::issuer(), &claims);
        let told = call(proxy.guard_address(), "POST", PATH, Some(&good)).await;
        assert_eq!((told.status, told.reason().as_str()), (401, "token_invalid"), "{}", told.body);
        let skew = told.body.split("which is ").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<i64>().ok());
        // A second may have passed since the proxy's clock was set; that of the test stands still.
        assert!(skew.is_some_and(|skew| (55..=65).contains(&skew)), "{}", told.body);
        assert!(told.body.contains(words) && told.body.contains("check NTP"), "{}", told.body);

        let forged = issuer.signed(keys::attacker(), &claims);
        let (silent, nothing) = ("The bearer token is not valid for this endpoint.", "NTP");
        let told = call(proxy.guard_address(), "POST", PATH, Some(&forged)).await;
        assert!(told.body.contains(silent) && !told.body.contains(nothing), "{}", told.body);
        // A skew explains no other fault, and not the opposite one.
        let opposite = if seconds < 0 { proxy.now() - 3600 } else { proxy.now() + 3600 };
        let other = issuer.claims(ENDPOINT, LABELER, &["read", "predict"], opposite, 300);
        let told = call(proxy.guard_address(), "POST", PATH, Some(&issuer.signed(keys::issuer(), &other))).await;
        assert!(told.body.contains(silent) && !told.body.contains(nothing), "{}", told.body);

        assert!(proxy.admin("/readyz").await.body.contains("check NTP"));
        assert!(proxy.admin("/config").await.body.contains("check NTP"));
        let measured = proxy.metric("keywire_clock_skew_seconds").await;
        assert!((measured - seconds as f64).abs() <= 5.0, "{measured}");
    }
    let proxy = Proxy::ready(&issuer, &app, |_| {}).await;
    assert_eq!(proxy.admin("/readyz").await.body, "ok\n");
}

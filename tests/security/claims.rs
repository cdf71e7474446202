//! What a token has to carry besides: for the endpoint as a whole, and for one grant.

use serde_json::{Value, json};

use crate::support::{
    app::App,
    client::{Answer, call},
    issuer::Issuer,
    keys,
    proxy::{ENDPOINT, LABELER, Proxy, policy},
    until,
};

const PATH: &str = "/v2/models/iris/infer";

/// A token that may predict, with these claims besides.
fn token(issuer: &Issuer, proxy: &Proxy, more: &Value) -> String {
    let mut claims = issuer.claims(ENDPOINT, LABELER, &["predict"], proxy.now(), 300);
    for (name, value) in more.as_object().expect("claims") {
        claims[name] = value.clone();
    }
    issuer.signed(keys::issuer(), &claims)
}

async fn infer(proxy: &Proxy, token: &str) -> Answer {
    call(proxy.guard_address(), "POST", PATH, Some(token)).await
}

#[tokio::test]
async fn each_test_of_a_claim_is_enforced() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    for (is, carried, expected) in [
        (json!({"equals": "public"}), json!({"data": "public"}), true),
        (json!({"equals": "public"}), json!({"data": "secret"}), false),
        (json!({"equals": "public"}), json!({"data": ["public"]}), false),
        (json!({"equals": "public"}), json!({}), false),
        (json!({"in": ["public", "open"]}), json!({"data": "open"}), true),
        (json!({"in": ["public", "open"]}), json!({"data": "secret"}), false),
        (json!({"contains": "public"}), json!({"data": ["secret", "public"]}), true),
        (json!({"contains": "public"}), json!({"data": ["secret"]}), false),
        (json!({"contains": "1"}), json!({"data": [1]}), false),
        (json!("absent"), json!({}), true),
        (json!("absent"), json!({"data": null}), false),
    ] {
        let asked = json!([{"claim": "data", "is": is}]);
        let required = Proxy::ready(&issuer, &app, |policy| policy["require"] = asked.clone()).await;
        let answer = infer(&required, &token(&issuer, &required, &carried)).await;
        let reason = if expected { "" } else { "claim_required" };
        assert_eq!(answer.reason(), reason, "{is} of each token, {carried}: {answer:?}");
        let granted = Proxy::ready(&issuer, &app, |policy| policy["grants"][0]["claims"] = asked.clone()).await;
        let answer = infer(&granted, &token(&issuer, &granted, &carried)).await;
        let reason = if expected { "" } else { "claim_not_granted" };
        assert_eq!((answer.reason().as_str(), answer.status == 200), (reason, expected), "{is} for a grant, {carried}");
    }
}

/// What was read of a token is what was asked for by then.
#[tokio::test]
async fn a_token_that_is_known_is_read_again_when_more_is_asked_for() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |_| {}).await;
    let (with, without) = (token(&issuer, &proxy, &json!({"data": "public"})), token(&issuer, &proxy, &json!({})));
    for token in [&with, &without] {
        assert_eq!(infer(&proxy, token).await.status, 200);
    }
    let mut narrower = proxy.with_ports(&policy(&issuer, &app));
    narrower["number"] = json!(200);
    narrower["require"] = json!([{"claim": "data", "is": {"equals": "public"}}]);
    proxy.write("guard/guard.json", &narrower.to_string());
    until("the new policy", || async { infer(&proxy, &without).await.reason() == "claim_required" }).await;
    assert_eq!(infer(&proxy, &with).await.status, 200);
}

#[tokio::test]
async fn a_claim_that_comes_twice_has_two_readings() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let asked = json!([{"claim": "data", "is": {"equals": "public"}}]);
    let proxy = Proxy::ready(&issuer, &app, |policy| policy["require"] = asked).await;
    let claims = issuer.claims(ENDPOINT, LABELER, &["predict"], proxy.now(), 300).to_string();
    let twice = format!("{{\"data\":\"secret\",\"data\":\"public\",{}", &claims[1..]);
    let answer = infer(&proxy, &issuer.signed_text(&twice)).await;
    assert_eq!((answer.status, answer.reason().as_str()), (401, "token_invalid"), "{answer:?}");
}

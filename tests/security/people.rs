//! Grants for whoever holds a role of the endpoint: people, through whatever client they came.

use serde_json::json;

use crate::support::{
    app::App,
    client::call,
    issuer::Issuer,
    proxy::{ENDPOINT, LABELER, Proxy},
};

const ROLE: &str = "grant.annotators";

#[tokio::test]
async fn a_grant_for_a_role_is_its_holders_alone() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |document| {
        document["grants"] = json!([{"name": "annotators", "subject": {"role": ROLE}, "permissions": ["predict"],
            "models": ["iris"]}]);
    })
    .await;
    for (client, roles, model, status, reason) in [
        ("chat", &["predict", ROLE][..], "iris", 200, ""),
        ("chat", &["predict", ROLE], "rose", 403, "model_not_granted"),
        ("chat", &["predict"], "iris", 403, "no_grant"),
        ("chat", &[ROLE], "iris", 403, "role_missing"),
        ("chat", &["predict", "grant.annotators2"], "iris", 403, "no_grant"),
        ("chat", &["predict", "annotators"], "iris", 403, "no_grant"),
        (ROLE, &["predict"], "iris", 403, "no_grant"),
        // A workload that calls for itself needs a grant of its own, whatever its account was given.
        (LABELER, &["predict", ROLE], "iris", 403, "no_grant"),
    ] {
        let token = issuer.token(ENDPOINT, client, roles, proxy.now());
        let path = format!("/v2/models/{model}/infer");
        let answer = call(proxy.guard_address(), "POST", &path, Some(&token)).await;
        assert_eq!((answer.status, answer.reason().as_str()), (status, reason), "{client} {roles:?} {model}");
    }
}

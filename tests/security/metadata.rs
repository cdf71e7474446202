//! What the guard tells everybody of its endpoint (RFC 9728), and what it does not.

use serde_json::{Value, json};

use crate::support::{
    app::App,
    client::call,
    issuer::Issuer,
    proxy::{ENDPOINT, LABELER, Proxy},
};

const ROOT: &str = "/.well-known/oauth-protected-resource";
const BEHIND: &str = "/.well-known/oauth-protected-resource/public/mcp";

fn public(policy: &mut Value) {
    policy["resource"] = json!("https://models.example/public/mcp");
    // A rule that opens everything does not open what is the guard's own.
    let all = json!({"path": "/.well-known/**", "access": "public"});
    policy["rules"].as_array_mut().expect("rules").push(all);
}

#[tokio::test]
async fn metadata_is_told_without_a_token_and_never_asked_of_the_application() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, public).await;
    let scopes = ["admin", "deploy", "execute", "predict", "read"].map(|name| format!("{ENDPOINT}:{name}"));
    for path in [ROOT, BEHIND] {
        let answer = call(proxy.guard_address(), "GET", path, None).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(
            answer.json(),
            json!({
                "resource": "https://models.example/public/mcp", "authorization_servers": [issuer.url()],
                "scopes_supported": scopes,
                "bearer_methods_supported": ["header"], "resource_name": "vision/iris",
            })
        );
        for (name, value) in [
            ("content-type", "application/json"),
            ("cache-control", "public, max-age=300"),
            ("access-control-allow-origin", "*"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        for (method, status) in [("POST", 405), ("DELETE", 405), ("OPTIONS", 204)] {
            assert_eq!(call(proxy.guard_address(), method, path, None).await.status, status, "{method} {path}");
        }
    }
    assert_eq!(app.heads().len(), 0, "the application was asked");
    assert_eq!(call(proxy.guard_address(), "GET", "/.well-known/openid-configuration", None).await.status, 200);
    assert_eq!(app.heads().len(), 1, "that is the application's, and open by its rule");
}

#[tokio::test]
async fn other_places_and_endpoints_without_a_url_have_none() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let with = Proxy::ready(&issuer, &app, |policy| policy["resource"] = json!("https://models.example/a")).await;
    let without = Proxy::ready(&issuer, &app, |_| {}).await;
    for (proxy, path, status) in [
        (&with, "/.well-known/oauth-protected-resource/b", 401),
        (&with, "/.well-known/oauth-protected-resource/a/", 401),
        (&with, "/.well-known/oauth-protected-resource/../a", 400),
        (&with, "//.well-known/oauth-protected-resource", 400),
        (&with, "/.well-known/openid-configuration", 401),
        (&without, ROOT, 401),
    ] {
        assert_eq!(call(proxy.guard_address(), "GET", path, None).await.status, status, "{path}");
    }
    assert_eq!(app.heads().len(), 0);
}

#[tokio::test]
async fn each_challenge_says_where_the_metadata_is_and_which_scope_would_do() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, public).await;
    let metadata = "resource_metadata=\"https://models.example/.well-known/oauth-protected-resource/public/mcp\"";
    let scope = format!(", scope=\"{ENDPOINT}:predict\", ");
    let stranger = issuer.token(ENDPOINT, "stranger", &["predict"], proxy.now());
    let reader = issuer.token(ENDPOINT, LABELER, &["read"], proxy.now());
    for (path, token, status, error, scope) in [
        ("/v2/models/iris/infer", None, 401, "", scope.as_str()),
        ("/v2/models/iris/infer", Some("x"), 401, ", error=\"invalid_token\"", &scope),
        ("/v2/models/iris/infer", Some(&*stranger), 403, ", error=\"insufficient_scope\"", &scope),
        ("/v2/models/iris/infer", Some(&*reader), 403, ", error=\"insufficient_scope\"", &scope),
        ("/unknown", None, 401, "", ", "),
        ("/unknown", Some(&*reader), 403, ", error=\"insufficient_scope\"", ", "),
    ] {
        let answer = call(proxy.guard_address(), "POST", path, token).await;
        let expected = format!("Bearer realm=\"{ENDPOINT}\"{error}{scope}{metadata}");
        assert_eq!((answer.status, answer.header("www-authenticate")), (status, Some(expected.as_str())), "{path}");
    }
}

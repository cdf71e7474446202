//! LiteLLM, whose answers are made up, and OpenAI's own client.

use serde_json::{Value, json};

use crate::{
    guarded::{Guarded, Who},
    process::{Program, Server, source},
};

async fn server() -> Server {
    Server::start("/health/liveliness", |port, _| {
        Program::new("litellm", "litellm")
            .args(["--config", &source("apps/litellm.yaml"), "--host", "127.0.0.1", "--port", &port.to_string()])
            // Its price list is in the package; the newer one would be fetched from its makers.
            .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
            // The guard is what asks for a key.
            .env("LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY", "true")
    })
    .await
}

fn client(model: &str) -> Program {
    Program::python("litellm", "clients/openai_client.py").args([model])
}

async fn asks(guarded: &Guarded, who: Who, model: &str) -> Value {
    guarded.client(who, client(model)).await
}

#[tokio::test]
async fn chat_and_models() {
    let guarded = Guarded::new(server().await, "OpenAI", &["read", "predict"], &["small"]).await;
    let answered = |words: &str, models: &[&str]| json!({"answer": words, "streamed": words, "models": models});
    let told = asks(&guarded, Who::Granted, "large").await;
    assert_eq!(told, answered("a large answer", &["large", "small"]));
    assert_eq!(told, guarded.unguarded(client("large")).await);
    let told = asks(&guarded, Who::Narrowed, "small").await;
    assert_eq!(told, answered("a small answer", &["small"]));
    let refused = json!({"status": 403, "code": "model_not_granted"});
    let told = asks(&guarded, Who::Narrowed, "large").await;
    assert_eq!(told, json!({"answer": refused, "streamed": refused, "models": ["small"]}));
    let refused = json!({"status": 403, "code": "no_grant"});
    let told = asks(&guarded, Who::Stranger, "small").await;
    assert_eq!(told, json!({"answer": refused, "streamed": refused, "models": refused}));
    let refused = json!({"status": 401, "code": "token_missing"});
    let told = asks(&guarded, Who::Nobody, "small").await;
    assert_eq!(told, json!({"answer": refused, "streamed": refused, "models": refused}));

    // LiteLLM's own ways to another model, and its administration.
    for (path, body, status) in [
        ("/v1/chat/completions", json!({"model": "small", "fallbacks": ["large"], "messages": []}), 400),
        ("/v1/chat/completions?model=large", json!({"model": "small", "messages": []}), 400),
        ("/engines/large/chat/completions", json!({"messages": []}), 403),
        ("/openai/deployments/large/chat/completions", json!({"messages": []}), 403),
        ("/model/new", json!({"model_name": "mine"}), 403),
        ("/key/generate", json!({}), 403),
    ] {
        let answer = guarded.post(Who::Narrowed, path, "", &body).await;
        assert_eq!(answer.status, status, "{path} {}", answer.body);
    }
}

//! llama.cpp's server as a router of two models, and OpenAI's own client.

use serde_json::{Value, json};

use crate::{
    guarded::{Guarded, Who},
    process::{Program, Server},
};

async fn server() -> Server {
    Server::start("/health", |port, _| Program::python("llamacpp", "apps/llamacpp_app.py").args([port])).await
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
    let refused = json!({"status": 401, "code": "token_missing"});
    let told = asks(&guarded, Who::Nobody, "small").await;
    assert_eq!(told, json!({"answer": refused, "streamed": refused, "models": refused}));
}

/// The server's own routes, with and without `/v1`.
#[tokio::test]
async fn what_it_has_of_its_own() {
    let guarded = Guarded::new(server().await, "OpenAI", &["read", "predict"], &["small"]).await;
    let question = |model: &str| json!({"model": model, "prompt": "hello", "content": "hello", "messages": []});
    for path in [
        "/completion",
        "/completions",
        "/v1/completions",
        "/tokenize",
        "/apply-template",
        "/chat/completions/input_tokens",
    ] {
        for (model, status) in [("small", 200), ("large", 403)] {
            let answer = guarded.post(Who::Narrowed, path, "", &question(model)).await;
            assert_eq!(answer.status, status, "{path} {model}: {}", answer.body);
        }
    }
    let answer = guarded.post(Who::Granted, "/completion", "", &question("large")).await;
    assert_eq!(answer.status, 200, "who may ask either model");

    // Ways to the other model, to its answers, to the server, and to other servers.
    for (method, path, status) in [
        ("GET", "/props?model=large", 403),
        ("GET", "/slots?model=large", 403),
        ("GET", "/v1/stream?conv_id=theirs", 403),
        ("GET", "/models/sse", 403),
        ("DELETE", "/models?model=small", 403),
        ("POST", "/models/unload", 403),
        ("GET", "/cors-proxy?url=http://127.0.0.1", 403),
        ("POST", "/tools", 403),
    ] {
        let answer = guarded.call(Who::Narrowed, method, path).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
    }
}

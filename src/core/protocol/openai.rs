//! What speaks OpenAI's API: vLLM, llama.cpp, TGI, LiteLLM, and Ollama with its own beside it.
//!
//! The model is a member of the JSON body almost everywhere. What a route does to the whole server, or does by the id of
//! something that another caller made, needs a grant of every model. Routes that would run code or fetch URLs
//! (`/invocations`, `/tools`, `/cors-proxy`) are no routes here.

use std::borrow::Cow;

use super::{BodyModel, JsonModel, ModelUse, Route, WEBSOCKET, Wire};
use crate::core::{
    body::{listing::Listing, model},
    path,
    permission::Permission,
};

/// What the table can ask for.
pub const PERMISSIONS: &[&str] =
    &[Permission::READ, Permission::PREDICT, Permission::FINE_TUNE, Permission::DEPLOY, Permission::ADMIN];

/// Looks up `segments`, the path split at its slashes.
pub fn route<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    match segments {
        ["v1", rest @ ..] => of_openai(method, rest).or_else(|| inference(method, rest)),
        ["api", rest @ ..] => of_ollama(method, rest),
        _ => of_server(method, segments).or_else(|| inference(method, segments)),
    }
}

/// Below `/v1`: what the API itself has besides inference.
fn of_openai<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    let every = |name, permission| Some(Route::new(name, permission, ModelUse::Every));
    match (method, segments) {
        ("GET", ["models"]) => {
            Some(Route::new("/v1/models", Permission::READ, ModelUse::None).listing(Listing::OpenAi))
        }
        ("GET", ["models", name @ ..]) => Some(Route::new("/v1/models/{model}", Permission::READ, joined(name)?)),
        ("DELETE", ["models", name @ ..]) => Some(Route::new("/v1/models/{model}", Permission::ADMIN, joined(name)?)),
        ("GET", ["health"]) => Some(Route::public("/v1/health")),
        ("GET" | "DELETE", ["responses", _]) | ("GET", ["responses", _, "input_items"]) => {
            every("/v1/responses/{id}", Permission::PREDICT)
        }
        ("POST", ["responses", _, "cancel"]) => every("/v1/responses/{id}/cancel", Permission::PREDICT),
        ("GET" | "DELETE", ["videos", _]) | ("GET", ["videos", _, "content"]) | ("POST", ["videos", _, "remix"]) => {
            every("/v1/videos/{id}", Permission::PREDICT)
        }
        // Whatever the query names, a message may choose another: vLLM's `session.update`, who transcribes.
        (WEBSOCKET, ["realtime"]) => {
            let models = ModelUse::InBody(BodyModel::Session(model::MODEL));
            Some(Route::new("/v1/realtime", Permission::PREDICT, models).over(Wire::Session))
        }
        ("POST", ["batches"]) | ("GET", ["batches"] | ["batches", _]) | ("POST", ["batches", _, "cancel"]) => {
            every("/v1/batches", Permission::PREDICT)
        }
        ("POST", ["fine_tuning", "jobs"]) => {
            Some(Route::new("/v1/fine_tuning/jobs", Permission::FINE_TUNE, ModelUse::IN_JSON))
        }
        (_, ["fine_tuning", "checkpoints", ..]) => every("/v1/fine_tuning/checkpoints", Permission::ADMIN),
        ("GET" | "POST", ["fine_tuning", "jobs", ..]) => every("/v1/fine_tuning/jobs/{id}", Permission::FINE_TUNE),
        ("GET" | "POST" | "DELETE", ["files", ..]) => every("/v1/files", Permission::FINE_TUNE),
        ("POST", ["uploads", ..]) => every("/v1/uploads", Permission::FINE_TUNE),
        // llama.cpp: an answer that another caller may have asked for, by its id or its conversation's.
        ("POST", ["chat", "completions", "control"]) => every("/v1/chat/completions/control", Permission::PREDICT),
        ("GET" | "DELETE", ["stream"]) => every("/v1/stream", Permission::PREDICT),
        ("POST", ["streams", "lookup"]) => every("/v1/streams/lookup", Permission::PREDICT),
        ("POST", ["load_lora_adapter"]) => every("/v1/load_lora_adapter", Permission::DEPLOY),
        ("POST", ["unload_lora_adapter"]) => every("/v1/unload_lora_adapter", Permission::DEPLOY),
        _ => None,
    }
}

/// With and without `/v1`, as the servers have it.
fn inference<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    if method != "POST" {
        return None;
    }
    if let Some(name) = form(segments) {
        let models = ModelUse::InBody(BodyModel::Multipart(model::MODEL));
        return Some(Route::new(name, Permission::PREDICT, models));
    }
    let name = match segments {
        ["chat", "completions"] => "/v1/chat/completions",
        ["chat", "completions", "input_tokens"] => "/v1/chat/completions/input_tokens",
        ["completions"] => "/v1/completions",
        ["responses"] => "/v1/responses",
        ["responses", "compact"] => "/v1/responses/compact",
        ["responses", "input_tokens"] => "/v1/responses/input_tokens",
        ["embeddings"] => "/v1/embeddings",
        ["moderations"] => "/v1/moderations",
        ["images", "generations"] => "/v1/images/generations",
        ["audio", "speech"] => "/v1/audio/speech",
        ["messages"] => "/v1/messages",
        ["messages", "count_tokens"] => "/v1/messages/count_tokens",
        ["rerank"] => "/v1/rerank",
        ["reranking"] => "/v1/reranking",
        ["score"] => "/v1/score",
        _ => return None,
    };
    Some(Route::new(name, Permission::PREDICT, ModelUse::IN_JSON))
}

/// What takes files: the model is a part of a form.
fn form(segments: &[&str]) -> Option<&'static str> {
    match segments {
        ["audio", "transcriptions"] => Some("/v1/audio/transcriptions"),
        ["audio", "translations"] => Some("/v1/audio/translations"),
        ["images", "edits"] => Some("/v1/images/edits"),
        ["images", "variations"] => Some("/v1/images/variations"),
        ["videos"] => Some("/v1/videos"),
        _ => None,
    }
}

/// What the servers have of their own, outside of `/v1`.
fn of_server<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    let predict = |name| Some(Route::new(name, Permission::PREDICT, ModelUse::IN_JSON));
    let deploy = |name, models| Some(Route::new(name, Permission::DEPLOY, models));
    let admin = |name| Some(Route::new(name, Permission::ADMIN, ModelUse::Every));
    match (method, segments) {
        ("GET", ["health"]) => Some(Route::public("/health")),
        ("GET" | "POST", ["ping"]) => Some(Route::public("/ping")),
        ("GET", ["version"]) => Some(Route::new("/version", Permission::READ, ModelUse::None)),
        ("GET", ["info"]) => Some(Route::new("/info", Permission::READ, ModelUse::Every)),
        ("GET", ["props"]) => Some(Route::new("/props", Permission::READ, ModelUse::Every)),
        ("GET", ["models"]) => Some(Route::new("/models", Permission::READ, ModelUse::None).listing(Listing::OpenAi)),
        // vLLM.
        ("POST", ["tokenize"]) => predict("/tokenize"),
        ("POST", ["detokenize"]) => predict("/detokenize"),
        ("POST", ["pooling"]) => predict("/pooling"),
        ("POST", ["classify"]) => predict("/classify"),
        ("POST", ["v2", "rerank"]) => predict("/v2/rerank"),
        ("POST" | "GET", ["sleep"] | ["wake_up"] | ["is_sleeping"] | ["pause"] | ["resume"]) => admin("/sleep"),
        ("POST", ["collective_rpc"]) => admin("/collective_rpc"),
        ("POST", ["reset_prefix_cache"] | ["reset_mm_cache"]) => admin("/reset_prefix_cache"),
        ("POST", ["update_weights"]) => admin("/update_weights"),
        ("POST", ["start_profile"] | ["stop_profile"]) => admin("/start_profile"),
        ("POST", ["scale_elastic_ep"]) => admin("/scale_elastic_ep"),
        // llama.cpp.
        ("POST", ["completion"]) => predict("/completion"),
        ("POST", ["embedding"]) => predict("/embedding"),
        ("POST", ["infill"]) => predict("/infill"),
        ("POST", ["apply-template"]) => predict("/apply-template"),
        ("POST", ["models"]) => deploy("/models", ModelUse::IN_JSON),
        ("DELETE", ["models"]) => deploy("/models", ModelUse::Every),
        ("GET", ["models", "sse"]) => Some(Route::new("/models/sse", Permission::READ, ModelUse::Every)),
        ("POST", ["models", "load"]) => deploy("/models/load", ModelUse::IN_JSON),
        ("POST", ["models", "unload"]) => deploy("/models/unload", ModelUse::IN_JSON),
        ("GET" | "POST", ["lora-adapters"]) => deploy("/lora-adapters", ModelUse::Every),
        ("POST", ["props"]) => admin("/props"),
        ("GET" | "POST", ["slots", ..]) => admin("/slots"),
        // TGI: the adapter is in `parameters`, and `model` means nothing here.
        ("POST", ["generate"]) => Some(Route::new("/generate", Permission::PREDICT, ModelUse::Every)),
        ("POST", ["generate_stream"]) => Some(Route::new("/generate_stream", Permission::PREDICT, ModelUse::Every)),
        _ => None,
    }
}

/// Ollama's own API, below `/api`.
fn of_ollama<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    let in_json = |name, permission| Some(Route::new(name, permission, ModelUse::IN_JSON));
    let or_name = |name, permission| {
        Some(Route::new(name, permission, ModelUse::InBody(BodyModel::Json(JsonModel::ModelOrName))))
    };
    let listing = |name| Some(Route::new(name, Permission::READ, ModelUse::None).listing(Listing::Ollama));
    match (method, segments) {
        ("GET", ["version"]) => Some(Route::new("/api/version", Permission::READ, ModelUse::None)),
        ("GET", ["tags"]) => listing("/api/tags"),
        ("GET", ["ps"]) => listing("/api/ps"),
        ("POST", ["show"]) => or_name("/api/show", Permission::READ),
        ("POST", ["generate"]) => in_json("/api/generate", Permission::PREDICT),
        ("POST", ["chat"]) => in_json("/api/chat", Permission::PREDICT),
        ("POST", ["embed"]) => in_json("/api/embed", Permission::PREDICT),
        ("POST", ["embeddings"]) => in_json("/api/embeddings", Permission::PREDICT),
        ("POST", ["pull"]) => or_name("/api/pull", Permission::DEPLOY),
        ("POST", ["push"]) => or_name("/api/push", Permission::DEPLOY),
        ("DELETE", ["delete"]) => or_name("/api/delete", Permission::DEPLOY),
        // What it is made from is another model.
        ("POST", ["create"]) => Some(Route::new("/api/create", Permission::DEPLOY, ModelUse::Every)),
        ("POST", ["copy"]) => Some(Route::new("/api/copy", Permission::DEPLOY, ModelUse::Every)),
        ("HEAD" | "POST", ["blobs", _]) => Some(Route::new("/api/blobs", Permission::DEPLOY, ModelUse::Every)),
        _ => None,
    }
}

/// A model's name is often that of a repository: `meta-llama/Llama-3`.
fn joined<'a>(segments: &[&'a str]) -> Option<ModelUse<'a>> {
    match segments {
        [name] => ModelUse::named(name),
        [] => None,
        _ => {
            let parts = segments.iter().map(|part| path::decode(part).filter(|part| !part.is_empty()));
            let parts = parts.collect::<Option<Vec<_>>>()?;
            Some(ModelUse::One(Cow::Owned(parts.join("/"))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::protocol::tests::check;

    #[test]
    fn table() {
        let rows = [
            ("GET", "/v1/models", Some(("read", "-"))),
            ("GET", "/v1/models/gpt", Some(("read", "gpt"))),
            ("GET", "/v1/models/meta-llama/Llama-3", Some(("read", "meta-llama/Llama-3"))),
            ("GET", "/v1/models/", None),
            ("DELETE", "/v1/models/ft:gpt", Some(("admin", "ft:gpt"))),
            ("POST", "/v1/chat/completions", Some(("predict", "in JSON"))),
            ("POST", "/chat/completions", Some(("predict", "in JSON"))),
            ("POST", "/v1/completions", Some(("predict", "in JSON"))),
            ("POST", "/v1/responses", Some(("predict", "in JSON"))),
            ("POST", "/v1/responses/compact", Some(("predict", "in JSON"))),
            ("POST", "/v1/realtime/client_secrets", None),
            ("GET", "/v1/responses/resp_1", Some(("predict", "*"))),
            ("POST", "/v1/responses/resp_1/cancel", Some(("predict", "*"))),
            ("POST", "/v1/embeddings", Some(("predict", "in JSON"))),
            ("POST", "/v1/messages", Some(("predict", "in JSON"))),
            ("POST", "/v1/audio/transcriptions", Some(("predict", "in multipart"))),
            ("POST", "/v1/images/edits", Some(("predict", "in multipart"))),
            ("POST", "/v1/videos", Some(("predict", "in multipart"))),
            ("GET", "/v1/videos/video_1/content", Some(("predict", "*"))),
            ("GET", "/v1/audio/transcriptions", None),
            ("GET", "/v1/chat/completions", None),
            ("POST", "/v1/chat/completions/", None),
            ("POST", "/V1/chat/completions", None),
            ("GET", "/v1/realtime", None),
            (WEBSOCKET, "/v1/realtime", Some(("predict", "in session model"))),
            (WEBSOCKET, "/v1/chat/completions", None),
            (WEBSOCKET, "/v1/responses/resp_1", None),
            ("POST", "/v1/batches", Some(("predict", "*"))),
            ("POST", "/v1/fine_tuning/jobs", Some(("fine-tune", "in JSON"))),
            ("GET", "/v1/fine_tuning/jobs/ft-1", Some(("fine-tune", "*"))),
            ("POST", "/v1/fine_tuning/checkpoints/c/permissions", Some(("admin", "*"))),
            ("POST", "/v1/files", Some(("fine-tune", "*"))),
            ("POST", "/v1/load_lora_adapter", Some(("deploy", "*"))),
            ("GET", "/health", Some(("public", "-"))),
            ("GET", "/version", Some(("read", "-"))),
            ("POST", "/tokenize", Some(("predict", "in JSON"))),
            ("POST", "/collective_rpc", Some(("admin", "*"))),
            ("POST", "/v1/responses/input_tokens", Some(("predict", "in JSON"))),
            ("POST", "/chat/completions/input_tokens", Some(("predict", "in JSON"))),
            ("POST", "/reranking", Some(("predict", "in JSON"))),
            ("POST", "/v1/chat/completions/control", Some(("predict", "*"))),
            ("GET", "/v1/stream", Some(("predict", "*"))),
            ("GET", "/stream", None),
            ("POST", "/v1/streams/lookup", Some(("predict", "*"))),
            ("POST", "/models", Some(("deploy", "in JSON"))),
            ("DELETE", "/models", Some(("deploy", "*"))),
            ("GET", "/models/sse", Some(("read", "*"))),
            ("POST", "/models/load", Some(("deploy", "in JSON"))),
            ("POST", "/slots/0", Some(("admin", "*"))),
            ("POST", "/generate", Some(("predict", "*"))),
            ("POST", "/generate_stream", Some(("predict", "*"))),
            ("POST", "/invocations", None),
            ("POST", "/tools", None),
            ("GET", "/cors-proxy", None),
            ("GET", "/metrics", None),
            ("GET", "/", None),
            ("POST", "/", None),
            ("GET", "/api/tags", Some(("read", "-"))),
            ("POST", "/api/show", Some(("read", "in JSON or name"))),
            ("POST", "/api/chat", Some(("predict", "in JSON"))),
            ("POST", "/api/pull", Some(("deploy", "in JSON or name"))),
            ("DELETE", "/api/delete", Some(("deploy", "in JSON or name"))),
            ("POST", "/api/copy", Some(("deploy", "*"))),
            ("POST", "/api/unknown", None),
        ];
        check(route, &rows);
    }
}

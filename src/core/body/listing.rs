//! Lists of models, cut down to what the caller may use.

use serde_json::{Map, Value};

use super::rpc_listing;
use crate::core::permission::Permission;

/// Which list an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// OpenAI's `GET /v1/models`: `data[].id`, and llama.cpp's `models[].model` beside it.
    OpenAi,
    /// Ollama's `GET /api/tags` and `/api/ps`: `models[].model`, `models[].name`.
    Ollama,
    /// Open Inference's `POST /v2/repository/index`: an array of `{name, …}`; KServe's `GET /v1/models` and
    /// `/v2/models`: `models[]`, plain names.
    OpenInference,
    /// TorchServe's `GET /models`: `models[].modelName`.
    TorchServe,
    /// MCP's `tools/list`: the ones that the caller may execute.
    McpTools,
    /// MCP's `prompts/list`.
    McpPrompts,
    /// MCP's `resources/list`.
    McpResources,
    /// MCP's `resources/templates/list`, by the template as it is written.
    McpTemplates,
    /// A2A's card of an agent: no list, but it says where the agent is.
    AgentCard,
}

impl Listing {
    /// The lists in the answer, each with the members that name a model; none: an entry is itself the name. An entry is
    /// shown if each of these that it has may be; one that has none is not.
    fn lists(self) -> &'static [(&'static str, &'static [&'static str])] {
        match self {
            Self::OpenAi => &[("data", &["id"]), ("models", &["model", "name"])],
            Self::Ollama => &[("models", &["model", "name"])],
            Self::OpenInference => &[("models", &[])],
            Self::TorchServe => &[("models", &["modelName"])],
            Self::McpTools => &[("tools", &["name"])],
            Self::McpPrompts => &[("prompts", &["name"])],
            Self::McpResources => &[("resources", &["uri"])],
            Self::McpTemplates => &[("resourceTemplates", &["uriTemplate"])],
            Self::AgentCard => &[],
        }
    }

    /// The permission that a caller needs of what it is shown; `None`: any.
    pub fn permission(self) -> Option<&'static str> {
        match self {
            Self::McpTools => Some(Permission::EXECUTE),
            Self::McpPrompts | Self::McpResources | Self::McpTemplates => Some(Permission::READ),
            Self::OpenAi | Self::Ollama | Self::OpenInference | Self::TorchServe | Self::AgentCard => None,
        }
    }

    /// Whether it is the result of a JSON-RPC message, which may also come as an event.
    fn is_rpc(self) -> bool {
        matches!(self, Self::McpTools | Self::McpPrompts | Self::McpResources | Self::McpTemplates)
    }

    /// The answer without the models that `may` is false for; none where it is no such list. Whatever else may hold
    /// names is left out.
    #[must_use]
    pub fn cut(self, answer: &[u8], may: impl Fn(&str) -> bool) -> Option<Vec<u8>> {
        if self.is_rpc() {
            return rpc_listing::cut(answer, self.lists(), &may);
        }
        let cut = match serde_json::from_slice(answer).ok()? {
            Value::Object(answer) => Value::Object(self.cut_object(answer, &may)?),
            // Only the index of Open Inference is an array.
            Value::Array(mut entries) if self == Self::OpenInference => {
                entries.retain(|entry| is_shown(entry, &["name"], &may));
                Value::Array(entries)
            }
            _ => return None,
        };
        serde_json::to_vec(&cut).ok()
    }

    fn cut_object(self, mut answer: Map<String, Value>, may: &dyn Fn(&str) -> bool) -> Option<Map<String, Value>> {
        answer.retain(|name, value| {
            let is_list = self.lists().iter().any(|(list, _)| list == name);
            // `first_id` and `last_id` are models too.
            is_list || name == "object" || value.is_boolean() || value.is_number() || is_page(name, value)
        });
        for (list, names) in self.lists() {
            match answer.get_mut(*list) {
                Some(Value::Array(entries)) => entries.retain(|entry| is_shown(entry, names, may)),
                Some(Value::Null) | None => {}
                Some(_) => return None,
            }
        }
        Some(answer)
    }
}

/// Where TorchServe's next page begins, counted: no name.
fn is_page(name: &str, value: &Value) -> bool {
    let is_count = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name == "nextPageToken" && value.as_str().is_some_and(is_count)
}

/// Whether an entry may be shown: each of the members `names` that it has names what may be, and it has one.
pub(super) fn is_shown(entry: &Value, names: &[&str], may: &dyn Fn(&str) -> bool) -> bool {
    if names.is_empty() {
        return entry.as_str().is_some_and(may);
    }
    let mut named = names.iter().filter_map(|name| entry.get(name)).peekable();
    named.peek().is_some() && named.all(|name| name.as_str().is_some_and(may))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cut(listing: Listing, answer: &Value) -> Option<Value> {
        let answer = listing.cut(answer.to_string().as_bytes(), |name| name.starts_with("ours"))?;
        serde_json::from_slice(&answer).ok()
    }

    #[test]
    fn only_what_may_be_used_is_shown() {
        let openai = json!({"object": "list", "has_more": false, "first_id": "theirs", "extra": ["theirs"], "data": [
            {"id": "ours-1", "owned_by": "us"}, {"id": "theirs"}, {"id": 7}, {"name": "ours"}, "ours"],
            "models": [{"name": "ours", "model": "theirs"}, {"name": "ours", "model": "ours"}]});
        assert_eq!(
            cut(Listing::OpenAi, &openai),
            Some(json!({"object": "list", "has_more": false, "data": [{"id": "ours-1", "owned_by": "us"}],
                "models": [{"name": "ours", "model": "ours"}]}))
        );
        let ollama = json!({"models": [{"name": "ours:1", "model": "ours:1"}, {"name": "theirs"}]});
        assert_eq!(cut(Listing::Ollama, &ollama), Some(json!({"models": [{"name": "ours:1", "model": "ours:1"}]})));
        let index = json!([{"name": "ours", "version": "1", "state": "READY", "reason": ""}, {"name": "theirs"}, "ours",
            {"state": "READY"}, ["ours"]]);
        let shown = json!([{"name": "ours", "version": "1", "state": "READY", "reason": ""}]);
        assert_eq!(cut(Listing::OpenInference, &index), Some(shown));
        let kserve = json!({"models": ["ours", "theirs", {"name": "ours"}, 7], "next": "theirs"});
        assert_eq!(cut(Listing::OpenInference, &kserve), Some(json!({"models": ["ours"]})));
        for (page, shown) in [("3", true), ("theirs", false), ("", false)] {
            let models = json!({"nextPageToken": page, "models": [{"modelName": "ours", "modelUrl": "o"}, {"modelName": "theirs"}]});
            let mut expected = json!({"models": [{"modelName": "ours", "modelUrl": "o"}]});
            if shown {
                expected["nextPageToken"] = json!(page);
            }
            assert_eq!(cut(Listing::TorchServe, &models), Some(expected));
        }
    }

    #[test]
    fn what_is_no_list_is_not_shown() {
        for answer in ["[]", "no JSON", r#"{"data":{"id":"theirs"}}"#, r#"{"data":"theirs"}"#] {
            assert_eq!(Listing::OpenAi.cut(answer.as_bytes(), |_| true), None, "{answer}");
        }
        for answer in ["null", r#""theirs""#, "7", r#"{"models":{"theirs":{}}}"#, r#"{"models":"theirs"}"#] {
            assert_eq!(Listing::OpenInference.cut(answer.as_bytes(), |_| true), None, "{answer}");
        }
    }
}

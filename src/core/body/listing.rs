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

/// How a list's entries name their models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// An object: by these members, each of which that is there has to be shown.
    Members(&'static [&'static str]),
    /// By being the name.
    Plain,
}

impl Listing {
    /// The lists in an answer that is an object, or in its result.
    fn lists(self) -> &'static [(&'static str, Entry)] {
        match self {
            Self::OpenAi => &[("data", Entry::Members(&["id"])), ("models", Entry::Members(&["model", "name"]))],
            Self::Ollama => &[("models", Entry::Members(&["model", "name"]))],
            Self::OpenInference => &[("models", Entry::Plain)],
            Self::TorchServe => &[("models", Entry::Members(&["modelName"]))],
            Self::McpTools => &[("tools", Entry::Members(&["name"]))],
            Self::McpPrompts => &[("prompts", Entry::Members(&["name"]))],
            Self::McpResources => &[("resources", Entry::Members(&["uri"]))],
            Self::McpTemplates => &[("resourceTemplates", Entry::Members(&["uriTemplate"]))],
            Self::AgentCard => &[],
        }
    }

    /// The entries of an answer that is an array.
    fn of_array(self) -> Option<Entry> {
        match self {
            Self::OpenInference => Some(Entry::Members(&["name"])),
            _ => None,
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
            Value::Array(mut entries) => {
                let entry = self.of_array()?;
                entries.retain(|found| entry.is_shown(found, &may));
                Value::Array(entries)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
        };
        serde_json::to_vec(&cut).ok()
    }

    fn cut_object(self, mut answer: Map<String, Value>, may: &dyn Fn(&str) -> bool) -> Option<Map<String, Value>> {
        answer.retain(|name, value| {
            let is_list = self.lists().iter().any(|(list, _)| list == name);
            // `first_id` and `last_id` are models too. TorchServe's next page is a number in a text.
            is_list || name == "object" || value.is_boolean() || value.is_number() || is_page(name, value)
        });
        for (list, entry) in self.lists() {
            match answer.get_mut(*list) {
                Some(Value::Array(entries)) => entries.retain(|found| entry.is_shown(found, may)),
                Some(Value::Null) | None => {}
                Some(_) => return None,
            }
        }
        Some(answer)
    }
}

/// Where the next page begins, counted: no name.
fn is_page(name: &str, value: &Value) -> bool {
    let is_count = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name == "nextPageToken" && value.as_str().is_some_and(is_count)
}

impl Entry {
    /// An entry that names no model is not shown.
    pub(super) fn is_shown(self, entry: &Value, may: &dyn Fn(&str) -> bool) -> bool {
        match self {
            Self::Plain => entry.as_str().is_some_and(may),
            Self::Members(names) => {
                let mut named = names.iter().filter_map(|name| entry.get(name)).peekable();
                named.peek().is_some() && named.all(|name| name.as_str().is_some_and(may))
            }
        }
    }
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

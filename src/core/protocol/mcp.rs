//! The Model Context Protocol over HTTP: the stateless one of 2026-07-28 and the sessions of the eras before.
//!
//! One path takes every message, so the method is in the body. What a grant calls models are here the names of tools and
//! prompts, and the URIs of resources.

use std::borrow::Cow;

use super::{Dialect, ModelUse, Route};
use crate::core::{
    body::{
        listing::Listing,
        rpc::{Message, RpcError},
    },
    permission::Permission,
};

/// What the table can ask for.
pub const PERMISSIONS: &[&str] = &[Permission::READ, Permission::EXECUTE];

/// Looks up `segments`, the path split at its slashes: the root, or whatever ends in `mcp`.
pub fn route<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    let ([.., "mcp"] | [.., "mcp", ""] | [""]) = segments else { return None };
    match method {
        "POST" => Some(Route::in_body("MCP", Dialect::Mcp)),
        // The stream of a session, and its end.
        "GET" => Some(Route::new("MCP stream", Permission::READ, ModelUse::None)),
        "DELETE" => Some(Route::new("MCP session", Permission::READ, ModelUse::None)),
        _ => None,
    }
}

/// What a message asks for; `None`: nothing that there is.
pub fn call<'a>(message: &Message<'a>) -> Result<Option<Route<'a>>, RpcError> {
    let read = |name, models| Ok(Some(Route::new(name, Permission::READ, models)));
    let list = |name, listing| Ok(Some(Route::new(name, Permission::READ, ModelUse::None).listing(listing)));
    let Some(method) = &message.method else { return read("answer", ModelUse::None) };
    match &**method {
        "tools/call" => Ok(Some(Route::new("tools/call", Permission::EXECUTE, ModelUse::One(message.param("name")?)))),
        "tools/list" => list("tools/list", Listing::McpTools),
        "prompts/list" => list("prompts/list", Listing::McpPrompts),
        "resources/list" => list("resources/list", Listing::McpResources),
        "resources/templates/list" => list("resources/templates/list", Listing::McpTemplates),
        "prompts/get" => read("prompts/get", ModelUse::One(message.param("name")?)),
        "resources/read" => read("resources/read", ModelUse::One(message.param("uri")?)),
        "resources/subscribe" => read("resources/subscribe", ModelUse::One(message.param("uri")?)),
        "resources/unsubscribe" => read("resources/unsubscribe", ModelUse::One(message.param("uri")?)),
        "completion/complete" => read("completion/complete", ModelUse::One(completed(message)?)),
        // What it hears of are changes of lists and resources, whichever they are.
        "subscriptions/listen" => read("subscriptions/listen", ModelUse::Every),
        "server/discover" => read("server/discover", ModelUse::None),
        "initialize" => read("initialize", ModelUse::None),
        "ping" => read("ping", ModelUse::None),
        other if other.starts_with("notifications/") => read("notifications", ModelUse::None),
        _ => Ok(None),
    }
}

/// What a message must say in `Mcp-Name` too (2026-07-28); `None`: its method names nothing.
pub fn named<'a>(message: &Message<'a>) -> Result<Option<Cow<'a, str>>, RpcError> {
    match message.method.as_deref() {
        Some("tools/call" | "prompts/get") => message.param("name").map(Some),
        Some("resources/read") => message.param("uri").map(Some),
        _ => Ok(None),
    }
}

/// `ref` is `{"type": "ref/prompt", "name": …}` or `{"type": "ref/resource", "uri": …}`.
fn completed<'a>(message: &Message<'a>) -> Result<Cow<'a, str>, RpcError> {
    one(message.inner("ref")?.params(["name", "uri"])?)
}

/// The one of two names that a message has; both may be there if they are the same.
fn one<'a>(names: [Option<Cow<'a, str>>; 2]) -> Result<Cow<'a, str>, RpcError> {
    match names.map(|name| name.filter(|name| !name.is_empty())) {
        [Some(one), Some(other)] if one != other => Err(RpcError::TwoNames),
        [Some(one), _] | [None, Some(one)] => Ok(one),
        [None, None] => Err(RpcError::NameMissing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{
        body::rpc,
        protocol::tests::{check, words},
    };

    #[test]
    fn table() {
        let rows = [
            ("POST", "/mcp", Some(("MCP", "-"))),
            ("POST", "/", Some(("MCP", "-"))),
            ("POST", "/mcp/", Some(("MCP", "-"))),
            ("POST", "/public/mcp", Some(("MCP", "-"))),
            ("GET", "/mcp", Some(("read", "-"))),
            ("DELETE", "/mcp", Some(("read", "-"))),
            ("PUT", "/mcp", None),
            ("POST", "/MCP", None),
            ("POST", "/mcp/x", None),
            ("POST", "/admin", None),
            ("GET", "/.well-known/oauth-protected-resource", None),
        ];
        check(route, &rows);
    }

    #[test]
    fn methods() {
        for (method, params, expected) in [
            ("initialize", "{}", Some(("read", "-"))),
            ("ping", "{}", Some(("read", "-"))),
            ("server/discover", "{}", Some(("read", "-"))),
            ("notifications/initialized", "{}", Some(("read", "-"))),
            ("tools/list", "{}", Some(("read", "-"))),
            ("tools/call", r#"{"name":"search","arguments":{"name":"x"}}"#, Some(("execute", "search"))),
            ("prompts/get", r#"{"name":"greet"}"#, Some(("read", "greet"))),
            ("resources/read", r#"{"uri":"file:///a"}"#, Some(("read", "file:///a"))),
            ("completion/complete", r#"{"ref":{"type":"ref/prompt","name":"greet"}}"#, Some(("read", "greet"))),
            ("completion/complete", r#"{"ref":{"type":"ref/resource","uri":"a://b"}}"#, Some(("read", "a://b"))),
            ("subscriptions/listen", "{}", Some(("read", "*"))),
            ("tools/delete", "{}", None),
            ("Tools/call", r#"{"name":"search"}"#, None),
            ("logging/setLevel", "{}", None),
            ("tasks/cancel", "{}", None),
        ] {
            let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
            let route =
                rpc::message(body.as_bytes()).and_then(|message| Ok(call(&message)?.map(|route| words(&route))));
            assert_eq!(route, Ok(expected.map(|(need, models)| (need.to_owned(), models.to_owned()))), "{body}");
        }
    }

    #[test]
    fn what_a_method_is_for_must_be_named_once() {
        for (method, params, error) in [
            ("tools/call", "{}", RpcError::NameMissing),
            ("tools/call", "null", RpcError::NameMissing),
            ("resources/read", r#"{"name":"x"}"#, RpcError::NameMissing),
            ("completion/complete", r#"{"ref":{}}"#, RpcError::NameMissing),
            ("completion/complete", r#"{"ref":{"name":"a","uri":"b"}}"#, RpcError::TwoNames),
        ] {
            let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
            let found = rpc::message(body.as_bytes()).and_then(|message| call(&message).map(drop));
            assert_eq!(found, Err(error), "{body}");
        }
    }
}

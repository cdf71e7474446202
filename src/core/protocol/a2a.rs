//! Agent2Agent 1.0 over JSON-RPC, REST and gRPC, and the JSON-RPC methods of 0.3.
//!
//! A task is known by its id, whoever began it, so a grant that is narrowed to models covers none of this.

use super::{Dialect, Messages, ModelUse, Route, Wire};
use crate::core::{
    body::{listing::Listing, rpc::Message},
    permission::Permission,
};

/// What the table can ask for.
pub const PERMISSIONS: &[&str] = &[Permission::READ, Permission::EXECUTE];

/// Looks up `segments`, the path split at its slashes: gRPC, the card, the root or whatever ends in `a2a` for JSON-RPC,
/// else REST, also below `/v1` and a tenant.
pub fn route<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    match (method, segments) {
        ("POST", ["lf.a2a.v1.A2AService", rpc]) => Some(of_method(rpc)?.over(Wire::Grpc(Messages::One))),
        ("GET", [".well-known", "agent-card.json" | "agent.json"]) => {
            Some(Route::public("/.well-known/agent-card.json").listing(Listing::AgentCard))
        }
        ("POST", [.., "a2a"] | [.., "a2a", ""] | [""]) => Some(Route::in_body("A2A", Dialect::A2a)),
        (_, ["v1", rest @ ..]) => rest_route(method, rest),
        (_, [tenant, rest @ ..]) => {
            rest_route(method, segments).or_else(|| if is_tenant(tenant) { rest_route(method, rest) } else { None })
        }
        _ => None,
    }
}

/// What a message asks for; `None`: nothing that there is.
pub fn call<'a>(message: &Message<'a>) -> Option<Route<'a>> {
    of_method(message.method.as_deref()?)
}

/// A method by its name: of 1.0 in JSON-RPC and gRPC alike, of 0.3 in JSON-RPC.
fn of_method<'a>(name: &str) -> Option<Route<'a>> {
    let (name, permission) = match name {
        "SendMessage" | "message/send" => ("SendMessage", Permission::EXECUTE),
        "SendStreamingMessage" | "message/stream" => ("SendStreamingMessage", Permission::EXECUTE),
        "CancelTask" | "tasks/cancel" => ("CancelTask", Permission::EXECUTE),
        "CreateTaskPushNotificationConfig" | "tasks/pushNotificationConfig/set" => {
            ("CreateTaskPushNotificationConfig", Permission::EXECUTE)
        }
        "DeleteTaskPushNotificationConfig" | "tasks/pushNotificationConfig/delete" => {
            ("DeleteTaskPushNotificationConfig", Permission::EXECUTE)
        }
        "GetTask" | "tasks/get" => ("GetTask", Permission::READ),
        "ListTasks" | "tasks/list" => ("ListTasks", Permission::READ),
        "SubscribeToTask" | "tasks/resubscribe" => ("SubscribeToTask", Permission::READ),
        "GetTaskPushNotificationConfig" | "tasks/pushNotificationConfig/get" => {
            ("GetTaskPushNotificationConfig", Permission::READ)
        }
        "ListTaskPushNotificationConfigs" | "tasks/pushNotificationConfig/list" => {
            ("ListTaskPushNotificationConfigs", Permission::READ)
        }
        "GetExtendedAgentCard" | "agent/getAuthenticatedExtendedCard" => ("GetExtendedAgentCard", Permission::READ),
        _ => return None,
    };
    Some(Route::new(name, permission, ModelUse::Every))
}

fn rest_route<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    let name = match (method, segments) {
        ("POST", ["message:send"]) => "SendMessage",
        ("POST", ["message:stream"]) => "SendStreamingMessage",
        ("GET", ["tasks"]) => "ListTasks",
        ("GET", ["extendedAgentCard"]) => "GetExtendedAgentCard",
        ("GET", ["tasks", _, "pushNotificationConfigs"]) => "ListTaskPushNotificationConfigs",
        ("POST", ["tasks", _, "pushNotificationConfigs"]) => "CreateTaskPushNotificationConfig",
        ("GET", ["tasks", _, "pushNotificationConfigs", _]) => "GetTaskPushNotificationConfig",
        ("DELETE", ["tasks", _, "pushNotificationConfigs", _]) => "DeleteTaskPushNotificationConfig",
        ("GET" | "POST", ["tasks", task]) => match (method, task.split_once(':')) {
            ("POST", Some((id, "cancel"))) if !id.is_empty() => "CancelTask",
            (_, Some((id, "subscribe"))) if !id.is_empty() => "SubscribeToTask",
            ("GET", None) if !task.is_empty() => "GetTask",
            _ => return None,
        },
        _ => return None,
    };
    of_method(name)
}

/// A tenant's name hides no route of its own.
fn is_tenant(segment: &str) -> bool {
    !segment.is_empty() && !segment.contains(':') && !matches!(segment, "tasks" | ".well-known")
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
            ("GET", "/.well-known/agent-card.json", Some(("public", "-"))),
            ("POST", "/", Some(("A2A", "-"))),
            ("POST", "/a2a", Some(("A2A", "-"))),
            ("POST", "/agents/x/a2a", Some(("A2A", "-"))),
            ("POST", "/x", None),
            ("GET", "/", None),
            ("POST", "/message:send", Some(("execute", "*"))),
            ("POST", "/v1/message:stream", Some(("execute", "*"))),
            ("POST", "/acme/message:send", Some(("execute", "*"))),
            ("POST", "/a/b/message:send", None),
            ("POST", "/tasks/message:send", None),
            ("GET", "/message:send", None),
            ("GET", "/tasks", Some(("read", "*"))),
            ("GET", "/tasks/1", Some(("read", "*"))),
            ("POST", "/tasks/1:cancel", Some(("execute", "*"))),
            ("GET", "/tasks/1:cancel", None),
            ("GET", "/tasks/1:subscribe", Some(("read", "*"))),
            ("POST", "/tasks/1:subscribe", Some(("read", "*"))),
            ("POST", "/tasks/:cancel", None),
            ("POST", "/tasks/1", None),
            ("POST", "/tasks/1/pushNotificationConfigs", Some(("execute", "*"))),
            ("GET", "/tasks/1/pushNotificationConfigs/2", Some(("read", "*"))),
            ("DELETE", "/tasks/1/pushNotificationConfigs/2", Some(("execute", "*"))),
            ("GET", "/extendedAgentCard", Some(("read", "*"))),
            ("POST", "/lf.a2a.v1.A2AService/SendMessage", Some(("execute", "*"))),
            ("POST", "/lf.a2a.v1.A2AService/GetTask", Some(("read", "*"))),
            ("POST", "/lf.a2a.v1.A2AService/Other", None),
            ("GET", "/docs", None),
        ];
        check(route, &rows);
        let grpc = route("POST", &["lf.a2a.v1.A2AService", "GetTask"]);
        assert_eq!(grpc.map(|route| route.wire), Some(Wire::Grpc(Messages::One)));
    }

    #[test]
    fn methods() {
        for (method, expected) in [
            ("SendMessage", Some("execute")),
            ("message/stream", Some("execute")),
            ("tasks/pushNotificationConfig/set", Some("execute")),
            ("tasks/cancel", Some("execute")),
            ("GetTask", Some("read")),
            ("tasks/resubscribe", Some("read")),
            ("agent/getAuthenticatedExtendedCard", Some("read")),
            ("sendMessage", None),
            ("admin/reset", None),
        ] {
            let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{}}}}"#);
            let Ok(message) = rpc::message(body.as_bytes()) else { panic!("{body}") };
            let expected = expected.map(|need| (need.to_owned(), "*".to_owned()));
            assert_eq!(call(&message).map(|route| words(&route)), expected, "{method}");
        }
    }
}

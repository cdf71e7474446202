//! The Model Context Protocol over HTTP: the stateless one of 2026-07-28 and the sessions of the eras before.
//!
//! One path of the owner's choice takes every message, so the method is in the body (`core/body/rpc`). What a grant calls
//! models are here the names of tools and prompts, and the URIs of resources.

use super::{Dialect, ModelUse, Route};
use crate::core::permission::Permission;

/// What the table can ask for.
pub const PERMISSIONS: &[&str] = &[Permission::READ, Permission::EXECUTE];

/// Looks up `segments`, the path split at its slashes. Any path may be the endpoint: which one is, the server says.
pub fn route<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    // Metadata of the server's own would name another authorization server.
    if segments.first() == Some(&".well-known") {
        return None;
    }
    match method {
        "POST" => Some(Route::in_body("MCP", Dialect::Mcp)),
        // The stream of a session, and its end.
        "GET" => Some(Route::new("MCP stream", Permission::READ, ModelUse::None)),
        "DELETE" => Some(Route::new("MCP session", Permission::READ, ModelUse::None)),
        _ => None,
    }
}

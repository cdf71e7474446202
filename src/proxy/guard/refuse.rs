//! How a guard says no: to a stranger little, to a known caller what is missing
//! and whom to ask.

use http::StatusCode;

use crate::{
    core::{
        body::grpc::FrameError,
        name::{Ref, permission_scope},
        policy::{compiled::CompiledPolicy, decide::Denial},
        protocol::ModelUse,
    },
    proxy::{
        http::{
            answer::Refusal,
            collect::{CollectError, MAX_REQUEST},
            connect::ConnectError,
            pool::UpstreamError,
        },
        tokens::{claims::Principal, compact::CompactError, verify::VerifyError},
    },
};

/// 503 while there is no policy.
pub fn no_policy() -> Refusal {
    Refusal::unavailable("policy_missing", "The guard has not received its policy yet; try again shortly.")
}

/// 503: the port is bound, but the policy does not name it.
pub fn port_not_served() -> Refusal {
    Refusal::unavailable("port_not_served", "The endpoint's policy does not serve this port.")
}

/// 403 to everybody: the endpoint was deleted.
pub fn deleted() -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, "access_denied", "endpoint_deleted", "This endpoint has been deleted.")
}

/// 401 without an `error`, as RFC 6750 §3.1 wants it where no token was sent.
pub fn no_token(policy: &CompiledPolicy) -> Refusal {
    let message = "This endpoint needs a bearer token in the Authorization header.";
    Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", "token_missing", message)
        .challenge(&format!("Bearer realm=\"{}\"", policy.audience))
}

/// 401. Which check failed is in the audit record, not in the answer.
pub fn bad_token(policy: &CompiledPolicy) -> Refusal {
    let message = "The bearer token is not valid for this endpoint.";
    Refusal::new(StatusCode::UNAUTHORIZED, "invalid_token", "token_invalid", message)
        .challenge(&format!("Bearer realm=\"{}\", error=\"invalid_token\"", policy.audience))
}

/// The answer to a token that was not taken.
pub fn token(policy: &CompiledPolicy, error: &VerifyError) -> Refusal {
    match error {
        VerifyError::NoKeys => {
            Refusal::unavailable("keys_missing", "The guard has not received its issuer's keys yet; try again shortly.")
        }
        VerifyError::KeysStale => Refusal::unavailable(
            "keys_stale",
            "The guard could not renew its issuer's keys for a day; its owner must look.",
        ),
        // Not a bearer token at all (Basic, say): as if none had been sent.
        VerifyError::Compact(CompactError::NotBearer) => no_token(policy),
        _ => bad_token(policy),
    }
}

/// 403: the route is in no table.
pub fn unknown_route(policy: &CompiledPolicy) -> Refusal {
    let message = format!(
        "Endpoint {} has no such route; its owner may open it with a rule in the ModelEndpoint.",
        policy.endpoint
    );
    insufficient(policy, None, "unknown_route", message)
}

/// 403: what the call asks for is in its body, and the caller may do nothing here.
pub fn nothing_granted(policy: &CompiledPolicy, principal: &Principal) -> Refusal {
    let (client, endpoint) = (&principal.client, &policy.endpoint);
    let message = format!("Client {client} may do nothing on endpoint {endpoint}; {}.", ask(endpoint));
    insufficient(policy, None, Denial::NoGrant.into(), message)
}

/// 403: the route is known, the caller is known, the right is missing.
pub fn denied(
    policy: &CompiledPolicy,
    denial: Denial,
    principal: &Principal,
    permission: &str,
    models: &ModelUse<'_>,
) -> Refusal {
    let (client, endpoint) = (&principal.client, &policy.endpoint);
    let ask = ask(endpoint);
    let model = match models {
        ModelUse::One(name) => format!("model {name:?}"),
        ModelUse::Every | ModelUse::InBody(_) | ModelUse::InQuery(_) | ModelUse::None => "every model".to_owned(),
    };
    let message = match denial {
        Denial::NoGrant | Denial::PermissionNotGranted => {
            format!("Client {client} holds no grant of {permission:?} on endpoint {endpoint}; {ask}.")
        }
        Denial::GrantExpired => {
            format!("The grant of {permission:?} on endpoint {endpoint} to client {client} has expired; {ask}.")
        }
        Denial::ModelNotGranted | Denial::EveryModelNotGranted => format!(
            "Client {client} holds no grant of {permission:?} on {model} of endpoint {endpoint}, only on others; {ask}."
        ),
        Denial::ModelNotServed => format!("Endpoint {endpoint} does not serve {model}."),
        Denial::RoleMissing => format!(
            "The token of client {client} lacks the role {permission:?} of endpoint {endpoint}, which is granted; \
             fetch a new token with the scope named in WWW-Authenticate."
        ),
    };
    insufficient(policy, Some(permission), denial.into(), message)
}

fn ask(endpoint: &Ref) -> String {
    format!("ask its owner for an AccessGrant in namespace {:?}", endpoint.namespace)
}

/// RFC 6750 §3.1 `insufficient_scope`, with the scope that would do.
fn insufficient(policy: &CompiledPolicy, permission: Option<&str>, reason: &'static str, message: String) -> Refusal {
    let mut challenge = format!("Bearer realm=\"{}\", error=\"insufficient_scope\"", policy.audience);
    if let Some(permission) = permission {
        let scope = permission_scope(&policy.role_client, permission);
        challenge.push_str(&format!(", scope=\"{scope}\""));
    }
    Refusal::new(StatusCode::FORBIDDEN, "insufficient_scope", reason, message).challenge(&challenge)
}

/// 400: the body cannot be read, or has two readings.
pub fn body(reason: &'static str, error: &dyn std::error::Error) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "invalid_request", reason, format!("Refused: {error}."))
}

/// 400: the endpoint has more than one model, and the body names none.
pub fn no_model() -> Refusal {
    let message = "The request names no model; set the member \"model\" of its body.";
    Refusal::new(StatusCode::BAD_REQUEST, "invalid_request", "model_missing", message)
}

/// 400: the model is in the query, which names none.
pub fn no_model_in_query(parameter: &str) -> Refusal {
    let message = format!("The request names no model; set the parameter {parameter:?} of its query.");
    Refusal::new(StatusCode::BAD_REQUEST, "invalid_request", "model_missing", message)
}

/// 400: something in the head may choose another model than the body does.
pub fn model_in_head() -> Refusal {
    let message =
        "Refused: the query or a header may choose a model; name it in the member \"model\" of the body alone.";
    Refusal::ambiguous("model_in_head", message)
}

/// 415: the model is in the body, which has to be JSON.
pub fn content_type() -> Refusal {
    let message = "The guard reads the model from the body; send it with Content-Type: application/json.";
    Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request", "content_type", message).closing()
}

/// 415: the same, compressed.
pub fn content_encoding() -> Refusal {
    let message = "The guard reads the model from the body; send it without Content-Encoding.";
    Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request", "content_encoding", message).closing()
}

/// 400, 408 or 413: the body did not come as a whole.
pub fn collect(error: CollectError) -> Refusal {
    let (status, reason) = match error {
        CollectError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
        CollectError::TooSlow => (StatusCode::REQUEST_TIMEOUT, "body_too_slow"),
        CollectError::Broken => (StatusCode::BAD_REQUEST, "body_broken"),
    };
    let message = format!("Refused: {error}; the guard reads the model from it, {MAX_REQUEST} bytes at most.");
    Refusal::new(status, "invalid_request", reason, message).closing()
}

/// 400: the message of a gRPC call names no model.
pub fn no_model_in_message() -> Refusal {
    let message = "The message names no model; set the field that does.";
    Refusal::new(StatusCode::BAD_REQUEST, "invalid_request", "model_missing", message)
}

/// 400, 413 or 501: the message of a gRPC call cannot be read.
pub fn frame(error: FrameError) -> Refusal {
    let status = match error {
        FrameError::Compressed => StatusCode::NOT_IMPLEMENTED,
        FrameError::MessageTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        FrameError::InvalidFlag | FrameError::NotOneMessage => StatusCode::BAD_REQUEST,
    };
    Refusal::new(status, "invalid_request", error.into(), format!("Refused: {error}."))
}

/// 400: a websocket's handshake has a body.
pub fn handshake_with_body() -> Refusal {
    Refusal::ambiguous("handshake_body", "Refused: the handshake of a websocket has a body.")
}

/// 502: what should be a list of models is none that could be cut down to the caller's.
pub fn list() -> Refusal {
    let message = "The application's list of models could not be read, so it is not shown.";
    Refusal::new(StatusCode::BAD_GATEWAY, "upstream", "list_unreadable", message)
}

/// 502 or 504: the call was allowed, but the application did not answer.
pub fn upstream(error: UpstreamError, port: u16) -> Refusal {
    let place = format!("the application behind the guard (127.0.0.1:{port})");
    match error {
        UpstreamError::Connect(ConnectError::Timeout) => Refusal::new(
            StatusCode::GATEWAY_TIMEOUT,
            "upstream",
            "upstream_timeout",
            format!("Connecting to {place} took too long."),
        ),
        UpstreamError::Connect(_) => Refusal::new(
            StatusCode::BAD_GATEWAY,
            "upstream",
            "upstream_refused",
            format!("Nobody listens: {place} refuses connections."),
        ),
        UpstreamError::Broken => Refusal::new(
            StatusCode::BAD_GATEWAY,
            "upstream",
            "upstream_broken",
            format!("The connection broke before an answer came from {place}."),
        ),
    }
}

/// 504: the application took too long to begin its answer.
pub fn too_slow() -> Refusal {
    let message = "The application behind the guard took too long to begin its answer.";
    Refusal::new(StatusCode::GATEWAY_TIMEOUT, "upstream", "upstream_too_slow", message)
}

//! How a guard says no: to a stranger little, to a known caller what is missing
//! and whom to ask.

use http::StatusCode;

use crate::{
    core::{
        body::grpc::FrameError,
        name::{Ref, permission_scope},
        policy::{behalf, compiled::CompiledPolicy, decide::Denial},
        protocol::{ModelUse, Need, Route},
    },
    proxy::{
        handles::HandleError,
        http::{answer::Refusal, collect::CollectError, connect::ConnectError, pool::UpstreamError},
        tokens::{
            claims::ClaimError,
            compact::CompactError,
            principal::Principal,
            verify::{Trust, VerifyError},
        },
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

/// 503: the caller's token cannot be kept for the calls that the application makes on its bearer's behalf.
pub fn not_kept(error: HandleError) -> Refusal {
    Refusal::unavailable(error.into(), format!("The call does not go on: {error}; try again shortly."))
}

/// 403 to everybody: the endpoint was deleted.
pub fn deleted() -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, "access_denied", "endpoint_deleted", "This endpoint has been deleted.")
}

/// 401 without an `error`, as RFC 6750 §3.1 wants it where no token was sent.
pub fn no_token(policy: &CompiledPolicy, route: Option<&Route<'_>>) -> Refusal {
    let message = "This endpoint needs a bearer token in the Authorization header.";
    Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", "token_missing", message).challenge(&challenge(
        policy,
        None,
        needed(route),
    ))
}

/// 401. Which check failed is in the audit record, not in the answer.
pub fn bad_token(policy: &CompiledPolicy, route: Option<&Route<'_>>) -> Refusal {
    invalid(policy, route, "The bearer token is not valid for this endpoint.".to_owned())
}

/// 401 to a token that the issuer signed and that this guard's clock takes for too old or too new. Only the skew is told, and
/// only where it is the likely cause.
fn out_of_time(policy: &CompiledPolicy, route: Option<&Route<'_>>, trust: &Trust, error: ClaimError) -> Refusal {
    let skews = trust.issuers.iter().filter_map(|trusted| trusted.issuer.harmful_skew());
    let mut causes = skews.filter(|skew| (error == ClaimError::NotYetValid) == (skew.seconds() < 0));
    let Some(skew) = causes.next() else { return bad_token(policy, route) };
    let what = if error == ClaimError::NotYetValid { "is not valid yet" } else { "has expired" };
    let message = format!(
        "The bearer token {what} by the clock of this endpoint's node, which is {skew} Keycloak's: check NTP on both."
    );
    invalid(policy, route, message)
}

fn invalid(policy: &CompiledPolicy, route: Option<&Route<'_>>, message: String) -> Refusal {
    let challenge = challenge(policy, Some("invalid_token"), needed(route));
    Refusal::new(StatusCode::UNAUTHORIZED, "invalid_token", "token_invalid", message).challenge(&challenge)
}

/// What a token has to allow, where the head alone tells.
fn needed<'a>(route: Option<&'a Route<'a>>) -> &'a [&'a str] {
    match route {
        Some(Route { need: Need::Permission(permission), .. }) => std::slice::from_ref(permission),
        Some(Route { need: Need::Public | Need::InBody(_), .. }) | None => &[],
    }
}

/// `WWW-Authenticate` (RFC 6750 §3) with the scopes of all that the call needs, and where the endpoint's metadata is (RFC 9728
/// §5.1), by which a client finds out whom to ask for a token.
fn challenge(policy: &CompiledPolicy, error: Option<&str>, permissions: &[&str]) -> String {
    let mut text = format!("Bearer realm=\"{}\"", policy.audience);
    if let Some(error) = error {
        text.push_str(&format!(", error=\"{error}\""));
    }
    if !permissions.is_empty() {
        let scopes: Vec<_> = permissions.iter().map(|name| permission_scope(&policy.role_client, name)).collect();
        text.push_str(&format!(", scope=\"{}\"", scopes.join(" ")));
    }
    if let Some(resource) = &policy.resource {
        text.push_str(&format!(", resource_metadata=\"{}\"", resource.metadata_url));
    }
    text
}

/// The answer to a token that was not taken.
pub fn token(policy: &CompiledPolicy, route: Option<&Route<'_>>, trust: &Trust, error: &VerifyError) -> Refusal {
    match *error {
        VerifyError::NoKeys => {
            Refusal::unavailable("keys_missing", "The guard has not received its issuer's keys yet; try again shortly.")
        }
        VerifyError::KeysStale => Refusal::unavailable(
            "keys_stale",
            "The guard could not renew its issuer's keys for a day; its owner must look.",
        ),
        // Not a bearer token at all (Basic, say): as if none had been sent.
        VerifyError::Compact(CompactError::NotBearer) => no_token(policy, route),
        // The signature was checked before the times.
        VerifyError::Claims(error @ (ClaimError::NotYetValid | ClaimError::Expired)) => {
            out_of_time(policy, route, trust, error)
        }
        _ => bad_token(policy, route),
    }
}

/// 403: the route is in no table.
pub fn unknown_route(policy: &CompiledPolicy) -> Refusal {
    let message = format!(
        "Endpoint {} has no such route; its owner may open it with a rule in the ModelEndpoint.",
        policy.endpoint
    );
    insufficient(policy, &[], "unknown_route", message)
}

/// 403: what the call asks for is in its body, and the caller may do nothing here.
pub fn nothing_granted(policy: &CompiledPolicy, principal: &Principal, now: i64) -> Refusal {
    let (client, endpoint) = (principal.client(), &policy.endpoint);
    let ask = ask(endpoint);
    let Some(bearer) = principal.called_for() else {
        let message = format!("Client {client} may do nothing on endpoint {endpoint}; {ask}.");
        return insufficient(policy, &[], Denial::NoGrant.into(), message);
    };
    let denial = behalf::missing(policy, &principal.caller(), now);
    let message = match denial {
        Denial::ActorNotGranted => format!(
            "Client {client}, which calls on behalf of {bearer}, may do nothing on endpoint {endpoint} itself; {ask}."
        ),
        _ => format!("{bearer}, on whose behalf client {client} calls, may do nothing on endpoint {endpoint}; {ask}."),
    };
    insufficient(policy, &[], denial.into(), message)
}

/// 403: the route is known, the caller is known, the right is missing.
pub fn denied(
    policy: &CompiledPolicy,
    denial: Denial,
    principal: &Principal,
    permission: &str,
    models: &ModelUse<'_>,
) -> Refusal {
    let (client, endpoint) = (principal.client(), &policy.endpoint);
    let bearer = principal.called_for().unwrap_or_default();
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
        Denial::ClaimNotGranted => format!(
            "The grant of {permission:?} on endpoint {endpoint} to client {client} is for tokens that carry other claims; {ask}."
        ),
        Denial::ClaimRequired => {
            let required: Vec<_> = policy.require.iter().map(ToString::to_string).collect();
            format!(
                "Endpoint {endpoint} requires of each token: {}; that of client {client} does not carry it. \
                 Claims come from spec.claims of its WorkloadIdentity.",
                required.join(", ")
            )
        }
        Denial::ActorNotGranted => format!(
            "Client {client} calls on behalf of {bearer}, and holds itself no grant of {permission:?} on {model} of endpoint {endpoint}; {ask}."
        ),
        Denial::BearerNotGranted => format!(
            "Client {client} calls on behalf of {bearer}, who holds no grant of {permission:?} on {model} of endpoint {endpoint}; {ask}."
        ),
        Denial::RoleMissing if principal.called_for().is_some() => format!(
            "The token with which client {client} calls on behalf of {bearer} lacks the role {permission:?} of endpoint {endpoint}, which is granted; \
             exchange the caller's token anew."
        ),
        Denial::RoleMissing => format!(
            "The token of client {client} lacks the role {permission:?} of endpoint {endpoint}, which is granted; \
             fetch a new token with the scope named in WWW-Authenticate."
        ),
    };
    insufficient(policy, &[permission], denial.into(), message)
}

fn ask(endpoint: &Ref) -> String {
    format!("ask its owner for an AccessGrant in namespace {:?}", endpoint.namespace)
}

/// RFC 6750 §3.1 `insufficient_scope`, with the scopes that would do: all that the call needs.
fn insufficient(policy: &CompiledPolicy, permissions: &[&str], reason: &'static str, message: String) -> Refusal {
    let error = "insufficient_scope";
    let challenge = challenge(policy, Some(error), permissions);
    Refusal::new(StatusCode::FORBIDDEN, error, reason, message).challenge(&challenge)
}

/// 400: the body cannot be read, or has two readings.
pub fn body(reason: &'static str, error: &dyn std::error::Error) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "invalid_request", reason, format!("Refused: {error}."))
}

/// 400: the endpoint has more than one model, and the body names none.
pub fn no_model(name: &str) -> Refusal {
    let message = format!("The request names no model; set {name:?} in its body.");
    Refusal::new(StatusCode::BAD_REQUEST, "invalid_request", "model_missing", message)
}

/// 400: the model is in the query, which names none.
pub fn no_model_in_query(parameter: &str) -> Refusal {
    let message = format!("The request names no model; set the parameter {parameter:?} of its query.");
    Refusal::new(StatusCode::BAD_REQUEST, "invalid_request", "model_missing", message)
}

/// 400: something in the head may choose another model than the body does.
pub fn model_in_head(name: &str) -> Refusal {
    let message = format!("Refused: the query or a header may choose a model; name it in {name:?} of the body alone.");
    Refusal::ambiguous("model_in_head", message)
}

/// 415: what counts is in the body, which has to be of this type.
pub fn content_type(wanted: &str) -> Refusal {
    let message =
        format!("The guard reads from the body what the call asks for; send it with one Content-Type, {wanted}.");
    Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request", "content_type", message).closing()
}

/// 415: the same, compressed.
pub fn content_encoding() -> Refusal {
    let message = "The guard reads from the body what the call asks for; send it without Content-Encoding.";
    Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request", "content_encoding", message).closing()
}

/// 400, 408, 413 or 503: the body did not come as a whole.
pub fn collect(error: CollectError, most: usize) -> Refusal {
    let (status, reason) = match error {
        CollectError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
        CollectError::TooSlow => (StatusCode::REQUEST_TIMEOUT, "body_too_slow"),
        CollectError::Broken => (StatusCode::BAD_REQUEST, "body_broken"),
        CollectError::NoMemory => {
            let message = "The guard holds as many request bodies as it may; try again shortly.";
            return Refusal::unavailable("bodies_full", message).closing();
        }
    };
    let message = format!("Refused: {error}; the guard reads from it what the call asks for, {most} bytes at most.");
    Refusal::new(status, "invalid_request", reason, message).closing()
}

/// 400: what the head and the body of an MCP message say differs (2026-07-28, `HeaderMismatch`).
pub fn header_mismatch(header: &str) -> Refusal {
    let message = format!("Refused: the header {header} must say what the body says, once.");
    Refusal::new(StatusCode::BAD_REQUEST, "invalid_request", "header_mismatch", message)
}

/// 404: the session is not this caller's, or from before the guard was started. MCP clients then begin a new one.
pub fn session_unknown() -> Refusal {
    let message = "There is no such session of yours; begin a new one with initialize.";
    Refusal::new(StatusCode::NOT_FOUND, "invalid_request", "session_unknown", message)
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

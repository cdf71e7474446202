//! How the egress half says no: to the application in its own pod, so it may say
//! what is wrong and whom to ask. Never with a token or an assertion in it.

use http::StatusCode;

use super::{
    grant::GrantError,
    state::{Destination, TargetState},
};
use crate::{
    core::name::Ref,
    proxy::{
        handles::HandleError,
        http::{answer::Refusal, connect::ConnectError, pool::UpstreamError},
    },
};

/// 503 while there is no document.
pub fn not_configured() -> Refusal {
    Refusal::unavailable(
        "egress_not_configured",
        "This workload's identity has not been configured yet; try again shortly.",
    )
}

/// 503: the port is bound, but the document does not name it.
pub fn port_not_served() -> Refusal {
    Refusal::unavailable(
        "port_not_served",
        "This workload's identity names no target for this port, or none that its Realm lists: see its conditions.",
    )
}

/// 403: the identity was deleted.
pub fn deleted() -> Refusal {
    Refusal::new(
        StatusCode::FORBIDDEN,
        "access_denied",
        "identity_deleted",
        "This workload's identity has been deleted.",
    )
}

/// The handle of a call on somebody's behalf does not do. The workload's own token is never sent in its place.
pub fn handle(error: HandleError) -> Refusal {
    match error {
        HandleError::HandlesFull | HandleError::HandleNotMade => {
            Refusal::unavailable(error.into(), format!("Not called: {error}; try again shortly."))
        }
        HandleError::HandleInvalid => Refusal::ambiguous(error.into(), format!("Refused: {error}.")),
        HandleError::HandleUnknown => {
            let message = format!("Not called: {error}. Hand on the header of the call that is being served now.");
            Refusal::new(StatusCode::FORBIDDEN, "access_denied", error.into(), message)
        }
    }
}

/// The answer where there is no token to send, which would have been for `bearer` where he is named.
pub fn no_token(error: GrantError, identity: &Ref, target: &TargetState, bearer: Option<&str>) -> Refusal {
    let endpoint = target.name();
    let unavailable = |message: String| Refusal::unavailable(error.into(), message);
    let bad_gateway = |message: String| Refusal::new(StatusCode::BAD_GATEWAY, "identity", error.into(), message);
    let denied = |message: String| Refusal::new(StatusCode::FORBIDDEN, "access_denied", error.into(), message);
    match error {
        GrantError::NotGranted => denied(match (target.to(), bearer) {
            (Destination::Endpoint(endpoint), Some(bearer)) => format!(
                "{bearer}, on whose behalf workload {identity} calls, holds no grant on endpoint {endpoint}; ask its owner for an AccessGrant in namespace {:?}.",
                endpoint.namespace
            ),
            (Destination::Endpoint(endpoint), None) => format!(
                "Workload {identity} holds no grant on endpoint {endpoint}; ask its owner for an AccessGrant in namespace {:?}.",
                endpoint.namespace
            ),
            (Destination::External { .. }, bearer) => format!(
                "Keycloak gave {} none of its scopes for {endpoint}: it lacks the roles behind them; ask the platform team.",
                bearer.map_or_else(|| format!("workload {identity}"), ToOwned::to_owned)
            ),
        }),
        GrantError::BearerRefused | GrantError::ExchangeRefused => {
            denied(format!("No token for endpoint {endpoint} on behalf of {}: {error}.", bearer.unwrap_or_default()))
        }
        GrantError::KeycloakUnreachable | GrantError::KeycloakTimeout | GrantError::KeycloakFailed => {
            unavailable(format!("No token for endpoint {endpoint}: {error}; try again shortly."))
        }
        GrantError::AssertionMissing => unavailable(format!(
            "No token for endpoint {endpoint}: {error}; check the projected volume of the sidecar."
        )),
        GrantError::CredentialMissing => unavailable(format!(
            "No token for endpoint {endpoint}: {error}; check the condition Credential of WorkloadIdentity {identity}, and \
             restart the pod if it is older than that credential."
        )),
        GrantError::IdentityRefused => bad_gateway(format!(
            "No token for endpoint {endpoint}: {error}; check the status of WorkloadIdentity {identity} \
             (its client may not exist yet, or not trust this ServiceAccount)."
        )),
        GrantError::ClockSkew(seconds) => bad_gateway(format!(
            "No token for endpoint {endpoint}: Keycloak refused this workload's ServiceAccount token, since its clock is {} s or \
             more {} the API server's: check NTP on both.",
            seconds.unsigned_abs(),
            if seconds < 0 { "behind" } else { "ahead of" },
        )),
        GrantError::CredentialUnusable
        | GrantError::ScopeRefused
        | GrantError::InvalidAnswer
        | GrantError::WrongAudience
        | GrantError::InvalidEndpoint => bad_gateway(format!(
            "No token for endpoint {endpoint}: {error}; check the status of WorkloadIdentity {identity} and of the ModelEndpoint."
        )),
    }
}

/// 403: a call beside the path that a target outside the cluster has.
pub fn path_not_listed(target: &TargetState) -> Refusal {
    let message = format!("This port leads to {} and what is below it, and to nothing beside it.", target.name());
    Refusal::new(StatusCode::FORBIDDEN, "access_denied", "path_not_listed", message)
}

/// 502 or 504: the endpoint did not answer.
pub fn upstream(error: UpstreamError, target: &TargetState) -> Refusal {
    let (endpoint, url) = (target.name(), &target.target().upstream);
    let (status, reason, what) = match error {
        UpstreamError::Connect(ConnectError::Timeout) => {
            (StatusCode::GATEWAY_TIMEOUT, "upstream_timeout", "took too long to connect")
        }
        UpstreamError::Connect(ConnectError::Refused) => {
            (StatusCode::BAD_GATEWAY, "upstream_refused", "refuses connections")
        }
        UpstreamError::Connect(ConnectError::UnknownHost) => {
            (StatusCode::BAD_GATEWAY, "upstream_unknown_host", "has a name that does not resolve")
        }
        UpstreamError::Connect(ConnectError::Tls) => {
            (StatusCode::BAD_GATEWAY, "upstream_tls", "failed the TLS handshake")
        }
        UpstreamError::Broken => {
            (StatusCode::BAD_GATEWAY, "upstream_broken", "broke the connection before an answer came")
        }
    };
    Refusal::new(status, "upstream", reason, format!("Endpoint {endpoint} ({url}) {what}."))
}

/// 504: the endpoint took too long to begin its answer.
pub fn too_slow() -> Refusal {
    let message = "The endpoint took too long to begin its answer.";
    Refusal::new(StatusCode::GATEWAY_TIMEOUT, "upstream", "upstream_too_slow", message)
}

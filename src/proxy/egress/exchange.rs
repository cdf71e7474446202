//! A caller's token exchanged for one that is good at a target (RFC 8693), with which the workload calls on his behalf.

use http::StatusCode;
use serde::Deserialize;

use super::grant::GrantError;
use crate::proxy::handles::Inbound;

/// RFC 8693 §2.1.
pub const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// RFC 8693 §3.
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// What an exchange asks with besides the scopes and the client's login. No `audience`: the scopes bring theirs, and it would
/// take away the one that lets the target exchange the token further.
pub fn parameters(subject: &Inbound) -> [(&'static str, &str); 3] {
    [("grant_type", GRANT_TYPE), ("subject_token", subject.token()), ("subject_token_type", ACCESS_TOKEN)]
}

/// What Keycloak's refusal means.
pub fn problem(status: StatusCode, body: &[u8]) -> GrantError {
    #[derive(Deserialize)]
    struct Problem {
        error: String,
    }
    let error = serde_json::from_slice::<Problem>(body).map(|problem| problem.error).unwrap_or_default();
    match (status, error.as_str()) {
        // The token has ended, its session or its account has, or the client may not exchange tokens.
        (StatusCode::BAD_REQUEST, "invalid_request" | "invalid_grant") => GrantError::BearerRefused,
        // The client is not in the token's audience.
        (StatusCode::FORBIDDEN, _) => GrantError::ExchangeRefused,
        (_, "invalid_scope") => GrantError::ScopeRefused,
        _ => GrantError::IdentityRefused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart() {
        for (status, body, expected) in [
            (400, r#"{"error":"invalid_request","error_description":"Invalid token"}"#, GrantError::BearerRefused),
            (403, r#"{"error":"access_denied"}"#, GrantError::ExchangeRefused),
            (400, r#"{"error":"invalid_scope"}"#, GrantError::ScopeRefused),
            (401, r#"{"error":"invalid_client"}"#, GrantError::IdentityRefused),
            (400, "<html>", GrantError::IdentityRefused),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(problem(status, body.as_bytes()), expected, "{body}");
        }
    }
}

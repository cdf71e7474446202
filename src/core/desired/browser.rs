//! How people sign in with a client: by code (RFC 6749, section 4.1) with PKCE (RFC 7636).

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{endpoint::text_map, representation::ClientMapper};

/// The built-in scopes of people's tokens: `sub`, the roles in `resource_access`, and who they are.
pub const PEOPLES_SCOPES: [&str; 4] = ["basic", "email", "profile", "roles"];

/// Between the URLs in one of Keycloak's attributes.
const SEPARATOR: &str = "##";

/// What a client needs for people's browsers. Every URL is whole: Keycloak compares it as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Browser {
    /// Without a login of its own: what runs in a browser keeps no secret.
    pub is_public: bool,
    /// Where browsers may be sent back to.
    pub redirect_uris: BTreeSet<String>,
    /// The same after signing out.
    pub post_logout_redirect_uris: BTreeSet<String>,
    /// Whose pages may ask Keycloak for tokens (CORS).
    pub web_origins: BTreeSet<String>,
    /// What Keycloak calls when somebody signs out elsewhere (OpenID Connect Back-Channel Logout 1.0).
    pub backchannel_logout: Option<String>,
    /// The claim of all its tokens with the roles that somebody has of it, for applications that look there.
    pub roles_claim: Option<String>,
}

impl Browser {
    /// What its tokens get besides what scopes give.
    pub(super) fn mappers(&self, client_id: &str) -> BTreeSet<ClientMapper> {
        let roles = self.roles_claim.as_deref().map(|claim| ClientMapper::of_roles(client_id, claim));
        [ClientMapper::of_audience(client_id)].into_iter().chain(roles).collect()
    }

    pub(super) fn attributes(&self) -> BTreeMap<String, String> {
        let afterwards: Vec<_> = self.post_logout_redirect_uris.iter().map(String::as_str).collect();
        text_map([
            ("pkce.code.challenge.method", "S256"),
            ("post.logout.redirect.uris", &afterwards.join(SEPARATOR)),
            ("backchannel.logout.url", self.backchannel_logout.as_deref().unwrap_or_default()),
            ("backchannel.logout.session.required", "true"),
            ("backchannel.logout.revoke.offline.tokens", "false"),
        ])
    }
}

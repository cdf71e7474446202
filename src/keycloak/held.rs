//! Which administrative roles the operator holds, as its own token tells.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::core::rights;

use super::admin::RealmAdmin;
use super::error::ApiError;

/// The claims of our own access token that tell of roles. Composite roles are in it with all that they include.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RoleClaims {
    realm_access: Option<Roles>,
    resource_access: Option<BTreeMap<String, Roles>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Roles {
    roles: BTreeSet<String>,
}

impl RoleClaims {
    /// None for a token that is no JWT.
    fn of(token: &SecretString) -> Option<Self> {
        let payload = token.expose_secret().split('.').nth(1)?;
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }

    /// The roles of a client; none if the token tells of no roles at all, as that of a client without the scope `roles`.
    fn of_client(self, client: &str) -> Option<BTreeSet<String>> {
        if self.realm_access.is_none() && self.resource_access.is_none() {
            return None;
        }
        Some(self.resource_access.and_then(|mut clients| clients.remove(client)).unwrap_or_default().roles)
    }
}

impl RealmAdmin {
    /// The administrative roles in this realm that the operator's login carries: no request but for the login. None
    /// where the token does not tell.
    ///
    /// Keycloak looks at the account's roles at each call; a token that is older than a change of them tells the old
    /// ones, and `anew` asks for another.
    ///
    /// # Errors
    /// [`ApiError::Login`].
    pub async fn held_roles(&self, anew: bool) -> Result<Option<BTreeSet<String>>, ApiError> {
        let (session, transport) = (self.admin().session(), self.admin().transport());
        let mut login = session.login(transport).await?;
        if anew {
            session.discard(&login);
            login = session.login(transport).await?;
        }
        let Some(container) = rights::container(session.realm(), self.name()) else { return Ok(Some(BTreeSet::new())) };
        Ok(RoleClaims::of(&login.access_token).and_then(|claims| claims.of_client(&container)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn held(claims: &Value) -> Option<Vec<String>> {
        let token = format!("h.{}.s", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()));
        let roles = RoleClaims::of(&token.into())?.of_client("ml-realm")?;
        Some(roles.into_iter().collect())
    }

    #[test]
    fn a_token_tells_of_roles_or_of_none_or_not_at_all() {
        let roles = |client: &str| json!({"resource_access": {client: {"roles": ["manage-clients"]}}});
        assert_eq!(held(&roles("ml-realm")), Some(vec!["manage-clients".to_owned()]));
        assert_eq!(held(&roles("other-realm")), Some(Vec::new()));
        assert_eq!(held(&json!({"realm_access": {"roles": ["admin"]}})), Some(Vec::new()));
        assert_eq!(held(&json!({"sub": "x"})), None);
        assert!(RoleClaims::of(&"opaque".into()).is_none());
    }
}

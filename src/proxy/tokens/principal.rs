//! Who calls, once the signature and the claims are checked.

use bytes::Bytes;
use http::HeaderValue;

use super::claims::{ClaimError, LEEWAY};
use crate::core::{
    claims::{ClaimSet, NO_CLAIMS},
    policy::{behalf::Behalf, decide::Caller, roles::Roles},
};

/// Who calls. Thousands are remembered, so all their names stand in one piece of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Client, account, token, roles.
    names: Box<str>,
    /// Where the first three end.
    ends: [u32; 3],
    /// From when to when.
    pub times: Times,
    /// The claims that the policy asks for; `None`: it asks for none.
    claims: Option<Box<ClaimSet>>,
    /// Whom the client calls for: the client id of a workload, or empty for a person. `None`: for itself.
    behalf: Option<Box<str>>,
}

/// When a token counts, in seconds since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// `exp`.
    pub expires_at: i64,
    /// The later of `nbf` and `iat`.
    pub not_before: i64,
    /// `iat`.
    pub issued_at: Option<i64>,
}

impl Times {
    /// Whether the issuer took back what it issued before this time. A token that does not say when it was issued was.
    pub fn is_revoked(&self, not_before: i64) -> bool {
        self.issued_at.is_none_or(|issued| issued < not_before)
    }

    /// Whether the token is valid now; asked again each time that it is seen.
    pub fn check(&self, now: i64) -> Result<(), ClaimError> {
        if now.saturating_sub(LEEWAY) >= self.expires_at {
            return Err(ClaimError::Expired);
        }
        if now.saturating_add(LEEWAY) < self.not_before {
            return Err(ClaimError::NotYetValid);
        }
        Ok(())
    }
}

impl Principal {
    /// `client` is `azp`, `subject` is `sub`, `token_id` is `jti`, `roles` are the endpoint's, none with a comma. All are
    /// graphic ASCII, and none is empty: the claims' check saw to it.
    pub fn new<'r>(
        client: &str,
        subject: &str,
        token_id: Option<&str>,
        roles: impl IntoIterator<Item = &'r str>,
        times: Times,
    ) -> Self {
        let mut names = String::with_capacity(256);
        let ends = [client, subject, token_id.unwrap_or_default()].map(|name| {
            names.push_str(name);
            names.len() as u32
        });
        for (index, role) in roles.into_iter().enumerate() {
            if index > 0 {
                names.push(',');
            }
            names.push_str(role);
        }
        Self { names: names.into(), ends, times, claims: None, behalf: None }
    }

    /// The same, calling for somebody else: the client id of a workload, or empty for a person.
    pub fn on_behalf_of(self, behalf: Option<Box<str>>) -> Self {
        Self { behalf, ..self }
    }

    /// The same, with what else its token says.
    pub fn carrying(self, claims: ClaimSet) -> Self {
        Self { claims: Some(Box::new(claims)), ..self }
    }

    /// `azp`.
    pub fn client(&self) -> &str {
        self.text(0, self.ends[0])
    }

    /// `sub`.
    pub fn subject(&self) -> &str {
        self.text(self.ends[0], self.ends[1])
    }

    /// `jti`, by which Keycloak's login events name the token.
    pub fn token_id(&self) -> Option<&str> {
        Some(self.text(self.ends[1], self.ends[2])).filter(|id| !id.is_empty())
    }

    /// The endpoint's roles.
    pub fn roles(&self) -> Roles<'_> {
        Roles::joined(self.text(self.ends[2], self.names.len() as u32))
    }

    /// The one whom the policy judges.
    pub fn caller(&self) -> Caller<'_> {
        let claims = self.claims.as_deref().unwrap_or(&NO_CLAIMS);
        Caller { client: self.client(), roles: self.roles(), claims, behalf: self.behalf() }
    }

    /// Whom the client calls for, where that is not itself.
    pub fn behalf(&self) -> Option<Behalf<'_>> {
        match self.behalf.as_deref()? {
            "" => Some(Behalf::Person),
            client => Some(Behalf::Workload(client)),
        }
    }

    /// The name of the one whom the client calls for: of a workload its client id, of a person `sub`.
    pub fn called_for(&self) -> Option<&str> {
        self.behalf().map(|behalf| match behalf {
            Behalf::Person => self.subject(),
            Behalf::Workload(client) => client,
        })
    }

    /// Client, account and roles as fields of a head, which share one piece of memory.
    pub fn fields(&self) -> Option<[HeaderValue; 3]> {
        let [client, subject, token_id] = self.ends.map(|end| end as usize);
        let names = Bytes::copy_from_slice(self.names.as_bytes());
        let field = |range| HeaderValue::from_maybe_shared(names.slice(range)).ok();
        Some([field(0..client)?, field(client..subject)?, field(token_id..self.names.len())?])
    }

    fn text(&self, from: u32, to: u32) -> &str {
        self.names.get(from as usize..to as usize).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_run_together() {
        for (token_id, roles, joined) in
            [(Some("j"), &["read", "predict"][..], "read,predict"), (None, &["read"], "read"), (Some("j"), &[], "")]
        {
            let principal = Principal::new("ab", "c", token_id, roles.iter().copied(), Times::default());
            assert_eq!((principal.client(), principal.subject(), principal.token_id()), ("ab", "c", token_id));
            assert_eq!(principal.roles(), Roles::joined(joined));
            assert!(principal.fields().is_some_and(|fields| fields == ["ab", "c", joined]));
        }
    }
}

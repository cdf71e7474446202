//! The inside of a Keycloak access token, and what must hold of it. Pure: the
//! time is an argument.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

use super::{
    principal::{Principal, Times},
    text::Text,
};
use crate::core::{claims::SERVICE_ACCOUNT_PREFIX, skew::TOLERATED};

/// How far clocks may be apart, in seconds.
pub const LEEWAY: i64 = TOLERATED;
/// The longest name (client, subject, role, token id), in bytes.
const MAX_NAME: usize = 255;
/// The most roles of one endpoint.
const MAX_ROLES: usize = 256;

/// Why the claims do not admit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ClaimError {
    /// Not an object of the expected shape: times that are no integers, a doubled claim.
    #[error("the token's claims are malformed")]
    InvalidClaims,
    /// `aud` is not exactly this endpoint, alone.
    #[error("the token is not for this endpoint alone")]
    WrongAudience,
    /// `typ` is not `Bearer`: an ID, refresh, logout or DPoP token.
    #[error("the token is no bearer access token")]
    WrongType,
    /// `nonce` is not that of the attempt to sign in.
    #[error("the token is not of this attempt to sign in")]
    WrongNonce,
    /// `cnf`: the token is bound to a key (RFC 9449) or a certificate (RFC 8705), whose proof is not checked here.
    #[error("the token is bound to a key or certificate")]
    SenderConstrained,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat` lies ahead.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `azp`, `sub` or a role is empty, too long, or has signs that no header may carry.
    #[error("a name in the token is not usable")]
    InvalidName,
}

/// The claims that count. `deny_unknown_fields` is not used: realms add their own.
#[derive(Debug, Deserialize)]
pub struct Claims<'a> {
    /// Who issued it. Compared by whoever chooses the keys.
    #[serde(borrow)]
    pub iss: Text<'a>,
    #[serde(borrow)]
    aud: Audience<'a>,
    exp: i64,
    nbf: Option<i64>,
    iat: Option<i64>,
    #[serde(borrow)]
    typ: Option<Text<'a>>,
    #[serde(borrow)]
    azp: Text<'a>,
    #[serde(borrow)]
    sub: Text<'a>,
    #[serde(borrow)]
    jti: Option<Text<'a>>,
    cnf: Option<de::IgnoredAny>,
    #[serde(borrow)]
    keywire_client: Option<Text<'a>>,
    #[serde(borrow)]
    keywire_user: Option<Text<'a>>,
    #[serde(borrow, default)]
    resource_access: ResourceAccess<'a>,
}

impl<'a> Claims<'a> {
    /// Reads a payload.
    pub fn parse(payload: &'a [u8]) -> Result<Self, ClaimError> {
        // The library does not look at the text of members that it passes over: to others it might be no JSON at all.
        let text = std::str::from_utf8(payload).map_err(|_| ClaimError::InvalidClaims)?;
        serde_json::from_str(text).map_err(|_| ClaimError::InvalidClaims)
    }

    /// Checks everything but issuer and signature. A token may be for `exchanged_by` besides, who serves nobody.
    pub fn check(
        self,
        audience: &str,
        exchanged_by: Option<&str>,
        role_client: &str,
        now: i64,
    ) -> Result<Principal, ClaimError> {
        let behalf = self.behalf();
        let Self { iss: _, aud, exp, nbf, iat, typ, azp, sub, jti, cnf, resource_access, .. } = self;
        if !aud.is_for(audience, exchanged_by) {
            return Err(ClaimError::WrongAudience);
        }
        if typ.as_deref() != Some("Bearer") {
            return Err(ClaimError::WrongType);
        }
        if cnf.is_some() {
            return Err(ClaimError::SenderConstrained);
        }
        let roles = resource_access.roles_of(role_client);
        let named =
            |name: &str| !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(|b| b.is_ascii_graphic());
        let workload = behalf.as_deref().filter(|workload| !workload.is_empty());
        let names =
            [&*azp, &*sub].into_iter().chain(workload).chain(jti.as_deref()).chain(roles.iter().map(|role| &**role));
        // A comma would make two roles of one in the header that lists them.
        if roles.len() > MAX_ROLES || roles.iter().any(|role| role.contains(',')) || !names.into_iter().all(named) {
            return Err(ClaimError::InvalidName);
        }
        let not_before = nbf.into_iter().chain(iat).max().unwrap_or(i64::MIN);
        let times = Times { expires_at: exp, not_before, issued_at: iat };
        times.check(now)?;
        let principal = Principal::new(&azp, &sub, jti.as_deref(), roles.iter().map(|role| &**role), times);
        Ok(principal.on_behalf_of(behalf))
    }

    /// Whom the token stands for, where its client got it in exchange for another one: the client id of a workload, or empty
    /// for a person. A client that may exchange tokens has its claims in each: whom it stands for in all, and its own name
    /// only where it logged in itself, for Keycloak keeps that with the login.
    fn behalf(&self) -> Option<Box<str>> {
        let is_own = self.keywire_client.as_deref() == Some(&*self.azp);
        let is_marked = self.keywire_client.is_some() || self.keywire_user.is_some();
        let workload = || self.keywire_user.as_deref()?.strip_prefix(SERVICE_ACCOUNT_PREFIX);
        (is_marked && !is_own).then(|| workload().unwrap_or_default().into())
    }
}

/// `aud`: a text, or a list of texts.
#[derive(Debug)]
struct Audience<'a> {
    first: Option<Text<'a>>,
    second: Option<Text<'a>>,
    /// There is another one, if only the same again.
    has_more: bool,
}

impl<'a> Audience<'a> {
    fn one(first: Text<'a>) -> Self {
        Self { first: Some(first), second: None, has_more: false }
    }

    /// Whether it is this one and no other, but for `besides`.
    fn is_for(&self, audience: &str, besides: Option<&str>) -> bool {
        let named = (self.first.as_deref(), self.second.as_deref());
        let is_both = |other: &str| named == (Some(audience), Some(other)) || named == (Some(other), Some(audience));
        !self.has_more && (named == (Some(audience), None) || besides.is_some_and(is_both))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Audience<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Audience<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an audience or a list of them")
            }

            fn visit_borrowed_str<E: de::Error>(self, one: &'de str) -> Result<Self::Value, E> {
                Ok(Audience::one(one.into()))
            }

            fn visit_str<E: de::Error>(self, one: &str) -> Result<Self::Value, E> {
                Ok(Audience::one(one.to_owned().into()))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let first = list.next_element::<Text<'de>>()?;
                let second = list.next_element::<Text<'de>>()?;
                let mut has_more = false;
                while list.next_element::<Text<'de>>()?.is_some() {
                    has_more = true;
                }
                Ok(Audience { first, second, has_more })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// `resource_access`, with a doubled client refused.
#[derive(Debug, Default)]
struct ResourceAccess<'a>(Vec<(Text<'a>, Vec<Text<'a>>)>);

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, default)]
    roles: Vec<Text<'a>>,
}

impl<'a> ResourceAccess<'a> {
    fn roles_of(self, client: &str) -> Vec<Text<'a>> {
        self.0.into_iter().find(|(name, _)| &**name == client).map(|(_, roles)| roles).unwrap_or_default()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for ResourceAccess<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = ResourceAccess<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of clients to roles")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut all: Vec<(Text<'de>, Vec<Text<'de>>)> = Vec::new();
                while let Some((client, Entry { roles })) = map.next_entry::<Text<'de>, Entry<'de>>()? {
                    if all.iter().any(|(seen, _)| *seen == client) {
                        return Err(de::Error::custom("doubled client"));
                    }
                    all.push((client, roles));
                }
                Ok(ResourceAccess(all))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::core::{
        claims::{OWN_CLAIM, USER_CLAIM},
        policy::{behalf::Behalf, roles::Roles},
    };

    const NOW: i64 = 1_800_000_000;

    fn good() -> Value {
        json!({"iss": "i", "aud": "a", "exp": NOW + 60, "iat": NOW, "typ": "Bearer", "azp": "c.n.workload", "sub": "s",
            "jti": "j", "resource_access": {"a": {"roles": ["read"]}, "other": {"roles": ["admin"]}}})
    }

    fn check(claims: &Value) -> Result<Principal, ClaimError> {
        Claims::parse(claims.to_string().as_bytes())?.check("a", None, "a", NOW)
    }

    #[test]
    fn a_good_token_tells_who_calls() {
        let principal = check(&good());
        assert!(
            matches!(&principal, Ok(p) if p.client() == "c.n.workload" && p.subject() == "s" && p.roles() == Roles::joined("read")),
            "{principal:?}"
        );
        let mut listed = good();
        listed["aud"] = json!(["a"]);
        assert!(check(&listed).is_ok());
    }

    #[test]
    fn each_claim_counts() {
        use ClaimError::*;
        for (claim, value, expected) in [
            ("aud", json!("b"), WrongAudience),
            ("aud", json!(["a", "b"]), WrongAudience),
            ("aud", json!(["a", "a"]), WrongAudience),
            ("aud", json!([]), WrongAudience),
            ("aud", json!("A"), WrongAudience),
            ("aud", json!(7), InvalidClaims),
            ("aud", Value::Null, InvalidClaims),
            ("exp", json!(NOW - LEEWAY), Expired),
            ("exp", json!((NOW + 60).to_string()), InvalidClaims),
            ("exp", json!(NOW as f64 + 60.5), InvalidClaims),
            ("exp", json!(1e300), InvalidClaims),
            ("exp", json!(u64::MAX), InvalidClaims),
            ("exp", json!(-1), Expired),
            ("exp", json!(i64::MIN), Expired),
            ("exp", Value::Null, InvalidClaims),
            ("nbf", json!(NOW + LEEWAY + 1), NotYetValid),
            ("nbf", json!("0"), InvalidClaims),
            ("iat", json!(NOW + LEEWAY + 1), NotYetValid),
            ("iat", json!(i64::MAX), NotYetValid),
            ("typ", json!("ID"), WrongType),
            ("typ", json!("Refresh"), WrongType),
            ("typ", json!("DPoP"), WrongType),
            ("typ", json!("bearer"), WrongType),
            ("typ", Value::Null, WrongType),
            ("cnf", json!({"jkt": "x"}), SenderConstrained),
            ("cnf", json!({"x5t#S256": "x"}), SenderConstrained),
            ("cnf", json!({}), SenderConstrained),
            ("cnf", json!("x"), SenderConstrained),
            ("azp", json!(""), InvalidName),
            ("azp", json!("a b"), InvalidName),
            ("azp", json!("a\r\nx: y"), InvalidName),
            ("azp", json!("é"), InvalidName),
            ("azp", json!("c".repeat(256)), InvalidName),
            ("azp", Value::Null, InvalidClaims),
            ("sub", json!(7), InvalidClaims),
            ("jti", json!("\n"), InvalidName),
            ("resource_access", json!({"a": {"roles": ["read,admin"]}}), InvalidName),
            ("resource_access", json!({"a": {"roles": "read"}}), InvalidClaims),
            ("resource_access", json!([]), InvalidClaims),
        ] {
            let mut claims = good();
            claims[claim] = value.clone();
            assert_eq!(check(&claims).err(), Some(expected), "{claim}: {value}");
        }
        for claim in ["iss", "aud", "exp", "azp", "sub"] {
            let mut claims = good();
            if let Some(map) = claims.as_object_mut() {
                map.remove(claim);
            }
            assert_eq!(check(&claims).err(), Some(InvalidClaims), "{claim}");
        }
    }

    #[test]
    fn whom_a_token_stands_for() {
        const AGENT: &str = "agent.agents.workload";
        for (own, user, expected) in [
            (None, None, None),
            (Some(AGENT), None, None),
            (Some(AGENT), Some("service-account-agent.agents.workload"), None),
            (Some(AGENT), Some("ann"), None),
            (None, Some("ann"), Some("")),
            (None, Some("ann smith@example.com"), Some("")),
            (None, Some("service-account-batch.agents.workload"), Some("batch.agents.workload")),
            (None, Some("service-account-agent.agents.workload"), Some(AGENT)),
            (Some("other"), None, Some("")),
            (Some("other"), Some("service-account-agent.agents.workload"), Some(AGENT)),
            (Some(""), Some("ann"), Some("")),
        ] {
            let mut claims = good();
            claims["azp"] = json!(AGENT);
            for (name, value) in [(OWN_CLAIM, own), (USER_CLAIM, user)] {
                value.into_iter().for_each(|value| claims[name] = json!(value));
            }
            let found = check(&claims).unwrap();
            let behalf = found.behalf().map(|behalf| match behalf {
                Behalf::Person => "",
                Behalf::Workload(client) => client,
            });
            assert_eq!(behalf, expected, "{own:?} {user:?}");
        }
        for bad in [json!({}), json!(["ann"]), json!(1), json!("service-account-a b")] {
            let mut claims = good();
            claims[USER_CLAIM] = bad;
            assert!(check(&claims).is_err(), "{claims}");
        }
    }

    #[test]
    fn leeway_is_ten_seconds_both_ways() {
        for (claim, value) in [("exp", NOW - LEEWAY + 1), ("nbf", NOW + LEEWAY), ("iat", NOW + LEEWAY)] {
            let mut claims = good();
            claims[claim] = json!(value);
            assert!(check(&claims).is_ok(), "{claim}");
        }
    }

    #[test]
    fn what_is_no_text_is_refused_even_where_nobody_reads_it() {
        let mut bytes = good().to_string().replace("\"j\"", "\"j\",\"x\":\"?\"").into_bytes();
        assert!(Claims::parse(&bytes).is_ok());
        bytes.iter_mut().filter(|byte| **byte == b'?').for_each(|byte| *byte = 0xff);
        assert_eq!(Claims::parse(&bytes).err(), Some(ClaimError::InvalidClaims));
    }

    #[test]
    fn doubled_claims_are_refused() {
        for text in [
            r#"{"iss":"i","iss":"j","aud":"a","exp":9999999999,"typ":"Bearer","azp":"c","sub":"s"}"#,
            r#"{"iss":"i","aud":"a","exp":9999999999,"typ":"Bearer","azp":"c","sub":"s","resource_access":{"a":{"roles":[]},"a":{"roles":["admin"]}}}"#,
        ] {
            assert_eq!(Claims::parse(text.as_bytes()).err(), Some(ClaimError::InvalidClaims));
        }
    }
}

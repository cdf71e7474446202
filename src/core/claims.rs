//! What a token says of its bearer beyond who that is, and what of it a call must carry. Pure.
//!
//! Deny by default: a claim that is there in a form that cannot be compared fulfils nothing, not even that it be absent.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest name of a claim, and the longest value that one is compared with, in bytes.
pub const MAX_TEXT: usize = 255;
/// In the tokens of a client that acts on behalf of others: the client that logged in itself. Keycloak keeps it with that
/// login, so a token that was exchanged for another has none, however often.
pub const OWN_CLAIM: &str = "keywire_client";
/// In the same tokens, all of them: the name of the account that they stand for.
pub const USER_CLAIM: &str = "keywire_user";
/// What the name of a client's own account begins with, before its client id: Keycloak gives it to nobody else.
pub const SERVICE_ACCOUNT_PREFIX: &str = "service-account-";
/// Claims that say who calls, for whom and until when, or that Keycloak fills in itself: nobody else sets them.
const RESERVED: [&str; 41] = [
    OWN_CLAIM,
    USER_CLAIM,
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "typ",
    "azp",
    "scope",
    "sid",
    "acr",
    "amr",
    "auth_time",
    "nonce",
    "at_hash",
    "c_hash",
    "s_hash",
    "cnf",
    "act",
    "may_act",
    "client_id",
    "realm_access",
    "resource_access",
    "authorization",
    "authorization_details",
    "groups",
    "roles",
    "entitlements",
    "preferred_username",
    "name",
    "given_name",
    "family_name",
    "email",
    "email_verified",
    "session_state",
    "clientHost",
    "clientAddress",
    "upn",
];

/// Whether the owner of an identity must not set a claim, whoever lists it.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// What an identity says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ClaimValue {
    /// One text.
    Text(String),
    /// Texts, in order.
    List(Vec<String>),
}

/// A claim as a token has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// One text.
    Text(Box<str>),
    /// Texts.
    List(Box<[Box<str>]>),
    /// Anything else: it is there, and that is all that can be said.
    Other,
}

/// The claims of a token that some requirement names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimSet(Vec<(Box<str>, Claim)>);

/// The claims of a token of which none is asked for.
pub static NO_CLAIMS: ClaimSet = ClaimSet(Vec::new());

impl ClaimSet {
    /// Takes one more. The caller sees to it that none comes twice.
    pub fn insert(&mut self, name: &str, claim: Claim) {
        self.0.push((name.into(), claim));
    }

    /// What the token says; `None`: nothing.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Claim> {
        self.0.iter().find(|(known, _)| **known == *name).map(|(_, claim)| claim)
    }
}

/// What one claim of a token has to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Requirement {
    /// Its name: a member at the top of the token.
    pub claim: String,
    /// What it has to be.
    pub is: ClaimTest,
}

/// What a claim has to be. Texts are compared byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum ClaimTest {
    /// This text.
    Equals(String),
    /// One of these texts.
    In(Vec<String>),
    /// A list with this text in it, or the text itself: Keycloak writes a list of one as either.
    Contains(String),
    /// Not there at all.
    Absent,
}

impl Requirement {
    /// Whether a token's claims fulfil it.
    #[must_use]
    pub fn holds(&self, claims: &ClaimSet) -> bool {
        match (&self.is, claims.get(&self.claim)) {
            (ClaimTest::Equals(wanted), Some(Claim::Text(found))) => **found == **wanted,
            (ClaimTest::In(wanted), Some(Claim::Text(found))) => wanted.iter().any(|wanted| **found == **wanted),
            (ClaimTest::Contains(wanted), Some(Claim::Text(found))) => **found == **wanted,
            (ClaimTest::Contains(wanted), Some(Claim::List(found))) => found.iter().any(|found| **found == **wanted),
            (ClaimTest::Absent, None) => true,
            (ClaimTest::Equals(_) | ClaimTest::In(_), Some(Claim::List(_)))
            | (ClaimTest::Absent, Some(_))
            | (_, None | Some(Claim::Other)) => false,
        }
    }

    /// Whether it can be compared with anything.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let is_text = |text: &String| !text.is_empty() && text.len() <= MAX_TEXT;
        let test = match &self.is {
            ClaimTest::Equals(text) | ClaimTest::Contains(text) => is_text(text),
            ClaimTest::In(texts) => !texts.is_empty() && texts.iter().all(is_text),
            ClaimTest::Absent => true,
        };
        is_text(&self.claim) && test
    }
}

/// Whether all of them hold.
#[must_use]
pub fn all_hold(requirements: &[Requirement], claims: &ClaimSet) -> bool {
    requirements.iter().all(|requirement| requirement.holds(claims))
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let claim = &self.claim;
        match &self.is {
            ClaimTest::Equals(text) => write!(f, "{claim} is {text:?}"),
            ClaimTest::In(texts) => write!(f, "{claim} is one of {texts:?}"),
            ClaimTest::Contains(text) => write!(f, "{claim} contains {text:?}"),
            ClaimTest::Absent => write!(f, "there is no {claim}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(claim: Option<Claim>) -> ClaimSet {
        let mut set = ClaimSet::default();
        set.insert("other", Claim::Text("public".into()));
        claim.into_iter().for_each(|claim| set.insert("scope_of_data", claim));
        set
    }

    #[test]
    fn each_test_holds_for_what_it_says_and_for_nothing_else() {
        let (text, list) = (
            |text: &str| Some(Claim::Text(text.into())),
            |texts: &[&str]| Some(Claim::List(texts.iter().map(|text| (*text).into()).collect())),
        );
        let equals = ClaimTest::Equals("public".into());
        let one_of = ClaimTest::In(vec!["public".into(), "open".into()]);
        let contains = ClaimTest::Contains("public".into());
        for (is, claim, expected) in [
            (&equals, text("public"), true),
            (&equals, text("Public"), false),
            (&equals, text("public "), false),
            (&equals, list(&["public"]), false),
            (&equals, Some(Claim::Other), false),
            (&equals, None, false),
            (&one_of, text("open"), true),
            (&one_of, text("public"), true),
            (&one_of, text("closed"), false),
            (&one_of, list(&["open"]), false),
            (&one_of, Some(Claim::Other), false),
            (&one_of, None, false),
            (&contains, list(&["secret", "public"]), true),
            (&contains, text("public"), true),
            (&contains, list(&["secret"]), false),
            (&contains, list(&[]), false),
            (&contains, text("publicity"), false),
            (&contains, Some(Claim::Other), false),
            (&contains, None, false),
            (&ClaimTest::Absent, None, true),
            (&ClaimTest::Absent, text(""), false),
            (&ClaimTest::Absent, list(&[]), false),
            (&ClaimTest::Absent, Some(Claim::Other), false),
        ] {
            let requirement = Requirement { claim: "scope_of_data".into(), is: is.clone() };
            assert_eq!(requirement.holds(&claims(claim.clone())), expected, "{requirement}: {claim:?}");
        }
    }

    #[test]
    fn what_nothing_could_fulfil_is_not_sound() {
        let sound = |claim: &str, is| Requirement { claim: claim.into(), is }.is_sound();
        assert!(sound("a", ClaimTest::Absent) && sound("a", ClaimTest::Equals("x".into())));
        assert!(!sound("", ClaimTest::Absent) && !sound(&"a".repeat(256), ClaimTest::Absent));
        assert!(!sound("a", ClaimTest::In(vec![])) && !sound("a", ClaimTest::Contains(String::new())));
    }
}

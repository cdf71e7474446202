//! Text with places for what an application is told: `${clientId}`.

use std::collections::BTreeMap;

use strum::VariantArray;

/// What can be told.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::EnumString, strum::IntoStaticStr, strum::VariantArray,
)]
#[strum(serialize_all = "camelCase")]
pub enum Fact {
    /// The OAuth client id.
    ClientId,
    /// The realm's issuer: what `iss` of its tokens says.
    Issuer,
    /// The discovery document, as pods reach it (OpenID Connect Discovery 1.0).
    DiscoveryUrl,
    /// Where browsers sign in.
    AuthorizationUrl,
    /// Where browsers sign out.
    LogoutUrl,
    /// Where pods get tokens.
    TokenUrl,
    /// Where pods ask who somebody is.
    UserinfoUrl,
    /// The keys of tokens, as pods reach them.
    JwksUrl,
    /// The realm's name in Keycloak.
    Realm,
    /// Keycloak's own URL, as browsers know it.
    ServerUrl,
    /// The application's own URL.
    Url,
    /// Where browsers are sent back to: the first of the paths.
    RedirectUri,
    /// The claim with what people may do.
    RolesClaim,
    /// Path of the file with the secret.
    SecretFile,
    /// Path of the directory that it lies in.
    SecretDirectory,
    /// The entry of the Secret `keywire-credentials` with the secret.
    SecretKey,
    /// Path of the file with the CA certificates of Keycloak's server. There is none where the system's are enough.
    CaFile,
}

/// What is told of one application.
pub type Facts = BTreeMap<Fact, String>;

/// Text with places for facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Fact(Fact),
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It ends within a place.
    #[error("\"${{\" without \"}}\"; write \"$${{\" for the characters themselves")]
    Open,
    /// Nothing is called so.
    #[error("there is no ${{{name}}}; there is {}", known())]
    Unknown {
        /// What was written.
        name: String,
    },
}

fn known() -> String {
    Fact::VARIANTS.iter().map(|fact| format!("${{{}}}", <&str>::from(*fact))).collect::<Vec<_>>().join(", ")
}

impl Template {
    /// Reads one. `$${` is `${` itself.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once("${") {
            if let Some(before) = before.strip_suffix('$') {
                parts.push(Part::Text(format!("{before}${{")));
                rest = after;
                continue;
            }
            let (name, after) = after.split_once('}').ok_or(TemplateError::Open)?;
            let fact = name.parse().map_err(|_| TemplateError::Unknown { name: name.to_owned() })?;
            parts.extend([Part::Text(before.to_owned()), Part::Fact(fact)]);
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    /// The text; `None` where one of its facts is not there.
    #[must_use]
    pub fn fill(&self, facts: &Facts) -> Option<String> {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Fact(fact) => facts.get(fact).map(String::as_str),
        });
        parts.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled() {
        let facts = Facts::from([(Fact::ClientId, "board".to_owned()), (Fact::Issuer, "https://kc/realms/ml".into())]);
        let filled = |text: &str| Template::parse(text).expect("good").fill(&facts);
        for (text, expected) in [
            ("", Some("")),
            ("plain $HOME", Some("plain $HOME")),
            ("${clientId}", Some("board")),
            ("id=${clientId}, from ${issuer}!", Some("id=board, from https://kc/realms/ml!")),
            ("$${clientId}", Some("${clientId}")),
            ("${clientId}$${x", Some("board${x")),
            ("x ${caFile}", None),
        ] {
            assert_eq!(filled(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        assert_eq!(Template::parse("a ${clientId"), Err(TemplateError::Open));
        for text in ["${secret}", "${}", "${ClientId}", "${clientId }"] {
            let error = Template::parse(text).expect_err(text).to_string();
            assert!(error.contains("${clientId}") && error.contains("${redirectUri}"), "{error}");
        }
    }
}

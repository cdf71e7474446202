//! Targets outside the cluster: where they are, and how far a Realm lets identities go there.

use std::{collections::BTreeSet, fmt};

use url::Url;

use super::{Problem, ProblemReason};
use crate::core::path::CanonicalPath;

/// An https URL without credentials, query and fragment, whose path has one reading.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExternalUrl {
    origin: String,
    /// Begins with a slash unless it is empty; never ends with one.
    path: String,
}

/// Why a text is no [`ExternalUrl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ExternalUrlError {
    /// Not `https://host[:port][/path]`. A token never leaves the cluster in the clear.
    #[error("must be https://HOST[:PORT][/PATH], without user name, query and fragment")]
    NotHttps,
    /// A path that servers read in more than one way.
    #[error("must have a path with one reading: no `..`, `//`, `;` or needless percent-encoding")]
    AmbiguousPath,
}

impl ExternalUrl {
    /// Reads one.
    ///
    /// # Errors
    /// [`ExternalUrlError`]: what it must be.
    pub fn parse(text: &str) -> Result<Self, ExternalUrlError> {
        let url = Url::parse(text).map_err(|_| ExternalUrlError::NotHttps)?;
        let is_plain = url.username().is_empty() && url.password().is_none();
        if url.scheme() != "https" || !is_plain || url.query().is_some() || url.fragment().is_some() {
            return Err(ExternalUrlError::NotHttps);
        }
        let origin = url.origin().ascii_serialization();
        // As it is written: what the parser repairs, somebody else reads otherwise.
        let rest = text.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..])).unwrap_or("/");
        let path = CanonicalPath::parse(rest).map_err(|_| ExternalUrlError::AmbiguousPath)?.as_str();
        Ok(Self { origin, path: path.strip_suffix('/').unwrap_or(path).to_owned() })
    }

    /// Scheme, host and port, as in `https://models.example.com`.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// What the paths of all calls begin with: empty, or a slash and at least one segment, without a slash at the end.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether it is `prefix` or lies below it, by whole segments.
    pub fn is_within(&self, prefix: &Self) -> bool {
        self.origin == prefix.origin && is_below(&self.path, &prefix.path)
    }
}

/// Whether `path` is `prefix` or lies below it, by whole segments. `prefix` ends with no slash.
pub fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl fmt::Display for ExternalUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path)
    }
}

/// An API outside the cluster, as an identity asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct External {
    /// Its base URL: no call leaves it.
    pub url: ExternalUrl,
    /// The one audience of the tokens that are sent there.
    pub audience: String,
    /// The client scopes that lead to that audience.
    pub scopes: BTreeSet<String>,
    /// CA certificates for the connection, PEM, as the Realm has them; `None`: the system's.
    pub ca: Option<String>,
}

/// An audience that a Realm lets its identities have tokens for, and where these may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalAudience {
    /// The audience.
    pub audience: String,
    /// The client scopes that identities may ask for.
    pub scopes: BTreeSet<String>,
    /// Whoever answers there can use the token at the audience: URLs of the audience's own servers, and what is below.
    pub urls: Vec<ExternalUrl>,
    /// As in [`External::ca`].
    pub ca: Option<String>,
}

impl External {
    /// The same as the Realm lets it be, with the CA that the Realm names; else what is not listed.
    ///
    /// # Errors
    /// A [`Problem`] for the identity's owner. `env` names the target, `realm` the Realm.
    pub fn admitted(&self, listed: &[ExternalAudience], env: &str, realm: &str) -> Result<Self, Problem> {
        let unlisted = |what: String| {
            let message = format!(
                "target {env}: Realm {realm:?} does not list {what}, so nothing is sent there; ask the platform team to add it to its spec.externalAudiences, or correct the target"
            );
            Problem::new(ProblemReason::AudienceNotListed, message)
        };
        let found = listed.iter().find(|entry| entry.audience == self.audience);
        let entry = found.ok_or_else(|| unlisted(format!("the audience {:?} for this namespace", self.audience)))?;
        if let Some(scope) = self.scopes.iter().find(|scope| !entry.scopes.contains(*scope)) {
            return Err(unlisted(format!("the scope {scope:?} of audience {:?}", self.audience)));
        }
        if !entry.urls.iter().any(|prefix| self.url.is_within(prefix)) {
            return Err(unlisted(format!("the URL {} for audience {:?}", self.url, self.audience)));
        }
        Ok(Self { ca: entry.ca.clone(), ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> ExternalUrl {
        ExternalUrl::parse(text).expect("a URL")
    }

    #[test]
    fn urls_have_one_reading() {
        for (text, expected) in [
            ("https://models.example.com", Ok(("https://models.example.com", ""))),
            ("https://models.example.com/", Ok(("https://models.example.com", ""))),
            ("https://MODELS.example.com:443/v1/", Ok(("https://models.example.com", "/v1"))),
            ("https://10.0.0.1:8443/a/b", Ok(("https://10.0.0.1:8443", "/a/b"))),
            ("https://[2001:db8::1]/a", Ok(("https://[2001:db8::1]", "/a"))),
            ("http://models.example.com", Err(ExternalUrlError::NotHttps)),
            ("https://user@models.example.com", Err(ExternalUrlError::NotHttps)),
            ("https://:pass@models.example.com", Err(ExternalUrlError::NotHttps)),
            ("https://models.example.com/v1?x=1", Err(ExternalUrlError::NotHttps)),
            ("https://models.example.com/v1#x", Err(ExternalUrlError::NotHttps)),
            ("models.example.com", Err(ExternalUrlError::NotHttps)),
            ("https://", Err(ExternalUrlError::NotHttps)),
            ("https://a/v1/../admin", Err(ExternalUrlError::AmbiguousPath)),
            ("https://a/v1/%2e%2e/admin", Err(ExternalUrlError::AmbiguousPath)),
            ("https://a//v1", Err(ExternalUrlError::AmbiguousPath)),
            ("https://a/v1;x", Err(ExternalUrlError::AmbiguousPath)),
            ("https://a/v1\\x", Err(ExternalUrlError::AmbiguousPath)),
        ] {
            let found = ExternalUrl::parse(text);
            let parts = found.as_ref().map(|url| (url.origin(), url.path())).map_err(|error| *error);
            assert_eq!(parts, expected, "{text}");
        }
    }

    #[test]
    fn a_prefix_is_of_whole_segments_and_of_one_origin() {
        for (text, prefix, expected) in [
            ("https://a/v1", "https://a/", true),
            ("https://a/v1", "https://a/v1/", true),
            ("https://a/v1/x", "https://a/v1", true),
            ("https://a/v1x", "https://a/v1", false),
            ("https://a/", "https://a/v1", false),
            ("https://a:8443/v1", "https://a/v1", false),
            ("https://a.evil.example/v1", "https://a", false),
            ("https://evil.example/a", "https://a", false),
        ] {
            assert_eq!(url(text).is_within(&url(prefix)), expected, "{text} {prefix}");
        }
    }

    /// A token is worth something at its audience, whoever sends it there.
    #[test]
    fn what_the_realm_does_not_list_is_refused_by_name() {
        let scopes = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let listed = [ExternalAudience {
            audience: "api".into(),
            scopes: scopes(&["api:read", "api:write"]),
            urls: vec![url("https://api.example/"), url("https://eu.example/api")],
            ca: Some("PEM".into()),
        }];
        let wanted = |at: &str, audience: &str, names: &[&str]| External {
            url: url(at),
            audience: audience.into(),
            scopes: scopes(names),
            ca: None,
        };
        let good = wanted("https://eu.example/api/v1", "api", &["api:read"]);
        let admitted = good.admitted(&listed, "API_URL", "ml").expect("listed");
        assert_eq!(admitted, External { ca: Some("PEM".into()), ..good });
        for (external, named) in [
            (wanted("https://api.example", "other", &["api:read"]), "audience \"other\""),
            (wanted("https://api.example", "api", &["api:read", "api:admin"]), "scope \"api:admin\""),
            (wanted("https://evil.example", "api", &["api:read"]), "https://evil.example"),
            (wanted("https://eu.example/", "api", &["api:read"]), "https://eu.example"),
            (wanted("https://eu.example/apis", "api", &["api:read"]), "https://eu.example/apis"),
        ] {
            let problem = external.admitted(&listed, "API_URL", "ml").expect_err("not listed");
            assert_eq!(problem.reason, ProblemReason::AudienceNotListed);
            assert!(problem.message.contains(named) && problem.message.contains("API_URL"), "{}", problem.message);
        }
    }
}

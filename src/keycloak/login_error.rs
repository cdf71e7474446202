//! Why the operator cannot log in, and what to do about it.

use std::time::Duration;

use super::assertion::AssertionClaims;
use super::transport::TransportError;

/// A login that failed. Each message says what to do; none holds a secret.
#[derive(Clone, Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum LoginError {
    /// No answer at all.
    #[error("{0}")]
    Transport(TransportError),
    /// The realm to log in at does not exist.
    #[error("there is no realm {realm} to log in at: correct the login realm, or create it")]
    RealmMissing {
        /// The realm.
        realm: String,
    },
    /// Something else than Keycloak answered, or Keycloak under another path.
    #[error("what answers at {url} (status {status}) is not Keycloak's token endpoint: correct the URL and its path")]
    NotKeycloak {
        /// The token endpoint.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The name or the secret is wrong.
    #[error("Keycloak refuses the credentials of {name} ({message}): correct the client id and the secret")]
    WrongCredentials {
        /// Client id or user name.
        name: String,
        /// Keycloak's own words.
        message: String,
    },
    /// Keycloak refuses the assertion that our private key has signed.
    #[error(
        "Keycloak refuses the signed assertion of client {name} ({message}); it has {claims}: check that the client \
         authenticates by signed JWT, with the public key of the private key that is used here, and that the audience \
         is the login realm's issuer (spec.url)"
    )]
    SignatureRefused {
        /// The client id.
        name: String,
        /// Keycloak's own words.
        message: String,
        /// What the assertion says of itself.
        claims: Box<AssertionClaims>,
    },
    /// Keycloak refuses the ServiceAccount token, without saying why.
    #[error(
        "Keycloak refuses the Kubernetes token of client {name} ({message}); the token has {claims}: check that the \
         login realm has an enabled identity provider with this issuer and the cluster's current keys, and that the \
         client is bound to it and to this subject; `keywire bootstrap` repairs both"
    )]
    AssertionRefused {
        /// The client id.
        name: String,
        /// Keycloak's own words.
        message: String,
        /// What the token says of itself.
        claims: Box<AssertionClaims>,
    },
    /// Keycloak finds fault with the assertion itself: its audience, its lifetime or its form.
    #[error(
        "the assertion of client {name} will not do ({message}); it has {claims}: its audience has to be the login \
         realm's issuer, so correct the KeycloakServer's spec.url"
    )]
    AssertionInvalid {
        /// The client id.
        name: String,
        /// Keycloak's own words.
        message: String,
        /// What the token says of itself.
        claims: Box<AssertionClaims>,
    },
    /// The client may not log in this way.
    #[error("Keycloak does not let {name} log in this way ({message}): enable service accounts for the client")]
    NotAllowed {
        /// Client id or user name.
        name: String,
        /// Keycloak's own words.
        message: String,
    },
    /// Keycloak gave a token and then did not accept it.
    #[error(
        "Keycloak refuses the token that it has just issued to {name}: check that its hostname settings and our URL \
         agree, and, from Keycloak 26.8.2 on, that the client has the client scope kc-admin-api among its default \
         scopes (`keywire bootstrap` adds it)"
    )]
    TokenRefused {
        /// Client id or user name.
        name: String,
    },
    /// The private key cannot sign.
    #[error("the private key of client {name} cannot sign ({reason}): give another one")]
    Signing {
        /// The client id.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The ServiceAccount token cannot be read.
    #[error("the Kubernetes token {path} cannot be read ({reason}): mount a projected token there")]
    TokenFile {
        /// The file.
        path: String,
        /// The operating system's words.
        reason: String,
    },
    /// No ServiceAccount token was issued.
    #[error(
        "no token of ServiceAccount {account} can be had ({reason}): the operator may create tokens of it by its Role"
    )]
    NoToken {
        /// Namespace and name of the ServiceAccount.
        account: String,
        /// The API server's words.
        reason: String,
    },
    /// Keycloak, or something before it, asks for patience.
    #[error("Keycloak takes no login right now (status {status}): nothing to do but wait")]
    Busy {
        /// The HTTP status; 429 where nothing was sent because of what was said before.
        status: u16,
        /// How long to wait, if it was said.
        retry_after: Option<Duration>,
    },
    /// Keycloak failed.
    #[error("Keycloak failed to answer a login (status {status}, {message}): see its log")]
    Server {
        /// The HTTP status.
        status: u16,
        /// Keycloak's own words.
        message: String,
    },
}

impl From<TransportError> for LoginError {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Patience { retry_after } => Self::Busy { status: 429, retry_after: Some(retry_after) },
            error => Self::Transport(error),
        }
    }
}

impl LoginError {
    /// Whether the same request will be refused again until someone changes something.
    pub(super) fn is_lasting(&self) -> bool {
        !matches!(self, Self::Transport(_) | Self::NoToken { .. } | Self::Busy { .. } | Self::Server { .. })
    }
}

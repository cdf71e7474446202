//! How the operator proves itself to Keycloak.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use super::assertion::{AssertionSource, CLIENT_ASSERTION_TYPE};
use super::login_error::LoginError;
use super::signing_key::{SigningKey, SigningKeyError};

/// The public client that Keycloak keeps for the password of an administrator.
const ADMIN_CLIENT: &str = "admin-cli";

/// One way to log in. Secrets never show in `Debug`.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// The operator's own Kubernetes ServiceAccount token: no secret at all.
    KubernetesToken {
        /// The operator's client in the login realm.
        client_id: String,
        /// Gives a token, whose one audience is the login realm's issuer URL. Asked at each login.
        token: Arc<dyn AssertionSource>,
    },
    /// A client secret.
    ClientSecret {
        /// The operator's client in the login realm.
        client_id: String,
        /// Its secret.
        secret: SecretString,
    },
    /// An assertion that our private key signs.
    PrivateKeyJwt {
        /// The operator's client in the login realm.
        client_id: String,
        /// The key.
        key: Arc<SigningKey>,
        /// The login realm's issuer URL, as its discovery document has it.
        audience: String,
    },
    /// An administrator's password, for bootstrapping only.
    Password {
        /// The administrator.
        username: String,
        /// The password.
        password: SecretString,
    },
}

/// The form of one login request. Holds secrets.
pub(super) struct LoginForm {
    pub fields: Vec<(&'static str, SecretString)>,
}

impl Credentials {
    /// The form to send, with the token file read now.
    pub(super) async fn login_form(&self) -> Result<LoginForm, LoginError> {
        let fields = match self {
            Self::KubernetesToken { token, .. } => by_assertion(token.assertion().await?),
            Self::PrivateKeyJwt { client_id, key, audience } => {
                let unsigned =
                    |error: SigningKeyError| LoginError::Signing { name: client_id.clone(), reason: error.to_string() };
                by_assertion(key.assertion(client_id, audience).map_err(unsigned)?)
            }
            Self::ClientSecret { client_id, secret } => vec![
                ("grant_type", "client_credentials".into()),
                ("client_id", client_id.as_str().into()),
                ("client_secret", secret.clone()),
            ],
            Self::Password { username, password } => vec![
                ("grant_type", "password".into()),
                ("client_id", ADMIN_CLIENT.into()),
                ("username", username.as_str().into()),
                ("password", password.clone()),
            ],
        };
        Ok(LoginForm { fields })
    }

    /// Another form to try where the first one's assertion was refused: that of an earlier one which is still good.
    pub(super) fn spare_form(&self) -> Option<LoginForm> {
        let Self::KubernetesToken { token, .. } = self else { return None };
        Some(LoginForm { fields: by_assertion(token.spare()?) })
    }

    /// Who logs in, for error messages.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::KubernetesToken { client_id, .. }
            | Self::ClientSecret { client_id, .. }
            | Self::PrivateKeyJwt { client_id, .. } => client_id,
            Self::Password { username, .. } => username,
        }
    }
}

/// Without `client_id`: the assertion says who it is, and Keycloak 26.5 wants the two to be the same, which a
/// ServiceAccount's subject never is.
fn by_assertion(assertion: SecretString) -> Vec<(&'static str, SecretString)> {
    vec![
        ("grant_type", "client_credentials".into()),
        ("client_assertion_type", CLIENT_ASSERTION_TYPE.into()),
        ("client_assertion", assertion),
    ]
}

impl LoginForm {
    /// The assertion that is sent, if there is one.
    pub fn assertion(&self) -> Option<&SecretString> {
        self.fields.iter().find(|(name, _)| *name == "client_assertion").map(|(_, value)| value)
    }

    /// The form as the request's body takes it.
    pub fn exposed(&self) -> Vec<(&'static str, &str)> {
        self.fields.iter().map(|(name, value)| (*name, value.expose_secret())).collect()
    }
}

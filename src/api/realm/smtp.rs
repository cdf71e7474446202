//! How Keycloak sends mail.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::secret::SecretKeyRef;

/// How Keycloak sends mail. What is given here is the whole of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Smtp {
    /// Host name of the mail server.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[A-Za-z0-9._:\[\]-]+$"))]
    pub host: String,
    /// Port of the mail server. Default: the protocol's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// The sender's address.
    #[schemars(length(min = 3, max = 255))]
    pub from: String,
    /// The sender's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub from_display_name: Option<String>,
    /// Where answers go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub reply_to: Option<String>,
    /// The name of where answers go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub reply_to_display_name: Option<String>,
    /// Where undeliverable mail goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub envelope_from: Option<String>,
    /// How the connection is protected.
    #[serde(default)]
    pub encryption: MailEncryption,
    /// The account at the mail server; none means that it asks for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<MailLogin>,
}

/// How the connection to the mail server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MailEncryption {
    /// Begun in clear, then TLS (RFC 3207).
    #[default]
    StartTls,
    /// TLS from the start (RFC 8314).
    Tls,
    /// Not at all: for development only.
    None,
}

/// The account at the mail server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MailLogin {
    /// Name of the account.
    #[schemars(length(min = 1, max = 255))]
    pub user: String,
    /// Where its password lies.
    pub password: SecretKeyRef,
}

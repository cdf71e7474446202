//! APIs outside the cluster that a realm's identities may call.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::NamespaceAccess;
use crate::api::common::{EXTERNAL_URL_PATTERN, SCOPE_PATTERN};

/// An audience outside the cluster, and who may have tokens for it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalAudience {
    /// What its tokens have as their one `aud`, such as the client id of that API.
    #[schemars(length(min = 1, max = 255))]
    pub audience: String,
    /// Client scopes that identities may ask for. They exist in the realm already, or are listed in `clientScopes`; one of
    /// those that an identity asks for has to add the audience.
    #[schemars(length(min = 1, max = 32), inner(length(min = 1, max = 255), regex(pattern = SCOPE_PATTERN)),
        extend("x-kubernetes-list-type" = "set"))]
    pub scopes: Vec<String>,
    /// Where its tokens may be sent: these URLs (https), and what lies below them. Whoever answers there can use such a token
    /// at the audience, so these are the audience's own.
    #[schemars(length(min = 1, max = 16), inner(length(min = 9, max = 512), regex(pattern = EXTERNAL_URL_PATTERN)),
        extend("x-kubernetes-list-type" = "set"))]
    pub urls: Vec<String>,
    /// CA certificates for these URLs, PEM. Default: those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65536))]
    pub ca: Option<String>,
    /// Which of the realm's namespaces it is for. Default: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<NamespaceAccess>,
}

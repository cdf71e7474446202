//! Of a WebApp: the application signs people in itself.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::LABEL_PATTERN;

/// The application speaks OpenID Connect itself, and is told with what: by variables of its own names, and the client's
/// secret by a file. Who may use it is in a claim of its tokens; **that it looks there is the application's own affair**.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.preset) || has(self.redirectPaths)")
    .message("spec.native needs a preset, or redirectPaths and env"))]
pub struct NativeSignIn {
    /// An application that is known. What else stands here goes before what is known of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<KnownApp>,
    /// Where Keycloak may send browsers back to: paths of the application, compared as they are. The application is told the
    /// first, as `${redirectUri}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 256), regex(pattern = "^/[^?#* ]*$")))]
    pub redirect_paths: Vec<String>,
    /// The same after signing out. Default: the preset's, or the application's start, `/`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 256), regex(pattern = "^/[^?#* ]*$")))]
    pub post_logout_redirect_paths: Vec<String>,
    /// What Keycloak calls when somebody signs out elsewhere (OpenID Connect Back-Channel Logout 1.0).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^/[^?#* ]*$"))]
    pub backchannel_logout_path: Option<String>,
    /// What the application tells apart, for `spec.access` to give. Default: the preset's, or `use` alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 63), regex(pattern = LABEL_PATTERN)))]
    pub roles: Vec<String>,
    /// The claim of all its tokens with what somebody may do, a list. Default: `roles`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[A-Za-z][A-Za-z0-9_-]*$"))]
    pub roles_claim: Option<String>,
    /// What the application's containers are told, by variable: text with places such as `${clientId}` and `${issuer}`. It goes
    /// before what the preset says; empty text takes a variable of the preset away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub env: Vec<Variable>,
    /// The directory in which its containers find the secret, and the CA certificates of Keycloak's server where the system's
    /// are not enough. Default: `/var/run/keywire/sign-in`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 256), regex(pattern = "^/[^:]*[^/:]$"))]
    pub mount_path: Option<String>,
    /// Name of the file with the secret. Default: the preset's, or `client-secret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    pub secret_file: Option<String>,
    /// The variable in which the application wants the secret itself. A file is better kept: what is in the environment is seen
    /// by whatever the application starts, and in what it prints of itself. Presets that know no other way ask for this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$"))]
    pub secret_env: Option<String>,
    /// The containers that get both. Default: all of the pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 63), regex(pattern = LABEL_PATTERN)))]
    pub containers: Vec<String>,
}

/// What an application is told by one variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Variable {
    /// Its name.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z_][A-Za-z0-9_.-]*$"))]
    pub name: String,
    /// Text with places such as `${clientId}`.
    #[schemars(length(max = 2048))]
    pub value: String,
}

/// An application of which Keywire knows how it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum KnownApp {
    /// Roles: use, admin. Its secret is a variable.
    OpenWebUI,
    /// Roles: use (a viewer), edit, admin.
    Grafana,
    /// With the plug-in mlflow-oidc-auth. Roles: use, admin.
    MLflow,
    /// With oauthenticator's generic one. Roles: use, admin; its own configuration says what they mean. Its secret is a variable.
    JupyterHub,
    /// With its provider for Keycloak. It signs people in; what they may do there it asks Keycloak's authorization services.
    Airflow,
    /// Its settings are told by the ConfigMap `keywire-sign-in-NAME`, for its own to take them from.
    ArgoCD,
}

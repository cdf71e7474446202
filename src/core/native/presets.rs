//! Applications that are known by name. Read off their own sources or documentation, by the versions that are named.
//!
//! Each tells roles from `roles`: where it can, whoever holds none is refused by the application itself.

/// What is known of an application.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Where it has browsers sent back to. The first is the one that it is told.
    pub redirect_paths: &'static [&'static str],
    /// The same after signing out.
    pub post_logout_redirect_paths: &'static [&'static str],
    /// What Keycloak calls when somebody signs out elsewhere, where it listens for that.
    pub backchannel_logout_path: Option<&'static str>,
    /// What it tells apart.
    pub roles: &'static [&'static str],
    /// What it is told, in its own words.
    pub environment: &'static [(&'static str, &'static str)],
    /// Name of the file that it reads the secret from.
    pub secret_file: &'static str,
    /// The variable with the secret itself, where it reads no file.
    pub secret_variable: Option<&'static str>,
    /// Labels of the Secret by which it finds the secret.
    pub secret_labels: &'static [(&'static str, &'static str)],
}

const PLAIN: Preset = Preset {
    redirect_paths: &[],
    post_logout_redirect_paths: &["/"],
    backchannel_logout_path: None,
    roles: &["use", "admin"],
    environment: &[],
    secret_file: super::SECRET_FILE,
    secret_variable: None,
    secret_labels: &[],
};

impl Preset {
    /// Open WebUI 0.12. Its settings are variables alone, the secret too.
    pub const OPEN_WEB_UI: Self = Self {
        redirect_paths: &["/oauth/oidc/callback"],
        backchannel_logout_path: Some("/oauth/backchannel-logout"),
        secret_variable: Some("OAUTH_CLIENT_SECRET"),
        environment: &[
            ("WEBUI_URL", "${url}"),
            ("ENABLE_LOGIN_FORM", "false"),
            ("ENABLE_OAUTH_SIGNUP", "true"),
            // What is here holds, and not what somebody once clicked.
            ("ENABLE_OAUTH_PERSISTENT_CONFIG", "false"),
            ("ENABLE_OAUTH_ROLE_MANAGEMENT", "true"),
            ("ENABLE_OAUTH_BACKCHANNEL_LOGOUT", "true"),
            ("OAUTH_PROVIDER_NAME", "Keycloak"),
            ("OAUTH_CLIENT_ID", "${clientId}"),
            ("OPENID_PROVIDER_URL", "${discoveryUrl}"),
            ("OPENID_REDIRECT_URI", "${redirectUri}"),
            ("OAUTH_SCOPES", "openid email profile"),
            ("OAUTH_CODE_CHALLENGE_METHOD", "S256"),
            ("OAUTH_ROLES_CLAIM", "${rolesClaim}"),
            ("OAUTH_ALLOWED_ROLES", "use,admin"),
            ("OAUTH_ADMIN_ROLES", "admin"),
            ("AIOHTTP_CLIENT_SSL_CERT_FILE", "${caFile}"),
            ("SSL_CERT_FILE", "${caFile}"),
        ],
        ..PLAIN
    };

    /// Grafana 12. Of any setting it reads a file, by `__FILE` behind its name.
    pub const GRAFANA: Self = Self {
        redirect_paths: &["/login/generic_oauth"],
        post_logout_redirect_paths: &["/login", "/"],
        roles: &["use", "edit", "admin"],
        environment: &[
            ("GF_SERVER_ROOT_URL", "${url}/"),
            ("GF_AUTH_DISABLE_LOGIN_FORM", "true"),
            ("GF_AUTH_GENERIC_OAUTH_ENABLED", "true"),
            ("GF_AUTH_GENERIC_OAUTH_NAME", "Keycloak"),
            ("GF_AUTH_GENERIC_OAUTH_CLIENT_ID", "${clientId}"),
            ("GF_AUTH_GENERIC_OAUTH_CLIENT_SECRET__FILE", "${secretFile}"),
            ("GF_AUTH_GENERIC_OAUTH_SCOPES", "openid email profile"),
            ("GF_AUTH_GENERIC_OAUTH_AUTH_URL", "${authorizationUrl}"),
            ("GF_AUTH_GENERIC_OAUTH_TOKEN_URL", "${tokenUrl}"),
            ("GF_AUTH_GENERIC_OAUTH_API_URL", "${userinfoUrl}"),
            (
                "GF_AUTH_SIGNOUT_REDIRECT_URL",
                "${logoutUrl}?client_id=${clientId}&post_logout_redirect_uri=${url}/login",
            ),
            ("GF_AUTH_GENERIC_OAUTH_USE_PKCE", "true"),
            ("GF_AUTH_GENERIC_OAUTH_USE_REFRESH_TOKEN", "true"),
            ("GF_AUTH_GENERIC_OAUTH_ALLOW_SIGN_UP", "true"),
            ("GF_AUTH_GENERIC_OAUTH_LOGIN_ATTRIBUTE_PATH", "preferred_username"),
            (
                "GF_AUTH_GENERIC_OAUTH_ROLE_ATTRIBUTE_PATH",
                "contains(${rolesClaim}[*], 'admin') && 'Admin' || contains(${rolesClaim}[*], 'edit') && 'Editor' || contains(${rolesClaim}[*], 'use') && 'Viewer'",
            ),
            // Whoever holds none of them is refused.
            ("GF_AUTH_GENERIC_OAUTH_ROLE_ATTRIBUTE_STRICT", "true"),
            ("GF_AUTH_GENERIC_OAUTH_TLS_CLIENT_CA", "${caFile}"),
        ],
        ..PLAIN
    };

    /// MLflow 3 with the plug-in mlflow-oidc-auth 10 (`mlflow server --app-name oidc-auth`). Of a directory it reads each
    /// setting from the file that is called so.
    pub const MLFLOW: Self = Self {
        redirect_paths: &["/callback"],
        post_logout_redirect_paths: &["/", "/oidc/ui/auth"],
        secret_file: "OIDC_CLIENT_SECRET",
        environment: &[
            ("OIDC_DISCOVERY_URL", "${discoveryUrl}"),
            ("OIDC_CLIENT_ID", "${clientId}"),
            ("OIDC_REDIRECT_URI", "${redirectUri}"),
            ("OIDC_SCOPE", "openid email profile"),
            ("OIDC_CODE_CHALLENGE", "S256"),
            ("OIDC_PROVIDER_DISPLAY_NAME", "Sign in"),
            ("OIDC_GROUPS_ATTRIBUTE", "${rolesClaim}"),
            ("OIDC_GROUP_NAME", "use"),
            ("OIDC_ADMIN_GROUP_NAME", "admin"),
            ("CONFIG_K8S_SECRETS_ENABLED", "true"),
            ("CONFIG_K8S_SECRETS_PATH", "${secretDirectory}"),
            ("REQUESTS_CA_BUNDLE", "${caFile}"),
            ("SSL_CERT_FILE", "${caFile}"),
        ],
        ..PLAIN
    };

    /// JupyterHub with oauthenticator 17 (`c.JupyterHub.authenticator_class = "generic-oauth"`). The secret is a variable.
    pub const JUPYTER_HUB: Self = Self {
        redirect_paths: &["/hub/oauth_callback"],
        post_logout_redirect_paths: &["/hub/", "/"],
        secret_variable: Some("OAUTH_CLIENT_SECRET"),
        environment: &[
            ("OAUTH_CLIENT_ID", "${clientId}"),
            ("OAUTH_CALLBACK_URL", "${redirectUri}"),
            ("OAUTH2_AUTHORIZE_URL", "${authorizationUrl}"),
            ("OAUTH2_TOKEN_URL", "${tokenUrl}"),
            ("OAUTH2_USERDATA_URL", "${userinfoUrl}"),
            ("OAUTH2_USERNAME_KEY", "preferred_username"),
            ("OAUTH2_GROUPS_KEY", "${rolesClaim}"),
            ("LOGIN_SERVICE", "Keycloak"),
            ("SSL_CERT_FILE", "${caFile}"),
        ],
        ..PLAIN
    };

    /// Airflow 3 with its provider for Keycloak 0.11. Of a setting that is a secret it reads what a command prints, by `_CMD`
    /// behind its name. It calls Keycloak by one URL, that of browsers.
    pub const AIRFLOW: Self = Self {
        redirect_paths: &["/auth/login_callback"],
        environment: &[
            (
                "AIRFLOW__CORE__AUTH_MANAGER",
                "airflow.providers.keycloak.auth_manager.keycloak_auth_manager.KeycloakAuthManager",
            ),
            ("AIRFLOW__API__BASE_URL", "${url}"),
            ("AIRFLOW__KEYCLOAK_AUTH_MANAGER__CLIENT_ID", "${clientId}"),
            ("AIRFLOW__KEYCLOAK_AUTH_MANAGER__CLIENT_SECRET_CMD", "cat ${secretFile}"),
            ("AIRFLOW__KEYCLOAK_AUTH_MANAGER__REALM", "${realm}"),
            ("AIRFLOW__KEYCLOAK_AUTH_MANAGER__SERVER_URL", "${serverUrl}"),
            ("REQUESTS_CA_BUNDLE", "${caFile}"),
        ],
        ..PLAIN
    };

    /// Argo CD 3. Its settings are no variables but entries of its ConfigMap `argocd-cm`; it finds the secret by label.
    pub const ARGO_CD: Self = Self {
        redirect_paths: &["/auth/callback"],
        post_logout_redirect_paths: &["/applications", "/"],
        secret_labels: &[("app.kubernetes.io/part-of", "argocd")],
        environment: &[
            ("url", "${url}"),
            (
                "oidc.config",
                "name: Keycloak\nissuer: ${issuer}\nclientID: ${clientId}\nclientSecret: $keywire-credentials:${secretKey}\nrequestedScopes: [openid, profile, email]\nenablePKCEAuthentication: true\n",
            ),
        ],
        ..PLAIN
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{native::Template, permission::Permission};

    #[test]
    fn every_preset_can_be_used_as_it_stands() {
        for preset in [
            Preset::OPEN_WEB_UI,
            Preset::GRAFANA,
            Preset::MLFLOW,
            Preset::JUPYTER_HUB,
            Preset::AIRFLOW,
            Preset::ARGO_CD,
        ] {
            assert!(!preset.redirect_paths.is_empty() && preset.roles.contains(&"use"));
            for (name, text) in preset.environment {
                assert!(Template::parse(text).is_ok(), "{name}");
            }
            assert!(preset.roles.iter().all(|role| Permission::parse(role).is_ok()));
            let reads = |fact: &str| preset.environment.iter().any(|(_, text)| text.contains(fact));
            let by_file = ["${secretFile}", "${secretDirectory}", "${secretKey}"].into_iter().any(reads);
            assert_ne!(by_file, preset.secret_variable.is_some(), "by one way");
        }
    }
}

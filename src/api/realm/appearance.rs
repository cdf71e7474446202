//! Themes and languages of the pages and mails that people see.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::core::desired::RealmSettings;

/// Themes, by the names that the server has them under. What is not given stays as Keycloak has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Themes {
    /// Of the sign-in pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub login: Option<String>,
    /// Of the account console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub account: Option<String>,
    /// Of the administration console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub admin: Option<String>,
    /// Of mails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub email: Option<String>,
}

impl Themes {
    pub(super) fn settings(&self, to: &mut RealmSettings) {
        to.set("loginTheme", self.login.as_deref());
        to.set("accountTheme", self.account.as_deref());
        to.set("adminTheme", self.admin.as_deref());
        to.set("emailTheme", self.email.as_deref());
    }
}

/// Languages. What is given here is the whole list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.default) || self.supported.exists(locale, locale == self.default)")
    .message("spec.locales.default must be one of spec.locales.supported"))]
pub struct Locales {
    /// The languages that people can choose, such as `de` or `pt-BR`. None switches the choice off.
    #[schemars(length(max = 64), inner(length(min = 2, max = 35), regex(pattern = "^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*$")), extend("x-kubernetes-list-type" = "set"))]
    pub supported: Vec<String>,
    /// The language of who chooses none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 35))]
    pub default: Option<String>,
}

impl Locales {
    pub(super) fn settings(&self, to: &mut RealmSettings) {
        to.set("internationalizationEnabled", Some(!self.supported.is_empty()));
        to.set("supportedLocales", Some(self.supported.clone()));
        to.set("defaultLocale", self.default.as_deref());
    }
}

/// Headers that tell browsers what Keycloak's pages may do. What is not given stays as Keycloak has it; an empty text
/// takes a header away.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecurityHeaders {
    /// `Content-Security-Policy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4000))]
    pub content_security_policy: Option<String>,
    /// `Content-Security-Policy-Report-Only`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4000))]
    pub content_security_policy_report_only: Option<String>,
    /// `X-Frame-Options`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub x_frame_options: Option<String>,
    /// `X-Content-Type-Options`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub x_content_type_options: Option<String>,
    /// `X-Robots-Tag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub x_robots_tag: Option<String>,
    /// `Referrer-Policy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub referrer_policy: Option<String>,
    /// `Strict-Transport-Security`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub strict_transport_security: Option<String>,
}

impl SecurityHeaders {
    pub(super) fn settings(&self, to: &mut RealmSettings) {
        let given = [
            ("contentSecurityPolicy", &self.content_security_policy),
            ("contentSecurityPolicyReportOnly", &self.content_security_policy_report_only),
            ("xFrameOptions", &self.x_frame_options),
            ("xContentTypeOptions", &self.x_content_type_options),
            ("xRobotsTag", &self.x_robots_tag),
            ("referrerPolicy", &self.referrer_policy),
            ("strictTransportSecurity", &self.strict_transport_security),
        ];
        let headers: serde_json::Map<_, _> =
            given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?.into()))).collect();
        to.set("browserSecurityHeaders", (!headers.is_empty()).then_some(headers));
    }
}

//! What Keycloak records of sign-ins and of administration.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{api::common::Seconds, core::desired::RealmSettings};

/// What Keycloak records. What is not given stays as Keycloak has it, but for admin events: they are on, since changes
/// that others make are noticed by them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Events {
    /// Sign-ins and the like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserEvents>,
    /// Changes by administrators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<AdminEvents>,
    /// Who is told of both, such as `jboss-logging`: names of the server's event listeners. The whole list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 255)), extend("x-kubernetes-list-type" = "set"))]
    pub listeners: Option<Vec<String>>,
}

/// Recording of sign-ins and the like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserEvents {
    /// On or off.
    pub enabled: bool,
    /// How long a record is kept; `0s` is for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<Seconds>,
    /// The types that are recorded, such as `LOGIN_ERROR`. The whole list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), inner(length(min = 1, max = 64), regex(pattern = "^[A-Z0-9_]+$")), extend("x-kubernetes-list-type" = "set"))]
    pub types: Option<Vec<String>>,
}

/// Recording of changes by administrators.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdminEvents {
    /// On or off. Off, changes by others are found by the slow sweep only.
    pub enabled: bool,
    /// Whether a record holds the changed object. Off by default: secrets have leaked that way.
    #[serde(default)]
    pub details: bool,
    /// How long a record is kept; `0s` is for ever. A realm that Keywire makes begins with 30 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<Seconds>,
}

/// The realm attribute that holds the expiry of admin events.
const ADMIN_EXPIRY: &str = "adminEventsExpiration";

impl Events {
    pub(super) fn settings(&self, to: &mut RealmSettings, attributes: &mut BTreeMap<String, String>) {
        if let Some(UserEvents { enabled, expiry, types }) = &self.user {
            to.set("eventsEnabled", Some(*enabled));
            to.set("eventsExpiration", expiry.map(|Seconds(seconds)| seconds));
            to.set("enabledEventTypes", types.clone());
        }
        let default = AdminEvents { enabled: true, details: false, expiry: None };
        let AdminEvents { enabled, details, expiry } = self.admin.as_ref().unwrap_or(&default);
        to.set("adminEventsEnabled", Some(*enabled));
        to.set("adminEventsDetailsEnabled", Some(*details));
        if let Some(Seconds(seconds)) = expiry {
            attributes.insert(ADMIN_EXPIRY.to_owned(), seconds.to_string());
        }
        to.set("eventsListeners", self.listeners.clone());
    }
}

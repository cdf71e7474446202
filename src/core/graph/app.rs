//! A tool that people open in a browser.

use std::collections::BTreeSet;

use super::{Endpoint, PeopleEdge};
use crate::core::{native::Native, signin::document::Brand};

/// What a server was written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A ModelEndpoint: others grant access to it.
    ModelEndpoint,
    /// A WebApp: it says itself whom it is for.
    WebApp,
}

/// A WebApp: to its guard a server like any other, with grants of its own, that signs people in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// What is guarded, and Keycloak's client. Without a guard it has no port.
    pub server: Endpoint,
    /// Whom it is for. The grants are called as the entries of `spec.access` are.
    pub access: Vec<PeopleEdge>,
    /// The application's origin, as browsers know it: `https://HOST`, with a port where it is not the scheme's own.
    pub url: String,
    /// How people are signed in.
    pub sign_in: AppSignIn,
}

/// How people are signed in to an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppSignIn {
    /// By the guard.
    Sidecar {
        /// The ServiceAccount of its pods, with which the guard logs in as the client.
        service_account: String,
        /// How long a session lasts at most, in seconds.
        absolute: i64,
        /// How long it lasts without a request, in seconds.
        idle: i64,
        /// What scripts call.
        api: Vec<String>,
        /// What the guard's pages look like.
        brand: Brand,
    },
    /// By the application itself, which is told with which client.
    Native(Box<Native>),
    /// By a page's own script (a single-page application), which keeps no secret.
    Public {
        /// Where the browser may be sent back to: whole URLs.
        redirect_uris: BTreeSet<String>,
        /// Where it may be sent after signing out.
        post_logout_redirect_uris: BTreeSet<String>,
        /// Whose pages may ask Keycloak for tokens.
        web_origins: BTreeSet<String>,
    },
}

impl App {
    /// Every host to which people are sent back after they have signed in, with its port where it is not the scheme's own.
    pub fn hosts(&self) -> BTreeSet<&str> {
        let further = match &self.sign_in {
            AppSignIn::Sidecar { .. } | AppSignIn::Native(_) => None,
            AppSignIn::Public { web_origins, .. } => Some(web_origins),
        };
        let origins = [&self.url].into_iter().chain(further.into_iter().flatten());
        origins.map(|origin| origin.split_once("://").map_or(origin.as_str(), |(_, host)| host)).collect()
    }

    /// The ServiceAccount with which its guard logs in.
    pub fn service_account(&self) -> Option<&str> {
        match &self.sign_in {
            AppSignIn::Sidecar { service_account, .. } => Some(service_account),
            AppSignIn::Native(_) | AppSignIn::Public { .. } => None,
        }
    }

    /// What it is told, where it signs people in itself.
    pub fn native(&self) -> Option<&Native> {
        match &self.sign_in {
            AppSignIn::Native(native) => Some(native),
            AppSignIn::Sidecar { .. } | AppSignIn::Public { .. } => None,
        }
    }
}

//! Applications that sign people in themselves: what each wants to be told, in its own words. Pure.
//!
//! To add one that is known by name: a [`Preset`] in `presets.rs`, and its name in the API's.

mod presets;
mod template;

use std::collections::{BTreeMap, BTreeSet};

pub use presets::Preset;
pub use template::{Fact, Facts, Template, TemplateError};

/// Where the files lie in the application's containers, where it says nothing else.
pub const MOUNT_PATH: &str = "/var/run/keywire/sign-in";
/// The claim with what people may do, where an application says nothing else.
pub const ROLES_CLAIM: &str = "roles";
/// The file with the client's secret, where an application says nothing else.
pub const SECRET_FILE: &str = "client-secret";
/// The file with the CA certificates of Keycloak's server, beside that.
pub const CA_FILE: &str = "ca.crt";

/// How an application signs people in itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Native {
    /// Where the browser may be sent back to: whole URLs. The first path that was written is in `redirect_uri`.
    pub redirect_uris: BTreeSet<String>,
    /// The one that the application is told.
    pub redirect_uri: String,
    /// Where it may be sent after signing out.
    pub post_logout_redirect_uris: BTreeSet<String>,
    /// What Keycloak calls when somebody signs out elsewhere.
    pub backchannel_logout: Option<String>,
    /// The claim of all its tokens with what people may do.
    pub roles_claim: String,
    /// What its containers are told, by variable.
    pub environment: BTreeMap<String, Template>,
    /// Where the files lie.
    pub mount_path: String,
    /// Name of the one with the secret.
    pub secret_file: String,
    /// The variable that holds the secret itself, where the application reads no file.
    pub secret_variable: Option<String>,
    /// The containers that are told; empty: all.
    pub containers: BTreeSet<String>,
    /// A word that asks for another secret, where it is not the word that was answered last.
    pub rotate: Option<String>,
    /// Labels of the Secret by which the application finds it.
    pub secret_labels: BTreeMap<String, String>,
}

impl Native {
    /// What its containers are told. What needs a fact that there is not is left out.
    #[must_use]
    pub fn told(&self, facts: &Facts) -> BTreeMap<String, String> {
        let told = self.environment.iter().filter_map(|(name, template)| Some((name.clone(), template.fill(facts)?)));
        told.collect()
    }
}

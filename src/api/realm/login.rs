//! How people sign in.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::core::desired::RealmSettings;

/// How people sign in. What is not given stays as Keycloak has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.duplicateEmails) && self.duplicateEmails) || (has(self.withEmail) && !self.withEmail)")
    .message("spec.login.duplicateEmails needs withEmail: false: a mail address that two people share signs in neither"))]
#[x_kube(validation = Rule::new("!(has(self.duplicateEmails) && self.duplicateEmails && has(self.emailAsUsername) && self.emailAsUsername)")
    .message("spec.login.duplicateEmails and emailAsUsername exclude each other: user names are unique"))]
pub struct Login {
    /// People may register themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<bool>,
    /// Who registers has the mail address as user name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_as_username: Option<bool>,
    /// A mail address has to be verified. Needs `smtp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify_email: Option<bool>,
    /// People may sign in with their mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with_email: Option<bool>,
    /// Several people may have the same mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate_emails: Option<bool>,
    /// People may reset a forgotten password. Needs `smtp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_password: Option<bool>,
    /// The sign-in page offers to remember the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remember_me: Option<bool>,
    /// People may change their user name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit_username: Option<bool>,
}

impl Login {
    pub(super) fn settings(&self, to: &mut RealmSettings) {
        for (field, given) in [
            ("registrationAllowed", self.registration),
            ("registrationEmailAsUsername", self.email_as_username),
            ("verifyEmail", self.verify_email),
            ("loginWithEmailAllowed", self.with_email),
            ("duplicateEmailsAllowed", self.duplicate_emails),
            ("resetPasswordAllowed", self.reset_password),
            ("rememberMe", self.remember_me),
            ("editUsernameAllowed", self.edit_username),
        ] {
            to.set(field, given);
        }
    }
}

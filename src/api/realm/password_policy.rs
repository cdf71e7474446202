//! What a password must be.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::core::desired::RealmSettings;

/// What a password must be: the policies by name, or all of them in Keycloak's notation. What is given here is the
/// whole policy: what it does not name is not asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.notation) || !(has(self.minLength) || has(self.maxLength) || has(self.digits) || has(self.lowerCase) || has(self.upperCase) || has(self.specialCharacters) || has(self.history) || has(self.expireDays) || has(self.reuseDays) || has(self.hashAlgorithm) || has(self.hashIterations) || has(self.denyList) || has(self.pattern) || has(self.notUsername) || has(self.notContainsUsername) || has(self.notEmail))")
    .message("spec.passwordPolicy.notation is the whole policy: leave the other fields out, or write them instead of it"))]
pub struct PasswordPolicy {
    /// The least number of characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub min_length: Option<i32>,
    /// The greatest number of characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4096))]
    pub max_length: Option<i32>,
    /// The least number of digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 255))]
    pub digits: Option<i32>,
    /// The least number of lower-case letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 255))]
    pub lower_case: Option<i32>,
    /// The least number of upper-case letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 255))]
    pub upper_case: Option<i32>,
    /// The least number of other characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 255))]
    pub special_characters: Option<i32>,
    /// It is not the user name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_username: Option<bool>,
    /// It does not contain the user name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_contains_username: Option<bool>,
    /// It is not the mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_email: Option<bool>,
    /// It is none of so many earlier ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub history: Option<i32>,
    /// It is none that was used within so many days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 36_500))]
    pub reuse_days: Option<i32>,
    /// It has to be changed after so many days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 36_500))]
    pub expire_days: Option<i32>,
    /// How it is hashed, such as `argon2` or `pbkdf2-sha512`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9-]+$"))]
    pub hash_algorithm: Option<String>,
    /// How often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub hash_iterations: Option<i32>,
    /// It is not in this file of the server (`data/password-blacklists`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    pub deny_list: Option<String>,
    /// It matches this regular expression (Java's).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub pattern: Option<String>,
    /// All of it as Keycloak writes it: `length(12) and notUsername`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2000))]
    pub notation: Option<String>,
}

impl PasswordPolicy {
    pub(super) fn settings(&self, to: &mut RealmSettings) {
        to.set("passwordPolicy", Some(self.notation.clone().unwrap_or_else(|| self.parts().join(" and "))));
    }

    /// In Keycloak's words, in the order of the fields: Keycloak keeps the order.
    fn parts(&self) -> Vec<String> {
        let number = |name: &str, given: Option<i32>| given.map(|number| format!("{name}({number})"));
        let flag = |name: &str, given: Option<bool>| (given == Some(true)).then(|| format!("{name}(undefined)"));
        let text = |name: &str, given: &Option<String>| given.as_ref().map(|text| format!("{name}({text})"));
        let parts = [
            number("length", self.min_length),
            number("maxLength", self.max_length),
            number("digits", self.digits),
            number("lowerCase", self.lower_case),
            number("upperCase", self.upper_case),
            number("specialChars", self.special_characters),
            flag("notUsername", self.not_username),
            flag("notContainsUsername", self.not_contains_username),
            flag("notEmail", self.not_email),
            number("passwordHistory", self.history),
            number("passwordAge", self.reuse_days),
            number("forceExpiredPasswordChange", self.expire_days),
            text("hashAlgorithm", &self.hash_algorithm),
            number("hashIterations", self.hash_iterations),
            text("passwordBlacklist", &self.deny_list),
            text("regexPattern", &self.pattern),
        ];
        parts.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notation(policy: &PasswordPolicy) -> String {
        let mut settings = RealmSettings::default();
        policy.settings(&mut settings);
        settings.get("passwordPolicy").unwrap().as_str().unwrap().to_owned()
    }

    #[test]
    fn fields_become_keycloaks_notation() {
        let policy = PasswordPolicy {
            min_length: Some(12),
            not_username: Some(true),
            not_email: Some(false),
            hash_algorithm: Some("argon2".into()),
            ..Default::default()
        };
        assert_eq!(notation(&policy), "length(12) and notUsername(undefined) and hashAlgorithm(argon2)");
        assert_eq!(notation(&PasswordPolicy::default()), "", "nothing is asked for");
        let written = PasswordPolicy { notation: Some("digits(2)".into()), ..Default::default() };
        assert_eq!(notation(&written), "digits(2)");
    }
}

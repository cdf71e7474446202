//! From a Realm's own words to what its Keycloak realm should be: the one place where both are known.

use std::collections::BTreeMap;

use super::{ClientPolicies, Locales, MailEncryption, RealmSpec, Smtp, SslRequired, UserProfile, extra};
use crate::core::{
    desired::{FullRealm, RealmSettings, Sealed, SmtpServer},
    graph::Problem,
};

impl RealmSpec {
    /// What the realm should be at this moment (seconds since 1970), where its settings are ours, and what of the object
    /// cannot be followed: that is left out, and keeps nothing else from being followed.
    ///
    /// Only what the object names: everything else stays as the server has it. `password` is the mail server's; without
    /// it, where the object names one, the mail server stays as it is.
    pub fn full_realm(&self, at: u64, password: Option<Sealed>) -> (FullRealm, Vec<Problem>) {
        let (mut settings, mut attributes) = (self.settings(), BTreeMap::new());
        self.events.clone().unwrap_or_default().settings(&mut settings, &mut attributes);
        let problems = extra::merge(&self.extra, &mut settings, &mut attributes);
        let is_complete = |smtp: &&Smtp| smtp.login.is_none() || password.is_some();
        let full = FullRealm {
            settings,
            attributes,
            smtp: self.smtp.as_ref().filter(is_complete).map(|smtp| smtp.desired(password.clone())),
            user_profile: self.user_profile.as_ref().map(UserProfile::desired).unwrap_or_default(),
            required_actions: self.required_actions.iter().map(super::RequiredAction::desired).collect(),
            client_policies: self.client_policies.as_ref().unwrap_or(&ClientPolicies::default()).desired(),
            keys: self.keys.iter().map(super::Keys::desired).collect(),
            at,
        };
        (full, problems)
    }

    fn settings(&self) -> RealmSettings {
        let mut settings = RealmSettings::default().with("enabled", true);
        settings.set("displayName", self.display_name.as_deref());
        settings.set("displayNameHtml", self.display_name_html.as_deref());
        settings.set("sslRequired", self.ssl_required.map(SslRequired::name));
        let to = &mut settings;
        self.tokens.iter().for_each(|tokens| tokens.settings(to));
        self.login.iter().for_each(|login| login.settings(to));
        self.brute_force.iter().for_each(|protection| protection.settings(to));
        self.password_policy.iter().for_each(|policy| policy.settings(to));
        self.themes.iter().for_each(|themes| themes.settings(to));
        self.locales.iter().for_each(|locales: &Locales| locales.settings(to));
        self.security_headers.iter().for_each(|headers| headers.settings(to));
        settings
    }
}

impl SslRequired {
    fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::External => "external",
            Self::None => "none",
        }
    }
}

impl Smtp {
    fn desired(&self, password: Option<Sealed>) -> SmtpServer {
        let flag = |flag: bool| Some(flag.to_string());
        let given = [
            ("host", Some(self.host.clone())),
            ("port", self.port.map(|port| port.to_string())),
            ("from", Some(self.from.clone())),
            ("fromDisplayName", self.from_display_name.clone()),
            ("replyTo", self.reply_to.clone()),
            ("replyToDisplayName", self.reply_to_display_name.clone()),
            ("envelopeFrom", self.envelope_from.clone()),
            ("ssl", flag(self.encryption == MailEncryption::Tls)),
            ("starttls", flag(self.encryption == MailEncryption::StartTls)),
            ("auth", flag(self.login.is_some())),
            ("user", self.login.as_ref().map(|login| login.user.clone())),
        ];
        let settings = given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        SmtpServer { settings, password: password.filter(|_| self.login.is_some()) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn spec(fields: Value) -> RealmSpec {
        let mut all = json!({"server": "main", "realm": "ml"});
        all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    fn full(fields: Value) -> FullRealm {
        let (full, problems) = spec(fields).full_realm(7, Some(Sealed::new("v1", "sesame")));
        assert_eq!(problems, []);
        full
    }

    #[test]
    fn an_object_without_settings_has_the_defaults_only() {
        let full = full(json!({}));
        let expected = json!({"enabled": true, "adminEventsEnabled": true, "adminEventsDetailsEnabled": false});
        assert_eq!(json!(full.settings), expected);
        assert!(full.attributes.is_empty() && full.smtp.is_none() && full.keys.is_empty());
        assert_eq!(full.client_policies.profiles.len(), 1);
        let unguarded = json!({"clientPolicies": {"fullScope": "Unguarded"}, "events": {"admin": {"enabled": false}}});
        let unguarded = spec(unguarded).full_realm(7, None).0;
        assert!(unguarded.client_policies.profiles.is_empty() && unguarded.client_policies.policies.is_empty());
        assert_eq!(unguarded.settings.get("adminEventsEnabled"), Some(&json!(false)));
    }

    #[test]
    fn fields_become_keycloaks_words() {
        for (fields, name, value) in [
            (json!({"displayNameHtml": "<b>ML</b>"}), "displayNameHtml", json!("<b>ML</b>")),
            (json!({"sslRequired": "All"}), "sslRequired", json!("all")),
            (json!({"tokens": {"accessTokenLifespan": "5m"}}), "accessTokenLifespan", json!(300)),
            (json!({"tokens": {"offlineSessionMaxLifespan": "1h"}}), "offlineSessionMaxLifespanEnabled", json!(true)),
            (json!({"tokens": {"offlineSessionMaxLifespan": "0s"}}), "offlineSessionMaxLifespanEnabled", json!(false)),
            (json!({"tokens": {"signatureAlgorithm": "EdDSA"}}), "defaultSignatureAlgorithm", json!("EdDSA")),
            (json!({"login": {"emailAsUsername": true}}), "registrationEmailAsUsername", json!(true)),
            (json!({"bruteForce": {"enabled": true, "strategy": "Linear"}}), "bruteForceStrategy", json!("LINEAR")),
            (json!({"themes": {"login": "corp"}}), "loginTheme", json!("corp")),
            (json!({"locales": {"supported": ["de"]}}), "internationalizationEnabled", json!(true)),
            (json!({"locales": {"supported": []}}), "internationalizationEnabled", json!(false)),
            (json!({"events": {"user": {"enabled": true, "expiry": "1h"}}}), "eventsExpiration", json!(3600)),
            (
                json!({"securityHeaders": {"xFrameOptions": "DENY"}}),
                "browserSecurityHeaders",
                json!({"xFrameOptions": "DENY"}),
            ),
            (json!({"extra": {"otpPolicyDigits": 8}}), "otpPolicyDigits", json!(8)),
        ] {
            assert_eq!(full(fields.clone()).settings.get(name), Some(&value), "{fields}");
        }
        let expiry = full(json!({"events": {"admin": {"enabled": true, "expiry": "1h"}}}));
        assert_eq!(expiry.attributes["adminEventsExpiration"], "3600");
    }

    #[test]
    fn a_mail_server_waits_for_its_password() {
        let login = json!({"user": "u", "password": {"namespace": "corp", "name": "mail", "key": "password"}});
        let with = json!({"smtp": {"host": "mail", "from": "a@b.example", "login": login}});
        let server = full(with.clone()).smtp.unwrap();
        assert_eq!((server.version(), server.settings["auth"].as_str()), ("v1", "true"));
        assert_eq!(spec(with).full_realm(7, None).0.smtp, None);
        let without =
            full(json!({"smtp": {"host": "mail", "from": "a@b.example", "encryption": "None"}})).smtp.unwrap();
        assert_eq!((without.version(), without.settings["starttls"].as_str()), ("", "false"));
    }

    #[test]
    fn the_example_says_what_it_means() {
        let text = include_str!("../../../deploy/examples/realm/realm.yaml");
        let realm: crate::api::Realm = serde_saphyr::from_str(text).unwrap();
        let (full, problems) = realm.spec.full_realm(7, Some(Sealed::new("v1", "sesame")));
        assert_eq!(problems, []);
        assert_eq!(full.keys[0].algorithm, "ES256");
        assert_eq!(full.settings.get("otpPolicyDigits"), Some(&json!(8)));
        assert_eq!(full.smtp.unwrap().settings["user"], "keycloak");
        assert_eq!(full.client_policies.profiles.len(), 2);
    }
}

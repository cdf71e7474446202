//! The plans for a realm's own fields, and for its mail server.

use serde_json::{Value, json};

use crate::core::desired::representation::RealmRepresentation;
use crate::core::desired::{DesiredRealm, SMTP_VERSION, SmtpServer};
use crate::core::diff::change::Change;
use crate::core::diff::conflict::{Claim, Conflict};
use crate::core::diff::fields::{FieldChange, FieldPath, compare};

use super::lists::is_same;

/// Whether the realm's settings are ours to change.
///
/// # Errors
/// A [`Conflict`] if it was not made for the same object and is not to be adopted, or if too little of it is visible.
pub fn claim_realm(desired: &DesiredRealm, found: &RealmRepresentation) -> Result<(), Conflict> {
    let name = &desired.realm;
    if found.is_partial() {
        return Err(Conflict::RealmHidden { realm: name.clone() });
    }
    Claim { object: "realm", name, id: name, owner: found.owner() }.check(&desired.owner, desired.adopt)
}

/// What it takes to make the realm's own fields and attributes what is desired. What is not named stays as it is.
#[must_use]
pub fn plan_settings(desired: &DesiredRealm, found: &RealmRepresentation) -> Option<Change> {
    let wanted = desired.representation()?;
    let found = RealmRepresentation { settings: found.settings.in_order(), ..found.clone() };
    let mut fields = compare(&found, &wanted);
    fields.retain(|field| !means_the_same(field));
    (!fields.is_empty()).then(|| Change::UpdateRealm { realm: desired.realm.clone(), fields })
}

/// What it takes to give the realm this mail server. Keycloak shows no password, so the version that stands beside it
/// tells whether it is the one.
#[must_use]
pub fn plan_smtp(realm: &str, server: &SmtpServer, found: &RealmRepresentation) -> Option<Change> {
    let shown = |value: Option<&Value>| {
        let mut value = value.cloned().unwrap_or_else(|| json!({}));
        value.as_object_mut().map(|members| members.remove("password"));
        value
    };
    let wanted = json!(server.settings);
    let there = shown(found.settings.get("smtpServer"));
    let mut fields = Vec::new();
    if !is_same(&there, &wanted) {
        fields.push(change("smtpServer", there, wanted));
    }
    let version = found.attributes.get(SMTP_VERSION).map_or("", String::as_str);
    if version != server.version() {
        fields.push(change("version of the password", json!(version), json!(server.version())));
    }
    (!fields.is_empty()).then(|| Change::UpdateSmtp { realm: realm.to_owned(), server: server.clone(), fields })
}

fn change(name: &str, from: Value, to: Value) -> FieldChange {
    FieldChange { path: FieldPath(vec![name.to_owned()]), from, to }
}

/// Keycloak shows neither empty lists and texts nor, for an expiry, a zero.
fn means_the_same(field: &FieldChange) -> bool {
    is_same(&field.from, &field.to) || (field.from.is_null() && field.to == json!(0))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::core::desired::{FullRealm, Management, Owner, RealmSettings, Sealed};

    fn desired(settings: RealmSettings) -> DesiredRealm {
        let text = |text: &str| text.to_owned();
        DesiredRealm {
            realm: "ml".into(),
            owner: Owner {
                cluster: text("main"),
                kind: text("Realm"),
                namespace: None,
                name: text("ml"),
                uid: text("1"),
            },
            management: Management::Full(Box::new(FullRealm::from(settings))),
            roles: Vec::new(),
            workload_issuer: None,
            adopt: false,
        }
    }

    fn found(settings: RealmSettings) -> RealmRepresentation {
        let realm = desired(RealmSettings::default()).representation().unwrap();
        RealmRepresentation { settings, ..realm }
    }

    #[test]
    fn only_named_fields_that_mean_something_else_are_written() {
        let there = RealmSettings::default()
            .with("accessTokenLifespan", 300)
            .with("supportedLocales", json!(["en", "de"]))
            .with("theirs", true)
            .with("browserSecurityHeaders", json!({"xFrameOptions": "DENY", "xRobotsTag": "none"}));
        for (wanted, paths) in [
            (RealmSettings::default(), vec![]),
            (RealmSettings::default().with("supportedLocales", json!(["de", "en"])), vec![]),
            (RealmSettings::default().with("eventsExpiration", 0).with("passwordPolicy", ""), vec![]),
            (RealmSettings::default().with("accessTokenLifespan", 60), vec!["accessTokenLifespan"]),
            (
                RealmSettings::default().with("browserSecurityHeaders", json!({"xFrameOptions": "SAMEORIGIN"})),
                vec!["browserSecurityHeaders.xFrameOptions"],
            ),
        ] {
            let change = plan_settings(&desired(wanted), &found(there.clone()));
            let fields = change.iter().flat_map(Change::fields);
            assert_eq!(fields.map(|field| field.path.to_string()).collect::<Vec<_>>(), paths);
        }
    }

    #[test]
    fn a_password_is_written_for_a_new_version_only_and_shown_never() {
        let server = |version: &str| SmtpServer {
            settings: BTreeMap::from([("host".to_owned(), "mail".to_owned())]),
            password: Some(Sealed::new(version, "sesame")),
        };
        let mut there =
            found(RealmSettings::default().with("smtpServer", json!({"host": "mail", "password": "**********"})));
        let change = plan_smtp("ml", &server("mail@1"), &there).expect("no version is there yet");
        let shown = format!("{change} {change:?} {}", serde_json::to_string(&change).unwrap());
        assert!(!shown.contains("sesame") && shown.contains("mail@1"), "{shown}");
        there.attributes.insert(SMTP_VERSION.to_owned(), "mail@1".to_owned());
        assert_eq!(plan_smtp("ml", &server("mail@1"), &there), None);
        assert!(plan_smtp("ml", &server("mail@2"), &there).is_some());
        let open = SmtpServer { password: None, ..server("mail@1") };
        assert!(plan_smtp("ml", &open, &there).is_some(), "the password goes");
    }
}

//! The settings of a realm that is ours: observe, compare, apply, part by part. What fails is told of, and keeps no other
//! part from being as it should.

use serde_json::Value;

use crate::core::desired::representation::RealmRepresentation;
use crate::core::desired::{ClientPolicies, DesiredRealm, FullRealm, UserProfile};
use crate::core::diff::{
    Change, Conflict, FieldChange, KeySetting, claim_realm, plan_client_policies, plan_keys, plan_required_actions,
    plan_settings, plan_smtp, plan_user_profile,
};

use super::admin::RealmAdmin;
use super::error::ApiError;

/// Why a part of the settings is not as desired.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum SettingsError {
    /// It could not be read.
    #[error("cannot read the {part}: {source}")]
    Observe {
        /// What of the realm.
        part: &'static str,
        /// Why.
        source: ApiError,
    },
    /// The realm's settings are not ours to change.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// A change failed.
    #[error("cannot {change}: {source}")]
    Apply {
        /// The change.
        change: Box<Change>,
        /// Why.
        source: ApiError,
    },
    /// Keycloak has nothing of this name, and would have taken it without a word.
    #[error("{field}: this Keycloak has no {name:?}; it has {offered}")]
    Unknown {
        /// Keycloak's name of the field.
        field: String,
        /// What it has not.
        name: String,
        /// What it has.
        offered: String,
    },
}

/// What became of a realm's settings.
#[derive(Debug, Default)]
pub struct SettingsReport {
    /// The changes that were made.
    pub done: Vec<Change>,
    /// What is not as it should be.
    pub failed: Vec<SettingsError>,
    /// When the next key is due, in seconds since 1970.
    pub look_again: Option<u64>,
}

/// The lifetimes of what a signing key signs. A client can have a longer one of its own: then the object says how long
/// keys are kept.
const SIGNED_LIFETIMES: [&str; 4] = [
    "accessTokenLifespan",
    "accessTokenLifespanForImplicitFlow",
    "ssoSessionMaxLifespan",
    "ssoSessionMaxLifespanRememberMe",
];

impl RealmAdmin {
    /// Makes the settings of a realm what is desired, with six reads at most where nothing is to be done. Nothing for a
    /// realm whose settings are someone else's.
    pub async fn reconcile_settings(&self, desired: &DesiredRealm) -> SettingsReport {
        let mut report = SettingsReport::default();
        let Some(full) = desired.full() else { return report };
        let Some(found) = report.read("realm", self.get_realm().await) else { return report };
        if let Err(conflict) = claim_realm(desired, &found) {
            report.failed.push(conflict.into());
            return report;
        }
        self.fields_part(desired, &found, &mut report).await;
        let smtp = full.smtp.as_ref().and_then(|server| plan_smtp(&desired.realm, server, &found));
        self.carry_out(smtp, &mut report).await;
        self.profile_part(desired, full, &mut report).await;
        self.actions_part(desired, full, &mut report).await;
        self.policies_part(desired, full, &mut report).await;
        self.keys_part(desired, full, &found, &mut report).await;
        report
    }

    async fn profile_part(&self, desired: &DesiredRealm, full: &FullRealm, report: &mut SettingsReport) {
        if !self.reads(full.user_profile != UserProfile::default()) {
            return;
        }
        let Some(found) = report.read("user profile", self.get_user_profile().await) else { return };
        self.carry_out(plan_user_profile(&desired.owner, &full.user_profile, &found), report).await;
    }

    async fn actions_part(&self, desired: &DesiredRealm, full: &FullRealm, report: &mut SettingsReport) {
        if !self.reads(!full.required_actions.is_empty()) {
            return;
        }
        let Some(found) = report.read("required actions", self.list_required_actions().await) else { return };
        self.carry_out(plan_required_actions(&desired.owner, &full.required_actions, &found), report).await;
    }

    async fn policies_part(&self, desired: &DesiredRealm, full: &FullRealm, report: &mut SettingsReport) {
        if !self.reads(full.client_policies != ClientPolicies::default()) {
            return;
        }
        let (profiles, policies) = tokio::join!(self.get_client_profiles(), self.get_client_policies());
        let profiles = report.read("client profiles", profiles);
        let (Some(profiles), Some(policies)) = (profiles, report.read("client policies", policies)) else { return };
        let plan = plan_client_policies(&desired.owner, &full.client_policies, &profiles, &policies);
        // The later ones name what the earlier ones make.
        self.carry_out_until_failure(plan, report).await;
    }

    async fn keys_part(
        &self,
        desired: &DesiredRealm,
        full: &FullRealm,
        realm: &RealmRepresentation,
        report: &mut SettingsReport,
    ) {
        // Whatever is named: a key that is no longer wanted goes when its time has come.
        let Some(found) = report.read("signing keys", self.list_key_providers().await) else { return };
        let longest_lifetime = SIGNED_LIFETIMES.iter().filter_map(|field| realm.settings.seconds(field)).max();
        let setting = KeySetting {
            realm: desired.id(),
            rotations: &full.keys,
            longest_lifetime: longest_lifetime.unwrap_or_default(),
        };
        let plan = plan_keys(full.at, &setting, &found);
        report.look_again = plan.next;
        // No key ceases to sign before the next one does.
        self.carry_out_until_failure(plan.changes, report).await;
    }

    /// The realm's own fields go in one call. Where Keycloak refuses that, each goes alone: only what is wrong fails.
    async fn fields_part(&self, desired: &DesiredRealm, found: &RealmRepresentation, report: &mut SettingsReport) {
        let Some(Change::UpdateRealm { realm, fields }) = plan_settings(desired, found) else { return };
        let fields = self.without_unknown_names(fields, report).await;
        if fields.is_empty() {
            return;
        }
        let all = Change::UpdateRealm { realm: realm.clone(), fields: fields.clone() };
        match self.apply_change(&all).await {
            Ok(()) => report.done.push(all),
            Err(error) if is_refusal(&error) && fields.len() > 1 => {
                let alone =
                    fields.into_iter().map(|field| Change::UpdateRealm { realm: realm.clone(), fields: vec![field] });
                self.carry_out(alone, report).await;
            }
            Err(source) => report.failed.push(SettingsError::Apply { change: Box::new(all), source }),
        }
    }

    /// The fields but for those that name what the server has not. Asked only when such a field is to be written.
    async fn without_unknown_names(&self, fields: Vec<FieldChange>, report: &mut SettingsReport) -> Vec<FieldChange> {
        if !fields.iter().any(|field| offer_of(field).is_some()) {
            return fields;
        }
        let Some(offers) = report.read("server's themes and listeners", self.admin().offers().await) else {
            return fields.into_iter().filter(|field| offer_of(field).is_none()).collect();
        };
        let mut known = Vec::new();
        for field in fields {
            let offered = match offer_of(&field) {
                None => None,
                Some(Offer::Theme(kind)) => offers.themes.get(kind),
                Some(Offer::Listeners) => Some(&offers.listeners),
                Some(Offer::EventTypes) => Some(&offers.event_types),
            };
            let missing = offered.and_then(|offered| names(&field.to).find(|name| !offered.contains(*name)));
            match (missing, offered) {
                (Some(name), Some(offered)) => report.failed.push(SettingsError::Unknown {
                    field: field.path.to_string(),
                    name: name.to_owned(),
                    offered: offered.iter().take(MOST_OFFERED).map(String::as_str).collect::<Vec<_>>().join(", "),
                }),
                _ => known.push(field),
            }
        }
        known
    }

    async fn carry_out(&self, changes: impl IntoIterator<Item = Change>, report: &mut SettingsReport) {
        for change in changes {
            report.add(self.apply_change(&change).await, change);
        }
    }

    async fn carry_out_until_failure(&self, changes: Vec<Change>, report: &mut SettingsReport) {
        for change in changes {
            let result = self.apply_change(&change).await;
            let failed = result.is_err();
            report.add(result, change);
            if failed {
                return;
            }
        }
    }
}

impl SettingsReport {
    fn read<T>(&mut self, part: &'static str, result: Result<T, ApiError>) -> Option<T> {
        result.map_err(|source| self.failed.push(SettingsError::Observe { part, source })).ok()
    }

    fn add(&mut self, result: Result<(), ApiError>, change: Change) {
        match result {
            Ok(()) => self.done.push(change),
            Err(source) => self.failed.push(SettingsError::Apply { change: Box::new(change), source }),
        }
    }
}

/// How many names a message lists.
const MOST_OFFERED: usize = 20;

/// What the names in a field have to be among.
enum Offer {
    Theme(&'static str),
    Listeners,
    EventTypes,
}

fn offer_of(field: &FieldChange) -> Option<Offer> {
    match field.path.0.first()?.as_str() {
        "loginTheme" => Some(Offer::Theme("login")),
        "accountTheme" => Some(Offer::Theme("account")),
        "adminTheme" => Some(Offer::Theme("admin")),
        "emailTheme" => Some(Offer::Theme("email")),
        "eventsListeners" => Some(Offer::Listeners),
        "enabledEventTypes" => Some(Offer::EventTypes),
        _ => None,
    }
}

/// The texts in a value: itself, or its items.
fn names(value: &Value) -> impl Iterator<Item = &str> {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_else(|| std::slice::from_ref(value));
    items.iter().filter_map(Value::as_str).filter(|name| !name.is_empty())
}

/// Whether Keycloak found fault with what was sent. For a value that is no word of its own it answers 500.
fn is_refusal(error: &ApiError) -> bool {
    matches!(error, ApiError::Invalid { .. } | ApiError::Server { status: 500, .. })
}

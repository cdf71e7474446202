//! The plans for what Keycloak keeps beside the realm: user profile, client profiles and policies, required actions.

use serde_json::{Value, json};

use crate::core::desired::{ClientPolicies, Named, Owner, RequiredAction, UserProfile, annotated_owner, signed_owner};
use crate::core::diff::change::Change;
use crate::core::diff::conflict::is_ours;
use crate::core::diff::fields::{FieldChange, FieldPath, compare};

use super::lists::{Merge, is_same, name};

/// The attributes without which Keycloak has no user.
const BUILT_IN: [&str; 4] = ["username", "email", "firstName", "lastName"];
/// The config entry of a required action that we registered.
const OWNER: &str = crate::core::desired::OWNER_ATTRIBUTE;

/// What it takes to make the user profile what is desired. Attributes of others stay; ours that are no longer named go.
#[must_use]
pub fn plan_user_profile(owner: &Owner, desired: &UserProfile, found: &Value) -> Option<Change> {
    let is_surplus = |item: &Value| is_ours(annotated_owner(item), owner) && !BUILT_IN.contains(&name(item));
    let merge = |list: &'static str, wanted: &[Named]| {
        let wanted: Vec<_> = wanted.iter().map(|item| item.annotated(owner)).collect();
        Merge { list, wanted: &wanted, is_surplus: &is_surplus }.merge(items(found, list))
    };
    let (attributes, groups) = (merge("attributes", &desired.attributes), merge("groups", &desired.groups));
    let mut fields = [attributes.fields, groups.fields].concat();
    let mut profile = found.as_object()?.clone();
    profile.insert("attributes".to_owned(), json!(attributes.items));
    profile.insert("groups".to_owned(), json!(groups.items));
    if let Some(policy) = &desired.unmanaged
        && policy != &found["unmanagedAttributePolicy"]
    {
        let path = FieldPath(vec!["unmanagedAttributePolicy".to_owned()]);
        fields.push(FieldChange { path, from: found["unmanagedAttributePolicy"].clone(), to: policy.clone() });
        profile.insert("unmanagedAttributePolicy".to_owned(), policy.clone());
    }
    (!fields.is_empty()).then_some(Change::UpdateUserProfile { profile: Value::Object(profile), fields })
}

/// What it takes to have the client profiles and policies that are desired. Those of others stay.
///
/// A policy cannot name a profile that is not there, so a new profile comes before the policies and an old one goes after.
#[must_use]
pub fn plan_client_policies(
    owner: &Owner,
    desired: &ClientPolicies,
    profiles: &Value,
    policies: &Value,
) -> Vec<Change> {
    let (found, nothing) = (items(profiles, "profiles"), |_: &Value| false);
    let is_surplus = |item: &Value| is_ours(signed_owner(item), owner);
    let signed = |wanted: &[Named]| wanted.iter().map(|item| item.signed(owner)).collect::<Vec<_>>();
    let wanted = signed(&desired.profiles);
    let merge = |is_surplus| Merge { list: "profiles", wanted: &wanted, is_surplus };
    let (grown, settled) = (merge(&nothing).merge(found), merge(&is_surplus).merge(found));
    let wanted = signed(&desired.policies);
    let policies =
        Merge { list: "policies", wanted: &wanted, is_surplus: &is_surplus }.merge(items(policies, "policies"));
    let removed: Vec<_> = settled.fields.into_iter().filter(|field| field.to.is_null()).collect();
    let mut changes = Vec::new();
    if !grown.fields.is_empty() {
        let profiles = json!({"profiles": grown.items});
        changes.push(Change::UpdateClientProfiles { profiles, fields: grown.fields });
    }
    if !policies.fields.is_empty() {
        changes.push(Change::UpdateClientPolicies {
            policies: json!({"policies": policies.items}),
            fields: policies.fields,
        });
    }
    if !removed.is_empty() {
        changes.push(Change::UpdateClientProfiles { profiles: json!({"profiles": settled.items}), fields: removed });
    }
    changes
}

/// What it takes to have the required actions that are desired. Those that we registered and that are no longer named
/// go; others stay as they are.
#[must_use]
pub fn plan_required_actions(owner: &Owner, desired: &[RequiredAction], found: &[RequiredAction]) -> Vec<Change> {
    let mut changes = Vec::new();
    for action in found {
        let is_wanted = desired.iter().any(|wanted| wanted.alias == action.alias);
        let registered = action.config.as_ref().and_then(|config| config.get(OWNER));
        if !is_wanted && is_ours(registered.and_then(|mark| Owner::from_attribute(mark)), owner) {
            changes.push(Change::DeleteRequiredAction { alias: action.alias.clone() });
        }
    }
    for wanted in desired {
        match found.iter().find(|found| found.alias == wanted.alias) {
            None => {
                let mut action = wanted.clone();
                action.config.get_or_insert_default().insert(OWNER.to_owned(), owner.to_attribute());
                changes.push(Change::CreateRequiredAction { action });
            }
            Some(found) => changes.extend(update_action(wanted, found)),
        }
    }
    changes
}

fn update_action(wanted: &RequiredAction, found: &RequiredAction) -> Option<Change> {
    let fields: Vec<_> = compare(found, wanted).into_iter().filter(|field| !is_same(&field.from, &field.to)).collect();
    let mut config = found.config.clone().unwrap_or_default();
    config.extend(wanted.config.clone().unwrap_or_default());
    let action = RequiredAction {
        name: wanted.name.clone().or_else(|| found.name.clone()),
        provider_id: found.provider_id.clone(),
        priority: wanted.priority.or(found.priority),
        config: Some(config),
        ..wanted.clone()
    };
    (!fields.is_empty()).then_some(Change::UpdateRequiredAction { action, fields })
}

fn items<'a>(of: &'a Value, list: &str) -> &'a [Value] {
    of.get(list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(name: &str) -> Owner {
        let text = |text: &str| text.to_owned();
        Owner { cluster: text("main"), kind: text("Realm"), namespace: None, name: text(name), uid: text("1") }
    }

    #[test]
    fn a_profile_keeps_what_others_put_into_it() {
        let found = json!({"attributes": [{"name": "username"}, {"name": "theirs"}], "groups": [{"name": "meta"}]});
        let team = Named::new("team", json!({"permissions": {"view": ["user", "admin"]}}));
        let username = Named::new("username", json!({"displayName": "Login"}));
        let desired = UserProfile {
            unmanaged: Some(json!("ADMIN_EDIT")),
            attributes: vec![team, username],
            groups: vec![Named::new("work", json!({}))],
        };
        let plan = |desired: &UserProfile, found: &Value| match plan_user_profile(&owner("ml"), desired, found) {
            Some(Change::UpdateUserProfile { profile, fields }) => Some((profile, fields.len())),
            None => None,
            Some(other) => panic!("{other}"),
        };
        let (after, count) = plan(&desired, &found).unwrap();
        let names = |list: &str| items(&after, list).iter().map(name).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            (names("attributes"), names("groups"), count),
            (vec!["username".into(), "theirs".into(), "team".into()], vec!["meta".into(), "work".into()], 4)
        );
        assert_eq!(plan(&desired, &after), None, "a second plan is empty");
        // What is no longer named goes, but for what Keycloak cannot be without; the policy stays.
        let (last, _) = plan(&UserProfile::default(), &after).unwrap();
        let names = |list: &str| items(&last, list).iter().map(name).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            (names("attributes"), names("groups")),
            (vec!["username".into(), "theirs".into()], vec!["meta".into()])
        );
        assert_eq!(last["unmanagedAttributePolicy"], "ADMIN_EDIT");
        assert_eq!(plan(&UserProfile::default(), &last), None);
        // Another object's are not ours to remove.
        assert_eq!(plan_user_profile(&owner("other"), &UserProfile::default(), &after), None);
    }

    #[test]
    fn profiles_come_before_their_policies_and_go_after_them() {
        let theirs = (json!({"profiles": [{"name": "theirs"}]}), json!({"policies": [{"name": "theirs"}]}));
        let item = |name: &str| vec![Named::new(name, json!({"enabled": true}))];
        let plan = |desired: &ClientPolicies, found: &(Value, Value)| {
            let mut after = found.clone();
            let changes = plan_client_policies(&owner("ml"), desired, &found.0, &found.1);
            for change in &changes {
                match change {
                    Change::UpdateClientProfiles { profiles, .. } => after.0 = profiles.clone(),
                    Change::UpdateClientPolicies { policies, .. } => after.1 = policies.clone(),
                    other => panic!("{other}"),
                }
            }
            (changes.iter().map(Change::kind).collect::<Vec<_>>(), after)
        };
        let (one, two) = (
            ClientPolicies { profiles: item("one"), policies: item("one") },
            ClientPolicies { profiles: item("two"), policies: item("two") },
        );
        let (kinds, after) = plan(&one, &theirs);
        assert_eq!(kinds, ["update_client_profiles", "update_client_policies"]);
        assert_eq!(plan(&one, &after).0, Vec::<&str>::new());
        let (kinds, after) = plan(&two, &after);
        assert_eq!(kinds, ["update_client_profiles", "update_client_policies", "update_client_profiles"]);
        let (kinds, after) = plan(&ClientPolicies::default(), &after);
        assert_eq!(kinds, ["update_client_policies", "update_client_profiles"]);
        assert_eq!(after, theirs);
    }

    #[test]
    fn only_actions_that_we_registered_go() {
        let action = |alias: &str| RequiredAction { alias: alias.into(), enabled: true, ..Default::default() };
        let wanted = RequiredAction { default_action: true, ..action("TERMS") };
        let created = plan_required_actions(&owner("ml"), std::slice::from_ref(&wanted), &[]);
        let [Change::CreateRequiredAction { action: registered }] = created.as_slice() else { panic!("{created:?}") };
        let shown = RequiredAction { name: Some("Terms".into()), priority: Some(20), ..registered.clone() };
        let there = [shown.clone(), action("VERIFY_EMAIL")];
        assert_eq!(plan_required_actions(&owner("ml"), std::slice::from_ref(&wanted), &there), []);
        assert_eq!(plan_required_actions(&owner("other"), &[], &there), []);
        let gone = plan_required_actions(&owner("ml"), &[], &there);
        assert_eq!(gone, [Change::DeleteRequiredAction { alias: "TERMS".into() }]);

        let off = RequiredAction { enabled: false, ..action("VERIFY_EMAIL") };
        let changes = plan_required_actions(&owner("ml"), &[wanted, off], &there);
        assert_eq!(
            changes.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["update required action VERIFY_EMAIL (enabled)"]
        );
    }
}

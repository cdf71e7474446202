//! Whether the operator holds the rights that the realm needs, and no more.

use std::collections::BTreeSet;

use crate::{
    api::{Management, Realm},
    controller::{condition::Verdict, servers::Login},
    core::rights::{Duties, Weighed},
    keycloak::ApiError,
};

/// The operator holds the rights that it needs in the realm.
const RIGHTS: &str = "Rights";
/// The client of a realm whose roles are rights of administration in it.
const MANAGEMENT: &str = "realm-management";

/// How the rights stand, read from the operator's own token; none where it does not tell. `Ready` does not depend on it:
/// a call that a right is missing for fails and says so.
pub async fn verdict(object: &Realm, login: &Login) -> Option<Verdict> {
    match weigh(object, login).await {
        Ok(weighed) => Some(judge(&object.spec.realm, &weighed?).aside()),
        // Without a login there is more to say elsewhere.
        Err(error) => {
            tracing::debug!(%error, "the operator's rights are not known");
            None
        }
    }
}

async fn weigh(object: &Realm, login: &Login) -> Result<Option<Weighed>, ApiError> {
    let realm = login.admin.realm(&object.spec.realm);
    let weighed = realm.held_roles(false).await?.map(|held| compare(object, &held));
    match weighed {
        // The token may be older than the right, or than the realm.
        Some(weighed) if !weighed.missing.is_empty() => {
            Ok(realm.held_roles(true).await?.map(|held| compare(object, &held)))
        }
        weighed => Ok(weighed),
    }
}

/// What it is to give to identities is not too much for it: of administration nobody gives what he has not himself.
fn compare(object: &Realm, held: &BTreeSet<String>) -> Weighed {
    let mut weighed = duties(object).weigh(held);
    let gives = |role: &String| {
        let mut entries = object.spec.grantable_roles.iter().filter(|entry| entry.client == MANAGEMENT);
        entries.any(|entry| entry.roles.contains(role))
    };
    weighed.surplus.retain(|role| !gives(role));
    weighed
}

fn duties(object: &Realm) -> Duties {
    let spec = &object.spec;
    let by_token = spec.credentials.as_ref().is_some_and(|credentials| credentials.kubernetes_token.is_some());
    Duties {
        manages_realm: spec.management == Management::Full,
        tells_keys: spec.workload_issuer.is_some() || by_token,
        keeps_realm_roles: !spec.roles.is_empty(),
    }
}

fn judge(realm: &str, Weighed { missing, surplus }: &Weighed) -> Verdict {
    let list = |roles: &BTreeSet<String>| roles.iter().cloned().collect::<Vec<_>>().join(", ");
    if !missing.is_empty() {
        let message = format!(
            "the operator lacks {} in realm {realm}: give it these roles (of client realm-management, or of {realm}-realm in master), in its client's scope too if that is limited, or run `keywire bootstrap`",
            list(missing)
        );
        return Verdict::bad(RIGHTS, "MissingRight", message);
    }
    if !surplus.is_empty() {
        let message = format!(
            "the operator holds more than it needs in realm {realm}: {}; take it away, or give the Realm spec.credentials of its own by `keywire bootstrap --realm`",
            list(surplus)
        );
        return Verdict::good(RIGHTS, "MoreThanNeeded", message);
    }
    Verdict::good(RIGHTS, "Exact", "the operator holds the rights that it needs in the realm, and no more")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::condition::State;

    #[test]
    fn what_it_is_to_give_is_not_too_much() {
        let object = |roles: &[&str]| -> Realm {
            let entries = serde_json::json!([{"client": MANAGEMENT, "roles": roles}]);
            let spec = serde_json::json!({"server": "main", "realm": "ml", "management": "ClientsOnly", "grantableRoles": entries});
            let object = serde_json::json!({"apiVersion": "keywire.dev/v1alpha1", "kind": "Realm", "metadata": {"name": "ml"}, "spec": spec});
            serde_json::from_value(object).expect("a Realm")
        };
        let held = ["manage-clients", "manage-users", "view-events", "view-identity-providers"];
        let held = held.map(ToOwned::to_owned).into();
        assert_eq!(compare(&object(&["view-identity-providers"]), &held), Weighed::default());
        assert_eq!(compare(&object(&["view-users"]), &held).surplus, ["view-identity-providers".to_owned()].into());
    }

    #[test]
    fn what_is_missing_comes_before_what_is_too_much() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let weighed = |missing: &[&str], surplus: &[&str]| Weighed { missing: names(missing), surplus: names(surplus) };
        let cases = [
            (weighed(&[], &[]), State::True, "Exact", ""),
            (weighed(&[], &["view-clients"]), State::True, "MoreThanNeeded", "view-clients"),
            (
                weighed(&["manage-users", "view-events"], &["x"]),
                State::False,
                "MissingRight",
                "manage-users, view-events",
            ),
        ];
        for (weighed, state, reason, says) in cases {
            let verdict = judge("ml", &weighed);
            assert_eq!((verdict.state, verdict.reason.as_str()), (state, reason));
            assert!(verdict.message.contains(says), "{}", verdict.message);
        }
    }
}

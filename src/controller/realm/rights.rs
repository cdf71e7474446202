//! Whether the operator holds the rights that the realm needs, and no more.

use crate::{
    api::{Management, Realm},
    controller::{condition::Verdict, servers::Login},
    core::rights::{Duties, Weighed},
    keycloak::ApiError,
};

/// The operator holds the rights that it needs in the realm.
const RIGHTS: &str = "Rights";

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
    let (realm, duties) = (login.admin.realm(&object.spec.realm), duties(object));
    let weighed = realm.held_roles(false).await?.map(|held| duties.weigh(&held));
    match weighed {
        // The token may be older than the right, or than the realm.
        Some(weighed) if !weighed.missing.is_empty() => {
            Ok(realm.held_roles(true).await?.map(|held| duties.weigh(&held)))
        }
        weighed => Ok(weighed),
    }
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
    let list = |roles: &std::collections::BTreeSet<String>| roles.iter().cloned().collect::<Vec<_>>().join(", ");
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

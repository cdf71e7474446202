//! Calls on behalf of others: they need a grant for the one who calls, and one for the one who is called for. Pure.
//!
//! The roles in such a token are those of the latter alone, so only his grant asks for the role. Nobody else's grants are
//! looked at: not those for roles that the calling client's own account may hold, nor those of the clients in between.

use crate::core::{
    permission::Permission,
    policy::{
        compiled::CompiledPolicy,
        decide::{Caller, Denial, covers, is_in_force},
        grants::CompiledGrant,
    },
    protocol::ModelUse,
};

/// Whom a client calls for, where that is not itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behalf<'a> {
    /// A person, whose roles are in the token.
    Person,
    /// A workload, by its client id.
    Workload(&'a str),
}

/// The grant that covers a call for whom it is made, where another one covers it for the client that makes it.
///
/// As in [`decide`](super::decide::decide), [`Denial::RoleMissing`] means that a fresh token may help.
pub fn decide<'p>(
    policy: &'p CompiledPolicy,
    caller: &Caller<'_>,
    behalf: Behalf<'_>,
    permission: &str,
    models: &ModelUse<'_>,
    now: i64,
) -> Result<&'p CompiledGrant, Denial> {
    let covering = |grant: &&CompiledGrant| covers(grant, caller, permission, models, now).is_ok();
    policy.grants_of(caller.client).iter().find(covering).ok_or(Denial::ActorNotGranted)?;
    let granted = grants_for(policy, caller, behalf).find(covering).ok_or(Denial::BearerNotGranted)?;
    if !policy.admits(caller.claims) {
        return Err(Denial::ClaimRequired);
    }
    if caller.roles.contains(permission) { Ok(granted) } else { Err(Denial::RoleMissing) }
}

/// Whether both hold something that `counts`, with one same permission: this one, or any. The role of it is in the token.
pub(super) fn may(
    policy: &CompiledPolicy,
    caller: &Caller<'_>,
    behalf: Behalf<'_>,
    permission: Option<&str>,
    now: i64,
    counts: impl Fn(&CompiledGrant) -> bool,
) -> bool {
    let holds = |grant: &CompiledGrant, name: &str| {
        is_in_force(grant, caller, now) && counts(grant) && grant.permissions.iter().any(|own| own.as_str() == name)
    };
    let both = |name: &str| {
        caller.roles.contains(name)
            && policy.grants_of(caller.client).iter().any(|grant| holds(grant, name))
            && grants_for(policy, caller, behalf).any(|grant| holds(grant, name))
    };
    match permission {
        Some(name) => both(name),
        None => policy
            .grants_of(caller.client)
            .iter()
            .flat_map(|grant| &*grant.permissions)
            .any(|name: &Permission| both(name.as_str())),
    }
}

/// What is missing where neither may do anything together: the grant of the client that calls, or that of whom it calls for.
pub fn missing(policy: &CompiledPolicy, caller: &Caller<'_>, now: i64) -> Denial {
    let has_any = policy.grants_of(caller.client).iter().any(|grant| is_in_force(grant, caller, now));
    if has_any { Denial::BearerNotGranted } else { Denial::ActorNotGranted }
}

/// The grants for whom a call is made.
fn grants_for<'p>(
    policy: &'p CompiledPolicy,
    caller: &Caller<'_>,
    behalf: Behalf<'_>,
) -> impl Iterator<Item = &'p CompiledGrant> {
    let (of_client, roles) = match behalf {
        Behalf::Workload(client) => (policy.grants_of(client), None),
        Behalf::Person => (&[][..], Some(caller.roles)),
    };
    let of_roles = roles.into_iter().flat_map(|roles| roles.iter()).flat_map(|role| policy.grants_of_role(role));
    of_client.iter().chain(of_roles)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::core::{
        claims::NO_CLAIMS,
        policy::{
            document::{Grant, Subject},
            roles::Roles,
        },
    };

    const NOW: i64 = 1_000;
    const AGENT: &str = "agent.agents.workload";
    const BATCH: &str = "batch.agents.workload";

    fn grant(name: &str, subject: Subject, permissions: &[&str], models: &[&str], expires_at: Option<i64>) -> Grant {
        let models = (!models.is_empty()).then(|| models.iter().map(|model| (*model).to_owned()).collect());
        let permissions = permissions.iter().map(|name| Permission::parse(name).unwrap()).collect();
        Grant { name: name.into(), subject, permissions, models, expires_at, claims: Vec::new() }
    }

    fn policy() -> CompiledPolicy {
        let client = |name: &str| Subject::Client(name.into());
        let role = |name: &str| Subject::Role(format!("grant.{name}"));
        let mut document = crate::core::policy::compiled::tests::document();
        document.grants = vec![
            grant("agent", client(AGENT), &["predict", "read"], &["iris", "rose"], None),
            grant("old", client("old.agents.workload"), &["predict"], &[], Some(NOW)),
            grant("batch", client(BATCH), &["predict", "deploy"], &[], None),
            grant("ann", role("ann"), &["predict"], &["iris"], None),
            grant("ended", role("ended"), &["predict"], &[], Some(NOW)),
        ];
        CompiledPolicy::compile(document).unwrap()
    }

    #[test]
    fn both_need_a_grant_that_covers_the_call() {
        use Denial::{ActorNotGranted, BearerNotGranted, RoleMissing};
        let policy = policy();
        let (person, batch) = (Behalf::Person, Behalf::Workload(BATCH));
        for (client, behalf, roles, permission, model, expected) in [
            (AGENT, person, "predict,grant.ann", "predict", "iris", Ok("ann")),
            (AGENT, person, "predict,grant.ann", "predict", "rose", Err(BearerNotGranted)),
            (AGENT, person, "predict,grant.ann", "predict", "tulip", Err(ActorNotGranted)),
            (AGENT, person, "read,grant.ann", "read", "iris", Err(BearerNotGranted)),
            (AGENT, person, "deploy,grant.ann", "deploy", "iris", Err(ActorNotGranted)),
            (AGENT, person, "grant.ann", "predict", "iris", Err(RoleMissing)),
            (AGENT, person, "predict,grant.ended", "predict", "iris", Err(BearerNotGranted)),
            (AGENT, person, "predict,grant.annex,ann", "predict", "iris", Err(BearerNotGranted)),
            // The agent's own grant is not the person's.
            (AGENT, person, "predict", "predict", "iris", Err(BearerNotGranted)),
            (AGENT, Behalf::Workload(AGENT), "predict", "predict", "iris", Ok("agent")),
            (AGENT, batch, "predict", "predict", "rose", Ok("batch")),
            (AGENT, batch, "deploy", "deploy", "rose", Err(ActorNotGranted)),
            (AGENT, batch, "", "predict", "rose", Err(RoleMissing)),
            // Nor are a person's roles a workload's.
            (
                AGENT,
                Behalf::Workload("other.agents.workload"),
                "predict,grant.ann",
                "predict",
                "iris",
                Err(BearerNotGranted),
            ),
            ("old.agents.workload", person, "predict,grant.ann", "predict", "iris", Err(ActorNotGranted)),
            ("nobody.agents.workload", person, "predict,grant.ann", "predict", "iris", Err(ActorNotGranted)),
        ] {
            let caller = Caller { client, roles: Roles::joined(roles), claims: &NO_CLAIMS, behalf: Some(behalf) };
            let models = ModelUse::One(Cow::Borrowed(model));
            let found = super::super::decide::decide(&policy, &caller, permission, &models, NOW);
            assert_eq!(found.map(|grant| &*grant.name), expected, "{client} {behalf:?} {roles} {permission} {model}");
        }
    }

    #[test]
    fn a_list_shows_what_both_may_use() {
        use super::super::decide::{may_anything, may_use};
        let policy = policy();
        for (client, behalf, roles, model, expected) in [
            (AGENT, Behalf::Person, "predict,grant.ann", "iris", true),
            (AGENT, Behalf::Person, "predict,grant.ann", "rose", false),
            (AGENT, Behalf::Person, "grant.ann", "iris", false),
            (AGENT, Behalf::Person, "predict", "iris", false),
            (AGENT, Behalf::Workload(BATCH), "predict", "rose", true),
            // Both hold something, but nothing that is the same.
            (AGENT, Behalf::Workload(BATCH), "deploy", "rose", false),
            (BATCH, Behalf::Person, "predict,grant.ended", "iris", false),
        ] {
            let caller = Caller { client, roles: Roles::joined(roles), claims: &NO_CLAIMS, behalf: Some(behalf) };
            assert_eq!(may_use(&policy, &caller, None, model, NOW), expected, "{client} {behalf:?} {roles} {model}");
            assert_eq!(
                may_anything(&policy, &caller, NOW),
                expected || model == "rose" && roles == "predict,grant.ann"
            );
        }
        let caller =
            |client| Caller { client, roles: Roles::default(), claims: &NO_CLAIMS, behalf: Some(Behalf::Person) };
        assert_eq!(missing(&policy, &caller(AGENT), NOW), Denial::BearerNotGranted);
        assert_eq!(missing(&policy, &caller("old.agents.workload"), NOW), Denial::ActorNotGranted);
    }
}

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
    _caller: &Caller<'_>,
    behalf: Behalf<'_>,
) -> impl Iterator<Item = &'p CompiledGrant> {
    match behalf {
        Behalf::Workload(client) => policy.grants_of(client).iter(),
        Behalf::Person => [].iter(),
    }
}

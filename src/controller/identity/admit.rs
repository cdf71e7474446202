//! What an identity may have only as far as its Realm lists it: claims, targets outside the cluster, roles of other clients.

use crate::{
    controller::{context::Context, watch::Caches},
    core::{
        claims::ClaimValue,
        graph::{Destination, Problem, ProblemReason, Workload},
    },
};

/// Takes away the claims that the Realm does not list, and tells of them: what endpoints ask for is worth what it may be set
/// by.
pub(super) fn claims(workload: &mut Workload, ctx: &Context) -> Vec<Problem> {
    let listed = Caches::cluster(&ctx.caches.realms, &workload.realm).map(|realm| realm.spec.claims.clone());
    let listed = listed.unwrap_or_default();
    let (kept, unlisted) =
        std::mem::take(&mut workload.claims).into_iter().partition(|(name, _)| listed.contains(name));
    workload.claims = kept;
    let problem = |(name, _): (String, ClaimValue)| {
        let message = format!(
            "Realm {:?} does not list the claim {name:?}, so tokens do not carry it; ask the platform team to add it to its spec.claims, or leave it out",
            workload.realm
        );
        Problem::new(ProblemReason::ClaimNotListed, message)
    };
    unlisted.into_iter().map(problem).collect()
}

/// Takes away the targets outside the cluster that the Realm does not list, and tells of them: a token is worth something
/// wherever it is sent.
pub(super) fn external(workload: &mut Workload, ctx: &Context) -> Vec<Problem> {
    if workload.targets.iter().all(|target| target.to.external().is_none()) {
        return Vec::new();
    }
    let labels = ctx.caches.namespace_labels(&workload.name.namespace);
    let realm = Caches::cluster(&ctx.caches.realms, &workload.realm);
    let listed = realm.map(|realm| realm.external_audiences(&labels)).unwrap_or_default();
    let mut problems = Vec::new();
    workload.targets.retain_mut(|target| {
        let Destination::External(external) = &mut target.to else { return true };
        match external.admitted(&listed, &target.env, &workload.realm) {
            Ok(admitted) => *external = admitted,
            Err(problem) => {
                problems.push(problem);
                return false;
            }
        }
        true
    });
    problems
}

/// Takes away the roles of other clients that the Realm does not list, and tells of them. One that calls on behalf of others
/// hands its tokens to endpoints, which could use them for what the roles allow: it has none.
pub(super) fn roles(workload: &mut Workload, ctx: &Context) -> Vec<Problem> {
    if workload.roles.is_empty() {
        return Vec::new();
    }
    let refused = |message: String| Problem::new(ProblemReason::RoleNotListed, message);
    if workload.acts_on_behalf {
        workload.roles.clear();
        let message = "an endpoint calls on behalf of others with this identity (its spec.onBehalfOf), and whoever is called could use the token for what spec.roles allows, so it has none of them; make an identity for each";
        return vec![refused(message.to_owned())];
    }
    let labels = ctx.caches.namespace_labels(&workload.name.namespace);
    let realm = Caches::cluster(&ctx.caches.realms, &workload.realm);
    let listed = realm.map(|realm| realm.grantable_roles(&labels)).unwrap_or_default();
    let mut problems = Vec::new();
    for (client, roles) in &mut workload.roles {
        roles.retain(|role| {
            let is_listed = listed.get(client).is_some_and(|listed| listed.contains(role));
            if !is_listed {
                problems.push(refused(format!(
                    "Realm {:?} does not list the role {role:?} of client {client:?} for this namespace, so the identity does not have it; ask the platform team to add it to its spec.grantableRoles, or leave it out",
                    workload.realm
                )));
            }
            is_listed
        });
    }
    workload.roles.retain(|_, roles| !roles.is_empty());
    problems
}

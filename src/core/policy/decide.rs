//! May this caller do this? Pure: the clock is an argument, no answer is kept.

use crate::core::{
    claims::ClaimSet,
    name::is_workload_client_id,
    permission::Permission,
    policy::{
        behalf::{self, Behalf},
        compiled::CompiledPolicy,
        grants::CompiledGrant,
        roles::Roles,
    },
    protocol::ModelUse,
};

/// Who calls, as the verified token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller<'a> {
    /// The client id (`azp`).
    pub client: &'a str,
    /// The endpoint's roles in the token.
    pub roles: Roles<'a>,
    /// What else the token says, as far as the policy asks for it.
    pub claims: &'a ClaimSet,
    /// Whom the client calls for, where that is not itself.
    pub behalf: Option<Behalf<'a>>,
}

/// Why a call is denied. What it needs exists, but not for this caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::EnumIter)]
#[strum(serialize_all = "snake_case")]
pub enum Denial {
    /// The caller has no grant at all on the endpoint.
    NoGrant,
    /// It has grants, but none of this permission.
    PermissionNotGranted,
    /// The grants of this permission have run out.
    GrantExpired,
    /// The grants of this permission are narrowed to other models.
    ModelNotGranted,
    /// The call touches every model (or it cannot be told which), the grants do not.
    EveryModelNotGranted,
    /// The endpoint's closed list does not have this model.
    ModelNotServed,
    /// The grants of this permission are for tokens that carry other claims.
    ClaimNotGranted,
    /// There is a grant, but the token does not carry what the endpoint requires of each.
    ClaimRequired,
    /// The call is made on somebody's behalf, and the client that makes it holds no grant that covers it.
    ActorNotGranted,
    /// The call is made on somebody's behalf, who holds no grant that covers it; the client that makes it does.
    BearerNotGranted,
    /// There is a grant, but the token lacks the role: it is older than the
    /// grant, or was asked for with other scopes. A fresh one may do.
    RoleMissing,
}

/// Finds the grant that covers a call: subject, permission, model and time,
/// with the role in the token. `now` is in seconds since the epoch.
///
/// The role is looked at last, so that [`Denial::RoleMissing`] always means
/// "a fresh token may help", which is what the egress half acts on.
pub fn decide<'p>(
    policy: &'p CompiledPolicy,
    caller: &Caller<'_>,
    permission: &str,
    models: &ModelUse<'_>,
    now: i64,
) -> Result<&'p CompiledGrant, Denial> {
    if let ModelUse::One(model) = models
        && !policy.serves(model)
    {
        return Err(Denial::ModelNotServed);
    }
    if let Some(behalf) = caller.behalf {
        return behalf::decide(policy, caller, behalf, permission, models, now);
    }
    let mut denial = Denial::NoGrant;
    for grant in grants_for(policy, caller) {
        match covers(grant, caller, permission, models, now) {
            Ok(()) if !policy.admits(caller.claims) => return Err(Denial::ClaimRequired),
            Ok(()) if caller.roles.contains(permission) => return Ok(grant),
            Ok(()) => return Err(Denial::RoleMissing),
            Err(nearer) => denial = nearest(denial, nearer),
        }
    }
    Err(denial)
}

/// Whether a caller may use a model: with this permission, or in any way. It is what a list shows. `now` is in seconds
/// since the epoch.
#[must_use]
pub fn may_use(policy: &CompiledPolicy, caller: &Caller<'_>, permission: Option<&str>, model: &str, now: i64) -> bool {
    let has_model = |grant: &CompiledGrant| grant.models.as_ref().is_none_or(|models| models.contains(model));
    policy.serves(model) && may(policy, caller, permission, now, has_model)
}

/// Whether a caller may do anything at all: what a call needs before its body is read. `now` is in seconds since the epoch.
#[must_use]
pub fn may_anything(policy: &CompiledPolicy, caller: &Caller<'_>, now: i64) -> bool {
    may(policy, caller, None, now, |_| true)
}

/// Whether the caller holds something that `counts`, of this permission or any.
fn may(
    policy: &CompiledPolicy,
    caller: &Caller<'_>,
    permission: Option<&str>,
    now: i64,
    counts: impl Fn(&CompiledGrant) -> bool,
) -> bool {
    policy.admits(caller.claims)
        && match caller.behalf {
            Some(behalf) => behalf::may(policy, caller, behalf, permission, now, counts),
            None => {
                let mut grants = grants_for(policy, caller);
                grants.any(|grant| is_usable(grant, caller, permission, now) && counts(grant))
            }
        }
}

/// The grants of a client that calls for itself, or through which a person does: its own, and those for the roles in the
/// token. A workload that calls for itself has none of the latter, whatever roles its account may hold.
fn grants_for<'p>(policy: &'p CompiledPolicy, caller: &Caller<'_>) -> impl Iterator<Item = &'p CompiledGrant> {
    let counts_roles = policy.has_role_grants() && !is_workload_client_id(caller.client);
    let roles = counts_roles.then(|| caller.roles.iter()).into_iter().flatten();
    policy.grants_of(caller.client).iter().chain(roles.flat_map(|role| policy.grants_of_role(role)))
}

/// In force, and this one of its permissions, or any, is in the token too.
fn is_usable(grant: &CompiledGrant, caller: &Caller<'_>, permission: Option<&str>, now: i64) -> bool {
    let counts = |granted: &str| permission.is_none_or(|permission| permission == granted);
    let mut granted = grant.permissions.iter().map(Permission::as_str).filter(|granted| counts(granted));
    is_in_force(grant, caller, now) && granted.any(|granted| caller.roles.contains(granted))
}

/// Not over, and for tokens like this one.
pub(super) fn is_in_force(grant: &CompiledGrant, caller: &Caller<'_>, now: i64) -> bool {
    grant.expires_at.is_none_or(|end| now < end) && grant.is_for(caller.claims)
}

pub(super) fn covers(
    grant: &CompiledGrant,
    caller: &Caller<'_>,
    permission: &str,
    models: &ModelUse<'_>,
    now: i64,
) -> Result<(), Denial> {
    if !grant.permissions.iter().any(|granted| granted.as_str() == permission) {
        return Err(Denial::PermissionNotGranted);
    }
    if grant.expires_at.is_some_and(|end| now >= end) {
        return Err(Denial::GrantExpired);
    }
    match (&grant.models, models) {
        (None, _) | (Some(_), ModelUse::None) => {}
        (Some(granted), ModelUse::One(model)) if granted.contains(model) => {}
        (Some(_), ModelUse::One(_)) => return Err(Denial::ModelNotGranted),
        // One that was not read is any.
        (Some(_), ModelUse::Every | ModelUse::InBody(_) | ModelUse::InQuery(_)) => {
            return Err(Denial::EveryModelNotGranted);
        }
    }
    if grant.is_for(caller.claims) { Ok(()) } else { Err(Denial::ClaimNotGranted) }
}

/// Of two denials the one that came closer to a yes: it tells the caller more.
fn nearest(a: Denial, b: Denial) -> Denial {
    let rank = |denial| match denial {
        Denial::NoGrant
        | Denial::ModelNotServed
        | Denial::ActorNotGranted
        | Denial::BearerNotGranted
        | Denial::RoleMissing
        | Denial::ClaimRequired => 0,
        Denial::PermissionNotGranted => 1,
        Denial::GrantExpired => 2,
        Denial::ModelNotGranted | Denial::EveryModelNotGranted => 3,
        Denial::ClaimNotGranted => 4,
    };
    if rank(b) > rank(a) { b } else { a }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::*;
    use crate::core::{
        claims::{Claim, ClaimTest, NO_CLAIMS, Requirement},
        policy::document::{Grant, Subject},
    };

    const NOW: i64 = 1_000;

    fn grant(client: &str, permissions: &[&str], models: Option<&[&str]>, expires_at: Option<i64>) -> Grant {
        Grant {
            name: "g".into(),
            subject: Subject::Client(client.into()),
            permissions: permissions.iter().filter_map(|p| Permission::parse(p).ok()).collect(),
            models: models.map(|models| models.iter().map(|m| (*m).to_owned()).collect()),
            expires_at,
            claims: Vec::new(),
        }
    }

    fn policy(grants: Vec<Grant>, models: Option<&[&str]>) -> CompiledPolicy {
        let mut document = crate::core::policy::compiled::tests::document();
        document.grants = grants;
        document.models = models.map(|models| models.iter().map(|m| (*m).to_owned()).collect());
        match CompiledPolicy::compile(document) {
            Ok(policy) => policy,
            Err(error) => panic!("{error}"),
        }
    }

    fn one(model: &str) -> ModelUse<'_> {
        ModelUse::One(Cow::Borrowed(model))
    }

    #[test]
    fn grants_cover_subject_permission_model_and_time() {
        let narrowed = policy(
            vec![
                grant("a", &["predict"], Some(&["iris"]), None),
                grant("a", &["read"], None, Some(NOW + 1)),
                grant("a", &["admin"], None, Some(NOW)),
                grant("b", &["read"], None, None),
            ],
            Some(&["iris", "rose"]),
        );
        let every = Roles::joined("predict,read,admin,deploy");
        for (client, permission, models, expected) in [
            ("a", "predict", one("iris"), Ok(())),
            ("a", "predict", one("rose"), Err(Denial::ModelNotGranted)),
            ("a", "predict", one("Iris"), Err(Denial::ModelNotServed)),
            ("a", "predict", one("tulip"), Err(Denial::ModelNotServed)),
            ("a", "predict", ModelUse::Every, Err(Denial::EveryModelNotGranted)),
            ("a", "predict", ModelUse::IN_JSON, Err(Denial::EveryModelNotGranted)),
            ("a", "read", ModelUse::IN_JSON, Ok(())),
            ("a", "predict", ModelUse::None, Ok(())),
            ("a", "read", one("rose"), Ok(())),
            ("a", "read", ModelUse::Every, Ok(())),
            ("a", "admin", ModelUse::Every, Err(Denial::GrantExpired)),
            ("a", "deploy", one("iris"), Err(Denial::PermissionNotGranted)),
            ("b", "predict", one("iris"), Err(Denial::PermissionNotGranted)),
            ("b", "read", one("iris"), Ok(())),
            ("c", "read", one("iris"), Err(Denial::NoGrant)),
            ("", "read", one("iris"), Err(Denial::NoGrant)),
        ] {
            let caller = Caller { client, roles: every, claims: &NO_CLAIMS, behalf: None };
            let found = decide(&narrowed, &caller, permission, &models, NOW).map(|_| ());
            assert_eq!(found, expected, "{client} {permission} {models:?}");
        }
    }

    /// Whoever holds it, through whatever client, but for workloads that call for themselves.
    #[test]
    fn a_grant_for_a_role_is_its_holders() {
        let of_role = |models, end| Grant {
            subject: Subject::Role("grant.labelers".into()),
            ..grant("", &["predict"], models, end)
        };
        let narrowed = policy(vec![grant("a", &["read"], None, None), of_role(Some(&["iris"]), None)], None);
        let ended = policy(vec![of_role(None, Some(NOW))], None);
        for (policy, client, roles, permission, model, expected) in [
            (&narrowed, "chat", "predict,grant.labelers", "predict", "iris", Ok(())),
            (&narrowed, "a", "predict,grant.labelers", "predict", "iris", Ok(())),
            (&narrowed, "chat", "predict,grant.labelers", "predict", "rose", Err(Denial::ModelNotGranted)),
            (&narrowed, "chat", "read,grant.labelers", "read", "iris", Err(Denial::PermissionNotGranted)),
            (&narrowed, "chat", "grant.labelers", "predict", "iris", Err(Denial::RoleMissing)),
            (&narrowed, "chat", "predict", "predict", "iris", Err(Denial::NoGrant)),
            (&narrowed, "chat", "predict,grant.labelers2,labelers", "predict", "iris", Err(Denial::NoGrant)),
            (&narrowed, "grant.labelers", "predict", "predict", "iris", Err(Denial::NoGrant)),
            (&narrowed, "agent.agents.workload", "predict,grant.labelers", "predict", "iris", Err(Denial::NoGrant)),
            (&ended, "chat", "predict,grant.labelers", "predict", "iris", Err(Denial::GrantExpired)),
        ] {
            let caller = Caller { client, roles: Roles::joined(roles), claims: &NO_CLAIMS, behalf: None };
            let found = decide(policy, &caller, permission, &one(model), NOW).map(|_| ());
            assert_eq!(found, expected, "{client} {roles} {permission} {model}");
            assert_eq!(may_use(policy, &caller, Some(permission), model, NOW), expected.is_ok(), "{client} {roles}");
        }
    }

    #[test]
    fn the_role_must_be_in_the_token_too() {
        let policy = policy(vec![grant("a", &["predict", "read"], None, None)], None);
        let caller = Caller { client: "a", roles: Roles::joined("read"), claims: &NO_CLAIMS, behalf: None };
        assert!(decide(&policy, &caller, "read", &one("m"), NOW).is_ok());
        assert_eq!(decide(&policy, &caller, "predict", &one("m"), NOW), Err(Denial::RoleMissing));
        let bare = Caller { client: "a", roles: Roles::default(), claims: &NO_CLAIMS, behalf: None };
        assert_eq!(decide(&policy, &bare, "read", &one("m"), NOW), Err(Denial::RoleMissing));
        // Without a grant a fresh token does not help, and the answer must not say so.
        let other = Caller { client: "z", roles: Roles::default(), claims: &NO_CLAIMS, behalf: None };
        assert_eq!(decide(&policy, &other, "read", &one("m"), NOW), Err(Denial::NoGrant));
    }

    #[test]
    fn a_list_shows_what_can_be_used() {
        let policy = policy(
            vec![
                grant("a", &["predict"], Some(&["iris", "tulip"]), None),
                grant("a", &["read"], Some(&["rose"]), Some(NOW)),
                grant("b", &["deploy"], None, Some(NOW + 1)),
                grant("d", &[], None, None),
            ],
            Some(&["iris", "rose"]),
        );
        let (none, predict, all) = (Roles::default(), Roles::joined("predict"), Roles::joined("predict,read,deploy"));
        for (client, roles, model, expected) in [
            ("a", predict, "iris", true),
            ("a", all, "iris", true),
            ("a", all, "Iris", false),
            // The grant has run out.
            ("a", all, "rose", false),
            // Not in the endpoint's list.
            ("a", all, "tulip", false),
            // Without the role in the token the grant is of no use.
            ("a", none, "iris", false),
            ("b", predict, "iris", false),
            ("b", all, "rose", true),
            ("b", all, "tulip", false),
            ("c", all, "iris", false),
            ("d", all, "iris", false),
        ] {
            let found = may_use(&policy, &Caller { client, roles, claims: &NO_CLAIMS, behalf: None }, None, model, NOW);
            assert_eq!(found, expected, "{client} {roles:?} {model}");
        }
        let caller = Caller { client: "a", roles: all, claims: &NO_CLAIMS, behalf: None };
        assert!(may_use(&policy, &caller, Some("predict"), "iris", NOW));
        assert!(!may_use(&policy, &caller, Some("read"), "iris", NOW), "granted for another model only, and no longer");
    }

    /// A grant for public data, at an endpoint that serves this quarter.
    #[test]
    fn claims_narrow_grants_and_endpoints() {
        let requirement =
            |claim: &str, text: &str| Requirement { claim: claim.into(), is: ClaimTest::Contains(text.into()) };
        let narrowed = Grant { claims: vec![requirement("data", "public")], ..grant("a", &["read"], None, None) };
        let mut document = crate::core::policy::compiled::tests::document();
        document.grants = vec![narrowed, grant("a", &["predict"], None, None)];
        document.require = vec![requirement("quarter", "q1")];
        let policy = CompiledPolicy::compile(document).expect("a good policy");
        assert_eq!(policy.claims.iter().map(|name| &**name).collect::<Vec<_>>(), ["data", "quarter"]);
        let roles = Roles::joined("read,predict");
        for (data, quarter, read, predict) in [
            (Some("public"), Some("q1"), Ok(()), Ok(())),
            (Some("secret"), Some("q1"), Err(Denial::ClaimNotGranted), Ok(())),
            (None, Some("q1"), Err(Denial::ClaimNotGranted), Ok(())),
            (Some("public"), Some("q2"), Err(Denial::ClaimRequired), Err(Denial::ClaimRequired)),
            (Some("public"), None, Err(Denial::ClaimRequired), Err(Denial::ClaimRequired)),
        ] {
            let mut claims = ClaimSet::default();
            for (name, text) in [("data", data), ("quarter", quarter)] {
                text.into_iter().for_each(|text| claims.insert(name, Claim::Text(text.into())));
            }
            let caller = Caller { client: "a", roles, claims: &claims, behalf: None };
            let found = |permission| decide(&policy, &caller, permission, &ModelUse::None, NOW).map(|_| ());
            assert_eq!((found("read"), found("predict")), (read, predict), "{data:?} {quarter:?}");
            assert_eq!(may_use(&policy, &caller, Some("read"), "m", NOW), read.is_ok(), "{data:?} {quarter:?}");
            assert_eq!(may_anything(&policy, &caller, NOW), predict.is_ok(), "{data:?} {quarter:?}");
            let other = Caller { client: "z", ..caller };
            assert_eq!(decide(&policy, &other, "read", &ModelUse::None, NOW).err(), Some(Denial::NoGrant));
        }
    }

    prop_compose! {
        fn any_grant()(
            client in "[ab]", permissions in prop::collection::vec("(read|predict|admin)", 0..3),
            models in prop::option::of(prop::collection::vec("[xyz]", 0..3)), expires_at in prop::option::of(995_i64..1005),
        ) -> Grant {
            let permissions: Vec<&str> = permissions.iter().map(String::as_str).collect();
            let models: Option<Vec<&str>> = models.as_ref().map(|m| m.iter().map(String::as_str).collect());
            grant(&client, &permissions, models.as_deref(), expires_at)
        }
    }

    proptest! {
        /// The definition, written the long way round: allowed exactly if some
        /// grant covers everything and the role is in the token.
        #[test]
        fn agrees_with_the_definition(
            grants in prop::collection::vec(any_grant(), 0..6), client in "[abc]", permission in "(read|predict|admin)",
            model in prop::option::of("[xyzw]"), roles in prop::collection::vec("(read|predict|admin)", 0..3),
        ) {
            let models = model.as_deref().map_or(ModelUse::Every, one);
            let expected = roles.contains(&permission) && grants.iter().any(|g| {
                g.subject == Subject::Client(client.clone())
                    && g.permissions.iter().any(|p| p.as_str() == permission)
                    && g.expires_at.is_none_or(|end| NOW < end)
                    && g.models.as_ref().is_none_or(|m| model.as_ref().is_some_and(|asked| m.contains(asked)))
            });
            let policy = policy(grants, None);
            let roles = roles.join(",");
            let caller = Caller { client: &client, roles: Roles::joined(&roles), claims: &NO_CLAIMS, behalf: None };
            prop_assert_eq!(decide(&policy, &caller, &permission, &models, NOW).is_ok(), expected);
        }

        /// More grants never take anything away.
        #[test]
        fn grants_only_add(
            grants in prop::collection::vec(any_grant(), 0..5), more in any_grant(), permission in "(read|predict|admin)",
        ) {
            let caller = Caller { client: "a", roles: Roles::joined("read,predict,admin"), claims: &NO_CLAIMS, behalf: None };
            let before = decide(&policy(grants.clone(), None), &caller, &permission, &one("x"), NOW).is_ok();
            let mut all = grants;
            all.push(more);
            let after = decide(&policy(all, None), &caller, &permission, &one("x"), NOW).is_ok();
            prop_assert!(!before || after);
        }
    }
}

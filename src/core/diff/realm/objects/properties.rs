//! What has to hold for the plan of every section: it leads to what is desired, a second one is empty, order plays no
//! part, nothing of others is touched, and an emptied list empties Keycloak.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::subsequence;

use crate::core::desired::objects::*;
use crate::core::desired::representation::*;

use super::observed::*;
use super::simulation::{Section as _, set, theirs};
use super::strategies::*;
use super::*;

/// Carries out and makes sure that the second plan is empty; gives the findings.
fn settle<S: super::simulation::Section>(observed: &mut S, plan: impl Fn(&S) -> SectionPlan) -> Vec<Finding> {
    observed.carry_out(plan(observed));
    let second = plan(observed);
    assert!(second.is_empty(), "{:?}", second.steps);
    second.findings
}

proptest! {
    #[test]
    fn roles_become_what_is_desired(before in roles(), after in roles()) {
        let mut observed = ObservedRoles::default();
        let default = default_role_name("ml");
        observed.roles.extend([theirs("offline_access"), theirs(&default)]);
        let builtin = RoleGrants { takeable: RoleSet::of_realm(["offline_access"]), fixed: RoleSet::default() };
        observed.composites.insert(default.clone(), builtin);
        prop_assert!(settle(&mut observed, |observed| plan_roles(&before, observed)).is_empty());
        prop_assert!(settle(&mut observed, |observed| plan_roles(&after, observed)).is_empty());

        prop_assert_eq!(observed.roles.len(), after.roles.len() + 2);
        for role in &after.roles {
            let held = observed.composites.get(&role.name).cloned().unwrap_or_default();
            prop_assert_eq!(&held.takeable, &role.composites);
        }
        let mut everybody = set(&["offline_access"]);
        everybody.extend(after.roles.iter().filter(|role| role.is_default == Some(true)).map(|role| role.name.clone()));
        prop_assert_eq!(&observed.composites[&default].takeable.realm, &everybody);

        let mut turned = after.clone();
        turned.roles.reverse();
        let mut reversed = observed.clone();
        reversed.roles.reverse();
        prop_assert_eq!(plan_roles(&before, &observed), plan_roles(&before, &reversed));
        prop_assert!(plan_roles(&turned, &reversed).is_empty());
        settle(&mut observed, |observed| plan_roles(&nothing("ml"), observed));
        prop_assert_eq!(observed.roles.len(), 2, "an emptied list empties Keycloak");
    }

    #[test]
    fn groups_become_what_is_desired_and_lose_nobody(
        before in groups(),
        after in groups(),
        members in subsequence(vec!["/a", "/a/b", "/a/b/c", "/d", "/d/e"], 0..=2),
        stranger in any::<bool>(),
    ) {
        let mut observed = ObservedGroups::default();
        settle(&mut observed, |observed| plan_groups(&before, observed));
        for path in members.iter().filter_map(|path| GroupPath::parse(path)) {
            if let Some(found) = observed.groups.get_mut(&path) {
                found.has_members = true;
            }
        }
        let theirs = GroupPath::parse("/d/theirs").unwrap();
        if stranger && observed.groups.contains_key(&theirs.parent().unwrap()) {
            observed.groups.insert(theirs.clone(), ObservedGroup::default());
        }
        let had = observed.clone();
        let findings = settle(&mut observed, |observed| plan_groups(&after, observed));
        let listed: BTreeSet<_> = after.groups.iter().map(|group| group.path.clone()).collect();
        for (path, found) in &had.groups {
            let is_kept = observed.groups.contains_key(path);
            prop_assert!(is_kept || (!found.has_members && *path != theirs), "{} is lost", path);
        }
        for (path, found) in observed.groups.iter().filter(|(path, _)| !listed.contains(path) && **path != theirs) {
            prop_assert!(found.grants.takeable.is_empty() && !observed.default_groups.contains(path));
            let name = format!("group {path} ");
            prop_assert!(findings.iter().any(|finding| finding.message.contains(&name)));
        }
        prop_assert!(listed.iter().all(|path| observed.groups.contains_key(path)));
        let mut turned = after.clone();
        turned.groups.reverse();
        prop_assert!(plan_groups(&turned, &observed).is_empty());
        observed.groups.values_mut().for_each(|found| found.has_members = false);
        observed.groups.remove(&theirs);
        settle(&mut observed, |observed| plan_groups(&nothing("ml"), observed));
        prop_assert!(observed.groups.is_empty() && observed.default_groups.is_empty());
    }

    #[test]
    fn scopes_become_what_is_desired(before in scopes(), after in scopes()) {
        let mut observed = ObservedScopes { types: types(), ..ObservedScopes::default() };
        let builtin = ClientScopeRepresentation {
            id: Some("builtin".into()),
            settings: ClientScopeSettings { name: "profile".into(), ..Default::default() },
            protocol_mappers: Vec::new(),
        };
        observed.scopes.push(builtin.clone());
        observed.assigned.insert("builtin".into(), ScopeAssignment::Default);
        settle(&mut observed, |observed| plan_scopes(&before, observed));
        prop_assert!(settle(&mut observed, |observed| plan_scopes(&after, observed)).is_empty());
        prop_assert_eq!(observed.scopes.len(), after.client_scopes.len() + 1);
        for scope in &after.client_scopes {
            let wanted = scope.representation(&after.owner);
            let found = observed.scopes.iter().find(|found| found.id == wanted.id).unwrap();
            let configs = |scope: &ClientScopeRepresentation| -> BTreeMap<String, _> {
                scope.protocol_mappers.iter().map(|it| (it.name.clone(), (it.protocol_mapper.clone(), it.config.clone()))).collect()
            };
            prop_assert_eq!(configs(found), configs(&wanted));
        }
        let mut turned = after.clone();
        turned.client_scopes.reverse();
        prop_assert!(plan_scopes(&turned, &observed).is_empty());
        settle(&mut observed, |observed| plan_scopes(&nothing("ml"), observed));
        prop_assert_eq!(observed.scopes, vec![builtin]);
        prop_assert_eq!(observed.assigned.len(), 1);
    }

    #[test]
    fn brokers_become_what_is_desired(before in brokers(), after in brokers(), is_down in any::<bool>()) {
        let mut observed = ObservedBrokers { types: types(), ..ObservedBrokers::default() };
        // The trust in the cluster, of the same owner, and somebody else's.
        let trust = BTreeMap::from([("keywire.dev/owner".to_owned(), after.owner.to_attribute())]);
        let others = [("cluster", trust), ("theirs", BTreeMap::new())].map(|(alias, config)| ObservedBroker {
            provider: BrokerRepresentation { alias: alias.into(), config, ..Default::default() },
            mappers: Vec::new(),
        });
        observed.providers.extend(others.clone());
        let discovered = |is_down: bool| -> BTreeMap<String, Imported> {
            let document = BTreeMap::from([("tokenUrl".to_owned(), "https://corp.example/token".to_owned())]);
            let one = || if is_down { Err("down".to_owned()) } else { Ok(document.clone()) };
            NAMES.iter().map(|name| ((*name).to_owned(), one())).collect()
        };
        observed.imported = discovered(false);
        settle(&mut observed, |observed| plan_brokers(&before, observed));
        let aliases = |observed: &ObservedBrokers| -> BTreeSet<String> {
            observed.providers.iter().map(|found| found.provider.alias.clone()).collect()
        };
        let had = aliases(&observed);
        observed.imported = discovered(is_down);
        let findings = settle(&mut observed, |observed| plan_brokers(&after, observed));
        for broker in &after.identity_providers {
            let waits = is_down && broker.discovery.is_some() && !had.contains(&broker.alias);
            prop_assert_eq!(aliases(&observed).contains(&broker.alias), !waits, "{}", &broker.alias);
            let name = format!("provider {} ", broker.alias);
            let is_told = findings.iter().any(|finding| finding.message.contains(&name));
            prop_assert_eq!(is_told, is_down && broker.discovery.is_some());
        }
        prop_assert!(others.iter().all(|other| observed.providers.contains(other)));
        let mut turned = after.clone();
        turned.identity_providers.reverse();
        prop_assert!(plan_brokers(&turned, &observed).is_empty());
        settle(&mut observed, |observed| plan_brokers(&nothing("ml"), observed));
        prop_assert_eq!(observed.providers, others.to_vec());
    }

    #[test]
    fn federation_becomes_what_is_desired(before in federation(), after in federation()) {
        let mut observed = ObservedFederation { servers: Vec::new(), types: types() };
        let theirs = ObservedLdap {
            component: ComponentRepresentation { id: Some("x".into()), name: "theirs".into(), ..Default::default() },
            mappers: Vec::new(),
        };
        observed.servers.push(theirs.clone());
        for desired in [&before, &after] {
            // A new server comes with mappers of Keycloak's own, so listed ones wait until it is there.
            observed.carry_out(plan_federation(desired, &observed));
            prop_assert!(settle(&mut observed, |observed| plan_federation(desired, observed)).is_empty());
        }
        prop_assert_eq!(observed.servers.len(), after.user_federation.len() + 1);
        for server in &after.user_federation {
            let found = observed.servers.iter().find(|found| found.component.name == server.name).unwrap();
            prop_assert_eq!(found.mappers.len(), server.mappers.len());
            prop_assert_eq!(found.component.config.contains_key("bindCredential"), server.secret != Secret::Absent);
        }
        let mut turned = after.clone();
        turned.user_federation.reverse();
        prop_assert!(plan_federation(&turned, &observed).is_empty());
        settle(&mut observed, |observed| plan_federation(&nothing("ml"), observed));
        prop_assert_eq!(observed.servers, vec![theirs]);
    }

    #[test]
    fn users_become_what_is_desired(before in users(), after in users(), admits in any::<bool>()) {
        let profile = Profile { attributes: set(&["one"]), admits_others: admits };
        let mut observed = ObservedUsers { profile, ..ObservedUsers::default() };
        let everyone = GroupPath::parse("/everyone").unwrap();
        settle(&mut observed, |observed| plan_users(&before, observed));
        observed.users.iter_mut().for_each(|found| found.groups.extend([everyone.clone()]));
        let plan = plan_users(&after, &observed);
        let set_anew = plan.steps.iter().flat_map(|step| &step.changes).filter(|change| change.kind() == "set_password");
        let had: BTreeSet<_> = before.users.iter().map(|user| (user.username.clone(), user.password.clone())).collect_set();
        let is_new = |user: &&User| matches!(user.password, Secret::Known(_))
            && !had.contains(&(user.username.clone(), user.password.version().map(str::to_owned)));
        prop_assert_eq!(set_anew.count(), after.users.iter().filter(is_new).count(), "a password is set once");
        let findings = settle(&mut observed, |observed| plan_users(&after, observed));
        let dropped = after.users.iter().filter(|user| !admits && user.attributes.contains_key("two")).count();
        prop_assert_eq!(findings.len(), dropped, "{:?}", findings);
        prop_assert_eq!(observed.users.len(), after.users.len());
        for user in &after.users {
            let found = observed.users.iter().find(|found| found.user.username == user.username).unwrap();
            let mut groups = found.groups.clone();
            groups.remove(&everyone);
            prop_assert_eq!(&groups, &user.groups);
            prop_assert_eq!(&found.grants.takeable, &user.roles);
            prop_assert!(user.email.is_none() || found.user.email == user.email);
        }
        let mut turned = after.clone();
        turned.users.reverse();
        prop_assert!(plan_users(&turned, &observed).is_empty());
        settle(&mut observed, |observed| plan_users(&nothing("ml"), observed));
        prop_assert!(observed.users.is_empty() && observed.ledger.is_none());
    }
}

/// What a password is told by.
trait CollectSet {
    fn collect_set(self) -> BTreeSet<(String, Option<String>)>;
}

impl<I: Iterator<Item = (String, Secret)>> CollectSet for I {
    fn collect_set(self) -> BTreeSet<(String, Option<String>)> {
        self.map(|(name, secret)| (name, secret.version().map(str::to_owned))).collect()
    }
}

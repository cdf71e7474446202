//! What has to hold for every plan: it leads to what is desired, a second one is empty, and order plays no part.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::json;

use crate::core::claims::ClaimValue;
use crate::core::desired::representation::{
    ClientRepresentation, IdentityProviderRepresentation, ProtocolMapperRepresentation, RoleRepresentation,
};
use crate::core::desired::{
    Browser, ClientRef, ClientRole, Credential, DesiredEndpoint, DesiredRealm, DesiredWorkload, Management,
    OWNER_ATTRIBUTE, Owner, PermissionScope, PersonRoles, RealmSettings, ScopeRef, Sealed, SecondClient, Seconds,
    WorkloadIssuer, object_id, objects::BROKER_MARK,
};
use crate::core::person::Person;

use super::simulation::Simulated;
use super::*;

const PERMISSIONS: [&str; 4] = ["admin", "predict", "read", "train"];
const CLAIMS: [&str; 2] = ["data", "version"];
const ENDPOINTS: [&str; 3] = ["bert.text.endpoint", "https://api.example/mcp", "resnet.vision.endpoint"];

fn owner(kind: &str, name: &str) -> Owner {
    Owner {
        cluster: "main".into(),
        kind: kind.into(),
        namespace: Some("vision".into()),
        name: name.into(),
        uid: "1".into(),
    }
}

prop_compose! {
    fn endpoint()(
        permissions in subsequence(&PERMISSIONS, 0..=4).prop_shuffle(),
        display_name in select(vec!["ResNet", "ResNet 50"]),
        description in select(vec!["", "what it does"]),
        client_id in select(vec!["resnet.vision.endpoint", "https://resnet.example"]),
        uid in select(vec!["1", "2"]),
        login in select(vec![None, Some("vision:a"), Some("vision:b"), Some("secret one"), Some("secret two")]),
        opens in select(vec![None, Some("https://app.example"), Some("https://other.example")]),
        exchanged_by in select(vec![None, Some("agent.vision.workload"), Some("gateway.vision.workload")]),
        granted in proptest::collection::btree_map(
            select(vec!["labelers", "reviewers"]), subsequence(vec!["ann", "bob", "cyd"], 1..=3), 0..=2,
        ),
    ) -> DesiredEndpoint {
        let id = object_id("main", "ml", "ModelEndpoint", "vision", "resnet");
        let prefix = "resnet.vision.endpoint";
        DesiredEndpoint {
            id,
            client_id: client_id.into(),
            display_name: display_name.into(),
            owner: Owner { uid: uid.into(), ..owner("ModelEndpoint", "resnet") },
            roles: permissions
                .iter()
                .map(|name| ClientRole { name: (*name).into(), description: description.into(), included_by: None })
                .chain(granted.keys().map(|grant| ClientRole {
                    name: format!("grant.{grant}"),
                    description: description.into(),
                    included_by: Some(BTreeSet::from([Person::RealmRole("b".into()), Person::of_role("hub/a")])),
                }))
                .collect(),
            scopes: permissions
                .iter()
                .map(|name| PermissionScope::new(id, client_id, prefix, name).exchanged_by(exchanged_by.map(Into::into)))
                .map(|scope| PermissionScope {
                    grant_roles: granted.keys().map(|grant| format!("grant.{grant}")).collect(),
                    ..scope
                })
                .collect(),
            people: granted
                .iter()
                .flat_map(|(grant, users)| users.iter().map(move |user| (user, grant)))
                .fold(BTreeMap::<_, BTreeSet<String>>::new(), |mut held, (user, grant)| {
                    let roles = held.entry(Person::User((*user).into())).or_default();
                    roles.insert(format!("grant.{grant}"));
                    roles.extend(permissions.iter().map(|name| (*name).to_owned()));
                    held
                })
                .into_iter()
                .map(|(person, roles)| PersonRoles { person, roles })
                .collect(),
            login: login.map(|login| match login.strip_prefix("secret ") {
                Some(secret) => Credential::ClientSecret { secret: Some(Sealed::new(secret, secret)) },
                None => Credential::Federated {
                    issuer_alias: "keywire-main".into(),
                    subject: format!("system:serviceaccount:{login}"),
                },
            }),
            browser: opens.map(|url| Browser {
                is_public: login.is_none(),
                redirect_uris: BTreeSet::from([format!("{url}/.keywire/callback")]),
                post_logout_redirect_uris: BTreeSet::from([format!("{url}/")]),
                web_origins: BTreeSet::from([url.to_owned()]),
                backchannel_logout: Some(format!("{url}/.keywire/backchannel-logout")),
                roles_claim: login.map(ToString::to_string),
            }),
            adopt: false,
        }
    }
}

/// Roles of clients that are not ours.
const OTHER_ROLES: [(&str, &str); 3] =
    [("realm-management", "view-identity-providers"), ("realm-management", "query-groups"), ("payroll", "read")];

prop_compose! {
    fn workload()(
        grants in proptest::collection::btree_map(select(&ENDPOINTS), subsequence(&PERMISSIONS, 1..=3), 0..=3),
        targets in subsequence(&PERMISSIONS, 0..=4),
        enabled in any::<bool>(),
        subject in select(vec!["system:serviceaccount:agents:a", "system:serviceaccount:agents:b"]),
        claims in subsequence(&CLAIMS, 0..=2),
        text in select(vec!["public", "secret"]),
        acts_on_behalf in any::<bool>(),
        others in subsequence(&OTHER_ROLES, 0..=3),
    ) -> DesiredWorkload {
        let endpoint = object_id("main", "ml", "ModelEndpoint", "vision", "resnet");
        let scope = |name: &&str| PermissionScope::new(endpoint, ENDPOINTS[2], ENDPOINTS[2], name).reference();
        DesiredWorkload {
            id: object_id("main", "ml", "WorkloadIdentity", "agents", "labeler"),
            client_id: "labeler.agents.workload".into(),
            display_name: "labeler".into(),
            owner: owner("WorkloadIdentity", "labeler"),
            enabled,
            credential: Credential::Federated { issuer_alias: "main".into(), subject: subject.into() },
            optional_scopes: targets.iter().map(scope).collect(),
            claims: claims.iter().map(|name| ((*name).to_owned(), ClaimValue::Text(text.into()))).collect(),
            acts_on_behalf,
            roles: others.iter().fold(BTreeMap::new(), |mut roles, (of, role)| {
                roles.entry((*of).to_owned()).or_insert_with(BTreeSet::new).insert((*role).to_owned());
                roles
            }),
            grants: grants
                .into_iter()
                .map(|(client_id, roles)| (client_id.into(), roles.into_iter().map(Into::into).collect()))
                .collect(),
            adopt: false,
            second: SecondClient::Never,
        }
    }
}

prop_compose! {
    fn realm()(
        issuer in proptest::option::of(select(vec!["one", "two"])),
        lifespan in proptest::option::of(60_u32..3600),
    ) -> DesiredRealm {
        let mut settings = RealmSettings::default().with("enabled", true);
        settings.set("accessTokenLifespan", lifespan);
        DesiredRealm {
            realm: "ml".into(),
            owner: owner("Realm", "ml"),
            management: Management::Full(Box::new(settings.into())),
            workload_issuer: issuer.map(|alias| WorkloadIssuer {
                alias: alias.into(),
                issuer: "https://main.example".into(),
                jwks: json!({"keys": [{"kid": alias}]}),
                max_assertion_age: Seconds(3700),
                cluster_uid: None,
            }),
            adopt: false,
        }
    }
}

/// What Keycloak holds after someone has meddled with an endpoint.
fn meddled(mut observed: ObservedEndpoint, how: &[u8]) -> ObservedEndpoint {
    for step in how {
        let other = RoleSource::Client(ClientRef { id: "other".into(), client_id: "other".into() });
        let mapper = ProtocolMapperRepresentation { id: Some("m".into()), name: "more".into(), ..Default::default() };
        match (step, observed.client.as_mut(), observed.scopes.first_mut()) {
            (0, Some(client), _) => client.settings.full_scope_allowed = true,
            (1, Some(client), _) => drop(client.settings.redirect_uris.insert("https://evil.example/*".into())),
            (2, Some(client), _) => drop(client.settings.attributes.insert("theirs".into(), "kept".into())),
            (3, Some(_), _) => observed.roles.push(RoleRepresentation { name: "theirs".into(), ..Default::default() }),
            (4, _, Some(found)) => found.scope.protocol_mappers.push(mapper),
            (5, _, Some(found)) => {
                let roles = BTreeSet::from(["admin".to_owned()]);
                found.mappings.push(ObservedScopeMapping { source: other, roles });
            }
            (6, _, Some(found)) => {
                for mapper in &mut found.scope.protocol_mappers {
                    mapper.config.insert("included.client.audience".into(), "everything".into());
                }
            }
            (7, _, _) => {
                observed.client = None;
                observed.roles.clear();
                observed.people.clear();
                observed.scopes.iter_mut().for_each(|found| found.mappings.clear());
            }
            (8, Some(_), _) => {
                let held = observed.roles.iter().take(1).map(|role| role.name.clone()).collect::<BTreeSet<_>>();
                if !held.is_empty() {
                    observed.people.insert(Person::User("eve".into()), held);
                }
            }
            _ => {}
        }
    }
    observed
}

fn owned_names(observed: &ObservedEndpoint) -> BTreeSet<String> {
    observed.roles.iter().filter(|role| role.owner().is_some()).map(|role| role.name.clone()).collect()
}

proptest! {
    #[test]
    fn an_endpoint_becomes_what_is_desired(
        before in endpoint(),
        after in endpoint(),
        how in proptest::collection::btree_set(0_u8..9, 0..4),
    ) {
        let mut observed = ObservedEndpoint::default();
        observed.carry_out(plan_endpoint(&before, &observed.clone()).unwrap());
        let how: Vec<_> = how.into_iter().collect();
        observed = meddled(observed, &how);
        let theirs_were_there = observed.roles.iter().any(|role| role.name == "theirs");
        observed.carry_out(plan_endpoint(&after, &observed.clone()).unwrap());

        let second = plan_endpoint(&after, &observed).unwrap();
        prop_assert!(second.is_empty(), "{second}");
        let wanted: BTreeSet<_> = after.roles.iter().map(|role| role.name.clone()).collect();
        prop_assert_eq!(owned_names(&observed), wanted);
        prop_assert_eq!(observed.roles.iter().any(|role| role.name == "theirs"), theirs_were_there);
        prop_assert_eq!(observed.scopes.len(), after.scopes.len());
        let held = after.people.iter().map(|held| (held.person.clone(), held.roles.clone()));
        prop_assert_eq!(&observed.people, &held.collect::<BTreeMap<_, _>>());
        for ObservedScope { scope, mappings } in &observed.scopes {
            prop_assert_eq!(mappings.len(), 1, "a scope has roles of its endpoint alone");
            let wanted = after.scopes.iter().find(|wanted| wanted.name == scope.settings.name).unwrap();
            prop_assert_eq!(&mappings[0].roles, &wanted.mapped_roles());
            let audiences: BTreeSet<_> =
                scope.protocol_mappers.iter().map(|mapper| &mapper.config["included.client.audience"]).collect();
            let wanted = [&after.client_id].into_iter().chain(&after.scopes[0].exchanged_by);
            prop_assert_eq!(audiences, wanted.collect::<BTreeSet<_>>(), "and no other audience");
        }
    }

    #[test]
    fn the_order_of_an_endpoint_does_not_matter(before in endpoint(), after in endpoint()) {
        let mut observed = ObservedEndpoint::default();
        observed.carry_out(plan_endpoint(&before, &observed.clone()).unwrap());
        let plan = plan_endpoint(&after, &observed).unwrap();
        let mut turned = after;
        turned.roles.reverse();
        turned.scopes.reverse();
        observed.roles.reverse();
        observed.scopes.reverse();
        prop_assert_eq!(plan, plan_endpoint(&turned, &observed).unwrap());
    }

    #[test]
    fn a_deleted_endpoint_leaves_nothing_of_ours(before in endpoint(), how in proptest::collection::vec(0_u8..8, 0..3)) {
        let mut observed = ObservedEndpoint::default();
        observed.carry_out(plan_endpoint(&before, &observed.clone()).unwrap());
        observed = meddled(observed, &how);
        let stranger = owner("ModelEndpoint", "another");
        prop_assert!(plan_delete_endpoint(&stranger, &observed).is_empty());
        observed.carry_out(plan_delete_endpoint(&before.owner, &observed.clone()));
        prop_assert_eq!(observed, ObservedEndpoint::default());
    }

    #[test]
    fn a_workload_becomes_what_is_desired(before in workload(), after in workload(), meddle in any::<[bool; 3]>()) {
        let mut observed = ObservedWorkload::default();
        observed.carry_out(plan_workload(&before, &observed.clone()).unwrap());
        let theirs = ObservedRoleMapping {
            client_id: "realm-management".into(),
            is_endpoint: false,
            roles: BTreeSet::from(["view-users".to_owned()]),
        };
        observed.role_mappings.push(theirs);
        if let Some(client) = observed.client.as_mut() {
            let default = client.default_client_scopes.get_or_insert_default();
            let optional = client.optional_client_scopes.get_or_insert_default();
            if meddle[0] {
                optional.remove("resnet.vision.endpoint:admin");
                default.insert("resnet.vision.endpoint:admin".into());
            }
            if meddle[1] {
                default.remove("basic");
                optional.insert("basic".into());
            }
            if meddle[2] {
                client.settings.public_client = true;
                optional.insert("offline_access".into());
                optional.insert("api:admin".into());
            }
        }
        observed.carry_out(plan_workload(&after, &observed.clone()).unwrap());

        let second = plan_workload(&after, &observed).unwrap();
        prop_assert!(second.is_empty(), "{second}");
        let of = |client: &str| -> BTreeSet<String> {
            let mappings = observed.role_mappings.iter().filter(|mapping| mapping.client_id == client);
            mappings.flat_map(|mapping| mapping.roles.clone()).collect()
        };
        prop_assert!(of("realm-management").remove("view-users"), "what is theirs stays");
        for (client, role) in OTHER_ROLES {
            let wanted = after.roles.get(client).is_some_and(|roles| roles.contains(role));
            let bound = observed.bound_to.get(client).is_some_and(|roles| roles.contains(role));
            prop_assert_eq!((of(client).contains(role), bound), (wanted, wanted), "{}", role);
        }
        let held: BTreeMap<_, _> = observed
            .role_mappings
            .iter()
            .filter(|mapping| mapping.is_endpoint)
            .map(|mapping| (mapping.client_id.clone(), mapping.roles.clone()))
            .collect();
        prop_assert_eq!(held, after.grants.clone());
        let client = observed.client.unwrap();
        prop_assert_eq!(client.settings, after.settings());
        let mut optional = client.optional_client_scopes.unwrap();
        prop_assert_eq!(optional.remove("offline_access"), meddle[2]);
        let wanted: BTreeSet<_> = after.optional_scopes.iter().map(|ScopeRef { name, .. }| name.clone()).collect();
        prop_assert_eq!(optional, wanted);
    }

    #[test]
    fn a_realm_becomes_what_is_desired(before in realm(), after in realm()) {
        let mut observed = ObservedRealm::default();
        observed.carry_out(plan_realm(&before, &observed.clone()).unwrap());
        if let Some(realm) = observed.realm.as_mut() {
            // Keycloak shows a lifespan whether or not one was given.
            realm.settings.set("accessTokenLifespan", Some(300));
            realm.settings.set("theirs", Some(1));
            realm.attributes.insert("frontendUrl".into(), "https://theirs.example".into());
        }
        // Another's, and one of ours that people log in with.
        let owner = after.owner.to_attribute();
        let config = BTreeMap::from([(BROKER_MARK.into(), "true".into()), (OWNER_ATTRIBUTE.into(), owner)]);
        let people = IdentityProviderRepresentation { alias: "people".into(), config, ..Default::default() };
        observed.identity_providers.push(people.clone());
        let corporate = IdentityProviderRepresentation { alias: "corp".into(), ..Default::default() };
        observed.identity_providers.push(corporate.clone());
        observed.carry_out(plan_realm(&after, &observed.clone()).unwrap());
        let settings = plan_settings(&after, observed.realm.as_ref().unwrap());
        observed.carry_out(Plan { changes: settings.into_iter().collect() });

        let second = plan_realm(&after, &observed).unwrap();
        prop_assert!(second.is_empty(), "{second}");
        let found = observed.realm.as_ref().unwrap();
        prop_assert_eq!(plan_settings(&after, found), None);
        for (name, value) in [("accessTokenLifespan", 300), ("theirs", 1)] {
            let wanted = after.full().unwrap().settings.get(name).cloned().unwrap_or(json!(value));
            prop_assert_eq!(found.settings.get(name), Some(&wanted));
        }
        prop_assert_eq!(&found.attributes["frontendUrl"], "https://theirs.example");
        prop_assert!(observed.identity_providers.contains(&corporate));
        prop_assert!(observed.identity_providers.contains(&people));
        prop_assert_eq!(observed.identity_providers.len(), 2 + usize::from(after.workload_issuer.is_some()));

        let mut reversed = observed.clone();
        reversed.identity_providers.reverse();
        prop_assert_eq!(plan_realm(&before, &observed).unwrap(), plan_realm(&before, &reversed).unwrap());
        prop_assert!(plan_realm(&after, &reversed).unwrap().is_empty());
    }

    #[test]
    fn what_is_not_ours_is_a_conflict(desired in endpoint(), workload in workload()) {
        let stranger = DesiredEndpoint { owner: owner("ModelEndpoint", "another"), ..desired.clone() };
        let mut observed = ObservedEndpoint::default();
        observed.carry_out(plan_endpoint(&stranger, &observed.clone()).unwrap());
        let conflict = plan_endpoint(&desired, &observed).unwrap_err();
        prop_assert!(conflict.to_string().contains("belongs to ModelEndpoint vision/another"), "{conflict}");
        let adopting = DesiredEndpoint { adopt: true, ..desired };
        let takeover = plan_endpoint(&adopting, &observed);
        prop_assert!(matches!(takeover, Err(Conflict::OwnedByAnother { .. })), "{takeover:?}");
        // Without the mark it is anybody's, and its roles stay: their names are taken over, not their existence.
        let unmarked = |attributes: &mut BTreeMap<String, String>| attributes.remove(OWNER_ATTRIBUTE);
        observed.client.iter_mut().for_each(|client| { unmarked(&mut client.settings.attributes); });
        observed.scopes.iter_mut().for_each(|found| { unmarked(&mut found.scope.settings.attributes); });
        observed.roles.clear();
        observed.carry_out(plan_endpoint(&adopting, &observed.clone()).unwrap());
        prop_assert!(plan_endpoint(&adopting, &observed).unwrap().is_empty());

        let foreign = ClientRepresentation { id: Some("theirs".into()), ..Default::default() };
        let observed = ObservedWorkload { client: Some(foreign), ..ObservedWorkload::default() };
        let unowned = matches!(plan_workload(&workload, &observed), Err(Conflict::Unowned { object: "client", .. }));
        prop_assert!(unowned);
        prop_assert!(plan_delete_workload(&workload.owner, &observed).is_empty());
    }
}

//! Realms of all sorts, for property tests.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::core::desired::objects::*;
use crate::core::desired::{Owner, Sealed};

use super::observed::ServerTypes;
use super::simulation::set;

pub(super) const NAMES: [&str; 4] = ["a", "b", "c", "d"];

pub(super) fn nothing(name: &str) -> DesiredObjects {
    let owner =
        Owner { cluster: "main".into(), kind: "Realm".into(), namespace: None, name: name.into(), uid: "1".into() };
    DesiredObjects::none("ml", owner)
}

pub(super) fn types() -> ServerTypes {
    ServerTypes {
        protocol_mappers: BTreeMap::from([("openid-connect".into(), set(&["one", "two"]))]),
        identity_providers: set(&["oidc"]),
        broker_mappers: set(&["one", "two"]),
        user_storage: set(&["ldap"]),
        ldap_mappers: set(&["one", "two"]),
    }
}

prop_compose! {
    pub(super) fn role_set()(
        realm in subsequence(&NAMES, 0..=2),
        client in proptest::option::of(subsequence(&NAMES, 1..=2)),
    ) -> RoleSet {
        let clients = client.map(|roles| ("account".to_owned(), set(&roles)));
        RoleSet { clients: clients.into_iter().collect(), ..RoleSet::of_realm(realm) }
    }
}

pub(super) fn attributes() -> impl Strategy<Value = BTreeMap<String, Vec<String>>> {
    let value = select(vec!["x", "y"]).prop_map(|value| vec![value.to_owned()]);
    proptest::collection::btree_map(select(vec!["one", "two"]).prop_map(str::to_owned), value, 0..=2)
}

pub(super) fn config() -> impl Strategy<Value = BTreeMap<String, String>> {
    let value = select(vec!["x", "y"]).prop_map(str::to_owned);
    proptest::collection::btree_map(select(vec!["one", "two"]).prop_map(str::to_owned), value, 0..=2)
}

pub(super) fn secret() -> impl Strategy<Value = Secret> {
    select(vec![Secret::Absent, Secret::Known(Sealed::new("v1", "s1")), Secret::Known(Sealed::new("v2", "s2"))])
}

prop_compose! {
    pub(super) fn roles()(
        names in subsequence(&NAMES, 0..=4).prop_shuffle(),
        included in subsequence(&NAMES, 0..=4),
        default in subsequence(&NAMES, 0..=4),
        account in any::<bool>(),
        attributes in attributes(),
    ) -> DesiredObjects {
        let composites = |name: &str| {
            let realm = included.iter().filter(|other| **other > name && names.contains(other)).copied();
            let account = account.then(|| ("account".to_owned(), set(&["view-profile"])));
            RoleSet { clients: account.into_iter().collect(), ..RoleSet::of_realm(realm) }
        };
        let role = |name: &&str| RealmRole {
            name: (*name).into(),
            composites: composites(name),
            attributes: attributes.clone(),
            is_default: Some(default.contains(name)),
            ..RealmRole::default()
        };
        DesiredObjects { roles: names.iter().map(role).collect(), ..nothing("ml") }
    }
}

prop_compose! {
    pub(super) fn groups()(
        paths in subsequence(vec!["/a", "/a/b", "/a/b/c", "/d", "/d/e"], 0..=5),
        default in any::<bool>(),
        roles in role_set(),
        attributes in attributes(),
        turned in any::<bool>(),
    ) -> DesiredObjects {
        let paths: BTreeSet<_> = paths.into_iter().filter_map(GroupPath::parse).collect();
        // A group whose parent is not listed is refused before.
        let is_rooted = |path: &GroupPath| {
            std::iter::successors(path.parent(), GroupPath::parent).all(|above| paths.contains(&above))
        };
        let group = |path: &GroupPath| Group {
            path: path.clone(),
            attributes: attributes.clone(),
            roles: roles.clone(),
            is_default: Some(default),
        };
        let mut groups: Vec<_> = paths.iter().filter(|path| is_rooted(path)).map(group).collect();
        if turned {
            groups.reverse();
        }
        DesiredObjects { groups, ..nothing("ml") }
    }
}

prop_compose! {
    pub(super) fn scopes()(
        names in subsequence(&NAMES, 0..=4).prop_shuffle(),
        mappers in subsequence(&NAMES, 0..=2),
        mapper_type in select(vec!["one", "two"]),
        config in config(),
        description in select(vec!["", "what for"]),
        consent_text in proptest::option::of(Just("may see".to_owned())),
        assignment in select(vec![ScopeAssignment::Unassigned, ScopeAssignment::Default, ScopeAssignment::Optional]),
    ) -> DesiredObjects {
        let mut desired = nothing("ml");
        let mapper = |name: &&str| ScopeMapper {
            name: (*name).into(), mapper_type: mapper_type.into(), config: config.clone(),
        };
        let scopes: Vec<_> = names.iter().map(|name| RealmScope {
            id: desired.scope_id(name),
            name: (*name).into(),
            description: description.into(),
            protocol: "openid-connect".into(),
            in_token_scope: true,
            consent_text: consent_text.clone(),
            mappers: mappers.iter().map(mapper).collect(),
            assignment: Some(assignment),
        }).collect();
        desired.client_scopes = scopes;
        desired
    }
}

prop_compose! {
    pub(super) fn brokers()(
        names in subsequence(&NAMES, 0..=4).prop_shuffle(),
        mappers in subsequence(&NAMES, 0..=2),
        mapper_type in select(vec!["one", "two"]),
        config in config(),
        enabled in any::<bool>(),
        flow in select(vec!["", "theirs"]),
        discovery in proptest::option::of(Just("https://corp.example".to_owned())),
        secret in secret(),
    ) -> DesiredObjects {
        let mapper = |name: &&str| BrokerMapper {
            name: (*name).into(), mapper_type: mapper_type.into(), config: config.clone(),
        };
        let broker = |name: &&str| Broker {
            alias: (*name).into(),
            provider_id: "oidc".into(),
            enabled,
            first_login_flow: flow.into(),
            config: config.clone(),
            discovery: discovery.clone(),
            secret: secret.clone(),
            mappers: mappers.iter().map(mapper).collect(),
            ..Broker::default()
        };
        DesiredObjects { identity_providers: names.iter().map(broker).collect(), ..nothing("ml") }
    }
}

prop_compose! {
    pub(super) fn federation()(
        names in subsequence(&NAMES, 0..=3).prop_shuffle(),
        mappers in subsequence(&NAMES, 0..=2),
        mapper_type in select(vec!["one", "two"]),
        filter in select(vec!["", "(a=b)"]),
        config in config(),
        secret in secret(),
    ) -> DesiredObjects {
        let mut desired = nothing("ml");
        let mapper = |server: &str, name: &str| FederationMapper {
            id: desired.federation_mapper_id(server, name),
            name: name.into(),
            mapper_type: mapper_type.into(),
            config: BTreeMap::from([("where".to_owned(), filter.to_owned())]),
        };
        // As the fields of the kind make them: always the same entries, possibly empty.
        let entry = |key: &str| (key.to_owned(), config.get(key).cloned().unwrap_or_default());
        let servers: Vec<_> = names.iter().map(|name| Federation {
            id: desired.federation_id(name),
            name: (*name).into(),
            config: BTreeMap::from([entry("one"), entry("two")]),
            secret: secret.clone(),
            mappers: mappers.iter().map(|mapper_name| mapper(name, mapper_name)).collect(),
        }).collect();
        desired.user_federation = servers;
        desired
    }
}

prop_compose! {
    pub(super) fn users()(
        names in subsequence(&NAMES, 0..=4).prop_shuffle(),
        groups in subsequence(vec!["/x", "/y"], 0..=2),
        roles in role_set(),
        attributes in attributes(),
        email in proptest::option::of(Just("a@example.com".to_owned())),
        password in secret(),
        enabled in any::<bool>(),
    ) -> DesiredObjects {
        let path = |path: &str| GroupPath::parse(path).unwrap();
        let user = |name: &&str| User {
            username: (*name).into(),
            email: email.clone(),
            enabled,
            password: password.clone(),
            attributes: attributes.clone(),
            groups: groups.iter().map(|group| path(group)).collect(),
            roles: roles.clone(),
            ..User::default()
        };
        let group = |at: &str, is_default| Group {
            path: path(at), attributes: BTreeMap::new(), roles: RoleSet::default(), is_default: Some(is_default),
        };
        let groups = vec![group("/x", false), group("/y", false), group("/everyone", true)];
        DesiredObjects { users: names.iter().map(user).collect(), groups, ..nothing("ml") }
    }
}

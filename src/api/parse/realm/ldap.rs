//! LDAP servers.

use std::collections::BTreeMap;

use super::{Secrets, check, entry, secret};
use crate::{
    api::{
        self, EditMode, LdapVendor, RealmSpec, SearchScope, UserFederation,
        common::Seconds,
        parse::{Problems, invalid},
    },
    core::desired::objects::{DesiredObjects, Federation, FederationMapper},
};

pub fn servers(
    spec: &RealmSpec,
    desired: &DesiredObjects,
    secrets: &Secrets,
    problems: &mut Problems,
) -> Vec<Federation> {
    let all = &spec.user_federation;
    check::unique("spec.userFederation", all.iter().map(|server| server.name.as_str()), problems);
    for server in all {
        let field = entry("userFederation", &server.name);
        check::name(&field, &server.name, problems);
        let secret = Some(("bindCredential", "bind.password"));
        check::config(&format!("{field}.config"), &server.config, secret, problems);
        check::mappers(&format!("{field}.mappers"), &server.mappers, problems);
        for (name, period) in [("fullSync", server.full_sync), ("changedSync", server.changed_sync)] {
            if period == Some(Seconds(0)) {
                problems.push(invalid(&format!("{field}.{name}"), "0s is no period: remove it, or name a longer one"));
            }
        }
    }
    all.iter().map(|server| federation(server, desired, secrets)).collect()
}

fn federation(server: &UserFederation, desired: &DesiredObjects, secrets: &Secrets) -> Federation {
    let mapper = |mapper: &api::Mapper| FederationMapper {
        id: desired.federation_mapper_id(&server.name, &mapper.name),
        name: mapper.name.clone(),
        mapper_type: mapper.mapper_type.clone(),
        config: mapper.config.clone(),
    };
    let mut config = connection(server);
    config.extend(people(server));
    Federation {
        id: desired.federation_id(&server.name),
        name: server.name.clone(),
        config: config
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .chain(server.config.clone())
            .collect::<BTreeMap<_, _>>(),
        secret: secret(server.bind.as_ref().map(|bind| &bind.password), secrets),
        mappers: server.mappers.iter().map(mapper).collect(),
    }
}

/// How the server is reached. All that Keycloak's console writes, so that no default of a later version changes it.
fn connection(server: &UserFederation) -> Vec<(&'static str, String)> {
    vec![
        ("enabled", server.enabled.to_string()),
        ("priority", server.priority.to_string()),
        ("connectionUrl", server.connection_url.clone()),
        ("startTls", server.start_tls.to_string()),
        ("useTruststoreSpi", "always".to_owned()),
        ("connectionPooling", "true".to_owned()),
        ("connectionTimeout", "5000".to_owned()),
        ("readTimeout", "10000".to_owned()),
        ("authType", if server.bind.is_some() { "simple" } else { "none" }.to_owned()),
        ("bindDn", server.bind.as_ref().map(|bind| bind.dn.clone()).unwrap_or_default()),
        ("pagination", "true".to_owned()),
    ]
}

/// Who its people are, and how they become users.
fn people(server: &UserFederation) -> Vec<(&'static str, String)> {
    let vendor = Vendor::of(server.vendor);
    let or = |given: &Option<String>, default: &str| given.clone().unwrap_or_else(|| default.to_owned());
    let period = |given: Option<Seconds>| given.map_or("-1".to_owned(), |Seconds(seconds)| seconds.to_string());
    let classes = match server.object_classes.as_slice() {
        [] => vendor.classes.to_owned(),
        given => given.join(", "),
    };
    vec![
        ("vendor", vendor.id.to_owned()),
        ("usersDn", server.users_dn.clone()),
        ("searchScope", if server.search_scope == SearchScope::OneLevel { "1" } else { "2" }.to_owned()),
        ("customUserSearchFilter", server.filter.clone().unwrap_or_default()),
        ("usernameLDAPAttribute", or(&server.username_attribute, vendor.username)),
        ("rdnLDAPAttribute", or(&server.rdn_attribute, vendor.rdn)),
        ("uuidLDAPAttribute", or(&server.uuid_attribute, vendor.uuid)),
        ("userObjectClasses", classes),
        ("editMode", edit_mode(server.edit_mode).to_owned()),
        ("importEnabled", "true".to_owned()),
        ("syncRegistrations", "false".to_owned()),
        ("fullSyncPeriod", period(server.full_sync)),
        ("changedSyncPeriod", period(server.changed_sync)),
    ]
}

fn edit_mode(mode: EditMode) -> &'static str {
    match mode {
        EditMode::ReadOnly => "READ_ONLY",
        EditMode::Writable => "WRITABLE",
        EditMode::Unsynced => "UNSYNCED",
    }
}

/// What is usual in a kind of directory.
struct Vendor {
    id: &'static str,
    username: &'static str,
    rdn: &'static str,
    uuid: &'static str,
    classes: &'static str,
}

impl Vendor {
    fn of(vendor: LdapVendor) -> Self {
        let (id, uuid) = match vendor {
            LdapVendor::ActiveDirectory => {
                let classes = "person, organizationalPerson, user";
                return Self { id: "ad", username: "sAMAccountName", rdn: "cn", uuid: "objectGUID", classes };
            }
            LdapVendor::RedHatDirectoryServer => ("rhds", "nsuniqueid"),
            LdapVendor::Tivoli => ("tivoli", "uniqueidentifier"),
            LdapVendor::EDirectory => ("edirectory", "guid"),
            LdapVendor::Other => ("other", "entryUUID"),
        };
        Self { id, username: "uid", rdn: "uid", uuid, classes: "inetOrgPerson, organizationalPerson" }
    }
}

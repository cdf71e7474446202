//! The operator's rights: given, mapped into its tokens, and looked at again.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::desired::representation::RoleRepresentation;
use crate::core::rights;
use crate::keycloak::admin::RealmAdmin;
use crate::keycloak::error::ApiError;
use crate::keycloak::rights::Area;

use super::{BootstrapError, BootstrapSpec, RealmGrant, Step};

/// The realm role that lets the operator create realms.
const CREATE_REALM: &str = "create-realm";
/// The realm role that is every right in every realm.
const ADMIN: &str = "admin";

/// The operator's client and its account, by internal ids.
pub(super) struct Operator {
    pub client: String,
    pub account: String,
}

pub(super) async fn ensure_create_realm(realm: &RealmAdmin, operator: &Operator) -> Result<Step, BootstrapError> {
    let held = realm.list_role_mappings(&operator.account).await?.realm_mappings;
    if held.iter().any(|role| role.name == CREATE_REALM) {
        return Ok(Step::Unchanged);
    }
    let role = realm.get_realm_role(CREATE_REALM).await?;
    realm.map_realm_roles(&operator.account, &[role]).await?;
    Ok(Step::Created)
}

/// Gives roles in one realm, and, where the client's scope is limited, puts them into it.
pub(super) async fn ensure_grant(
    realm: &RealmAdmin,
    operator: &Operator,
    grant: &RealmGrant,
    in_scope: bool,
) -> Result<(String, Step), BootstrapError> {
    let missing = || BootstrapError::RealmMissing { realm: grant.realm.clone() };
    let container = rights::container(realm.name(), &grant.realm).ok_or_else(missing)?;
    let id = realm.find_client(&container).await?.ok_or_else(missing)?.reference().id;
    let mut step = Step::Unchanged;
    let lacking = lacking(realm, &id, grant, realm.list_effective_roles(&operator.account, &id).await?).await?;
    if !lacking.is_empty() {
        realm.map_client_roles(&operator.account, &id, &lacking).await?;
        step = Step::Created;
    }
    if in_scope {
        let lacking = lacking_in_scope(realm, operator, &id, grant).await?;
        if !lacking.is_empty() {
            realm.bind_client(&operator.client, &id, &lacking).await?;
            step = Step::Created;
        }
    }
    Ok((container, step))
}

async fn lacking_in_scope(
    realm: &RealmAdmin,
    operator: &Operator,
    container: &str,
    grant: &RealmGrant,
) -> Result<Vec<RoleRepresentation>, ApiError> {
    let bound = realm.list_client_scope_mappings(&operator.client).await?.client_mappings;
    let present = bound.into_values().filter(|mapping| mapping.id == container).flat_map(|mapping| mapping.mappings);
    lacking(realm, container, grant, names(present.collect())).await
}

async fn lacking(
    realm: &RealmAdmin,
    container: &str,
    grant: &RealmGrant,
    present: BTreeSet<String>,
) -> Result<Vec<RoleRepresentation>, ApiError> {
    let mut lacking = Vec::new();
    for role in grant.roles.difference(&present) {
        lacking.push(realm.get_client_role(container, role).await?);
    }
    Ok(lacking)
}

/// Reads what the account holds in the end: all that was given, or it is an error, and what it holds besides.
pub(super) async fn check(
    realm: &RealmAdmin,
    operator: &Operator,
    spec: &BootstrapSpec,
) -> Result<BTreeMap<String, BTreeSet<String>>, BootstrapError> {
    let wanted: BTreeMap<String, &RealmGrant> =
        spec.grants.iter().filter_map(|grant| Some((rights::container(realm.name(), &grant.realm)?, grant))).collect();
    let mappings = realm.list_role_mappings(&operator.account).await?;
    let mut surplus = BTreeMap::new();
    let of_realm = mappings.realm_mappings.iter().map(|role| role.name.clone());
    let of_realm: BTreeSet<String> = of_realm.filter(|role| is_surplus_realm_role(role, realm.name(), spec)).collect();
    surplus.insert("realm".to_owned(), of_realm);
    // Roles can come by others that include them, so the clients of administration are asked one by one.
    let own = rights::container(realm.name(), realm.name());
    let mapped = mappings.client_mappings.into_keys().filter(|name| rights::is_administrative(realm.name(), name));
    let containers: BTreeSet<String> = own.into_iter().chain(wanted.keys().cloned()).chain(mapped).collect();
    for container in containers {
        let grant = wanted.get(&container);
        // One who makes a realm has all rights in it.
        if grant.is_none() && spec.creates_realms && container != "master-realm" {
            continue;
        }
        let Some(id) = realm.find_client(&container).await?.map(|client| client.reference().id) else { continue };
        let held = realm.list_effective_roles(&operator.account, &id).await?;
        let nothing = BTreeSet::new();
        let granted = grant.map_or(&nothing, |grant| &grant.roles);
        let lacking: Vec<_> = granted.difference(&held).cloned().collect();
        if !lacking.is_empty() {
            return Err(BootstrapError::NotHeld { roles: lacking.join(", "), container });
        }
        surplus.insert(container, held.difference(granted).cloned().collect());
    }
    surplus.retain(|_, roles| !roles.is_empty());
    Ok(surplus)
}

fn is_surplus_realm_role(role: &str, login_realm: &str, spec: &BootstrapSpec) -> bool {
    login_realm == "master" && (role == ADMIN || (role == CREATE_REALM && !spec.creates_realms))
}

impl RealmAdmin {
    /// The names of a client's roles that an account holds, directly or by others that include them.
    async fn list_effective_roles(&self, account: &str, client: &str) -> Result<BTreeSet<String>, ApiError> {
        let path = ["users", account, "role-mappings", "clients", client, "composite"];
        Ok(names(self.get(Area::RoleMappings, &path).await?))
    }
}

fn names(roles: Vec<RoleRepresentation>) -> BTreeSet<String> {
    roles.into_iter().map(|role| role.name).collect()
}

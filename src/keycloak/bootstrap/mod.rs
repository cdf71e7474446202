//! Giving the operator its first login, and mending it after a lock-out. Run once, with an administrator's password.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::core::desired::representation::{ClientRepresentation, ClientSettings, RoleRepresentation};
use crate::core::desired::{OWNER_ATTRIBUTE, Owner, WorkloadIssuer, object_id};

use super::admin::{Admin, RealmAdmin};
use super::clients::ScopeList;
use super::error::ApiError;

/// The realm role that lets the operator create realms.
const CREATE_REALM: &str = "create-realm";
/// The realm from which others are administered.
const MASTER: &str = "master";
/// Without this scope in its token, the operator is refused by Keycloak 26.8.2 and later; earlier ones do not have it.
const ADMIN_API_SCOPE: &str = "kc-admin-api";
/// The kind in the owner mark of what is made here.
const KIND: &str = "Bootstrap";

/// What the operator's login consists of.
#[derive(Clone, Debug)]
pub struct BootstrapSpec {
    /// The cluster's name, for the owner mark.
    pub cluster: String,
    /// The realm in which the operator logs in.
    pub login_realm: String,
    /// The operator's client.
    pub client_id: String,
    /// The trust in the cluster's ServiceAccount tokens. To follow the cluster's keys later by [`ensure_issuer`], the
    /// operator needs a grant of `manage-identity-providers` in the login realm.
    pub issuer: WorkloadIssuer,
    /// `system:serviceaccount:NAMESPACE:NAME` of the operator.
    pub subject: String,
    /// Rights in realms that exist already. Those that the operator makes it has all rights in.
    pub grants: Vec<RealmGrant>,
}

/// Rights in one realm that exists already. From `master` rights in any realm can be given; from another login realm only
/// rights in itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealmGrant {
    /// The realm.
    pub realm: String,
    /// Roles such as `manage-clients`.
    pub roles: BTreeSet<String>,
}

/// What became of one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It was not there.
    Created,
    /// It was there and was made what it should be.
    Updated,
    /// It was as it should be.
    Unchanged,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootstrapReport {
    /// The trust in the cluster.
    pub identity_provider: Step,
    /// The operator's client.
    pub client: Step,
    /// The role to create realms (under `realm`), and the roles in realms that exist, by the client that has them.
    pub roles: BTreeMap<String, Step>,
}

/// Why the operator has no login.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum BootstrapError {
    /// A call failed.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The alias is that of an identity provider that Keywire did not make.
    #[error("identity provider {alias} exists already and was not made by Keywire: choose another alias")]
    AliasTaken {
        /// The alias.
        alias: String,
    },
    /// The realm whose rights are to be given does not exist, or is out of the login realm's reach.
    #[error("no rights in realm {realm} can be given: it does not exist, or the login realm is neither it nor master")]
    RealmMissing {
        /// The realm.
        realm: String,
    },
}

/// Makes the operator able to log in with its own ServiceAccount token. Can be run again at any time.
///
/// A client of this id is taken over whoever made it: the administrator who runs this says so.
///
/// # Errors
/// [`BootstrapError`]; what was done before stays, and running it again goes on.
pub async fn bootstrap_operator(admin: &Admin, spec: &BootstrapSpec) -> Result<BootstrapReport, BootstrapError> {
    let realm = admin.realm(&spec.login_realm);
    let identity_provider = ensure_issuer(&realm, &spec.issuer, &spec.owner()).await?;
    let (id, client) = ensure_client(&realm, spec).await?;
    let account = realm.get_service_account(&id).await?.id;
    let mut roles = BTreeMap::new();
    if spec.login_realm == MASTER {
        roles.insert("realm".to_owned(), ensure_create_realm(&realm, &account).await?);
    }
    for grant in &spec.grants {
        let (container, step) = ensure_grant(&realm, &account, grant).await?;
        roles.insert(container, step);
    }
    Ok(BootstrapReport { identity_provider, client, roles })
}

impl BootstrapSpec {
    fn owner(&self) -> Owner {
        Owner {
            cluster: self.cluster.clone(),
            kind: KIND.to_owned(),
            namespace: None,
            name: self.client_id.clone(),
            uid: String::new(),
        }
    }

    fn client(&self) -> ClientRepresentation {
        let attributes = [
            ("jwt.credential.issuer", self.issuer.alias.clone()),
            ("jwt.credential.sub", self.subject.clone()),
            (OWNER_ATTRIBUTE, self.owner().to_attribute()),
        ];
        let settings = ClientSettings {
            service_accounts_enabled: true,
            // Its rights grow with each realm that it makes, and all of them have to be in its tokens.
            full_scope_allowed: true,
            attributes: attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            ..ClientSettings::closed(&self.client_id, "Keywire operator")
        };
        let id = object_id(&self.cluster, &self.login_realm, KIND, "", &self.client_id);
        let default_client_scopes = Some(["basic", "roles", ADMIN_API_SCOPE].map(ToOwned::to_owned).into());
        ClientRepresentation {
            id: Some(id.to_string()),
            settings,
            default_client_scopes,
            optional_client_scopes: Some(BTreeSet::new()),
        }
    }
}

/// Makes a realm trust the cluster's current keys. The operator does this for its login realm whenever the cluster has a
/// new key, before that key signs.
///
/// # Errors
/// [`BootstrapError::AliasTaken`] if the alias is not ours.
pub async fn ensure_issuer(realm: &RealmAdmin, issuer: &WorkloadIssuer, owner: &Owner) -> Result<Step, BootstrapError> {
    let wanted = issuer.identity_provider(owner);
    let existing = realm.list_identity_providers().await?;
    match existing.iter().find(|found| found.alias == wanted.alias) {
        None => {
            realm.create_identity_provider(&wanted).await?;
            Ok(Step::Created)
        }
        Some(found) if found.owner().is_none() => Err(BootstrapError::AliasTaken { alias: wanted.alias }),
        Some(found) if found.with_canonical_keys() == wanted => Ok(Step::Unchanged),
        Some(_) => {
            realm.update_identity_provider(&wanted).await?;
            Ok(Step::Updated)
        }
    }
}

async fn ensure_client(realm: &RealmAdmin, spec: &BootstrapSpec) -> Result<(String, Step), BootstrapError> {
    let wanted = spec.client();
    let Some(found) = realm.find_client(&spec.client_id).await? else {
        realm.create_client(&wanted).await?;
        return Ok((wanted.reference().id, Step::Created));
    };
    let id = found.reference().id;
    let has_attributes =
        wanted.settings.attributes.iter().all(|(name, value)| found.settings.attributes.get(name) == Some(value));
    let rest = ClientSettings { attributes: wanted.settings.attributes.clone(), ..found.settings };
    let has_scope = ensure_admin_api_scope(realm, &id, found.default_client_scopes.unwrap_or_default()).await?;
    if has_attributes && rest == wanted.settings {
        return Ok((id, has_scope));
    }
    realm.update_client(&id, &json!(wanted.settings)).await?;
    Ok((id, Step::Updated))
}

/// A client that was made before Keycloak was upgraded lacks the scope.
async fn ensure_admin_api_scope(
    realm: &RealmAdmin,
    client: &str,
    present: BTreeSet<String>,
) -> Result<Step, BootstrapError> {
    if present.contains(ADMIN_API_SCOPE) {
        return Ok(Step::Unchanged);
    }
    let scopes = realm.list_client_scopes().await?;
    let Some(scope) = scopes.iter().find(|scope| scope.settings.name == ADMIN_API_SCOPE) else {
        return Ok(Step::Unchanged);
    };
    realm.add_scope_to_client(client, ScopeList::Default, &scope.reference().id).await?;
    Ok(Step::Updated)
}

async fn ensure_create_realm(realm: &RealmAdmin, account: &str) -> Result<Step, BootstrapError> {
    let held = realm.list_role_mappings(account).await?.realm_mappings;
    if held.iter().any(|role| role.name == CREATE_REALM) {
        return Ok(Step::Unchanged);
    }
    let role = realm.get_realm_role(CREATE_REALM).await?;
    realm.map_realm_roles(account, &[role]).await?;
    Ok(Step::Created)
}

async fn ensure_grant(realm: &RealmAdmin, account: &str, grant: &RealmGrant) -> Result<(String, Step), BootstrapError> {
    let missing = || BootstrapError::RealmMissing { realm: grant.realm.clone() };
    let container = match realm.name() {
        MASTER => format!("{}-realm", grant.realm),
        login_realm if login_realm == grant.realm => "realm-management".to_owned(),
        _ => return Err(missing()),
    };
    let client = realm.find_client(&container).await?.ok_or_else(missing)?.reference().id;
    let held = realm.list_role_mappings(account).await?.client_mappings.remove(&container);
    let held: BTreeSet<_> = held.iter().flat_map(|held| &held.mappings).map(|role| role.name.clone()).collect();
    let mut missing: Vec<RoleRepresentation> = Vec::new();
    for role in grant.roles.difference(&held) {
        missing.push(realm.get_client_role(&client, role).await?);
    }
    if missing.is_empty() {
        return Ok((container, Step::Unchanged));
    }
    realm.map_client_roles(account, &client, &missing).await?;
    Ok((container, Step::Created))
}

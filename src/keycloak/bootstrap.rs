//! Giving the operator its first login, and mending it after a lock-out. Run once, with an administrator's password.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::core::desired::representation::{ClientRepresentation, ClientSettings, RoleRepresentation};
use crate::core::desired::{OWNER_ATTRIBUTE, Owner, WorkloadIssuer, object_id};

use super::admin::{Admin, RealmAdmin};
use super::error::ApiError;
use super::reconcile::ReconcileError;

/// The realm role that lets the operator create realms.
const CREATE_REALM: &str = "create-realm";
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
    /// The trust in the cluster's ServiceAccount tokens.
    pub issuer: WorkloadIssuer,
    /// `system:serviceaccount:NAMESPACE:NAME` of the operator.
    pub subject: String,
    /// Rights in realms that exist already. Those that the operator makes it has all rights in.
    pub grants: Vec<RealmGrant>,
}

/// Rights in one realm that exists already; the login realm has to be `master`.
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
    /// The role to create realms, and the roles in realms that exist, by role container.
    pub roles: BTreeMap<String, Step>,
}

/// Why the operator has no login.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum BootstrapError {
    /// A call failed.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The identity provider could not be made.
    #[error("the trust in the cluster's tokens: {0}")]
    Issuer(#[from] ReconcileError),
    /// The realm whose rights are to be given does not exist.
    #[error("realm {realm} does not exist, so no rights in it can be given")]
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
    let identity_provider = ensure_issuer(&realm, spec).await?;
    let (id, client) = ensure_client(&realm, spec).await?;
    let account = realm.get_service_account(&id).await?.id;
    let mut roles = BTreeMap::new();
    roles.insert("realm".to_owned(), ensure_create_realm(&realm, &account).await?);
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
        let default_client_scopes = Some(["basic", "roles"].map(ToOwned::to_owned).into());
        ClientRepresentation {
            id: Some(id.to_string()),
            settings,
            default_client_scopes,
            optional_client_scopes: Some(BTreeSet::new()),
        }
    }
}

async fn ensure_issuer(realm: &RealmAdmin, spec: &BootstrapSpec) -> Result<Step, BootstrapError> {
    let wanted = spec.issuer.identity_provider(&spec.owner());
    let existing = realm.list_identity_providers().await?;
    match existing.iter().find(|found| found.alias == wanted.alias) {
        None => {
            realm.create_identity_provider(&wanted).await?;
            Ok(Step::Created)
        }
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
    if has_attributes && rest == wanted.settings {
        return Ok((id, Step::Unchanged));
    }
    realm.update_client(&id, &json!(wanted.settings)).await?;
    Ok((id, Step::Updated))
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
    let container = format!("{}-realm", grant.realm);
    let client = realm.find_client(&container).await?;
    let client = client.ok_or_else(|| BootstrapError::RealmMissing { realm: grant.realm.clone() })?.reference().id;
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

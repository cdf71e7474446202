//! The operator's client.

use std::collections::BTreeSet;

use serde_json::json;

use crate::core::desired::representation::{ClientRepresentation, ClientSettings};
use crate::core::desired::{BOOTSTRAP, OWNER_ATTRIBUTE, Owner, object_id};
use crate::keycloak::admin::RealmAdmin;
use crate::keycloak::clients::ScopeList;

use super::{BootstrapError, BootstrapSpec, Step};

/// Without this scope in its token, the operator is refused by Keycloak 26.8.2 and later; earlier ones do not have it.
const ADMIN_API_SCOPE: &str = "kc-admin-api";

impl BootstrapSpec {
    pub(super) fn owner(&self) -> Owner {
        Owner {
            cluster: self.cluster.clone(),
            kind: BOOTSTRAP.to_owned(),
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
            // The rights of one who makes realms grow with each of them, and all have to be in its tokens. Anybody else's
            // token has what was mapped into its scope, whatever else the account is given.
            full_scope_allowed: self.creates_realms,
            attributes: attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            ..ClientSettings::closed(&self.client_id, "Keywire operator")
        };
        let id = object_id(&self.cluster, &self.login_realm, BOOTSTRAP, "", &self.client_id);
        let default_client_scopes = Some(["basic", "roles", ADMIN_API_SCOPE].map(ToOwned::to_owned).into());
        ClientRepresentation {
            secret: None,
            id: Some(id.to_string()),
            settings,
            default_client_scopes,
            optional_client_scopes: Some(BTreeSet::new()),
        }
    }
}

/// Makes the client what it should be, and tells its internal id.
pub(super) async fn ensure_client(realm: &RealmAdmin, spec: &BootstrapSpec) -> Result<(String, Step), BootstrapError> {
    let wanted = spec.client();
    let Some(found) = realm.find_client(&spec.client_id).await? else {
        realm.create_client(&wanted).await?;
        return Ok((wanted.reference().id, Step::Created));
    };
    // Without a mark it is the administrator's to give; with another cluster's it is that one's way in.
    if let Some(owner) = found.owner().filter(|owner| owner.cluster != spec.cluster) {
        return Err(BootstrapError::ClientTaken { client_id: spec.client_id.clone(), cluster: owner.cluster });
    }
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

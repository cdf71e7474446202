//! The types that a server knows, out of `/admin/serverinfo`: 300 KB, so remembered for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use tokio::time::Instant;

use crate::core::desired::representation::{LDAP_MAPPER, USER_STORAGE};
use crate::core::diff::objects::ServerTypes;

use super::admin::Admin;
use super::call::Call;
use super::error::ApiError;
use super::rights::{Area, MissingRole};

/// How long the types are remembered. They change with the server's version and features.
const AGE: Duration = Duration::from_secs(600);
/// The provider type of the mappers of identity providers.
const BROKER_MAPPER: &str = "org.keycloak.broker.provider.IdentityProviderMapper";

/// What was read last, and when.
#[derive(Debug, Default)]
pub(super) struct TypeMemory {
    last: Mutex<Option<(Instant, Arc<ServerTypes>)>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServerInfo {
    #[serde(default)]
    protocol_mapper_types: BTreeMap<String, Vec<Named>>,
    #[serde(default)]
    identity_providers: Vec<Named>,
    #[serde(default)]
    component_types: BTreeMap<String, Vec<Named>>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

impl Admin {
    /// The types that the server knows.
    ///
    /// # Errors
    /// `Forbidden` if this account is not shown them: then nothing that has a type can be written safely.
    pub async fn server_types(&self) -> Result<Arc<ServerTypes>, ApiError> {
        if let Some(types) = self.type_memory().recall() {
            return Ok(types);
        }
        let info: ServerInfo = self.read(Call::new(Area::ServerInfo, Method::GET, "master", &["serverinfo"])).await?;
        if info.protocol_mapper_types.is_empty() {
            let missing = MissingRole { role: "view-realm", realm: "master".to_owned() };
            return Err(ApiError::Forbidden { call: "GET /admin/serverinfo".to_owned(), missing });
        }
        let types = Arc::new(ServerTypes::from(info));
        self.type_memory().keep(&types);
        Ok(types)
    }
}

impl From<ServerInfo> for ServerTypes {
    fn from(mut info: ServerInfo) -> Self {
        let mut components = |kind: &str| ids(info.component_types.remove(kind).unwrap_or_default());
        Self {
            broker_mappers: components(BROKER_MAPPER),
            user_storage: components(USER_STORAGE),
            ldap_mappers: components(LDAP_MAPPER),
            identity_providers: ids(info.identity_providers),
            protocol_mappers: info
                .protocol_mapper_types
                .into_iter()
                .map(|(protocol, all)| (protocol, ids(all)))
                .collect(),
        }
    }
}

impl TypeMemory {
    fn recall(&self) -> Option<Arc<ServerTypes>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(at, _)| at.elapsed() < AGE).map(|(_, types)| Arc::clone(types))
    }

    fn keep(&self, types: &Arc<ServerTypes>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), Arc::clone(types)));
    }
}

fn ids(all: Vec<Named>) -> BTreeSet<String> {
    all.into_iter().map(|named| named.id).collect()
}

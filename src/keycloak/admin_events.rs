//! `/admin/realms/{realm}/admin-events`: who changed what, as Keycloak records it.

use reqwest::Method;
use serde::Deserialize;

use super::admin::RealmAdmin;
use super::error::ApiError;
use super::rights::Area;

/// One recorded change. Keycloak records no values (`adminEventsDetailsEnabled` stays off: secrets have leaked that way).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AdminEvent {
    /// Absent before 26.
    pub id: Option<String>,
    /// Milliseconds since 1970, by Keycloak's clock.
    pub time: i64,
    /// Who.
    pub auth_details: AuthDetails,
    /// `CREATE`, `UPDATE`, `DELETE` or `ACTION`.
    pub operation_type: String,
    /// Such as `CLIENT`, `CLIENT_ROLE_MAPPING`.
    pub resource_type: String,
    /// Such as `clients/{id}/roles/{name}`.
    pub resource_path: String,
}

/// Who made a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AuthDetails {
    /// Id of the realm that the account is of.
    pub realm_id: String,
    /// Internal id of the client that was used.
    pub client_id: String,
    /// The account's id: the `sub` of its tokens.
    pub user_id: String,
    /// As Keycloak saw it.
    pub ip_address: String,
}

impl AdminEvent {
    /// Tells this event from all others.
    #[must_use]
    pub fn key(&self) -> String {
        let Self { time, operation_type, resource_path, .. } = self;
        self.id.clone().unwrap_or_else(|| format!("{time} {operation_type} {resource_path}"))
    }
}

impl RealmAdmin {
    /// Recorded changes from `from` on (milliseconds, inclusive), oldest first.
    ///
    /// # Errors
    /// `Forbidden` without `view-events`.
    pub async fn list_admin_events(&self, from: i64, first: usize, max: usize) -> Result<Vec<AdminEvent>, ApiError> {
        let call = self.call(Area::AdminEvents, Method::GET, &["admin-events"]);
        let call = call.query("dateFrom", from).query("direction", "asc").query("first", first).query("max", max);
        self.admin().read(call).await
    }

    /// The newest recorded change; none in a realm that records none.
    ///
    /// # Errors
    /// `Forbidden` without `view-events`.
    pub async fn newest_admin_event(&self) -> Result<Option<AdminEvent>, ApiError> {
        let call = self.call(Area::AdminEvents, Method::GET, &["admin-events"]).query("max", 1);
        let newest: Vec<AdminEvent> = self.admin().read(call).await?;
        Ok(newest.into_iter().next())
    }
}

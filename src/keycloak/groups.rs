//! `/admin/realms/{realm}/groups`, `/group-by-path` and `/default-groups`.

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use crate::core::desired::objects::GroupPath;
use crate::core::desired::representation::{GroupRepresentation, UserRepresentation};
use crate::core::diff::Attributes;

use super::admin::RealmAdmin;
use super::error::ApiError;
use super::rights::Area;

/// A group as far as lists of groups tell where it is.
#[derive(Clone, Debug, Deserialize)]
pub struct GroupPlace {
    /// Its path, such as `/data-science/nlp`.
    pub path: String,
}

impl RealmAdmin {
    /// The groups at the top, or those in the group with this id, with attributes.
    ///
    /// # Errors
    /// `Forbidden` without `manage-users`.
    pub async fn list_groups(&self, parent: Option<&str>) -> Result<Vec<GroupRepresentation>, ApiError> {
        let path = match parent {
            None => vec!["groups"],
            Some(id) => vec!["groups", id, "children"],
        };
        self.all_pages(|| self.call(Area::Groups, Method::GET, &path).query("briefRepresentation", false)).await
    }

    /// The group at a path, with attributes.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    pub async fn get_group(&self, path: &GroupPath) -> Result<GroupRepresentation, ApiError> {
        let names: Vec<_> = ["group-by-path"].into_iter().chain(path.names().iter().map(String::as_str)).collect();
        self.get(Area::Groups, &names).await
    }

    /// Creates a group, in the one before it on the path.
    ///
    /// # Errors
    /// `Conflict` if there is one, `NotFound` if its parent does not exist.
    pub async fn create_group(&self, path: &GroupPath, attributes: &Attributes) -> Result<(), ApiError> {
        let body = json!({"name": path.name(), "attributes": attributes});
        let call = match path.parent() {
            None => self.call(Area::Groups, Method::POST, &["groups"]),
            Some(parent) => {
                let parent = self.get_group(&parent).await?;
                self.call(Area::Groups, Method::POST, &["groups", parent.id(), "children"])
            }
        };
        self.admin().call(call.body(&body)?).await.map(|_| ())
    }

    /// Replaces a group's attributes.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    pub async fn update_group(&self, path: &GroupPath, attributes: &Attributes) -> Result<(), ApiError> {
        let group = self.get_group(path).await?;
        let body = json!({"name": path.name(), "attributes": attributes});
        let call = self.call(Area::Groups, Method::PUT, &["groups", group.id()]).body(&body)?;
        self.admin().call(call).await.map(|_| ())
    }

    /// Deletes a group with all groups in it; fine if it does not exist.
    ///
    /// # Errors
    /// `Forbidden` without `manage-users`.
    pub async fn delete_group(&self, path: &GroupPath) -> Result<(), ApiError> {
        let Some(group) = ApiError::none_if_missing(self.get_group(path).await)? else { return Ok(()) };
        let call = self.call(Area::Groups, Method::DELETE, &["groups", group.id()]);
        ApiError::fine_if_missing(self.admin().call(call).await)
    }

    /// Whether anyone is in the group with this id.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    pub async fn has_members(&self, id: &str) -> Result<bool, ApiError> {
        let call = self.call(Area::Groups, Method::GET, &["groups", id, "members"]).query("first", 0).query("max", 1);
        self.admin().read::<Vec<UserRepresentation>>(call).await.map(|members| !members.is_empty())
    }

    /// The users in the group with this id.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    pub async fn list_members(&self, id: &str) -> Result<Vec<UserRepresentation>, ApiError> {
        let path = ["groups", id, "members"];
        self.all_pages(|| self.call(Area::Groups, Method::GET, &path).query("briefRepresentation", false)).await
    }

    /// The groups that new users are put into.
    ///
    /// # Errors
    /// `Forbidden` without `view-realm`.
    pub async fn list_default_groups(&self) -> Result<Vec<GroupPlace>, ApiError> {
        self.get(Area::Realm, &["default-groups"]).await
    }

    /// Puts new users into a group, or stops that.
    ///
    /// # Errors
    /// `NotFound` if there is no such group.
    pub async fn set_default_group(&self, path: &GroupPath, is_default: bool) -> Result<(), ApiError> {
        let group = self.get_group(path).await?;
        let method = if is_default { Method::PUT } else { Method::DELETE };
        let call = self.call(Area::Realm, method, &["default-groups", group.id()]);
        self.admin().call(call).await.map(|_| ())
    }
}

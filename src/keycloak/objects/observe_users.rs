//! Reading the users that are listed or ours.

use std::collections::BTreeSet;

use crate::core::desired::objects::{DesiredObjects, GroupPath, ledger_name};
use crate::core::desired::representation::UserRepresentation;
use crate::core::diff::objects::{ObservedUser, ObservedUsers, Profile};
use crate::keycloak::admin::RealmAdmin;
use crate::keycloak::error::ApiError;

impl RealmAdmin {
    /// The users that are listed or in our ledger, and what the user profile admits.
    ///
    /// # Errors
    /// An [`ApiError`] if any part cannot be read.
    pub async fn observe_users(&self, desired: &DesiredObjects) -> Result<ObservedUsers, ApiError> {
        let mut observed = ObservedUsers::default();
        let ledger = GroupPath::top(&ledger_name(&desired.owner.name));
        observed.ledger = ApiError::none_if_missing(self.get_group(&ledger).await)?;
        let mut found = match &observed.ledger {
            Some(ledger) => self.list_members(ledger.id()).await?,
            None => Vec::new(),
        };
        observed.in_ledger = found.iter().map(|user| user.id().to_owned()).collect();
        for wanted in &desired.users {
            if !found.iter().any(|user| user.username == wanted.username) {
                found.extend(self.find_user(&wanted.username).await?);
            }
        }
        for user in found {
            let is_listed = desired.users.iter().any(|wanted| wanted.username == user.username);
            let user =
                if is_listed { self.observe_user(user).await? } else { ObservedUser { user, ..Default::default() } };
            observed.users.push(user);
        }
        let has_attributes = desired.users.iter().any(|user| !user.attributes.is_empty());
        observed.profile = if has_attributes { self.get_profile().await? } else { Profile::default() };
        Ok(observed)
    }

    async fn observe_user(&self, user: UserRepresentation) -> Result<ObservedUser, ApiError> {
        let groups: BTreeSet<_> =
            self.list_groups_of(user.id()).await?.iter().filter_map(|place| GroupPath::parse(&place.path)).collect();
        let grants = self.list_grants(["users", user.id()]).await?;
        Ok(ObservedUser { user, groups, grants })
    }

    pub(super) async fn user_id(&self, username: &str) -> Result<String, ApiError> {
        let missing = || ApiError::NotFound { call: format!("user {username}") };
        Ok(self.find_user(username).await?.ok_or_else(missing)?.id().to_owned())
    }
}

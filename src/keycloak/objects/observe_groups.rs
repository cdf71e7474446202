//! Reading groups, as far down the tree as any is listed or ours.

use crate::core::desired::objects::{DesiredObjects, GroupPath};
use crate::core::desired::representation::GroupRepresentation;
use crate::core::diff::objects::{ObservedGroup, ObservedGroups};
use crate::keycloak::admin::RealmAdmin;
use crate::keycloak::error::ApiError;

use super::observe::is_of;

impl RealmAdmin {
    /// The groups that are listed or ours, those in them, and the groups that new users are put into.
    ///
    /// # Errors
    /// An [`ApiError`] if any part cannot be read.
    pub async fn observe_groups(&self, desired: &DesiredObjects) -> Result<ObservedGroups, ApiError> {
        let mut observed = ObservedGroups::default();
        let mut pending: Vec<Option<(GroupPath, String)>> = vec![None];
        while let Some(parent) = pending.pop() {
            for group in self.list_groups(parent.as_ref().map(|(_, id)| id.as_str())).await? {
                let path = match &parent {
                    None => GroupPath::top(&group.name),
                    Some((above, _)) => above.child(&group.name),
                };
                let is_relevant = is_listed(desired, &path) || is_of(group.owner(), desired);
                if is_relevant && group.sub_group_count > 0 {
                    pending.push(Some((path.clone(), group.id().to_owned())));
                }
                if is_relevant {
                    let found = self.observe_group(desired, &path, group).await?;
                    observed.groups.insert(path, found);
                } else if parent.is_some() {
                    // Someone else's, in one that may be ours: it must not go with it.
                    observed.groups.insert(path, ObservedGroup { group, ..ObservedGroup::default() });
                }
            }
        }
        if !observed.groups.is_empty() || !desired.groups.is_empty() {
            let places = self.default_groups_if_visible(desired).await?;
            observed.default_groups = places.iter().filter_map(|place| GroupPath::parse(place)).collect();
        }
        Ok(observed)
    }

    async fn observe_group(
        &self,
        desired: &DesiredObjects,
        path: &GroupPath,
        group: GroupRepresentation,
    ) -> Result<ObservedGroup, ApiError> {
        let grants = self.list_grants(["groups", group.id()]).await?;
        let has_members = !is_listed(desired, path) && self.has_members(group.id()).await?;
        Ok(ObservedGroup { group, grants, has_members })
    }

    /// Where a realm's settings are someone else's, an account that may not see them need not.
    async fn default_groups_if_visible(&self, desired: &DesiredObjects) -> Result<Vec<String>, ApiError> {
        match self.list_default_groups().await {
            Err(ApiError::Forbidden { .. }) if desired.groups.iter().all(|group| group.is_default.is_none()) => {
                Ok(Vec::new())
            }
            result => Ok(result?.into_iter().map(|place| place.path).collect()),
        }
    }
}

fn is_listed(desired: &DesiredObjects, path: &GroupPath) -> bool {
    desired.groups.iter().any(|group| group.path == *path)
}

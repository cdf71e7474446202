//! One call to the Admin API about an object in a realm.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::core::desired::objects::{GroupPath, RoleHolder, RoleSet, ScopeAssignment};
use crate::core::desired::representation::{
    BrokerMapperRepresentation, BrokerRepresentation, ComponentRepresentation, RoleRepresentation, UserRepresentation,
};
use crate::core::desired::{ScopeRef, Sealed};

use super::fields::FieldChange;

/// Attributes of a group, a role or a user.
pub type Attributes = BTreeMap<String, Vec<String>>;

/// One call about an object in a realm. A new secret is in it as a [`Sealed`], which shows nothing.
#[derive(Clone, Debug, PartialEq, Serialize, strum::IntoStaticStr)]
#[serde(tag = "change", rename_all = "snake_case", rename_all_fields = "camelCase")]
#[strum(serialize_all = "snake_case")]
#[expect(
    missing_docs,
    reason = "the variants and their fields are the Admin API's own words; `describe` has the prose"
)]
pub enum ObjectChange {
    CreateRealmRole {
        role: RoleRepresentation,
    },
    UpdateRealmRole {
        role: RoleRepresentation,
        fields: Vec<FieldChange>,
    },
    DeleteRealmRole {
        role: String,
    },
    AddRoles {
        holder: RoleHolder,
        roles: RoleSet,
    },
    RemoveRoles {
        holder: RoleHolder,
        roles: RoleSet,
    },

    /// Its parent exists by then.
    CreateGroup {
        path: GroupPath,
        attributes: Attributes,
    },
    UpdateGroup {
        path: GroupPath,
        attributes: Attributes,
        fields: Vec<FieldChange>,
    },
    /// With all groups in it, which are ours as well and have no members.
    DeleteGroup {
        path: GroupPath,
    },
    AddDefaultGroup {
        path: GroupPath,
    },
    RemoveDefaultGroup {
        path: GroupPath,
    },

    AddRealmScope {
        scope: ScopeRef,
        list: ScopeAssignment,
    },
    RemoveRealmScope {
        scope: ScopeRef,
        list: ScopeAssignment,
    },

    CreateBroker {
        provider: Box<BrokerRepresentation>,
        secret: Option<Sealed>,
    },
    UpdateBroker {
        provider: Box<BrokerRepresentation>,
        secret: Option<Sealed>,
        fields: Vec<FieldChange>,
    },
    DeleteBroker {
        alias: String,
    },
    CreateBrokerMapper {
        mapper: BrokerMapperRepresentation,
    },
    UpdateBrokerMapper {
        mapper: BrokerMapperRepresentation,
        fields: Vec<FieldChange>,
    },
    DeleteBrokerMapper {
        mapper: BrokerMapperRepresentation,
    },

    CreateComponent {
        component: Box<ComponentRepresentation>,
        secret: Option<Sealed>,
    },
    UpdateComponent {
        component: Box<ComponentRepresentation>,
        secret: Option<Sealed>,
        fields: Vec<FieldChange>,
    },
    DeleteComponent {
        component: Box<ComponentRepresentation>,
    },

    /// As a member of the ledger from the start, so that it is known whose the user is.
    CreateUser {
        user: Box<UserRepresentation>,
        ledger: GroupPath,
    },
    UpdateUser {
        user: Box<UserRepresentation>,
        fields: Vec<FieldChange>,
    },
    DeleteUser {
        user: Box<UserRepresentation>,
    },
    /// And notes in the ledger which one was set, afterwards: it may be set twice, but not be noted without.
    SetPassword {
        username: String,
        password: Sealed,
        ledger: GroupPath,
    },
    JoinGroup {
        username: String,
        path: GroupPath,
    },
    LeaveGroup {
        username: String,
        path: GroupPath,
    },
}

impl ObjectChange {
    /// The fields that an update changes; empty for everything else.
    #[must_use]
    pub fn fields(&self) -> &[FieldChange] {
        match self {
            Self::UpdateRealmRole { fields, .. }
            | Self::UpdateGroup { fields, .. }
            | Self::UpdateBroker { fields, .. }
            | Self::UpdateBrokerMapper { fields, .. }
            | Self::UpdateComponent { fields, .. }
            | Self::UpdateUser { fields, .. } => fields,
            _ => &[],
        }
    }
}

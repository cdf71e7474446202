//! Changes of objects in a realm, in words.

use std::fmt::{self, Display, Formatter};

use super::describe::names;
use super::object_change::ObjectChange;
use crate::core::desired::objects::ScopeAssignment;
use crate::core::desired::representation::{ComponentRepresentation, USER_STORAGE};

impl Display for ObjectChange {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateRealmRole { role } => write!(f, "create realm role {}", role.name),
            Self::UpdateRealmRole { role, fields } => write!(f, "update realm role {} ({})", role.name, names(fields)),
            Self::DeleteRealmRole { role } => write!(f, "delete realm role {role}"),
            Self::AddRoles { holder, roles } => write!(f, "give {roles} to {holder}"),
            Self::RemoveRoles { holder, roles } => write!(f, "take {roles} from {holder}"),
            Self::CreateGroup { path, .. } => write!(f, "create group {path}"),
            Self::UpdateGroup { path, fields, .. } => write!(f, "update group {path} ({})", names(fields)),
            Self::DeleteGroup { path } => write!(f, "delete group {path}"),
            Self::AddDefaultGroup { path } => write!(f, "put new users into group {path}"),
            Self::RemoveDefaultGroup { path } => write!(f, "stop putting new users into group {path}"),
            Self::AddRealmScope { scope, list } => write!(f, "give new clients scope {scope} {}", manner(*list)),
            Self::RemoveRealmScope { scope, list } => {
                write!(f, "stop giving new clients scope {scope} {}", manner(*list))
            }
            Self::CreateBroker { provider, .. } => write!(f, "create identity provider {}", provider.alias),
            Self::UpdateBroker { provider, fields, .. } => {
                write!(f, "update identity provider {} ({})", provider.alias, names(fields))
            }
            Self::DeleteBroker { alias } => write!(f, "delete identity provider {alias}"),
            Self::CreateBrokerMapper { mapper } => {
                write!(f, "create mapper {} of identity provider {}", mapper.name, mapper.identity_provider_alias)
            }
            Self::UpdateBrokerMapper { mapper, fields } => {
                let (name, alias) = (&mapper.name, &mapper.identity_provider_alias);
                write!(f, "update mapper {name} of identity provider {alias} ({})", names(fields))
            }
            Self::DeleteBrokerMapper { mapper } => {
                write!(f, "delete mapper {} of identity provider {}", mapper.name, mapper.identity_provider_alias)
            }
            Self::CreateComponent { component, .. } => write!(f, "create {}", component_name(component)),
            Self::UpdateComponent { component, fields, .. } => {
                write!(f, "update {} ({})", component_name(component), names(fields))
            }
            Self::DeleteComponent { component } => write!(f, "delete {}", component_name(component)),
            Self::CreateUser { user, .. } => write!(f, "create user {}", user.username),
            Self::UpdateUser { user, fields } => write!(f, "update user {} ({})", user.username, names(fields)),
            Self::DeleteUser { user } => write!(f, "delete user {}", user.username),
            Self::SetPassword { username, .. } => write!(f, "set the password of user {username}"),
            Self::JoinGroup { username, path } => write!(f, "put user {username} into group {path}"),
            Self::LeaveGroup { username, path } => write!(f, "take user {username} out of group {path}"),
        }
    }
}

fn manner(list: ScopeAssignment) -> &'static str {
    match list {
        ScopeAssignment::Optional => "for the asking",
        ScopeAssignment::Default | ScopeAssignment::Unassigned => "in every token",
    }
}

fn component_name(component: &ComponentRepresentation) -> String {
    let kind = if component.provider_type == USER_STORAGE { "user federation" } else { "user federation mapper" };
    format!("{kind} {}", component.name)
}

//! Changes in words, for `keywire plan`, events and logs.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};

use super::change::{Change, RoleSource};
use super::fields::FieldChange;

impl Display for RoleSource {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Realm => f.write_str("the realm"),
            Self::Client(client) => write!(f, "{client}"),
        }
    }
}

impl Display for Change {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateRealm { realm } => write!(f, "create realm {}", realm.realm),
            Self::UpdateRealm { realm, fields } => write!(f, "update realm {realm} ({})", names(fields)),
            Self::DeleteRealm { realm } => write!(f, "delete realm {realm}"),
            Self::UpdateSmtp { realm, fields, .. } => {
                write!(f, "update mail server of realm {realm} ({})", names(fields))
            }
            Self::UpdateUserProfile { fields, .. } => write!(f, "update user profile ({})", names(fields)),
            Self::UpdateClientProfiles { fields, .. } => write!(f, "update client profiles ({})", names(fields)),
            Self::UpdateClientPolicies { fields, .. } => write!(f, "update client policies ({})", names(fields)),
            Self::CreateRequiredAction { action } => write!(f, "register required action {}", action.alias),
            Self::UpdateRequiredAction { action, fields } => {
                write!(f, "update required action {} ({})", action.alias, names(fields))
            }
            Self::DeleteRequiredAction { alias } => write!(f, "unregister required action {alias}"),
            Self::CreateSigningKey { key } => write!(f, "create signing key {:?}", key.name),
            Self::UpdateSigningKey { key, fields } => {
                write!(f, "update signing key {:?} ({})", key.name, names(fields))
            }
            Self::DeleteSigningKey { name, .. } => write!(f, "delete signing key {name:?}"),
            Self::CreateIdentityProvider { identity_provider } => {
                write!(f, "create identity provider {}", identity_provider.alias)
            }
            Self::UpdateIdentityProvider { identity_provider, fields } => {
                write!(f, "update identity provider {} ({})", identity_provider.alias, names(fields))
            }
            Self::DeleteIdentityProvider { alias } => write!(f, "delete identity provider {alias}"),
            Self::CreateClient { client, .. } => write!(f, "create client {}", client.settings.client_id),
            Self::UpdateClient { client, fields } => write!(f, "update client {client} ({})", names(fields)),
            Self::DeleteClient { client } => write!(f, "delete client {client}"),
            Self::SetClientSecret { client, .. } => write!(f, "set the secret of client {client}"),
            Self::CreateClientRole { client, role } => write!(f, "create client role {} on {client}", role.name),
            Self::UpdateClientRole { client, role, fields } => {
                write!(f, "update client role {} on {client} ({})", role.name, names(fields))
            }
            Self::DeleteClientRole { client, role } => write!(f, "delete client role {role} on {client}"),
            Self::CreateScope { scope } => write!(f, "create client scope {}", scope.settings.name),
            Self::UpdateScope { scope, fields } => write!(f, "update client scope {scope} ({})", names(fields)),
            Self::DeleteScope { scope } => write!(f, "delete client scope {scope}"),
            Self::CreateScopeMapper { scope, mapper } => {
                write!(f, "create mapper {} in client scope {scope}", mapper.name)
            }
            Self::UpdateScopeMapper { scope, mapper, fields } => {
                write!(f, "update mapper {} in client scope {scope} ({})", mapper.name, names(fields))
            }
            Self::DeleteScopeMapper { scope, mapper } => {
                write!(f, "delete mapper {} in client scope {scope}", mapper.name)
            }
            Self::AddScopeMapping { scope, source, roles } => {
                write!(f, "bind client scope {scope} to {} of {source}", list(roles))
            }
            Self::RemoveScopeMapping { scope, source, roles } => {
                write!(f, "unbind client scope {scope} from {} of {source}", list(roles))
            }
            Self::AddDefaultScope { client, scope } => write!(f, "put scope {scope} into every token of {client}"),
            Self::RemoveDefaultScope { client, scope } => {
                write!(f, "take scope {scope} out of every token of {client}")
            }
            Self::AddOptionalScope { client, scope } => write!(f, "let {client} ask for scope {scope}"),
            Self::RemoveOptionalScope { client, scope } => write!(f, "stop {client} asking for scope {scope}"),
            Self::MapRoles { client, endpoint, roles } => write!(f, "grant {client} {} on {endpoint}", list(roles)),
            Self::UnmapRoles { client, endpoint, roles } => {
                write!(f, "revoke {} on {endpoint} from {client}", list(roles))
            }
            Self::MapOtherRoles { client, of, roles } => {
                write!(f, "give {client} the roles {} of client {of}", list(roles))
            }
            Self::UnmapOtherRoles { client, of, roles } => {
                write!(f, "take the roles {} of client {of} from {client}", list(roles))
            }
            Self::MapPerson { client, person, roles } => write!(f, "grant {person} {} on {client}", list(roles)),
            Self::UnmapPerson { client, person, roles } => {
                write!(f, "revoke {} on {client} from {person}", list(roles))
            }
            Self::Object(change) => change.fmt(f),
        }
    }
}

fn list(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

pub(super) fn names(fields: &[FieldChange]) -> String {
    fields.iter().map(|field| field.path.to_string()).collect::<Vec<_>>().join(", ")
}

//! Client scopes.

use super::{check, entry};
use crate::{
    api::{
        self, ClientScope, RealmSpec, ScopeProtocol,
        parse::{Problems, invalid},
    },
    core::desired::{
        is_permission_scope_name,
        objects::{DesiredObjects, RealmScope, ScopeAssignment, ScopeMapper},
    },
};

pub fn parse(spec: &RealmSpec, is_full: bool, desired: &DesiredObjects, problems: &mut Problems) -> Vec<RealmScope> {
    check::unique("spec.clientScopes", spec.client_scopes.iter().map(|scope| scope.name.as_str()), problems);
    for scope in &spec.client_scopes {
        let field = entry("clientScopes", &scope.name);
        check::name(&field, &scope.name, problems);
        check::mappers(&format!("{field}.mappers"), &scope.mappers, problems);
        check::setting(&format!("{field}.assignment"), is_full, scope.assignment.is_some(), problems);
        if is_permission_scope_name(&scope.name) {
            problems
                .push(invalid(&field, "names like this are those of permissions on ModelEndpoints: choose another"));
        }
    }
    spec.client_scopes.iter().map(|scope| self::scope(scope, is_full, desired)).collect()
}

fn scope(scope: &ClientScope, is_full: bool, desired: &DesiredObjects) -> RealmScope {
    let mapper = |mapper: &api::Mapper| ScopeMapper {
        name: mapper.name.clone(),
        mapper_type: mapper.mapper_type.clone(),
        config: mapper.config.clone(),
    };
    let protocol = match scope.protocol {
        ScopeProtocol::OpenIdConnect => "openid-connect",
        ScopeProtocol::Saml => "saml",
    };
    let assignment = match scope.assignment {
        None => ScopeAssignment::Unassigned,
        Some(api::ScopeAssignment::Default) => ScopeAssignment::Default,
        Some(api::ScopeAssignment::Optional) => ScopeAssignment::Optional,
    };
    RealmScope {
        id: desired.scope_id(&scope.name),
        name: scope.name.clone(),
        description: scope.description.clone().unwrap_or_default(),
        protocol: protocol.to_owned(),
        in_token_scope: !scope.hidden,
        consent_text: scope.consent_text.clone(),
        mappers: scope.mappers.iter().map(mapper).collect(),
        assignment: is_full.then_some(assignment),
    }
}

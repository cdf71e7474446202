//! Realm → what Keycloak should hold of it.

use kube::ResourceExt;

use crate::{
    api::{self, Realm, RealmSpec, common::Seconds},
    core::{
        build::{cluster_owner, kind},
        desired::{self, DesiredRealm, Management, RealmRole, RealmSettings, SslRequired, WorkloadIssuer},
    },
};

/// What the realm should be.
pub fn desired(cluster: &str, object: &Realm, workload_issuer: Option<WorkloadIssuer>) -> DesiredRealm {
    let spec = &object.spec;
    let name = object.name_any();
    DesiredRealm {
        realm: spec.realm.clone(),
        owner: cluster_owner(cluster, kind::REALM, &name, &object.uid().unwrap_or_default()),
        management: match spec.management {
            api::Management::Full => Management::Full(Box::new(settings(spec))),
            api::Management::ClientsOnly => Management::ClientsOnly,
        },
        roles: spec.roles.iter().map(role).collect(),
        workload_issuer,
        adopt: spec.adopt,
    }
}

fn role(role: &api::RealmRole) -> RealmRole {
    RealmRole {
        name: role.name.clone(),
        description: role.description.clone().unwrap_or_default(),
        composites: role.composites.clone(),
    }
}

/// Only what the object names: everything else stays as the server has it.
fn settings(spec: &RealmSpec) -> RealmSettings {
    let seconds = |given: Option<Seconds>| given.map(|Seconds(seconds)| desired::Seconds(seconds));
    let tokens = spec.tokens.clone().unwrap_or_default();
    let login = spec.login.clone().unwrap_or_default();
    RealmSettings {
        enabled: Some(true),
        display_name: spec.display_name.clone(),
        ssl_required: spec.ssl_required.map(|required| match required {
            api::SslRequired::All => SslRequired::All,
            api::SslRequired::External => SslRequired::External,
            api::SslRequired::None => SslRequired::None,
        }),
        access_token_lifespan: seconds(tokens.access_token_lifespan),
        sso_session_idle_timeout: seconds(tokens.session_idle_timeout),
        sso_session_max_lifespan: seconds(tokens.session_max_lifespan),
        brute_force_protected: spec.brute_force.as_ref().map(|protection| protection.enabled),
        registration_allowed: login.registration,
        login_with_email_allowed: login.with_email,
        reset_password_allowed: login.reset_password,
        remember_me: login.remember_me,
        // Without them, changes by others are found minutes later. Never with details: secrets have leaked that way.
        admin_events_enabled: Some(true),
        admin_events_details_enabled: Some(false),
        ..RealmSettings::default()
    }
}

//! The difference between what Keycloak should hold and what it holds: a [`Plan`] of the fewest calls, in the order in
//! which they depend on each other, or a [`Conflict`] when something there is not ours to change.

mod change;
mod conflict;
mod describe;
mod describe_object;
mod endpoint;
mod fields;
mod object_change;
mod observed;
mod other_roles;
mod plan;
mod realm;
mod scopes;
mod secret;
mod workload;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod simulation;

pub use change::{Change, RoleSource};
pub use conflict::Conflict;
pub use endpoint::{client_differs_from_endpoint, plan_delete_endpoint, plan_endpoint};
pub use fields::{FieldChange, FieldPath};
pub use object_change::{Attributes, ObjectChange};
pub use observed::{
    ObservedEndpoint, ObservedRealm, ObservedRoleMapping, ObservedScope, ObservedScopeMapping, ObservedWorkload,
};
pub use plan::Plan;
pub use realm::objects;
pub use realm::{
    DeletionPolicy, KeyPlan, KeySetting, claim_realm, plan_client_policies, plan_delete_realm, plan_keys, plan_realm,
    plan_required_actions, plan_settings, plan_smtp, plan_user_profile,
};
pub use workload::{client_differs_from_workload, plan_delete_workload, plan_workload};

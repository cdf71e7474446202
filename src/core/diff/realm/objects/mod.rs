//! The plans for the objects in a realm, section by section and object by object.

mod brokers;
mod exact;
mod federation;
mod groups;
mod observed;
#[cfg(test)]
mod properties;
mod roles;
mod scopes;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod simulation_people;
#[cfg(test)]
mod strategies;
mod users;

use crate::core::diff::change::Change;
use crate::core::diff::conflict::Conflict;
use crate::core::diff::object_change::ObjectChange;
use crate::core::diff::plan::Plan;

pub use brokers::plan_brokers;
pub use federation::plan_federation;
pub use groups::plan_groups;
pub use observed::{
    Imported, ObservedBroker, ObservedBrokers, ObservedFederation, ObservedGroup, ObservedGroups, ObservedLdap,
    ObservedRoles, ObservedScopes, ObservedUser, ObservedUsers, Profile, RoleGrants, ServerTypes,
};
pub use roles::plan_roles;
pub use scopes::plan_scopes;
pub use users::plan_users;

/// What it takes to make one section what is desired, and what stands in the way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SectionPlan {
    /// What is to be done, object by object and in this order. A step that fails is no reason to leave out the next.
    pub steps: Vec<Plan>,
    /// What is not done, and why.
    pub findings: Vec<Finding>,
}

/// Something that a person has to know, and mostly to do something about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The kind of trouble: the reason of a condition.
    pub reason: FindingReason,
    /// What is so, and what to do.
    pub message: String,
}

/// The kinds of trouble with objects of a realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr)]
pub enum FindingReason {
    /// Something of the same name is not ours.
    Conflict,
    /// The server does not know a type.
    UnknownType,
    /// A Secret cannot be read.
    SecretUnreadable,
    /// A discovery document cannot be read, and without it there is nothing to make the object from.
    DiscoveryFailed,
    /// A discovery document cannot be read; the object keeps what was read earlier.
    DiscoveryStale,
    /// An object that is no longer listed holds what deleting it would lose.
    StillInUse,
    /// The user profile drops attributes.
    AttributesDropped,
    /// Another server does not answer as it should.
    Unreachable,
}

impl FindingReason {
    /// Whether something that is listed is not as it should be; else it is a warning.
    #[must_use]
    pub fn is_failure(self) -> bool {
        match self {
            Self::Conflict | Self::UnknownType | Self::SecretUnreadable | Self::DiscoveryFailed => true,
            Self::DiscoveryStale | Self::StillInUse | Self::AttributesDropped | Self::Unreachable => false,
        }
    }
}

impl SectionPlan {
    /// Whether there is nothing to do. There may be something to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.iter().all(Plan::is_empty)
    }

    fn step(&mut self, changes: impl IntoIterator<Item = ObjectChange>) {
        self.mixed_step(changes.into_iter().map(Change::Object));
    }

    fn mixed_step(&mut self, changes: impl IntoIterator<Item = Change>) {
        let mut plan = Plan::default();
        plan.extend(changes);
        if !plan.is_empty() {
            self.steps.push(plan);
        }
    }

    fn find(&mut self, reason: FindingReason, message: impl Into<String>) {
        self.findings.push(Finding { reason, message: message.into() });
    }

    /// Notes a conflict, if there is one; whether there was none.
    fn is_free(&mut self, claim: Result<(), Conflict>) -> bool {
        match claim {
            Ok(()) => true,
            Err(conflict) => {
                self.find(FindingReason::Conflict, conflict.to_string());
                false
            }
        }
    }
}

//! What is wrong with an object, said to its owner.

use serde::Serialize;

/// One thing that is wrong with one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// For machines: a condition's reason.
    pub reason: ProblemReason,
    /// For people: what is wrong and what to do.
    pub message: String,
}

/// The kinds of problems: the `reason` of a condition, and a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, strum::IntoStaticStr, strum::Display)]
pub enum ProblemReason {
    /// A field's value cannot be used.
    InvalidField,
    /// The KeycloakServer does not exist.
    ServerNotFound,
    /// The KeycloakServer cannot be used yet.
    ServerNotReady,
    /// The Realm does not exist.
    RealmNotFound,
    /// The Realm does not admit this namespace.
    NamespaceNotAllowed,
    /// The ModelEndpoint does not exist.
    EndpointNotFound,
    /// The endpoint has no port of this name.
    PortNotFound,
    /// The identity that an endpoint calls with does not exist.
    IdentityNotFound,
    /// That identity's credential cannot do what is wanted of it.
    CredentialUnfit,
    /// A subject does not exist.
    SubjectNotFound,
    /// A subject has reached the end of its life.
    SubjectExpired,
    /// Subject and endpoint belong to different realms.
    RealmMismatch,
    /// The endpoint has no such permission.
    UnknownPermission,
    /// The endpoint has no such model.
    UnknownModel,
    /// The grant is over.
    Expired,
    /// The Realm does not let identities set this claim.
    ClaimNotListed,
    /// The Realm does not list this audience, scope or URL outside the cluster.
    AudienceNotListed,
    /// The Realm does not let identities have this role, or not an identity that does what this one does.
    RoleNotListed,
    /// The Realm does not list this host.
    HostNotListed,
    /// The realm does not trust this cluster.
    NoWorkloadIssuer,
    /// Others still need it.
    InUse,
    /// Another object claims the same thing.
    Conflict,
}

impl Problem {
    /// A problem with its sentence.
    pub fn new(reason: ProblemReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

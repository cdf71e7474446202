//! The kinds (`keywire.dev/v1alpha1`): one file each, with their bounds, CEL
//! rules and printed columns. The CRDs in `crds/` are generated from here.

mod accessgrant;
pub mod common;
pub mod condition;
mod crds;
mod keycloakserver;
mod modelendpoint;
mod native;
pub mod parse;
mod realm;
mod secret;
#[cfg(test)]
mod tenancy_tests;
mod webapp;
mod workloadidentity;

pub use accessgrant::{AccessGrant, AccessGrantSpec, AccessGrantStatus, GrantSubject};
pub use crds::{crds, to_yaml};
pub use keycloakserver::{
    ConfigMapKey, Credentials, KeycloakServer, KeycloakServerSpec, KeycloakServerStatus, KubernetesTokenLogin, Limits,
    SecretRef, Trust,
};
pub use modelendpoint::{
    Cors, EndpointPort, Introspection, Isolation, ModelEndpoint, ModelEndpointSpec, ModelEndpointStatus, ModelPlace,
    OnBehalfOf, Protocol, RouteRule, ServiceRef,
};
pub use native::{KnownApp, NativeSignIn, Variable};
pub use realm::{
    AdminEvents, AppHost, AttributeRequired, BruteForce, ClientCondition, ClientPolicies, ClientPolicy, ClientProfile,
    ClientRole, ClientScope, DeletionPolicy, DriftPolicy, EditMode, Events, Executor, ExternalAudience, FullScope,
    Group, IdentityProvider, KeySize, Keys, LdapBind, LdapVendor, Locales, LockoutStrategy, Login, MailEncryption,
    MailLogin, Management, Mapper, NamespaceAccess, OtherKeys, PasswordPolicy, ProfileAttribute, ProfileGroup,
    ProfileRole, ProviderType, Realm, RealmRole, RealmSpec, RealmStatus, RequiredAction, ScopeAssignment,
    ScopeProtocol, SearchScope, SecurityHeaders, SignatureAlgorithm, Smtp, SslRequired, SyncMode, Themes, Tokens,
    UnmanagedAttributes, User, UserEvents, UserFederation, UserProfile, WorkloadIssuer,
};
pub use secret::SecretKeyRef;
pub use webapp::{
    Access, Brand, HeldRole, People, PublicSignIn, Scheme, SessionLength, SignIn, USE, WebApp, WebAppSpec, WebAppStatus,
};
pub use workloadidentity::{
    Credential, CredentialFiles, CredentialStatus, Egress, ExternalTarget, IdentityClaim, REVOKE_ANNOTATION,
    ROTATE_ANNOTATION, Rotation, Target, TokenUse, WorkloadIdentity, WorkloadIdentitySpec, WorkloadIdentityStatus,
};

/// The API group of every kind.
pub const GROUP: &str = "keywire.dev";
/// The API version of every kind.
pub const VERSION: &str = "v1alpha1";
/// The finalizer on objects that leave traces in Keycloak.
pub const FINALIZER: &str = "keywire.dev/keycloak";
/// Set to `"true"` on an object whose Keycloak is gone for good: its finalizer is
/// released without a clean-up.
pub const BREAK_GLASS: &str = "keywire.dev/force-release";

//! Credentials that a workload keeps itself, where no ServiceAccount token will do: a key, or a secret.
//!
//! They are made here, lie in one Secret per namespace, and are replaced before anybody has to ask: a new one is known
//! to Keycloak before pods hold it, and used by every pod before the old one dies.

mod client_secret;
mod document;
mod hidden;
mod rotation;

pub use client_secret::ClientSecret;
pub use document::{CREDENTIAL_FILE, CREDENTIALS_SECRET, CredentialDocument, Jwk, Material, Method};
pub use hidden::Hidden;
pub use rotation::{Kept, Key, Retiring, Rules, Slot, Why};

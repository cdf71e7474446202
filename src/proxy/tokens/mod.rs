//! Bearer tokens: a strict reader, keys, and what was verified before.

pub mod cache;
pub mod carried;
pub mod claims;
pub mod compact;
pub mod fingerprint;
pub mod id_token;
pub mod introspect;
pub mod jwks;
pub mod keys;
pub mod principal;
pub mod refresh;
pub mod text;
pub mod verify;

//! People who come with a browser: signed in at Keycloak, and then treated as every caller is.
//!
//! A session's cookie becomes the bearer token that is in it; what that may do, the guard decides as for everybody else. So
//! there is one way to verify tokens, one policy, and one audit log.

pub mod arrival;
mod begin;
mod callback;
mod ended;
mod endpoint;
mod enter;
pub mod keys;
mod leave;
mod pages;
mod renew;
pub mod state;

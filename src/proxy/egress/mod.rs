//! The outbound half: the application calls a loopback port, the call leaves
//! with a token for that one endpoint.

pub mod credential;
pub mod exchange;
mod files;
pub mod grant;
pub mod login;
pub mod onward;
pub mod refuse;
pub mod serve;
pub mod slot;
pub mod state;
mod token;

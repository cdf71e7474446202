//! Browsers' sessions, as far as no clock, key or socket is needed.
//!
//! A session is in its cookie: sealed, and nowhere else. What a browser is sent away to sign in with is in another one, bound
//! to that one attempt.

pub mod cookie_keys;
pub mod cookies;
pub mod document;
pub mod return_path;
pub mod session;
pub mod settings;

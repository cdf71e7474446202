//! What the operator tells the proxies: one guard policy per endpoint, one
//! egress configuration per identity, each a numbered JSON document; and what
//! the guard makes of its document: an index that decides a call.

pub mod behalf;
pub mod compiled;
pub mod cors;
pub mod decide;
pub mod document;
pub mod grants;
pub mod limits;
pub mod resource;
pub mod revoked;
pub mod roles;
pub mod rule;

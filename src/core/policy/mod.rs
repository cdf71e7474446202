//! What the operator tells the proxies: one guard policy per endpoint, one
//! egress configuration per identity, each a numbered JSON document.

pub mod compile;
pub mod document;

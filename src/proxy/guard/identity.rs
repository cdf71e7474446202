//! What the application learns of its caller, in fields that a caller cannot forge.

use std::{cell::OnceCell, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::proxy::{
    handles::{self, HandleError, Handles},
    tokens::verify::Verified,
    usage::Usage,
};

/// `sub`.
pub const SUBJECT: HeaderName = HeaderName::from_static("x-keywire-subject");
/// `azp`.
pub const CLIENT: HeaderName = HeaderName::from_static("x-keywire-client");
/// The endpoint's roles in the token, comma-separated.
pub const ROLES: HeaderName = HeaderName::from_static("x-keywire-roles");
/// `namespace/name` of the endpoint.
pub const ENDPOINT: HeaderName = HeaderName::from_static("x-keywire-endpoint");
/// The client that calls on somebody's behalf; only on such calls. (An `act` claim's `sub`, in the terms of RFC 8693.)
pub const ACTOR: HeaderName = HeaderName::from_static("x-keywire-actor");
/// The address of the caller, as the guard's socket saw it.
pub const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Names the application itself as the host, and no origin: what is made for a person's own machine refuses foreign ones, to
/// keep browsers' pages out. Here a token does that.
pub fn call_locally(headers: &mut HeaderMap, port: u16) {
    headers.remove(header::ORIGIN);
    if let Ok(host) = HeaderValue::from_str(&format!("localhost:{port}")) {
        headers.insert(header::HOST, host);
    }
}

/// A verified caller, and what its client uses.
#[derive(Debug)]
pub struct Caller {
    /// What was verified.
    pub verified: Verified,
    /// What its client uses, looked up when a policy limits it.
    pub usage: OnceCell<Arc<Usage>>,
    /// Under which its token is kept, where the endpoint calls on behalf of its callers.
    handle: OnceCell<HeaderValue>,
}

impl Caller {
    /// `None` if a name cannot stand in a field, which the claims' check rules out.
    pub fn new(verified: Verified) -> Option<Self> {
        verified.principal.fields()?;
        Some(Self { verified, usage: OnceCell::new(), handle: OnceCell::new() })
    }

    /// Keeps the token, which was let in, for the calls that `client` makes on behalf of its bearer.
    pub fn keep(&self, handles: &Handles, token: &str, client: &str, now: i64) -> Result<(), HandleError> {
        if self.handle.get().is_none() {
            let principal = &self.verified.principal;
            let bearer = principal.called_for().unwrap_or_else(|| principal.subject());
            let made = handles.keep(token, bearer, client, principal.times.expires_at, now)?;
            // Nobody else is at it: one thread has it.
            let _ = self.handle.set(made);
        }
        Ok(())
    }

    /// Sets the fields.
    pub fn write(&self, headers: &mut HeaderMap) {
        let Some([client, subject, roles]) = self.verified.principal.fields() else { return };
        if self.verified.principal.behalf().is_some() {
            headers.insert(ACTOR, client.clone());
        }
        if let Some(handle) = self.handle.get() {
            headers.insert(handles::FIELD, handle.clone());
        }
        headers.insert(SUBJECT, subject);
        headers.insert(CLIENT, client);
        headers.insert(ROLES, roles);
    }
}

//! What the application learns of its caller, in fields that a caller cannot forge.

use std::{cell::OnceCell, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::proxy::{
    tokens::{claims::Principal, verify::Verified},
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

/// A verified caller with its fields made ready, so that a token seen before
/// costs no formatting.
#[derive(Debug)]
pub struct Caller {
    /// What was verified.
    pub verified: Verified,
    /// What its client uses, looked up when a policy limits it.
    pub usage: OnceCell<Arc<Usage>>,
    subject: HeaderValue,
    client: HeaderValue,
    roles: HeaderValue,
}

impl Caller {
    /// `None` if a name cannot stand in a field, which the claims' check rules out.
    pub fn new(verified: Verified) -> Option<Self> {
        let Principal { subject, client, roles, .. } = &verified.principal;
        let (subject, client) = (HeaderValue::from_str(subject).ok()?, HeaderValue::from_str(client).ok()?);
        let roles = HeaderValue::from_str(&roles.join(",")).ok()?;
        Some(Self { verified, usage: OnceCell::new(), subject, client, roles })
    }

    /// Sets the fields.
    pub fn write(&self, headers: &mut HeaderMap) {
        headers.insert(SUBJECT, self.subject.clone());
        headers.insert(CLIENT, self.client.clone());
        headers.insert(ROLES, self.roles.clone());
    }
}

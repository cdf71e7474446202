//! What the Model Context Protocol says in its header fields.
//!
//! Since 2026-07-28 the head repeats what the body says, so that a proxy need not read it. This one does read it, decides by
//! it, and demands that both agree: the server may go by either. In the eras before, a session belongs to whoever knows its
//! id, so the guard signs the ids on their way out for the caller they went to, and takes none back from another one.

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::refuse;
use crate::{
    core::{
        body::rpc::{self, RpcError},
        protocol::{Route, mcp},
    },
    proxy::{http::answer::Refusal, tokens::principal::Principal},
};

const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");

/// The versions that have sessions. Servers tell the eras apart by these: whatever else is said is a newer one.
const WITH_SESSIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
/// The longest session id, in bytes.
const MAX_SESSION: usize = 512;

/// What a message asks for, its head agreeing; `None`: nothing that there is.
pub fn read<'a>(headers: &HeaderMap, body: &'a [u8]) -> Result<Option<Route<'a>>, Refusal> {
    let refused = |error: RpcError| refuse::body(error.into(), &error);
    let message = rpc::message(body).map_err(refused)?;
    let named = mcp::named(&message).map_err(refused)?;
    let is_stateless = single(headers, &VERSION)?.is_some_and(|version| !WITH_SESSIONS.contains(&version));
    // A notification is dropped by stateless servers, an answer is for sessions: neither has to be repeated.
    let is_call = message.method.as_deref().is_some_and(|method| !method.starts_with("notifications/"));
    agree(headers, &METHOD, message.method.as_deref(), is_stateless && is_call)?;
    agree(headers, &NAME, named.as_deref(), is_stateless && is_call)?;
    mcp::call(&message).map_err(refused)
}

/// Whether a field says what the body says; it has to be there in a stateless call.
fn agree(headers: &HeaderMap, field: &HeaderName, said: Option<&str>, is_needed: bool) -> Result<(), Refusal> {
    let agrees = match (single(headers, field)?, said) {
        (Some(value), Some(said)) => decoded(value).is_some_and(|value| value == said),
        (Some(_), None) => false,
        (None, Some(_)) => !is_needed,
        (None, None) => true,
    };
    if agrees { Ok(()) } else { Err(refuse::header_mismatch(field.as_str())) }
}

/// The one value of a field.
fn single<'h>(headers: &'h HeaderMap, field: &HeaderName) -> Result<Option<&'h str>, Refusal> {
    let mut values = headers.get_all(field).iter();
    let Some(first) = values.next() else { return Ok(None) };
    let text = first.to_str().ok().filter(|_| values.next().is_none());
    text.map(Some).ok_or_else(|| refuse::header_mismatch(field.as_str()))
}

/// A value as it is, or as `=?base64?…?=` hides it where it cannot stand in a field.
fn decoded(value: &str) -> Option<String> {
    match value.strip_prefix("=?base64?").and_then(|value| value.strip_suffix("?=")) {
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded).ok()?).ok(),
        None => Some(value.to_owned()),
    }
}

/// Whether a request asks for what another stream has sent already: that may be anything, also a list that was not cut.
pub fn resumes(headers: &HeaderMap) -> bool {
    headers.contains_key(LAST_EVENT)
}

/// Signs the ids of sessions for their callers. The key is this process's own: after its end clients begin anew.
pub struct Sessions(hmac::Key);

impl Sessions {
    /// With a key that nobody knows; `None`: the system has no randomness.
    pub fn new() -> Option<Self> {
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key).ok()?;
        Some(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    /// Takes the signature off the id of a session, which must be this caller's.
    pub fn enter(&self, headers: &mut HeaderMap, principal: &Principal) -> Result<(), Refusal> {
        let mut values = headers.get_all(SESSION).iter();
        let (Some(first), second) = (values.next(), values.next()) else { return Ok(()) };
        let own = first.to_str().ok().filter(|_| second.is_none()).and_then(|id| self.own(id, principal));
        let own = own.and_then(|id| HeaderValue::from_str(id).ok()).ok_or_else(refuse::session_unknown)?;
        headers.insert(SESSION, own);
        Ok(())
    }

    /// Signs what the application calls a session. An id that cannot be signed is not shown.
    pub fn leave(&self, headers: &mut HeaderMap, principal: &Principal) {
        let Some(id) = headers.remove(SESSION) else { return };
        let id = id.to_str().ok().filter(|id| !id.is_empty() && id.len() <= MAX_SESSION);
        let signed = id.map(|id| format!("{id}.{}", URL_SAFE_NO_PAD.encode(self.sign(id, principal))));
        if let Some(value) = signed.and_then(|signed| HeaderValue::from_str(&signed).ok()) {
            headers.insert(SESSION, value);
        }
    }

    fn own<'a>(&self, signed: &'a str, principal: &Principal) -> Option<&'a str> {
        let (id, signature) = signed.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        verify_slices_are_equal(&signature, self.sign(id, principal).as_ref()).ok().map(|()| id)
    }

    /// Each part with its length before it: no two callers and ids are signed alike.
    fn sign(&self, id: &str, principal: &Principal) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [principal.client(), principal.subject(), id] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        context.sign()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::tokens::principal::Times;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn head_and_body_agree() {
        let call = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"s\u00fcche"}}"#;
        let list = br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
        let note = br#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#;
        let (new, old) = (("mcp-protocol-version", "2026-07-28"), ("mcp-protocol-version", "2025-06-18"));
        let (calls, lists) = (("mcp-method", "tools/call"), ("mcp-method", "tools/list"));
        let search = ("mcp-name", "=?base64?c8O8Y2hl?=");
        for (body, fields, is_taken) in [
            (&call[..], &[new, calls, search][..], true),
            (call, &[old], true),
            (call, &[], true),
            (call, &[old, calls, search], true),
            (call, &[new, search], false),
            (call, &[new, calls], false),
            (call, &[new, lists, search], false),
            (call, &[new, calls, ("mcp-name", "other")], false),
            (call, &[new, calls, ("mcp-name", "=?base64?!?=")], false),
            (call, &[new, calls, calls, search], false),
            (call, &[new, new, calls, search], false),
            // Also where it need not be said.
            (call, &[lists], false),
            (call, &[("mcp-name", "other")], false),
            (list, &[new, lists], true),
            (list, &[new, lists, search], false),
            (list, &[("mcp-protocol-version", "2027-01-01")], false),
            (note, &[new], true),
            (note, &[new, lists], false),
        ] {
            let found = read(&map(fields), body).map(|route| route.is_some()).map_err(|refusal| refusal.reason());
            assert_eq!(found, if is_taken { Ok(true) } else { Err("header_mismatch") }, "{fields:?}");
        }
    }

    fn principal(client: &str, subject: &str) -> Principal {
        Principal::new(client, subject, None, [], Times::default())
    }

    #[test]
    fn a_session_is_its_callers_alone() {
        let (Some(sessions), Some(others)) = (Sessions::new(), Sessions::new()) else { panic!("randomness") };
        let (ours, theirs) = (principal("ab", "c"), principal("a", "bc"));
        let mut headers = map(&[("mcp-session-id", "1868.a90c")]);
        sessions.leave(&mut headers, &ours);
        let Some(signed) = headers.get(SESSION).cloned() else { panic!("an id") };
        let enter = |sessions: &Sessions, principal: &Principal, value: &HeaderValue| {
            let mut headers = HeaderMap::from_iter([(SESSION, value.clone())]);
            let entered = sessions.enter(&mut headers, principal).map_err(|refusal| refusal.reason());
            entered.map(|()| headers[SESSION].clone())
        };
        assert_eq!(enter(&sessions, &ours, &signed), Ok(HeaderValue::from_static("1868.a90c")));
        assert_eq!(enter(&sessions, &theirs, &signed), Err("session_unknown"));
        assert_eq!(enter(&others, &ours, &signed), Err("session_unknown"));
        for forged in ["1868.a90c", "1868", "", "1868.a90c.", "1868.a90c.AAAA"] {
            assert_eq!(enter(&sessions, &ours, &HeaderValue::from_static(forged)), Err("session_unknown"), "{forged}");
        }
        let mut twice = map(&[("mcp-session-id", "a"), ("mcp-session-id", "b")]);
        assert!(sessions.enter(&mut twice, &ours).is_err());
        assert!(sessions.enter(&mut HeaderMap::new(), &ours).is_ok());
    }
}

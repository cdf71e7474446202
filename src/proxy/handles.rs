//! The tokens of callers, kept for the calls that the application makes on their behalf, each under a handle.
//!
//! The guard keeps the token of a call that it lets through and gives the application 128 random bits for it; the outbound
//! half of the same process takes them back. A token leaves this memory for its issuer alone, and goes when it ends.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::{
    egress::slot::Slot,
    tokens::fingerprint::{Fingerprint, Fingerprints},
};

/// The field that carries a handle: to the application with the call that came in, and back with those that it makes for it.
pub const FIELD: HeaderName = HeaderName::from_static("x-keywire-on-behalf-of");
/// The most tokens kept, those that were had in exchange counted too.
pub const MAX_TOKENS: usize = 8192;
/// The most memory for callers' tokens, in bytes.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;
/// A handle, in bytes.
const HANDLE: usize = 16;

type Handle = [u8; HANDLE];

/// A caller's token.
#[derive(Debug)]
pub struct Inbound {
    /// As it was sent.
    token: SecretString,
    /// Whom it stands for: of a person `sub`, of a workload its client id.
    pub bearer: Box<str>,
}

impl Inbound {
    /// The token itself, for its issuer and nobody else.
    pub(super) fn token(&self) -> &str {
        self.token.expose_secret()
    }
}

/// A token that is kept, and those that were had for it.
#[derive(Debug)]
pub struct Kept {
    /// The token.
    pub inbound: Arc<Inbound>,
    /// The client that may exchange it.
    pub client: Box<str>,
    /// Seconds since the epoch.
    expires_at: i64,
    exchanged: Mutex<Vec<(u64, Arc<Slot>)>>,
    total: Arc<AtomicUsize>,
}

/// Why a token is not kept, or not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum HandleError {
    /// As many as may be kept are.
    #[error("as many callers' tokens are kept for calls on their behalf as may be")]
    HandlesFull,
    /// The system has no randomness.
    #[error("there is no randomness to make a handle of")]
    HandleNotMade,
    /// More than one, or none that could be.
    #[error("X-Keywire-On-Behalf-Of is not one handle as it came in")]
    HandleInvalid,
    /// Nobody's, or one whose token has ended.
    #[error("X-Keywire-On-Behalf-Of is of no call that came in here, or its caller's token has ended")]
    HandleUnknown,
}

/// All of them. Shared by all threads; only endpoints that act on behalf of others use it.
#[derive(Debug, Default)]
pub struct Handles {
    fingerprints: Fingerprints,
    tokens: Mutex<Tokens>,
    /// Tokens in memory, callers' and exchanged.
    total: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Tokens {
    handles: HashMap<Fingerprint, Handle>,
    kept: HashMap<Handle, (Fingerprint, Arc<Kept>)>,
    bytes: usize,
}

impl Drop for Kept {
    fn drop(&mut self) {
        let exchanged = self.exchanged.get_mut().unwrap_or_else(PoisonError::into_inner).len();
        self.total.fetch_sub(exchanged + 1, Ordering::Relaxed);
    }
}

impl Kept {
    /// The token that was had for this one at a target, or the place for it.
    pub fn exchanged(&self, target: u64, make: impl FnOnce() -> Arc<Slot>) -> Result<Arc<Slot>, HandleError> {
        let mut all = self.exchanged.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, slot)) = all.iter().find(|(id, _)| *id == target) {
            return Ok(Arc::clone(slot));
        }
        one_more(&self.total)?;
        let slot = make();
        all.push((target, Arc::clone(&slot)));
        Ok(slot)
    }
}

fn one_more(total: &AtomicUsize) -> Result<(), HandleError> {
    let more = |total: usize| (total < MAX_TOKENS).then_some(total + 1);
    total.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).map(|_| ()).map_err(|_| HandleError::HandlesFull)
}

impl Handles {
    /// Keeps a verified token until it ends. The same one has the same handle.
    pub fn keep(
        &self,
        token: &str,
        bearer: &str,
        client: &str,
        expires_at: i64,
        now: i64,
    ) -> Result<HeaderValue, HandleError> {
        let fingerprint = self.fingerprints.of(token);
        let mut tokens = self.tokens();
        if let Some(handle) = tokens.handles.get(&fingerprint) {
            return field(handle);
        }
        tokens.forget(|kept| kept.expires_at <= now);
        if tokens.bytes + token.len() > MAX_BYTES {
            return Err(HandleError::HandlesFull);
        }
        let mut handle = Handle::default();
        aws_lc_rs::rand::fill(&mut handle).map_err(|_| HandleError::HandleNotMade)?;
        one_more(&self.total)?;
        let inbound = Arc::new(Inbound { token: token.into(), bearer: bearer.into() });
        let (exchanged, total) = (Mutex::default(), Arc::clone(&self.total));
        let kept = Kept { inbound, client: client.into(), expires_at, exchanged, total };
        tokens.bytes += token.len();
        tokens.handles.insert(fingerprint, handle);
        tokens.kept.insert(handle, (fingerprint, Arc::new(kept)));
        field(&handle)
    }

    /// The token behind a handle, while it lasts.
    pub fn find(&self, handle: &HeaderValue, now: i64) -> Result<Arc<Kept>, HandleError> {
        let mut found = Handle::default();
        let read = URL_SAFE_NO_PAD.decode_slice(handle.as_bytes(), &mut found);
        if read.map_err(|_| HandleError::HandleInvalid)? != HANDLE {
            return Err(HandleError::HandleInvalid);
        }
        let tokens = self.tokens();
        let (_, kept) = tokens.kept.get(&found).ok_or(HandleError::HandleUnknown)?;
        if now < kept.expires_at { Ok(Arc::clone(kept)) } else { Err(HandleError::HandleUnknown) }
    }

    /// Forgets the tokens that have ended.
    pub fn tidy(&self, now: i64) {
        self.tokens().forget(|kept| kept.expires_at <= now);
    }

    /// Forgets all of them: who was let in before need not be any more.
    pub fn clear(&self) {
        self.tokens().forget(|_| true);
    }

    fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tokens {
    fn forget(&mut self, is_over: impl Fn(&Kept) -> bool) {
        let Self { handles, kept, bytes } = self;
        kept.retain(|handle, (fingerprint, kept)| {
            let stays = !is_over(kept);
            if !stays {
                *bytes -= kept.inbound.token().len();
                if let Entry::Occupied(named) = handles.entry(*fingerprint)
                    && named.get() == handle
                {
                    named.remove();
                }
            }
            stays
        });
    }
}

fn field(handle: &Handle) -> Result<HeaderValue, HandleError> {
    let mut field = HeaderValue::try_from(URL_SAFE_NO_PAD.encode(handle)).map_err(|_| HandleError::HandleNotMade)?;
    field.set_sensitive(true);
    Ok(field)
}

/// Takes the handle out of a request's fields: it is for this process alone.
pub fn take(headers: &mut HeaderMap) -> Result<Option<HeaderValue>, HandleError> {
    match headers.entry(FIELD) {
        http::header::Entry::Vacant(_) => Ok(None),
        http::header::Entry::Occupied(field) => {
            let (_, mut values) = field.remove_entry_mult();
            let first = values.next();
            if values.next().is_some() { Err(HandleError::HandleInvalid) } else { Ok(first) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(handles: &Handles, token: &str, expires_at: i64, now: i64) -> Result<HeaderValue, HandleError> {
        handles.keep(token, "ann", "agent.agents.workload", expires_at, now)
    }

    #[test]
    fn a_token_has_one_handle_and_nobody_else_has_it() {
        let handles = Handles::default();
        let (ann, bob) = (keep(&handles, "ann's", 100, 0).unwrap(), keep(&handles, "bob's", 100, 0).unwrap());
        assert_eq!(keep(&handles, "ann's", 100, 1).unwrap(), ann);
        assert_ne!(ann, bob);
        assert!(ann.is_sensitive() && ann.len() == 22, "128 bits");
        let found = |handle: &HeaderValue| handles.find(handle, 1).map(|kept| kept.inbound.token().to_owned());
        assert_eq!((found(&ann), found(&bob)), (Ok("ann's".to_owned()), Ok("bob's".to_owned())));
        assert!(!format!("{handles:?}").contains("ann's"));
    }

    #[test]
    fn what_is_no_handle_finds_nothing() {
        let handles = Handles::default();
        let good = keep(&handles, "ann's", 100, 0).unwrap();
        let good = good.to_str().unwrap();
        for (handle, error) in [
            (String::new(), HandleError::HandleInvalid),
            ("*".to_owned(), HandleError::HandleInvalid),
            (good[..20].to_owned(), HandleError::HandleInvalid),
            (format!("{good}AA"), HandleError::HandleInvalid),
            (URL_SAFE_NO_PAD.encode([0; HANDLE]), HandleError::HandleUnknown),
            ("ann's".to_owned(), HandleError::HandleInvalid),
        ] {
            let field = HeaderValue::try_from(&handle).unwrap();
            assert_eq!(handles.find(&field, 1).err(), Some(error), "{handle:?}");
        }
    }

    #[test]
    fn it_ends_with_its_token() {
        let handles = Handles::default();
        let handle = keep(&handles, "ann's", 100, 0).unwrap();
        assert!(handles.find(&handle, 99).is_ok());
        assert_eq!(handles.find(&handle, 100).err(), Some(HandleError::HandleUnknown));
        handles.tidy(100);
        assert_eq!((handles.tokens().bytes, handles.total.load(Ordering::Relaxed)), (0, 0));
        let handle = keep(&handles, "ann's", 200, 100).unwrap();
        handles.clear();
        assert_eq!(handles.find(&handle, 100).err(), Some(HandleError::HandleUnknown));
    }

    #[test]
    fn memory_is_bounded_and_what_has_ended_makes_room() {
        let handles = Handles::default();
        let long = |n: usize| format!("{n:016384}");
        let fit = MAX_BYTES / long(0).len();
        for n in 0..fit {
            assert!(keep(&handles, &long(n), 100, 0).is_ok(), "{n}");
        }
        assert_eq!(keep(&handles, &long(fit), 100, 0), Err(HandleError::HandlesFull));
        assert!(keep(&handles, &long(fit), 200, 100).is_ok());
        handles.clear();
        for n in 0..MAX_TOKENS {
            assert!(keep(&handles, &n.to_string(), 100, 0).is_ok(), "{n}");
        }
        assert_eq!(keep(&handles, "one more", 100, 0), Err(HandleError::HandlesFull));
        assert!(keep(&handles, "0", 100, 0).is_ok(), "those that are kept stay");
    }

    #[test]
    fn a_field_is_taken_out_whatever_it_says() {
        let mut headers = HeaderMap::new();
        assert_eq!(take(&mut headers), Ok(None));
        headers.append(FIELD, HeaderValue::from_static("a"));
        assert_eq!(take(&mut headers), Ok(Some(HeaderValue::from_static("a"))));
        headers.append(FIELD, HeaderValue::from_static("a"));
        headers.append(FIELD, HeaderValue::from_static("a"));
        assert_eq!(take(&mut headers), Err(HandleError::HandleInvalid));
        assert!(headers.is_empty());
    }
}

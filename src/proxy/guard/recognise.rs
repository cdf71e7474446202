//! Whose token is this? As on this connection before, as on this worker before,
//! or verified now.

use std::{cell::RefCell, rc::Rc};

use super::identity::Caller;
use crate::proxy::{
    metrics::Metrics,
    tokens::{
        compact,
        verify::{Trust, VerifyError},
    },
    worker::Worker,
};

/// The token of a connection's last request.
///
/// Clients send the same token again and again on a connection: comparing it
/// whole is cheaper than hashing it, and as strict. The comparison's time tells
/// nothing that is worth knowing: it ends within some bytes of a signature.
#[derive(Default)]
pub struct LastToken(RefCell<Option<Last>>);

struct Last {
    generation: u64,
    authorization: Box<[u8]>,
    caller: Rc<Caller>,
}

impl LastToken {
    /// Leaves it to the worker's memory.
    pub fn forget(&self) {
        self.0.take();
    }

    /// The caller that `authorization` proves. Its times count each time, however
    /// often it was seen.
    pub fn recognise(
        &self,
        trust: &Trust,
        authorization: &[u8],
        now: i64,
        worker: &Worker,
        metrics: &Metrics,
    ) -> Result<Rc<Caller>, VerifyError> {
        if let Some(last) = &*self.0.borrow()
            && last.generation == trust.generation
            && *last.authorization == *authorization
        {
            trust.still_good(&last.caller.verified, now)?;
            metrics.tokens_same_connection.inc();
            return Ok(Rc::clone(&last.caller));
        }
        let caller = cached_or_verified(trust, authorization, now, worker, metrics)?;
        let last =
            Last { generation: trust.generation, authorization: authorization.into(), caller: Rc::clone(&caller) };
        *self.0.borrow_mut() = Some(last);
        Ok(caller)
    }
}

fn cached_or_verified(
    trust: &Trust,
    authorization: &[u8],
    now: i64,
    worker: &Worker,
    metrics: &Metrics,
) -> Result<Rc<Caller>, VerifyError> {
    let token = compact::bearer(authorization)?;
    let fingerprint = worker.tokens().fingerprint(token);
    let cached = worker.tokens().get(trust.generation, &fingerprint);
    if let Some(caller) = cached {
        trust.still_good(&caller.verified, now)?;
        metrics.tokens_cached.inc();
        return Ok(caller);
    }
    let verified = trust.verify(token, now)?;
    metrics.tokens_verified.inc();
    let expires_at = verified.principal.times.expires_at;
    let caller = Rc::new(Caller::new(verified).ok_or(VerifyError::BadSignature)?);
    worker.tokens().insert(trust.generation, fingerprint, Rc::clone(&caller), expires_at, now);
    Ok(caller)
}

//! From a token to who calls. Pure but for the cryptography.

use std::sync::Arc;

use super::{
    carried,
    claims::{ClaimError, Claims},
    compact::{Compact, CompactError},
    jwks::Issuer,
    keys::KeySet,
    principal::Principal,
};
use crate::core::policy::revoked::Revoked;

/// How long keys are used after the last time that they were fetched, in seconds.
pub const MAX_KEY_AGE: i64 = 24 * 60 * 60;

/// Whose tokens are taken, for whom, and by which keys. Replaced as a whole.
pub struct Trust {
    /// Differs from that of every other `Trust` of this process.
    pub generation: u64,
    /// The one `aud`.
    pub audience: String,
    /// Who may exchange tokens for others, and so may be their audience too.
    pub exchanged_by: Option<String>,
    /// Whose roles count.
    pub role_client: String,
    /// The issuers.
    pub issuers: Vec<TrustedKeys>,
    /// Whose tokens are refused before their time.
    pub revoked: Arc<Revoked>,
    /// The claims that the policy asks for besides.
    pub claims: Arc<[Box<str>]>,
}

/// An issuer and its keys.
pub struct TrustedKeys {
    /// The issuer, which keeps the keys' age.
    pub issuer: Arc<Issuer>,
    /// Its keys; `None` until they were fetched once.
    pub keys: Option<Arc<KeySet>>,
    /// What it issued before this time is revoked; seconds since the epoch.
    pub not_before: Option<i64>,
}

/// A token that was good when it was verified.
#[derive(Debug)]
pub struct Verified {
    /// Who calls.
    pub principal: Principal,
    /// Index into [`Trust::issuers`].
    pub issuer: usize,
}

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The outside is wrong.
    #[error(transparent)]
    Compact(#[from] CompactError),
    /// The inside is wrong.
    #[error(transparent)]
    Claims(#[from] ClaimError),
    /// `iss` is nobody that is trusted.
    #[error("the token's issuer is not trusted")]
    UnknownIssuer,
    /// No key of this id; the issuer is at this index.
    #[error("the token's key is unknown")]
    UnknownKey(usize),
    /// The key is for another algorithm.
    #[error("the token's algorithm is not its key's")]
    AlgorithmMismatch,
    /// The signature does not fit.
    #[error("the token's signature is wrong")]
    BadSignature,
    /// Issued before all that was issued, or all of its holder's, was taken back.
    #[error("the token was revoked with all others of its time, or of its holder")]
    Revoked,
    /// The issuer's keys were never fetched.
    #[error("the issuer's keys have not been fetched yet")]
    NoKeys,
    /// They were, but longer ago than [`MAX_KEY_AGE`].
    #[error("the issuer's keys are too old")]
    KeysStale,
}

impl VerifyError {
    /// The code for metrics and audit.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Compact(error) => error.into(),
            Self::Claims(error) => error.into(),
            Self::UnknownIssuer => "unknown_issuer",
            Self::UnknownKey(_) => "unknown_key",
            Self::AlgorithmMismatch => "algorithm_mismatch",
            Self::BadSignature => "bad_signature",
            Self::Revoked => "token_revoked",
            Self::NoKeys => "keys_missing",
            Self::KeysStale => "keys_stale",
        }
    }
}

impl Trust {
    /// Verifies a token: the issuer chosen by its exact `iss`, the key by `kid`
    /// among that issuer's alone, then signature, then claims.
    pub fn verify(&self, token: &str, now: i64) -> Result<Verified, VerifyError> {
        let compact = Compact::parse(token)?;
        let claims = Claims::parse(&compact.payload)?;
        let issuer = self.signed(&compact, &claims.iss, now)?;
        let principal = claims.check(&self.audience, self.exchanged_by.as_deref(), &self.role_client, now)?;
        let principal = match &*self.claims {
            [] => principal,
            wanted => principal.carrying(carried::read(&compact.payload, wanted)?),
        };
        let verified = Verified { principal, issuer };
        self.check_revocation(&verified).map(|()| verified)
    }

    /// Which issuer signed it, chosen by the exact `iss`. What it says besides is not looked at.
    pub fn signed(&self, compact: &Compact<'_>, iss: &str, now: i64) -> Result<usize, VerifyError> {
        let found = self.issuers.iter().position(|trusted| trusted.issuer.name() == iss);
        let issuer = found.ok_or(VerifyError::UnknownIssuer)?;
        self.check_signature(compact, issuer, now).map(|()| issuer)
    }

    fn check_revocation(&self, Verified { principal, issuer }: &Verified) -> Result<(), VerifyError> {
        let trusted = self.issuers.get(*issuer).ok_or(VerifyError::UnknownIssuer)?;
        let of_holder = self.revoked.before(principal.client(), principal.subject());
        match trusted.not_before.max(of_holder) {
            Some(not_before) if principal.times.is_revoked(not_before) => Err(VerifyError::Revoked),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether what was verified before, by this very trust, still holds: its times, and its
    /// issuer's keys not too old.
    pub fn still_good(&self, verified: &Verified, now: i64) -> Result<(), VerifyError> {
        verified.principal.times.check(now)?;
        let trusted = self.issuers.get(verified.issuer).ok_or(VerifyError::UnknownIssuer)?;
        if trusted.issuer.keys_fresh(now) { Ok(()) } else { Err(VerifyError::KeysStale) }
    }

    fn check_signature(&self, compact: &Compact<'_>, issuer: usize, now: i64) -> Result<(), VerifyError> {
        let trusted = self.issuers.get(issuer).ok_or(VerifyError::UnknownIssuer)?;
        let keys = trusted.keys.as_ref().ok_or(VerifyError::NoKeys)?;
        if !trusted.issuer.keys_fresh(now) {
            return Err(VerifyError::KeysStale);
        }
        let key = keys.get(&compact.key_id).ok_or(VerifyError::UnknownKey(issuer))?;
        if key.algorithm != compact.algorithm {
            return Err(VerifyError::AlgorithmMismatch);
        }
        let is_good = key.verifies(compact.message.as_bytes(), &compact.signature);
        if is_good { Ok(()) } else { Err(VerifyError::BadSignature) }
    }
}

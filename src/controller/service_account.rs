//! The operator's own ServiceAccount token, asked for when it is needed.
//!
//! Its audience is the issuer of the realm to log in at, which only a
//! KeycloakServer tells: no projected volume could know it beforehand.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{Api, Client, api::PostParams};
use secrecy::SecretString;

use super::context::Context;
use crate::keycloak::{AssertionSource, LoginError};

/// The controller's ServiceAccount, as the chart names it.
pub const NAME: &str = "keywire-controller";
/// For how long a token is good: one login now, and the way in after the cluster has changed its key.
const LIFETIME: Duration = Duration::from_secs(3600);
/// For how long it is used: less the clocks' difference and the time that a login takes.
const USABLE: Duration = Duration::from_secs(3300);
/// How far apart the tokens are that are kept.
const SPACING: Duration = Duration::from_secs(900);

/// Tokens of the operator's ServiceAccount for one audience.
pub struct ServiceAccountToken {
    client: Client,
    namespace: String,
    audience: String,
    kept: Mutex<Kept>,
}

/// Tokens that were issued before, oldest first, one for each [`SPACING`].
#[derive(Default)]
struct Kept {
    tokens: Vec<Issued>,
    latest: Option<Instant>,
}

struct Issued {
    token: SecretString,
    at: Instant,
}

impl Kept {
    fn keep(&mut self, token: SecretString, now: Instant) {
        self.tokens.retain(|kept| now.duration_since(kept.at) < USABLE);
        if self.tokens.last().is_none_or(|last| now.duration_since(last.at) >= SPACING) {
            self.tokens.push(Issued { token, at: now });
        }
        self.latest = Some(now);
    }

    /// The oldest one that is still good: from before whatever has happened to the cluster's keys lately.
    fn spare(&self, now: Instant) -> Option<SecretString> {
        let oldest = self.tokens.iter().find(|kept| now.duration_since(kept.at) < USABLE)?;
        (Some(oldest.at) != self.latest).then(|| oldest.token.clone())
    }
}

impl std::fmt::Debug for ServiceAccountToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceAccountToken").field("audience", &self.audience).finish_non_exhaustive()
    }
}

impl ServiceAccountToken {
    /// Tokens for `audience`.
    pub fn new(ctx: &Context, audience: String) -> Arc<Self> {
        let (client, namespace) = (ctx.client.clone(), ctx.namespace.clone());
        Arc::new(Self { client, namespace, audience, kept: Mutex::default() })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn request(&self) -> Result<SecretString, LoginError> {
        let spec = TokenRequestSpec {
            audiences: Some(vec![self.audience.clone()]),
            expiration_seconds: Some(LIFETIME.as_secs().try_into().unwrap_or(i64::MAX)),
            bound_object_ref: None,
        };
        let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
        let api = Api::<ServiceAccount>::namespaced(self.client.clone(), &self.namespace);
        let unavailable =
            |reason: String| LoginError::NoToken { account: format!("{}/{NAME}", self.namespace), reason };
        let answer = api.create_token_request(NAME, &PostParams::default(), &request).await;
        let token = answer.map_err(|error| unavailable(error.to_string()))?.status.and_then(|status| status.token);
        token.map(SecretString::from).ok_or_else(|| unavailable("the answer holds no token".to_owned()))
    }
}

impl AssertionSource for ServiceAccountToken {
    fn assertion(&self) -> futures::future::BoxFuture<'_, Result<SecretString, LoginError>> {
        Box::pin(async move {
            let token = self.request().await?;
            self.kept().keep(token.clone(), Instant::now());
            Ok(token)
        })
    }

    fn spare(&self) -> Option<SecretString> {
        self.kept().spare(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn the_spare_token_is_old_and_still_good() {
        let (mut kept, start) = (Kept::default(), Instant::now());
        assert!(kept.spare(start).is_none());
        let minutes = |minutes: u32| Duration::from_secs(60) * minutes;
        for minute in 0..300 {
            let now = start + minutes(minute);
            kept.keep(format!("{minute}").into(), now);
            let spare = kept.spare(now).map(|spare| minute - spare.expose_secret().parse::<u32>().unwrap());
            match (minute, spare) {
                (0, spare) => assert_eq!(spare, None, "the first one is no spare for itself"),
                (1..45, spare) => assert_eq!(spare, Some(minute), "the first one"),
                (_, Some(age)) => assert!((39..55).contains(&age), "minute {minute}: {age}"),
                (_, None) => panic!("minute {minute}: none"),
            }
            assert!(kept.tokens.len() <= 4, "{}", kept.tokens.len());
        }
        // No login for a long time.
        assert!(kept.spare(start + minutes(400)).is_none());
    }
}

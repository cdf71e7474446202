//! Who asks: a pod's ServiceAccount token, checked by the API server.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use axum::http::{HeaderMap, header::AUTHORIZATION};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use kube::{Api, Client, api::PostParams};
use tokio::{sync::Semaphore, time::timeout};

use super::AUDIENCE;
use crate::core::name::Ref;

/// How long a positive answer is believed.
const BELIEVED: Duration = Duration::from_secs(60);
/// Answers kept at one time.
const KEPT: usize = 20_000;
/// Reviews at one time: a flood of bad tokens must not become a flood on the API server.
const REVIEWS: usize = 16;
/// How long one review may take, the wait for its turn included.
const REVIEW: Duration = Duration::from_secs(10);
/// Longer than any ServiceAccount token.
const LONGEST: usize = 16 * 1024;

/// Why a caller was not let in.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum AuthError {
    /// No usable `Authorization` header.
    #[error("one Authorization header with a Bearer token is needed")]
    MissingToken,
    /// The API server does not take the token for this audience.
    #[error("the token is not valid for the audience {AUDIENCE}")]
    InvalidToken,
    /// A valid token, but of no ServiceAccount.
    #[error("the token is no ServiceAccount's")]
    NotAServiceAccount,
    /// The API server could not be asked.
    #[error("the token could not be checked, try again")]
    Unavailable,
}

type Key = [u8; SHA256_OUTPUT_LEN];

#[derive(Debug)]
struct Seen {
    account: Ref,
    until: Instant,
}

/// Finds out who asks.
pub struct Authenticator {
    client: Client,
    seen: Mutex<HashMap<Key, Seen>>,
    turns: Semaphore,
}

impl Authenticator {
    /// An authenticator that asks this API server.
    pub fn new(client: Client) -> Self {
        Self { client, seen: Mutex::default(), turns: Semaphore::new(REVIEWS) }
    }

    /// The ServiceAccount whose token these headers carry.
    pub async fn account(&self, headers: &HeaderMap) -> Result<Ref, AuthError> {
        let token = bearer(headers).ok_or(AuthError::MissingToken)?;
        let key = key(token);
        if let Some(account) = self.believed(&key, Instant::now()) {
            return Ok(account);
        }
        let status = timeout(REVIEW, self.review(token)).await.map_err(|_| AuthError::Unavailable)??;
        let account = account_of(&status)?;
        self.believe(key, &account, Instant::now());
        Ok(account)
    }

    async fn review(&self, token: &str) -> Result<TokenReviewStatus, AuthError> {
        // The semaphore is never closed.
        let _turn = self.turns.acquire().await.map_err(|_| AuthError::Unavailable)?;
        let spec = TokenReviewSpec { token: token.to_owned(), audiences: Some(vec![AUDIENCE.to_owned()]) };
        let review = TokenReview { spec, ..TokenReview::default() };
        let answer = Api::<TokenReview>::all(self.client.clone()).create(&PostParams::default(), &review).await;
        let answer = answer.map_err(|error| {
            tracing::warn!(%error, "cannot review a token");
            AuthError::Unavailable
        })?;
        answer.status.ok_or(AuthError::InvalidToken)
    }

    fn believed(&self, key: &Key, now: Instant) -> Option<Ref> {
        self.lock().get(key).filter(|seen| now < seen.until).map(|seen| seen.account.clone())
    }

    fn believe(&self, key: Key, account: &Ref, now: Instant) {
        let mut seen = self.lock();
        if seen.len() >= KEPT {
            seen.retain(|_, seen| now < seen.until);
        }
        // Still full: this one is asked about again next time.
        if seen.len() < KEPT {
            seen.insert(key, Seen { account: account.clone(), until: now + BELIEVED });
        }
    }

    // Each change is one insertion or removal: the map is whole even after a panic.
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(token: &str) -> Key {
    let mut key = [0; SHA256_OUTPUT_LEN];
    key.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    key
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, second) = (values.next()?.to_str().ok()?, values.next());
    let (scheme, token) = value.split_once(' ')?;
    let fits = !token.is_empty() && token.len() <= LONGEST && token.bytes().all(|byte| byte.is_ascii_graphic());
    (second.is_none() && scheme.eq_ignore_ascii_case("bearer") && fits).then_some(token)
}

fn account_of(status: &TokenReviewStatus) -> Result<Ref, AuthError> {
    let for_us = status.audiences.iter().flatten().any(|audience| audience == AUDIENCE);
    if status.authenticated != Some(true) || !for_us {
        return Err(AuthError::InvalidToken);
    }
    let username = status.user.as_ref().and_then(|user| user.username.as_deref());
    let account = username.and_then(|username| username.strip_prefix("system:serviceaccount:"));
    match account.and_then(|account| account.split_once(':')) {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => Ok(Ref::new(namespace, name)),
        _ => Err(AuthError::NotAServiceAccount),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use serde_json::json;

    use super::*;

    #[test]
    fn one_bearer_token_and_nothing_else() {
        let long = format!("Bearer {}", "a".repeat(LONGEST + 1));
        for (values, expected) in [
            (vec!["Bearer abc.def"], Some("abc.def")),
            (vec!["bearer abc"], Some("abc")),
            (vec![], None),
            (vec!["Basic abc"], None),
            (vec!["Bearer"], None),
            (vec!["Bearer "], None),
            (vec!["Bearer a b"], None),
            (vec!["Bearer  a"], None),
            (vec!["Bearer a", "Bearer b"], None),
            (vec![&long], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in &values {
                headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            }
            assert_eq!(bearer(&headers), expected, "{values:?}");
        }
    }

    #[test]
    fn only_service_accounts_for_our_audience() {
        let review = |authenticated: bool, audience: &str, username: &str| {
            let status =
                json!({"authenticated": authenticated, "audiences": [audience], "user": {"username": username}});
            account_of(&serde_json::from_value(status).unwrap()).map_err(|error| <&str>::from(&error))
        };
        assert_eq!(review(true, AUDIENCE, "system:serviceaccount:vision:iris"), Ok(Ref::new("vision", "iris")));
        assert_eq!(review(false, AUDIENCE, "system:serviceaccount:vision:iris"), Err("invalid_token"));
        assert_eq!(review(true, "https://kubernetes", "system:serviceaccount:vision:iris"), Err("invalid_token"));
        for username in ["system:node:n", "alice", "system:serviceaccount:vision", "system:serviceaccount::x"] {
            assert_eq!(review(true, AUDIENCE, username), Err("not_a_service_account"), "{username}");
        }
        assert!(account_of(&TokenReviewStatus::default()).is_err());
    }
}

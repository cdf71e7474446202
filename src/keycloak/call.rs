//! One call to the Admin API: the request, its retries, and what the answer means.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest::{Method, RequestBuilder};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::admin::{Admin, RealmAdmin};
use super::error::ApiError;
use super::rights::{Area, MissingRole};
use super::session::Login;
use super::transport::{Answer, TransportError};

/// After how long a call is not repeated any more, whatever it waited for: whoever calls has others to look after.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a call is repeated that is safe to repeat.
const RETRIES: usize = 3;
const FIRST_DELAY: Duration = Duration::from_millis(200);
/// The longest that a caller is kept waiting for a repetition; whoever asks for more gets an error instead.
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// A request to be made.
#[derive(Debug)]
pub(super) struct Call {
    area: Area,
    method: Method,
    realm: String,
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
    timeout: Option<Duration>,
}

impl Call {
    /// A call to `/admin/{path}`; `realm` is for error messages.
    pub fn new(area: Area, method: Method, realm: &str, path: &[&str]) -> Self {
        let path = path.iter().map(ToString::to_string).collect();
        Self { area, method, realm: realm.to_owned(), path, query: Vec::new(), body: None, timeout: None }
    }

    pub fn query(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    pub fn body(mut self, body: &impl Serialize) -> Result<Self, ApiError> {
        let body = serde_json::to_value(body).map_err(|error| self.unreadable(&error))?;
        self.body = Some(body);
        Ok(self)
    }

    /// For the few calls that take longer than the rest.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    fn describe(&self) -> String {
        format!("{} /admin/{}", self.method, self.path.join("/"))
    }

    /// A URL drops dots and empty names, so the call would be about the parent: `DELETE clients/..` about the realm.
    fn check_path(&self) -> Result<(), ApiError> {
        if self.path.iter().any(|segment| matches!(segment.as_str(), "" | "." | "..")) {
            let message = "a name that is empty or only dots cannot be addressed".to_owned();
            return Err(ApiError::Invalid { call: self.describe(), message });
        }
        Ok(())
    }

    fn is_idempotent(&self) -> bool {
        self.maps_roles() || matches!(self.method, Method::GET | Method::HEAD | Method::PUT | Method::DELETE)
    }

    /// Whether roles are given to an account or taken from it: sets, so the same twice is the same once.
    fn maps_roles(&self) -> bool {
        self.area == Area::RoleMappings
    }

    fn url(&self, server: &Url) -> Url {
        let mut url = server.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("admin").extend(&self.path);
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        url
    }

    fn request(&self, admin: &Admin, login: &Login) -> RequestBuilder {
        let client = admin.transport().client();
        let mut request = client.request(self.method.clone(), self.url(admin.server_url()));
        request = request.bearer_auth(login.access_token.expose_secret());
        if let Some(body) = &self.body {
            request = request.json(body);
        }
        match self.timeout {
            Some(timeout) => request.timeout(timeout),
            None => request,
        }
    }

    fn unreadable(&self, error: &serde_json::Error) -> ApiError {
        ApiError::Unreadable { call: self.describe(), reason: error.to_string() }
    }

    /// What an answer other than success means.
    fn failure(&self, answer: &Answer) -> ApiError {
        let call = self.describe();
        let message = error_message(answer);
        match answer.status.as_u16() {
            401 => ApiError::Unauthorized { call },
            403 => {
                let missing = MissingRole { role: self.area.required_role(&self.method), realm: self.realm.clone() };
                ApiError::Forbidden { call, missing }
            }
            404 => ApiError::NotFound { call },
            409 => ApiError::Conflict { call, message },
            429 | 503 => ApiError::Throttled { call, retry_after: answer.retry_after() },
            400..=499 => ApiError::Invalid { call, message },
            status => ApiError::Server { call, status, message },
        }
    }

    fn unanswered(&self, source: TransportError) -> ApiError {
        match source {
            TransportError::Timeout { .. } | TransportError::Broken { .. } => {
                ApiError::Timeout { call: self.describe(), source }
            }
            TransportError::Patience { retry_after } => {
                ApiError::Throttled { call: self.describe(), retry_after: Some(retry_after) }
            }
            _ => ApiError::Unreachable(source),
        }
    }

    /// Whether the call was not carried out, or does no harm twice.
    fn may_repeat(&self, error: &ApiError) -> bool {
        match error {
            ApiError::Unreachable(source) => source.was_not_sent(),
            ApiError::Throttled { .. } => true,
            ApiError::Timeout { .. } | ApiError::Server { status: 502 | 504, .. } => self.is_idempotent(),
            // Whether the caller may map a role, Keycloak finds by walking all roles that the caller has, through its
            // cache. It trips over one that is removed meanwhile, as those of a realm that somebody deletes are from an
            // administrator of all (`DefaultLazyLoader.get`, a null pointer in 26.7.3). Nothing was written.
            ApiError::Server { status: 500, .. } => self.maps_roles(),
            _ => false,
        }
    }
}

impl Admin {
    /// Makes a call, repeating it where that is safe and likely to help.
    pub(super) async fn call(&self, call: Call) -> Result<Answer, ApiError> {
        call.check_path()?;
        let delays = ExponentialBuilder::default()
            .with_min_delay(FIRST_DELAY)
            .with_max_delay(LONGEST_DELAY)
            .with_max_times(RETRIES)
            .with_jitter();
        let (attempt, begun) = (|| self.attempt(&call), Instant::now());
        let may_repeat = |error: &ApiError| begun.elapsed() < PATIENCE && call.may_repeat(error);
        attempt.retry(delays).when(may_repeat).adjust(wait_as_told).await
    }

    /// The id of our own account, as admin events name it; none if our tokens do not tell.
    ///
    /// # Errors
    /// The [`ApiError`] of a login that fails.
    pub async fn own_subject(&self) -> Result<Option<String>, ApiError> {
        Ok(self.session().login(self.transport()).await?.subject.clone())
    }

    /// Makes a call and reads the answer.
    pub(super) async fn read<T: DeserializeOwned>(&self, call: Call) -> Result<T, ApiError> {
        let description = call.describe();
        let answer = self.call(call).await?;
        answer.json().map_err(|error| ApiError::Unreadable { call: description, reason: error.to_string() })
    }

    /// Once, and once more with a fresh login should Keycloak have forgotten this one.
    async fn attempt(&self, call: &Call) -> Result<Answer, ApiError> {
        let login = self.session().login(self.transport()).await?;
        match self.once(call, &login).await {
            Err(ApiError::Unauthorized { .. }) => {
                self.session().discard(&login);
                let fresh = self.session().login(self.transport()).await?;
                let result = self.once(call, &fresh).await;
                if matches!(result, Err(ApiError::Unauthorized { .. })) {
                    self.session().distrust(&fresh);
                }
                result
            }
            result => result,
        }
    }

    async fn once(&self, call: &Call, login: &Login) -> Result<Answer, ApiError> {
        let request = call.request(self, login);
        let answer = self.transport().send(request).await.map_err(|error| call.unanswered(error))?;
        if answer.status.is_success() { Ok(answer) } else { Err(call.failure(&answer)) }
    }
}

impl RealmAdmin {
    /// What Keycloak would say if it did not hide what this account may not see.
    pub(super) fn forbidden(&self, area: Area, method: &Method, path: &str) -> ApiError {
        let missing = MissingRole { role: area.required_role(method), realm: self.name().to_owned() };
        ApiError::Forbidden { call: format!("{method} /admin/realms/{}/{path}", self.name()), missing }
    }
}

fn wait_as_told(error: &ApiError, delay: Option<Duration>) -> Option<Duration> {
    match error {
        ApiError::Throttled { retry_after: Some(told), .. } if delay.is_some() => {
            (*told <= LONGEST_DELAY).then_some(*told)
        }
        _ => delay,
    }
}

/// Keycloak's own words: `errorMessage`, or `error` with or without `error_description`.
fn error_message(answer: &Answer) -> String {
    let body: Value = answer.json().unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let message = match (text("errorMessage"), text("error"), text("error_description")) {
        (Some(message), _, _) => message.to_owned(),
        (None, Some(error), Some(description)) => format!("{error}: {description}"),
        (None, Some(error), None) => error.to_owned(),
        _ => answer.status.to_string(),
    };
    message.chars().take(500).collect()
}

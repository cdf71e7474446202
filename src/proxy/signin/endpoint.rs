//! Tokens from Keycloak's token endpoint: for a code, and for a refresh token.

use std::{fs, future::Future, path::PathBuf, pin::Pin};

use http::StatusCode;
use oauth2::{
    AsyncHttpClient, AuthType, AuthUrl, AuthorizationCode, Client, ClientId, EndpointNotSet, EndpointSet,
    ExtraTokenFields, HttpRequest, HttpResponse, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError,
    StandardRevocableToken, StandardTokenResponse, TokenResponse, TokenUrl,
    basic::{
        BasicErrorResponse, BasicErrorResponseType, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
        BasicTokenType,
    },
};
use serde::{Deserialize, Serialize};

use crate::{
    core::signin::{
        document::AppLogin,
        settings::{CALLBACK, SignInSettings},
    },
    proxy::http::{
        connect::OriginError,
        fetch::{FetchError, Fetched, Resource},
    },
};

/// The assertion's name in the tokens directory.
const ASSERTION_FILE: &str = "keycloak";
/// RFC 7523 §2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The secret's name in the sign-in directory.
const SECRET_FILE: &str = "client-secret";
/// The longest token taken, in bytes.
const MAX_TOKEN: usize = 16 * 1024;

/// A client of the library, with what OpenID Connect adds to an answer.
pub type AppClient = Client<
    BasicErrorResponse,
    StandardTokenResponse<IdField, BasicTokenType>,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// OpenID Connect Core 1.0, §3.1.3.3.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct IdField {
    id_token: Option<String>,
}

impl ExtraTokenFields for IdField {}

/// What came. Never shown.
#[derive(Clone)]
pub struct Tokens {
    /// The access token.
    pub access: String,
    /// The refresh token; empty: none.
    pub refresh: String,
    /// The ID token; empty: none.
    pub id: String,
}

/// Why there are no tokens. Never holds one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum TokenError {
    /// The code or the refresh token counts no more (RFC 6749 §5.2, `invalid_grant`).
    #[error("Keycloak does not take the code or the session any more")]
    GrantRefused,
    /// The client is not let in.
    #[error("Keycloak refused this application's client: its credential, or the realm, is not what it was")]
    ClientRefused,
    /// The projected token or the secret is not there.
    #[error("this application's credential for Keycloak cannot be read")]
    CredentialMissing,
    /// No answer, or a 5xx.
    #[error("Keycloak does not answer")]
    Unavailable,
    /// An answer that is none.
    #[error("Keycloak's answer is not understood")]
    InvalidAnswer,
}

/// Where and how to ask.
pub struct TokenEndpoint {
    resource: Resource,
    client: AppClient,
    login: AppLogin,
    /// Of the projected tokens.
    tokens: PathBuf,
    /// Of the secrets.
    secrets: Option<PathBuf>,
}

impl TokenEndpoint {
    /// That of an application.
    pub fn new(settings: &SignInSettings, tokens: PathBuf, secrets: Option<PathBuf>) -> Result<Self, OriginError> {
        let resource = Resource::new(&settings.token_url, settings.ca.as_deref())?;
        // They were parsed before.
        let invalid = |url: &str| OriginError::InvalidUrl(url.to_owned());
        let url = settings.authorization_url.as_str();
        let authorization = AuthUrl::new(url.to_owned()).map_err(|_| invalid(url))?;
        let token = TokenUrl::new(settings.token_url.clone()).map_err(|_| invalid(&settings.token_url))?;
        let callback = settings.own_url(CALLBACK);
        let redirect = RedirectUrl::new(callback.clone()).map_err(|_| invalid(&callback))?;
        let client = Client::new(ClientId::new(settings.client_id.clone()))
            .set_auth_uri(authorization)
            .set_token_uri(token)
            .set_redirect_uri(redirect)
            .set_auth_type(AuthType::RequestBody);
        Ok(Self { resource, client, login: settings.login, tokens, secrets })
    }

    /// The library's client, for the URL that browsers are sent to.
    pub fn client(&self) -> &AppClient {
        &self.client
    }

    /// Tokens for a code (RFC 6749 §4.1.3, RFC 7636 §4.5).
    pub async fn redeem(&self, code: &str, verifier: &str) -> Result<Tokens, TokenError> {
        let credential = self.credential()?;
        let mut request = self.client.exchange_code(AuthorizationCode::new(code.to_owned()));
        request = request.set_pkce_verifier(PkceCodeVerifier::new(verifier.to_owned()));
        for (name, value) in &credential {
            request = request.add_extra_param(*name, value.as_str());
        }
        read(request.request_async(&Http(&self.resource)).await)
    }

    /// Tokens for a refresh token (RFC 6749 §6).
    pub async fn refresh(&self, token: &str) -> Result<Tokens, TokenError> {
        let (credential, token) = (self.credential()?, RefreshToken::new(token.to_owned()));
        let mut request = self.client.exchange_refresh_token(&token);
        for (name, value) in &credential {
            request = request.add_extra_param(*name, value.as_str());
        }
        read(request.request_async(&Http(&self.resource)).await)
    }

    /// Read anew each time: both are rotated, and lie on memory file systems.
    fn credential(&self) -> Result<Vec<(&'static str, String)>, TokenError> {
        let read = |path: PathBuf| fs::read_to_string(path).map_err(|_| TokenError::CredentialMissing);
        let trimmed = |text: String| text.trim().to_owned();
        Ok(match self.login {
            AppLogin::KubernetesToken => vec![
                ("client_assertion_type", ASSERTION_TYPE.to_owned()),
                ("client_assertion", trimmed(read(self.tokens.join(ASSERTION_FILE))?)),
            ],
            AppLogin::ClientSecret => {
                let secrets = self.secrets.as_ref().ok_or(TokenError::CredentialMissing)?;
                vec![("client_secret", trimmed(read(secrets.join(SECRET_FILE))?))]
            }
        })
    }
}

type Answer = StandardTokenResponse<IdField, BasicTokenType>;

fn read(answer: Result<Answer, RequestTokenError<FetchError, BasicErrorResponse>>) -> Result<Tokens, TokenError> {
    let answer = answer.map_err(|error| match error {
        RequestTokenError::ServerResponse(said) => match said.error() {
            BasicErrorResponseType::InvalidGrant => TokenError::GrantRefused,
            _ => TokenError::ClientRefused,
        },
        RequestTokenError::Request(_) => TokenError::Unavailable,
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => TokenError::InvalidAnswer,
    })?;
    let own = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let tokens = Tokens {
        access: answer.access_token().secret().clone(),
        refresh: own(answer.refresh_token().map(|token| token.secret().as_str())),
        id: own(answer.extra_fields().id_token.as_deref()),
    };
    let is_plain = |text: &String| text.len() <= MAX_TOKEN && text.bytes().all(|byte| byte.is_ascii_graphic());
    let all_plain = [&tokens.access, &tokens.refresh, &tokens.id].into_iter().all(is_plain);
    if all_plain && !tokens.access.is_empty() { Ok(tokens) } else { Err(TokenError::InvalidAnswer) }
}

/// The library's requests, sent in our way.
struct Http<'r>(&'r Resource);

impl<'c> AsyncHttpClient<'c> for Http<'_> {
    type Error = FetchError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, FetchError>> + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let form = String::from_utf8(request.into_body()).map_err(|_| FetchError::Broken)?;
            let Fetched { status, body, .. } = self.0.post_form(form).await?;
            // Whatever a server that fails says is not about the client.
            if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
                return Err(FetchError::Broken);
            }
            let mut response = HttpResponse::new(body.to_vec());
            *response.status_mut() = status;
            Ok(response)
        })
    }
}

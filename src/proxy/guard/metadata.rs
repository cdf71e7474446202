//! What an endpoint is as a resource (RFC 9728): told to whoever asks, by the guard itself.

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use serde::Serialize;

use super::cors::Told;
use crate::{
    core::{
        name::permission_scope,
        policy::{
            compiled::CompiledPolicy,
            resource::{Resource, WELL_KNOWN},
        },
    },
    proxy::http::body::AnswerBody,
};

/// How long a client may keep the metadata: a new permission or issuer is seen within that time.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=300");
/// What may be done with it.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// An endpoint's metadata, made ready with its policy.
#[derive(Debug)]
pub struct Metadata {
    /// The resource's path.
    path: Box<str>,
    json: Bytes,
}

/// RFC 9728 §2.
#[derive(Serialize)]
struct Document<'a> {
    resource: &'a str,
    authorization_servers: Vec<&'a str>,
    scopes_supported: Vec<String>,
    bearer_methods_supported: [&'static str; 1],
    resource_name: String,
}

impl Metadata {
    /// The metadata of a policy that names its resource.
    pub fn of(policy: &CompiledPolicy) -> Option<Self> {
        let Resource { url, path, .. } = policy.resource.as_ref()?;
        let scope = |permission: &str| permission_scope(&policy.role_client, permission);
        let document = Document {
            resource: url,
            authorization_servers: policy.issuers.iter().map(|trusted| trusted.issuer.as_str()).collect(),
            scopes_supported: policy.permissions().into_iter().map(scope).collect(),
            bearer_methods_supported: ["header"],
            resource_name: policy.endpoint.to_string(),
        };
        let json = serde_json::to_vec(&document).ok()?;
        Some(Self { path: path.as_str().into(), json: json.into() })
    }

    /// The answer to a request for the metadata; `None`: it is for something else.
    ///
    /// Both places are answered whatever the resource's path: an ingress may take its prefix away.
    pub fn answer(&self, parts: &Parts) -> Option<Response<AnswerBody>> {
        let rest = parts.uri.path().strip_prefix(WELL_KNOWN)?;
        (rest.is_empty() || *rest == *self.path).then(|| self.answer_to(&parts.method))
    }

    fn answer_to(&self, method: &Method) -> Response<AnswerBody> {
        let (status, body) = match *method {
            Method::GET | Method::HEAD => (StatusCode::OK, self.json.clone()),
            Method::OPTIONS => (StatusCode::NO_CONTENT, Bytes::new()),
            _ => (StatusCode::METHOD_NOT_ALLOWED, Bytes::new()),
        };
        let mut response = Response::new(AnswerBody::full(body));
        *response.status_mut() = status;
        response.extensions_mut().insert(Told);
        let headers = response.headers_mut();
        // It is for everybody, and browser clients read it from pages of any origin.
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        match status {
            StatusCode::OK => {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                headers.insert(header::CACHE_CONTROL, CACHE);
            }
            StatusCode::NO_CONTENT => {
                headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
                headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*"));
            }
            _ => {
                headers.insert(header::ALLOW, METHODS);
            }
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::core::policy::compiled::tests::document;

    fn metadata(resource: Option<&str>) -> Option<Metadata> {
        let mut document = document();
        document.resource = resource.map(str::to_owned);
        CompiledPolicy::compile(document).ok().as_ref().and_then(Metadata::of)
    }

    fn asked(metadata: &Metadata, method: Method, target: &str) -> Option<StatusCode> {
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.method = method;
        parts.uri = target.parse().ok()?;
        metadata.answer(&parts).map(|response| response.status())
    }

    #[test]
    fn only_its_own_places_are_answered() {
        assert!(metadata(None).is_none());
        let Some(metadata) = metadata(Some("https://x/public/mcp")) else { panic!("metadata") };
        for (method, target, expected) in [
            (Method::GET, "/.well-known/oauth-protected-resource", Some(200)),
            (Method::HEAD, "/.well-known/oauth-protected-resource/public/mcp", Some(200)),
            (Method::OPTIONS, "/.well-known/oauth-protected-resource", Some(204)),
            (Method::POST, "/.well-known/oauth-protected-resource", Some(405)),
            (Method::GET, "/.well-known/oauth-protected-resource/public", None),
            (Method::GET, "/.well-known/oauth-protected-resource/", None),
            (Method::GET, "/.well-known/oauth-protected-resources", None),
            (Method::GET, "/.well-known/openid-configuration", None),
            (Method::GET, "/public/mcp", None),
        ] {
            let status = asked(&metadata, method.clone(), target).map(|status| status.as_u16());
            assert_eq!(status, expected, "{method} {target}");
        }
    }
}

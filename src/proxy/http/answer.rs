//! The one mapping from "no" to an HTTP answer.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use super::{body::AnswerBody, grpc};

/// The field that tells a machine why: the guard sets it, the egress half reads it.
pub const REASON: HeaderName = HeaderName::from_static("x-keywire-reason");

/// An answer that Keywire gives itself instead of the upstream.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    error: &'static str,
    reason: &'static str,
    message: String,
    challenge: Option<HeaderValue>,
    close: bool,
    /// When to come again, in seconds.
    retry_after: Option<u64>,
    shape: Shape,
}

/// What a protocol's clients understand as an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// `{"error": CODE, "reason": CODE, "message": TEXT}`.
    #[default]
    Plain,
    /// OpenAI's: `{"error": {"message": TEXT, "type": CODE, "param": null, "code": CODE}}`.
    OpenAi,
    /// TensorFlow Serving's: `{"error": TEXT}`.
    TensorFlowServing,
    /// MLflow's: `{"error_code": NAME, "message": TEXT}`, by a name of its `ErrorCode`.
    MlFlow,
    /// JSON-RPC 2.0's, without the id of a message that need not have been read.
    JsonRpc,
    /// gRPC's: no body, but a status in the head ("Trailers-Only" in its `PROTOCOL-HTTP2.md`).
    Grpc,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Body<'a> {
    Plain { error: &'a str, reason: &'a str, message: &'a str },
    OpenAi { error: OpenAiError<'a> },
    TensorFlowServing { error: &'a str },
    MlFlow { error_code: &'a str, message: &'a str },
    JsonRpc { jsonrpc: &'a str, id: Option<&'a str>, error: RpcError<'a> },
}

#[derive(Serialize)]
struct RpcError<'a> {
    code: i32,
    message: &'a str,
    data: RpcData<'a>,
}

#[derive(Serialize)]
struct RpcData<'a> {
    error: &'a str,
    reason: &'a str,
}

#[derive(Serialize)]
struct OpenAiError<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    param: Option<&'a str>,
    code: &'a str,
}

impl Refusal {
    /// `reason` is a code for machines, `message` a sentence for a person. Neither
    /// may hold a token or anything else secret.
    pub fn new(status: StatusCode, error: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        let (message, shape) = (message.into(), Shape::Plain);
        Self { status, error, reason, message, challenge: None, close: false, retry_after: None, shape }
    }

    /// 400, and the connection is closed: what follows on it cannot be trusted.
    pub fn ambiguous(reason: &'static str, message: impl Into<String>) -> Self {
        Self { close: true, ..Self::new(StatusCode::BAD_REQUEST, "invalid_request", reason, message) }
    }

    /// 503: not now.
    pub fn unavailable(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", reason, message).retry_after(1)
    }

    /// Says when to come again, in seconds.
    pub fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// The same, and the connection is closed: there may be more on it that nobody will read.
    pub fn closing(self) -> Self {
        Self { close: true, ..self }
    }

    /// The same in a protocol's own words.
    pub fn shaped(self, shape: Shape) -> Self {
        Self { shape, ..self }
    }

    /// Adds `WWW-Authenticate` (RFC 6750 §3).
    pub fn challenge(mut self, challenge: &str) -> Self {
        self.challenge = HeaderValue::from_str(challenge).ok();
        self
    }

    /// The reason code.
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    fn body(&self) -> Body<'_> {
        let Self { error, reason, message, .. } = self;
        match self.shape {
            Shape::Plain | Shape::Grpc => Body::Plain { error, reason, message },
            Shape::OpenAi => Body::OpenAi { error: OpenAiError { message, kind: error, param: None, code: reason } },
            Shape::TensorFlowServing => Body::TensorFlowServing { error: message },
            Shape::MlFlow => Body::MlFlow { error_code: self.mlflow_code(), message },
            Shape::JsonRpc => {
                let error = RpcError { code: self.rpc_code(), message, data: RpcData { error, reason } };
                Body::JsonRpc { jsonrpc: "2.0", id: None, error }
            }
        }
    }

    /// JSON-RPC 2.0 §5.1, and MCP's `HeaderMismatch`.
    fn rpc_code(&self) -> i32 {
        match (self.reason, self.status) {
            ("header_mismatch", _) => -32020,
            ("not_json" | "not_utf8", _) => -32700,
            ("name_missing", _) => -32602,
            (_, StatusCode::BAD_REQUEST) => -32600,
            _ => -32000,
        }
    }

    /// A name of `ErrorCode` in MLflow's `databricks.proto`: its client tells by it what may be tried again.
    fn mlflow_code(&self) -> &'static str {
        match self.status {
            StatusCode::UNAUTHORIZED => "UNAUTHENTICATED",
            StatusCode::FORBIDDEN => "PERMISSION_DENIED",
            StatusCode::TOO_MANY_REQUESTS => "REQUEST_LIMIT_EXCEEDED",
            StatusCode::SERVICE_UNAVAILABLE => "TEMPORARILY_UNAVAILABLE",
            status if status.is_client_error() => "BAD_REQUEST",
            _ => "INTERNAL_ERROR",
        }
    }

    /// What a call of gRPC ends with.
    pub fn grpc_fields(&self) -> HeaderMap {
        let mut fields = HeaderMap::new();
        fields.insert(grpc::STATUS, grpc::status(self.status));
        fields.insert(grpc::MESSAGE, grpc::message(&self.message));
        fields.insert(REASON, HeaderValue::from_static(self.reason));
        fields
    }

    /// The answer without what all shapes have.
    fn bare(&self) -> Response<AnswerBody> {
        if self.shape == Shape::Grpc {
            let mut response = Response::new(AnswerBody::full(Bytes::new()));
            *response.headers_mut() = self.grpc_fields();
            response.headers_mut().insert(header::CONTENT_TYPE, grpc::MEDIA_TYPE);
            return response;
        }
        // Three strings always serialise; an empty body would still be a refusal.
        let text = serde_json::to_vec(&self.body()).unwrap_or_default();
        let mut response = Response::new(AnswerBody::full(Bytes::from(text)));
        *response.status_mut() = self.status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }

    /// The answer.
    pub fn into_response(self) -> Response<AnswerBody> {
        let mut response = self.bare();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(REASON, HeaderValue::from_static(self.reason));
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = self.retry_after.filter(|_| self.shape != Shape::Grpc) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    use super::*;

    #[tokio::test]
    async fn each_protocol_has_its_form_of_an_error() {
        let openai = json!({"error": {"message": "No.", "type": "access_denied", "param": null, "code": "no_grant"}});
        let rpc = json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32000, "message": "No.",
            "data": {"error": "access_denied", "reason": "no_grant"}}});
        for (shape, expected) in [
            (Shape::JsonRpc, rpc),
            (Shape::Plain, json!({"error": "access_denied", "reason": "no_grant", "message": "No."})),
            (Shape::OpenAi, openai),
            (Shape::TensorFlowServing, json!({"error": "No."})),
            (Shape::MlFlow, json!({"error_code": "PERMISSION_DENIED", "message": "No."})),
        ] {
            let refusal = Refusal::new(StatusCode::FORBIDDEN, "access_denied", "no_grant", "No.").challenge("Bearer");
            let (head, body) = refusal.shaped(shape).into_response().into_parts();
            let Ok(body) = body.collect().await else { panic!("a body") };
            assert_eq!(serde_json::from_slice::<Value>(&body.to_bytes()).ok(), Some(expected), "{shape:?}");
            // The rest is the same whatever the form.
            assert_eq!(head.status, StatusCode::FORBIDDEN);
            assert_eq!(head.headers[REASON], "no_grant");
            assert_eq!(head.headers[header::WWW_AUTHENTICATE], "Bearer");
            assert_eq!(head.headers[header::CONTENT_TYPE], "application/json");
        }
    }

    #[tokio::test]
    async fn a_refusal_of_grpc_is_in_the_head_alone() {
        let refusal =
            Refusal::new(StatusCode::FORBIDDEN, "access_denied", "no_grant", "No: 100 %.").challenge("Bearer");
        let (head, body) = refusal.closing().shaped(Shape::Grpc).into_response().into_parts();
        assert!(hyper::body::Body::is_end_stream(&body));
        assert_eq!(head.status, StatusCode::OK);
        for (name, value) in [
            ("content-type", "application/grpc"),
            ("grpc-status", "7"),
            ("grpc-message", "No: 100 %25."),
            ("x-keywire-reason", "no_grant"),
            ("www-authenticate", "Bearer"),
        ] {
            assert_eq!(head.headers[name], value, "{name}");
        }
    }
}

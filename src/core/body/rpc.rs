//! One message of JSON-RPC 2.0, as far as a decision needs it.
//!
//! What cannot be told apart with certainty is refused: a batch (only one revision of MCP had them), another version, a
//! member twice or in another letter case (CVE-2026-27896).

use std::borrow::Cow;

use super::json::{self, JsonError};

/// The longest method or name, in bytes. Both go into the audit record.
pub const MAX_NAME: usize = 1024;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// What it calls; `None`: it answers what the server asked.
    pub method: Option<Cow<'a, str>>,
    /// The object `params`, as it is written.
    pub params: Option<&'a str>,
}

/// Why a message cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum RpcError {
    /// The body cannot be read.
    #[error(transparent)]
    #[strum(transparent)]
    Json(#[from] JsonError),
    /// Several messages in one array.
    #[error("the body is a batch; send one JSON-RPC message at a time")]
    Batch,
    /// `jsonrpc` is not `"2.0"`.
    #[error("the body is no JSON-RPC 2.0 message")]
    NotJsonRpc,
    /// Neither a method nor an answer, or both.
    #[error("the JSON-RPC message has neither a method nor a result")]
    NeitherCallNorAnswer,
    /// `params` without the name that the method needs.
    #[error("the JSON-RPC message does not name what its method is to be done with")]
    NameMissing,
    /// A method or name that is longer than [`MAX_NAME`].
    #[error("a method or name in the JSON-RPC message is too long")]
    NameTooLong,
    /// Two that differ.
    #[error("the JSON-RPC message names two things where one counts")]
    TwoNames,
}

/// Reads a message.
pub fn message(body: &[u8]) -> Result<Message<'_>, RpcError> {
    if json::is_array(body) {
        return Err(RpcError::Batch);
    }
    let [version, method, params, result, error] =
        json::select(body, ["jsonrpc", "method", "params", "result", "error"])?;
    if version.map(json::text).transpose()?.as_deref() != Some("2.0") {
        return Err(RpcError::NotJsonRpc);
    }
    let is_answer = result.is_some() || error.is_some();
    let method = method.map(|method| short(json::text(method)?)).transpose()?;
    if method.is_some() == is_answer {
        return Err(RpcError::NeitherCallNorAnswer);
    }
    Ok(Message { method, params })
}

impl<'a> Message<'a> {
    /// The text members of `params` that have these names.
    pub fn params<const N: usize>(&self, names: [&str; N]) -> Result<[Option<Cow<'a, str>>; N], RpcError> {
        let mut texts = [const { None }; N];
        let Some(params) = self.params else { return Ok(texts) };
        for (text, value) in texts.iter_mut().zip(json::select(params.as_bytes(), names)?) {
            *text = value.map(|value| short(json::text(value)?)).transpose()?;
        }
        Ok(texts)
    }

    /// The text member `name` of `params`, which must be there and not be empty.
    pub fn param(&self, name: &str) -> Result<Cow<'a, str>, RpcError> {
        let [value] = self.params([name])?;
        value.filter(|value| !value.is_empty()).ok_or(RpcError::NameMissing)
    }

    /// The object member `name` of `params`, as a message's `params` of its own.
    pub fn inner(&self, name: &str) -> Result<Self, RpcError> {
        let params = self.params.ok_or(RpcError::NameMissing)?;
        let [inner] = json::select(params.as_bytes(), [name])?;
        Ok(Self { method: None, params: Some(inner.ok_or(RpcError::NameMissing)?) })
    }
}

fn short(text: Cow<'_, str>) -> Result<Cow<'_, str>, RpcError> {
    if text.len() > MAX_NAME { Err(RpcError::NameTooLong) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_call_or_an_answer() {
        for (body, method) in [
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, Some("ping")),
            (r#"{"jsonrpc":"2.0","method":"p\u0069ng","params":{}}"#, Some("ping")),
            (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, None),
            (r#"{"jsonrpc":"2.0","id":1,"error":{"code":1}}"#, None),
        ] {
            let read = message(body.as_bytes()).map(|message| message.method.map(Cow::into_owned));
            assert_eq!(read, Ok(method.map(str::to_owned)), "{body}");
        }
    }

    #[test]
    fn what_has_two_readings_is_refused() {
        use JsonError::*;
        for (body, error) in [
            (r#"[{"jsonrpc":"2.0","method":"ping"}]"#, RpcError::Batch),
            (" \n[]", RpcError::Batch),
            (r#"{"method":"ping"}"#, RpcError::NotJsonRpc),
            (r#"{"jsonrpc":"1.0","method":"ping"}"#, RpcError::NotJsonRpc),
            (r#"{"jsonrpc":"2.0"}"#, RpcError::NeitherCallNorAnswer),
            (r#"{"jsonrpc":"2.0","method":"ping","result":{}}"#, RpcError::NeitherCallNorAnswer),
            (r#"{"jsonrpc":"2.0","method":"ping","method":"tools/call"}"#, DuplicateMember.into()),
            (r#"{"jsonrpc":"2.0","method":"ping","Method":"tools/call"}"#, LookalikeMember.into()),
            (r#"{"jsonrpc":"2.0","method":"ping","m\u0065thod":"tools/call"}"#, DuplicateMember.into()),
            (r#"{"jsonrpc":"2.0","method":"ping","params":{},"Params":{}}"#, LookalikeMember.into()),
            (r#"{"jsonrpc":"2.0","method":["ping"]}"#, NotText.into()),
            ("\u{feff}{}", NotUtf8.into()),
        ] {
            assert_eq!(message(body.as_bytes()), Err(error), "{body}");
        }
        let long = format!(r#"{{"jsonrpc":"2.0","method":"{}"}}"#, "m".repeat(MAX_NAME + 1));
        assert_eq!(message(long.as_bytes()), Err(RpcError::NameTooLong));
    }

    #[test]
    fn params_are_read_by_their_names() {
        let body = |params: &str| format!(r#"{{"jsonrpc":"2.0","method":"m","params":{params}}}"#);
        let param = |params: &str| {
            let body = body(params);
            message(body.as_bytes()).and_then(|message| message.param("name").map(Cow::into_owned))
        };
        assert_eq!(param(r#"{"name":"a","arguments":{"name":"b"}}"#), Ok("a".to_owned()));
        for (params, error) in [
            ("{}", RpcError::NameMissing),
            (r#"{"name":""}"#, RpcError::NameMissing),
            (r#"{"name":null}"#, RpcError::NameMissing),
            (r#"{"name":1}"#, JsonError::NotText.into()),
            (r#"{"name":"a","name":"b"}"#, JsonError::DuplicateMember.into()),
            (r#"{"name":"a","NAME":"b"}"#, JsonError::LookalikeMember.into()),
            (r#"["a"]"#, JsonError::NotAnObject.into()),
        ] {
            assert_eq!(param(params), Err(error), "{params}");
        }
    }
}

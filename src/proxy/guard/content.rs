//! Requests whose model is in the body, and answers that list models.

use std::borrow::Cow;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{self, HeaderName},
    request::Parts,
};

use super::refuse;
use crate::{
    core::{
        body::{
            listing::Listing,
            model::{self, Named},
        },
        policy::compiled::CompiledPolicy,
        protocol::{BodyModel, ModelUse, Route},
    },
    proxy::http::{
        answer::Refusal,
        body::AnswerBody,
        collect::{MAX_ANSWER, collect},
    },
};

/// What a request asks for that is not for a part, or another form, of the list.
const ASKS_FOR_LESS: [HeaderName; 4] =
    [header::RANGE, header::IF_RANGE, header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE];
/// What an answer says of the bytes that are no longer in it.
const OF_THE_WHOLE: [HeaderName; 6] = [
    header::CONTENT_LENGTH,
    header::ETAG,
    header::ACCEPT_RANGES,
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
];

/// Whether a body is what it will be read as, JSON and not compressed, and nothing in the head chooses another model than
/// it. Another type could be read otherwise by the server.
pub fn check_head(parts: &Parts) -> Result<(), Refusal> {
    let Parts { headers, uri, .. } = parts;
    let may_choose = headers.keys().any(|name| model::may_choose(name.as_str()));
    if may_choose || uri.query().is_some_and(model::query_may_choose) {
        return Err(refuse::model_in_head());
    }
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(refuse::content_encoding());
    }
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (first, second) = (types.next(), types.next());
    let is_json = first.and_then(|value| value.to_str().ok()).is_some_and(is_json);
    if is_json && second.is_none() { Ok(()) } else { Err(refuse::content_type()) }
}

/// `application/json`, with no other character set than JSON has.
fn is_json(value: &str) -> bool {
    let mut parts = value.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    is_json && parts.all(|part| part.is_empty() || part.replace('"', "").eq_ignore_ascii_case("charset=utf-8"))
}

/// A body that was read.
#[derive(Debug)]
pub struct Content<'a> {
    /// What it asks for.
    pub route: Route<'a>,
    /// What the application gets.
    pub body: Bytes,
}

/// Finds what a body asks for.
pub fn read<'a>(body: Bytes, route: Route<'a>, policy: &CompiledPolicy) -> Result<Content<'a>, Refusal> {
    match route.models {
        ModelUse::InBody(place) => {
            let (model, body) = model(body, place, policy)?;
            Ok(Content { route: Route { models: ModelUse::One(Cow::Owned(model)), ..route }, body })
        }
        ModelUse::None | ModelUse::One(_) | ModelUse::InQuery(_) | ModelUse::Every => Ok(Content { route, body }),
    }
}

/// Finds the model that a body names. One that names none means the endpoint's only one, which is put in: the server may
/// have others, and a default of its own. Where there are more it is refused.
fn model(body: Bytes, place: BodyModel, policy: &CompiledPolicy) -> Result<(String, Bytes), Refusal> {
    let named = model::named(&body, place).map_err(|error| refuse::body(error.into(), &error))?;
    match named {
        Named::Model(name) => {
            let name = name.into_owned();
            Ok((name, body))
        }
        Named::Nothing(gap) => {
            let only = policy.only_model().ok_or_else(refuse::no_model)?;
            Ok((only.to_owned(), gap.fill(only).into()))
        }
    }
}

/// Asks for a list as a whole and in plain text.
pub fn ask_for_list(headers: &mut HeaderMap) {
    for name in ASKS_FOR_LESS {
        headers.remove(name);
    }
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
}

/// The list as the caller may see it. A failure of the application passes as it is.
pub async fn cut_list(
    response: Response<AnswerBody>,
    listing: Listing,
    may: impl Fn(&str) -> bool,
) -> Result<Response<AnswerBody>, Refusal> {
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        return Ok(response);
    }
    let (mut parts, body) = response.into_parts();
    let is_plain = parts.headers.get(header::CONTENT_ENCODING).is_none_or(|coding| coding == "identity");
    if status != StatusCode::OK || !is_plain {
        return Err(refuse::list());
    }
    let whole = collect(body, MAX_ANSWER).await.map_err(|_| refuse::list())?;
    let cut = listing.cut(&whole, may).ok_or_else(refuse::list)?;
    for name in OF_THE_WHOLE {
        parts.headers.remove(name);
    }
    Ok(Response::from_parts(parts, AnswerBody::full(cut.into())))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn check_of(target: &str, fields: &[(HeaderName, &'static str)]) -> Result<(), &'static str> {
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.uri = target.parse().map_err(|_| "target")?;
        for (name, value) in fields {
            parts.headers.append(name, HeaderValue::from_static(value));
        }
        check_head(&parts).map_err(|refusal| refusal.reason())
    }

    fn check(fields: &[(HeaderName, &'static str)]) -> Result<(), &'static str> {
        check_of("/v1/chat/completions", fields)
    }

    #[test]
    fn nothing_in_the_head_chooses_a_model() {
        let json = (header::CONTENT_TYPE, "application/json");
        for (target, expected) in [
            ("/v1/messages?beta=true", Ok(())),
            ("/v1/chat/completions?model=m", Err("model_in_head")),
            ("/v1/chat/completions?a=b;Model=m", Err("model_in_head")),
            ("/v1/chat/completions?%6dodel=m", Err("model_in_head")),
        ] {
            assert_eq!(check_of(target, std::slice::from_ref(&json)), expected, "{target}");
        }
        for (name, expected) in [
            ("openai-organization", Ok(())),
            ("x-litellm-model", Err("model_in_head")),
            ("x-gateway-model-name", Err("model_in_head")),
        ] {
            assert_eq!(check(&[json.clone(), (HeaderName::from_static(name), "m")]), expected, "{name}");
        }
    }

    #[test]
    fn only_plain_json_is_read() {
        for good in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
        ] {
            assert_eq!(check(&[(header::CONTENT_TYPE, good)]), Ok(()), "{good}");
        }
        for bad in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/json; charset=utf-16",
            "application/json, text/plain",
            "application/jsonp",
            "",
        ] {
            assert_eq!(check(&[(header::CONTENT_TYPE, bad)]), Err("content_type"), "{bad}");
        }
        assert_eq!(check(&[]), Err("content_type"));
        let twice = [(header::CONTENT_TYPE, "application/json"), (header::CONTENT_TYPE, "text/plain")];
        assert_eq!(check(&twice), Err("content_type"));
        let packed = [(header::CONTENT_TYPE, "application/json"), (header::CONTENT_ENCODING, "gzip")];
        assert_eq!(check(&packed), Err("content_encoding"));
    }
}

//! Requests whose model is in the body, and answers that list models.

use std::borrow::Cow;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{self, HeaderName},
    request::Parts,
};

use super::{graphql, mcp, refuse};
use crate::{
    core::{
        body::{
            agent_card,
            listing::Listing,
            model::{self, ModelError, Named},
            multipart::{Form, FormError},
            rpc,
        },
        policy::compiled::CompiledPolicy,
        protocol::{BodyModel, Dialect, JsonModel, ModelUse, Need, Route, a2a},
        query,
    },
    proxy::http::{
        answer::Refusal,
        body::AnswerBody,
        collect::{MAX_ANSWER, MAX_FORM, MAX_REQUEST, collect},
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

/// Whether a body is what it will be read as, not compressed, and nothing in the head chooses another model than it.
/// Another type could be read otherwise by the server.
pub fn check_head(parts: &Parts, route: &Route<'_>) -> Result<(), Refusal> {
    let names_model = match route.models {
        ModelUse::InBody(place) => {
            check_query(parts, place)?;
            true
        }
        _ => false,
    };
    check_choice(parts, names_model)?;
    if route.need == Need::InBody(Dialect::GraphQl) {
        return graphql::check_head(parts);
    }
    let kind = content_type(&parts.headers).ok_or_else(|| refuse::content_type(wanted(route)))?;
    let fits = match route.models {
        ModelUse::InBody(BodyModel::Multipart(_)) => Form::of(kind).is_some(),
        _ => is_of(kind, wanted(route)),
    };
    if fits { Ok(()) } else { Err(refuse::content_type(wanted(route))) }
}

/// Whether the query says nothing under the name that the body does: some servers look there first.
fn check_query(parts: &Parts, place: BodyModel<'_>) -> Result<(), Refusal> {
    let name = match place {
        BodyModel::Json(place) => place.name(),
        BodyModel::Multipart(part) => part,
        BodyModel::Protobuf(_) | BodyModel::Session(_) => return Ok(()),
    };
    match parts.uri.query() {
        Some(query) if query::mentions(query, name) => Err(refuse::model_in_head(name)),
        _ => Ok(()),
    }
}

/// Whether a body that is read is not compressed, and, where it names the model, nothing but it does: some meshes and
/// gateways take one from the head.
pub fn check_choice(Parts { headers, uri, .. }: &Parts, names_model: bool) -> Result<(), Refusal> {
    let may_choose = || {
        headers.keys().any(|name| model::may_choose(name.as_str())) || uri.query().is_some_and(model::query_may_choose)
    };
    if names_model && may_choose() {
        return Err(refuse::model_in_head(model::MODEL));
    }
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(refuse::content_encoding());
    }
    Ok(())
}

/// The one content type that a request says it has.
pub fn content_type(headers: &HeaderMap) -> Option<&str> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (first, second) = (types.next()?, types.next());
    if second.is_none() { first.to_str().ok() } else { None }
}

/// What a route's body has to be.
fn wanted(route: &Route<'_>) -> &'static str {
    match route.models {
        ModelUse::InBody(BodyModel::Multipart(_)) => "multipart/form-data",
        _ => "application/json",
    }
}

/// How large a route's body may be, in bytes: forms carry files.
pub fn most(route: &Route<'_>) -> usize {
    match route.models {
        ModelUse::InBody(BodyModel::Multipart(_)) => MAX_FORM,
        _ => MAX_REQUEST,
    }
}

/// Whether a content type is this one, with no other character set than JSON has.
pub fn is_of(value: &str, wanted: &str) -> bool {
    let mut parts = value.split(';').map(str::trim);
    let is_wanted = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case(wanted));
    is_wanted && parts.all(|part| part.is_empty() || part.replace('"', "").eq_ignore_ascii_case("charset=utf-8"))
}

/// A body that was read.
#[derive(Debug)]
pub struct Content<'a> {
    /// What it asks for; `None`: nothing that there is.
    pub route: Option<Route<'a>>,
    /// What the application gets instead of it.
    pub replaced: Option<Bytes>,
}

/// Finds what a body asks for.
pub fn read<'a>(
    parts: &Parts,
    body: &'a [u8],
    route: Route<'a>,
    policy: &CompiledPolicy,
) -> Result<Content<'a>, Refusal> {
    match (route.need, &route.models) {
        (Need::InBody(Dialect::Mcp), _) => Ok(Content { route: mcp::read(&parts.headers, body)?, replaced: None }),
        (Need::InBody(Dialect::A2a), _) => {
            let message = rpc::message(body).map_err(|error| refuse::body(error.into(), &error))?;
            Ok(Content { route: a2a::call(&message), replaced: None })
        }
        (Need::InBody(Dialect::GraphQl), _) => Ok(Content { route: Some(graphql::read(parts, body)?), replaced: None }),
        (_, ModelUse::InBody(place)) => {
            let (name, replaced) = match place {
                BodyModel::Multipart(part) => in_form(&parts.headers, body, part, policy)?,
                BodyModel::Json(place) => in_json(body, *place, policy)?,
                // Read message by message, as they come.
                BodyModel::Protobuf(_) | BodyModel::Session(_) => return Ok(Content { route: None, replaced: None }),
            };
            Ok(Content { route: Some(Route { models: ModelUse::One(name), ..route }), replaced })
        }
        _ => Ok(Content { route: Some(route), replaced: None }),
    }
}

/// Finds the model that a JSON body names. One that names none means the endpoint's only one, which is put in: the server
/// may have others, and a default of its own. Where there are more it is refused.
fn in_json<'a>(
    body: &'a [u8],
    place: JsonModel<'a>,
    policy: &CompiledPolicy,
) -> Result<(Cow<'a, str>, Option<Bytes>), Refusal> {
    match model::named(body, place).map_err(|error| refuse::body(error.into(), &error))? {
        Named::Model(name) => Ok((name, None)),
        Named::Nothing(gap) => {
            let only = policy.only_model().ok_or_else(|| refuse::no_model(place.name()))?;
            Ok((Cow::Owned(only.to_owned()), Some(gap.fill(only).into())))
        }
    }
}

/// The same for a form. An empty part is one already, so none is put in beside it.
fn in_form<'a>(
    headers: &HeaderMap,
    body: &'a [u8],
    part: &str,
    policy: &CompiledPolicy,
) -> Result<(Cow<'a, str>, Option<Bytes>), Refusal> {
    let no_model = || refuse::no_model(part);
    let form = content_type(headers).and_then(Form::of).ok_or_else(|| refuse::content_type("multipart/form-data"))?;
    let refused = |error: FormError| refuse::body(error.into(), &error);
    let form = form.map_err(refused)?;
    match form.part(body, part, model::rivals_of(part)).map_err(refused)? {
        Some(name) if name.len() > model::MAX_NAME => {
            let error = ModelError::NameTooLong;
            Err(refuse::body(error.into(), &error))
        }
        Some(name) if !name.is_empty() => Ok((name, None)),
        Some(_) => Err(no_model()),
        None => {
            let only = policy.only_model().filter(|only| is_one_line(only)).ok_or_else(no_model)?;
            Ok((Cow::Owned(only.to_owned()), Some(form.with_part(body, part, only).into())))
        }
    }
}

fn is_one_line(name: &str) -> bool {
    !name.bytes().any(|byte| byte.is_ascii_control())
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
    rewrite(response, |whole| listing.cut(whole, may)).await
}

/// The card of an agent with its URLs at `base`, where the guard is. Without one it says what the agent says of itself.
pub async fn move_card(response: Response<AnswerBody>, base: Option<&str>) -> Result<Response<AnswerBody>, Refusal> {
    rewrite(response, |whole| base.map_or_else(|| Some(whole.to_vec()), |base| agent_card::moved(whole, base))).await
}

/// An answer that is read as a whole and replaced. A failure of the application passes as it is.
async fn rewrite(
    response: Response<AnswerBody>,
    replace: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
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
    let replaced = replace(&whole).ok_or_else(refuse::list)?;
    for name in OF_THE_WHOLE {
        parts.headers.remove(name);
    }
    Ok(Response::from_parts(parts, AnswerBody::full(replaced.into())))
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
        check_head(&parts, &Route::new("", "predict", ModelUse::IN_JSON)).map_err(|refusal| refusal.reason())
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

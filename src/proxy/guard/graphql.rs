//! GraphQL, as Dagster's webserver takes it: in the URL of a GET, or of a POST whose type says nothing; in a body of JSON;
//! or as the body (`application/graphql`). What the document asks for is in `core/body/graphql`.

use std::borrow::Cow;

use http::{Method, request::Parts};

use super::{admit::ambiguous, content, refuse};
use crate::{
    core::{
        body::{graphql, json},
        protocol::{Route, dagster},
        query,
    },
    proxy::http::answer::Refusal,
};

/// The parameter and the member that hold the document.
const QUERY: &str = "query";

/// Why a request's document cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
enum DocumentError {
    /// There is none.
    #[error("the request has no GraphQL document")]
    DocumentMissing,
    /// In the URL and in the body: which one counts depends on the type of the body.
    #[error("the request has a GraphQL document in its URL and something in its body")]
    DocumentTwice,
    /// A call has one permission.
    #[error("the GraphQL document asks for what needs different permissions; send one after the other")]
    DifferentNeeds,
}

impl From<DocumentError> for Refusal {
    fn from(error: DocumentError) -> Self {
        refuse::body(error.into(), &error)
    }
}

/// Where the server takes the document from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Url,
    Json,
    Body,
}

/// Whether the head says what the body is. The server looks for `application/json` anywhere in its type, so only types
/// that have one reading are taken.
pub fn check_head(parts: &Parts) -> Result<(), Refusal> {
    place(parts).map(drop)
}

fn place(parts: &Parts) -> Result<Place, Refusal> {
    // The body of a GET is not looked at, whatever it is said to be.
    if parts.method == Method::GET || !parts.headers.contains_key(http::header::CONTENT_TYPE) {
        return Ok(Place::Url);
    }
    match content::content_type(&parts.headers) {
        Some(kind) if content::is_of(kind, "application/json") => Ok(Place::Json),
        Some(kind) if content::is_of(kind, "application/graphql") => Ok(Place::Body),
        _ => Err(refuse::content_type("application/json")),
    }
}

/// Finds what a request asks for.
pub fn read(parts: &Parts, body: &[u8]) -> Result<Route<'static>, Refusal> {
    let asked = match document(parts, body)? {
        Some(document) => {
            let asked = graphql::read(&document).map_err(|error| refuse::body(error.into(), &error))?;
            dagster::call(&asked)
        }
        // A page to write one in.
        None if parts.method == Method::GET => dagster::call(&graphql::Asked { looks: true, ..Default::default() }),
        None => return Err(DocumentError::DocumentMissing.into()),
    };
    asked.ok_or_else(|| DocumentError::DifferentNeeds.into())
}

/// The document, from the one place where there may be one.
fn document<'a>(parts: &'a Parts, body: &'a [u8]) -> Result<Option<Cow<'a, str>>, Refusal> {
    let in_url = query::one(parts.uri.query().unwrap_or_default(), QUERY);
    let in_url = in_url.map_err(|error| ambiguous(error.into(), &error))?;
    let place = place(parts)?;
    match (place, in_url) {
        (Place::Url, in_url) if body.is_empty() => Ok(in_url),
        (_, Some(_)) => Err(DocumentError::DocumentTwice.into()),
        (Place::Url, None) => Err(refuse::content_type("application/json")),
        (Place::Json, None) => in_json(body).map_err(|error| refuse::body(error.into(), &error)),
        (Place::Body, None) => {
            let error = json::JsonError::NotUtf8;
            let text = std::str::from_utf8(body).map_err(|_| refuse::body(error.into(), &error))?;
            Ok(Some(Cow::Borrowed(text)).filter(|text| !text.is_empty()))
        }
    }
}

/// The member `query`. A batch is no object.
fn in_json(body: &[u8]) -> Result<Option<Cow<'_, str>>, json::JsonError> {
    let [document] = json::select(body, [QUERY])?;
    document.map(json::text).transpose()
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Request, header};

    use super::*;
    use crate::core::protocol::Need;

    /// What a request asks for, or why it is refused.
    fn ask(line: &str, kind: Option<&'static str>, body: &str) -> String {
        let (method, target) = line.split_once(' ').unwrap_or_default();
        let Ok(request) = Request::builder().method(method).uri(target).body(()) else { panic!("{line}") };
        let (mut parts, ()) = request.into_parts();
        if let Some(kind) = kind {
            parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        match check_head(&parts).and_then(|()| read(&parts, body.as_bytes())) {
            Ok(Route { need: Need::Permission(permission), .. }) => permission.to_owned(),
            Ok(other) => format!("{other:?}"),
            Err(refusal) => refusal.reason().to_owned(),
        }
    }

    #[test]
    fn the_document_is_where_the_server_takes_it_from() {
        let json = Some("application/json");
        let text = Some("application/graphql");
        for (line, kind, body, expected) in [
            ("POST /graphql", json, r#"{"query":"{version}"}"#, "read"),
            ("POST /graphql", json, r#"{"query":"mutation{launchRun}","variables":{"query":"x"}}"#, "execute"),
            ("POST /graphql", json, r#"{"operationName":"A","query":"mutation A{deleteRun}"}"#, "admin"),
            ("POST /graphql", json, r#"{"query":"query A{version} mutation B{launchRun}"}"#, "different_needs"),
            ("POST /graphql", json, r#"{"query":"{version}","query":"mutation{launchRun}"}"#, "duplicate_member"),
            ("POST /graphql", json, r#"{"query":"{version}","Query":"x"}"#, "lookalike_member"),
            ("POST /graphql", json, r#"[{"query":"{version}"}]"#, "not_an_object"),
            ("POST /graphql", json, r#"{"query":["{version}"]}"#, "not_text"),
            ("POST /graphql", json, r#"{"query":null}"#, "document_missing"),
            ("POST /graphql", json, "{}", "document_missing"),
            ("POST /graphql?query={version}", json, r#"{"query":"mutation{launchRun}"}"#, "document_twice"),
            ("POST /graphql?query={version}", text, "mutation{launchRun}", "document_twice"),
            ("POST /graphql", text, "mutation{launchRun}", "execute"),
            ("POST /graphql", Some("application/graphql; charset=utf-8"), "{version}", "read"),
            ("POST /graphql", Some("application/graphql; charset=utf-16"), "{version}", "content_type"),
            ("POST /graphql", text, "", "document_missing"),
            ("POST /graphql", Some("text/plain; application/json"), r#"{"query":"{version}"}"#, "content_type"),
            ("POST /graphql", Some("application/graphql, application/json"), "{version}", "content_type"),
            ("POST /graphql?query=mutation{launchRun}", Some("multipart/form-data; boundary=x"), "", "content_type"),
            ("POST /graphql?query={version}", Some("application/x-www-form-urlencoded"), "", "content_type"),
            ("POST /graphql?query=mutation{launchRun}", None, "", "execute"),
            ("POST /graphql?query={version}", None, "x", "document_twice"),
            ("POST /graphql", None, r#"{"query":"{version}"}"#, "content_type"),
            ("POST /graphql", None, "", "document_missing"),
            ("GET /graphql", None, "", "read"),
            ("GET /graphql?query=mutation+{launchRun}", None, "", "execute"),
            ("GET /graphql?query=mutation%7BlaunchRun%7D", json, "", "execute"),
            ("GET /graphql?query={version}&query=mutation{launchRun}", None, "", "duplicate_parameter"),
            ("GET /graphql?query={version};query=mutation{launchRun}", None, "", "duplicate_parameter"),
            ("GET /graphql?query={version}", json, r#"{"query":"mutation{launchRun}"}"#, "document_twice"),
            ("GET /graphql?query={version", None, "", "not_executable"),
        ] {
            assert_eq!(ask(line, kind, body), expected, "{line} {kind:?} {body}");
        }
    }
}

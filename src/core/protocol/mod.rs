//! Route tables: which permission a request of a protocol asks for. Pure.
//!
//! To add a protocol: write its table in a file of its own (a `PERMISSIONS`
//! list and a `route` function), then add one line to each `match` here. The
//! compiler names the places once [`Protocol`] has the new variant.

pub mod http;
pub mod open_inference;
pub mod openai;
pub mod tensorflow_serving;

use std::borrow::Cow;

use crate::core::{body::listing::Listing, path::CanonicalPath, policy::document::Protocol};

/// What a route asks of its caller, and which model it touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route<'a> {
    /// The route's pattern, for the audit record: of bounded cardinality.
    pub name: &'a str,
    /// What it asks for.
    pub need: Need<'a>,
    /// Which models it touches.
    pub models: ModelUse<'a>,
    /// Its answer lists models: only those that the caller may use are shown.
    pub listing: Option<Listing>,
}

/// What a route asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need<'a> {
    /// Nothing: a probe.
    Public,
    /// This permission.
    Permission(&'a str),
}

/// Which models a call touches. A grant narrowed to models covers only what it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelUse<'a> {
    /// No model: what the server says of itself.
    None,
    /// One, by its decoded name.
    One(Cow<'a, str>),
    /// The one that the body names. Until that is read, it counts as every model.
    InBody(BodyModel),
    /// Any number, or it cannot be told: needs a grant of every model.
    Every,
}

/// Where a body names its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyModel {
    /// The top-level member `model` of a JSON object.
    Json,
    /// The same, or `name`, as Ollama has it where it is older.
    JsonOrName,
}

/// The most segments that a table looks at; a longer path is in no table.
const TABLE_SEGMENTS: usize = 8;

/// Looks a request up in the protocol's own table; `None`: no such route, so denied.
pub fn route<'a>(protocol: Protocol, method: &str, path: CanonicalPath<'a>) -> Option<Route<'a>> {
    let mut segments = [""; TABLE_SEGMENTS];
    let mut count = 0;
    for segment in path.segments() {
        *segments.get_mut(count)? = segment;
        count += 1;
    }
    let segments = &segments[..count];
    match protocol {
        Protocol::OpenInference => open_inference::route(method, segments),
        Protocol::OpenAi => openai::route(method, segments),
        Protocol::TensorFlowServing => tensorflow_serving::route(method, segments),
        Protocol::Http => http::route(method, segments),
    }
}

/// Every permission that the protocol's table can ask for: the client roles
/// that an endpoint has before its custom rules add theirs.
pub fn permissions(protocol: Protocol) -> &'static [&'static str] {
    match protocol {
        Protocol::OpenInference => open_inference::PERMISSIONS,
        Protocol::OpenAi => openai::PERMISSIONS,
        Protocol::TensorFlowServing => tensorflow_serving::PERMISSIONS,
        Protocol::Http => http::PERMISSIONS,
    }
}

impl<'a> Route<'a> {
    /// A route that needs `permission` and touches `models`.
    pub(crate) fn new(name: &'a str, permission: &'a str, models: ModelUse<'a>) -> Self {
        Self { name, need: Need::Permission(permission), models, listing: None }
    }

    /// The same with an answer that lists models.
    pub(crate) fn listing(self, listing: Listing) -> Self {
        Self { listing: Some(listing), ..self }
    }

    /// A probe: open to whoever reaches the port.
    pub(crate) fn public(name: &'a str) -> Self {
        Self { name, need: Need::Public, models: ModelUse::None, listing: None }
    }
}

impl<'a> ModelUse<'a> {
    /// The one that the member `model` of a JSON body names.
    pub(crate) const IN_JSON: Self = Self::InBody(BodyModel::Json);

    /// The model that a path segment names. An empty or undecodable name is no model.
    pub(crate) fn named(segment: &'a str) -> Option<Self> {
        crate::core::path::decode(segment).filter(|name| !name.is_empty()).map(Self::One)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A row of a table's test: method, path, and what is asked for: the need and the models, in the words of [`ask`].
    type Row<'a> = (&'a str, &'a str, Option<(&'a str, &'a str)>);

    /// Whether a table says what it should of each request.
    #[track_caller]
    pub fn check(table: impl for<'a> Fn(&str, &[&'a str]) -> Option<Route<'a>>, rows: &[Row<'_>]) {
        for (method, path, expected) in rows {
            let expected = expected.map(|(need, models)| (need.to_owned(), models.to_owned()));
            assert_eq!(ask(&table, method, path), expected, "{method} {path}");
        }
    }

    /// What a table asks for, in words.
    fn ask(
        table: impl for<'a> Fn(&str, &[&'a str]) -> Option<Route<'a>>,
        method: &str,
        path: &str,
    ) -> Option<(String, String)> {
        let segments: Vec<&str> = path[1..].split('/').collect();
        let route = table(method, &segments)?;
        let need = match route.need {
            Need::Public => "public",
            Need::Permission(permission) => permission,
        };
        let models = match route.models {
            ModelUse::None => "-".to_owned(),
            ModelUse::Every => "*".to_owned(),
            ModelUse::InBody(BodyModel::Json) => "in JSON".to_owned(),
            ModelUse::InBody(BodyModel::JsonOrName) => "in JSON or name".to_owned(),
            ModelUse::One(name) => name.into_owned(),
        };
        Some((need.to_owned(), models))
    }

    /// Whatever a table asks for must be in its list, or no role would ever exist for it.
    #[test]
    fn tables_ask_only_for_listed_permissions() {
        let paths = [
            "/v2",
            "/v2/health/live",
            "/v2/models/m",
            "/v2/models/m/infer",
            "/v2/models/m/stats",
            "/v2/repository/index",
            "/v2/repository/models/m/load",
            "/v2/trace/setting",
            "/v2/logging",
            "/v2/systemsharedmemory/status",
            "/v1/models",
            "/v1/models/m",
            "/v1/models/m:predict",
            "/v1/chat/completions",
            "/v1/fine_tuning/jobs",
            "/v1/load_lora_adapter",
            "/collective_rpc",
            "/api/pull",
        ];
        for protocol in [Protocol::OpenInference, Protocol::OpenAi, Protocol::TensorFlowServing, Protocol::Http] {
            for path in paths {
                for method in ["GET", "HEAD", "POST", "PUT", "DELETE"] {
                    let Ok(path) = CanonicalPath::parse(path) else { panic!("{path}") };
                    if let Some(Route { need: Need::Permission(permission), .. }) = route(protocol, method, path) {
                        assert!(permissions(protocol).contains(&permission), "{protocol} {permission}");
                    }
                }
            }
        }
    }
}

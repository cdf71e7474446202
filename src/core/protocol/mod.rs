//! Route tables: which permission a request of a protocol asks for. Pure.
//!
//! To add a protocol: write its table in a file of its own (a `PERMISSIONS`
//! list and a `route` function), then add one line to [`Table::of`]. The
//! compiler names the places once [`Protocol`] has the new variant.

pub mod a2a;
pub mod dagster;
pub mod grpc;
pub mod http;
pub mod mcp;
pub mod mlflow;
pub mod open_inference;
pub mod openai;
pub mod prefect;
pub mod ray;
pub mod tensorflow_serving;
pub mod torchserve;

use std::borrow::Cow;

use crate::core::{
    body::{listing::Listing, model},
    path::{self, CanonicalPath},
    policy::document::Protocol,
};

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
    /// How it travels.
    pub wire: Wire,
}

/// How a route's call travels. One that comes in another way is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// A request and its answer.
    Http,
    /// gRPC: HTTP/2, `application/grpc`, messages in frames.
    Grpc(Messages),
    /// A websocket (RFC 6455): looked up by the method [`WEBSOCKET`].
    WebSocket,
    /// A websocket whose client sends JSON texts, each decided by itself.
    Session,
}

/// How many messages a gRPC call sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Messages {
    /// Just one.
    One,
    /// Any number, each decided by itself.
    Many,
}

/// The method under which a request for a websocket is looked up: never under the `GET` that it is.
pub const WEBSOCKET: &str = "WEBSOCKET";

/// What a route asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need<'a> {
    /// Nothing: a probe.
    Public,
    /// This permission.
    Permission(&'a str),
    /// What the body asks for. Until that is read, some grant on the endpoint.
    InBody(Dialect),
}

/// What a body says that is itself a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// A message of the Model Context Protocol (JSON-RPC 2.0).
    Mcp,
    /// A message of Agent2Agent (JSON-RPC 2.0).
    A2a,
    /// GraphQL, as Dagster has it.
    GraphQl,
}

/// Which models a call touches. A grant narrowed to models covers only what it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelUse<'a> {
    /// No model: what the server says of itself.
    None,
    /// One, by its decoded name.
    One(Cow<'a, str>),
    /// The one that this parameter of the query names. Until that is read, it counts as every model.
    InQuery(&'a str),
    /// The one that the body names. Until that is read, it counts as every model.
    InBody(BodyModel<'a>),
    /// Any number, or it cannot be told: needs a grant of every model.
    Every,
}

/// Where a body names its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyModel<'a> {
    /// A JSON object.
    Json(JsonModel<'a>),
    /// This part of a `multipart/form-data` body (RFC 7578).
    Multipart(&'a str),
    /// The field of a protobuf message that these numbers lead to, from the outside in.
    Protobuf(&'a [u32]),
    /// This parameter of the query that opens a [`Wire::Session`], and the members of this name in its messages.
    Session(&'a str),
}

/// Where a JSON object names its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonModel<'a> {
    /// In this top-level member.
    Member(&'a str),
    /// In `model`, or in `name`, as Ollama has it where it is older.
    ModelOrName,
}

/// The most segments that a table looks at: all there may be, as the names of artifacts and files have slashes of their own.
const TABLE_SEGMENTS: usize = path::MAX_SEGMENTS;

/// Looks a request up in the protocol's own table; `None`: no such route, so denied.
pub fn route<'a>(protocol: Protocol, method: &str, path: CanonicalPath<'a>) -> Option<Route<'a>> {
    let mut segments = [""; TABLE_SEGMENTS];
    let mut count = 0;
    for segment in path.segments() {
        *segments.get_mut(count)? = segment;
        count += 1;
    }
    let segments = &segments[..count];
    (Table::of(protocol).route)(method, segments)
}

/// Every permission that the protocol's table can ask for: the client roles
/// that an endpoint has before its custom rules add theirs.
pub fn permissions(protocol: Protocol) -> &'static [&'static str] {
    Table::of(protocol).permissions
}

/// What a protocol's file says of it.
struct Table {
    route: for<'a> fn(&str, &[&'a str]) -> Option<Route<'a>>,
    permissions: &'static [&'static str],
}

impl Table {
    fn of(protocol: Protocol) -> Self {
        match protocol {
            Protocol::OpenInference => Self { route: open_inference::route, permissions: open_inference::PERMISSIONS },
            Protocol::OpenAi => Self { route: openai::route, permissions: openai::PERMISSIONS },
            Protocol::TensorFlowServing => {
                Self { route: tensorflow_serving::route, permissions: tensorflow_serving::PERMISSIONS }
            }
            Protocol::TorchServe => Self { route: torchserve::route, permissions: torchserve::PERMISSIONS },
            Protocol::Mcp => Self { route: mcp::route, permissions: mcp::PERMISSIONS },
            Protocol::A2a => Self { route: a2a::route, permissions: a2a::PERMISSIONS },
            Protocol::Prefect => Self { route: prefect::route, permissions: prefect::PERMISSIONS },
            Protocol::MlFlow => Self { route: mlflow::route, permissions: mlflow::PERMISSIONS },
            Protocol::Ray => Self { route: ray::route, permissions: ray::PERMISSIONS },
            Protocol::Dagster => Self { route: dagster::route, permissions: dagster::PERMISSIONS },
            Protocol::Grpc => Self { route: grpc::route, permissions: grpc::PERMISSIONS },
            Protocol::Http => Self { route: http::route, permissions: http::PERMISSIONS },
        }
    }
}

impl<'a> Route<'a> {
    /// A route that needs `permission` and touches `models`.
    pub(crate) fn new(name: &'a str, permission: &'a str, models: ModelUse<'a>) -> Self {
        Self { name, need: Need::Permission(permission), models, listing: None, wire: Wire::Http }
    }

    /// A route whose body says what it asks for.
    pub(crate) fn in_body(name: &'a str, dialect: Dialect) -> Self {
        let (need, models) = (Need::InBody(dialect), ModelUse::None);
        Self { name, need, models, listing: None, wire: Wire::Http }
    }

    /// The same over another wire.
    pub(crate) fn over(self, wire: Wire) -> Self {
        Self { wire, ..self }
    }

    /// Whether the body has to be read before it can be decided.
    pub fn is_in_body(&self) -> bool {
        matches!(self.need, Need::InBody(_)) || matches!(self.models, ModelUse::InBody(_))
    }

    /// The same with an answer that lists models.
    pub(crate) fn listing(self, listing: Listing) -> Self {
        Self { listing: Some(listing), ..self }
    }

    /// A probe: open to whoever reaches the port.
    pub(crate) fn public(name: &'a str) -> Self {
        Self { name, need: Need::Public, models: ModelUse::None, listing: None, wire: Wire::Http }
    }
}

impl<'a> ModelUse<'a> {
    /// The one that the member `model` of a JSON body names.
    pub(crate) const IN_JSON: Self = Self::InBody(BodyModel::Json(JsonModel::Member(model::MODEL)));

    /// The model that a path segment names. An empty or undecodable name is no model.
    pub(crate) fn named(segment: &'a str) -> Option<Self> {
        path::decode(segment).filter(|name| !name.is_empty()).map(Self::One)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use strum::IntoEnumIterator;

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
        table(method, &segments).map(|route| words(&route))
    }

    /// A route's need and its models.
    pub fn words(route: &Route<'_>) -> (String, String) {
        let need = match route.need {
            Need::Public => "public",
            Need::Permission(permission) => permission,
            Need::InBody(Dialect::Mcp) => "MCP",
            Need::InBody(Dialect::A2a) => "A2A",
            Need::InBody(Dialect::GraphQl) => "GraphQL",
        };
        let models = match &route.models {
            ModelUse::None => "-".to_owned(),
            ModelUse::Every => "*".to_owned(),
            ModelUse::InBody(BodyModel::Json(JsonModel::Member(model::MODEL))) => "in JSON".to_owned(),
            ModelUse::InBody(BodyModel::Json(JsonModel::ModelOrName)) => "in JSON or name".to_owned(),
            ModelUse::InBody(BodyModel::Json(JsonModel::Member(member))) => format!("in JSON {member}"),
            ModelUse::InBody(BodyModel::Multipart(model::MODEL)) => "in multipart".to_owned(),
            ModelUse::InBody(BodyModel::Multipart(part)) => format!("in multipart {part}"),
            ModelUse::InBody(BodyModel::Protobuf(path)) => format!("in protobuf {path:?}"),
            ModelUse::InBody(BodyModel::Session(name)) => format!("in session {name}"),
            ModelUse::InQuery(parameter) => format!("in query {parameter}"),
            ModelUse::One(name) => name.clone().into_owned(),
        };
        (need.to_owned(), models)
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
            "/models",
            "/models/m",
            "/predictions/m",
            "/workflows/w",
            "/org.pytorch.serve.grpc.management.ManagementAPIsService/ScaleWorker",
            "/api/flow_runs/x/set_state",
            "/api/block_documents/x",
            "/api/deployments/x",
            "/api/work_pools/p",
            "/api/work_pools/p/workers/connect",
            "/api/2.0/mlflow/runs/create",
            "/api/2.0/mlflow/runs/delete",
            "/api/2.0/mlflow/registered-models/create",
            "/api/2.0/mlflow/webhooks",
            "/api/2.0/mlflow-artifacts/artifacts/a/b/c/d/e/f",
            "/api/jobs/",
            "/api/serve/applications/",
            "/worker/traceback",
            "/report_asset_check/a",
            "/graphql",
        ];
        for protocol in Protocol::iter() {
            for path in paths {
                for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", WEBSOCKET] {
                    let Ok(path) = CanonicalPath::parse(path) else { panic!("{path}") };
                    if let Some(Route { need: Need::Permission(permission), .. }) = route(protocol, method, path) {
                        assert!(permissions(protocol).contains(&permission), "{protocol} {permission}");
                    }
                }
            }
        }
    }
}

//! The Open Inference Protocol (KServe v2) over REST and gRPC, with what MLServer and
//! Triton add to it, and KServe's own protocol before it (`/v1`).

use super::{BodyModel, Messages, ModelUse, Route, Wire};
use crate::core::{body::listing::Listing, permission::Permission};

/// What the table can ask for.
pub const PERMISSIONS: &[&str] = &[Permission::READ, Permission::PREDICT, Permission::DEPLOY, Permission::ADMIN];

/// Looks up `segments`, the path split at its slashes.
pub fn route<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    match (method, segments) {
        (_, ["v2", rest @ ..]) => of_v2(method, rest),
        (_, ["v1", "models", rest @ ..]) => of_v1(method, rest),
        ("POST", [service, call]) => grpc(service, call),
        _ => None,
    }
}

/// `/inference.GRPCInferenceService/…`, and what MLServer has beside it.
fn grpc<'a>(service: &str, call: &'a str) -> Option<Route<'a>> {
    let one = |route: Route<'a>| Some(route.over(Wire::Grpc(Messages::One)));
    let named = |permission, path| Route::new(call, permission, ModelUse::InBody(BodyModel::Protobuf(path)));
    match (service, call) {
        ("grpc.health.v1.Health", "Check") => one(Route::public("Health/Check")),
        ("inference.GRPCInferenceService", "ServerLive" | "ServerReady") => one(Route::public(call)),
        ("inference.GRPCInferenceService", "ServerMetadata") => one(Route::new(call, Permission::READ, ModelUse::None)),
        ("inference.GRPCInferenceService", "ModelReady" | "ModelMetadata" | "ModelInfer") => {
            one(named(if call == "ModelInfer" { Permission::PREDICT } else { Permission::READ }, &[1]))
        }
        ("inference.GRPCInferenceService", "ModelStreamInfer") => {
            Some(named(Permission::PREDICT, &[1]).over(Wire::Grpc(Messages::Many)))
        }
        (
            "inference.GRPCInferenceService" | "inference.model_repository.ModelRepositoryService",
            "RepositoryModelLoad" | "RepositoryModelUnload",
        ) => one(named(Permission::DEPLOY, &[2])),
        ("inference.GRPCInferenceService" | "inference.model_repository.ModelRepositoryService", "RepositoryIndex") => {
            one(Route::new(call, Permission::READ, ModelUse::Every))
        }
        _ => None,
    }
}

/// `/v2…`
fn of_v2<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    match (method, segments) {
        ("GET" | "HEAD", ["health", "live"]) => Some(Route::public("/v2/health/live")),
        ("GET" | "HEAD", ["health", "ready"]) => Some(Route::public("/v2/health/ready")),
        ("GET" | "HEAD", []) => Some(Route::new("/v2", Permission::READ, ModelUse::None)),
        // KServe's.
        ("GET", ["models"]) => Some(list("/v2/models")),
        (_, ["models", rest @ ..]) => model(method, rest),
        (_, ["repository", rest @ ..]) => repository(method, rest),
        (
            _,
            [extension @ ("trace" | "logging" | "systemsharedmemory" | "cudasharedmemory" | "tpusharedmemory"), ..],
        ) => Some(Route::new(extension, Permission::ADMIN, ModelUse::Every)),
        _ => None,
    }
}

/// What is cut down to the caller's.
fn list<'a>(name: &'static str) -> Route<'a> {
    Route::new(name, Permission::READ, ModelUse::None).listing(Listing::OpenInference)
}

/// `/v1/models…`: a name has no colon.
fn of_v1<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    match (method, segments) {
        ("GET", []) => Some(list("/v1/models")),
        ("GET", [name]) if !name.contains(':') => {
            Some(Route::new("/v1/models/{model}", Permission::READ, ModelUse::named(name)?))
        }
        ("POST", [last]) => {
            let (name, "predict" | "explain") = last.split_once(':')? else { return None };
            Some(Route::new("/v1/models/{model}:predict", Permission::PREDICT, ModelUse::named(name)?))
        }
        _ => None,
    }
}

/// `/v2/models/…`
fn model<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    // Triton: statistics of every model.
    if let ("GET", ["stats"]) = (method, segments) {
        return Some(Route::new("/v2/models/stats", Permission::ADMIN, ModelUse::Every));
    }
    let (name, action) = match segments {
        [name, "versions", version, action @ ..] if !version.is_empty() => (*name, action),
        [name, action @ ..] => (*name, action),
        [] => return None,
    };
    let (route, permission) = match (method, action) {
        ("GET" | "HEAD", []) => ("/v2/models/{model}", Permission::READ),
        ("GET" | "HEAD", ["ready"]) => ("/v2/models/{model}/ready", Permission::READ),
        ("POST", ["infer"]) => ("/v2/models/{model}/infer", Permission::PREDICT),
        ("POST", ["infer_stream"]) => ("/v2/models/{model}/infer_stream", Permission::PREDICT),
        ("POST", ["generate"]) => ("/v2/models/{model}/generate", Permission::PREDICT),
        ("POST", ["generate_stream"]) => ("/v2/models/{model}/generate_stream", Permission::PREDICT),
        ("GET", ["config"]) => ("/v2/models/{model}/config", Permission::ADMIN),
        ("GET", ["stats"]) => ("/v2/models/{model}/stats", Permission::ADMIN),
        ("GET" | "POST", ["trace", "setting"]) => ("/v2/models/{model}/trace/setting", Permission::ADMIN),
        _ => return None,
    };
    Some(Route::new(route, permission, ModelUse::named(name)?))
}

/// `/v2/repository/…`: also `/v2/repository/{repository}/…`, which Triton takes.
fn repository<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    match (method, segments) {
        ("POST", ["index"]) => Some(list("/v2/repository/index")),
        ("POST", ["models", name, "load"]) => {
            Some(Route::new("/v2/repository/models/{model}/load", Permission::DEPLOY, ModelUse::named(name)?))
        }
        ("POST", ["models", name, "unload"]) => {
            Some(Route::new("/v2/repository/models/{model}/unload", Permission::DEPLOY, ModelUse::named(name)?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::protocol::tests::check;

    #[test]
    fn table() {
        let rows = [
            ("GET", "/v2/health/live", Some(("public", "-"))),
            ("HEAD", "/v2/health/ready", Some(("public", "-"))),
            ("POST", "/v2/health/ready", None),
            ("GET", "/v2", Some(("read", "-"))),
            ("GET", "/v2/", None),
            ("GET", "/v2/models/iris", Some(("read", "iris"))),
            ("GET", "/v2/models/iris/versions/1/ready", Some(("read", "iris"))),
            ("GET", "/v2/models/iris/versions/1", Some(("read", "iris"))),
            ("GET", "/v2/models/iris/versions", None),
            ("GET", "/v2/models/iris/versions/", None),
            ("GET", "/v2/models/", None),
            ("GET", "/v2/models", Some(("read", "-"))),
            ("POST", "/v2/models/iris/infer", Some(("predict", "iris"))),
            ("POST", "/v2/models/iris/infer/", None),
            ("POST", "/v2/models/iris/versions/v1/infer", Some(("predict", "iris"))),
            ("POST", "/v2/models/a%20b/infer", Some(("predict", "a b"))),
            ("POST", "/v2/models//infer", None),
            ("POST", "/v2/models/iris/generate_stream", Some(("predict", "iris"))),
            ("GET", "/v2/models/iris/infer", None),
            ("PUT", "/v2/models/iris/infer", None),
            ("POST", "/V2/models/iris/infer", None),
            ("POST", "/v2/models/iris/INFER", None),
            ("POST", "/v2/repository/index", Some(("read", "-"))),
            ("GET", "/v2/repository/index", None),
            ("POST", "/v2/repository/models/iris/load", Some(("deploy", "iris"))),
            ("POST", "/v2/repository/models/iris/unload", Some(("deploy", "iris"))),
            ("POST", "/v2/repository/iris/load", None),
            ("GET", "/v2/models/stats", Some(("admin", "*"))),
            ("GET", "/v2/models/iris/stats", Some(("admin", "iris"))),
            ("POST", "/v2/trace/setting", Some(("admin", "*"))),
            ("POST", "/v2/systemsharedmemory/region/x/register", Some(("admin", "*"))),
            ("GET", "/v1/models", Some(("read", "-"))),
            ("GET", "/v1/models/iris", Some(("read", "iris"))),
            ("GET", "/v1/models/iris:predict", None),
            ("POST", "/v1/models/iris:predict", Some(("predict", "iris"))),
            ("POST", "/v1/models/iris:explain", Some(("predict", "iris"))),
            ("POST", "/v1/models/iris:load", None),
            ("POST", "/v1/models/iris:x:predict", None),
            ("POST", "/v1/models/:predict", None),
            ("POST", "/v1/models/iris", None),
            ("POST", "/inference.GRPCInferenceService/ServerLive", Some(("public", "-"))),
            ("POST", "/inference.GRPCInferenceService/ServerReady", Some(("public", "-"))),
            ("POST", "/grpc.health.v1.Health/Check", Some(("public", "-"))),
            ("POST", "/grpc.health.v1.Health/Watch", None),
            ("POST", "/inference.GRPCInferenceService/ServerMetadata", Some(("read", "-"))),
            ("POST", "/inference.GRPCInferenceService/ModelReady", Some(("read", "in protobuf [1]"))),
            ("POST", "/inference.GRPCInferenceService/ModelMetadata", Some(("read", "in protobuf [1]"))),
            ("POST", "/inference.GRPCInferenceService/ModelInfer", Some(("predict", "in protobuf [1]"))),
            ("POST", "/inference.GRPCInferenceService/ModelStreamInfer", Some(("predict", "in protobuf [1]"))),
            ("POST", "/inference.GRPCInferenceService/RepositoryIndex", Some(("read", "*"))),
            ("POST", "/inference.GRPCInferenceService/RepositoryModelLoad", Some(("deploy", "in protobuf [2]"))),
            ("POST", "/inference.GRPCInferenceService/RepositoryModelUnload", Some(("deploy", "in protobuf [2]"))),
            ("POST", "/inference.model_repository.ModelRepositoryService/RepositoryIndex", Some(("read", "*"))),
            (
                "POST",
                "/inference.model_repository.ModelRepositoryService/RepositoryModelLoad",
                Some(("deploy", "in protobuf [2]")),
            ),
            ("POST", "/inference.model_repository.ModelRepositoryService/ModelInfer", None),
            ("POST", "/inference.GRPCInferenceService/SystemSharedMemoryRegister", None),
            ("POST", "/inference.GRPCInferenceService/modelinfer", None),
            ("GET", "/inference.GRPCInferenceService/ModelInfer", None),
            ("GET", "/metrics", None),
            ("GET", "/", None),
        ];
        check(route, &rows);
    }
}

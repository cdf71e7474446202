//! TorchServe: inference, management, metrics and gRPC, as its source has them (0.12, `frontend/server/…/http/api/rest`).
//!
//! All ports are one table here, so a path must mean the same on each: the inference port predicts on *any* method of
//! `/models/{model}/invoke`, `/{model}/predict` and `/{model}/{version}/predict`, which other ports take for something else.

use super::{BodyModel, Messages, ModelUse, Route, Wire};
use crate::core::{body::listing::Listing, permission::Permission};

/// What the table can ask for.
pub const PERMISSIONS: &[&str] = &[Permission::READ, Permission::PREDICT, Permission::DEPLOY];

/// Looks up `segments`, the path split at its slashes.
pub fn route<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    let about_server = |name| Some(Route::new(name, Permission::READ, ModelUse::None));
    match (method, segments) {
        ("GET", ["ping"]) => Some(Route::public("/ping")),
        ("GET", ["v2", "health", "live"]) => Some(Route::public("/v2/health/live")),
        ("GET", ["v2", "health", "ready"]) => Some(Route::public("/v2/health/ready")),
        ("GET", ["v2"]) => about_server("/v2"),
        ("OPTIONS", [""]) | ("GET", ["api-description"]) => about_server("/api-description"),
        ("GET", ["metrics"]) => Some(Route::new("/metrics", Permission::READ, ModelUse::Every)),
        // More behind the version is the handler's own affair.
        (_, ["predictions", name, ..]) => ask(method, "/predictions/{model}", name),
        (_, ["explanations", name, ..]) => ask(method, "/explanations/{model}", name),
        (_, ["models", rest @ ..]) => model(method, rest),
        (_, ["v1", "models", last]) => kserve(method, last),
        ("POST", ["v2", "models", name, "infer" | "explain"]) => {
            Some(Route::new("/v2/models/{model}/infer", Permission::PREDICT, plain(name)?))
        }
        (_, ["workflows", rest @ ..]) => workflow(method, rest),
        ("POST" | "PUT", ["wfpredict", name]) if *name != "predict" => {
            Some(Route::new("/wfpredict/{workflow}", Permission::PREDICT, ModelUse::Every))
        }
        ("POST", [service, call]) => grpc(service, call),
        _ => None,
    }
}

/// The documented `curl -T` is a PUT; the server predicts on GET too.
fn ask<'a>(method: &str, route: &'static str, name: &'a str) -> Option<Route<'a>> {
    let permission = match method {
        "GET" | "POST" | "PUT" => Permission::PREDICT,
        "OPTIONS" => Permission::READ,
        _ => return None,
    };
    Some(Route::new(route, permission, ModelUse::named(name)?))
}

/// `/models…`: management, and `invoke` of the inference port.
fn model<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    match (method, segments) {
        ("GET", []) => Some(Route::new("/models", Permission::READ, ModelUse::None).listing(Listing::TorchServe)),
        // Which one it is, the archive says that is fetched from `?url=`, or `model_name`, in the query or a body of JSON.
        ("POST", []) => Some(Route::new("/models", Permission::DEPLOY, ModelUse::Every)),
        ("POST", [name, "invoke"]) => {
            Some(Route::new("/models/{model}/invoke", Permission::PREDICT, ModelUse::named(name)?))
        }
        (_, [_, "invoke" | "predict"] | ["predict"]) => None,
        ("PUT", [name, version, "set-default"]) if !version.is_empty() => {
            Some(Route::new("/models/{model}/{version}/set-default", Permission::DEPLOY, ModelUse::named(name)?))
        }
        (_, [name] | [name, _]) => {
            let permission = match method {
                "GET" | "OPTIONS" => Permission::READ,
                "PUT" | "DELETE" => Permission::DEPLOY,
                _ => return None,
            };
            Some(Route::new("/models/{model}", permission, ModelUse::named(name)?))
        }
        _ => None,
    }
}

/// `/v1/models/{model}`, `…:predict`, `…:explain`: the name ends at the first colon.
fn kserve<'a>(method: &str, last: &'a str) -> Option<Route<'a>> {
    match (method, last.split_once(':')) {
        ("GET", None) if last != "predict" => {
            Some(Route::new("/v1/models/{model}", Permission::READ, ModelUse::named(last)?))
        }
        ("POST", Some((name, "predict" | "explain"))) => {
            Some(Route::new("/v1/models/{model}:predict", Permission::PREDICT, ModelUse::named(name)?))
        }
        _ => None,
    }
}

/// The server cuts the name at a colon.
fn plain(name: &str) -> Option<ModelUse<'_>> {
    if name.contains(':') { None } else { ModelUse::named(name) }
}

/// `/workflows…`: a workflow is made of models.
fn workflow<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    let (route, permission) = match (method, segments) {
        ("GET", []) => ("/workflows", Permission::READ),
        ("POST", []) => ("/workflows", Permission::DEPLOY),
        (_, ["predict" | ""]) => return None,
        ("GET", [_]) => ("/workflows/{workflow}", Permission::READ),
        ("DELETE", [_]) => ("/workflows/{workflow}", Permission::DEPLOY),
        _ => return None,
    };
    Some(Route::new(route, permission, ModelUse::Every))
}

/// The calls of `inference.proto`, `management.proto` and `open_inference_grpc.proto`.
fn grpc<'a>(service: &str, call: &str) -> Option<Route<'a>> {
    match service {
        "org.pytorch.serve.grpc.inference.InferenceAPIsService" => grpc_inference(call),
        "org.pytorch.serve.grpc.management.ManagementAPIsService" => grpc_management(call),
        "org.pytorch.serve.grpc.openinference.GRPCInferenceService" => grpc_open_inference(call),
        _ => None,
    }
}

/// The message's first field is the model's name.
const FIRST: ModelUse<'static> = ModelUse::InBody(BodyModel::Protobuf(&[1]));

const ONE: Wire = Wire::Grpc(Messages::One);

fn grpc_inference<'a>(call: &str) -> Option<Route<'a>> {
    let predict = |name, wire| Some(Route::new(name, Permission::PREDICT, FIRST).over(wire));
    match call {
        "Ping" => Some(Route::public("InferenceAPIsService/Ping").over(ONE)),
        "Predictions" => predict("InferenceAPIsService/Predictions", ONE),
        "StreamPredictions" => predict("InferenceAPIsService/StreamPredictions", ONE),
        "StreamPredictions2" => predict("InferenceAPIsService/StreamPredictions2", Wire::Grpc(Messages::Many)),
        _ => None,
    }
}

fn grpc_management<'a>(call: &str) -> Option<Route<'a>> {
    let (name, permission, models) = match call {
        "DescribeModel" => ("ManagementAPIsService/DescribeModel", Permission::READ, FIRST),
        // A text of JSON inside a message: not cut down.
        "ListModels" => ("ManagementAPIsService/ListModels", Permission::READ, ModelUse::Every),
        "RegisterModel" => ("ManagementAPIsService/RegisterModel", Permission::DEPLOY, ModelUse::Every),
        "ScaleWorker" => ("ManagementAPIsService/ScaleWorker", Permission::DEPLOY, FIRST),
        "SetDefault" => ("ManagementAPIsService/SetDefault", Permission::DEPLOY, FIRST),
        "UnregisterModel" => ("ManagementAPIsService/UnregisterModel", Permission::DEPLOY, FIRST),
        _ => return None,
    };
    Some(Route::new(name, permission, models).over(ONE))
}

fn grpc_open_inference<'a>(call: &str) -> Option<Route<'a>> {
    let route = match call {
        "ServerLive" => Route::public("GRPCInferenceService/ServerLive"),
        "ServerReady" => Route::public("GRPCInferenceService/ServerReady"),
        "ServerMetadata" => Route::new("GRPCInferenceService/ServerMetadata", Permission::READ, ModelUse::None),
        "ModelReady" => Route::new("GRPCInferenceService/ModelReady", Permission::READ, FIRST),
        "ModelMetadata" => Route::new("GRPCInferenceService/ModelMetadata", Permission::READ, FIRST),
        "ModelInfer" => Route::new("GRPCInferenceService/ModelInfer", Permission::PREDICT, FIRST),
        _ => return None,
    };
    Some(route.over(ONE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::protocol::tests::check;

    #[test]
    fn rest() {
        let rows = [
            ("GET", "/ping", Some(("public", "-"))),
            ("OPTIONS", "/", Some(("read", "-"))),
            ("GET", "/", None),
            ("GET", "/api-description", Some(("read", "-"))),
            ("GET", "/metrics", Some(("read", "*"))),
            ("GET", "/v2/health/live", Some(("public", "-"))),
            ("GET", "/v2", Some(("read", "-"))),
            ("POST", "/predictions/m", Some(("predict", "m"))),
            ("PUT", "/predictions/m/1.0", Some(("predict", "m"))),
            ("GET", "/predictions/m", Some(("predict", "m"))),
            ("POST", "/predictions/m/1.0/more/still", Some(("predict", "m"))),
            ("POST", "/predictions/a%20b", Some(("predict", "a b"))),
            ("OPTIONS", "/predictions/m", Some(("read", "m"))),
            ("DELETE", "/predictions/m", None),
            ("POST", "/predictions", None),
            ("POST", "/predictions/", None),
            ("POST", "/explanations/m", Some(("predict", "m"))),
            ("POST", "/v1/models/m:predict", Some(("predict", "m"))),
            ("POST", "/v1/models/m:explain", Some(("predict", "m"))),
            ("POST", "/v1/models/m:predict:x", None),
            ("POST", "/v1/models/m:x:predict", None),
            ("POST", "/v1/models/:predict", None),
            ("GET", "/v1/models/m:predict", None),
            ("GET", "/v1/models/m", Some(("read", "m"))),
            ("GET", "/v1/models/predict", None),
            ("POST", "/v2/models/m/infer", Some(("predict", "m"))),
            ("POST", "/v2/models/m/explain", Some(("predict", "m"))),
            ("POST", "/v2/models/m:x/infer", None),
            ("POST", "/v2/models/m/versions/1/infer", None),
            ("GET", "/models", Some(("read", "-"))),
            ("POST", "/models", Some(("deploy", "*"))),
            ("GET", "/models/m", Some(("read", "m"))),
            ("GET", "/models/m/all", Some(("read", "m"))),
            ("OPTIONS", "/models/m", Some(("read", "m"))),
            ("PUT", "/models/m", Some(("deploy", "m"))),
            ("PUT", "/models/m/1.0", Some(("deploy", "m"))),
            ("PUT", "/models/m/1.0/set-default", Some(("deploy", "m"))),
            ("GET", "/models/m/1.0/set-default", None),
            ("DELETE", "/models/m/1.0", Some(("deploy", "m"))),
            ("POST", "/models/m", None),
            ("GET", "/models/", None),
            // The inference port would predict.
            ("POST", "/models/m/invoke", Some(("predict", "m"))),
            ("GET", "/models/m/invoke", None),
            ("PUT", "/models/m/predict", None),
            ("GET", "/models/predict", None),
            ("POST", "/m/predict", None),
            ("POST", "/invocations", None),
            ("GET", "/workflows/predict", None),
            ("POST", "/wfpredict/predict", None),
            ("GET", "/workflows", Some(("read", "*"))),
            ("POST", "/workflows", Some(("deploy", "*"))),
            ("GET", "/workflows/w", Some(("read", "*"))),
            ("DELETE", "/workflows/w", Some(("deploy", "*"))),
            ("POST", "/wfpredict/w", Some(("predict", "*"))),
            ("POST", "/WFpredict/w", None),
            // Hands out its own tokens.
            ("GET", "/token", None),
        ];
        check(route, &rows);
    }

    #[test]
    fn grpc() {
        let first = "in protobuf [1]";
        let inference = |call: &str| format!("/org.pytorch.serve.grpc.inference.InferenceAPIsService/{call}");
        let management = |call: &str| format!("/org.pytorch.serve.grpc.management.ManagementAPIsService/{call}");
        let open = |call: &str| format!("/org.pytorch.serve.grpc.openinference.GRPCInferenceService/{call}");
        for (path, expected) in [
            (inference("Ping"), Some(("public", "-"))),
            (inference("Predictions"), Some(("predict", first))),
            (inference("StreamPredictions"), Some(("predict", first))),
            (inference("StreamPredictions2"), Some(("predict", first))),
            (inference("predictions"), None),
            (management("DescribeModel"), Some(("read", first))),
            (management("ListModels"), Some(("read", "*"))),
            (management("RegisterModel"), Some(("deploy", "*"))),
            (management("ScaleWorker"), Some(("deploy", first))),
            (management("SetDefault"), Some(("deploy", first))),
            (management("UnregisterModel"), Some(("deploy", first))),
            (open("ServerReady"), Some(("public", "-"))),
            (open("ServerMetadata"), Some(("read", "-"))),
            (open("ModelInfer"), Some(("predict", first))),
            (open("ModelStreamInfer"), None),
            ("/inference.GRPCInferenceService/ModelInfer".into(), None),
        ] {
            check(route, &[("POST", &path, expected), ("GET", &path, None)]);
            let segments: Vec<&str> = path[1..].split('/').collect();
            let many = Wire::Grpc(if path.ends_with("StreamPredictions2") { Messages::Many } else { Messages::One });
            assert_eq!(route("POST", &segments).map(|route| route.wire), expected.map(|_| many), "{path}");
        }
    }
}

//! TensorFlow Serving's interfaces, as its source has them: REST below `/v1/models/…`
//! (`tensorflow_serving/model_servers/http_rest_api_handler.cc`), and gRPC (`tensorflow_serving/apis/*.proto`).
//!
//! The server matches its paths without regard to case and does not decode
//! them. Here only the documented spelling is a route, and a name with a
//! percent-encoding is none: the model that is decided on is the one that is
//! served.

use std::borrow::Cow;

use super::{BodyModel, Messages, ModelUse, Route, Wire};
use crate::core::permission::Permission;

/// What the table can ask for.
pub const PERMISSIONS: &[&str] = &[Permission::READ, Permission::PREDICT, Permission::ADMIN];

/// `model_spec` → `name`.
const NAME: &[u32] = &[1, 1];
/// `tasks` → `model_spec` → `name`.
const NAME_OF_TASK: &[u32] = &[1, 1, 1];

/// Looks up `segments`, the path split at its slashes.
pub fn route<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    match (method, segments) {
        ("POST", [service, call]) if service.contains('.') => grpc(service, call),
        (_, ["v1", "models", rest @ ..]) => rest_api(method, rest),
        _ => None,
    }
}

/// `/v1/models/…`, which KServe's own servers have too.
pub(super) fn rest_api<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    match method {
        "GET" | "HEAD" => look(segments),
        "POST" => ask(segments),
        _ => None,
    }
}

/// `/tensorflow.serving.…`. `SessionService` runs any graph there is: it is no route.
fn grpc<'a>(service: &str, call: &str) -> Option<Route<'a>> {
    let one = |name, permission, models| Some(Route::new(name, permission, models).over(Wire::Grpc(Messages::One)));
    let named = |path| ModelUse::InBody(BodyModel::Protobuf(path));
    match (service, call) {
        ("tensorflow.serving.PredictionService", "Predict") => one("Predict", Permission::PREDICT, named(NAME)),
        ("tensorflow.serving.PredictionService", "Classify") => one("Classify", Permission::PREDICT, named(NAME)),
        ("tensorflow.serving.PredictionService", "Regress") => one("Regress", Permission::PREDICT, named(NAME)),
        ("tensorflow.serving.PredictionService", "MultiInference") => {
            one("MultiInference", Permission::PREDICT, named(NAME_OF_TASK))
        }
        ("tensorflow.serving.PredictionService", "GetModelMetadata") => {
            one("GetModelMetadata", Permission::READ, named(NAME))
        }
        ("tensorflow.serving.ModelService", "GetModelStatus") => one("GetModelStatus", Permission::READ, named(NAME)),
        // It may name every model, and paths to load them from.
        ("tensorflow.serving.ModelService", "HandleReloadConfigRequest") => {
            one("HandleReloadConfigRequest", Permission::ADMIN, ModelUse::Every)
        }
        _ => None,
    }
}

/// Status and metadata.
fn look<'a>(segments: &[&'a str]) -> Option<Route<'a>> {
    let (name, route) = match segments {
        [name] => (name, "/v1/models/{model}"),
        [name, "metadata"] => (name, "/v1/models/{model}/metadata"),
        [name, kind, which] if is_version(kind, which) => (name, "/v1/models/{model}/versions/{version}"),
        [name, kind, which, "metadata"] if is_version(kind, which) => {
            (name, "/v1/models/{model}/versions/{version}/metadata")
        }
        _ => return None,
    };
    Some(Route::new(route, Permission::READ, named(name)?))
}

/// `…:predict` and its like, at the end of the model, its version or its label.
fn ask<'a>(segments: &[&'a str]) -> Option<Route<'a>> {
    let (name, verb) = match segments {
        [last] => last.split_once(':')?,
        [name, kind, last] => {
            let (which, verb) = last.split_once(':')?;
            is_version(kind, which).then_some((*name, verb))?
        }
        _ => return None,
    };
    let route = match verb {
        "predict" => "/v1/models/{model}:predict",
        "classify" => "/v1/models/{model}:classify",
        "regress" => "/v1/models/{model}:regress",
        _ => return None,
    };
    Some(Route::new(route, Permission::PREDICT, named(name)?))
}

fn is_version(kind: &str, which: &str) -> bool {
    match kind {
        "versions" => !which.is_empty() && which.bytes().all(|byte| byte.is_ascii_digit()),
        "labels" => is_plain(which),
        _ => false,
    }
}

fn named(name: &str) -> Option<ModelUse<'_>> {
    is_plain(name).then_some(ModelUse::One(Cow::Borrowed(name)))
}

/// What the server takes for a name, less what it would not decode.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.contains([':', '%'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::protocol::tests::check;

    #[test]
    fn table() {
        let rows = [
            ("GET", "/v1/models/half_plus_two", Some(("read", "half_plus_two"))),
            ("GET", "/v1/models/m/metadata", Some(("read", "m"))),
            ("GET", "/v1/models/m/versions/3", Some(("read", "m"))),
            ("GET", "/v1/models/m/versions/3/metadata", Some(("read", "m"))),
            ("GET", "/v1/models/m/labels/stable", Some(("read", "m"))),
            ("GET", "/v1/models/m/labels/stable/metadata", Some(("read", "m"))),
            ("POST", "/v1/models/m:predict", Some(("predict", "m"))),
            ("POST", "/v1/models/m:classify", Some(("predict", "m"))),
            ("POST", "/v1/models/m:regress", Some(("predict", "m"))),
            ("POST", "/v1/models/m/versions/3:predict", Some(("predict", "m"))),
            ("POST", "/v1/models/m/labels/stable:predict", Some(("predict", "m"))),
            ("GET", "/v1/models/m:predict", None),
            ("POST", "/v1/models/m:PREDICT", None),
            ("POST", "/V1/models/m:predict", None),
            ("POST", "/v1/Models/m:predict", None),
            ("POST", "/v1/models/m:predict/", None),
            ("POST", "/v1/models/m:predict:classify", None),
            ("POST", "/v1/models/:predict", None),
            ("POST", "/v1/models/m", None),
            ("POST", "/v1/models/a%20b:predict", None),
            ("POST", "/v1/models/m/versions/x:predict", None),
            ("POST", "/v1/models/m/versions/:predict", None),
            ("POST", "/tensorflow.serving.PredictionService/Predict", Some(("predict", "in protobuf [1, 1]"))),
            ("POST", "/tensorflow.serving.PredictionService/Classify", Some(("predict", "in protobuf [1, 1]"))),
            ("POST", "/tensorflow.serving.PredictionService/Regress", Some(("predict", "in protobuf [1, 1]"))),
            (
                "POST",
                "/tensorflow.serving.PredictionService/MultiInference",
                Some(("predict", "in protobuf [1, 1, 1]")),
            ),
            ("POST", "/tensorflow.serving.PredictionService/GetModelMetadata", Some(("read", "in protobuf [1, 1]"))),
            ("POST", "/tensorflow.serving.ModelService/GetModelStatus", Some(("read", "in protobuf [1, 1]"))),
            ("POST", "/tensorflow.serving.ModelService/HandleReloadConfigRequest", Some(("admin", "*"))),
            ("POST", "/tensorflow.serving.SessionService/SessionRun", None),
            ("POST", "/tensorflow.serving.PredictionService/predict", None),
            ("GET", "/tensorflow.serving.PredictionService/Predict", None),
            ("POST", "/v1/models/m/labels/:predict", None),
            ("GET", "/v1/models", None),
            ("GET", "/v1/models/", None),
            ("GET", "/v1/models/m/versions", None),
            ("GET", "/v1/models/m/versions/3/other", None),
            ("GET", "/monitoring/prometheus/metrics", None),
            ("DELETE", "/v1/models/m", None),
        ];
        check(route, &rows);
    }
}

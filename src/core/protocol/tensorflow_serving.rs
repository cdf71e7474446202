//! TensorFlow Serving's REST interface, `/v1/models/…`, as its source has it
//! (`tensorflow_serving/model_servers/http_rest_api_handler.cc`).
//!
//! The server matches its paths without regard to case and does not decode
//! them. Here only the documented spelling is a route, and a name with a
//! percent-encoding is none: the model that is decided on is the one that is
//! served.

use std::borrow::Cow;

use super::{ModelUse, Route};
use crate::core::permission::Permission;

/// What the table can ask for.
pub const PERMISSIONS: &[&str] = &[Permission::READ, Permission::PREDICT];

/// Looks up `segments`, the path split at its slashes.
pub fn route<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    let ["v1", "models", rest @ ..] = segments else { return None };
    match method {
        "GET" | "HEAD" => look(rest),
        "POST" => ask(rest),
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

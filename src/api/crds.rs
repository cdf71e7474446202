//! The CRDs, generated from the types.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use super::{AccessGrant, KeycloakServer, ModelEndpoint, Realm, WebApp, WorkloadIdentity};

/// Every CRD, in the order in which a person would make the objects.
pub fn crds() -> [CustomResourceDefinition; 6] {
    [
        KeycloakServer::crd(),
        Realm::crd(),
        ModelEndpoint::crd(),
        WorkloadIdentity::crd(),
        AccessGrant::crd(),
        WebApp::crd(),
    ]
}

/// A CRD as the YAML that is kept in `crds/`.
pub fn to_yaml(crd: &CustomResourceDefinition) -> Result<String, serde_saphyr::ser::Error> {
    Ok(format!("# Generated from src/api by `make crds`. Do not edit.\n{}", serde_saphyr::to_string(crd)?))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_files_in_crds_are_those_of_the_types() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
        for crd in crds() {
            let path = dir.join(format!("{}.yaml", crd.spec.names.plural));
            let kept = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(kept == to_yaml(&crd).unwrap(), "{} is stale: run `make crds`", path.display());
        }
        assert_eq!(std::fs::read_dir(dir).unwrap().count(), crds().len(), "crds/ holds a file of no kind");
    }

    #[test]
    fn every_list_and_string_is_bounded() {
        for crd in crds() {
            let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
            let spec = &schema["openAPIV3Schema"]["properties"]["spec"];
            assert_eq!(unbounded(spec, "spec"), Vec::<String>::new(), "{}", crd.spec.names.kind);
        }
    }

    /// The fields whose size nothing limits: CEL rules over them could exceed the API server's budget.
    fn unbounded(schema: &serde_json::Value, at: &str) -> Vec<String> {
        let mut found = Vec::new();
        let lacks = |key: &str| schema.get(key).is_none();
        match schema["type"].as_str() {
            Some("string") if lacks("maxLength") && lacks("enum") => found.push(at.to_owned()),
            Some("array") => {
                if lacks("maxItems") {
                    found.push(at.to_owned());
                }
                found.extend(unbounded(&schema["items"], &format!("{at}[]")));
            }
            Some("object") => {
                for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                    found.extend(unbounded(property, &format!("{at}.{name}")));
                }
                if let Some(values) = schema.get("additionalProperties") {
                    if lacks("maxProperties") {
                        found.push(at.to_owned());
                    }
                    found.extend(unbounded(values, &format!("{at}.*")));
                }
            }
            _ => {}
        }
        found
    }
}

//! One admission review: from the request to the answer. Pure but for its catalog.

use json_patch::diff;
use k8s_openapi::api::core::v1::Pod;
use kube::core::{
    DynamicObject, Status,
    admission::{AdmissionRequest, AdmissionResponse, Operation, SerializePatchError},
};

use super::{
    InjectError, InjectSettings, Refusal,
    mutate::inject,
    select::{Catalog, select},
};

/// Why a review got no patch.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ReviewError {
    /// The pod may not start.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The pod could not be read or written.
    #[error("the pod could not be read or written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The patch could not be written.
    #[error(transparent)]
    Patch(#[from] SerializePatchError),
    /// The request lacks what a pod's creation has.
    #[error("the request holds no {0}")]
    Incomplete(&'static str),
}

impl From<InjectError> for ReviewError {
    fn from(error: InjectError) -> Self {
        match error {
            InjectError::Refused(refusal) => Self::Refused(refusal),
            InjectError::Serialize(error) => Self::Json(error),
        }
    }
}

impl ReviewError {
    /// The metric label: of a refusal, its own.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.into(),
            other => other.into(),
        }
    }
}

/// Answers a request, and says how it ended. Whatever fails refuses the pod.
pub fn review(
    request: &AdmissionRequest<DynamicObject>,
    catalog: &impl Catalog,
    settings: &InjectSettings,
) -> (AdmissionResponse, &'static str) {
    let allowed = AdmissionResponse::from(request);
    match patched(request, catalog, settings, allowed.clone()) {
        Ok(Some(response)) => (response, "injected"),
        Ok(None) => (allowed, "untouched"),
        Err(error) => (denied(allowed, &error), error.label()),
    }
}

fn patched(
    request: &AdmissionRequest<DynamicObject>,
    catalog: &impl Catalog,
    settings: &InjectSettings,
    allowed: AdmissionResponse,
) -> Result<Option<AdmissionResponse>, ReviewError> {
    if request.operation != Operation::Create || request.resource.resource != "pods" || request.sub_resource.is_some() {
        return Ok(None);
    }
    let object = request.object.as_ref().ok_or(ReviewError::Incomplete("object"))?;
    // The pod's own namespace may still be empty; the request's never is.
    let namespace = request.namespace.as_deref().ok_or(ReviewError::Incomplete("namespace"))?;
    let Some(labels) = &object.metadata.labels else { return Ok(None) };
    let account = match object.data["spec"]["serviceAccountName"].as_str() {
        None | Some("") => "default",
        Some(account) => account,
    };
    let Some(selection) = select(catalog, namespace, labels, account)? else { return Ok(None) };
    let before = serde_json::to_value(object)?;
    let pod: Pod = serde_json::from_value(before.clone())?;
    let mut after = before.clone();
    let injection = inject(&pod, &selection, settings)?;
    injection.apply(&mut after)?;
    let mut response = allowed.with_patch(diff(&before, &after))?;
    response.warnings = Some(injection.warnings().to_vec()).filter(|warnings| !warnings.is_empty());
    Ok(Some(response))
}

fn denied(response: AdmissionResponse, error: &ReviewError) -> AdmissionResponse {
    let mut response = response.deny(format!("keywire: {error}"));
    response.result = Status { code: 403, reason: "Forbidden".into(), ..response.result };
    response
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
    use kube::core::admission::AdmissionReview;
    use serde_json::{Value, json};

    use super::*;
    use crate::admission::fixtures::{Fixtures, settings};

    fn request(namespace: &str, pod: Value) -> AdmissionRequest<DynamicObject> {
        let review: AdmissionReview<DynamicObject> = serde_json::from_value(json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {"uid": "u", "kind": {"group": "", "version": "v1", "kind": "Pod"},
                "resource": {"group": "", "version": "v1", "resource": "pods"}, "namespace": namespace,
                "operation": "CREATE", "userInfo": {}, "object": pod, "dryRun": true},
        }))
        .unwrap();
        review.try_into().unwrap()
    }

    fn pod(app: &str, account: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"app": app}, "creationTimestamp": null},
            "spec": {"serviceAccountName": account, "containers": [{"name": "app", "unknownField": [1, 2]}]}})
    }

    #[test]
    fn the_patch_applies_to_what_the_api_server_sent() {
        let raw = pod("labeler", "labeler");
        let (response, outcome) = review(&request("agents", raw.clone()), &Fixtures::demo(), &settings());
        assert_eq!((outcome, response.allowed), ("injected", true));
        let patch: json_patch::Patch = serde_json::from_slice(&response.patch.unwrap()).unwrap();
        let mut patched = raw;
        json_patch::patch(&mut patched, &patch).unwrap();
        assert_eq!(patched["spec"]["initContainers"][0]["name"], "keywire-proxy");
        assert_eq!(patched["spec"]["containers"][0]["unknownField"], json!([1, 2]));
        let (again, _) = review(&request("agents", patched), &Fixtures::demo(), &settings());
        assert_eq!(again.patch, Some(b"[]".to_vec()), "nothing is left to do");
    }

    #[test]
    fn an_undeclared_port_is_a_warning() {
        let mut odd = pod("iris", "default");
        odd["spec"]["containers"][0]["ports"] = json!([{"containerPort": 7}]);
        let (response, outcome) = review(&request("vision", odd), &Fixtures::demo(), &settings());
        assert_eq!((outcome, response.allowed), ("injected", true));
        let warnings = response.warnings.unwrap_or_default();
        assert!(warnings.iter().any(|told| told.contains("8080") && told.contains("app (7)")), "{warnings:?}");
        let (response, _) = review(&request("vision", pod("iris", "default")), &Fixtures::demo(), &settings());
        assert_eq!(response.warnings, None);
    }

    #[test]
    fn what_is_not_selected_stays_untouched() {
        let mut unlabelled = pod("x", "labeler");
        unlabelled["metadata"].as_object_mut().unwrap().remove("labels");
        let mut update = request("agents", pod("labeler", "labeler"));
        update.operation = Operation::Update;
        let (mut of_another_kind, mut exec) = (request("agents", json!({})), request("agents", json!({})));
        of_another_kind.resource.resource = "services".into();
        exec.sub_resource = Some("exec".into());
        exec.options = Some(RawExtension(json!({})));
        for (name, request) in [
            ("labels", request("agents", pod("other", "labeler"))),
            ("namespace", request("elsewhere", pod("labeler", "labeler"))),
            ("account", request("agents", pod("labeler", ""))),
            ("unlabelled", request("agents", unlabelled)),
            ("update", update),
            ("kind", of_another_kind),
            ("subresource", exec),
        ] {
            let (response, outcome) = review(&request, &Fixtures::demo(), &settings());
            assert_eq!((outcome, response.allowed, response.patch), ("untouched", true, None), "{name}");
        }
    }

    #[test]
    fn whatever_fails_refuses() {
        let mut catalog = Fixtures::demo();
        catalog.realms.clear();
        let mut broken = pod("labeler", "labeler");
        broken["spec"]["containers"] = json!("none");
        let mut nowhere = request("agents", pod("labeler", "labeler"));
        nowhere.namespace = None;
        for (catalog, request, label) in [
            (&catalog, request("agents", pod("labeler", "labeler")), "realm_not_found"),
            (&Fixtures::demo(), request("agents", broken), "json"),
            (&Fixtures::demo(), nowhere, "incomplete"),
        ] {
            let (response, outcome) = review(&request, catalog, &settings());
            assert_eq!((outcome, response.allowed, response.patch), (label, false, None));
            assert_eq!(response.result.code, 403);
            assert!(response.result.message.starts_with("keywire: "), "{}", response.result.message);
        }
    }
}

//! Model servers as their projects ship them, in pods behind a guard, with a caller that knows nothing of Keywire.

use serde_json::json;

use crate::{
    objects::{KSERVE_IMAGE, caller_pod, grant, identity, model_endpoint, pod, service_account},
    pods::{Request, start},
    stage::Stage,
};

/// KServe's model server, asked in both of its protocols.
#[test]
fn kserve_answers_those_who_may_ask_its_model() {
    let stage = Stage::with_realm("kserve");
    let (vision, agents) = (stage.namespace("vision"), stage.namespace("agents"));
    stage.apply(model_endpoint(&stage.id, &vision, "count"));
    let mut granted = grant(&vision, "count", (&agents, "counter"), &["read", "predict"]);
    granted["spec"]["models"] = json!(["small"]);
    stage.apply(granted);
    stage.apply(service_account(&agents, "counter"));
    stage.apply(identity(&stage.id, &agents, "counter", &[("COUNT_URL", &vision, "count")]));
    let mut server = pod(&vision, "count", KSERVE_IMAGE);
    server["spec"]["containers"][0]["ports"] = json!([{"containerPort": 8080}]);
    server["spec"]["containers"][0]["readinessProbe"] =
        json!({"httpGet": {"path": "/v2/health/ready", "port": 8080}, "periodSeconds": 1});
    let (server, caller) = (start(&server), start(&caller_pod(&agents, "counter")));
    let (_, caller) = (server.wait_ready(), caller.wait_ready());

    let input = json!({"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]});
    let infer =
        |model: &str| Request::post(&format!("$COUNT_URL/v2/models/{model}/infer"), &json!({"inputs": [input]}));
    let answer = caller.call_until(200, &infer("small"));
    assert_eq!(answer.body["outputs"][0]["data"], json!([2]), "{answer:?}");
    let predict = Request::post("$COUNT_URL/v1/models/small:predict", &json!({"instances": [[1, 2, 3]]}));
    let answer = caller.call(&predict);
    assert_eq!(answer.body["predictions"], json!([3]), "{answer:?}");
    let refused = caller.call(&infer("large"));
    assert_eq!((refused.status, refused.reason()), (403, "model_not_granted"), "{refused:?}");
    let listed = caller.call(&Request::get("$COUNT_URL/v2/models"));
    assert_eq!(listed.body["models"], json!(["small"]), "{listed:?}");
}

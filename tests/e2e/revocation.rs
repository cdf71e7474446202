//! What a realm revokes: tokens that were issued before a time, though they would still be good.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::{
    objects::{caller_pod, grant, http_endpoint, http_pod, identity, service_account},
    pods::{Request, start},
    stage::Stage,
};

/// Keycloak's "Set to now" under Sessions → Revocation: nothing asks the realm about a token, so the guards must be told.
#[test]
fn tokens_from_before_the_realms_revocation_are_refused_and_new_ones_are_not() {
    let stage = Stage::with_realm("revoked");
    let (vision, agents) = (stage.namespace("vision"), stage.namespace("agents"));
    stage.apply(http_endpoint(&stage.id, &vision, "iris"));
    stage.apply(service_account(&agents, "labeler"));
    stage.apply(identity(&stage.id, &agents, "labeler", &[("IRIS_URL", &vision, "iris")]));
    stage.apply(grant(&vision, "iris", (&agents, "labeler"), &["read"]));
    start(&http_pod(&vision, "iris")).wait_ready();
    let labeler = start(&caller_pod(&agents, "labeler")).wait_ready();
    labeler.call_until(200, &Request::get("$IRIS_URL/hello"));

    let old = stage.token_of(&labeler, &format!("iris.{vision}.endpoint:read"));
    let with_old = Request::get(&format!("http://iris.{vision}.svc:8080/hello")).with_token(&old);
    labeler.call_until(200, &with_old);

    stage.realm_object().wait_condition("DriftFeed", "True", "Reading");
    // The old one is of this second at the latest.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let (status, answer) = stage.keycloak.put(&format!("/{}", stage.id), &json!({"notBefore": now + 1}));
    assert_eq!(status, 204, "{answer}");
    let refused = labeler.call_until(401, &with_old);
    assert_eq!(refused.reason(), "token_invalid", "{refused:?}");
    // The sidecar gets itself a new one.
    labeler.call_until(200, &Request::get("$IRIS_URL/hello"));
}

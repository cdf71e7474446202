//! Client scopes that a Realm lists, and what new clients get.

use keywire::core::desired::objects::Section;
use keywire::core::diff::objects::FindingReason;
use serde_json::{Value, json};

use crate::keycloak::{TestRealm, in_realm};
use crate::objects::{desired, only_finding, report, settle};

fn lists(assignment: &str) -> Value {
    json!({"clientScopes": [{"name": "dataset", "description": "Which data", "assignment": assignment, "mappers": [
        {"name": "team", "type": "oidc-usermodel-attribute-mapper", "config": {"user.attribute": "team",
            "claim.name": "team", "jsonType.label": "String", "access.token.claim": "true"}},
        {"name": "kind", "type": "oidc-hardcoded-claim-mapper", "config": {"claim.name": "kind", "claim.value": "human",
            "jsonType.label": "String", "access.token.claim": "true"}}]}]})
}

async fn assigned(test: &TestRealm, list: &str) -> bool {
    let (_, scopes) = test.raw.get(&format!("/default-{list}-client-scopes")).await;
    scopes.as_array().unwrap().iter().any(|scope| scope["name"] == "dataset")
}

#[tokio::test]
async fn scopes_are_made_kept_moved_and_emptied() {
    in_realm(|test| async move {
        let wanted = desired(&test, "ml", lists("Default"));
        settle(&test, &wanted).await;
        assert!(assigned(&test, "default").await);
        let id = wanted.client_scopes[0].id;

        // Someone adds a mapper that gives everybody an audience, and changes another.
        let mapper = json!({"name": "more", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
            "config": {"included.custom.audience": "everything", "access.token.claim": "true"}});
        let models = format!("/client-scopes/{id}/protocol-mappers/models");
        assert_eq!(test.raw.post(&models, &mapper).await.0, 201);
        let (_, all) = test.raw.get(&models).await;
        let mut kind = all.as_array().unwrap().iter().find(|mapper| mapper["name"] == "kind").unwrap().clone();
        kind["config"]["claim.value"] = json!("admin");
        kind["config"]["id.token.claim"] = json!("true");
        assert_eq!(test.raw.put(&format!("{models}/{}", kind["id"].as_str().unwrap()), &kind).await.0, 204);
        assert_eq!(settle(&test, &wanted).await, ["delete_scope_mapper", "update_scope_mapper"]);

        settle(&test, &desired(&test, "ml", lists("Optional"))).await;
        assert!(!assigned(&test, "default").await && assigned(&test, "optional").await);
        let empty = json!({"clientScopes": [{"name": "dataset"}]});
        settle(&test, &desired(&test, "ml", empty)).await;
        assert!(!assigned(&test, "optional").await);
        assert_eq!(test.raw.get(&models).await.1, json!([]), "an emptied list empties Keycloak");
        let (_, before) = test.raw.get("/client-scopes").await;
        settle(&test, &desired(&test, "ml", json!({}))).await;
        let (_, after) = test.raw.get("/client-scopes").await;
        assert_eq!(after.as_array().unwrap().len(), before.as_array().unwrap().len() - 1, "and nothing of others");
    })
    .await;
}

#[tokio::test]
async fn an_unknown_mapper_type_is_refused_before_anything_is_written() {
    in_realm(|test| async move {
        settle(&test, &desired(&test, "ml", lists("Default"))).await;
        let mut wrong = lists("Default");
        wrong["clientScopes"][0]["description"] = json!("changed");
        wrong["clientScopes"][0]["mappers"][0]["type"] = json!("oidc-nonsense-mapper");
        wrong["clientScopes"].as_array_mut().unwrap().push(json!({"name": "fine"}));
        let found = report(&test, &desired(&test, "ml", wrong), Section::ClientScopes).await;
        let message = only_finding(&found, FindingReason::UnknownType);
        assert!(message.contains("oidc-nonsense-mapper") && message.contains("correct the type"), "{message}");
        let id = desired(&test, "ml", lists("Default")).client_scopes[0].id;
        let (_, scope) = test.raw.get(&format!("/client-scopes/{id}")).await;
        assert_eq!(scope["description"], "Which data", "left as it is");
        assert_eq!(scope["protocolMappers"].as_array().unwrap().len(), 2);
        assert!(found.done.iter().any(|change| change.kind() == "create_scope"), "the other scope is made");
    })
    .await;
}

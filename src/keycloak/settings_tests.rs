//! What a pass over settings costs, counted.

use serde_json::json;

use crate::core::desired::{DesiredRealm, FullRealm, Management, Owner, RealmSettings};

use super::testing::{Fake, Reply, login};

fn desired() -> DesiredRealm {
    let text = |text: &str| text.to_owned();
    DesiredRealm {
        realm: "ml".into(),
        owner: Owner { cluster: text("main"), kind: text("Realm"), namespace: None, name: text("ml"), uid: text("1") },
        management: Management::Full(Box::new(FullRealm::from(RealmSettings::default().with("enabled", true)))),
        workload_issuer: None,
        adopt: false,
    }
}

/// A server that holds all that is desired, and answers these lines otherwise.
async fn converged(otherwise: fn(&str) -> Option<Reply>) -> Fake {
    let realm = json!({"realm": "ml", "enabled": true, "accessTokenLifespan": 300,
        "attributes": {"keywire.dev/owner": "main/Realm//ml/1"}});
    Fake::start(move |count, request| {
        if let Some(reply) = otherwise(&request.line) {
            return reply;
        }
        let body = match request.line.rsplit('/').next().unwrap_or_default() {
            "token" => return login(count, 300),
            "ml" => realm.to_string(),
            "required-actions" | "components?type=org.keycloak.keys.KeyProvider" => "[]".to_owned(),
            _ => "{}".to_owned(),
        };
        Reply::Answer(200, "", body)
    })
    .await
}

#[tokio::test]
async fn a_converged_realm_costs_six_reads_and_no_write() {
    let fake = converged(|_| None).await;
    let report = fake.admin().realm("ml").reconcile_settings(&desired()).await;
    assert!(report.failed.is_empty() && report.done.is_empty(), "{report:?}");
    let calls = fake.received("/admin/");
    assert_eq!(calls.len(), 6, "{calls:?}");
    assert!(calls.iter().all(|call| call.line.starts_with("GET ")), "{calls:?}");
}

/// Keys are: one that nobody names any more goes when its time has come.
#[tokio::test]
async fn where_nothing_is_left_of_earlier_only_what_is_named_is_read() {
    let fake = converged(|_| None).await;
    let report = fake.admin().realm("ml").named_parts().reconcile_settings(&desired()).await;
    assert!(report.failed.is_empty() && report.done.is_empty(), "{report:?}");
    let calls: Vec<_> = fake.received("/admin/").into_iter().map(|call| call.line).collect();
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert!(calls[0].ends_with("/ml") && calls[1].contains("components"), "{calls:?}");
}

#[tokio::test]
async fn a_part_that_cannot_be_read_keeps_no_other_from_being_looked_at() {
    let fake = converged(|line| {
        line.contains("users/profile").then(|| Reply::Answer(403, "", r#"{"error": "forbidden"}"#.into()))
    })
    .await;
    let report = fake.admin().realm("ml").reconcile_settings(&desired()).await;
    let failed: Vec<_> = report.failed.iter().map(ToString::to_string).collect();
    assert!(failed.len() == 1 && failed[0].starts_with("cannot read the user profile"), "{failed:?}");
    assert_eq!(fake.received("client-policies").len(), 2);
    assert_eq!(fake.received("components").len(), 1);
}

#[tokio::test]
async fn settings_of_someone_else_are_not_even_read() {
    let fake = converged(|_| None).await;
    let others = DesiredRealm { management: Management::ClientsOnly, ..desired() };
    let report = fake.admin().realm("ml").reconcile_settings(&others).await;
    assert!(report.failed.is_empty() && report.done.is_empty(), "{report:?}");
    assert_eq!(fake.received("").len(), 0);
}

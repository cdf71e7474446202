//! The lists of a Realm object, from its fields as people write them to Keycloak.

use keywire::api::parse::Secrets;
use keywire::api::{Realm, RealmSpec};
use keywire::core::desired::Sealed;
use keywire::core::desired::objects::{DesiredObjects, Secret, Section};
use keywire::core::diff::objects::FindingReason;
use keywire::keycloak::SectionReport;
use serde_json::{Value, json};

use crate::keycloak::{TestRealm, owner};

/// What a Realm object of this name with these lists wants of the test's realm. Every Secret that it names holds the
/// value, and is in the version, that its `key` says: `VERSION.VALUE`.
pub fn desired(test: &TestRealm, name: &str, lists: Value) -> DesiredObjects {
    let mut spec = lists;
    spec["server"] = json!("main");
    spec["realm"] = json!(test.name);
    let object = Realm::new(name, serde_json::from_value::<RealmSpec>(spec).expect("a spec"));
    let secrets: Secrets = object
        .secrets_of_objects()
        .into_iter()
        .map(|(_, from)| {
            let (version, value) = from.key.split_once('.').expect("VERSION.VALUE");
            (from.clone(), Secret::Known(Sealed::new(version, value)))
        })
        .collect();
    object.parse_objects(owner("Realm", None, name), None, &secrets).expect("valid lists")
}

/// A reference to a Secret in this version with this value.
pub fn secret(version: &str, value: &str) -> Value {
    json!({"namespace": "corp", "name": "secret", "key": format!("{version}.{value}")})
}

/// Reconciles and expects that all is as it should be.
pub async fn make(test: &TestRealm, desired: &DesiredObjects) -> Vec<&'static str> {
    let reports = test.realm.reconcile_objects(desired).await;
    for report in &reports {
        assert!(report.is_good(), "{report:?}");
    }
    kinds(&reports)
}

/// Reconciles, expects that all is as it should be, and that a second pass changes nothing.
pub async fn settle(test: &TestRealm, desired: &DesiredObjects) -> Vec<&'static str> {
    let done = make(test, desired).await;
    let again = make(test, desired).await;
    assert!(again.is_empty(), "not converged: {again:?} after {done:?}");
    done
}

/// What came of one section.
pub async fn report(test: &TestRealm, desired: &DesiredObjects, section: Section) -> SectionReport {
    let mut reports = test.realm.reconcile_objects(desired).await;
    let at = reports.iter().position(|report| report.section == section).expect("a report");
    reports.swap_remove(at)
}

/// The kinds of changes that were made.
pub fn kinds(reports: &[SectionReport]) -> Vec<&'static str> {
    reports.iter().flat_map(|report| &report.done).map(|change| change.kind()).collect()
}

/// Expects exactly one finding of this kind, and gives its words.
pub fn only_finding(report: &SectionReport, reason: FindingReason) -> String {
    assert!(report.failures.is_empty(), "{report:?}");
    let [finding] = report.findings.as_slice() else { panic!("not one finding: {report:?}") };
    assert_eq!(finding.reason, reason, "{report:?}");
    finding.message.clone()
}

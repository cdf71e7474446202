//! Changes in Keycloak that somebody else made: told of, and counted.

use std::collections::BTreeSet;

use kube::{Resource, runtime::events::EventType};

use crate::{
    controller::{
        condition::Verdict,
        context::Context,
        ledger::{Actor, Traced},
        status as events,
    },
    core::diff::Change,
};

/// What Keycloak holds differs from what it should, and is left so.
pub const DRIFT: &str = "Drift";
/// How many differences a message names.
const NAMED: usize = 5;

/// What became of somebody's change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was undone.
    Repaired,
    /// It stays.
    Reported,
}

/// What was changed, and by whom.
pub fn told(changes: &[Change], actor: &Actor) -> String {
    format!("changed in Keycloak by {actor}: {}", differences(changes))
}

/// What differs, told as what puts it right.
pub fn differences(changes: &[Change]) -> String {
    let mut named: Vec<_> = changes.iter().take(NAMED).map(difference).collect();
    if changes.len() > NAMED {
        named.push(format!("{} more", changes.len() - NAMED));
    }
    named.join("; ")
}

fn difference(change: &Change) -> String {
    let fields: Vec<_> = change.fields().iter().map(|field| field.path.to_string()).collect();
    if fields.is_empty() { format!("to {change}") } else { format!("to {change} ({})", fields.join(", ")) }
}

/// The condition while a change stays.
pub fn reported(message: String) -> Verdict {
    let message = format!("{message}; left as it is, because the Realm says driftPolicy: Report");
    Verdict::good(DRIFT, "Reported", message).aside()
}

/// An Event and the counters.
pub async fn announce<K: Resource<DynamicType = ()>>(
    ctx: &Context,
    object: &K,
    of: &Traced,
    changes: &[Change],
    actor: &Actor,
    outcome: Outcome,
) {
    let (reason, action) = match outcome {
        Outcome::Repaired => ("DriftRepaired", "repaired"),
        Outcome::Reported => ("DriftReported", "reported"),
    };
    for field in fields(changes) {
        ctx.metrics.drifted(of.kind, &field, actor, action);
    }
    let note = told(changes, actor);
    tracing::warn!(kind = of.kind, object = %of.name, %actor, action, "{note}");
    events::tell(&ctx.events, object, EventType::Warning, reason, "Drift", note).await;
}

/// The fields that differ; for what is there or not at all, the name of the change that puts it right.
fn fields(changes: &[Change]) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for change in changes {
        if change.fields().is_empty() {
            all.insert(change.kind().to_owned());
        }
        all.extend(change.fields().iter().map(|field| field.path.to_string()));
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::core::{
        desired::ClientRef,
        diff::{FieldChange, FieldPath},
    };

    fn client() -> ClientRef {
        ClientRef { id: "id".into(), client_id: "labeler.agents.workload".into() }
    }

    #[test]
    fn fields_and_actor_are_named() {
        let path = FieldPath(vec!["redirectUris".into()]);
        let fields_changed = vec![FieldChange { path, from: json!(["*"]), to: json!([]) }];
        let update = Change::UpdateClient { client: client(), fields: fields_changed };
        let delete = Change::DeleteClient { client: client() };
        let told = told(std::slice::from_ref(&update), &Actor::Known("alice".into()));
        assert!(told.contains("alice") && told.contains("redirectUris"), "{told}");
        assert_eq!(fields(&[update, delete]), BTreeSet::from(["delete_client".into(), "redirectUris".into()]));
    }
}

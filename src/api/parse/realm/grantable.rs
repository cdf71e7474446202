//! Roles of clients that a realm lets its identities have.

use std::collections::{BTreeMap, BTreeSet};

use super::{check, entry};
use crate::{
    api::{
        Realm,
        parse::{Problems, invalid},
    },
    core::name::is_ours,
};

impl Realm {
    /// What identities may have in a namespace with these labels: roles by client id. An entry that is wrong counts for nothing.
    pub fn grantable_roles(&self, labels: &BTreeMap<String, String>) -> BTreeMap<String, BTreeSet<String>> {
        let entries = self.spec.grantable_roles.iter().filter(|entry| !is_ours(&entry.client));
        let entries = entries.filter(|entry| entry.namespaces.as_ref().is_none_or(|allowed| allowed.allows(labels)));
        entries.map(|entry| (entry.client.clone(), entry.roles.iter().cloned().collect())).collect()
    }

    /// What is wrong with the list.
    pub(super) fn check_grantable_roles(&self, problems: &mut Problems) {
        let list = &self.spec.grantable_roles;
        check::unique("spec.grantableRoles", list.iter().map(|entry| entry.client.as_str()), problems);
        for written in list.iter().filter(|written| is_ours(&written.client)) {
            let field = format!("{}.client", entry("grantableRoles", &written.client));
            problems.push(invalid(
                &field,
                "is a client that Keywire makes: access to it is granted by an AccessGrant, or in the WebApp",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn realm(entries: Value) -> Realm {
        let spec = json!({"server": "main", "realm": "ml", "grantableRoles": entries});
        let object =
            json!({"apiVersion": "keywire.dev/v1alpha1", "kind": "Realm", "metadata": {"name": "ml"}, "spec": spec});
        serde_json::from_value(object).expect("a Realm")
    }

    #[test]
    fn roles_of_our_own_clients_are_not_on_the_list() {
        let labels = BTreeMap::new();
        for (client, good) in [
            ("realm-management", true),
            ("payroll", true),
            ("iris.vision.endpoint", false),
            ("board.tools.app", false),
            ("labeler.agents.workload", false),
        ] {
            let realm = realm(json!([{"client": client, "roles": ["a"]}]));
            let mut problems = Problems::new();
            realm.check_grantable_roles(&mut problems);
            assert_eq!(
                (problems.is_empty(), realm.grantable_roles(&labels).contains_key(client)),
                (good, good),
                "{client}"
            );
        }
    }

    #[test]
    fn an_entry_may_be_for_some_namespaces_alone() {
        let entry = json!({"client": "payroll", "roles": ["read"], "namespaces": {"selector": {"matchLabels": {"team": "hub"}}}});
        let labels = |team: &str| BTreeMap::from([("team".to_owned(), team.to_owned())]);
        let realm = realm(json!([entry]));
        assert_eq!(realm.grantable_roles(&labels("hub"))["payroll"], BTreeSet::from(["read".to_owned()]));
        assert_eq!(realm.grantable_roles(&labels("vision")), BTreeMap::new());
    }
}

//! [`ExternalAudience`]s: what lies outside the cluster, and who may call it.

use std::collections::BTreeMap;

use rustls_pki_types::{CertificateDer, pem::PemObject};

use super::{check, entry};
use crate::{
    api::{
        Realm,
        parse::{Problems, invalid},
        realm::ExternalAudience as Written,
    },
    core::{
        desired::{is_endpoint_client_id, is_permission_scope_name},
        graph::{ExternalAudience, ExternalUrl},
    },
};

impl Realm {
    /// What identities may call outside the cluster, in a namespace with these labels. An entry that is wrong counts for
    /// nothing.
    pub fn external_audiences(&self, labels: &BTreeMap<String, String>) -> Vec<ExternalAudience> {
        let is_for = |entry: &&Written| entry.namespaces.as_ref().is_none_or(|allowed| allowed.allows(labels));
        let entries = self.spec.external_audiences.iter().filter(is_for);
        entries.filter_map(|entry| audience(entry).ok()).collect()
    }

    /// What is wrong with the list.
    pub(super) fn check_external_audiences(&self, problems: &mut Problems) {
        let list = &self.spec.external_audiences;
        check::unique("spec.externalAudiences", list.iter().map(|entry| entry.audience.as_str()), problems);
        problems.extend(list.iter().filter_map(|entry| audience(entry).err()).flatten());
    }
}

fn audience(written: &Written) -> Result<ExternalAudience, Problems> {
    let field = entry("externalAudiences", &written.audience);
    let mut problems = Problems::new();
    if written.audience.is_empty() || is_endpoint_client_id(&written.audience) {
        let message = "is a ModelEndpoint's, whose owner grants access to it by an AccessGrant: name another audience";
        problems.push(invalid(&format!("{field}.audience"), message));
    }
    if let Some(scope) = written.scopes.iter().find(|scope| is_permission_scope_name(scope)) {
        let message = format!("{scope:?} is a permission on a ModelEndpoint: its owner grants it by an AccessGrant");
        problems.push(invalid(&format!("{field}.scopes"), message));
    }
    let mut urls = Vec::new();
    for text in &written.urls {
        match ExternalUrl::parse(text) {
            Ok(url) => urls.push(url),
            Err(error) => problems.push(invalid(&format!("{field}.urls"), format!("{text:?} {error}"))),
        }
    }
    if written.ca.as_deref().is_some_and(|pem| !holds_certificates(pem)) {
        problems.push(invalid(&format!("{field}.ca"), "holds no certificate, or a broken one: it must be PEM"));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let (audience, ca) = (written.audience.clone(), written.ca.clone());
    Ok(ExternalAudience { audience, scopes: written.scopes.iter().cloned().collect(), urls, ca })
}

fn holds_certificates(pem: &str) -> bool {
    let mut found = CertificateDer::pem_slice_iter(pem.as_bytes()).peekable();
    found.peek().is_some() && found.all(|certificate| certificate.is_ok())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn realm(entries: &Value) -> Realm {
        let spec = json!({"server": "main", "realm": "ml", "externalAudiences": entries});
        let object =
            json!({"apiVersion": "keywire.dev/v1alpha1", "kind": "Realm", "metadata": {"name": "ml"}, "spec": spec});
        serde_json::from_value(object).expect("a Realm")
    }

    fn good() -> Value {
        json!({"audience": "api", "scopes": ["api:read"], "urls": ["https://api.example/v1/"]})
    }

    fn problems(entries: &Value) -> Vec<String> {
        let mut problems = Problems::new();
        realm(entries).check_external_audiences(&mut problems);
        problems.into_iter().map(|problem| problem.message).collect()
    }

    #[test]
    fn what_is_wrong_is_named_and_counts_for_nothing() {
        let with = |field: &str, value: Value| {
            let mut entry = good();
            entry[field] = value;
            entry
        };
        assert_eq!(problems(&json!([good()])), Vec::<String>::new());
        assert_eq!(realm(&json!([good()])).external_audiences(&BTreeMap::new()).len(), 1);
        for (entry, named) in [
            (with("audience", json!("iris.vision.endpoint")), "audience"),
            (with("scopes", json!(["api:read", "iris.vision.endpoint:predict"])), "iris.vision.endpoint:predict"),
            (with("urls", json!(["https://api.example/v1", "http://api.example"])), "http://api.example"),
            (with("urls", json!(["https://api.example/../x"])), "one reading"),
            (with("ca", json!("nonsense")), "ca"),
        ] {
            let found = problems(&json!([entry]));
            assert!(found.len() == 1 && found[0].contains(named), "{named}: {found:?}");
            assert_eq!(realm(&json!([entry])).external_audiences(&BTreeMap::new()), []);
        }
        assert_eq!(problems(&json!([good(), good()])).len(), 1, "one entry per audience");
    }

    #[test]
    fn an_entry_may_be_for_some_namespaces_alone() {
        let mut entry = good();
        entry["namespaces"] = json!({"selector": {"matchLabels": {"team": "vision"}}});
        let realm = realm(&json!([entry]));
        let labels = |team: &str| BTreeMap::from([("team".to_owned(), team.to_owned())]);
        assert_eq!(realm.external_audiences(&labels("vision")).len(), 1);
        assert_eq!(realm.external_audiences(&labels("agents")), []);
    }
}

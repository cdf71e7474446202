//! Which objects select a pod. Pure.

use std::{collections::BTreeMap, sync::Arc};

use kube::ResourceExt;

use super::{Refusal, told::Told};
use crate::{
    api::{KeycloakServer, ModelEndpoint, Realm, SignIn, WebApp, WorkloadIdentity},
    core::{build::RealmUrls, name::Ref},
};

/// What a pod is to Keywire.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// What it serves.
    pub served: Option<Served>,
    /// The issuer URL of that one's realm, where its guard logs in there: the audience of the pod's Keycloak token.
    pub guard_issuer: Option<String>,
    /// What its application is told, where that signs people in itself.
    pub told: Option<Told>,
    /// The identity that it calls with.
    pub identity: Option<SelectedIdentity>,
}

/// What a pod serves behind its guard.
#[derive(Clone, Debug)]
pub enum Served {
    /// To whom it is granted.
    Endpoint(Arc<ModelEndpoint>),
    /// To people with browsers.
    App(Arc<WebApp>),
}

impl Served {
    /// The object, for messages.
    pub fn named(&self) -> String {
        match self {
            Self::Endpoint(endpoint) => format!("ModelEndpoint {}", reference(endpoint.as_ref())),
            Self::App(app) => format!("WebApp {}", reference(app.as_ref())),
        }
    }

    /// The Realm, and the ServiceAccount with which its guard logs in there.
    fn login(&self) -> Option<(&str, &str)> {
        match self {
            Self::Endpoint(endpoint) => {
                let introspection = endpoint.spec.introspection.as_ref()?;
                Some((&endpoint.spec.realm, &introspection.service_account_name))
            }
            Self::App(app) => Some((&app.spec.realm, app.spec.service_account_name.as_ref()?)),
        }
    }
}

/// An identity and what the pod needs to know of its realm.
#[derive(Clone, Debug)]
pub struct SelectedIdentity {
    /// The identity.
    pub object: Arc<WorkloadIdentity>,
    /// The realm's issuer URL: the audience of the pod's Keycloak token.
    pub issuer: String,
}

/// What selection asks of the watch caches.
pub trait Catalog {
    /// The ModelEndpoints of a namespace.
    fn endpoints(&self, namespace: &str) -> Vec<Arc<ModelEndpoint>>;
    /// The WebApps of a namespace.
    fn apps(&self, namespace: &str) -> Vec<Arc<WebApp>>;
    /// The WorkloadIdentities of a namespace.
    fn identities(&self, namespace: &str) -> Vec<Arc<WorkloadIdentity>>;
    /// A Realm.
    fn realm(&self, name: &str) -> Option<Arc<Realm>>;
    /// A KeycloakServer.
    fn server(&self, name: &str) -> Option<Arc<KeycloakServer>>;
}

/// What selects a pod with these labels and this ServiceAccount; `None`: nothing does.
pub fn select(
    catalog: &impl Catalog,
    namespace: &str,
    labels: &BTreeMap<String, String>,
    service_account: &str,
) -> Result<Option<Selection>, Refusal> {
    let endpoints = catalog.endpoints(namespace).into_iter().filter(|e| e.spec.workload.matches(labels)).collect();
    let selects = |app: &Arc<WebApp>| app.spec.workload.as_ref().is_some_and(|workload| workload.matches(labels));
    let apps = catalog.apps(namespace).into_iter().filter(selects).collect();
    let identities = catalog
        .identities(namespace)
        .into_iter()
        .filter(|i| i.spec.service_account_name == service_account && i.spec.workload.matches(labels))
        .collect();
    let endpoint = at_most_one(endpoints, |first, second| Refusal::SeveralEndpoints { first, second })?;
    let app = at_most_one(apps, |first, second| Refusal::SeveralApps { first, second })?;
    let (served, native) = match (endpoint, app) {
        (Some(endpoint), Some(app)) => {
            let (endpoint, app) = (reference(endpoint.as_ref()), reference(app.as_ref()));
            return Err(Refusal::EndpointAndApp { endpoint, app });
        }
        (endpoint, Some(app)) if app.spec.sign_in == SignIn::Native => (endpoint.map(Served::Endpoint), Some(app)),
        (endpoint, app) => (endpoint.map(Served::Endpoint).or(app.map(Served::App)), None),
    };
    let told = native.map(|app| told(catalog, &app)).transpose()?;
    let identity = at_most_one(identities, |first, second| Refusal::SeveralIdentities { first, second })?;
    if served.is_none() && told.is_none() && identity.is_none() {
        return Ok(None);
    }
    let identity = identity.map(|object| with_issuer(catalog, object)).transpose()?;
    let guard_issuer = match &served {
        Some(served) => guard_issuer(catalog, served, service_account)?,
        None => None,
    };
    match (&served, &guard_issuer, &identity) {
        (Some(served), Some(guard), Some(identity)) if *guard != identity.issuer => {
            Err(Refusal::TwoRealms { served: served.named(), identity: reference(identity.object.as_ref()) })
        }
        _ => Ok(Some(Selection { served, guard_issuer, told, identity })),
    }
}

/// Where the guard logs in, if it does.
fn guard_issuer(catalog: &impl Catalog, served: &Served, service_account: &str) -> Result<Option<String>, Refusal> {
    let Some((realm, wanted)) = served.login() else { return Ok(None) };
    if wanted != service_account {
        let (served, wanted, found) = (served.named(), wanted.to_owned(), service_account.to_owned());
        return Err(Refusal::OtherServiceAccount { served, wanted, found });
    }
    issuer(catalog, realm, || served.named()).map(Some)
}

fn at_most_one<K: ResourceExt>(
    mut found: Vec<Arc<K>>,
    several: fn(Ref, Ref) -> Refusal,
) -> Result<Option<Arc<K>>, Refusal> {
    // The caches have no order: the message must not change from one attempt to the next.
    found.sort_by_key(|object| object.name_any());
    match found.as_slice() {
        [first, second, ..] => Err(several(reference(first.as_ref()), reference(second.as_ref()))),
        _ => Ok(found.pop()),
    }
}

fn with_issuer(catalog: &impl Catalog, object: Arc<WorkloadIdentity>) -> Result<SelectedIdentity, Refusal> {
    let asks = || format!("WorkloadIdentity {}", reference(object.as_ref()));
    let issuer = issuer(catalog, &object.spec.realm, asks)?;
    Ok(SelectedIdentity { object, issuer })
}

/// The issuer URL of a realm: the audience of the tokens that pods log in with there.
fn issuer(catalog: &impl Catalog, name: &str, asks: impl Fn() -> String) -> Result<String, Refusal> {
    let (realm, server) = place(catalog, name, asks)?;
    Ok(urls(&realm, &server).issuer)
}

fn place(
    catalog: &impl Catalog,
    name: &str,
    asks: impl Fn() -> String,
) -> Result<(Arc<Realm>, Arc<KeycloakServer>), Refusal> {
    let Some(realm) = catalog.realm(name) else {
        return Err(Refusal::RealmNotFound { realm: name.to_owned(), object: asks() });
    };
    let Some(server) = catalog.server(&realm.spec.server) else {
        let server = realm.spec.server.clone();
        return Err(Refusal::ServerNotFound { server, realm: name.to_owned(), object: asks() });
    };
    Ok((realm, server))
}

fn urls(realm: &Realm, server: &KeycloakServer) -> RealmUrls {
    RealmUrls::new(&server.spec.url, server.spec.reachable_url(), &realm.spec.realm, None)
}

/// What an application that signs people in itself is told. Without that it may ask nobody to sign in: its pod waits.
fn told(catalog: &impl Catalog, object: &WebApp) -> Result<Told, Refusal> {
    let name = reference(object);
    let (realm, server) = place(catalog, &object.spec.realm, || format!("WebApp {name}"))?;
    let unknown = |reason: String| Refusal::NotTold { app: name.clone(), reason };
    let problems = |found: Vec<crate::core::graph::Problem>| {
        unknown(found.into_iter().map(|problem| problem.message).collect::<Vec<_>>().join("; "))
    };
    let app = object.parse().map_err(problems)?;
    Told::new(&app, &urls(&realm, &server), server.spec.trust.is_some())
        .ok_or_else(|| unknown("it has no spec.native".to_owned()))
}

/// The reference to a namespaced object.
pub fn reference(object: &impl ResourceExt) -> Ref {
    Ref::new(object.namespace().unwrap_or_default(), object.name_any())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::fixtures::{Fixtures, endpoint, identity, labels};

    fn chosen(
        catalog: &Fixtures,
        namespace: &str,
        app: &str,
        account: &str,
    ) -> Result<(bool, Option<String>), Refusal> {
        let selection = select(catalog, namespace, &labels(app), account)?.unwrap_or_default();
        Ok((selection.served.is_some(), selection.identity.map(|i| i.issuer)))
    }

    #[test]
    fn labels_select_endpoints_and_identities_need_their_service_account_too() {
        let catalog = Fixtures::demo();
        let issuer = Some("http://kc/realms/ml".to_owned());
        for (namespace, app, account, expected) in [
            ("vision", "iris", "default", (true, None)),
            ("agents", "iris", "default", (false, None)),
            ("vision", "other", "default", (false, None)),
            ("agents", "labeler", "labeler", (false, issuer)),
            ("agents", "labeler", "default", (false, None)),
        ] {
            assert_eq!(chosen(&catalog, namespace, app, account), Ok(expected), "{namespace} {app} {account}");
        }
    }

    #[test]
    fn two_of_a_kind_are_refused_by_name() {
        let mut catalog = Fixtures::demo();
        catalog.endpoints.push(Arc::new(endpoint("vision", "another", "iris")));
        catalog.identities.push(Arc::new(identity("agents", "twin", "labeler")));
        let refusal = chosen(&catalog, "vision", "iris", "default").unwrap_err().to_string();
        assert!(refusal.contains("vision/another and vision/iris"), "{refusal}");
        assert_eq!(chosen(&catalog, "agents", "labeler", "twin"), chosen(&catalog, "agents", "labeler", "labeler"));
        let mut twin = identity("agents", "twin", "labeler");
        twin.spec.service_account_name = "labeler".into();
        catalog.identities.push(Arc::new(twin));
        let refusal = chosen(&catalog, "agents", "labeler", "labeler").unwrap_err().to_string();
        assert!(refusal.contains("agents/labeler and agents/twin"), "{refusal}");
    }

    #[test]
    fn an_application_is_served_with_its_own_account_and_by_no_endpoints_pod() {
        let mut catalog = Fixtures::demo();
        let found = |catalog: &Fixtures, account| select(catalog, "tools", &labels("dagster"), account);
        let selection = found(&catalog, "dagster").unwrap().unwrap();
        assert!(matches!(selection.served, Some(Served::App(_))));
        assert_eq!(selection.guard_issuer.as_deref(), Some("http://kc/realms/ml"));
        let refusal = found(&catalog, "default").unwrap_err().to_string();
        assert!(
            refusal.starts_with("WebApp tools/dagster selects this pod") && refusal.contains("\"default\""),
            "{refusal}"
        );
        catalog.apps.push(Arc::new(crate::admission::fixtures::app("tools", "other", "dagster")));
        assert!(matches!(found(&catalog, "dagster"), Err(Refusal::SeveralApps { .. })));
        catalog.apps.pop();
        catalog.endpoints.push(Arc::new(endpoint("tools", "dagster", "dagster")));
        assert!(matches!(found(&catalog, "dagster"), Err(Refusal::EndpointAndApp { .. })));
    }

    #[test]
    fn a_guard_that_asks_of_tokens_logs_in_with_the_pods_account() {
        let mut asking = endpoint("vision", "iris", "iris");
        let introspection = crate::api::Introspection { service_account_name: "server".into() };
        asking.spec.introspection = Some(introspection);
        let mut catalog = Fixtures::demo();
        catalog.endpoints = vec![Arc::new(asking)];
        let found = |catalog: &Fixtures, account| select(catalog, "vision", &labels("iris"), account);
        let selection = found(&catalog, "server").unwrap().unwrap();
        assert_eq!(selection.guard_issuer.as_deref(), Some("http://kc/realms/ml"));
        let refusal = found(&catalog, "default").unwrap_err().to_string();
        assert!(refusal.contains("\"server\"") && refusal.contains("\"default\""), "{refusal}");
        let mut other = identity("vision", "server", "iris");
        other.spec.realm = "other".into();
        catalog.identities.push(Arc::new(other));
        let mut realm = (*catalog.realms[0]).clone();
        realm.metadata.name = Some("other".into());
        realm.spec.realm = "other".into();
        catalog.realms.push(Arc::new(realm));
        let refusal = found(&catalog, "server").unwrap_err();
        assert!(matches!(refusal, Refusal::TwoRealms { .. }), "{refusal}");
        catalog.realms.clear();
        catalog.identities.clear();
        let refusal = found(&catalog, "server").unwrap_err().to_string();
        assert!(refusal.starts_with("Realm ml of ModelEndpoint vision/iris not found"), "{refusal}");
    }

    #[test]
    fn an_identity_needs_its_realm_an_endpoint_heals_later() {
        let mut catalog = Fixtures::demo();
        catalog.servers.clear();
        let refusal = chosen(&catalog, "agents", "labeler", "labeler").unwrap_err();
        assert!(matches!(refusal, Refusal::ServerNotFound { .. }), "{refusal}");
        catalog.realms.clear();
        let refusal = chosen(&catalog, "agents", "labeler", "labeler").unwrap_err().to_string();
        assert!(refusal.starts_with("Realm ml of WorkloadIdentity agents/labeler not found; create it"), "{refusal}");
        assert_eq!(chosen(&catalog, "vision", "iris", "default"), Ok((true, None)));
    }
}

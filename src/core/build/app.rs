//! A WebApp: a client with which people sign in, and a guard that signs them in.

use std::collections::BTreeSet;

use super::{
    RealmUrls, Site,
    endpoint::{held_by_people, roles},
    guard_policy, kind, owner,
};
use crate::core::{
    credential::ClientSecret,
    desired::{Browser, Credential, DesiredEndpoint, Sealed},
    graph::{App, AppSignIn},
    name::service_account_subject,
    native::{CA_FILE, Fact, Facts, Native},
    policy::document::GuardPolicy,
    signin::{
        document::{AppLogin, SignIn},
        settings::{BACKCHANNEL_LOGOUT, CALLBACK, OWN, SIGNED_OUT},
    },
};

/// What an application is in Keycloak. `issuer_alias` is that of the identity provider with the cluster's keys; without it
/// no guard can log in as its client. `secret` is that of one that signs people in itself.
pub fn desired_app(site: Site<'_>, app: &App, issuer_alias: Option<&str>, secret: Option<Sealed>) -> DesiredEndpoint {
    let server = &app.server;
    DesiredEndpoint {
        id: site.client_id(kind::APP, &server.name),
        client_id: server.client_id(),
        display_name: format!("{} (web app)", server.name),
        owner: owner(site.cluster, kind::APP, &server.name, &server.uid),
        roles: roles(server, &app.access),
        scopes: Vec::new(),
        login: login(app, issuer_alias, secret),
        people: held_by_people(&app.access),
        browser: Some(browser(app)),
        adopt: server.adopt,
    }
}

fn login(app: &App, issuer_alias: Option<&str>, secret: Option<Sealed>) -> Option<Credential> {
    match &app.sign_in {
        AppSignIn::Sidecar { service_account, .. } => Some(Credential::Federated {
            issuer_alias: issuer_alias?.to_owned(),
            subject: service_account_subject(&app.server.name.namespace, service_account),
        }),
        AppSignIn::Native(_) => Some(Credential::ClientSecret { secret: Some(secret?) }),
        AppSignIn::Public { .. } => None,
    }
}

fn browser(app: &App) -> Browser {
    let own = |name: &str| format!("{}{OWN}{name}", app.url);
    match &app.sign_in {
        AppSignIn::Sidecar { .. } => Browser {
            is_public: false,
            redirect_uris: BTreeSet::from([own(CALLBACK)]),
            post_logout_redirect_uris: BTreeSet::from([own(SIGNED_OUT)]),
            web_origins: BTreeSet::new(),
            backchannel_logout: Some(own(BACKCHANNEL_LOGOUT)),
            roles_claim: None,
        },
        AppSignIn::Native(native) => Browser {
            is_public: false,
            redirect_uris: native.redirect_uris.clone(),
            post_logout_redirect_uris: native.post_logout_redirect_uris.clone(),
            web_origins: BTreeSet::new(),
            backchannel_logout: native.backchannel_logout.clone(),
            roles_claim: Some(native.roles_claim.clone()),
        },
        AppSignIn::Public { redirect_uris, post_logout_redirect_uris, web_origins } => Browser {
            is_public: true,
            redirect_uris: redirect_uris.clone(),
            post_logout_redirect_uris: post_logout_redirect_uris.clone(),
            web_origins: web_origins.clone(),
            backchannel_logout: None,
            roles_claim: None,
        },
    }
}

/// What an application that signs people in itself is told. `has_ca`: Keycloak's server has CA certificates of its own.
pub fn native_facts(app: &App, native: &Native, realm: &RealmUrls, has_ca: bool) -> Facts {
    let [authorization_url, _] = realm.openid("auth");
    let [logout_url, _] = realm.openid("logout");
    let [[_, token_url], [_, userinfo_url], [_, jwks_url]] =
        ["token", "userinfo", "certs"].map(|name| realm.openid(name));
    let (server_url, realm_name) = realm.issuer.rsplit_once("/realms/").unwrap_or((&realm.issuer, ""));
    let file = |name: &str| format!("{}/{name}", native.mount_path);
    let facts = [
        (Fact::ClientId, app.server.client_id()),
        (Fact::Issuer, realm.issuer.clone()),
        (Fact::DiscoveryUrl, format!("{}/.well-known/openid-configuration", realm.reachable)),
        (Fact::AuthorizationUrl, authorization_url),
        (Fact::LogoutUrl, logout_url),
        (Fact::TokenUrl, token_url),
        (Fact::UserinfoUrl, userinfo_url),
        (Fact::JwksUrl, jwks_url),
        (Fact::Realm, realm_name.to_owned()),
        (Fact::ServerUrl, server_url.to_owned()),
        (Fact::Url, app.url.clone()),
        (Fact::RedirectUri, native.redirect_uri.clone()),
        (Fact::RolesClaim, native.roles_claim.clone()),
        (Fact::SecretFile, file(&native.secret_file)),
        (Fact::SecretDirectory, native.mount_path.clone()),
        (Fact::SecretKey, ClientSecret::entry(&app.server.name.name)),
    ];
    facts.into_iter().chain(has_ca.then(|| (Fact::CaFile, file(CA_FILE)))).collect()
}

/// The policy of an application's guard, its number still 0; `None`: it has no guard.
pub fn app_policy(app: &App, realm: &RealmUrls) -> Option<GuardPolicy> {
    let AppSignIn::Sidecar { absolute, idle, api, brand, .. } = &app.sign_in else { return None };
    let [authorization_url, _] = realm.openid("auth");
    let [logout_url, _] = realm.openid("logout");
    let [_, token_url] = realm.openid("token");
    let sign_in = SignIn {
        url: app.url.clone(),
        client_id: app.server.client_id(),
        authorization_url,
        logout_url,
        token_url,
        ca: realm.ca.clone(),
        login: AppLogin::KubernetesToken,
        scopes: Vec::new(),
        absolute: *absolute,
        idle: *idle,
        api: api.clone(),
        brand: brand.clone(),
    };
    let policy = guard_policy(&app.server, realm, &[], &app.access, |_| false);
    Some(GuardPolicy { sign_in: Some(sign_in), ..policy })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::core::{
        graph::{Endpoint, Kind, PeopleEdge, test_objects},
        name::Ref,
        native::Template,
        person::Person,
        policy::document::Subject,
        signin::{document::Brand, settings::SignInSettings},
    };

    fn app(sign_in: AppSignIn) -> App {
        let name = Ref::new("tools", "board");
        let access = PeopleEdge {
            grant: Ref::new("tools", "users"),
            endpoint: name.clone(),
            people: [Person::User("ann".into())].into(),
            permissions: test_objects::permissions(&["read"]),
            models: None,
            expires_at: None,
            claims: Vec::new(),
        };
        let server = Endpoint { kind: Kind::WebApp, name, ..test_objects::endpoint() };
        App { server, access: vec![access], url: "https://board.example".into(), sign_in }
    }

    fn guarded() -> App {
        app(AppSignIn::Sidecar {
            service_account: "board".into(),
            absolute: 3600,
            idle: 600,
            api: vec!["/api".into()],
            brand: Brand::default(),
        })
    }

    fn public() -> App {
        let uris = |path: &str| BTreeSet::from([format!("https://board.example{path}")]);
        app(AppSignIn::Public {
            redirect_uris: uris("/callback"),
            post_logout_redirect_uris: uris("/"),
            web_origins: uris(""),
        })
    }

    #[test]
    fn people_sign_in_by_code_alone_and_tokens_are_for_the_application_alone() {
        let site = Site { cluster: "east", realm: "ml" };
        for (app, is_public) in [(guarded(), false), (public(), true)] {
            let client = desired_app(site, &app, Some("keywire-east"), None);
            let settings = client.settings();
            assert_eq!((settings.client_id.as_str(), settings.public_client), ("board.tools.app", is_public));
            assert!(settings.standard_flow_enabled && !settings.full_scope_allowed);
            let others = [
                settings.implicit_flow_enabled,
                settings.direct_access_grants_enabled,
                settings.service_accounts_enabled,
            ];
            assert_eq!(others, [false; 3]);
            assert_eq!(settings.attributes["pkce.code.challenge.method"], "S256");
            assert!(settings.redirect_uris.iter().all(|uri| !uri.contains('*')));
            assert_eq!(settings.protocol_mappers.len(), 1, "one audience");
            assert_eq!(client.login.is_some(), !is_public);
        }
    }

    fn native() -> App {
        app(AppSignIn::Native(Box::new(Native {
            redirect_uris: BTreeSet::from(["https://board.example/back".to_owned()]),
            redirect_uri: "https://board.example/back".into(),
            post_logout_redirect_uris: BTreeSet::new(),
            backchannel_logout: None,
            roles_claim: "roles".into(),
            environment: [
                ("ID", "${clientId}"),
                ("CA", "${caFile}"),
                ("FROM", "${discoveryUrl} ${authorizationUrl} ${realm}"),
            ]
            .map(|(name, text)| (name.to_owned(), Template::parse(text).expect("good")))
            .into(),
            mount_path: "/secret".into(),
            secret_file: "it".into(),
            secret_variable: None,
            containers: BTreeSet::new(),
            rotate: None,
            secret_labels: Default::default(),
        })))
    }

    #[test]
    fn an_application_that_signs_people_in_itself_has_a_secret_and_a_claim() {
        let site = Site { cluster: "east", realm: "ml" };
        let secret = Sealed::new("1", "hidden");
        let settings = desired_app(site, &native(), Some("keywire-east"), Some(secret)).settings();
        assert_eq!((settings.client_authenticator_type.as_str(), settings.public_client), ("client-secret", false));
        assert_eq!(settings.attributes["jwt.credential.sub"], "", "no ServiceAccount is bound to it");
        let names: Vec<_> = settings.protocol_mappers.iter().map(|mapper| mapper.name.as_str()).collect();
        assert_eq!(names, ["keywire audience", "keywire claim roles"]);
        let unknown = desired_app(site, &native(), Some("keywire-east"), None).settings();
        assert_eq!(unknown.client_authenticator_type, "federated-jwt", "closed until there is a secret");
    }

    #[test]
    fn an_application_is_told_what_browsers_and_what_pods_reach() {
        let urls = RealmUrls::new("https://auth.example", "http://keycloak:8080", "ml", None);
        let app = native();
        let told = |has_ca| {
            app.native().map(|native| native.told(&native_facts(&app, native, &urls, has_ca))).expect("native")
        };
        let without = told(false);
        assert_eq!(without.keys().collect::<Vec<_>>(), ["FROM", "ID"], "what there is not is not told");
        let from = "http://keycloak:8080/realms/ml/.well-known/openid-configuration https://auth.example/realms/ml/protocol/openid-connect/auth ml";
        assert_eq!(without["FROM"], from);
        assert_eq!(told(true)["CA"], "/secret/ca.crt");
    }

    #[test]
    fn its_guard_is_told_how_to_sign_people_in_and_whom_it_is_open_to() {
        let urls = RealmUrls::new("https://auth.example", "http://keycloak:8080", "ml", None);
        let policy = app_policy(&guarded(), &urls).expect("a guard");
        assert_eq!((policy.audience.as_str(), policy.role_client.as_str()), ("board.tools.app", "board.tools.app"));
        assert_eq!(policy.grants[0].subject, Subject::Role("grant.users".into()));
        let sign_in = policy.sign_in.expect("sign-in");
        assert_eq!(sign_in.authorization_url, "https://auth.example/realms/ml/protocol/openid-connect/auth");
        assert_eq!(sign_in.token_url, "http://keycloak:8080/realms/ml/protocol/openid-connect/token");
        let own = SignInSettings::compile(sign_in).expect("the guard takes it");
        let site = Site { cluster: "east", realm: "ml" };
        let client = desired_app(site, &guarded(), None, None).settings();
        assert!(
            client.redirect_uris.contains(&own.own_url(CALLBACK)),
            "what the guard asks for is what Keycloak takes"
        );
        assert_eq!(app_policy(&public(), &urls), None);
    }
}

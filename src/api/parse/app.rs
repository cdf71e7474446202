//! WebApp → [`App`].

use std::collections::BTreeSet;

use kube::ResourceExt;

use super::{
    ADMIN_PORT, Problems,
    endpoint::{permissions, rules},
    invalid, name_of, native, people,
};
use crate::{
    api::{Access, Isolation, People, PublicSignIn, SignIn, USE, WebApp},
    core::{
        graph::{App, AppSignIn, Endpoint, Kind, PeopleEdge, Port},
        name::Ref,
        permission::Permission,
        person::Person,
        policy::document::{self, Protocol, Rule},
        signin::{document::Brand, settings},
    },
};

/// The name of an application's one port.
pub const PORT: &str = "http";

impl WebApp {
    /// The application that this object describes.
    pub fn parse(&self) -> Result<App, Problems> {
        let mut problems = Problems::new();
        let url = format!("{}://{}", self.spec.scheme.as_str(), self.spec.host);
        match settings::origin(&url) {
            // A port that is the scheme's own is not in what browsers send.
            Some(origin) if origin != url => {
                problems.push(invalid("spec.host", format!("write it as browsers do: {origin:?} without its scheme")));
            }
            None => problems.push(invalid("spec.host", format!("{url:?} is no URL of a web server"))),
            Some(_) => {}
        }
        let sign_in = match self.spec.sign_in {
            SignIn::Sidecar => self.sidecar(&mut problems),
            SignIn::Native => {
                native::native(self, &url, &mut problems).map(|native| AppSignIn::Native(Box::new(native)))
            }
            SignIn::Public => self.public(&url, &mut problems),
        };
        let server = self.server(&mut problems);
        let access = self.access(&server, &mut problems);
        match sign_in {
            Some(sign_in) if problems.is_empty() => Ok(App { server, access, url, sign_in }),
            _ => Err(problems),
        }
    }

    /// Name of the Service that points at the sidecar.
    pub fn service_name(&self) -> String {
        self.spec.service.as_ref().map_or_else(|| self.name_any(), |service| service.name.clone())
    }

    /// Where the sidecar listens; `None` where it would not be a port, or there is none.
    pub fn guard_port(&self) -> Option<u16> {
        let port = self.spec.guard_port.or_else(|| self.spec.port?.checked_add(10_000))?;
        u16::try_from(port).ok().filter(|port| *port > 0)
    }

    /// Where the application listens.
    pub fn app_port(&self) -> Option<u16> {
        u16::try_from(self.spec.port?).ok().filter(|port| *port > 0)
    }

    fn sidecar(&self, problems: &mut Problems) -> Option<AppSignIn> {
        let spec = &self.spec;
        if spec.workload.is_none() {
            problems.push(invalid("spec.workload", "signIn Sidecar needs the pods that serve it"));
        }
        let brand = Brand {
            name: spec.brand.name.clone(),
            contact: spec.brand.contact.clone(),
            color: spec.brand.color.clone(),
        };
        problems.extend(settings::check_brand(&brand).err().map(|error| invalid("spec.brand", error)));
        let (absolute, idle) = (i64::from(spec.session.absolute.0), i64::from(spec.session.idle.0));
        problems.extend(settings::lifetimes(absolute, idle).err().map(|error| invalid("spec.session", error)));
        for path in &spec.api {
            problems.extend(settings::beginning(path.clone()).err().map(|error| invalid("spec.api", error)));
        }
        let account = spec.service_account_name.clone();
        let Some(service_account) = account else {
            problems.push(invalid("spec.serviceAccountName", "signIn Sidecar needs the ServiceAccount of its pods"));
            return None;
        };
        Some(AppSignIn::Sidecar { service_account, absolute, idle, api: spec.api.clone(), brand })
    }

    fn public(&self, url: &str, problems: &mut Problems) -> Option<AppSignIn> {
        let Some(PublicSignIn { redirect_paths, post_logout_redirect_paths, further_origins }) = &self.spec.public
        else {
            problems.push(invalid("spec.public", "signIn Public needs to know where browsers are sent back to"));
            return None;
        };
        let mut origins = BTreeSet::from([url.to_owned()]);
        for origin in further_origins {
            if settings::origin(origin).as_ref() != Some(origin) {
                let message = format!("{origin:?} is no origin as browsers send it, such as https://app.example.com");
                problems.push(invalid("spec.public.furtherOrigins", message));
            }
            origins.insert(origin.clone());
        }
        refuse_patterns("spec.public", redirect_paths.iter().chain(post_logout_redirect_paths), problems);
        if redirect_paths.is_empty() {
            problems.push(invalid("spec.public.redirectPaths", "name at least one"));
        }
        let at = |paths: &[String]| -> BTreeSet<String> {
            origins.iter().flat_map(|origin| paths.iter().map(move |path| format!("{origin}{path}"))).collect()
        };
        let afterwards = if post_logout_redirect_paths.is_empty() {
            vec!["/".to_owned()]
        } else {
            post_logout_redirect_paths.clone()
        };
        Some(AppSignIn::Public {
            redirect_uris: at(redirect_paths),
            post_logout_redirect_uris: at(&afterwards),
            web_origins: origins.clone(),
        })
    }

    /// What its guard serves; without a guard the same with no port.
    fn server(&self, problems: &mut Problems) -> Endpoint {
        let spec = &self.spec;
        let protocol = Protocol::from(spec.protocol);
        let mut rules = rules(&spec.rules, protocol, problems);
        if matches!(protocol, Protocol::Http) {
            rules.extend(everything_else());
        }
        Endpoint {
            kind: Kind::WebApp,
            name: name_of(self),
            uid: self.uid().unwrap_or_default(),
            realm: spec.realm.clone(),
            protocol,
            ports: self.ports(problems),
            models: None,
            permissions: self.permissions(protocol, &rules, problems),
            rules,
            require: Vec::new(),
            service: self.service_name(),
            external_url: None,
            cors: None,
            limits: None,
            audit: spec.audit.map(document::Audit::from),
            introspects_as: None,
            acts_as: None,
            network_policy: spec.sign_in == SignIn::Sidecar && spec.isolation == Isolation::NetworkPolicy,
            adopt: spec.adopt,
        }
    }

    /// Those of its routes; of an application that signs people in itself, what it tells apart.
    fn permissions(&self, protocol: Protocol, rules: &[Rule], problems: &mut Problems) -> BTreeSet<Permission> {
        let Some(written) = self.spec.native.as_ref().filter(|_| self.spec.sign_in == SignIn::Native) else {
            return permissions(protocol, rules);
        };
        let mut found = BTreeSet::new();
        for role in native::roles(written) {
            match Permission::parse(&role) {
                Ok(permission) => {
                    found.insert(permission);
                }
                Err(error) => problems.push(invalid("spec.native.roles", error)),
            }
        }
        found
    }

    fn ports(&self, problems: &mut Problems) -> Vec<Port> {
        if self.spec.sign_in != SignIn::Sidecar {
            return Vec::new();
        }
        match self.app_port().zip(self.guard_port()) {
            Some((app, guard)) if app != guard && app != ADMIN_PORT && guard != ADMIN_PORT => {
                vec![Port { name: PORT.to_owned(), app, guard }]
            }
            _ => {
                let message = format!(
                    "port and guardPort must lie between 1 and 65535 and differ, and the sidecar itself takes {ADMIN_PORT}"
                );
                problems.push(invalid("spec.port", message));
                Vec::new()
            }
        }
    }

    fn access(&self, server: &Endpoint, problems: &mut Problems) -> Vec<PeopleEdge> {
        let mut names = BTreeSet::new();
        let mut edges = Vec::new();
        for access in &self.spec.access {
            let field = format!("spec.access[{}]", access.name);
            if !names.insert(&access.name) {
                problems.push(invalid(&field, "the name is taken by another entry"));
            }
            let people = of_people(access, &field, problems);
            let permissions = of_permissions(access, server, &field, problems);
            edges.push(PeopleEdge {
                grant: Ref::new(&server.name.namespace, &access.name),
                endpoint: server.name.clone(),
                people,
                permissions,
                models: None,
                expires_at: None,
                claims: Vec::new(),
            });
        }
        edges
    }
}

/// Where routes are not told apart, whoever may use an application may use all of it.
fn everything_else() -> Option<Rule> {
    let access = document::Access::Permission(Permission::parse(USE).ok()?);
    Some(Rule { methods: Vec::new(), path: "/**".to_owned(), access, model: None })
}

fn of_people(access: &Access, field: &str, problems: &mut Problems) -> BTreeSet<Person> {
    let mut found = BTreeSet::new();
    for named in &access.people {
        let People { user, group, realm_role, client_role } = named;
        let client_role = client_role.as_ref().map(|of| (of.client.as_str(), of.role.as_str()));
        match people::named(user.as_deref(), group.as_deref(), realm_role.as_deref(), client_role) {
            Ok(Some(person)) => {
                found.insert(person);
            }
            Err(Some(error)) => problems.push(invalid(field, error)),
            Ok(None) | Err(None) => {
                problems.push(invalid(field, "name exactly one of user, group, realmRole and clientRole"))
            }
        }
    }
    if access.people.is_empty() {
        problems.push(invalid(field, "name at least one of the realm's people"));
    }
    found
}

fn of_permissions(access: &Access, server: &Endpoint, field: &str, problems: &mut Problems) -> BTreeSet<Permission> {
    let mut found = BTreeSet::new();
    for name in &access.permissions {
        match Permission::parse(name) {
            Ok(permission) if server.permissions.contains(&permission) => {
                found.insert(permission);
            }
            Ok(_) => {
                let offered: Vec<_> = server.permissions.iter().map(Permission::as_str).collect();
                problems
                    .push(invalid(field, format!("there is no permission {name:?}; there is {}", offered.join(", "))));
            }
            Err(error) => problems.push(invalid(field, error)),
        }
    }
    found
}

/// Paths that Keycloak sends browsers to: each is one, not many.
pub(super) fn refuse_patterns<'a>(field: &str, paths: impl Iterator<Item = &'a String>, problems: &mut Problems) {
    for path in paths.filter(|path| !is_plain(path)) {
        problems.push(invalid(field, format!("{path:?} is no path: it begins with \"/\" and has no wildcard")));
    }
}

fn is_plain(path: &str) -> bool {
    path.starts_with('/') && !path.contains(['*', '?', '#']) && !path.contains("//") && path.is_ascii()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn app(change: &[(&str, Value)]) -> WebApp {
        let mut spec = json!({"realm": "ml", "host": "board.example", "signIn": "Sidecar", "serviceAccountName": "board",
            "workload": {"matchLabels": {"app": "board"}}, "port": 3000,
            "access": [{"name": "users", "people": [{"group": "/staff"}]}]});
        for (field, value) in change {
            spec[field] = value.clone();
        }
        serde_json::from_value(json!({"apiVersion": "keywire.dev/v1alpha1", "kind": "WebApp",
            "metadata": {"namespace": "tools", "name": "board"}, "spec": spec}))
        .expect("a WebApp")
    }

    fn public(change: &[(&str, Value)]) -> WebApp {
        let mut public = json!({"redirectPaths": ["/callback"]});
        for (field, value) in change {
            public[field] = value.clone();
        }
        app(&[
            ("signIn", json!("Public")),
            ("public", public),
            ("workload", json!(null)),
            ("port", json!(null)),
            ("serviceAccountName", json!(null)),
        ])
    }

    #[test]
    fn the_example_says_what_it_means() {
        let text = include_str!("../../../deploy/examples/web-app/20-dagster.yaml");
        let written = text.split("---\n").find(|part| part.contains("kind: WebApp")).expect("a WebApp");
        let object: WebApp = serde_saphyr::from_str(written).expect("good YAML");
        let parsed = object.parse().expect("good");
        assert_eq!((parsed.url.as_str(), parsed.access.len()), ("https://dagster.example.com", 2));
        let own = include_str!("../../../deploy/examples/web-app/30-own-sign-in.yaml");
        for written in own.split("---\n").filter(|part| part.contains("kind: WebApp")) {
            let object: WebApp = serde_saphyr::from_str(written).expect("good YAML");
            assert!(object.parse().is_ok_and(|app| app.native().is_some()), "{written}");
        }
        let realm: crate::api::Realm =
            serde_saphyr::from_str(include_str!("../../../deploy/examples/web-app/10-realm.yaml")).expect("good YAML");
        let allows = |host: &&str| realm.spec.app_hosts.iter().any(|entry| entry.allows(host, &Default::default()));
        assert!(parsed.hosts().iter().all(allows));
    }

    #[test]
    fn whoever_may_use_it_may_use_what_no_rule_names() {
        let rules = json!([{"path": "/admin/**", "permission": "admin"}]);
        let parsed = app(&[("rules", rules)]).parse().expect("good");
        let paths: Vec<_> = parsed.server.rules.iter().map(|rule| &*rule.path).collect();
        assert_eq!(paths, ["/admin/**", "/**"]);
        assert_eq!(parsed.server.client_id(), "board.tools.app");
        let [users] = &*parsed.access else { panic!("one entry") };
        assert_eq!((users.grant.to_string().as_str(), users.permissions.len()), ("tools/users", 1));
        // A protocol of its own has a table of its own.
        let own = [("protocol", json!("Dagster")), ("access", json!([]))];
        assert_eq!(app(&own).parse().expect("good").server.rules, []);
    }

    #[test]
    fn a_single_page_application_is_sent_back_to_whole_urls() {
        let parsed = public(&[("furtherOrigins", json!(["https://other.example"]))]).parse().expect("good");
        let AppSignIn::Public { redirect_uris, post_logout_redirect_uris, web_origins } = parsed.sign_in else {
            panic!("public")
        };
        let all = |path: &str| {
            BTreeSet::from(["https://board.example", "https://other.example"].map(|o| format!("{o}{path}")))
        };
        assert_eq!((redirect_uris, post_logout_redirect_uris, web_origins), (all("/callback"), all("/"), all("")));
        assert_eq!(parsed.server.ports, [], "it has no guard");
    }

    #[test]
    fn what_is_wrong_is_told_by_field() {
        let access = |entry: Value| app(&[("access", json!([entry]))]);
        for (wrong, expected) in [
            (app(&[("host", json!("board.example:443"))]), "spec.host"),
            (app(&[("host", json!("a b"))]), "spec.host"),
            (app(&[("port", json!(15090))]), "spec.port"),
            (app(&[("port", json!(60000))]), "spec.port"),
            (app(&[("guardPort", json!(3000))]), "spec.port"),
            (app(&[("workload", json!(null))]), "spec.workload"),
            (app(&[("serviceAccountName", json!(null))]), "spec.serviceAccountName"),
            (app(&[("api", json!(["/**"]))]), "spec.api"),
            (app(&[("session", json!({"absolute": "10s"}))]), "spec.session"),
            (app(&[("session", json!({"absolute": "1h", "idle": "2h"}))]), "spec.session"),
            (app(&[("brand", json!({"color": "red"}))]), "spec.brand"),
            (app(&[("rules", json!([{"path": "/x"}]))]), "spec.rules[0]"),
            (app(&[("signIn", json!("Public"))]), "spec.public"),
            (public(&[("redirectPaths", json!([]))]), "spec.public.redirectPaths"),
            (public(&[("redirectPaths", json!(["/*"]))]), "spec.public"),
            (public(&[("furtherOrigins", json!(["https://other.example/path"]))]), "spec.public.furtherOrigins"),
            (access(json!({"name": "a", "people": []})), "spec.access[a]"),
            (access(json!({"name": "a", "people": [{}]})), "spec.access[a]"),
            (access(json!({"name": "a", "people": [{"user": "service-account-x"}]})), "spec.access[a]"),
            (access(json!({"name": "a", "people": [{"user": "ann"}], "permissions": ["fly"]})), "spec.access[a]"),
        ] {
            let problems = wrong.parse().expect_err(expected);
            assert!(problems.iter().any(|p| p.message.starts_with(expected)), "{expected}: {problems:?}");
        }
        let twice = json!([{"name": "a", "people": [{"user": "ann"}]}, {"name": "a", "people": [{"user": "ben"}]}]);
        assert!(app(&[("access", twice)]).parse().is_err());
    }
}

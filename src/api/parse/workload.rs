//! WorkloadIdentity → [`Workload`].

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt;

use super::{Problems, claims, invalid, name_of};
use crate::{
    api::{
        Credential, HeldRole, REVOKE_ANNOTATION, ROTATE_ANNOTATION, Target as Written, TokenUse, WorkloadIdentity,
        common::Seconds, parse::ADMIN_PORT,
    },
    core::{
        credential::{Method, Rules},
        graph::{Destination, External, ExternalUrl, Login, Target, Workload, is_below},
        name::is_ours,
    },
};

/// How long a credential is used where nothing else is said.
const EVERY: Seconds = Seconds(720 * 3600);
const LEAST_EVERY: Seconds = Seconds(600);
/// How long it lives beside its successor at most.
const OVERLAP: Seconds = Seconds(24 * 3600);
const LEAST_OVERLAP: Seconds = Seconds(60);

impl WorkloadIdentity {
    /// The workload that this object describes.
    pub fn parse(&self) -> Result<Workload, Problems> {
        let mut problems = Problems::new();
        let targets = self.targets(&mut problems);
        let claims = claims::values(&self.spec.claims, &mut problems);
        let login = self.login(&mut problems);
        let roles = self.roles(&mut problems);
        if self.spec.ttl == Some(Seconds(0)) {
            problems.push(invalid("spec.ttl", "must be longer than 0s"));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Workload {
            name: name_of(self),
            uid: self.uid().unwrap_or_default(),
            realm: self.spec.realm.clone(),
            service_account: self.spec.service_account_name.clone(),
            login,
            has_kept: self.has_kept_credentials(),
            revoked_before: self.status.as_ref().and_then(|status| status.credential.as_ref()?.revoked_before),
            targets,
            claims,
            roles,
            // Endpoints say so, not the identity.
            acts_on_behalf: false,
            suspended: self.spec.suspended,
            expires_at: self.expires_at(),
            adopt: self.spec.adopt,
        })
    }

    /// Beyond its grants.
    fn roles(&self, problems: &mut Problems) -> BTreeMap<String, BTreeSet<String>> {
        let mut roles = BTreeMap::<_, BTreeSet<_>>::new();
        for HeldRole { client, role } in &self.spec.roles {
            if client.is_empty() || role.is_empty() || is_ours(client) {
                let message = format!(
                    "{client:?} is no client that was there already: access to what Keywire guards is granted by an AccessGrant"
                );
                problems.push(invalid("spec.roles", message));
            }
            roles.entry(client.clone()).or_default().insert(role.clone());
        }
        if !roles.is_empty() && !self.spec.targets.is_empty() {
            problems.push(invalid("spec.roles", "an identity with roles of its own has no targets: an endpoint could use what it is sent for what the roles allow; make an identity for each"));
        }
        roles
    }

    /// When it ends, in seconds since the epoch.
    pub fn expires_at(&self) -> Option<i64> {
        let (Seconds(ttl), created) = (self.spec.ttl?, self.creation_timestamp()?.0.as_second());
        Some(created.saturating_add(ttl.into()))
    }

    fn login(&self, problems: &mut Problems) -> Login {
        let method = match self.spec.credential {
            Credential::KubernetesToken => return Login::KubernetesToken,
            Credential::PrivateKeyJwt => Method::PrivateKeyJwt,
            Credential::ClientSecret => Method::ClientSecret,
        };
        let rotation = self.spec.rotation.clone().unwrap_or_default();
        let mut bounded = |field: &str, given: Option<Seconds>, default: Seconds, least: Seconds| {
            let given = given.unwrap_or(default);
            if given.0 < least.0 {
                problems.push(invalid(&format!("spec.rotation.{field}"), format!("must be at least {}s", least.0)));
            }
            given.0.into()
        };
        let annotation = |name| self.annotations().get(name).cloned();
        Login::Kept(Rules {
            method,
            every: bounded("every", rotation.every, EVERY, LEAST_EVERY),
            overlap: bounded("overlap", rotation.overlap, OVERLAP, LEAST_OVERLAP),
            rotate: annotation(ROTATE_ANNOTATION),
            revoke: annotation(REVOKE_ANNOTATION),
        })
    }

    fn targets(&self, problems: &mut Problems) -> Vec<Target> {
        let mut taken = BTreeSet::from([ADMIN_PORT]);
        let mut variables = BTreeSet::new();
        let mut targets = Vec::new();
        for (index, target) in self.spec.targets.iter().enumerate() {
            let field = format!("spec.targets[{index}]");
            if !variables.insert(&target.env) {
                problems.push(invalid(&field, format!("the variable {:?} is named twice", target.env)));
            }
            let to = destination(target).map_err(|message| problems.push(invalid(&field, message)));
            match target.listen(index) {
                Some(listen) if taken.insert(listen) => targets.extend(to.ok().map(|to| Target {
                    to,
                    listen,
                    env: target.env.clone(),
                    offers_token: target.token == TokenUse::Offered,
                })),
                Some(listen) => {
                    problems
                        .push(invalid(&field, format!("loopback port {listen} is taken twice; choose another port")));
                }
                None => problems.push(invalid(&field, "port must lie between 1024 and 65535")),
            }
        }
        targets
    }
}

/// Where a target leads, or what is wrong with what it says of that.
fn destination(target: &Written) -> Result<Destination, String> {
    match (&target.endpoint, &target.external) {
        (Some(endpoint), None) => {
            Ok(Destination::Endpoint { name: endpoint.into(), port: target.endpoint_port.clone() })
        }
        (None, Some(_)) if target.endpoint_port.is_some() => {
            Err("endpointPort is for an endpoint: the port of external is in its url".to_owned())
        }
        (None, Some(external)) => {
            let url = ExternalUrl::parse(&external.url).map_err(|error| format!("external.url {error}"))?;
            if external.audience.is_empty() || external.scopes.is_empty() {
                return Err("external needs an audience and a scope".to_owned());
            }
            if let Some(path) = target.path.as_deref().filter(|path| !is_below(path, url.path())) {
                return Err(format!("path {path:?} is not below external.url, so nothing could be called with it"));
            }
            let (audience, scopes) = (external.audience.clone(), external.scopes.iter().cloned().collect());
            Ok(Destination::External(External { url, audience, scopes, ca: None }))
        }
        _ => Err("name either endpoint or external".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{
        ExternalTarget, Rotation, WorkloadIdentitySpec,
        common::{ObjectRef, PodSelector},
    };

    fn identity(targets: Vec<Written>) -> WorkloadIdentity {
        let spec = WorkloadIdentitySpec {
            realm: "ml".into(),
            service_account_name: "labeler".into(),
            workload: PodSelector::default(),
            credential: Credential::KubernetesToken,
            rotation: None,
            credential_files: None,
            targets,
            suspended: false,
            claims: Vec::new(),
            roles: Vec::new(),
            egress: crate::api::Egress::Open,
            ttl: None,
            adopt: false,
            deletion_policy: crate::api::DeletionPolicy::Delete,
        };
        let mut identity = WorkloadIdentity::new("labeler", spec);
        identity.metadata.namespace = Some("agents".into());
        identity
    }

    fn target(env: &str, port: Option<i32>) -> Written {
        let endpoint = ObjectRef { namespace: "vision".into(), name: "iris".into() };
        Written { endpoint: Some(endpoint), env: env.into(), port, ..Written::default() }
    }

    fn external(url: &str, path: Option<&str>) -> Written {
        let external = ExternalTarget { url: url.into(), audience: "api".into(), scopes: vec!["api:read".into()] };
        let path = path.map(str::to_owned);
        Written { external: Some(external), env: "API_URL".into(), path, ..Written::default() }
    }

    #[test]
    fn a_target_is_an_endpoint_or_outside() {
        let to = |target: Written| identity(vec![target]).parse().map(|mut parsed| parsed.targets.remove(0).to);
        assert!(matches!(to(target("A", None)), Ok(Destination::Endpoint { .. })));
        for path in [None, Some("/v1"), Some("/v1/chat")] {
            let found = to(external("https://api.example/v1/", path)).expect("valid");
            assert_eq!(found.external().expect("outside").url.to_string(), "https://api.example/v1");
        }
        let both = Written { endpoint: target("A", None).endpoint, ..external("https://api.example", None) };
        let neither = Written { env: "A".into(), ..Written::default() };
        let port = Written { endpoint_port: Some("http".into()), ..external("https://api.example", None) };
        let unscoped = |change: fn(&mut ExternalTarget)| {
            let mut target = external("https://api.example", None);
            target.external.iter_mut().for_each(change);
            target
        };
        for (target, named) in [
            (both, "either endpoint or external"),
            (neither, "either endpoint or external"),
            (port, "endpointPort"),
            (external("http://api.example", None), "https"),
            (external("https://api.example/v1", Some("/v2")), "not below"),
            (external("https://api.example/v1", Some("/v1x")), "not below"),
            (unscoped(|external| external.scopes.clear()), "scope"),
            (unscoped(|external| external.audience.clear()), "audience"),
        ] {
            let problems = to(target).expect_err(named);
            assert!(problems[0].message.contains(named), "{named}: {problems:?}");
        }
    }

    /// What an endpoint is sent, it could send on to Keycloak's Admin API.
    #[test]
    fn roles_of_other_clients_and_targets_exclude_each_other() {
        let held = |client: &str| HeldRole { client: client.into(), role: "view-identity-providers".into() };
        let with = |client: &str, targets: Vec<Written>| {
            let mut identity = identity(targets);
            identity.spec.roles = vec![held(client)];
            identity.parse().map(|parsed| parsed.roles)
        };
        let roles = with("realm-management", Vec::new()).expect("good");
        assert_eq!(roles["realm-management"], BTreeSet::from(["view-identity-providers".to_owned()]));
        for (client, targets) in
            [("realm-management", vec![target("A", None)]), ("iris.vision.endpoint", Vec::new()), ("", Vec::new())]
        {
            let problems = with(client, targets).expect_err(client);
            assert!(problems[0].message.starts_with("spec.roles"), "{problems:?}");
        }
    }

    #[test]
    fn targets_count_up_from_15100() {
        let parsed = identity(vec![target("A", None), target("B", Some(9000)), target("C", None)]).parse().unwrap();
        assert_eq!(parsed.targets.iter().map(|target| target.listen).collect::<Vec<_>>(), [15100, 9000, 15102]);
    }

    #[test]
    fn a_lifetime_counts_from_the_creation() {
        let mut identity = identity(Vec::new());
        identity.metadata.creation_timestamp =
            serde_json::from_value(serde_json::json!("1970-01-01T00:01:40Z")).expect("a time");
        assert_eq!(identity.parse().expect("valid").expires_at, None);
        identity.spec.ttl = Some(Seconds(60));
        assert_eq!(identity.parse().expect("valid").expires_at, Some(160));
        identity.spec.ttl = Some(Seconds(0));
        assert!(identity.parse().expect_err("no time at all")[0].message.contains("spec.ttl"));
    }

    #[test]
    fn a_credential_that_is_kept_has_its_rules() {
        let mut identity = identity(Vec::new());
        assert_eq!(identity.parse().expect("valid").login, Login::KubernetesToken);
        identity.spec.credential = Credential::PrivateKeyJwt;
        identity.annotations_mut().insert(ROTATE_ANNOTATION.into(), "monday".into());
        let Login::Kept(rules) = identity.parse().expect("valid").login else { panic!("kept") };
        let expected = (Method::PrivateKeyJwt, 2_592_000, 86_400, Some("monday".to_owned()), None);
        assert_eq!((rules.method, rules.every, rules.overlap, rules.rotate, rules.revoke), expected);
        for (every, overlap, named) in [(599, 60, "spec.rotation.every"), (600, 59, "spec.rotation.overlap")] {
            let rotation = Rotation { every: Some(Seconds(every)), overlap: Some(Seconds(overlap)) };
            identity.spec.rotation = Some(rotation);
            assert!(identity.parse().expect_err("too short")[0].message.contains(named));
        }
    }

    #[test]
    fn what_cannot_work_is_named() {
        let cases = [
            (vec![target("A", None), target("A", None)], "\"A\""),
            (vec![target("A", None), target("B", Some(15100))], "15100"),
            (vec![target("A", Some(15090))], "15090"),
            (vec![target("A", Some(70000))], "65535"),
        ];
        for (targets, named) in cases {
            let problems = identity(targets).parse().unwrap_err();
            assert!(problems[0].message.contains(named), "{named}: {problems:?}");
        }
    }
}

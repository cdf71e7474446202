//! A guard policy made ready to decide: checked once, indexed by caller. Pure.

use std::{collections::HashSet, sync::Arc};

use crate::core::{
    claims::{ClaimSet, Requirement, all_hold},
    name::Ref,
    path::CanonicalPath,
    policy::{
        cors::{InvalidOrigin, Origins},
        document::{Access, Audit, GuardPolicy, Introspection, Listener, Protocol, TrustedIssuer},
        grants::{CompiledGrant, Index, Models},
        limits::{CompiledLimits, InvalidLimits},
        resource::{InvalidResource, Resource},
        revoked::Revoked,
        rule::{CompiledRule, RuleError},
    },
    protocol::{self, Messages, Route, WEBSOCKET, Wire},
    signin::settings::{SettingsError, SignInSettings},
};

/// A [`GuardPolicy`] that passed its checks.
#[derive(Clone, Debug)]
pub struct CompiledPolicy {
    /// As in the document.
    pub number: u64,
    /// The endpoint that is guarded.
    pub endpoint: Ref,
    /// The one `aud` that a token must have; also the prefix of the scope names.
    pub audience: String,
    /// Whose `resource_access` entry holds the roles.
    pub role_client: String,
    /// Whose tokens are taken.
    pub issuers: Vec<TrustedIssuer>,
    /// The route table.
    pub protocol: Protocol,
    /// Sockets and the application's ports behind them.
    pub listeners: Vec<Listener>,
    /// The external URL, where it is known.
    pub resource: Option<Resource>,
    /// Whose pages may call, where the guard decides that.
    pub cors: Option<Origins>,
    /// How much each client may ask for.
    pub limits: Option<CompiledLimits>,
    /// Which decisions are recorded.
    pub audit: Option<Audit>,
    /// The client with which the endpoint calls on behalf of its callers.
    pub on_behalf_of: Option<String>,
    /// How people with browsers are signed in.
    pub sign_in: Option<SignInSettings>,
    /// Where the issuer is asked of each token.
    pub introspection: Option<Introspection>,
    /// Whose tokens are refused before their time.
    pub revoked: Arc<Revoked>,
    /// What every token has to carry.
    pub require: Vec<Requirement>,
    /// The claims that something here asks for, once each and in order.
    pub claims: Arc<[Box<str>]>,
    rules: Vec<CompiledRule>,
    models: Option<HashSet<Box<str>>>,
    grants: Index,
}

/// Why a policy is refused. The last good one stays in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum CompileError {
    /// A token's audience could not be checked, or not be named in a challenge.
    #[error("the policy's audience or role client is empty or not plain ASCII")]
    NoAudience,
    /// The client with which the endpoint calls on behalf of others is none of its own.
    #[error("the policy's onBehalfOf is empty, not plain ASCII, or the audience itself")]
    NoCaller,
    /// No token could be verified.
    #[error("the policy trusts no issuer")]
    NoIssuer,
    /// Two entries for one issuer: it would be open whose keys count.
    #[error("the policy names the issuer {0:?} twice")]
    DuplicateIssuer(String),
    /// Two listeners on one port, or a port of zero.
    #[error("the listener port {0} is zero or used twice")]
    InvalidListener(u16),
    /// A custom route that cannot be.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// An external URL that is none.
    #[error(transparent)]
    Resource(#[from] InvalidResource),
    /// An origin that no browser sends.
    #[error(transparent)]
    Origin(#[from] InvalidOrigin),
    /// Sign-in that cannot be.
    #[error(transparent)]
    SignIn(#[from] SettingsError),
    /// Limits that make no sense.
    #[error(transparent)]
    Limits(#[from] InvalidLimits),
    /// A requirement that nothing could fulfil, or that has no name.
    #[error("the policy requires a claim without a name, or one to be nothing: {0}")]
    Requirement(String),
}

impl CompiledPolicy {
    /// Checks and indexes a document.
    pub fn compile(document: GuardPolicy) -> Result<Self, CompileError> {
        let GuardPolicy {
            number,
            endpoint,
            audience,
            role_client,
            issuers,
            protocol,
            listeners,
            rules,
            models,
            resource,
            cors,
            limits,
            audit,
            introspection,
            on_behalf_of,
            sign_in,
            revoked,
            require,
            grants,
        } = document;
        if !quotable(&audience) || !quotable(&role_client) {
            return Err(CompileError::NoAudience);
        }
        if on_behalf_of.as_ref().is_some_and(|client| !quotable(client) || *client == audience) {
            return Err(CompileError::NoCaller);
        }
        check_issuers(&issuers)?;
        if sign_in.is_some() && issuers.len() != 1 {
            return Err(SettingsError::NotOneIssuer.into());
        }
        check_listeners(&listeners)?;
        check_requirements(require.iter().chain(grants.iter().flat_map(|grant| &grant.claims)))?;
        let grants: Index = grants.into_iter().collect();
        let claims = names(require.iter().chain(grants.all().flat_map(CompiledGrant::claims)));
        Ok(Self {
            number,
            endpoint,
            audience,
            role_client,
            issuers,
            protocol,
            listeners,
            rules: rules.iter().map(|rule| CompiledRule::compile(rule, protocol)).collect::<Result<_, _>>()?,
            models: models.map(set),
            resource: resource.as_deref().map(Resource::parse).transpose()?,
            introspection,
            on_behalf_of,
            sign_in: sign_in.map(SignInSettings::compile).transpose()?,
            revoked: Arc::new(revoked.into_iter().collect()),
            audit,
            limits: limits.map(CompiledLimits::compile).transpose()?,
            cors: cors.as_ref().map(Origins::compile).transpose()?,
            require,
            claims,
            grants,
        })
    }

    /// What a request asks for: the custom rules in their order, then the
    /// protocol's table. `None`: denied.
    pub fn route<'a>(&'a self, method: &str, path: CanonicalPath<'a>) -> Option<Route<'a>> {
        let of_rules = self.rules.iter().find_map(|rule| rule.route(method, path));
        match (of_rules, self.protocol) {
            (Some(route), Protocol::Grpc) => Some(route.over(Wire::Grpc(Messages::Many))),
            (Some(route), _) if method == WEBSOCKET => Some(route.over(Wire::WebSocket)),
            (Some(route), _) => Some(route),
            (None, protocol) => protocol::route(protocol, method, path),
        }
    }

    /// Every permission that a request can be asked for, once each.
    pub fn permissions(&self) -> Vec<&str> {
        let of_rules = self.rules.iter().filter_map(|rule| match rule.access() {
            Access::Permission(permission) => Some(permission.as_str()),
            Access::Public => None,
        });
        let mut all: Vec<&str> = protocol::permissions(self.protocol).iter().copied().chain(of_rules).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The application's port behind the guard's port `listen`.
    pub fn upstream(&self, listen: u16) -> Option<u16> {
        self.listeners.iter().find(|listener| listener.listen == listen).map(|listener| listener.upstream)
    }

    /// The grants of a client, in the document's order.
    pub fn grants_of(&self, client: &str) -> &[CompiledGrant] {
        self.grants.of(client)
    }

    /// The grants for whoever holds a role of the endpoint, in the document's order.
    pub fn grants_of_role(&self, role: &str) -> &[CompiledGrant] {
        self.grants.of_role(role)
    }

    /// Whether any grant is for whoever holds a role.
    pub fn has_role_grants(&self) -> bool {
        self.grants.has_roles()
    }

    /// The endpoint's one model, where its list has just one: what a call means that names none.
    pub fn only_model(&self) -> Option<&str> {
        let mut models = self.models.as_ref()?.iter();
        let only = models.next()?;
        models.next().is_none().then_some(only)
    }

    /// Every model that the policy names, once each and in order: those of the closed list, or else of the grants.
    pub fn named_models(&self) -> Vec<&str> {
        let of_grants = || self.grants.all().filter_map(|grant| grant.models.as_ref()).flat_map(Models::iter);
        let mut all: Vec<&str> = match &self.models {
            Some(closed) => closed.iter().map(|name| &**name).collect(),
            None => of_grants().collect(),
        };
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Whether a token carries what the endpoint requires of each.
    pub fn admits(&self, claims: &ClaimSet) -> bool {
        all_hold(&self.require, claims)
    }

    /// Whether the endpoint's closed list, if it has one, holds `model`.
    pub fn serves(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.contains(model))
    }
}

/// Both stand inside quotes in `WWW-Authenticate`.
fn quotable(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

fn check_issuers(issuers: &[TrustedIssuer]) -> Result<(), CompileError> {
    if issuers.is_empty() {
        return Err(CompileError::NoIssuer);
    }
    let mut seen = HashSet::new();
    match issuers.iter().find(|trusted| !seen.insert(trusted.issuer.as_str())) {
        Some(twice) => Err(CompileError::DuplicateIssuer(twice.issuer.clone())),
        None => Ok(()),
    }
}

fn check_listeners(listeners: &[Listener]) -> Result<(), CompileError> {
    let mut seen = HashSet::from([0]);
    match listeners.iter().find(|listener| listener.upstream == 0 || !seen.insert(listener.listen)) {
        Some(bad) => Err(CompileError::InvalidListener(bad.listen)),
        None => Ok(()),
    }
}

fn check_requirements<'a>(mut all: impl Iterator<Item = &'a Requirement>) -> Result<(), CompileError> {
    match all.find(|requirement| !requirement.is_sound()) {
        Some(bad) => Err(CompileError::Requirement(bad.to_string())),
        None => Ok(()),
    }
}

fn names<'a>(requirements: impl Iterator<Item = &'a Requirement>) -> Arc<[Box<str>]> {
    let mut names: Vec<Box<str>> = requirements.map(|requirement| requirement.claim.as_str().into()).collect();
    names.sort_unstable();
    names.dedup();
    names.into()
}

fn set(names: Vec<String>) -> HashSet<Box<str>> {
    names.into_iter().map(Into::into).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::core::claims::ClaimTest;

    /// A small valid document.
    pub(crate) fn document() -> GuardPolicy {
        let text = r#"{"number":7,"endpoint":{"namespace":"vision","name":"iris"},"audience":"iris.vision.endpoint",
            "roleClient":"iris.vision.endpoint","issuers":[{"issuer":"http://kc/realms/ml","jwksUrl":"http://kc/certs"}],
            "protocol":"OpenInference","listeners":[{"name":"http","listen":18080,"upstream":8080}],
            "rules":[{"methods":["GET"],"path":"/metrics","access":{"permission":"admin"}},
                     {"path":"/hello","access":"public"}],
            "grants":[{"name":"labelers","subject":{"client":"labeler.agents.workload"},"permissions":["predict","read"]}]}"#;
        match serde_json::from_str(text) {
            Ok(document) => document,
            Err(error) => panic!("{error}"),
        }
    }

    /// An answer of the one issuer must not be taken for the other's.
    fn sign_in_with_two(document: &mut GuardPolicy) {
        document.issuers.push(TrustedIssuer { issuer: "http://kc/realms/other".into(), ..document.issuers[0].clone() });
        let url = |path: &str| format!("https://kc/{path}");
        let sign_in = serde_json::json!({"url": "https://app", "clientId": "app", "authorizationUrl": url("auth"),
            "logoutUrl": url("logout"), "tokenUrl": url("token")});
        document.sign_in = serde_json::from_value(sign_in).ok();
    }

    #[test]
    fn what_cannot_be_checked_is_refused() {
        type Spoil = fn(&mut GuardPolicy);
        let invalid_resource = Resource::parse("iris").expect_err("no URL");
        let nameless = Requirement { claim: String::new(), is: ClaimTest::Absent };
        let cases: [(Spoil, CompileError); 12] = [
            (|d| d.audience.clear(), CompileError::NoAudience),
            (|d| d.audience.push('"'), CompileError::NoAudience),
            (|d| d.role_client.clear(), CompileError::NoAudience),
            (|d| d.on_behalf_of = Some(String::new()), CompileError::NoCaller),
            (|d| d.on_behalf_of = Some(d.audience.clone()), CompileError::NoCaller),
            (|d| d.issuers.clear(), CompileError::NoIssuer),
            (|d| d.issuers.push(d.issuers[0].clone()), CompileError::DuplicateIssuer("http://kc/realms/ml".into())),
            (|d| d.listeners.push(d.listeners[0].clone()), CompileError::InvalidListener(18080)),
            (|d| d.listeners[0].listen = 0, CompileError::InvalidListener(0)),
            (|d| d.resource = Some("iris".into()), CompileError::Resource(invalid_resource)),
            (
                |d| d.require.push(Requirement { claim: String::new(), is: ClaimTest::Absent }),
                CompileError::Requirement(nameless.to_string()),
            ),
            (sign_in_with_two, CompileError::SignIn(SettingsError::NotOneIssuer)),
        ];
        for (spoil, error) in cases {
            let mut spoiled = document();
            spoil(&mut spoiled);
            assert_eq!(CompiledPolicy::compile(spoiled).err(), Some(error));
        }
    }

    #[test]
    fn rules_come_before_the_table() {
        let mut document = document();
        document.rules.push(crate::core::policy::document::Rule {
            methods: vec![],
            path: "/v2/models/{model}/infer".into(),
            access: Access::Public,
            model: None,
        });
        let Ok(policy) = CompiledPolicy::compile(document) else { panic!("compiles") };
        for (method, path, expected) in [
            ("GET", "/metrics", Some("/metrics")),
            ("POST", "/metrics", None),
            ("POST", "/v2/models/iris/infer", Some("/v2/models/{model}/infer")),
            ("GET", "/v2/models/iris", Some("/v2/models/{model}")),
            ("GET", "/other", None),
        ] {
            let Ok(path) = CanonicalPath::parse(path) else { panic!("{path}") };
            assert_eq!(policy.route(method, path).map(|route| route.name), expected, "{method} {}", path.as_str());
        }
        assert_eq!(policy.permissions(), ["admin", "deploy", "predict", "read"]);
        assert_eq!(policy.upstream(18080), Some(8080));
        assert_eq!(policy.upstream(8080), None);
    }

    #[test]
    fn the_only_model_is_one_of_a_list_of_one() {
        for (models, expected) in [
            (None, None),
            (Some(vec![]), None),
            (Some(vec!["iris"]), Some("iris")),
            (Some(vec!["iris", "iris"]), Some("iris")),
            (Some(vec!["iris", "rose"]), None),
        ] {
            let mut document = document();
            document.models = models.map(|models| models.into_iter().map(str::to_owned).collect());
            let Ok(policy) = CompiledPolicy::compile(document) else { panic!("compiles") };
            assert_eq!(policy.only_model(), expected);
        }
    }
}

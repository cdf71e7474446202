//! ModelEndpoint → [`Endpoint`].

use std::collections::BTreeSet;

use kube::ResourceExt;

use super::{Problems, claims, invalid, name_of};
use crate::{
    api::{self, EndpointPort, Isolation, ModelEndpoint, RouteRule},
    core::{
        graph::{Endpoint, Kind, Port},
        name::Ref,
        permission::Permission,
        policy::{
            cors::Origins,
            document::{self, Access, ModelPlace, Rule},
            limits::CompiledLimits,
            resource::Resource,
            rule::CompiledRule,
        },
        protocol,
    },
};

/// The pod's port that the sidecar's own admin listener takes.
pub const ADMIN_PORT: u16 = 15090;

impl ModelEndpoint {
    /// The endpoint that this object describes.
    pub fn parse(&self) -> Result<Endpoint, Problems> {
        let mut problems = Problems::new();
        let ports = ports(&self.spec.ports, &mut problems);
        let protocol = document::Protocol::from(self.spec.protocol);
        let rules = rules(&self.spec.rules, protocol, &mut problems);
        let require = claims::requirements("spec.require", &self.spec.require, &mut problems);
        let resource = self.spec.external_url.as_deref().map(Resource::parse).transpose();
        problems.extend(resource.err().map(|error| invalid("spec.externalUrl", error)));
        let cors = self.spec.cors.as_ref().map(|cors| document::Cors { origins: cors.origins.clone() });
        let origins = cors.as_ref().map(Origins::compile).transpose();
        problems.extend(origins.err().map(|error| invalid("spec.cors.origins", error)));
        let limits = self.spec.limits.map(document::Limits::from);
        let limited = limits.map(CompiledLimits::compile).transpose();
        problems.extend(limited.err().map(|error| invalid("spec.limits", error)));
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Endpoint {
            kind: Kind::ModelEndpoint,
            name: name_of(self),
            uid: self.uid().unwrap_or_default(),
            realm: self.spec.realm.clone(),
            protocol,
            ports,
            models: self.spec.models.clone(),
            permissions: permissions(protocol, &rules),
            rules,
            require,
            service: self.service_name(),
            external_url: self.spec.external_url.clone(),
            cors,
            limits,
            audit: self.spec.audit.map(document::Audit::from),
            introspects_as: self.spec.introspection.as_ref().map(|asked| asked.service_account_name.clone()),
            acts_as: self.acts_as(),
            network_policy: self.spec.isolation == Isolation::NetworkPolicy,
            adopt: self.spec.adopt,
        })
    }

    /// The WorkloadIdentity with which it calls on behalf of its callers.
    pub fn acts_as(&self) -> Option<Ref> {
        let named = self.spec.on_behalf_of.as_ref()?;
        Some(Ref::new(self.namespace().unwrap_or_default(), &named.identity))
    }

    /// Name of the Service that points at the guard.
    pub fn service_name(&self) -> String {
        self.spec.service.as_ref().map_or_else(|| self.name_any(), |service| service.name.clone())
    }
}

fn ports(written: &[EndpointPort], problems: &mut Problems) -> Vec<Port> {
    let mut ports = Vec::new();
    let mut taken = BTreeSet::from([ADMIN_PORT]);
    for port in written {
        let parsed = u16::try_from(port.port).ok().filter(|app| *app > 0).zip(port.guard());
        let Some((app, guard)) = parsed else {
            problems.push(invalid(
                "spec.ports",
                format!("{:?}: port and guardPort must lie between 1 and 65535", port.name),
            ));
            continue;
        };
        for number in [app, guard] {
            if !taken.insert(number) {
                problems.push(invalid(
                    "spec.ports",
                    format!("{:?}: port {number} is taken twice in the pod (the sidecar itself takes {ADMIN_PORT}); choose another guardPort", port.name),
                ));
            }
        }
        ports.push(Port { name: port.name.clone(), app, guard });
    }
    if written.is_empty() {
        problems.push(invalid("spec.ports", "name at least one port"));
    }
    ports
}

pub(super) fn rules(written: &[RouteRule], protocol: document::Protocol, problems: &mut Problems) -> Vec<Rule> {
    let mut rules = Vec::new();
    for (index, rule) in written.iter().enumerate() {
        match parse_rule(rule, protocol) {
            Ok(rule) => rules.push(rule),
            Err(message) => problems.push(invalid(&format!("spec.rules[{index}]"), message)),
        }
    }
    rules
}

fn parse_rule(rule: &RouteRule, protocol: document::Protocol) -> Result<Rule, String> {
    let access = match (&rule.permission, rule.public) {
        (Some(permission), false) => {
            Access::Permission(Permission::parse(permission).map_err(|error| error.to_string())?)
        }
        (None, true) => Access::Public,
        _ => return Err("a route needs either a permission or public: true".into()),
    };
    let model = rule.model.as_ref().map(parse_place).transpose()?;
    let rule = Rule { methods: rule.methods.clone(), path: rule.path.clone(), access, model };
    CompiledRule::compile(&rule, protocol).map_err(|error| error.to_string())?;
    Ok(rule)
}

fn parse_place(place: &api::ModelPlace) -> Result<ModelPlace, String> {
    let api::ModelPlace { query, json, multipart, protobuf } = place.clone();
    let mut given = [query.map(ModelPlace::Query), json.map(ModelPlace::Json), multipart.map(ModelPlace::Multipart)]
        .into_iter()
        .chain([protobuf.map(ModelPlace::Protobuf)])
        .flatten();
    match (given.next(), given.next()) {
        (Some(place), None) => Ok(place),
        _ => Err("a model is named in one place: query, json, multipart or protobuf".into()),
    }
}

pub(super) fn permissions(protocol: document::Protocol, rules: &[Rule]) -> BTreeSet<Permission> {
    let table = protocol::permissions(protocol).iter().filter_map(|name| Permission::parse(name).ok());
    let of_rules = rules.iter().filter_map(|rule| match &rule.access {
        Access::Permission(permission) => Some(permission.clone()),
        Access::Public => None,
    });
    table.chain(of_rules).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{ModelEndpointSpec, Protocol, common::PodSelector};

    fn endpoint(ports: Vec<EndpointPort>, rules: Vec<RouteRule>) -> ModelEndpoint {
        let spec = ModelEndpointSpec {
            realm: "ml".into(),
            protocol: Protocol::OpenInference,
            workload: PodSelector::default(),
            ports,
            models: None,
            require: Vec::new(),
            rules,
            service: None,
            external_url: None,
            cors: None,
            limits: None,
            introspection: None,
            on_behalf_of: None,
            audit: None,
            isolation: Isolation::NetworkPolicy,
            adopt: false,
            deletion_policy: crate::api::DeletionPolicy::Delete,
        };
        let mut endpoint = ModelEndpoint::new("iris", spec);
        endpoint.metadata.namespace = Some("vision".into());
        endpoint
    }

    fn port(port: i32, guard_port: Option<i32>) -> EndpointPort {
        EndpointPort { name: format!("p{port}"), port, guard_port }
    }

    fn rule(path: &str, permission: Option<&str>, public: bool) -> RouteRule {
        let (methods, permission) = (vec!["GET".into()], permission.map(Into::into));
        RouteRule { methods, path: path.into(), permission, public, model: None }
    }

    #[test]
    fn the_guard_listens_ten_thousand_above() {
        let parsed = endpoint(vec![port(8080, None), port(9000, Some(9001))], vec![]).parse().unwrap();
        assert_eq!(
            parsed.ports.iter().map(|port| (port.app, port.guard)).collect::<Vec<_>>(),
            [(8080, 18080), (9000, 9001)]
        );
        assert_eq!(parsed.service, "iris");
    }

    #[test]
    fn rules_add_permissions() {
        let parsed = endpoint(vec![port(80, None)], vec![rule("/x/{model}", Some("train"), false)]).parse().unwrap();
        assert!(parsed.permissions.contains("train") && parsed.permissions.contains("predict"));
    }

    fn naming(place: api::ModelPlace) -> RouteRule {
        RouteRule { methods: vec!["POST".into()], model: Some(place), ..rule("/x", Some("read"), false) }
    }

    #[test]
    fn a_rule_says_where_the_model_is() {
        let place = api::ModelPlace { json: Some("engine".into()), ..Default::default() };
        let parsed = endpoint(vec![port(80, None)], vec![naming(place)]).parse().unwrap();
        assert_eq!(parsed.rules[0].model, Some(ModelPlace::Json("engine".into())));
    }

    #[test]
    fn what_cannot_work_is_named() {
        let json = || api::ModelPlace { json: Some("engine".into()), ..Default::default() };
        let cases = [
            (vec![], vec![], "at least one"),
            (vec![port(60000, None)], vec![], "65535"),
            (vec![port(8080, None), port(18080, None)], vec![], "18080"),
            (vec![port(15090, None)], vec![], "15090"),
            (vec![port(80, None)], vec![rule("/x", None, false)], "either"),
            (vec![port(80, None)], vec![rule("/x", Some("read"), true)], "either"),
            (vec![port(80, None)], vec![rule("/a/**/b", Some("read"), false)], "/a/**/b"),
            (vec![port(80, None)], vec![rule("/x", Some("Read"), false)], "Read"),
            (vec![port(80, None)], vec![naming(api::ModelPlace::default())], "one place"),
            (
                vec![port(80, None)],
                vec![naming(api::ModelPlace { query: Some("engine".into()), ..json() })],
                "one place",
            ),
            (
                vec![port(80, None)],
                vec![RouteRule { path: "/{model}".into(), ..naming(json()) }],
                "names the model twice",
            ),
        ];
        for (ports, rules, named) in cases {
            let problems = endpoint(ports, rules).parse().unwrap_err();
            assert!(problems.iter().any(|problem| problem.message.contains(named)), "{named}: {problems:?}");
        }
    }

    #[test]
    fn an_external_url_is_one() {
        let mut endpoint = endpoint(vec![port(80, None)], vec![]);
        endpoint.spec.external_url = Some("https://models.example/iris".into());
        assert_eq!(endpoint.parse().unwrap().resource().as_deref(), Some("https://models.example/iris"));
        endpoint.spec.external_url = Some("https://user@models.example/".into());
        let problems = endpoint.parse().unwrap_err();
        assert!(problems[0].message.contains("spec.externalUrl"), "{problems:?}");
        endpoint.spec.external_url = None;
        endpoint.spec.cors = Some(crate::api::Cors { origins: vec!["https://*".into()] });
        let problems = endpoint.parse().unwrap_err();
        assert!(problems[0].message.contains("spec.cors.origins"), "{problems:?}");
    }
}

//! WorkloadIdentity → [`Workload`].

use std::collections::BTreeSet;

use kube::ResourceExt;

use super::{Problems, claims, invalid, name_of};
use crate::{
    api::{Credential, TokenUse, WorkloadIdentity, common::Seconds, parse::ADMIN_PORT},
    core::graph::{Target, Workload},
};

impl WorkloadIdentity {
    /// The workload that this object describes.
    pub fn parse(&self) -> Result<Workload, Problems> {
        let mut problems = Problems::new();
        let targets = self.targets(&mut problems);
        let claims = claims::values(&self.spec.claims, &mut problems);
        if self.spec.ttl == Some(Seconds(0)) {
            problems.push(invalid("spec.ttl", "must be longer than 0s"));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let Credential::KubernetesToken = self.spec.credential;
        Ok(Workload {
            name: name_of(self),
            uid: self.uid().unwrap_or_default(),
            realm: self.spec.realm.clone(),
            service_account: self.spec.service_account_name.clone(),
            targets,
            claims,
            // Endpoints say so, not the identity.
            acts_on_behalf: false,
            suspended: self.spec.suspended,
            expires_at: self.expires_at(),
            adopt: self.spec.adopt,
        })
    }

    /// When it ends, in seconds since the epoch.
    pub fn expires_at(&self) -> Option<i64> {
        let (Seconds(ttl), created) = (self.spec.ttl?, self.creation_timestamp()?.0.as_second());
        Some(created.saturating_add(ttl.into()))
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
            match target.listen(index) {
                Some(listen) if taken.insert(listen) => targets.push(Target {
                    endpoint: (&target.endpoint).into(),
                    port: target.endpoint_port.clone(),
                    listen,
                    env: target.env.clone(),
                    offers_token: target.token == TokenUse::Offered,
                }),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{
        Target as Written, WorkloadIdentitySpec,
        common::{ObjectRef, PodSelector},
    };

    fn identity(targets: Vec<Written>) -> WorkloadIdentity {
        let spec = WorkloadIdentitySpec {
            realm: "ml".into(),
            service_account_name: "labeler".into(),
            workload: PodSelector::default(),
            credential: Credential::KubernetesToken,
            targets,
            suspended: false,
            claims: Vec::new(),
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
        Written { endpoint, endpoint_port: None, env: env.into(), path: None, port, token: TokenUse::Hidden }
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

//! AccessGrant → [`Grant`].

use std::collections::BTreeSet;

use super::{Problems, claims, invalid, name_of};
use crate::{
    api::AccessGrant,
    core::{graph::Grant, name::Ref, permission::Permission},
};

impl AccessGrant {
    /// The grant that this object describes.
    pub fn parse(&self) -> Result<Grant, Problems> {
        let mut problems = Problems::new();
        let name = name_of(self);
        let permissions = self.permissions(&mut problems);
        let subjects = self.subjects(&mut problems);
        let claims = claims::requirements("spec.claims", &self.spec.claims, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Grant {
            endpoint: Ref::new(&name.namespace, &self.spec.endpoint),
            name,
            subjects,
            permissions,
            models: self.spec.models.clone(),
            expires_at: self.spec.expires_at.map(|at| at.as_second()),
            claims,
        })
    }

    fn permissions(&self, problems: &mut Problems) -> BTreeSet<Permission> {
        let mut permissions = BTreeSet::new();
        for name in &self.spec.permissions {
            match Permission::parse(name) {
                Ok(permission) => {
                    permissions.insert(permission);
                }
                Err(error) => problems.push(invalid("spec.permissions", error)),
            }
        }
        permissions
    }

    fn subjects(&self, problems: &mut Problems) -> Vec<Ref> {
        let mut subjects = Vec::new();
        for (index, subject) in self.spec.subjects.iter().enumerate() {
            match &subject.workload_identity {
                Some(workload) => subjects.push(workload.into()),
                None => problems.push(invalid(&format!("spec.subjects[{index}]"), "name a workloadIdentity")),
            }
        }
        subjects
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{AccessGrantSpec, GrantSubject, common::ObjectRef};

    fn grant(permissions: &[&str], subject: Option<&str>) -> AccessGrant {
        let workload = |name: &str| ObjectRef { namespace: "agents".into(), name: name.into() };
        let spec = AccessGrantSpec {
            endpoint: "iris".into(),
            subjects: vec![GrantSubject { workload_identity: subject.map(workload) }],
            permissions: permissions.iter().map(ToString::to_string).collect(),
            models: None,
            claims: Vec::new(),
            expires_at: Some("2027-01-01T00:00:00Z".parse().unwrap()),
        };
        let mut grant = AccessGrant::new("labelers", spec);
        grant.metadata.namespace = Some("vision".into());
        grant
    }

    #[test]
    fn the_endpoint_is_of_the_grants_own_namespace() {
        let parsed = grant(&["read"], Some("labeler")).parse().unwrap();
        assert_eq!(parsed.endpoint, Ref::new("vision", "iris"));
        assert_eq!(parsed.subjects, [Ref::new("agents", "labeler")]);
        assert_eq!(parsed.expires_at, Some(1_798_761_600));
    }

    #[test]
    fn what_cannot_work_is_named() {
        assert!(grant(&["Read!"], Some("a")).parse().unwrap_err()[0].message.contains("Read!"));
        assert!(grant(&["read"], None).parse().unwrap_err()[0].message.contains("spec.subjects[0]"));
    }
}

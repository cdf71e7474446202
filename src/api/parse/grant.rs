//! AccessGrant → [`Grant`].

use std::collections::BTreeSet;

use super::{Problems, claims, invalid, name_of, people};
use crate::{
    api::{AccessGrant, GrantSubject},
    core::{graph::Grant, name::Ref, permission::Permission, person::Person},
};

impl AccessGrant {
    /// The grant that this object describes.
    pub fn parse(&self) -> Result<Grant, Problems> {
        let mut problems = Problems::new();
        let name = name_of(self);
        let permissions = self.permissions(&mut problems);
        let (subjects, people) = self.subjects(&mut problems);
        let claims = claims::requirements("spec.claims", &self.spec.claims, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Grant {
            endpoint: Ref::new(&name.namespace, &self.spec.endpoint),
            name,
            subjects,
            people,
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

    fn subjects(&self, problems: &mut Problems) -> (Vec<Ref>, BTreeSet<Person>) {
        let (mut workloads, mut people) = (Vec::new(), BTreeSet::new());
        for (index, subject) in self.spec.subjects.iter().enumerate() {
            match (&subject.workload_identity, person(subject)) {
                (Some(workload), Ok(None)) => workloads.push(workload.into()),
                (None, Ok(Some(person))) => {
                    people.insert(person);
                }
                (_, Err(error)) => problems.push(invalid(&format!("spec.subjects[{index}]"), error)),
                _ => problems.push(invalid(
                    &format!("spec.subjects[{index}]"),
                    "name exactly one of workloadIdentity, user, group and realmRole",
                )),
            }
        }
        (workloads, people)
    }
}

/// The one person, or kind of people, that a subject names; none if it names none.
fn person(subject: &GrantSubject) -> Result<Option<Person>, &'static str> {
    let GrantSubject { user, group, realm_role, .. } = subject;
    people::named(user.as_deref(), group.as_deref(), realm_role.as_deref(), None)
        .map_err(|error| error.unwrap_or("name exactly one of workloadIdentity, user, group and realmRole"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{AccessGrantSpec, GrantSubject, common::ObjectRef};
    use crate::core::desired::objects::GroupPath;

    fn grant(permissions: &[&str], subject: Option<&str>) -> AccessGrant {
        let workload = |name: &str| ObjectRef { namespace: "agents".into(), name: name.into() };
        let spec = AccessGrantSpec {
            endpoint: "iris".into(),
            subjects: vec![GrantSubject { workload_identity: subject.map(workload), ..GrantSubject::default() }],
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

    #[test]
    fn people_are_named_one_way_each() {
        let text = |text: &str| Some(text.to_owned());
        let path = GroupPath::parse("/data-science/nlp").unwrap();
        for (user, group, realm_role, expected) in [
            (text("Ann"), None, None, Some(Person::User("ann".into()))),
            (None, text("/data-science/nlp"), None, Some(Person::Group(path))),
            (None, None, text("annotator"), Some(Person::RealmRole("annotator".into()))),
            (text("ann"), None, text("annotator"), None),
            (text("service-account-batch.agents.workload"), None, None, None),
            (None, text("data-science"), None, None),
            (None, text("/data//science"), None, None),
            (None, None, text("../users"), None),
            (None, None, text(".."), None),
        ] {
            let mut named = grant(&["read"], None);
            named.spec.subjects = vec![GrantSubject { workload_identity: None, user, group, realm_role }];
            let found = named.parse().ok().map(|grant| grant.people.into_iter().collect::<Vec<_>>());
            assert_eq!(found, expected.map(|person| vec![person]), "{:?}", named.spec.subjects);
        }
        let mut both = grant(&["read"], Some("labeler"));
        both.spec.subjects[0].user = text("ann");
        assert!(both.parse().is_err());
    }
}

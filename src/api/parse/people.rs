//! People of a realm, as grants and applications name them.

use crate::core::{
    desired::{NO_REALM_ROLE, objects::GroupPath},
    person::Person,
};

/// The one person, or kind of people, that is named; none if none is. An error without words: more than one.
pub fn named(
    user: Option<&str>,
    group: Option<&str>,
    realm_role: Option<&str>,
    client_role: Option<(&str, &str)>,
) -> Result<Option<Person>, Option<&'static str>> {
    match (user, group, realm_role, client_role) {
        (None, None, None, None) => Ok(None),
        // Keycloak keeps usernames in lower case. Those of clients' accounts are WorkloadIdentities' or nobody's.
        (Some(user), None, None, None) => match user.to_lowercase() {
            user if user.starts_with("service-account-") => {
                Err(Some("a user is a person; name a workloadIdentity instead"))
            }
            user => Ok(Some(Person::User(user))),
        },
        (None, Some(group), None, None) => {
            let path = GroupPath::parse(group);
            let path = path.ok_or(Some("a group is named by its path from the top, such as /data-science"))?;
            Ok(Some(Person::Group(path)))
        }
        (None, None, Some(role), None) if is_path_segment(role) => Ok(Some(Person::RealmRole(role.to_owned()))),
        (None, None, Some(_), None) => Err(Some("no role of a realm has this name")),
        (None, None, None, Some((client, role))) if is_path_segment(role) && !client.is_empty() => {
            Ok(Some(Person::ClientRole { client: client.to_owned(), role: role.to_owned() }))
        }
        (None, None, None, Some(_)) => Err(Some("no client has a role of this name")),
        _ => Err(None),
    }
}

/// Whether a name stays one segment in the path of a request.
fn is_path_segment(name: &str) -> bool {
    !matches!(name, "." | ".." | NO_REALM_ROLE) && !name.contains('/') && name.trim() == name && !name.is_empty()
}

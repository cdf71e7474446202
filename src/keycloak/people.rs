//! The roles of an endpoint that people hold: users, groups, and realm roles that include them.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;

use crate::core::desired::ClientRef;
use crate::core::desired::objects::GroupPath;
use crate::core::desired::representation::{GroupRepresentation, RoleRepresentation};
use crate::core::person::Person;

use super::admin::RealmAdmin;
use super::error::ApiError;
use super::groups::GroupPlace;
use super::rights::Area;

/// Holders per request; those lists are cheap.
const PAGE: usize = 1_000;

/// Where the Admin API has somebody, or a role that others hold.
struct Place {
    area: Area,
    path: Vec<String>,
}

impl Place {
    fn path(&self) -> impl Iterator<Item = &str> {
        self.path.iter().map(String::as_str)
    }
}

/// Who holds which roles of a client.
pub(super) type HeldByPeople = BTreeMap<Person, BTreeSet<String>>;

impl RealmAdmin {
    /// Who holds these roles of a client: every user and group, and of the roles that may include them those named here.
    /// Accounts of clients are left out.
    ///
    /// # Errors
    /// `NotFound` if there is no such client or role.
    pub(super) async fn people_with(
        &self,
        client: &str,
        roles: &[RoleRepresentation],
        including: &BTreeSet<Person>,
    ) -> Result<HeldByPeople, ApiError> {
        let mut held = HeldByPeople::new();
        for role in roles.iter().map(|role| &role.name) {
            let users = self.people_of_role(client, role).await?;
            let groups = self.groups_of_role(client, role).await?;
            for person in users.into_iter().chain(groups) {
                held.entry(person).or_default().insert(role.clone());
            }
        }
        for person in including {
            let Some(place) = self.place_of(person).await? else { continue };
            let path: Vec<_> = place.path().chain(["composites", "clients", client]).collect();
            let included: Result<Vec<RoleRepresentation>, _> = self.get(place.area, &path).await;
            let included = ApiError::none_if_missing(included)?.unwrap_or_default();
            let names: BTreeSet<_> = included.into_iter().map(|role| role.name).collect();
            if !names.is_empty() {
                held.insert(person.clone(), names);
            }
        }
        Ok(held)
    }

    async fn people_of_role(&self, client: &str, role: &str) -> Result<Vec<Person>, ApiError> {
        let mut people = Vec::new();
        let mut first = 0;
        loop {
            let page = self.list_role_holders(client, role, first, PAGE).await?;
            first += page.len();
            let is_last = page.len() < PAGE;
            let of_page = page.into_iter().filter(|user| user.client_id().is_none());
            people.extend(of_page.map(|user| Person::User(user.username)));
            if is_last {
                return Ok(people);
            }
        }
    }

    async fn groups_of_role(&self, client: &str, role: &str) -> Result<Vec<Person>, ApiError> {
        let path = ["clients", client, "roles", role, "groups"];
        let groups: Vec<GroupPlace> = self.all_pages(|| self.call(Area::Groups, Method::GET, &path)).await?;
        Ok(groups.iter().filter_map(|group| GroupPath::parse(&group.path)).map(Person::Group).collect())
    }

    /// Whether the realm has them.
    pub(super) async fn has_person(&self, person: &Person) -> Result<bool, ApiError> {
        self.place_of(person).await.map(|place| place.is_some())
    }

    /// Gives people roles of a client. Of some that the realm does not have, that is kept and told later.
    pub(super) async fn map_person(
        &self,
        client: &ClientRef,
        person: &Person,
        roles: &BTreeSet<String>,
    ) -> Result<(), ApiError> {
        let Some(place) = self.place_of(person).await? else {
            self.directory().keep_absent(&client.client_id, person);
            return Ok(());
        };
        self.write_person(Method::POST, client, &place, roles).await
    }

    /// Takes roles of a client from people; fine if they are gone.
    pub(super) async fn unmap_person(
        &self,
        client: &ClientRef,
        person: &Person,
        roles: &BTreeSet<String>,
    ) -> Result<(), ApiError> {
        let Some(place) = self.place_of(person).await? else { return Ok(()) };
        ApiError::fine_if_missing(self.write_person(Method::DELETE, client, &place, roles).await)
    }

    async fn write_person(
        &self,
        method: Method,
        client: &ClientRef,
        place: &Place,
        roles: &BTreeSet<String>,
    ) -> Result<(), ApiError> {
        let mut found = Vec::with_capacity(roles.len());
        for name in roles {
            found.push(self.get_client_role(&client.id, name).await?);
        }
        let rest = match place.area {
            Area::RoleMappings => vec!["role-mappings", "clients", client.id.as_str()],
            _ => vec!["composites"],
        };
        let path: Vec<_> = place.path().chain(rest).collect();
        let call = self.call(place.area, method, &path).body(&found)?;
        self.admin().call(call).await.map(|_| ())
    }

    /// Where the Admin API has them; none if the realm does not have them.
    async fn place_of(&self, person: &Person) -> Result<Option<Place>, ApiError> {
        let at = |area, path: &[&str]| Place { area, path: path.iter().map(ToString::to_string).collect() };
        let place = match person {
            Person::User(name) => {
                let user = self.find_user(name).await?;
                user.map(|user| at(Area::RoleMappings, &["users", user.id()]))
            }
            Person::Group(path) => {
                let group: Option<GroupRepresentation> = ApiError::none_if_missing(self.get_group(path).await)?;
                group.map(|group| at(Area::RoleMappings, &["groups", group.id()]))
            }
            Person::RealmRole(name) => {
                let role = ApiError::none_if_missing(self.get_realm_role(name).await)?;
                role.map(|role| at(Area::RealmRoles, &["roles", &role.name]))
            }
            Person::ClientRole { client, role } => {
                let client = self.find_client(client).await?;
                // One of ours means one thing alone: what includes another role makes its tokens good elsewhere.
                let client = client.filter(|client| client.owner().is_none()).and_then(|client| client.id);
                match client {
                    None => None,
                    Some(id) => {
                        let role = ApiError::none_if_missing(self.get_client_role(&id, role).await)?;
                        role.map(|role| at(Area::ClientRoles, &["clients", &id, "roles", &role.name]))
                    }
                }
            }
        };
        Ok(place)
    }

    /// The people that the realm did not have when an endpoint's roles were last given, by the endpoint's client id.
    #[must_use]
    pub fn absent_people(&self, client_id: &str) -> BTreeSet<Person> {
        self.directory().absent(client_id)
    }

    /// The client ids of the endpoints that somebody is to call whom the realm does not have.
    #[must_use]
    pub fn endpoints_lacking_people(&self) -> Vec<String> {
        self.directory().clients_with_absent()
    }
}

//! People in a realm, and the client by which they log in here.

use serde_json::{Value, json};

use crate::{cluster::text, keycloak::Administrator};

/// By which people log in: with their password, as no application should.
const CLIENT: &str = "notebook";

/// The people of one realm of Keycloak. A password is its owner's name.
pub struct Accounts<'a> {
    pub keycloak: &'a Administrator,
    pub realm: &'a str,
}

impl Accounts<'_> {
    /// A path of the realm's in the Admin API.
    pub fn path(&self, rest: &str) -> String {
        format!("/{}{rest}", self.realm)
    }

    fn make(&self, kind: &str, object: &Value) {
        let (status, answer) = self.keycloak.post(&self.path(kind), object);
        assert_eq!(status, 201, "{answer}");
    }

    /// Makes the client, which may ask for these scopes.
    pub fn make_client(&self, scopes: &[String]) {
        let client = json!({"clientId": CLIENT, "publicClient": true, "directAccessGrantsEnabled": true,
            "standardFlowEnabled": false, "fullScopeAllowed": false,
            "defaultClientScopes": ["basic", "roles"], "optionalClientScopes": scopes});
        self.make("/clients", &client);
    }

    /// Makes somebody who can log in, and tells the account's id.
    pub fn make_user(&self, name: &str) -> String {
        let user = json!({"username": name, "enabled": true, "email": format!("{name}@example.com"), "emailVerified": true,
            "firstName": name, "lastName": name, "credentials": [{"type": "password", "value": name, "temporary": false}]});
        self.make("/users", &user);
        self.found(&format!("/users?username={name}&exact=true"))
    }

    /// Makes a group at the top, and tells its id.
    pub fn make_group(&self, name: &str) -> String {
        self.make("/groups", &json!({"name": name}));
        self.group(name)
    }

    /// The id of a group at the top.
    pub fn group(&self, name: &str) -> String {
        self.found(&format!("/groups?search={name}&exact=true"))
    }

    fn found(&self, query: &str) -> String {
        text(&self.keycloak.get(&self.path(query)).1[0]["id"])
    }

    /// Puts somebody into a group.
    pub fn join(&self, user: &str, group: &str) {
        let (status, answer) = self.keycloak.put(&self.path(&format!("/users/{user}/groups/{group}")), &json!({}));
        assert_eq!(status, 204, "{answer}");
    }

    /// Takes somebody out of a group.
    pub fn leave(&self, user: &str, group: &str) {
        let (status, answer) = self.keycloak.delete(&self.path(&format!("/users/{user}/groups/{group}")));
        assert_eq!(status, 204, "{answer}");
    }

    /// A token of somebody's with these scopes; none if Keycloak grants not all of them.
    pub fn token(&self, name: &str, scopes: &[String]) -> Result<String, String> {
        let scope = scopes.join(" ");
        let form = [
            ("grant_type", "password"),
            ("client_id", CLIENT),
            ("username", name),
            ("password", name),
            ("scope", &scope),
        ];
        let (status, answer) = self.keycloak.token(self.realm, &form);
        let granted = answer["scope"].as_str().unwrap_or_default();
        let has_all = scopes.iter().all(|wanted| granted.split(' ').any(|found| found == wanted));
        match (status, has_all) {
            (200, true) => Ok(text(&answer["access_token"])),
            _ => Err(format!("{status}: scope {granted:?}, {}", answer["error_description"])),
        }
    }
}

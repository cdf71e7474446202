//! People who are granted access by name, by group and by role, and who are shut out again.

use serde_json::{Value, json};

use crate::{
    cluster::{Object, assert_says, text},
    eventually::{PATIENCE, eventually},
    objects::{caller_pod, http_endpoint, http_pod, object, service_account},
    pods::{Pod, Request, start},
    stage::Stage,
};

/// The client by which people log in here: with their password, as no application should.
const CLIENT: &str = "notebook";

/// A guarded server, people, and a pod that calls with their tokens.
struct Scene {
    stage: Stage,
    vision: String,
    pod: Pod,
}

impl Scene {
    fn new(test: &str) -> Self {
        let stage = Stage::with_realm(test);
        let (vision, tools) = (stage.namespace("vision"), stage.namespace("tools"));
        stage.apply(http_endpoint(&stage.id, &vision, "iris"));
        start(&http_pod(&vision, "iris")).wait_ready();
        Object::in_namespace(&vision, "modelendpoint", "iris").wait_ready(PATIENCE);
        stage.apply(service_account(&tools, "browser"));
        let pod = start(&caller_pod(&tools, "browser")).wait_ready();
        let scene = Self { stage, vision, pod };
        scene.make_client();
        scene
    }

    fn path(&self, rest: &str) -> String {
        format!("/{}{rest}", self.stage.id)
    }

    /// A public client that may ask for the endpoint's scope.
    fn make_client(&self) {
        let keycloak = &self.stage.keycloak;
        let client = json!({"clientId": CLIENT, "publicClient": true, "directAccessGrantsEnabled": true,
            "standardFlowEnabled": false, "fullScopeAllowed": false,
            "defaultClientScopes": ["basic", "roles"], "optionalClientScopes": [self.scope()]});
        let (status, answer) = keycloak.post(&self.path("/clients"), &client);
        assert_eq!(status, 201, "{answer}");
    }

    fn scope(&self) -> String {
        format!("iris.{}.endpoint:read", self.vision)
    }

    /// Makes somebody who can log in, and tells his id.
    fn make_user(&self, name: &str) -> String {
        let keycloak = &self.stage.keycloak;
        let user = json!({"username": name, "enabled": true, "email": format!("{name}@example.com"), "emailVerified": true,
            "firstName": name, "lastName": name, "credentials": [{"type": "password", "value": name, "temporary": false}]});
        let (status, answer) = keycloak.post(&self.path("/users"), &user);
        assert_eq!(status, 201, "{answer}");
        let found = keycloak.get(&self.path(&format!("/users?username={name}&exact=true"))).1;
        text(&found[0]["id"])
    }

    fn make_group(&self, name: &str) -> String {
        let (status, answer) = self.stage.keycloak.post(&self.path("/groups"), &json!({"name": name}));
        assert_eq!(status, 201, "{answer}");
        let found = self.stage.keycloak.get(&self.path(&format!("/groups?search={name}&exact=true"))).1;
        text(&found[0]["id"])
    }

    fn grant(&self, name: &str, subjects: Value) -> Object {
        let spec = json!({"endpoint": "iris", "subjects": subjects, "permissions": ["read"]});
        self.stage.apply(object("AccessGrant", &self.vision, name, spec));
        Object::in_namespace(&self.vision, "accessgrant", name)
    }

    /// A token of somebody's for the endpoint; none if Keycloak gives none for it.
    fn token(&self, name: &str) -> Result<String, String> {
        let form = [("grant_type", "password"), ("client_id", CLIENT), ("username", name), ("password", name)];
        let scope = self.scope();
        let (status, answer) = self.stage.keycloak.token(&self.stage.id, &[&form[..], &[("scope", &scope)]].concat());
        let is_granted = text(&answer["scope"]).split(' ').any(|found| found == scope);
        match (status, is_granted) {
            (200, true) => Ok(text(&answer["access_token"])),
            _ => Err(format!("{status}: scope {}, {}", answer["scope"], answer["error_description"])),
        }
    }

    fn token_soon(&self, name: &str) -> String {
        eventually(&format!("{name} is granted the scope"), PATIENCE, || self.token(name))
    }

    fn call(&self, token: &str) -> (u16, String) {
        let url = format!("http://iris.{}.svc:8080/hello", self.vision);
        let answer = self.pod.call(&Request::get(&url).with_token(token));
        (answer.status, answer.reason().to_owned())
    }

    fn call_until(&self, status: u16, token: &str, what: &str) {
        eventually(what, PATIENCE, || match self.call(token) {
            (found, _) if found == status => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }

    fn set_enabled(&self, id: &str, enabled: bool) {
        let path = self.path(&format!("/users/{id}"));
        let mut user = self.stage.keycloak.get(&path).1;
        user["enabled"] = json!(enabled);
        let (status, answer) = self.stage.keycloak.put(&path, &user);
        assert_eq!(status, 204, "{answer}");
    }
}

#[test]
fn people_call_as_they_are_granted_by_name_and_by_group() {
    let scene = Scene::new("people");
    scene.make_user("ann");
    let (ben, cyd) = (scene.make_user("ben"), scene.make_user("cyd"));
    let group = scene.make_group("scientists");
    for member in [&ben, &cyd] {
        let path = scene.path(&format!("/users/{member}/groups/{group}"));
        assert_eq!(scene.stage.keycloak.put(&path, &json!({})).0, 204);
    }
    assert!(scene.token("ann").is_err(), "nobody is granted anything yet");
    let by_name = scene.grant("by-name", json!([{"user": "ann"}, {"user": "nobody"}]));
    scene.grant("by-group", json!([{"group": "/scientists"}]));
    let (ann, of_ben) = (scene.token_soon("ann"), scene.token_soon("ben"));
    scene.call_until(200, &ann, "ann may call");
    scene.call_until(200, &of_ben, "ben may, as one of his group");
    let message = by_name.wait_condition("Bound", "False", "SubjectNotFound");
    assert_says(&message, &["nobody"]);

    // Each grant is its own: without hers, ann's token is worth nothing, though its role is the same.
    by_name.delete();
    scene.call_until(403, &ann, "ann's grant is gone");
    assert_eq!(scene.call(&of_ben).0, 200);
    eventually("Keycloak gives her no token for it", PATIENCE, || match scene.token("ann") {
        Ok(_) => Err("it does".to_owned()),
        Err(_) => Ok(()),
    });

    // Out of the group: what he holds counts no more, before it ends.
    let path = scene.path(&format!("/users/{ben}/groups/{group}"));
    assert_eq!(scene.stage.keycloak.delete(&path).0, 204);
    scene.call_until(401, &of_ben, "ben is in the group no more");
    let of_cyd = scene.token_soon("cyd");
    scene.call_until(200, &of_cyd, "cyd still is");
}

#[test]
fn who_is_disabled_is_refused_with_a_token_that_is_still_good() {
    let scene = Scene::new("disabled");
    let (ann, _) = (scene.make_user("ann"), scene.make_user("ben"));
    scene.grant("by-name", json!([{"user": "ann"}, {"user": "ben"}]));
    let (of_ann, of_ben) = (scene.token_soon("ann"), scene.token_soon("ben"));
    scene.call_until(200, &of_ann, "ann may call");
    scene.call_until(200, &of_ben, "ben may call");
    scene.set_enabled(&ann, false);
    let started = std::time::Instant::now();
    scene.call_until(401, &of_ann, "ann is disabled");
    println!("refused {} ms after Keycloak's answer", started.elapsed().as_millis());
    assert_eq!(scene.call(&of_ben).0, 200, "nobody else is");
    scene.set_enabled(&ann, true);
    let fresh = eventually("a fresh token of hers counts again", PATIENCE, || {
        let fresh = scene.token("ann")?;
        match scene.call(&fresh) {
            (200, _) => Ok(fresh),
            other => Err(format!("{other:?}")),
        }
    });
    assert_eq!(scene.call(&of_ann).0, 401, "those of before do not");
    let path = scene.path(&format!("/users/{ann}"));
    assert_eq!(scene.stage.keycloak.delete(&path).0, 204);
    scene.call_until(401, &fresh, "ann is gone");
}

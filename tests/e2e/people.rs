//! People who are granted access by name, by group and by role, and who are shut out again.

use serde_json::{Value, json};

use crate::{
    accounts::Accounts,
    cluster::{Object, assert_says},
    eventually::{PATIENCE, eventually},
    objects::{caller_pod, http_endpoint, http_pod, object, service_account},
    pods::{Pod, Request, start},
    stage::Stage,
};

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
        scene.accounts().make_client(&[scene.scope()]);
        scene
    }

    fn accounts(&self) -> Accounts<'_> {
        self.stage.accounts()
    }

    fn scope(&self) -> String {
        format!("iris.{}.endpoint:read", self.vision)
    }

    fn grant(&self, name: &str, subjects: Value) -> Object {
        let spec = json!({"endpoint": "iris", "subjects": subjects, "permissions": ["read"]});
        self.stage.apply(object("AccessGrant", &self.vision, name, spec));
        Object::in_namespace(&self.vision, "accessgrant", name)
    }

    /// A token of somebody's for the endpoint; none if Keycloak gives none for it.
    fn token(&self, name: &str) -> Result<String, String> {
        self.accounts().token(name, &[self.scope()])
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
        let path = self.accounts().path(&format!("/users/{id}"));
        let mut user = self.stage.keycloak.get(&path).1;
        user["enabled"] = json!(enabled);
        let (status, answer) = self.stage.keycloak.put(&path, &user);
        assert_eq!(status, 204, "{answer}");
    }
}

#[test]
fn people_call_as_they_are_granted_by_name_and_by_group() {
    let scene = Scene::new("people");
    let accounts = scene.accounts();
    accounts.make_user("ann");
    let (ben, cyd) = (accounts.make_user("ben"), accounts.make_user("cyd"));
    let group = accounts.make_group("scientists");
    for member in [&ben, &cyd] {
        accounts.join(member, &group);
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
    // Nothing allows it, and then nothing that she holds counts: whichever is heard of first.
    eventually("ann's grant is gone", PATIENCE, || match scene.call(&ann) {
        (401 | 403, _) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(scene.call(&of_ben).0, 200);
    eventually("Keycloak gives her no token for it", PATIENCE, || match scene.token("ann") {
        Ok(_) => Err("it does".to_owned()),
        Err(_) => Ok(()),
    });

    // Out of the group: what he holds counts no more, before it ends.
    accounts.leave(&ben, &group);
    scene.call_until(401, &of_ben, "ben is in the group no more");
    let of_cyd = scene.token_soon("cyd");
    scene.call_until(200, &of_cyd, "cyd still is");
}

#[test]
fn who_is_disabled_is_refused_with_a_token_that_is_still_good() {
    let scene = Scene::new("disabled");
    let (ann, _) = (scene.accounts().make_user("ann"), scene.accounts().make_user("ben"));
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
    let path = scene.accounts().path(&format!("/users/{ann}"));
    assert_eq!(scene.stage.keycloak.delete(&path).0, 204);
    scene.call_until(401, &fresh, "ann is gone");
}

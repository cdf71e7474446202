//! What an application that signs people in itself is told: variables, and files from the Secret. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Container, EnvVar, EnvVarSource, KeyToPath, PodSpec, ProjectedVolumeSource, SecretKeySelector, SecretProjection,
    Volume, VolumeMount, VolumeProjection,
};
use serde_json::{Value, json};

use super::{
    Refusal,
    mutate::{edit_list, put_named, variable},
    sidecar::mount,
    wiring::SIDECAR,
};
use crate::core::{
    build::{RealmUrls, native_facts},
    credential::{CREDENTIALS_SECRET, ClientSecret},
    fingerprint::Fingerprint,
    graph::App,
    name::Ref,
    native::{CA_FILE, Native},
};

/// The annotation that tells what the pod's application was told, as a fingerprint: it reads it once, at its start.
pub const TOLD: &str = "keywire.dev/told";
/// The volume with the secret.
pub const TOLD_VOLUME: &str = "keywire-client-secret";

/// What goes into the pods of one application.
#[derive(Clone, Debug)]
pub struct Told {
    app: Ref,
    native: Native,
    text: BTreeMap<String, String>,
    mark: Option<String>,
}

impl Told {
    /// What an application is told; `None`: it does not sign people in itself. `has_ca`: Keycloak's server has CA certificates of
    /// its own.
    pub fn new(app: &App, realm: &RealmUrls, has_ca: bool) -> Option<Self> {
        let native = app.native()?;
        let text = native.told(&native_facts(app, native, realm, has_ca));
        let Native { mount_path, secret_file, secret_variable, containers, rotate, .. } = native;
        let mark = Fingerprint::of(&(&text, mount_path, secret_file, secret_variable, containers, rotate));
        let mark = mark.map(|mark| mark.to_string());
        Some(Self { app: app.server.name.clone(), native: native.clone(), text, mark })
    }

    /// Its variables, but for the secret.
    pub fn text(&self) -> &BTreeMap<String, String> {
        &self.text
    }

    /// Another one wherever a pod would get something else.
    pub fn mark(&self) -> Option<&str> {
        self.mark.as_deref()
    }

    /// Refuses a pod that says otherwise itself.
    pub fn check(&self, spec: &PodSpec) -> Result<(), Refusal> {
        let (variables, ours) = (self.variables(), |container: &&Container| self.is_for(&container.name));
        if let Some(missing) =
            self.native.containers.iter().find(|name| spec.containers.iter().all(|c| c.name != **name))
        {
            return Err(Refusal::NoContainer { container: missing.clone(), app: self.app.clone() });
        }
        for container in spec.containers.iter().filter(ours) {
            let differs = |theirs: &&EnvVar| variables.iter().any(|ours| ours.name == theirs.name && ours != *theirs);
            if let Some(taken) = container.env.iter().flatten().find(differs) {
                let (container, env) = (container.name.clone(), taken.name.clone());
                return Err(Refusal::ToldOtherwise { container, env, app: self.app.clone() });
            }
            let taken = |mount: &&VolumeMount| mount.mount_path == self.native.mount_path && mount.name != TOLD_VOLUME;
            if let Some(mount) = container.volume_mounts.iter().flatten().find(taken) {
                let (container, path) = (container.name.clone(), mount.mount_path.clone());
                return Err(Refusal::MountTaken { container, path, app: self.app.clone() });
            }
        }
        Ok(())
    }

    /// Puts it into a pod's JSON, by name.
    pub fn apply(&self, pod: &mut Value) -> Result<(), serde_json::Error> {
        let mount = serde_json::to_value(mount(TOLD_VOLUME, &self.native.mount_path))?;
        let volume = serde_json::to_value(self.volume())?;
        let variables: Vec<Value> = self.variables().iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
        let spec = &mut pod["spec"];
        for container in spec["containers"].as_array_mut().into_iter().flatten() {
            if !container["name"].as_str().is_some_and(|name| self.is_for(name)) {
                continue;
            }
            edit_list(container, "env", |present| {
                present.retain(|theirs| variables.iter().all(|ours| ours["name"] != theirs["name"]));
                present.splice(0..0, variables.iter().cloned());
            });
            put_named(container, "volumeMounts", &mount);
        }
        put_named(spec, "volumes", &volume);
        pod["metadata"]["annotations"][TOLD] = json!(self.mark());
        Ok(())
    }

    fn is_for(&self, container: &str) -> bool {
        container != SIDECAR && (self.native.containers.is_empty() || self.native.containers.contains(container))
    }

    fn variables(&self) -> Vec<EnvVar> {
        let text = self.text.iter().map(|(name, value)| variable(name, value.clone()));
        // By reference: the pod's own text tells nothing.
        let secret = self.native.secret_variable.iter().map(|name| EnvVar {
            name: name.clone(),
            value: None,
            value_from: Some(EnvVarSource {
                secret_key_ref: Some(SecretKeySelector {
                    name: CREDENTIALS_SECRET.to_owned(),
                    key: ClientSecret::entry(&self.app.name),
                    optional: None,
                }),
                ..EnvVarSource::default()
            }),
        });
        text.chain(secret).collect()
    }

    /// The pod waits for its secret: an application that starts without one may ask nobody to sign in.
    fn volume(&self) -> Volume {
        let entry = |key: String, path: &str, optional: Option<bool>| VolumeProjection {
            secret: Some(SecretProjection {
                name: CREDENTIALS_SECRET.to_owned(),
                items: Some(vec![KeyToPath { key, path: path.to_owned(), mode: None }]),
                optional,
            }),
            ..VolumeProjection::default()
        };
        let secret = entry(ClientSecret::entry(&self.app.name), &self.native.secret_file, None);
        let ca = entry(ClientSecret::ca_entry(&self.app.name), CA_FILE, Some(true));
        let sources = ProjectedVolumeSource { sources: Some(vec![secret, ca]), ..ProjectedVolumeSource::default() };
        Volume { name: TOLD_VOLUME.to_owned(), projected: Some(sources), ..Volume::default() }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;

    use super::*;
    use crate::admission::fixtures::native;

    fn told(change: Value) -> Told {
        let app = native("tools", "board", "board", change).parse().expect("good");
        Told::new(&app, &RealmUrls::new("https://auth.example", "http://kc:8080", "ml", None), false).expect("native")
    }

    fn pod(container: Value) -> Value {
        json!({"metadata": {"annotations": {"x": "y"}}, "spec": {"containers": [container, {"name": "helper"}]}})
    }

    fn refused(told: &Told, container: Value) -> Option<String> {
        let pod: Pod = serde_json::from_value(pod(container)).expect("a pod");
        told.check(&pod.spec.expect("a spec")).err().map(|refusal| refusal.to_string())
    }

    #[test]
    fn its_containers_are_told_and_applying_it_twice_is_applying_it_once() {
        let told = told(json!({"containers": ["app"], "secretEnv": "SECRET"}));
        let mut once = pod(json!({"name": "app", "env": [{"name": "OWN", "value": "x"}], "unknown": [1]}));
        told.apply(&mut once).expect("JSON");
        let app = &once["spec"]["containers"][0];
        let env = app["env"].as_array().expect("a list");
        assert_eq!(env[0], json!({"name": "ID", "value": "board.tools.app"}));
        assert_eq!(env.last(), Some(&json!({"name": "OWN", "value": "x"})));
        let secret = env.iter().find(|variable| variable["name"] == "SECRET").expect("it");
        assert_eq!(
            (&secret["value"], &secret["valueFrom"]["secretKeyRef"]["key"]),
            (&Value::Null, &json!("board.app.client-secret"))
        );
        assert_eq!(
            (&app["volumeMounts"][0]["mountPath"], &app["unknown"]),
            (&json!("/var/run/keywire/sign-in"), &json!([1]))
        );
        assert_eq!(once["spec"]["containers"][1], json!({"name": "helper"}), "not its affair");
        assert_eq!(once["metadata"]["annotations"][TOLD], json!(told.mark()));
        let mut twice = once.clone();
        told.apply(&mut twice).expect("JSON");
        assert_eq!(once, twice);
        let again: Pod = serde_json::from_value(twice).expect("a pod");
        assert_eq!(told.check(&again.spec.expect("a spec")), Ok(()));
    }

    #[test]
    fn a_pod_that_says_otherwise_is_refused() {
        let told = told(json!({"containers": ["app"]}));
        let env = |value: &str| json!({"name": "app", "env": [{"name": "ID", "value": value}]});
        assert_eq!(refused(&told, env("board.tools.app")), None, "the same");
        let message = refused(&told, env("mine")).expect("refused");
        assert!(["app", "ID", "tools/board"].iter().all(|word| message.contains(word)), "{message}");
        let mounts = json!({"name": "app", "volumeMounts": [{"name": "x", "mountPath": "/var/run/keywire/sign-in"}]});
        assert!(refused(&told, mounts).is_some_and(|message| message.contains("mountPath")));
        assert!(refused(&told, json!({"name": "other"})).is_some_and(|message| message.contains("\"app\"")));
    }

    #[test]
    fn whatever_changes_leaves_another_mark() {
        let marks = [
            json!({}),
            json!({"secretEnv": "X"}),
            json!({"mountPath": "/x"}),
            json!({"env": [{"name": "ID", "value": "x"}]}),
        ];
        let marks: std::collections::BTreeSet<_> = marks.map(|change| told(change).mark).into();
        assert_eq!(marks.len(), 4);
    }
}

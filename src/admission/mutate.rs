//! What injection changes in a pod. Pure: `apply(apply(pod)) == apply(pod)`.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, EnvVar, Pod, PodSpec};
use serde_json::{Value, json};

use super::{
    InjectSettings, Refusal, probes,
    select::Selection,
    sidecar::{self, FILES_VOLUME, VOLUMES},
    told::Told,
    wiring::{Loopback, SIDECAR, Wiring},
};
use crate::core::{
    app_probe::AppProbe,
    client_env::{self, PLACEHOLDER},
};

/// The annotation that tells that, and with which image, a pod was injected.
pub const INJECTED: &str = "keywire.dev/injected";

/// What goes into one pod.
#[derive(Clone, Debug)]
pub struct Injection {
    /// `None`: no sidecar is needed, and nothing of it is put in.
    sidecar: Option<Value>,
    told: Option<Told>,
    volumes: Vec<Value>,
    files: Option<Value>,
    env: Vec<Value>,
    probes: Vec<AppProbe>,
    image: String,
    warnings: Vec<String>,
}

/// Why no injection could be made.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum InjectError {
    /// The pod may not start like this.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A part could not be written as JSON.
    #[error("cannot write the sidecar as JSON: {0}")]
    Serialize(#[from] serde_json::Error),
}

/// What goes into a selected pod, or why it may not start.
pub fn inject(pod: &Pod, selection: &Selection, settings: &InjectSettings) -> Result<Injection, InjectError> {
    let wiring = Wiring::new(selection)?;
    let (env, placeholders) = (variables(&wiring), placeholders(&wiring));
    if let Some(spec) = &pod.spec {
        if wiring.has_sidecar() {
            check(spec, &wiring, &env)?;
        }
        selection.told.iter().try_for_each(|told| told.check(spec))?;
    }
    let on_loopback = wiring.guard.as_ref().filter(|guard| guard.on_loopback);
    let probes = match (&pod.spec, on_loopback) {
        (Some(spec), Some(guard)) => probes::gather(spec, guard)?,
        _ => Vec::new(),
    };
    let (volumes, container) = match wiring.has_sidecar() {
        true => (sidecar::volumes(&wiring), Some(sidecar::container(&wiring, probes::arguments(&probes)?, settings))),
        false => (Vec::new(), None),
    };
    Ok(Injection {
        sidecar: container.map(serde_json::to_value).transpose()?,
        told: selection.told.clone(),
        volumes: volumes.iter().map(serde_json::to_value).collect::<Result<_, _>>()?,
        files: sidecar::files_mount(&wiring).map(serde_json::to_value).transpose()?,
        env: env.iter().chain(&placeholders).map(serde_json::to_value).collect::<Result<_, _>>()?,
        probes,
        image: settings.image.clone(),
        warnings: pod.spec.as_ref().map(|spec| wiring.warnings(spec)).unwrap_or_default(),
    })
}

/// The targets' URLs.
fn variables(wiring: &Wiring) -> Vec<EnvVar> {
    let targets = wiring.egress.iter().flat_map(|egress| &egress.targets);
    let url = |target: &Loopback| format!("http://127.0.0.1:{}{}", target.listen, target.path);
    targets.map(|target| variable(&target.env, url(target))).collect()
}

/// What their client libraries want besides. A container that has its own keeps it: nobody looks at either.
fn placeholders(wiring: &Wiring) -> Vec<EnvVar> {
    let targets = wiring.egress.iter().flat_map(|egress| &egress.targets);
    let is_target = |key: &str| wiring.egress.iter().flat_map(|egress| &egress.targets).any(|target| target.env == key);
    let keys: BTreeSet<_> = targets.filter_map(|target| client_env::of(&target.env).key).collect();
    keys.into_iter().filter(|key| !is_target(key)).map(|key| variable(key, PLACEHOLDER.to_owned())).collect()
}

pub(super) fn variable(name: &str, value: String) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value), value_from: None }
}

fn check(spec: &PodSpec, wiring: &Wiring, env: &[EnvVar]) -> Result<(), Refusal> {
    if spec.host_network == Some(true) {
        return Err(Refusal::HostNetwork { selected_by: wiring.selected_by() });
    }
    if let Some(os) = spec.os.as_ref().filter(|os| os.name != "linux") {
        return Err(Refusal::NotLinux { os: os.name.clone(), selected_by: wiring.selected_by() });
    }
    if spec.containers.iter().any(|container| container.name == SIDECAR) {
        return Err(Refusal::ReservedContainer { name: SIDECAR.into() });
    }
    wiring.check_ports(spec)?;
    // An init container of the sidecar's name is replaced, whatever it is.
    let init = spec.init_containers.iter().flatten().filter(|container| container.name != SIDECAR);
    spec.containers.iter().chain(init).try_for_each(|container| check_container(container, wiring, env))
}

fn check_container(container: &Container, wiring: &Wiring, env: &[EnvVar]) -> Result<(), Refusal> {
    let mounts = container.volume_mounts.iter().flatten();
    if let Some(mount) = mounts.into_iter().find(|mount| VOLUMES.contains(&mount.name.as_str())) {
        return Err(Refusal::ReservedVolume { container: container.name.clone(), volume: mount.name.clone() });
    }
    let ours = |theirs: &&EnvVar| env.iter().find(|ours| ours.name == theirs.name).is_some_and(|ours| ours != *theirs);
    match (container.env.iter().flatten().find(ours), &wiring.egress) {
        (Some(taken), Some(egress)) => Err(Refusal::EnvTaken {
            container: container.name.clone(),
            env: taken.name.clone(),
            identity: egress.identity.clone(),
        }),
        _ => Ok(()),
    }
}

impl Injection {
    /// What whoever makes the pod should hear.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Puts everything into the pod, by name: what has the name of ours is replaced.
    ///
    /// Works on the raw JSON, so that fields which we do not know stay as they are.
    ///
    /// # Errors
    /// A part could not be written as JSON.
    pub fn apply(&self, pod: &mut Value) -> Result<(), InjectError> {
        if let Some(sidecar) = &self.sidecar {
            self.apply_sidecar(pod, sidecar);
        }
        if let Some(told) = &self.told {
            told.apply(pod)?;
        }
        Ok(())
    }

    fn apply_sidecar(&self, pod: &mut Value, sidecar: &Value) {
        let spec = &mut pod["spec"];
        for list in ["containers", "initContainers"] {
            for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                self.apply_env(container);
                self.apply_files(container);
                probes::redirect(container, &self.probes);
            }
        }
        edit_list(spec, "initContainers", |containers| {
            containers.retain(|container| container["name"] != SIDECAR);
            containers.insert(0, sidecar.clone());
        });
        edit_list(spec, "volumes", |volumes| {
            let ours = |volume: &Value| VOLUMES.iter().chain([&FILES_VOLUME]).any(|name| volume["name"] == *name);
            volumes.retain(|volume| !ours(volume));
            volumes.extend(self.volumes.iter().cloned());
        });
        pod["metadata"]["annotations"][INJECTED] = json!(self.image);
    }

    fn apply_files(&self, container: &mut Value) {
        let Some(mount) = self.files.as_ref().filter(|_| container["name"] != SIDECAR) else { return };
        put_named(container, "volumeMounts", mount);
    }

    // First in the list, so that the container's own variables may refer to ours.
    fn apply_env(&self, container: &mut Value) {
        if container["name"] == SIDECAR || self.env.is_empty() {
            return;
        }
        edit_list(container, "env", |present| {
            let absent = |ours: &&Value| present.iter().all(|theirs| theirs["name"] != ours["name"]);
            let absent: Vec<Value> = self.env.iter().filter(absent).cloned().collect();
            present.splice(0..0, absent);
        });
    }
}

/// Edits the list in this field, made where it is absent or null.
pub(super) fn edit_list(object: &mut Value, field: &str, edit: impl FnOnce(&mut Vec<Value>)) {
    let value = &mut object[field];
    if value.is_null() {
        *value = Value::Array(Vec::new());
    }
    // Nothing else can be here: the pod was read as a Pod before.
    if let Value::Array(list) = value {
        edit(list);
    }
}

/// Puts the entry into the list in this field, in the place of whatever has its name.
pub(super) fn put_named(object: &mut Value, field: &str, entry: &Value) {
    edit_list(object, field, |list| {
        list.retain(|present| present["name"] != entry["name"]);
        list.push(entry.clone());
    });
}

#[cfg(test)]
mod tests;

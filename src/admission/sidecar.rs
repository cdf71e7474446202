//! The sidecar's container and volumes. Pure.

use k8s_openapi::{
    api::core::v1::{
        Capabilities, ConfigMapVolumeSource, Container, EmptyDirVolumeSource, HTTPGetAction, KeyToPath, Probe,
        ProjectedVolumeSource, ResourceRequirements, SeccompProfile, SecretVolumeSource, SecurityContext,
        ServiceAccountTokenProjection, Volume, VolumeMount, VolumeProjection,
    },
    apimachinery::pkg::{api::resource::Quantity, util::intstr::IntOrString},
};

use super::wiring::{ADMIN_PORT, Egress, Guard, SIDECAR, Wiring};
use crate::{
    core::{
        credential::{CREDENTIAL_FILE, CREDENTIALS_SECRET},
        graph::Kind,
        signin::cookie_keys::{COOKIE_KEYS, CookieKeys},
    },
    policy::{AUDIENCE, DocumentKind},
};

/// The volumes that are the sidecar's alone.
pub const VOLUMES: [&str; 5] = [GUARD_VOLUME, EGRESS_VOLUME, TOKENS_VOLUME, CREDENTIAL_VOLUME, SIGN_IN_VOLUME];
/// The one with the credential as files, which the application's containers have too.
pub const FILES_VOLUME: &str = "keywire-credential-files";
const CREDENTIAL_VOLUME: &str = "keywire-credential";
const SIGN_IN_VOLUME: &str = "keywire-sign-in";
const SIGN_IN_PATH: &str = "/etc/keywire/sign-in";
const CREDENTIAL_PATH: &str = "/etc/keywire/credential";
const FILES_PATH: &str = "/var/run/keywire/files";
const GUARD_VOLUME: &str = "keywire-guard";
const EGRESS_VOLUME: &str = "keywire-egress";
/// The one with the tokens that it shows.
pub const TOKENS_VOLUME: &str = "keywire-tokens";
/// The file of the token that Keycloak takes.
pub const LOGIN_TOKEN: &str = "keycloak";
const GUARD_PATH: &str = "/etc/keywire/guard";
const EGRESS_PATH: &str = "/etc/keywire/egress";
const TOKENS_PATH: &str = "/var/run/keywire/tokens";
/// The user of the image, distroless' "nonroot".
const USER: i64 = 65532;
const TOKEN_SECONDS: i64 = 3600;

/// What every sidecar of this installation has in common.
#[derive(Clone, Debug)]
pub struct InjectSettings {
    /// The proxy's image.
    pub image: String,
    /// When to pull it.
    pub image_pull_policy: String,
    /// URL of the policy stream.
    pub policy_url: String,
    /// What it may use.
    pub resources: ResourceRequirements,
}

/// The native sidecar: an init container that keeps running.
/// `probes` are the arguments for those of the application that it makes itself.
pub fn container(wiring: &Wiring, probes: Vec<String>, settings: &InjectSettings) -> Container {
    Container {
        name: SIDECAR.into(),
        image: Some(settings.image.clone()),
        image_pull_policy: Some(settings.image_pull_policy.clone()),
        restart_policy: Some("Always".into()),
        args: Some(arguments(wiring, probes, settings)),
        // Containers of the application start once the sidecar's sockets are bound.
        startup_probe: Some(probe("/livez", 1, 60)),
        readiness_probe: Some(probe("/readyz", 5, 3)),
        liveness_probe: Some(probe("/livez", 10, 3)),
        resources: Some(settings.resources.clone()),
        security_context: Some(restricted()),
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        volume_mounts: Some(mounts(wiring)),
        ..Container::default()
    }
}

/// What the inbound half is told. Everything begins with `--guard`.
pub fn guard_arguments(guard: &Guard) -> Vec<String> {
    let ports = guard.ports.iter().map(|port| format!("--guard-port={}:{}", port.guard, port.app));
    let identity = format!("--guard-identity={}", guard.endpoint);
    [format!("--guard={GUARD_PATH}"), identity].into_iter().chain(ports).collect()
}

/// Where what seals people's sessions lies, before applications.
pub fn sign_in_argument(guard: &Guard) -> Option<String> {
    signs_in(guard).then(|| format!("--sign-in={SIGN_IN_PATH}"))
}

fn signs_in(guard: &Guard) -> bool {
    guard.kind == Kind::WebApp
}

/// What the outbound half is told. Everything begins with `--egress`.
pub fn egress_arguments(egress: &Egress) -> Vec<String> {
    let ports = egress.targets.iter().map(|target| format!("--egress-port={}", target.listen));
    let identity = format!("--egress-identity={}", egress.identity);
    let credential = egress.issuer.is_none().then(|| format!("--egress-credential={CREDENTIAL_PATH}"));
    let files = egress.files.as_ref().map(|_| format!("--egress-credential-files={FILES_PATH}"));
    let beginning = [format!("--egress={EGRESS_PATH}"), identity];
    beginning.into_iter().chain(credential).chain(files).chain(ports).collect()
}

fn arguments(wiring: &Wiring, probes: Vec<String>, settings: &InjectSettings) -> Vec<String> {
    let guard = wiring.guard.iter().flat_map(guard_arguments);
    let mut arguments: Vec<_> = guard.chain(wiring.egress.iter().flat_map(egress_arguments)).collect();
    arguments.extend(wiring.guard.as_ref().and_then(sign_in_argument));
    arguments.push(format!("--tokens={TOKENS_PATH}"));
    arguments.push(format!("--stream={}", settings.policy_url));
    arguments.push(format!("--admin=0.0.0.0:{ADMIN_PORT}"));
    arguments.extend(probes);
    arguments
}

// Numeric ports: named ones of init containers have broken before. No `host`: Pod Security forbids it.
fn probe(path: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.into()),
            port: IntOrString::Int(ADMIN_PORT.into()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

fn restricted() -> SecurityContext {
    SecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(USER),
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".into()]), add: None }),
        read_only_root_filesystem: Some(true),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".into(), localhost_profile: None }),
        ..SecurityContext::default()
    }
}

/// The mount of the credential's files in the application's containers.
pub fn files_mount(wiring: &Wiring) -> Option<VolumeMount> {
    wiring.egress.as_ref()?.files.as_ref().map(|path| mount(FILES_VOLUME, path))
}

pub(super) fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.into(), mount_path: path.into(), read_only: Some(true), ..VolumeMount::default() }
}

fn mounts(wiring: &Wiring) -> Vec<VolumeMount> {
    let guard = wiring.guard.as_ref().map(|_| mount(GUARD_VOLUME, GUARD_PATH));
    let egress = wiring.egress.as_ref().map(|_| mount(EGRESS_VOLUME, EGRESS_PATH));
    let credential = kept(wiring).map(|_| mount(CREDENTIAL_VOLUME, CREDENTIAL_PATH));
    // The one that the sidecar writes.
    let files = files_mount(wiring).map(|_| VolumeMount { read_only: None, ..mount(FILES_VOLUME, FILES_PATH) });
    let tokens = mount(TOKENS_VOLUME, TOKENS_PATH);
    let sign_in = wiring.guard.as_ref().filter(|guard| signs_in(guard)).map(|_| mount(SIGN_IN_VOLUME, SIGN_IN_PATH));
    guard.into_iter().chain(egress).chain([tokens]).chain(credential).chain(files).chain(sign_in).collect()
}

/// The outbound half, where it logs in with a credential that is kept.
fn kept(wiring: &Wiring) -> Option<&Egress> {
    wiring.egress.as_ref().filter(|egress| egress.issuer.is_none())
}

/// The sidecar's volumes.
pub fn volumes(wiring: &Wiring) -> Vec<Volume> {
    let guard = wiring.guard.as_ref().map(|guard| document(GUARD_VOLUME, DocumentKind::Guard, &guard.endpoint.name));
    let egress =
        wiring.egress.as_ref().map(|egress| document(EGRESS_VOLUME, DocumentKind::Egress, &egress.identity.name));
    let credential = kept(wiring).map(|egress| credential(&egress.identity.name));
    let files = files_mount(wiring).map(|_| files());
    let sign_in = wiring.guard.as_ref().filter(|guard| signs_in(guard)).map(|guard| sign_in(&guard.endpoint.name));
    guard.into_iter().chain(egress).chain([tokens(wiring)]).chain(credential).chain(files).chain(sign_in).collect()
}

/// The application's own keys, and no other's. Optional: a pod may come before them, and until then signs nobody in.
fn sign_in(app: &str) -> Volume {
    let [current, previous] = CookieKeys::entries(app);
    let file = |(key, path): (String, &str)| KeyToPath { key, path: path.into(), mode: None };
    let source = SecretVolumeSource {
        secret_name: Some(CREDENTIALS_SECRET.into()),
        items: Some([(current, COOKIE_KEYS[0]), (previous, COOKIE_KEYS[1])].map(file).into()),
        optional: Some(true),
        ..SecretVolumeSource::default()
    };
    Volume { name: SIGN_IN_VOLUME.into(), secret: Some(source), ..Volume::default() }
}

/// The identity's own entry of the Secret, and no other. Optional: a pod may come before it.
fn credential(identity: &str) -> Volume {
    let entry = KeyToPath { key: format!("{identity}.json"), path: CREDENTIAL_FILE.into(), mode: None };
    let source = SecretVolumeSource {
        secret_name: Some(CREDENTIALS_SECRET.into()),
        items: Some(vec![entry]),
        optional: Some(true),
        ..SecretVolumeSource::default()
    };
    Volume { name: CREDENTIAL_VOLUME.into(), secret: Some(source), ..Volume::default() }
}

/// In memory: a secret is written to no disk.
fn files() -> Volume {
    let source = EmptyDirVolumeSource { medium: Some("Memory".into()), size_limit: Some(Quantity("64Ki".into())) };
    Volume { name: FILES_VOLUME.into(), empty_dir: Some(source), ..Volume::default() }
}

// Optional: a pod may come before its policy. Until then the proxy refuses everything.
fn document(volume: &str, kind: DocumentKind, object: &str) -> Volume {
    let source = ConfigMapVolumeSource {
        name: kind.config_map(object),
        optional: Some(true),
        ..ConfigMapVolumeSource::default()
    };
    Volume { name: volume.into(), config_map: Some(source), ..Volume::default() }
}

fn tokens(wiring: &Wiring) -> Volume {
    let token = |path: &str, audience: &str| VolumeProjection {
        service_account_token: Some(ServiceAccountTokenProjection {
            path: path.into(),
            audience: Some(audience.into()),
            expiration_seconds: Some(TOKEN_SECONDS),
        }),
        ..VolumeProjection::default()
    };
    // Both halves log in at one realm, with one token.
    let of_guard = wiring.guard.as_ref().and_then(|guard| guard.issuer.as_ref());
    let issuer = wiring.egress.as_ref().and_then(|egress| egress.issuer.as_ref()).or(of_guard);
    let keycloak = issuer.map(|issuer| token(LOGIN_TOKEN, issuer));
    let sources = keycloak.into_iter().chain([token("policy", AUDIENCE)]).collect();
    let projected = ProjectedVolumeSource { sources: Some(sources), ..ProjectedVolumeSource::default() };
    Volume { name: TOKENS_VOLUME.into(), projected: Some(projected), ..Volume::default() }
}

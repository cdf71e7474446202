//! What an application's owner reads.

use jiff::Timestamp;
use kube::Api;

use super::Gathered;
use crate::{
    admission::{ServedPods, Told},
    api::{WebApp, WebAppStatus},
    controller::{
        condition::{ACCEPTED, SYNCED, Verdict, conditions},
        context::Context,
        endpoint::{PUBLISHED, people, publication},
        error::Error,
        injected,
        objects::ObjectError,
        status,
        sync::Synced,
    },
    core::{
        graph::{App, AppSignIn, Problem},
        permission::Permission,
        policy::document::GuardPolicy,
    },
};

/// What the application is told is there for it.
const TOLD: &str = "Told";

/// The application cannot be used as it stands.
pub async fn rejected(ctx: &Context, api: &Api<WebApp>, object: &WebApp, problems: &[Problem]) -> Result<(), Error> {
    let before = object.status.clone().unwrap_or_default();
    let mut verdicts =
        vec![Verdict::problems(ACCEPTED, problems), Verdict::waiting(SYNCED, "for the application to be accepted")];
    if ServedPods::of_app(object).is_some() {
        let waiting = "for the application to be accepted; until then the sidecar opens it to nobody";
        verdicts.push(Verdict::waiting(PUBLISHED, waiting));
    }
    let new = WebAppStatus {
        observed_generation: object.metadata.generation,
        conditions: conditions(&before.conditions, object.metadata.generation, &verdicts, "", Timestamp::now()),
        ..before
    };
    write(ctx, api, object, &new).await
}

/// How far an application came.
pub struct Outcome {
    /// Its pods.
    pub pods: Pods,
    /// Keycloak.
    pub synced: Synced,
}

/// How far what its pods need came.
pub struct Pods {
    /// What its sidecars need, where it has some.
    pub sidecar: Option<Sidecar>,
    /// What it is told, where it signs people in itself.
    pub settings: Option<Result<Option<Told>, ObjectError>>,
    /// Whether what an earlier spec left behind is gone.
    pub left: Result<(), ObjectError>,
}

/// How far its sidecars' needs came.
pub struct Sidecar {
    /// The policy.
    pub published: Result<Option<GuardPolicy>, ObjectError>,
    /// The Service, the NetworkPolicy and the keys.
    pub kept: Result<(), ObjectError>,
    /// Whether there is a way around.
    pub isolated: Verdict,
}

impl Default for Pods {
    fn default() -> Self {
        Self { sidecar: None, settings: None, left: Ok(()) }
    }
}

impl Outcome {
    /// The error that makes the pass be tried again.
    pub fn result(self) -> Result<(), Error> {
        let Pods { sidecar, settings, left } = self.pods;
        if let Some(Sidecar { published, kept, .. }) = sidecar {
            published?;
            kept?;
        }
        settings.transpose()?;
        left?;
        self.synced.result()
    }
}

/// The application is valid.
pub async fn accepted(
    ctx: &Context,
    api: &Api<WebApp>,
    object: &WebApp,
    gathered: &Gathered,
    outcome: &Outcome,
) -> Result<(), Error> {
    let Outcome { pods: Pods { sidecar, settings, left }, synced } = outcome;
    let before = object.status.clone().unwrap_or_default();
    let (app, server) = (&gathered.app, &gathered.app.server);
    let mut verdicts = vec![Verdict::good(ACCEPTED, "Valid", "the application is valid and its realm admits it")];
    if let Some(Sidecar { published, kept, isolated }) = sidecar {
        verdicts.push(publication(published, kept));
        verdicts.push(isolated.clone());
    }
    if let Some(served) = ServedPods::of_app(object) {
        let namespace = &server.name.namespace;
        verdicts.push(injected::guards(&ctx.caches.unguarded(namespace, &served), "this application's sidecar"));
        verdicts.extend(injected::ports(&served, &ctx.caches.without_ports(namespace, &served)));
    }
    if let Some(settings) = settings {
        verdicts.push(telling(settings));
    }
    if let Some(Ok(Some(told))) = settings
        && object.spec.workload.is_some()
    {
        verdicts.push(injected::told(&ctx.caches.told_otherwise(object, told)));
    }
    verdicts.push(synced.verdict.clone());
    verdicts.extend(people(&gathered.realm, &app.access, &server.client_id(), "open"));
    verdicts.extend(synced.drift.clone());
    let new = WebAppStatus {
        // What an earlier spec left behind is looked for until it is gone.
        observed_generation: if left.is_ok() { object.metadata.generation } else { before.observed_generation },
        client_id: before.client_id.or_else(|| synced.is_held().then(|| server.client_id())),
        service_url: server.ports.first().map(|port| server.url(port)),
        permissions: server.permissions.iter().map(|name: &Permission| name.to_string()).collect(),
        realm: if synced.is_held() { Some(server.realm.clone()) } else { before.realm },
        fingerprint: synced.fingerprint.as_ref().map(ToString::to_string),
        policy_number: match sidecar.as_ref().map(|sidecar| &sidecar.published) {
            Some(Ok(Some(policy))) => i64::try_from(policy.number).ok(),
            Some(Err(_)) => before.policy_number,
            Some(Ok(None)) | None => None,
        },
        conditions: conditions(&before.conditions, object.metadata.generation, &verdicts, ready(app), Timestamp::now()),
    };
    write(ctx, api, object, &new).await
}

/// What the application is told is there.
fn telling(settings: &Result<Option<Told>, ObjectError>) -> Verdict {
    match settings {
        Ok(_) => Verdict::good(
            TOLD,
            "Told",
            "the Secret has its client's secret, and a ConfigMap the rest of what it is told",
        ),
        Err(error) => Verdict::bad(TOLD, error.reason(), error.to_string()),
    }
}

fn ready(app: &App) -> &'static str {
    match (&app.sign_in, app.access.is_empty()) {
        (AppSignIn::Sidecar { .. }, true) => "people can sign in, and spec.access opens it to nobody",
        (AppSignIn::Sidecar { .. }, false) => "open to those in spec.access, after they have signed in",
        (AppSignIn::Native(_), true) => "people can sign in, and spec.access gives nobody a role there",
        (AppSignIn::Native(_), false) => {
            "people can sign in, and the application is told the roles of those in spec.access"
        }
        (AppSignIn::Public { .. }, _) => "people can sign in",
    }
}

async fn write(ctx: &Context, api: &Api<WebApp>, object: &WebApp, new: &WebAppStatus) -> Result<(), Error> {
    let before = object.status.as_ref().map(|status| &*status.conditions).unwrap_or_default();
    status::write(api, object, object.status.as_ref(), new).await?;
    status::announce(&ctx.events, object, before, &new.conditions).await;
    Ok(())
}

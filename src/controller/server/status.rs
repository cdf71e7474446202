//! What the platform team reads of a server.

use jiff::Timestamp;
use kube::Api;

use crate::{
    api::{KeycloakServer, KeycloakServerStatus},
    controller::{
        condition::{ACCEPTED, Verdict, conditions},
        context::Context,
        error::Error,
        login::LoginSetupError,
        status,
        sync::api_reason,
        trust::Following,
    },
    core::{graph::Problem, skew::Skew},
    keycloak::{ApiError, ServerCheck},
};

/// Something answers at the URL.
const REACHABLE: &str = "Reachable";
/// The operator can log in.
const AUTHENTICATED: &str = "Authenticated";

/// Workloads can log in by their ServiceAccount tokens.
const WORKLOAD_LOGIN: &str = "WorkloadLogin";

/// The server's clock and the operator's agree; said only where they do not.
const CLOCK: &str = "Clock";

/// What was seen of a server whose credentials can be read.
pub struct Seen<'a> {
    /// Whether it answers and lets the operator in.
    pub checked: Option<&'a Result<ServerCheck, ApiError>>,
    /// Whether it knows the cluster's keys.
    pub following: Option<&'a Following>,
    /// How far the operator's clock is from its.
    pub skew: Option<Skew>,
}

/// Writes how the login went.
pub async fn write(
    ctx: &Context,
    api: &Api<KeycloakServer>,
    object: &KeycloakServer,
    setup: Option<&LoginSetupError>,
    seen: &Seen<'_>,
) -> Result<(), Error> {
    let Seen { checked, following, skew } = *seen;
    let before = object.status.clone().unwrap_or_default();
    let version = checked.and_then(|checked| checked.as_ref().ok()).and_then(|check| check.version.clone());
    let verdicts = match setup {
        Some(error) => vec![
            Verdict::bad(ACCEPTED, error.reason(), error.to_string()),
            Verdict::waiting(REACHABLE, "for usable credentials"),
        ],
        None => [Verdict::good(ACCEPTED, "Valid", "the credentials can be read")]
            .into_iter()
            .chain(outcome(checked))
            .chain(following.map(Following::verdict))
            .chain(skew.and_then(clock))
            .collect(),
    };
    let status = KeycloakServerStatus { version: version.or(before.version.clone()), ..before };
    apply(ctx, api, object, &verdicts, status).await
}

/// The server is being deleted and cannot go yet.
pub async fn waiting(
    ctx: &Context,
    api: &Api<KeycloakServer>,
    object: &KeycloakServer,
    problem: &Problem,
) -> Result<(), Error> {
    let verdict = Verdict::problems(ACCEPTED, std::slice::from_ref(problem));
    apply(ctx, api, object, &[verdict], object.status.clone().unwrap_or_default()).await
}

fn outcome(checked: Option<&Result<ServerCheck, ApiError>>) -> Vec<Verdict> {
    let reachable = || Verdict::good(REACHABLE, "Answers", "Keycloak answers");
    match checked {
        None => vec![Verdict::waiting(REACHABLE, "to be tried")],
        Some(Ok(check)) => {
            let logged_in = Verdict::good(AUTHENTICATED, "LoggedIn", "the operator can log in");
            [reachable(), logged_in].into_iter().chain(workload_login(check)).collect()
        }
        Some(Err(error)) if error.is_out_of_reach() => {
            let message = error.to_string();
            vec![
                Verdict::bad(REACHABLE, api_reason(error), message),
                Verdict::waiting(AUTHENTICATED, "for Keycloak to answer"),
            ]
        }
        Some(Err(error)) => vec![reachable(), Verdict::bad(AUTHENTICATED, api_reason(error), error.to_string())],
    }
}

/// Said only where the server cannot do what every WorkloadIdentity needs: all of them would fail without a reason.
fn workload_login(check: &ServerCheck) -> Option<Verdict> {
    let version = check.version.as_deref().unwrap_or_default();
    let message = format!(
        "Keycloak {version} takes no ServiceAccount tokens, since its feature client-auth-federated is off: start it with --features=client-auth-federated, or upgrade to 26.6 or later"
    );
    (check.federated_login == Some(false)).then(|| Verdict::bad(WORKLOAD_LOGIN, "FeatureOff", message).aside())
}

/// Tokens of workloads are dated by the cluster's clocks and checked by Keycloak's, and the other way round.
fn clock(skew: Skew) -> Option<Verdict> {
    let message = format!(
        "the operator's clock is {skew} Keycloak's: tokens seem expired, or not valid yet; check NTP on the nodes and on Keycloak's machine"
    );
    (!skew.is_tolerated()).then(|| Verdict::bad(CLOCK, "ClockSkew", message).aside())
}

async fn apply(
    ctx: &Context,
    api: &Api<KeycloakServer>,
    object: &KeycloakServer,
    verdicts: &[Verdict],
    status: KeycloakServerStatus,
) -> Result<(), Error> {
    let before = object.status.as_ref().map(|status| &*status.conditions).unwrap_or_default();
    let generation = object.metadata.generation;
    let new = KeycloakServerStatus {
        observed_generation: generation,
        conditions: conditions(
            before,
            generation,
            verdicts,
            "reachable, and the operator can log in",
            Timestamp::now(),
        ),
        ..status
    };
    status::write(api, object, object.status.as_ref(), &new).await?;
    status::announce(&ctx.events, object, before, &new.conditions).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_differs_is_told_with_the_seconds() {
        assert!(clock(Skew::of(10)).is_none() && clock(Skew::of(-10)).is_none());
        let verdict = clock(Skew::of(-60)).expect("a verdict");
        assert!(verdict.message.starts_with("the operator's clock is 60 s behind Keycloak's"), "{}", verdict.message);
        assert!(!verdict.blocking, "it may log in all the same");
    }
}

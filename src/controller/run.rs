//! One kind's loop: takes names from its queue, reconciles, paces.

use std::{convert::Infallible, future::Future, sync::Arc, time::Duration};

use futures::{StreamExt, channel::mpsc};
use kube::{
    Resource, ResourceExt,
    runtime::{
        applier,
        controller::Action,
        controller::Config,
        events::EventType,
        reflector::{ObjectRef, Store},
    },
};

use super::{context::Context, error::Error, status};
use crate::api::BREAK_GLASS;

/// The longest that one pass over one object may take: kube's client retries for up to a quarter of an hour by itself.
const LIMIT: Duration = Duration::from_secs(120);
/// Changes that come together are looked at together.
const DEBOUNCE: Duration = Duration::from_millis(20);
/// Passes at one time, per kind. Keycloak is fastest with 4 to 8 calls in flight.
const CONCURRENCY: u16 = 16;

/// Reconciles one kind until its queue ends.
pub async fn run<K, Pass>(
    kind: &'static str,
    ctx: Arc<Context>,
    store: Store<K>,
    queue: mpsc::UnboundedReceiver<ObjectRef<K>>,
    reconcile: impl Fn(Arc<K>, Arc<Context>) -> Pass + Clone + Send + 'static,
) where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Send + Sync + 'static,
    Pass: Future<Output = Result<Option<Duration>, Error>> + Send + 'static,
{
    let config = Config::default().debounce(DEBOUNCE).concurrency(CONCURRENCY);
    let pass = move |object: Arc<K>, ctx: Arc<Context>| {
        let reconcile = reconcile.clone();
        Box::pin(async move { one(kind, reconcile(object.clone(), ctx.clone()), object.as_ref(), &ctx).await })
    };
    let on_error = move |object: Arc<K>, _: &Error, ctx: Arc<Context>| ctx.pace.failed(&key(kind, object.as_ref()));
    applier(pass, on_error, ctx, store, queue.map(Ok::<_, Infallible>), config)
        .for_each(|result| async move {
            // An object that went while it was queued is no failure, and every other error was told of in `one`.
            if let Err(error) = result {
                tracing::debug!(kind, %error, "reconcile ended without a result");
            }
        })
        .await;
}

async fn one<K: Resource<DynamicType = ()>>(
    kind: &'static str,
    pass: impl Future<Output = Result<Option<Duration>, Error>>,
    object: &K,
    ctx: &Context,
) -> Result<Action, Error> {
    let name = key(kind, object);
    let result = tokio::time::timeout(LIMIT, pass).await.unwrap_or(Err(Error::TimedOut));
    ctx.progress.end(kind);
    ctx.metrics.reconciled(kind, result.as_ref().map_or_else(<&'static str>::from, |_| "ok"));
    match result {
        Ok(sooner) => Ok(ctx.pace.settled(&name, sooner)),
        Err(error) => {
            if let Error::Cleanup(why) = &error {
                // An object that goes has no pass that would write its status.
                let way_out = format!(
                    "{why}; tried again until it succeeds, or until the annotation {BREAK_GLASS}=true lets the object go as it is"
                );
                status::tell(&ctx.events, object, EventType::Warning, "CleanupFailed", "Cleanup", way_out).await;
            }
            tracing::warn!(object = name, %error, "reconcile failed; it will be tried again");
            Err(error)
        }
    }
}

fn key<K: Resource<DynamicType = ()>>(kind: &str, object: &K) -> String {
    format!("{kind}/{}/{}", object.namespace().unwrap_or_default(), object.name_any())
}

//! Every object at the start, and once in a while, whatever the watches told: an event that was missed is made good
//! within ten minutes.
//!
//! A timer for each object would cost more memory than the object's own state.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::ResourceExt;
use tokio::sync::Notify;

use super::{Caches, Queues};
use crate::{
    api::parse::name_of,
    core::{fingerprint, name::Ref},
};

/// How long one round over all objects takes.
const ROUND: Duration = Duration::from_secs(600);
/// In how many parts it is made.
const SLICES: u32 = 60;
/// How many names of one kind wait in its queue at one time at the start: each is ten times as large there as in the list.
const CHUNK: usize = 256;
/// How long half of them may take before more follow.
const PATIENCE: Duration = Duration::from_secs(5);

/// Goes round for ever, the first time at once.
pub async fn go(caches: &Caches, queues: &Queues, progress: &Progress) {
    first(caches, queues, progress).await;
    let mut ticks = tokio::time::interval(ROUND / SLICES);
    for slice in (0..SLICES).cycle() {
        ticks.tick().await;
        queue(caches, queues, slice);
    }
}

/// Everything once, in portions.
async fn first(caches: &Caches, queues: &Queues, progress: &Progress) {
    caches.servers.state().iter().for_each(|found| queues.server(&found.name_any()));
    caches.realms.state().iter().for_each(|found| queues.realm(&found.name_any()));
    let endpoints = caches.endpoints.state().iter().map(|found| name_of(&**found)).collect();
    let apps = caches.apps.state().iter().map(|found| name_of(&**found)).collect();
    let identities = caches.identities.state().iter().map(|found| name_of(&**found)).collect();
    let grants = caches.grants.state().iter().map(|found| name_of(&**found)).collect();
    tokio::join!(
        feed(progress, "ModelEndpoint", endpoints, |name| queues.endpoint(name)),
        feed(progress, "WebApp", apps, |name| queues.app(name)),
        feed(progress, "WorkloadIdentity", identities, |name| queues.identity(name)),
        feed(progress, "AccessGrant", grants, |name| queues.grant(name)),
    );
}

async fn feed(progress: &Progress, kind: &'static str, mut names: Vec<Ref>, queue: impl Fn(&Ref)) {
    while !names.is_empty() {
        let before = progress.ended(kind);
        let portion = names.split_off(names.len().saturating_sub(CHUNK));
        portion.iter().for_each(&queue);
        // Names that came twice have one pass, so fewer may end than were queued.
        let half_done = progress.reaches(kind, before + portion.len().div_ceil(2));
        let _ = tokio::time::timeout(PATIENCE, half_done).await;
    }
}

/// One part of a later round.
fn queue(caches: &Caches, queues: &Queues, slice: u32) {
    let is_due = |name: &Ref| slice_of(name) == slice;
    let whole = |name: String| is_due(&Ref::new("", &name)).then_some(name);
    caches.servers.state().iter().filter_map(|found| whole(found.name_any())).for_each(|name| queues.server(&name));
    caches.realms.state().iter().filter_map(|found| whole(found.name_any())).for_each(|name| queues.realm(&name));
    let endpoints = caches.endpoints.state();
    endpoints.iter().map(|found| name_of(&**found)).filter(is_due).for_each(|name| queues.endpoint(&name));
    let apps = caches.apps.state();
    apps.iter().map(|found| name_of(&**found)).filter(is_due).for_each(|name| queues.app(&name));
    let identities = caches.identities.state();
    identities.iter().map(|found| name_of(&**found)).filter(is_due).for_each(|name| queues.identity(&name));
    let grants = caches.grants.state();
    grants.iter().map(|found| name_of(&**found)).filter(is_due).for_each(|name| queues.grant(&name));
}

/// The part of a round in which an object's turn is.
fn slice_of(name: &Ref) -> u32 {
    u32::try_from(fingerprint::number(name) % u64::from(SLICES)).unwrap_or_default()
}

/// How many passes have ended, by kind.
#[derive(Debug, Default)]
pub struct Progress {
    ended: Mutex<HashMap<&'static str, usize>>,
    changed: Notify,
}

impl Progress {
    /// A pass ended.
    pub fn end(&self, kind: &'static str) {
        *self.counts().entry(kind).or_default() += 1;
        self.changed.notify_waiters();
    }

    fn ended(&self, kind: &'static str) -> usize {
        self.counts().get(kind).copied().unwrap_or_default()
    }

    async fn reaches(&self, kind: &'static str, count: usize) {
        loop {
            let changed = self.changed.notified();
            if self.ended(kind) >= count {
                return;
            }
            changed.await;
        }
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<&'static str, usize>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn portions_follow_as_passes_end() {
        let (progress, queued) = (Progress::default(), Mutex::new(0));
        let end = |kind| (0..CHUNK / 2).for_each(|_| progress.end(kind));
        let names = (0..CHUNK * 2).map(|n| Ref::new("agents", format!("caller-{n}"))).collect();
        let feeding = feed(&progress, "AccessGrant", names, |_| *queued.lock().unwrap() += 1);
        let mut feeding = std::pin::pin!(feeding);
        assert!(futures::poll!(feeding.as_mut()).is_pending());
        assert_eq!(*queued.lock().unwrap(), CHUNK);
        end("ModelEndpoint");
        assert!(futures::poll!(feeding.as_mut()).is_pending());
        assert_eq!(*queued.lock().unwrap(), CHUNK, "passes of another kind are not waited for");
        end("AccessGrant");
        assert!(futures::poll!(feeding.as_mut()).is_pending());
        assert_eq!(*queued.lock().unwrap(), CHUNK * 2);
        end("AccessGrant");
        feeding.await;
    }

    #[test]
    fn turns_are_spread_and_do_not_change() {
        let names: Vec<_> = (0..6_000).map(|n| Ref::new("agents", format!("caller-{n}"))).collect();
        let mut counts = [0; SLICES as usize];
        for name in &names {
            assert_eq!(slice_of(name), slice_of(name));
            counts[slice_of(name) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (50..200).contains(count)), "{counts:?}");
    }
}

//! What others change in Keycloak: found by its admin events within seconds, and by a sweep of the rest.
//!
//! Neither repairs anything: an object that somebody may have changed is suspected in the ledger and queued, and its
//! pass looks.

mod expected;
mod feed;
mod locate;
mod sweep;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, future, stream::FuturesUnordered};
use kube::ResourceExt;
use tokio::time::{Instant, Interval, MissedTickBehavior};

pub use self::locate::server_client_id;
use self::{expected::Expected, feed::Feed, locate::Located, sweep::Sweep};
use super::{
    context::Context,
    ledger::{Actor, Traced},
    realm,
    servers::{Account, is_held},
    shut_out,
    watch::{Caches, Queues},
};
use crate::{
    api::Realm,
    core::build::kind,
    keycloak::{AdminEvent, ApiError, RealmAdmin},
};

/// How often is looked.
#[derive(Clone, Copy, Debug)]
pub struct Intervals {
    /// Between two readings of a realm's admin events.
    pub feed: Duration,
    /// Between two sweeps of a realm.
    pub sweep: Duration,
}

/// How many changes by others are looked up one by one; above that a sweep is cheaper.
const LOOKED_UP: usize = 50;
/// How often events are read where people may call.
const OFTEN: Duration = Duration::from_millis(500);
/// How soon a sweep follows a change that could not be told what it was about.
const SOON: Duration = Duration::from_secs(2);
/// How long a realm's word is believed that it records changes, or does not.
const RECORDED: Duration = Duration::from_secs(120);
/// How soon the first sweep follows the start: what changed while nobody looked is found, after everything else is up.
const FIRST: Duration = Duration::from_secs(15);

/// How the watch of one realm's admin events stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedState {
    /// They are read.
    On,
    /// The realm does not record them.
    NotRecorded,
    /// They cannot be read; in words.
    Failed(String),
}

/// What is known of each realm's feed, for its status.
#[derive(Debug, Default)]
pub struct Feeds {
    states: Mutex<HashMap<String, FeedState>>,
}

impl Feeds {
    /// How the feed of a Realm stands; `None` until it was tried.
    pub fn state(&self, realm: &str) -> Option<FeedState> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner).get(realm).cloned()
    }

    /// Keeps it; tells whether it is news.
    fn set(&self, realm: &str, state: FeedState) -> bool {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.insert(realm.to_owned(), state.clone()).as_ref() != Some(&state)
    }
}

/// When a realm is swept next, as its feed and its sweeps agree.
#[derive(Debug)]
struct Due {
    at: Mutex<Instant>,
    /// Nobody looked for a while: the next sweep is a whole one.
    is_whole: AtomicBool,
    /// The feed tells of most changes.
    has_feed: AtomicBool,
}

impl Due {
    fn new() -> Self {
        let (is_whole, has_feed) = (AtomicBool::new(true), AtomicBool::new(false));
        Self { at: Mutex::new(Instant::now() + FIRST), is_whole, has_feed }
    }

    fn is_now(&self) -> bool {
        Instant::now() >= *self.at()
    }

    fn set(&self, at: Instant) {
        *self.at() = at;
    }

    /// Something changed that could not be told what it was about.
    fn soon(&self) {
        let mut at = self.at();
        *at = (*at).min(Instant::now() + SOON);
    }

    /// The realm was away. It may have come back from a backup, or empty.
    fn unseen(&self) {
        self.is_whole.store(true, Ordering::Relaxed);
        self.set(Instant::now());
    }

    fn at(&self) -> MutexGuard<'_, Instant> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of a realm's events.
struct Watched {
    feed: Feed,
    was_ready: bool,
    /// Whether it was looked who is disabled, since the start or since nobody looked for a while.
    people_known: bool,
    /// Whether changes are recorded, and until when that is believed.
    recorded: Option<(bool, Instant)>,
}

/// Watches every realm for ever, each for itself: a realm that answers slowly holds up no other.
pub async fn watch(ctx: &Context, queues: &Queues, intervals: Intervals) {
    let (mut names, mut watches) = (HashSet::new(), FuturesUnordered::new());
    let mut ticks = ticks(intervals.feed);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                for name in ctx.caches.realms.state().iter().map(|realm| realm.name_any()) {
                    if names.insert(name.clone()) {
                        watches.push(one(ctx, queues, name, intervals));
                    }
                }
            }
            Some(gone) = watches.next() => {
                names.remove(&gone);
            }
        }
    }
}

/// Watches one Realm until it is gone: its events and its sweeps side by side, so that a long sweep holds up no repair.
async fn one(ctx: &Context, queues: &Queues, name: String, intervals: Intervals) -> String {
    let due = Due::new();
    future::join(follow(ctx, queues, &name, &due, intervals.feed), sweep(ctx, queues, &name, &due, intervals)).await;
    name
}

fn ticks(every: Duration) -> Interval {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// The handle to the realm, while Keycloak holds it and somebody is logged in.
fn held(ctx: &Context, realm: &Realm) -> Option<RealmAdmin> {
    let login = ctx.servers.get(&Account::of(realm)).filter(|_| is_held(realm))?;
    Some(login.admin.realm(&realm.spec.realm))
}

async fn follow(ctx: &Context, queues: &Queues, name: &str, due: &Due, every: Duration) {
    let mut watched = Watched { feed: Feed::default(), was_ready: true, recorded: None, people_known: false };
    let (mut often, mut seldom) = (ticks(every.min(OFTEN)), Instant::now());
    while let Some(realm) = Caches::cluster(&ctx.caches.realms, name) {
        // Whoever was shut out is refused within a second: where people may call, the events are read so often.
        let is_due = Instant::now() >= seldom || !ctx.caches.open_to_people(name).is_empty();
        if !is_due {
            often.tick().await;
            continue;
        }
        seldom = Instant::now() + every;
        match held(ctx, &realm) {
            Some(admin) => look(ctx, queues, name, &admin, &mut watched, due).await,
            None => {
                watched.was_ready = false;
                watched.people_known = false;
                ctx.ledger.unsure(&realm::traced(name));
            }
        }
        often.tick().await;
    }
}

async fn look(ctx: &Context, queues: &Queues, name: &str, admin: &RealmAdmin, watched: &mut Watched, due: &Due) {
    if !std::mem::replace(&mut watched.was_ready, true) {
        due.unseen();
    }
    let state = match read(ctx, queues, name, admin, watched, due).await {
        Ok(true) => FeedState::On,
        Ok(false) => FeedState::NotRecorded,
        Err(error) => FeedState::Failed(error.to_string()),
    };
    due.has_feed.store(state == FeedState::On, Ordering::Relaxed);
    if ctx.feeds.set(name, state) {
        queues.realm(name);
    }
}

async fn sweep(ctx: &Context, queues: &Queues, name: &str, due: &Due, intervals: Intervals) {
    let (mut sweep, mut ticks) = (Sweep::default(), ticks(intervals.feed));
    while let Some(realm) = Caches::cluster(&ctx.caches.realms, name) {
        if let Some(admin) = held(ctx, &realm).filter(|_| due.is_now()) {
            due.set(Instant::now() + jittered(intervals.sweep));
            sweep_now(ctx, queues, name, &admin, &mut sweep, due).await;
        }
        ticks.tick().await;
    }
}

/// Reads what others changed since the last time, and suspects what it was about. Tells whether the realm records
/// changes at all.
async fn read(
    ctx: &Context,
    queues: &Queues,
    name: &str,
    admin: &RealmAdmin,
    watched: &mut Watched,
    due: &Due,
) -> Result<bool, ApiError> {
    if !is_recorded(admin, watched).await? {
        return Ok(false);
    }
    let own = admin.admin().own_subject().await?;
    let mut events = watched.feed.poll(admin).await?;
    people(ctx, queues, name, admin, watched, &events).await?;
    if events.is_empty() {
        return Ok(true);
    }
    let expected = Expected::of(ctx, name, admin.name());
    let is_own = |event: &AdminEvent| Some(&event.auth_details.user_id) == own.as_ref();
    // Those whom a Realm lists are made by the operator itself.
    for event in events.iter().take(LOOKED_UP) {
        for of in locate::concerned_by_people(event, is_own(event), admin, ctx, &expected) {
            suspect(ctx, queues, of, Actor::Unknown);
        }
    }
    events.retain(|event| !is_own(event));
    if events.len() > LOOKED_UP {
        due.soon();
        return Ok(true);
    }
    for event in &events {
        match locate::locate(event, admin, &expected).await? {
            Located::Object(of) => suspect(ctx, queues, of, actor(event, admin).await),
            Located::Realm => {
                ctx.ledger.suspect(realm::traced(name), actor(event, admin).await);
                queues.realm(name);
            }
            Located::NotOurs => {}
            Located::Anything => due.soon(),
        }
    }
    Ok(true)
}

/// Who can use tokens no more that are out. Also what the operator did itself: a Realm may list users.
async fn people(
    ctx: &Context,
    queues: &Queues,
    name: &str,
    admin: &RealmAdmin,
    watched: &mut Watched,
    events: &[AdminEvent],
) -> Result<(), ApiError> {
    if ctx.caches.open_to_people(name).is_empty() {
        watched.people_known = false;
        return Ok(());
    }
    let now = jiff::Timestamp::now().as_second();
    // After many changes it is looked who is disabled, instead of one by one.
    if !watched.people_known || events.len() > LOOKED_UP {
        shut_out::look(ctx, queues, name, admin, now).await?;
        watched.people_known = true;
    }
    for event in events.iter().take(LOOKED_UP) {
        shut_out::heed(ctx, queues, name, admin, event, now).await?;
    }
    Ok(())
}

/// Whether the realm records changes. Somebody may switch that off or on at any time.
async fn is_recorded(admin: &RealmAdmin, watched: &mut Watched) -> Result<bool, ApiError> {
    if let Some((is_recorded, until)) = watched.recorded
        && Instant::now() < until
    {
        return Ok(is_recorded);
    }
    let settings = admin.get_realm().await?.settings;
    let is_recorded = settings.get("adminEventsEnabled").is_some_and(|enabled| enabled == true);
    watched.recorded = Some((is_recorded, Instant::now() + RECORDED));
    Ok(is_recorded)
}

async fn sweep_now(ctx: &Context, queues: &Queues, name: &str, admin: &RealmAdmin, sweep: &mut Sweep, due: &Due) {
    let expected = Expected::of(ctx, name, admin.name());
    let is_unseen = due.is_whole.swap(false, Ordering::Relaxed);
    let has_feed = due.has_feed.load(Ordering::Relaxed);
    match sweep.run(ctx, admin, &expected, is_unseen || !has_feed).await {
        Ok(found) => {
            let (suspects, orphans) = (found.suspects.len(), found.orphans.len());
            tracing::info!(realm = name, requests = found.requests, suspects, orphans, "swept");
            for client_id in found.orphans.iter().take(20) {
                tracing::warn!(realm = name, client_id, "a client of ours that belongs to no object; it is left alone");
            }
            ctx.metrics.swept(name, orphans);
            found.suspects.into_iter().for_each(|of| suspect(ctx, queues, of, Actor::Unknown));
            queues.realm(name);
        }
        Err(error) => {
            due.is_whole.fetch_or(is_unseen, Ordering::Relaxed);
            tracing::warn!(realm = name, %error, "the sweep ended half-way; the next one begins anew");
        }
    }
}

fn suspect(ctx: &Context, queues: &Queues, of: Traced, actor: Actor) {
    let (kind, name) = (of.kind, of.name.clone());
    if !ctx.ledger.suspect(of, actor) {
        return;
    }
    match kind {
        kind::ENDPOINT => queues.endpoint(&name),
        kind::APP => queues.app(&name),
        _ => queues.identity(&name),
    }
}

/// Who made a change, as far as the event tells: by name, where the account is of the same realm.
async fn actor(event: &AdminEvent, admin: &RealmAdmin) -> Actor {
    let by = &event.auth_details;
    let name = match admin.get_user(&by.user_id).await {
        Ok(user) => user.username,
        Err(_) => format!("account {}", by.user_id),
    };
    Actor::Known(format!("{name} from {}", by.ip_address))
}

/// Up to a tenth more or less: many realms, and many operators, do not sweep together.
fn jittered(every: Duration) -> Duration {
    let share = f64::from(jiff::Timestamp::now().subsec_nanosecond().unsigned_abs() % 1_000) / 1_000.0;
    every.mul_f64(0.9 + 0.2 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_a_tenth() {
        let every = Duration::from_secs(600);
        for _ in 0..100 {
            assert!((every.mul_f64(0.9)..=every.mul_f64(1.1)).contains(&jittered(every)));
        }
    }

    #[test]
    fn a_feed_state_is_news_once() {
        let feeds = Feeds::default();
        assert!(feeds.set("ml", FeedState::On));
        assert!(!feeds.set("ml", FeedState::On));
        assert!(feeds.set("ml", FeedState::NotRecorded));
        assert_eq!(feeds.state("ml"), Some(FeedState::NotRecorded));
    }
}

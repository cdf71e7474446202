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
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures::future;
use kube::ResourceExt;
use tokio::time::{Instant, MissedTickBehavior};

use self::{expected::Expected, feed::Feed, locate::Located, sweep::Sweep};
use super::{
    context::Context,
    ledger::{Actor, Traced},
    realm,
    servers::{Account, is_held},
    watch::Queues,
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

struct Watched {
    feed: Feed,
    sweep: Sweep,
    sweep_at: Instant,
    was_ready: bool,
    /// Nobody looked for a while: the next sweep is a whole one.
    was_unseen: bool,
    /// Whether changes are recorded, and until when that is believed.
    recorded: Option<(bool, Instant)>,
}

impl Default for Watched {
    fn default() -> Self {
        Self {
            feed: Feed::default(),
            sweep: Sweep::default(),
            sweep_at: Instant::now() + FIRST,
            was_ready: true,
            was_unseen: true,
            recorded: None,
        }
    }
}

/// Watches every realm for ever.
pub async fn watch(ctx: &Context, queues: &Queues, intervals: Intervals) {
    let mut realms: HashMap<String, Watched> = HashMap::new();
    let mut ticks = tokio::time::interval(intervals.feed);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let known = ctx.caches.realms.state();
        let names: HashSet<_> = known.iter().map(|realm| realm.name_any()).collect();
        realms.retain(|name, _| names.contains(name));
        for name in names {
            realms.entry(name).or_default();
        }
        let looks = realms.iter_mut().filter_map(|(name, watched)| {
            let realm = known.iter().find(|realm| realm.name_any() == *name)?;
            Some(look(ctx, queues, realm, watched, intervals.sweep))
        });
        future::join_all(looks).await;
    }
}

async fn look(ctx: &Context, queues: &Queues, realm: &Realm, watched: &mut Watched, every: Duration) {
    let Some(login) = ctx.servers.get(&Account::of(realm)).filter(|_| is_held(realm)) else {
        watched.was_ready = false;
        return;
    };
    if !std::mem::replace(&mut watched.was_ready, true) {
        // It may have come back from a backup, or empty.
        (watched.sweep_at, watched.was_unseen) = (Instant::now(), true);
    }
    let admin = login.admin.realm(&realm.spec.realm);
    let name = realm.name_any();
    let state = match read(ctx, queues, &name, &admin, watched).await {
        Ok(true) => FeedState::On,
        Ok(false) => FeedState::NotRecorded,
        Err(error) => FeedState::Failed(error.to_string()),
    };
    let has_feed = state == FeedState::On;
    if ctx.feeds.set(&name, state) {
        queues.realm(&name);
    }
    if Instant::now() >= watched.sweep_at {
        watched.sweep_at = Instant::now() + jittered(every);
        sweep_now(ctx, queues, &name, &admin, watched, !has_feed).await;
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
) -> Result<bool, ApiError> {
    if !is_recorded(admin, watched).await? {
        return Ok(false);
    }
    let own = admin.admin().own_subject().await?;
    let mut events = watched.feed.poll(admin).await?;
    events.retain(|event| Some(&event.auth_details.user_id) != own.as_ref());
    if events.is_empty() {
        return Ok(true);
    }
    if events.len() > LOOKED_UP {
        watched.sweep_at = watched.sweep_at.min(Instant::now() + SOON);
        return Ok(true);
    }
    let expected = Expected::of(ctx, name, admin.name());
    for event in &events {
        match locate::locate(event, admin, &expected).await? {
            Located::Object(of) => suspect(ctx, queues, of, actor(event, admin).await),
            Located::Realm => {
                ctx.ledger.suspect(realm::traced(name), actor(event, admin).await);
                queues.realm(name);
            }
            Located::NotOurs => {}
            Located::Anything => watched.sweep_at = watched.sweep_at.min(Instant::now() + SOON),
        }
    }
    Ok(true)
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

async fn sweep_now(
    ctx: &Context,
    queues: &Queues,
    name: &str,
    admin: &RealmAdmin,
    watched: &mut Watched,
    has_no_feed: bool,
) {
    let expected = Expected::of(ctx, name, admin.name());
    match watched.sweep.run(ctx, admin, &expected, has_no_feed || watched.was_unseen).await {
        Ok(found) => {
            watched.was_unseen = false;
            let (suspects, orphans) = (found.suspects.len(), found.orphans.len());
            tracing::info!(realm = name, requests = found.requests, suspects, orphans, "swept");
            for client_id in found.orphans.iter().take(20) {
                tracing::warn!(realm = name, client_id, "a client of ours that belongs to no object; it is left alone");
            }
            ctx.metrics.swept(name, orphans);
            found.suspects.into_iter().for_each(|of| suspect(ctx, queues, of, Actor::Unknown));
            queues.realm(name);
        }
        Err(error) => tracing::warn!(realm = name, %error, "the sweep ended half-way; the next one begins anew"),
    }
}

fn suspect(ctx: &Context, queues: &Queues, of: Traced, actor: Actor) {
    let (is_endpoint, name) = (of.kind == kind::ENDPOINT, of.name.clone());
    if !ctx.ledger.suspect(of, actor) {
        return;
    }
    if is_endpoint { queues.endpoint(&name) } else { queues.identity(&name) }
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

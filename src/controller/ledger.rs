//! What Keycloak was last made to hold, object by object, and whether somebody may have changed it since.
//!
//! A pass asks Keycloak only where the two differ: ten thousand objects that are as they should be cost nothing, and a
//! restart finds in each status what was done before it.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::sync::DRIFT;
use crate::{
    api::condition::Condition,
    core::{fingerprint::Fingerprint, name::Ref},
};

/// An object that leaves traces in Keycloak.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Traced {
    /// Its kind, as in [`crate::core::build::kind`].
    pub kind: &'static str,
    /// Its name.
    pub name: Ref,
}

/// Who changed something in Keycloak that is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The admin events name them.
    Known(String),
    /// A sweep found the change; nobody recorded who made it.
    Unknown,
}

/// What an object's status remembers of earlier runs.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// What Keycloak was made to hold.
    pub fingerprint: Option<Fingerprint>,
    /// Whether somebody's change was found and only reported.
    pub is_drifted: bool,
}

impl Recorded {
    /// From the fields of a status.
    pub fn of(fingerprint: Option<&str>, conditions: &[Condition]) -> Self {
        Self {
            fingerprint: fingerprint.and_then(Fingerprint::parse),
            is_drifted: conditions.iter().any(|condition| condition.type_ == DRIFT),
        }
    }
}

/// What a pass has to do about Keycloak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing: it was made to hold just this, and nobody touched it.
    Same,
    /// Make it: no trace of it was left before.
    New,
    /// Look what is there; `drift` tells who may have changed it while nothing else was wanted.
    Look {
        /// Somebody who may have changed it.
        drift: Option<Actor>,
    },
}

/// What this run knows of what Keycloak holds.
#[derive(Clone, Debug, Default)]
enum Holds {
    /// No more than the status does.
    #[default]
    AsRecorded,
    /// What was last made.
    This(Fingerprint),
    /// An attempt failed, possibly half-way.
    Unknown,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    holds: Holds,
    suspect: Option<Actor>,
    /// Somebody's change that stays, as `driftPolicy: Report` has it.
    reported: Option<String>,
}

/// One entry per object that a pass of this run has dealt with, or that is suspected.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Mutex<HashMap<Traced, Entry>>,
}

impl Ledger {
    /// How an object stands that is to be as `wanted` says.
    pub fn standing(&self, of: &Traced, recorded: &Recorded, wanted: Option<&Fingerprint>) -> Standing {
        let Entry { holds, suspect, .. } = self.entry(of);
        let (holds, suspect, is_first) = match &holds {
            Holds::This(fingerprint) => (Some(fingerprint), suspect, false),
            Holds::Unknown => (None, suspect, false),
            Holds::AsRecorded => {
                let unsettled = recorded.is_drifted.then_some(Actor::Unknown);
                (recorded.fingerprint.as_ref(), suspect.or(unsettled), true)
            }
        };
        match (holds, suspect) {
            (None, None) if is_first => Standing::New,
            (Some(holds), None) if Some(holds) == wanted => Standing::Same,
            (Some(holds), Some(actor)) if Some(holds) == wanted => Standing::Look { drift: Some(actor) },
            _ => Standing::Look { drift: None },
        }
    }

    /// What Keycloak was last made to hold, as far as that is known.
    pub fn known(&self, of: &Traced, recorded: &Recorded) -> Option<Fingerprint> {
        match self.entry(of).holds {
            Holds::AsRecorded => recorded.fingerprint.clone(),
            Holds::This(fingerprint) => Some(fingerprint),
            Holds::Unknown => None,
        }
    }

    /// A pass begins to look: what is suspected from here on is a reason for another one.
    pub fn begin(&self, of: &Traced) {
        if let Some(entry) = self.entries().get_mut(of) {
            entry.suspect = None;
        }
    }

    /// Keycloak holds what is wanted; `reported` tells of a difference that stays.
    pub fn holds(&self, of: Traced, fingerprint: Option<Fingerprint>, reported: Option<String>) {
        let mut entries = self.entries();
        let entry = entries.entry(of).or_default();
        entry.holds = fingerprint.map_or(Holds::Unknown, Holds::This);
        entry.reported = reported;
    }

    /// What Keycloak holds is not known: an attempt failed, possibly half-way.
    pub fn lost(&self, of: Traced) {
        self.holds(of, None, None);
    }

    /// Nobody looked for a while: what this run knows counts no more than what the status says.
    pub fn unsure(&self, of: &Traced) {
        if let Some(entry) = self.entries().get_mut(of)
            && matches!(entry.holds, Holds::This(_))
        {
            entry.holds = Holds::AsRecorded;
        }
    }

    /// Somebody may have changed what is the object's. Tells whether that is news.
    pub fn suspect(&self, of: Traced, actor: Actor) -> bool {
        let mut entries = self.entries();
        let entry = entries.entry(of).or_default();
        let is_news = entry.suspect.is_none();
        // The first to be named stays: a sweep that finds the same change knows less.
        if is_news || entry.suspect == Some(Actor::Unknown) {
            entry.suspect = Some(actor);
        }
        is_news
    }

    /// Whether this run made Keycloak hold the object.
    pub fn is_held(&self, of: &Traced) -> bool {
        self.entries().get(of).is_some_and(|entry| matches!(entry.holds, Holds::This(_)))
    }

    /// The difference that stays, in words.
    pub fn reported(&self, of: &Traced) -> Option<String> {
        self.entries().get(of)?.reported.clone()
    }

    /// The object is gone.
    pub fn forget(&self, of: &Traced) {
        self.entries().remove(of);
    }

    fn entry(&self, of: &Traced) -> Entry {
        self.entries().get(of).cloned().unwrap_or_default()
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Traced, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(who) => f.write_str(who),
            Self::Unknown => f.write_str("somebody whom no admin event names"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> Traced {
        Traced { kind: "WorkloadIdentity", name: Ref::new("agents", "labeler") }
    }

    fn print(of: u8) -> Option<Fingerprint> {
        Fingerprint::of(&of)
    }

    fn standing(ledger: &Ledger, recorded: &Recorded, wanted: u8) -> Standing {
        ledger.standing(&object(), recorded, print(wanted).as_ref())
    }

    fn looks(drift: Option<Actor>) -> Standing {
        Standing::Look { drift }
    }

    #[test]
    fn a_restart_goes_by_the_status() {
        let ledger = Ledger::default();
        let before = Recorded { fingerprint: print(1), is_drifted: false };
        assert_eq!(standing(&ledger, &Recorded::default(), 1), Standing::New);
        assert_eq!(standing(&ledger, &before, 1), Standing::Same);
        assert_eq!(standing(&ledger, &before, 2), looks(None));
        let drifted = Recorded { is_drifted: true, ..before };
        assert_eq!(standing(&ledger, &drifted, 1), looks(Some(Actor::Unknown)));
    }

    #[test]
    fn this_run_knows_better_than_the_status() {
        let ledger = Ledger::default();
        let stale = Recorded { fingerprint: print(1), is_drifted: false };
        assert_eq!(ledger.known(&object(), &stale), print(1));
        ledger.holds(object(), print(2), None);
        assert_eq!(ledger.known(&object(), &stale), print(2));
        assert_eq!(standing(&ledger, &stale, 2), Standing::Same);
        assert_eq!(standing(&ledger, &stale, 1), looks(None));
        ledger.lost(object());
        assert_eq!(standing(&ledger, &stale, 1), looks(None), "half of something is not what was there before");
        assert_eq!(ledger.known(&object(), &stale), None);
    }

    #[test]
    fn what_nobody_watched_counts_as_the_status_has_it() {
        let ledger = Ledger::default();
        let recorded = Recorded { fingerprint: print(1), is_drifted: false };
        ledger.holds(object(), print(1), None);
        ledger.unsure(&object());
        assert!(!ledger.is_held(&object()));
        assert_eq!(standing(&ledger, &recorded, 1), Standing::Same);
        ledger.lost(object());
        ledger.unsure(&object());
        assert_eq!(standing(&ledger, &recorded, 1), looks(None), "half of something stays that");
    }

    #[test]
    fn a_suspicion_lasts_until_a_pass_begins_after_it() {
        let ledger = Ledger::default();
        let recorded = Recorded { fingerprint: print(1), is_drifted: false };
        let alice = Actor::Known("alice".to_owned());
        assert!(ledger.suspect(object(), Actor::Unknown));
        assert!(!ledger.suspect(object(), alice.clone()), "no news, but a name");
        assert_eq!(standing(&ledger, &recorded, 1), looks(Some(alice.clone())));
        assert_eq!(standing(&ledger, &recorded, 2), looks(None), "it is to change anyway");
        ledger.begin(&object());
        ledger.suspect(object(), alice.clone());
        ledger.holds(object(), print(1), None);
        assert_eq!(standing(&ledger, &recorded, 1), looks(Some(alice)), "changed while the pass was at it");
        ledger.begin(&object());
        assert_eq!(standing(&ledger, &recorded, 1), Standing::Same);
        ledger.lost(object());
        ledger.suspect(object(), Actor::Unknown);
        assert_eq!(standing(&ledger, &recorded, 1), looks(None), "what is half done is ours to finish");
    }

    #[test]
    fn what_was_never_made_is_looked_for_when_it_is_suspected() {
        let ledger = Ledger::default();
        ledger.suspect(object(), Actor::Unknown);
        assert_eq!(standing(&ledger, &Recorded::default(), 1), looks(None));
    }
}

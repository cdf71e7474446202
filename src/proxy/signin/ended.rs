//! Sessions that ended before their cookies did: signed out here, or at Keycloak.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{core::signin::session::Session, proxy::tokens::id_token::SignedOut};

/// The most that are remembered of each kind.
const MOST: usize = 50_000;

/// What has ended. Lost with the process: then Keycloak, which is asked at the next renewal, knows.
#[derive(Debug, Default)]
pub struct Ended(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// Keycloak's sessions, and until when somebody may still hold their cookie.
    sessions: HashMap<String, i64>,
    /// Accounts: what began before the first is over; kept until the second.
    subjects: HashMap<String, (i64, i64)>,
    /// Logout tokens that were taken, until they end.
    taken: HashMap<String, i64>,
    /// There were too many: all that began before is over.
    all_before: Option<i64>,
}

impl Ended {
    /// Whether a session is over.
    pub fn has(&self, session: &Session<'_>) -> bool {
        let kept = self.lock();
        let of_subject = kept.subjects.get(&*session.subject).is_some_and(|(before, _)| session.began <= *before);
        kept.sessions.contains_key(&*session.id) || of_subject || kept.all_before.is_some_and(|at| session.began <= at)
    }

    /// A session was signed out here. `until`: as long as its cookie may live.
    pub fn end(&self, session: &str, until: i64, now: i64) {
        let mut kept = self.lock();
        kept.make_room(now);
        kept.sessions.insert(session.to_owned(), until);
    }

    /// Keycloak says so. `false`: it has said so before.
    pub fn take(&self, said: SignedOut, until: i64, now: i64) -> bool {
        let mut kept = self.lock();
        kept.make_room(now);
        if kept.taken.insert(said.id, said.until).is_some() {
            return false;
        }
        match (said.session, said.subject) {
            (Some(session), _) => {
                kept.sessions.insert(session, until);
            }
            (None, Some(subject)) => {
                kept.subjects.insert(subject, (now, until));
            }
            // Its claims were checked.
            (None, None) => {}
        }
        true
    }

    // Each change is one insertion: the maps are whole even after a panic.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn make_room(&mut self, now: i64) {
        let Self { sessions, subjects, taken, all_before } = self;
        if sessions.len() + subjects.len() + taken.len() < MOST {
            return;
        }
        sessions.retain(|_, until| now < *until);
        subjects.retain(|_, (_, until)| now < *until);
        taken.retain(|_, until| now < *until);
        // Rather is somebody asked to sign in again than let in.
        if sessions.len() + subjects.len() >= MOST {
            sessions.clear();
            subjects.clear();
            *all_before = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: &str, subject: &str, began: i64) -> Session<'static> {
        let own = |text: &str| text.to_owned().into();
        Session {
            id: own(id),
            subject: own(subject),
            began,
            used: began,
            access: own("a"),
            expires_at: 0,
            refresh: own(""),
        }
    }

    fn said(id: &str, session: Option<&str>, subject: Option<&str>) -> SignedOut {
        let own = |text: &str| text.to_owned();
        SignedOut { id: own(id), until: 100, session: session.map(own), subject: subject.map(own) }
    }

    #[test]
    fn what_has_ended_stays_so() {
        let ended = Ended::default();
        assert!(!ended.has(&session("s", "p", 0)));
        ended.end("s", 100, 5);
        assert!(ended.has(&session("s", "p", 0)) && !ended.has(&session("t", "p", 0)));
        assert!(ended.take(said("1", Some("t"), Some("p")), 100, 5));
        assert!(ended.has(&session("t", "p", 0)) && !ended.has(&session("u", "p", 0)), "one session, not all");
        assert!(ended.take(said("2", None, Some("p")), 100, 5));
        assert!(ended.has(&session("u", "p", 5)) && !ended.has(&session("u", "p", 6)), "those of before");
        assert!(!ended.take(said("2", None, Some("q")), 100, 6), "said before");
        assert!(!ended.has(&session("v", "q", 0)));
    }

    #[test]
    fn too_many_end_all() {
        let ended = Ended::default();
        (0..=MOST).for_each(|at| ended.end(&at.to_string(), 1000, 10));
        assert!(ended.has(&session("other", "p", 10)) && !ended.has(&session("other", "p", 11)));
        let ended = Ended::default();
        (0..=MOST).for_each(|at| ended.end(&at.to_string(), 9, 10));
        assert!(!ended.has(&session("other", "p", 10)), "those that nobody can hold any more make room");
    }
}

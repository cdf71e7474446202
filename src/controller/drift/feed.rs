//! Reading the admin events of a realm from where the last reading ended.

use std::collections::HashSet;

use crate::keycloak::{AdminEvent, ApiError, RealmAdmin};

/// Events per request.
const PAGE: usize = 200;
/// Events are written when a change is committed and carry the time at which it began: how far behind the newest one
/// others may still appear, in milliseconds.
const OVERLAP: i64 = 1_000;

/// How far a realm's admin events were read.
#[derive(Debug, Default)]
pub struct Feed {
    newest: Option<i64>,
    seen: HashSet<String>,
}

impl Feed {
    /// The events since the last time. The first reading only finds the place: what was before it is a sweep's to find.
    pub async fn poll(&mut self, realm: &RealmAdmin) -> Result<Vec<AdminEvent>, ApiError> {
        let Some(newest) = self.newest else {
            let newest = realm.newest_admin_event().await?;
            self.newest = Some(newest.as_ref().map_or(0, |event| event.time));
            self.seen.extend(newest.iter().map(AdminEvent::key));
            return Ok(Vec::new());
        };
        // Keycloak refuses what is before 1970.
        let from = (newest - OVERLAP).max(0);
        let mut read = Vec::new();
        loop {
            let page = realm.list_admin_events(from, read.len(), PAGE).await?;
            let is_last = page.len() < PAGE;
            read.extend(page);
            if is_last {
                break;
            }
        }
        Ok(self.advance(read))
    }

    /// Keeps the place, and of what was read, what is new.
    fn advance(&mut self, read: Vec<AdminEvent>) -> Vec<AdminEvent> {
        let newest = read.iter().map(|event| event.time).max().max(self.newest).unwrap_or_default();
        let fresh: Vec<_> = read.iter().filter(|event| !self.seen.contains(&event.key())).cloned().collect();
        // Only what the next reading can meet again is kept.
        self.seen = read.iter().filter(|event| event.time >= newest - OVERLAP).map(AdminEvent::key).collect();
        self.newest = Some(newest);
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, time: i64) -> AdminEvent {
        AdminEvent { id: Some(id.to_owned()), time, ..AdminEvent::default() }
    }

    fn ids(events: &[AdminEvent]) -> Vec<String> {
        events.iter().map(AdminEvent::key).collect()
    }

    #[test]
    fn each_event_is_told_once_even_if_it_comes_late() {
        let mut feed = Feed { newest: Some(5_000), seen: HashSet::from(["a".to_owned()]) };
        let first = [event("a", 5_000), event("b", 5_000), event("c", 9_000)];
        assert_eq!(ids(&feed.advance(first.to_vec())), ["b", "c"]);
        let late = [event("d", 8_500), event("c", 9_000)];
        assert_eq!(ids(&feed.advance(late.to_vec())), ["d"]);
        assert_eq!(ids(&feed.advance(late.to_vec())), Vec::<String>::new());
        assert_eq!(feed.newest, Some(9_000), "an old event does not move the place back");
        assert_eq!(ids(&feed.advance(Vec::new())), Vec::<String>::new());
    }
}

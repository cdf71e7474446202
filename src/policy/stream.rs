//! The body of one stream: versions as they come, an empty line when nothing does.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{Stream, stream::unfold};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};

use super::{
    contact::Contact,
    metrics::Connected,
    store::{Subscription, Version},
};
use crate::server::Shutdown;

/// How often a silent stream shows that it lives.
pub const HEARTBEAT: Duration = Duration::from_secs(10);
/// A stream ends after this long: its token is checked again, and a new replica gets its share.
pub const LONGEST: Duration = Duration::from_secs(3600);

/// A stream before its first byte.
pub struct Opening {
    /// Name of the ServiceAccount that listens.
    pub account: String,
    /// What to listen to.
    pub subscription: Subscription,
    /// The number that the client has.
    pub after: u64,
    /// Something to say first, that only this client needs to hear.
    pub first: Option<Version>,
    /// Counts it.
    pub connected: Connected,
    /// Ends it when this replica is cut off.
    pub contact: Arc<Contact>,
    /// Ends it.
    pub shutdown: Shutdown,
    /// How long it may last.
    pub lasts: Duration,
}

struct Body {
    opening: Opening,
    heartbeat: Interval,
    until: Instant,
}

enum Next {
    Changed,
    Heartbeat,
    End,
}

/// The lines of the stream, until shutdown.
pub fn lines(opening: Opening) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> {
    let now = Instant::now();
    let mut heartbeat = interval_at(now + HEARTBEAT, HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let until = now + opening.lasts;
    unfold(Body { opening, heartbeat, until }, async |mut body| {
        let line = body.next_line().await?;
        Some((Ok(line), body))
    })
}

impl Body {
    async fn next_line(&mut self) -> Option<Bytes> {
        loop {
            if let Some(version) = self.newer() {
                self.opening.after = version.number;
                self.opening.connected.pushed();
                self.heartbeat.reset();
                return Some(version.line);
            }
            match self.wait().await {
                Next::Changed => (),
                Next::Heartbeat => return Some(Bytes::from_static(b"\n")),
                Next::End => return None,
            }
        }
    }

    fn newer(&mut self) -> Option<Version> {
        let after = self.opening.after;
        let account = &self.opening.account;
        let newer =
            |version: &Version| version.number > after && version.only_for.as_ref().is_none_or(|only| only == account);
        let known = self.opening.subscription.versions.borrow_and_update().clone();
        known.filter(newer).or_else(|| self.opening.first.take().filter(newer))
    }

    async fn wait(&mut self) -> Next {
        tokio::select! {
            changed = self.opening.subscription.versions.changed() => match changed {
                Ok(()) => Next::Changed,
                // Cannot be: the store keeps the sender while someone listens.
                Err(_) => Next::End,
            },
            _ = self.heartbeat.tick() => match self.opening.contact.holds(std::time::Instant::now()) {
                true => Next::Heartbeat,
                false => Next::End,
            },
            () = self.opening.shutdown.begun() => Next::End,
            () = sleep_until(self.until) => Next::End,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::{FutureExt, StreamExt};
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::{
        core::name::Ref,
        policy::{DocumentKey, DocumentKind, metrics::Metrics, store::Documents},
    };

    fn key() -> DocumentKey {
        DocumentKey { kind: DocumentKind::Guard, object: Ref::new("vision", "iris") }
    }

    fn version(number: u64) -> Version {
        Version { number, line: format!("{number}\n").into(), deleted: false, only_for: None }
    }

    fn opening(documents: &Arc<Documents>, after: u64, shutdown: &Shutdown) -> Opening {
        Opening {
            account: "iris".into(),
            subscription: documents.subscribe(key()),
            after,
            first: None,
            connected: Metrics::new(&mut Registry::default()).connected(DocumentKind::Guard),
            contact: Arc::default(),
            shutdown: shutdown.clone(),
            lasts: LONGEST,
        }
    }

    #[tokio::test]
    async fn current_then_each_newer_then_the_deletion() {
        let documents = Arc::new(Documents::default());
        let (end, shutdown) = Shutdown::channel();
        let mut body = pin!(lines(opening(&documents, 4, &shutdown)));
        assert_eq!(body.next().now_or_never(), None, "held open until the object appears");
        for (number, line) in [(4, None), (5, Some("5\n")), (6, Some("6\n"))] {
            documents.publish(key(), version(number));
            let next =
                body.next().now_or_never().flatten().map(|line| String::from_utf8(line.unwrap().into()).unwrap());
            assert_eq!(next.as_deref(), line, "{number}");
        }
        documents.delete(&key());
        let gone = body.next().await.unwrap().unwrap();
        assert_eq!(gone, "{\"deleted\":true,\"number\":7}\n");
        end.send(true).unwrap();
        assert_eq!(body.next().await, None);
    }

    #[tokio::test]
    async fn a_slow_client_skips_to_the_newest() {
        let documents = Arc::new(Documents::default());
        let (_end, shutdown) = Shutdown::channel();
        let mut body = pin!(lines(opening(&documents, 0, &shutdown)));
        (1..=100).for_each(|number| documents.publish(key(), version(number)));
        assert_eq!(body.next().await.unwrap().unwrap(), "100\n");
        assert_eq!(body.next().now_or_never(), None);
    }

    #[tokio::test]
    async fn what_was_deleted_meanwhile_is_told_first() {
        let documents = Arc::new(Documents::default());
        let (_end, shutdown) = Shutdown::channel();
        let first = Some(Version::deleted_after(41));
        let mut body = pin!(lines(Opening { first, ..opening(&documents, 41, &shutdown) }));
        assert_eq!(body.next().await.unwrap().unwrap(), "{\"deleted\":true,\"number\":42}\n");
        documents.publish(key(), version(50));
        assert_eq!(body.next().await.unwrap().unwrap(), "50\n");
    }

    #[tokio::test]
    async fn what_is_for_another_account_is_not_told() {
        let documents = Arc::new(Documents::default());
        let (_end, shutdown) = Shutdown::channel();
        let mut body = pin!(lines(opening(&documents, 0, &shutdown)));
        documents.publish(key(), Version { only_for: Some("other".into()), ..version(5) });
        assert_eq!(body.next().now_or_never(), None);
        documents.publish(key(), Version { only_for: Some("iris".into()), ..version(6) });
        assert_eq!(body.next().await.unwrap().unwrap(), "6\n");
    }

    #[tokio::test]
    async fn a_stream_ends_after_its_time() {
        let documents = Arc::new(Documents::default());
        let (_end, shutdown) = Shutdown::channel();
        let mut body = pin!(lines(Opening { lasts: Duration::ZERO, ..opening(&documents, 0, &shutdown) }));
        assert_eq!(body.next().await, None);
    }
}

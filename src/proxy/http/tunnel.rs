//! What is left of a connection once it speaks another protocol: bytes both ways, for as long as that is allowed.

use std::{fmt, time::Duration};

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy_bidirectional_with_sizes},
    select,
    time::{MissedTickBehavior, interval},
};

/// How much is on its way in one direction, at most, in bytes.
const BUFFER: usize = 16 * 1024;
/// How often it is asked whether it may go on.
const ASK: Duration = Duration::from_secs(1);

/// The far end of a tunnel, and what it needs to go on.
pub struct Tunnel {
    upstream: Upgraded,
    may_go_on: Box<dyn Fn() -> bool>,
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").finish_non_exhaustive()
    }
}

impl Tunnel {
    /// `may_go_on` is asked once a second: a token runs out, and a grant can be taken away.
    pub fn new(upstream: Upgraded, may_go_on: impl Fn() -> bool + 'static) -> Self {
        Self { upstream, may_go_on: Box::new(may_go_on) }
    }

    /// Copies until both sides have ended, one of them breaks, or it may not go on. `early` is what the client sent behind
    /// its handshake.
    pub async fn run(self, mut client: impl AsyncRead + AsyncWrite + Unpin, early: Bytes) {
        let Self { upstream, may_go_on } = self;
        let mut upstream = TokioIo::new(upstream);
        let copying = async {
            upstream.write_all(&early).await?;
            copy_bidirectional_with_sizes(&mut client, &mut upstream, BUFFER, BUFFER).await
        };
        let forbidden = async {
            let mut ticks = interval(ASK);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while may_go_on() {
                ticks.tick().await;
            }
        };
        select! {
            _ = copying => {}
            () = forbidden => {}
        }
    }
}

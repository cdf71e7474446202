//! What is left of a connection once it speaks another protocol: bytes both ways, for as long as that is allowed.

use std::{cell::RefCell, fmt, io, pin::pin, time::Duration};

use bytes::{Bytes, BytesMut};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional_with_sizes, split},
    select,
    time::{MissedTickBehavior, interval},
};

use crate::core::body::websocket::Boundary;

/// How much is on its way in one direction, at most, in bytes.
const BUFFER: usize = 16 * 1024;
/// How often it is asked whether it may go on.
const ASK: Duration = Duration::from_secs(1);

/// The far end of a tunnel, and what it needs to go on.
pub struct Tunnel {
    upstream: Upgraded,
    may_go_on: Box<dyn Fn() -> bool>,
    inspect: Option<Box<dyn Inspect>>,
}

/// Looks at what the client of a websocket sends before it goes on.
pub trait Inspect {
    /// What may go on by now, of all that came; or the last frame for the client, which ends the tunnel.
    fn pass(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Vec<u8>>;
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").finish_non_exhaustive()
    }
}

impl Tunnel {
    /// `may_go_on` is asked once a second: a token runs out, and a grant can be taken away.
    pub fn new(upstream: Upgraded, may_go_on: impl Fn() -> bool + 'static) -> Self {
        Self { upstream, may_go_on: Box::new(may_go_on), inspect: None }
    }

    /// The same for a websocket whose messages are looked at.
    pub fn inspected(self, inspect: Box<dyn Inspect>) -> Self {
        Self { inspect: Some(inspect), ..self }
    }

    /// Copies until both sides have ended, one of them breaks, or it may not go on. `early` is what the client sent behind
    /// its handshake.
    pub async fn run(self, mut client: impl AsyncRead + AsyncWrite + Unpin, early: Bytes) {
        let Self { upstream, may_go_on, inspect } = self;
        let mut upstream = TokioIo::new(upstream);
        let copying = async {
            match inspect {
                None => {
                    upstream.write_all(&early).await?;
                    copy_bidirectional_with_sizes(&mut client, &mut upstream, BUFFER, BUFFER).await.map(drop)
                }
                Some(inspect) => watched(client, upstream, early, inspect).await,
            }
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

/// Copies both ways, what comes from the client by way of `inspect`. Its last word goes out where it does not fall into
/// another frame.
async fn watched(
    client: impl AsyncRead + AsyncWrite,
    upstream: impl AsyncRead + AsyncWrite,
    early: Bytes,
    mut inspect: Box<dyn Inspect>,
) -> io::Result<()> {
    let ((mut from_client, mut to_client), (mut from_upstream, mut to_upstream)) = (split(client), split(upstream));
    let boundary = RefCell::new(Some(Boundary::default()));
    let last = {
        let mut up = pin!(upwards(&mut from_client, &mut to_upstream, early, &mut *inspect));
        let mut down = pin!(downwards(&mut from_upstream, &mut to_client, &boundary));
        select! {
            last = &mut up => match last? {
                Some(last) => Some(last),
                None => {
                    down.await?;
                    None
                }
            },
            ended = &mut down => {
                ended?;
                up.await?
            }
        }
    };
    match (last, boundary.take()) {
        (Some(last), Some(boundary)) if boundary.is_between() => {
            to_client.write_all(&last).await?;
            to_client.shutdown().await
        }
        _ => Ok(()),
    }
}

/// Until the client ends, or `inspect` says the last word.
async fn upwards(
    client: &mut (impl AsyncRead + Unpin),
    upstream: &mut (impl AsyncWrite + Unpin),
    early: Bytes,
    inspect: &mut dyn Inspect,
) -> io::Result<Option<Vec<u8>>> {
    let mut came = BytesMut::from(early);
    loop {
        match inspect.pass(&came) {
            Ok(passed) => upstream.write_all(&passed).await?,
            Err(last) => return Ok(Some(last)),
        }
        came.clear();
        came.reserve(BUFFER);
        if client.read_buf(&mut came).await? == 0 {
            upstream.shutdown().await?;
            return Ok(None);
        }
    }
}

/// Until the upstream ends. While a write is under way nobody knows where the client is: there is no boundary then.
async fn downwards(
    upstream: &mut (impl AsyncRead + Unpin),
    client: &mut (impl AsyncWrite + Unpin),
    boundary: &RefCell<Option<Boundary>>,
) -> io::Result<()> {
    let mut came = BytesMut::with_capacity(BUFFER);
    while upstream.read_buf(&mut came).await? > 0 {
        let mut reached = boundary.take().unwrap_or_default();
        client.write_all(&came).await?;
        client.flush().await?;
        reached.follow(&came);
        boundary.replace(Some(reached));
        came.clear();
        came.reserve(BUFFER);
    }
    client.shutdown().await
}

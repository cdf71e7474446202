//! A body as a whole, where something in it has to be known before anything of it goes on.

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// The largest request body that is read as a whole, in bytes: a prompt with a few pictures in it.
pub const MAX_REQUEST: usize = 16 << 20;
/// The largest form that is read as a whole, in bytes: OpenAI takes audio files of up to 25 MB.
pub const MAX_FORM: usize = 32 << 20;
/// The largest answer that is read as a whole, in bytes: a list of some ten thousand models.
pub const MAX_ANSWER: usize = 4 << 20;
/// How long a whole body may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum CollectError {
    /// More than was allowed.
    #[error("the body is too large")]
    TooLarge,
    /// It did not come in time.
    #[error("the body did not arrive in time")]
    TooSlow,
    /// It broke off.
    #[error("the body broke off")]
    Broken,
    /// The bodies that are held for others take all the memory that there is for them.
    #[error("too many bodies are being read at once")]
    NoMemory,
}

/// The memory that all bodies together may take while they are held.
#[derive(Clone, Debug)]
pub struct Memory {
    /// In [`GRAIN`]s.
    free: Arc<Semaphore>,
    size: usize,
}

/// What memory is counted in, in bytes.
const GRAIN: usize = 1024;

/// A body with its part of the [`Memory`].
#[derive(Debug)]
pub struct Held {
    /// The body.
    pub bytes: Bytes,
    share: Option<OwnedSemaphorePermit>,
}

/// What keeps a share for as long as anything of the bytes is left.
struct Kept {
    bytes: Bytes,
    _share: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Memory {
    /// So many bytes.
    pub fn new(bytes: usize) -> Self {
        let size = (bytes / GRAIN).min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(size)), size }
    }

    /// How many bytes are taken.
    pub fn taken(&self) -> usize {
        self.size.saturating_sub(self.free.available_permits()) * GRAIN
    }

    /// Reads a body like [`collect`]. What has come of it is counted while it comes, not what is announced: who only says that
    /// much will follow takes nothing from others.
    pub async fn collect<B>(&self, body: B, most: usize) -> Result<Held, CollectError>
    where
        B: Body<Data = Bytes>,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        if body.size_hint().lower() > most as u64 {
            return Err(CollectError::TooLarge);
        }
        timeout(TIMEOUT, self.gather(body, most)).await.map_err(|_| CollectError::TooSlow)?
    }

    async fn gather<B: Body<Data = Bytes>>(&self, body: B, most: usize) -> Result<Held, CollectError> {
        let mut body = pin!(body);
        let (mut first, mut all, mut share) = (Bytes::new(), BytesMut::new(), None);
        while let Some(frame) = body.frame().await {
            let Ok(piece) = frame.map_err(|_| CollectError::Broken)?.into_data() else { continue };
            let length = first.len() + all.len() + piece.len();
            if length > most {
                return Err(CollectError::TooLarge);
            }
            self.share(&mut share, length)?;
            if length == piece.len() {
                // Most bodies come in one piece, and need no copy.
                first = piece;
            } else {
                all.extend_from_slice(&std::mem::take(&mut first));
                all.extend_from_slice(&piece);
            }
        }
        let bytes = if all.is_empty() { first } else { all.freeze() };
        Ok(Held { bytes, share })
    }

    /// Makes a share as large as `length` bytes need.
    pub fn share(&self, share: &mut Option<OwnedSemaphorePermit>, length: usize) -> Result<(), CollectError> {
        let has = share.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = length.div_ceil(GRAIN).saturating_sub(has);
        let more = u32::try_from(more).map_err(|_| CollectError::NoMemory)?;
        if more == 0 {
            return Ok(());
        }
        let more = Arc::clone(&self.free).try_acquire_many_owned(more).map_err(|_| CollectError::NoMemory)?;
        match share {
            Some(share) => share.merge(more),
            None => *share = Some(more),
        }
        Ok(())
    }
}

impl Held {
    /// What was made of the body, with the share of what it was made from: given back when the last of it is gone.
    pub fn keep(self, made: Bytes) -> Bytes {
        Bytes::from_owner(Kept { bytes: made, _share: self.share })
    }
}

/// Reads a body of at most `most` bytes. One that says that it is longer is not read at all.
pub async fn collect<B>(body: B, most: usize) -> Result<Bytes, CollectError>
where
    B: Body<Data = Bytes>,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    if body.size_hint().lower() > most as u64 {
        return Err(CollectError::TooLarge);
    }
    match timeout(TIMEOUT, Limited::new(body, most).collect()).await {
        Err(_) => Err(CollectError::TooSlow),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(CollectError::TooLarge),
        Ok(Err(_)) => Err(CollectError::Broken),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::VecDeque,
        convert::Infallible,
        pin::Pin,
        task::{Context, Poll},
    };

    use http_body_util::Full;
    use hyper::body::Frame;

    use super::*;

    /// A body that does not say how long it is.
    struct Pieces {
        left: VecDeque<&'static [u8]>,
        /// Nothing comes behind the last piece, not even the end.
        hangs: bool,
    }

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            match self.left.pop_front() {
                Some(piece) => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(piece))))),
                None if self.hangs => Poll::Pending,
                None => Poll::Ready(None),
            }
        }
    }

    fn pieces(hangs: bool) -> Pieces {
        Pieces { left: VecDeque::from([b"01234".as_slice(), b"56789".as_slice()]), hangs }
    }

    #[tokio::test]
    async fn a_body_has_a_largest_size_announced_or_not() {
        let text = Bytes::from_static(b"0123456789");
        assert_eq!(collect(Full::new(text.clone()), 10).await, Ok(text.clone()));
        assert_eq!(collect(Full::new(text.clone()), 9).await, Err(CollectError::TooLarge));
        assert_eq!(collect(pieces(false), 10).await, Ok(text.clone()));
        assert_eq!(collect(pieces(false), 9).await, Err(CollectError::TooLarge));
        let memory = Memory::new(GRAIN);
        assert_eq!(memory.collect(pieces(false), 10).await.map(|held| held.bytes), Ok(text));
        assert_eq!(memory.collect(pieces(false), 9).await.err(), Some(CollectError::TooLarge));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up() {
        let started = tokio::time::Instant::now();
        assert_eq!(collect(pieces(true), 10).await, Err(CollectError::TooSlow));
        let waited = started.elapsed();
        assert!((TIMEOUT..TIMEOUT * 2).contains(&waited), "{waited:?}");
        let memory = Memory::new(GRAIN);
        assert_eq!(memory.collect(pieces(true), 10).await.err(), Some(CollectError::TooSlow));
        assert_eq!(memory.taken(), 0);
    }

    #[tokio::test]
    async fn bodies_share_one_memory() {
        let memory = Memory::new(3 * GRAIN);
        let body = |length| Full::new(Bytes::from(vec![0; length]));
        let (Ok(first), Ok(second)) = (memory.collect(pieces(false), 10).await, memory.collect(body(2000), 5000).await)
        else {
            panic!("they fit")
        };
        assert_eq!((&first.bytes[..], memory.taken()), (b"0123456789".as_slice(), 3 * GRAIN));
        assert_eq!(memory.collect(body(1), 10).await.err(), Some(CollectError::NoMemory));
        assert_eq!(memory.collect(body(11), 10).await.err(), Some(CollectError::TooLarge));
        let sent = second.keep(Bytes::from_static(b"made of it"));
        drop(first);
        assert_eq!(memory.taken(), 2 * GRAIN, "as long as it is not sent");
        drop(sent.clone());
        drop(sent);
        assert_eq!(memory.taken(), 0);
    }
}

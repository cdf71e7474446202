//! A body as a whole, where something in it has to be known before anything of it goes on.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body;
use tokio::time::timeout;

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
        assert_eq!(collect(pieces(false), 10).await, Ok(text));
        assert_eq!(collect(pieces(false), 9).await, Err(CollectError::TooLarge));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up() {
        assert_eq!(collect(pieces(true), 10).await, Err(CollectError::TooSlow));
    }
}

//! The body of a gRPC call on its way upstream, and the word that can end the call on both sides while it is under way.

use std::{
    cell::RefCell,
    fmt,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::{answer::Refusal, body::RequestBody, collect::MAX_REQUEST, hygiene};
use crate::core::body::grpc::{self, FrameError};

/// Decides a message as it passes. What it gives goes on instead, with its prefix; `None`: the message as it is.
pub type Decide = Box<dyn FnMut(Result<&[u8], FrameError>) -> Result<Option<Bytes>, Refusal>>;

/// A call's body.
pub enum CallBody {
    /// Read before.
    Full(Bytes),
    /// Streamed as it comes.
    Stream(Incoming),
    /// Streamed message by message.
    Messages(Box<Messages>),
}

/// Messages that are decided one by one.
pub struct Messages {
    incoming: Incoming,
    /// What has come of a message that is not whole yet.
    begun: BytesMut,
    decide: Decide,
    verdict: Rc<Verdict>,
}

/// Why a body ends before its end.
#[derive(Debug, thiserror::Error)]
pub enum CallBodyError {
    /// It broke off.
    #[error(transparent)]
    Broken(#[from] hyper::Error),
    /// A message was refused; the other side is told why.
    #[error("a message of the call was refused")]
    Refused,
}

impl Messages {
    /// What is refused is said to `verdict`.
    pub fn new(incoming: Incoming, decide: Decide, verdict: Rc<Verdict>) -> Self {
        Self { incoming, begun: BytesMut::new(), decide, verdict }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, CallBodyError>>> {
        loop {
            match grpc::frame(&self.begun, MAX_REQUEST) {
                Ok(Some(end)) if end <= self.begun.len() => return Poll::Ready(Some(self.pass(end))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(self.refuse(error)))),
            }
            match ready!(Pin::new(&mut self.incoming).poll_frame(cx)?) {
                None if self.begun.is_empty() => return Poll::Ready(None),
                None => return Poll::Ready(Some(Err(self.refuse(FrameError::NotOneMessage)))),
                Some(frame) => match frame.into_data() {
                    Ok(data) => self.begun.extend_from_slice(&data),
                    Err(frame) if self.begun.is_empty() => return Poll::Ready(Some(Ok(clean(frame)))),
                    Err(_) => return Poll::Ready(Some(Err(self.refuse(FrameError::NotOneMessage)))),
                },
            }
        }
    }

    fn pass(&mut self, end: usize) -> Result<Frame<Bytes>, CallBodyError> {
        let frame = self.begun.split_to(end).freeze();
        match (self.decide)(Ok(&frame[grpc::PREFIX..])) {
            Ok(other) => Ok(Frame::data(other.unwrap_or(frame))),
            Err(refusal) => Err(self.end(refusal)),
        }
    }

    fn refuse(&mut self, error: FrameError) -> CallBodyError {
        match (self.decide)(Err(error)) {
            Ok(_) => CallBodyError::Refused,
            Err(refusal) => self.end(refusal),
        }
    }

    fn end(&self, refusal: Refusal) -> CallBodyError {
        self.verdict.refuse(refusal);
        CallBodyError::Refused
    }
}

fn clean(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            hygiene::clean_trailers(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }
}

impl Body for CallBody {
    type Data = Bytes;
    type Error = CallBodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, CallBodyError>>> {
        match self.get_mut() {
            Self::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Stream(incoming) => {
                let frame = ready!(Pin::new(incoming).poll_frame(cx)?);
                Poll::Ready(frame.map(|frame| Ok(clean(frame))))
            }
            Self::Messages(messages) => messages.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_empty(),
            Self::Stream(incoming) => incoming.is_end_stream(),
            Self::Messages(messages) => messages.begun.is_empty() && messages.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(_) | Self::Messages(_) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for CallBody {
    /// What callers send is nobody else's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallBody")
    }
}

/// Whether a call that is under way was refused meanwhile. Its request says so; its answer ends with it.
#[derive(Debug, Default)]
pub struct Verdict {
    refusal: RefCell<Option<Refusal>>,
    waits: RefCell<Option<Waker>>,
}

impl Verdict {
    /// Not refused yet.
    pub fn new() -> Rc<Self> {
        Rc::default()
    }

    /// It is now.
    pub fn refuse(&self, refusal: Refusal) {
        self.refusal.replace(Some(refusal));
        if let Some(waker) = self.waits.take() {
            waker.wake();
        }
    }

    /// Waits for the refusal.
    pub fn poll_refused(&self, cx: &mut Context<'_>) -> Poll<Refusal> {
        if let Some(refusal) = self.refusal.take() {
            return Poll::Ready(refusal);
        }
        self.waits.replace(Some(cx.waker().clone()));
        Poll::Pending
    }

    /// The next of an answer's frames, or the refusal as its last. The application says nothing in the guard's name
    /// behind its answer either.
    pub(super) fn watch(
        &self,
        body: Pin<&mut RequestBody>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Poll::Ready(refusal) = self.poll_refused(cx) {
            return Poll::Ready(Some(Ok(Frame::trailers(refusal.grpc_fields()))));
        }
        let frame = ready!(body.poll_frame(cx)?);
        Poll::Ready(frame.map(|frame| Ok(clean(frame))))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use http::StatusCode;
    use http_body_util::BodyExt;

    use super::*;
    use crate::proxy::http::body::AnswerBody;

    #[tokio::test]
    async fn an_answer_under_way_ends_with_the_refusal() {
        let verdict = Verdict::new();
        let mut body = AnswerBody::full(Bytes::from_static(b"first")).under(Rc::clone(&verdict));
        assert!(matches!(body.frame().await, Some(Ok(frame)) if frame.is_data()));
        verdict.refuse(Refusal::new(StatusCode::FORBIDDEN, "access_denied", "no_grant", "No."));
        let Some(Ok(frame)) = body.frame().await else { panic!("a frame") };
        let trailers = frame.into_trailers();
        assert!(
            matches!(&trailers, Ok(fields) if fields["grpc-status"] == "7" && fields["x-keywire-reason"] == "no_grant")
        );
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn who_waits_is_told() {
        let verdict = Verdict::new();
        let waits = poll_fn(|cx| verdict.poll_refused(cx));
        let (refusal, ()) = tokio::join!(waits, async {
            tokio::task::yield_now().await;
            verdict.refuse(Refusal::new(StatusCode::FORBIDDEN, "access_denied", "no_grant", "No."));
        });
        assert_eq!(refusal.reason(), "no_grant");
    }
}

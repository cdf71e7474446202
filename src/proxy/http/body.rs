//! One body type for both directions: streamed through, or made here.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::{flow::InFlight, links, messages::Verdict, pool::Lease};
use crate::proxy::usage::Place;

/// A request body on its way upstream.
#[derive(Debug)]
pub enum RequestBody {
    /// Streamed from the client.
    Incoming(Incoming),
    /// Read before, or made here.
    Full(Bytes),
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Incoming(incoming) => Pin::new(incoming).poll_frame(cx),
            Self::Full(bytes) => Poll::Ready(take(bytes)),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Incoming(incoming) => incoming.is_end_stream(),
            Self::Full(bytes) => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Incoming(incoming) => incoming.size_hint(),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
        }
    }
}

fn take(bytes: &mut Bytes) -> Option<Result<Frame<Bytes>, hyper::Error>> {
    (!bytes.is_empty()).then(|| Ok(Frame::data(std::mem::take(bytes))))
}

/// An answer's body, and what it keeps alive until its end: the place in the
/// upstream pool, the caller's place among its own calls, and the mark that a request is in flight.
#[derive(Debug)]
pub struct AnswerBody {
    body: RequestBody,
    lease: Option<Lease>,
    link: Option<links::Place>,
    verdict: Option<Rc<Verdict>>,
    in_flight: Option<InFlight>,
    place: Option<Place>,
}

impl AnswerBody {
    fn new(body: RequestBody) -> Self {
        Self { body, lease: None, link: None, verdict: None, in_flight: None, place: None }
    }

    /// A body made here.
    pub fn full(bytes: Bytes) -> Self {
        Self::new(RequestBody::Full(bytes))
    }

    /// An upstream's body, which gives its connection back at its end.
    pub fn upstream(incoming: Incoming, lease: Lease) -> Self {
        let mut body = Self::alone(incoming);
        body.lease = Some(lease);
        body
    }

    /// An upstream's body on a connection that is used for nothing else.
    pub fn alone(incoming: Incoming) -> Self {
        Self::new(RequestBody::Incoming(incoming))
    }

    /// An upstream's body on a connection that has others beside it.
    pub fn of_link(incoming: Incoming, link: links::Place) -> Self {
        let mut body = Self::alone(incoming);
        body.link = Some(link);
        body
    }

    /// Ends with a refusal as soon as the call is refused, and with clean trailers otherwise.
    pub fn under(mut self, verdict: Rc<Verdict>) -> Self {
        self.verdict = Some(verdict);
        self
    }

    /// Ends `in_flight` when this body ends.
    pub fn during(mut self, in_flight: InFlight) -> Self {
        self.in_flight = Some(in_flight);
        self
    }

    /// Keeps the caller's place until this body ends.
    pub fn holding(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }

    fn finish(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
        self.link = None;
        self.in_flight = None;
        self.place = None;
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let polled = match &this.verdict {
            None => Pin::new(&mut this.body).poll_frame(cx),
            Some(verdict) => verdict.watch(Pin::new(&mut this.body), cx),
        };
        if matches!(polled, Poll::Ready(None)) {
            this.finish();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for AnswerBody {
    /// hyper drops a body whose length is reached without asking for its end.
    /// One dropped before its end leaves the upstream connection unusable.
    fn drop(&mut self) {
        if self.body.is_end_stream() {
            self.finish();
        }
    }
}

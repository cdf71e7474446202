//! Connections of HTTP/2 to one upstream, each for many calls at once. One set per worker thread.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
};

use http::{Request, Response};
use hyper::client::conn::http2::SendRequest;
use tokio::sync::Mutex;

use super::{
    body::AnswerBody,
    connect::{ConnectError, Origin},
    messages::CallBody,
    pool::UpstreamError,
};

/// The most calls on one connection. Below the hundred that many servers allow: what waits for a place behind long streams
/// waits in vain.
const MAX_CALLS: usize = 64;

/// The connections to one upstream.
#[derive(Debug)]
pub struct Links {
    origin: Origin,
    open: RefCell<Vec<Link>>,
    /// Held while a connection opens: those who come meanwhile wait for it.
    opening: Mutex<()>,
}

/// One connection.
#[derive(Clone, Debug)]
struct Link {
    sender: SendRequest<CallBody>,
    load: Rc<Load>,
}

/// What a connection carries, and how much it may.
#[derive(Debug)]
pub(super) struct Load {
    calls: Cell<usize>,
    most: Cell<usize>,
}

/// A call's place on a connection, kept to the end of its answer.
#[derive(Debug)]
pub struct Place(Rc<Load>);

impl Place {
    fn on(load: &Rc<Load>) -> Self {
        load.calls.set(load.calls.get() + 1);
        Self(Rc::clone(load))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.calls.set(self.0.calls.get() - 1);
    }
}

impl Links {
    /// None open yet.
    pub fn new(origin: Origin) -> Rc<Self> {
        Rc::new(Self { origin, open: RefCell::default(), opening: Mutex::default() })
    }

    /// Sends a call and gives its answer as soon as the head is there. One that a connection could not even begin to send
    /// is sent once more on another.
    pub async fn send(&self, request: Request<CallBody>) -> Result<Response<AnswerBody>, UpstreamError> {
        let mut request = request;
        loop {
            let (mut link, is_new) = match self.with_room() {
                Some(link) => (link, false),
                None => self.open().await?,
            };
            let place = Place::on(&link.load);
            match link.sender.try_send_request(request).await {
                Ok(response) => return Ok(response.map(|body| AnswerBody::of_link(body, place))),
                Err(mut error) => {
                    // A call that failed by itself says nothing of the connection.
                    request = error.take_message().ok_or(UpstreamError::Broken)?;
                    self.forget(&link);
                    // One that does not even take its first call is not tried again.
                    if is_new {
                        return Err(UpstreamError::Broken);
                    }
                }
            }
        }
    }

    /// The first connection that can take another call. Those that ended are dropped, and so is the last one where it
    /// carries nothing and is not needed.
    fn with_room(&self) -> Option<Link> {
        let mut open = self.open.borrow_mut();
        open.retain(|link| !link.sender.is_closed());
        let found = open.iter().position(|link| link.load.calls.get() < link.load.most.get())?;
        if found + 1 < open.len() && open.last().is_some_and(|link| link.load.calls.get() == 0) {
            open.pop();
        }
        open.get(found).cloned()
    }

    async fn open(&self) -> Result<(Link, bool), ConnectError> {
        let _opening = self.opening.lock().await;
        // Somebody else may have opened one while this one waited.
        if let Some(link) = self.with_room() {
            return Ok((link, false));
        }
        let load = Rc::new(Load { calls: Cell::new(0), most: Cell::new(MAX_CALLS) });
        let sender = self.origin.open_http2(Rc::clone(&load)).await?;
        let link = Link { sender, load };
        self.open.borrow_mut().push(link.clone());
        Ok((link, true))
    }

    fn forget(&self, link: &Link) {
        self.open.borrow_mut().retain(|other| !Rc::ptr_eq(&other.load, &link.load));
    }
}

impl Load {
    /// Drives a connection to its end, and knows how many calls its server takes.
    pub(super) async fn follow<C, R>(self: Rc<Self>, connection: C, most: impl Fn(&C) -> usize)
    where
        C: Future<Output = R> + Unpin,
    {
        let mut connection = pin!(connection);
        poll_fn(|cx| {
            let polled = connection.as_mut().poll(cx);
            self.most.set(most(&connection).clamp(1, MAX_CALLS));
            polled.map(drop)
        })
        .await;
    }
}

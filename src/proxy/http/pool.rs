//! Connections to one upstream, kept open between requests. One pool per worker
//! thread, so taking one costs no lock.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    time::Duration,
};

use http::{Request, Response};
use hyper::{body::Incoming, client::conn::http1::SendRequest};
use tokio::{
    task::spawn_local,
    time::{Instant, sleep},
};

use super::{
    body::{AnswerBody, RequestBody},
    connect::{ConnectError, Origin},
};

/// How long a connection may lie unused. Below the 5 s after which common Python
/// servers (uvicorn) close theirs: a request sent into a closing one is lost.
const MAX_IDLE: Duration = Duration::from_secs(4);
/// How many unused connections are kept.
const MAX_KEPT: usize = 256;

/// Why an upstream gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum UpstreamError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection broke, or what came was not HTTP/1.1.
    #[error("the connection broke before an answer came")]
    Broken,
}

/// The connections to one upstream.
#[derive(Debug)]
pub struct Pool {
    origin: Origin,
    /// The longest unused first.
    idle: RefCell<VecDeque<Kept>>,
    /// Somebody looks after those that lie too long.
    is_swept: Cell<bool>,
}

#[derive(Debug)]
struct Kept {
    sender: SendRequest<RequestBody>,
    since: Instant,
}

/// A connection in use. Given back at the end of an answer, closed otherwise.
#[derive(Debug)]
pub struct Lease {
    sender: SendRequest<RequestBody>,
    home: Rc<Pool>,
}

impl Lease {
    /// Keeps the connection for the next request.
    pub fn give_back(self) {
        let Self { sender, home } = self;
        if !sender.is_ready() || home.idle.borrow().len() >= MAX_KEPT {
            return;
        }
        home.idle.borrow_mut().push_back(Kept { sender, since: Instant::now() });
        if !home.is_swept.replace(true) {
            spawn_local(Rc::clone(&home).sweep());
        }
    }
}

impl Pool {
    /// An empty pool.
    pub fn new(origin: Origin) -> Rc<Self> {
        Rc::new(Self { origin, idle: RefCell::default(), is_swept: Cell::new(false) })
    }

    /// Closes what lay unused for too long, until nothing is left. A burst of calls would else leave its connections to the
    /// application, and their buffers here, until it closes them.
    async fn sweep(self: Rc<Self>) {
        while !self.idle.borrow().is_empty() {
            sleep(MAX_IDLE).await;
            let now = Instant::now();
            let is_old = |kept: &Kept| now.saturating_duration_since(kept.since) >= MAX_IDLE;
            let mut idle = self.idle.borrow_mut();
            while idle.front().is_some_and(is_old) {
                idle.pop_front();
            }
        }
        self.is_swept.set(false);
    }

    /// Sends a request and gives its answer as soon as the head is there.
    ///
    /// A request that a kept connection could not even begin to send is sent
    /// once more on a new one; any other failure is the caller's to judge.
    pub async fn send(
        self: &Rc<Self>,
        request: Request<RequestBody>,
        now: Instant,
    ) -> Result<Response<AnswerBody>, UpstreamError> {
        let mut request = request;
        while let Some(mut sender) = self.take(now) {
            match sender.try_send_request(request).await {
                Ok(response) => return Ok(self.leased(response, sender)),
                Err(mut error) => request = error.take_message().ok_or(UpstreamError::Broken)?,
            }
        }
        let mut sender = self.origin.open().await?;
        let response = sender.send_request(request).await.map_err(|_| UpstreamError::Broken)?;
        Ok(self.leased(response, sender))
    }

    fn take(&self, now: Instant) -> Option<SendRequest<RequestBody>> {
        let mut idle = self.idle.borrow_mut();
        while let Some(Kept { sender, since }) = idle.pop_back() {
            if sender.is_ready() && now.saturating_duration_since(since) < MAX_IDLE {
                return Some(sender);
            }
        }
        None
    }

    fn leased(self: &Rc<Self>, response: Response<Incoming>, sender: SendRequest<RequestBody>) -> Response<AnswerBody> {
        let lease = Lease { sender, home: Rc::clone(self) };
        response.map(|body| AnswerBody::upstream(body, lease))
    }
}

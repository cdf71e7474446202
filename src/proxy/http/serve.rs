//! One accepted connection that speaks HTTP/1.1, from its first byte to its end.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Notify,
    time::{Instant, Sleep, sleep_until},
};

use super::{answer::Refusal, body::AnswerBody, flow::Flow, gate::Gate, scan::MAX_HEAD};

/// How much of a connection is buffered, at most, in bytes.
const MAX_BUFFER: usize = 64 * 1024;

/// Tells every connection to finish what it has begun and take no more.
#[derive(Debug, Default)]
pub struct Drain {
    begun: AtomicBool,
    notify: Notify,
}

impl Drain {
    /// Begins. There is no way back.
    pub fn begin(&self) {
        self.begun.store(true, Ordering::Release);
        self.notify.notify_waiters();
    }

    /// Whether it has begun.
    pub fn begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// Waits until it begins.
    pub async fn wait(&self) {
        let mut notified = pin!(self.notify.notified());
        notified.as_mut().enable();
        if !self.begun() {
            notified.await;
        }
    }
}

/// Answers the requests of one connection.
pub trait Handler {
    /// Answers one request. Never fails: a failure is an answer too.
    fn handle(&self, request: Request<Incoming>, started: Instant) -> impl Future<Output = Response<AnswerBody>>;

    /// What a request gets whose upstream was too slow.
    fn too_slow(&self) -> Refusal;

    /// How long an upstream may take to begin its answer.
    fn patience(&self) -> Duration;
}

/// Serves a connection until it ends, is idle for too long, or is drained.
pub async fn serve<S>(stream: S, flow: Rc<Flow>, handler: Rc<impl Handler>, drain: &Drain)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let io = TokioIo::new(Gate::new(stream, Rc::clone(&flow)));
    let service = service_fn(|request| answer(Rc::clone(&flow), Rc::clone(&handler), request));
    // Time limits are the watch's: hyper's would set up a timer per request.
    let mut connection = http1::Builder::new()
        .max_header_size(MAX_HEAD)
        .max_buf_size(MAX_BUFFER)
        .header_read_timeout(None)
        .serve_connection(io, service);
    let mut drained = pin!(drain.wait());
    let mut watch = Watch::new(&flow);
    let (mut draining, mut registered) = (false, false);
    let has_ended_well = poll_fn(|cx| {
        // Polled once, which registers this task; from then on the flag tells.
        let first = !std::mem::replace(&mut registered, true);
        if !draining && (drain.begun() || first && drained.as_mut().poll(cx).is_ready()) {
            draining = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        loop {
            if let Poll::Ready(ended) = Pin::new(&mut connection).poll(cx) {
                return Poll::Ready(ended.is_ok());
            }
            match watch.poll(&flow, cx) {
                Verdict::Wait => return Poll::Pending,
                Verdict::PollAgain => {}
                Verdict::End => return Poll::Ready(false),
            }
        }
    })
    .await;
    if let (true, Some(tunnel)) = (has_ended_well, flow.take_tunnel()) {
        let parts = connection.into_parts();
        // On the heap: the many that never become one need not be larger for it.
        Box::pin(tunnel.run(parts.io.into_inner().into_inner(), parts.read_buf)).await;
    }
}

async fn answer<H: Handler>(
    flow: Rc<Flow>,
    handler: Rc<H>,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Infallible> {
    let started = Instant::now();
    let in_flight = flow.begin(started + handler.patience());
    let mut handled = pin!(handler.handle(request, started));
    let response = poll_fn(|cx| {
        if flow.overdue() {
            return Poll::Ready(handler.too_slow().into_response());
        }
        handled.as_mut().poll(cx)
    })
    .await;
    in_flight.answered();
    Ok(response.map(|body| body.during(in_flight)))
}

/// One timer for all limits of a connection, moved only when it must ring earlier.
struct Watch {
    sleep: Pin<Box<Sleep>>,
    armed: Instant,
    registered: bool,
}

enum Verdict {
    Wait,
    PollAgain,
    End,
}

impl Watch {
    fn new(flow: &Flow) -> Self {
        let armed = flow.due().unwrap_or_else(Instant::now);
        Self { sleep: Box::pin(sleep_until(armed)), armed, registered: false }
    }

    fn poll(&mut self, flow: &Flow, cx: &mut Context<'_>) -> Verdict {
        let Some(due) = flow.due() else { return Verdict::Wait };
        if due < self.armed {
            self.arm(due);
        } else if self.registered && !self.sleep.is_elapsed() {
            return Verdict::Wait;
        }
        while self.sleep.as_mut().poll(cx).is_ready() {
            if Instant::now() >= due {
                return if flow.expire() { Verdict::End } else { Verdict::PollAgain };
            }
            self.arm(due);
        }
        self.registered = true;
        Verdict::Wait
    }

    fn arm(&mut self, at: Instant) {
        self.sleep.as_mut().reset(at);
        self.armed = at;
        self.registered = false;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::StatusCode;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        task::LocalSet,
    };

    use super::{
        super::flow::{HEAD_TIMEOUT, IDLE_TIMEOUT},
        *,
    };

    /// Answers `/fast` at once, anything else never.
    struct Probe;

    impl Handler for Probe {
        async fn handle(&self, request: Request<Incoming>, _: Instant) -> Response<AnswerBody> {
            if request.uri().path() != "/fast" {
                std::future::pending::<()>().await;
            }
            Response::new(AnswerBody::full(Bytes::from_static(b"ok")))
        }

        fn too_slow(&self) -> Refusal {
            Refusal::new(StatusCode::GATEWAY_TIMEOUT, "upstream", "too_slow", "")
        }

        fn patience(&self) -> Duration {
            Duration::from_secs(30)
        }
    }

    /// Sends `bytes`, then waits for the end: what came back, and after how long
    /// of the paused clock's time.
    async fn exchange(bytes: &'static str, drain: Option<Duration>) -> (String, Duration) {
        let (ours, theirs): (DuplexStream, _) = duplex(64 * 1024);
        let all = LocalSet::new();
        let started = Instant::now();
        let drained = Rc::new(Drain::default());
        let serving = Rc::clone(&drained);
        all.spawn_local(async move { serve(theirs, Flow::new(), Rc::new(Probe), &serving).await });
        let text = all
            .run_until(async move {
                let (mut reader, mut writer) = tokio::io::split(ours);
                assert!(writer.write_all(bytes.as_bytes()).await.is_ok());
                if let Some(after) = drain {
                    tokio::time::sleep(after).await;
                    drained.begin();
                }
                let mut text = String::new();
                let _ = reader.read_to_string(&mut text).await;
                text
            })
            .await;
        (text, started.elapsed())
    }

    fn about(found: Duration, expected: Duration) -> bool {
        // The wheel of tokio's timer turns in milliseconds.
        (expected..expected + Duration::from_millis(5)).contains(&found)
    }

    const FAST: &str = "GET /fast HTTP/1.1\r\nHost: a\r\n\r\n";

    #[tokio::test(start_paused = true)]
    async fn a_head_that_drips_is_cut_off() {
        let (text, after) = exchange("GET / HTTP/1.1\r\nHost:", None).await;
        assert!(text.is_empty() && about(after, HEAD_TIMEOUT), "{text} {after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_head_that_drips_is_cut_off_too() {
        let (text, after) = exchange("GET /fast HTTP/1.1\r\nHost: a\r\n\r\nGET /", None).await;
        assert!(text.starts_with("HTTP/1.1 200") && about(after, HEAD_TIMEOUT), "{text} {after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_ends() {
        for bytes in ["", FAST] {
            let (_, after) = exchange(bytes, None).await;
            assert!(about(after, IDLE_TIMEOUT), "{bytes:?} {after:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn patience_with_an_upstream_ends_with_an_answer() {
        let (text, after) = exchange("GET /never HTTP/1.1\r\nHost: a\r\n\r\n", None).await;
        assert!(text.starts_with("HTTP/1.1 504") && text.contains("too_slow"), "{text}");
        // Answered after 30 s, then idle to the end.
        assert!(about(after, Duration::from_secs(30) + IDLE_TIMEOUT), "{after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_an_idle_connection_at_once() {
        let (text, after) = exchange(FAST, Some(Duration::from_secs(1))).await;
        assert!(text.starts_with("HTTP/1.1 200") && about(after, Duration::from_secs(1)), "{text} {after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_lets_the_request_in_flight_have_its_answer() {
        let (text, after) = exchange("GET /never HTTP/1.1\r\nHost: a\r\n\r\n", Some(Duration::from_secs(1))).await;
        assert!(text.starts_with("HTTP/1.1 504") && about(after, Duration::from_secs(30)), "{text} {after:?}");
    }
}

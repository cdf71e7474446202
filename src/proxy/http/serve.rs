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

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header::CONNECTION};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    select,
    sync::Notify,
    time::{Instant, Sleep, sleep_until},
};

use super::{
    answer::{REASON, Refusal},
    body::AnswerBody,
    flow::{Expiry, Flow},
    gate::Gate,
    linger::linger,
    rewind::Rewind,
    scan::MAX_HEAD,
};

/// How much of a connection is buffered, at most, in bytes.
const MAX_BUFFER: usize = 64 * 1024;
/// How much is read to see that a connection goes on, in bytes.
const FIRST: usize = 64;

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

    /// Nobody has asked for anything for a while: what would only make the next answer cheaper can go.
    fn rest(&self) {}
}

/// Serves a connection until it ends, is idle for too long, or is drained.
///
/// hyper's buffers, 16 kB and more, are there for as long as requests come: a connection that lies idle is its socket and
/// what this task is made of.
pub async fn serve<S>(stream: S, flow: Rc<Flow>, handler: Rc<impl Handler>, drain: &Drain)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stream = Rewind::new(Bytes::new(), Gate::new(stream, Rc::clone(&flow)));
    // On the heap, to be gone while the connection rests.
    while let Pause::Rest(gate, seen) = Box::pin(converse(stream, &flow, &handler, drain)).await {
        handler.rest();
        let Some(awake) = rest(gate, seen, &flow, drain).await else { return };
        stream = awake;
    }
}

/// How a conversation ends.
enum Pause<S> {
    /// With the connection.
    End,
    /// Nobody has asked for anything for a while. The bytes passed the gate, but begin no request yet.
    Rest(Gate<S>, Bytes),
}

async fn converse<S>(stream: Rewind<Gate<S>>, flow: &Rc<Flow>, handler: &Rc<impl Handler>, drain: &Drain) -> Pause<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(|request| answer(Rc::clone(flow), Rc::clone(handler), request));
    // Time limits are the watch's: hyper's would set up a timer per request.
    let mut connection = http1::Builder::new()
        .max_header_size(MAX_HEAD)
        .max_buf_size(MAX_BUFFER)
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service);
    let mut drained = pin!(drain.wait());
    let mut watch = Watch::new(flow);
    let (mut draining, mut registered) = (false, false);
    let ended = poll_fn(|cx| {
        // Polled once, which registers this task; from then on the flag tells.
        let first = !std::mem::replace(&mut registered, true);
        if !draining && (drain.begun() || first && drained.as_mut().poll(cx).is_ready()) {
            draining = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        loop {
            if let Poll::Ready(ended) = Pin::new(&mut connection).poll(cx) {
                return Poll::Ready(if ended.is_ok() { Ended::Well } else { Ended::Broken });
            }
            match watch.poll(flow, cx) {
                None => return Poll::Pending,
                Some(Expiry::Told) => {}
                Some(Expiry::Rest) => return Poll::Ready(Ended::Idle),
                Some(Expiry::End) => return Poll::Ready(Ended::Overdue),
            }
        }
    })
    .await;
    if matches!(ended, Ended::Overdue) {
        return Pause::End;
    }
    let (parts, tunnel) = (connection.into_parts(), flow.take_tunnel());
    let gate = parts.io.into_inner().into_inner();
    // On the heap: the many that come to neither need not be larger for it.
    match (ended, tunnel) {
        // Copied: even where they are none they would hold the memory of hyper's whole buffer.
        (Ended::Idle, _) => return Pause::Rest(gate, Bytes::copy_from_slice(&parts.read_buf)),
        (Ended::Well, Some(tunnel)) => Box::pin(tunnel.run(gate.into_inner(), parts.read_buf)).await,
        _ if flow.in_message() => Box::pin(linger(gate.into_inner())).await,
        _ => {}
    }
    Pause::End
}

enum Ended {
    Well,
    Broken,
    Idle,
    Overdue,
}

/// Waits for the next request behind what was `seen`. `None`: none comes in time, or the process is to end.
async fn rest<S: AsyncRead + Unpin>(
    mut gate: Gate<S>,
    seen: Bytes,
    flow: &Flow,
    drain: &Drain,
) -> Option<Rewind<Gate<S>>> {
    let Some(until) = flow.idle_until() else { return Some(Rewind::new(seen, gate)) };
    let mut bytes = [0; FIRST];
    let count = select! {
        () = drain.wait() => return None,
        read = gate.read(&mut bytes) => read.ok()?,
        () = sleep_until(until) => return None,
    };
    (count > 0).then(|| Rewind::new([&seen[..], &bytes[..count]].concat().into(), gate))
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
    Ok(honest(&flow, response).map(|body| body.during(in_flight)))
}

/// Says that the connection ends where a refusal comes before the request's end: hyper reads no more of it.
fn honest(flow: &Flow, mut response: Response<AnswerBody>) -> Response<AnswerBody> {
    if flow.in_message() && response.headers().contains_key(REASON) {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// One timer for all limits of a connection, moved only when it must ring earlier.
struct Watch {
    sleep: Pin<Box<Sleep>>,
    armed: Instant,
    registered: bool,
}

impl Watch {
    fn new(flow: &Flow) -> Self {
        let armed = flow.due().unwrap_or_else(Instant::now);
        Self { sleep: Box::pin(sleep_until(armed)), armed, registered: false }
    }

    /// What follows now that a limit has passed; `None`: none has.
    fn poll(&mut self, flow: &Flow, cx: &mut Context<'_>) -> Option<Expiry> {
        let due = flow.due()?;
        if due < self.armed {
            self.arm(due);
        } else if self.registered && !self.sleep.is_elapsed() {
            return None;
        }
        while self.sleep.as_mut().poll(cx).is_ready() {
            if Instant::now() >= due {
                return Some(flow.expire());
            }
            self.arm(due);
        }
        self.registered = true;
        None
    }

    fn arm(&mut self, at: Instant) {
        self.sleep.as_mut().reset(at);
        self.armed = at;
        self.registered = false;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use http::StatusCode;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        net::{TcpListener, TcpStream},
        task::LocalSet,
    };

    use super::{
        super::flow::{HEAD_TIMEOUT, IDLE_TIMEOUT, REST_AFTER},
        *,
    };

    /// Answers `/fast` at once, refuses `/no`, anything else never. Counts how often it was told to rest.
    #[derive(Default)]
    struct Probe(Cell<usize>);

    impl Handler for Probe {
        async fn handle(&self, request: Request<Incoming>, _: Instant) -> Response<AnswerBody> {
            match request.uri().path() {
                "/fast" => Response::new(AnswerBody::full(Bytes::from_static(b"ok"))),
                "/no" => Refusal::new(StatusCode::FORBIDDEN, "access_denied", "no_grant", "No.").into_response(),
                _ => std::future::pending().await,
            }
        }

        fn too_slow(&self) -> Refusal {
            Refusal::new(StatusCode::GATEWAY_TIMEOUT, "upstream", "too_slow", "")
        }

        fn patience(&self) -> Duration {
            Duration::from_secs(30)
        }

        fn rest(&self) {
            self.0.set(self.0.get() + 1);
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
        all.spawn_local(async move { serve(theirs, Flow::new(), Rc::<Probe>::default(), &serving).await });
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

    /// A client's library that finds its connection reset while it sends throws away the answer that is there already.
    #[tokio::test]
    async fn an_early_refusal_is_not_lost_on_who_still_sends() {
        let Ok(listener) = TcpListener::bind("127.0.0.1:0").await else { panic!("a port") };
        let Ok(address) = listener.local_addr() else { panic!("its address") };
        let all = LocalSet::new();
        all.spawn_local(async move {
            let Ok((stream, _)) = listener.accept().await else { panic!("a client") };
            serve(stream, Flow::new(), Rc::<Probe>::default(), &Drain::default()).await;
        });
        let client = async {
            let mut client = TcpStream::connect(address).await?;
            client.write_all(b"POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n").await?;
            let mut text = String::new();
            client.read_to_string(&mut text).await?;
            for _ in 0..100 {
                client.write_all(&[b' '; 10_000]).await?;
            }
            std::io::Result::Ok(text)
        };
        let text = all.run_until(client).await;
        assert!(matches!(&text, Ok(text) if text.starts_with("HTTP/1.1 403")), "{text:?}");
        assert!(matches!(&text, Ok(text) if text.contains("connection: close\r\n")), "{text:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_after_the_whole_request_leaves_the_connection_open() {
        for (length, after) in [("5\r\n\r\nwhole", IDLE_TIMEOUT), ("6\r\n\r\npart", Duration::ZERO)] {
            let request = format!("POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: {length}");
            let (text, took) = exchange(request.leak(), None).await;
            assert!(text.starts_with("HTTP/1.1 403") && about(took, after), "{length:?} {took:?} {text}");
        }
    }

    /// Sends `bytes` after each pause, and reads what comes by the end of the last one, through `buffer` bytes in between.
    /// What came back, how often the connection rested, and whether the scanner found something.
    async fn conversation(bytes: &[&str], pause: Duration, buffer: usize) -> (String, usize, bool) {
        let (ours, theirs): (DuplexStream, _) = duplex(buffer);
        let (all, probe, drain) = (LocalSet::new(), Rc::<Probe>::default(), Rc::new(Drain::default()));
        let (handler, draining, flow) = (Rc::clone(&probe), Rc::clone(&drain), Flow::new());
        let told = Rc::clone(&flow);
        all.spawn_local(async move { serve(theirs, told, handler, &draining).await });
        let text = all
            .run_until(async move {
                let (mut reader, mut writer) = tokio::io::split(ours);
                for piece in bytes {
                    assert!(writer.write_all(piece.as_bytes()).await.is_ok());
                    tokio::time::sleep(pause).await;
                }
                drain.begin();
                let mut text = String::new();
                let _ = reader.read_to_string(&mut text).await;
                text
            })
            .await;
        (text, probe.0.get(), flow.violation().is_some())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_rests_and_serves_on() {
        for (pause, rests) in [(REST_AFTER * 2, 2), (REST_AFTER / 2, 0)] {
            let (text, rested, _) = conversation(&[FAST, FAST], pause, 64 * 1024).await;
            assert_eq!((text.matches("HTTP/1.1 200").count(), rested), (2, rests), "{pause:?} {text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_may_come_in_pieces_after_a_rest() {
        let pieces = [FAST, "GET /fa", "st HTTP/1.1\r\nHost: a\r\n\r\n"];
        let (text, rested, _) = conversation(&pieces, REST_AFTER * 2, 64 * 1024).await;
        assert_eq!((text.matches("HTTP/1.1 200").count(), rested), (2, 2), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_after_a_rest_is_inspected_too() {
        for (second, expected) in [(FAST, false), ("GET /fast HTTP/1.1\nHost: a\n\n", true)] {
            let (text, rested, found) = conversation(&[FAST, second], REST_AFTER * 2, 64 * 1024).await;
            assert!(rested > 0 && found == expected, "{second:?} {text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_read_yet_is_not_lost_in_a_rest() {
        let (text, rested, _) = conversation(&[FAST], REST_AFTER * 2, 60).await;
        assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("ok"), "{text}");
        assert_eq!(rested, 0);
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

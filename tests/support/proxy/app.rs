//! The application behind a guard: it answers with the very bytes that it got.
//!
//! It reads raw sockets, so that nothing is repaired or hidden before a test
//! sees it.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

pub struct App {
    pub address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// The heads of all requests, as they came.
    heads: Mutex<Vec<String>>,
    /// The same, with their letters as they came.
    plain: Mutex<Vec<String>>,
    /// Their bodies, as they came, chunks and all.
    bodies: Mutex<Vec<String>>,
    connections: AtomicUsize,
    /// Answers to give instead of the echo, first come first served.
    scripted: Mutex<Vec<String>>,
}

/// Lets the app's streamed answers go on, event by event.
pub static EVENTS: Semaphore = Semaphore::const_new(0);

impl App {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("address");
        let state = Arc::<State>::default();
        let serving = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serving.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(converse(stream, Arc::clone(&serving)));
            }
        });
        Self { address, state }
    }

    /// The heads of the requests that came through, lower-cased.
    pub fn heads(&self) -> Vec<String> {
        self.state.heads.lock().expect("lock").clone()
    }

    /// The values of a field of the last request, as they came.
    pub fn last(&self, name: &str) -> Vec<String> {
        let heads = self.state.plain.lock().expect("lock");
        let fields =
            heads.last().into_iter().flat_map(|head| head.split("\r\n")).filter_map(|line| line.split_once(": "));
        fields.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).collect()
    }

    /// The bodies of the requests that came through, as they came.
    pub fn bodies(&self) -> Vec<String> {
        self.state.bodies.lock().expect("lock").clone()
    }

    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// The next request gets exactly these bytes.
    pub fn script(&self, answer: &str) {
        self.state.scripted.lock().expect("lock").push(answer.to_owned());
    }

    /// What was scripted and not used is dropped.
    pub fn forget_script(&self) {
        self.state.scripted.lock().expect("lock").clear();
    }
}

async fn converse(mut stream: TcpStream, state: Arc<State>) {
    let mut buffer = Vec::new();
    loop {
        let Some(end) = head_end(&mut stream, &mut buffer).await else { return };
        let plain = String::from_utf8_lossy(&buffer[..end]).into_owned();
        let head = plain.to_ascii_lowercase();
        state.plain.lock().expect("lock").push(plain);
        buffer.drain(..end);
        state.heads.lock().expect("lock").push(head.clone());
        let Some(body) = body(&mut stream, &mut buffer, &head).await else { return };
        state.bodies.lock().expect("lock").push(String::from_utf8_lossy(&body).into_owned());
        let scripted = {
            let mut scripted = state.scripted.lock().expect("lock");
            (!scripted.is_empty()).then(|| scripted.remove(0))
        };
        if let Some(answer) = scripted.as_ref().filter(|answer| answer.starts_with("HTTP/1.1 101 ")) {
            let _ = stream.write_all(answer.as_bytes()).await;
            return echo(stream, buffer).await;
        }
        let done = match scripted {
            Some(answer) => stream.write_all(answer.as_bytes()).await,
            None if head.starts_with("post /v2/models/iris/generate_stream ") => events(&mut stream).await,
            None => {
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}", head.len());
                stream.write_all(answer.as_bytes()).await
            }
        };
        if done.is_err() {
            return;
        }
    }
}

/// Another protocol: what comes goes back, and a last word at the end.
async fn echo(mut stream: TcpStream, mut buffer: Vec<u8>) {
    loop {
        if stream.write_all(&buffer).await.is_err() {
            return;
        }
        buffer.clear();
        if more(&mut stream, &mut buffer).await.is_none() {
            let _ = stream.write_all(b"bye").await;
            return;
        }
    }
}

/// Two server-sent events; the second once the test lets it.
async fn events(stream: &mut TcpStream) -> std::io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(format!("{head}d\r\ndata: first\n\n\r\n").as_bytes()).await?;
    EVENTS.acquire().await.expect("open").forget();
    stream.write_all(b"e\r\ndata: second\n\n\r\n0\r\n\r\n").await
}

async fn head_end(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<usize> {
    loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            return Some(at + 4);
        }
        more(stream, buffer).await?;
    }
}

async fn body(stream: &mut TcpStream, buffer: &mut Vec<u8>, head: &str) -> Option<Vec<u8>> {
    if head.contains("\r\ntransfer-encoding: chunked\r\n") {
        loop {
            if let Some(at) = buffer.windows(5).position(|window| window == b"0\r\n\r\n") {
                return Some(buffer.drain(..at + 5).collect());
            }
            more(stream, buffer).await?;
        }
    }
    let length = head.split("\r\n").find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    while buffer.len() < length {
        more(stream, buffer).await?;
    }
    Some(buffer.drain(..length).collect())
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    match stream.read_buf(buffer).await {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(()),
    }
}

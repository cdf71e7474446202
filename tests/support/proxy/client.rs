//! A client that sends exactly the bytes that it is given.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// How long it is waited for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The `reason` in the JSON body; empty where there is none.
    pub fn reason(&self) -> String {
        self.json()["reason"].as_str().unwrap_or_default().to_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// A connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.expect("connects"), buffer: Vec::new() }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        // The other side may have answered and closed already.
        let _ = self.stream.write_all(bytes).await;
    }

    /// The next answer; `None`: the connection ended without one.
    pub async fn answer(&mut self) -> Option<Answer> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await?;
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        self.buffer.drain(..end);
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut answer = Answer { status, headers, body: String::new() };
        if answer.header("transfer-encoding").is_none() {
            let length = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            while self.buffer.len() < length {
                self.more().await?;
            }
            answer.body = String::from_utf8_lossy(&self.buffer[..length]).into_owned();
            self.buffer.drain(..length);
        }
        Some(answer)
    }

    /// Reads until the bytes of a streamed body hold `text`.
    pub async fn read_until(&mut self, text: &str) -> bool {
        while !String::from_utf8_lossy(&self.buffer).contains(text) {
            if !matches!(timeout(PATIENCE, self.more()).await, Ok(Some(()))) {
                return false;
            }
        }
        true
    }

    /// What has come and was not taken yet.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.buffer).into_owned()
    }

    /// Says that nothing more will be sent.
    pub async fn finish(&mut self) {
        self.stream.shutdown().await.expect("shuts down");
    }

    /// Whether the other side has closed, or does so soon. It is told so that a test which waits for it can fail.
    pub async fn closed(&mut self) -> bool {
        timeout(PATIENCE, self.more()).await.is_ok_and(|more| more.is_none())
    }

    async fn more(&mut self) -> Option<()> {
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(()),
        }
    }
}

/// Sends bytes on a connection of their own; the first answer.
pub async fn raw(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Option<Answer> {
    let mut connection = Connection::open(address).await;
    connection.send(bytes.as_ref()).await;
    connection.answer().await
}

/// A plain request; `token` without `Bearer`.
pub async fn call(address: SocketAddr, method: &str, path: &str, token: Option<&str>) -> Answer {
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let bytes = format!("{method} {path} HTTP/1.1\r\nHost: iris\r\n{authorization}Content-Length: 0\r\n\r\n");
    raw(address, bytes).await.expect("an answer")
}

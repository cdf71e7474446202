//! The model server of the benchmark: the cheapest that answers 1 kB, so that the machine's time goes to what is measured.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Builder,
};

use crate::Result;

/// One token of a model's answer, as a chunk.
const EVENT: &str = "3a\r\ndata: {\"model_name\":\"iris\",\"text_output\":\" token token\"}\n\n\r\n";
/// How many go into one write.
const BATCH: usize = 16;

/// Serves until the process ends. It takes requests with a `Content-Length` or without a body.
pub fn run(listen: SocketAddr) -> Result<()> {
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1024\r\n\r\n{}",
        "x".repeat(1024)
    );
    let answer: &'static str = answer.leak();
    Builder::new_current_thread().enable_io().build()?.block_on(async {
        let listener = TcpListener::bind(listen).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(converse(stream, answer.as_bytes()));
        }
    })
}

async fn converse(mut stream: TcpStream, answer: &'static [u8]) {
    let mut buffer = Vec::with_capacity(8192);
    while !matches!(stream.read_buf(&mut buffer).await, Ok(0) | Err(_)) {
        let Some(events) = whole(&buffer) else { continue };
        buffer.clear();
        let done = if events == 0 { stream.write_all(answer).await } else { stream_events(&mut stream, events).await };
        if done.is_err() {
            return;
        }
    }
}

/// Once a request is there: how many events it asks for; 0: a plain answer.
pub fn whole(buffer: &[u8]) -> Option<usize> {
    let end = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&buffer[..end]).ok()?;
    let number = |name: &str| {
        let value = |line: &str| {
            line.split_once(':')
                .filter(|(found, _)| found.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim().parse::<usize>().ok())
        };
        head.lines().find_map(value).flatten().unwrap_or(0)
    };
    // The body is not in memory twice, and is never longer than a prompt here.
    (buffer.len() >= end + number("content-length")).then(|| number("x-events"))
}

async fn stream_events(stream: &mut TcpStream, count: usize) -> std::io::Result<()> {
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await?;
    let batch = EVENT.repeat(BATCH);
    for _ in 0..count / BATCH {
        stream.write_all(batch.as_bytes()).await?;
    }
    stream.write_all(b"0\r\n\r\n").await
}

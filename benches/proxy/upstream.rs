//! The model server of the benchmark: the cheapest that answers 1 kB, so that
//! the machine's time goes to what is measured.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Builder,
};

use crate::Result;

/// Serves until the process ends. It takes requests without a body.
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
        if buffer.ends_with(b"\r\n\r\n") {
            buffer.clear();
            if stream.write_all(answer).await.is_err() {
                return;
            }
        }
    }
}

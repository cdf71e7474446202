//! The end of a connection whose client still sends.
//!
//! Whoever closes a socket into which the peer goes on writing makes the kernel answer with a reset, and many clients then
//! throw the answer away that they have already got. RFC 9112 §9.6: the writing half goes first, the reading half once
//! the client has seen it.

use std::time::Duration;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{Instant, timeout_at},
};

/// How long a client may take to see that nobody listens.
const TIMEOUT: Duration = Duration::from_secs(5);
/// What is read at once, in bytes.
const PIECE: usize = 4 * 1024;

/// Reads, and throws away, what comes until the client closes, or has had its time.
pub async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let until = Instant::now() + TIMEOUT;
    let mut bytes = vec![0; PIECE];
    let ended = timeout_at(until, async {
        stream.shutdown().await?;
        while stream.read(&mut bytes).await? > 0 {}
        std::io::Result::Ok(())
    });
    // However it ends, the connection is over.
    let _ = ended.await;
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_comes_is_taken_until_the_client_closes() {
        let (mut client, server) = duplex(64);
        let serving = tokio::spawn(linger(server));
        let mut end = Vec::new();
        assert_eq!(client.read_to_end(&mut end).await.ok(), Some(0), "the writing half is closed first");
        assert!(client.write_all(&[b'x'; 100_000]).await.is_ok());
        assert!(!serving.is_finished());
        drop(client);
        assert!(serving.await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn who_never_closes_is_left() {
        let (client, server) = duplex(64);
        let started = Instant::now();
        linger(server).await;
        assert!(started.elapsed() >= TIMEOUT);
        drop(client);
    }
}

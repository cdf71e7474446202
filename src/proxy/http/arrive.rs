//! What a new connection speaks, by its first bytes (RFC 9113 §3.3: "prior knowledge").

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::TcpStream,
    select,
    time::timeout,
};

use super::{
    flow::{HEAD_TIMEOUT, IDLE_TIMEOUT},
    rewind::Rewind,
    serve::Drain,
};

/// With what every connection of HTTP/2 begins (RFC 9113 §3.4). No request of HTTP/1.1 does.
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection whose client has said something.
#[derive(Debug)]
pub enum Arrived {
    /// HTTP/1.1, untouched.
    Http1(TcpStream),
    /// HTTP/1.1 too, but it began like HTTP/2.
    Rewound(Rewind<TcpStream>),
    /// HTTP/2.
    Http2(Rewind<TcpStream>),
}

/// Waits for the first bytes. `None`: none came in time, or the process is to end.
///
/// One look is enough for all but those that begin as HTTP/2 does, whose bytes are then really read: looking at them again
/// and again would not wait for more.
pub async fn arrive(mut stream: TcpStream, drain: &Drain) -> Option<Arrived> {
    let mut bytes = [0; PREFACE.len()];
    let count = select! {
        looked = timeout(IDLE_TIMEOUT, stream.peek(&mut bytes)) => looked.ok()?.ok()?,
        () = drain.wait() => return None,
    };
    if count == 0 || !PREFACE.starts_with(&bytes[..count]) {
        return Some(Arrived::Http1(stream));
    }
    let count = timeout(HEAD_TIMEOUT, first(&mut stream, &mut bytes)).await.ok()?;
    let is_http2 = count == PREFACE.len() && bytes == *PREFACE;
    let stream = Rewind::new(Bytes::copy_from_slice(&bytes[..count]), stream);
    Some(if is_http2 { Arrived::Http2(stream) } else { Arrived::Rewound(stream) })
}

/// Reads until it is the preface, or can no longer be.
async fn first(stream: &mut (impl AsyncRead + Unpin), bytes: &mut [u8; PREFACE.len()]) -> usize {
    let mut count = 0;
    while count < PREFACE.len() && PREFACE.starts_with(&bytes[..count]) {
        match stream.read(&mut bytes[count..]).await {
            Ok(0) | Err(_) => break,
            Ok(more) => count += more,
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    use super::*;

    /// What is told of a connection on which these pieces come, and all that can be read of it then.
    async fn told(pieces: &[&[u8]]) -> Option<(&'static str, Vec<u8>)> {
        let listener = TcpListener::bind("127.0.0.1:0").await.ok()?;
        let mut client = TcpStream::connect(listener.local_addr().ok()?).await.ok()?;
        client.set_nodelay(true).ok()?;
        let (server, _) = listener.accept().await.ok()?;
        let drain = Drain::default();
        let (arrived, ()) = tokio::join!(arrive(server, &drain), async {
            for piece in pieces {
                let _ = client.write_all(piece).await;
                tokio::task::yield_now().await;
            }
            drop(client);
        });
        let mut all = Vec::new();
        let name = match arrived? {
            Arrived::Http1(mut stream) => stream.read_to_end(&mut all).await.map(|_| "1"),
            Arrived::Rewound(mut stream) => stream.read_to_end(&mut all).await.map(|_| "1 rewound"),
            Arrived::Http2(mut stream) => stream.read_to_end(&mut all).await.map(|_| "2"),
        };
        Some((name.ok()?, all))
    }

    #[tokio::test]
    async fn the_first_bytes_tell_and_none_is_lost() {
        for (pieces, expected) in [
            (&[&b"GET / HTTP/1.1\r\n"[..]][..], "1"),
            (&[b"POST / HTTP/1.1\r\n"], "1"),
            (&[PREFACE], "2"),
            (&[PREFACE, b"and more"], "2"),
            (&[b"P", b"RI", &PREFACE[3..]], "2"),
            (&[b"PRI * HTTP/2.0\r\n\r\n", b"XX\r\n\r\n"], "1 rewound"),
        ] {
            let found = told(pieces).await;
            assert!(
                matches!(&found, Some((name, all)) if *all == pieces.concat() && (*name == expected
                // A piece alone may be told before the next one is there, or with it.
                || expected != "2" && name.starts_with('1'))),
                "{pieces:?}: {found:?}"
            );
        }
    }

    #[tokio::test]
    async fn who_says_nothing_is_let_go_at_a_drain() {
        let Ok(listener) = TcpListener::bind("127.0.0.1:0").await else { panic!("binds") };
        let Ok(address) = listener.local_addr() else { panic!("address") };
        let (Ok(client), Ok((server, _))) = (TcpStream::connect(address).await, listener.accept().await) else {
            panic!("connects")
        };
        let drain = Drain::default();
        drain.begin();
        assert!(arrive(server, &drain).await.is_none());
        drop(client);
    }
}

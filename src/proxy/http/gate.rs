//! The socket as hyper's server sees it: every byte read passes the scanner first.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{flow::Flow, scan::Scanner};

/// How much is read to see that there is something to read, in bytes.
const FIRST: usize = 64;

/// A server-side socket with a [`Scanner`] on its reading half.
#[derive(Debug)]
pub struct Gate<S> {
    stream: S,
    scanner: Scanner,
    flow: Rc<Flow>,
    /// Read and inspected, but not by who reads now.
    seen: Bytes,
}

impl<S> Gate<S> {
    /// Wraps an accepted socket. What is found is told to `flow`.
    pub fn new(stream: S, flow: Rc<Flow>) -> Self {
        Self { stream, scanner: Scanner::default(), flow, seen: Bytes::new() }
    }

    /// The same for another reader, who has not got what this one had read: `seen`.
    pub fn again(self, seen: &[u8]) -> Self {
        // Copied: even where it is empty it would hold the memory of the reader's whole buffer.
        Self { seen: Bytes::copy_from_slice(seen), ..self }
    }

    /// The socket, once it no longer speaks HTTP.
    pub fn into_inner(self) -> S {
        self.stream
    }

    /// The bytes pass even so: hyper then calls the service, which sees the
    /// flow's mark and answers 400. (A malformed chunk hyper refuses itself.)
    fn inspect(&mut self, bytes: &[u8]) {
        match self.scanner.feed(bytes) {
            Ok(()) => self.flow.in_head(self.scanner.in_head()),
            Err(violation) => self.flow.violate(violation),
        }
    }
}

impl<S: AsyncRead + Unpin> Gate<S> {
    /// Waits for the next bytes, and keeps them for the reader. False: none will come.
    pub async fn has_more(&mut self) -> bool {
        let mut bytes = [0; FIRST];
        let read = poll_fn(|cx| {
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(self.poll_stream(cx, &mut buffer))?;
            Poll::Ready(Ok::<_, io::Error>(buffer.filled().len()))
        });
        match read.await {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.seen = [&self.seen[..], &bytes[..count]].concat().into();
                true
            }
        }
    }

    fn poll_stream(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.inspect(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gate<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.seen.is_empty() {
            return this.poll_stream(cx, buffer);
        }
        let now = this.seen.len().min(buffer.remaining());
        buffer.put_slice(&this.seen.split_to(now));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gate<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.flow.flushed(false);
        Pin::new(&mut this.stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.stream).poll_flush(cx))?;
        // hyper asks for it once it has nothing more to write itself.
        this.flow.flushed(true);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.flow.flushed(false);
        Pin::new(&mut this.stream).poll_write_vectored(cx, slices)
    }
}

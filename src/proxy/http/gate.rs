//! The socket as hyper's server sees it: every byte read passes the scanner first.

use std::{
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{flow::Flow, scan::Scanner};

/// A server-side socket with a [`Scanner`] on its reading half.
#[derive(Debug)]
pub struct Gate<S> {
    stream: S,
    scanner: Scanner,
    flow: Rc<Flow>,
}

impl<S> Gate<S> {
    /// Wraps an accepted socket. What is found is told to `flow`.
    pub fn new(stream: S, flow: Rc<Flow>) -> Self {
        Self { stream, scanner: Scanner::default(), flow }
    }

    /// The socket, once it no longer speaks HTTP.
    pub fn into_inner(self) -> S {
        self.stream
    }

    /// The bytes pass even so: hyper then calls the service, which sees the
    /// flow's mark and answers 400. (A malformed chunk hyper refuses itself.)
    fn inspect(&mut self, bytes: &[u8]) {
        match self.scanner.feed(bytes) {
            Ok(()) => self.flow.saw(self.scanner.in_head(), self.scanner.is_between()),
            Err(violation) => self.flow.violate(violation),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gate<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        this.inspect(&buffer.filled()[before..]);
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

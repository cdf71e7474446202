//! The yardstick: a hyper hop that checks nothing, threaded as the proxy is.

use std::{cell::RefCell, convert::Infallible, net::SocketAddr, rc::Rc, thread};

use http::Response;
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    client::conn::http1::{self as client, SendRequest},
    server::conn::http1 as server,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, LocalOptions},
    sync::mpsc,
    task::spawn_local,
};

use crate::Result;

type Idle = Rc<RefCell<Vec<SendRequest<Incoming>>>>;

/// Serves until the process ends.
pub fn run(listen: SocketAddr, upstream: SocketAddr, threads: usize) -> Result<()> {
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let (sender, mut accepted) = mpsc::unbounded_channel::<std::net::TcpStream>();
            thread::spawn(move || -> Result<()> {
                let runtime = Builder::new_current_thread().enable_io().build_local(LocalOptions::default())?;
                runtime.block_on(async {
                    let idle = Idle::default();
                    while let Some(stream) = accepted.recv().await {
                        spawn_local(converse(stream, upstream, Rc::clone(&idle)));
                    }
                    Ok(())
                })
            });
            sender
        })
        .collect();
    Builder::new_current_thread().enable_io().build()?.block_on(async {
        let listener = TcpListener::bind(listen).await?;
        for turn in 0.. {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            workers[turn % threads].send(stream.into_std()?)?;
        }
        Ok(())
    })
}

async fn converse(stream: std::net::TcpStream, upstream: SocketAddr, idle: Idle) {
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    let service = service_fn(|request| forward(request, upstream, Rc::clone(&idle)));
    let _ = server::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn forward(
    request: http::Request<Incoming>,
    upstream: SocketAddr,
    idle: Idle,
) -> std::result::Result<Response<Kept>, Infallible> {
    let taken = idle.borrow_mut().pop().filter(SendRequest::is_ready);
    let mut sender = match taken {
        Some(sender) => sender,
        None => open(upstream).await,
    };
    let response = sender.send_request(request).await.expect("the upstream answers");
    Ok(response.map(|body| Kept { body, sender: Some(sender), idle }))
}

async fn open(upstream: SocketAddr) -> SendRequest<Incoming> {
    let stream = TcpStream::connect(upstream).await.expect("the upstream listens");
    stream.set_nodelay(true).expect("a socket");
    let (sender, connection) = client::handshake(TokioIo::new(stream)).await.expect("a handshake");
    tokio::spawn(async { drop(connection.await) });
    sender
}

/// A body that gives its connection back.
struct Kept {
    body: Incoming,
    sender: Option<SendRequest<Incoming>>,
    idle: Idle,
}

impl Body for Kept {
    type Data = bytes::Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<std::result::Result<Frame<bytes::Bytes>, hyper::Error>>> {
        std::pin::Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take().filter(SendRequest::is_ready) {
            self.idle.borrow_mut().push(sender);
        }
    }
}

//! A stand-in for the operator's policy stream, over real TLS.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, combinators::BoxBody};
use hyper::{
    body::{Body, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch};
use tokio_rustls::TlsAcceptor;

/// The token that it takes.
pub const TOKEN: &str = "policy-token";

pub struct Operator {
    pub address: SocketAddr,
    /// The CA that signed its certificate, PEM.
    pub ca: String,
    document: watch::Sender<Option<String>>,
    unknown: Arc<AtomicBool>,
    /// The targets of the requests so far.
    pub asked: watch::Receiver<Vec<String>>,
}

impl Operator {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("address");
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("certificate");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("certificate");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (document, documents) = watch::channel(None);
        let (asking, asked) = watch::channel(Vec::new());
        let unknown = Arc::<AtomicBool>::default();
        let not_found = Arc::clone(&unknown);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, documents, asking) = (acceptor.clone(), documents.clone(), asking.clone());
                let not_found = Arc::clone(&not_found);
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request| {
                        let documents = (!not_found.load(Ordering::SeqCst)).then(|| documents.clone());
                        answer(request, documents, asking.clone())
                    });
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, ca: made.cert.pem(), document, unknown, asked }
    }

    /// From now on it answers 404: it knows no such object.
    pub fn forget(&self) {
        self.unknown.store(true, Ordering::SeqCst);
    }

    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Pushes a line to every proxy that is connected or will be.
    pub fn push(&self, document: &Value) {
        self.push_text(&document.to_string());
    }

    pub fn push_text(&self, text: &str) {
        self.document.send_replace(Some(text.to_owned()));
    }
}

async fn answer(
    request: Request<Incoming>,
    documents: Option<watch::Receiver<Option<String>>>,
    asking: watch::Sender<Vec<String>>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    asking.send_modify(|asked| asked.push(request.uri().to_string()));
    let authorized = request.headers().get("authorization").is_some_and(|value| *value == format!("Bearer {TOKEN}"));
    let status = if authorized { StatusCode::NOT_FOUND } else { StatusCode::UNAUTHORIZED };
    if let (true, Some(documents)) = (authorized, documents) {
        return Ok(Response::new(lines(documents).boxed()));
    }
    let mut response = Response::new(http_body_util::Empty::new().boxed());
    *response.status_mut() = status;
    Ok(response)
}

fn lines(documents: watch::Receiver<Option<String>>) -> impl Body<Data = Bytes, Error = Infallible> {
    let (sender, receiver) = tokio::sync::mpsc::channel(8);
    tokio::spawn(async move {
        let mut documents = documents;
        documents.mark_changed();
        while documents.changed().await.is_ok() {
            let line = documents.borrow_and_update().clone().unwrap_or_default();
            if sender.send(line).await.is_err() {
                return;
            }
        }
    });
    Lines(receiver)
}

struct Lines(tokio::sync::mpsc::Receiver<String>);

impl Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let line = self.get_mut().0.poll_recv(cx);
        line.map(|line| line.map(|line| Ok(Frame::data(Bytes::from(format!("{line}\n"))))))
    }
}

//! The proxies between the operator and the two servers: everything passes, writes are noted in a journal first.

use std::{future::Future, sync::Arc};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    response::Response,
};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header, request::Parts};
use kube::client::Body as KubeBody;
use tokio::{net::TcpListener, sync::Mutex};

use crate::journal::{Journal, Journals};

/// The largest body that passes, in bytes.
const LIMIT: usize = 64 << 20;
/// Kinds whose writes are not work: leadership, news for people, questions.
const UNCOUNTED: [&str; 5] = ["leases", "events", "subjectaccessreviews", "tokenreviews", "token"];

/// A proxy before the API server: the URL to use.
pub async fn kubernetes(client: kube::Client, journals: Arc<Journals>) -> String {
    serve(move |request| {
        let (client, journals) = (client.clone(), Arc::clone(&journals));
        async move {
            let (head, body) = take_apart(request).await;
            let path = head.uri.path().to_owned();
            let is_counted = is_write(&head.method) && !path.split('/').any(|part| UNCOUNTED.contains(&part));
            let write = format!("{} {path}", head.method);
            if head.method == Method::GET {
                journals.read(&path);
            }
            let forward = to_kubernetes(client, head, body);
            match is_counted.then(|| journals.of(&path)).flatten() {
                Some(journal) => journal.pass(write, async { whole(forward.await).await }).await,
                None => forward.await,
            }
        }
    })
    .await
}

/// A proxy before Keycloak, of one tenant at a time: the URL to use. Who makes or deletes a realm holds `realms`: two at
/// a time are more than a Keycloak with a file for a database can do, and fail.
pub async fn keycloak(server: String, journal: Arc<Journal>, realms: Arc<Mutex<()>>) -> String {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    serve(move |request| {
        let (client, server, journal) = (client.clone(), server.clone(), Arc::clone(&journal));
        let realms = Arc::clone(&realms);
        async move {
            let (head, body) = take_apart(request).await;
            let path = head.uri.path().to_owned();
            // A login is a POST and changes nothing.
            let is_counted = is_write(&head.method) && path.starts_with("/admin/");
            let write = format!("Keycloak {} {path}", head.method);
            let is_of_realm = path == "/admin/realms" || head.method == Method::DELETE && path.split('/').count() == 4;
            let forward = async move {
                let _one_at_a_time = if is_of_realm { Some(realms.lock_owned().await) } else { None };
                to_keycloak(client, server, head, body).await
            };
            if is_counted { journal.pass(write, forward).await } else { forward.await }
        }
    })
    .await
}

fn is_write(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

async fn serve<F>(handler: impl Fn(Request) -> F + Clone + Send + Sync + 'static) -> String
where
    F: Future<Output = Response> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await });
    format!("http://{address}")
}

async fn take_apart(request: Request) -> (Parts, Bytes) {
    let (mut head, body) = request.into_parts();
    without_connection(&mut head.headers);
    head.headers.remove(header::HOST);
    head.headers.remove(header::CONTENT_LENGTH);
    (head, to_bytes(body, LIMIT).await.unwrap_or_default())
}

/// What is said between two neighbours and goes no further.
fn without_connection(headers: &mut HeaderMap) {
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE] {
        headers.remove(name);
    }
}

/// The answer as it comes: that of a watch has no end.
async fn to_kubernetes(client: kube::Client, head: Parts, body: Bytes) -> Response {
    let answer = client.send(http::Request::from_parts(head, KubeBody::from(body))).await;
    let Ok(mut answer) = answer else { return failed() };
    without_connection(answer.headers_mut());
    answer.map(Body::new)
}

async fn whole(answer: Response) -> Response {
    let (head, body) = answer.into_parts();
    match to_bytes(body, LIMIT).await {
        Ok(body) => Response::from_parts(head, Body::from(body)),
        Err(_) => failed(),
    }
}

async fn to_keycloak(client: reqwest::Client, server: String, head: Parts, body: Bytes) -> Response {
    let url = format!("{server}{}", head.uri);
    let sent = client.request(head.method, url).headers(head.headers).body(body).send().await;
    let Ok(answer) = sent else { return failed() };
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    without_connection(&mut headers);
    headers.remove(header::CONTENT_LENGTH);
    let Ok(body) = answer.bytes().await else { return failed() };
    let mut response = Response::new(Body::from(body));
    (*response.status_mut(), *response.headers_mut()) = (status, headers);
    response
}

fn failed() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}

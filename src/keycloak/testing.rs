//! A scripted Keycloak, for tests of what a real one cannot be made to do.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::admin::{Admin, AdminConfig, Limits};
use super::credentials::Credentials;
use super::transport::Timeouts;

/// A request as it was received.
#[derive(Clone, Debug)]
pub struct Received {
    /// Such as `GET /admin/realms/ml`.
    pub line: String,
    pub authorization: String,
    pub body: String,
}

/// What to answer.
pub enum Reply {
    /// Status, further header lines, and body.
    Answer(u16, &'static str, String),
    /// Nothing: the connection is closed.
    HangUp,
    /// Nothing, ever; the connection stays.
    Silence,
    /// The beginning of an answer that never ends.
    Trickle,
}

/// The server; it ends with the test's runtime.
pub struct Fake {
    url: String,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Fake {
    /// Answers every request with what `script` makes of it; the first argument counts earlier ones of the same line.
    pub async fn start(script: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (script, received) = (Arc::new(script), Arc::new(Mutex::new(Vec::new())));
        let all = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, all) = (Arc::clone(&script), Arc::clone(&all));
                tokio::spawn(async move { serve(stream, &*script, &all).await });
            }
        });
        Self { url, received }
    }

    /// A handle that logs in with a client secret.
    pub fn admin(&self) -> Admin {
        let limits = Limits { requests_per_second: 0, concurrent: 64 };
        self.admin_with(Fake::credentials(), limits, Timeouts::default())
    }

    /// A handle that waits for an answer this long at most, with the limits that a KeycloakServer has by default.
    pub fn impatient_admin(&self, answer: Duration) -> Admin {
        self.admin_with(Fake::credentials(), Limits::default(), Timeouts { answer, ..Timeouts::default() })
    }

    /// A handle that logs in like this.
    pub fn admin_with(&self, credentials: Credentials, limits: Limits, timeouts: Timeouts) -> Admin {
        let url = self.url.parse().unwrap();
        let config = AdminConfig { url, login_realm: "master".into(), credentials, trust: None, limits };
        Admin::with_timeouts(config, timeouts).unwrap()
    }

    pub fn credentials() -> Credentials {
        Credentials::ClientSecret { client_id: "operator".into(), secret: "s3cr3t".into() }
    }

    /// All requests so far whose line contains this.
    pub fn received(&self, line: &str) -> Vec<Received> {
        self.received.lock().unwrap().iter().filter(|request| request.line.contains(line)).cloned().collect()
    }
}

/// A login that lasts this many seconds; each has another token.
pub fn login(count: usize, expires_in: u32) -> Reply {
    let body = format!(r#"{{"access_token": "token-{count}", "expires_in": {expires_in}}}"#);
    Reply::Answer(200, "", body)
}

async fn serve(
    stream: TcpStream,
    script: &(impl Fn(usize, &Received) -> Reply + Send + Sync),
    all: &Mutex<Vec<Received>>,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let request = read(&mut stream).await?;
        let earlier = {
            let mut all = all.lock().unwrap();
            all.push(request.clone());
            all.iter().filter(|other| other.line == request.line).count() - 1
        };
        let (status, headers, body) = match script(earlier, &request) {
            Reply::Answer(status, headers, body) => (status, headers, body),
            Reply::HangUp => return None,
            Reply::Silence => std::future::pending().await,
            Reply::Trickle => {
                stream.write_all(b"HTTP/1.1 200 Scripted\r\ncontent-length: 10\r\n\r\n[").await.ok()?;
                std::future::pending().await
            }
        };
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} Scripted\r\ncontent-length: {length}\r\ncontent-type: application/json\r\n{headers}\r\n{body}"
        );
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Received> {
    let (mut line, mut authorization, mut length) = (String::new(), String::new(), 0);
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "authorization" => authorization = value.to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let line = line.split(" HTTP/").next()?.to_owned();
    Some(Received { line, authorization, body: String::from_utf8(body).ok()? })
}

//! The policy stream: pushes each proxy the documents of its own namespace, so that
//! a revocation takes effect in under a second.
//!
//! The controller writes documents into ConfigMaps; this server watches them and
//! holds one line of JSON per document, which all its streams share.

mod args;
mod auth;
mod contact;
mod credentials;
mod metrics;
mod published;
mod server;
mod store;
mod stream;
mod watch;

use std::{pin::pin, sync::Arc};

use futures::{
    FutureExt,
    future::{self, Either},
};
use kube::Client;
use prometheus_client::registry::Registry;

pub use args::Args;
pub use published::{DOCUMENT_LABEL, DocumentKey, DocumentKind, OBJECT_LABEL};
pub use watch::{DocumentError, key_of};

use self::{
    auth::Authenticator,
    contact::Contact,
    metrics::Metrics,
    server::{Streams, router},
    store::Documents,
    watch::Source,
};
use crate::{
    admission::certificates::TLS_SECRET,
    server::{Certificates, Error, Readiness, Shutdown, TlsServer, bind, follow_secret, serve_admin},
};

/// The audience that a proxy's token must have for the stream.
pub const AUDIENCE: &str = "keywire-policy";
/// Connections at one time; each proxy keeps one or two.
const CONNECTIONS: usize = 20_000;

/// Runs the policy stream until it is told to end.
pub async fn run(args: Args, client: Client) -> Result<(), Error> {
    let shutdown = Shutdown::on_signal()?;
    let (readiness, mut registry) = (Readiness::default(), Registry::default());
    let listening = readiness.pending("listener");
    let (documents, certificates) = (Arc::new(Documents::default()), Arc::new(Certificates::default()));
    let contact = Arc::new(Contact::default());
    let source = Source::new(client.clone(), Arc::clone(&documents));
    let credentials = credentials::follow(client.clone(), Arc::clone(&documents), readiness.pending("credentials"));
    let streams = Streams {
        documents,
        source: source.clone(),
        authenticator: Authenticator::new(client.clone()),
        metrics: Metrics::new(&mut registry),
        contact: Arc::clone(&contact),
        readiness: readiness.clone(),
        shutdown: shutdown.clone(),
    };
    let tls = TlsServer::new(router(streams), Arc::clone(&certificates), CONNECTIONS)?;
    let certificate = readiness.pending("certificate");
    let background = future::join4(
        source.run(readiness.pending("documents")),
        contact.keep(client.clone()),
        credentials,
        follow_secret(client, args.namespace, TLS_SECRET, certificates, certificate),
    );
    let (listener, admin) = (bind(args.listen).await?, bind(args.admin).await?);
    listening.done();
    tracing::info!(listen = %args.listen, admin = %args.admin, "policy stream listens");
    let serving = future::try_join(
        tls.serve(listener, shutdown.clone()).map(Ok),
        serve_admin(admin, readiness, Arc::new(registry), shutdown),
    );
    // The background never ends by itself; it goes on while requests in flight finish.
    match future::select(pin!(serving), pin!(background)).await {
        Either::Left((result, _)) => result.map(drop),
        Either::Right(_) => Ok(()),
    }
}

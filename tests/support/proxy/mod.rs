//! Everything around a proxy, made in the test: keys, an issuer, an
//! application, an operator, and a client that sends exactly the bytes given.

pub mod app;
pub mod client;
pub mod grpc;
pub mod h2;
pub mod issuer;
pub mod keys;
pub mod operator;
pub mod proxy;
pub mod tls;

use std::{future::Future, time::Duration};

/// Waits until `condition` holds; fails the test if it does not within 20 s.
pub async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(20), waiting).await.is_err() {
        panic!("it never happened: {what}");
    }
}

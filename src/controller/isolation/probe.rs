//! One look at an endpoint's pods.

use std::{net::IpAddr, time::Duration};

use futures::future;
use tokio::{net::TcpStream, time::timeout};

use crate::core::graph::Port;

/// How long a port may take to accept. Where a network drops packets, nothing ever comes.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What a look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The guard's ports answer, the application's do not.
    Closed,
    /// An application's port answers.
    Open {
        /// The pod.
        pod: String,
        /// The application's port.
        port: u16,
    },
    /// Not even a guard's port answers.
    Unreached {
        /// The pod.
        pod: String,
    },
}

/// Tries the pods' ports. One way around is enough; one pod that cannot be reached leaves the others' word.
pub async fn look(pods: &[(String, IpAddr)], ports: &[Port]) -> Finding {
    let findings = future::join_all(pods.iter().map(|(pod, address)| try_pod(pod, *address, ports))).await;
    let is_open = |finding: &&Finding| matches!(finding, Finding::Open { .. });
    let is_closed = |finding: &&Finding| matches!(finding, Finding::Closed);
    let telling = findings.iter().find(is_open).or_else(|| findings.iter().find(is_closed)).or(findings.first());
    telling.cloned().unwrap_or(Finding::Unreached { pod: String::new() })
}

async fn try_pod(pod: &str, address: IpAddr, ports: &[Port]) -> Finding {
    let tried = ports.iter().map(|port| async move {
        let (guard, app) = future::join(answers(address, port.guard), answers(address, port.app)).await;
        (guard, app.then_some(port.app))
    });
    let tried = future::join_all(tried).await;
    match tried.iter().find_map(|(_, app)| *app) {
        Some(port) => Finding::Open { pod: pod.to_owned(), port },
        // An application's port that is as silent as the guard's beside it proves nothing.
        None if tried.iter().any(|(guard, _)| *guard) => Finding::Closed,
        None => Finding::Unreached { pod: pod.to_owned() },
    }
}

async fn answers(address: IpAddr, port: u16) -> bool {
    matches!(timeout(TIMEOUT, TcpStream::connect((address, port))).await, Ok(Ok(_)))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    async fn listening() -> (TcpListener, u16) {
        let listener = TcpListener::bind((HERE, 0)).await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        (listener, port)
    }

    /// A port that refuses for as long as the socket is there.
    fn silent() -> (TcpSocket, u16) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from((HERE, 0))).expect("a port");
        let port = socket.local_addr().expect("its address").port();
        (socket, port)
    }

    fn port(guard: u16, app: u16) -> Port {
        Port { name: "http".into(), guard, app }
    }

    #[tokio::test]
    async fn what_answers_tells() {
        let ((_guard, guard), (_app, app), (_silent, silent)) = (listening().await, listening().await, silent());
        let pods = [("a".to_owned(), HERE)];
        let open = Finding::Open { pod: "a".into(), port: app };
        for (ports, expected) in [
            (vec![port(guard, silent)], Finding::Closed),
            (vec![port(guard, app)], open.clone()),
            (vec![port(guard, silent), port(silent, app)], open.clone()),
            (vec![port(silent, app)], open),
            (vec![port(silent, silent)], Finding::Unreached { pod: "a".into() }),
        ] {
            assert_eq!(look(&pods, &ports).await, expected, "{ports:?}");
        }
    }

    #[tokio::test]
    async fn one_way_around_is_enough() {
        let ((_guard, guard), (_app, app), (_silent, silent)) = (listening().await, listening().await, silent());
        // Of the same subnet, where nobody listens.
        let elsewhere = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
        let pods = [("b".to_owned(), elsewhere), ("a".to_owned(), HERE)];
        assert_eq!(look(&pods, &[port(guard, app)]).await, Finding::Open { pod: "a".into(), port: app });
        assert_eq!(look(&pods, &[port(guard, silent)]).await, Finding::Closed);
        assert_eq!(look(&pods[..1], &[port(guard, silent)]).await, Finding::Unreached { pod: "b".into() });
    }
}

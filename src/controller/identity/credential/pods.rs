//! Which credential each pod uses: the operator asks its sidecar.

use std::{fmt, net::IpAddr, time::Duration};

use futures::{StreamExt, stream};
use reqwest::Client;
use serde::Deserialize;

use crate::admission::ADMIN_PORT;

/// How long a sidecar may take to answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Sidecars that are asked at one time.
const CONCURRENCY: usize = 64;
/// So many pods are named; of more only the number is told.
const NAMED: usize = 5;

/// A pod that calls, and where it is.
pub type Caller = (String, IpAddr);

/// The pods that do not use the newest credential, as far as is known.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Late {
    /// They said so, and which one they use.
    behind: Vec<String>,
    /// They did not answer.
    silent: Vec<String>,
}

impl Late {
    /// Whether every pod uses it.
    pub fn is_empty(&self) -> bool {
        self.behind.is_empty() && self.silent.is_empty()
    }
}

/// What a sidecar tells of itself, as far as it is read.
#[derive(Deserialize)]
struct Told {
    credential: Option<Use>,
}

#[derive(Deserialize)]
struct Use {
    used: Option<u64>,
}

/// Asks all pods whether they have logged in with the credential of this number, or a later one.
pub async fn late(pods: Vec<Caller>, number: u64) -> Late {
    let Ok(client) = Client::builder().timeout(TIMEOUT).no_proxy().build() else {
        return Late { behind: Vec::new(), silent: pods.into_iter().map(|(name, _)| name).collect() };
    };
    let asked = stream::iter(pods).map(|(name, address)| {
        let client = &client;
        async move { (name, ask(client, address).await) }
    });
    let answers: Vec<_> = asked.buffer_unordered(CONCURRENCY).collect().await;
    let mut late = Late::default();
    for (name, answer) in answers {
        match answer {
            None => late.silent.push(name),
            Some(used) if used < number => late.behind.push(name),
            Some(_) => {}
        }
    }
    late.behind.sort();
    late.silent.sort();
    late
}

/// The number of the credential that a sidecar has last logged in with; 0: none.
async fn ask(client: &Client, address: IpAddr) -> Option<u64> {
    let host = match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    let answer = client.get(format!("http://{host}:{ADMIN_PORT}/config")).send().await.ok()?;
    let told: Told = serde_json::from_slice(&answer.bytes().await.ok()?).ok()?;
    Some(told.credential.and_then(|credential| credential.used).unwrap_or_default())
}

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [(&self.behind, "not yet used by"), (&self.silent, "not answering the operator:")];
        let said = parts.into_iter().filter(|(pods, _)| !pods.is_empty());
        let said: Vec<_> = said.map(|(pods, what)| format!("{what} {}", names(pods))).collect();
        f.write_str(&said.join("; "))
    }
}

fn names(pods: &[String]) -> String {
    let named = pods.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if pods.len() > NAMED { format!("{named} and {} more", pods.len() - NAMED) } else { named }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn who_is_late_is_named() {
        let late = Late { behind: vec!["a".into()], silent: vec!["b".into(), "c".into()] };
        assert_eq!(late.to_string(), "not yet used by a; not answering the operator: b, c");
        let many = Late { behind: (0..7).map(|index| format!("p{index}")).collect(), silent: Vec::new() };
        assert!(many.to_string().ends_with("p4 and 2 more"), "{many}");
    }

    #[tokio::test]
    async fn a_pod_that_does_not_answer_is_late() {
        // Of the loopback subnet, where nobody listens.
        let nobody = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));
        let late = late(vec![("a".into(), nobody)], 1).await;
        assert_eq!(late, Late { behind: Vec::new(), silent: vec!["a".into()] });
    }
}

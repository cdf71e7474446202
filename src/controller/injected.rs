//! Whether the pods that run have what admission would give them now.

use std::{collections::BTreeSet, sync::Arc};

use kube::ResourceExt;

use super::condition::Verdict;
use crate::admission::{RunningPod, ServedPods};

/// Every pod that the object selects has its sidecar.
const INJECTED: &str = "Injected";
/// The containers of its pods have the endpoint's ports.
const PORTS: &str = "Ports";
/// So many pods are named; of more only the number is told.
const NAMED: usize = 5;

/// The guard: without it, a pod's calls are decided by nobody.
pub fn guards(unguarded: &[String], what: &str) -> Verdict {
    verdict(unguarded, what, "whoever reaches them gets past every grant")
}

/// What an application that signs people in itself is told: without it, it may ask nobody to.
pub fn told(otherwise: &[String]) -> Verdict {
    let so = "people sign in as it was set before, or need not at all";
    verdict(otherwise, "what this application is told", so)
}

/// The identity's outbound half: the application calls in vain. Whatever else the identity is for works all the same.
pub fn outbound(unwired: &[String]) -> Verdict {
    verdict(unwired, "this identity's sidecar", "their calls go without a token, or nowhere").aside()
}

/// Where pods name their ports, but not all of the endpoint's. Such a note is not what a container does, so nothing is held back
/// for it.
pub fn ports(served: &ServedPods<'_>, pods: &[Arc<RunningPod>]) -> Option<Verdict> {
    let missing: BTreeSet<_> = pods.iter().flat_map(|pod| pod.lacks_ports(served)).collect();
    let declared: BTreeSet<_> = pods.iter().flat_map(|pod| pod.declared().iter().copied()).collect();
    if missing.is_empty() {
        return None;
    }
    let message = format!(
        "{} without a container that declares port {} (declared: {}). Where nothing listens there, calls get 503: correct spec.ports, or declare the port",
        names(&pods.iter().map(|pod| pod.name_any()).collect::<Vec<_>>()),
        listed(&missing),
        listed(&declared),
    );
    Some(Verdict::bad(PORTS, "PortNotDeclared", message).aside())
}

/// `8080, 8081`
fn listed(ports: &BTreeSet<i32>) -> String {
    ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn verdict(pods: &[String], what: &str, so: &str) -> Verdict {
    if pods.is_empty() {
        return Verdict::good(INJECTED, "Injected", format!("no pod that it selects runs without {what}"));
    }
    let message = format!(
        "{} without {what}, or with that of an earlier spec: {so}. They were there before it, or while no admission was; restart them (kubectl rollout restart, or delete them)",
        names(pods)
    );
    Verdict::bad(INJECTED, "PodsNotInjected", message)
}

/// `pod a runs`, `pods a, b run`, `pods a, b, c, d, e and 3 more run`.
fn names(pods: &[String]) -> String {
    let named = pods.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match pods.len() {
        1 => format!("pod {named} runs"),
        number if number <= NAMED => format!("pods {named} run"),
        number => format!("pods {named} and {} more run", number - NAMED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::condition::State;

    #[test]
    fn who_is_not_injected_is_named() {
        let pods: Vec<_> = ["a", "b", "c", "d", "e", "f", "g"].map(str::to_owned).into();
        for (count, beginning) in
            [(1, "pod a runs without"), (5, "pods a, b, c, d, e run "), (7, "pods a, b, c, d, e and 2 more run ")]
        {
            let verdict = guards(&pods[..count], "this endpoint's guard");
            assert!(verdict.message.starts_with(beginning), "{}", verdict.message);
            assert_eq!((verdict.state, verdict.blocking), (State::False, true));
        }
        assert_eq!(guards(&[], "a guard").state, State::True);
        assert!(!outbound(&pods).blocking, "the identity may log in all the same");
    }
}

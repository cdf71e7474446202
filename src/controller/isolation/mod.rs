//! Whether the way around the guard is closed: the operator tries the application's port itself.
//!
//! A NetworkPolicy is a wish that a cluster's network may not know of, and an application on all addresses looks like one
//! on loopback. What is said here was seen.

mod probe;

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::{StreamExt, channel::mpsc};

use self::probe::Finding;
use super::{
    condition::Verdict,
    context::Context,
    ledger::Traced,
    watch::{Caches, Queues},
};
use crate::{
    admission::ServedPods,
    api::{Isolation as Asked, condition::Condition},
    core::{build::kind, graph::Port},
};

/// The application answers to its guard alone.
const ISOLATED: &str = "Isolated";
/// How often the same pods are tried. A little less than a round over all objects takes.
const AGAIN: Duration = Duration::from_secs(540);
/// How soon a way that was open is tried again: some networks close it a moment after the pod is ready.
const AGAIN_WHERE_OPEN: Duration = Duration::from_secs(30);
/// Endpoints that are tried at one time: each takes seconds where packets are dropped, and then costs nothing.
const CONCURRENCY: usize = 64;
/// How many of an endpoint's pods are tried.
const PODS: usize = 3;

/// What was found, by endpoint or application.
#[derive(Debug)]
pub struct Isolation {
    looked: Mutex<HashMap<Traced, Looked>>,
    asked: mpsc::UnboundedSender<Traced>,
}

/// Something that its guard alone should reach.
pub struct Guarded<'a> {
    /// What it is.
    pub of: Traced,
    /// Its pods.
    pub served: ServedPods<'a>,
    /// What closes the way around.
    pub asked: Asked,
    /// What its status said before.
    pub conditions: &'a [Condition],
}

/// Pods to be tried, by name and address.
type Pods = Vec<(String, IpAddr)>;

#[derive(Debug)]
struct Looked {
    pods: Pods,
    at: Instant,
    /// None while it is being looked.
    finding: Option<Finding>,
}

impl Looked {
    fn is_due(&self, pods: &Pods) -> bool {
        let again = if matches!(self.finding, Some(Finding::Open { .. })) { AGAIN_WHERE_OPEN } else { AGAIN };
        self.pods != *pods || self.at.elapsed() >= again
    }
}

impl Isolation {
    /// And the names of the endpoints that are to be looked at, for [`watch`].
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Traced>) {
        let (asked, asking) = mpsc::unbounded();
        (Self { looked: Mutex::default(), asked }, asking)
    }

    fn looked(&self) -> MutexGuard<'_, HashMap<Traced, Looked>> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How something stands, and when to ask again where that is soon. Has it looked at where that is due.
    pub fn verdict(&self, caches: &Caches, guarded: &Guarded<'_>) -> (Verdict, Option<Duration>) {
        let (name, mut pods) = (&guarded.of, caches.guarded(&guarded.of.name.namespace, &guarded.served));
        pods.truncate(PODS);
        let mut looked = self.looked();
        if pods.is_empty() {
            looked.remove(name);
            let message = "no pod with a guard is ready, so there is none to try";
            return (unknown("NoPods", message), None);
        }
        if looked.get(name).is_none_or(|last| last.is_due(&pods)) {
            let finding = looked.remove(name).and_then(|last| last.finding);
            looked.insert(name.clone(), Looked { pods, at: Instant::now(), finding });
            // Closed when the operator stops: nobody asks any more.
            let _ = self.asked.unbounded_send(name.clone());
        }
        match looked.get(name).and_then(|last| last.finding.as_ref()) {
            Some(finding) => {
                let soon = matches!(finding, Finding::Open { .. }).then_some(AGAIN_WHERE_OPEN);
                (verdict(finding, guarded.asked), soon)
            }
            None => (earlier(guarded.conditions), None),
        }
    }

    /// It is gone.
    pub fn forget(&self, name: &Traced) {
        self.looked().remove(name);
    }

    /// Notes what was found; whether that is news.
    fn note(&self, name: &Traced, pods: &Pods, finding: Finding) -> bool {
        let mut looked = self.looked();
        // Other pods by now: they are asked for already.
        let Some(last) = looked.get_mut(name).filter(|last| last.pods == *pods) else { return false };
        last.at = Instant::now();
        last.finding.replace(finding) != last.finding
    }

    fn pods(&self, name: &Traced) -> Option<Pods> {
        self.looked().get(name).map(|last| last.pods.clone())
    }
}

/// Tries what is asked for, for ever.
pub async fn watch(ctx: &Context, queues: &Queues, asking: mpsc::UnboundedReceiver<Traced>) {
    let look = |name: Traced| async move {
        let Some((ports, pods)) = ports(&ctx.caches, &name).zip(ctx.isolation.pods(&name)) else { return };
        let finding = probe::look(&pods, &ports).await;
        if ctx.isolation.note(&name, &pods, finding) {
            queues.guarded(&name.name);
        }
    };
    asking.for_each_concurrent(CONCURRENCY, look).await;
}

/// Those of the application behind the guard.
fn ports(caches: &Caches, of: &Traced) -> Option<Vec<Port>> {
    if of.kind == kind::APP {
        return Some(Caches::namespaced(&caches.apps, &of.name)?.parse().ok()?.server.ports);
    }
    Some(caches.endpoint(&of.name)?.ports)
}

fn unknown(reason: &str, message: &str) -> Verdict {
    Verdict { reason: reason.to_owned(), ..Verdict::waiting(ISOLATED, message) }.aside()
}

/// How it stood before this operator was started, until it has looked itself.
fn earlier(conditions: &[Condition]) -> Verdict {
    let before = Verdict::of_condition(ISOLATED, conditions).map(Verdict::aside);
    before.unwrap_or_else(|| unknown("Probing", "the operator is trying the application's ports"))
}

fn verdict(finding: &Finding, asked: Asked) -> Verdict {
    match finding {
        Finding::Closed => {
            let message = "the application's ports do not answer the operator; the guard's do";
            Verdict::good(ISOLATED, "NotReachable", message).aside()
        }
        Finding::Unreached { pod } => {
            let message = format!("the operator cannot reach pod {pod} at all, not even its guard, so it cannot tell");
            unknown("PodNotReached", &message)
        }
        Finding::Open { pod, port } => {
            let message = format!(
                "port {port} of pod {pod} answers past the guard: whoever reaches the pod needs no grant. {}",
                way_out(asked)
            );
            Verdict::bad(ISOLATED, "BypassReachable", message).aside()
        }
    }
}

fn way_out(asked: Asked) -> &'static str {
    match asked {
        Asked::NetworkPolicy => {
            "The cluster's network does not enforce NetworkPolicies, or another one opens the port: see to that, or have the server bind 127.0.0.1 with spec.isolation: Loopback"
        }
        Asked::Loopback => "Have the server bind 127.0.0.1, as spec.isolation: Loopback says that it does",
        Asked::None => "spec.isolation is None: nothing that Keywire knows of closes it",
    }
}

//! What one server connection is doing, shared by the three that need to know:
//! the gate below hyper, the service above it, and the task around it.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use tokio::time::Instant;

use super::{scan::Violation, tunnel::Tunnel};

/// How long a client may take from the first byte of a head to its last.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may be idle between requests. Longer than the pools of
/// common clients keep theirs, so that they close first.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// How long it is idle before its buffers go. Longer than clients who call again and again take between two calls.
pub const REST_AFTER: Duration = Duration::from_secs(2);

/// The state of one connection. Single-threaded.
#[derive(Debug)]
pub struct Flow {
    phase: Cell<Phase>,
    /// Bytes of a head have come, but not all.
    in_head: Cell<bool>,
    /// The message that comes in is not at its end.
    in_message: Cell<bool>,
    violation: Cell<Option<Violation>>,
    overdue: Cell<bool>,
    /// All that was to be sent has been.
    flushed: Cell<bool>,
    /// What the connection becomes once its last answer is sent.
    tunnel: RefCell<Option<Box<Tunnel>>>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Between requests, since then.
    Idle(Instant),
    /// In a head, since then.
    Head(Instant),
    /// A request that must be answered by then.
    Awaiting(Instant),
    /// An answer is on its way: as long as it takes.
    Streaming,
}

impl Flow {
    /// A connection accepted now.
    pub fn new() -> Rc<Self> {
        Rc::new(Self {
            phase: Cell::new(Phase::Idle(Instant::now())),
            in_head: Cell::new(false),
            in_message: Cell::new(false),
            violation: Cell::new(None),
            overdue: Cell::new(false),
            flushed: Cell::new(true),
            tunnel: RefCell::default(),
        })
    }

    /// The answer about to be given is the last one of HTTP on this connection: a tunnel follows.
    pub fn switch(&self, tunnel: Tunnel) {
        self.tunnel.replace(Some(Box::new(tunnel)));
    }

    pub(super) fn take_tunnel(&self) -> Option<Box<Tunnel>> {
        self.tunnel.take()
    }

    /// What the scanner found, if anything. It stays found.
    pub fn violation(&self) -> Option<Violation> {
        self.violation.get()
    }

    pub(super) fn violate(&self, violation: Violation) {
        self.in_message.set(true);
        self.violation.set(Some(violation));
    }

    /// What the gate saw last: a head that is not complete, or not; and whether it is between two messages. A head's
    /// time runs from its first byte, or from the end of the answer before it.
    pub(super) fn saw(&self, in_head: bool, is_between: bool) {
        self.in_head.set(in_head);
        self.in_message.set(!is_between);
        if let (true, Phase::Idle(_)) = (in_head, self.phase.get()) {
            self.phase.set(Phase::Head(Instant::now()));
        }
    }

    /// Whether more of the last message has to come, as far as the gate has read.
    pub fn in_message(&self) -> bool {
        self.in_message.get()
    }

    /// A request is being served, and wants its answer's head by `deadline`.
    /// The connection's answers end when what this returns is dropped.
    pub fn begin(self: &Rc<Self>, deadline: Instant) -> InFlight {
        self.overdue.set(false);
        self.phase.set(Phase::Awaiting(deadline));
        InFlight(Rc::clone(self))
    }

    /// What the gate did last: it wrote, or all was sent.
    pub(super) fn flushed(&self, flushed: bool) {
        self.flushed.set(flushed);
    }

    /// Until when the connection may be idle; `None`: it is not.
    pub fn idle_until(&self) -> Option<Instant> {
        match self.phase.get() {
            Phase::Idle(since) => Some(since + IDLE_TIMEOUT),
            Phase::Head(_) | Phase::Awaiting(_) | Phase::Streaming => None,
        }
    }

    /// When the connection's task must look again; `None`: no limit applies.
    pub fn due(&self) -> Option<Instant> {
        match self.phase.get() {
            Phase::Idle(since) if self.flushed.get() => Some(since + REST_AFTER),
            Phase::Idle(_) => self.idle_until(),
            Phase::Head(since) => Some(since + HEAD_TIMEOUT),
            Phase::Awaiting(deadline) => Some(deadline),
            Phase::Streaming => None,
        }
    }

    /// The limit that [`due`](Self::due) named has passed.
    pub fn expire(&self) -> Expiry {
        match self.phase.get() {
            Phase::Awaiting(_) => {
                self.overdue.set(true);
                self.phase.set(Phase::Streaming);
                Expiry::Told
            }
            Phase::Idle(_) if self.flushed.get() => Expiry::Rest,
            Phase::Idle(_) | Phase::Head(_) | Phase::Streaming => Expiry::End,
        }
    }

    /// The request in flight has had its time.
    pub fn overdue(&self) -> bool {
        self.overdue.get()
    }
}

/// What follows when a limit has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// The request in flight was told.
    Told,
    /// Nobody has asked for anything for a while: the connection can do without its buffers.
    Rest,
    /// The connection ends.
    End,
}

/// One request from its head to the end of its answer.
#[derive(Debug)]
pub struct InFlight(Rc<Flow>);

impl InFlight {
    /// The answer's head is there: from now on no limit applies.
    pub fn answered(&self) {
        self.0.phase.set(Phase::Streaming);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let now = Instant::now();
        self.0.phase.set(if self.0.in_head.get() { Phase::Head(now) } else { Phase::Idle(now) });
    }
}

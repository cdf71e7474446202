//! Where HTTP/2 runs the parts of a connection: on the worker's own thread.

use std::{cell::Cell, future::Future, rc::Rc};

use hyper::rt::Executor;
use tokio::{task::spawn_local, time::Instant};

/// Runs futures beside each other on this thread, and knows how many there are.
#[derive(Clone, Debug, Default)]
pub struct Local {
    count: Option<Rc<Streams>>,
}

/// How many streams a connection has, and since when it has had none.
#[derive(Debug)]
pub struct Streams {
    open: Cell<usize>,
    since: Cell<Instant>,
}

impl Local {
    /// One that counts.
    pub fn counting(streams: &Rc<Streams>) -> Self {
        Self { count: Some(Rc::clone(streams)) }
    }
}

impl<F: Future + 'static> Executor<F> for Local {
    fn execute(&self, future: F) {
        let counted = self.count.clone().map(Counted::new);
        spawn_local(async move {
            future.await;
            drop(counted);
        });
    }
}

impl Streams {
    /// None yet.
    pub fn new() -> Rc<Self> {
        Rc::new(Self { open: Cell::new(0), since: Cell::new(Instant::now()) })
    }

    /// Since when there has been no stream; `None`: there is one.
    pub fn idle_since(&self) -> Option<Instant> {
        (self.open.get() == 0).then(|| self.since.get())
    }
}

/// A stream, from its request to the end of its answer.
struct Counted(Rc<Streams>);

impl Counted {
    fn new(streams: Rc<Streams>) -> Self {
        streams.open.set(streams.open.get() + 1);
        Self(streams)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        self.0.since.set(Instant::now());
    }
}

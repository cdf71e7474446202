//! Shutdown: one signal that every task of a process can wait for.

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use super::Error;

/// Resolves for every holder once the process is told to end.
#[derive(Clone, Debug)]
pub struct Shutdown {
    told: watch::Receiver<bool>,
}

impl Shutdown {
    /// A shutdown that the sender begins by sending `true`, or by being dropped.
    pub fn channel() -> (watch::Sender<bool>, Self) {
        let (sender, told) = watch::channel(false);
        (sender, Self { told })
    }

    /// A shutdown that begins with SIGTERM or SIGINT.
    pub fn on_signal() -> Result<Self, Error> {
        let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signal)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signal)?;
        let (sender, shutdown) = Self::channel();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => tracing::info!("SIGTERM: shutting down"),
                _ = interrupt.recv() => tracing::info!("SIGINT: shutting down"),
            }
            // Nobody left to tell is no failure.
            sender.send(true).ok();
        });
        Ok(shutdown)
    }

    /// Waits for the shutdown to begin.
    pub async fn begun(&mut self) {
        // An error means that the sender is gone: nothing can tell us any more, so we end.
        self.told.wait_for(|told| *told).await.ok();
    }

    /// The same as a future of its own.
    pub async fn into_begun(mut self) {
        self.begun().await;
    }
}

//! The file's documents put in force: at the start, and whenever the file changes.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval};

use super::{Config, ConfigError, Settings};
use crate::proxy::{
    documents::{Consumer, Intake, file::DocumentFile},
    egress::state::EgressState,
    guard::state::GuardState,
    listen::Listeners,
    metrics::{HalfLabels, Metrics},
    run::StartError,
    worker::{Port, Shared},
};

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// Where the documents of the file go.
pub struct Halves {
    guard: Option<Arc<Intake<GuardState>>>,
    egress: Option<Arc<Intake<EgressState>>>,
}

/// A file that is followed.
struct Followed {
    file: DocumentFile,
    path: PathBuf,
    settings: Settings,
    halves: Halves,
    metrics: Arc<Metrics>,
    listeners: Arc<Listeners>,
}

impl Halves {
    /// Those that the file names.
    pub fn of(config: &Config, shared: &Shared) -> Self {
        let intake = || Intake::new(Arc::clone(&shared.guard), Arc::clone(&shared.metrics));
        let guard = config.guard.as_ref().map(|_| intake());
        let intake = || Intake::new(Arc::clone(&shared.egress), Arc::clone(&shared.metrics));
        Self { guard, egress: config.egress.as_ref().map(|_| intake()) }
    }

    /// Puts both documents in force. They were checked before, so none of them fails alone but for another object's name.
    fn put(&self, config: Config) -> bool {
        let mut is_whole = true;
        // A number only has to rise: there is no other source to agree with.
        if let (Some(intake), Some(mut document)) = (&self.guard, config.guard) {
            document.number = document.number.max(intake.number() + 1);
            is_whole &= intake.put("config", document);
        }
        if let (Some(intake), Some(mut document)) = (&self.egress, config.egress) {
            document.number = document.number.max(intake.number() + 1);
            is_whole &= intake.put("config", document);
        }
        is_whole
    }

    fn ports(&self) -> Vec<Port> {
        let guard = self.guard.iter().flat_map(|intake| intake.consumer().ports()).map(Port::Guard);
        let egress = self.egress.iter().flat_map(|intake| intake.consumer().ports()).map(Port::Egress);
        guard.chain(egress).collect()
    }
}

/// Puts the file in force, binds its ports, and follows it for as long as the runtime lives.
pub fn start(path: PathBuf, shared: &Arc<Shared>, listeners: &Arc<Listeners>) -> Result<Halves, StartError> {
    // Seen first: what changes while it is read is read again.
    let file = DocumentFile::seen(path.clone());
    let config = Config::read(&path)?;
    let (settings, halves) = (config.process.clone(), Halves::of(&config, shared));
    halves.put(config);
    for port in halves.ports() {
        listeners.bind(port).map_err(|error| StartError::Bind { port, error })?;
    }
    shared.metrics.config_good.set(1);
    let told = Halves { guard: halves.guard.clone(), egress: halves.egress.clone() };
    let (metrics, listeners) = (Arc::clone(&shared.metrics), Arc::clone(listeners));
    tokio::spawn(Followed { file, path, settings, halves, metrics, listeners }.follow());
    Ok(told)
}

impl Halves {
    /// Whether the file has a guard, and an egress half.
    pub fn present(&self) -> (bool, bool) {
        (self.guard.is_some(), self.egress.is_some())
    }
}

impl Followed {
    async fn follow(mut self) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.look();
        }
    }

    fn look(&mut self) {
        let text = match self.file.changed() {
            Ok(None) => return,
            Ok(Some(text)) => Ok(text),
            Err(error) => Err(ConfigError::Read(self.path.clone(), error)),
        };
        let taken = text.and_then(|text| Config::parse(&self.path, &text)).and_then(|config| self.take(config));
        let result = match taken {
            Ok(true) => "applied",
            // Its refusal is in the log already, and counted with its half.
            Ok(false) => "refused",
            Err(error) => {
                tracing::error!(%error, "the configuration file was refused; the last good one stays in force");
                error.reason()
            }
        };
        self.metrics.documents.get_or_create(&HalfLabels { half: "config", result }).inc();
        self.metrics.config_good.set(i64::from(result == "applied"));
    }

    fn take(&self, config: Config) -> Result<bool, ConfigError> {
        for (half, before, now) in [
            ("guard", self.halves.guard.is_some(), config.guard.is_some()),
            ("egress", self.halves.egress.is_some(), config.egress.is_some()),
        ] {
            if before != now {
                return Err(ConfigError::HalfChanged { path: self.path.clone(), half });
            }
        }
        if config.process != self.settings {
            tracing::warn!(path = %self.path.display(), "the settings in \"process\" changed; they count from the next start");
        }
        let is_whole = self.halves.put(config);
        self.listeners.bind_all(self.halves.ports());
        Ok(is_whole)
    }
}

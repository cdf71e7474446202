//! The kubelet's probes of an application on loopback, made in its stead.
//!
//! Whoever reaches the admin port may ask, as whoever reaches a pod may call its health routes: one probe at a time, its
//! answer serves all who ask meanwhile, and nothing of the application's answer but its status goes out.

mod action;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use http::StatusCode;
use tokio::{sync::Mutex, time::timeout};

use self::action::ActionError;
use crate::core::app_probe::AppProbe;

/// How long an answer serves others: less than the shortest period that a kubelet knows.
const FRESH: Duration = Duration::from_millis(250);

/// What the command line named, by path.
#[derive(Debug, Default)]
pub struct AppProbes {
    by_path: HashMap<String, Probe>,
}

#[derive(Debug)]
struct Probe {
    asked: AppProbe,
    last: Mutex<Option<(Instant, Answer)>>,
}

/// What the kubelet gets: a status, and a sentence for people.
pub type Answer = (StatusCode, String);

impl AppProbes {
    /// Those of the command line.
    pub fn new(asked: &[AppProbe]) -> Self {
        let probe = |asked: &AppProbe| (asked.path(), Probe { asked: asked.clone(), last: Mutex::default() });
        Self { by_path: asked.iter().map(probe).collect() }
    }

    /// Makes the probe of a path; `None`: there is none.
    pub async fn answer(&self, path: &str) -> Option<Answer> {
        Some(self.by_path.get(path)?.answer().await)
    }
}

impl Probe {
    async fn answer(&self) -> Answer {
        let mut last = self.last.lock().await;
        if let Some((at, answer)) = last.as_ref()
            && at.elapsed() < FRESH
        {
            return answer.clone();
        }
        let limit = Duration::from_secs(self.asked.timeout.into());
        let made = timeout(limit, action::run(&self.asked.action)).await;
        let answer = worded(made.unwrap_or(Err(ActionError::TooSlow)));
        *last = Some((Instant::now(), answer.clone()));
        answer
    }
}

fn worded(made: Result<(), ActionError>) -> Answer {
    match made {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(error) => {
            let status = match error {
                // The kubelet's Event then names the application's own.
                ActionError::Status(status) if status.is_client_error() || status.is_server_error() => status,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            };
            (status, format!("{error}\n"))
        }
    }
}

#[cfg(test)]
mod tests;

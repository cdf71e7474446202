//! What signing people in needs to know. Shared by all threads.

use std::{path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use tokio::{task::AbortHandle, time::interval};

use super::{
    ended::Ended,
    endpoint::TokenEndpoint,
    keys::{KeyError, Sealer},
    renew::Renewals,
};
use crate::{
    core::signin::{cookies::Names, settings::SignInSettings},
    proxy::{clock::Clock, http::connect::OriginError},
};

/// How often the keys are looked at.
const INTERVAL: Duration = Duration::from_secs(2);

/// Where what is secret lies.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The directory of the cookies' keys and the client's secret; `None`: nobody can be signed in.
    pub secrets: Option<PathBuf>,
    /// The directory of the projected tokens.
    pub tokens: PathBuf,
}

/// One application's sign-in.
pub struct SignInState {
    /// What the policy says of it.
    pub settings: SignInSettings,
    /// Of the cookies.
    pub names: Names,
    /// Where tokens come from.
    pub endpoint: Arc<TokenEndpoint>,
    /// Tokens under way.
    pub renewals: Renewals,
    /// Sessions that are over.
    pub ended: Ended,
    /// The time.
    pub clock: Clock,
    sealer: Arc<ArcSwapOption<Sealer>>,
    /// Follows the keys; `None`: there is nowhere to look for them.
    keeper: Option<AbortHandle>,
}

impl Drop for SignInState {
    fn drop(&mut self) {
        if let Some(keeper) = &self.keeper {
            keeper.abort();
        }
    }
}

impl SignInState {
    /// Must run inside the control runtime, which then follows the keys.
    pub fn new(settings: SignInSettings, places: &Places, clock: Clock) -> Result<Arc<Self>, OriginError> {
        let endpoint = Arc::new(TokenEndpoint::new(&settings, places.tokens.clone(), places.secrets.clone())?);
        let sealer = Arc::<ArcSwapOption<Sealer>>::default();
        let keeper = places.secrets.clone().map(|secrets| {
            look(&sealer, &secrets, &settings.client_id, &mut None);
            tokio::spawn(follow(Arc::clone(&sealer), secrets, settings.client_id.clone())).abort_handle()
        });
        if keeper.is_none() {
            tracing::error!(
                "the policy wants people signed in, and no directory of keys was given (--sign-in): nobody is let in"
            );
        }
        let names = Names::new(settings.is_secure);
        let (renewals, ended) = (Renewals::default(), Ended::default());
        Ok(Arc::new(Self { settings, names, endpoint, renewals, ended, clock, sealer, keeper }))
    }

    /// The keys; `None`: they were never there.
    pub fn sealer(&self) -> Option<Arc<Sealer>> {
        self.sealer.load_full()
    }
}

async fn follow(sealer: Arc<ArcSwapOption<Sealer>>, directory: PathBuf, client: String) {
    let (mut ticks, mut told) = (interval(INTERVAL), None);
    loop {
        ticks.tick().await;
        look(&sealer, &directory, &client, &mut told);
    }
}

/// Takes keys that are others. Those that cannot be read leave the ones before in force, which is said once.
fn look(sealer: &ArcSwapOption<Sealer>, directory: &std::path::Path, client: &str, told: &mut Option<String>) {
    match Sealer::read(directory, client) {
        Ok(read) => {
            *told = None;
            let is_same = sealer.load().as_ref().is_some_and(|before| before.same(&read));
            if !is_same {
                tracing::info!("the keys of the sessions' cookies were read");
                sealer.store(Some(Arc::new(read)));
            }
        }
        Err(error) => tell(&error, told),
    }
}

fn tell(error: &KeyError, told: &mut Option<String>) {
    let text = error.to_string();
    if told.as_ref() != Some(&text) {
        tracing::error!(%error, "the keys of the sessions' cookies cannot be used; those before, if any, stay in force");
        *told = Some(text);
    }
}

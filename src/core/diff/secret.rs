//! The secret of a client.

use std::collections::BTreeSet;

use crate::core::credential::Hidden;
use crate::core::desired::{ClientRef, Credential};

use super::change::Change;

/// What it takes to have a client log in with its secret; nothing where it logs in otherwise, or has it. Keycloak shows the
/// secret to whoever may manage clients, so a changed one is seen.
pub(super) fn set_secret(
    credential: Option<&Credential>,
    found: Option<&Hidden>,
    client: &ClientRef,
    web_origins: &BTreeSet<String>,
) -> Option<Change> {
    let secret = credential?.secret()?;
    let is_set = found.is_some_and(|found| found.expose() == secret.expose());
    (!is_set).then(|| Change::SetClientSecret {
        client: client.clone(),
        secret: secret.clone(),
        web_origins: web_origins.clone(),
    })
}

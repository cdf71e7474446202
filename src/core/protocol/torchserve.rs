//! TorchServe.

use super::Route;

/// What the table can ask for.
pub const PERMISSIONS: &[&str] = &[];

/// Looks up `segments`, the path split at its slashes.
pub fn route<'a>(_: &str, _: &[&'a str]) -> Option<Route<'a>> {
    None
}

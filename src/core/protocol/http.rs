//! Plain HTTP: the table is empty, only an endpoint's own rules open anything.

use super::Route;

/// None: the custom rules bring theirs.
pub const PERMISSIONS: &[&str] = &[];

/// No route.
pub fn route<'a>(_method: &str, _segments: &[&'a str]) -> Option<Route<'a>> {
    None
}

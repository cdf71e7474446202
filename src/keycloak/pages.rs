//! Lists, in pages: one request for a long list takes Keycloak time that grows with its square.

use serde::de::DeserializeOwned;

use super::admin::RealmAdmin;
use super::call::Call;
use super::error::ApiError;

/// Objects per page.
const PAGE: usize = 100;

impl RealmAdmin {
    /// All objects of a list that takes `first` and `max`; `call` makes the request for a page but for these two.
    pub(super) async fn all_pages<T: DeserializeOwned>(&self, call: impl Fn() -> Call) -> Result<Vec<T>, ApiError> {
        let mut all = Vec::new();
        loop {
            let request = call().query("first", all.len()).query("max", PAGE);
            let page: Vec<T> = self.admin().read(request).await?;
            let is_last = page.len() < PAGE;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }
}

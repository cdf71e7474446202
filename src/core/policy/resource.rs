//! An endpoint's external URL, and where its metadata is (RFC 9728 §3). Pure.

use url::{Position, Url};

/// The path of the metadata of a resource that has no path itself; the path of any other comes behind it.
pub const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The longest external URL, in bytes.
const MAX_URL: usize = 1024;

/// An external URL that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// As written: clients compare it with the URL that they call (RFC 9728 §3.3).
    pub url: String,
    /// Where its metadata is, as told in challenges.
    pub metadata_url: String,
    /// The resource's path, as it comes behind [`WELL_KNOWN`]; empty for the root.
    pub path: String,
}

/// Why a URL is no resource identifier (RFC 9728 §1.2).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no external URL: write an https:// or http:// URL without user, query, fragment, quotes and blanks, such as \
     https://models.example.com/iris"
)]
pub struct InvalidResource(String);

impl Resource {
    /// Checks a URL.
    pub fn parse(text: &str) -> Result<Self, InvalidResource> {
        let invalid = || InvalidResource(text.chars().take(MAX_URL).collect());
        let url = Url::parse(text).map_err(|_| invalid())?;
        // It stands inside quotes in `WWW-Authenticate`.
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'?' | b'#'));
        let is_bare = url.username().is_empty() && url.password().is_none();
        if text.len() > MAX_URL || !is_plain || !is_bare || !matches!(url.scheme(), "http" | "https") {
            return Err(invalid());
        }
        let path = match url.path() {
            "/" => "",
            path => path,
        };
        let metadata_url = format!("{}{WELL_KNOWN}{path}", &url[..Position::BeforePath]);
        Ok(Self { url: text.to_owned(), metadata_url, path: path.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_between_host_and_path() {
        for (url, metadata, path) in [
            ("https://x/public/mcp", "https://x/.well-known/oauth-protected-resource/public/mcp", "/public/mcp"),
            ("https://x/", "https://x/.well-known/oauth-protected-resource", ""),
            ("http://iris.vision.svc:8080", "http://iris.vision.svc:8080/.well-known/oauth-protected-resource", ""),
            ("https://x/a/", "https://x/.well-known/oauth-protected-resource/a/", "/a/"),
        ] {
            let Ok(resource) = Resource::parse(url) else { panic!("{url}") };
            assert_eq!(
                (resource.url.as_str(), resource.metadata_url.as_str(), resource.path.as_str()),
                (url, metadata, path)
            );
        }
    }

    #[test]
    fn what_is_no_resource_is_refused() {
        let long = format!("https://x/{}", "a".repeat(MAX_URL));
        for bad in [
            "",
            "iris",
            "/mcp",
            "ftp://x/",
            "https://",
            "https://x/?a=b",
            "https://x/?",
            "https://x/#",
            "https://u@x/",
            "https://u:p@x/",
            "https://x/\"",
            "https://x/\\",
            "https://x/ y",
            "https://é/",
            &long,
        ] {
            assert!(Resource::parse(bad).is_err(), "{bad}");
        }
    }
}

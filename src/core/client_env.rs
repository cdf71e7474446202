//! What client libraries expect in the environment beside the bare address: known by the variable that the address goes into.

/// What a variable's readers expect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientEnv {
    /// What follows host and port in the URL.
    pub path: &'static str,
    /// A variable without which the library refuses to start, though nobody looks at the key: the sidecar puts the token in its
    /// place.
    pub key: Option<&'static str>,
}

/// What a key variable holds: no secret, and seen to be none.
pub const PLACEHOLDER: &str = "keywire";

/// What the readers of this variable expect; of any other, the bare address.
#[must_use]
pub fn of(variable: &str) -> ClientEnv {
    match variable {
        // The client library of OpenAI, and its older name, which LangChain and others still read.
        "OPENAI_BASE_URL" | "OPENAI_API_BASE" => ClientEnv { path: "/v1", key: Some("OPENAI_API_KEY") },
        "PREFECT_API_URL" => ClientEnv { path: "/api", key: None },
        _ => ClientEnv::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_get_what_they_expect() {
        assert_eq!(of("OPENAI_BASE_URL"), ClientEnv { path: "/v1", key: Some("OPENAI_API_KEY") });
        assert_eq!(of("PREFECT_API_URL").path, "/api");
        for bare in ["MLFLOW_TRACKING_URI", "OLLAMA_HOST", "IRIS_URL"] {
            assert_eq!(of(bare), ClientEnv::default(), "{bare}");
        }
    }
}

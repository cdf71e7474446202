//! A2A's card of an agent, which says where the agent is: behind a guard that is where the guard is. Pure.

use serde_json::{Map, Value};
use url::Url;

/// The lists of a card whose entries have a `url` of the agent: of 1.0 and of 0.3.
const INTERFACES: [&str; 2] = ["supportedInterfaces", "additionalInterfaces"];

/// The card with the agent's URLs below `base`, their paths kept; none where it is no card.
#[must_use]
pub fn moved(card: &[u8], base: &str) -> Option<Vec<u8>> {
    let base = Url::parse(base).ok()?;
    let mut card: Map<String, Value> = serde_json::from_slice(card).ok()?;
    move_url(card.get_mut("url"), &base)?;
    for list in INTERFACES {
        for interface in card.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            move_url(interface.get_mut("url"), &base)?;
        }
    }
    serde_json::to_vec(&card).ok()
}

/// None where a URL is no text.
fn move_url(url: Option<&mut Value>, base: &Url) -> Option<()> {
    match url {
        Some(Value::String(url)) => {
            *url = below(url, base)?;
            Some(())
        }
        Some(Value::Null) | None => Some(()),
        Some(_) => None,
    }
}

fn below(url: &str, base: &Url) -> Option<String> {
    match Url::parse(url) {
        Ok(own) if matches!(own.scheme(), "http" | "https") => {
            let mut moved = base.clone();
            moved.set_path(&format!("{}{}", base.path().trim_end_matches('/'), own.path()));
            moved.set_query(own.query());
            Some(moved.to_string())
        }
        // gRPC's: a host and a port.
        _ => Some(format!("{}:{}", base.host_str()?, base.port_or_known_default()?)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_agent_is_where_its_guard_is() {
        let card = json!({"name": "a", "url": "http://127.0.0.1:9000/", "iconUrl": "http://icons/", "supportedInterfaces": [
            {"url": "http://10.0.0.7:9000/a2a?x=1", "protocolBinding": "JSONRPC"},
            {"url": "10.0.0.7:9001", "protocolBinding": "GRPC"}]});
        let expected = json!({"name": "a", "url": "https://ai.example/agents/", "iconUrl": "http://icons/",
            "supportedInterfaces": [
            {"url": "https://ai.example/agents/a2a?x=1", "protocolBinding": "JSONRPC"},
            {"url": "ai.example:443", "protocolBinding": "GRPC"}]});
        let found = moved(card.to_string().as_bytes(), "https://ai.example/agents/");
        assert_eq!(found.and_then(|card| serde_json::from_slice(&card).ok()), Some(expected));
    }

    #[test]
    fn what_is_no_card_is_not_shown() {
        for card in ["[]", "x", r#"{"url":7}"#, r#"{"supportedInterfaces":[{"url":[]}]}"#] {
            assert_eq!(moved(card.as_bytes(), "https://ai.example"), None, "{card}");
        }
    }
}

//! Lists in the result of a JSON-RPC message, which comes by itself or as the event of a stream (WHATWG HTML §9.2).

use serde_json::Value;

use super::listing::Entry;

/// The answer without the entries that `may` is false for; none where it is neither JSON-RPC nor events of it. Messages
/// that are no result (what the server says beside it, an error) stay as they are.
pub(super) fn cut(answer: &[u8], lists: &[(&str, Entry)], may: &dyn Fn(&str) -> bool) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(answer).ok()?;
    if text.trim_start().starts_with('{') { message(text, lists, may) } else { events(text, lists, may) }
        .map(String::into_bytes)
}

/// One message.
fn message(text: &str, lists: &[(&str, Entry)], may: &dyn Fn(&str) -> bool) -> Option<String> {
    let mut message: Value = serde_json::from_str(text).ok()?;
    if message.get("jsonrpc") != Some(&Value::from("2.0")) {
        return None;
    }
    if let Some(result) = message.get_mut("result") {
        let result = result.as_object_mut()?;
        for (list, entry) in lists {
            match result.get_mut(*list) {
                Some(Value::Array(entries)) => entries.retain(|found| entry.is_shown(found, may)),
                Some(_) => return None,
                None => {}
            }
        }
    }
    Some(message.to_string())
}

/// The events of a stream, each of which carries one message in its `data`.
fn events(text: &str, lists: &[(&str, Entry)], may: &dyn Fn(&str) -> bool) -> Option<String> {
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n");
    let mut cut = String::with_capacity(text.len());
    // What is behind the last empty line is no whole event: nobody would read it.
    for event in text.split_inclusive("\n\n").filter(|event| event.ends_with("\n\n")) {
        let mut data: Vec<&str> = Vec::new();
        for line in event.lines().filter(|line| !line.is_empty()) {
            match line.split_once(':').unwrap_or((line, "")) {
                ("data", value) => data.push(value.strip_prefix(' ').unwrap_or(value)),
                ("event" | "id" | "retry" | "", _) => cut.extend([line, "\n"]),
                _ => {}
            }
        }
        let data = data.join("\n");
        if !data.is_empty() {
            cut.extend(["data: ", &message(&data, lists, may)?, "\n"]);
        }
        cut.push('\n');
    }
    // Not one message: it was something else.
    cut.contains("data: ").then_some(cut)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LISTS: &[(&str, Entry)] = &[("tools", Entry::Members(&["name"]))];

    fn cut_text(answer: &str) -> Option<String> {
        cut(answer.as_bytes(), LISTS, &|name| name == "ours").and_then(|cut| String::from_utf8(cut).ok())
    }

    fn result() -> Value {
        json!({"jsonrpc": "2.0", "id": 1, "result": {"nextCursor": "c", "tools": [{"name": "ours"}, {"name": "theirs"}]}})
    }

    fn ours() -> Value {
        json!({"jsonrpc": "2.0", "id": 1, "result": {"nextCursor": "c", "tools": [{"name": "ours"}]}})
    }

    #[test]
    fn a_result_is_cut_by_itself_and_in_events() {
        assert_eq!(cut_text(&result().to_string()), Some(ours().to_string()));
        let note = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {}});
        let pretty = serde_json::to_string_pretty(&result()).unwrap_or_default().replace('\n', "\ndata:");
        for end in ["\n", "\r\n", "\r"] {
            let events = [
                ": ping".to_owned(),
                String::new(),
                format!("data: {note}"),
                String::new(),
                "event: message".to_owned(),
                "id: 7".to_owned(),
                format!("data:{}", pretty.replace('\n', end)),
                String::new(),
                "data: {\"cut".to_owned(),
            ];
            let expected = format!(": ping\n\ndata: {note}\n\nevent: message\nid: 7\ndata: {}\n\n", ours());
            assert_eq!(cut_text(&events.join(end)), Some(expected), "{end:?}");
        }
    }

    #[test]
    fn what_is_no_result_passes_or_is_not_shown() {
        let error = json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "no"}}).to_string();
        assert_eq!(cut_text(&error).as_deref(), Some(error.as_str()));
        for answer in [
            r#"{"result":{"tools":[{"name":"theirs"}]}}"#,
            r#"{"jsonrpc":"2.0","result":[{"name":"theirs"}]}"#,
            r#"{"jsonrpc":"2.0","result":{"tools":{"name":"theirs"}}}"#,
            "data: theirs\n\n",
            "theirs",
            "[{}]",
            "{",
        ] {
            assert_eq!(cut_text(answer), None, "{answer}");
        }
    }
}

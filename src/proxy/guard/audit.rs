//! One record per decision: who, what, and why.
//!
//! Target `audit`, so that a log filter or a collector can take it apart from
//! the rest. `jti` is the token's id, as in Keycloak's own login events.

use std::{
    cell::{Cell, RefCell},
    io::Write,
    time::{SystemTime, UNIX_EPOCH},
};

use http::HeaderMap;
use jiff::Timestamp;

use super::trace::{Random, TraceId};
use crate::{
    core::{policy::document::Audit, protocol::ModelUse},
    proxy::{auditlog::Lines, tokens::principal::Principal},
};

/// What there is to say of one decision.
#[derive(Clone, Copy, Debug, Default)]
pub struct Record<'a> {
    /// `allowed`, `denied`, `limited`, `refused`, `unavailable` or `failed`.
    pub decision: &'static str,
    /// The reason code, the exact one.
    pub reason: &'static str,
    /// The caller, once verified.
    pub principal: Option<&'a Principal>,
    /// The permission that was asked for.
    pub permission: Option<&'a str>,
    /// The model.
    pub models: Option<&'a ModelUse<'a>>,
    /// The route's pattern.
    pub route: Option<&'a str>,
    /// The AccessGrant that allowed it.
    pub grant: Option<&'a str>,
}

/// One worker's way to the audit log.
#[derive(Debug, Default)]
pub struct Auditor {
    /// What the process was started for.
    started_for: Audit,
    /// What counts for the request that this thread works at now.
    audit: Cell<Audit>,
    /// The file; `None`: records go the way of the other logs.
    lines: Option<Lines>,
    /// The trace of the request that this thread works at now.
    trace: Cell<Option<TraceId>>,
    random: Random,
    second: RefCell<Second>,
}

/// What the record of one request begins with.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    audit: Audit,
    trace: Option<TraceId>,
}

/// A second as text: the records of one share it.
#[derive(Debug, Default)]
struct Second {
    seconds: u64,
    text: String,
}

impl Auditor {
    /// Records of these decisions, into this file.
    pub fn new(audit: Audit, lines: Option<Lines>) -> Self {
        Self { started_for: audit, audit: Cell::new(audit), lines, ..Self::default() }
    }

    /// What is recorded of a request: as the endpoint's policy wants it, else what the process was started for. And the
    /// trace that it belongs to: one is begun only where its record is written in any case.
    pub fn begin(&self, wanted: Option<Audit>, headers: &mut HeaderMap) -> Entry {
        let audit = wanted.unwrap_or(self.started_for);
        Entry { audit, trace: TraceId::of(headers, audit == Audit::All, &self.random) }
    }

    /// From here on this thread works at this request.
    pub fn enter(&self, entry: Entry) {
        self.audit.set(entry.audit);
        self.trace.set(entry.trace);
    }

    /// Writes a record, if this kind is wanted.
    pub fn write(&self, record: &Record<'_>) {
        if !self.audit.get().wants(record.decision) {
            return;
        }
        match &self.lines {
            Some(lines) => lines.add(|line| self.put(line, record)),
            None => record.log(self.trace.get().as_ref()),
        }
    }

    /// One line of JSON. By hand: it is on the way of every call, and tracing's machinery costs more than the call itself.
    fn put(&self, line: &mut Vec<u8>, record: &Record<'_>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut second = self.second.borrow_mut();
        if second.seconds != now.as_secs() || second.text.is_empty() {
            let at =
                i64::try_from(now.as_secs()).ok().and_then(|at| Timestamp::from_second(at).ok()).unwrap_or_default();
            *second = Second { seconds: now.as_secs(), text: at.to_string().trim_end_matches('Z').to_owned() };
        }
        // Writing into memory does not fail.
        let _ = write!(line, "{{\"timestamp\":\"{}.{:06}Z\",\"target\":\"audit\"", second.text, now.subsec_micros());
        let trace = self.trace.get();
        for (name, value) in record.fields(trace.as_ref()) {
            if let Some(value) = value {
                line.extend_from_slice(b",\"");
                line.extend_from_slice(name.as_bytes());
                line.extend_from_slice(b"\":");
                let _ = serde_json::to_writer(&mut *line, value);
            }
        }
        line.extend_from_slice(b"}\n");
    }
}

impl Record<'_> {
    fn model(&self) -> Option<&str> {
        match self.models {
            Some(ModelUse::One(name)) => Some(name),
            Some(ModelUse::Every) => Some("*"),
            Some(ModelUse::None | ModelUse::InBody(_) | ModelUse::InQuery(_)) | None => None,
        }
    }

    fn fields<'a>(&'a self, trace: Option<&'a TraceId>) -> [(&'static str, Option<&'a str>); 11] {
        [
            ("decision", Some(self.decision)),
            ("reason", Some(self.reason)),
            ("client", self.principal.map(Principal::client)),
            ("sub", self.principal.map(Principal::subject)),
            ("on_behalf_of", self.principal.and_then(Principal::called_for)),
            ("jti", self.principal.and_then(Principal::token_id)),
            ("permission", self.permission),
            ("model", self.model()),
            ("route", self.route),
            ("grant", self.grant),
            ("trace_id", trace.map(TraceId::as_str)),
        ]
    }

    fn log(&self, trace: Option<&TraceId>) {
        tracing::info!(
            target: "audit",
            decision = self.decision,
            reason = self.reason,
            client = self.principal.map(Principal::client),
            sub = self.principal.map(Principal::subject),
            on_behalf_of = self.principal.and_then(Principal::called_for),
            jti = self.principal.and_then(Principal::token_id),
            permission = self.permission,
            model = self.model(),
            route = self.route,
            grant = self.grant,
            trace_id = trace.map(TraceId::as_str),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::{
        borrow::Cow,
        io,
        sync::{Arc, Mutex, PoisonError},
    };

    use serde_json::{Value, json};

    use super::*;
    use crate::proxy::tokens::principal::Times;

    /// Where the lines go.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(audit: Audit, record: &Record<'_>) -> Option<Value> {
        let paper = Paper::default();
        let copy = paper.clone();
        let subscriber =
            tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || copy.clone()).finish();
        tracing::subscriber::with_default(subscriber, || Auditor::new(audit, None).write(record));
        let text = paper.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        serde_json::from_slice(&text).ok()
    }

    #[test]
    fn a_record_says_who_what_and_why() {
        let principal = Principal::new("labeler.agents.workload", "9f6e", Some("trrtcc:1"), [], Times::default());
        let models = ModelUse::One(Cow::Borrowed("iris"));
        let record = Record {
            decision: "denied",
            reason: "role_missing",
            principal: Some(&principal),
            permission: Some("predict"),
            models: Some(&models),
            route: Some("/v2/models/{model}/infer"),
            grant: None,
        };
        let Some(line) = written(Audit::Denied, &record) else { panic!("nothing was written") };
        for (field, value) in [
            ("target", "audit"),
            ("decision", "denied"),
            ("reason", "role_missing"),
            ("client", "labeler.agents.workload"),
            ("sub", "9f6e"),
            ("jti", "trrtcc:1"),
            ("permission", "predict"),
            ("model", "iris"),
            ("route", "/v2/models/{model}/infer"),
        ] {
            assert_eq!(line[field], json!(value), "{field}");
        }
        assert_eq!(line.get("grant"), None);
    }

    #[test]
    fn a_line_in_the_file_says_the_same() {
        let principal = Principal::new("labeler.agents.workload", "9f\"6e", None, [], Times::default());
        let models = ModelUse::One(Cow::Borrowed("a\n{\"decision\":\"allowed\"}\u{2028}"));
        let record = Record {
            decision: "denied",
            reason: "role_missing",
            principal: Some(&principal),
            models: Some(&models),
            ..Record::default()
        };
        let auditor = Auditor::new(Audit::All, None);
        let mut headers = HeaderMap::new();
        let entry = auditor.begin(None, &mut headers);
        auditor.enter(entry);
        let mut line = Vec::new();
        auditor.put(&mut line, &record);
        auditor.put(&mut line, &record);
        let text = String::from_utf8(line).unwrap_or_default();
        assert_eq!(text.matches('\n').count(), 2, "no value ends a line: {text}");
        let Ok(found) = serde_json::from_str::<Value>(text.lines().next().unwrap_or_default()) else {
            panic!("{text}")
        };
        assert_eq!((&found["target"], &found["decision"]), (&json!("audit"), &json!("denied")));
        assert_eq!((&found["sub"], found.get("jti")), (&json!("9f\"6e"), None));
        assert_eq!(found["model"], json!("a\n{\"decision\":\"allowed\"}\u{2028}"));
        let id = found["trace_id"].as_str().unwrap_or_default();
        assert!(id.len() == 32 && headers["traceparent"].to_str().is_ok_and(|field| field.contains(id)), "{text}");
        let time = found["timestamp"].as_str().unwrap_or_default();
        assert!(time.parse::<Timestamp>().is_ok() && time.len() == 27, "{time}");
    }

    #[test]
    fn only_what_was_asked_for_is_written() {
        for (audit, decision, expected) in [
            (Audit::All, "allowed", true),
            (Audit::All, "denied", true),
            (Audit::Denied, "allowed", false),
            (Audit::Denied, "refused", true),
            (Audit::Denied, "unavailable", true),
            (Audit::Off, "denied", false),
        ] {
            let record = Record { decision, ..Record::default() };
            assert_eq!(written(audit, &record).is_some(), expected, "{audit:?} {decision}");
        }
    }

    /// The endpoint's owner decides, where the policy says something.
    #[test]
    fn a_policy_says_what_is_recorded() {
        let auditor = Auditor::new(Audit::Denied, None);
        for (wanted, decision, expected) in [
            (None, "allowed", false),
            (Some(Audit::All), "allowed", true),
            (Some(Audit::Off), "denied", false),
            (None, "denied", true),
        ] {
            auditor.enter(auditor.begin(wanted, &mut HeaderMap::new()));
            assert_eq!(auditor.audit.get().wants(decision), expected, "{wanted:?} {decision}");
        }
    }
}

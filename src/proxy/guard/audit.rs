//! One record per decision: who, what, and why.
//!
//! Target `audit`, so that a log filter or a collector can take it apart from
//! the rest. `jti` is the token's id, as in Keycloak's own login events.

use serde::Deserialize;

use crate::{core::protocol::ModelUse, proxy::tokens::claims::Principal};

/// Which decisions are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Audit {
    /// Every decision. Costs a log line per request.
    All,
    /// What was not allowed. Allowed requests are counted in the metrics only.
    #[default]
    Denied,
    /// Nothing.
    Off,
}

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

impl Audit {
    /// Writes a record, if this kind is wanted.
    pub fn write(self, record: &Record<'_>) {
        let wanted = match self {
            Self::All => true,
            Self::Denied => record.decision != "allowed",
            Self::Off => false,
        };
        if !wanted {
            return;
        }
        let model = match record.models {
            Some(ModelUse::One(name)) => Some(&**name),
            Some(ModelUse::Every) => Some("*"),
            Some(ModelUse::None | ModelUse::InBody(_) | ModelUse::InQuery(_)) | None => None,
        };
        tracing::info!(
            target: "audit",
            decision = record.decision,
            reason = record.reason,
            client = record.principal.map(|p| &*p.client),
            sub = record.principal.map(|p| &*p.subject),
            jti = record.principal.and_then(|p| p.token_id.as_deref()),
            permission = record.permission,
            model,
            route = record.route,
            grant = record.grant,
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
        tracing::subscriber::with_default(subscriber, || audit.write(record));
        let text = paper.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        serde_json::from_slice(&text).ok()
    }

    #[test]
    fn a_record_says_who_what_and_why() {
        let principal = Principal {
            client: "labeler.agents.workload".into(),
            subject: "9f6e".into(),
            token_id: Some("trrtcc:1".into()),
            roles: Box::new([]),
            expires_at: 0,
            not_before: 0,
            issued_at: None,
        };
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
}

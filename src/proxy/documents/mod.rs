//! Documents from the operator: from a file and from the stream, the newest wins.

pub mod file;
pub mod stream;

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    core::{name::Ref, policy::compiled::CompileError},
    proxy::{
        egress::state::EgressError,
        http::connect::OriginError,
        metrics::{HalfLabels, Metrics},
    },
};

/// A document of one half.
pub trait Numbered: DeserializeOwned + Send + 'static {
    /// `guard` or `egress`: in URLs, logs and metrics.
    const HALF: &'static str;

    /// Of two documents the one with the higher number wins.
    fn number(&self) -> u64;
}

/// What puts documents in force. Called on the control thread only.
pub trait Consumer: Send + Sync + 'static {
    /// What it takes.
    type Document: Numbered;

    /// Puts a document in force, or leaves everything as it was.
    fn apply(self: &Arc<Self>, document: Self::Document) -> Result<(), ApplyError>;

    /// The object is gone.
    fn delete(self: &Arc<Self>, number: u64);

    /// The object whose documents these are, as far as it is known.
    fn identity(&self) -> Option<Ref>;

    /// The ports that the document in force names.
    fn ports(&self) -> Vec<u16>;
}

/// Why a document is not put in force.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Not JSON of the expected form.
    #[error("the document does not parse: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It cannot be told from older ones.
    #[error("the document has no number")]
    NoNumber,
    /// For another object than this proxy stands for.
    #[error("the document is for {0}, not for this proxy's object")]
    WrongObject(Ref),
    /// A credential whose key is none.
    #[error("the credential's key is not readable")]
    Key,
    /// A guard policy that cannot be.
    #[error(transparent)]
    Policy(#[from] CompileError),
    /// An introspection endpoint that cannot be used.
    #[error("introspection: {0}")]
    Introspection(#[from] OriginError),
    /// A token endpoint that cannot be used.
    #[error("signIn: {0}")]
    SignIn(#[source] OriginError),
    /// An egress configuration that cannot be.
    #[error(transparent)]
    Egress(#[from] EgressError),
}

impl ApplyError {
    /// The code for the metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) | Self::NoNumber => "malformed",
            Self::WrongObject(_) => "wrong_object",
            Self::Key => "key",
            Self::Policy(error) => error.into(),
            Self::Introspection(_) => "introspection",
            Self::SignIn(_) => "sign_in",
            Self::Egress(error) => error.into(),
        }
    }
}

/// What became of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// In force now.
    Applied,
    /// Not newer than what is in force.
    Older,
    /// Refused: what was in force stays so.
    Refused,
}

/// The one door for documents of one half.
#[derive(Debug)]
pub struct Intake<C> {
    consumer: Arc<C>,
    metrics: Arc<Metrics>,
    number: Mutex<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tombstone {
    deleted: bool,
    number: u64,
}

impl<C: Consumer> Intake<C> {
    /// A door to `consumer`.
    pub fn new(consumer: Arc<C>, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { consumer, metrics, number: Mutex::new(0) })
    }

    /// Whom the documents are for.
    pub fn consumer(&self) -> &Arc<C> {
        &self.consumer
    }

    /// The number of the newest document put in force; 0: none.
    pub fn number(&self) -> u64 {
        *self.number.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a document in force whose number its source has made to rise. A refusal is logged and counted here.
    pub fn put(&self, source: &'static str, document: C::Document) -> bool {
        let mut number = self.number.lock().unwrap_or_else(PoisonError::into_inner);
        let (half, at) = (C::Document::HALF, document.number());
        let result = match self.consumer.apply(document) {
            Ok(()) => {
                *number = at;
                tracing::info!(half, source, number = at, "a policy document is in force");
                "applied"
            }
            Err(error) => {
                tracing::error!(half, source, %error, in_force = *number, "a policy document was refused; the last good one stays in force");
                error.reason()
            }
        };
        self.metrics.documents.get_or_create(&HalfLabels { half, result }).inc();
        result == "applied"
    }

    /// Offers a document's text. A refusal is logged and counted here.
    pub fn offer(&self, source: &'static str, text: &[u8]) -> Outcome {
        let mut number = self.number.lock().unwrap_or_else(PoisonError::into_inner);
        let half = C::Document::HALF;
        let (outcome, result) = match self.try_offer(text, &mut number) {
            Ok(Outcome::Applied) => {
                tracing::info!(half, source, number = *number, "a policy document is in force");
                (Outcome::Applied, "applied")
            }
            Ok(outcome) => (outcome, "older"),
            Err(error) => {
                tracing::error!(half, source, %error, in_force = *number, "a policy document was refused; the last good one stays in force");
                (Outcome::Refused, error.reason())
            }
        };
        self.metrics.documents.get_or_create(&HalfLabels { half, result }).inc();
        outcome
    }

    fn try_offer(&self, text: &[u8], number: &mut u64) -> Result<Outcome, ApplyError> {
        // A document never parses as a tombstone: it has other fields.
        if let Ok(Tombstone { deleted: true, number: at }) = serde_json::from_slice(text) {
            if at <= *number {
                return Ok(Outcome::Older);
            }
            self.consumer.delete(at);
            *number = at;
            return Ok(Outcome::Applied);
        }
        let document: C::Document = serde_json::from_slice(text)?;
        let at = document.number();
        if at == 0 {
            return Err(ApplyError::NoNumber);
        }
        if at <= *number {
            return Ok(Outcome::Older);
        }
        self.consumer.apply(document)?;
        *number = at;
        Ok(Outcome::Applied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Note {
        number: u64,
        text: String,
    }

    impl Numbered for Note {
        const HALF: &'static str = "test";
        fn number(&self) -> u64 {
            self.number
        }
    }

    #[derive(Default)]
    struct Board(Mutex<String>);

    impl Consumer for Board {
        type Document = Note;
        fn apply(self: &Arc<Self>, note: Note) -> Result<(), ApplyError> {
            if note.text == "bad" {
                return Err(ApplyError::WrongObject(Ref::new("a", "b")));
            }
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = note.text;
            Ok(())
        }
        fn delete(self: &Arc<Self>, _: u64) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        fn identity(&self) -> Option<Ref> {
            None
        }
        fn ports(&self) -> Vec<u16> {
            Vec::new()
        }
    }

    #[test]
    fn the_newest_good_one_is_in_force() {
        let board = Arc::new(Board::default());
        let intake = Intake::new(Arc::clone(&board), Arc::default());
        use Outcome::*;
        for (text, outcome, shown, number) in [
            (r#"{"number":5,"text":"five"}"#, Applied, "five", 5),
            (r#"{"number":0,"text":"zero"}"#, Refused, "five", 5),
            (r#"{"number":5,"text":"again"}"#, Older, "five", 5),
            (r#"{"number":4,"text":"four"}"#, Older, "five", 5),
            (r#"{"number":9,"text":"bad"}"#, Refused, "five", 5),
            ("{", Refused, "five", 5),
            (r#"{"number":6}"#, Refused, "five", 5),
            (r#"{"number":6,"text":"six","x":1}"#, Refused, "five", 5),
            (r#"{"number":6,"text":"six"}"#, Applied, "six", 6),
            (r#"{"deleted":true,"number":6}"#, Older, "six", 6),
            (r#"{"deleted":false,"number":7}"#, Refused, "six", 6),
            (r#"{"deleted":true,"number":7}"#, Applied, "", 7),
            (r#"{"number":7,"text":"back"}"#, Older, "", 7),
            (r#"{"number":8,"text":"back"}"#, Applied, "back", 8),
        ] {
            assert_eq!(intake.offer("test", text.as_bytes()), outcome, "{text}");
            assert_eq!(*board.0.lock().unwrap_or_else(PoisonError::into_inner), shown, "{text}");
            assert_eq!(intake.number(), number, "{text}");
        }
    }
}

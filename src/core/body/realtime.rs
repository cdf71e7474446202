//! A message of a client to OpenAI's `realtime`: which models it names, and whether it chooses that of the session. Pure.

use std::borrow::Cow;

use super::{
    json::{self, JsonError},
    model::{self, MODEL},
};

/// Where the tools of a conversation are described, by schemas with members of any name.
const TOOLS: &str = "tools";
/// The message that chooses.
const UPDATE: &str = "session.update";

/// A message that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// What it names, at any depth: the session's model, who transcribes.
    pub models: Vec<Cow<'a, str>>,
    /// The session's own model is among them. Whatever else is said of models leaves it as it is.
    pub chooses: bool,
}

/// Reads a message.
pub fn read(text: &[u8]) -> Result<Message<'_>, JsonError> {
    let models = json::everywhere(text, MODEL, model::may_choose, TOOLS)?;
    let [kind, own, session] = json::select(text, ["type", MODEL, "session"])?;
    let is_update = kind.map(json::text).transpose()?.is_some_and(|kind| kind == UPDATE);
    let within = match session {
        Some(session) if session.starts_with('{') => json::select(session.as_bytes(), [MODEL])?[0],
        _ => None,
    };
    let own = own.or(within).map(json::text).transpose()?;
    Ok(Message { models, chooses: is_update && own.is_some_and(|name| !name.is_empty()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_chooses_or_only_names() {
        use JsonError::*;
        for (text, expected) in [
            (r#"{"type":"session.update","model":"a"}"#, Ok((vec!["a"], true))),
            (r#"{"type":"session.update","session":{"model":"a"}}"#, Ok((vec!["a"], true))),
            (r#"{"type":"session\u002eupdate","session":{"model":"a"},"model":null}"#, Ok((vec!["a"], true))),
            (r#"{"type":"session.update","model":"b","session":{"model":"a"}}"#, Ok((vec!["b", "a"], true))),
            // The server goes on with what it had.
            (r#"{"type":"session.update","session":{"transcription":{"model":"a"}}}"#, Ok((vec!["a"], false))),
            (r#"{"type":"session.update","x":{"session":{"model":"a"}}}"#, Ok((vec!["a"], false))),
            (r#"{"type":"session.update","session":[{"model":"a"}]}"#, Ok((vec!["a"], false))),
            (r#"{"type":"session.update","session":{"model":""}}"#, Ok((vec![""], false))),
            (r#"{"type":"response.create","model":"a"}"#, Ok((vec!["a"], false))),
            (r#"{"model":"a"}"#, Ok((vec!["a"], false))),
            (r#"{"type":"session.update","session":{"tools":[{"model":1}]}}"#, Ok((vec![], false))),
            (r#"{"type":"session.update","type":"x","model":"a"}"#, Err(DuplicateMember)),
            (r#"{"type":"session.update","session":{},"Session":{"model":"a"}}"#, Err(LookalikeMember)),
            (r#"{"type":1}"#, Err(NotText)),
            (r#"["session.update"]"#, Err(NotAnObject)),
        ] {
            let found = read(text.as_bytes()).map(|Message { models, chooses }| (models, chooses));
            let expected = expected.map(|(models, chooses)| (models.into_iter().map(Cow::Borrowed).collect(), chooses));
            assert_eq!(found, expected, "{text}");
        }
    }
}

//! The model that a body names, and whatever else in a request might choose one.

use std::borrow::Cow;

use super::json::{JsonError, Member, member};
use crate::core::{percent, protocol::JsonModel};

/// The longest name of a model, in bytes. It goes into the audit record.
pub const MAX_NAME: usize = 512;

/// What a body says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named<'a> {
    /// This model.
    Model(Cow<'a, str>),
    /// None; here one can be put in.
    Nothing(Gap<'a>),
}

/// A body that names no model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap<'a> {
    body: &'a [u8],
    name: &'a str,
    member: Member<'a>,
}

/// Why it cannot be told which model a body names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ModelError {
    /// The body cannot be read.
    #[error(transparent)]
    #[strum(transparent)]
    Json(#[from] JsonError),
    /// Longer than [`MAX_NAME`].
    #[error("the model's name in the body is too long")]
    NameTooLong,
    /// One in `model`, another one in `name`.
    #[error("the body names two models, in \"model\" and in \"name\"")]
    TwoNames,
}

/// The model that a body names. An empty name is none: servers take it for "the default".
pub fn named<'a>(body: &'a [u8], place: JsonModel<'a>) -> Result<Named<'a>, ModelError> {
    let (member_name, name) = match place {
        JsonModel::Member(name) => (name, None),
        JsonModel::ModelOrName => (MODEL, said(&member(body, "name", |_| false)?)?),
    };
    let model = member(body, member_name, rivals_of(member_name))?;
    match (said(&model)?, name) {
        (Some(model), Some(name)) if model != name => Err(ModelError::TwoNames),
        (Some(one), _) | (None, Some(one)) => Ok(Named::Model(one)),
        (None, None) => Ok(Named::Nothing(Gap { body, name: member_name, member: model })),
    }
}

/// The member or part that names it.
pub const MODEL: &str = "model";

impl<'a> JsonModel<'a> {
    /// The member to set.
    #[must_use]
    pub fn name(self) -> &'a str {
        match self {
            Self::Member(name) => name,
            Self::ModelOrName => MODEL,
        }
    }
}

/// What may choose a model beside what is called this. Beside a name of somebody's own, nobody knows of any.
#[must_use]
pub fn rivals_of(name: &str) -> fn(&str) -> bool {
    if name == MODEL { may_choose } else { |_| false }
}

fn said<'a>(member: &Member<'a>) -> Result<Option<Cow<'a, str>>, ModelError> {
    match &member.text {
        Some(text) if text.len() > MAX_NAME => Err(ModelError::NameTooLong),
        Some(text) if !text.is_empty() => Ok(Some(text.clone())),
        Some(_) | None => Ok(None),
    }
}

impl Gap<'_> {
    /// The body with this model in it, so that the server takes the one that was decided on.
    #[must_use]
    pub fn fill(&self, model: &str) -> Vec<u8> {
        self.member.set(self.body, self.name, model)
    }
}

/// Whether something of this name, in whatever letter case, may choose a model beside or instead of `model`: LiteLLM takes
/// `fallbacks`, `deployment_id` and `user_config`, OpenRouter `models`, SGLang `lora_path`, llama.cpp `lora`.
///
/// Asked of each header and each member of each call: it takes nothing from the heap, and no search of its own for each part.
pub fn may_choose(name: &str) -> bool {
    let name = name.as_bytes();
    (0..name.len()).any(|at| chooses_by(&name[at..]))
        || [b"deployment_id".as_slice(), b"user_config"].iter().any(|whole| name.eq_ignore_ascii_case(whole))
}

/// Whether a name goes on with a part that is of a name that chooses.
fn chooses_by(rest: &[u8]) -> bool {
    let part: &[u8] = match rest.first().map(u8::to_ascii_lowercase) {
        Some(b'm') => b"model",
        Some(b'f') => b"fallback",
        Some(b'l') => b"lora",
        Some(b'a') => b"adapter",
        _ => return false,
    };
    rest.get(..part.len()).is_some_and(|here| here.eq_ignore_ascii_case(part))
}

/// Whether a query may choose a model: LiteLLM takes `?model=` before what is in the body. Names and values alike are
/// looked at: servers disagree about what parts them.
pub fn query_may_choose(query: &str) -> bool {
    let text: String = percent::bytes(query).map(|(byte, _)| char::from(byte.to_ascii_lowercase())).collect();
    text.contains(MODEL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str, place: JsonModel<'_>) -> Result<Option<String>, ModelError> {
        match named(body.as_bytes(), place)? {
            Named::Model(name) => Ok(Some(name.into_owned())),
            Named::Nothing(_) => Ok(None),
        }
    }

    #[test]
    fn a_model_is_named_once() {
        use JsonModel::ModelOrName;
        const JSON: JsonModel<'static> = JsonModel::Member(MODEL);
        let rival = Err(ModelError::Json(JsonError::RivalMember));
        for (place, body, expected) in [
            (JSON, r#"{"model":"m"}"#, Ok(Some("m"))),
            (JSON, r#"{"model":"m","name":"n"}"#, Ok(Some("m"))),
            (JSON, r#"{"name":"n"}"#, Ok(None)),
            (JSON, r#"{"model":""}"#, Ok(None)),
            (JSON, r#"{"model":"m","models":["n"]}"#, rival),
            (JSON, r#"{"model":"m","Fallbacks":[{"model":"n"}]}"#, rival),
            (JSON, r#"{"model":"m","context_window_fallbacks":[]}"#, rival),
            (JSON, r#"{"model":"m","deployment_id":"n"}"#, rival),
            (JSON, r#"{"model":"m","user_config":{}}"#, rival),
            (JSON, r#"{"model":"m","lora":[{"id":1,"scale":1}]}"#, rival),
            (JSON, r#"{"model":"m","lora_path":"n"}"#, rival),
            (JSON, r#"{"model":"m","adapter_id":"n"}"#, rival),
            (JSON, r#"{"model":"m","modalities":["text"],"metadata":{"model":"n"},"fallbacks":null}"#, Ok(Some("m"))),
            (ModelOrName, r#"{"model":"m"}"#, Ok(Some("m"))),
            (ModelOrName, r#"{"name":"n"}"#, Ok(Some("n"))),
            (ModelOrName, r#"{"model":"","name":"n"}"#, Ok(Some("n"))),
            (ModelOrName, r#"{"model":"m","name":""}"#, Ok(Some("m"))),
            (ModelOrName, r#"{"model":"m","name":"m"}"#, Ok(Some("m"))),
            (ModelOrName, r#"{"model":"m","name":"n"}"#, Err(ModelError::TwoNames)),
            (ModelOrName, r#"{"model":"m","Name":"n"}"#, Err(ModelError::Json(JsonError::LookalikeMember))),
            (ModelOrName, r#"{"model":null}"#, Ok(None)),
        ] {
            assert_eq!(read(body, place), expected.map(|name| name.map(str::to_owned)), "{place:?} {body}");
        }
        let long = |length: usize| read(&format!(r#"{{"model":"{}"}}"#, "m".repeat(length)), JSON);
        assert!(long(MAX_NAME).is_ok_and(|name| name.is_some()));
        assert_eq!(long(MAX_NAME + 1), Err(ModelError::NameTooLong));
    }

    #[test]
    fn a_model_is_put_in_where_there_is_none() {
        let Ok(Named::Nothing(gap)) = named(br#"{"model":"","name":""}"#, JsonModel::ModelOrName) else {
            panic!("a gap")
        };
        assert_eq!(gap.fill("m"), br#"{"model":"m","name":""}"#);
    }

    #[test]
    fn names_that_may_choose() {
        for name in [
            "model",
            "Models",
            "x-litellm-MODEL",
            "fallbacks",
            "xFallback",
            "lora",
            "xlora_path",
            "adapter_id",
            "User_Config",
        ] {
            assert!(may_choose(name), "{name}");
        }
        for name in
            ["", "m", "mode", "modal", "ummm", "content-type", "deployment", "user_configs", "adapte", "fall-back"]
        {
            assert!(!may_choose(name), "{name}");
        }
    }

    #[test]
    fn queries_that_may_choose() {
        for query in ["model=m", "a=b&MODEL=m", "a=b;model=m", "%6dodel=m", "mod%65l", "model%5B%5D=m", "a%26model"] {
            assert!(query_may_choose(query), "{query}");
        }
        for query in ["", "api-version=2024-10-21", "beta=true", "%", "%6", "%zz", "mode=l", "%c3%a9"] {
            assert!(!query_may_choose(query), "{query}");
        }
    }

    #[test]
    fn reasons_are_those_of_what_failed() {
        let reason = |error: ModelError| -> &'static str { error.into() };
        assert_eq!(reason(ModelError::Json(JsonError::NotUtf8)), "not_utf8");
        assert_eq!(reason(ModelError::TwoNames), "two_names");
    }
}

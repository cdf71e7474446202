//! The claims of a token that a policy asks for, read from its payload. Pure.

use std::fmt;

use serde::{
    Deserializer,
    de::{self, IgnoredAny},
};
use serde_json::Value;

use super::{claims::ClaimError, text::Text};
use crate::core::claims::{Claim, ClaimSet};

/// Reads those of these names. One that comes twice has two readings, and is refused.
pub fn read(payload: &[u8], wanted: &[Box<str>]) -> Result<ClaimSet, ClaimError> {
    let mut json = serde_json::Deserializer::from_slice(payload);
    let claims = json.deserialize_map(Visitor { wanted }).map_err(|_| ClaimError::InvalidClaims)?;
    json.end().map_err(|_| ClaimError::InvalidClaims)?;
    Ok(claims)
}

struct Visitor<'w> {
    wanted: &'w [Box<str>],
}

impl<'de> de::Visitor<'de> for Visitor<'_> {
    type Value = ClaimSet;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the claims of a token")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<ClaimSet, A::Error> {
        let mut claims = ClaimSet::default();
        while let Some(name) = map.next_key::<Text<'de>>()? {
            if !self.wanted.iter().any(|wanted| **wanted == *name) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            if claims.get(&name).is_some() {
                return Err(de::Error::custom("doubled claim"));
            }
            claims.insert(&name, claim(map.next_value()?));
        }
        Ok(claims)
    }
}

fn claim(value: Value) -> Claim {
    match value {
        Value::String(text) => Claim::Text(text.into()),
        Value::Array(values) => {
            let texts = values.into_iter().map(|value| match value {
                Value::String(text) => Some(text.into()),
                _ => None,
            });
            texts.collect::<Option<_>>().map_or(Claim::Other, Claim::List)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Claim::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(names: &[&str]) -> Vec<Box<str>> {
        names.iter().map(|name| (*name).into()).collect()
    }

    #[test]
    fn what_is_asked_for_is_read_and_nothing_else() {
        let payload = br#"{"iss":"i","data":["public","open"],"version":"2","n":7,"b":true,"o":{},"null":null,"mixed":["a",1],"x":"y"}"#;
        let claims = read(payload, &wanted(&["data", "version", "n", "b", "o", "null", "mixed", "absent"]));
        let claims = claims.expect("claims");
        assert_eq!(claims.get("data"), Some(&Claim::List(["public".into(), "open".into()].into())));
        assert_eq!(claims.get("version"), Some(&Claim::Text("2".into())));
        for name in ["n", "b", "o", "null", "mixed"] {
            assert_eq!(claims.get(name), Some(&Claim::Other), "{name}");
        }
        assert_eq!((claims.get("absent"), claims.get("x")), (None, None));
    }

    #[test]
    fn two_readings_are_refused() {
        let wanted = wanted(&["data"]);
        for payload in [
            r#"{"data":"public","data":"secret"}"#,
            r#"{"data":"public","d\u0061ta":"secret"}"#,
            r#"{"data":"public"}{}"#,
            r#"["data"]"#,
            r#"{"data":}"#,
        ] {
            assert_eq!(read(payload.as_bytes(), &wanted).err(), Some(ClaimError::InvalidClaims), "{payload}");
        }
        assert!(read(br#"{"other":1,"other":2}"#, &wanted).is_ok(), "what nobody asks for has no reading");
    }
}

//! Claims as written → as they are compared and set.

use super::{Problems, invalid};
use crate::{
    api::{
        IdentityClaim,
        common::{Absent, ClaimRequirement},
    },
    core::claims::{ClaimTest, ClaimValue, Requirement, is_reserved},
};

/// What tokens have to carry. `field` is where that is written.
pub fn requirements(field: &str, written: &[ClaimRequirement], problems: &mut Problems) -> Vec<Requirement> {
    let mut all = Vec::new();
    for (index, written) in written.iter().enumerate() {
        let field = format!("{field}[{index}]");
        match requirement(written) {
            Some(requirement) if requirement.is_sound() => all.push(requirement),
            Some(_) => {
                problems.push(invalid(&field, "the claim's name and what it is compared with must not be empty"))
            }
            None => problems.push(invalid(&field, "name one of equals, in, contains, absent")),
        }
    }
    all
}

fn requirement(written: &ClaimRequirement) -> Option<Requirement> {
    let ClaimRequirement { claim, equals, one_of, contains, absent } = written.clone();
    let is = match (equals, one_of, contains, absent) {
        (Some(text), None, None, None) => ClaimTest::Equals(text),
        (None, Some(texts), None, None) => ClaimTest::In(texts),
        (None, None, Some(text), None) => ClaimTest::Contains(text),
        (None, None, None, Some(Absent::Required)) => ClaimTest::Absent,
        _ => return None,
    };
    Some(Requirement { claim, is })
}

/// What an identity says of itself, in order.
pub fn values(written: &[IdentityClaim], problems: &mut Problems) -> Vec<(String, ClaimValue)> {
    let mut all = Vec::<(String, ClaimValue)>::new();
    for (index, IdentityClaim { name, value, values }) in written.iter().enumerate() {
        let field = format!("spec.claims[{index}]");
        let value = match (value, values) {
            (Some(text), None) => ClaimValue::Text(text.clone()),
            (None, Some(texts)) => ClaimValue::List(texts.clone()),
            _ => {
                problems.push(invalid(&field, "name either value or values"));
                continue;
            }
        };
        if is_reserved(name) {
            problems
                .push(invalid(&field, format!("{name:?} says who calls, or is the realm's own: choose another name")));
        } else if all.iter().any(|(known, _)| known == name) {
            problems.push(invalid(&field, format!("{name:?} is named twice")));
        } else {
            all.push((name.clone(), value));
        }
    }
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_test_is_named() {
        let written = |equals: Option<&str>, absent| ClaimRequirement {
            claim: "data".into(),
            equals: equals.map(str::to_owned),
            absent,
            ..ClaimRequirement::default()
        };
        for (written, expected) in [
            (written(Some("public"), None), Some(ClaimTest::Equals("public".into()))),
            (written(None, Some(Absent::Required)), Some(ClaimTest::Absent)),
            (written(Some("public"), Some(Absent::Required)), None),
            (written(None, None), None),
            (written(Some(""), None), None),
        ] {
            let mut problems = Problems::new();
            let found = requirements("spec.require", std::slice::from_ref(&written), &mut problems);
            assert_eq!(found.into_iter().next().map(|found| found.is), expected, "{written:?}");
            assert_eq!(problems.is_empty(), expected.is_some(), "{problems:?}");
        }
    }

    #[test]
    fn nobody_says_of_himself_who_he_is() {
        let claim = |name: &str, value: Option<&str>| IdentityClaim {
            name: name.into(),
            value: value.map(str::to_owned),
            values: None,
        };
        let mut problems = Problems::new();
        let written =
            [claim("version", Some("2")), claim("azp", Some("x")), claim("data", None), claim("version", Some("3"))];
        assert_eq!(values(&written, &mut problems), [("version".to_owned(), ClaimValue::Text("2".into()))]);
        let said: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
        assert!(
            said.len() == 3 && said[0].contains("azp") && said[1].contains("values") && said[2].contains("twice"),
            "{said:?}"
        );
    }
}

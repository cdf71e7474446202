//! Custom routes: a pattern over path segments. Pure.

use crate::core::{
    path::{CanonicalPath, MAX_SEGMENTS},
    policy::document::{Access, Rule},
    protocol::{ModelUse, Route, WEBSOCKET},
};

/// A [`Rule`] that was checked and split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledRule {
    methods: Box<[Box<str>]>,
    parts: Box<[Part]>,
    /// The pattern ends in `**`.
    rest: bool,
    pattern: Box<str>,
    access: Access,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    Model,
    Any,
}

/// Why a rule is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum RuleError {
    /// No leading slash, an empty segment, a byte that no canonical path holds, or too long.
    #[error(
        "the rule's path {0:?} can match no request: it begins with \"/\", and its segments hold only plain characters"
    )]
    InvalidPath(String),
    /// `**` anywhere but at the end, or `{…}` other than `{model}`, or `{model}` twice.
    #[error(
        "the rule's path {0:?} has a misplaced wildcard: one segment may be \"*\" or, once, \"{{model}}\"; \"**\" only ends it"
    )]
    InvalidWildcard(String),
    /// Not an upper-case method.
    #[error("the rule's method {0:?} is no upper-case HTTP method")]
    InvalidMethod(String),
}

impl CompiledRule {
    /// Checks and splits a rule.
    pub fn compile(rule: &Rule) -> Result<Self, RuleError> {
        let Rule { methods, path, access } = rule;
        if let Some(bad) = methods.iter().find(|m| m.is_empty() || !m.bytes().all(|b| b.is_ascii_uppercase())) {
            return Err(RuleError::InvalidMethod(bad.clone()));
        }
        let invalid_path = || RuleError::InvalidPath(path.clone());
        let mut segments: Vec<&str> = path.strip_prefix('/').ok_or_else(invalid_path)?.split('/').collect();
        let rest = segments.last() == Some(&"**");
        if rest || segments.last() == Some(&"") {
            segments.pop();
        }
        if segments.len() > MAX_SEGMENTS {
            return Err(invalid_path());
        }
        let parts = segments.into_iter().map(|segment| part(segment, path)).collect::<Result<Box<[_]>, _>>()?;
        if parts.iter().filter(|part| **part == Part::Model).count() > 1 {
            return Err(RuleError::InvalidWildcard(path.clone()));
        }
        let methods = methods.iter().map(|m| m.as_str().into()).collect();
        Ok(Self { methods, parts, rest, pattern: path.as_str().into(), access: access.clone() })
    }

    /// The route, when the rule matches.
    ///
    /// A trailing slash makes no difference: servers tend to serve `/a/` as
    /// `/a`, and a strict rule must not be stepped around by adding one.
    pub fn route<'a>(&'a self, method: &str, path: CanonicalPath<'a>) -> Option<Route<'a>> {
        // Every method is not a websocket too: what goes over one is looked at by nobody.
        let fits =
            if self.methods.is_empty() { method != WEBSOCKET } else { self.methods.iter().any(|m| **m == *method) };
        if !fits {
            return None;
        }
        let mut model = ModelUse::Every;
        let mut segments = path.segments().peekable();
        for part in &self.parts {
            let segment = segments.next().filter(|segment| !segment.is_empty())?;
            match part {
                Part::Literal(literal) if **literal == *segment => {}
                Part::Literal(_) => return None,
                Part::Any => {}
                Part::Model => model = ModelUse::named(segment)?,
            }
        }
        let ended = match segments.next() {
            None => true,
            Some("") => segments.next().is_none(),
            Some(_) => false,
        };
        (ended || self.rest).then(|| self.answer(model))
    }

    fn answer<'a>(&'a self, models: ModelUse<'a>) -> Route<'a> {
        match &self.access {
            Access::Public => Route::public(&self.pattern),
            Access::Permission(permission) => Route::new(&self.pattern, permission.as_str(), models),
        }
    }

    /// What the rule asks for.
    pub fn access(&self) -> &Access {
        &self.access
    }
}

fn part(segment: &str, path: &str) -> Result<Part, RuleError> {
    match segment {
        "*" => Ok(Part::Any),
        "{model}" => Ok(Part::Model),
        "**" => Err(RuleError::InvalidWildcard(path.to_owned())),
        _ if segment.contains(['{', '}']) => Err(RuleError::InvalidWildcard(path.to_owned())),
        _ => {
            let literal = format!("/{segment}");
            let plain = !segment.is_empty() && !segment.contains('%') && CanonicalPath::parse(&literal).is_ok();
            if plain { Ok(Part::Literal(segment.into())) } else { Err(RuleError::InvalidPath(path.to_owned())) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::permission::Permission;

    fn rule(methods: &[&str], path: &str) -> Rule {
        let permission = Permission::parse("read").map(Access::Permission).unwrap_or(Access::Public);
        Rule { methods: methods.iter().map(|m| (*m).to_owned()).collect(), path: path.to_owned(), access: permission }
    }

    #[test]
    fn matching() {
        for (pattern, path, expected) in [
            ("/", "/", Some("*")),
            ("/", "/a", None),
            ("/**", "/", Some("*")),
            ("/**", "/a/b/c/", Some("*")),
            ("/a", "/a", Some("*")),
            ("/a", "/a/", Some("*")),
            ("/a/", "/a", Some("*")),
            ("/a", "/A", None),
            ("/a", "/a/b", None),
            ("/a", "/ab", None),
            ("/a/*", "/a/b", Some("*")),
            ("/a/*", "/a/", None),
            ("/a/*", "/a", None),
            ("/a/*", "/a/b/c", None),
            ("/a/**", "/a", Some("*")),
            ("/a/**", "/a/", Some("*")),
            ("/a/**", "/a/b/c", Some("*")),
            ("/a/**", "/ab", None),
            ("/m/{model}/run", "/m/iris/run", Some("iris")),
            ("/m/{model}/run", "/m/a%20b/run", Some("a b")),
            ("/m/{model}/run", "/m//run", None),
            ("/m/{model}/**", "/m/iris", Some("iris")),
            ("/m/{model}/**", "/m/", None),
            ("/m/*/{model}:predict", "/m/x/y:predict", None),
        ] {
            let Ok(compiled) = CompiledRule::compile(&rule(&[], pattern)) else {
                assert!(expected.is_none() && pattern.contains("}:"), "{pattern}");
                continue;
            };
            let Ok(path) = CanonicalPath::parse(path) else {
                assert!(expected.is_none(), "{path}");
                continue;
            };
            let found = compiled.route("GET", path).map(|route| match route.models {
                ModelUse::One(name) => name.into_owned(),
                ModelUse::Every | ModelUse::InBody(_) | ModelUse::InQuery(_) => "*".to_owned(),
                ModelUse::None => "-".to_owned(),
            });
            assert_eq!(found.as_deref(), expected, "{pattern} {}", path.as_str());
        }
    }

    #[test]
    fn methods_narrow() {
        let Ok(compiled) = CompiledRule::compile(&rule(&["GET", "POST"], "/a")) else { panic!("compiles") };
        let Ok(path) = CanonicalPath::parse("/a") else { panic!("parses") };
        assert!(compiled.route("GET", path).is_some());
        assert!(compiled.route("DELETE", path).is_none());
        assert!(compiled.route("get", path).is_none());
        let Ok(compiled) = CompiledRule::compile(&rule(&[], "/a")) else { panic!("compiles") };
        assert!(compiled.route("DELETE", path).is_some());
        assert!(compiled.route(WEBSOCKET, path).is_none());
        let Ok(compiled) = CompiledRule::compile(&rule(&[WEBSOCKET], "/a")) else { panic!("compiles") };
        assert!(compiled.route(WEBSOCKET, path).is_some());
        assert!(compiled.route("GET", path).is_none());
    }

    #[test]
    fn what_could_never_match_is_refused() {
        for path in ["", "a", "//", "/a//b", "/a/../b", "/a;b", "/a%20b", "/a b", "/é"] {
            assert!(matches!(CompiledRule::compile(&rule(&[], path)), Err(RuleError::InvalidPath(_))), "{path}");
        }
        for path in ["/**/a", "/{x}", "/{model}/{model}", "/a{model}"] {
            assert!(matches!(CompiledRule::compile(&rule(&[], path)), Err(RuleError::InvalidWildcard(_))), "{path}");
        }
        for method in ["", "get", "P T"] {
            assert!(matches!(CompiledRule::compile(&rule(&[method], "/a")), Err(RuleError::InvalidMethod(_))));
        }
    }
}

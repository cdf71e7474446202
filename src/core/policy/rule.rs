//! Custom routes: a pattern over path segments. Pure.

use crate::core::{
    path::{CanonicalPath, MAX_SEGMENTS},
    policy::document::{Access, ModelPlace, Protocol, Rule},
    protocol::{BodyModel, JsonModel, ModelUse, Route, WEBSOCKET},
};

/// The longest name of a parameter, member or part, in bytes.
const MAX_NAME: usize = 64;
/// The most messages within messages that a field is looked for in.
const MAX_FIELDS: usize = 8;
/// The highest number of a field (protobuf's language guide, "Assigning Field Numbers").
const MAX_FIELD: u32 = (1 << 29) - 1;

/// A [`Rule`] that was checked and split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledRule {
    methods: Box<[Box<str>]>,
    parts: Box<[Part]>,
    /// The pattern ends in `**`.
    rest: bool,
    pattern: Box<str>,
    access: Access,
    place: Option<ModelPlace>,
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
    /// A name that has two readings somewhere, or no field's number.
    #[error(
        "the place of the model in the rule for {0:?} is none: a name has 1 to 64 letters, digits, \"_\", \"-\" and \".\", \
         and a field's way 1 to 8 numbers from 1 to 536870911"
    )]
    InvalidModel(String),
    /// In the path as well, or of a route that anybody may call.
    #[error("the rule for {0:?} names the model twice, or is public and needs none: leave out its model")]
    NeedlessModel(String),
    /// Messages of gRPC are protobuf, everything else is not; and what goes over a websocket is not read.
    #[error(
        "the rule for {0:?} looks for the model where no request of its kind has it: gRPC has it in protobuf, \
         a websocket in its query, everything else in query, json or multipart"
    )]
    MisplacedModel(String),
}

impl CompiledRule {
    /// Checks and splits a rule of an endpoint that speaks `protocol`.
    pub fn compile(rule: &Rule, protocol: Protocol) -> Result<Self, RuleError> {
        let Rule { methods, path, access, model } = rule;
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
        if let Some(place) = model {
            check_place(rule, place, protocol)?;
            if parts.contains(&Part::Model) || *access == Access::Public {
                return Err(RuleError::NeedlessModel(path.clone()));
            }
        }
        let methods = methods.iter().map(|m| m.as_str().into()).collect();
        let (pattern, access, place) = (path.as_str().into(), access.clone(), model.clone());
        Ok(Self { methods, parts, rest, pattern, access, place })
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
        let mut model = self.place.as_ref().map_or(ModelUse::Every, in_place);
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

fn in_place(place: &ModelPlace) -> ModelUse<'_> {
    match place {
        ModelPlace::Query(parameter) => ModelUse::InQuery(parameter),
        ModelPlace::Json(member) => ModelUse::InBody(BodyModel::Json(JsonModel::Member(member))),
        ModelPlace::Multipart(part) => ModelUse::InBody(BodyModel::Multipart(part)),
        ModelPlace::Protobuf(fields) => ModelUse::InBody(BodyModel::Protobuf(fields)),
    }
}

fn check_place(rule: &Rule, place: &ModelPlace, protocol: Protocol) -> Result<(), RuleError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let is_valid = match place {
        ModelPlace::Query(name) | ModelPlace::Json(name) | ModelPlace::Multipart(name) => {
            // Only of letters and digits is another name that looks the same known by them.
            name.len() <= MAX_NAME && name.bytes().all(plain) && name.bytes().any(|byte| byte.is_ascii_alphanumeric())
        }
        ModelPlace::Protobuf(fields) => {
            (1..=MAX_FIELDS).contains(&fields.len()) && fields.iter().all(|field| (1..=MAX_FIELD).contains(field))
        }
    };
    let is_grpc = protocol == Protocol::Grpc;
    let fits = match place {
        ModelPlace::Query(_) => !is_grpc,
        ModelPlace::Json(_) | ModelPlace::Multipart(_) => !is_grpc && !rule.methods.iter().any(|m| m == WEBSOCKET),
        ModelPlace::Protobuf(_) => is_grpc,
    };
    match (is_valid, fits) {
        (true, true) => Ok(()),
        (false, _) => Err(RuleError::InvalidModel(rule.path.clone())),
        (true, false) => Err(RuleError::MisplacedModel(rule.path.clone())),
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
        let methods = methods.iter().map(|m| (*m).to_owned()).collect();
        Rule { methods, path: path.to_owned(), access: permission, model: None }
    }

    fn compile(rule: &Rule) -> Result<CompiledRule, RuleError> {
        CompiledRule::compile(rule, Protocol::Http)
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
            let Ok(compiled) = compile(&rule(&[], pattern)) else {
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
        let Ok(compiled) = compile(&rule(&["GET", "POST"], "/a")) else { panic!("compiles") };
        let Ok(path) = CanonicalPath::parse("/a") else { panic!("parses") };
        assert!(compiled.route("GET", path).is_some());
        assert!(compiled.route("DELETE", path).is_none());
        assert!(compiled.route("get", path).is_none());
        let Ok(compiled) = compile(&rule(&[], "/a")) else { panic!("compiles") };
        assert!(compiled.route("DELETE", path).is_some());
        assert!(compiled.route(WEBSOCKET, path).is_none());
        let Ok(compiled) = compile(&rule(&[WEBSOCKET], "/a")) else { panic!("compiles") };
        assert!(compiled.route(WEBSOCKET, path).is_some());
        assert!(compiled.route("GET", path).is_none());
    }

    #[test]
    fn what_could_never_match_is_refused() {
        for path in ["", "a", "//", "/a//b", "/a/../b", "/a;b", "/a%20b", "/a b", "/é"] {
            assert!(matches!(compile(&rule(&[], path)), Err(RuleError::InvalidPath(_))), "{path}");
        }
        for path in ["/**/a", "/{x}", "/{model}/{model}", "/a{model}"] {
            assert!(matches!(compile(&rule(&[], path)), Err(RuleError::InvalidWildcard(_))), "{path}");
        }
        for method in ["", "get", "P T"] {
            assert!(matches!(compile(&rule(&[method], "/a")), Err(RuleError::InvalidMethod(_))));
        }
    }

    #[test]
    fn a_model_is_where_the_rule_says() {
        let field = |name: &str| name.to_owned();
        for (place, protocol, expected) in [
            (ModelPlace::Query(field("deployment")), Protocol::Http, "in query deployment"),
            (ModelPlace::Json(field("engine")), Protocol::Ray, "in JSON engine"),
            (ModelPlace::Json(field("model")), Protocol::Http, "in JSON"),
            (ModelPlace::Multipart(field("voice.model")), Protocol::Http, "in multipart voice.model"),
            (ModelPlace::Protobuf(vec![3, 1]), Protocol::Grpc, "in protobuf [3, 1]"),
        ] {
            let rule = Rule { model: Some(place), ..rule(&["POST"], "/a") };
            let Ok(compiled) = CompiledRule::compile(&rule, protocol) else { panic!("{rule:?} compiles") };
            let Ok(path) = CanonicalPath::parse("/a") else { panic!("parses") };
            let words = compiled.route("POST", path).map(|route| crate::core::protocol::tests::words(&route));
            assert_eq!(words, Some(("read".to_owned(), expected.to_owned())));
        }
    }

    #[test]
    fn a_model_where_none_can_be_is_refused() {
        use Protocol::{Grpc, Http};
        let json = |name: &str| ModelPlace::Json(name.to_owned());
        let query = || ModelPlace::Query("model".into());
        let message = |fields: &[u32]| ModelPlace::Protobuf(fields.to_vec());
        let reason = |method: &str, path: &str, place: ModelPlace, protocol: Protocol| {
            let rule = Rule { model: Some(place), ..rule(&[method], path) };
            CompiledRule::compile(&rule, protocol).map(|_| ()).map_err(<&'static str>::from)
        };
        for (method, path, place, protocol, expected) in [
            ("POST", "/a", json("model"), Http, Ok(())),
            ("POST", "/a", json(""), Http, Err("invalid_model")),
            ("POST", "/a", json("a[]"), Http, Err("invalid_model")),
            ("POST", "/a", json("--"), Http, Err("invalid_model")),
            ("POST", "/a", json(&"m".repeat(65)), Http, Err("invalid_model")),
            ("POST", "/{model}", json("model"), Http, Err("needless_model")),
            ("POST", "/a", json("model"), Grpc, Err("misplaced_model")),
            ("POST", "/a", query(), Grpc, Err("misplaced_model")),
            (WEBSOCKET, "/a", query(), Http, Ok(())),
            (WEBSOCKET, "/a", json("model"), Http, Err("misplaced_model")),
            ("POST", "/a", message(&[1]), Http, Err("misplaced_model")),
            ("POST", "/a", message(&[]), Grpc, Err("invalid_model")),
            ("POST", "/a", message(&[1; 9]), Grpc, Err("invalid_model")),
            ("POST", "/a", message(&[0]), Grpc, Err("invalid_model")),
            ("POST", "/a", message(&[1 << 29]), Grpc, Err("invalid_model")),
        ] {
            assert_eq!(reason(method, path, place, protocol), expected, "{method} {path}");
        }
        let public = Rule { access: Access::Public, model: Some(query()), ..rule(&["GET"], "/a") };
        assert!(matches!(compile(&public), Err(RuleError::NeedlessModel(_))));
    }
}

//! The counters of allowed requests: looked up once for each policy, so that counting is one addition.
//!
//! A model is a label only where the policy names it: in the endpoint's closed list or in a grant. Any other is `other`, so
//! that nobody makes series by inventing names.

use std::{collections::HashMap, sync::OnceLock};

use prometheus_client::metrics::{counter::Counter, family::Family};

use crate::{
    core::{policy::compiled::CompiledPolicy, protocol::ModelUse},
    proxy::metrics::DecisionLabels,
};

/// The most models that are labels. The others are `other`.
const MAX_MODELS: usize = 256;
/// The label of a model that no policy names.
const OTHER: &str = "other";
/// The label of a call that touches every model.
const EVERY: &str = "*";

/// Those of one policy.
#[derive(Debug, Default)]
pub struct Counters {
    all: Family<DecisionLabels, Counter>,
    allowed: Vec<(Box<str>, Allowed)>,
    /// The models that are labels.
    models: HashMap<Box<str>, usize>,
}

/// Those of one permission. Made when they are first needed: most models are asked for one thing.
#[derive(Debug, Default)]
struct Allowed {
    none: OnceLock<Counter>,
    every: OnceLock<Counter>,
    other: OnceLock<Counter>,
    named: Vec<OnceLock<Counter>>,
}

impl Counters {
    /// Those of `policy`, among all of the process.
    pub fn of(policy: &CompiledPolicy, all: &Family<DecisionLabels, Counter>) -> Self {
        let names = policy.named_models().into_iter().take(MAX_MODELS);
        let models: HashMap<Box<str>, usize> = names.enumerate().map(|(at, name)| (name.into(), at)).collect();
        let allowed = || Allowed { named: models.iter().map(|_| OnceLock::new()).collect(), ..Allowed::default() };
        let allowed = policy.permissions().into_iter().map(|permission| (permission.into(), allowed())).collect();
        Self { all: all.clone(), allowed, models }
    }

    /// Those of a guard without a policy.
    pub fn without(all: &Family<DecisionLabels, Counter>) -> Self {
        Self { all: all.clone(), ..Self::default() }
    }

    /// Counts an allowed request.
    pub fn allowed(&self, permission: &str, models: &ModelUse<'_>) {
        let Some((_, allowed)) = self.allowed.iter().find(|(name, _)| **name == *permission) else { return };
        let (place, model) = match models {
            ModelUse::One(name) => match self.models.get_key_value(&**name) {
                Some((name, at)) => (&allowed.named[*at], &**name),
                None => (&allowed.other, OTHER),
            },
            ModelUse::Every => (&allowed.every, EVERY),
            ModelUse::None | ModelUse::InBody(_) | ModelUse::InQuery(_) => (&allowed.none, ""),
        };
        let make = || self.all.get_or_create_owned(&labels("allowed", "granted", permission, model));
        place.get_or_init(make).inc();
    }

    /// Counts any other decision.
    pub fn other(&self, decision: &'static str, reason: &'static str, permission: &str, models: Option<&ModelUse<'_>>) {
        let model = match models {
            Some(ModelUse::One(name)) => self.models.get_key_value(&**name).map_or(OTHER, |(name, _)| &**name),
            Some(ModelUse::Every) => EVERY,
            Some(ModelUse::None | ModelUse::InBody(_) | ModelUse::InQuery(_)) | None => "",
        };
        self.all.get_or_create(&labels(decision, reason, permission, model)).inc();
    }
}

fn labels(decision: &'static str, reason: &'static str, permission: &str, model: &str) -> DecisionLabels {
    DecisionLabels { decision, reason, permission: permission.to_owned(), model: model.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::core::policy::compiled::tests::document;

    #[test]
    fn only_models_of_the_policy_are_labels() {
        let mut document = document();
        document.grants[0].models = Some(vec!["iris".to_owned()]);
        let Ok(policy) = CompiledPolicy::compile(document) else { panic!("compiles") };
        let all = Family::default();
        let counters = Counters::of(&policy, &all);
        let one = |name: &'static str| ModelUse::One(Cow::Borrowed(name));
        for models in [one("iris"), one("iris"), one("a"), one("b"), one("c"), ModelUse::Every, ModelUse::None] {
            counters.allowed("predict", &models);
            counters.other("denied", "no_grant", "predict", Some(&models));
        }
        counters.allowed("unknown", &one("iris"));
        for (model, expected) in [("iris", 2), ("other", 3), ("*", 1), ("", 1), ("a", 0)] {
            for (decision, reason) in [("allowed", "granted"), ("denied", "no_grant")] {
                let found = all.get_or_create(&labels(decision, reason, "predict", model)).get();
                assert_eq!(found, expected, "{decision} {model}");
            }
        }
    }
}

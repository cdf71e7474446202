//! Signing keys and their rotation.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How the keys of one algorithm are rotated. All times are in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyRotation {
    /// The algorithm, such as `RS256` (RFC 7518) or `EdDSA` (RFC 8037).
    pub algorithm: String,
    /// What makes such keys.
    pub generator: KeyGenerator,
    /// How long a key signs.
    pub rotate_every: u64,
    /// How long a key is published before it signs, so that whoever caches the key set has it by then.
    pub publish_before: u64,
    /// How long a key is still good for verification after it has signed last. Not less than the longest lifetime of
    /// what it signed.
    pub keep: u64,
    /// Whether other keys of the algorithm, which are not ours, stop signing once one of ours does.
    pub demote_others: bool,
}

/// A provider of Keycloak that generates keys, and its one parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum KeyGenerator {
    /// RSA of so many bits.
    Rsa(u32),
    /// ECDSA over a curve of RFC 7518, such as `P-256`.
    Ecdsa(&'static str),
    /// EdDSA over a curve of RFC 8037, such as `Ed25519`.
    Eddsa(&'static str),
}

impl KeyGenerator {
    /// Keycloak's id of the provider.
    #[must_use]
    pub fn provider_id(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "rsa-generated",
            Self::Ecdsa(_) => "ecdsa-generated",
            Self::Eddsa(_) => "eddsa-generated",
        }
    }

    fn parameter(&self) -> (&'static str, String) {
        match self {
            Self::Rsa(bits) => ("keySize", bits.to_string()),
            Self::Ecdsa(curve) => ("ecdsaEllipticCurveKey", (*curve).to_owned()),
            Self::Eddsa(curve) => ("eddsaEllipticCurveKey", (*curve).to_owned()),
        }
    }
}

/// A provider of keys: a `ComponentRepresentation` of type [`KEY_PROVIDER`].
///
/// Keycloak drops settings that the provider does not know, so where one of ours is in its life stands in its name, which
/// people see in the console; that it is ours is told by its id, which only we derive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KeyComponent {
    /// Internal id; Keycloak takes ours.
    pub id: String,
    /// The name that the console shows.
    pub name: String,
    /// What makes the key, such as `rsa-generated`.
    pub provider_id: String,
    /// Always [`KEY_PROVIDER`].
    pub provider_type: String,
    /// Settings, each a list of one. A PUT merges them.
    pub config: BTreeMap<String, Vec<String>>,
}

/// The type of the components that provide keys.
pub const KEY_PROVIDER: &str = "org.keycloak.keys.KeyProvider";
/// Ours stand above every priority that Keycloak gives by itself (100), and each above its predecessor.
const BASE_PRIORITY: u64 = 1000;
const PREFIX: &str = "keywire ";

/// Where one of our keys is in its life. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyState {
    /// Counts the keys of one algorithm, from 1.
    pub generation: u64,
    /// Whether it verifies: it is in the key set.
    pub enabled: bool,
    /// Whether it signs, unless a later one does.
    pub active: bool,
    /// When it was made.
    pub created: u64,
    /// When it began to sign.
    pub activated: Option<u64>,
    /// When it ceased to sign.
    pub retired: Option<u64>,
}

impl KeyComponent {
    /// One setting.
    #[must_use]
    pub fn config(&self, name: &str) -> Option<&str> {
        self.config.get(name)?.first().map(String::as_str)
    }

    /// The algorithm that the key signs with; RSA providers that name none are for RS256.
    #[must_use]
    pub fn algorithm(&self) -> Option<&str> {
        match (self.provider_id.as_str(), self.config("algorithm")) {
            ("rsa-enc-generated" | "rsa-enc" | "aes-generated" | "hmac-generated" | "ecdh-generated", _) => None,
            (_, Some(algorithm)) => Some(algorithm),
            ("rsa-generated" | "rsa" | "java-keystore", None) => Some("RS256"),
            ("eddsa-generated", None) => Some("EdDSA"),
            ("ecdsa-generated", None) => match self.config("ecdsaEllipticCurveKey") {
                Some("P-384") => Some("ES384"),
                Some("P-521") => Some("ES512"),
                _ => Some("ES256"),
            },
            _ => None,
        }
    }

    /// Whether it signs, as far as its own settings go. Keycloak takes absent ones for true.
    #[must_use]
    pub fn is_signing(&self) -> bool {
        ["enabled", "active"].iter().all(|name| self.config(name) != Some("false"))
    }

    /// Where the key is in its life, if it is one of ours. `realm` is the id that stands for the realm.
    #[must_use]
    pub fn state(&self, realm: Uuid) -> Option<KeyState> {
        let (head, life) = self.name.strip_prefix(PREFIX)?.split_once(": ")?;
        let (algorithm, generation) = head.split_once(' ')?;
        let generation = generation.parse().ok()?;
        let time = |word: &str| {
            let text = life.split(", ").find_map(|part| part.strip_prefix(word))?;
            u64::try_from(text.parse::<Timestamp>().ok()?.as_second()).ok()
        };
        let is_ours = self.id == key_id(realm, algorithm, generation) && self.algorithm() == Some(algorithm);
        Some(KeyState {
            generation,
            enabled: self.config("enabled") != Some("false"),
            active: self.config("active") != Some("false"),
            created: time(MADE)?,
            activated: time(SIGNS),
            retired: time(RETIRED),
        })
        .filter(|_| is_ours)
    }
}

const MADE: &str = "made ";
const SIGNS: &str = "signs since ";
const RETIRED: &str = "retired ";

fn key_id(realm: Uuid, algorithm: &str, generation: u64) -> String {
    Uuid::new_v5(&realm, format!("key/{algorithm}/{generation}").as_bytes()).to_string()
}

impl KeyState {
    /// The name that tells where the key is in its life.
    #[must_use]
    pub fn name(&self, algorithm: &str) -> String {
        let time = |word: &str, seconds: u64| {
            let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
            format!("{word}{}", time.unwrap_or_default())
        };
        let life = [(MADE, Some(self.created)), (SIGNS, self.activated), (RETIRED, self.retired)];
        let life: Vec<_> = life.into_iter().filter_map(|(word, seconds)| Some(time(word, seconds?))).collect();
        format!("{PREFIX}{algorithm} {}: {}", self.generation, life.join(", "))
    }

    /// The settings that follow from it.
    #[must_use]
    pub fn config(&self) -> BTreeMap<String, Vec<String>> {
        let settings = [
            ("priority", (BASE_PRIORITY + self.generation).to_string()),
            ("enabled", self.enabled.to_string()),
            ("active", self.active.to_string()),
        ];
        settings.into_iter().map(|(name, value)| (name.to_owned(), vec![value])).collect()
    }
}

impl KeyRotation {
    /// The key of a generation as Keycloak is to make it. `realm` is the id that stands for the realm.
    #[must_use]
    pub fn component(&self, realm: Uuid, state: &KeyState) -> KeyComponent {
        let (parameter, value) = self.generator.parameter();
        let mut config = state.config();
        config.insert(parameter.to_owned(), vec![value]);
        if matches!(self.generator, KeyGenerator::Rsa(_)) {
            config.insert("algorithm".to_owned(), vec![self.algorithm.clone()]);
        }
        KeyComponent {
            id: key_id(realm, &self.algorithm, state.generation),
            name: state.name(&self.algorithm),
            provider_id: self.generator.provider_id().to_owned(),
            provider_type: KEY_PROVIDER.to_owned(),
            config,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotation(algorithm: &str, generator: KeyGenerator) -> KeyRotation {
        let algorithm = algorithm.to_owned();
        KeyRotation { algorithm, generator, rotate_every: 9, publish_before: 1, keep: 1, demote_others: false }
    }

    #[test]
    fn a_keys_life_stands_in_its_name() {
        let realm = Uuid::from_u128(7);
        let made =
            KeyState { generation: 3, enabled: true, active: false, created: 10, activated: None, retired: None };
        let signing = KeyState { active: true, activated: Some(20), ..made.clone() };
        let retired = KeyState { enabled: false, active: false, retired: Some(30), ..signing.clone() };
        for rotation in [
            rotation("RS256", KeyGenerator::Rsa(2048)),
            rotation("ES384", KeyGenerator::Ecdsa("P-384")),
            rotation("EdDSA", KeyGenerator::Eddsa("Ed25519")),
        ] {
            for state in [&made, &signing, &retired] {
                let key = rotation.component(realm, state);
                assert_eq!(key.state(realm).as_ref(), Some(state), "{}", key.name);
                assert_eq!(key.state(Uuid::from_u128(8)), None, "another realm's");
                let renamed = KeyComponent { name: "keywire x".into(), ..key.clone() };
                assert_eq!(renamed.state(realm), None);
                assert!(key.name.len() < 255);
            }
        }
        let key = rotation("RS256", KeyGenerator::Rsa(2048)).component(realm, &signing);
        assert_eq!(key.name, "keywire RS256 3: made 1970-01-01T00:00:10Z, signs since 1970-01-01T00:00:20Z");
    }

    #[test]
    fn keycloaks_own_keys_have_the_algorithm_that_they_do_not_name() {
        for (provider, config, algorithm) in [
            ("rsa-generated", None, Some("RS256")),
            ("rsa-generated", Some(("algorithm", "PS256")), Some("PS256")),
            ("rsa-enc-generated", Some(("algorithm", "RSA-OAEP")), None),
            ("hmac-generated", Some(("algorithm", "HS512")), None),
            ("ecdsa-generated", Some(("ecdsaEllipticCurveKey", "P-521")), Some("ES512")),
            ("eddsa-generated", None, Some("EdDSA")),
            ("theirs", None, None),
        ] {
            let config = config.into_iter().map(|(name, value)| (name.to_owned(), vec![value.to_owned()])).collect();
            let key = KeyComponent { provider_id: provider.into(), config, ..Default::default() };
            assert_eq!(key.algorithm(), algorithm, "{provider}");
        }
    }
}

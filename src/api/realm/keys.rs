//! Signing keys that are rotated on a schedule.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tokens::SignatureAlgorithm;
use crate::{
    api::common::Seconds,
    core::desired::{KeyGenerator, KeyRotation},
};

/// Keys of one algorithm that are rotated on a schedule.
///
/// A new key is published before it signs, and an old one verifies for a while after it signed last, so no token fails
/// in between. Keycloak's own keys stay as they are; ours sign because of their higher priority.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("duration(self.rotateEvery) >= duration(self.publishBefore) + duration(self.publishBefore)")
    .message("spec.keys[].rotateEvery must be at least twice publishBefore"))]
pub struct Keys {
    /// The algorithm. Tokens are signed with it where `tokens.signatureAlgorithm`, or the client, says so.
    pub algorithm: SignatureAlgorithm,
    /// How long a key signs.
    #[serde(default = "ninety_days")]
    pub rotate_every: Seconds,
    /// How long a key is published before it signs: longer than verifiers cache the key set.
    #[serde(default = "one_day")]
    pub publish_before: Seconds,
    /// How long a key still verifies after it signed last. At the least the longest lifetime of tokens and sessions of
    /// the realm; say more where a client has longer ones of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Seconds>,
    /// Size of RSA keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<KeySize>,
    /// What becomes of other keys of the algorithm, such as the one that Keycloak made with the realm.
    #[serde(default)]
    pub other_keys: OtherKeys,
}

/// Size of an RSA key in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names are the sizes")]
pub enum KeySize {
    #[serde(rename = "2048")]
    Bits2048,
    #[serde(rename = "3072")]
    Bits3072,
    #[serde(rename = "4096")]
    Bits4096,
}

/// What becomes of keys that are not ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OtherKeys {
    /// They stay as they are. Ours sign, since they have the higher priority; the others would again if ours went.
    #[default]
    Leave,
    /// They sign no more once one of ours does, and still verify. That is not undone by choosing `Leave` again.
    Passive,
}

fn ninety_days() -> Seconds {
    Seconds(90 * 24 * 3600)
}

fn one_day() -> Seconds {
    Seconds(24 * 3600)
}

impl Keys {
    pub(super) fn desired(&self) -> KeyRotation {
        let bits = match self.size {
            None | Some(KeySize::Bits2048) => 2048,
            Some(KeySize::Bits3072) => 3072,
            Some(KeySize::Bits4096) => 4096,
        };
        let publish_before = u64::from(self.publish_before.0);
        KeyRotation {
            algorithm: self.algorithm.name().to_owned(),
            generator: match self.algorithm {
                SignatureAlgorithm::ES256 => KeyGenerator::Ecdsa("P-256"),
                SignatureAlgorithm::ES384 => KeyGenerator::Ecdsa("P-384"),
                SignatureAlgorithm::ES512 => KeyGenerator::Ecdsa("P-521"),
                SignatureAlgorithm::EdDSA => KeyGenerator::Eddsa("Ed25519"),
                _ => KeyGenerator::Rsa(bits),
            },
            // Older objects than the rule: never sign for less time than it takes to publish the next key.
            rotate_every: u64::from(self.rotate_every.0).max(2 * publish_before),
            publish_before,
            keep: self.keep.map_or(0, |Seconds(seconds)| seconds.into()),
            demote_others: self.other_keys == OtherKeys::Passive,
        }
    }
}

//! Makes and reads certificates.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use x509_parser::{extensions::GeneralName, pem::parse_x509_pem};

use super::due::{BACKDATE, CA_LIFETIME, Certificate, LEAF_LIFETIME};

/// Why no certificate was made.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum IssueError {
    /// The library refused. Its messages hold no key.
    #[error("cannot make a certificate: {0}")]
    Rcgen(#[from] rcgen::Error),
}

/// A certificate and its key, PEM. No `Debug`: the key must not reach a log.
#[derive(Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its private key (PKCS #8).
    pub key: String,
}

/// A new CA.
pub fn new_ca(now: i64) -> Result<Pair, IssueError> {
    let key = KeyPair::generate()?;
    let mut params = ca_params(&key);
    valid(&mut params, now, now - BACKDATE + CA_LIFETIME);
    Ok(Pair { certificate: params.self_signed(&key)?.pem(), key: key.serialize_pem() })
}

/// A new leaf for servers of these names, signed by the CA, valid no longer than it.
pub fn new_leaf(now: i64, ca: &Pair, ca_not_after: i64, names: &[String]) -> Result<Pair, IssueError> {
    let (key, ca_key) = (KeyPair::generate()?, KeyPair::from_pem(&ca.key)?);
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = named("Keywire".to_owned());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    valid(&mut params, now, ca_not_after.min(now - BACKDATE + LEAF_LIFETIME));
    let issuer = ca_params(&ca_key);
    let certificate = params.signed_by(&key, &Issuer::from_params(&issuer, &ca_key))?;
    Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
}

// All that an issuer must know of a CA follows from its key, so the key alone is kept. The
// name differs from CA to CA: verifiers, and we, tell by it which CA signed what.
fn ca_params(key: &KeyPair) -> CertificateParams {
    let hash = digest(&SHA256, key.public_key_raw());
    let id: String = hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let mut params = CertificateParams::default();
    params.distinguished_name = named(format!("Keywire CA {id}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn named(common_name: String) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn valid(params: &mut CertificateParams, now: i64, until: i64) {
    let at = |seconds: i64| date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds.max(0).unsigned_abs());
    params.not_before = at(now - BACKDATE);
    params.not_after = at(until);
}

/// What a certificate (PEM) says; `None`: it is unreadable.
pub fn inspect(pem: &[u8]) -> Option<Certificate> {
    let (_, pem) = parse_x509_pem(pem).ok()?;
    let x509 = pem.parse_x509().ok()?;
    let alternatives = x509.subject_alternative_name().ok()?;
    let general = alternatives.iter().flat_map(|extension| &extension.value.general_names);
    let dns = general.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    });
    let mut names: Vec<String> = dns.collect();
    names.sort();
    Some(Certificate {
        subject: x509.subject().as_raw().to_vec(),
        issuer: x509.issuer().as_raw().to_vec(),
        not_before: x509.validity().not_before.timestamp(),
        not_after: x509.validity().not_after.timestamp(),
        names,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{
        RootCertStore,
        client::{WebPkiServerVerifier, danger::ServerCertVerifier},
        crypto::aws_lc_rs,
    };
    use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};

    use super::*;
    use crate::admission::certificates::{Action, Material, due, server_names};

    fn verifies(bundle: &[&Pair], leaf: &Pair, name: &str, now: i64) -> bool {
        let mut roots = RootCertStore::empty();
        for ca in bundle {
            roots.add(CertificateDer::from_pem_slice(ca.certificate.as_bytes()).unwrap()).unwrap();
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let leaf = CertificateDer::from_pem_slice(leaf.certificate.as_bytes()).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now.unsigned_abs()));
        verifier.verify_server_cert(&leaf, &[], &ServerName::try_from(name.to_owned()).unwrap(), &[], now).is_ok()
    }

    #[test]
    fn what_is_made_reads_back_and_verifies() {
        let (now, mut names) = (1_800_000_000, server_names("keywire-system"));
        names.sort();
        let ca = new_ca(now).unwrap();
        let ca_read = inspect(ca.certificate.as_bytes()).unwrap();
        let leaf = new_leaf(now, &ca, ca_read.not_after, &names).unwrap();
        let leaf_read = inspect(leaf.certificate.as_bytes()).unwrap();
        assert_eq!((&leaf_read.issuer, &leaf_read.names), (&ca_read.subject, &names));
        assert_eq!(leaf_read.not_after - leaf_read.not_before, LEAF_LIFETIME);
        for name in &names {
            assert!(verifies(&[&ca], &leaf, name, now), "{name}");
        }
        assert!(!verifies(&[&ca], &leaf, "keywire-webhook.other.svc", now));
        assert!(!verifies(&[&new_ca(now).unwrap()], &leaf, &names[0], now));
        assert!(!verifies(&[&ca], &leaf, &names[0], leaf_read.not_after + 1));
        assert_eq!(inspect(b"nonsense"), None);
    }

    /// Three years of keeping: at each step what is served verifies against what was published.
    #[test]
    fn nothing_is_served_that_is_not_trusted_long_enough() {
        let (start, mut names) = (1_800_000_000, server_names("ns"));
        names.sort();
        let (mut now, mut cas, mut leaf): (i64, Vec<Pair>, Option<Pair>) = (start, vec![], None);
        let (mut rotations, mut bundle_changed) = (0, i64::MIN);
        while now < start + 3 * CA_LIFETIME {
            let read = |pair: Option<&Pair>| pair.and_then(|pair| inspect(pair.certificate.as_bytes()));
            let material = Material { ca: read(cas.first()), previous: read(cas.get(1)), leaf: read(leaf.as_ref()) };
            match due(now, &material, &names) {
                Action::NewCa => {
                    cas.insert(0, new_ca(now).unwrap());
                    cas.truncate(2);
                    (rotations, bundle_changed) = (rotations + 1, now);
                }
                Action::NewLeaf => {
                    assert!(leaf.is_none() || cas.len() == 1 || now - bundle_changed >= 3600, "a CA not yet known");
                    leaf = Some(new_leaf(now, &cas[0], material.ca.unwrap().not_after, &names).unwrap());
                }
                Action::DropPrevious => cas.truncate(1),
                Action::WaitUntil(then) => {
                    assert!(then > now);
                    let bundle: Vec<&Pair> = cas.iter().collect();
                    for at in [now, then] {
                        assert!(verifies(&bundle, leaf.as_ref().unwrap(), &names[0], at), "at {at}");
                    }
                    now = then;
                }
            }
        }
        assert!((4..=6).contains(&rotations), "{rotations} CAs in three years");
    }
}

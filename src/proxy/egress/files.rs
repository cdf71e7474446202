//! The credential as files, for an application that logs in at Keycloak itself.
//!
//! As the kubelet does with Secrets: every file is a link through one directory link, which is replaced by a rename. A reader
//! sees all of one credential, never half of each.

use std::{fs, io, os::unix::fs::symlink, path::Path};

use super::credential::Credential;
use crate::core::credential::Material;

/// The link to the directory of the present files.
const DATA: &str = "..data";
/// Characters per line of PEM (RFC 7468).
const LINE: usize = 64;

/// Replaces the files in this directory.
///
/// # Errors
/// Those of the file system; what was there stays.
pub fn write(directory: &Path, credential: &Credential) -> io::Result<()> {
    let before = fs::read_link(directory.join(DATA)).ok();
    let name = format!("..{}", credential.number);
    let folder = directory.join(&name);
    fs::create_dir_all(&folder)?;
    for (file, text) in contents(credential) {
        fs::write(folder.join(file), text)?;
    }
    let staged = directory.join("..data_tmp");
    match fs::remove_file(&staged) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => symlink(&name, &staged)?,
    }
    fs::rename(&staged, directory.join(DATA))?;
    for (file, _) in contents(credential) {
        match symlink(Path::new(DATA).join(file), directory.join(file)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    match before.filter(|before| *before != Path::new(&name)) {
        Some(before) => fs::remove_dir_all(directory.join(before)),
        None => Ok(()),
    }
}

fn contents(credential: &Credential) -> Vec<(&'static str, String)> {
    let client = ("client-id", credential.client_id.clone());
    match &credential.document().material {
        Material::ClientSecret { secret } => vec![client, ("client-secret", secret.expose().to_owned())],
        Material::PrivateKeyJwt { jwk, pkcs8 } => {
            vec![client, ("key-id", jwk.kid.clone()), ("private-key.pem", pem(pkcs8.expose()))]
        }
    }
}

fn pem(base64: &str) -> String {
    let lines = base64.as_bytes().chunks(LINE).map(String::from_utf8_lossy);
    let lines: Vec<_> = lines.map(|line| format!("{line}\n")).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}-----END PRIVATE KEY-----\n", lines.concat())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{super::credential::Credentials, *};
    use crate::{
        core::{
            credential::{CredentialDocument, Hidden, Jwk},
            name::Ref,
        },
        proxy::documents::Consumer,
    };

    fn credential(number: u64, material: Material) -> Arc<Credential> {
        let credentials = Credentials::new(None, None);
        let (identity, client_id) = (Ref::new("agents", "labeler"), format!("client {number}"));
        let document = CredentialDocument { number, identity, service_account: "labeler".into(), client_id, material };
        assert!(credentials.apply(document).is_ok());
        let Some(credential) = credentials.at_hand().pop() else { panic!("one") };
        credential
    }

    #[test]
    fn all_files_change_at_once_and_nothing_is_left() {
        let Ok(directory) = tempfile::tempdir() else { panic!("tempdir") };
        let path = directory.path();
        let read = |file: &str| fs::read_to_string(path.join(file)).unwrap_or_default();
        for number in [1, 2, 2, 3] {
            let secret = Hidden::new(format!("secret {number}"));
            assert!(write(path, &credential(number, Material::ClientSecret { secret })).is_ok());
            let expected = (format!("client {number}"), format!("secret {number}"));
            assert_eq!((read("client-id"), read("client-secret")), expected);
            let Ok(there) = fs::read_dir(path) else { panic!("a directory") };
            assert_eq!(there.count(), 4, "the link, its directory, two files");
        }
    }

    #[test]
    fn a_key_is_pem() {
        let Ok(directory) = tempfile::tempdir() else { panic!("tempdir") };
        let jwk = Jwk { kid: "k".into(), x: "x".into(), y: "y".into() };
        let pkcs8 = Hidden::new("A".repeat(100));
        assert!(write(directory.path(), &credential(1, Material::PrivateKeyJwt { jwk, pkcs8 })).is_ok());
        let pem = fs::read_to_string(directory.path().join("private-key.pem")).unwrap_or_default();
        let lines: Vec<_> = pem.lines().map(str::len).collect();
        assert_eq!(lines, [27, 64, 36, 25]);
    }
}

//! The objects to apply.

use serde_json::{Value, json};
use url::Url;

use crate::api::{KeycloakServer, Realm};

use super::{Args, Error, Manage};

/// The KeycloakServer and the Realm, as YAML documents.
pub fn objects(args: &Args) -> Result<String, Error> {
    let mut documents = Vec::new();
    if !args.realm_only {
        documents.push(serde_saphyr::to_string(&server(args)?)?);
    }
    if let Some(realm) = &args.realm {
        documents.push(serde_saphyr::to_string(&self::realm(args, realm)?)?);
    }
    Ok(documents.join("---\n"))
}

fn server(args: &Args) -> Result<KeycloakServer, serde_json::Error> {
    let plain = |url: &Url| url.as_str().trim_end_matches('/').to_owned();
    let mut spec = json!({"url": plain(&args.url), "credentials": credentials(args), "loginRealm": args.login_realm()});
    if let Some(internal) = &args.internal_url {
        spec["internalUrl"] = json!(plain(internal));
    }
    Ok(KeycloakServer::new(&args.name, serde_json::from_value(spec)?))
}

/// The realm was there before the object, if only for the operator's login, so it is taken over where it is to be ours.
fn realm(args: &Args, realm: &str) -> Result<Realm, serde_json::Error> {
    let mut spec = json!({"server": args.name, "realm": realm, "workloadIssuer": {}});
    match args.management {
        Manage::Full => spec["adopt"] = json!(true),
        Manage::ClientsOnly => spec["management"] = json!("ClientsOnly"),
    }
    if args.realm_only {
        spec["credentials"] = credentials(args);
    }
    Ok(Realm::new(&object_name(realm), serde_json::from_value(spec)?))
}

fn credentials(args: &Args) -> Value {
    json!({"kubernetesToken": {"clientId": args.client_id}})
}

/// A realm may be named in ways that an object may not.
fn object_name(realm: &str) -> String {
    let plain = realm.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    plain.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn printed(arguments: &str) -> String {
        let words =
            ["bootstrap", "--server", "https://auth.example.com/"].into_iter().chain(arguments.split_whitespace());
        objects(&Command::try_parse_from(words).unwrap_or_else(|error| panic!("{error}")).args).unwrap()
    }

    #[test]
    fn what_is_printed_fits_what_was_made() {
        let alone = printed("");
        assert!(alone.contains("loginRealm: master") && !alone.contains("kind: Realm"), "{alone}");
        assert!(alone.contains("url: https://auth.example.com\n"), "{alone}");
        let both = printed("--realm ML_lab --management ClientsOnly");
        assert!(both.contains("loginRealm: ML_lab") && both.contains("name: ml-lab"), "{both}");
        assert!(both.contains("management: ClientsOnly") && !both.contains("adopt"), "{both}");
        let second = printed("--realm lab --realm-only");
        assert!(!second.contains("KeycloakServer\n") && second.contains("adopt: true"), "{second}");
        assert!(second.contains("clientId: keywire-operator"), "the realm has its own credentials: {second}");
        for text in [alone, both, second] {
            assert!(!text.contains("password") && !text.contains("status"), "{text}");
        }
    }

    #[test]
    fn management_is_of_a_realm() {
        let words = ["bootstrap", "--server", "https://auth.example.com", "--management", "ClientsOnly"];
        assert!(Command::try_parse_from(words).is_err());
    }
}

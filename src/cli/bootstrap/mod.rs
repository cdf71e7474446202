//! `keywire bootstrap`: the operator's first login, and the way back after a lock-out.

mod printed;
mod trial;

use std::{collections::BTreeSet, fs, io, path::PathBuf};

use clap::{Args as ClapArgs, ValueEnum};
use kube::Client;
use secrecy::SecretString;
use url::Url;

use crate::{
    cluster::{IssuerError, workload_issuer},
    core::{build::default_alias, desired::WorkloadIssuer, name::service_account_subject, rights::Duties},
    keycloak::{
        Admin, AdminConfig, BootstrapError, BootstrapReport, BootstrapSpec, Credentials, Limits, RealmGrant,
        SetupError, Step, bootstrap_operator, ensure_realm,
    },
};

/// The variable that holds the administrator's password.
const PASSWORD: &str = "KEYCLOAK_ADMIN_PASSWORD";

/// Arguments of `keywire bootstrap`.
#[derive(ClapArgs)]
#[command(
    after_help = "The administrator's password comes from $KEYCLOAK_ADMIN_PASSWORD or --password-file, is used for this command
alone and is not kept. The KeycloakServer and the Realm to apply go to standard output. Running it again
changes nothing, or mends what has gone wrong: a lock-out after the cluster has changed its keys, a right
that was taken away. Rights beyond those that are needed are told of and stay.

With --realm the operator logs in at that realm and has rights in it alone, those that the management needs.
Without it the operator logs in at master, may make realms there and has all rights in those that it makes.

Examples:
  # One realm, with no right anywhere else.
  KEYCLOAK_ADMIN_PASSWORD=... keywire bootstrap --server https://auth.example.com --realm ml | kubectl apply -f -
  # A realm whose settings are someone else's.
  keywire bootstrap --server https://auth.example.com --realm corp --management ClientsOnly --password-file ./password
  # One more realm of a server that is known already.
  keywire bootstrap --server https://auth.example.com --realm lab --realm-only --password-file ./password
  # Every realm that a Realm object asks for; the URL differs inside of the cluster, and for this command.
  keywire bootstrap --server https://auth.example.com --internal-url http://keycloak.keycloak.svc:8080 \\
    --via http://127.0.0.1:8080 --password-file ./password > keycloakserver.yaml"
)]
pub struct Args {
    /// Keycloak's URL as browsers and tokens know it.
    #[arg(long = "server", visible_alias = "url")]
    url: Url,
    /// Keycloak's URL as pods reach it, where it differs.
    #[arg(long)]
    internal_url: Option<Url>,
    /// Keycloak's URL as this command reaches it, where it differs.
    #[arg(long)]
    via: Option<Url>,
    /// The realm to manage: the operator logs in there and has no right anywhere else. It is made where it is absent.
    #[arg(long)]
    realm: Option<String>,
    /// Whether the realm's settings are Keywire's, or someone else's.
    #[arg(long, value_enum, default_value_t = Manage::Full, requires = "realm")]
    management: Manage,
    /// Print the Realm alone, with credentials of its own: its server has a KeycloakServer already.
    #[arg(long, requires = "realm")]
    realm_only: bool,
    /// The administrator, who has an account in master.
    #[arg(long, env = "KEYCLOAK_ADMIN_USERNAME", default_value = "admin")]
    username: String,
    /// A file that holds the administrator's password.
    #[arg(long)]
    password_file: Option<PathBuf>,
    /// CA certificates (PEM) to trust for the connection.
    #[arg(long)]
    ca_file: Option<PathBuf>,
    /// The cluster's name, as the operator is told it.
    #[arg(long, env = "KEYWIRE_CLUSTER_NAME", default_value = "default")]
    cluster_name: String,
    /// The operator's namespace.
    #[arg(long, default_value = "keywire-system")]
    namespace: String,
    /// The operator's ServiceAccount.
    #[arg(long, default_value = "keywire-controller")]
    service_account: String,
    /// The operator's client in Keycloak.
    #[arg(long, default_value = "keywire-operator")]
    client_id: String,
    /// Name of the KeycloakServer to print.
    #[arg(long, default_value = "main")]
    name: String,
}

/// Whose the realm's settings are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
enum Manage {
    /// Keywire's.
    Full,
    /// Someone else's: clients, scopes and identities alone are Keywire's.
    ClientsOnly,
}

/// Why the operator could not be given its login.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No password.
    #[error("no password: set ${PASSWORD} or give --password-file")]
    NoPassword,
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No way to the cluster.
    #[error("cannot reach the cluster ({0}): set KUBECONFIG")]
    Cluster(#[from] kube::Error),
    /// The cluster's keys are not known.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// The URL or the CA cannot be used.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Keycloak refused.
    #[error("{0}")]
    Bootstrap(#[source] Box<BootstrapError>),
    /// An object has no YAML form.
    #[error("cannot write the objects to apply as YAML: {0}")]
    Yaml(#[from] serde_saphyr::ser::Error),
    /// An object has no JSON form.
    #[error("cannot build the objects to apply: {0}")]
    Json(#[from] serde_json::Error),
}

/// Makes the operator's client, then prints what to apply.
pub async fn run(args: &Args) -> Result<(), Error> {
    // A provider that is installed already serves as well.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let admin = admin(args)?;
    eprintln!("reading the cluster's issuer and public keys");
    let client = Client::try_default().await?;
    let issuer = workload_issuer(&client, default_alias(&args.cluster_name)).await?;
    if let Some(realm) = &args.realm {
        let may_make = args.management == Manage::Full;
        let made = ensure_realm(&admin, realm, may_make).await.map_err(|error| Error::Bootstrap(Box::new(error)))?;
        eprintln!("  realm {realm}: {}", word(made));
    }
    let spec = args.spec(issuer);
    eprintln!("giving {} its login at {}, realm {}", args.client_id, admin.server_url(), spec.login_realm);
    tell(&bootstrap_operator(&admin, &spec).await.map_err(|error| Error::Bootstrap(Box::new(error)))?);
    trial::run(&client, &admin, args, &spec).await;
    print!("{}", printed::objects(args)?);
    Ok(())
}

impl Args {
    /// The realm to log in at.
    fn login_realm(&self) -> &str {
        self.realm.as_deref().unwrap_or("master")
    }

    fn spec(&self, issuer: WorkloadIssuer) -> BootstrapSpec {
        let roles = |names: BTreeSet<&str>| names.into_iter().map(ToOwned::to_owned).collect();
        let grant = match &self.realm {
            Some(realm) => RealmGrant { realm: realm.clone(), roles: roles(self.duties().roles()) },
            // To tell the realm where it logs in of the cluster's next keys.
            None => RealmGrant { realm: "master".to_owned(), roles: roles(["manage-identity-providers"].into()) },
        };
        BootstrapSpec {
            cluster: self.cluster_name.clone(),
            login_realm: self.login_realm().to_owned(),
            client_id: self.client_id.clone(),
            issuer,
            subject: service_account_subject(&self.namespace, &self.service_account),
            creates_realms: self.realm.is_none(),
            grants: vec![grant],
        }
    }

    /// The operator tells the realm of the cluster's keys in any case: it logs in by them.
    fn duties(&self) -> Duties {
        Duties { manages_realm: self.management == Manage::Full, tells_keys: true, keeps_realm_roles: false }
    }
}

fn word(step: Step) -> &'static str {
    match step {
        Step::Created => "created",
        Step::Updated => "updated",
        Step::Unchanged => "as it should be",
    }
}

fn tell(report: &BootstrapReport) {
    eprintln!("  trust in the cluster's tokens: {}", word(report.identity_provider));
    eprintln!("  client: {}", word(report.client));
    for (container, step) in &report.roles {
        eprintln!("  roles of {container}: {}", word(*step));
    }
    for (container, roles) in &report.surplus {
        let roles = roles.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        eprintln!("  warning: the operator also holds {roles} of {container}, and needs none of it: take it away");
    }
}

fn admin(args: &Args) -> Result<Admin, Error> {
    let trust =
        args.ca_file.as_ref().map(|path| fs::read(path).map_err(|source| Error::Read { path: path.clone(), source }));
    let reachable = args.via.as_ref().or(args.internal_url.as_ref()).unwrap_or(&args.url);
    Ok(Admin::new(AdminConfig {
        url: reachable.clone(),
        // The administrator's account is in master, whatever realm is managed.
        login_realm: "master".to_owned(),
        credentials: Credentials::Password { username: args.username.clone(), password: password(args)? },
        trust: trust.transpose()?,
        limits: Limits::default(),
    })?)
}

fn password(args: &Args) -> Result<SecretString, Error> {
    let text = match &args.password_file {
        Some(path) => fs::read_to_string(path).map_err(|source| Error::Read { path: path.clone(), source })?,
        None => std::env::var(PASSWORD).map_err(|_| Error::NoPassword)?,
    };
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() { Err(Error::NoPassword) } else { Ok(text.into()) }
}

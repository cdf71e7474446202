//! `keywire bootstrap`: the operator's first login, and the way back after a lock-out.

use std::{fs, io, path::PathBuf};

use clap::Args as ClapArgs;
use kube::Client;
use secrecy::SecretString;
use url::Url;

use crate::{
    api::{Credentials as Login, KeycloakServer, KeycloakServerSpec, KubernetesTokenLogin, Limits as SpecLimits},
    cluster::{IssuerError, workload_issuer},
    core::{build::default_alias, name::service_account_subject},
    keycloak::{
        Admin, AdminConfig, BootstrapError, BootstrapReport, BootstrapSpec, Credentials, Limits, SetupError, Step,
        bootstrap_operator,
    },
};

/// The variable that holds the administrator's password.
const PASSWORD: &str = "KEYCLOAK_ADMIN_PASSWORD";

/// Arguments of `keywire bootstrap`.
#[derive(ClapArgs)]
#[command(
    after_help = "The administrator's password comes from $KEYCLOAK_ADMIN_PASSWORD or --password-file, and is not kept.
The KeycloakServer to apply goes to standard output.

Examples:
  KEYCLOAK_ADMIN_PASSWORD=... keywire bootstrap --url https://auth.example.com | kubectl apply -f -
  keywire bootstrap --url https://auth.example.com --internal-url http://keycloak.keycloak.svc:8080 \\
    --via http://127.0.0.1:8080 --password-file ./password > keycloakserver.yaml"
)]
pub struct Args {
    /// Keycloak's URL as browsers and tokens know it.
    #[arg(long)]
    url: Url,
    /// Keycloak's URL as pods reach it, where it differs.
    #[arg(long)]
    internal_url: Option<Url>,
    /// Keycloak's URL as this command reaches it, where it differs.
    #[arg(long)]
    via: Option<Url>,
    /// The administrator.
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
    /// The realm to log in at.
    #[arg(long, default_value = "master")]
    login_realm: String,
    /// Name of the KeycloakServer to print.
    #[arg(long, default_value = "main")]
    name: String,
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
    /// The object has no YAML form.
    #[error("cannot write the KeycloakServer as YAML: {0}")]
    Yaml(#[from] serde_saphyr::ser::Error),
}

/// Makes the operator's client, then prints the KeycloakServer to apply.
pub async fn run(args: &Args) -> Result<(), Error> {
    // A provider that is installed already serves as well.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let admin = admin(args)?;
    eprintln!("reading the cluster's issuer and public keys");
    let client = Client::try_default().await?;
    let issuer = workload_issuer(&client, default_alias(&args.cluster_name)).await?;
    eprintln!("giving {} its login at {}, realm {}", args.client_id, admin.server_url(), args.login_realm);
    let spec = BootstrapSpec {
        cluster: args.cluster_name.clone(),
        login_realm: args.login_realm.clone(),
        client_id: args.client_id.clone(),
        issuer,
        subject: service_account_subject(&args.namespace, &args.service_account),
        grants: Vec::new(),
    };
    tell(&bootstrap_operator(&admin, &spec).await.map_err(|error| Error::Bootstrap(Box::new(error)))?);
    print!("{}", serde_saphyr::to_string(&server(args))?);
    Ok(())
}

fn tell(report: &BootstrapReport) {
    let word = |step: Step| match step {
        Step::Created => "created",
        Step::Updated => "updated",
        Step::Unchanged => "as it should be",
    };
    eprintln!("  trust in the cluster's tokens: {}", word(report.identity_provider));
    eprintln!("  client: {}", word(report.client));
    for (container, step) in &report.roles {
        eprintln!("  roles of {container}: {}", word(*step));
    }
}

fn admin(args: &Args) -> Result<Admin, Error> {
    let trust =
        args.ca_file.as_ref().map(|path| fs::read(path).map_err(|source| Error::Read { path: path.clone(), source }));
    let reachable = args.via.as_ref().or(args.internal_url.as_ref()).unwrap_or(&args.url);
    Ok(Admin::new(AdminConfig {
        url: reachable.clone(),
        login_realm: args.login_realm.clone(),
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

fn server(args: &Args) -> KeycloakServer {
    let plain = |url: &Url| url.as_str().trim_end_matches('/').to_owned();
    let spec = KeycloakServerSpec {
        url: plain(&args.url),
        internal_url: args.internal_url.as_ref().map(plain),
        trust: None,
        credentials: Login {
            kubernetes_token: Some(KubernetesTokenLogin { client_id: args.client_id.clone() }),
            client_secret: None,
        },
        login_realm: args.login_realm.clone(),
        limits: SpecLimits::default(),
    };
    KeycloakServer::new(&args.name, spec)
}

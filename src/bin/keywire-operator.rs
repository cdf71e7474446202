//! `keywire-operator`: controllers, admission webhook and policy stream.

use std::{error::Error, process::ExitCode};

use clap::{Parser, Subcommand};
use keywire::{
    admission, controller, policy,
    telemetry::logging::{self, LogFormat},
};
use kube::Client;

/// Ten thousand small objects take less than with the C library's, and no huge pages that are half empty.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Makes one statement true everywhere: this workload may use this model in this way.
#[derive(Parser)]
#[command(name = "keywire-operator", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Examples:
  keywire-operator controller --cluster-name east
  keywire-operator webhook --proxy-image ghcr.io/keywire/proxy:0.1.0
  keywire-operator policy --log keywire=debug --log-format text")]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// What to log, such as `info` or `info,keywire=debug`.
    #[arg(long, global = true, env = "KEYWIRE_LOG", default_value = "info")]
    log: String,
    /// How a log line looks.
    #[arg(long, global = true, env = "KEYWIRE_LOG_FORMAT", default_value = "json")]
    log_format: LogFormat,
}

#[derive(Subcommand)]
enum Command {
    /// Reconcile the custom resources into Keycloak and policies (one replica leads).
    Controller(controller::Args),
    /// Put the sidecar into selected pods.
    Webhook(admission::Args),
    /// Push policies to the sidecars.
    Policy(policy::Args),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(error) = logging::init(cli.log_format, &cli.log) {
        eprintln!("keywire-operator: {error}");
        return ExitCode::FAILURE;
    }
    match run(cli.command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "ending");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<(), Box<dyn Error>> {
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        return Err("another TLS provider is installed already".into());
    }
    let client = Client::try_default().await?;
    match command {
        Command::Controller(args) => controller::run(args, client).await?,
        Command::Webhook(args) => admission::run(args, client).await?,
        Command::Policy(args) => policy::run(args, client).await?,
    }
    Ok(())
}

//! The command line, `keywire`: one file per command.

mod bootstrap;
mod crds;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Who may call which model, and how does the call prove it?
#[derive(Parser)]
#[command(name = "keywire", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Let the operator log in at Keycloak with its own ServiceAccount token.
    Bootstrap(Box<bootstrap::Args>),
    /// Write the custom resource definitions.
    Crds(crds::Args),
}

/// Reads the arguments, runs the command, prints its failure as one sentence.
pub async fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Bootstrap(args) => bootstrap::run(&args).await.map_err(|error| error.to_string()),
        Command::Crds(args) => crds::run(&args).map_err(|error| error.to_string()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("keywire: {message}");
            ExitCode::FAILURE
        }
    }
}

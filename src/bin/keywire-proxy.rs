//! The sidecar's main: flags, logs, start, wait for SIGTERM, drain.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, error::ErrorKind};
use keywire::{
    proxy::{
        args::Args,
        clock::Clock,
        config,
        run::{self, Running},
    },
    telemetry::logging,
};
use tokio::signal::unix::{SignalKind, signal};

/// Gives back what many connections needed once they are idle or gone; the C library's keeps it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Only one crypto library is linked; installing it fails only when done twice.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let args = Args::parse();
    if args.schema {
        print!("{}", config::SCHEMA);
        return ExitCode::SUCCESS;
    }
    if let Err(error) = args.validate() {
        Args::command().error(ErrorKind::ArgumentConflict, error).exit();
    }
    if args.check {
        return check(&args);
    }
    let args = match config::settle(&args) {
        Ok(args) => args,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    if let Err(error) = logging::init(args.log_format, &args.log) {
        Args::command().error(ErrorKind::InvalidValue, error).exit();
    }
    match run::start(&args, Clock::System) {
        Ok(running) => {
            tracing::info!(admin = %running.admin(), version = env!("CARGO_PKG_VERSION"), "started");
            let signal = wait_for_signal(&running);
            tracing::info!(signal, "draining");
            running.stop();
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!(%error, "not started");
            ExitCode::FAILURE
        }
    }
}

fn check(args: &Args) -> ExitCode {
    match run::check(args) {
        Ok(()) => {
            println!("ok");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// SIGTERM (the kubelet) or SIGINT (a person). Without signals it stops at once. SIGHUP opens the audit log anew.
fn wait_for_signal(running: &Running) -> &'static str {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return "none" };
    runtime.block_on(async {
        let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::hangup()));
        let (Ok(mut term), Ok(mut int), Ok(mut hangup)) = signals else { return "none" };
        loop {
            tokio::select! {
                _ = term.recv() => return "SIGTERM",
                _ = int.recv() => return "SIGINT",
                _ = hangup.recv() => running.reopen_audit_log(),
            }
        }
    })
}

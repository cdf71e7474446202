//! `keywire`, the command line (also `kubectl keywire`).

#[tokio::main]
async fn main() -> std::process::ExitCode {
    keywire::cli::main().await
}

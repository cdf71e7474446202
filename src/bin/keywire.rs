//! `keywire`, the command line (also `kubectl keywire`).

fn main() -> std::process::ExitCode {
    keywire::cli::main()
}

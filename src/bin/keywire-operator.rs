//! `keywire-operator`: controllers, admission webhook and policy stream.

fn main() -> std::process::ExitCode {
    keywire::controller::main()
}

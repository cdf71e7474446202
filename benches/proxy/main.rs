//! `make bench-proxy`: CPU per request of the guard beside a bare hyper hop and
//! Envoy, in one run. Not shipped.
//!
//! One program plays all the parts (`upstream`, `keys`, `hop`) and, without a
//! part, directs: it starts the others, loads them in turn with wrk, and ends
//! each by its own pid.

mod fixture;
mod hop;
mod measure;
mod upstream;

use std::{env, path::PathBuf, process::ExitCode};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    match play() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench-proxy: {error}");
            ExitCode::FAILURE
        }
    }
}

fn play() -> Result<bool> {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["upstream", listen] => upstream::run(listen.parse()?)?,
        ["keys", listen, file] => fixture::serve_keys(listen.parse()?, &PathBuf::from(file))?,
        ["hop", listen, upstream, threads] => hop::run(listen.parse()?, upstream.parse()?, threads.parse()?)?,
        [proxy, envoy, out] => {
            let seconds = env::var("BENCH_SECONDS").ok().map_or(Ok(5), |text| text.parse())?;
            let rounds = env::var("BENCH_ROUNDS").ok().map_or(Ok(3), |text| text.parse())?;
            let envoy = Some(PathBuf::from(envoy)).filter(|path| path.exists());
            return measure::Bench { proxy: proxy.into(), envoy, out: out.into(), seconds, rounds }.run();
        }
        _ => return Err("usage: proxy-bench KEYWIRE-PROXY ENVOY OUT.json".into()),
    }
    Ok(true)
}

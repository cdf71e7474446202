//! `make bench-proxy`: what the guard costs beside a bare hyper hop, nginx and Envoy, in one run. Not shipped.
//!
//! One program plays all the parts (`upstream`, `keys`, `issuer`, `hop`, `grpc-app`, `grpc-hop`) and, without a part, directs: it
//! starts the others, loads them in turn, and ends each by its own pid. Everything binds to loopback.

mod cost;
mod egress;
mod fixture;
mod grants;
mod grpc;
mod hop;
mod latency;
mod load;
mod memory;
mod others;
mod process;
mod report;
mod scene;
mod sessions;
mod swap;
mod upstream;

use std::{env, path::PathBuf, process::ExitCode, str::FromStr};

use scene::Bench;

/// Whatever goes wrong ends the run, in words.
type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

fn main() -> ExitCode {
    match play() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-proxy: {error}");
            ExitCode::FAILURE
        }
    }
}

fn play() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["upstream", listen] => upstream::run(listen.parse()?),
        ["keys", listen, file] => fixture::serve_keys(listen.parse()?, &PathBuf::from(file)),
        ["issuer", listen, file] => egress::issuer(listen.parse()?, &PathBuf::from(file)),
        ["hop", listen, upstream, threads] => hop::run(listen.parse()?, upstream.parse()?, threads.parse()?),
        ["grpc-app", listen] => grpc::app(listen.parse()?),
        ["grpc-hop", listen, upstream, threads] => grpc::hop(listen.parse()?, upstream.parse()?, threads.parse()?),
        [proxy, envoy, nginx, out] => {
            let there = |path: &str| Some(PathBuf::from(path)).filter(|path| path.exists());
            let (seconds, rounds) = (setting("BENCH_SECONDS", 3.0)?, setting("BENCH_ROUNDS", 3)?);
            let tokens = setting("BENCH_TOKENS", 8_000)?;
            let only = env::var("BENCH_ONLY").ok();
            Bench { proxy: proxy.into(), envoy: there(envoy), nginx: there(nginx), seconds, rounds, tokens, only }
                .run(&PathBuf::from(out))
        }
        _ => Err("usage: proxy-bench KEYWIRE-PROXY ENVOY NGINX OUT.json".into()),
    }
}

/// An environment variable, or what is usual.
fn setting<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(name: &str, usual: T) -> Result<T> {
    Ok(env::var(name).ok().map_or(Ok(usual), |text| text.parse())?)
}

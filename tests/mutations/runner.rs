//! `make mutations`: takes the guards out one by one, and wants a test to notice each.
//!
//! The product's code knows nothing of this. A copy of the tree gets every mutation at once, each behind a switch that an
//! environment variable throws, so that all of them cost one build. See README.md beside this file.

mod judge;
mod list;
mod tree;

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use judge::{Judge, Sentence, Verdict};
use list::Mutation;

type Result<T> = std::result::Result<T, String>;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("mutations: {error}");
            ExitCode::FAILURE
        }
    }
}

/// True if every guard that was taken out was missed.
fn run(args: &[String]) -> Result<bool> {
    let root = env::current_dir().map_err(|error| error.to_string())?;
    let all = list::read(&root.join("tests/mutations"))?;
    let chosen = choose(&all, args, &root)?;
    if args.iter().any(|arg| arg == "--list") {
        chosen.iter().for_each(|mutation| println!("{:28} {}", mutation.name, mutation.class));
        return Ok(true);
    }
    let started = Instant::now();
    let place = target().join("mutations");
    let _alone = tree::lock(&place)?;
    let copy = place.join("tree");
    // All of them are put in, also where few are judged: a stale one is found, and the build is the same each time.
    tree::copy(&root, &copy)?;
    tree::mutate(&copy, &all)?;
    println!("building {} mutations at once", all.len());
    let judge = Judge::build(&copy, &place.join("build"))?;
    println!("built in {} s; without any mutation", started.elapsed().as_secs());
    judge.innocent(&chosen)?;
    let sentences = judge.all(&chosen);
    report(&sentences);
    println!("{} mutations in {} s", sentences.len(), started.elapsed().as_secs());
    Ok(sentences.iter().all(|sentence| sentence.verdict == Verdict::Red))
}

/// Those that were named; `--sample N`: as many, others with each commit; else all.
fn choose<'m>(all: &'m [Mutation], args: &[String], root: &Path) -> Result<Vec<&'m Mutation>> {
    if let Some(at) = args.iter().position(|arg| arg == "--sample") {
        let count = args.get(at + 1).and_then(|text| text.parse().ok()).ok_or("--sample wants a number")?;
        let first = tree::commit(root)? % all.len();
        return Ok(all.iter().cycle().skip(first).take(all.len().min(count)).collect());
    }
    let names: Vec<&String> = args.iter().filter(|arg| !arg.starts_with("--")).collect();
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|mutation| mutation.name == ***name)) {
        return Err(format!("there is no mutation {unknown}; --list shows all"));
    }
    Ok(all.iter().filter(|mutation| names.is_empty() || names.contains(&&mutation.name)).collect())
}

fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from)
}

fn report(sentences: &[Sentence<'_>]) {
    println!("\n{:28} {:34} {:>6}  result", "guard taken out", "attack", "s");
    for Sentence { mutation, verdict, seconds } in sentences {
        println!("{:28} {:34} {seconds:>6.1}  {verdict}", mutation.name, mutation.class);
    }
    for Sentence { mutation, verdict, .. } in sentences.iter().filter(|sentence| sentence.verdict != Verdict::Red) {
        println!("\n{}: {verdict}\n  {}", mutation.name, mutation.tests.join("\n  "));
    }
    println!();
}

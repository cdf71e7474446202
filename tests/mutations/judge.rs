//! Building the copy and running the tests that must fail.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{Result, list::Mutation};

/// How long a test may take. One that hangs has noticed too.
const PATIENCE: Duration = Duration::from_secs(90);

/// The test programs of the mutated copy.
pub struct Judge {
    /// `lib` and `security`.
    programs: HashMap<String, PathBuf>,
    /// Where they run.
    copy: PathBuf,
}

/// What became of a mutation.
pub struct Sentence<'m> {
    pub mutation: &'m Mutation,
    pub verdict: Verdict,
    pub seconds: f32,
}

/// How its tests took it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Each failed, as it should.
    Red,
    /// This one passed: nobody would notice if the guard were gone.
    Green(String),
    /// It could not be run.
    Void(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Red => f.write_str("red"),
            Self::Green(test) => write!(f, "GREEN: {test} did not notice"),
            Self::Void(problem) => write!(f, "VOID: {problem}"),
        }
    }
}

/// How a run of some tests ended.
#[derive(PartialEq, Eq)]
enum End {
    Passed(usize),
    Failed,
}

impl Judge {
    /// Builds the tests of the sidecar: the library's, and the attacks.
    pub fn build(copy: &Path, target: &Path) -> Result<Self> {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let target = std::path::absolute(target).map_err(|error| error.to_string())?;
        let output = Command::new(cargo)
            .args([
                "test",
                "--quiet",
                "--no-run",
                "--no-default-features",
                "--features",
                "proxy",
                "--lib",
                "--test",
                "security",
            ])
            .arg("--message-format=json-render-diagnostics")
            .env("CARGO_TARGET_DIR", target)
            .current_dir(copy)
            .stderr(Stdio::piped())
            .output()
            .map_err(|error| format!("cargo: {error}"))?;
        if !output.status.success() {
            return Err(format!("the mutated copy does not build:\n{}", String::from_utf8_lossy(&output.stderr)));
        }
        let messages = String::from_utf8_lossy(&output.stdout).into_owned();
        let programs = messages.lines().filter_map(program).collect();
        Ok(Self { programs, copy: copy.to_path_buf() })
    }

    /// Without a mutation every test passes; else its red would say nothing.
    pub fn innocent(&self, mutations: &[&Mutation]) -> Result<()> {
        for kind in ["lib", "security"] {
            let tests: BTreeSet<&str> =
                mutations.iter().flat_map(|m| &m.tests).filter_map(|test| of(test, kind)).collect();
            if tests.is_empty() {
                continue;
            }
            let tests: Vec<&str> = tests.into_iter().collect();
            let program = self.programs.get(kind).ok_or("a test program is missing")?;
            match self.run(program, &tests, None)? {
                End::Passed(count) if count == tests.len() => {}
                End::Passed(count) => return Err(format!("of these {kind} tests only {count} are there: {tests:#?}")),
                End::Failed => return Err(format!("without a mutation one of these {kind} tests fails: {tests:#?}")),
            }
        }
        Ok(())
    }

    /// Judges each, as many at a time as there are processors.
    pub fn all<'m>(&self, mutations: &[&'m Mutation]) -> Vec<Sentence<'m>> {
        let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(|| {
                    while let Some(mutation) = mutations.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let started = Instant::now();
                        let verdict = self.judge(mutation);
                        println!("{:28} {verdict}", mutation.name);
                        let seconds = started.elapsed().as_secs_f32();
                        done.lock().expect("lock").push(Sentence { mutation, verdict, seconds });
                    }
                });
            }
        });
        let mut sentences = done.into_inner().expect("lock");
        sentences.sort_by_key(|sentence| mutations.iter().position(|m| m.name == sentence.mutation.name));
        sentences
    }

    fn judge(&self, mutation: &Mutation) -> Verdict {
        for test in &mutation.tests {
            let found = self.programs.iter().find_map(|(kind, program)| Some((program, of(test, kind)?)));
            let Some((program, name)) = found else {
                return Verdict::Void(format!("{test} is neither lib nor security"));
            };
            match self.run(program, &[name], Some(&mutation.name)) {
                Ok(End::Failed) => {}
                Ok(End::Passed(0)) => return Verdict::Void(format!("there is no test {test}")),
                Ok(End::Passed(_)) => return Verdict::Green(test.clone()),
                Err(error) => return Verdict::Void(error),
            }
        }
        Verdict::Red
    }

    /// Runs tests by their whole names.
    fn run(&self, program: &Path, tests: &[&str], mutant: Option<&str>) -> Result<End> {
        let mut command = Command::new(program);
        command.args(tests).arg("--exact").current_dir(&self.copy).env_remove("KEYWIRE_MUTANT");
        if let Some(name) = mutant {
            command.env("KEYWIRE_MUTANT", name);
        }
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().map_err(|error| error.to_string())?;
        let mut output = child.stdout.take().ok_or("no output")?;
        let reader = thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = output.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let started = Instant::now();
        let status = loop {
            match child.try_wait().map_err(|error| error.to_string())? {
                Some(status) => break status,
                None if started.elapsed() > PATIENCE => {
                    let _ = child.kill();
                    break child.wait().map_err(|error| error.to_string())?;
                }
                None => thread::sleep(Duration::from_millis(20)),
            }
        };
        let text = reader.join().map_err(|_| "the output was not read")?;
        Ok(if status.success() { End::Passed(passed(&text)) } else { End::Failed })
    }
}

/// `test result: ok. 3 passed; …`
fn passed(text: &str) -> usize {
    let told = text.lines().find_map(|line| line.strip_prefix("test result: ok. "));
    told.and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or(0)
}

/// The test's name, where it is one of this kind.
fn of<'t>(test: &'t str, kind: &str) -> Option<&'t str> {
    test.strip_prefix(kind)?.strip_prefix(' ').map(str::trim)
}

/// A test program that Cargo tells of.
fn program(line: &str) -> Option<(String, PathBuf)> {
    let message: Value = serde_json::from_str(line).ok()?;
    let path = message["executable"].as_str()?;
    let is_test = message["profile"]["test"].as_bool()?;
    let kind = if message["target"]["kind"][0] == "test" { "security" } else { "lib" };
    is_test.then(|| (kind.to_owned(), PathBuf::from(path)))
}

//! The copy of the tree, and the mutations in it.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File},
    path::Path,
    process::Command,
};

use crate::{
    Result,
    list::{Hunk, Mutation},
};

/// What `ON` in a mutation comes to. It goes into the copy's library, and nowhere else.
const SWITCH: &str = "
/// Whether the mutation of this name is thrown.
#[doc(hidden)]
pub fn mutant(name: &str) -> bool {
    static THROWN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    THROWN.get_or_init(|| std::env::var(\"KEYWIRE_MUTANT\").ok()).as_deref() == Some(name)
}
";

/// Waits until nobody else works in `place`, for as long as the returned handle lives.
pub fn lock(place: &Path) -> Result<File> {
    fs::create_dir_all(place).map_err(|error| format!("{}: {error}", place.display()))?;
    let file = File::create(place.join("lock")).map_err(|error| error.to_string())?;
    file.lock().map_err(|error| error.to_string())?;
    Ok(file)
}

/// Makes `copy` hold what git knows or would take of `root`. A file that is the same keeps its time, so that Cargo builds
/// only what changed.
pub fn copy(root: &Path, copy: &Path) -> Result<()> {
    let listed = git(root, &["ls-files", "--cached", "--others", "--exclude-standard"])?;
    let names: HashSet<&str> = listed.lines().filter(|name| root.join(name).is_file()).collect();
    for name in &names {
        let content = fs::read(root.join(name)).map_err(|error| format!("{name}: {error}"))?;
        write(&copy.join(name), &content)?;
    }
    // A file that is gone: Cargo would still find a target in it.
    let before = fs::read_to_string(copy.join(".listed")).unwrap_or_default();
    for gone in before.lines().filter(|name| !names.contains(name)) {
        let _ = fs::remove_file(copy.join(gone));
    }
    write(&copy.join(".listed"), listed.as_bytes())
}

/// A number that another commit has another of.
pub fn commit(root: &Path) -> Result<usize> {
    let hash = git(root, &["rev-parse", "HEAD"])?;
    usize::from_str_radix(hash.get(..8).unwrap_or_default(), 16).map_err(|_| format!("{hash:?} is no commit"))
}

/// Puts every mutation into the copy, behind its switch.
pub fn mutate(copy: &Path, all: &[Mutation]) -> Result<()> {
    let mut files: BTreeMap<&str, Vec<(&str, &Hunk)>> = BTreeMap::new();
    for mutation in all {
        mutation.hunks.iter().for_each(|hunk| files.entry(&hunk.file).or_default().push((&mutation.name, hunk)));
    }
    // Whoever moves code mends all of them at once.
    let mut problems = Vec::new();
    for (name, hunks) in files {
        let path = copy.join(name);
        match fs::read_to_string(&path).map(|text| mutated(&text, name, &hunks)) {
            Ok(Ok(text)) => fs::write(&path, text).map_err(|error| format!("{name}: {error}"))?,
            Ok(Err(mut stale)) => problems.append(&mut stale),
            Err(error) => problems.push(format!("{name}: {error}")),
        }
    }
    if !problems.is_empty() {
        return Err(problems.join("\n"));
    }
    let library = copy.join("src/lib.rs");
    let text = fs::read_to_string(&library).map_err(|error| error.to_string())?;
    fs::write(&library, text + SWITCH).map_err(|error| error.to_string())
}

/// A file with its mutations. Each finds its lines in the file as it was, once; no two the same ones.
fn mutated(text: &str, file: &str, hunks: &[(&str, &Hunk)]) -> std::result::Result<String, Vec<String>> {
    let lines: Vec<&str> = text.lines().collect();
    let mut taken: Vec<Option<&str>> = vec![None; lines.len()];
    let mut put: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    let mut problems = Vec::new();
    for (name, hunk) in hunks {
        let at = match place(&lines, hunk) {
            Ok(at) => at,
            Err(problem) => {
                problems.push(format!("{name} is stale: {file} {problem}:\n{}", hunk.find.join("\n")));
                continue;
            }
        };
        for owner in &mut taken[at..at + hunk.find.len()] {
            if let Some(other) = owner.replace(name) {
                problems.push(format!("{name} and {other} change the same line of {file}"));
            }
        }
        put.insert(at, hunk.put.iter().map(|line| switched(line, name)).collect());
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut out = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        match (put.remove(&at), taken[at]) {
            (Some(new), _) => out.extend(new),
            (None, Some(_)) => {}
            (None, None) => out.push((*line).to_owned()),
        }
    }
    out.push(String::new());
    Ok(out.join("\n"))
}

/// Where a hunk's lines stand.
fn place(lines: &[&str], hunk: &Hunk) -> std::result::Result<usize, &'static str> {
    let is_here = |window: &[&str]| window.iter().zip(&hunk.find).all(|(line, wanted)| line.trim() == *wanted);
    let mut found = lines.windows(hunk.find.len()).enumerate().filter(|(_, window)| is_here(window)).map(|(at, _)| at);
    match (found.next(), found.next()) {
        (Some(at), None) => Ok(at),
        (Some(_), Some(_)) => Err("has these lines more than once"),
        (None, _) => Err("has no such lines any more"),
    }
}

/// `ON`, as a word, is the switch.
fn switched(line: &str, name: &str) -> String {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("ON") {
        let (before, behind) = (&rest[..at], &rest[at + 2..]);
        out.push_str(before);
        let is_word = !before.chars().next_back().is_some_and(in_word) && !behind.chars().next().is_some_and(in_word);
        out.push_str(&if is_word { format!("crate::mutant({name:?})") } else { "ON".to_owned() });
        rest = behind;
    }
    out + rest
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|before| before == content) {
        return Ok(());
    }
    let parent = path.parent().ok_or("no folder")?;
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(path, content))
        .map_err(|error| format!("{}: {error}", path.display()))
}

fn git(root: &Path, args: &[&str]) -> Result<String> {
    let output =
        Command::new("git").arg("-C").arg(root).args(args).output().map_err(|error| format!("git: {error}"))?;
    if !output.status.success() {
        return Err(format!("git {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr)));
    }
    String::from_utf8(output.stdout).map_err(|error| error.to_string())
}

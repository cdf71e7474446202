//! The list: what is taken out, and which tests must notice.

use std::{collections::HashSet, fs, path::Path};

use crate::Result;

/// One guard taken out.
#[derive(Debug, Default)]
pub struct Mutation {
    /// Unique.
    pub name: String,
    /// The attack that it is open to then.
    pub class: String,
    /// The changes.
    pub hunks: Vec<Hunk>,
    /// `lib PATH` or `security PATH`: each must fail.
    pub tests: Vec<String>,
}

/// Lines that stand for other lines.
#[derive(Debug, Default)]
pub struct Hunk {
    /// From the root of the tree.
    pub file: String,
    /// Lines of the file, in a row, without their indentation.
    pub find: Vec<String>,
    /// What stands there then.
    pub put: Vec<String>,
}

/// Reads every `*.txt` of a directory.
pub fn read(directory: &Path) -> Result<Vec<Mutation>> {
    let entries = fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        parse(&text, &mut all).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let mut seen = HashSet::new();
    match all.iter().find(|mutation| !seen.insert(mutation.name.clone())) {
        Some(twice) => Err(format!("{} is there twice", twice.name)),
        None => Ok(all),
    }
}

fn parse(text: &str, all: &mut Vec<Mutation>) -> Result<()> {
    let first = all.len();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            all.push(Mutation { name: name.to_owned(), ..Mutation::default() });
            continue;
        }
        let known = all.get_mut(first..).and_then(<[Mutation]>::last_mut).is_some_and(|last| last.take(line));
        if !known {
            return Err(format!("line {} is not understood: {line}", number + 1));
        }
    }
    match all[first..].iter().find(|mutation| !mutation.is_whole()) {
        Some(part) => Err(format!("{} lacks its class, a file, lines or a test", part.name)),
        None => Ok(()),
    }
}

impl Mutation {
    /// Takes a line of its entry; false: it is none.
    fn take(&mut self, line: &str) -> bool {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim().to_owned();
        match (word, self.hunks.last_mut()) {
            ("class", _) => self.class = rest,
            ("red", _) => self.tests.push(rest),
            ("file", _) => self.hunks.push(Hunk { file: rest, ..Hunk::default() }),
            ("-", Some(hunk)) if hunk.put.is_empty() => hunk.find.push(rest),
            // Another place of the same file.
            ("-", Some(hunk)) => {
                let file = hunk.file.clone();
                self.hunks.push(Hunk { file, find: vec![rest], put: Vec::new() });
            }
            ("+", Some(hunk)) => hunk.put.push(rest),
            _ => return false,
        }
        true
    }

    fn is_whole(&self) -> bool {
        let hunks = self.hunks.iter().all(|hunk| !hunk.find.is_empty() && !hunk.put.is_empty());
        !self.class.is_empty() && !self.tests.is_empty() && !self.hunks.is_empty() && hunks
    }
}

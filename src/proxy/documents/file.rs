//! The document in a mounted ConfigMap. The kubelet swaps a symlink; nothing is
//! watched but the file's identity, which works on every file system.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval};

use super::{Consumer, Intake, Outcome};

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_secs(1);
/// The largest document read: a ConfigMap holds 1 MiB. In bytes.
const MAX_SIZE: u64 = 4 * 1024 * 1024;

/// What tells two versions of a file apart: inode, size, modification time in
/// seconds and nanoseconds.
type Stamp = (u64, u64, i64, i64);

/// A document's file.
#[derive(Debug)]
pub struct DocumentFile {
    path: PathBuf,
    seen: Option<Stamp>,
}

impl DocumentFile {
    /// The file `name` in `directory`. It need not be there yet.
    pub fn new(directory: &Path, name: &str) -> Self {
        Self { path: directory.join(name), seen: None }
    }

    /// The file at `path`, as it is now: only later changes count.
    pub fn seen(path: PathBuf) -> Self {
        let seen = fs::metadata(&path).ok().map(|metadata| stamp(&metadata));
        Self { path, seen }
    }

    /// Offers the file's content if it is new since the last time.
    pub fn offer<C: Consumer>(&mut self, intake: &Intake<C>) -> Option<Outcome> {
        match self.changed() {
            Ok(text) => text.map(|text| intake.offer("file", &text)),
            Err(error) => {
                tracing::error!(path = %self.path.display(), %error, "the policy file cannot be read; the last good document stays in force");
                None
            }
        }
    }

    /// The content, if it changed. An absent file has none, and one that is
    /// absent for a moment was not changed.
    pub fn changed(&mut self) -> io::Result<Option<Vec<u8>>> {
        let metadata = match fs::metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let stamp = stamp(&metadata);
        if self.seen.replace(stamp) == Some(stamp) {
            return Ok(None);
        }
        if metadata.size() > MAX_SIZE {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 4 MiB"));
        }
        fs::read(&self.path).map(Some)
    }
}

fn stamp(metadata: &fs::Metadata) -> Stamp {
    (metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec())
}

/// Looks at the file for ever; calls `applied` after each document put in force.
pub async fn watch<C: Consumer>(mut file: DocumentFile, intake: Arc<Intake<C>>, applied: impl Fn()) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if file.offer(&intake) == Some(Outcome::Applied) {
            applied();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_are_read() {
        let Ok(directory) = tempfile::tempdir() else { panic!("tempdir") };
        let mut file = DocumentFile::new(directory.path(), "x.json");
        assert!(matches!(file.changed(), Ok(None)), "absent");
        let write = |text: &str| {
            let staged = directory.path().join("staged");
            fs::write(&staged, text).and_then(|()| fs::rename(&staged, directory.path().join("x.json")))
        };
        assert!(write("one").is_ok());
        assert!(matches!(file.changed(), Ok(Some(text)) if text == b"one"));
        assert!(matches!(file.changed(), Ok(None)), "unchanged");
        assert!(write("two").is_ok());
        assert!(matches!(file.changed(), Ok(Some(text)) if text == b"two"));
        assert!(fs::remove_file(directory.path().join("x.json")).is_ok());
        assert!(matches!(file.changed(), Ok(None)), "absent again");
    }
}

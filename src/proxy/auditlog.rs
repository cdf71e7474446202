//! The audit log as a file: appended to by a thread of its own, so that no worker ever waits for a disk.
//!
//! Each worker writes its lines into a buffer of its own (a lock that only the writer's swap contends for, a few times a
//! second). **A full buffer loses records instead of holding up calls**: a disk that is slow or full must not take the models
//! down with it. What is lost is counted (`keywire_guard_audit_lost_total`) and said in the log; who must not lose any watches
//! that. Lines of different workers come in turns; their timestamps tell the order.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use prometheus_client::metrics::counter::Counter;

/// How often lines are written at the latest.
const INTERVAL: Duration = Duration::from_millis(250);
/// The most that one worker's lines may take while they wait, in bytes.
const MAX_WAITING: usize = 4 << 20;
/// The most that may wait in the writer for a disk that fails, in bytes.
const MAX_HELD: usize = 16 << 20;
/// The file may be read by its group: for whoever collects it.
const MODE: u32 = 0o640;

/// A log that is open. Closed when it is dropped, after everything was written that can be.
#[derive(Debug)]
pub struct AuditLog {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

/// One worker's end of it.
#[derive(Clone, Debug)]
pub struct Lines {
    waiting: Arc<Mutex<Vec<u8>>>,
    lost: Counter,
}

#[derive(Debug)]
struct Shared {
    lines: Mutex<Vec<Lines>>,
    lost: Counter,
    stop: AtomicBool,
    reopen: AtomicBool,
}

/// The file, and what could not be written yet.
struct Writer {
    path: PathBuf,
    /// With its device and inode.
    file: Option<(File, u64, u64)>,
    held: Vec<u8>,
    /// How much of what is held was written.
    written: usize,
    said_lost: u64,
}

impl AuditLog {
    /// Opens the file, which is made if it is not there.
    pub fn open(path: PathBuf, lost: Counter) -> io::Result<Self> {
        let mut writer = Writer { path, file: None, held: Vec::new(), written: 0, said_lost: 0 };
        writer.open()?;
        let (stop, reopen) = (AtomicBool::new(false), AtomicBool::new(false));
        let shared = Arc::new(Shared { lines: Mutex::default(), lost, stop, reopen });
        let of_writer = Arc::clone(&shared);
        let thread = thread::Builder::new().name("audit".to_owned()).spawn(move || writer.run(&of_writer))?;
        Ok(Self { shared, writer: Some(thread) })
    }

    /// A new end of it.
    pub fn lines(&self) -> Lines {
        let lines = Lines { waiting: Arc::default(), lost: self.shared.lost.clone() };
        locked(&self.shared.lines).push(lines.clone());
        lines
    }

    /// The file is to be opened anew: it was moved away.
    pub fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        if let Some(writer) = &self.writer {
            writer.thread().unpark();
        }
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.wake();
        if let Some(writer) = self.writer.take() {
            // One that panicked has ended as well.
            let _ = writer.join();
        }
    }
}

impl Lines {
    /// Adds what `write` appends, which ends in a line feed; nothing where there is no room.
    pub fn add(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut waiting = locked(&self.waiting);
        if waiting.len() >= MAX_WAITING {
            self.lost.inc();
        } else {
            write(&mut waiting);
        }
    }
}

impl Writer {
    fn run(mut self, shared: &Shared) {
        loop {
            thread::park_timeout(INTERVAL);
            let is_last = shared.stop.load(Ordering::Acquire);
            let is_asked = shared.reopen.swap(false, Ordering::AcqRel);
            self.turn(shared, is_asked);
            if is_last {
                return;
            }
        }
    }

    fn turn(&mut self, shared: &Shared, is_asked: bool) {
        if is_asked || self.is_moved() {
            self.file = None;
        }
        for lines in locked(&shared.lines).iter() {
            // What does not fit stays with its worker, which then loses what comes.
            if self.held.len() < MAX_HELD {
                self.held.append(&mut locked(&lines.waiting));
            }
        }
        if let Err(error) = self.write() {
            tracing::error!(path = %self.path.display(), %error, waiting = self.held.len(), "the audit log cannot be written");
            self.file = None;
        }
        let lost = shared.lost.get();
        if lost > self.said_lost {
            let records = lost - self.said_lost;
            tracing::error!(path = %self.path.display(), records, "audit records were lost: they come faster than they can be written");
            self.said_lost = lost;
        }
    }

    /// Somebody took the file away, or put another one in its place.
    fn is_moved(&self) -> bool {
        let Some((_, device, inode)) = &self.file else { return true };
        fs::metadata(&self.path).map_or(true, |found| (found.dev(), found.ino()) != (*device, *inode))
    }

    fn open(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            let file = OpenOptions::new().append(true).create(true).mode(MODE).open(&self.path)?;
            let found = file.metadata()?;
            self.file = Some((file, found.dev(), found.ino()));
        }
        self.file.as_mut().map(|(file, ..)| file).ok_or_else(|| io::Error::other("not open"))
    }

    fn write(&mut self) -> io::Result<()> {
        while self.written < self.held.len() {
            let (held, written) = (std::mem::take(&mut self.held), self.written);
            let result = self.open().and_then(|file| file.write(&held[written..]));
            self.held = held;
            match result {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => self.written += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.held.clear();
        self.written = 0;
        Ok(())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(lines: &Lines, text: &str) {
        lines.add(|buffer| buffer.extend_from_slice(text.as_bytes()));
    }

    #[test]
    fn everything_is_written_at_the_end() {
        let Ok(directory) = tempfile::tempdir() else { panic!("tempdir") };
        let path = directory.path().join("audit.log");
        assert!(fs::write(&path, "before\n").is_ok());
        let Ok(log) = AuditLog::open(path.clone(), Counter::default()) else { panic!("opens") };
        let (one, two) = (log.lines(), log.lines());
        add(&one, "one\n");
        add(&two, "two\n");
        drop(log);
        assert_eq!(fs::read_to_string(&path).ok().as_deref(), Some("before\none\ntwo\n"));
        assert!(AuditLog::open(directory.path().join("none/audit.log"), Counter::default()).is_err());
    }

    #[test]
    fn a_full_buffer_loses_and_counts() {
        let Ok(directory) = tempfile::tempdir() else { panic!("tempdir") };
        let lost = Counter::default();
        let Ok(log) = AuditLog::open(directory.path().join("audit.log"), lost.clone()) else { panic!("opens") };
        // The writer knows nothing of this end, so nothing is taken out of it.
        let lines = Lines { waiting: Arc::default(), lost: log.shared.lost.clone() };
        let megabyte = "x".repeat(1 << 20);
        (0..6).for_each(|_| add(&lines, &megabyte));
        assert_eq!((lost.get(), locked(&lines.waiting).len()), (2, 4 << 20));
    }

    #[test]
    fn a_file_that_is_moved_is_made_anew() {
        let Ok(directory) = tempfile::tempdir() else { panic!("tempdir") };
        let (path, moved) = (directory.path().join("audit.log"), directory.path().join("audit.log.1"));
        let mut writer = Writer { path: path.clone(), file: None, held: Vec::new(), written: 0, said_lost: 0 };
        let shared = Shared {
            lines: Mutex::default(),
            lost: Counter::default(),
            stop: AtomicBool::new(false),
            reopen: AtomicBool::new(false),
        };
        let lines = Lines { waiting: Arc::default(), lost: shared.lost.clone() };
        locked(&shared.lines).push(lines.clone());
        add(&lines, "one\n");
        writer.turn(&shared, false);
        assert!(fs::rename(&path, &moved).is_ok());
        add(&lines, "two\n");
        writer.turn(&shared, false);
        assert_eq!(fs::read_to_string(&moved).ok().as_deref(), Some("one\n"));
        assert_eq!(fs::read_to_string(&path).ok().as_deref(), Some("two\n"));
        // A disk that fails for a while loses nothing.
        assert!(fs::remove_file(&path).is_ok() && fs::create_dir(&path).is_ok());
        add(&lines, "three\n");
        writer.turn(&shared, false);
        assert!(fs::remove_dir(&path).is_ok());
        writer.turn(&shared, false);
        assert_eq!(fs::read_to_string(&path).ok().as_deref(), Some("three\n"));
    }
}

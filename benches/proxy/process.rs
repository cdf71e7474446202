//! Child processes: started, looked at in /proc, ended by their own pid.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::Result;

/// A child that is ended with its handle.
pub struct Process {
    /// What the tables call it.
    pub name: String,
    /// Where it listens.
    pub port: u16,
    child: Child,
}

impl Drop for Process {
    fn drop(&mut self) {
        // nginx's master ends its workers only if it is asked to end.
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        let deadline = Instant::now() + Duration::from_secs(2);
        while asked.is_ok() && Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts it, and waits until somebody listens on its port.
    pub fn start(name: &str, port: u16, command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let process = Self { name: name.to_owned(), port, child };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address(port)).is_err() {
            if Instant::now() > deadline {
                return Err(format!("{name} does not listen").into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(process)
    }

    /// CPU time that it and its children took, in seconds.
    pub fn cpu(&self) -> Result<f64> {
        self.tree().into_iter().map(cpu_seconds).sum()
    }

    /// Memory that is resident, of it and its children, in MB.
    pub fn rss(&self) -> Result<f64> {
        self.tree().into_iter().map(rss_mb).sum()
    }

    /// Its pid, and those of its children.
    fn tree(&self) -> Vec<u32> {
        let own = self.child.id();
        let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        std::iter::once(own).chain(children.split_whitespace().filter_map(|pid| pid.parse().ok())).collect()
    }
}

/// A port that was free a moment ago.
pub fn free() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// On loopback.
pub fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// The time that a process's threads ran, which the scheduler keeps in nanoseconds (the ticks of `stat` are 10 ms).
fn cpu_seconds(pid: u32) -> Result<f64> {
    let mut nanoseconds = 0.0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // One that ended meanwhile took next to nothing: none here lives shortly and works much.
        let text = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        nanoseconds += text.split(' ').next().and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    }
    Ok(nanoseconds / 1e9)
}

fn rss_mb(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb: f64 = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).ok_or("no VmRSS in /proc")?;
    Ok(kb / 1024.0)
}

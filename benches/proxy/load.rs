//! Closed-loop load: so many connections, each with one request at a time, as fast as they are answered.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::{Builder, LocalOptions},
    sync::Semaphore,
    task::spawn_local,
};

use crate::{Result, process::address};

/// When a load ends.
#[derive(Clone, Copy)]
pub enum End {
    /// After this time; the requests are sent over and over.
    After(Duration),
    /// When each request was sent once.
    Once,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Answers with status 200.
    pub good: u64,
    /// Everything else: other answers, and connections that broke.
    pub failed: u64,
}

/// Loads `port`. `at_end` is called while the connections are still open.
pub fn closed(port: u16, requests: &[Vec<u8>], connections: usize, end: End, at_end: impl FnOnce()) -> Result<Tally> {
    some_at_once(port, requests, (connections, connections), end, at_end)
}

/// The same with fewer requests at once than there are connections, which take turns.
pub fn some_at_once(
    port: u16,
    requests: &[Vec<u8>],
    (connections, at_once): (usize, usize),
    end: End,
    at_end: impl FnOnce(),
) -> Result<Tally> {
    let work = Rc::new(Work {
        port,
        requests: requests.to_vec(),
        end,
        next: Cell::new(0),
        good: Cell::new(0),
        failed: Cell::new(0),
        turns: Semaphore::new(at_once),
    });
    let started = Instant::now();
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let all: Vec<_> = (0..connections).map(|_| spawn_local(Rc::clone(&work).converse(started))).collect();
        let mut open = Vec::new();
        for connection in all {
            open.push(connection.await?);
        }
        at_end();
        Ok::<_, crate::Error>(())
    })?;
    Ok(Tally { good: work.good.get(), failed: work.failed.get() })
}

struct Work {
    port: u16,
    requests: Vec<Vec<u8>>,
    end: End,
    next: Cell<usize>,
    good: Cell<u64>,
    failed: Cell<u64>,
    turns: Semaphore,
}

impl Work {
    fn take(&self, started: Instant) -> Option<&[u8]> {
        let at = self.next.replace(self.next.get() + 1);
        match self.end {
            End::After(time) if started.elapsed() >= time => None,
            End::After(_) => self.requests.get(at % self.requests.len()).map(Vec::as_slice),
            End::Once => self.requests.get(at).map(Vec::as_slice),
        }
    }

    async fn converse(self: Rc<Self>, started: Instant) -> Option<TcpStream> {
        let mut stream = None;
        let mut buffer = Vec::with_capacity(4096);
        loop {
            // Fair: whoever has had an answer goes to the end of the queue.
            let turn = self.turns.acquire().await.ok()?;
            let Some(request) = self.take(started) else { return stream };
            let answered = exchange(&mut stream, self.port, request, &mut buffer).await;
            drop(turn);
            if matches!(answered, Ok(200)) {
                self.good.set(self.good.get() + 1);
                continue;
            }
            self.failed.set(self.failed.get() + 1);
            stream = None;
            // Whoever is down is not asked a million times.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// One request, and the status of its answer.
async fn exchange(stream: &mut Option<TcpStream>, port: u16, request: &[u8], buffer: &mut Vec<u8>) -> Result<u16> {
    if stream.is_none() {
        let opened = TcpStream::connect(address(port)).await?;
        opened.set_nodelay(true)?;
        *stream = Some(opened);
    }
    let stream = stream.as_mut().ok_or("no connection")?;
    stream.write_all(request).await?;
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err("closed".into());
        }
        if let Some(status) = whole(buffer)? {
            return Ok(status);
        }
    }
}

/// The status, once an answer with a `Content-Length` is there as a whole.
pub fn whole(buffer: &[u8]) -> Result<Option<u16>> {
    let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&buffer[..end])?;
    let value = |line: &str| {
        line.split_once(':')
            .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map(|(_, value)| value.trim().parse::<usize>())
    };
    let length = head.lines().find_map(value).ok_or("an answer without a length")??;
    let status = head.split(' ').nth(1).ok_or("no status")?.parse()?;
    Ok((buffer.len() >= end + 4 + length).then_some(status))
}

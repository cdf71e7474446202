//! Open-loop latency: requests go out at their times, whether or not the ones before were answered, and each is measured
//! from the time at which it should have gone out. So a stall counts for all that it delayed (no coordinated omission).

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use crate::{Result, load, process::address, report::Report, scene::Scene};

/// Requests per second.
const RATE: f64 = 2_000.0;
/// Each has its thread: at this rate one has 16 ms for a request before it delays its next.
const CONNECTIONS: usize = 32;

/// p99 at 2,000 requests per second of the bare hop, nginx, Envoy and ours.
pub fn measure(scene: &Scene, report: &mut Report) -> Result<()> {
    report.part("Latency, open loop, from the time at which a request was due");
    let mut envoys = None;
    for process in scene.contestants.iter().filter(|process| !process.name.contains("audit")) {
        let mut times = open(process.port, &scene.request, scene.bench.seconds * 1.5)?;
        times.sort_unstable();
        let at = |part: f64| {
            times.get((times.len() as f64 * part) as usize).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
        };
        let (median, p99) = (at(0.5), at(0.99));
        if process.name == "envoy" {
            envoys = Some(p99);
        }
        let what = format!("p99 at 2,000/s: {} (p50 {median:.2} ms)", process.name);
        let goal = envoys.filter(|_| process.name == "keywire").map(|limit| ("≤ Envoy's", limit));
        report.figure(&what, p99, "ms", goal);
    }
    Ok(())
}

fn open(port: u16, request: &[u8], seconds: f64) -> Result<Vec<Duration>> {
    let started = Instant::now() + Duration::from_millis(50);
    let count = (RATE * seconds) as usize;
    let threads: Vec<_> = (0..CONNECTIONS)
        .map(|first| {
            let request = request.to_vec();
            thread::spawn(move || one(port, &request, started, (first..count).step_by(CONNECTIONS)))
        })
        .collect();
    let mut all = Vec::with_capacity(count);
    for thread in threads {
        all.extend(thread.join().map_err(|_| "a thread died")??);
    }
    Ok(all)
}

fn one(port: u16, request: &[u8], started: Instant, turns: impl Iterator<Item = usize>) -> Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(address(port))?;
    stream.set_nodelay(true)?;
    let (mut times, mut buffer) = (Vec::new(), Vec::with_capacity(4096));
    for turn in turns {
        let due = started + Duration::from_secs_f64(turn as f64 / RATE);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        call(&mut stream, request, &mut buffer)?;
        times.push(due.elapsed());
    }
    Ok(times)
}

/// One request on a connection, and its answer, which has to be a good one.
pub fn call(stream: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> Result<()> {
    stream.write_all(request)?;
    buffer.clear();
    let mut piece = [0; 4096];
    let status = loop {
        let read = stream.read(&mut piece)?;
        buffer.extend_from_slice(&piece[..read]);
        match load::whole(buffer)? {
            Some(status) => break status,
            None if read == 0 => return Err("closed".into()),
            None => {}
        }
    };
    if status == 200 {
        return Ok(());
    }
    Err(format!("an answer with status {status}: {}", String::from_utf8_lossy(buffer)).into())
}

//! Resident memory: idle, with many tokens and connections, and after streams that carried an hour of tokens. And the
//! binary's size.
//!
//! Connections that are open are one thing, calls at the same moment another: both are told.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

use crate::{
    Result,
    fixture::request,
    load::{self, End},
    process::address,
    report::Report,
    scene::{CONNECTIONS, Scene},
};

/// Streams at a time.
const STREAMS: usize = 20;
/// What a model says in an hour at 50 tokens per second, in each.
const HOUR: usize = 180_000;

/// How long connections lie idle before what they hold is measured: longer than the guard keeps their buffers and unused
/// connections to the application.
const SETTLED: Duration = Duration::from_secs(10);

/// Idle; then with 10,000 tokens remembered and 1,000 connections open; then with as many calls at once.
pub fn tokens_and_connections(scene: &Scene, report: &mut Report) -> Result<()> {
    report.part("Resident memory");
    let guard = scene.guard("memory", &scene.policy("OpenInference"), &[])?;
    scene.until_open(&guard, &scene.request)?;
    report.figure("keywire, idle", guard.rss()?, "MB", Some(("≤ 8", 8.0)));
    let (tokens, connections) = if scene.is_short() { (500, 50) } else { (10_000, 1_000) };
    let tokens = scene.fixture.tokens(tokens)?;
    let requests: Vec<_> = tokens.iter().map(|token| request("GET /v2/models/iris/ready", token, "", "")).collect();
    for (at_once, limit) in [(CONNECTIONS, Some(("≤ 15", 15.0))), (connections, None)] {
        let (mut right_after, mut settled) = (Ok(0.0), Ok(0.0));
        let tally = load::some_at_once(guard.port, &requests, (connections, at_once), End::Once, || {
            right_after = guard.rss();
            thread::sleep(SETTLED);
            settled = guard.rss();
        })?;
        if tally.failed > 0 {
            return Err(format!("with {connections} connections: {tally:?}").into());
        }
        let what = format!("keywire, {} tokens, {connections} connections open", requests.len());
        report.figure(&format!("{what}, right after {at_once} calls at once"), right_after?, "MB", None);
        report.figure(&format!("{what}, {} s later", SETTLED.as_secs()), settled?, "MB", limit);
    }
    for process in scene.contestants.iter().filter(|process| !process.name.contains("keywire")) {
        report.figure(&format!("{}, after the loads above", process.name), process.rss()?, "MB", None);
    }
    Ok(())
}

/// Before and after 20 streams, each of as many events as an hour of tokens.
pub fn streams(scene: &Scene, report: &mut Report) -> Result<()> {
    let guard = scene.guard("streams", &scene.policy("OpenInference"), &[])?;
    scene.until_open(&guard, &scene.request)?;
    let token = scene.fixture.token(0)?;
    let stream = |events: usize| -> Result<u64> {
        let fields = format!("X-Events: {events}\r\n");
        let request = request("POST /v2/models/iris/generate_stream", &token, &fields, "{}");
        let threads: Vec<_> = (0..STREAMS)
            .map(|_| {
                let (request, port) = (request.clone(), guard.port);
                thread::spawn(move || read_to_end(port, &request))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a thread died")?).sum()
    };
    stream(160)?;
    let before = guard.rss()?;
    let events = if scene.is_short() { HOUR / 100 } else { HOUR };
    let bytes = stream(events)?;
    let what = format!("keywire, {STREAMS} streams of {events} events ({} MB): more", bytes >> 20);
    report.figure(&what, guard.rss()? - before, "MB", None);
    Ok(())
}

/// What goes into the image.
pub fn binary(scene: &Scene, report: &mut Report) -> Result<()> {
    let size = fs::metadata(&scene.bench.proxy)?.len() as f64 / 1e6;
    report.figure("the binary", size, "MB", Some(("≤ 10", 10.0)));
    Ok(())
}

/// Reads a chunked answer to its last chunk; how many bytes it had.
fn read_to_end(port: u16, request: &[u8]) -> Result<u64> {
    let mut stream = TcpStream::connect(address(port))?;
    stream.write_all(request)?;
    let (mut piece, mut bytes, mut tail) = (vec![0; 64 * 1024], 0, Vec::new());
    loop {
        let read = stream.read(&mut piece)?;
        if read == 0 {
            return Err(format!("a stream broke after {bytes} bytes").into());
        }
        bytes += read as u64;
        tail.extend_from_slice(&piece[..read]);
        tail.drain(..tail.len().saturating_sub(5));
        if tail == b"0\r\n\r\n" {
            return Ok(bytes);
        }
    }
}

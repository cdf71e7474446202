//! Policies swapped under load: not one request may fail.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use serde_json::json;

use crate::{
    Result, grants,
    load::{self, End},
    report::Report,
    scene::{CONNECTIONS, Scene},
};

/// The guard looks at its file each second.
const SWAPS: u64 = 5;

/// Loads a guard while its policy changes back and forth between one grant and five thousand more.
pub fn measure(scene: &Scene, report: &mut Report) -> Result<()> {
    report.part("Policy swapped under load");
    let small = scene.policy("OpenInference");
    let mut large = small.clone();
    let mine = small["grants"][0].clone();
    large["grants"] = grants::grants(5_000);
    large["grants"].as_array_mut().ok_or("no grants")?.push(mine);
    let guard = scene.guard("swap", &small, &[])?;
    scene.until_open(&guard, &scene.request)?;
    let done = AtomicBool::new(false);
    let (written, tally) = thread::scope(|scope| {
        let writer = scope.spawn(|| -> Result<u64> {
            let mut number = 1;
            while !done.load(Ordering::Relaxed) {
                number += 1;
                let mut policy = if number % 2 == 0 { large.clone() } else { small.clone() };
                policy["number"] = json!(number);
                scene.write_policy("swap", &policy, guard.port)?;
                thread::sleep(Duration::from_millis(1_050));
            }
            Ok(number - 1)
        });
        let time = End::After(Duration::from_millis(1_050 * SWAPS));
        let tally = load::closed(guard.port, std::slice::from_ref(&scene.request), CONNECTIONS, time, || ());
        done.store(true, Ordering::Relaxed);
        (writer.join(), tally)
    });
    let (written, tally) = (written.map_err(|_| "the writer died")??, tally?);
    let what = format!("requests that failed, of {}, with {written} policies written", tally.good);
    report.figure(&what, tally.failed as f64, "", Some(("none", 0.0)));
    Ok(())
}

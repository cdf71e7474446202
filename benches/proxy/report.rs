//! The one table: a figure, its goal, and whether it is met. Figures fail no run: the machine has its say in them.

use std::{fs, path::Path, thread};

use serde_json::{Value, json};

use crate::Result;

/// The rows so far, as they go into the file.
#[derive(Default)]
pub struct Report {
    rows: Vec<Value>,
}

impl Report {
    /// A heading.
    pub fn part(&self, title: &str) {
        println!("\n{title}");
    }

    /// A figure, and its goal: in words, and the most that it may be.
    pub fn figure(&mut self, what: &str, value: f64, unit: &str, goal: Option<(&str, f64)>) {
        let met = goal.map(|(_, limit)| value <= limit);
        let said = match (goal, met) {
            (Some((words, limit)), Some(met)) => {
                let limit = if unit.is_empty() { String::new() } else { format!(" ({limit:.2} {unit})") };
                format!("{words}{limit}: {}", if met { "met" } else { "MISSED" })
            }
            _ => String::new(),
        };
        println!("  {what:58} {value:10.2} {unit:4} {said}");
        self.rows.push(json!({"what": what, "value": value, "unit": unit, "goal": goal.map(|(words, _)| words),
            "limit": goal.map(|(_, limit)| limit), "met": met}));
    }

    /// What could not be measured, and why.
    pub fn skip(&mut self, what: &str, why: &str) {
        println!("  {what:58} {:>10} {why}", "-");
        self.rows.push(json!({"what": what, "skipped": why}));
    }

    /// Says on what machine, how many goals are met, and writes the file.
    pub fn end(self, out: &Path) -> Result<()> {
        let count = |met: bool| self.rows.iter().filter(|row| row["met"] == met).count();
        let machine = machine();
        println!("\n{} goals met, {} missed; machine: {machine}", count(true), count(false));
        if let Some(directory) = out.parent() {
            fs::create_dir_all(directory)?;
        }
        fs::write(out, format!("{:#}\n", json!({"machine": machine, "figures": self.rows})))?;
        println!("written: {}", out.display());
        Ok(())
    }
}

/// More is waiting for a CPU than there are CPUs.
pub fn busy() -> bool {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let waiting: f64 = load.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0.0);
    waiting > thread::available_parallelism().map_or(1, usize::from) as f64
}

fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown CPU", |rest| rest.trim_start_matches(['\t', ' ', ':']));
    let count = thread::available_parallelism().map_or(0, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!("{count} × {model}, load average {}", load.split(' ').next().unwrap_or("?"))
}

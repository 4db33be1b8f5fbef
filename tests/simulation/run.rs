//! Plays schedules, and shrinks one that breaks a promise.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bothends::domain::time::Moment;

use super::promises;
use super::schedule::{Schedule, Timed};
use super::world::World;

/// The result of a schedule.
#[derive(Debug)]
pub struct Report {
    pub broken: Vec<String>,
    pub simulated: Duration,
    pub met: BTreeMap<&'static str, u64>,
    pub records: usize,
    /// What happened, if `BOTHENDS_HISTORY` is set.
    pub history: Vec<String>,
}

/// Plays one schedule. A panic is a broken promise, too.
pub fn play(schedule: &Schedule) -> Report {
    let directory = tempfile::Builder::new().prefix("bothends-simulation").tempdir_in(memory()).unwrap();
    let played = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::play(schedule, directory.path());
        let past = world.broken_past();
        Report {
            broken: promises::broken(schedule, &world).into_iter().chain(past).collect(),
            simulated: world.at.since(Moment::ORIGIN + Duration::from_secs(24 * 3600)),
            records: world.manager.records.len(),
            met: world.met,
            history: world.history.unwrap_or_default(),
        }
    }));
    played.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("?");
        Report {
            broken: vec![format!("panic: {text}")],
            simulated: Duration::ZERO,
            met: BTreeMap::new(),
            records: 0,
            history: Vec::new(),
        }
    })
}

/// A directory in memory, if there is one: a schedule commits some hundred times.
pub fn memory() -> std::path::PathBuf {
    let shared = std::path::PathBuf::from("/dev/shm");
    if shared.is_dir() { shared } else { std::env::temp_dir() }
}

/// Removes what the failure does not need from a schedule, as long as tries are left.
pub fn shrink(schedule: &Schedule) -> Schedule {
    shrink_by(schedule, |candidate| !play(candidate).broken.is_empty())
}

/// The same for any failure.
pub fn shrink_by(schedule: &Schedule, fails: impl Fn(&Schedule) -> bool) -> Schedule {
    let mut tries = 300;
    let mut shortest = schedule.clone();
    let mut chunk = shortest.ops.len().div_ceil(2).max(1);
    loop {
        let mut from = 0;
        let mut shorter = false;
        while from < shortest.ops.len() && tries > 0 {
            let mut ops: Vec<Timed> = shortest.ops.clone();
            ops.drain(from..(from + chunk).min(ops.len()));
            let candidate = Schedule { ops, ..shortest.clone() };
            tries -= 1;
            if fails(&candidate) {
                shortest = candidate;
                shorter = true;
            } else {
                from += chunk;
            }
        }
        if tries == 0 || (chunk == 1 && !shorter) {
            return shortest;
        }
        if !shorter {
            chunk = chunk.div_ceil(2);
        }
    }
}

/// The failure report, the command that replays it first.
pub fn report_failure(schedule: &Schedule, report: &Report) -> String {
    use std::fmt::Write;
    let keep: Vec<_> = schedule.ops.iter().map(|timed| timed.number.to_string()).collect();
    let mut text = format!(
        "seed {} breaks a promise; replay it with\n\n  BOTHENDS_SEED={} BOTHENDS_KEEP={} cargo test --test simulation replay -- --nocapture\n\n",
        schedule.seed,
        schedule.seed,
        keep.join(",")
    );
    for line in &report.broken {
        let _ = writeln!(text, "  {line}");
    }
    let _ = writeln!(text, "\n  {:?}\n", schedule.switches);
    for Timed { at, op, number } in &schedule.ops {
        let _ = writeln!(text, "  {number:>4} {:>10.3} s  {op:?}", at.as_secs_f64());
    }
    for line in &report.history {
        let _ = writeln!(text, "{line}");
    }
    text
}

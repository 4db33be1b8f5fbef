//! What reading the past costs: 90 days with ten thousand outages, and the last day of them. Several runs of each, by the cheapest, the
//! median and the dearest, and the longest part: for so long the store's thread does nothing else. Nothing fails, for a busy machine is
//! no defect.

#[path = "shared/outages.rs"]
mod outages;

use std::time::Duration;

use bothends::clock;
use bothends::domain::time::{Moment, Now};
use bothends::history::{Entry, Wanted};
use bothends::http::history_lines;
use bothends::store::{Recall, StoreEngine};

const RUNS: usize = 7;
const DAY: Duration = Duration::from_secs(24 * 3600);

fn main() {
    let build = if cfg!(debug_assertions) { "unoptimised" } else { "optimised" };
    println!("bothends {}, {build}: reading what is remembered", env!("CARGO_PKG_VERSION"));
    let directory = tempfile::tempdir().expect("there is a directory for temporary files");
    let settings = outages::settings(directory.path());
    let begun = clock::now().mono;
    drop(outages::write(&settings, 10_000, 90));
    println!("written in {:.1} s", clock::now().mono.since(begun).as_secs_f64());
    let now = Now { mono: Moment::ORIGIN, wall: outages::END };
    let (mut engine, _) = StoreEngine::open(&settings, now).expect("the file was just written");
    for (what, since, minutes) in [
        ("90 days", 91 * DAY, false),
        ("90 days, with the minutes of seven", 91 * DAY, true),
        ("24 hours", DAY, false),
        ("24 hours, with the minutes", DAY, true),
    ] {
        let wanted = Wanted { since: outages::END - since, until: None, minutes };
        let mut runs: Vec<_> = (0..RUNS).map(|_| run(&mut engine, wanted, now)).collect();
        runs.sort_unstable();
        let [min, median, max] = [runs[0].0, runs[RUNS / 2].0, runs[RUNS - 1].0].map(millis);
        let longest = runs.iter().map(|run| run.1).max().map_or(0.0, millis);
        let (entries, bytes) = (runs[0].2, runs[0].3);
        println!(
            "{what}: {entries} entries, {bytes} bytes of lines: {min:.1} ms at the least, {median:.1} the median, {max:.1} at the most; \
             a part takes up to {longest:.1}"
        );
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// How long it took, how long the longest part did, how many entries there are, and how many bytes as lines.
fn run(engine: &mut StoreEngine, wanted: Wanted, now: Now) -> (Duration, Duration, usize, usize) {
    let begun = clock::now().mono;
    let (mut recall, mut longest, mut count, mut bytes) = (Recall::new(wanted), Duration::ZERO, 0, 0);
    let mut lines = String::new();
    loop {
        let part_begun = clock::now().mono;
        let part: Option<Vec<Entry>> = engine.recall(&mut recall, now).expect("the file can be read");
        longest = longest.max(clock::now().mono.since(part_begun));
        let Some(part) = part else { break };
        lines.clear();
        part.iter().for_each(|entry| history_lines::entry(entry, &mut lines));
        count += part.len();
        bytes += lines.len();
    }
    (clock::now().mono.since(begun), longest, count, bytes)
}

//! How long a report takes: 10,000 outages in 90 days of one connection with two tunnels, from a store's file to each format. Several
//! runs of each, by the fastest and the median; nothing fails, for a busy machine is no defect.

#[path = "shared/outages.rs"]
mod outages;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bothends::clock;
use bothends::domain::names::Role;
use bothends::domain::time::{Moment, Now, Stamp};
use bothends::domain::verdict::Assessment;
use bothends::history::{Entry, Period, Present, Said, TunnelNow, Wanted};
use bothends::http::history_lines::{self, LineReader};
use bothends::report::{
    Asked, Calendar, Report, availability_csv, html, json, markdown, outages_csv, overview, text,
};
use bothends::store::recall_file;

const RUNS: usize = 7;
const OUTAGES: u32 = 10_000;
const DAYS: u32 = 90;

fn main() {
    let build = if cfg!(debug_assertions) { "unoptimised" } else { "optimised" };
    let directory = tempfile::tempdir().expect("there is a directory for temporary files");
    let settings = outages::settings(directory.path());
    drop(outages::write(&settings, OUTAGES, DAYS));
    let now = Now { mono: Moment::ORIGIN, wall: outages::END };
    let from_file = || {
        let mut entries = Vec::new();
        let wanted = Wanted { since: Stamp::default(), until: None, minutes: false };
        recall_file(&settings.path, wanted, now, |entry| entries.push(entry)).expect("the file can be read");
        entries
    };
    let (entries, present) = (from_file(), present());
    println!(
        "bothends {}, {build}: milliseconds for {OUTAGES} outages in {DAYS} days, {} entries",
        env!("CARGO_PKG_VERSION"),
        entries.len()
    );
    let from = outages::END - Duration::from_secs(u64::from(DAYS) * 86_400);
    let asked = Asked { period: Period { from, until: present.at }, parts: Vec::new(), vpn: None };
    let account = || Report::of(&entries, &present, &asked).expect("every connection is asked for");
    let report = account();
    let found: Vec<usize> = report.accounts.iter().map(|account| account.outages.len()).collect();
    println!("outages of the connection and its tunnels: {found:?}");
    let lines = lines(&entries, &present);
    let calendar = Calendar::of(jiff::tz::TimeZone::UTC);
    measure("reading the file", || from_file().len());
    measure("reading /history", || read(&lines));
    measure("accounting", || account().accounts.len());
    measure("text", || text(&overview(&report, &calendar)).len());
    measure("markdown", || markdown(&overview(&report, &calendar)).len());
    measure("html", || html(&overview(&report, &calendar)).len());
    measure("json", || json(&report, None, &calendar).expect("it can be written").len());
    measure("csv", || availability_csv(&report, &calendar).len());
    measure("csv of outages", || outages_csv(&report, &calendar).len());
}

/// What the daemon answers.
fn lines(entries: &[Entry], present: &Present) -> String {
    let mut lines = String::new();
    history_lines::head(present, &mut lines);
    entries.iter().for_each(|entry| history_lines::entry(entry, &mut lines));
    history_lines::end(None, &mut lines);
    lines
}

/// Reads it as the command does; returns the number of entries.
fn read(lines: &str) -> usize {
    let mut reader = LineReader::default();
    let entries: Vec<Entry> =
        lines.lines().filter_map(|line| reader.line(line).expect("it was just written")).collect();
    reader.end().expect("it is whole");
    entries.len()
}

fn measure(what: &str, work: impl Fn() -> usize) {
    let mut runs: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let begun = clock::now().mono;
            black_box(work());
            clock::now().mono.since(begun)
        })
        .collect();
    runs.sort_unstable();
    let [min, median] = [runs[0], runs[RUNS / 2]].map(|run| run.as_secs_f64() * 1000.0);
    println!("{what:>16}: {min:7.1} at the least, {median:7.1} the median");
}

/// All is well at the end.
fn present() -> Present {
    let now = outages::tunnels().map(|id| TunnelNow {
        id,
        vpn_name: Arc::from("office"),
        name: Arc::from("tunnel"),
        role: Role::Active,
        local: Said::Up,
        aws: Said::Up,
        assessment: Assessment::Healthy,
        cause: None,
        silenced: None,
    });
    Present { at: outages::END, site: Arc::from("rome"), tunnels: now.to_vec() }
}

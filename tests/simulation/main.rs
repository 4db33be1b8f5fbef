//! A deterministic simulation: the real core, reconciler, publisher and store under virtual time, in a world that fails in
//! every way it can, held against that world's own truth.
//!
//! `make test` plays 2,000 schedules, `make soak` plays on until it is stopped. A failing seed is made shorter, and printed
//! with the one command that replays it; `BOTHENDS_HISTORY=1` makes a replay tell what happened.
//!
//! [`schedule`] draws what happens, [`world`] lets it happen ([`gateway`] is the daemon, put together as `daemon.rs` does it;
//! [`views`], [`manager`] and [`metrics`] are AWS), [`truth`] keeps the books, and [`truth`], [`expected`] and [`promises`] hold the
//! daemons to them.
//!
//! # What is not held against them
//! - Two records of one story, where Incident Manager makes a second one of a known token (a switch), where a list failed for
//!   so long that a page went out without it, and where the alarm of the template started one of its own. That these are
//!   mended is held: nothing is open in the end.
//! - A page after a person's close by a gateway that was started after the record it closed: its outage began, for all it knows,
//!   later.
//! - A minute that a crash caught before CloudWatch or the disk had it: there is one commit a minute in calm.
//! - What waits in the spool of a gateway that does not hold the address of its pair in the end.
//! - EC2's answer names no time. Where it lags, AWS's end is taken as what it says at that moment.
//!
//! # What it was tried on
//! Mutations of the real code, each tried on up to 200 schedules, and which promise broke:
//!
//! | mutation | broken promise |
//! |---|---|
//! | the client token is another one at each start | none is opened twice |
//! | Disputed counts as Healthy for the closing condition | resolved only when the closing condition has held |
//! | a minute is marked in the spool before CloudWatch's reply | every minute is in CloudWatch, once |
//! | agreement on AWS evidence of before the local Down | a moment at which both ends were Down |
//! | a restart forgets the open incidents | none is opened twice |
//! | Unknown counts as holding, instead of pausing | resolved only when …; an incident has its reason |
//! | an incident is resolved without `resolve_after` | resolved only when the closing condition has held |
//! | a start does not look for an open record first | none is opened twice; none is left open |
//! | a person's close is followed by another record | what a person closed stays closed |
//! | a fault counts as a loss | an incident has its reason |
//! | a batch that CloudWatch did not take is dropped | every minute is in CloudWatch, once |
//! | a refused batch is dropped whole | every minute is in CloudWatch, once |
//! | records that nobody accounts for are not looked for | none is left open |
//! | a reply does not end the run of losses | none is left open; a moment at which both ends were Down |
//! | what CloudWatch took is never marked in the spool | every minute is in CloudWatch, once |
//! | the spool's backlog is never read | every minute is in CloudWatch, once |
//! | absence from the Board resolves | none is resolved by absence |
//! | one end's Down and the other's Unknown agree | an incident has its reason |
//! | the token does not name the newest record | none is left open; every outage … has its incident |
//! | a tunnel that our end has no say on vetoes the others' outage | every outage … has its incident |
//! | BGP down on one datapoint, or with static routes, is agreed | an incident has its reason; a moment at which both ends were Down |
//! | BGP down stays disputed | every outage … has its incident |
//! | a standby that is agreed down silences one_sided | every outage … has its incident |
//! | a minute counts as sent when a part of it was taken | every minute is in CloudWatch, once |
//! | AWS's word of before a restart agrees with a Down of after it, however long it was away | a moment at which both ends were Down |
//! | of many records that are listed as open, it is forgotten which were closed | none is left open |
//!
//! The last two are no mutations: the code was so, and the seeds 62, 636, 819 and 1540, and 1803 showed it.
//!
//! Three broke nothing, because another rule stands behind each: a start that is not committed before the call (the token and the
//! request follow from the incident, which is on the disk), a ledger that is not read at the start (an open record is
//! found and adopted, and notes have tokens), an incident that reaches the disk a minute late (its record is taken up). One was not
//! met in 240 schedules: a worsening after a person's close that is not told; the reconciler's own tests hold that.

mod calls;
mod chance;
mod expected;
mod gateway;
mod history;
mod manager;
mod metrics;
mod promises;
mod run;
mod schedule;
mod site;
mod time;
mod truth;
mod views;
mod world;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use bothends::clock;
use run::{play, shrink, shrink_by, tell};
use schedule::Schedule;

/// What `make test` plays.
const SCHEDULES: u64 = 2_000;

/// What these are played for, among others: whatever else happens, each is met again and again.
const MET: [&str; 9] = [
    "reloads while pending",
    "reloads while open",
    "reloads while clearing",
    "crashes while pending",
    "crashes while open",
    "crashes while clearing",
    "missing addresses",
    "reboots without IPsec",
    "BGP down",
];

/// From the environment, if it says so.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[derive(Default)]
struct Sum {
    schedules: u64,
    simulated: Duration,
    records: usize,
    met: BTreeMap<&'static str, u64>,
    /// Seeds, and the first promise that each breaks.
    failures: Vec<(u64, String)>,
}

/// Plays from `first`, as many as `enough` says of what there is, on every core.
fn play_many(first: u64, enough: impl Fn(&Sum) -> bool + Sync) -> Sum {
    let next = AtomicU64::new(first);
    let sum = Mutex::new(Sum::default());
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while !enough(&sum.lock().unwrap_or_else(PoisonError::into_inner)) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let report = play(&Schedule::draw(seed));
                    let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
                    sum.schedules += 1;
                    sum.simulated += report.simulated;
                    sum.records += report.records;
                    for (fault, times) in report.met {
                        *sum.met.entry(fault).or_default() += times;
                    }
                    if let Some(first) = report.broken.into_iter().next() {
                        sum.failures.push((seed, first));
                    }
                }
            });
        }
    });
    let mut sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    sum.failures.sort_unstable();
    sum
}

impl std::fmt::Display for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let years = self.simulated.as_secs_f64() / (365.25 * 86_400.0);
        let Self { schedules, records, .. } = self;
        write!(f, "{schedules} schedules, {years:.2} simulated years, {records} records")?;
        for (fault, times) in &self.met {
            write!(f, ", {times} {fault}")?;
        }
        write!(f, "; {} failures", self.failures.len())
    }
}

/// Says what failed, the first in full and made shorter.
fn hold(sum: &Sum) {
    let Some((first, _)) = sum.failures.first() else { return };
    let shorter = shrink(&Schedule::draw(*first));
    let told = tell(&shorter, &play(&shorter));
    let all: Vec<_> = sum.failures.iter().map(|(seed, how)| format!("  {seed:>6} {how}")).collect();
    panic!("{} seeds break a promise:\n{}\n\n{told}", sum.failures.len(), all.join("\n"));
}

#[test]
fn two_thousand_schedules_break_no_promise() {
    let first = number("BOTHENDS_SEED").unwrap_or(0);
    let count = number("BOTHENDS_SCHEDULES").unwrap_or(SCHEDULES);
    let sum = play_many(first, |sum| sum.schedules >= count);
    println!("{sum}");
    hold(&sum);
    if count >= SCHEDULES {
        for name in MET {
            let times = sum.met.get(name).copied().unwrap_or(0);
            assert!(times >= 20, "{times} {name}: too few to show anything");
        }
    }
}

/// With `BOTHENDS_SOAK` (seconds; 0 for ever) it plays on, and says how far it is.
#[test]
fn soak() {
    let Some(seconds) = number("BOTHENDS_SOAK") else { return };
    let began = clock::now().mono;
    let said = AtomicU64::new(0);
    let first = number("BOTHENDS_SEED").unwrap_or(1_000_000);
    let sum = play_many(first, |sum| {
        let elapsed = clock::now().mono.since(began).as_secs();
        if elapsed / 10 > said.swap(elapsed / 10, Ordering::Relaxed) {
            // Not by println, which the test's harness holds back.
            let _ = writeln!(std::io::stderr(), "{elapsed:>6} s: {sum}");
        }
        (seconds > 0 && elapsed >= seconds) || !sum.failures.is_empty()
    });
    let _ = writeln!(std::io::stderr(), "{sum}");
    hold(&sum);
}

/// `BOTHENDS_SEED`, and of its schedule only the operations that `BOTHENDS_KEEP` numbers.
#[test]
fn replay() {
    let Some(seed) = number("BOTHENDS_SEED") else { return };
    let mut schedule = Schedule::draw(seed);
    if let Ok(keep) = std::env::var("BOTHENDS_KEEP") {
        let keep: Vec<usize> = keep.split(',').filter_map(|number| number.parse().ok()).collect();
        schedule.ops.retain(|timed| keep.contains(&timed.number));
    }
    let report = play(&schedule);
    println!("{}", tell(&schedule, &report));
    assert!(report.broken.is_empty(), "{} promises are broken", report.broken.len());
}

#[test]
fn the_same_seed_gives_the_same_history() {
    for seed in 0..20 {
        let (first, second) = (play(&Schedule::draw(seed)), play(&Schedule::draw(seed)));
        assert_eq!(format!("{first:?}"), format!("{second:?}"), "seed {seed}");
    }
}

#[test]
fn a_failure_is_shrunk_to_what_it_needs_and_told_with_its_replay() {
    let schedule = Schedule::draw(3);
    let last = schedule.ops.len() - 1;
    let needs = |schedule: &Schedule, number| schedule.ops.iter().any(|timed| timed.number == number);
    let shorter = shrink_by(&schedule, |candidate| needs(candidate, 1) && needs(candidate, last));
    let numbers: Vec<_> = shorter.ops.iter().map(|timed| timed.number).collect();
    assert_eq!(numbers, [1, last]);
    let text = tell(&shorter, &play(&shorter));
    assert!(text.contains(&format!("BOTHENDS_SEED=3 BOTHENDS_KEEP=1,{last} ")), "{text}");
}

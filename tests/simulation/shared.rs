//! A site whose connections share an uplink: one cause, one page, and nothing lost by it.
//!
//! A small world of its own beside the big one, with the same gateways, Incident Manager, AWS views and failing calls. The
//! uplink is cut and comes back, a connection fails alone, before that, or under it, while daemons die, disks are full, calls fail
//! and people close records; an HA pair may watch. [`script`] draws it, [`world`] lets it happen, [`books`] checks:
//!
//! - *what the uplink explains has no record*: while only the uplink is down, no connection gets a record, unless its daemon
//!   started under the cut and cannot know better (no reference host has answered it);
//! - *one cause has one record* of each kind, as long as no person closes it;
//! - *what is down has a record*, of its own or of a parent; and where the uplink works, not of the uplink: a fault under the cut
//!   is paged once that is over;
//! - *a record is closed when its incident is over*, and in the end every one is.

mod books;
mod script;
mod site;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::number;
use super::run::memory;
use script::Script;
use world::World;

/// How many scripts `make test` plays.
const SCRIPTS: u64 = 120;

/// What these must cover.
const COVERED: [&str; 6] = [
    "cut uplinks",
    "faults under a cut",
    "connections down alone",
    "crashes under a cut",
    "explained incidents",
    "released incidents",
];

struct Report {
    broken: Vec<String>,
    met: BTreeMap<&'static str, u64>,
    history: Vec<String>,
}

fn play(script: &Script) -> Report {
    let directory = tempfile::Builder::new().prefix("bothends-shared").tempdir_in(memory()).unwrap();
    let played = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::play(script, directory.path());
        let mut broken = std::mem::take(&mut world.books.broken);
        let open = world.manager.records.iter().filter(|stored| stored.is_open());
        broken.extend(open.map(|stored| format!("in the end {} is open: {}", stored.id, stored.scope.of)));
        for daemon in world.gateways.iter().filter_map(|gateway| gateway.daemon.as_ref()) {
            let board = &daemon.board().incidents;
            broken.extend(board.iter().map(|incident| format!("in the end {} is on a Board", incident.id)));
        }
        *world.met.entry("records").or_default() += u64::try_from(world.manager.records.len()).expect("few");
        Report { broken, met: world.met, history: world.history.unwrap_or_default() }
    }));
    played.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("?");
        Report { broken: vec![format!("panic: {text}")], met: BTreeMap::new(), history: Vec::new() }
    })
}

/// The script with as few steps as it takes to break a promise.
fn shrink(script: &Script) -> Script {
    let mut shortest = script.clone();
    let mut at = 0;
    while at < shortest.steps.len() {
        let mut shorter = shortest.clone();
        shorter.steps.remove(at);
        if play(&shorter).broken.is_empty() {
            at += 1;
        } else {
            shortest = shorter;
        }
    }
    shortest
}

fn printed(script: &Script, report: &Report) -> String {
    use std::fmt::Write;
    let mut text = format!("BOTHENDS_SHARED_SEED={}\n", script.seed);
    for line in &report.broken {
        let _ = writeln!(text, "  {line}");
    }
    let _ = writeln!(text, "\n  {:?}, {} connections\n", script.switches, script.connections);
    for (at, step) in &script.steps {
        let _ = writeln!(text, "  {:>10.3} s  {step:?}", at.as_secs_f64());
    }
    for line in &report.history {
        let _ = writeln!(text, "{line}");
    }
    text
}

/// `BOTHENDS_SHARED_SEED` replays one, `BOTHENDS_SHARED` plays so many.
#[test]
fn a_shared_uplink_is_one_page_and_nothing_is_lost_under_it() {
    let one = number("BOTHENDS_SHARED_SEED");
    let count = number("BOTHENDS_SHARED").unwrap_or(SCRIPTS);
    let seeds = one.map_or(0..count, |seed| seed..seed + 1);
    let next = AtomicU64::new(seeds.start);
    let sum = Mutex::new((BTreeMap::<&str, u64>::new(), Vec::new()));
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let report = play(&Script::draw(seed));
                    let mut sum = sum.lock().unwrap();
                    for (name, times) in report.met {
                        *sum.0.entry(name).or_default() += times;
                    }
                    sum.1.extend(report.broken.into_iter().next().map(|first| (seed, first)));
                }
            });
        }
    });
    let (met, mut failures) = sum.into_inner().unwrap();
    failures.sort_unstable();
    println!("{} scripts: {met:?}; {} failures", seeds.end - seeds.start, failures.len());
    if let Some((first, _)) = failures.first() {
        let shorter = shrink(&Script::draw(*first));
        let all: Vec<_> = failures.iter().map(|(seed, how)| format!("  {seed:>6} {how}")).collect();
        let text = printed(&shorter, &play(&shorter));
        panic!("{} seeds break a promise:\n{}\n\n{text}", failures.len(), all.join("\n"));
    }
    if one.is_none() && count >= SCRIPTS {
        for name in COVERED {
            let times = met.get(name).copied().unwrap_or(0);
            assert!(times >= 10, "{times} {name}: too few to show anything");
        }
    }
}

//! How long a report takes: 10,000 outages in 90 days of one connection with two tunnels, from the history in memory to each format.
//! Several runs of each, by the fastest and the median; nothing fails, for a busy machine is no defect.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bothends::clock;
use bothends::domain::board::{IncidentId, IncidentState};
use bothends::domain::cause::Cause;
use bothends::domain::names::{End, Kind, Role, SinkId, TunnelId, VpnId};
use bothends::domain::scope::Scope;
use bothends::domain::time::Stamp;
use bothends::domain::verdict::Assessment;
use bothends::history::{Change, Entry, Period, Present, Recalled, Said, TunnelNow};
use bothends::http::history_lines::{self, LineReader};
use bothends::report::{
    Asked, Calendar, Report, availability_csv, html, json, markdown, outages_csv, overview, text,
};

const RUNS: usize = 7;
const OUTAGES: u32 = 10_000;
const DAYS: u64 = 90;
const BEGIN: Stamp = Stamp::from_secs(1_793_000_000);

fn main() {
    let build = if cfg!(debug_assertions) { "unoptimised" } else { "optimised" };
    let (entries, present) = history();
    let period = Period { from: BEGIN, until: present.at };
    let asked = Asked { period, parts: Vec::new(), vpn: None };
    println!(
        "bothends {}, {build}: milliseconds for {OUTAGES} outages in {DAYS} days, {} entries",
        env!("CARGO_PKG_VERSION"),
        entries.len()
    );
    let account = || Report::of(&entries, &present, &asked).expect("every connection is asked for");
    let report = account();
    let found = report.connections().map(|account| account.outages.len()).sum::<usize>();
    assert_eq!(found, OUTAGES as usize);
    let calendar = Calendar::of(jiff::tz::TimeZone::UTC);
    let lines = lines(&entries, &present);
    measure("reading /history", || read(&lines));
    measure("accounting", || report_length(&account()));
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

fn report_length(report: &Report) -> usize {
    report.accounts.len() + report.incidents.len()
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

/// Each outage: both tunnels go down, a minute later AWS says so of both, and three minutes later all is well again.
fn history() -> (Vec<Entry>, Present) {
    let vpn = VpnId::new("vpn-0a1b2c3d4e5f60718");
    let tunnels = [1, 2].map(|last| TunnelId { vpn: vpn.clone(), outside_ip: [198, 51, 100, last].into() });
    let until = BEGIN + Duration::from_secs(DAYS * 86_400);
    let mut entries = vec![Entry::Watched(Period { from: BEGIN, until })];
    let mut change = |at: Stamp, change: &Change| {
        entries.extend(tunnels.iter().map(|tunnel| Entry::Change {
            at,
            tunnel: tunnel.clone(),
            change: change.clone(),
        }));
    };
    let verdict = |end, from, to| Change::Verdict { end, from, to };
    let both = |from, to| Change::Assessment { from, to };
    let (local, aws) = (End::Local, End::Aws);
    let disputed = |end| Assessment::Disputed(end);
    let start = [
        verdict(local, Said::Unknown, Said::Up),
        verdict(aws, Said::Unknown, Said::Up),
        both(Assessment::Blind, Assessment::Healthy),
    ];
    start.iter().for_each(|what| change(BEGIN, what));
    let minute = Duration::from_secs(60);
    let step = Duration::from_secs(DAYS * 86_400) / OUTAGES;
    let begins = |number: u32| BEGIN + minute + step * number;
    for number in 0..OUTAGES {
        let at = begins(number);
        change(at, &verdict(local, Said::Up, Said::Down));
        change(at, &both(Assessment::Healthy, disputed(local)));
        change(at, &Change::Cause { from: None, to: Some(Cause::PathToAws) });
        change(at + minute, &verdict(aws, Said::Up, Said::Down));
        change(at + minute, &both(disputed(local), Assessment::Down));
        change(at + minute * 4, &verdict(local, Said::Down, Said::Up));
        change(at + minute * 4, &both(Assessment::Down, disputed(aws)));
        change(at + minute * 5, &verdict(aws, Said::Down, Said::Up));
        change(at + minute * 5, &both(disputed(aws), Assessment::Healthy));
        change(at + minute * 5, &Change::Cause { from: Some(Cause::PathToAws), to: None });
    }
    for number in 0..OUTAGES {
        let at = begins(number);
        let id =
            IncidentId { scope: Scope::Connection(vpn.clone()), kind: Kind::Outage, opened: at + minute };
        entries.push(Entry::Paged {
            incident: id.clone(),
            sink: SinkId::new("incident_manager"),
            at: at + minute + Duration::from_secs(1),
        });
        entries.push(Entry::Incident(Arc::new(Recalled {
            id,
            name: Arc::from("office"),
            state: IncidentState::Resolved { at: at + minute * 6 },
            began: at - Duration::from_secs(3),
            found_at: None,
            withheld: None,
            related: None,
            worsened: 0,
            tunnels: Vec::new(),
            timeline: Vec::new(),
        })));
    }
    let now = tunnels.map(|id| TunnelNow {
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
    (entries, Present { at: until, site: Arc::from("rome"), tunnels: now.to_vec() })
}

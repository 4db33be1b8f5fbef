//! The rules of the accounting are the tables of docs/report.md; and what holds for every history.

mod pages;
mod properties;
mod timeline;

use std::sync::Arc;
use std::time::Duration;

use self::timeline::{Case, Line};
use super::*;
use crate::domain::board::{IncidentId, IncidentState};
use crate::domain::names::{Kind, Role, SinkId};
use crate::domain::scope::Scope;
use crate::domain::time::Stamp;
use crate::history::{Entry, Period, Recalled};

const DOCS: &str = include_str!("../../docs/report.md");

/// The rows of the table of docs/report.md that begins with this head.
fn rows(head: &str) -> Vec<Vec<String>> {
    let behind = DOCS.split_once(head).unwrap_or_else(|| panic!("no table {head}")).1;
    let lines = behind.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = |line: &str| {
        line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
    };
    lines.map(cells).collect()
}

fn minutes(duration: Duration) -> u64 {
    assert_eq!(duration.as_millis() % 60_000, 0, "{duration:?}");
    duration.as_secs() / 60
}

fn line(cell: &str, silenced: &str) -> Option<Line> {
    let (codes, role) = match cell.split_once('`') {
        Some((codes, role)) => (codes, role.trim()),
        None => (cell, ""),
    };
    let role = match role {
        "" => Role::Active,
        "standby" => Role::Standby,
        "unused" => Role::Unused,
        other => panic!("no role: {other}"),
    };
    (!codes.is_empty()).then(|| Line { codes: codes.to_owned(), silenced: silenced.to_owned(), role })
}

#[test]
fn every_case_of_the_table_is_counted_as_it_says() {
    let head = "| case | tunnel 1 | tunnel 2 | up | down |";
    let rows = rows(head);
    let mut counted = 0;
    let mut wrong = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        if row[0].is_empty() {
            continue;
        }
        let silenced = rows.get(place + 1).filter(|below| below[0].is_empty());
        let of = |tunnel: usize| line(&row[tunnel], silenced.map_or("", |below| below[tunnel].as_str()));
        let case = Case { lines: [of(1), of(2)].into_iter().flatten().collect() };
        let report = case.report();
        let columns = report.connections().next().unwrap().whole;
        let Buckets { up, down, unknown, unobserved, silenced } = columns.both;
        let spent = [up, down, unknown, unobserved, silenced.all()].map(|part| minutes(part).to_string());
        let share = |buckets: Buckets| {
            buckets.availability().map_or_else(|| "n/a".to_owned(), |share| share.to_string())
        };
        let found: Vec<String> =
            spent.into_iter().chain([columns.both, columns.local, columns.aws].map(share)).collect();
        if found != row[3..] {
            wrong.push(format!("{}: {found:?}", row[0]));
        }
        counted += 1;
    }
    assert!(counted >= 20, "the table was not found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_case_of_the_outages_table_is_found_as_it_says() {
    let rows = rows("| case | timeline | outages |");
    assert!(rows.len() >= 10, "the table was not found");
    for row in rows {
        let case = Case { lines: line(&row[1], "").into_iter().collect() };
        let report = case.report();
        // A connection with one tunnel has the outages of that.
        for account in &report.accounts {
            let words = account.outages.iter().map(|Happening { outage, .. }| {
                let begin = if outage.begin_seen { "" } else { "begin not seen, " };
                format!("{} min, {begin}{}", minutes(outage.lasted()), outage.end.as_str())
            });
            let words: Vec<String> = words.collect();
            let words = if words.is_empty() { "none".to_owned() } else { words.join("; ") };
            assert_eq!(words, row[2], "{}", row[0]);
        }
    }
}

#[test]
fn a_day_on_which_the_clocks_change_has_its_real_minutes() {
    let calendar = Calendar::of(jiff::tz::TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap());
    for (month, hours) in [("2027-03", 743), ("2027-10", 745), ("2026-11", 720)] {
        let (_, period) = calendar.month(month).unwrap();
        let buckets = timeline::always_up(period).connections().next().unwrap().whole.both;
        assert_eq!(minutes(buckets.up), hours * 60, "{month}");
        assert_eq!(buckets.all(), period.length());
    }
}

#[test]
fn an_outage_over_the_end_of_a_month_is_counted_in_both_and_found_once() {
    let case = Case { lines: line("[UUUUDDDDDUUU]", "").into_iter().collect() };
    let report = case.report_in_parts(&[6]);
    let account = report.connections().next().unwrap();
    let down: Vec<u64> = account.parts.iter().map(|part| minutes(part.columns.both.down)).collect();
    assert_eq!(down, [2, 3]);
    assert_eq!(account.outages.len(), 1);
    assert_eq!(account.outages[0].outage.lasted(), Duration::from_secs(300));
}

/// `redundancy_lost 3-11` opened in that minute and was over in this one, and was paged as it opened; so does `outage 7-`.
fn incidents(cell: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    for text in cell.split(", ").filter(|text| !text.is_empty()) {
        let (kind, minutes) = text.split_once(' ').unwrap();
        let (opened, ended) = minutes.split_once('-').unwrap();
        let opened: usize = opened.parse().unwrap();
        let kind = *Kind::ALL.iter().find(|it| it.as_str() == kind).unwrap();
        let scope = Scope::Connection(timeline::tunnel(0).vpn);
        let id = IncidentId { scope, kind, opened: timeline::at(opened) };
        let state = match ended.parse() {
            Ok(ended) => IncidentState::Resolved { at: timeline::at(ended) },
            Err(_) => IncidentState::Open,
        };
        let at = id.opened;
        entries.push(Entry::Paged { incident: id.clone(), sink: SinkId::new("chat"), at });
        entries.push(Entry::Incident(Arc::new(Recalled {
            began: id.opened,
            id,
            name: Arc::from("office"),
            state,
            found_at: None,
            withheld: None,
            related: None,
            worsened: 0,
            tunnels: Vec::new(),
            timeline: Vec::new(),
        })));
    }
    entries
}

#[test]
fn every_outage_of_the_incidents_table_has_the_page_and_the_end_that_it_says() {
    let rows = rows("| case | tunnel 1 | tunnel 2 | incidents |");
    assert!(rows.len() >= 5, "the table was not found");
    let mut wrong = Vec::new();
    for row in rows {
        let case = Case { lines: [line(&row[1], ""), line(&row[2], "")].into_iter().flatten().collect() };
        let mut entries = case.entries();
        entries.extend(incidents(&row[3]));
        let asked = Asked { period: case.period(), parts: Vec::new(), vpn: None };
        let report = Report::of(&entries, &case.present(), &asked).unwrap();
        let words = |account: &Account| {
            let of = |happening: &Happening| {
                let after = |at: Option<Stamp>| {
                    at.map_or_else(|| "-".to_owned(), |at| minutes(at.since(happening.base())).to_string())
                };
                let about = happening.incident.as_ref().map_or("none", |incident| incident.kind.as_str());
                format!(
                    "{about} {} {}",
                    after(happening.page.as_ref().map(|page| page.at)),
                    after(happening.resolved)
                )
            };
            account.outages.iter().map(of).collect::<Vec<_>>().join("; ")
        };
        let tunnels: Vec<String> = report.accounts.iter().skip(1).map(words).collect();
        if tunnels != row[4..4 + tunnels.len()] {
            wrong.push(format!("{}: {tunnels:?}", row[0]));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_week_of_the_period_has_its_row() {
    let at = |text: &str| Stamp::from_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
    // From a Monday's last hour to the next Monday's noon.
    let period = Period { from: at("2026-11-02T23:00:00Z"), until: at("2026-11-09T12:00:00Z") };
    let report = timeline::always_up(period);
    let calendar = Calendar::of(jiff::tz::TimeZone::UTC);
    let page = text(&would_have_paged(&report, &Rules::Default { why: "No sinks".to_owned() }, &calendar));
    for week in ["2026-W45", "2026-W46"] {
        assert!(page.contains(week), "{week}: {page}");
    }
    assert!(!page.contains("2026-W47"), "{page}");
}

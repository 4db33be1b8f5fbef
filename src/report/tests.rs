//! The rules of the accounting are the tables of docs/report.md; and what holds for every history.

mod pages;
mod properties;
mod timeline;

use std::time::Duration;

use self::timeline::{Case, Line};
use super::*;
use crate::domain::names::Role;

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

//! What AWS has at the end, held against what was to be told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bothends::domain::time::Stamp;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::super::site::{Site, Tunnel};
use super::cell::text;

/// What of a cell's story CloudWatch is to tell.
pub(super) struct Story {
    pub(super) tunnels: &'static [&'static Tunnel],
    /// The first minute that was surely probed.
    pub(super) first: Stamp,
    /// When the daemon was stopped.
    pub(super) end: Stamp,
    /// A minute in which the daemon was restarted has two parts.
    pub(super) restarts: usize,
    /// How often AWS took data without the daemon's knowing.
    pub(super) lost: usize,
    /// Minutes may be dated otherwise than by this host's clock.
    pub(super) moved: bool,
}

//--- incidents

/// One record of each kind, resolved, each line of its story once, and one request for each.
pub(super) fn incidents(site: &Site, kinds: &[&str], restarts: usize) {
    let all = site.control(json!({ "incidents": {} }));
    assert_eq!(all.as_array().unwrap().len(), kinds.len(), "one record of each kind: {all:#}");
    for kind in kinds {
        let records = site.records(kind);
        assert_eq!(records.len(), 1, "{kind}: {all:#}");
        assert_eq!(records[0]["record"]["status"], "RESOLVED", "{kind}: {all:#}");
        story(kind, &records[0], restarts);
    }
    requests(site, kinds);
}

fn story(kind: &str, record: &Value, restarts: usize) {
    let mut lines = BTreeSet::new();
    let events = record["timeline"].as_array().unwrap().iter();
    for event in events.filter(|event| event["eventType"] == "Custom Event") {
        let line = format!("{} {}", event["eventTime"], text(event, "eventData"));
        assert!(lines.insert(line.clone()), "{kind}: told twice: {line}\n{record:#}");
    }
    // A daemon that was stopped while it opened the record joins it as things are then.
    for part in if restarts == 0 { &["up at both ends", "clearing", "over"][..] } else { &["over"] } {
        assert!(lines.iter().any(|line| line.contains(part)), "{kind}: {part:?} is not told in {lines:#?}");
    }
}

/// However often a start was tried, it was the same request.
fn requests(site: &Site, kinds: &[&str]) {
    let mut starts: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for mut start in site.received("StartIncident") {
        let parameters = start["parameters"].take();
        if !parameters.is_null() {
            let kind = text(&parameters["triggerDetails"], "source").to_owned();
            starts.entry(kind).or_default().push(parameters);
        }
    }
    assert_eq!(starts.len(), kinds.len(), "{starts:#?}");
    for (kind, starts) in starts {
        assert!(starts.iter().all(|start| *start == starts[0]), "{kind}: {starts:#?}");
    }
}

//--- metrics

/// Every minute that was probed is there once for each of its parts, or still waits in the store.
pub(super) fn minutes(site: &Site, story: &Story) {
    let kept = parts(site);
    for tunnel in story.tunnels {
        let told = counted(put(site, "PacketLoss", tunnel).iter().map(dated));
        let mut minutes = Vec::new();
        let mut minute = story.first;
        while minute < story.end.minute() {
            minutes.push(minute);
            minute = minute + Duration::from_secs(60);
        }
        if story.moved {
            let known = kept.keys().filter(|(_, outside)| outside == tunnel.outside);
            let known: Vec<_> = known.map(|(minute, _)| *minute).collect();
            // Two that were one minute before the date moved may be another one after it.
            assert!(known.len() + 1 >= minutes.len(), "{known:?} is known of {minutes:?}");
            minutes = known;
        }
        for minute in minutes {
            let Parts { sent, waiting } =
                kept.get(&(minute, tunnel.outside.to_owned())).copied().unwrap_or_default();
            let outside = tunnel.outside;
            assert!(sent + waiting >= 1, "{outside} {minute:?} was probed, and is not known");
            assert!(sent + waiting <= 1 + story.restarts, "{outside} {minute:?} in {} parts", sent + waiting);
            let told = told.get(&minute).copied().unwrap_or_default();
            assert!(told >= sent, "{outside} {minute:?} is marked as sent and was told {told} times");
            let lost = story.lost;
            assert!(
                told <= sent + waiting + lost,
                "{outside} {minute:?} in {} parts was told {told} times, and {lost} answers were lost",
                sent + waiting
            );
        }
    }
    nothing_is_told_twice(site, story);
}

/// Whether the store has this minute, or what was probed of it, of each tunnel.
pub(super) fn keeps(site: &Site, tunnels: &[&Tunnel], minute: Stamp) -> bool {
    let kept = parts(site);
    tunnels.iter().all(|tunnel| kept.contains_key(&(minute, tunnel.outside.to_owned())))
}

fn nothing_is_told_twice(site: &Site, story: &Story) {
    let all = site.control(json!({ "metrics": {} }));
    let all = all.as_array().unwrap().iter().map(|one| &one["datum"]);
    let told = counted(all.map(|datum| {
        format!("{} {} {}", text(datum, "MetricName"), datum["Dimensions"], datum["Timestamp"])
    }));
    let Story { restarts, lost, .. } = story;
    let twice: Vec<_> = told.iter().filter(|(_, times)| **times > 1 + restarts + lost).collect();
    assert!(twice.is_empty(), "told too often with {restarts} restarts and {lost} lost answers: {twice:#?}");
}

/// The parts of a minute of a tunnel.
#[derive(Clone, Copy, Default)]
struct Parts {
    sent: usize,
    waiting: usize,
}

/// What the store has of minutes in which an echo ended, by minute and the tunnel's outside address. The part of a daemon
/// that was started in the last moment of a minute may have none, and then there is no loss to tell of it.
fn parts(site: &Site) -> BTreeMap<(Stamp, String), Parts> {
    let store = Connection::open(site.home.store()).unwrap();
    let mut rows = store
        .prepare(
            "SELECT minute, outside_ip, sent FROM rollup JOIN tunnel ON tunnel.id = rollup.tunnel
            WHERE replies + late + lost > 0",
        )
        .unwrap();
    let rows = rows
        .query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, bool>(2)?)))
        .unwrap();
    let mut parts: BTreeMap<_, Parts> = BTreeMap::new();
    for (minute, outside, sent) in rows.map(Result::unwrap) {
        let part = parts.entry((Stamp::from_millis(minute), outside)).or_default();
        if sent {
            part.sent += 1;
        } else {
            part.waiting += 1;
        }
    }
    parts
}

/// What CloudWatch was given of a metric of a tunnel, oldest first.
pub(super) fn put(site: &Site, name: &str, tunnel: &Tunnel) -> Vec<Value> {
    let all = site.control(json!({ "metrics": { "namespace": "BothEnds" } }));
    let data = all.as_array().unwrap().iter().map(|one| &one["datum"]);
    let of_tunnel = |datum: &&Value| {
        datum["MetricName"] == name && datum["Dimensions"].to_string().contains(tunnel.outside)
    };
    data.filter(of_tunnel).cloned().collect()
}

/// The time that a datum is of.
pub(super) fn dated(datum: &Value) -> Stamp {
    Stamp::from_millis((datum["Timestamp"].as_f64().unwrap() * 1e3) as i64)
}

fn counted<T: Ord>(all: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for one in all {
        *counts.entry(one).or_default() += 1;
    }
    counts
}

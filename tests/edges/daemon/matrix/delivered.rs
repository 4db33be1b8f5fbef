//! What AWS has at the end, compared with what had to be delivered.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bothends::domain::time::Stamp;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::super::site::{Site, Tunnel};
use super::cell::text;

/// What CloudWatch must have of a cell.
pub(super) struct Delivery {
    pub(super) tunnels: &'static [&'static Tunnel],
    /// The first minute that was surely probed.
    pub(super) first: Stamp,
    /// When the daemon was stopped.
    pub(super) end: Stamp,
    /// A minute in which the daemon was restarted has two parts.
    pub(super) restarts: usize,
    /// How often AWS accepted data without the daemon's knowledge.
    pub(super) lost: usize,
    /// Minutes may be dated differently from this host's clock.
    pub(super) moved: bool,
}

//--- incidents

/// One record of each kind, resolved, each line of its timeline once, and one distinct request for each.
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
        assert!(lines.insert(line.clone()), "{kind}: written twice: {line}\n{record:#}");
    }
    // A daemon that was stopped while it created the record adopts it in its current state.
    for part in if restarts == 0 { &["up at both ends", "clearing", "over"][..] } else { &["over"] } {
        assert!(lines.iter().any(|line| line.contains(part)), "{kind}: {part:?} is missing from {lines:#?}");
    }
}

/// However often a create was tried, it was the same request.
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

/// Every probed minute is there once for each of its parts, or is still pending in the store.
pub(super) fn minutes(site: &Site, story: &Delivery) {
    let kept = parts(site);
    for tunnel in story.tunnels {
        let puts = counted(put(site, "PacketLoss", tunnel).iter().map(dated));
        let mut minutes = Vec::new();
        let mut minute = story.first;
        while minute < story.end.minute() {
            minutes.push(minute);
            minute = minute + Duration::from_secs(60);
        }
        if story.moved {
            let known = kept.keys().filter(|(_, outside)| outside == tunnel.outside);
            let known: Vec<_> = known.map(|(minute, _)| *minute).collect();
            // Two minutes that were one before the date moved may differ after it.
            assert!(known.len() + 1 >= minutes.len(), "{known:?} is known of {minutes:?}");
            minutes = known;
        }
        for minute in minutes {
            let Parts { sent, waiting } =
                kept.get(&(minute, tunnel.outside.to_owned())).copied().unwrap_or_default();
            let outside = tunnel.outside;
            assert!(sent + waiting >= 1, "{outside} {minute:?} was probed, and is not known");
            assert!(sent + waiting <= 1 + story.restarts, "{outside} {minute:?} in {} parts", sent + waiting);
            let puts = puts.get(&minute).copied().unwrap_or_default();
            assert!(puts >= sent, "{outside} {minute:?} is marked as sent and was sent {puts} times");
            let lost = story.lost;
            assert!(
                puts <= sent + waiting + lost,
                "{outside} {minute:?} in {} parts was sent {puts} times, and {lost} replies were lost",
                sent + waiting
            );
        }
    }
    nothing_is_sent_twice(site, story);
}

/// Whether the store has this minute, or its probed part, of each tunnel.
pub(super) fn keeps(site: &Site, tunnels: &[&Tunnel], minute: Stamp) -> bool {
    let kept = parts(site);
    tunnels.iter().all(|tunnel| kept.contains_key(&(minute, tunnel.outside.to_owned())))
}

fn nothing_is_sent_twice(site: &Site, story: &Delivery) {
    let all = site.control(json!({ "metrics": {} }));
    let all = all.as_array().unwrap().iter().map(|one| &one["datum"]);
    let puts = counted(all.map(|datum| {
        format!("{} {} {}", text(datum, "MetricName"), datum["Dimensions"], datum["Timestamp"])
    }));
    let Delivery { restarts, lost, .. } = story;
    let twice: Vec<_> = puts.iter().filter(|(_, times)| **times > 1 + restarts + lost).collect();
    assert!(twice.is_empty(), "sent too often with {restarts} restarts and {lost} lost replies: {twice:#?}");
}

/// The parts of a tunnel's minute.
#[derive(Clone, Copy, Default)]
struct Parts {
    sent: usize,
    waiting: usize,
}

/// The store's minutes in which a probe ended, by minute and the tunnel's outside address. The part of a daemon that
/// started in the last moment of a minute may have none, and then it has no loss to send.
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

/// The data of a metric that CloudWatch was sent for a tunnel, oldest first.
pub(super) fn put(site: &Site, name: &str, tunnel: &Tunnel) -> Vec<Value> {
    let all = site.control(json!({ "metrics": { "namespace": "BothEnds" } }));
    let data = all.as_array().unwrap().iter().map(|one| &one["datum"]);
    let of_tunnel = |datum: &&Value| {
        datum["MetricName"] == name && datum["Dimensions"].to_string().contains(tunnel.outside)
    };
    data.filter(of_tunnel).cloned().collect()
}

/// The time of a datum.
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

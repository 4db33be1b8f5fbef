//! The file, without the thread.

use tempfile::TempDir;

use super::*;
use crate::domain::board::{Incident, IncidentState};
use crate::domain::names::{Kind, SinkId};
use crate::domain::rollup::RttBin;
use crate::incident::sink::RecordId;

const KEEP: Duration = Duration::from_secs(90 * 24 * 3600);
const NOW: Now = Now { mono: Moment::ORIGIN, wall: Stamp::from_secs(1_800_000_000) };

fn tunnel_id() -> TunnelId {
    TunnelId { vpn: VpnId::new("vpn-1"), outside_ip: [203, 0, 113, 1].into() }
}

fn rollup(minute: i64) -> Arc<Rollup> {
    Arc::new(Rollup {
        tunnel: tunnel_id(),
        minute: Stamp::from_secs(1_800_000_000 + minute * 60),
        replies: 59,
        late: 1,
        lost: 2,
        faults: 3,
        rtt: vec![RttBin { mean: Duration::from_micros(12_345), count: 60 }],
        up: Some(true),
        both_ends_down: None,
    })
}

fn incident(opened: i64) -> Arc<Incident> {
    Arc::new(Incident {
        id: IncidentId {
            vpn: VpnId::new("vpn-1"),
            kind: Kind::Outage,
            opened: NOW.wall - Duration::from_secs(u64::try_from(-opened).unwrap()),
        },
        site: "milan-1".into(),
        vpn_name: "Milan".into(),
        state: IncidentState::Open,
        began: NOW.wall,
        found_at: None,
        tunnels: vec![],
        timeline: vec![],
        related: None,
        worsened: 0,
        revision: 1,
    })
}

fn database() -> (TempDir, Database) {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(&directory.path().join("a.db"), KEEP).unwrap();
    (directory, database)
}

#[test]
fn state_is_remembered() {
    let (directory, mut database) = database();
    let seen = [
        SeenUp::Local(
            CheckId { tunnel: tunnel_id(), kind: CheckKind::Inside },
            RouteKey { inside_ip: "fd00::1".parse().unwrap() },
        ),
        SeenUp::Aws(tunnel_id()),
    ];
    let mut pending = Pending::default();
    pending.seen_up.extend(seen.clone());
    pending.incident(incident(-60), None);
    pending.incident(incident(-3600), Some(NOW.wall));
    pending.incident(incident(-100_000), Some(NOW.wall));
    database.write(&pending, NOW).unwrap();
    drop(database);

    let database = Database::open(&directory.path().join("a.db"), KEEP).unwrap();
    let Found { remembered, unreadable } = database.remembered(NOW).unwrap();
    assert_eq!(unreadable, [""; 0]);
    let mut seen_up = remembered.seen_up;
    seen_up.sort();
    assert_eq!(seen_up, seen);
    assert_eq!(remembered.incidents, [incident(-60)], "what is settled has left the Board");
    let opened: Vec<_> = remembered.openings.iter().map(|(_, _, at)| NOW.wall.since(*at).as_secs()).collect();
    assert_eq!(opened, [3600, 60], "those of the last 24 hours count");
}

#[test]
fn an_incident_that_cannot_be_read_is_named_and_left_in_the_file() {
    let (_directory, mut database) = database();
    let mut pending = Pending::default();
    pending.incident(incident(-60), None);
    database.write(&pending, NOW).unwrap();
    database.connection.execute("UPDATE incident SET body = '{}'", []).unwrap();
    let Found { remembered, unreadable } = database.remembered(NOW).unwrap();
    assert_eq!((remembered.incidents.len(), unreadable.len()), (0, 1));
    assert!(unreadable[0].contains("vpn-1/outage"), "{unreadable:?}");
}

#[test]
fn a_rollup_is_read_back_as_it_was_until_it_is_sent() {
    let (_directory, mut database) = database();
    let mut pending = Pending::default();
    for minute in 0..3 {
        pending.rollup(rollup(minute), false);
    }
    database.write(&pending, NOW).unwrap();
    let until = rollup(1).minute;
    assert_eq!(
        database.unsent(until, 10).unwrap(),
        [rollup(1), rollup(0)],
        "newest first, up to the minute asked for"
    );
    assert_eq!(database.unsent(rollup(9).minute, 1).unwrap(), [rollup(2)]);

    let mut pending = Pending::default();
    pending.sent(rollup(1));
    database.write(&pending, NOW).unwrap();
    assert_eq!(database.unsent(rollup(9).minute, 10).unwrap(), [rollup(2), rollup(0)]);
    assert_eq!(database.unsent_count().unwrap(), 2);
}

#[test]
fn what_was_sent_stays_sent_when_it_is_recorded_late_or_again() {
    let (_directory, mut database) = database();
    let mut pending = Pending::default();
    pending.sent(rollup(0));
    database.write(&pending, NOW).unwrap();
    let mut pending = Pending::default();
    pending.rollup(rollup(0), false);
    database.write(&pending, NOW).unwrap();
    assert_eq!(database.unsent_count().unwrap(), 0);
}

#[test]
fn the_two_parts_of_a_minute_that_a_restart_cut_are_sent_each() {
    let (_directory, mut database) = database();
    let mut pending = Pending::default();
    let rest = Arc::new(Rollup { replies: 7, ..Rollup::clone(&rollup(0)) });
    pending.rollup(rollup(0), true);
    pending.rollup(Arc::clone(&rest), false);
    database.write(&pending, NOW).unwrap();
    assert_eq!(database.unsent(NOW.wall, 10).unwrap(), [rest]);
}

#[test]
fn forgetting_removes_every_generation_and_a_row_committed_afterwards_stays() {
    let (_directory, mut database) = database();
    let row = |generation| LedgerRow {
        sink: SinkId::new("incident_manager"),
        incident: incident(-60).id.clone(),
        generation,
        start: None,
        record: Some(RecordId(format!("arn:{generation}"))),
        told: 3,
        closed_by_person_at: None,
        related: false,
        settled: false,
    };
    let mut pending = Pending::default();
    pending.row(row(0));
    pending.row(row(1));
    database.write(&pending, NOW).unwrap();
    assert_eq!(database.ledger(&SinkId::new("incident_manager")).unwrap().0, [row(0), row(1)]);
    assert_eq!(database.ledger(&SinkId::new("sns")).unwrap().0, []);

    let mut pending = Pending::default();
    pending.row(row(1));
    pending.forget(SinkId::new("incident_manager"), incident(-60).id.clone());
    pending.row(row(2));
    database.write(&pending, NOW).unwrap();
    assert_eq!(database.ledger(&SinkId::new("incident_manager")).unwrap().0, [row(2)]);
}

#[test]
fn history_is_bounded_and_the_oldest_sent_rollups_go_first() {
    let (_directory, mut database) = database();
    let mut pending = Pending::default();
    for minute in 0..10 {
        pending.rollup(rollup(minute), minute < 4);
    }
    database.write(&pending, NOW).unwrap();
    let left = |database: &Database| {
        let query = "SELECT minute FROM rollup ORDER BY minute";
        let minutes = database.rows(query, [], |row| row.get::<_, i64>(0)).unwrap();
        minutes.into_iter().map(|minute| (minute / 1000 - 1_800_000_000) / 60).collect::<Vec<_>>()
    };
    for (max, given_up, expected) in [(7, 0, vec![3, 4, 5, 6, 7, 8, 9]), (4, 2, vec![6, 7, 8, 9])] {
        let transaction = database.connection.transaction().unwrap();
        assert_eq!(prune::prune_to(&transaction, KEEP, NOW.wall, max, 10).unwrap(), given_up);
        transaction.commit().unwrap();
        assert_eq!(left(&database), expected);
    }
}

#[test]
fn what_is_too_old_goes_and_what_waits_for_two_weeks_is_given_up_but_kept() {
    let (_directory, mut database) = database();
    let day = 24 * 60;
    let mut pending = Pending::default();
    pending.rollup(rollup(-100 * day), false);
    pending.rollup(rollup(-15 * day), false);
    pending.rollup(rollup(-day), false);
    pending.incident(incident(-100 * 86_400), Some(NOW.wall - KEEP - Duration::from_secs(1)));
    pending.incident(incident(-101 * 86_400), None);
    assert_eq!(database.write(&pending, NOW).unwrap(), 2);
    assert_eq!(database.unsent(NOW.wall, 10).unwrap(), [rollup(-day)]);
    let count = |table: &str| -> i64 {
        database.connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!((count("rollup"), count("incident")), (2, 1), "an incident on the Board stays, however old");
}

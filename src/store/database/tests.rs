//! The file, without the thread.

mod file_state;
mod rows;

use tempfile::TempDir;

use super::*;
use crate::catalogue::parts::Unreadable;
use crate::domain::board::{Incident, TimelineChange, TimelineEntry};
use crate::domain::event::Unheard;
use crate::domain::names::{CheckKind, End};
use crate::domain::plan::OwnEnd;
use crate::domain::verdict::{AwsEvidence, Evidence, LocalEvidence, Verdict, View, Why};
use crate::store::fixture::{DAY, HOUR, KEEP, MAX_SIZE, NOW, incident, rollup, row, sink, tunnel};
use crate::store::history::TransitionBody;

const MINUTE: Duration = Duration::from_secs(60);

fn database() -> (TempDir, Database) {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(&directory.path().join("a.db"), KEEP, MAX_SIZE, NOW).unwrap();
    (directory, database)
}

#[test]
fn state_is_remembered() {
    let (directory, mut database) = database();
    let seen = [
        SeenUp::Local(
            CheckId { tunnel: tunnel(), kind: CheckKind::Inside },
            RouteKey {
                inside_ip: "fd00::1".parse().unwrap(),
                own: Some(OwnEnd { source_ip: "fd00::2".parse().unwrap(), interface: Some("vti1".into()) }),
            },
        ),
        SeenUp::Aws(tunnel()),
    ];
    let key = |own| RouteKey { inside_ip: "fd00::1".parse().unwrap(), own };
    let check = CheckId { tunnel: tunnel(), kind: CheckKind::Inside };
    let elsewhere = OwnEnd { source_ip: "fd00::9".parse().unwrap(), interface: None };
    for own in [None, Some(elsewhere)] {
        let mut earlier = State::default();
        earlier.seen_up(SeenUp::Local(check.clone(), key(own)));
        database.write(&earlier, &History::default(), NOW).unwrap();
    }
    let mut state = State::default();
    seen.iter().for_each(|seen| state.seen_up(seen.clone()));
    state.incident(incident(MINUTE), None);
    state.incident(incident(HOUR), Some(NOW.wall));
    state.incident(incident(2 * DAY), Some(NOW.wall));
    database.write(&state, &History::default(), NOW).unwrap();
    drop(database);

    let database = Database::open(&directory.path().join("a.db"), KEEP, MAX_SIZE, NOW).unwrap();
    let Found { remembered, unreadable, .. } = database.found(NOW).unwrap();
    assert_eq!(unreadable, []);
    let mut seen_up = remembered.seen_up;
    seen_up.sort();
    assert_eq!(seen_up, seen);
    assert_eq!(remembered.incidents, [incident(MINUTE)], "what is settled has left the Board");
    let opened: Vec<_> = remembered.openings.iter().map(|(_, _, at)| NOW.wall.since(*at).as_secs()).collect();
    assert_eq!(opened, [3600, 60], "those of the last 24 hours count");
}

#[test]
fn an_incident_that_was_missed_is_no_opening() {
    let (_directory, mut database) = database();
    let mut state = State::default();
    state.incident(incident(HOUR), Some(NOW.wall));
    let what = TimelineChange::Missed;
    let timeline = vec![TimelineEntry { seq: 0, at: NOW.wall, what, repeats: 0 }];
    let missed = Incident { timeline, ..Incident::clone(&incident(2 * HOUR)) };
    state.incident(Arc::new(missed), Some(NOW.wall));
    database.write(&state, &History::default(), NOW).unwrap();
    let opened: Vec<_> = database.found(NOW).unwrap().remembered.openings;
    let ordinary = incident(HOUR).id.clone();
    assert_eq!(opened, [(ordinary.scope, ordinary.kind, ordinary.opened)]);
}

#[test]
fn what_our_end_saw_after_awss_view_was_lost_is_remembered() {
    let (directory, mut database) = database();
    let change = |end, from, verdict, ago: Duration| {
        let since = Now { mono: NOW.mono - ago, wall: NOW.wall - ago };
        let evidence = match end {
            End::Local => Evidence::Local(LocalEvidence::default()),
            End::Aws => Evidence::Aws(AwsEvidence::default()),
        };
        let body = TransitionBody::View { end, from, view: View { verdict, since, evidence } };
        Transition { tunnel: tunnel(), at: since, body }
    };
    let mut history = History::default();
    for transition in [
        change(End::Local, Verdict::Up, Verdict::Down, 50 * MINUTE),
        change(End::Aws, Verdict::Up, Verdict::Unknown(Why::Stale), 45 * MINUTE),
        change(End::Local, Verdict::Down, Verdict::Up, 20 * MINUTE),
    ] {
        history.transition(transition);
    }
    database.write(&State::default(), &history, NOW).unwrap();
    drop(database);

    let database = Database::open(&directory.path().join("a.db"), KEEP, MAX_SIZE, NOW).unwrap();
    let unheard = Unheard {
        tunnel: tunnel(),
        since: NOW.wall - 45 * MINUTE,
        down: vec![(NOW.wall - 50 * MINUTE, NOW.wall - 20 * MINUTE)],
    };
    assert_eq!(database.found(NOW).unwrap().remembered.unheard, [unheard]);
}

#[test]
fn an_incident_that_cannot_be_read_is_named_and_left_in_the_file() {
    let (_directory, mut database) = database();
    let mut state = State::default();
    state.incident(incident(MINUTE), None);
    database.write(&state, &History::default(), NOW).unwrap();
    database.connection.execute("UPDATE incident SET body = '{}'", []).unwrap();
    let Found { remembered, unreadable, .. } = database.found(NOW).unwrap();
    assert_eq!((remembered.incidents.len(), unreadable.len()), (0, 1));
    assert!(
        matches!(&unreadable[..], [Unreadable::Incident { id, .. }] if id.contains("vpn-1/outage")),
        "{unreadable:?}"
    );
}

#[test]
fn a_rollup_is_read_back_as_it_was_until_it_is_sent() {
    let (_directory, mut database) = database();
    let mut history = History::default();
    for minute in 0..3 {
        history.rollup(rollup(minute), false);
    }
    database.write(&State::default(), &history, NOW).unwrap();
    let until = rollup(1).minute;
    assert_eq!(
        database.unsent(until, 10).unwrap(),
        [rollup(1), rollup(0)],
        "newest first, up to the minute asked for"
    );
    assert_eq!(database.unsent(rollup(9).minute, 1).unwrap(), [rollup(2)]);

    let mut history = History::default();
    history.sent(rollup(1));
    database.write(&State::default(), &history, NOW).unwrap();
    assert_eq!(database.unsent(rollup(9).minute, 10).unwrap(), [rollup(2), rollup(0)]);
    assert_eq!(database.unsent_count().unwrap(), 2);
}

#[test]
fn what_was_sent_stays_sent_when_it_is_recorded_late_or_again() {
    let (_directory, mut database) = database();
    let mut history = History::default();
    history.sent(rollup(0));
    database.write(&State::default(), &history, NOW).unwrap();
    let mut history = History::default();
    history.rollup(rollup(0), false);
    database.write(&State::default(), &history, NOW).unwrap();
    assert_eq!(database.unsent_count().unwrap(), 0);
}

#[test]
fn the_two_parts_of_a_minute_that_a_restart_cut_are_sent_each() {
    let (_directory, mut database) = database();
    let mut history = History::default();
    let rest = Arc::new(Rollup { replies: 7, ..Rollup::clone(&rollup(0)) });
    history.rollup(rollup(0), true);
    history.rollup(Arc::clone(&rest), false);
    database.write(&State::default(), &history, NOW).unwrap();
    assert_eq!(database.unsent(NOW.wall, 10).unwrap(), [rest]);
}

#[test]
fn forgetting_removes_every_generation_and_a_row_committed_afterwards_stays() {
    let (_directory, mut database) = database();
    let incident = incident(MINUTE);
    let row = |generation| row(&incident, generation);
    let mut state = State::default();
    state.row(row(0));
    state.row(row(1));
    database.write(&state, &History::default(), NOW).unwrap();
    assert_eq!(database.found(NOW).unwrap().ledger, [row(0), row(1)]);

    let mut state = State::default();
    state.row(row(1));
    state.forget(&sink(), &incident.id);
    state.row(row(2));
    database.write(&state, &History::default(), NOW).unwrap();
    assert_eq!(database.found(NOW).unwrap().ledger, [row(2)]);
}

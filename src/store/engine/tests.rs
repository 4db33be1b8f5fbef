//! The store as a simulation runs it.

mod bounded;
mod pace;
mod silences;
mod trouble;

use std::collections::BTreeSet;

use super::*;
use crate::domain::names::{Destination, Kind};
use crate::store::fixture::{
    HOUR, NOW, incident, opened, rollup, row, seen_up, settings, sink, view_changed,
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn what_was_not_committed_is_lost_in_a_crash_and_what_was_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let (mut engine, _) = StoreEngine::open(&settings, NOW).unwrap();
    engine.record(&seen_up(), NOW);
    drop(engine);
    let (mut engine, remembered) = StoreEngine::open(&settings, NOW).unwrap();
    assert_eq!(remembered, Remembered::default());

    engine.record(&seen_up(), NOW);
    assert_eq!(engine.poll_timeout(), Some(NOW.mono), "state is due at once");
    engine.handle_timeout(NOW).unwrap();
    assert_eq!(engine.poll_timeout(), None);
    drop(engine);
    let (_, remembered) = StoreEngine::open(&settings, NOW).unwrap();
    assert_eq!(remembered.seen_up.len(), 1);
}

#[test]
fn in_calm_there_is_a_commit_a_minute() {
    let directory = tempfile::tempdir().unwrap();
    let (mut engine, _) = StoreEngine::open(&settings(directory.path()), NOW).unwrap();
    let mut commits = Vec::new();
    for second in 0..600 {
        let now = NOW.after(second * SECOND);
        if second % 60 == 0 {
            engine.record(&Fact::RollupReady(rollup(i64::from(second / 60))), now);
        }
        if engine.poll_timeout().is_some_and(|at| at <= now.mono) {
            engine.handle_timeout(now).unwrap();
            commits.push(second);
        }
    }
    assert_eq!(commits, (0..10).map(|minute| minute * 60 + 5).collect::<Vec<_>>());
}

#[test]
fn the_ledger_is_read_as_it_was_written_last_whether_it_is_committed_or_not() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let (mut engine, _) = StoreEngine::open(&settings, NOW).unwrap();
    let incident = incident(HOUR);
    engine.commit_row(row(&incident, 0), NOW);
    assert_eq!(engine.load(&sink()), [row(&incident, 0)]);
    engine.commit(NOW).unwrap();
    engine.forget(&sink(), &incident.id, NOW);
    engine.commit_row(row(&incident, 1), NOW);
    assert_eq!(engine.load(&sink()), [row(&incident, 1)]);
    assert_eq!(engine.load(&SinkId::new("sns")), []);
    engine.commit(NOW).unwrap();
    drop(engine);
    assert_eq!(StoreEngine::open(&settings, NOW).unwrap().0.load(&sink()), [row(&incident, 1)]);
}

#[test]
fn sinks_that_swap_names_find_their_own_rows_in_the_file_and_other_rows_are_removed() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let incident = incident(HOUR);
    let plan = |name: &str, destination: &str| SinkPlan {
        id: SinkId::new(name),
        destination: Destination::new(destination),
        kinds: BTreeSet::from(Kind::ALL),
        scopes: None,
    };
    let sent = |name: &str, destination: &str, sent_upto| LedgerRow {
        sink: SinkId::new(name),
        destination: Some(Destination::new(destination)),
        sent_upto,
        ..row(&incident, 0)
    };
    let (mut engine, _) = StoreEngine::open(&settings, NOW).unwrap();
    let rows = [sent("webhook", "chat", 1), sent("webhook-2", "pager", 2), sent("webhook-3", "gone", 3)];
    rows.iter().for_each(|row| engine.commit_row(row.clone(), NOW));
    engine.commit(NOW).unwrap();

    let sinks = [plan("webhook", "pager"), plan("webhook-2", "chat")];
    assert_eq!(engine.allot(&sinks, NOW), [sent("webhook-3", "gone", 3)]);
    assert_eq!(engine.poll_timeout(), Some(NOW.mono), "it is due at once");
    engine.commit(NOW).unwrap();
    assert_eq!(engine.allot(&sinks, NOW), []);
    assert_eq!(engine.poll_timeout(), None, "nothing is written that stays as it is");
    drop(engine);
    let (engine, _) = StoreEngine::open(&settings, NOW).unwrap();
    assert_eq!(engine.load(&SinkId::new("webhook")), [sent("webhook", "pager", 2)]);
    assert_eq!(engine.load(&SinkId::new("webhook-2")), [sent("webhook-2", "chat", 1)]);
    assert_eq!(engine.load(&SinkId::new("webhook-3")), []);
}

#[test]
fn a_commit_of_nothing_is_not_due_again() {
    let directory = tempfile::tempdir().unwrap();
    let (mut engine, _) = StoreEngine::open(&settings(directory.path()), NOW).unwrap();
    engine.record(&seen_up(), NOW);
    engine.commit(NOW).unwrap();
    engine.sent(&[], NOW);
    engine.handle_timeout(NOW).unwrap();
    assert_eq!(engine.poll_timeout(), None);
}

//! The store as a simulation runs it.

mod bounded;
mod trouble;

use super::*;
use crate::store::fixture::{
    HOUR, NOW, incident, opened, rollup, row, seen_up, settings, sink, view_changed,
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn what_was_not_committed_is_lost_in_a_crash_and_what_was_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let (mut keeper, _) = Keeper::open(&settings, NOW).unwrap();
    keeper.record(&seen_up(), NOW);
    drop(keeper);
    let (mut keeper, remembered) = Keeper::open(&settings, NOW).unwrap();
    assert_eq!(remembered, Remembered::default());

    keeper.record(&seen_up(), NOW);
    assert_eq!(keeper.poll_timeout(), Some(NOW.mono), "state is due at once");
    keeper.handle_timeout(NOW).unwrap();
    assert_eq!(keeper.poll_timeout(), None);
    drop(keeper);
    let (_, remembered) = Keeper::open(&settings, NOW).unwrap();
    assert_eq!(remembered.seen_up.len(), 1);
}

#[test]
fn in_calm_there_is_a_commit_a_minute() {
    let directory = tempfile::tempdir().unwrap();
    let (mut keeper, _) = Keeper::open(&settings(directory.path()), NOW).unwrap();
    let mut commits = Vec::new();
    for second in 0..600 {
        let now = NOW.after(second * SECOND);
        if second % 60 == 0 {
            keeper.record(&Fact::RollupReady(rollup(i64::from(second / 60))), now);
        }
        if keeper.poll_timeout().is_some_and(|at| at <= now.mono) {
            keeper.handle_timeout(now).unwrap();
            commits.push(second);
        }
    }
    assert_eq!(commits, (0..10).map(|minute| minute * 60 + 5).collect::<Vec<_>>());
}

#[test]
fn the_ledger_is_read_as_it_was_written_last_whether_it_is_committed_or_not() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let (mut keeper, _) = Keeper::open(&settings, NOW).unwrap();
    let incident = incident(HOUR);
    keeper.commit_row(row(&incident, 0), NOW);
    assert_eq!(keeper.load(&sink()), [row(&incident, 0)]);
    keeper.commit(NOW).unwrap();
    keeper.forget(&sink(), &incident.id, NOW);
    keeper.commit_row(row(&incident, 1), NOW);
    assert_eq!(keeper.load(&sink()), [row(&incident, 1)]);
    assert_eq!(keeper.load(&SinkId::new("sns")), []);
    keeper.commit(NOW).unwrap();
    drop(keeper);
    assert_eq!(Keeper::open(&settings, NOW).unwrap().0.load(&sink()), [row(&incident, 1)]);
}

//! The store as a simulation runs it.

use super::*;
use crate::store::fixture::{NOW, seen_up, settings};

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

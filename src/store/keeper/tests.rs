//! The store as a simulation runs it.

use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::domain::event::SeenUp;
use crate::domain::names::{TunnelId, VpnId};

const NOW: Now = Now { mono: Moment::ORIGIN, wall: Stamp::from_secs(1_800_000_000) };

fn settings(directory: &TempDir) -> Settings {
    Settings {
        path: directory.path().join("bothends.db"),
        max_size: 64 << 20,
        keep: Duration::from_secs(90 * 24 * 3600),
        spool: true,
    }
}

fn seen_up() -> Fact {
    Fact::SeenUp(SeenUp::Aws(TunnelId { vpn: VpnId::new("vpn-1"), outside_ip: [203, 0, 113, 1].into() }))
}

#[test]
fn what_was_not_committed_is_lost_in_a_crash_and_what_was_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(&directory);
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

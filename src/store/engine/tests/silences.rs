//! Silences outlive a restart, and none of their numbers comes back.

use super::*;
use crate::domain::scope::{ParentId, ParentKind};
use crate::domain::silence::SilenceScope;
use crate::store::fixture::{on_disk, tunnel};

/// From an hour before [`NOW`] on.
fn silence(id: u32, of: SilenceScope, length: Duration, weekly: Option<&str>) -> Silence {
    Silence {
        id: SilenceId(id),
        of,
        from: NOW.wall - HOUR,
        until: NOW.wall - HOUR + length,
        weekly: weekly.map(Into::into),
        reason: "a new line, \"by cable\"".into(),
        by: 1000,
        added: NOW.wall - HOUR,
    }
}

fn one_of_each() -> Vec<Silence> {
    let wan = ParentId { kind: ParentKind::Uplink, site: "milan-1".into(), name: "wan1".into() };
    vec![
        silence(1, SilenceScope::Site, HOUR * 2, None),
        silence(2, SilenceScope::Parent(wan), HOUR * 2, Some("UTC")),
        silence(3, SilenceScope::Connection(tunnel().vpn), HOUR / 2, Some("UTC")),
        silence(4, SilenceScope::Tunnel(tunnel()), HOUR / 2, None),
    ]
}

#[test]
fn silences_are_found_again_in_their_first_window_and_the_core_gets_the_present_one() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let (mut engine, _) = StoreEngine::open(&settings, NOW).unwrap();
    engine.keep_silences(one_of_each(), NOW);
    assert_eq!(engine.poll_timeout(), Some(NOW.mono), "they are due at once");
    engine.commit(NOW).unwrap();
    drop(engine);

    let (engine, remembered) = StoreEngine::open(&settings, NOW).unwrap();
    assert_eq!(*engine.silences(), Silences::new(one_of_each(), 4));
    let present: Vec<_> = remembered.silences.iter().map(|silence| (silence.id.0, silence.from)).collect();
    let week = HOUR * (7 * 24);
    let begun = NOW.wall - HOUR;
    assert_eq!(present, [(1, begun), (2, begun), (3, begun + week)], "the fourth is over");
}

#[test]
fn what_was_not_committed_is_lost_in_a_crash_and_what_is_over_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let (mut engine, _) = StoreEngine::open(&settings, NOW).unwrap();
    engine.keep_silences(one_of_each(), NOW);
    drop(engine);
    let (mut engine, _) = StoreEngine::open(&settings, NOW).unwrap();
    assert_eq!(*engine.silences(), Silences::default());

    engine.keep_silences(one_of_each(), NOW);
    engine.commit(NOW).unwrap();
    engine.forget_silences(&[SilenceId(2), SilenceId(4)], NOW);
    engine.commit(NOW).unwrap();
    drop(engine);
    let (engine, _) = StoreEngine::open(&settings, NOW).unwrap();
    let kept = one_of_each().into_iter().filter(|silence| [1, 3].contains(&silence.id.0));
    assert_eq!(*engine.silences(), Silences::new(kept, 4), "the number 4 is not given again");
}

#[test]
fn a_row_that_cannot_be_read_silences_nothing_and_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let (mut engine, _) = StoreEngine::open(&settings, NOW).unwrap();
    engine.keep_silences(one_of_each(), NOW);
    engine.commit(NOW).unwrap();
    drop(engine);
    let file = rusqlite::Connection::open(&settings.path).unwrap();
    file.execute("UPDATE silence SET body = '{}' WHERE id = 1", []).unwrap();
    drop(file);
    let (mut engine, remembered) = StoreEngine::open(&settings, NOW).unwrap();
    assert_eq!(remembered.silences.iter().map(|silence| silence.id.0).collect::<Vec<_>>(), [2, 3]);
    let notice = engine.poll_notice().unwrap().record(&settings.path);
    assert!(notice.message.contains("cannot read silence 1"), "{}", notice.message);
}

#[test]
fn a_new_file_is_given_the_silences_that_are_in_memory() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let (mut engine, _) = StoreEngine::open(&settings, NOW).unwrap();
    engine.keep_silences(one_of_each(), NOW);
    engine.commit(NOW).unwrap();
    std::fs::remove_file(&settings.path).unwrap();
    engine.forget_silences(&[SilenceId(4)], NOW);
    engine.commit(NOW).unwrap();
    let ids: Vec<i64> = on_disk(&settings.path)
        .prepare("SELECT id FROM silence ORDER BY id")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(ids, [1, 2, 3]);
}

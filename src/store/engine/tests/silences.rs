//! Silences outlive a restart, and none of their numbers comes back.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::domain::scope::{ParentId, ParentKind};
use crate::domain::silence::{FromNow, SilenceScope};
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
        from_now: FromNow::default(),
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

/// A store with these silences, which cannot be opened until [`open_up`].
fn shut(settings: &StoreSettings, silences: Vec<Silence>, away: &Path) -> StoreEngine {
    let (mut engine, _) = StoreEngine::open(settings, NOW).unwrap();
    engine.keep_silences(silences, NOW);
    engine.commit(NOW).unwrap();
    drop(engine);
    let parent = settings.path.parent().unwrap();
    fs::rename(parent, away).unwrap();
    fs::write(parent, "in the way").unwrap();
    let (engine, _) = StoreEngine::open(settings, NOW).unwrap();
    assert_eq!(*engine.silences(), Silences::default());
    engine
}

fn open_up(settings: &StoreSettings, away: &PathBuf) {
    let parent = settings.path.parent().unwrap();
    fs::remove_file(parent).unwrap();
    fs::rename(away, parent).unwrap();
}

/// Like the first of [`one_of_each`], added later and for another reason.
fn newer(id: u32) -> Silence {
    let reason = "another line".into();
    Silence { reason, added: NOW.wall, ..silence(id, SilenceScope::Site, HOUR * 3, None) }
}

fn stored(settings: &StoreSettings) -> Silences {
    StoreEngine::open(settings, NOW).unwrap().0.silences().clone()
}

#[test]
fn silences_of_a_file_that_is_opened_late_come_to_light_and_none_is_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let away = directory.path().join("away");
    let mut engine = shut(&settings, one_of_each(), &away);
    // The list begins with 1 again, as it knows of none.
    engine.keep_silences(vec![newer(1)], NOW);
    assert_eq!(engine.poll_late_silences(), None);
    open_up(&settings, &away);
    engine.commit(NOW).unwrap();
    let renumbered = Silence { id: SilenceId(5), ..one_of_each().remove(0) };
    let late: Vec<_> = one_of_each().into_iter().skip(1).chain([renumbered]).collect();
    assert_eq!(engine.poll_late_silences(), Some(Silences::new(late.clone(), 5)));
    assert_eq!(engine.poll_late_silences(), None);
    let notice = engine.poll_notice().unwrap().record(&settings.path);
    assert!(
        notice.message.contains("has a silence 1 of site")
            && notice.message.contains("is silence 5 from now on"),
        "{}",
        notice.message
    );
    drop(engine);
    assert_eq!(stored(&settings), Silences::new(late.into_iter().chain([newer(1)]), 5), "nothing is lost");
}

/// The file was opened by itself, and the list has given a number before it heard of it.
#[test]
fn a_number_that_is_given_while_the_file_is_opened_takes_the_place_of_none() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let away = directory.path().join("away");
    let mut engine = shut(&settings, one_of_each(), &away);
    open_up(&settings, &away);
    engine.commit(NOW).unwrap();
    assert_eq!(engine.poll_late_silences(), Some(Silences::new(one_of_each(), 4)));
    engine.keep_silences(vec![newer(1)], NOW);
    let renumbered = Silence { id: SilenceId(5), ..one_of_each().remove(0) };
    assert_eq!(engine.poll_late_silences(), Some(Silences::new([renumbered.clone()], 5)));
    engine.commit(NOW).unwrap();
    // The same silence again, with dates that have moved, is no other.
    engine.keep_silences(vec![Silence { until: NOW.wall + HOUR * 9, ..newer(1) }], NOW);
    assert_eq!(engine.poll_late_silences(), None);
    engine.commit(NOW).unwrap();
    drop(engine);
    let ids: Vec<_> = stored(&settings).present(NOW.wall, |_| None).iter().map(|it| it.id.0).collect();
    assert_eq!(ids, [1, 2, 5], "of 3 the zone is not known here, and 4 is over");
}

#[test]
fn what_has_ended_stays_so_in_a_file_that_is_opened_late_and_another_of_its_number_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let away = directory.path().join("away");
    let mut engine = shut(&settings, one_of_each(), &away);
    engine.keep_silences(vec![newer(1), one_of_each().remove(1)], NOW);
    engine.forget_silences(&[SilenceId(1), SilenceId(2)], NOW);
    open_up(&settings, &away);
    engine.commit(NOW).unwrap();
    let late: Vec<_> = one_of_each().into_iter().filter(|silence| silence.id != SilenceId(2)).collect();
    assert_eq!(engine.poll_late_silences(), Some(Silences::new(late.clone(), 4)));
    drop(engine);
    assert_eq!(stored(&settings), Silences::new(late, 4));
}

#[test]
fn of_a_file_that_is_opened_late_without_a_silence_the_highest_number_is_known() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let away = directory.path().join("away");
    let mut engine = shut(&settings, one_of_each(), &away);
    open_up(&settings, &away);
    let file = rusqlite::Connection::open(&settings.path).unwrap();
    file.execute("DELETE FROM silence", []).unwrap();
    drop(file);
    engine.commit(NOW).unwrap();
    assert_eq!(engine.poll_late_silences(), Some(Silences::new([], 4)));
}

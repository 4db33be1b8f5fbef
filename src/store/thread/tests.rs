//! The whole store: handle, thread and file.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::*;
use crate::domain::event::SeenUp;
use crate::domain::names::{Kind, VpnId};
use crate::health::{Component, Severity};
use crate::store::fixture::{
    HOUR, NOW, incident as incident_of, on_disk, opened, rollup, row as row_of, seen_up,
    settings as settings_in, tunnel, view_changed,
};

fn settings(directory: &tempfile::TempDir) -> StoreSettings {
    settings_in(directory.path())
}

fn incident() -> Arc<crate::domain::board::Incident> {
    incident_of(HOUR)
}

fn row() -> LedgerRow {
    row_of(&incident(), 0)
}

fn open(settings: &StoreSettings) -> Opened {
    Store::open(settings, Health::default(), NOW).unwrap()
}

/// The file is made with the first commit.
async fn first_write(store: &Store) {
    store.sent(&[]).await.unwrap();
}

fn count(settings: &StoreSettings, table: &str) -> i64 {
    let query = format!("SELECT count(*) FROM {table}");
    on_disk(&settings.path).query_row(&query, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn what_was_recorded_is_remembered_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(&directory);
    let Opened { store, remembered, silences: _, thread } = open(&settings);
    assert_eq!(remembered, Remembered::default());
    store.record(&seen_up());
    store.record(&view_changed());
    store.record(&Fact::RollupReady(rollup(0)));
    store.record(&opened(&incident()));
    drop(store);
    thread.ended().await;
    assert_eq!(count(&settings, "transition"), 1);

    let Opened { store, remembered, silences: _, thread } = open(&settings);
    assert_eq!(remembered.seen_up, [SeenUp::Aws(tunnel())]);
    assert_eq!(remembered.incidents, [incident()]);
    assert_eq!(remembered.openings, [(VpnId::new("vpn-1").into(), Kind::Outage, incident().id.opened)]);
    assert_eq!(store.unsent(NOW.wall, 10).await.unwrap(), [rollup(0)]);
    store.record(&Fact::IncidentSettled { incident: incident(), at: NOW });
    drop(store);
    thread.ended().await;
    assert_eq!(open(&settings).remembered.incidents, []);
}

#[tokio::test]
async fn a_ledger_row_is_in_the_file_when_the_commit_returns_and_so_is_the_history() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(&directory);
    let Opened { store, thread: _thread, .. } = open(&settings);
    store.record(&view_changed());
    store.commit(row()).await.unwrap();
    // The store lives on: what is on the disk has been committed.
    assert_eq!((count(&settings, "ledger"), count(&settings, "transition")), (1, 1));
    assert_eq!(store.load(&row().sink).await.unwrap(), [row()]);
    store.forget(&row().sink, &row().incident).await.unwrap();
    assert_eq!(count(&settings, "ledger"), 0);
}

#[tokio::test]
async fn the_spool_sees_history_whether_or_not_it_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(&directory);
    let Opened { store, thread: _thread, .. } = open(&settings);
    first_write(&store).await;
    for minute in 0..3 {
        store.record(&Fact::RollupReady(rollup(minute)));
    }
    assert_eq!(store.unsent(rollup(1).minute, 10).await.unwrap(), [rollup(1), rollup(0)]);
    // When it is written depends on the clock; the engine's own tests say.
    assert_eq!(store.pending().await.unwrap(), 3);
    store.sent(&[rollup(2)]).await.unwrap();
    assert_eq!((store.pending().await.unwrap(), count(&settings, "rollup")), (2, 3));
    assert_eq!(store.unsent(rollup(9).minute, 10).await.unwrap(), [rollup(1), rollup(0)]);
}

#[tokio::test]
async fn without_a_publisher_nothing_waits_to_be_sent() {
    let directory = tempfile::tempdir().unwrap();
    let settings = StoreSettings { spool: false, ..settings(&directory) };
    let Opened { store, .. } = open(&settings);
    store.record(&Fact::RollupReady(rollup(0)));
    assert_eq!(store.pending().await.unwrap(), 0);
}

#[tokio::test]
async fn a_disk_that_fails_is_stated_and_what_came_meanwhile_is_written_when_it_works_again() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(&directory);
    let health = Health::default();
    let Opened { store, thread, .. } = Store::open(&settings, health.clone(), NOW).unwrap();
    first_write(&store).await;
    let (disk, away) = (settings.path.parent().unwrap(), directory.path().join("away"));
    fs::rename(disk, &away).unwrap();
    fs::write(disk, "in the way").unwrap();
    store.record(&seen_up());
    assert!(store.commit(row()).await.is_err());
    assert!(store.sent(&[rollup(0)]).await.is_err());
    let problem = health.watch().borrow().get(&Component::Store).cloned().unwrap();
    assert_eq!(problem.severity, Severity::Failed);
    assert!(problem.text.contains("go on from memory"), "{}", problem.text);

    fs::remove_file(disk).unwrap();
    fs::rename(&away, disk).unwrap();
    let next = LedgerRow { generation: 1, ..row() };
    store.commit(next.clone()).await.unwrap();
    assert_eq!(store.load(&row().sink).await.unwrap(), [row(), next]);
    assert!(health.watch().borrow().is_empty());
    assert_eq!(store.counts(), Counts::default());
    drop(store);
    thread.ended().await;
    assert_eq!(open(&settings).remembered.seen_up, [SeenUp::Aws(tunnel())]);
}

#[tokio::test]
async fn history_beyond_the_queue_is_dropped_and_counted_while_state_is_not() {
    let (jobs, queue) = mpsc::channel();
    let store = Store { jobs, shared: Arc::default(), health: Health::default() };
    for minute in 0..i64::try_from(HISTORY_QUEUE).unwrap() + 5 {
        store.record(&Fact::RollupReady(rollup(minute)));
    }
    store.record(&view_changed());
    store.record(&seen_up());
    assert_eq!(store.counts(), Counts { rollups_dropped: 5, transitions_dropped: 1 });
    drop(store);
    let directory = tempfile::tempdir().unwrap();
    let (mut engine, _) = StoreEngine::open(&settings(&directory), NOW).unwrap();
    let (mut jobs, mut due) = (0, None);
    while let Ok(job) = queue.try_recv() {
        due = engine.poll_timeout();
        assert!(job.committed.is_none());
        (job.run)(&mut engine, NOW);
        jobs += 1;
    }
    assert_eq!((jobs, engine.pending()), (HISTORY_QUEUE + 1, Ok(u64::try_from(HISTORY_QUEUE).unwrap())));
    assert!(
        due.is_some_and(|due| due > NOW.mono) && engine.poll_timeout() == Some(NOW.mono),
        "the last is state"
    );
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_file_and_its_directory_are_private() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(&directory);
    let opened = open(&settings);
    opened.store.record(&seen_up());
    assert_eq!(mode(settings.path.parent().unwrap()), 0o700);
    for entry in fs::read_dir(settings.path.parent().unwrap()).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

#[test]
fn a_file_of_ours_that_others_may_read_is_made_private_however_far_it_was_begun() {
    let empty: fn(&Path) = |path| fs::write(path, "").unwrap();
    let unmarked: fn(&Path) = |path| {
        Connection::open(path)
            .unwrap()
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA user_version = 0")
            .unwrap();
    };
    let ours: fn(&Path) = |path| {
        let settings = StoreSettings { path: path.into(), ..settings_in(path.parent().unwrap()) };
        drop(StoreEngine::open(&settings, NOW).unwrap());
    };
    for begin in [empty, unmarked, ours] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        begin(&path);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let opened = open(&StoreSettings { path, ..settings(&directory) });
        opened.store.record(&seen_up());
        for entry in fs::read_dir(directory.path()).unwrap() {
            assert_eq!(mode(&entry.unwrap().path()), 0o600);
        }
    }
}

fn refusal(settings: &StoreSettings) -> OpenError {
    Store::open(settings, Health::default(), NOW).map(drop).unwrap_err()
}

#[test]
fn a_file_that_is_not_ours_is_rejected_untouched() {
    let directory = tempfile::tempdir().unwrap();
    let at = |path: PathBuf| StoreSettings { path, ..settings(&directory) };

    let error = refusal(&at(directory.path().into()));
    assert!(
        matches!(&error, OpenError::Unsuitable { .. }) && error.to_string().contains("directory"),
        "{error}"
    );

    let link = directory.path().join("link.db");
    symlink("/dev/null", &link).unwrap();
    let error = refusal(&at(link));
    assert!(
        matches!(&error, OpenError::Unsuitable { .. }) && error.to_string().contains("symbolic"),
        "{error}"
    );

    let theirs = directory.path().join("theirs.db");
    Connection::open(&theirs).unwrap().execute_batch("CREATE TABLE songs (title TEXT)").unwrap();
    fs::set_permissions(&theirs, fs::Permissions::from_mode(0o644)).unwrap();
    let before = fs::read(&theirs).unwrap();
    let error = refusal(&at(theirs.clone()));
    assert!(
        matches!(&error, OpenError::Unsuitable { .. }) && error.to_string().contains("another program"),
        "{error}"
    );
    assert_eq!((fs::read(&theirs).unwrap(), mode(&theirs)), (before, 0o644));

    let notes = directory.path().join("notes.txt");
    fs::write(&notes, "call the carrier").unwrap();
    let error = refusal(&at(notes.clone()));
    assert!(error.to_string().contains("no database"), "{error}");
    assert_eq!(fs::read(&notes).unwrap(), b"call the carrier");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3, "nothing was left beside them");
}

#[tokio::test]
async fn a_file_newer_by_one_version_is_used_unchanged_and_a_newer_one_rejected() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(&directory);
    let run = async || {
        let Opened { store, thread, .. } = open(&settings);
        drop(store);
        thread.ended().await;
    };
    run().await;
    let version = |to: usize| {
        let connection = Connection::open(&settings.path).unwrap();
        connection.busy_timeout(Duration::from_secs(5)).unwrap();
        connection.execute_batch(&format!("PRAGMA user_version = {to}")).unwrap();
    };
    version(super::super::schema::VERSION + 1);
    run().await;
    version(super::super::schema::VERSION + 2);
    let error = refusal(&settings);
    assert!(
        matches!(&error, OpenError::Unsuitable { .. }) && error.to_string().contains("version"),
        "{error}"
    );
}

#[tokio::test]
async fn a_start_reads_and_returns_the_data_before_anything_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(&directory);
    drop(StoreEngine::start(&settings, NOW).unwrap());
    assert!(!settings.path.exists());
    let Opened { store, thread, .. } = open(&settings);
    store.record(&opened(&incident()));
    store.commit(row()).await.unwrap();
    drop(store);
    thread.ended().await;

    let before = fs::read(&settings.path).unwrap();
    let begun = StoreEngine::start(&settings, NOW).unwrap();
    let (mut engine, remembered) = begun;
    assert_eq!(remembered.incidents, [incident()]);
    assert_eq!(engine.load(&row().sink), [row()]);
    assert!(engine.poll_timeout().is_some_and(|at| at > NOW.mono), "the first write is due later");
    assert!(fs::read(&settings.path).unwrap() == before);
    // What is new is written with what was known, and there is nothing to be joined with itself.
    engine.record(&seen_up(), NOW);
    engine.commit(NOW).unwrap();
    assert_eq!(engine.problem(), None);
    assert_eq!(engine.poll_notice(), None);
    assert_eq!(
        (count(&settings, "seen_up"), count(&settings, "incident"), count(&settings, "ledger")),
        (1, 1, 1)
    );
}

/// Holds the thread up, as a disk that hangs in a write does, until this is dropped.
fn hung(store: &Store) -> mpsc::Sender<()> {
    let (hangs, until) = mpsc::channel();
    store.send(move |_, _| _ = until.recv(), None);
    hangs
}

#[tokio::test(start_paused = true)]
async fn nobody_who_pages_waits_for_a_disk_that_does_not_answer_and_that_is_stated_until_it_does() {
    let directory = tempfile::tempdir().unwrap();
    let health = Health::default();
    let Opened { store, thread: _thread, .. } =
        Store::open(&settings(&directory), health.clone(), NOW).unwrap();
    let hangs = hung(&store);
    let told = timeout(COMMIT_WITHIN * 2, store.commit(row())).await.unwrap().unwrap_err().what;
    assert!(told.contains("has not written it within 5 s"), "{told}");
    assert!(timeout(COMMIT_WITHIN * 2, store.forget(&row().sink, &row().incident)).await.unwrap().is_err());
    let told = timeout(COMMIT_WITHIN * 2, store.load(&row().sink)).await.unwrap().unwrap_err().what;
    assert!(told.contains("has not answered within 5 s"), "{told}");
    assert!(timeout(SPOOL_WITHIN * 2, store.unsent(NOW.wall, 10)).await.unwrap().is_err());
    assert!(timeout(SPOOL_WITHIN * 2, store.pending()).await.unwrap().is_err());
    assert!(timeout(SPOOL_WITHIN * 2, store.sent(&[])).await.unwrap().is_err());
    let stated = health.watch().borrow()[&Component::Store].clone();
    assert!(stated.text.contains("has not answered within"), "{}", stated.text);

    drop(hangs);
    tokio::time::resume();
    store.commit(row()).await.unwrap();
    assert_eq!(health.watch().borrow().get(&Component::Store), None);
    assert_eq!(store.load(&row().sink).await.unwrap(), [row()]);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_open_is_said_late_rather_than_said_to_be_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let Opened { store, thread: _thread, .. } = open(&settings(&directory));
    // Nobody waits for it here: the first write is held back for two seconds.
    store.send(move |engine, now| engine.commit_row(row(), now), None);
    let hangs = hung(&store);
    let unanswered = timeout(COMMIT_WITHIN * 2, store.allot(Vec::new())).await.unwrap().unwrap_err();
    assert!(unanswered.what.contains("has not answered within 5 s"), "{}", unanswered.what);
    drop(hangs);
    tokio::time::resume();
    // A sink that has begun meanwhile is behind it.
    assert_eq!(store.load(&row().sink).await.unwrap(), []);
    assert_eq!(unanswered.answer().await, Some(vec![row()]));
}

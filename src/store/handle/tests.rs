//! The whole store: handle, thread and file.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::domain::board::{Incident, IncidentState};
use crate::domain::event::SeenUp;
use crate::domain::fact::IncidentChange;
use crate::domain::names::{End, Kind, TunnelId, VpnId};
use crate::domain::time::Moment;
use crate::domain::verdict::{Evidence, LocalEvidence, Verdict, View, Why};
use crate::health::{Component, Severity};

const NOW: Now = Now { mono: Moment::ORIGIN, wall: Stamp::from_secs(1_800_000_000) };

fn settings(directory: &TempDir) -> Settings {
    let path = directory.path().join("state/bothends.db");
    Settings { path, max_size: 64 << 20, keep: Duration::from_secs(90 * 24 * 3600), spool: true }
}

fn open(settings: &Settings) -> Opened {
    Store::open(settings, Health::default(), NOW).unwrap()
}

fn tunnel() -> TunnelId {
    TunnelId { vpn: VpnId::new("vpn-1"), outside_ip: [203, 0, 113, 1].into() }
}

fn rollup(minute: i64) -> Arc<Rollup> {
    Arc::new(Rollup {
        tunnel: tunnel(),
        minute: Stamp::from_secs(1_800_000_000 + minute * 60),
        replies: 60,
        late: 0,
        lost: 0,
        faults: 0,
        rtt: vec![],
        up: Some(true),
        both_ends_down: Some(false),
    })
}

fn incident() -> Arc<Incident> {
    Arc::new(Incident {
        id: IncidentId { vpn: VpnId::new("vpn-1"), kind: Kind::Outage, opened: NOW.wall },
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

fn row() -> LedgerRow {
    LedgerRow {
        sink: SinkId::new("incident_manager"),
        incident: incident().id.clone(),
        generation: 0,
        start: None,
        record: None,
        told: 0,
        closed_by_person_at: None,
        related: false,
        settled: false,
    }
}

fn view_changed() -> Fact {
    let view =
        View { verdict: Verdict::Down, since: NOW, evidence: Evidence::Local(LocalEvidence::default()) };
    Fact::ViewChanged {
        tunnel: tunnel(),
        end: End::Local,
        from: Verdict::Unknown(Why::Starting),
        view,
        at: NOW,
    }
}

fn count(settings: &Settings, table: &str) -> i64 {
    let connection = Connection::open(&settings.path).unwrap();
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn what_was_recorded_is_remembered_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(&directory);
    let Opened { store, remembered, thread } = open(&settings);
    assert_eq!(remembered, Remembered::default());
    store.record(&Fact::SeenUp(SeenUp::Aws(tunnel())));
    store.record(&view_changed());
    store.record(&Fact::RollupReady(rollup(0)));
    let change = IncidentChange::Opened;
    store.record(&Fact::IncidentChanged { incident: incident(), change, at: NOW });
    drop(store);
    thread.ended().await;
    assert_eq!(count(&settings, "transition"), 1);

    let Opened { store, remembered, thread } = open(&settings);
    assert_eq!(remembered.seen_up, [SeenUp::Aws(tunnel())]);
    assert_eq!(remembered.incidents, [incident()]);
    assert_eq!(remembered.openings, [(VpnId::new("vpn-1"), Kind::Outage, NOW.wall)]);
    assert_eq!(store.unsent(NOW.wall, 10).await.unwrap(), [rollup(0)]);
    store.record(&Fact::IncidentSettled { incident: incident(), at: NOW });
    drop(store);
    thread.ended().await;
    assert_eq!(open(&settings).remembered.incidents, []);
}

#[tokio::test]
async fn a_ledger_row_is_in_the_file_when_the_commit_returns_and_takes_history_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(&directory);
    let Opened { store, thread: _thread, .. } = open(&settings);
    store.record(&view_changed());
    store.commit(row()).await.unwrap();
    // The store lives on: what another connection sees has been committed.
    assert_eq!((count(&settings, "ledger"), count(&settings, "transition")), (1, 1));
    assert_eq!(store.load(&row().sink).await.unwrap(), [row()]);
    store.forget(&row().sink, &row().incident).await.unwrap();
    assert_eq!(count(&settings, "ledger"), 0);
}

#[tokio::test]
async fn history_waits_in_memory_and_is_seen_by_the_spool_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(&directory);
    let Opened { store, thread: _thread, .. } = open(&settings);
    for minute in 0..3 {
        store.record(&Fact::RollupReady(rollup(minute)));
    }
    assert_eq!(store.unsent(rollup(1).minute, 10).await.unwrap(), [rollup(1), rollup(0)]);
    assert_eq!((store.pending().await.unwrap(), count(&settings, "rollup")), (3, 0));
    store.sent(&[rollup(2)]).await.unwrap();
    assert_eq!((store.pending().await.unwrap(), count(&settings, "rollup")), (2, 3));
    assert_eq!(store.unsent(rollup(9).minute, 10).await.unwrap(), [rollup(1), rollup(0)]);
}

#[tokio::test]
async fn without_a_publisher_nothing_waits_to_be_sent() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings { spool: false, ..settings(&directory) };
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
    // A table that is not there fails like a disk: the transaction is not taken.
    let other = Connection::open(&settings.path).unwrap();
    other.execute_batch("ALTER TABLE ledger RENAME TO away").unwrap();
    store.record(&Fact::SeenUp(SeenUp::Aws(tunnel())));
    assert!(store.commit(row()).await.is_err());
    assert!(store.sent(&[rollup(0)]).await.is_err());
    let problem = health.watch().borrow().get(&Component::Store).cloned().unwrap();
    assert_eq!(problem.severity, Severity::Failed);
    assert!(problem.text.contains("go on from memory"), "{}", problem.text);

    other.execute_batch("ALTER TABLE away RENAME TO ledger").unwrap();
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
    let store = Store { jobs, shared: Arc::default() };
    for minute in 0..i64::try_from(HISTORY_QUEUE).unwrap() + 5 {
        store.record(&Fact::RollupReady(rollup(minute)));
    }
    store.record(&view_changed());
    store.record(&Fact::SeenUp(SeenUp::Aws(tunnel())));
    assert_eq!(store.counts(), Counts { rollups_dropped: 5, transitions_dropped: 1 });
    assert!(matches!(queue.try_iter().last(), Some(Job::Record(Entry::SeenUp(_)))));
}

#[test]
fn the_file_and_its_directory_are_private() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(&directory);
    let opened = open(&settings);
    opened.store.record(&Fact::SeenUp(SeenUp::Aws(tunnel())));
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(settings.path.parent().unwrap()), 0o700);
    for entry in fs::read_dir(settings.path.parent().unwrap()).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

fn refusal(settings: &Settings) -> OpenError {
    Store::open(settings, Health::default(), NOW).map(drop).unwrap_err()
}

#[test]
fn what_is_not_our_file_is_refused_untouched() {
    let directory = tempfile::tempdir().unwrap();
    let at = |path: PathBuf| Settings { path, ..settings(&directory) };

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
    let before = fs::read(&theirs).unwrap();
    let error = refusal(&at(theirs.clone()));
    assert!(
        matches!(&error, OpenError::Unsuitable { .. }) && error.to_string().contains("another program"),
        "{error}"
    );
    assert_eq!(fs::read(&theirs).unwrap(), before);
}

#[test]
fn a_file_newer_by_one_version_is_used_as_it_is_and_a_newer_one_refused() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(&directory);
    drop(open(&settings));
    let version = |to: usize| {
        let connection = Connection::open(&settings.path).unwrap();
        connection.busy_timeout(Duration::from_secs(5)).unwrap();
        connection.execute_batch(&format!("PRAGMA user_version = {to}")).unwrap();
    };
    version(super::super::schema::VERSION + 1);
    drop(open(&settings));
    version(super::super::schema::VERSION + 2);
    let error = refusal(&settings);
    assert!(
        matches!(&error, OpenError::Unsuitable { .. }) && error.to_string().contains("version"),
        "{error}"
    );
}

#[tokio::test]
async fn without_a_disk_everything_works_and_the_problem_stays_stated() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(&directory);
    fs::create_dir(settings.path.parent().unwrap()).unwrap();
    fs::write(&settings.path, "garbage that is no database, and is kept").unwrap();
    let health = Health::default();
    let Opened { store, .. } = Store::open(&settings, health.clone(), NOW).unwrap();
    store.commit(row()).await.unwrap();
    assert_eq!(store.load(&row().sink).await.unwrap(), [row()]);
    assert!(health.watch().borrow().contains_key(&Component::Store));
}

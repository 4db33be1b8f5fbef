//! A disk that fails, and files that are damaged or not ours.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::*;
use crate::store::fixture::{on_disk, wide_rollup};
use crate::store::history::ROLLUPS_MAX;
use crate::store::open::{companions, keep_log};

fn notices(engine: &mut StoreEngine) -> Vec<StoreNotice> {
    std::iter::from_fn(|| engine.poll_notice()).collect()
}

/// Fills a store with state and a good many minutes, of which the first 50 wait.
fn filled(settings: &StoreSettings) -> StoreEngine {
    let (mut engine, _) = StoreEngine::open(settings, NOW).unwrap();
    engine.record(&seen_up(), NOW);
    engine.record(&opened(&incident(HOUR)), NOW);
    engine.commit_row(row(&incident(HOUR), 0), NOW);
    for minute in 0..2000 {
        let rollup = Arc::new(wide_rollup(minute));
        engine.record(&Fact::RollupReady(Arc::clone(&rollup)), NOW);
        if minute >= 50 {
            engine.sent(&[rollup], NOW);
        }
    }
    engine.commit(NOW).unwrap();
    engine
}

/// The first page of a table or index.
fn root_of(path: &Path, name: &str) -> u64 {
    let root: i64 = on_disk(path)
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = ?1", [name], |row| row.get(0))
        .unwrap();
    u64::try_from(root).unwrap()
}

/// Spoils a page in the file, and wherever the log holds it.
fn spoil_page(path: &Path, page: u64) {
    let spoil = |path: &Path, at: u64| {
        let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(&[0xa5; 4096]).unwrap();
    };
    spoil(path, (page - 1) * 4096);
    // Frames of a header that begins with the page's number, and the page (sqlite.org/fileformat.html, section 4.1).
    let [log, _] = companions(path);
    let frames = fs::read(&log).unwrap_or_default();
    for (n, frame) in frames.get(32..).unwrap_or_default().chunks_exact(24 + 4096).enumerate() {
        if u64::from(u32::from_be_bytes(frame[..4].try_into().unwrap())) == page {
            spoil(&log, 32 + u64::try_from(n).unwrap() * (24 + 4096) + 24);
        }
    }
}

fn set_aside(settings: &StoreSettings) -> Vec<PathBuf> {
    let entries = fs::read_dir(settings.path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let is_damaged = |path: &PathBuf| {
        let name = path.to_str().unwrap();
        name.contains(".damaged-") && !name.ends_with("-wal") && !name.ends_with("-shm")
    };
    entries.filter(is_damaged).collect()
}

fn assert_says_once(engine: &mut StoreEngine, what: &str) {
    let notices = notices(engine);
    let [notice] = &notices[..] else { panic!("{notices:?}") };
    let record = notice.record(engine.path());
    assert_eq!(record.level, log::Level::Error);
    assert!(record.message.contains(what), "{record:?}");
}

#[test]
fn a_file_found_damaged_at_the_start_is_set_aside_and_what_can_be_read_of_it_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    drop(filled(&settings));
    spoil_page(&settings.path, root_of(&settings.path, "incident"));
    let damaged = fs::read(&settings.path).unwrap();

    let (mut engine, remembered) = StoreEngine::open(&settings, NOW).unwrap();
    assert_eq!((remembered.seen_up.len(), remembered.incidents.len()), (1, 0));
    assert_eq!(engine.load(&sink()), [row(&incident(HOUR), 0)]);
    assert_eq!(engine.pending().unwrap(), 50, "what waits is rescued, and what was sent is not sent again");
    assert_eq!(engine.problem(), None);
    engine.handle_timeout(NOW).unwrap();
    assert_says_once(&mut engine, "bothends.db.damaged-2027-01-15T08-00-00Z");
    drop(engine);
    assert_eq!(
        set_aside(&settings).iter().map(|path| fs::read(path).unwrap()).collect::<Vec<_>>(),
        [damaged]
    );

    let (mut engine, remembered) = StoreEngine::open(&settings, NOW).unwrap();
    assert_eq!(remembered.seen_up.len(), 1);
    assert_eq!((engine.load(&sink()).len(), engine.pending().unwrap()), (1, 50));
    assert_eq!(notices(&mut engine), []);
}

#[test]
fn a_file_that_lost_its_header_or_its_end_is_set_aside() {
    let spoils: [fn(&Path); 4] = [
        |path| fs::write(path, vec![0; 8192]).unwrap(),
        |path| fs::OpenOptions::new().write(true).open(path).unwrap().set_len(5000).unwrap(),
        |path| spoil_page(path, 2),
        |path| {
            fs::write(path, "").unwrap();
            fs::write(&companions(path)[0], "half a log").unwrap();
        },
    ];
    for (n, spoil) in spoils.into_iter().enumerate() {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings(directory.path());
        drop(filled(&settings));
        spoil(&settings.path);
        let (mut engine, _) = StoreEngine::open(&settings, NOW).unwrap();
        engine.record(&opened(&incident(HOUR)), NOW);
        engine.commit(NOW).unwrap();
        assert_says_once(&mut engine, "is kept as");
        assert!(!set_aside(&settings).is_empty(), "{n}");
        drop(engine);
        assert_eq!(StoreEngine::open(&settings, NOW).unwrap().1.incidents, [incident(HOUR)]);
    }
}

#[test]
fn damage_that_is_found_while_running_costs_no_state() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    drop(filled(&settings));
    let (mut engine, _) = StoreEngine::open(&settings, NOW).unwrap();
    for name in ["incident", "ledger", "rollup", "rollup_unsent", "seen_up", "tunnel"] {
        spoil_page(&settings.path, root_of(&settings.path, name));
    }
    engine.record(&Fact::RollupReady(rollup(9000)), NOW);
    engine.commit_row(row(&incident(2 * HOUR), 0), NOW);
    engine.commit(NOW).unwrap();
    assert_eq!(engine.problem(), None);
    assert_says_once(&mut engine, "is kept as");
    drop(engine);
    let (mut engine, remembered) = StoreEngine::open(&settings, NOW).unwrap();
    assert_eq!((remembered.incidents.len(), remembered.seen_up.len()), (1, 1));
    assert_eq!((engine.load(&sink()).len(), engine.pending().unwrap()), (2, 1));
}

#[test]
fn minutes_that_cannot_be_rescued_are_counted_and_reported() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let beyond = 1_000;
    let (mut engine, _) = StoreEngine::open(&settings, NOW).unwrap();
    for minute in 0..i64::try_from(ROLLUPS_MAX).unwrap() + beyond {
        engine.record(&Fact::RollupReady(rollup(minute)), NOW);
        if minute == beyond {
            engine.commit(NOW).unwrap();
        }
    }
    engine.commit(NOW).unwrap();
    assert_eq!(engine.counts().rollups_dropped, 0);
    drop(engine);
    spoil_page(&settings.path, root_of(&settings.path, "incident"));

    let (mut engine, _) = StoreEngine::open(&settings, NOW).unwrap();
    engine.handle_timeout(NOW).unwrap();
    assert_eq!(engine.pending().unwrap(), u64::try_from(ROLLUPS_MAX).unwrap());
    assert_eq!(engine.counts().rollups_dropped, 1_000);
    assert_says_once(&mut engine, "; 1000 unsent one-minute rollups for CloudWatch are lost: check the disk");
}

#[test]
fn minutes_behind_a_damaged_row_are_counted_by_the_index() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    drop(filled(&settings));
    spoil_page(&settings.path, root_of(&settings.path, "rollup"));
    let (mut engine, _) = StoreEngine::open(&settings, NOW).unwrap();
    engine.record(&opened(&incident(HOUR)), NOW);
    drop(engine.pending());
    drop(engine.unsent(rollup(9000).minute, 100));
    engine.handle_timeout(NOW).unwrap();
    assert_eq!(engine.pending().unwrap(), 0);
    assert_eq!(engine.counts().rollups_dropped, 50);
    assert_says_once(&mut engine, "; 50 unsent one-minute rollups for CloudWatch are lost");
}

#[test]
fn an_unknown_number_of_lost_minutes_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    drop(filled(&settings));
    fs::write(&settings.path, vec![0; 8192]).unwrap();
    let (mut engine, _) = StoreEngine::open(&settings, NOW).unwrap();
    assert_says_once(&mut engine, "; unsent metrics for CloudWatch are lost, how many is not known");
}

#[test]
fn damage_that_reading_finds_is_dealt_with_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    drop(filled(&settings));
    let (mut engine, _) = StoreEngine::open(&settings, NOW).unwrap();
    spoil_page(&settings.path, root_of(&settings.path, "rollup_unsent"));
    assert!(engine.unsent(rollup(9000).minute, 100).is_err());
    assert!(engine.poll_timeout().is_some_and(|at| at <= NOW.mono));
    engine.handle_timeout(NOW).unwrap();
    assert_says_once(&mut engine, "is kept as");
    assert_eq!(engine.unsent(rollup(9000).minute, 100).unwrap().len(), 50, "they were rescued");
}

#[test]
fn a_disk_that_damages_everything_is_not_filled_up_with_damaged_files() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    drop(filled(&settings));
    let (mut engine, _) = StoreEngine::open(&settings, NOW).unwrap();
    let damage = |engine: &mut StoreEngine, now| {
        spoil_page(&settings.path, root_of(&settings.path, "incident"));
        engine.disk.read(Database::forget_pages).unwrap();
        engine.record(&opened(&incident(HOUR)), now);
        engine.commit(now)
    };
    damage(&mut engine, NOW).unwrap();
    let soon = NOW.after(60 * SECOND);
    assert!(damage(&mut engine, soon).is_err());
    assert_eq!(set_aside(&settings).len(), 1);
    assert!(engine.problem().unwrap().text.contains("second time within an hour"));
    let later = NOW.after(2 * HOUR);
    assert!(engine.poll_timeout().is_some_and(|at| at <= later.mono), "it is tried again");
    engine.handle_timeout(later).unwrap();
    assert_eq!((engine.problem(), set_aside(&settings).len()), (None, 2));
}

#[test]
fn what_could_not_be_written_from_the_start_on_is_written_once_it_can_be() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let parent = settings.path.parent().unwrap();
    fs::write(parent, "in the way").unwrap();
    let (mut engine, _) = StoreEngine::open(&settings, NOW).unwrap();
    let problem = engine.problem().unwrap().text.clone();
    assert!(problem.contains("go on from memory"), "{problem}");
    engine.record(&opened(&incident(HOUR)), NOW);
    engine.commit_row(row(&incident(HOUR), 0), NOW);
    engine.record(&Fact::RollupReady(rollup(0)), NOW);
    assert!(engine.commit(NOW).is_err());
    assert_eq!(engine.load(&sink()), [row(&incident(HOUR), 0)]);
    assert_eq!(engine.unsent(NOW.wall, 10).unwrap(), [rollup(0)]);
    assert_eq!(engine.problem().unwrap().text, problem, "it is told once");

    fs::remove_file(parent).unwrap();
    let later = NOW.after(30 * SECOND);
    assert_eq!(engine.poll_timeout(), Some(later.mono));
    engine.handle_timeout(later).unwrap();
    assert_eq!(engine.problem(), None);
    assert_eq!(notices(&mut engine), []);
    drop(engine);
    let (mut engine, remembered) = StoreEngine::open(&settings, NOW).unwrap();
    assert_eq!((remembered.incidents, engine.pending().unwrap()), (vec![incident(HOUR)], 1));
}

#[test]
fn what_a_file_holds_that_is_opened_late_is_joined_with_what_is_in_memory() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    drop(filled(&settings));
    let parent = settings.path.parent().unwrap();
    let away = directory.path().join("away");
    fs::rename(parent, &away).unwrap();
    fs::write(parent, "in the way").unwrap();
    let (mut engine, remembered) = StoreEngine::open(&settings, NOW).unwrap();
    assert_eq!(remembered, Remembered::default());
    engine.record(&opened(&incident(SECOND)), NOW);
    engine.commit_row(row(&incident(SECOND), 0), NOW);

    fs::remove_file(parent).unwrap();
    fs::rename(&away, parent).unwrap();
    let later = NOW.after(60 * SECOND);
    engine.commit(later).unwrap();
    let notices = notices(&mut engine);
    assert!(
        matches!(&notices[..], [notice @ StoreNotice::OpenTwice(_)] if notice.record(engine.path()).message.contains("has vpn-1/outage/")),
        "{notices:?}"
    );
    let rows = [row(&incident(HOUR), 0), row(&incident(SECOND), 0)];
    assert_eq!(engine.load(&sink()), rows);
    // Should the file be lost, the memory has it all.
    fs::remove_file(&settings.path).unwrap();
    engine.commit_row(row(&incident(SECOND), 0), later);
    engine.commit(later).unwrap();
    drop(engine);
    let (engine, remembered) = StoreEngine::open(&settings, later).unwrap();
    assert_eq!((remembered.incidents, remembered.seen_up.len()), (vec![incident(SECOND)], 1));
    assert_eq!(engine.load(&sink()), rows);
}

#[test]
fn of_a_file_that_is_opened_late_no_second_incident_of_a_kind_is_open() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    drop(filled(&settings));
    let parent = settings.path.parent().unwrap();
    let away = directory.path().join("away");
    fs::rename(parent, &away).unwrap();
    fs::write(parent, "in the way").unwrap();
    let (mut engine, _) = StoreEngine::open(&settings, NOW).unwrap();
    engine.record(&opened(&incident(SECOND)), NOW);
    fs::remove_file(parent).unwrap();
    fs::rename(&away, parent).unwrap();
    engine.commit(NOW).unwrap();
    let what = "while another incident of this kind is open; it is";
    let path = settings.path.clone();
    let second = |notice: &&StoreNotice| {
        notice.record(&path).level == log::Level::Warn && notice.record(&path).message.contains(what)
    };
    assert_eq!(notices(&mut engine).iter().filter(second).count(), 1);
    drop(engine);
    let (_, remembered) = StoreEngine::open(&settings, NOW).unwrap();
    assert_eq!(remembered.incidents, [incident(SECOND)]);
}

#[test]
fn a_store_that_has_nothing_to_write_is_well_again_when_the_disk_is() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let parent = settings.path.parent().unwrap();
    fs::write(parent, "in the way").unwrap();
    let (mut engine, _) = StoreEngine::open(&settings, NOW).unwrap();
    fs::remove_file(parent).unwrap();
    engine.handle_timeout(NOW.after(60 * SECOND)).unwrap();
    assert_eq!((engine.problem(), engine.poll_timeout()), (None, None));
}

#[test]
fn a_file_that_is_removed_while_it_is_used_is_written_anew() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let mut engine = filled(&settings);
    fs::remove_file(&settings.path).unwrap();
    engine.record(&Fact::RollupReady(rollup(9000)), NOW);
    engine.commit(NOW).unwrap();
    assert_says_once(&mut engine, "was removed");
    drop(engine);
    let (engine, remembered) = StoreEngine::open(&settings, NOW).unwrap();
    assert_eq!((remembered.incidents.len(), remembered.seen_up.len()), (1, 1));
    assert_eq!(engine.load(&sink()).len(), 1);
}

#[test]
fn a_log_that_is_removed_or_replaced_while_it_is_used_costs_nothing() {
    let remove: fn(&Path) = |log| fs::remove_file(log).unwrap();
    let replace: fn(&Path) = |log| {
        let other = log.with_file_name("other");
        fs::copy(log, &other).unwrap();
        fs::rename(&other, log).unwrap();
    };
    for spoil in [remove, replace] {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings(directory.path());
        let mut engine = filled(&settings);
        engine.record(&seen_up(), NOW);
        engine.commit(NOW).unwrap();
        spoil(&companions(&settings.path)[0]);
        engine.commit_row(row(&incident(HOUR), 1), NOW);
        engine.commit(NOW).unwrap();
        assert_says_once(&mut engine, "its log (-wal) was removed or replaced");
        assert_eq!(engine.problem(), None);
        // As a crash leaves it.
        let left = on_disk(&settings.path);
        let count = |table: &str| -> i64 {
            left.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
        };
        assert_eq!((count("incident"), count("ledger"), count("rollup WHERE sent = 0")), (1, 2, 50));
    }
}

#[test]
fn a_log_that_is_cut_short_while_it_is_used_costs_no_state() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let mut engine = filled(&settings);
    let [log, _] = companions(&settings.path);
    fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(0).unwrap();
    engine.commit_row(row(&incident(HOUR), 1), NOW);
    engine.commit(NOW).unwrap();
    assert_says_once(&mut engine, "its log (-wal) was cut short");
    assert_eq!((engine.problem(), set_aside(&settings).len()), (None, 1));
    let left = on_disk(&settings.path);
    let ledger: i64 = left.query_row("SELECT count(*) FROM ledger", [], |row| row.get(0)).unwrap();
    assert_eq!(ledger, 2);
    drop(engine);
    let (engine, remembered) = StoreEngine::open(&settings, NOW).unwrap();
    assert_eq!((remembered.incidents.len(), remembered.seen_up.len()), (1, 1));
    assert_eq!(engine.load(&sink()).len(), 2);
}

#[test]
fn a_file_of_a_later_release_but_one_is_left_as_it_is_to_the_byte_even_if_only_its_log_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    drop(filled(&settings));
    let connection = Connection::open(&settings.path).unwrap();
    let raise = format!("PRAGMA user_version = {}", crate::store::schema::VERSION + 2);
    connection.execute_batch(&raise).unwrap();
    // What it wrote is in the log alone.
    keep_log(&connection, true).unwrap();
    drop(connection);
    let [log, _] = companions(&settings.path);
    let read = || (fs::read(&settings.path).unwrap(), fs::read(&log).unwrap());
    let before = read();
    assert!(!before.1.is_empty());
    assert!(StoreEngine::open(&settings, NOW).unwrap_err().is_misconfigured());
    assert_eq!(read(), before);

    Connection::open(&settings.path)
        .unwrap()
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(()))
        .unwrap();
    let before = fs::read(&settings.path).unwrap();
    assert!(StoreEngine::open(&settings, NOW).unwrap_err().is_misconfigured());
    assert_eq!(fs::read(&settings.path).unwrap(), before);
    assert_eq!(
        fs::read_dir(settings.path.parent().unwrap()).unwrap().count(),
        1,
        "nothing is left beside it"
    );
}

#[test]
fn no_other_process_opens_a_file_in_use_and_it_has_no_shared_memory() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let [_, shared_memory] = companions(&settings.path);
    let mut engine = filled(&settings);
    assert!(!shared_memory.exists());
    let other = Connection::open(&settings.path).unwrap();
    other.busy_timeout(Duration::ZERO).unwrap();
    let refused = other.query_row("SELECT count(*) FROM incident", [], |_row| Ok(())).unwrap_err();
    assert_eq!(refused.sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseBusy));
    assert!(!shared_memory.exists());
    engine.record(&opened(&incident(SECOND)), NOW);
    engine.commit(NOW).unwrap();
}

#[test]
fn what_a_process_with_shared_memory_left_is_read_and_nothing_of_it_is_mapped() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    drop(filled(&settings));
    let other = Connection::open(&settings.path).unwrap();
    other.execute_batch("DELETE FROM seen_up").unwrap();
    keep_log(&other, true).unwrap();
    drop(other);
    let [log, shared_memory] = companions(&settings.path);
    assert!(fs::metadata(log).unwrap().len() > 0 && fs::metadata(&shared_memory).unwrap().len() > 0);

    let (mut engine, remembered) = StoreEngine::open(&settings, NOW).unwrap();
    assert_eq!((remembered.incidents.len(), remembered.seen_up.len()), (1, 0), "the log was read");
    // Who has mapped it dies of this.
    fs::OpenOptions::new().write(true).open(&shared_memory).unwrap().set_len(0).unwrap();
    engine.record(&seen_up(), NOW);
    engine.commit(NOW).unwrap();
    assert_eq!(engine.unsent(rollup(9000).minute, 100).unwrap().len(), 50);
    drop(engine);
    assert_eq!(StoreEngine::open(&settings, NOW).unwrap().1.seen_up.len(), 1);
}

#[test]
fn what_another_process_has_open_is_read_and_is_written_once_it_is_closed_there() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    drop(filled(&settings));
    let other = Connection::open(&settings.path).unwrap();
    other.query_row("SELECT count(*) FROM incident", [], |_row| Ok(())).unwrap();

    let (mut engine, remembered) = StoreEngine::open(&settings, NOW).unwrap();
    assert_eq!((remembered.incidents.len(), remembered.seen_up.len()), (1, 1));
    let problem = engine.problem().unwrap().text.clone();
    assert!(problem.contains("another process has it open"), "{problem}");
    engine.commit_row(row(&incident(HOUR), 1), NOW);
    assert!(engine.commit(NOW).is_err());

    drop(other);
    engine.handle_timeout(NOW.after(60 * SECOND)).unwrap();
    assert_eq!(engine.problem(), None);
    assert_eq!(notices(&mut engine), []);
    drop(engine);
    let (engine, remembered) = StoreEngine::open(&settings, NOW).unwrap();
    assert_eq!((remembered.incidents.len(), engine.load(&sink()).len()), (1, 2));
}

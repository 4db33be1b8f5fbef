//! A store that cannot be used.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::Duration;

use rusqlite::Connection;

use super::on_disk::{Copy, until_holds};
use super::process::Daemon;
use super::site::{MILAN, ONE, Site, TWO};
use super::wait::until;

#[test]
fn a_directory_as_the_store_is_a_configuration_error() {
    let site = Site::new();
    fs::create_dir_all(site.home.store()).unwrap();
    let ended = site.run(&["run"]);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert!(ended.stderr.contains("this is a directory; give the path of a file"), "{}", ended.stderr);
    assert_eq!(fs::read_dir(site.home.store()).unwrap().count(), 0);
}

#[test]
fn a_foreign_file_is_refused_and_left_untouched() {
    let site = Site::new();
    let store = site.home.store();
    let directory = store.parent().unwrap();
    fs::create_dir_all(directory).unwrap();
    let refused = |expected: &str| {
        let state = || (fs::read(&store).unwrap(), fs::metadata(&store).unwrap().permissions().mode());
        let before = state();
        let ended = site.run(&["run"]);
        assert_eq!(ended.code, Some(78), "{ended:?}");
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
        assert!(state() == before, "{expected}: the file was changed");
        assert_eq!(fs::read_dir(directory).unwrap().count(), 1, "{expected}: a file was left beside it");
    };

    fs::write(&store, "call the carrier").unwrap();
    refused("this is no database; give a path of its own");

    fs::remove_file(&store).unwrap();
    let theirs = Connection::open(&store).unwrap();
    theirs.execute_batch("PRAGMA application_id = 7; CREATE TABLE songs (title TEXT)").unwrap();
    drop(theirs);
    refused("this is another program's database");

    fs::remove_file(&store).unwrap();
    Connection::open(&store).unwrap().execute_batch("CREATE TABLE songs (title TEXT)").unwrap();
    fs::set_permissions(&store, Permissions::from_mode(0o644)).unwrap();
    refused("this is another program's database");

    fs::remove_file(&store).unwrap();
    let elsewhere = site.home.config();
    symlink(&elsewhere, &store).unwrap();
    refused("this is a symbolic link; give the path of the file itself");
    assert!(site.all_received().is_empty());
}

#[test]
fn check_prints_how_long_the_maximum_size_lasts() {
    let site = Site::new();
    let ended = site.run(&["check"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("at most 64MB, history of 90d\n"), "{}", ended.stdout);
    let expected = "90 days of 2 tunnels take about 1.1 MB of it; while CloudWatch takes nothing, minutes wait for up to 14 days";
    assert!(ended.stdout.contains(expected), "{}", ended.stdout);

    site.home.edit("[store]\n", "[store]\nmax_size = \"4MB\"\nkeep = \"3650d\"\n");
    let ended = site.run(&["check"]);
    let expected = "it holds about 380 days of 2 tunnels, of which 3650 days would take 6.5 MB";
    assert!(ended.stdout.contains(expected), "{}", ended.stdout);
}

#[test]
fn a_store_of_a_newer_release_is_refused_and_left_untouched() {
    let site = Site::new();
    site.start_healthy().stop();
    let newer = Connection::open(site.home.store()).unwrap();
    newer.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(newer);
    let before = fs::read(site.home.store()).unwrap();
    let beside = || fs::read_dir(site.home.store().parent().unwrap()).unwrap().count();
    let files = beside();
    let asked = site.all_received().len();

    let ended = site.run(&["run"]);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert!(ended.stderr.contains("its version is 99"), "{}", ended.stderr);
    assert!(fs::read(site.home.store()).unwrap() == before, "the file was changed");
    assert_eq!(beside(), files, "no file was left beside it");
    assert_eq!(site.all_received().len(), asked);
}

#[test]
fn an_unwritable_directory_is_reported_and_pages_are_sent_from_memory() {
    let site = Site::new();
    let directory = site.home.store().parent().unwrap().to_owned();
    fs::create_dir_all(&directory).unwrap();
    fs::set_permissions(&directory, Permissions::from_mode(0o555)).unwrap();
    // Root may write anywhere, as long as it has its capabilities.
    let daemon = Daemon::start(&site, &site.home, site.without_capabilities(&["run"]));
    let answer = daemon.until_readyz_says("failed: store_failing: store: ");
    assert_eq!(answer.code, 503);
    assert!(answer.body.contains("Probing and incidents go on from memory"), "{answer:?}");
    daemon.until_assessed("healthy", &[&ONE, &TWO]);

    site.aws_says(false, &[&ONE, &TWO]);
    site.cut(&[&ONE, &TWO]);
    until("the outage record is created", || site.records("outage").len() == 1);
    assert!(!site.home.store().exists());
    fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
    until("/readyz says ready", || daemon.get("/readyz").body == "ready\n");
    assert_eq!(Copy::of(&site.home.store()).unwrap().count("incident").unwrap(), 1);
}

#[test]
fn a_running_daemon_locks_its_store_and_a_copy_can_be_read() {
    let site = Site::new();
    let daemon = site.start_healthy();
    let store = site.home.store();
    until_holds(&store, "seen_up", 4);
    let shared_memory = store.with_file_name("bothends.db-shm");
    assert!(!shared_memory.exists(), "truncating it would crash the daemon");
    let other = Connection::open(&store).unwrap();
    other.busy_timeout(Duration::ZERO).unwrap();
    let refused = other.execute_batch("SELECT * FROM seen_up").unwrap_err();
    assert!(refused.to_string().contains("database is locked"), "{refused}");
    assert!(!shared_memory.exists());
    // As left by another program.
    std::fs::write(&shared_memory, "").unwrap();
    daemon.until_probed_further(MILAN, &ONE);
    drop(other);
    daemon.stop();
    assert_eq!(Connection::open(&store).unwrap().execute_batch("SELECT * FROM seen_up"), Ok(()));
}

#[test]
fn a_second_daemon_on_one_store_is_refused_and_the_first_continues() {
    let site = Site::new();
    let daemon = site.start_healthy();
    site.home.edit("127.0.0.1:9846", "127.0.0.1:9848");
    let ended = site.run(&["run"]);
    assert_eq!(ended.code, Some(70), "systemd starts it again: {ended:?}");
    assert!(ended.stderr.contains("locked by another bothends process"), "{}", ended.stderr);
    daemon.until_probed_further(MILAN, &ONE);
    daemon.kill();
    site.home.edit("127.0.0.1:9848", "127.0.0.1:9846");
    site.start_healthy().stop();
}

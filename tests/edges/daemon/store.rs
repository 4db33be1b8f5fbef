//! A store that cannot be used.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use rusqlite::Connection;

use super::process::Daemon;
use super::site::{ONE, Site, TWO};
use super::wait::until;

#[test]
fn a_store_that_is_a_directory_is_a_matter_of_configuration() {
    let site = Site::new();
    fs::create_dir_all(site.home.store()).unwrap();
    let ended = site.run(&["run"]);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert!(ended.stderr.contains("this is a directory; give the path of a file"), "{}", ended.stderr);
    assert_eq!(fs::read_dir(site.home.store()).unwrap().count(), 0);
}

#[test]
fn a_store_of_a_newer_release_is_refused_and_left_as_it_is() {
    let site = Site::new();
    site.start_healthy().stop();
    let newer = Connection::open(site.home.store()).unwrap();
    newer.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(newer);
    let before = fs::read(site.home.store()).unwrap();
    let asked = site.received_at_all().len();

    let ended = site.run(&["run"]);
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert!(ended.stderr.contains("its version is 99"), "{}", ended.stderr);
    assert_eq!(fs::read(site.home.store()).unwrap(), before);
    assert_eq!(site.received_at_all().len(), asked);
}

#[test]
fn a_directory_that_cannot_be_written_to_is_told_and_pages_go_out_from_memory() {
    let site = Site::new();
    let directory = site.home.store().parent().unwrap().to_owned();
    fs::create_dir_all(&directory).unwrap();
    fs::set_permissions(&directory, Permissions::from_mode(0o555)).unwrap();
    // Root may write anywhere, as long as it has its capabilities.
    let daemon = Daemon::start(&site, &site.home, site.powerless(&["run"]));
    let answer = daemon.until_readyz_says("failed: store: ");
    assert_eq!(answer.code, 503);
    assert!(answer.body.contains("Probing and incidents go on from memory"), "{answer:?}");
    daemon.until_assessed("healthy", &[&ONE, &TWO]);

    site.aws_says(false, &[&ONE, &TWO]);
    site.cut(&[&ONE, &TWO]);
    until("the outage is raised", || site.records("outage").len() == 1);
    assert!(!site.home.store().exists());
    fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
}

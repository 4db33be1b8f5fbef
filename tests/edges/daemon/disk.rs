//! A disk that is full or read-only, or damages the store's file: the daemon continues, says so, and recovers.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use rusqlite::Connection;
use serde_json::json;

use super::on_disk::{Copy, until_holds};
use super::process::Daemon;
use super::site::{MILAN, ONE, Site, TWO};
use super::wait::until;

/// SQLite's default.
const PAGE: u64 = 4096;

/// A path as the daemon sees it, on a disk mounted only for the daemon.
pub(super) fn seen_by(daemon: &Daemon<'_>, path: &Path) -> PathBuf {
    Path::new(&format!("/proc/{}/root", daemon.pid())).join(path.strip_prefix("/").unwrap())
}

fn outage(site: &Site) {
    site.aws_says(false, &[&ONE, &TWO]);
    site.cut(&[&ONE, &TWO]);
    until("the outage record is created", || site.records("outage").len() == 1);
}

fn recovery(site: &Site, daemon: &Daemon<'_>) {
    site.aws_says(true, &[&ONE, &TWO]);
    site.heal(&[&ONE, &TWO]);
    until("the outage is resolved", || site.records("outage")[0]["record"]["status"] == "RESOLVED");
    until("the incident is settled", || daemon.status()["incidents"] == json!([]));
    assert_eq!(site.records("outage").len(), 1);
}

/// Overwrites the first page of a table or an index in a file that no daemon has open.
fn corrupt(store: &Path, name: &str) {
    let connection = Connection::open(store).unwrap();
    let query = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    let page: i64 = connection.query_row(query, [name], |row| row.get(0)).unwrap();
    // A page that is still in the WAL would be read from there.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(())).unwrap();
    let mut file = OpenOptions::new().write(true).open(store).unwrap();
    file.seek(SeekFrom::Start((u64::try_from(page).unwrap() - 1) * PAGE)).unwrap();
    file.write_all(&[0xa5; PAGE as usize]).unwrap();
}

fn set_aside(site: &Site) -> Vec<String> {
    let directory = fs::read_dir(site.home.store().parent().unwrap()).unwrap();
    let names = directory.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains(".damaged-") && name.ends_with('Z')).collect()
}

pub(super) fn fill_up(path: &Path) {
    let mut file = File::create(path).unwrap();
    // The last bytes one by one.
    for size in [PAGE as usize, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

#[test]
fn a_full_disk_is_logged_once_and_incidents_continue_and_are_written_when_there_is_room() {
    let site = Site::new();
    let daemon = Daemon::start(&site, &site.home, site.on_its_own_disk("size=600k", "true"));
    daemon.until_assessed("healthy", &[&ONE, &TWO]);
    let store = seen_by(&daemon, &site.home.store());
    let filler = store.with_file_name("filler");
    fill_up(&filler);

    outage(&site);
    let answer = daemon.until_readyz_says("the disk is full; free some space");
    assert_eq!(answer.code, 503);
    assert!(answer.body.contains("go on from memory"), "{answer:?}");
    assert_eq!(daemon.get("/metrics").code, 200);
    assert_eq!(daemon.vpn(MILAN)["phases"]["outage"], "open");

    fs::remove_file(&filler).unwrap();
    until("/readyz says ready", || daemon.get("/readyz").body == "ready\n");
    until_holds(&store, "incident WHERE settled IS NULL", 1);
    until_holds(&store, "ledger", 1);
    assert_eq!(daemon.logged("ERROR", "store").len(), 1, "it is logged once");
    recovery(&site, &daemon);
    until_holds(&store, "incident WHERE settled IS NOT NULL", 1);
}

#[test]
fn a_read_only_store_is_read_at_the_start_and_written_once_it_is_writable() {
    let site = Site::new();
    let daemon = site.start_healthy();
    outage(&site);
    let id = daemon.status()["incidents"][0]["id"].clone();
    daemon.kill();

    let command = site.on_its_own_disk("size=8m", "cp -a $OLD/. $DISK/; mount -o remount,ro $DISK");
    let daemon = Daemon::start(&site, &site.home, command);
    let answer = daemon.until_readyz_says("failed: store_failing: store: ");
    assert_eq!(answer.code, 503);
    until("the incident continues", || daemon.status()["incidents"][0]["id"] == id);
    daemon.until_assessed("down", &[&ONE, &TWO]);
    recovery(&site, &daemon);
    assert_eq!(site.starts().len(), 1, "the ledger was read");

    let store = site.home.store();
    let mut remount = Command::new("nsenter");
    remount.args(["--target", &daemon.pid().to_string(), "--mount", "mount", "-o", "remount,rw"]);
    assert!(remount.arg(store.parent().unwrap()).status().unwrap().success());
    until("/readyz says ready", || daemon.get("/readyz").body == "ready\n");
    let store = seen_by(&daemon, &store);
    until_holds(&store, "incident WHERE settled IS NULL", 0);
    until_holds(&store, "ledger", 0);
    assert_eq!(daemon.logged("ERROR", "store").len(), 1, "{}", daemon.log());
}

#[test]
fn a_store_damaged_at_the_start_is_set_aside_and_an_open_incident_continues() {
    let site = Site::new();
    let daemon = site.start_healthy();
    outage(&site);
    let id = daemon.status()["incidents"][0]["id"].clone();
    daemon.stop();
    corrupt(&site.home.store(), "seen_up");

    let daemon = site.start();
    until("the incident continues", || daemon.status()["incidents"][0]["id"] == id);
    daemon.until_logged("is kept as");
    assert_eq!(daemon.logged("ERROR", "store").len(), 1);
    assert_eq!(set_aside(&site).len(), 1);
    recovery(&site, &daemon);
    assert_eq!(site.starts().len(), 1);
    until("/readyz says ready", || daemon.get("/readyz").body == "ready\n");
}

#[test]
fn a_damaged_replacement_of_the_store_is_set_aside_and_the_store_is_rewritten_from_memory() {
    let site = Site::new();
    let daemon = site.start_healthy();
    let store = site.home.store();
    until_holds(&store, "seen_up", 4);
    let copy = Copy::of(&store).unwrap();
    ["seen_up", "incident", "ledger", "transition"].iter().for_each(|name| corrupt(&copy.path, name));
    let damaged = store.with_file_name("damaged");
    fs::copy(&copy.path, &damaged).unwrap();
    fs::remove_file(store.with_file_name("bothends.db-wal")).unwrap();
    fs::rename(&damaged, &store).unwrap();

    outage(&site);
    daemon.until_logged("is kept as");
    let errors = daemon.logged("ERROR", "store");
    assert!(
        matches!(&errors[..], [replaced, _] if replaced.contains("was removed or replaced")),
        "{errors:?}"
    );
    assert_eq!(set_aside(&site).len(), 1);
    for (table, rows) in [("ledger", 1), ("seen_up", 4), ("incident", 1)] {
        until_holds(&store, table, rows);
    }
    recovery(&site, &daemon);
    until("/readyz says ready", || daemon.get("/readyz").body == "ready\n");
    daemon.kill();
    let daemon = site.start_healthy();
    assert_eq!(daemon.logged("ERROR", "store"), [""; 0]);
}

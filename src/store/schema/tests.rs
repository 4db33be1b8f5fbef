//! Migrations, both ways.

use std::path::Path;

use rusqlite::params;

use super::*;
use crate::domain::time::Now;
use crate::store::database::{Database, Found};
use crate::store::fixture::{HOUR, KEEP, MAX_SIZE, NOW, incident, rollup, row, tunnel};
use crate::store::history::History;
use crate::store::state::State;

fn tables(connection: &Connection) -> Vec<String> {
    let mut statement =
        connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn every_older_version_is_brought_up_to_this_one() {
    for old in 0..=VERSION {
        let mut connection = Connection::open_in_memory().unwrap();
        run(&mut connection, &STEPS[..old]).unwrap();
        assert_eq!(version(&connection).unwrap(), i64::try_from(old).unwrap());
        migrate(&mut connection).unwrap();
        assert_eq!(version(&connection).unwrap(), i64::try_from(VERSION).unwrap());
        assert_eq!(
            tables(&connection),
            [
                "down",
                "hour",
                "incident",
                "ledger",
                "paged",
                "rollup",
                "seen_up",
                "silence",
                "sqlite_sequence",
                "transition",
                "tunnel",
                "watched"
            ]
        );
    }
}

#[test]
fn a_further_step_keeps_what_an_older_version_holds() {
    let mut connection = Connection::open_in_memory().unwrap();
    run(&mut connection, &STEPS[..1]).unwrap();
    connection.execute("INSERT INTO tunnel (vpn, outside_ip) VALUES ('vpn-1', '203.0.113.1')", []).unwrap();
    let further = [STEPS[0], "ALTER TABLE tunnel ADD COLUMN note TEXT NOT NULL DEFAULT 'none'"];
    run(&mut connection, &further).unwrap();
    let note: String = connection.query_row("SELECT note FROM tunnel", [], |row| row.get(0)).unwrap();
    assert_eq!((note.as_str(), version(&connection).unwrap()), ("none", 2));
}

#[test]
fn a_step_that_fails_leaves_the_file_as_it_was() {
    let mut connection = Connection::open_in_memory().unwrap();
    assert!(run(&mut connection, &["CREATE TABLE a (x); CREATE TABLE a (x)"]).is_err());
    assert_eq!((version(&connection).unwrap(), tables(&connection)), (0, vec![]));
}

#[test]
fn steps_only_add() {
    for step in STEPS {
        for word in ["DROP ", "RENAME ", "DELETE ", "UPDATE "] {
            assert!(!step.contains(word), "the release before could not use the file after {word}");
        }
    }
}

/// The statements by which the release of version 1 uses a file, word by word. They stay as they are.
mod version_1 {
    pub(super) const IDENTIFY: &str =
        "SELECT count(*), (SELECT application_id FROM pragma_application_id) FROM sqlite_schema";
    pub(super) const FIND_SEEN_UP: &str = "SELECT \"end\", check_kind, inside_ip, vpn, outside_ip FROM seen_up JOIN tunnel ON tunnel.id = tunnel";
    pub(super) const FIND_INCIDENTS: &str =
        "SELECT vpn, kind, opened, body FROM incident WHERE settled IS NULL ORDER BY vpn, kind, opened";
    pub(super) const FIND_OPENINGS: &str =
        "SELECT vpn, kind, opened FROM incident WHERE opened BETWEEN ?1 AND ?2 ORDER BY opened, vpn, kind";
    pub(super) const FIND_LEDGER: &str =
        "SELECT body FROM ledger WHERE sink = ?1 ORDER BY vpn, kind, opened, generation";
    pub(super) const FIND_UNSENT: &str =
        "SELECT vpn, outside_ip, minute, replies, late, lost, faults, rtt, up, both_ends_down
            FROM rollup JOIN tunnel ON tunnel.id = tunnel
            WHERE sent = 0 AND minute <= ?1 ORDER BY minute DESC LIMIT ?2";
    pub(super) const WRITE_TUNNEL: &str =
        "INSERT INTO tunnel (vpn, outside_ip) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    pub(super) const FIND_TUNNEL: &str = "SELECT id FROM tunnel WHERE vpn = ?1 AND outside_ip = ?2";
    pub(super) const WRITE_SEEN_UP: &str = "INSERT INTO seen_up (tunnel, \"end\", check_kind, inside_ip) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
    pub(super) const WRITE_INCIDENT: &str =
        "INSERT INTO incident (vpn, kind, opened, state, settled, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET state = excluded.state, settled = excluded.settled, body = excluded.body";
    pub(super) const WRITE_LEDGER: &str =
        "INSERT INTO ledger (sink, vpn, kind, opened, generation, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET body = excluded.body";
    pub(super) const FORGET: &str =
        "DELETE FROM ledger WHERE sink = ?1 AND vpn = ?2 AND kind = ?3 AND opened = ?4";
    pub(super) const WRITE_TRANSITION: &str =
        "INSERT INTO transition (at, tunnel, what, body) VALUES (?1, ?2, ?3, ?4)";
    pub(super) const WRITE_ROLLUP: &str = "INSERT INTO rollup
                (minute, tunnel, digest, replies, late, lost, faults, up, both_ends_down, rtt, sent)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT DO UPDATE SET sent = 1, rtt = NULL WHERE excluded.sent = 1";
    pub(super) const GIVE_UP: &str = "UPDATE rollup SET sent = 1, rtt = NULL WHERE sent = 0 AND minute < ?1";
    pub(super) const PRUNE: [&str; 5] = [
        "DELETE FROM rollup WHERE minute < ?1 AND sent = 1",
        "DELETE FROM transition WHERE at < ?1",
        "DELETE FROM incident WHERE settled < ?1",
        "DELETE FROM transition WHERE id <= (SELECT max(id) FROM transition) - ?1",
        "DELETE FROM rollup WHERE (minute, tunnel, digest) IN
            (SELECT minute, tunnel, digest FROM rollup WHERE sent = 1 ORDER BY minute LIMIT ?1)",
    ];
    /// The newest version that the release before opens, which uses a file by these statements, too.
    pub(super) const OPENS: i64 = 5;
}

fn count(connection: &Connection, query: &str, params: impl rusqlite::Params) -> usize {
    connection.prepare(query).unwrap().query_map(params, |_row| Ok(())).unwrap().count()
}

/// Uses the file as the release of version 1 does: reads all there is, writes one of each, forgets, prunes.
fn use_as_version_1(path: &Path, minute: i64) {
    let connection = Connection::open(path).unwrap();
    let (tables, id): (i64, i64) =
        connection.query_row(version_1::IDENTIFY, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert!(tables > 0 && id == APPLICATION_ID && version(&connection).unwrap() <= version_1::OPENS);

    assert_eq!(count(&connection, version_1::FIND_SEEN_UP, []), 1);
    assert_eq!(count(&connection, version_1::FIND_INCIDENTS, []), 1);
    assert_eq!(count(&connection, version_1::FIND_OPENINGS, [0, i64::MAX]), 1);
    assert_eq!(count(&connection, version_1::FIND_LEDGER, ["incident_manager"]), 1);
    assert_eq!(count(&connection, version_1::FIND_UNSENT, [i64::MAX, 100]), 1);

    let tunnel = ("vpn-1", "203.0.113.1");
    connection.execute(version_1::WRITE_TUNNEL, tunnel).unwrap();
    let tunnel: i64 = connection.query_row(version_1::FIND_TUNNEL, tunnel, |row| row.get(0)).unwrap();
    connection.execute(version_1::WRITE_SEEN_UP, params![tunnel, "aws", "", ""]).unwrap();
    let incident = incident(2 * HOUR);
    let opened = incident.id.opened.as_millis();
    let body = serde_json::to_string(&*incident).unwrap();
    let settled: Option<i64> = None;
    connection
        .execute(version_1::WRITE_INCIDENT, params!["vpn-1", "outage", opened, "open", settled, body])
        .unwrap();
    for generation in [0, 1] {
        let body = serde_json::to_string(&row(&incident, generation)).unwrap();
        let row = params!["incident_manager", "vpn-1", "outage", opened, generation, body];
        connection.execute(version_1::WRITE_LEDGER, row).unwrap();
    }
    let forgotten = params!["opscenter", "vpn-1", "outage", opened];
    connection.execute(version_1::FORGET, forgotten).unwrap();
    connection.execute(version_1::WRITE_TRANSITION, params![opened, tunnel, "view", "{}"]).unwrap();
    let (up, both): (Option<bool>, Option<bool>) = (Some(true), None);
    let rollup = params![minute, tunnel, 77, 60, 0, 0, 0, up, both, "[]", false];
    connection.execute(version_1::WRITE_ROLLUP, rollup).unwrap();
    connection.execute(version_1::GIVE_UP, [0]).unwrap();
    for prune in version_1::PRUNE {
        connection.execute(prune, [0]).unwrap();
    }
}

#[test]
fn the_release_before_uses_a_file_of_this_one_and_this_one_goes_on_with_what_it_wrote() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bothends.db");
    let mut database = Database::open(&path, KEEP, MAX_SIZE, NOW).unwrap();
    let mut state = State::default();
    let mut history = History::default();
    state.seen_up(crate::domain::event::SeenUp::Aws(tunnel()));
    state.incident(incident(HOUR), None);
    state.row(row(&incident(HOUR), 0));
    history.rollup(rollup(0), false);
    let old = rollup(-10 * 24 * 60);
    history.sent(std::sync::Arc::clone(&old));
    database.write(&state, &history, NOW).unwrap();
    for hours in [1, 2, 3] {
        let now = NOW.after(hours * HOUR);
        database.write(&State::default(), &History::default(), Now { wall: NOW.wall, ..now }).unwrap();
    }
    drop(database);

    use_as_version_1(&path, rollup(1).minute.as_millis());

    let database = Database::open(&path, KEEP, MAX_SIZE, NOW).unwrap();
    let Found { remembered, ledger, silences: _, last_silence: _, unreadable, damage: _ } =
        database.found(NOW).unwrap();
    assert_eq!(unreadable, []);
    assert_eq!(remembered.incidents, [incident(2 * HOUR), incident(HOUR)]);
    assert_eq!(ledger.len(), 3);
    assert_eq!(database.unsent(NOW.wall + HOUR, 10).unwrap().len(), 2);
    drop(database);
    let connection = Connection::open(&path).unwrap();
    let replies: i64 = connection.query_row("SELECT replies FROM hour", [], |row| row.get(0)).unwrap();
    assert_eq!(replies, i64::from(old.replies), "the hours are as they were");
}

#[test]
fn this_release_goes_on_with_a_file_of_version_1() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bothends.db");
    let mut connection = Connection::open(&path).unwrap();
    connection.query_row("PRAGMA journal_mode = WAL", [], |_row| Ok(())).unwrap();
    run(&mut connection, &STEPS[..1]).unwrap();
    drop(connection);
    // Something for it to find.
    let mut database = Database::open(&path, KEEP, MAX_SIZE, NOW).unwrap();
    let mut state = State::default();
    let mut history = History::default();
    state.seen_up(crate::domain::event::SeenUp::Aws(tunnel()));
    state.incident(incident(HOUR), None);
    state.row(row(&incident(HOUR), 0));
    history.rollup(rollup(0), false);
    database.write(&state, &history, NOW).unwrap();
    drop(database);
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "DROP TABLE hour; DROP TABLE silence; DROP TABLE watched; DROP TABLE paged; DROP TABLE down;
             DROP INDEX incident_settled; DROP INDEX transition_newest;
             ALTER TABLE seen_up DROP COLUMN source_ip; ALTER TABLE seen_up DROP COLUMN interface;
             ALTER TABLE rollup DROP COLUMN median_rtt;
             PRAGMA user_version = 1",
        )
        .unwrap();
    drop(connection);
    use_as_version_1(&path, rollup(1).minute.as_millis());

    let database = Database::open(&path, KEEP, MAX_SIZE, NOW).unwrap();
    let found = database.found(NOW).unwrap();
    assert_eq!((found.remembered.incidents.len(), found.ledger.len()), (2, 3));
    drop(database);
    let connection = Connection::open(&path).unwrap();
    assert_eq!(version(&connection).unwrap(), i64::try_from(VERSION).unwrap());
    assert!(tables(&connection).contains(&"hour".to_owned()));
}

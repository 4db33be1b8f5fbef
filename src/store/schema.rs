//! The tables, and how an older file gets them.
//!
//! Steps only ever add (tables, columns with a default, indexes): then the release before can still use the file, and a
//! downgrade needs nothing.

use rusqlite::{Connection, TransactionBehavior};

/// Marks a SQLite file as ours: "both", in ASCII.
pub(super) const APPLICATION_ID: i64 = 0x626f_7468;

/// Step n takes a file from version n to n + 1.
const STEPS: &[&str] = &[
    "CREATE TABLE tunnel (
        id INTEGER PRIMARY KEY,
        vpn TEXT NOT NULL,
        outside_ip TEXT NOT NULL,
        UNIQUE (vpn, outside_ip)
    ) STRICT;
    -- Which end has ever seen a tunnel Up. For the local end also by which check and at which inside address.
    CREATE TABLE seen_up (
        tunnel INTEGER NOT NULL REFERENCES tunnel,
        \"end\" TEXT NOT NULL,
        check_kind TEXT NOT NULL DEFAULT '',
        inside_ip TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (tunnel, \"end\", check_kind, inside_ip)
    ) STRICT, WITHOUT ROWID;
    -- Ours. Those that are not settled make up the Board; the others are history.
    CREATE TABLE incident (
        vpn TEXT NOT NULL,
        kind TEXT NOT NULL,
        opened INTEGER NOT NULL,
        state TEXT NOT NULL,
        settled INTEGER,
        body TEXT NOT NULL,
        PRIMARY KEY (vpn, kind, opened)
    ) STRICT, WITHOUT ROWID;
    -- Theirs: what each sink was told.
    CREATE TABLE ledger (
        sink TEXT NOT NULL,
        vpn TEXT NOT NULL,
        kind TEXT NOT NULL,
        opened INTEGER NOT NULL,
        generation INTEGER NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (sink, vpn, kind, opened, generation)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE transition (
        id INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        tunnel INTEGER NOT NULL REFERENCES tunnel,
        what TEXT NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX transition_at ON transition (at);
    -- One row per tunnel and minute; two where a restart or a clock set back made two parts of it, hence the digest of
    -- the content. The round-trip times go once they are sent.
    CREATE TABLE rollup (
        minute INTEGER NOT NULL,
        tunnel INTEGER NOT NULL REFERENCES tunnel,
        digest INTEGER NOT NULL,
        replies INTEGER NOT NULL,
        late INTEGER NOT NULL,
        lost INTEGER NOT NULL,
        faults INTEGER NOT NULL,
        up INTEGER,
        both_ends_down INTEGER,
        rtt TEXT,
        sent INTEGER NOT NULL,
        PRIMARY KEY (minute, tunnel, digest)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX rollup_unsent ON rollup (minute) WHERE sent = 0;",
    "-- The rollups of an hour, added up once they are some days old. A minute of two parts counts once, but may count as
    -- one that was up and as one that was down.
    CREATE TABLE hour (
        hour INTEGER NOT NULL,
        tunnel INTEGER NOT NULL REFERENCES tunnel,
        minutes INTEGER NOT NULL,
        up_minutes INTEGER NOT NULL,
        down_minutes INTEGER NOT NULL,
        both_ends_down_minutes INTEGER NOT NULL,
        replies INTEGER NOT NULL,
        late INTEGER NOT NULL,
        lost INTEGER NOT NULL,
        faults INTEGER NOT NULL,
        PRIMARY KEY (hour, tunnel)
    ) STRICT, WITHOUT ROWID;",
];

/// The version this release writes.
pub(super) const VERSION: usize = STEPS.len();

/// Brings a file up to [`VERSION`], each step with its version number in one transaction. A file that is newer stays as
/// it is. Returns whether it was older.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<bool> {
    run(connection, STEPS)
}

/// The file's version; 0 if it is empty.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn run(connection: &mut Connection, steps: &[&str]) -> rusqlite::Result<bool> {
    let found = usize::try_from(version(connection)?).unwrap_or(0);
    for (from, step) in steps.iter().enumerate().skip(found) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {}",
            from + 1
        ))?;
        transaction.commit()?;
    }
    Ok(found < steps.len())
}

#[cfg(test)]
mod tests {
    use super::*;

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
                ["hour", "incident", "ledger", "rollup", "seen_up", "transition", "tunnel"]
            );
        }
    }

    #[test]
    fn a_further_step_keeps_what_an_older_version_holds() {
        let mut connection = Connection::open_in_memory().unwrap();
        run(&mut connection, &STEPS[..1]).unwrap();
        connection
            .execute("INSERT INTO tunnel (vpn, outside_ip) VALUES ('vpn-1', '203.0.113.1')", [])
            .unwrap();
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
}

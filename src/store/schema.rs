//! The tables, and the upgrade of an older file.
//!
//! Steps only ever add (tables, columns with a default, indexes), so that the previous release can still use the file, and a
//! downgrade needs no step.

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
    "-- Our end of the route over which the local end last saw it Up: this host held it.
    ALTER TABLE seen_up ADD COLUMN source_ip TEXT NOT NULL DEFAULT '';
    ALTER TABLE seen_up ADD COLUMN interface TEXT NOT NULL DEFAULT '';",
    "-- Planned times, each in its first window, until they are over. No number is given twice.
    CREATE TABLE silence (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        body TEXT NOT NULL
    ) STRICT;",
    "-- When the daemon watched: from, and until. Of any other time nothing is known. Since when every change is recorded: what was
    -- so at that time goes on until it changes.
    CREATE TABLE watched (
        began INTEGER PRIMARY KEY,
        until INTEGER NOT NULL,
        since INTEGER
    ) STRICT;
    -- When an incident's first record at a sink was known, or its first message accepted. It outlives the ledger's row.
    CREATE TABLE paged (
        vpn TEXT NOT NULL,
        kind TEXT NOT NULL,
        opened INTEGER NOT NULL,
        sink TEXT NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (vpn, kind, opened, sink)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX incident_settled ON incident (settled);
    -- In microseconds. It stays when the round-trip times are sent.
    ALTER TABLE rollup ADD COLUMN median_rtt INTEGER;
    -- The groups, uplinks and the site that were known to be down when the last run ended.
    CREATE TABLE down (parent TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
    -- The newest change of a tunnel, by its kind, and of verdicts by end: the beginning of their text is the end.
    CREATE INDEX transition_newest ON transition
        (tunnel, what, CASE what WHEN 'view' THEN substr(body, 9, 14) ELSE '' END, at);",
];

/// The version this release writes.
pub(super) const VERSION: usize = STEPS.len();

/// Upgrades a file to [`VERSION`], each step with its version number in one transaction. A newer file is left unchanged.
/// Returns whether it was older.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<bool> {
    run(connection, STEPS)
}

/// Whether a file of this version lacks tables of this release.
pub(super) fn is_older(version: i64) -> bool {
    usize::try_from(version).is_ok_and(|version| version < VERSION)
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
mod tests;

//! The file: what is written and read, one transaction at a time, and whether the files are still those that were opened:
//! somebody may have removed, replaced or truncated them.

mod found;
mod upkeep;

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, ffi, params};

use self::found::{found, rows, text, tunnel};
use self::upkeep::{Shares, Upkeep};
use super::codec;
use super::history::{History, Transition};
use super::state::{State, StateChange};
use crate::domain::board::IncidentId;
use crate::domain::event::SeenUp;
use crate::domain::names::{CheckId, TunnelId};
use crate::domain::plan::RouteKey;
use crate::domain::rollup::Rollup;
use crate::domain::scope::Scope;
use crate::domain::time::{Now, Stamp};
use crate::history::{Period, Watch};
use crate::store::open::{self, OpenError, companions};

pub(super) use self::found::Found;
pub(super) use self::upkeep::Removed;
pub use self::upkeep::{Capacity, capacity};

#[derive(Debug)]
pub(super) struct Database {
    connection: Connection,
    path: PathBuf,
    left: Left,
    /// History older than this is removed.
    keep: Duration,
    shares: Shares,
    upkeep: Upkeep,
    /// Whether it can be written.
    configured: bool,
}

impl Database {
    pub(super) fn open(path: &Path, keep: Duration, max_size: u64, now: Now) -> Result<Self, OpenError> {
        Ok(Self { configured: true, ..Self::with(open::open(path)?, path, keep, max_size, now) })
    }

    /// Opens it for reading; `None` if there is nothing to read. [`Self::configure`] comes before the first write.
    pub(super) fn open_before_writing(
        path: &Path,
        keep: Duration,
        max_size: u64,
        now: Now,
    ) -> Result<Option<Self>, OpenError> {
        let opened = open::open_before_writing(path)?;
        Ok(opened.map(|connection| Self::with(connection, path, keep, max_size, now)))
    }

    fn with(connection: Connection, path: &Path, keep: Duration, max_size: u64, now: Now) -> Self {
        Self {
            connection,
            path: path.into(),
            left: Left::at(path),
            keep,
            shares: Shares::of(max_size),
            upkeep: Upkeep::beginning(now.mono),
            configured: false,
        }
    }

    /// Whether it can be written.
    pub(super) const fn is_configured(&self) -> bool {
        self.configured
    }

    /// Makes it writable, if it is not.
    pub(super) fn configure(&mut self) -> rusqlite::Result<()> {
        if !self.configured {
            open::configure(&mut self.connection)?;
            self.configured = true;
        }
        Ok(())
    }

    /// Opens a file that cannot be written, for reading.
    pub(super) fn peek(path: &Path, now: Now) -> rusqlite::Result<Found> {
        found(&open::open_to_read(path)?, now)
    }

    /// The state of the files since they were last written.
    pub(super) fn file_state(&self) -> FileState {
        self.left.place(&self.path)
    }

    /// Checkpoints a log whose name is gone into the file. A log that has that name belongs to another file, and would be
    /// replayed into this one when it is opened again.
    pub(super) fn save_log(&self) -> rusqlite::Result<()> {
        self.checkpoint()?;
        let [log, _shared_memory] = open::companions(&self.path);
        match fs::remove_file(log) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let text = format!("a log that is not its own cannot be removed: {error}");
                Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR), Some(text)))
            }
            _ => Ok(()),
        }
    }

    fn checkpoint(&self) -> rusqlite::Result<()> {
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(()))
    }

    /// Writes everything in one transaction, synced when it returns; folds and removes what is too old, and frees space.
    /// Returns what was removed.
    pub(super) fn write(&mut self, state: &State, history: &History, now: Now) -> rusqlite::Result<Removed> {
        let transaction = self.connection.transaction()?;
        write_state(&transaction, state)?;
        write_history(&transaction, history)?;
        let mut upkeep = self.upkeep;
        let mut removed = upkeep.run(&transaction, self.keep, &self.shares, now)?;
        removed.add(upkeep::make_room(&transaction, &self.shares, now.wall)?);
        transaction.commit()?;
        self.upkeep = upkeep;
        self.left.written(&self.path);
        Ok(removed)
    }

    /// Checkpoints the log into the file if the log has become long.
    pub(super) fn empty_log(&mut self) -> rusqlite::Result<()> {
        let [log, _shared_memory] = open::companions(&self.path);
        if fs::metadata(log).map_or(0, |log| log.len()) < self.shares.log {
            return Ok(());
        }
        self.checkpoint()?;
        self.left.written(&self.path);
        Ok(())
    }

    /// Closes the file without touching it or its log again.
    pub(super) fn abandon(self) {
        // If it cannot be set, closing cleans up as usual.
        let _kept = open::keep_log(&self.connection, true);
    }

    /// How many rollups one commit writes.
    pub(super) const fn shares(&self) -> &Shares {
        &self.shares
    }

    /// The data of the last run in any file.
    pub(super) fn found_in(connection: &Connection, now: Now) -> rusqlite::Result<Found> {
        found(connection, now)
    }

    /// The connection, for reading.
    pub(super) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Whether the daemon watched until this time, by the file.
    pub(super) fn was_watched_until(&self, at: Stamp) -> rusqlite::Result<bool> {
        let query = "SELECT 1 FROM watched WHERE began <= ?1 AND until >= ?1";
        Ok(self.connection.query_row(query, [at.as_millis()], |_row| Ok(())).optional()?.is_some())
    }

    /// The data of the last run.
    pub(super) fn found(&self, now: Now) -> rusqlite::Result<Found> {
        found(&self.connection, now)
    }

    /// Up to `limit` unsent rollups of minutes until `until`, newest first. Rows that cannot be read are left out.
    pub(super) fn unsent(&self, until: Stamp, limit: usize) -> rusqlite::Result<Vec<Arc<Rollup>>> {
        let query = format!(
            "SELECT {} FROM rollup JOIN tunnel ON tunnel.id = tunnel
             WHERE sent = 0 AND minute <= ?1 ORDER BY minute DESC LIMIT ?2",
            ROLLUP
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = rows(&self.connection, &query, params![until.as_millis(), limit], read_rollup)?;
        Ok(rows.into_iter().flatten().map(Arc::new).collect())
    }

    /// The unsent rollups that can still be read from a damaged file, newest first, up to `limit` and to where the damage
    /// begins.
    pub(super) fn rescue_unsent(&self, limit: usize) -> Vec<Arc<Rollup>> {
        // The plus disables the index: a damaged one could return rollups that have been sent.
        let query = format!(
            "SELECT {} FROM rollup JOIN tunnel ON tunnel.id = tunnel WHERE +sent = 0 ORDER BY minute DESC",
            ROLLUP
        );
        let Ok(mut statement) = self.connection.prepare(&query) else { return Vec::new() };
        let Ok(rows) = statement.query_map([], read_rollup) else { return Vec::new() };
        rows.map_while(Result::ok).flatten().take(limit).map(Arc::new).collect()
    }

    /// The number of unsent rollups in a damaged file, if it can still be read.
    pub(super) fn count_unsent_of_damaged(&self) -> Option<u64> {
        // Read like the rescue reads them; else by the index, which may be intact where the table is not.
        ["+sent = 0", "sent = 0"].into_iter().find_map(|unsent| {
            let query = format!("SELECT count(*) FROM rollup WHERE {unsent}");
            let count: i64 = self.connection.query_row(&query, [], |row| row.get(0)).ok()?;
            u64::try_from(count).ok()
        })
    }

    /// How many rollups are unsent.
    pub(super) fn unsent_count(&self) -> rusqlite::Result<u64> {
        let count: i64 =
            self.connection.query_row("SELECT count(*) FROM rollup WHERE sent = 0", [], |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Whether the file has this rollup as unsent.
    pub(super) fn is_unsent(&self, rollup: &Rollup) -> rusqlite::Result<bool> {
        let query = "SELECT 1 FROM rollup JOIN tunnel ON tunnel.id = tunnel
            WHERE minute = ?1 AND vpn = ?2 AND outside_ip = ?3 AND digest = ?4 AND sent = 0";
        let TunnelId { vpn, outside_ip } = &rollup.tunnel;
        let key =
            params![rollup.minute.as_millis(), vpn.as_str(), outside_ip.to_string(), codec::digest(rollup)];
        Ok(self.connection.query_row(query, key, |_row| Ok(())).optional()?.is_some())
    }
}

#[cfg(test)]
impl Database {
    /// Bytes of pages that are not free.
    pub(super) fn used(&mut self) -> u64 {
        upkeep::used(&self.connection.transaction().unwrap()).unwrap()
    }

    /// Frees cached pages, as it does for a larger file.
    pub(super) fn forget_pages(&self) -> rusqlite::Result<()> {
        self.connection.execute_batch("PRAGMA shrink_memory")
    }
}

/// The columns of [`read_rollup`].
const ROLLUP: &str = "vpn, outside_ip, minute, replies, late, lost, faults, rtt, up, both_ends_down";

/// `None` if its words are unknown.
fn read_rollup(row: &Row<'_>) -> rusqlite::Result<Option<Rollup>> {
    let rtt: Option<String> = row.get(7)?;
    let (Some(tunnel), Ok(rtt)) =
        (tunnel(text(row, 0)?, &text(row, 1)?), rtt.map_or(Ok(Vec::new()), |rtt| codec::read_rtt(&rtt)))
    else {
        return Ok(None);
    };
    Ok(Some(Rollup {
        tunnel,
        minute: Stamp::from_millis(row.get(2)?),
        replies: row.get(3)?,
        late: row.get(4)?,
        lost: row.get(5)?,
        faults: row.get(6)?,
        rtt,
        up: row.get(8)?,
        both_ends_down: row.get(9)?,
    }))
}

/// Writes every change of state that the file does not have.
fn write_state(transaction: &Transaction<'_>, state: &State) -> rusqlite::Result<()> {
    for change in state.unwritten() {
        match change {
            StateChange::SeenUp(seen) => write_seen_up(transaction, seen)?,
            StateChange::Down(parent, true) => {
                let parent = Scope::Parent(parent.clone()).to_string();
                transaction
                    .execute("INSERT INTO down (parent) VALUES (?1) ON CONFLICT DO NOTHING", [parent])?;
            }
            StateChange::Down(parent, false) => {
                let parent = Scope::Parent(parent.clone()).to_string();
                transaction.execute("DELETE FROM down WHERE parent = ?1", [parent])?;
            }
            StateChange::Incident(incident, settled) => {
                let IncidentId { scope, kind, opened } = &incident.id;
                let body = serde_json::to_string(incident).map_err(unwritable)?;
                transaction.execute(
                    "INSERT INTO incident (vpn, kind, opened, state, settled, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                     ON CONFLICT DO UPDATE SET state = excluded.state, settled = excluded.settled, body = excluded.body",
                    params![
                        scope.to_string(),
                        kind.as_str(),
                        opened.as_millis(),
                        incident.state.as_str(),
                        settled.map(Stamp::as_millis),
                        body
                    ],
                )?;
            }
            StateChange::Forgotten(sink, IncidentId { scope, kind, opened }) => {
                transaction.execute(
                    "DELETE FROM ledger WHERE sink = ?1 AND vpn = ?2 AND kind = ?3 AND opened = ?4",
                    params![sink.as_str(), scope.to_string(), kind.as_str(), opened.as_millis()],
                )?;
            }
            StateChange::Row(row) => {
                let (sink, IncidentId { scope, kind, opened }) = (row.sink.as_str(), &row.incident);
                let body = serde_json::to_string(row).map_err(unwritable)?;
                transaction.execute(
                    "INSERT INTO ledger (sink, vpn, kind, opened, generation, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                     ON CONFLICT DO UPDATE SET body = excluded.body",
                    params![sink, scope.to_string(), kind.as_str(), opened.as_millis(), row.generation, body],
                )?;
            }
            StateChange::Paged(sink, IncidentId { scope, kind, opened }, at) => {
                let (scope, kind, opened) = (scope.to_string(), kind.as_str(), opened.as_millis());
                match at {
                    Some(at) => transaction.execute(
                        "INSERT INTO paged (vpn, kind, opened, sink, at) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
                        params![scope, kind, opened, sink.as_str(), at.as_millis()],
                    )?,
                    None => transaction.execute(
                        "DELETE FROM paged WHERE vpn = ?1 AND kind = ?2 AND opened = ?3 AND sink = ?4",
                        params![scope, kind, opened, sink.as_str()],
                    )?,
                };
            }
            StateChange::Silence(silence) => {
                let body = serde_json::to_string(silence).map_err(unwritable)?;
                transaction.execute(
                    "INSERT INTO silence (id, body) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET body = excluded.body",
                    params![silence.id.0, body],
                )?;
            }
            StateChange::SilenceOver(id) => {
                transaction.execute("DELETE FROM silence WHERE id = ?1", params![id.0])?;
            }
        }
    }
    Ok(())
}

fn write_seen_up(transaction: &Transaction<'_>, seen: &SeenUp) -> rusqlite::Result<()> {
    let (tunnel, end, check, inside_ip, own) = match seen {
        SeenUp::Local(CheckId { tunnel, kind }, RouteKey { inside_ip, own }) => {
            (tunnel, "local", kind.as_str(), inside_ip.to_string(), own.as_ref())
        }
        SeenUp::Aws(tunnel) => (tunnel, "aws", "", String::new(), None),
    };
    let source_ip = own.map(|own| own.source_ip.to_string()).unwrap_or_default();
    let interface = own.and_then(|own| own.interface.as_deref()).unwrap_or_default();
    transaction.execute(
        "INSERT INTO seen_up (tunnel, \"end\", check_kind, inside_ip, source_ip, interface) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET source_ip = excluded.source_ip, interface = excluded.interface
         WHERE excluded.source_ip <> ''",
        params![tunnel_row(transaction, tunnel)?, end, check, inside_ip, source_ip, interface],
    )?;
    Ok(())
}

/// Writes when the daemon watched. What the file says of later is of another date, or an earlier version of the same.
fn write_watched(transaction: &Transaction<'_>, history: &History) -> rusqlite::Result<()> {
    let Some(first) = history.watched.watches().next().map(|first| first.period.from.as_millis()) else {
        return Ok(());
    };
    transaction.execute("DELETE FROM watched WHERE began >= ?1", [first])?;
    transaction.execute("UPDATE watched SET until = ?1 WHERE until > ?1", [first])?;
    for Watch { period: Period { from, until }, recorded_since } in history.watched.watches() {
        transaction.execute(
            "INSERT INTO watched (began, until, since) VALUES (?1, ?2, ?3)",
            params![from.as_millis(), until.as_millis(), recorded_since.map(Stamp::as_millis)],
        )?;
    }
    Ok(())
}

/// Rollups, transitions, and when the daemon watched.
fn write_history(transaction: &Transaction<'_>, history: &History) -> rusqlite::Result<()> {
    for Transition { tunnel, at, body } in history.transitions() {
        let (what, body) = (body.as_str(), serde_json::to_string(body).map_err(unwritable)?);
        transaction.execute(
            "INSERT INTO transition (at, tunnel, what, body) VALUES (?1, ?2, ?3, ?4)",
            params![at.wall.as_millis(), tunnel_row(transaction, tunnel)?, what, body],
        )?;
    }
    write_watched(transaction, history)?;
    for (rollup, sent) in history.rollups() {
        let digest = codec::digest(rollup);
        let Rollup { tunnel, minute, replies, late, lost, faults, rtt, up, both_ends_down } = &**rollup;
        let rtt = (!sent).then(|| codec::write_rtt(rtt));
        let median = rollup.median_rtt().map(|rtt| i64::try_from(rtt.as_micros()).unwrap_or(i64::MAX));
        transaction.execute(
            "INSERT INTO rollup
                (minute, tunnel, digest, replies, late, lost, faults, up, both_ends_down, rtt, sent, median_rtt)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
             ON CONFLICT DO UPDATE SET sent = 1, rtt = NULL WHERE excluded.sent = 1",
            params![
                minute.as_millis(),
                tunnel_row(transaction, tunnel)?,
                digest,
                replies,
                late,
                lost,
                faults,
                up,
                both_ends_down,
                rtt,
                sent,
                median
            ],
        )?;
    }
    Ok(())
}

/// The tunnel's row, created if it is missing.
fn tunnel_row(
    transaction: &Transaction<'_>,
    TunnelId { vpn, outside_ip }: &TunnelId,
) -> rusqlite::Result<i64> {
    let key = params![vpn.as_str(), outside_ip.to_string()];
    let find = || {
        let query = "SELECT id FROM tunnel WHERE vpn = ?1 AND outside_ip = ?2";
        transaction.query_row(query, key, |row| row.get(0)).optional()
    };
    if let Some(id) = find()? {
        return Ok(id);
    }
    transaction.execute("INSERT INTO tunnel (vpn, outside_ip) VALUES (?1, ?2)", key)?;
    Ok(transaction.last_insert_rowid())
}

fn unwritable(error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

/// The state of a connection's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum FileState {
    /// Unchanged.
    Kept,
    /// The file of that name is another one, or missing: writes would be lost.
    Replaced,
    /// The log is another one, or missing. The connection still has everything that was in it.
    WithoutLog,
    /// The log is shorter than it was left: what was in it and not yet in the file is lost.
    LogCut,
}

/// The files as they were left.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left {
    file: Option<Seen>,
    log: Option<Seen>,
}

/// A file's identity and length.
#[derive(Debug, Clone, Copy)]
struct Seen {
    device: u64,
    inode: u64,
    length: u64,
}

impl Left {
    pub(super) fn at(path: &Path) -> Self {
        let [log, _shared_memory] = companions(path);
        Self { file: seen(path), log: seen(&log) }
    }

    /// Compares them with the files as they are now.
    pub(super) fn place(&self, path: &Path) -> FileState {
        let now = Self::at(path);
        if !is_same(self.file, now.file) {
            return FileState::Replaced;
        }
        match (self.log, now.log) {
            // SQLite creates it with the first access.
            (None, _) => FileState::Kept,
            (left, now) if !is_same(left, now) => FileState::WithoutLog,
            (left, now) if now.map(|now| now.length) < left.map(|left| left.length) => FileState::LogCut,
            _ => FileState::Kept,
        }
    }

    /// They were written: the log has its present length.
    pub(super) fn written(&mut self, path: &Path) {
        let now = Self::at(path);
        if is_same(self.file, now.file) && (self.log.is_none() || is_same(self.log, now.log)) {
            self.log = now.log;
        }
    }
}

fn is_same(left: Option<Seen>, now: Option<Seen>) -> bool {
    matches!((left, now), (Some(left), Some(now)) if (left.device, left.inode) == (now.device, now.inode))
}

fn seen(path: &Path) -> Option<Seen> {
    let found = fs::symlink_metadata(path).ok()?;
    Some(Seen { device: found.dev(), inode: found.ino(), length: found.len() })
}

#[cfg(test)]
mod tests;

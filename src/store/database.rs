//! The file: what is written and read, one transaction at a time.

mod alone;
mod place;
mod read;
mod room;
mod upkeep;
mod write;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, ffi, params};

use self::alone::Alone;
pub(super) use self::place::FileState;
use self::place::Left;
use self::upkeep::Upkeep;
use super::capacity::Shares;
use super::codec;
use super::history::{History, TransitionBody};
use super::notice::Unreadable;
use super::open::{self, OpenError, is_damage};
use super::state::State;
use crate::domain::board::TimelineChange;
use crate::domain::event::Remembered;
use crate::domain::names::{TunnelId, VpnId};
use crate::domain::rollup::Rollup;
use crate::domain::time::{Now, Stamp};
use crate::domain::verdict::Evidence;
use crate::incident::sink::LedgerRow;

/// How far back openings count for the doubling of `resolve_after`.
const OPENINGS_COUNT_FOR: Duration = Duration::from_secs(24 * 3600);

/// As far back as CloudWatch can be asked by the minute (GetMetricData, API Reference).
const HISTORY_KEPT: Duration = Duration::from_secs(14 * 24 * 3600);

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Database {
    connection: Connection,
    path: PathBuf,
    left: Left,
    /// History older than this goes.
    keep: Duration,
    shares: Shares,
    upkeep: Upkeep,
    /// Whether it may be written to.
    configured: bool,
}

/// What the last run left.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) remembered: Remembered,
    pub(super) ledger: Vec<LedgerRow>,
    /// What of it cannot be understood. It stays in the file as it is.
    pub(super) unreadable: Vec<Unreadable>,
    /// Set if the file turned out to be damaged; then this is what could be read all the same.
    pub(super) damage: Option<rusqlite::Error>,
}

impl Database {
    pub(super) fn open(path: &Path, keep: Duration, max_size: u64, now: Now) -> Result<Self, OpenError> {
        Ok(Self { configured: true, ..Self::with(open::open(path)?, path, keep, max_size, now) })
    }

    /// The same for reading; `None` where there is nothing to be read. [`Self::configure`] comes before the first write.
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

    /// Whether it may be written to.
    pub(super) const fn is_configured(&self) -> bool {
        self.configured
    }

    /// Makes it ready to be written to, if it is not.
    pub(super) fn configure(&mut self) -> rusqlite::Result<()> {
        if !self.configured {
            open::configure(&mut self.connection)?;
            self.configured = true;
        }
        Ok(())
    }

    /// What can be known of a file that cannot be written.
    pub(super) fn peek(path: &Path, now: Now) -> rusqlite::Result<Found> {
        found(&open::open_to_read(path)?, now)
    }

    /// What has become of the files since they were written.
    pub(super) fn file_state(&self) -> FileState {
        self.left.place(&self.path)
    }

    /// Moves what a log holds that has no name any more into the file. One that has its name is another's, and would be taken
    /// for the file's when that is opened again.
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

    /// Writes everything in one transaction, synced when it returns; folds and removes what is too old, and makes room.
    /// Returns how many unsent rollups had to go.
    pub(super) fn write(&mut self, state: &State, history: &History, now: Now) -> rusqlite::Result<u64> {
        let transaction = self.connection.transaction()?;
        write::state(&transaction, state)?;
        write::history(&transaction, history)?;
        let mut upkeep = self.upkeep;
        let mut dropped = upkeep.run(&transaction, self.keep, &self.shares, now)?;
        dropped += room::make(&transaction, &self.shares)?;
        transaction.commit()?;
        self.upkeep = upkeep;
        self.left.written(&self.path);
        Ok(dropped)
    }

    /// Moves what the log holds into the file, if the log has become long.
    pub(super) fn empty_log(&mut self) -> rusqlite::Result<()> {
        let [log, _shared_memory] = open::companions(&self.path);
        if fs::metadata(log).map_or(0, |log| log.len()) < self.shares.log {
            return Ok(());
        }
        self.checkpoint()?;
        self.left.written(&self.path);
        Ok(())
    }

    /// Closes the file without touching it or its log any more.
    pub(super) fn abandon(self) {
        // If it cannot be set, closing tidies up as usual.
        let _kept = open::keep_log(&self.connection, true);
    }

    /// How many rollups a commit takes up.
    pub(super) const fn shares(&self) -> &Shares {
        &self.shares
    }

    /// What outlived the last run.
    pub(super) fn found(&self, now: Now) -> rusqlite::Result<Found> {
        found(&self.connection, now)
    }

    /// Up to `limit` unsent rollups of minutes until `until`, newest first. Rows that cannot be read are left out.
    pub(super) fn unsent(&self, until: Stamp, limit: usize) -> rusqlite::Result<Vec<Arc<Rollup>>> {
        let query = format!(
            "SELECT {} FROM rollup JOIN tunnel ON tunnel.id = tunnel
             WHERE sent = 0 AND minute <= ?1 ORDER BY minute DESC LIMIT ?2",
            read::ROLLUP
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = rows(&self.connection, &query, params![until.as_millis(), limit], read::rollup)?;
        Ok(rows.into_iter().flatten().map(Arc::new).collect())
    }

    /// The unsent rollups that a damaged file still gives, newest first, up to `limit` and to where the damage begins.
    pub(super) fn rescue_unsent(&self, limit: usize) -> Vec<Arc<Rollup>> {
        // The plus keeps the index out of it: one that is damaged could bring up what has been sent.
        let query = format!(
            "SELECT {} FROM rollup JOIN tunnel ON tunnel.id = tunnel WHERE +sent = 0 ORDER BY minute DESC",
            read::ROLLUP
        );
        let Ok(mut statement) = self.connection.prepare(&query) else { return Vec::new() };
        let Ok(rows) = statement.query_map([], read::rollup) else { return Vec::new() };
        rows.map_while(Result::ok).flatten().take(limit).map(Arc::new).collect()
    }

    /// How many rollups a damaged file holds unsent, if that can still be read.
    pub(super) fn count_unsent_of_damaged(&self) -> Option<u64> {
        // As the rescue reads them; else by the index, which may be whole where the table is not.
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

    /// Whether the file holds this rollup as unsent.
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
        room::used(&self.connection.transaction().unwrap()).unwrap()
    }

    /// Lets go of what it has in memory of the file, as it does of a file that is larger.
    pub(super) fn forget_pages(&self) -> rusqlite::Result<()> {
        self.connection.execute_batch("PRAGMA shrink_memory")
    }
}

fn found(connection: &Connection, now: Now) -> rusqlite::Result<Found> {
    let mut found = Found::default();
    // Each by itself: what is damaged takes nothing else along.
    for read in [find_seen_up, find_incidents, find_openings, find_ledger, find_unheard] {
        match read(connection, now, &mut found) {
            Err(error) if is_damage(&error) => found.damage = Some(error),
            done => done?,
        }
    }
    Ok(found)
}

fn find_seen_up(connection: &Connection, _now: Now, found: &mut Found) -> rusqlite::Result<()> {
    let query = "SELECT \"end\", check_kind, inside_ip, vpn, outside_ip, source_ip, interface FROM seen_up JOIN tunnel ON tunnel.id = tunnel";
    for seen in rows(connection, query, [], |row| Ok((read::seen_up(row)?, read::describe(row)?)))? {
        match seen {
            (Some(seen), _) => found.remembered.seen_up.push(seen),
            (None, row) => found.unreadable.push(Unreadable::SeenUp(row)),
        }
    }
    Ok(())
}

fn find_incidents(connection: &Connection, now: Now, found: &mut Found) -> rusqlite::Result<()> {
    let query =
        "SELECT vpn, kind, opened, body FROM incident WHERE settled IS NULL ORDER BY vpn, kind, opened";
    let bodies = rows(connection, query, [], |row| {
        let id = format!("{}/{}/{}", read::text(row, 0)?, read::text(row, 1)?, row.get::<_, i64>(2)?);
        Ok((id, read::text(row, 3)?))
    })?;
    for (id, body) in bodies {
        match codec::read_incident(&body, now) {
            Ok(incident) => found.remembered.incidents.push(Arc::new(incident)),
            Err(error) => found.unreadable.push(Unreadable::Incident { id, error: error.to_string() }),
        }
    }
    Ok(())
}

fn find_openings(connection: &Connection, now: Now, found: &mut Found) -> rusqlite::Result<()> {
    let (from, to) = (now.wall - OPENINGS_COUNT_FOR, now.wall + OPENINGS_COUNT_FOR);
    let query = "SELECT vpn, kind, opened, body FROM incident WHERE opened BETWEEN ?1 AND ?2 ORDER BY opened, vpn, kind";
    let openings = rows(connection, query, params![from.as_millis(), to.as_millis()], |row| {
        let opened = Stamp::from_millis(row.get(2)?);
        let opening = (VpnId::new(read::text(row, 0)?), codec::kind(&read::text(row, 1)?), opened);
        Ok((opening, read::text(row, 3)?))
    })?;
    // One that was known only when it was over never opened here: nobody was disturbed by it.
    let was_missed = |body: &str| {
        let incident = codec::read_incident(body, now).ok();
        incident.is_some_and(|it| it.timeline.iter().any(|entry| entry.what == TimelineChange::Missed))
    };
    let openings = openings.into_iter().filter(|(_, body)| !was_missed(body));
    found.remembered.openings = openings.filter_map(|((vpn, kind, at), _)| Some((vpn, kind?, at))).collect();
    Ok(())
}

fn find_ledger(connection: &Connection, _now: Now, found: &mut Found) -> rusqlite::Result<()> {
    let query = "SELECT sink, body FROM ledger ORDER BY sink, vpn, kind, opened, generation";
    for (sink, body) in rows(connection, query, [], |row| Ok((read::text(row, 0)?, read::text(row, 1)?)))? {
        match serde_json::from_str(&body) {
            Ok(row) => found.ledger.push(row),
            Err(error) => found.unreadable.push(Unreadable::LedgerRow { sink, error: error.to_string() }),
        }
    }
    Ok(())
}

/// Since when packets have not passed; and where AWS's view was lost to the end, when our end was Down since.
fn find_unheard(connection: &Connection, now: Now, found: &mut Found) -> rusqlite::Result<()> {
    let query = "SELECT vpn, outside_ip, at, body,
            (SELECT max(minute) FROM rollup WHERE rollup.tunnel = tunnel.id AND minute <= ?2)
        FROM transition JOIN tunnel ON tunnel.id = tunnel
        WHERE what = 'view' AND at BETWEEN ?1 AND ?2 ORDER BY transition.id";
    let between = params![(now.wall - HISTORY_KEPT).as_millis(), now.wall.as_millis()];
    let changes = rows(connection, query, between, |row| {
        let tunnel = read::tunnel(read::text(row, 0)?, &read::text(row, 1)?);
        let probed: Option<i64> = row.get(4)?;
        Ok((tunnel, Stamp::from_millis(row.get(2)?), read::text(row, 3)?, probed.map(Stamp::from_millis)))
    })?;
    let mut seen: BTreeMap<TunnelId, Alone> = BTreeMap::new();
    for (tunnel, at, body, probed) in changes {
        if let (Some(tunnel), Ok(TransitionBody::View { end, from, view })) =
            (tunnel, serde_json::from_str(&body))
        {
            let to = view.verdict;
            let stopped = match view.evidence {
                Evidence::Local(evidence) => evidence.stopped.map(|stopped| stopped.wall),
                Evidence::Aws(_) => None,
            };
            let alone = seen.entry(tunnel).or_default();
            alone.probed = probed.map(|minute| minute + MINUTE);
            alone.changed(end, from, to, at);
            alone.stopped(end, to, stopped, at);
        }
    }
    let stopped = seen.iter().filter_map(|(id, alone)| Some((id.clone(), alone.still_stopped(now.wall)?)));
    found.remembered.stopped = stopped.collect();
    let said = seen
        .iter()
        .flat_map(|(id, alone)| alone.said(now.wall).map(move |(at, verdict)| (id.clone(), at, verdict)));
    found.remembered.said = said.collect();
    found.remembered.unheard = seen.into_iter().filter_map(|(tunnel, alone)| alone.unheard(tunnel)).collect();
    Ok(())
}

fn rows<T>(
    connection: &Connection,
    query: &str,
    params: impl rusqlite::Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection.prepare(query)?.query_map(params, read)?.collect()
}

#[cfg(test)]
mod tests;

//! The file: what is written and read, one transaction at a time. Synchronous; it lives on the store's thread.

mod prune;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::mirror;
use super::open::{self, OpenError};
use super::pending::Pending;
use crate::domain::board::IncidentId;
use crate::domain::event::{Remembered, SeenUp};
use crate::domain::names::{CheckId, CheckKind, SinkId, TunnelId, VpnId};
use crate::domain::plan::RouteKey;
use crate::domain::rollup::Rollup;
use crate::domain::time::{Moment, Now, Stamp};
use crate::incident::sink::LedgerRow;

/// How far back openings count for the doubling of `resolve_after`.
const OPENINGS_COUNT_FOR: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug)]
pub(super) struct Database {
    connection: Connection,
    /// History older than this goes.
    keep: Duration,
    next_prune: Option<Moment>,
}

/// What the last run left, and what of it could not be read, in an operator's words.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) remembered: Remembered,
    pub(super) unreadable: Vec<String>,
}

impl Database {
    pub(super) fn open(path: &Path, keep: Duration) -> Result<Self, OpenError> {
        Ok(Self { connection: open::open(path)?, keep, next_prune: None })
    }

    /// A database that ends with the process.
    pub(super) fn in_memory(keep: Duration) -> rusqlite::Result<Self> {
        let mut connection = Connection::open_in_memory()?;
        open::configure(&mut connection)?;
        Ok(Self { connection, keep, next_prune: None })
    }

    /// Writes everything that is pending in one transaction, synced when it returns, and now and then removes what is too
    /// old. Returns how many unsent rollups were given up for their age or number.
    pub(super) fn write(&mut self, pending: &Pending, now: Now) -> rusqlite::Result<u64> {
        let transaction = self.connection.transaction()?;
        write_state(&transaction, pending)?;
        write_history(&transaction, pending)?;
        let prune = self.next_prune.is_none_or(|at| at <= now.mono);
        let given_up = if prune { prune::prune(&transaction, self.keep, now.wall)? } else { 0 };
        transaction.commit()?;
        if prune {
            self.next_prune = Some(now.mono + prune::INTERVAL);
        }
        Ok(given_up)
    }

    /// What outlived the last run. A row that cannot be read stays where it is, and is named.
    pub(super) fn remembered(&self, now: Now) -> rusqlite::Result<Found> {
        let mut found = Found::default();
        let query = "SELECT \"end\", check_kind, inside_ip, vpn, outside_ip FROM seen_up JOIN tunnel ON tunnel.id = tunnel";
        for seen in self.rows(query, [], |row| Ok((seen_up(row)?, describe(row)?)))? {
            match seen {
                (Some(seen), _) => found.remembered.seen_up.push(seen),
                (None, what) => found.unreadable.push(format!("what was seen up: {what}")),
            }
        }
        let query =
            "SELECT vpn, kind, opened, body FROM incident WHERE settled IS NULL ORDER BY vpn, kind, opened";
        let bodies = self.rows(query, [], |row| {
            Ok((format!("{}/{}/{}", text(row, 0)?, text(row, 1)?, row.get::<_, i64>(2)?), text(row, 3)?))
        })?;
        for (id, body) in bodies {
            match mirror::read_incident(&body, now) {
                Ok(incident) => found.remembered.incidents.push(Arc::new(incident)),
                Err(error) => found.unreadable.push(format!("incident {id}: {error}")),
            }
        }
        let (from, to) = (now.wall - OPENINGS_COUNT_FOR, now.wall + OPENINGS_COUNT_FOR);
        let query = "SELECT vpn, kind, opened FROM incident WHERE opened BETWEEN ?1 AND ?2 ORDER BY opened, vpn, kind";
        let openings = self.rows(query, params![from.as_millis(), to.as_millis()], |row| {
            Ok((VpnId::new(text(row, 0)?), mirror::kind(&text(row, 1)?), Stamp::from_millis(row.get(2)?)))
        })?;
        found.remembered.openings =
            openings.into_iter().filter_map(|(vpn, kind, at)| Some((vpn, kind?, at))).collect();
        Ok(found)
    }

    /// The ledger rows of a sink, and what could not be read.
    pub(super) fn ledger(&self, sink: &SinkId) -> rusqlite::Result<(Vec<LedgerRow>, Vec<String>)> {
        let query = "SELECT body FROM ledger WHERE sink = ?1 ORDER BY vpn, kind, opened, generation";
        let (mut rows, mut unreadable) = (Vec::new(), Vec::new());
        for body in self.rows(query, [sink.as_str()], |row| text(row, 0))? {
            match mirror::read_row(&body) {
                Ok(row) => rows.push(row),
                Err(error) => unreadable.push(format!("a ledger row of {sink}: {error}")),
            }
        }
        Ok((rows, unreadable))
    }

    /// Up to `limit` unsent rollups of minutes until `until`, newest first. Rows that cannot be read are left out.
    pub(super) fn unsent(&self, until: Stamp, limit: usize) -> rusqlite::Result<Vec<Arc<Rollup>>> {
        let query = "SELECT vpn, outside_ip, minute, replies, late, lost, faults, rtt, up, both_ends_down
            FROM rollup JOIN tunnel ON tunnel.id = tunnel
            WHERE sent = 0 AND minute <= ?1 ORDER BY minute DESC LIMIT ?2";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.rows(query, params![until.as_millis(), limit], rollup)?;
        Ok(rows.into_iter().flatten().map(Arc::new).collect())
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
            params![rollup.minute.as_millis(), vpn.as_str(), outside_ip.to_string(), mirror::digest(rollup)];
        Ok(self.connection.query_row(query, key, |_row| Ok(())).optional()?.is_some())
    }

    fn rows<T>(
        &self,
        query: &str,
        params: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        self.connection.prepare(query)?.query_map(params, read)?.collect()
    }
}

fn write_state(transaction: &Transaction<'_>, pending: &Pending) -> rusqlite::Result<()> {
    for seen in &pending.seen_up {
        let (tunnel, end, check, inside_ip) = match seen {
            SeenUp::Local(CheckId { tunnel, kind }, RouteKey { inside_ip }) => {
                (tunnel, "local", kind.as_str(), inside_ip.to_string())
            }
            SeenUp::Aws(tunnel) => (tunnel, "aws", "", String::new()),
        };
        transaction.execute(
            "INSERT INTO seen_up (tunnel, \"end\", check_kind, inside_ip) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            params![tunnel_row(transaction, tunnel)?, end, check, inside_ip],
        )?;
    }
    for (IncidentId { vpn, kind, opened }, write) in &pending.incidents {
        let body = mirror::write_incident(&write.incident).map_err(unwritable)?;
        transaction.execute(
            "INSERT INTO incident (vpn, kind, opened, state, settled, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET state = excluded.state, settled = excluded.settled, body = excluded.body",
            params![
                vpn.as_str(),
                kind.as_str(),
                opened.as_millis(),
                write.incident.state.as_str(),
                write.settled.map(Stamp::as_millis),
                body
            ],
        )?;
    }
    for (sink, IncidentId { vpn, kind, opened }) in &pending.forgotten {
        transaction.execute(
            "DELETE FROM ledger WHERE sink = ?1 AND vpn = ?2 AND kind = ?3 AND opened = ?4",
            params![sink.as_str(), vpn.as_str(), kind.as_str(), opened.as_millis()],
        )?;
    }
    for ((sink, IncidentId { vpn, kind, opened }, generation), row) in &pending.ledger {
        let body = mirror::write_row(row).map_err(unwritable)?;
        transaction.execute(
            "INSERT INTO ledger (sink, vpn, kind, opened, generation, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET body = excluded.body",
            params![sink.as_str(), vpn.as_str(), kind.as_str(), opened.as_millis(), generation, body],
        )?;
    }
    Ok(())
}

fn write_history(transaction: &Transaction<'_>, pending: &Pending) -> rusqlite::Result<()> {
    for mirror::Transition { tunnel, at, change } in &pending.transitions {
        let body = mirror::write_transition(change).map_err(unwritable)?;
        transaction.execute(
            "INSERT INTO transition (at, tunnel, what, body) VALUES (?1, ?2, ?3, ?4)",
            params![at.as_millis(), tunnel_row(transaction, tunnel)?, change.as_str(), body],
        )?;
    }
    for ((_, rollup), sent) in &pending.rollups {
        let digest = mirror::digest(rollup);
        let Rollup { tunnel, minute, replies, late, lost, faults, rtt, up, both_ends_down } = &**rollup;
        let rtt = (!sent).then(|| mirror::write_rtt(rtt));
        transaction.execute(
            "INSERT INTO rollup
                (minute, tunnel, digest, replies, late, lost, faults, up, both_ends_down, rtt, sent)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
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
                sent
            ],
        )?;
    }
    Ok(())
}

/// The tunnel's row, made where it is missing.
fn tunnel_row(
    transaction: &Transaction<'_>,
    TunnelId { vpn, outside_ip }: &TunnelId,
) -> rusqlite::Result<i64> {
    let key = params![vpn.as_str(), outside_ip.to_string()];
    transaction
        .execute("INSERT INTO tunnel (vpn, outside_ip) VALUES (?1, ?2) ON CONFLICT DO NOTHING", key)?;
    transaction.query_row("SELECT id FROM tunnel WHERE vpn = ?1 AND outside_ip = ?2", key, |row| row.get(0))
}

fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    row.get(column)
}

fn describe(row: &Row<'_>) -> rusqlite::Result<String> {
    Ok((0..5).map(|column| text(row, column)).collect::<rusqlite::Result<Vec<_>>>()?.join(" "))
}

fn tunnel(vpn: String, outside_ip: &str) -> Option<TunnelId> {
    Some(TunnelId { vpn: VpnId::new(vpn), outside_ip: outside_ip.parse().ok()? })
}

/// `None` if its words are not known.
fn seen_up(row: &Row<'_>) -> rusqlite::Result<Option<SeenUp>> {
    let (end, check, inside_ip) = (text(row, 0)?, text(row, 1)?, text(row, 2)?);
    let Some(tunnel) = tunnel(text(row, 3)?, &text(row, 4)?) else { return Ok(None) };
    Ok(match (end.as_str(), inside_ip.parse()) {
        ("aws", _) => Some(SeenUp::Aws(tunnel)),
        ("local", Ok(inside_ip)) if check == CheckKind::Inside.as_str() => {
            Some(SeenUp::Local(CheckId { tunnel, kind: CheckKind::Inside }, RouteKey { inside_ip }))
        }
        (_, _) => None,
    })
}

/// `None` if its words are not known.
fn rollup(row: &Row<'_>) -> rusqlite::Result<Option<Rollup>> {
    let rtt: Option<String> = row.get(7)?;
    let (Some(tunnel), Ok(rtt)) =
        (tunnel(text(row, 0)?, &text(row, 1)?), rtt.map_or(Ok(Vec::new()), |rtt| mirror::read_rtt(&rtt)))
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

fn unwritable(error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

#[cfg(test)]
mod tests;

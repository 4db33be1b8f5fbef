//! What a commit writes.

use rusqlite::{OptionalExtension, Transaction, params};

use crate::domain::board::IncidentId;
use crate::domain::event::SeenUp;
use crate::domain::names::{CheckId, TunnelId};
use crate::domain::plan::RouteKey;
use crate::domain::rollup::Rollup;
use crate::domain::time::Stamp;
use crate::store::codec;
use crate::store::history::{History, Transition};
use crate::store::state::{State, StateChange};

/// Everything of the state that the file lacks.
pub(super) fn state(transaction: &Transaction<'_>, state: &State) -> rusqlite::Result<()> {
    for change in state.unwritten() {
        match change {
            StateChange::SeenUp(seen) => seen_up(transaction, seen)?,
            StateChange::Incident(incident, settled) => {
                let IncidentId { vpn, kind, opened } = &incident.id;
                let body = serde_json::to_string(incident).map_err(unwritable)?;
                transaction.execute(
                    "INSERT INTO incident (vpn, kind, opened, state, settled, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                     ON CONFLICT DO UPDATE SET state = excluded.state, settled = excluded.settled, body = excluded.body",
                    params![
                        vpn.as_str(),
                        kind.as_str(),
                        opened.as_millis(),
                        incident.state.as_str(),
                        settled.map(Stamp::as_millis),
                        body
                    ],
                )?;
            }
            StateChange::Forgotten(sink, IncidentId { vpn, kind, opened }) => {
                transaction.execute(
                    "DELETE FROM ledger WHERE sink = ?1 AND vpn = ?2 AND kind = ?3 AND opened = ?4",
                    params![sink.as_str(), vpn.as_str(), kind.as_str(), opened.as_millis()],
                )?;
            }
            StateChange::Row(row) => {
                let (sink, IncidentId { vpn, kind, opened }) = (row.sink.as_str(), &row.incident);
                let body = serde_json::to_string(row).map_err(unwritable)?;
                transaction.execute(
                    "INSERT INTO ledger (sink, vpn, kind, opened, generation, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                     ON CONFLICT DO UPDATE SET body = excluded.body",
                    params![sink, vpn.as_str(), kind.as_str(), opened.as_millis(), row.generation, body],
                )?;
            }
        }
    }
    Ok(())
}

fn seen_up(transaction: &Transaction<'_>, seen: &SeenUp) -> rusqlite::Result<()> {
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

/// Rollups and transitions.
pub(super) fn history(transaction: &Transaction<'_>, history: &History) -> rusqlite::Result<()> {
    for Transition { tunnel, at, body } in history.transitions() {
        let (what, body) = (body.as_str(), serde_json::to_string(body).map_err(unwritable)?);
        transaction.execute(
            "INSERT INTO transition (at, tunnel, what, body) VALUES (?1, ?2, ?3, ?4)",
            params![at.as_millis(), tunnel_row(transaction, tunnel)?, what, body],
        )?;
    }
    for (rollup, sent) in history.rollups() {
        let digest = codec::digest(rollup);
        let Rollup { tunnel, minute, replies, late, lost, faults, rtt, up, both_ends_down } = &**rollup;
        let rtt = (!sent).then(|| codec::write_rtt(rtt));
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

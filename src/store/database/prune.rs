//! What goes, and in what order.

use std::time::Duration;

use rusqlite::{Transaction, params};

use crate::domain::time::Stamp;

/// How often it is looked for.
pub(super) const INTERVAL: Duration = Duration::from_secs(6 * 3600);

/// CloudWatch takes nothing older (PutMetricData API reference), so there is nothing to wait for.
const UNSENT_KEPT_FOR: Duration = Duration::from_secs(14 * 24 * 3600);
/// Some 60 bytes each once sent: 90 days of four tunnels in about 30 MB.
const ROLLUPS_MAX: i64 = 520_000;
/// Up to a kilobyte each.
const TRANSITIONS_MAX: i64 = 20_000;

/// Removes history older than `keep` or beyond the largest number: sent rollups first, then the oldest unsent ones. Never
/// an incident on the Board, and never a ledger row. Returns how many unsent rollups were given up.
pub(super) fn prune(transaction: &Transaction<'_>, keep: Duration, wall: Stamp) -> rusqlite::Result<u64> {
    prune_to(transaction, keep, wall, ROLLUPS_MAX, TRANSITIONS_MAX)
}

pub(super) fn prune_to(
    transaction: &Transaction<'_>,
    keep: Duration,
    wall: Stamp,
    rollups_max: i64,
    transitions_max: i64,
) -> rusqlite::Result<u64> {
    let oldest = (wall - keep).as_millis();
    let mut given_up = transaction.execute(
        "UPDATE rollup SET sent = 1, rtt = NULL WHERE sent = 0 AND minute < ?1",
        [(wall - UNSENT_KEPT_FOR).as_millis()],
    )?;
    transaction.execute("DELETE FROM rollup WHERE minute < ?1 AND sent = 1", [oldest])?;
    let rollups: i64 = transaction.query_row("SELECT count(*) FROM rollup", [], |row| row.get(0))?;
    let excess = rollups - rollups_max;
    if excess > 0 {
        let sent = delete_oldest(transaction, true, excess)?;
        let left = excess - i64::try_from(sent).unwrap_or(0);
        given_up += delete_oldest(transaction, false, left)?;
    }
    transaction.execute("DELETE FROM transition WHERE at < ?1", [oldest])?;
    transaction.execute(
        "DELETE FROM transition WHERE id <= (SELECT max(id) FROM transition) - ?1",
        [transitions_max],
    )?;
    transaction.execute("DELETE FROM incident WHERE settled < ?1", [oldest])?;
    Ok(u64::try_from(given_up).unwrap_or(0))
}

fn delete_oldest(transaction: &Transaction<'_>, sent: bool, count: i64) -> rusqlite::Result<usize> {
    transaction.execute(
        "DELETE FROM rollup WHERE (minute, tunnel, digest) IN
            (SELECT minute, tunnel, digest FROM rollup WHERE sent = ?1 ORDER BY minute LIMIT ?2)",
        params![sent, count],
    )
}

//! Room in a file that may not grow: what goes first, and what never goes.

use rusqlite::{Transaction, params};

use super::upkeep::settled_before;
use crate::store::capacity::Shares;

/// Frees pages if too many are in use: the oldest sent rollups go first, folded ones before those that are not, then the
/// oldest unsent ones, then transitions and settled incidents by their age. What is left is on the Board or in the ledger
/// of what is, and stays whatever it takes. Returns how many unsent rollups went.
pub(super) fn make(transaction: &Transaction<'_>, shares: &Shares) -> rusqlite::Result<u64> {
    if used(transaction)? <= shares.used {
        return Ok(0);
    }
    let mut dropped = 0;
    while used(transaction)? > shares.used.saturating_sub(shares.slack) {
        if hours(transaction, shares.rows)? > 0 || rollups(transaction, true, shares.rows)? > 0 {
            continue;
        }
        let unsent = rollups(transaction, false, shares.rows)?;
        dropped += u64::try_from(unsent).unwrap_or(0);
        if unsent == 0 && !remove_older_half(transaction)? {
            break;
        }
    }
    Ok(dropped)
}

/// Bytes of pages that are not free.
pub(super) fn used(transaction: &Transaction<'_>) -> rusqlite::Result<u64> {
    let pragma = |name: &str| -> rusqlite::Result<i64> {
        transaction.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
    };
    let bytes = (pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?;
    Ok(u64::try_from(bytes).unwrap_or(0))
}

fn hours(transaction: &Transaction<'_>, rows: i64) -> rusqlite::Result<usize> {
    transaction.execute(
        "DELETE FROM hour WHERE (hour, tunnel) IN (SELECT hour, tunnel FROM hour ORDER BY hour LIMIT ?1)",
        [rows],
    )
}

fn rollups(transaction: &Transaction<'_>, sent: bool, rows: i64) -> rusqlite::Result<usize> {
    transaction.execute(
        "DELETE FROM rollup WHERE (minute, tunnel, digest) IN
            (SELECT minute, tunnel, digest FROM rollup WHERE sent = ?1 ORDER BY minute LIMIT ?2)",
        params![sent, rows],
    )
}

/// Removes transitions and settled incidents from the older half of the time that they span. Returns whether there were any.
fn remove_older_half(transaction: &Transaction<'_>) -> rusqlite::Result<bool> {
    let query = "SELECT min(at), max(at) FROM
        (SELECT at FROM transition UNION ALL SELECT settled FROM incident WHERE settled IS NOT NULL)";
    let (Some(oldest), Some(newest)) = transaction
        .query_row(query, [], |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?)))?
    else {
        return Ok(false);
    };
    let before = oldest + (newest - oldest) / 2 + 1;
    transaction.execute("DELETE FROM transition WHERE at < ?1", [before])?;
    settled_before(transaction, before)?;
    Ok(true)
}

#[cfg(test)]
mod tests;

//! Ageing history: minutes are folded into hours, and what is older than `keep` is removed.
//!
//! Age is measured on the wall clock, and the wall clock can be wrong: a dead battery says 2000, a bad time server 2100. So
//! the clock alone removes nothing. Each pass removes at most as much from the oldest end of the history as the time since
//! the previous pass on the monotonic clock allows: a clock that is wrong for an hour costs two hours of the oldest history,
//! and the minutes of some days; one that says 2000 costs nothing. After a long stop, old history is therefore removed
//! somewhat later. Rows that a wrong clock stamped with 2000 are the oldest, and go first.
//!
//! A tunnel that works for longer than `keep` has no change that is younger. So the newest change of each tunnel and kind stays as long
//! as the run that recorded it goes on, or anything of that run is remembered: what was so then is so still.
//!
//! [`Shares`] divides `max_size`, and [`capacity`] computes how long that lasts, from measured row sizes.

use std::time::Duration;

use rusqlite::{OptionalExtension, Transaction, params};

use crate::domain::time::{Moment, Now, Stamp};

/// Between two passes; the unit of a fold.
const HOUR: Duration = Duration::from_secs(3600);
const HOUR_MILLIS: i64 = 3_600_000;
/// How much faster than time history may be removed. One would keep pace; two catches up after a stop.
const REMOVE_AT_MOST: u32 = 2;
/// How much faster than time minutes may be folded. Folding loses no sums, so it may catch up sooner.
const FOLD_AT_MOST: u32 = 24;

/// When the last pass was, and what it left for the next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Upkeep {
    last: Moment,
    /// Minutes before this still have to be folded: a pass is limited in rows.
    folding_until: Option<Stamp>,
}

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::store) struct Removed {
    /// Rollups that were not sent.
    pub(in crate::store) unsent: u64,
    /// Changes up to this time: what was so before it is no longer known.
    pub(in crate::store) before: Option<Stamp>,
}

impl Removed {
    pub(super) fn add(&mut self, other: Self) {
        self.unsent += other.unsent;
        self.before = self.before.max(other.before);
    }

    /// What was so before this time is no longer known.
    fn forget(&mut self, transaction: &Transaction<'_>, before: Option<Stamp>) -> rusqlite::Result<()> {
        if let Some(at) = before {
            transaction.execute("DELETE FROM watched WHERE until <= ?1", [at.as_millis()])?;
            transaction
                .execute("UPDATE OR REPLACE watched SET began = ?1 WHERE began < ?1", [at.as_millis()])?;
        }
        self.before = self.before.max(before);
        Ok(())
    }
}

impl Upkeep {
    /// The first pass is an hour away: nothing is known of the time before.
    pub(super) const fn beginning(now: Moment) -> Self {
        Self { last: now, folding_until: None }
    }

    /// Does what is due. Returns what was removed.
    pub(super) fn run(
        &mut self,
        transaction: &Transaction<'_>,
        keep: Duration,
        shares: &Shares,
        now: Now,
    ) -> rusqlite::Result<Removed> {
        let passed = now.mono.since(self.last);
        let mut removed = Removed::default();
        if passed >= HOUR {
            self.last = now.mono;
            removed = remove(transaction, now.wall, keep, passed * REMOVE_AT_MOST)?;
            removed.add(remove_beyond(transaction, shares, now.wall)?);
            let oldest =
                oldest(transaction, "SELECT minute FROM rollup WHERE sent = 1 ORDER BY minute LIMIT 1")?;
            self.folding_until =
                oldest.map(|oldest| (oldest + passed * FOLD_AT_MOST).min(now.wall - FOLD_AFTER));
        }
        if let Some(until) = self.folding_until
            && fold(transaction, until, shares.rows)?
        {
            self.folding_until = None;
        }
        Ok(removed)
    }
}

/// Sums the sent rollups of whole hours before `until`, about `rows` of them. Returns whether that was all.
fn fold(transaction: &Transaction<'_>, until: Stamp, rows: i64) -> rusqlite::Result<bool> {
    let until = hour_of(until.as_millis());
    let query = "SELECT minute FROM rollup WHERE sent = 1 AND minute < ?1 ORDER BY minute LIMIT 1 OFFSET ?2";
    let minute = |offset: i64| -> rusqlite::Result<Option<i64>> {
        transaction.query_row(query, params![until, offset], |row| row.get(0)).optional()
    };
    let Some(first) = minute(0)? else { return Ok(true) };
    let (until, all) = match minute(rows)? {
        None => (until, true),
        // At least one hour, for any number of tunnels.
        Some(beyond) => (hour_of(beyond).max(hour_of(first) + HOUR_MILLIS), false),
    };
    transaction.execute(
        "INSERT INTO hour (hour, tunnel, minutes, up_minutes, down_minutes, both_ends_down_minutes,
                replies, late, lost, faults)
            SELECT minute - ((minute % ?2) + ?2) % ?2, tunnel, count(DISTINCT minute),
                count(DISTINCT iif(up = 1, minute, NULL)), count(DISTINCT iif(up = 0, minute, NULL)),
                count(DISTINCT iif(both_ends_down = 1, minute, NULL)),
                sum(replies), sum(late), sum(lost), sum(faults)
            FROM rollup WHERE sent = 1 AND minute < ?1 GROUP BY 1, 2
            ON CONFLICT DO UPDATE SET
                minutes = minutes + excluded.minutes,
                up_minutes = up_minutes + excluded.up_minutes,
                down_minutes = down_minutes + excluded.down_minutes,
                both_ends_down_minutes = both_ends_down_minutes + excluded.both_ends_down_minutes,
                replies = replies + excluded.replies, late = late + excluded.late,
                lost = lost + excluded.lost, faults = faults + excluded.faults",
        [until, HOUR_MILLIS],
    )?;
    transaction.execute("DELETE FROM rollup WHERE sent = 1 AND minute < ?1", [until])?;
    Ok(all)
}

const fn hour_of(millis: i64) -> i64 {
    millis.div_euclid(HOUR_MILLIS) * HOUR_MILLIS
}

/// Removes data older than `keep`, but in each table no more than `reach` from its oldest end. Returns what was removed. Never an
/// incident on the Board, and never one of its ledger rows.
fn remove(
    transaction: &Transaction<'_>,
    now: Stamp,
    keep: Duration,
    reach: Duration,
) -> rusqlite::Result<Removed> {
    let wanted = now - keep;
    let before = |query: &str| -> rusqlite::Result<i64> {
        let oldest = oldest(transaction, query)?;
        Ok(oldest.map_or(wanted, |oldest| wanted.min(oldest + reach)).as_millis())
    };
    let minutes = before("SELECT min(minute) FROM rollup")?;
    let unsent: i64 = transaction.query_row(
        "SELECT count(*) FROM rollup WHERE sent = 0 AND minute < ?1",
        [minutes],
        |row| row.get(0),
    )?;
    transaction.execute("DELETE FROM rollup WHERE minute < ?1", [minutes])?;
    transaction.execute("DELETE FROM hour WHERE hour < ?1", [before("SELECT min(hour) FROM hour")?])?;
    let mut removed = Removed { unsent: u64::try_from(unsent).unwrap_or(0), before: None };
    if let Some(began) = oldest(transaction, "SELECT min(began) FROM watched")? {
        removed.forget(transaction, Some(wanted.min(began + reach)))?;
    }
    let (kept, horizon) = (recorded_since(transaction, wanted.as_millis())?, horizon(transaction, now)?);
    let query = format!("SELECT at FROM transition WHERE NOT {IS_KEPT} ORDER BY at LIMIT 1");
    let oldest: Option<i64> = transaction.query_row(&query, [kept, horizon], |row| row.get(0)).optional()?;
    let reached = oldest.map_or(wanted, |oldest| wanted.min(Stamp::from_millis(oldest) + reach));
    removed.add(remove_transitions(transaction, "at < ?3", reached.as_millis(), kept, horizon)?);
    settled_before(transaction, before("SELECT min(settled) FROM incident")?)?;
    Ok(removed)
}

/// Whether a transition says what is still so: it is the newest of its tunnel and kind, of verdicts by end, and since then every change
/// is recorded. `?1` is since when, and `?2` the latest date that is not of a wrong clock.
const IS_KEPT: &str = "(at >= ?1 AND at <= ?2 AND NOT EXISTS (
    SELECT 1 FROM transition AS newer WHERE newer.tunnel = transition.tunnel AND newer.what = transition.what
        AND CASE newer.what WHEN 'view' THEN substr(newer.body, 9, 14) ELSE '' END
            = CASE transition.what WHEN 'view' THEN substr(transition.body, 9, 14) ELSE '' END
        AND newer.at >= transition.at AND newer.at <= ?2
        AND (newer.at > transition.at OR newer.id > transition.id)))";

/// Since when the changes are recorded that say what was so at this time: of an earlier run nothing goes on.
fn recorded_since(transaction: &Transaction<'_>, at: i64) -> rusqlite::Result<i64> {
    let query = "SELECT since FROM watched WHERE until > ?1 ORDER BY began LIMIT 1";
    let since: Option<Option<i64>> = transaction.query_row(query, [at], |row| row.get(0)).optional()?;
    Ok(since.flatten().unwrap_or(i64::MAX))
}

/// One that a wrong clock stamped with a later time says nothing of the time before it. The core's date may be ahead of the host's.
fn horizon(transaction: &Transaction<'_>, now: Stamp) -> rusqlite::Result<i64> {
    let query = "SELECT max(?1, coalesce((SELECT until FROM watched ORDER BY began DESC LIMIT 1), ?1))";
    transaction.query_row(query, [now.as_millis()], |row| row.get(0))
}

/// Removes the transitions of which this holds for `?3`, but not those that are kept ([`IS_KEPT`]).
fn remove_transitions(
    transaction: &Transaction<'_>,
    which: &str,
    value: i64,
    kept: i64,
    horizon: i64,
) -> rusqlite::Result<Removed> {
    let query = format!("SELECT max(at) FROM transition WHERE at <= ?2 AND {which} AND NOT {IS_KEPT}");
    let newest: Option<i64> = transaction.query_row(&query, [kept, horizon, value], |row| row.get(0))?;
    let query = format!("DELETE FROM transition WHERE {which} AND NOT {IS_KEPT}");
    transaction.execute(&query, [kept, horizon, value])?;
    let mut removed = Removed::default();
    removed.forget(transaction, newest.map(Stamp::from_millis))?;
    Ok(removed)
}

/// Removes the oldest transitions and settled incidents beyond their shares of the file.
fn remove_beyond(transaction: &Transaction<'_>, shares: &Shares, now: Stamp) -> rusqlite::Result<Removed> {
    let beyond = "id <= (SELECT max(id) FROM transition) - ?3";
    let horizon = horizon(transaction, now)?;
    let query = "SELECT max(at) FROM transition
        WHERE at <= ?1 AND id <= (SELECT max(id) FROM transition) - ?2";
    let until: Option<i64> = transaction.query_row(query, [horizon, shares.transitions], |row| row.get(0))?;
    let kept = until.map_or(Ok(i64::MAX), |until| recorded_since(transaction, until))?;
    let removed = remove_transitions(transaction, beyond, shares.transitions, kept, horizon)?;
    let mut statement = transaction.prepare(
        "SELECT settled, octet_length(body) FROM incident WHERE settled IS NOT NULL ORDER BY settled DESC",
    )?;
    let mut rows = statement.query([])?;
    let mut bytes = 0_u64;
    while let Some(row) = rows.next()? {
        bytes += u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
        if bytes > shares.incidents {
            let settled: i64 = row.get(0)?;
            drop(rows);
            settled_before(transaction, settled + 1)?;
            break;
        }
    }
    Ok(removed)
}

/// Removes the incidents that were settled before, when they were paged, and the ledger rows of sinks that are no longer configured.
fn settled_before(transaction: &Transaction<'_>, before: i64) -> rusqlite::Result<()> {
    for table in ["ledger", "paged"] {
        transaction.execute(
            &format!(
                "DELETE FROM {table} WHERE (vpn, kind, opened) IN
                    (SELECT vpn, kind, opened FROM incident WHERE settled < ?1)"
            ),
            [before],
        )?;
    }
    transaction.execute("DELETE FROM incident WHERE settled < ?1", [before])?;
    Ok(())
}

fn oldest(transaction: &Transaction<'_>, query: &str) -> rusqlite::Result<Option<Stamp>> {
    let oldest: Option<Option<i64>> = transaction.query_row(query, [], |row| row.get(0)).optional()?;
    Ok(oldest.flatten().map(Stamp::from_millis))
}

// Space in a bounded file: what is removed first, and what never is.

/// Frees pages if too many are in use: first the oldest sent rollups, those of folded hours before the minutes, then the
/// oldest unsent ones, then transitions and settled incidents by age. What is left belongs to the Board or its ledger, and
/// stays whatever its size. Returns what was removed.
pub(super) fn make_room(
    transaction: &Transaction<'_>,
    shares: &Shares,
    now: Stamp,
) -> rusqlite::Result<Removed> {
    let mut removed = Removed::default();
    if used(transaction)? <= shares.used {
        return Ok(removed);
    }
    while used(transaction)? > shares.used.saturating_sub(shares.slack) {
        if remove_hours(transaction, shares.rows)? > 0 || remove_rollups(transaction, true, shares.rows)? > 0
        {
            continue;
        }
        let unsent = remove_rollups(transaction, false, shares.rows)?;
        removed.unsent += u64::try_from(unsent).unwrap_or(0);
        if unsent > 0 {
            continue;
        }
        let Some(half) = remove_older_half(transaction, now)? else { break };
        removed.add(half);
    }
    Ok(removed)
}

/// Bytes of pages that are not free.
pub(super) fn used(transaction: &Transaction<'_>) -> rusqlite::Result<u64> {
    let pragma = |name: &str| -> rusqlite::Result<i64> {
        transaction.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
    };
    let bytes = (pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?;
    Ok(u64::try_from(bytes).unwrap_or(0))
}

fn remove_hours(transaction: &Transaction<'_>, rows: i64) -> rusqlite::Result<usize> {
    transaction.execute(
        "DELETE FROM hour WHERE (hour, tunnel) IN (SELECT hour, tunnel FROM hour ORDER BY hour LIMIT ?1)",
        [rows],
    )
}

fn remove_rollups(transaction: &Transaction<'_>, sent: bool, rows: i64) -> rusqlite::Result<usize> {
    transaction.execute(
        "DELETE FROM rollup WHERE (minute, tunnel, digest) IN
            (SELECT minute, tunnel, digest FROM rollup WHERE sent = ?1 ORDER BY minute LIMIT ?2)",
        params![sent, rows],
    )
}

/// Removes transitions and settled incidents from the older half of the time that they span; what is kept elsewhere ([`IS_KEPT`]) only
/// when nothing else is left. `None` if there were none.
fn remove_older_half(transaction: &Transaction<'_>, now: Stamp) -> rusqlite::Result<Option<Removed>> {
    let newest: Option<i64> =
        transaction.query_row("SELECT max(at) FROM transition", [], |row| row.get(0))?;
    let horizon = horizon(transaction, now)?;
    let since = newest.map_or(Ok(i64::MAX), |newest| recorded_since(transaction, newest.min(horizon) - 1))?;
    for kept in [since, i64::MAX] {
        let query = format!(
            "SELECT min(oldest), max(newest) FROM
                (SELECT (SELECT at FROM transition WHERE NOT {IS_KEPT} ORDER BY at LIMIT 1) AS oldest,
                        (SELECT at FROM transition WHERE NOT {IS_KEPT} ORDER BY at DESC LIMIT 1) AS newest
                    UNION ALL SELECT min(settled), max(settled) FROM incident)"
        );
        let (Some(oldest), Some(newest)) = transaction.query_row(&query, [kept, horizon], |row| {
            Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?))
        })?
        else {
            continue;
        };
        let before = oldest + (newest - oldest) / 2 + 1;
        let removed = remove_transitions(transaction, "at < ?3", before, kept, horizon)?;
        settled_before(transaction, before)?;
        return Ok(Some(removed));
    }
    Ok(None)
}

const DAY: Duration = Duration::from_secs(24 * 3600);
/// CloudWatch accepts nothing older (PutMetricData API reference).
const CLOUDWATCH_TAKES_BACK: Duration = DAY.saturating_mul(14);
/// Sent minutes are folded after this: nobody needs their detail by then.
pub(super) const FOLD_AFTER: Duration = DAY.saturating_mul(7);
const MINUTES: u64 = 24 * 60;
const HOURS: u64 = 24;

/// A sent rollup. Like all of these, measured in the file, including index and unused space in pages; a test checks them.
const SENT_BYTES: u64 = 46;
/// An unsent rollup, on a line whose round-trip times fall into a few bins.
const UNSENT_BYTES: u64 = 184;
/// An unsent rollup, with the maximum number of bins.
const UNSENT_BYTES_MAX: u64 = 504;
/// The sums of an hour's rollups.
const HOUR_BYTES: u64 = 32;
/// A transition, with the evidence of both ends.
const TRANSITION_BYTES: u64 = 1024;

/// How `max_size` is divided, so that file and log together stay below it at any moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Shares {
    /// Bytes in used pages at the end of a commit. A file never shrinks, but freed pages are reused.
    pub(super) used: u64,
    /// When they would exceed that, this many bytes are freed at once, and not page by page with every commit.
    pub(super) slack: u64,
    /// The log is emptied at this length.
    pub(super) log: u64,
    /// A commit writes this many bytes of history; the rest has commits of its own.
    pub(super) commit: u64,
    /// Rows that are folded or removed at once.
    pub(super) rows: i64,
    /// Transitions that are kept.
    pub(super) transitions: i64,
    /// Bytes of settled incidents.
    pub(super) incidents: u64,
}

impl Shares {
    /// A full file may grow by one commit before space is freed, and the log may exceed its length by one commit, in which
    /// every row may need a page of its own and an index entry. The shares are in 64ths: 48 used, 4 growth, 4 log, and 8 for
    /// what the commit writes to the log.
    pub(super) const fn of(max_size: u64) -> Self {
        let share = max_size / 64;
        let rows = share / SENT_BYTES / 8;
        Self {
            used: 48 * share,
            slack: share,
            log: 4 * share,
            commit: share,
            rows: rows as i64,
            transitions: (16 * share / TRANSITION_BYTES) as i64,
            incidents: 8 * share,
        }
    }

    /// Bytes for rollups if transitions and incidents use their whole shares.
    pub(super) const fn rollups(&self) -> u64 {
        self.used - self.incidents - self.transitions as u64 * TRANSITION_BYTES
    }

    /// How many rollups one commit writes.
    pub(in crate::store) const fn rollups_per_commit(&self) -> usize {
        (self.commit / UNSENT_BYTES_MAX) as usize
    }
}

/// How long a store's file lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// The size of all tunnels' history over the whole of `keep`, in bytes.
    pub bytes: u64,
    /// How far back the history reaches; at most `keep`.
    pub history: Duration,
    /// How long minutes can wait while CloudWatch accepts nothing, before the oldest are dropped.
    pub waiting: Duration,
}

/// Computes it for this many probed tunnels, as if incidents and transitions used their whole shares.
pub fn capacity(max_size: u64, keep: Duration, tunnels: u64) -> Capacity {
    let room = Shares::of(max_size).rollups();
    let by_minute = tunnels * SENT_BYTES * MINUTES;
    let by_hour = tunnels * HOUR_BYTES * HOURS;
    let recent = keep.min(FOLD_AFTER);
    let takes = |span: Duration, per_day: u64| span.as_secs() * per_day / DAY.as_secs();
    let lasts = |bytes: u64, per_day: u64| DAY * u32::try_from(bytes / per_day.max(1)).unwrap_or(u32::MAX);
    let minutes = takes(recent, by_minute);
    let history = match room.checked_sub(minutes) {
        None => lasts(room, by_minute),
        Some(rest) => recent + lasts(rest, by_hour),
    };
    let waiting = lasts(room, tunnels * UNSENT_BYTES * MINUTES);
    Capacity {
        bytes: minutes + takes(keep - recent, by_hour),
        history: history.min(keep),
        waiting: waiting.min(keep).min(CLOUDWATCH_TAKES_BACK),
    }
}

#[cfg(test)]
mod tests;

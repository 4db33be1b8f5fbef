//! What `max_size` means: how it is shared out, and how long it lasts, from what rows were measured to take.

use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// CloudWatch takes nothing older (PutMetricData API reference).
const CLOUDWATCH_TAKES_BACK: Duration = DAY.saturating_mul(14);
/// Minutes that were sent are folded after this: by then nobody asks what happened in which minute.
pub(super) const FOLD_AFTER: Duration = DAY.saturating_mul(7);
const MINUTES: u64 = 24 * 60;
const HOURS: u64 = 24;

/// A rollup that has been sent. Like all of these, measured in the file, index and the slack of pages included; a test
/// holds them to it.
const SENT_BYTES: u64 = 42;
/// A rollup that waits, on a line whose round trips fall into a handful of bins.
const UNSENT_BYTES: u64 = 180;
/// A rollup that waits, with as many bins as there can be.
const UNSENT_BYTES_MAX: u64 = 500;
/// The rollups of an hour, added up.
const HOUR_BYTES: u64 = 32;
/// A transition, with the evidence of both ends.
const TRANSITION_BYTES: u64 = 1024;

/// How `max_size` is shared out, so that file and log together stay below it at any moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shares {
    /// Pages in use may hold so many bytes when a commit ends. A file never shrinks, but freed pages are used again.
    pub(super) used: u64,
    /// When they would hold more, so many bytes are freed at once and not page by page with every commit.
    pub(super) slack: u64,
    /// The log is emptied once it is so long.
    pub(super) log: u64,
    /// A commit takes up so many bytes of history; what waits beyond that has a commit of its own.
    pub(super) commit: u64,
    /// So many rows are folded or removed in one go.
    pub(super) rows: i64,
    /// So many transitions are kept.
    pub(super) transitions: i64,
    /// Settled incidents may hold so many bytes.
    pub(super) incidents: u64,
}

impl Shares {
    /// A file that is full may grow by a commit before that has made room, and the log may take a commit beyond its
    /// length, in which every row may have a page to itself that is also noted in an index. The shares are in 64ths:
    /// 48 used, 4 growth, 4 log, and 8 for what the commit writes to the log.
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

    /// Bytes that rollups have if transitions and incidents take up their shares.
    pub(super) const fn rollups(&self) -> u64 {
        self.used - self.incidents - self.transitions as u64 * TRANSITION_BYTES
    }

    /// How many rollups a commit takes up.
    pub(super) const fn rollups_per_commit(&self) -> usize {
        (self.commit / UNSENT_BYTES_MAX) as usize
    }
}

/// How long a store's file lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// What the history of all tunnels over the whole of `keep` takes, in bytes.
    pub bytes: u64,
    /// How far back the history reaches; at most `keep`.
    pub history: Duration,
    /// For how long minutes can wait while CloudWatch takes nothing, after which the oldest are given up.
    pub waiting: Duration,
}

/// Computes it for so many tunnels that are probed, as if incidents and transitions had taken up their whole shares.
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

//! How long `max_size` lasts: figures for people, from what rows were measured to take.

use std::time::Duration;

use super::database::FOLD_AFTER;
use super::limits::Limits;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// CloudWatch takes nothing older (PutMetricData API reference).
const CLOUDWATCH_TAKES_BACK: Duration = DAY.saturating_mul(14);
const MINUTES: u64 = 24 * 60;
const HOURS: u64 = 24;

/// A rollup that has been sent. Like all of these, measured in the file, index and the slack of pages included; a test
/// holds them to it.
pub(super) const SENT_BYTES: u64 = 42;
/// A rollup that waits, on a line whose round trips fall into a handful of bins.
const UNSENT_BYTES: u64 = 180;
/// A rollup that waits, with as many bins as there can be.
pub(super) const UNSENT_BYTES_MAX: u64 = 500;
/// The rollups of an hour, added up.
const HOUR_BYTES: u64 = 32;
/// A transition, with the evidence of both ends.
pub(super) const TRANSITION_BYTES: u64 = 1024;

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
    let room = Limits::of(max_size).rollups();
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

//! When to call the core again, and when to probe: on a grid, so that the pace is even and does not drift, and checks of one
//! connection share their wake-ups.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::time::Moment;

/// One moment per key, in order of time.
#[derive(Debug, Clone)]
pub struct Timers<K> {
    by_key: BTreeMap<K, Moment>,
    by_time: BTreeSet<(Moment, K)>,
}

impl<K: Ord + Clone> Default for Timers<K> {
    fn default() -> Self {
        Self { by_key: BTreeMap::new(), by_time: BTreeSet::new() }
    }
}

impl<K: Ord + Clone> Timers<K> {
    /// Sets, moves or (`None`) removes a key's moment.
    pub fn set(&mut self, key: K, at: Option<Moment>) {
        match (self.by_key.get_mut(&key), at) {
            (Some(known), Some(at)) if *known != at => {
                let mut timer = (std::mem::replace(known, at), key);
                self.by_time.remove(&timer);
                timer.0 = at;
                self.by_time.insert(timer);
            }
            (Some(_), Some(_)) | (None, None) => {}
            (Some(known), None) => {
                let timer = (*known, key);
                self.by_time.remove(&timer);
                self.by_key.remove(&timer.1);
            }
            (None, Some(at)) => {
                self.by_key.insert(key.clone(), at);
                self.by_time.insert((at, key));
            }
        }
    }

    /// The earliest.
    pub fn next(&self) -> Option<&(Moment, K)> {
        self.by_time.first()
    }

    /// Removes and returns the earliest key, if it is due.
    pub fn pop_due(&mut self, now: Moment) -> Option<K> {
        let (at, _) = self.by_time.first()?;
        if *at > now {
            return None;
        }
        let (_, key) = self.by_time.pop_first()?;
        self.by_key.remove(&key);
        Some(key)
    }
}

//--- when to probe

/// Under suspicion the whole daemon sends at most this many echoes a second, 84 bytes each, for the few seconds that a verdict takes:
/// so 1,000 tunnels that are cut at once are known to be Down as soon as one alone.
pub const SUSPECT_ECHOES_PER_SECOND: u32 = 5_000;

/// The interval of a suspect check when `suspects` checks share the budget.
pub fn suspect_interval(configured: Duration, suspects: usize) -> Duration {
    let share = Duration::from_secs(1) / SUSPECT_ECHOES_PER_SECOND;
    configured.max(share.saturating_mul(u32::try_from(suspects).unwrap_or(u32::MAX)))
}

/// The first point after `now` of the grid through `anchor`.
pub fn next_on_grid(anchor: Moment, interval: Duration, now: Moment) -> Moment {
    let interval = nanos(interval).max(1);
    let past = now.as_nanos() - anchor.as_nanos();
    Moment::from_nanos(anchor.as_nanos() + (past.div_euclid(interval) + 1) * interval)
}

/// The number of ticks between `due` and `next`, both on the grid: those that were missed.
pub fn ticks_between(due: Moment, next: Moment, interval: Duration) -> u64 {
    let steps = next.since(due).as_nanos() / interval.as_nanos().max(1);
    u64::try_from(steps).unwrap_or(u64::MAX).saturating_sub(1)
}

/// The offset of the `index`-th of `count` connections in the interval, so that they do not all probe at once.
pub fn phase(interval: Duration, index: usize, count: usize) -> Duration {
    let index = u32::try_from(index).unwrap_or(0);
    let count = u32::try_from(count).unwrap_or(1).max(1);
    interval.saturating_mul(index % count) / count
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_moment_and_the_earliest_is_first() {
        let mut timers = Timers::default();
        timers.set("a", Some(Moment::from_nanos(5)));
        timers.set("b", Some(Moment::from_nanos(3)));
        timers.set("a", Some(Moment::from_nanos(1)));
        assert_eq!(timers.next(), Some(&(Moment::from_nanos(1), "a")));
        assert_eq!(timers.pop_due(Moment::from_nanos(4)), Some("a"));
        assert_eq!(timers.pop_due(Moment::from_nanos(4)), Some("b"));
        assert_eq!(timers.pop_due(Moment::from_nanos(4)), None);
    }

    #[test]
    fn a_removed_moment_never_comes() {
        let mut timers = Timers::default();
        timers.set(1, Some(Moment::from_nanos(1)));
        timers.set(1, None);
        assert_eq!(timers.next(), None);
    }

    const SECOND: Duration = Duration::from_secs(1);

    fn at(millis: i64) -> Moment {
        Moment::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn the_next_tick_lies_on_the_grid_however_late_it_is() {
        assert_eq!(next_on_grid(at(300), SECOND, at(300)), at(1300));
        assert_eq!(next_on_grid(at(300), SECOND, at(1299)), at(1300));
        assert_eq!(next_on_grid(at(300), SECOND, at(9000)), at(9300));
        assert_eq!(next_on_grid(at(300), SECOND, at(100)), at(300));
    }

    #[test]
    fn missed_ticks_are_counted() {
        assert_eq!(ticks_between(at(300), at(1300), SECOND), 0);
        assert_eq!(ticks_between(at(300), at(9300), SECOND), 8);
    }

    #[test]
    fn suspect_checks_share_the_budget_evenly() {
        let configured = Duration::from_millis(200);
        assert_eq!(suspect_interval(configured, 2), configured);
        assert_eq!(suspect_interval(configured, 100), configured);
        assert_eq!(suspect_interval(configured, 1000), configured);
        assert_eq!(suspect_interval(configured, 10_000), Duration::from_secs(2));
    }

    #[test]
    fn connections_are_spread_over_the_interval() {
        assert_eq!(phase(SECOND, 0, 4), Duration::ZERO);
        assert_eq!(phase(SECOND, 3, 4), Duration::from_millis(750));
    }
}

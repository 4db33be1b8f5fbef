//! When to ask: on a grid, so that pacing is even, does not drift, and checks of one connection share their wake-ups.

use std::time::Duration;

use super::time::Moment;

/// Under suspicion the whole daemon sends at most this many echoes a second: 8 kB/s, which no uplink feels, even when the
/// WAN of a hub with hundreds of tunnels is cut.
pub const SUSPECT_ECHOES_PER_SECOND: u32 = 500;

/// How fast a suspect check asks when `suspects` checks share the budget.
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

/// How many points of the grid lie after `due` and before `next`, which are on it: ticks that nobody was there for.
pub fn ticks_between(due: Moment, next: Moment, interval: Duration) -> u64 {
    let steps = next.since(due).as_nanos() / interval.as_nanos().max(1);
    u64::try_from(steps).unwrap_or(u64::MAX).saturating_sub(1)
}

/// Where in its interval the `index`-th of `count` connections asks, so that they do not all ask at once.
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

    const SECOND: Duration = Duration::from_secs(1);

    fn at(millis: i64) -> Moment {
        Moment::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn the_next_tick_lies_on_the_grid_however_late_we_are() {
        assert_eq!(next_on_grid(at(300), SECOND, at(300)), at(1300));
        assert_eq!(next_on_grid(at(300), SECOND, at(1299)), at(1300));
        assert_eq!(next_on_grid(at(300), SECOND, at(9000)), at(9300));
        assert_eq!(next_on_grid(at(300), SECOND, at(100)), at(300));
    }

    #[test]
    fn ticks_that_nobody_was_there_for_are_counted() {
        assert_eq!(ticks_between(at(300), at(1300), SECOND), 0);
        assert_eq!(ticks_between(at(300), at(9300), SECOND), 8);
    }

    #[test]
    fn suspect_checks_share_the_budget_evenly() {
        let configured = Duration::from_millis(200);
        assert_eq!(suspect_interval(configured, 2), configured);
        assert_eq!(suspect_interval(configured, 100), configured);
        assert_eq!(suspect_interval(configured, 1000), Duration::from_secs(2));
    }

    #[test]
    fn connections_are_spread_over_the_interval() {
        assert_eq!(phase(SECOND, 0, 4), Duration::ZERO);
        assert_eq!(phase(SECOND, 3, 4), Duration::from_millis(750));
    }
}

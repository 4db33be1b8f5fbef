//! systemd's watchdog: fed while nothing is stuck, and told at once of what has been stuck for too long, so that the daemon is
//! killed within one interval whatever is stuck. Not to be fed and no more would let a whole interval pass after that.

use std::time::Duration;

use crate::clock;
use crate::domain::time::Moment;
use crate::driver::{Stuck, Watchdog};
use crate::systemd;

/// How long something may be stuck where no watchdog says for how long: as much as in the unit that we ship.
const PATIENCE: Duration = Duration::from_secs(15);

/// A thread that is busy for some seconds, because flash or processor are slow, is not stuck.
const PATIENCE_MIN: Duration = Duration::from_secs(5);

/// The watchdog of this process.
pub(super) fn watchdog() -> Watchdog {
    let interval = systemd::watchdog_interval();
    let patience = patience(interval);
    let mut feeder = Feeder { interval, fed: None, told: false };
    let tell = move |stuck: Option<Stuck>| match feeder.hear(stuck, clock::now().mono) {
        Some(WatchdogCall::Feed) => systemd::watchdog(),
        Some(WatchdogCall::Trigger(stuck)) => {
            let (what, seconds) = (stuck.as_str(), patience.as_secs());
            log::error!(
                "stuck for {seconds} s: {what}; systemd's watchdog, if it is on, restarts the service"
            );
            if interval.is_some() {
                systemd::stuck();
            }
        }
        None => {}
    };
    Watchdog { patience, tell: Box::new(tell) }
}

/// The rest of the interval is for the looks, one a second, and for systemd.
fn patience(interval: Option<Duration>) -> Duration {
    interval.map_or(PATIENCE, |interval| (interval * 3 / 4).max(PATIENCE_MIN))
}

#[derive(Debug, PartialEq, Eq)]
enum WatchdogCall {
    Feed,
    Trigger(Stuck),
}

#[derive(Debug)]
struct Feeder {
    interval: Option<Duration>,
    fed: Option<Moment>,
    told: bool,
}

impl Feeder {
    fn hear(&mut self, stuck: Option<Stuck>, now: Moment) -> Option<WatchdogCall> {
        let told = std::mem::replace(&mut self.told, stuck.is_some());
        if let Some(stuck) = stuck {
            return (!told).then_some(WatchdogCall::Trigger(stuck));
        }
        let due = self.fed.is_none_or(|fed| self.interval.is_some_and(|it| now.since(fed) >= it / 4));
        (self.interval.is_some() && due).then(|| {
            self.fed = Some(now);
            WatchdogCall::Feed
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: Duration = Duration::from_secs(20);

    fn at(seconds: u64) -> Moment {
        Moment::ORIGIN + Duration::from_secs(seconds)
    }

    #[test]
    fn it_is_fed_four_times_an_interval_and_not_at_all_where_there_is_none() {
        let mut feeder = Feeder { interval: Some(SHIPPED), fed: None, told: false };
        let fed: Vec<_> =
            (0..20).filter(|second| feeder.hear(None, at(*second)) == Some(WatchdogCall::Feed)).collect();
        assert_eq!(fed, [0, 5, 10, 15]);
        let mut none = Feeder { interval: None, fed: None, told: false };
        assert!((0..20).all(|second| none.hear(None, at(second)).is_none()));
    }

    #[test]
    fn what_is_stuck_is_told_once_and_not_fed() {
        let mut feeder = Feeder { interval: Some(SHIPPED), fed: None, told: false };
        assert_eq!(feeder.hear(Some(Stuck::IoThread), at(0)), Some(WatchdogCall::Trigger(Stuck::IoThread)));
        assert_eq!(feeder.hear(Some(Stuck::IoThread), at(9)), None);
        assert_eq!(feeder.hear(None, at(10)), Some(WatchdogCall::Feed));
        assert_eq!(feeder.hear(Some(Stuck::Core), at(11)), Some(WatchdogCall::Trigger(Stuck::Core)));
    }

    #[test]
    fn whatever_is_stuck_is_told_within_the_interval_unless_that_is_too_short_to_tell() {
        for seconds in [10, 20, 30, 300].map(Duration::from_secs) {
            // Two looks may pass before the silence counts, and after it is long enough.
            assert!(patience(Some(seconds)) + Duration::from_secs(2) <= seconds, "{seconds:?}");
        }
        assert_eq!(patience(Some(Duration::from_secs(2))), PATIENCE_MIN);
        assert_eq!(patience(None), patience(Some(SHIPPED)));
    }
}

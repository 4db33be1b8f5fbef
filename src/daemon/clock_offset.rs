//! How far this host's clock is from AWS's, told to Prometheus and, if it is far, to people.

use std::time::Duration;

use crate::aws::{AwsClock, AwsConnections, ClockOffset};
use crate::clock;
use crate::domain::time::Now;
use crate::health::{Component, Health, Problem};
use crate::publish::machine::{Clock, Whose};

/// Verdicts and durations do not depend on the wall clock, but what people read does. Beyond a minute the daemon dates what
/// it tells by AWS's clock, see [`Calendar`](crate::domain::time::Calendar), and the journal's own stamps tell another story.
const LIMIT: Duration = Duration::from_secs(60);

/// The time by which CloudWatch judges our minutes, if AWS has answered. Those of a clock that was reset to the year 2000 are
/// too old by AWS's clock, though not by ours.
pub(super) fn as_cloudwatch_judges(connections: &AwsConnections) -> Clock {
    let now = clock::now();
    match connections.clock() {
        Some(aws) => Clock { now: Now { wall: aws.reads(now.mono), ..now }, whose: Whose::Aws },
        None => Clock { now, whose: Whose::Host },
    }
}

/// The time by which AWS dates its records, as far as this host's clock may be wrong by more than what is usual: a record of a
/// minute ago is told from one of an hour ago by it.
pub(super) fn as_aws_dates(connections: &AwsConnections) -> Now {
    let now = clock::now();
    let far_off = |aws: &AwsClock| aws.offset(now).exceeds(LIMIT) == Some(true);
    let wall = connections.clock().filter(far_off).map_or(now.wall, |aws| aws.reads(now.mono));
    Now { wall, ..now }
}

/// States the problem when the offset passes the limit, in the same words until it has moved by as much again.
#[derive(Debug)]
pub(super) struct OffsetReporter {
    health: Health,
    /// The offset that stands told, in milliseconds.
    told: Option<i64>,
}

impl OffsetReporter {
    pub(super) fn new(health: Health) -> Self {
        Self { health, told: None }
    }

    /// Takes in what AWS's last answer shows as of this moment.
    pub(super) fn tell(&mut self, offset: ClockOffset) {
        match offset.exceeds(LIMIT) {
            Some(true) if self.is_news(offset) => {
                self.told = Some(offset.millis);
                self.health.set(Component::Clock, Problem::clock_off(offset.millis));
            }
            Some(false) if self.told.take().is_some() => _ = self.health.clear(&Component::Clock),
            // A round trip that leaves it open changes nothing.
            Some(_) | None => {}
        }
    }

    fn is_news(&self, offset: ClockOffset) -> bool {
        let moved = |told: i64| Duration::from_millis(told.abs_diff(offset.millis));
        self.told.is_none_or(|told| moved(told) > LIMIT + offset.within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(reporter: &OffsetReporter) -> Option<String> {
        reporter.health.watch().borrow().get(&Component::Clock).map(|problem| problem.text.clone())
    }

    fn off(seconds: i64) -> ClockOffset {
        ClockOffset { millis: seconds * 1000, within: Duration::from_millis(600) }
    }

    #[test]
    fn a_clock_far_off_is_told_once_in_the_same_words_until_it_is_set() {
        let mut reporter = OffsetReporter::new(Health::default());
        reporter.tell(off(59));
        assert_eq!(told(&reporter), None);
        reporter.tell(off(-3600));
        let words = told(&reporter).unwrap();
        assert!(words.contains("3600 s behind AWS's"), "{words}");
        reporter.tell(off(-3610));
        assert_eq!(told(&reporter).unwrap(), words);
        reporter.tell(off(3600));
        assert!(told(&reporter).unwrap().contains("3600 s ahead of AWS's"));
        reporter.tell(off(0));
        assert_eq!(told(&reporter), None);
    }

    #[test]
    fn an_answer_too_slow_to_tell_neither_begins_nor_ends_it() {
        let mut reporter = OffsetReporter::new(Health::default());
        let slow = |seconds: i64| ClockOffset { millis: seconds * 1000, within: Duration::from_secs(10) };
        reporter.tell(slow(65));
        assert_eq!(told(&reporter), None);
        reporter.tell(off(65));
        reporter.tell(slow(55));
        assert!(told(&reporter).is_some());
    }
}

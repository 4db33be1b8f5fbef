//! How far our wall clock is off: AWS's clock as the Date of its answers shows it, against ours.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};

use super::timing::date_of;
use crate::clock;
use crate::domain::time::{Moment, Now, Stamp};

/// A Date has whole seconds (RFC 9110, section 5.6.7): AWS's clock read up to so much more.
const RESOLUTION: Duration = Duration::from_secs(1);

/// AWS's clock, as an answer showed it. It runs on by our monotonic clock, so that a wall clock that is set between two
/// answers shows at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AwsClock {
    at: Moment,
    reads: Stamp,
    within: Duration,
}

/// How far our wall clock is from AWS's, in milliseconds; positive is ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockOffset {
    /// The likeliest value; zero if the two may well agree.
    pub millis: i64,
    /// The true one is within so much of it.
    pub within: Duration,
}

impl AwsClock {
    /// What an answer of this Date shows, if the request left at `asked` and the answer came at `answered`. AWS may have
    /// written the Date at any time between: the middle is taken (the clock offset of RFC 5905, section 8), and the
    /// round trip is what is not known.
    fn shown(asked: Moment, answered: Moment, date: Stamp) -> Self {
        let half = answered.since(asked) / 2;
        Self { at: asked + half, reads: date + RESOLUTION / 2, within: half + RESOLUTION / 2 }
    }

    /// What AWS's clock reads at a moment, as far as it is known.
    pub fn reads(&self, at: Moment) -> Stamp {
        self.reads + at.since(self.at)
    }

    /// How far our clock is off.
    pub fn offset(&self, now: Now) -> ClockOffset {
        let millis = now.wall.as_millis() - self.reads(now.mono).as_millis();
        let may_agree = Duration::from_millis(millis.unsigned_abs()) <= self.within;
        ClockOffset { millis: if may_agree { 0 } else { millis }, within: self.within }
    }
}

impl ClockOffset {
    /// Whether it is surely further off than this, or surely not; `None` if it may be either.
    pub fn exceeds(&self, limit: Duration) -> Option<bool> {
        let off = Duration::from_millis(self.millis.unsigned_abs());
        if off > limit + self.within {
            Some(true)
        } else if off + self.within <= limit {
            Some(false)
        } else {
            None
        }
    }
}

/// Reads AWS's clock off every answer, a refusal included; goes into every client as an interceptor.
#[derive(Debug, Clone, Default)]
pub(super) struct ClockWatch(Arc<Mutex<Option<AwsClock>>>);

impl ClockWatch {
    /// As the last answer showed it.
    pub(super) fn get(&self) -> Option<AwsClock> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, clock: AwsClock) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(clock);
    }
}

/// When a request left.
#[derive(Debug, Clone, Copy)]
struct Asked(Moment);

impl Storable for Asked {
    type Storer = StoreReplace<Self>;
}

#[dyn_dispatch_hint]
impl Intercept for ClockWatch {
    fn name(&self) -> &'static str {
        "ClockWatch"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config.interceptor_state().store_put(Asked(clock::now().mono));
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // An answer with an Age is a cache's, and its Date is of another time (RFC 9111, section 5.1).
        let from_a_cache = context.response().headers().get("age").is_some();
        let date = date_of(context.response()).filter(|_| !from_a_cache);
        if let (Some(Asked(asked)), Some(date)) = (config.load::<Asked>().copied(), date) {
            self.set(AwsClock::shown(asked, clock::now().mono, date));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Moment {
        Moment::ORIGIN + SECOND * u32::try_from(seconds).unwrap()
    }

    fn wall(mono: Moment, seconds: i64) -> Now {
        Now { mono, wall: Stamp::from_secs(seconds) }
    }

    #[test]
    fn a_clock_that_is_right_is_not_off_however_long_the_answer_took() {
        for took in [0, 1, 10, 60] {
            for written in 0..=took {
                let date = Stamp::from_secs(1_000 + i64::try_from(written).unwrap());
                let clock = AwsClock::shown(at(0), at(took), date);
                let offset = clock.offset(wall(at(took), 1_000 + i64::try_from(took).unwrap()));
                assert_eq!(offset.millis, 0, "took {took} s, written after {written} s");
            }
        }
    }

    #[test]
    fn ahead_is_positive_and_behind_is_negative() {
        let clock = AwsClock::shown(at(0), at(0), Stamp::from_secs(10_000));
        assert_eq!(clock.offset(wall(at(0), 13_600)).millis, 3_599_500);
        assert_eq!(clock.offset(wall(at(0), 6_400)).millis, -3_600_500);
    }

    #[test]
    fn a_clock_that_is_set_between_two_answers_shows_at_once() {
        let clock = AwsClock::shown(at(0), at(0), Stamp::from_secs(10_000));
        assert_eq!(clock.offset(wall(at(500), 10_500)).millis, 0);
        assert_eq!(clock.offset(wall(at(501), 14_101)).millis, 3_599_500);
    }

    #[test]
    fn what_the_round_trip_leaves_open_is_neither_over_the_limit_nor_below() {
        let limit = Duration::from_secs(60);
        let off = |millis, within| ClockOffset { millis, within: SECOND * within }.exceeds(limit);
        assert_eq!((off(62_000, 1), off(-62_000, 1)), (Some(true), Some(true)));
        assert_eq!((off(59_000, 1), off(0, 50)), (Some(false), Some(false)));
        assert_eq!((off(61_000, 1), off(62_000, 10), off(59_500, 1)), (None, None, None));
    }
}

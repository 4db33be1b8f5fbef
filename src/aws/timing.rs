//! Times in AWS's answers: when the request left, the time in its signature, and the answer's Date; and how far our wall clock is
//! off.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use aws_smithy_types::date_time::Format;

use crate::clock;
use crate::domain::time::{Moment, Now, Stamp};

/// A signature is refused when the clocks are more than 5 min apart (SigV4, "Elements of an AWS API request signature"); the SDK
/// attributes a refusal to clocks from 4 min on.
const SKEW_THAT_COUNTS: Duration = Duration::from_secs(4 * 60);

/// The times of one call and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exchange {
    /// When the request left.
    pub(super) asked: Moment,
    /// The time in its signature: our wall clock's, corrected by the SDK by the previous answer.
    pub(super) signed: Option<Stamp>,
    /// The answer's Date header.
    pub(super) date: Option<Stamp>,
}

impl Exchange {
    /// AWS's clock at `at`, by this exchange.
    pub(super) fn aws_time(&self, at: Moment) -> Option<Stamp> {
        self.date.map(|date| date + at.since(self.asked))
    }

    /// Whether it was signed with a wrong time. Our clock may agree with AWS's nevertheless: it may have been set right since the
    /// answer by which the SDK corrected it.
    pub(super) fn skewed(&self) -> bool {
        let both = self.date.zip(self.signed);
        both.is_some_and(|(date, signed)| date.since(signed).max(signed.since(date)) > SKEW_THAT_COUNTS)
    }
}

/// The Date header of an answer.
pub(super) fn date_of(response: &HttpResponse) -> Option<Stamp> {
    response.headers().get("date").and_then(parse_date)
}

fn parse_date(header: &str) -> Option<Stamp> {
    parse(header, Format::HttpDate)
}

/// A time in the form of Signature Version 4, such as `20261122T100000Z`.
pub(super) fn parse_basic(header: &str) -> Option<Stamp> {
    let part = |range| header.get(range);
    let (year, month, day) = (part(0..4)?, part(4..6)?, part(6..8)?);
    let (hour, minute, second) = (part(9..11)?, part(11..13)?, part(13..15)?);
    parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"), Format::DateTime)
}

fn parse(text: &str, format: Format) -> Option<Stamp> {
    DateTime::from_str(text, format).ok()?.to_millis().ok().map(Stamp::from_millis)
}

/// A Date has whole seconds (RFC 9110, section 5.6.7): AWS's clock may have been ahead of it by up to this.
const RESOLUTION: Duration = Duration::from_secs(1);

/// AWS's clock, by one answer. It advances by our monotonic clock: a wall clock that is set between two answers shows at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AwsClock {
    at: Moment,
    reads: Stamp,
    within: Duration,
}

/// The offset of our wall clock from AWS's, in milliseconds; positive is ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockOffset {
    /// The most likely value; zero if the two may well agree.
    pub millis: i64,
    /// The true value is within this of it.
    pub within: Duration,
}

impl AwsClock {
    /// The clock by an answer with this Date, for a request that left at `asked` and an answer that arrived at `answered`. AWS
    /// may have written the Date at any time between: the middle is used (the clock offset of RFC 5905, section 8), and the round
    /// trip is the uncertainty.
    fn shown(asked: Moment, answered: Moment, date: Stamp) -> Self {
        let half = answered.since(asked) / 2;
        Self { at: asked + half, reads: date + RESOLUTION / 2, within: half + RESOLUTION / 2 }
    }

    /// AWS's clock at a moment, as far as known.
    pub fn reads(&self, at: Moment) -> Stamp {
        self.reads + at.since(self.at)
    }

    /// The offset of our clock.
    pub fn offset(&self, now: Now) -> ClockOffset {
        let millis = now.wall.as_millis() - self.reads(now.mono).as_millis();
        let may_agree = Duration::from_millis(millis.unsigned_abs()) <= self.within;
        ClockOffset { millis: if may_agree { 0 } else { millis }, within: self.within }
    }
}

impl ClockOffset {
    /// Whether the offset is surely larger than this, or surely not; `None` if either is possible.
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

/// Reads AWS's clock from every answer, refusals included; an interceptor of every client.
#[derive(Debug, Clone, Default)]
pub(super) struct ClockWatch(Arc<Mutex<Option<AwsClock>>>);

impl ClockWatch {
    /// By the last answer.
    pub(super) fn get(&self) -> Option<AwsClock> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, clock: AwsClock) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(clock);
    }
}

/// When a request left.
#[derive(Debug, Clone, Copy)]
struct AskedAt(Moment);

impl Storable for AskedAt {
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
        config.interceptor_state().store_put(AskedAt(clock::now().mono));
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // An answer with an Age is from a cache, and its Date is old (RFC 9111, section 5.1).
        let from_a_cache = context.response().headers().get("age").is_some();
        let date = date_of(context.response()).filter(|_| !from_a_cache);
        if let (Some(AskedAt(asked)), Some(date)) = (config.load::<AskedAt>().copied(), date) {
            self.set(AwsClock::shown(asked, clock::now().mono, date));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_header_is_parsed() {
        assert_eq!(parse_date("Sun, 22 Nov 2026 10:00:00 GMT"), Some(Stamp::from_secs(1_795_341_600)));
        assert_eq!(parse_date("yesterday"), None);
    }

    #[test]
    fn the_time_of_a_signature_is_parsed() {
        assert_eq!(parse_basic("20261122T100000Z"), Some(Stamp::from_secs(1_795_341_600)));
        assert_eq!(parse_basic("20261122"), None);
    }

    #[test]
    fn aws_time_advances_from_the_date_by_our_monotonic_clock() {
        let asked = Moment::from_nanos(5_000_000_000);
        let exchange = Exchange { asked, signed: None, date: Some(Stamp::from_secs(1_000)) };
        assert_eq!(exchange.aws_time(asked + Duration::from_secs(7)), Some(Stamp::from_secs(1_007)));
    }

    #[test]
    fn a_signature_counts_as_of_a_wrong_time_from_four_minutes_on_to_either_side() {
        for (signed, theirs, wrong) in [(0, 239, false), (0, 241, true), (241, 0, true), (239, 0, false)] {
            let exchange = Exchange {
                asked: Moment::ORIGIN,
                signed: Some(Stamp::from_secs(signed)),
                date: Some(Stamp::from_secs(theirs)),
            };
            assert_eq!(exchange.skewed(), wrong, "signed {signed} s, theirs {theirs} s");
        }
    }

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
    fn an_offset_within_the_round_trip_is_neither_over_nor_under_the_limit() {
        let limit = Duration::from_secs(60);
        let off = |millis, within| ClockOffset { millis, within: SECOND * within }.exceeds(limit);
        assert_eq!((off(62_000, 1), off(-62_000, 1)), (Some(true), Some(true)));
        assert_eq!((off(59_000, 1), off(0, 50)), (Some(false), Some(false)));
        assert_eq!((off(61_000, 1), off(62_000, 10), off(59_500, 1)), (None, None, None));
    }
}

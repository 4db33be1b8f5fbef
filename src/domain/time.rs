//! The two clocks, as values: a monotonic one for durations and a wall clock for stamps; and which date counts where the host's
//! and AWS's differ.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on the monotonic clock, in nanoseconds since an arbitrary origin near the daemon's start.
///
/// It may lie before the origin: evidence that AWS gathered before the daemon started has such a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(i64);

impl Moment {
    /// The origin.
    pub const ORIGIN: Self = Self(0);

    /// A moment `nanos` nanoseconds after the origin (before it, if negative).
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// How long ago `earlier` was, or zero if it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(rhs.as_nanos()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Moment {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(rhs.as_nanos()).unwrap_or(i64::MAX)))
    }
}

/// A point on a wall clock (ours or AWS's), in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stamp(i64);

impl Stamp {
    /// A stamp from milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// A stamp from whole seconds since the Unix epoch.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// How much later than `earlier` this is, or zero if it is not later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The start of the minute that this stamp lies in.
    pub const fn minute(self) -> Self {
        Self(self.0.div_euclid(60_000) * 60_000)
    }
}

impl Add<Duration> for Stamp {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(rhs.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Stamp {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(rhs.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// Both clocks, read together. Durations are decided by `mono`; `wall` is for display.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Now {
    /// The monotonic clock.
    pub mono: Moment,
    /// The wall clock.
    pub wall: Stamp,
}

impl Now {
    /// Both clocks moved on by `by`.
    pub fn after(self, by: Duration) -> Self {
        Self { mono: self.mono + by, wall: self.wall + by }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} s", self.0 as f64 / 1e9)
    }
}

/// Clocks that are kept differ by less. If the host's clock is further off than this, AWS's date counts …
const FAR: Duration = Duration::from_secs(60);
/// … until the host's is nearer than this: a clock that is a minute off must not alternate with AWS's.
const NEAR: Duration = Duration::from_secs(30);
/// AWS wrote its Date at some time between question and answer; an answer slower than this does not show the time.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(10);
/// The Date header has whole seconds (RFC 9110 section 5.6.7).
const WHOLE: Duration = Duration::from_secs(1);

/// Which date counts. The host's wall clock may jump (NTP at boot, set by hand, a dead battery that says 2000); AWS's does not,
/// and our stamps are read beside AWS's. So where the two are far apart AWS's date counts, carried on by the monotonic clock.
#[derive(Debug, Default)]
pub struct Calendar {
    heard: Option<(Moment, Stamp)>,
    /// Whether AWS's clock counts instead of the host's.
    by_aws: bool,
}

impl Calendar {
    /// AWS's clock read `date` at some time between `asked` and `answered`.
    pub fn heard(&mut self, asked: Moment, answered: Moment, date: Stamp) {
        let round_trip = answered.since(asked);
        if round_trip > ROUND_TRIP_MAX {
            return;
        }
        // A known offset is kept while it may be right: each answer is inexact in its own way.
        let fits = self.at_aws(answered).is_some_and(|known| apart(known, date) <= round_trip + WHOLE);
        if !fits {
            self.heard = Some((answered, date));
        }
    }

    /// Decides which clock counts from here on.
    pub fn judge(&mut self, now: Now) {
        let limit = if self.by_aws { NEAR } else { FAR };
        self.by_aws = self.at_aws(now.mono).is_some_and(|at_aws| apart(at_aws, now.wall) > limit);
    }

    /// Whether AWS's clock is known. Before that the date is the host's word alone.
    pub const fn has_heard(&self) -> bool {
        self.heard.is_some()
    }

    /// The moment with the date that counts.
    pub fn date(&self, now: Now) -> Now {
        match self.at_aws(now.mono).filter(|_| self.by_aws) {
            Some(wall) => Now { wall, ..now },
            None => now,
        }
    }

    fn at_aws(&self, now: Moment) -> Option<Stamp> {
        self.heard.map(|(heard, date)| date + now.since(heard))
    }
}

/// What the date should have been at `now` after `before`, if it has jumped in between.
pub fn jumped(before: Now, now: Now) -> Option<Stamp> {
    let expected = before.after(now.mono.since(before.mono)).wall;
    (apart(expected, now.wall) > NEAR).then_some(expected)
}

fn apart(a: Stamp, b: Stamp) -> Duration {
    a.since(b).max(b.since(a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_between_moments_is_never_negative() {
        let early = Moment::from_nanos(-5);
        let late = Moment::from_nanos(10);
        assert_eq!(late.since(early), Duration::from_nanos(15));
        assert_eq!(early.since(late), Duration::ZERO);
    }

    #[test]
    fn the_minute_of_a_stamp_before_the_epoch_lies_before_it() {
        assert_eq!(Stamp::from_millis(-1).minute(), Stamp::from_millis(-60_000));
        assert_eq!(Stamp::from_millis(119_999).minute(), Stamp::from_millis(60_000));
    }

    const AWS: i64 = 1_800_000_000;

    fn now(mono: i64, wall: i64) -> Now {
        Now { mono: Moment::from_nanos(mono * 1_000_000_000), wall: Stamp::from_secs(wall) }
    }

    fn heard(mono: i64) -> Calendar {
        let mut calendar = Calendar::default();
        calendar.heard(now(mono, 0).mono, now(mono, 0).mono, Stamp::from_secs(AWS));
        calendar
    }

    fn dated(calendar: &mut Calendar, now: Now) -> Now {
        calendar.judge(now);
        calendar.date(now)
    }

    #[test]
    fn before_aws_is_heard_there_is_nothing_better_than_the_hosts_clock() {
        assert_eq!(dated(&mut Calendar::default(), now(5, 946_684_800)), now(5, 946_684_800));
    }

    #[test]
    fn a_clock_that_is_far_from_awss_gives_way_to_it_and_one_that_is_near_does_not() {
        for wall in [946_684_800, AWS + 3_690, AWS - 3_510] {
            assert_eq!(dated(&mut heard(10), now(100, wall)), now(100, AWS + 90));
        }
        for wall in [AWS + 90, AWS + 149, AWS + 31] {
            assert_eq!(dated(&mut heard(10), now(100, wall)), now(100, wall));
        }
    }

    #[test]
    fn a_clock_that_is_a_minute_off_does_not_take_turns_with_awss() {
        let mut calendar = heard(0);
        let mut whose = Vec::new();
        for minute in 0..60 {
            let mono = minute * 60;
            let at = |secs: i64| now(mono + secs, 0).mono;
            // The answer's Date is cut to whole seconds, and as old as its way was long.
            calendar.heard(at(0), at(minute % 3), Stamp::from_secs(AWS + mono + minute % 2));
            let off = 60 + (minute % 3 - 1) * 2;
            whose.push(
                dated(&mut calendar, now(mono + 5, AWS + mono + 5 + off)).wall
                    == Stamp::from_secs(AWS + mono + 5),
            );
        }
        let turns = whose.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(turns <= 1, "{whose:?}");
    }

    #[test]
    fn a_slow_answer_does_not_show_the_time() {
        let mut calendar = Calendar::default();
        calendar.heard(now(0, 0).mono, now(65, 0).mono, Stamp::from_secs(AWS + 65));
        assert_eq!(dated(&mut calendar, now(65, AWS)), now(65, AWS));
    }
}

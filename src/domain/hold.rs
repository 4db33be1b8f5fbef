//! For how long a condition has held, by its share of the time.
//!
//! The held time grows while the condition holds, and runs back at the same pace while it does not. While it cannot be said, it
//! stands still. So a line that flaps is judged by what it is for most of the time, and not by its last good moment:
//!
//! - A condition that never holds never has held, and one that holds once for less than what is needed has not either.
//! - Where each time that it holds is shorter than what is needed, and followed by at least as long a time in which it does not,
//!   it never has held.
//! - Where it holds for `on` and does not for `off` in turn, and `on` is longer, it has held by the end of round
//!   `1 + (needed - on) / (on - off)`, rounded up.

use std::time::Duration;

use super::condition::Truth;
use super::time::Moment;

/// For how long a condition has held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hold {
    held: Duration,
    /// Since when the held time grows, or runs back.
    moving: Option<(Way, Moment)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Back,
}

impl Hold {
    /// The condition is so from `now` on. What is `needed` is the most that counts: a long time before is not paid back for
    /// longer.
    pub fn observe(&mut self, truth: Truth, needed: Duration, now: Moment) {
        if let Some((way, since)) = self.moving.take() {
            let passed = now.since(since);
            self.held = match way {
                Way::Up => (self.held + passed).min(needed),
                Way::Back => self.held.saturating_sub(passed),
            };
        }
        self.moving = match truth {
            Truth::True => Some((Way::Up, now)),
            Truth::False if self.held > Duration::ZERO => Some((Way::Back, now)),
            Truth::False | Truth::Unknown => None,
        };
    }

    /// Nobody looked for so long: that time does not count.
    pub fn held_up(&mut self, gap: Duration) {
        self.moving = self.moving.map(|(way, since)| (way, since + gap));
    }

    /// Whether it holds, and has for long enough.
    pub fn has_held(&self, needed: Duration) -> bool {
        matches!(self.moving, Some((Way::Up, _))) && self.held >= needed
    }

    /// Whether nothing is left of it.
    pub fn is_spent(&self) -> bool {
        self.moving.is_none() && self.held == Duration::ZERO
    }

    /// When it has held for long enough, if it goes on.
    pub fn held_at(&self, needed: Duration) -> Option<Moment> {
        match self.moving {
            Some((Way::Up, since)) => Some(since + needed.saturating_sub(self.held)),
            Some((Way::Back, _)) | None => None,
        }
    }

    /// When nothing is left of it, if it goes on.
    pub fn spent_at(&self) -> Option<Moment> {
        match self.moving {
            Some((Way::Back, since)) => Some(since + self.held),
            Some((Way::Up, _)) | None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Plays times, each with what the condition is in it; whether it has held at the end of any.
    fn played(times: impl IntoIterator<Item = (Truth, u64)>, needed: u64) -> Option<u64> {
        let needed = Duration::from_secs(needed);
        let (mut hold, mut at) = (Hold::default(), 0_u64);
        let moment = |at: u64| Moment::ORIGIN + Duration::from_secs(at);
        for (truth, long) in times {
            hold.observe(truth, needed, moment(at));
            if let Some(held_at) = hold.held_at(needed).filter(|held_at| *held_at <= moment(at + long)) {
                hold.observe(truth, needed, held_at);
                assert!(hold.has_held(needed));
                return Some(held_at.since(Moment::ORIGIN).as_secs());
            }
            at += long;
        }
        None
    }

    fn rounds(on: u64, off: u64, count: usize) -> impl Iterator<Item = (Truth, u64)> {
        std::iter::repeat_n([(Truth::True, on), (Truth::False, off)], count).flatten()
    }

    #[test]
    fn a_line_that_is_down_for_110_of_120_seconds_has_held_within_two_rounds() {
        assert_eq!(played(rounds(110, 10, 3), 120), Some(140));
        assert_eq!(played(rounds(10, 110, 100), 120), None);
    }

    #[test]
    fn not_knowing_stands_still_and_nothing_is_left_after_as_long_without_it() {
        let needed = Duration::from_secs(30);
        let at = |secs: u64| Moment::ORIGIN + Duration::from_secs(secs);
        let mut hold = Hold::default();
        hold.observe(Truth::True, needed, at(0));
        hold.observe(Truth::Unknown, needed, at(20));
        hold.observe(Truth::False, needed, at(1000));
        assert_eq!((hold.spent_at(), hold.held_at(needed)), (Some(at(1020)), None));
        hold.observe(Truth::False, needed, at(1020));
        assert!(hold.is_spent());
        assert_eq!(hold.spent_at(), None, "it would be looked at for ever");
    }

    #[test]
    fn more_than_what_is_needed_is_not_kept() {
        let needed = Duration::from_secs(30);
        let at = |secs: u64| Moment::ORIGIN + Duration::from_secs(secs);
        let mut hold = Hold::default();
        hold.observe(Truth::True, needed, at(0));
        hold.observe(Truth::False, needed, at(3600));
        assert_eq!(hold.spent_at(), Some(at(3630)));
    }

    fn truth() -> impl Strategy<Value = Truth> {
        prop_oneof![Just(Truth::True), Just(Truth::False), Just(Truth::Unknown)]
    }

    proptest! {
        #[test]
        fn what_never_holds_never_has_held(
            times in prop::collection::vec((prop_oneof![Just(Truth::False), Just(Truth::Unknown)], 0..1000_u64), 0..40),
        ) {
            prop_assert_eq!(played(times, 30), None);
        }

        #[test]
        fn a_blip_that_is_shorter_than_needed_has_not_held(
            before in prop::collection::vec((prop_oneof![Just(Truth::False), Just(Truth::Unknown)], 0..1000_u64), 0..10),
            blip in 0..30_u64,
            after in prop::collection::vec((prop_oneof![Just(Truth::False), Just(Truth::Unknown)], 0..1000_u64), 0..10),
        ) {
            let times = before.into_iter().chain([(Truth::True, blip)]).chain(after);
            prop_assert_eq!(played(times, 30), None);
        }

        #[test]
        fn blips_that_are_each_followed_by_as_long_a_time_without_have_not_held(
            blips in prop::collection::vec((0..30_u64, 0..30_u64), 0..60),
        ) {
            let times = blips.into_iter().flat_map(|(on, more)| [(Truth::True, on), (Truth::False, on + more)]);
            prop_assert_eq!(played(times, 30), None);
        }

        #[test]
        fn what_holds_for_most_of_the_time_has_held_within_the_stated_bound(
            on in 2..200_u64, shorter in 1..200_u64, needed in 1..1000_u64,
        ) {
            let off = on.saturating_sub(shorter);
            let rounds_needed = 1 + needed.saturating_sub(on).div_ceil(on - off);
            let at = played(rounds(on, off, 2000), needed);
            prop_assert!(at.is_some_and(|at| at <= rounds_needed * (on + off)), "{:?}", at);
        }

        #[test]
        fn what_holds_without_a_break_has_held_when_needed_and_not_before(needed in 1..1000_u64) {
            prop_assert_eq!(played([(Truth::True, needed)], needed), Some(needed));
            prop_assert_eq!(played([(Truth::True, needed - 1)], needed), None);
        }

        #[test]
        fn it_never_has_held_for_longer_than_the_condition_was_true(
            times in prop::collection::vec((truth(), 0..100_u64), 0..40), needed in 1..200_u64,
        ) {
            let was_true: u64 = times.iter().filter(|(truth, _)| *truth == Truth::True).map(|(_, long)| long).sum();
            prop_assert!(played(times, needed).is_none() || was_true >= needed);
        }
    }
}

//! How long to wait after a failure.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use crate::domain::time::Moment;

const FIRST: Duration = Duration::from_secs(1);
/// Even if the other side asks for longer: a path that works again is used again within a minute.
const LONGEST: Duration = Duration::from_secs(60);

/// Doubling waits with jitter: each is drawn from the upper half of its step, so that many daemons that failed together
/// do not come back together.
#[derive(Debug, Clone)]
pub struct Backoff {
    step: Duration,
    random: u64,
    until: Option<Moment>,
}

impl Backoff {
    /// Equal seeds give equal waits.
    pub fn new(seed: u64) -> Self {
        // Neighbouring seeds are spread by the golden ratio; xorshift never leaves zero.
        Self { step: FIRST, random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1, until: None }
    }

    /// Unpredictable waits.
    pub fn random() -> Self {
        Self::new(RandomState::new().build_hasher().finish())
    }

    /// Whether the wait is over, if there is one.
    pub fn ready(&self, now: Moment) -> bool {
        self.until.is_none_or(|until| now >= until)
    }

    /// Whether the last attempt failed.
    pub const fn is_waiting(&self) -> bool {
        self.until.is_some()
    }

    /// Counts a further failure and returns when to try again: after half a step to a step; the next step is twice as long.
    /// `retry_after` is the wait that the other side asked for.
    pub fn failed(&mut self, now: Moment, retry_after: Option<Duration>) -> Moment {
        let half = self.step / 2;
        self.step = (self.step * 2).min(LONGEST);
        let wait = half + self.draw(half);
        let until = now + retry_after.map_or(wait, |asked| asked.min(LONGEST).max(wait));
        self.until = Some(until);
        until
    }

    /// Counts a success: the wait is over, and the next one starts at the first step.
    pub fn succeeded(&mut self) {
        self.step = FIRST;
        self.until = None;
    }

    /// A duration from zero to `below`.
    pub fn draw(&mut self, below: Duration) -> Duration {
        // Marsaglia, "Xorshift RNGs" (2003).
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let share = (self.random >> 40) as f64 / f64::from(1_u32 << 24);
        below.mul_f64(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The wait after a further failure.
    fn failed(backoff: &mut Backoff) -> Duration {
        backoff.failed(Moment::ORIGIN, None).since(Moment::ORIGIN)
    }

    #[test]
    fn waits_double_up_to_a_minute_and_start_over_after_success() {
        let mut backoff = Backoff::new(7);
        for step in [1, 2, 4, 8, 16, 32, 60, 60] {
            let wait = failed(&mut backoff);
            let step = Duration::from_secs(step);
            assert!(wait >= step / 2 && wait <= step, "{wait:?} is not in the upper half of {step:?}");
        }
        backoff.succeeded();
        assert!(failed(&mut backoff) <= FIRST);
    }

    #[test]
    fn different_seeds_wait_differently() {
        assert_ne!(failed(&mut Backoff::new(2)), failed(&mut Backoff::new(4)));
    }

    #[test]
    fn the_wait_doubles_from_one_second_to_a_minute_less_a_random_half() {
        for seed in 0..50 {
            let mut backoff = Backoff::new(seed);
            for whole in [1, 2, 4, 8, 16, 32, 60, 60, 60].map(Duration::from_secs) {
                let wait = failed(&mut backoff);
                assert!(wait <= whole && wait >= whole / 2);
            }
        }
    }

    #[test]
    fn daemons_that_fail_together_do_not_come_back_together() {
        let waits: std::collections::BTreeSet<Duration> = (0..60)
            .map(|seed| {
                let mut backoff = Backoff::new(seed * 0x9e37_79b9);
                failed(&mut backoff);
                failed(&mut backoff)
            })
            .collect();
        assert!(waits.len() > 25, "only {} different waits", waits.len());
    }

    #[test]
    fn a_success_lets_the_next_question_through_at_once() {
        let mut backoff = Backoff::new(7);
        backoff.failed(Moment::ORIGIN, None);
        assert!(!backoff.ready(Moment::ORIGIN));
        backoff.succeeded();
        assert!(backoff.ready(Moment::ORIGIN));
    }

    #[test]
    fn the_other_side_may_ask_for_a_longer_wait_but_not_for_ever() {
        let mut backoff = Backoff::new(7);
        let until = backoff.failed(Moment::ORIGIN, Some(Duration::from_secs(3600)));
        assert_eq!(until, Moment::ORIGIN + LONGEST);
    }
}

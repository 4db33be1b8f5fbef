//! How long to leave AWS alone after a failure.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use crate::backoff;
use crate::domain::time::Moment;

/// Whatever AWS says, a path that is back is used again within a minute.
const LONGEST: Duration = Duration::from_secs(60);

/// A [`backoff::Backoff`] that knows until when, and what AWS itself asked for.
#[derive(Debug)]
pub(super) struct Backoff {
    steps: backoff::Backoff,
    until: Option<Moment>,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self::seeded(RandomState::new().build_hasher().finish())
    }

    fn seeded(seed: u64) -> Self {
        Self { steps: backoff::Backoff::new(seed), until: None }
    }

    /// Whether AWS may be asked.
    pub(super) fn ready(&self, now: Moment) -> bool {
        self.until.is_none_or(|until| now >= until)
    }

    /// Notes a failure; `retry_after` is AWS's own word on when to come back.
    pub(super) fn failed(&mut self, now: Moment, retry_after: Option<Duration>) {
        let wait = self.steps.failed();
        self.until = Some(now + retry_after.map_or(wait, |asked| asked.min(LONGEST).max(wait)));
    }

    /// Notes a success.
    pub(super) fn succeeded(&mut self) {
        self.steps.succeeded();
        self.until = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(backoff: &Backoff, now: Moment) -> Duration {
        backoff.until.map_or(Duration::ZERO, |until| until.since(now))
    }

    #[test]
    fn the_wait_doubles_from_one_second_to_a_minute_less_a_random_half() {
        let now = Moment::ORIGIN;
        for seed in 0..50 {
            let mut backoff = Backoff::seeded(seed);
            for whole in [1, 2, 4, 8, 16, 32, 60, 60, 60].map(Duration::from_secs) {
                backoff.failed(now, None);
                assert!(wait(&backoff, now) <= whole && wait(&backoff, now) >= whole / 2);
            }
        }
    }

    #[test]
    fn daemons_that_fail_together_do_not_come_back_together() {
        let waits: std::collections::BTreeSet<Duration> = (0..60)
            .map(|seed| {
                let mut backoff = Backoff::seeded(seed * 0x9e37_79b9);
                backoff.failed(Moment::ORIGIN, None);
                backoff.failed(Moment::ORIGIN, None);
                wait(&backoff, Moment::ORIGIN)
            })
            .collect();
        assert!(waits.len() > 25, "only {} different waits", waits.len());
    }

    #[test]
    fn a_success_lets_the_next_question_through_at_once() {
        let mut backoff = Backoff::seeded(7);
        backoff.failed(Moment::ORIGIN, None);
        assert!(!backoff.ready(Moment::ORIGIN));
        backoff.succeeded();
        assert!(backoff.ready(Moment::ORIGIN));
    }

    #[test]
    fn aws_may_ask_for_a_longer_wait_but_not_for_ever() {
        let mut backoff = Backoff::seeded(7);
        backoff.failed(Moment::ORIGIN, Some(Duration::from_secs(3600)));
        assert_eq!(wait(&backoff, Moment::ORIGIN), LONGEST);
    }
}

//! When to try again.

use std::time::Duration;

use crate::domain::time::Moment;

use super::action::Failure;
use super::sink::SinkError;
use super::token;

/// The first wait; it doubles with each failure in a row.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait after a temporary failure: an outage of the sink should not outlive itself by more.
const LONGEST: Duration = Duration::from_secs(60);
/// Between tries of what a person must mend first.
const REJECTED: Duration = Duration::from_secs(300);
/// A sink's own word on when to come back is taken up to here: a garbled one must not silence the pager.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);
/// Failures in a row after which people should hear of it: about half a minute.
const LASTING: u32 = 5;

/// One thing that is tried until it works.
#[derive(Debug, Default)]
pub(super) struct Hold {
    failures: u32,
    until: Option<Moment>,
    rejected: bool,
    what: String,
}

impl Hold {
    /// When it may be tried again, if that is later than `now`.
    pub(super) fn until(&self, now: Moment) -> Option<Moment> {
        self.until.filter(|until| *until > now)
    }

    /// Whether the sink has refused it for good, until a person acts.
    pub(super) const fn is_rejected(&self) -> bool {
        self.rejected
    }

    /// What people should hear of it: nothing until it is refused or has failed for a while.
    pub(super) fn complaint(&self) -> Option<&str> {
        (self.rejected || self.failures >= LASTING).then_some(self.what.as_str())
    }

    /// Something else is to be tried at once. The refusal stands until that has been taken.
    pub(super) const fn let_go(&mut self) {
        if self.rejected {
            self.until = None;
        }
    }

    /// It worked.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// It failed.
    pub(super) fn failed(&mut self, now: Moment, failure: &Failure, seed: &[&str]) {
        let what = failure.to_string();
        match failure {
            Failure::Sink(SinkError::Temporary { retry_after, .. }) => {
                self.temporary(now, what, *retry_after, seed)
            }
            Failure::Sink(SinkError::Rejected { .. }) => self.rejected(now, what),
            Failure::Sink(SinkError::TokenKnown | SinkError::NotFound) | Failure::Ledger(_) => {
                self.temporary(now, what, None, seed);
            }
        }
    }

    /// It is tried again after `longest` at the latest.
    pub(super) fn at_most(&mut self, now: Moment, longest: Duration) {
        self.until = self.until.map(|until| until.min(now + longest));
    }

    fn temporary(&mut self, now: Moment, what: String, retry_after: Option<Duration>, seed: &[&str]) {
        self.failures = self.failures.saturating_add(1);
        self.rejected = false;
        self.what = what;
        let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        self.until = Some(now + wait(self.failures, seed).max(asked));
    }

    fn rejected(&mut self, now: Moment, what: String) {
        self.failures = self.failures.saturating_add(1);
        self.rejected = true;
        self.what = what;
        self.until = Some(now + REJECTED);
    }
}

/// The wait after the `failures`th failure in a row: doubling, and jittered downwards by up to a half, so that many
/// connections, or twins, do not come back in step. The jitter is a hash, so that a simulation can be replayed.
pub(super) fn wait(failures: u32, seed: &[&str]) -> Duration {
    let full = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST);
    let count = failures.to_string();
    let seed: Vec<&str> = seed.iter().copied().chain([count.as_str()]).collect();
    full.mul_f64(0.5 + 0.5 * f64::from(token::spread(&seed)) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_a_second_to_a_minute_and_are_jittered() {
        for (failures, most) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60), (u32::MAX, 60)] {
            let most = Duration::from_secs(most);
            let wait = wait(failures, &["milan-1"]);
            assert!(wait <= most && wait >= most / 2, "{failures}: {wait:?}");
        }
        assert_ne!(wait(3, &["milan-1"]), wait(3, &["milan-2"]));
    }

    fn temporary(retry_after: Option<u64>) -> Failure {
        let retry_after = retry_after.map(Duration::from_secs);
        Failure::Sink(SinkError::Temporary { what: "busy".into(), retry_after, source: None })
    }

    #[test]
    fn the_sinks_own_word_is_honoured_but_not_for_ever() {
        let mut hold = Hold::default();
        hold.failed(Moment::ORIGIN, &temporary(Some(30)), &[]);
        assert_eq!(hold.until(Moment::ORIGIN), Some(Moment::ORIGIN + Duration::from_secs(30)));
        hold.failed(Moment::ORIGIN, &temporary(Some(1_000_000)), &[]);
        assert_eq!(hold.until(Moment::ORIGIN), Some(Moment::ORIGIN + Duration::from_secs(600)));
    }

    #[test]
    fn a_wait_can_be_cut_short_and_not_made_longer() {
        let mut hold = Hold::default();
        let until = |hold: &Hold| hold.until(Moment::ORIGIN).unwrap().since(Moment::ORIGIN).as_secs();
        hold.failed(Moment::ORIGIN, &temporary(Some(600)), &[]);
        hold.at_most(Moment::ORIGIN, Duration::from_secs(60));
        assert_eq!(until(&hold), 60);
        hold.at_most(Moment::ORIGIN, Duration::from_secs(90));
        assert_eq!(until(&hold), 60);
    }

    #[test]
    fn what_was_refused_is_tried_again_every_five_minutes() {
        let mut hold = Hold::default();
        let refused = Failure::Sink(SinkError::Rejected { what: "denied".into(), source: None });
        hold.failed(Moment::ORIGIN, &refused, &[]);
        hold.failed(Moment::ORIGIN, &refused, &[]);
        assert_eq!(hold.until(Moment::ORIGIN), Some(Moment::ORIGIN + Duration::from_secs(300)));
        assert_eq!(hold.complaint(), Some("denied"));
    }

    #[test]
    fn a_refusal_lets_go_and_stands_but_the_sinks_own_word_holds() {
        let mut hold = Hold::default();
        hold.failed(
            Moment::ORIGIN,
            &Failure::Sink(SinkError::Rejected { what: "denied".into(), source: None }),
            &[],
        );
        hold.let_go();
        assert_eq!((hold.until(Moment::ORIGIN), hold.complaint()), (None, Some("denied")));
        hold.failed(Moment::ORIGIN, &temporary(Some(30)), &[]);
        hold.let_go();
        assert_eq!(hold.until(Moment::ORIGIN), Some(Moment::ORIGIN + Duration::from_secs(30)));
    }

    #[test]
    fn people_hear_of_a_temporary_failure_when_it_lasts() {
        let mut hold = Hold::default();
        for _ in 1..LASTING {
            hold.failed(Moment::ORIGIN, &temporary(None), &[]);
            assert_eq!(hold.complaint(), None);
        }
        hold.failed(Moment::ORIGIN, &temporary(None), &[]);
        assert_eq!(hold.complaint(), Some("busy"));
        hold.clear();
        assert_eq!((hold.complaint(), hold.until(Moment::ORIGIN)), (None, None));
    }
}

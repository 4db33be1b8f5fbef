//! When to try again.

use std::time::Duration;

use crate::domain::time::Moment;

use super::action::{ActionFailure, Priority};
use super::sink::SinkError;
use super::token;

/// The first wait; it doubles with each failure in a row.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait of what a page needs, whatever the sink has answered: expired credentials are renewed, a permission is
/// given, a response plan is created at any moment, and nobody has been paged until then.
const LONGEST_OF_PAGE: Duration = Duration::from_secs(30);
/// The longest wait of anything else after a temporary failure: an outage of the sink should not outlive itself by more.
const LONGEST: Duration = Duration::from_secs(60);
/// Between tries of what a person must mend first, if no page needs it.
const REJECTED: Duration = Duration::from_secs(300);
/// A sink's own word on when to come back is taken up to here, if no page needs it.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);
/// Failures in a row after which people should hear of it: about half a minute.
const LASTING: u32 = 5;

/// One thing that is tried until it works.
#[derive(Debug, Default)]
pub(super) struct Retry {
    failures: u32,
    /// When the last failure lets a page try again …
    page: Option<Moment>,
    /// … and when anything else.
    quiet: Option<Moment>,
    rejected: bool,
    what: String,
}

impl Retry {
    /// When it may be tried again, if that is later than `now`.
    pub(super) fn until(&self, now: Moment, priority: Priority) -> Option<Moment> {
        let until = match priority {
            Priority::Page => self.page,
            Priority::Quiet => self.quiet,
        };
        until.filter(|until| *until > now)
    }

    /// Whether the sink has rejected it, until a person acts.
    pub(super) const fn is_rejected(&self) -> bool {
        self.rejected
    }

    /// What people should hear of it: nothing until it is rejected or has failed for a while.
    pub(super) fn complaint(&self) -> Option<&str> {
        (self.rejected || self.failures >= LASTING).then_some(self.what.as_str())
    }

    /// Something else is to be tried at once. The rejection stands until that has been accepted.
    pub(super) const fn let_go(&mut self) {
        if self.rejected {
            self.page = None;
            self.quiet = None;
        }
    }

    /// It worked.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// It failed.
    pub(super) fn failed(&mut self, now: Moment, failure: &ActionFailure, seed: &[&str]) {
        let (rejected, retry_after) = match failure {
            ActionFailure::Sink(SinkError::Temporary { retry_after, .. }) => (false, *retry_after),
            ActionFailure::Sink(SinkError::Rejected { .. }) => (true, None),
            ActionFailure::Sink(SinkError::TokenKnown | SinkError::NotFound)
            | ActionFailure::Ledger(_)
            | ActionFailure::NoAnswer
            | ActionFailure::Mismatch => (false, None),
        };
        self.failures = self.failures.saturating_add(1);
        self.rejected = rejected;
        self.what = failure.to_string();
        let wait = wait(self.failures, seed);
        let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        self.page = Some(now + wait.max(asked).min(LONGEST_OF_PAGE));
        self.quiet = Some(now + if rejected { REJECTED } else { wait.max(asked) });
    }

    /// It is tried again after `longest` at the latest.
    pub(super) fn at_most(&mut self, now: Moment, longest: Duration) {
        for until in [&mut self.page, &mut self.quiet] {
            *until = until.map(|until| until.min(now + longest));
        }
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
    use crate::incident::sink::LedgerError;

    #[test]
    fn waits_double_from_a_second_to_a_minute_and_are_jittered() {
        for (failures, most) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60), (u32::MAX, 60)] {
            let most = Duration::from_secs(most);
            let wait = wait(failures, &["milan-1"]);
            assert!(wait <= most && wait >= most / 2, "{failures}: {wait:?}");
        }
        assert_ne!(wait(3, &["milan-1"]), wait(3, &["milan-2"]));
    }

    fn temporary(retry_after: Option<u64>) -> ActionFailure {
        let retry_after = retry_after.map(Duration::from_secs);
        ActionFailure::Sink(SinkError::Temporary { what: "busy".into(), retry_after, source: None })
    }

    fn rejected() -> ActionFailure {
        ActionFailure::Sink(SinkError::Rejected { what: "denied".into(), source: None })
    }

    fn until(retry: &Retry, priority: Priority) -> Option<u64> {
        retry.until(Moment::ORIGIN, priority).map(|until| until.since(Moment::ORIGIN).as_secs())
    }

    #[test]
    fn the_sinks_own_word_is_honoured_but_not_for_ever() {
        let mut retry = Retry::default();
        retry.failed(Moment::ORIGIN, &temporary(Some(45)), &[]);
        assert_eq!(until(&retry, Priority::Quiet), Some(45));
        retry.failed(Moment::ORIGIN, &temporary(Some(1_000_000)), &[]);
        assert_eq!(until(&retry, Priority::Quiet), Some(600));
    }

    #[test]
    fn a_page_is_tried_again_within_30_seconds_whatever_the_sink_answered() {
        let ledger = ActionFailure::Ledger(LedgerError { what: "disk full".into() });
        let not_found = ActionFailure::Sink(SinkError::NotFound);
        let token_known = ActionFailure::Sink(SinkError::TokenKnown);
        for failure in
            [temporary(None), temporary(Some(1_000_000)), rejected(), not_found, token_known, ledger]
        {
            let mut retry = Retry::default();
            for _ in 0..100 {
                retry.failed(Moment::ORIGIN, &failure, &["milan-1"]);
                let next = retry.until(Moment::ORIGIN, Priority::Page).unwrap();
                assert!(next <= Moment::ORIGIN + Duration::from_secs(30), "{failure}: {next:?}");
            }
        }
    }

    #[test]
    fn a_wait_can_be_cut_short_and_not_made_longer() {
        let mut retry = Retry::default();
        retry.failed(Moment::ORIGIN, &temporary(Some(600)), &[]);
        retry.at_most(Moment::ORIGIN, Duration::from_secs(60));
        assert_eq!((until(&retry, Priority::Quiet), until(&retry, Priority::Page)), (Some(60), Some(30)));
        retry.at_most(Moment::ORIGIN, Duration::from_secs(90));
        assert_eq!((until(&retry, Priority::Quiet), until(&retry, Priority::Page)), (Some(60), Some(30)));
    }

    #[test]
    fn what_was_rejected_and_nobody_waits_for_is_tried_again_every_five_minutes() {
        let mut retry = Retry::default();
        retry.failed(Moment::ORIGIN, &rejected(), &[]);
        retry.failed(Moment::ORIGIN, &rejected(), &[]);
        assert_eq!(until(&retry, Priority::Quiet), Some(300));
        assert_eq!(retry.complaint(), Some("denied"));
    }

    #[test]
    fn a_rejection_lets_go_and_stands_but_the_sinks_own_word_holds() {
        let mut retry = Retry::default();
        retry.failed(Moment::ORIGIN, &rejected(), &[]);
        retry.let_go();
        assert_eq!((until(&retry, Priority::Page), retry.complaint()), (None, Some("denied")));
        retry.failed(Moment::ORIGIN, &temporary(Some(20)), &[]);
        retry.let_go();
        assert_eq!(until(&retry, Priority::Page), Some(20));
    }

    #[test]
    fn people_hear_of_a_temporary_failure_when_it_lasts() {
        let mut retry = Retry::default();
        for _ in 1..LASTING {
            retry.failed(Moment::ORIGIN, &temporary(None), &[]);
            assert_eq!(retry.complaint(), None);
        }
        retry.failed(Moment::ORIGIN, &temporary(None), &[]);
        assert_eq!(retry.complaint(), Some("busy"));
        retry.clear();
        assert_eq!((retry.complaint(), until(&retry, Priority::Page)), (None, None));
    }
}

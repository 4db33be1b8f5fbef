//! When the next commit is due.

use std::time::Duration;

use crate::domain::time::Moment;

/// In calm there is at most one commit in this time.
const COMMIT_INTERVAL: Duration = Duration::from_secs(60);
/// A minute's rollups wait this long for each other and for CloudWatch's answer, which then goes in the same commit.
const SETTLE: Duration = Duration::from_secs(5);
/// A failing disk is tried again this often, and with every further piece of state.
pub(super) const RETRY: Duration = Duration::from_secs(30);

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Pace {
    /// When the oldest thing that waits came.
    waiting_since: Option<Moment>,
    /// When state came that has not been tried to be committed.
    urgent_since: Option<Moment>,
    /// When history came that the next run builds on, likewise.
    soon_since: Option<Moment>,
    last_commit: Option<Moment>,
    retry_at: Option<Moment>,
    /// Nothing is committed before, whatever comes.
    held_until: Option<Moment>,
}

impl Pace {
    /// History came.
    pub(super) fn history(&mut self, now: Moment) {
        self.waiting_since.get_or_insert(now);
    }

    /// History came that the next run builds on: it does not wait for the minute.
    pub(super) fn soon(&mut self, now: Moment) {
        self.waiting_since.get_or_insert(now);
        self.soon_since.get_or_insert(now);
    }

    /// State came: it is committed at once.
    pub(super) fn state(&mut self, now: Moment) {
        self.waiting_since.get_or_insert(now);
        self.urgent_since.get_or_insert(now);
    }

    pub(super) fn committed(&mut self, now: Moment) {
        *self = Self { last_commit: Some(now), ..Self::default() };
    }

    pub(super) fn failed(&mut self, now: Moment) {
        self.retry_at = Some(now + RETRY);
        self.urgent_since = None;
        self.soon_since = None;
    }

    /// Nothing is committed before this moment.
    pub(super) fn hold_until(&mut self, moment: Moment) {
        self.held_until = Some(moment);
    }

    pub(super) fn due(&self) -> Option<Moment> {
        let due = self.wanted()?;
        Some(self.held_until.map_or(due, |until| due.max(until)))
    }

    fn wanted(&self) -> Option<Moment> {
        if self.urgent_since.is_some() {
            return self.urgent_since;
        }
        if self.retry_at.is_some() {
            return self.retry_at;
        }
        let settled = self.waiting_since? + SETTLE;
        if let Some(soon) = self.soon_since {
            return Some(soon + SETTLE);
        }
        Some(self.last_commit.map_or(settled, |at| settled.max(at + COMMIT_INTERVAL)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Moment {
        Moment::ORIGIN + Duration::from_secs(secs)
    }

    #[test]
    fn history_is_committed_once_a_minute_and_soon_after_a_long_calm() {
        let mut pace = Pace::default();
        assert_eq!(pace.due(), None);
        pace.history(at(100));
        pace.history(at(102));
        assert_eq!(pace.due(), Some(at(105)));
        pace.committed(at(105));
        assert_eq!(pace.due(), None);
        pace.history(at(110));
        assert_eq!(pace.due(), Some(at(165)));
        pace.committed(at(165));
        pace.history(at(1000));
        assert_eq!(pace.due(), Some(at(1005)));
    }

    #[test]
    fn what_the_next_run_builds_on_is_committed_soon() {
        let mut pace = Pace::default();
        pace.committed(at(100));
        pace.history(at(101));
        pace.soon(at(110));
        pace.soon(at(112));
        assert_eq!(pace.due(), Some(at(115)));
        pace.failed(at(116));
        assert_eq!(pace.due(), Some(at(146)));
    }

    #[test]
    fn state_is_committed_at_once() {
        let mut pace = Pace::default();
        pace.committed(at(100));
        pace.history(at(101));
        pace.state(at(102));
        assert_eq!(pace.due(), Some(at(102)));
    }

    #[test]
    fn what_is_held_is_committed_when_that_is_over_and_once() {
        let mut pace = Pace::default();
        pace.hold_until(at(2));
        assert_eq!(pace.due(), None);
        pace.state(at(0));
        assert_eq!(pace.due(), Some(at(2)));
        pace.committed(at(2));
        pace.state(at(3));
        assert_eq!(pace.due(), Some(at(3)));
    }

    #[test]
    fn a_failing_disk_is_tried_again_after_a_while_and_with_further_state() {
        let mut pace = Pace::default();
        pace.state(at(0));
        pace.failed(at(5));
        assert_eq!(pace.due(), Some(at(35)));
        pace.history(at(10));
        assert_eq!(pace.due(), Some(at(35)));
        pace.state(at(20));
        assert_eq!(pace.due(), Some(at(20)));
        pace.committed(at(20));
        assert_eq!(pace.due(), None);
    }
}

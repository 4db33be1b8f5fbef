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
    last_commit: Option<Moment>,
    retry_at: Option<Moment>,
}

impl Pace {
    /// History came.
    pub(super) fn history(&mut self, now: Moment) {
        self.waiting_since.get_or_insert(now);
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
    }

    pub(super) fn due(&self) -> Option<Moment> {
        if self.urgent_since.is_some() {
            return self.urgent_since;
        }
        if self.retry_at.is_some() {
            return self.retry_at;
        }
        let settled = self.waiting_since? + SETTLE;
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
    fn state_is_committed_at_once() {
        let mut pace = Pace::default();
        pace.committed(at(100));
        pace.history(at(101));
        pace.state(at(102));
        assert_eq!(pace.due(), Some(at(102)));
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

//! When an echo is overdue, and what it was in the end.

use std::collections::VecDeque;
use std::time::Duration;

use super::verdict::Outcome;

/// A reply is of no use any more this long after `timeout`; until then it is Late, which tells slow from dead.
pub const LATE_WINDOW: Duration = Duration::from_secs(3);

/// Below this an overdue threshold would make a check suspect for the jitter of any busy line.
const OVERDUE_FLOOR: Duration = Duration::from_millis(100);

/// A reply that takes four times the usual is worth a closer look: TCP's own retransmission timer starts from
/// SRTT + 4 × RTTVAR (RFC 6298 section 2).
const OVERDUE_FACTOR: u32 = 4;

/// Enough to know what is usual: half a minute at the default interval.
const REMEMBERED: usize = 32;

/// Below this many replies nothing is usual yet, and `timeout` decides.
const ENOUGH: usize = 5;

/// The round trips of the last on-time replies.
///
/// It is frozen while the check is suspect, so that a line that gets slower under observation is still measured by what
/// was usual; what was learnt meanwhile counts once the check is calm again.
#[derive(Debug, Clone, Default)]
pub struct RttMemory {
    usual: VecDeque<Duration>,
    /// The same in order of size: the threshold is asked for at every wake-up of a check, and must not sort each time.
    by_size: Vec<Duration>,
    held_back: VecDeque<Duration>,
}

impl RttMemory {
    /// An on-time reply came.
    pub fn record(&mut self, rtt: Duration, frozen: bool) {
        if frozen {
            let _oldest = push_bounded(&mut self.held_back, rtt);
        } else {
            self.learn(rtt);
        }
    }

    /// The check is calm again.
    pub fn thaw(&mut self) {
        for rtt in std::mem::take(&mut self.held_back) {
            self.learn(rtt);
        }
    }

    /// The median of what is usual.
    pub fn median(&self) -> Option<Duration> {
        self.by_size.get(self.by_size.len() / 2).copied()
    }

    /// After this long without a reply an echo is overdue.
    pub fn overdue_after(&self, timeout: Duration) -> Duration {
        match self.median() {
            Some(median) if self.usual.len() >= ENOUGH => {
                timeout.min(OVERDUE_FLOOR.max(median.saturating_mul(OVERDUE_FACTOR)))
            }
            Some(_) | None => timeout,
        }
    }

    fn learn(&mut self, rtt: Duration) {
        if let Some(forgotten) = push_bounded(&mut self.usual, rtt)
            && let Ok(at) = self.by_size.binary_search(&forgotten)
        {
            self.by_size.remove(at);
        }
        let at = self.by_size.partition_point(|smaller| *smaller < rtt);
        self.by_size.insert(at, rtt);
    }
}

/// A reply in time or late.
pub fn answered(rtt: Duration, timeout: Duration) -> Outcome {
    if rtt <= timeout { Outcome::Reply { rtt } } else { Outcome::Late { rtt } }
}

/// What had to go for it, if something had.
fn push_bounded(rtts: &mut VecDeque<Duration>, rtt: Duration) -> Option<Duration> {
    let forgotten = if rtts.len() == REMEMBERED { rtts.pop_front() } else { None };
    rtts.push_back(rtt);
    forgotten
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(1);

    fn memory(rtts: impl IntoIterator<Item = u64>) -> RttMemory {
        let mut memory = RttMemory::default();
        rtts.into_iter().for_each(|millis| memory.record(Duration::from_millis(millis), false));
        memory
    }

    #[test]
    fn below_five_replies_an_echo_is_overdue_after_the_timeout() {
        assert_eq!(memory([1, 1, 1, 1]).overdue_after(TIMEOUT), TIMEOUT);
        assert_eq!(memory([1, 1, 1, 1, 1]).overdue_after(TIMEOUT), Duration::from_millis(100));
    }

    #[test]
    fn an_echo_is_overdue_after_four_times_the_median_between_100_ms_and_the_timeout() {
        assert_eq!(memory([40; 5]).overdue_after(TIMEOUT), Duration::from_millis(160));
        assert_eq!(memory([20; 5]).overdue_after(TIMEOUT), Duration::from_millis(100));
        assert_eq!(memory([400; 5]).overdue_after(TIMEOUT), TIMEOUT);
    }

    #[test]
    fn only_the_last_32_replies_are_usual() {
        let memory = memory(std::iter::repeat_n(400, 40).chain(std::iter::repeat_n(30, 32)));
        assert_eq!(memory.median(), Some(Duration::from_millis(30)));
    }

    #[test]
    fn the_median_is_that_of_the_last_32_whatever_their_order() {
        let mut memory = RttMemory::default();
        let rtts: Vec<u64> = (0..200).map(|n| n * 7919 % 101).collect();
        for (n, rtt) in rtts.iter().enumerate() {
            memory.record(Duration::from_millis(*rtt), false);
            let mut last = rtts[(n + 1).saturating_sub(REMEMBERED)..=n].to_vec();
            last.sort_unstable();
            assert_eq!(memory.median(), Some(Duration::from_millis(last[last.len() / 2])));
        }
    }

    #[test]
    fn what_is_usual_is_frozen_until_the_check_is_calm_again() {
        let mut memory = memory([30; 32]);
        (0..32).for_each(|_| memory.record(Duration::from_millis(200), true));
        assert_eq!(memory.median(), Some(Duration::from_millis(30)));
        memory.thaw();
        assert_eq!(memory.median(), Some(Duration::from_millis(200)));
    }

    #[test]
    fn a_reply_after_the_timeout_is_late_and_one_at_the_timeout_is_not() {
        assert_eq!(answered(TIMEOUT, TIMEOUT), Outcome::Reply { rtt: TIMEOUT });
        let late = TIMEOUT + Duration::from_nanos(1);
        assert_eq!(answered(late, TIMEOUT), Outcome::Late { rtt: late });
    }
}

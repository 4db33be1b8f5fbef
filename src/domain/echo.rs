//! What a check makes of its echoes: when one is overdue and what it was in the end, and the runs of replies and of losses that Up
//! and Down are made of.

use std::collections::VecDeque;
use std::time::Duration;

use super::clients::Slot;
use super::request::EchoId;
use super::time::Now;
use super::verdict::{Loss, Outcome};

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

/// Returns the oldest, if it had to make room.
fn push_bounded(rtts: &mut VecDeque<Duration>, rtt: Duration) -> Option<Duration> {
    let forgotten = if rtts.len() == REMEMBERED { rtts.pop_front() } else { None };
    rtts.push_back(rtt);
    forgotten
}

//--- runs

/// Replies in a row, counted in the order of asking, so that a slow line, whose replies arrive while later echoes are
/// still under way, has runs as long as a fast one.
#[derive(Debug, Clone)]
pub struct Replies {
    asked: VecDeque<(EchoId, bool)>,
    from: EchoId,
    remembered: usize,
}

impl Replies {
    /// Remembers enough for runs of `up_after` while `in_flight` further echoes are unanswered.
    pub fn new(up_after: usize, in_flight: usize) -> Self {
        Self { asked: VecDeque::new(), from: EchoId(0), remembered: up_after + in_flight }
    }

    /// Remembers enough for runs of another `up_after`; the run goes on.
    pub fn remember(&mut self, up_after: usize, in_flight: usize) {
        self.remembered = up_after + in_flight;
        while self.asked.len() > self.remembered {
            self.asked.pop_front();
        }
    }

    /// An echo was asked.
    pub fn asked(&mut self, echo: EchoId) {
        if self.asked.len() == self.remembered {
            self.asked.pop_front();
        }
        self.asked.push_back((echo, false));
    }

    /// An echo turned out not to have been asked at all: it breaks no run.
    pub fn not_asked(&mut self, echo: EchoId) {
        self.asked.retain(|(asked, _)| *asked != echo);
    }

    /// An echo was answered; returns how many in a row were, up to the latest answered one.
    pub fn answered(&mut self, echo: EchoId) -> u32 {
        if let Some((_, answered)) = self.asked.iter_mut().rev().find(|(asked, _)| *asked == echo) {
            *answered = true;
        }
        let from = self.from;
        let run = self
            .asked
            .iter()
            .rev()
            .skip_while(|(_, answered)| !answered)
            .take_while(|(asked, answered)| *answered && *asked >= from)
            .count();
        u32::try_from(run).unwrap_or(u32::MAX)
    }

    /// What was answered is too long ago to count.
    pub fn forget_answers(&mut self) {
        for (_, answered) in &mut self.asked {
            *answered = false;
        }
    }

    /// Runs are counted from this echo on: what was answered before a suspicion does not allay it.
    pub const fn count_from(&mut self, echo: EchoId) {
        self.from = echo;
    }
}

/// Losses since the last reply.
#[derive(Debug, Clone, Default)]
pub struct Losses {
    count: u32,
    first: Option<Now>,
    last: Option<Loss>,
    on_a: bool,
    on_b: bool,
}

impl Losses {
    /// One more: an echo asked at `asked` on `slot` is overdue or was not taken.
    pub fn add(&mut self, asked: Now, slot: Slot, loss: Loss) {
        self.count = self.count.saturating_add(1);
        self.first.get_or_insert(asked);
        self.last = Some(loss);
        match slot {
            Slot::A => self.on_a = true,
            Slot::B => self.on_b = true,
        }
    }

    /// A reply ends the run.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether both clients have lost.
    pub const fn on_both(&self) -> bool {
        self.on_a && self.on_b
    }

    /// How many.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// When the oldest was asked.
    pub const fn first(&self) -> Option<Now> {
        self.first
    }

    /// What the newest was.
    pub const fn last(&self) -> Option<Loss> {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Moment;

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
    fn the_usual_round_trip_is_frozen_until_the_check_is_calm_again() {
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

    #[test]
    fn replies_are_counted_in_the_order_of_asking_not_of_arrival() {
        let mut replies = Replies::new(3, 8);
        (1..=5).for_each(|echo| replies.asked(EchoId(echo)));
        assert_eq!(replies.answered(EchoId(3)), 1);
        assert_eq!(replies.answered(EchoId(1)), 1);
        assert_eq!(replies.answered(EchoId(2)), 3);
    }

    #[test]
    fn an_unanswered_echo_breaks_the_run_and_one_that_was_never_asked_does_not() {
        let mut replies = Replies::new(3, 8);
        (1..=4).for_each(|echo| replies.asked(EchoId(echo)));
        replies.answered(EchoId(1));
        replies.answered(EchoId(3));
        assert_eq!(replies.answered(EchoId(4)), 2);
        replies.not_asked(EchoId(2));
        assert_eq!(replies.answered(EchoId(4)), 3);
    }

    #[test]
    fn replies_before_a_suspicion_do_not_count() {
        let mut replies = Replies::new(3, 8);
        (1..=4).for_each(|echo| replies.asked(EchoId(echo)));
        for echo in 1..=3 {
            replies.answered(EchoId(echo));
        }
        replies.count_from(EchoId(4));
        assert_eq!(replies.answered(EchoId(4)), 1);
    }

    #[test]
    fn forgotten_replies_do_not_count_and_echoes_in_flight_do() {
        let mut replies = Replies::new(3, 8);
        (1..=3).for_each(|echo| replies.asked(EchoId(echo)));
        replies.answered(EchoId(1));
        replies.answered(EchoId(2));
        replies.forget_answers();
        assert_eq!(replies.answered(EchoId(3)), 1);
    }

    #[test]
    fn another_up_after_cuts_no_run_short_that_it_needs() {
        let mut replies = Replies::new(3, 1);
        (1..=4).for_each(|echo| replies.asked(EchoId(echo)));
        (1..=3).for_each(|echo| assert!(replies.answered(EchoId(echo)) > 0));
        replies.remember(5, 1);
        (5..=6).for_each(|echo| replies.asked(EchoId(echo)));
        (4..=5).for_each(|echo| assert!(replies.answered(EchoId(echo)) > 0));
        assert_eq!(replies.answered(EchoId(6)), 6);
        replies.remember(2, 1);
        assert_eq!(replies.answered(EchoId(6)), 3);
    }

    #[test]
    fn the_run_of_losses_is_as_old_as_its_first_and_a_reply_ends_it() {
        let mut losses = Losses::default();
        let asked = |secs: i64| Now { mono: Moment::from_nanos(secs), wall: Default::default() };
        (1..=3).for_each(|secs| losses.add(asked(secs), Slot::A, Loss::Timeout));
        assert_eq!((losses.count(), losses.first()), (3, Some(asked(1))));
        assert!(!losses.on_both());
        losses.add(asked(4), Slot::B, Loss::NoPath);
        assert!(losses.on_both());
        losses.clear();
        assert_eq!((losses.count(), losses.first(), losses.on_both()), (0, None, false));
    }
}

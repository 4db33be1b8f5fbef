//! Runs of replies and of losses: what Up and Down are made of.

use std::collections::VecDeque;

use super::clients::Slot;
use super::request::EchoId;
use super::time::{Moment, Now};
use super::verdict::Loss;

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

    /// Runs are counted from this echo on: what was answered before a suspicion does not allay it.
    pub const fn count_from(&mut self, echo: EchoId) {
        self.from = echo;
    }
}

/// Losses since the last reply.
#[derive(Debug, Clone, Default)]
pub struct Losses {
    count: u32,
    recent: VecDeque<Moment>,
    first: Option<Now>,
    last: Option<Loss>,
    on_a: bool,
    on_b: bool,
}

impl Losses {
    /// One more: an echo asked at `asked` on `slot` is overdue or was not taken. Keeps the last `down_after` times.
    pub fn add(&mut self, asked: Now, slot: Slot, loss: Loss, down_after: u32) {
        self.count = self.count.saturating_add(1);
        if self.recent.len() >= usize::try_from(down_after).unwrap_or(usize::MAX) {
            self.recent.pop_front();
        }
        self.recent.push_back(asked.mono);
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

    /// When the oldest of the last `down_after` losses was asked, if there are that many.
    pub fn oldest_of_run(&self, down_after: u32) -> Option<Moment> {
        (self.count >= down_after).then(|| self.recent.front().copied()).flatten()
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
    fn what_was_answered_before_a_suspicion_does_not_count() {
        let mut replies = Replies::new(3, 8);
        (1..=4).for_each(|echo| replies.asked(EchoId(echo)));
        for echo in 1..=3 {
            replies.answered(EchoId(echo));
        }
        replies.count_from(EchoId(4));
        assert_eq!(replies.answered(EchoId(4)), 1);
    }

    #[test]
    fn the_run_of_losses_is_as_old_as_the_oldest_of_the_last_down_after() {
        let mut losses = Losses::default();
        let asked = |secs: i64| Now { mono: Moment::from_nanos(secs), wall: Default::default() };
        (1..=3).for_each(|secs| losses.add(asked(secs), Slot::A, Loss::Timeout, 2));
        assert_eq!(losses.oldest_of_run(2), Some(Moment::from_nanos(2)));
        assert_eq!(losses.oldest_of_run(4), None);
        assert!(!losses.on_both());
        losses.add(asked(4), Slot::B, Loss::NoPath, 2);
        assert!(losses.on_both());
        losses.clear();
        assert_eq!((losses.count(), losses.on_both()), (0, false));
    }
}

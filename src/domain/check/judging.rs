//! What overdue, lost and failed echoes mean, and when nothing can be said.

use std::time::Duration;

use super::{Check, Pace, Pending};
use crate::domain::effects::Effects;
use crate::domain::fact::Fact;
use crate::domain::pace::next_on_grid;
use crate::domain::request::EchoId;
use crate::domain::time::{Moment, Now};
use crate::domain::verdict::{Fault, Loss, Outcome, Verdict, Why};

impl Check {
    pub(super) fn find_overdue(&mut self, now: Now, fx: &mut Effects) {
        let overdue_after = self.rtt.overdue_after(self.rules.timeout);
        let overdue: Vec<EchoId> = self
            .pending
            .iter()
            .filter(|(_, pending)| !pending.overdue)
            .filter(|(_, pending)| pending.sent.is_some_and(|sent| sent + overdue_after <= now.mono))
            .map(|(echo, _)| *echo)
            .collect();
        for echo in overdue {
            if let Some(pending) = self.pending.get_mut(&echo) {
                pending.overdue = true;
                let pending = *pending;
                self.lost(echo, pending, Loss::Timeout, now, fx);
            }
        }
    }

    /// An echo is overdue, or the tunnel did not take it.
    pub(super) fn lost(&mut self, echo: EchoId, pending: Pending, loss: Loss, now: Now, fx: &mut Effects) {
        self.asked_once = true;
        self.last_evidence = now.mono;
        self.last_activity = now.mono;
        self.replies_in_row = 0;
        self.losses.add(pending.asked, pending.slot, loss);
        if !self.waits_in_vain() {
            if self.pace != Pace::Suspect {
                self.replies.count_from(echo);
                self.set_pace(Pace::Suspect, now, fx);
            }
            self.refresh_client(now, fx);
        }
    }

    /// Nothing more can be lost: it is Down, or was never answered, already.
    pub(super) const fn waits_in_vain(&self) -> bool {
        matches!(self.verdict, Verdict::Down | Verdict::Unknown(Why::NeverAnswered))
            && matches!(self.pace, Pace::Waiting)
    }

    pub(super) fn end_unanswered(&mut self, now: Now, fx: &mut Effects) {
        while let Some((&echo, &pending)) = self.pending.first_key_value() {
            if pending.asked.mono + self.given_up_after() > now.mono {
                break;
            }
            self.pending.remove(&echo);
            let outcome = match pending.sent {
                Some(_) => Outcome::Lost(Loss::Timeout),
                None => Outcome::Fault(Fault::HeldUp),
            };
            self.end(pending, outcome, now, fx);
        }
    }

    pub(super) fn judge_down(&mut self, now: Now, fx: &mut Effects) {
        if self.waits_in_vain() || !self.lost_on_both() || self.down_at().is_none_or(|at| at > now.mono) {
            return;
        }
        let verdict = if self.seen_up { Verdict::Down } else { Verdict::Unknown(Why::NeverAnswered) };
        self.set_verdict(verdict, now);
        self.set_pace(Pace::Waiting, now, fx);
    }

    /// When the oldest of the unanswered echoes is past `timeout`, once `down_after` are overdue. It is the oldest of all
    /// of them: where more than `down_after` are asked within one `timeout`, the last `down_after` would always be young.
    pub(super) fn down_at(&self) -> Option<Moment> {
        let oldest = self.losses.first()?;
        (self.losses.count() >= self.rules.down_after.get()).then(|| oldest.mono + self.rules.timeout)
    }

    /// Whether both clients have lost; where the other cannot be had, one alone decides, because a wrong loss costs a
    /// Disputed, but a wrong fault the page.
    pub(super) const fn lost_on_both(&self) -> bool {
        let other_cannot_be_had = match self.fault {
            // A client that was held up is there all the same.
            None | Some((Fault::HeldUp, _)) => false,
            Some((
                Fault::NoPermission
                | Fault::NoMemory
                | Fault::QueueFull
                | Fault::TooManyFiles
                | Fault::AddressMissing
                | Fault::Socket(_),
                _,
            )) => true,
        };
        self.losses.on_both() || other_cannot_be_had
    }

    /// Faults alone, or nothing sent and nothing ended, for long enough: it cannot be said.
    pub(super) fn judge_silence(&mut self, now: Now, fx: &mut Effects) {
        let quiet = |since: Moment| now.mono.since(since) >= self.silence_after();
        if !quiet(self.last_evidence) {
            return;
        }
        let why = match self.fault {
            Some((fault, at)) if at >= self.last_evidence => Why::Fault(fault),
            Some(_) | None if quiet(self.last_activity) => Why::Silent,
            Some(_) | None => return,
        };
        self.losses.clear();
        self.replies.forget_answers();
        self.replies_in_row = 0;
        self.set_verdict(Verdict::Unknown(why), now);
        self.set_pace(Pace::Waiting, now, fx);
    }

    pub(super) fn silence_after(&self) -> Duration {
        (self.rules.interval.max(self.suspect_interval) * 3).max(self.rules.timeout * 2)
    }

    pub(super) fn end(&mut self, pending: Pending, outcome: Outcome, now: Now, fx: &mut Effects) {
        self.asked_once = true;
        self.last_activity = now.mono;
        match outcome {
            Outcome::Reply { .. } | Outcome::Late { .. } | Outcome::Lost(_) => self.last_evidence = now.mono,
            Outcome::Fault(fault) => self.fault = Some((fault, now.mono)),
        }
        fx.ended.push((self.id.tunnel.clone(), pending.asked.mono, outcome));
        fx.facts.push_back(Fact::EchoEnded { check: self.id.clone(), outcome });
    }

    pub(super) fn set_verdict(&mut self, verdict: Verdict, now: Now) {
        if self.verdict != verdict {
            if !self.verdict.same_word(verdict) {
                self.since = now;
            }
            self.verdict = verdict;
        }
    }

    pub(super) fn set_pace(&mut self, pace: Pace, now: Now, fx: &mut Effects) {
        if self.pace == pace {
            return;
        }
        let was_suspect = self.pace == Pace::Suspect;
        self.pace = pace;
        self.due = next_on_grid(self.anchor, self.interval(), now.mono);
        if pace == Pace::Calm {
            self.rtt.thaw();
        }
        if was_suspect != (pace == Pace::Suspect) {
            fx.facts.push_back(Fact::Suspicion { check: self.id.clone(), suspect: !was_suspect, at: now });
        }
    }
}

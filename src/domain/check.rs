//! One check: echoes in, a verdict out.
//!
//! In calm it asks every `interval`. The first overdue echo makes it *suspect*: it asks every `suspect_interval`, on two
//! clients in turn, until `up_after` replies in a row allay the suspicion or `down_after` overdue echoes in a row, the
//! oldest of them past `timeout` and not all on one client, make it Down. While Down it asks every `interval`; the first
//! reply makes it suspect again. A check that was never answered is Unknown instead of Down. Faults are no evidence.

mod asking;
mod judging;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::clients::{Clients, Slot};
use super::echo::{RttMemory, answered};
use super::effects::Effects;
use super::event::{AskFailure, SeenUp};
use super::fact::Fact;
use super::names::CheckId;
use super::pace::next_on_grid;
use super::plan::{ProbeRules, Route};
use super::request::{ClientId, EchoId, Request};
use super::streak::{Losses, Replies};
use super::time::{Moment, Now};
use super::verdict::{Fault, LocalEvidence, Loss, Outcome, Verdict, Why};

/// More would only say the same: at 64 unanswered echoes nothing is in doubt any more.
pub const IN_FLIGHT_MAX: usize = 64;

/// How often to ask, and what an overdue echo means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// The first replies are awaited: fast, so that a verdict stands within a second or two of the start.
    Starting,
    /// It works.
    Calm,
    /// An echo was overdue, or a first reply came after Down.
    Suspect,
    /// Nothing is expected: Down, never answered, or faults alone.
    Waiting,
}

/// An echo under way.
#[derive(Debug, Clone, Copy)]
struct Pending {
    asked: Now,
    sent: Option<Moment>,
    slot: Slot,
    client: ClientId,
    overdue: bool,
}

/// A check of one tunnel.
#[derive(Debug)]
pub struct Check {
    id: CheckId,
    route: Arc<Route>,
    rules: ProbeRules,
    anchor: Moment,
    suspect_interval: Duration,

    pace: Pace,
    due: Moment,
    verdict: Verdict,
    since: Now,

    pending: BTreeMap<EchoId, Pending>,
    clients: Clients,
    rtt: RttMemory,
    replies: Replies,
    losses: Losses,

    seen_up: bool,
    bound_once: bool,
    fault: Option<(Fault, Moment)>,
    last_evidence: Moment,
    last_activity: Moment,
    last_reply: Option<Now>,
    replies_in_row: u32,
    ticks_skipped: u64,
    asked_once: bool,
}

impl Check {
    /// A check that asks on the grid through `anchor`; `seen_up` is whether it was ever answered, in this run or an
    /// earlier one.
    pub fn new(
        id: CheckId,
        route: Arc<Route>,
        rules: ProbeRules,
        anchor: Moment,
        seen_up: bool,
        now: Now,
        fx: &mut Effects,
    ) -> Self {
        Self {
            id,
            route,
            rules,
            anchor,
            suspect_interval: rules.suspect_interval,
            pace: Pace::Starting,
            due: next_on_grid(anchor, rules.suspect_interval, now.mono),
            verdict: Verdict::Unknown(Why::Starting),
            since: now,
            pending: BTreeMap::new(),
            clients: Clients::new(fx.new_client()),
            rtt: RttMemory::default(),
            replies: Replies::new(usize::try_from(rules.up_after.get()).unwrap_or(usize::MAX), IN_FLIGHT_MAX),
            losses: Losses::default(),
            seen_up,
            bound_once: false,
            fault: None,
            last_evidence: now.mono,
            last_activity: now.mono,
            last_reply: None,
            replies_in_row: 0,
            ticks_skipped: 0,
            asked_once: false,
        }
    }

    /// Which check this is.
    pub const fn id(&self) -> &CheckId {
        &self.id
    }

    /// What it says.
    pub const fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Whether it asks faster because something is in doubt.
    pub const fn is_suspect(&self) -> bool {
        matches!(self.pace, Pace::Suspect | Pace::Starting)
    }

    /// Whether an echo has ended or become overdue since the start.
    pub const fn was_asked(&self) -> bool {
        self.asked_once
    }

    /// Over which route it was ever answered, in this run or an earlier one.
    pub fn seen_up(&self) -> Option<SeenUp> {
        self.seen_up.then(|| SeenUp::Local(self.id.clone(), self.route.key()))
    }

    /// Ticks left out since the start.
    pub const fn ticks_skipped(&self) -> u64 {
        self.ticks_skipped
    }

    /// Its state in numbers; the loss over the last minute is not known here.
    pub fn evidence(&self) -> LocalEvidence {
        LocalEvidence {
            last_reply: self.last_reply,
            losses_in_row: self.losses.count(),
            first_loss: self.losses.first(),
            last_loss: self.losses.last(),
            replies_in_row: self.replies_in_row,
            loss_percent: None,
            median_rtt: self.rtt.median(),
        }
    }

    /// Echoes under way that are overdue: lost, as far as anybody can say yet.
    pub fn overdue_in_flight(&self) -> u32 {
        u32::try_from(self.pending.values().filter(|pending| pending.overdue).count()).unwrap_or(u32::MAX)
    }

    /// How fast it asks under suspicion, which depends on how many checks are suspect.
    pub fn set_suspect_interval(&mut self, interval: Duration) {
        self.suspect_interval = interval;
    }

    /// Takes other rules; what is under way ends by them.
    pub fn set_rules(&mut self, rules: ProbeRules, anchor: Moment, now: Now) {
        if self.rules == rules && self.anchor == anchor {
            return;
        }
        self.rules = rules;
        self.anchor = anchor;
        self.suspect_interval = rules.suspect_interval;
        self.replies.remember(usize::try_from(rules.up_after.get()).unwrap_or(usize::MAX), IN_FLIGHT_MAX);
        self.due = next_on_grid(anchor, self.interval(), now.mono);
    }

    /// An echo has left.
    pub fn sent(&mut self, echo: EchoId, at: Moment) {
        if let Some(pending) = self.pending.get_mut(&echo) {
            pending.sent = Some(at);
            self.bound_once = true;
            self.last_activity = self.last_activity.max(at);
        }
    }

    /// A reply came.
    pub fn replied(&mut self, echo: EchoId, rtt: Duration, now: Now, fx: &mut Effects) {
        let Some(pending) = self.pending.remove(&echo) else { return };
        self.end(pending, answered(rtt, self.rules.timeout), now, fx);
        if rtt <= self.rules.timeout {
            self.rtt.record(rtt, matches!(self.pace, Pace::Suspect | Pace::Waiting));
        }
        self.clients.answered(pending.client);
        self.losses.clear();
        self.fault = None;
        self.last_reply = Some(now);
        self.replies_in_row = self.replies.answered(echo);
        if !self.seen_up {
            self.seen_up = true;
            fx.facts.extend(self.seen_up().map(Fact::SeenUp));
        }
        if self.pace == Pace::Waiting {
            self.set_pace(Pace::Suspect, now, fx);
        }
        if self.replies_in_row >= self.rules.up_after.get() {
            self.set_verdict(Verdict::Up, now);
            self.set_pace(Pace::Calm, now, fx);
        }
    }

    /// An echo could not be sent.
    pub fn failed(&mut self, echo: EchoId, failure: AskFailure, now: Now, fx: &mut Effects) {
        let Some(pending) = self.pending.remove(&echo) else { return };
        let fresh = fx.new_client();
        if self.clients.replace(pending.client, fresh) {
            fx.requests.push_back(Request::Retire { check: self.id.clone(), client: pending.client });
        }
        let loss = match failure {
            AskFailure::Fault(fault) => Err(fault),
            AskFailure::Lost(loss) => Ok(loss),
            AskFailure::AddressMissing if self.bound_once => Ok(Loss::NoPath),
            AskFailure::AddressMissing => Err(Fault::AddressMissing),
        };
        match loss {
            Ok(loss) => {
                self.bound_once = true;
                self.end(pending, Outcome::Lost(loss), now, fx);
                // The echo may have been found overdue before the failure was told.
                if !pending.overdue {
                    self.lost(echo, pending, loss, now, fx);
                }
            }
            Err(fault) => {
                self.replies.not_asked(echo);
                self.end(pending, Outcome::Fault(fault), now, fx);
                self.judge_silence(now, fx);
            }
        }
        self.judge_down(now, fx);
    }

    /// The host slept or the process was held up: replies may have been missed, so what is under way says nothing.
    pub fn held_up(&mut self, now: Now, fx: &mut Effects) {
        for (echo, pending) in std::mem::take(&mut self.pending) {
            self.replies.not_asked(echo);
            self.end(pending, Outcome::Fault(Fault::HeldUp), now, fx);
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Now, fx: &mut Effects) {
        if self.due <= now.mono {
            self.tick(now, fx);
        }
        self.find_overdue(now, fx);
        self.end_unanswered(now, fx);
        self.judge_down(now, fx);
        self.judge_silence(now, fx);
    }

    /// When it wants to be called again.
    pub fn next_timeout(&self) -> Moment {
        let overdue_after = self.rtt.overdue_after(self.rules.timeout);
        let echoes = self.pending.values().map(|pending| match pending.sent {
            Some(sent) if !pending.overdue => sent + overdue_after,
            Some(_) | None => pending.asked.mono + self.given_up_after(),
        });
        let down = (!self.waits_in_vain() && self.lost_on_both()).then(|| self.down_at()).flatten();
        let silence = match self.verdict {
            Verdict::Up | Verdict::Down => {
                Some(self.last_evidence.max(self.last_activity) + self.silence_after())
            }
            Verdict::Unknown(_) => None,
        };
        echoes.chain(down).chain(silence).fold(self.due, Moment::min)
    }

    /// Closes its clients, because the check is no longer wanted.
    pub fn retire(&self, fx: &mut Effects) {
        for client in self.clients.all() {
            fx.requests.push_back(Request::Retire { check: self.id.clone(), client });
        }
    }
}

#[cfg(test)]
mod tests;

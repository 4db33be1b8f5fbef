//! One check: echoes in, a verdict out.
//!
//! In calm it probes every `interval`. The first overdue echo makes it *suspect*: it probes every `suspect_interval`, on two
//! clients in turn, until `up_after` replies in a row end the suspicion, or `down_after` overdue echoes in a row (the oldest
//! past `timeout`, and not all on one client) make it Down. While Down it probes every `interval`; the first reply makes it
//! suspect again. A check that was never answered is Unknown instead of Down. Send errors are no evidence.
//!
//! A check without a vote probes less often in calm, and when another check of its tunnel becomes suspect at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::clients::{Clients, Exercise, Fresh, Probed, Slot};
use super::echo::{Losses, Replies, RttMemory, answered};
use super::event::{AskFailure, SeenUp};
use super::fact::{Effects, Fact};
use super::names::CheckId;
use super::plan::{LATE_WINDOW, ProbeRules, Route};
use super::request::{ClientId, EchoId, EchoRequest, Request};
use super::time::{Moment, Now};
use super::timers::{next_on_grid, ticks_between};
use super::verdict::{Fault, LocalEvidence, Loss, Outcome, Verdict, Why};

/// More would add nothing: at 64 unanswered echoes there is no doubt left.
pub const IN_FLIGHT_MAX: usize = 64;

/// Between the echoes of a check without a vote, while nothing is in doubt: it explains, and decides nothing.
const EXPLAINING_EVERY: Duration = Duration::from_secs(30);

/// How often to probe, and what an overdue echo means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AskingPace {
    /// Waiting for the first replies: fast, so that there is a verdict within a second or two of the start.
    Starting,
    /// It works.
    Calm,
    /// An echo was overdue, or a first reply came after Down.
    Suspect,
    /// No reply is expected: Down, never answered, or send errors only.
    Waiting,
}

/// An echo under way.
#[derive(Debug, Clone, Copy)]
struct PendingEcho {
    asked: Now,
    sent: Option<Moment>,
    slot: Slot,
    client: ClientId,
    overdue: bool,
}

/// What earlier runs know about a check's route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Before {
    /// The inside address has answered.
    pub answered: bool,
    /// It has answered over this very route: this host held our end of it.
    pub held: bool,
}

/// A check of one tunnel.
#[derive(Debug)]
pub struct Check {
    id: CheckId,
    route: Arc<Route>,
    rules: ProbeRules,
    anchor: Moment,
    suspect_interval: Duration,
    votes: bool,

    pace: AskingPace,
    due: Moment,
    verdict: Verdict,
    since: Now,

    pending: BTreeMap<EchoId, PendingEcho>,
    clients: Clients,
    exercise: Exercise,
    rtt: RttMemory,
    replies: Replies,
    losses: Losses,

    seen_up: bool,
    /// Whether it is stored that this very route was answered.
    remembered: bool,
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
    /// A check that probes on the grid through `anchor`.
    pub fn new(
        id: CheckId,
        route: Arc<Route>,
        rules: ProbeRules,
        anchor: Moment,
        before: Before,
        now: Now,
        fx: &mut Effects,
    ) -> Self {
        Self {
            id,
            route,
            rules,
            anchor,
            suspect_interval: rules.suspect_interval,
            votes: true,
            pace: AskingPace::Starting,
            due: next_on_grid(anchor, rules.suspect_interval, now.mono),
            verdict: Verdict::Unknown(Why::Starting),
            since: now,
            pending: BTreeMap::new(),
            clients: Clients::new(fx.new_client()),
            exercise: Exercise::new(anchor, now.mono),
            rtt: RttMemory::default(),
            replies: Replies::new(usize::try_from(rules.up_after.get()).unwrap_or(usize::MAX), IN_FLIGHT_MAX),
            losses: Losses::default(),
            seen_up: before.answered,
            remembered: before.held,
            bound_once: before.held,
            fault: None,
            last_evidence: now.mono,
            last_activity: now.mono,
            last_reply: None,
            replies_in_row: 0,
            ticks_skipped: 0,
            asked_once: false,
        }
    }

    /// The same check, with or without a vote.
    pub fn voting(mut self, votes: bool, now: Now) -> Self {
        if self.votes != votes {
            self.votes = votes;
            self.pace_changed(now);
        }
        self
    }

    /// The route that it probes.
    pub const fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// Which check this is.
    pub const fn id(&self) -> &CheckId {
        &self.id
    }

    /// What it says.
    pub const fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Between two of its echoes in calm.
    pub const fn probe_interval(&self) -> Duration {
        self.rules.interval
    }

    /// Since when it says so.
    pub const fn since(&self) -> Now {
        self.since
    }

    /// Whether it probes faster because of a doubt.
    pub const fn is_suspect(&self) -> bool {
        matches!(self.pace, AskingPace::Suspect | AskingPace::Starting)
    }

    /// Whether an echo has ended or become overdue since the start.
    pub const fn was_asked(&self) -> bool {
        self.asked_once
    }

    /// What to store about its route.
    pub fn seen_up(&self) -> Option<SeenUp> {
        let mut key = self.route.key();
        key.own = key.own.filter(|_| self.remembered);
        self.seen_up.then(|| SeenUp::Local(self.id.clone(), key))
    }

    /// The same, for the check that replaces it.
    pub const fn before(&self) -> Before {
        Before { answered: self.seen_up, held: self.remembered }
    }

    /// The result of trying a fresh client in calm.
    pub const fn fresh_client(&self) -> Fresh {
        self.exercise.fresh()
    }

    /// Ticks left out since the start.
    pub const fn ticks_skipped(&self) -> u64 {
        self.ticks_skipped
    }

    /// When an echo was last answered or lost.
    pub const fn evidence_as_of(&self) -> Moment {
        self.last_evidence
    }

    /// Its state in numbers, apart from what is counted since the start of a verdict.
    pub fn evidence(&self) -> LocalEvidence {
        LocalEvidence {
            last_reply: self.last_reply,
            stopped: None,
            losses_in_row: self.losses.count(),
            first_loss: self.losses.first(),
            last_loss: self.losses.last(),
            replies_in_row: self.replies_in_row,
            loss_percent: None,
            median_rtt: self.rtt.median(),
            through: self.id.kind.host(),
        }
    }

    /// Echoes sent after `since` that are in flight and overdue: lost, as far as is known yet.
    pub fn overdue_in_flight(&self, since: Moment) -> u32 {
        let overdue = |pending: &&PendingEcho| pending.overdue && pending.asked.mono > since;
        u32::try_from(self.pending.values().filter(overdue).count()).unwrap_or(u32::MAX)
    }

    /// Another check of the tunnel is in doubt: one that probes seldom asks at once.
    pub fn hurry(&mut self, now: Now) {
        self.due = self.due.min(next_on_grid(self.anchor, self.suspect_interval, now.mono));
    }

    /// Sets the pace under suspicion, which depends on the number of suspect checks.
    pub fn set_suspect_interval(&mut self, interval: Duration) {
        self.suspect_interval = interval;
    }

    /// Takes other rules; echoes in flight end by them.
    pub fn set_rules(&mut self, rules: ProbeRules, anchor: Moment, now: Now) {
        if self.rules == rules && self.anchor == anchor {
            return;
        }
        self.rules = rules;
        self.anchor = anchor;
        self.suspect_interval = rules.suspect_interval;
        self.replies.remember(usize::try_from(rules.up_after.get()).unwrap_or(usize::MAX), IN_FLIGHT_MAX);
        self.pace_changed(now);
    }

    /// Silence counts from now: what was rightly asked seldom until now is not silent.
    fn pace_changed(&mut self, now: Now) {
        self.due = next_on_grid(self.anchor, self.interval(), now.mono);
        self.last_activity = self.last_activity.max(now.mono);
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
        if self.exercise.asked(echo) {
            let outcome = answered(rtt, self.rules.timeout);
            return self.exercise.ended(&self.id, Fresh::Works, outcome, now, fx);
        }
        let Some(pending) = self.pending.remove(&echo) else { return };
        self.end(pending, answered(rtt, self.rules.timeout), now, fx);
        if rtt <= self.rules.timeout {
            self.rtt.record(rtt, matches!(self.pace, AskingPace::Suspect | AskingPace::Waiting));
        }
        self.clients.answered(pending.client);
        self.losses.clear();
        self.fault = None;
        self.last_reply = Some(now);
        self.replies_in_row = self.replies.answered(echo);
        if !self.remembered {
            (self.seen_up, self.remembered) = (true, true);
            fx.facts.extend(self.seen_up().map(Fact::SeenUp));
        }
        if self.pace == AskingPace::Waiting {
            self.set_pace(AskingPace::Suspect, now, fx);
        }
        if self.replies_in_row >= self.rules.up_after.get() {
            self.set_verdict(Verdict::Up, now);
            self.set_pace(AskingPace::Calm, now, fx);
        }
    }

    /// An echo could not be sent.
    pub fn failed(&mut self, echo: EchoId, failure: AskFailure, now: Now, fx: &mut Effects) {
        if self.exercise.asked(echo) {
            return self.exercise.failed(&self.id, failure, now, fx);
        }
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
                // The echo may have been found overdue before the failure was reported.
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

    /// The host slept or the process was stopped: replies may have been missed, so echoes in flight are no evidence.
    pub fn held_up(&mut self, now: Now, fx: &mut Effects) {
        for (echo, pending) in std::mem::take(&mut self.pending) {
            self.replies.not_asked(echo);
            self.end(pending, Outcome::Fault(Fault::HeldUp), now, fx);
        }
        self.exercise.ended(&self.id, self.exercise.fresh(), Outcome::Fault(Fault::HeldUp), now, fx);
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
        let of = Probed { check: &self.id, route: &self.route, give_up: self.given_up_after() };
        self.exercise.tick(&of, self.pace == AskingPace::Calm, now, fx);
    }

    /// When to call [`Self::handle_timeout`].
    pub fn next_timeout(&self) -> Moment {
        let overdue_after = self.rtt.overdue_after(self.rules.timeout);
        let echoes = self.pending.values().map(|pending| match pending.sent {
            Some(sent) if !pending.overdue => sent + overdue_after,
            Some(_) | None => pending.asked.mono + self.given_up_after(),
        });
        let down = (!self.is_settled_down() && self.lost_on_both()).then(|| self.down_at()).flatten();
        let silence = match self.verdict {
            Verdict::Up | Verdict::Down => {
                Some(self.last_evidence.max(self.last_activity) + self.silence_after())
            }
            Verdict::Unknown(_) => None,
        };
        let exercise = self.exercise.next_timeout(self.given_up_after(), self.pace == AskingPace::Calm);
        echoes.chain(down).chain(silence).chain(exercise).fold(self.due, Moment::min)
    }

    /// Closes its clients, because the check is no longer wanted.
    pub fn retire(&self, fx: &mut Effects) {
        for client in self.clients.all() {
            fx.requests.push_back(Request::Retire { check: self.id.clone(), client });
        }
        self.exercise.retire(&self.id, fx);
    }
}

//--- when to send an echo, how often, and on which client

impl Check {
    /// Between echoes, at the present pace.
    pub fn interval(&self) -> Duration {
        match self.pace {
            AskingPace::Starting | AskingPace::Suspect => self.suspect_interval,
            AskingPace::Calm => self.calm_interval(),
            AskingPace::Waiting => match self.verdict {
                // A host that never answered is asked as seldom; one that is Down as often as any, to see the end of it.
                Verdict::Unknown(Why::NeverAnswered) => self.calm_interval(),
                Verdict::Up | Verdict::Down | Verdict::Unknown(_) => self.rules.interval,
            },
        }
    }

    fn calm_interval(&self) -> Duration {
        if self.votes { self.rules.interval } else { self.rules.interval.max(EXPLAINING_EVERY) }
    }

    fn tick(&mut self, now: Now, fx: &mut Effects) {
        let interval = self.interval();
        let next = next_on_grid(self.anchor, interval, now.mono);
        let mut skipped = ticks_between(self.due, next, interval);
        self.due = next;
        if self.pending.len() >= IN_FLIGHT_MAX {
            skipped += 1;
        } else {
            self.ask(now, fx);
        }
        if skipped > 0 {
            self.ticks_skipped += skipped;
            fx.facts.push_back(Fact::TicksSkipped { check: self.id.clone(), count: skipped });
        }
    }

    fn ask(&mut self, now: Now, fx: &mut Effects) {
        let in_doubt = self.pace != AskingPace::Calm;
        if self.pace == AskingPace::Waiting {
            self.refresh_client(now, fx);
        }
        let (slot, client) = self.clients.next(in_doubt);
        let echo = fx.new_echo();
        self.replies.asked(echo);
        self.pending.insert(echo, PendingEcho { asked: now, sent: None, slot, client, overdue: false });
        fx.requests.push_back(Request::Echo(EchoRequest {
            check: self.id.clone(),
            echo,
            client,
            route: Arc::clone(&self.route),
            give_up: self.given_up_after(),
        }));
    }

    fn given_up_after(&self) -> Duration {
        self.rules.timeout + LATE_WINDOW
    }

    fn refresh_client(&mut self, now: Now, fx: &mut Effects) {
        if self.clients.may_refresh(now.mono) {
            let fresh = fx.new_client();
            if let Some(client) = self.clients.refresh(fresh, now.mono) {
                fx.requests.push_back(Request::Retire { check: self.id.clone(), client });
            }
        }
    }
}

//--- what overdue, lost and failed echoes mean, and when the state is unknown

impl Check {
    fn find_overdue(&mut self, now: Now, fx: &mut Effects) {
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

    /// An echo is overdue, or the tunnel did not accept it.
    fn lost(&mut self, echo: EchoId, pending: PendingEcho, loss: Loss, now: Now, fx: &mut Effects) {
        self.asked_once = true;
        self.last_evidence = now.mono;
        self.last_activity = now.mono;
        self.replies_in_row = 0;
        self.losses.add(pending.asked, pending.slot, loss);
        if !self.is_settled_down() {
            if self.pace != AskingPace::Suspect {
                self.replies.count_from(echo);
                self.set_pace(AskingPace::Suspect, now, fx);
            }
            self.refresh_client(now, fx);
        }
    }

    /// Further losses change nothing: it is already Down, or was never answered.
    const fn is_settled_down(&self) -> bool {
        matches!(self.verdict, Verdict::Down | Verdict::Unknown(Why::NeverAnswered))
            && matches!(self.pace, AskingPace::Waiting)
    }

    fn end_unanswered(&mut self, now: Now, fx: &mut Effects) {
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

    fn judge_down(&mut self, now: Now, fx: &mut Effects) {
        if self.is_settled_down() || !self.lost_on_both() || self.down_at().is_none_or(|at| at > now.mono) {
            return;
        }
        let verdict = if self.seen_up { Verdict::Down } else { Verdict::Unknown(Why::NeverAnswered) };
        self.set_verdict(verdict, now);
        self.set_pace(AskingPace::Waiting, now, fx);
    }

    /// When the oldest unanswered echo is past `timeout`, once `down_after` are overdue. It is the oldest of all of them: where
    /// more than `down_after` are sent within one `timeout`, the last `down_after` would always be young.
    fn down_at(&self) -> Option<Moment> {
        let oldest = self.losses.first()?;
        (self.losses.count() >= self.rules.down_after.get()).then(|| oldest.mono + self.rules.timeout)
    }

    /// Whether both clients have lost. Where the other one cannot be opened, one alone decides: a wrong loss costs a Disputed,
    /// but a wrong fault costs the page.
    const fn lost_on_both(&self) -> bool {
        let other_cannot_be_had = match self.fault {
            // A client whose process was held up exists all the same.
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

    /// Send errors only, or nothing sent and nothing ended, for long enough: the state is unknown.
    fn judge_silence(&mut self, now: Now, fx: &mut Effects) {
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
        self.set_pace(AskingPace::Waiting, now, fx);
    }

    fn silence_after(&self) -> Duration {
        (self.calm_interval().max(self.suspect_interval) * 3).max(self.rules.timeout * 2)
    }

    fn end(&mut self, pending: PendingEcho, outcome: Outcome, now: Now, fx: &mut Effects) {
        self.asked_once = true;
        self.last_activity = now.mono;
        match outcome {
            Outcome::Reply { .. } | Outcome::Late { .. } | Outcome::Lost(_) => self.last_evidence = now.mono,
            Outcome::Fault(fault) => self.fault = Some((fault, now.mono)),
        }
        fx.ended.push((self.id.clone(), pending.asked.mono, outcome));
        fx.facts.push_back(Fact::EchoEnded { check: self.id.clone(), outcome });
    }

    fn set_verdict(&mut self, verdict: Verdict, now: Now) {
        if self.verdict != verdict {
            if !self.verdict.same_word(verdict) {
                self.since = now;
            }
            self.verdict = verdict;
        }
    }

    fn set_pace(&mut self, pace: AskingPace, now: Now, fx: &mut Effects) {
        if self.pace == pace {
            return;
        }
        let was_suspect = self.pace == AskingPace::Suspect;
        self.pace = pace;
        self.due = next_on_grid(self.anchor, self.interval(), now.mono);
        if pace == AskingPace::Calm {
            self.rtt.thaw();
        }
        if was_suspect != (pace == AskingPace::Suspect) {
            fx.facts.push_back(Fact::Suspicion { check: self.id.clone(), suspect: !was_suspect, at: now });
        }
    }
}

#[cfg(test)]
mod tests;

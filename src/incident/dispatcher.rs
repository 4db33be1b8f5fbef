//! Sends an incident's story to a sink that only takes messages: pure, level-triggered, patient, like [`super::reconcile`].
//!
//! # Why nothing is sent twice, and nothing is lost
//! The sink cannot be asked what it has: the ledger alone says what was sent. A row is written after the sink has taken a message,
//! and before the first one, so that a restart knows how much of the story may have been sent. What the ledger cannot
//! know is whether a message arrived whose answer was lost, or after whose arrival the daemon died: that one is sent once
//! more. It has the same id then, so that a receiver can drop it: *at least once on the wire, once by its id*.
//!
//! A message is composed once in a run and sent until it is taken; what happens meanwhile goes into the next. Every failure
//! is followed by another try, and the Board keeps an incident until this sink has settled it. Two things overtake:
//! the end, and what worsens. A lesser change that waits is sent with them, and that it was refused holds up neither.
//!
//! # What is sent
//! An incident that opens; at once when it worsens, and so the first other change; further ones at most once in [`UPDATE_EVERY`],
//! taken together, and none for what has changed back by then; its end, or that this site no longer watches it; nothing after
//! that. Of an incident that was only found at another sink nothing is sent: what this site has not seen it cannot report.
//!
//! The messages of connection and kind share a key, and a vendor may hold one alert by it. So the incidents of one key are sent
//! one after the other; but an end that is refused, or that follows an opening that was never sent, gives way to the
//! later incident that is open: its page matters more.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::board::{
    Board, Incident, IncidentId, IncidentState, TimelineChange, TimelineEntry, TunnelSnapshot,
};
use crate::domain::carrying::Carrying;
use crate::domain::names::TunnelId;
use crate::domain::story::worsened_since;
use crate::domain::time::{Moment, Now, Stamp};
use crate::domain::verdict::Assessment;
use crate::health::Problem;

use super::action::{
    ActionFailure, ActionId, ActionKind, NoticeReason, Priority, Reply, Settled, SinkNotice, Work,
};
use super::message::{Change, Message, Occasion, compose};
use super::outbox::{Machine, Outbox, Retry, worst_problem};
use super::settings::{MessageSettings, SinkRules};
use super::sink::{LedgerRow, RecordId, SinkError};

/// A row whose incident is not on the Board may be of one that comes late after a start.
const ABSENT_GRACE: Duration = Duration::from_secs(300);

/// One sink's dispatcher.
#[derive(Debug)]
pub struct MessageDispatcher {
    settings: MessageSettings,
    cases: BTreeMap<IncidentId, MessageCase>,
    /// What the ledger has of incidents that were not on the Board in this run.
    stored: BTreeMap<IncidentId, LedgerRow>,
    started: Moment,
    outbox: Outbox<Arc<Message>, MessageRoute>,
}

/// Whose action it is.
#[derive(Debug)]
pub enum MessageRoute {
    /// An incident's.
    Case(IncidentId),
    /// A row's whose incident is not on the Board.
    Stored,
}

impl MessageDispatcher {
    /// A dispatcher that goes on with what the ledger has of this sink.
    pub fn new(settings: MessageSettings, rows: Vec<LedgerRow>, now: Now) -> Self {
        let mut stored: BTreeMap<IncidentId, LedgerRow> = BTreeMap::new();
        for row in rows {
            let later = stored.get(&row.incident).is_none_or(|known| known.generation < row.generation);
            if later {
                stored.insert(row.incident.clone(), row);
            }
        }
        let outbox = Outbox::new(settings.rules.id().clone());
        Self { settings, cases: BTreeMap::new(), stored, started: now.mono, outbox }
    }

    fn plan_case(&mut self, id: &IncidentId, now: Now) {
        let of_key = |other: &&MessageCase| {
            let other_id = &other.incident.id;
            other.present && other_id.vpn == id.vpn && other_id.kind == id.kind && !other.row.settled
        };
        let siblings = || self.cases.values().filter(of_key);
        let context = MessageContext {
            now,
            settings: &self.settings,
            earlier: siblings().any(|other| other.incident.id.opened < id.opened),
            later: siblings().any(|other| other.incident.id.opened > id.opened && other.is_open()),
        };
        let Some(case) = self.cases.get_mut(id).filter(|case| case.in_flight.is_none()) else { return };
        let yielded = case.row.settled;
        let step = case.advance(&context);
        if case.gave_way && !yielded && case.row.record.is_some() {
            let id = context.settings.rules.id();
            self.outbox.notice(SinkNotice::of(&case.incident, id, NoticeReason::EndNotSent));
        }
        match step {
            MessageStep::Do(work) => {
                let kind = work.kind();
                let action = self.outbox.send(work, MessageRoute::Case(id.clone()), now.mono);
                case.in_flight = Some((action, kind));
            }
            MessageStep::Wait(until) => {
                let commit =
                    case.ledger.until(now.mono, ActionKind::Commit.priority()).filter(|_| case.dirty);
                if let Some((until, why)) = until {
                    self.outbox.wake_at(Some(until), why);
                }
                self.outbox.wake_at(commit, "commit again");
            }
            MessageStep::Settled => {
                let revision = case.incident.revision;
                case.settled_revision = Some(revision);
                self.outbox.settle(Settled { incident: id.clone(), revision });
                // The core answers with a Board that does not have it.
            }
        }
    }

    /// Rows of incidents that have not come back on the Board since the start: there is nothing more to tell.
    fn plan_stored(&mut self, now: Now) {
        if self.stored.is_empty() {
            return;
        }
        let due = self.started + ABSENT_GRACE;
        if due > now.mono {
            self.outbox.wake_at(Some(due), "rows without an incident");
            return;
        }
        for (incident, row) in mem::take(&mut self.stored) {
            if !row.settled && row.record.is_some() {
                self.outbox.notice(SinkNotice {
                    site: Arc::clone(&self.settings.rules.site),
                    sink: self.settings.rules.id().clone(),
                    incident: incident.clone(),
                    vpn_name: None,
                    reason: NoticeReason::EndUnknown,
                });
            }
            self.outbox.send(Work::Forget { incident }, MessageRoute::Stored, now.mono);
        }
    }
}

impl Machine for MessageDispatcher {
    type Call = Arc<Message>;
    type Route = MessageRoute;

    fn see(&mut self, board: Arc<Board>, now: Now) {
        for case in self.cases.values_mut() {
            case.present = false;
        }
        for incident in &board.incidents {
            if !self.settings.rules.sink.takes(&incident.id.vpn, incident.id.kind) {
                continue;
            }
            // What is settled and open was given up, and is adopted again under the same name: another story.
            let again = |row: &LedgerRow| row.settled && incident.state == IncidentState::Open;
            if let Some(case) = self.cases.get_mut(&incident.id) {
                case.present = true;
                case.incident = Arc::clone(incident);
                if again(&case.row) {
                    case.begin_again();
                }
            } else {
                let row = self.stored.remove(&incident.id);
                let mut case = MessageCase::new(&self.settings.rules, Arc::clone(incident), row, now.mono);
                if again(&case.row) {
                    case.begin_again();
                }
                self.cases.insert(incident.id.clone(), case);
            }
        }
        self.cases.retain(|_, case| case.present || case.in_flight.is_some() || case.may_have_told());
    }

    fn ended(&mut self, route: MessageRoute, id: ActionId, result: Result<Reply, ActionFailure>, now: Now) {
        let MessageRoute::Case(incident) = route else { return };
        let Some(case) = self.cases.get_mut(&incident) else { return };
        let Some((_, kind)) = case.in_flight.take_if(|(known, _)| *known == id) else { return };
        if kind == ActionKind::Forget && result.is_ok() {
            self.cases.remove(&incident);
            return;
        }
        if let Some(sent) = case.ended(kind, result, now.mono, &self.settings) {
            self.outbox.notice(SinkNotice::of(&case.incident, self.settings.rules.id(), sent));
        }
    }

    /// Asks every case what it wants.
    fn plan(&mut self, now: Now) {
        let ids: Vec<IncidentId> = self.cases.keys().cloned().collect();
        for id in &ids {
            self.plan_case(id, now);
        }
        self.plan_stored(now);
    }

    fn pending(&self) -> usize {
        self.cases.values().filter(|case| case.present && !case.is_in_line()).count()
    }

    fn problem(&self) -> Option<Problem> {
        let cases = self.cases.values();
        worst_problem(
            cases.flat_map(|case| [(ActionKind::Deliver, &case.deliver), (ActionKind::Commit, &case.ledger)]),
        )
    }

    fn outbox(&self) -> &Outbox<Arc<Message>, MessageRoute> {
        &self.outbox
    }

    fn outbox_mut(&mut self) -> &mut Outbox<Arc<Message>, MessageRoute> {
        &mut self.outbox
    }
}

/// Changes that worsen nothing are gathered for so long: a line that flaps must not fill a mailbox.
pub const UPDATE_EVERY: Duration = Duration::from_secs(60);

/// One incident.
///
/// Of its [`LedgerRow`], `record` is the messages' key once the sink has taken the opening, `told` how far the story is sent
/// (or may be, while `record` is `None`), and `settled` that nothing more is to be sent.
#[derive(Debug)]
struct MessageCase {
    incident: Arc<Incident>,
    /// Whether it is on the Board.
    present: bool,
    /// The row as it should be in the ledger.
    row: LedgerRow,
    /// Whether the ledger may have another.
    dirty: bool,
    /// What is being sent until it is taken.
    outgoing: Option<Arc<Message>>,
    /// When anything was last sent in this run, and when it was more than a repetition.
    last_told: Option<Moment>,
    last_update: Option<Moment>,
    /// How often it has worsened, as sent.
    worsened: u32,
    /// The action that has not ended.
    in_flight: Option<(ActionId, ActionKind)>,
    deliver: Retry,
    ledger: Retry,
    /// Its end is not sent, because a later incident goes on.
    gave_way: bool,
    /// The revision that was last reported as settled.
    settled_revision: Option<u64>,
}

/// What a case must know beyond itself.
#[derive(Debug)]
struct MessageContext<'a> {
    now: Now,
    settings: &'a MessageSettings,
    /// An earlier incident of the same key is not settled.
    earlier: bool,
    /// A later incident of the same key is open.
    later: bool,
}

/// What a case wants.
#[derive(Debug)]
enum MessageStep {
    Do(Work<Arc<Message>>),
    Wait(Option<(Moment, &'static str)>),
    Settled,
}

impl MessageCase {
    /// A case for an incident that has appeared on the Board, with the row that the ledger has of it.
    fn new(settings: &SinkRules, incident: Arc<Incident>, row: Option<LedgerRow>, now: Moment) -> Self {
        // What an earlier run has sent may have been sent just before its end.
        let last_update = row.as_ref().is_some_and(|row| row.record.is_some()).then_some(now);
        let row = row.unwrap_or_else(|| LedgerRow::new(&settings.sink, incident.id.clone()));
        Self {
            worsened: incident.worsened.saturating_sub(worsened_since(&incident, row.told)),
            incident,
            present: true,
            row,
            dirty: false,
            outgoing: None,
            last_told: None,
            last_update,
            in_flight: None,
            deliver: Retry::default(),
            ledger: Retry::default(),
            gave_way: false,
            settled_revision: None,
        }
    }

    /// Another story of the same incident.
    fn begin_again(&mut self) {
        self.row.generation += 1;
        self.row.record = None;
        self.row.told = 0;
        self.row.settled = false;
        self.outgoing = None;
        self.gave_way = false;
        self.settled_revision = None;
    }

    fn is_open(&self) -> bool {
        match self.incident.state {
            IncidentState::Open => true,
            IncidentState::Resolved { .. } | IncidentState::Unwatched { .. } => false,
        }
    }

    /// Whether the sink may have heard of it.
    fn may_have_told(&self) -> bool {
        self.row.told > 0 || self.row.record.is_some() || self.row.settled
    }

    /// Whether nothing waits to be sent but what is gathered, or repeated.
    fn is_in_line(&self) -> bool {
        let news = self.outgoing.as_ref().is_some_and(|message| message.change != Change::Repeated);
        let known = self.row.record.is_some() || self.incident.found_at.is_some();
        if self.is_open() { known && !news } else { self.row.settled }
    }

    /// What is to be done next.
    fn advance(&mut self, context: &MessageContext<'_>) -> MessageStep {
        let now = context.now.mono;
        self.drop_what_is_stale();
        loop {
            if self.dirty && self.ledger.until(now, ActionKind::Commit.priority()).is_none() {
                return MessageStep::Do(Work::Commit { row: Box::new(self.row.clone()) });
            }
            if !self.present {
                return self.absent(now);
            }
            if self.row.settled {
                let reported = self.settled_revision.is_some_and(|told| told >= self.incident.revision);
                return if reported || self.is_open() {
                    MessageStep::Wait(None)
                } else {
                    MessageStep::Settled
                };
            }
            if self.gives_way(context) {
                self.gave_way = true;
                self.settle();
                continue;
            }
            if let Some(message) = &self.outgoing {
                return match self.deliver.until(now, priority(message.change)) {
                    Some(until) => MessageStep::Wait(Some((until, "deliver again"))),
                    None => MessageStep::Do(Work::Call(Arc::clone(message))),
                };
            }
            match self.next(context) {
                NextMessage::Tell(change, at) => {
                    let occasion = Occasion {
                        sink: &context.settings.rules.sink.destination,
                        change,
                        generation: self.row.generation,
                        told: if change == Change::Opened { 0 } else { self.row.told },
                        at,
                    };
                    let message = compose(&self.incident, &context.settings.rules, occasion);
                    if priority(change) == Priority::Page {
                        // Whatever was refused, it was another message.
                        self.deliver.let_go();
                    }
                    if change == Change::Opened && self.row.told == 0 {
                        // Before it is sent the first time: what was in it is not sent again after a restart, and what was
                        // not is.
                        self.row.told = message.upto.max(1);
                        self.worsened = message.worsened;
                        self.dirty = true;
                    }
                    self.outgoing = Some(Arc::new(message));
                }
                NextMessage::Settle => self.settle(),
                NextMessage::Wait(until) => return MessageStep::Wait(until),
            }
        }
    }

    /// The incident has left the Board: there is nothing more to tell.
    fn absent(&self, now: Moment) -> MessageStep {
        match self.ledger.until(now, ActionKind::Forget.priority()) {
            Some(until) => MessageStep::Wait(Some((until, "forget again"))),
            None => MessageStep::Do(Work::Forget { incident: self.incident.id.clone() }),
        }
    }

    /// A repetition says how things are, so it is composed for every try. What has changed is sent with the end, once there is
    /// one: a story with a gap is better than an end that waits for it. So it is with what worsens, which waits neither for
    /// a lesser change nor for anything that was refused.
    fn drop_what_is_stale(&mut self) {
        let (open, worsened, refused) = (self.is_open(), self.incident.worsened, self.deliver.is_rejected());
        self.outgoing.take_if(|message| match message.change {
            Change::Repeated => true,
            Change::Updated => !open || worsened > message.worsened,
            Change::Worsened => !open || (refused && worsened > message.worsened),
            Change::Opened | Change::Resolved | Change::Unwatched => false,
        });
    }

    /// Whether it leaves the key to a later incident.
    fn gives_way(&self, context: &MessageContext<'_>) -> bool {
        let untold = self.row.record.is_none();
        !self.is_open() && context.later && (untold || self.deliver.is_rejected())
    }

    fn settle(&mut self) {
        self.outgoing = None;
        self.deliver.clear();
        self.row.settled = true;
        self.dirty = true;
    }

    fn next(&self, context: &MessageContext<'_>) -> NextMessage {
        let opened = self.row.record.is_some();
        if self.incident.found_at.is_some() {
            return if self.is_open() { NextMessage::Wait(None) } else { NextMessage::Settle };
        }
        match (self.incident.state, opened) {
            (IncidentState::Unwatched { .. }, false) => NextMessage::Settle,
            (IncidentState::Unwatched { at }, true) => NextMessage::Tell(Change::Unwatched, at),
            (IncidentState::Resolved { at }, true) => NextMessage::Tell(Change::Resolved, at),
            // The earlier one settles first.
            (IncidentState::Open | IncidentState::Resolved { .. }, false) if context.earlier => {
                NextMessage::Wait(None)
            }
            (IncidentState::Open | IncidentState::Resolved { .. }, false) => {
                NextMessage::Tell(Change::Opened, self.incident.id.opened)
            }
            (IncidentState::Open, true) => self.next_of_open(context),
        }
    }

    fn next_of_open(&self, context: &MessageContext<'_>) -> NextMessage {
        let now = context.now.mono;
        let news = |entry: &&TimelineEntry| entry.seq >= self.row.told && is_news(&entry.what);
        // What has changed and changed back is sent with the next change. A restart knows no verdict at first, and comes to
        // the same one.
        let untold = || self.incident.timeline.iter().filter(|entry| entry.seq >= self.row.told);
        // What was sent may have been left out since: then it cannot be said that nothing has changed.
        let lost = untold().any(|entry| entry.repeats > 0);
        let changed = lost || standing(&self.incident, self.row.told) != standing(&self.incident, u32::MAX);
        let last = self.incident.timeline.iter().rfind(news).filter(|_| changed);
        let worse = self.incident.worsened > self.worsened;
        let update = match (last, worse) {
            (_, true) => Some(now),
            (Some(_), false) => Some(self.last_update.map_or(now, |last| last + UPDATE_EVERY)),
            (None, false) => None,
        };
        if update.is_some_and(|due| due <= now) {
            let at = last.map_or(context.now.wall, |entry| entry.at);
            return NextMessage::Tell(if worse { Change::Worsened } else { Change::Updated }, at);
        }
        let repeat =
            context.settings.repeat_every.map(|every| self.last_told.map_or(now, |last| last + every));
        if repeat.is_some_and(|due| due <= now) {
            return NextMessage::Tell(Change::Repeated, context.now.wall);
        }
        let update = update.map(|due| (due, "what has changed"));
        NextMessage::Wait(update.into_iter().chain(repeat.map(|due| (due, "repeat"))).min())
    }

    /// An action has ended; what people should hear of it.
    fn ended(
        &mut self,
        kind: ActionKind,
        result: Result<Reply, ActionFailure>,
        now: Moment,
        settings: &MessageSettings,
    ) -> Option<NoticeReason> {
        let MessageSettings { rules: settings, repeat_every } = settings;
        let ledger = kind != ActionKind::Deliver;
        match result {
            Ok(_) if ledger => {
                self.dirty = false;
                self.ledger.clear();
                None
            }
            Ok(_) => {
                self.deliver.clear();
                self.delivered(now)
            }
            Err(failure) => {
                let incident = self.incident.id.to_string();
                let seed = [&*settings.site, settings.id().as_str(), &incident, kind.as_str()];
                let open = self.is_open();
                let retry = if ledger { &mut self.ledger } else { &mut self.deliver };
                retry.failed(now, &lasting(failure), &seed);
                // A vendor that takes silence for an end would end what is open: a failure costs one repetition and not more.
                if let Some(every) = repeat_every.filter(|_| open && !ledger) {
                    retry.at_most(now, every);
                }
                None
            }
        }
    }

    /// The sink has taken the message.
    fn delivered(&mut self, now: Moment) -> Option<NoticeReason> {
        let message = self.outgoing.take()?;
        self.last_told = Some(now);
        self.dirty |= message.change != Change::Repeated;
        match message.change {
            Change::Opened => {
                // The first change after it is sent at once.
                self.row.record = Some(RecordId(message.key.clone()));
                Some(NoticeReason::Sent)
            }
            Change::Worsened | Change::Updated => {
                self.row.told = message.upto;
                self.worsened = message.worsened;
                self.last_update = Some(now);
                None
            }
            Change::Repeated => None,
            Change::Resolved => {
                self.row.settled = true;
                Some(NoticeReason::SentEnd)
            }
            Change::Unwatched => {
                self.row.settled = true;
                Some(NoticeReason::SentUnwatched)
            }
        }
    }
}

/// What is to be sent.
enum NextMessage {
    Tell(Change, Stamp),
    Settle,
    Wait(Option<(Moment, &'static str)>),
}

/// Whether somebody waits for a message. One that is waited for is tried at once, though another was rejected.
const fn priority(change: Change) -> Priority {
    match change {
        Change::Opened | Change::Worsened | Change::Resolved | Change::Unwatched => Priority::Page,
        Change::Updated | Change::Repeated => Priority::Quiet,
    }
}

/// A messenger has no records and no tokens to speak of: what it says of them is a refusal.
fn lasting(failure: ActionFailure) -> ActionFailure {
    match failure {
        ActionFailure::Sink(error @ (SinkError::NotFound | SinkError::TokenKnown)) => {
            ActionFailure::Sink(SinkError::Rejected { what: error.to_string(), source: None })
        }
        ActionFailure::Sink(SinkError::Temporary { .. } | SinkError::Rejected { .. })
        | ActionFailure::Ledger(_)
        | ActionFailure::NoAnswer
        | ActionFailure::Mismatch => failure,
    }
}

type Tunnels<'a> = BTreeMap<&'a TunnelId, (Assessment, Carrying)>;

/// How an incident stood before the entry `seq`, as far as that is worth a message.
fn standing(incident: &Incident, seq: u32) -> (Tunnels<'_>, Option<&TimelineChange>) {
    let of = |tunnel: &TunnelSnapshot| (tunnel.assessment, tunnel.carrying);
    let mut tunnels: Tunnels<'_> = incident.tunnels.iter().map(|tunnel| (&tunnel.id, of(tunnel))).collect();
    let mut phase = None;
    for entry in incident.timeline.iter().filter(|entry| entry.seq < seq) {
        match &entry.what {
            TimelineChange::Assessment { tunnel, name: _, assessment, carrying } => {
                tunnels.insert(tunnel, (*assessment, *carrying));
            }
            TimelineChange::Clearing | TimelineChange::Witnessed => phase = Some(&entry.what),
            // It goes on as before it was clearing.
            TimelineChange::Reopened => phase = None,
            TimelineChange::Opened
            | TimelineChange::TakenUp { .. }
            | TimelineChange::View { .. }
            | TimelineChange::Resolved
            | TimelineChange::Unwatched
            | TimelineChange::HandedOver
            | TimelineChange::Missed => {}
        }
    }
    (tunnels, phase)
}

/// Whether a change is worth a message: a verdict of one end is in the assessment that it leads to, and openings and ends
/// have messages of their own.
fn is_news(what: &TimelineChange) -> bool {
    match what {
        TimelineChange::Assessment { .. }
        | TimelineChange::Clearing
        | TimelineChange::Reopened
        | TimelineChange::Witnessed => true,
        TimelineChange::Opened
        | TimelineChange::TakenUp { .. }
        | TimelineChange::View { .. }
        | TimelineChange::Resolved
        | TimelineChange::Unwatched
        | TimelineChange::HandedOver
        | TimelineChange::Missed => false,
    }
}

#[cfg(test)]
mod tests;

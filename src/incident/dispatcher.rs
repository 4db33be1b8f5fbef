//! Sends an incident's messages to a sink that only accepts messages: pure and level-triggered, like [`super::reconcile`].
//!
//! # Why nothing is sent twice, and nothing is lost
//! The sink cannot be queried: only the ledger says what was sent. A row is written before the first message and after each
//! delivery, so that a restart knows how much of the timeline may have been sent. The ledger cannot know whether a message
//! was delivered whose answer was lost, or after whose delivery the daemon died: that message is sent again. It has the same
//! id then, so that a receiver can drop it: *at least once on the wire, once by its id*.
//!
//! A message is composed once in a run and sent until it is delivered; what happens meanwhile goes into the next one. Every
//! failure is followed by a retry, and the Board keeps an incident until this sink has settled it. The end and a worsening
//! overtake lesser changes: a change that waits is sent with them, and a rejected change delays neither.
//!
//! # What is sent
//! The opening; a worsening and the first other change at once; further changes at most once in [`UPDATE_EVERY`], combined,
//! and not at all if they have changed back by then; the end, or that this site no longer watches the connection; nothing
//! after that. For an incident that was only found at another sink nothing is sent: this site cannot report what it has not
//! seen.
//!
//! The opening of what is [withheld](super::withheld) waits. Once a row says that it may have been sent, everything is sent as ever. What
//! ends before is settled without a message, and what is released is sent at once, with its true beginning.
//!
//! The messages of one connection and kind share a key, and a vendor may keep one alert per key. So the incidents of one key
//! are sent one after the other. But an end that is rejected, or that follows an opening that was never sent, gives way to a
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
use super::withheld::Withholding;

/// A row whose incident is not on the Board may belong to one that is adopted late after a start.
const ABSENT_GRACE: Duration = Duration::from_secs(300);

/// One sink's dispatcher.
#[derive(Debug)]
pub struct MessageDispatcher {
    settings: MessageSettings,
    cases: BTreeMap<IncidentId, MessageCase>,
    /// The ledger's rows of incidents that have not been on the Board in this run.
    stored: BTreeMap<IncidentId, LedgerRow>,
    started: Moment,
    outbox: Outbox<Arc<Message>, MessageRoute>,
}

/// What an action belongs to.
#[derive(Debug)]
pub enum MessageRoute {
    /// An incident.
    Case(IncidentId),
    /// A row whose incident is not on the Board.
    Stored,
}

impl MessageDispatcher {
    /// A dispatcher that continues from the ledger's rows of this sink.
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
            other.present && other_id.scope == id.scope && other_id.kind == id.kind && !other.row.settled
        };
        let siblings = || self.cases.values().filter(of_key);
        let context = MessageContext {
            now,
            settings: &self.settings,
            earlier: siblings().any(|other| other.incident.id.opened < id.opened),
            // One that is held back has no page to give way to.
            later: siblings().any(|other| {
                other.incident.id.opened > id.opened && other.is_open() && !other.is_held_back()
            }),
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
                // The core answers with a Board without it.
            }
        }
    }

    /// Rows of incidents that have not returned to the Board since the start: there is nothing more to send.
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
                    name: None,
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
            if !self.settings.rules.sink.takes(&incident.id.scope, incident.id.kind) {
                continue;
            }
            // An incident that is settled and open was given up, and is adopted again under the same id: a new generation of
            // messages.
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
        let withholding = Withholding::new(&board, &self.settings.rules.sink);
        for case in self.cases.values_mut().filter(|case| case.present) {
            case.withheld = withholding.holds(&case.incident);
        }
        self.cases.retain(|_, case| case.present || case.in_flight.is_some() || case.may_have_sent());
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

    /// Asks every case for its next step.
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

/// Changes that are not worse are combined for this long: a line that flaps must not fill a mailbox.
pub const UPDATE_EVERY: Duration = Duration::from_secs(60);

/// One incident.
///
/// Of its [`LedgerRow`], `record` is the messages' key once the opening is delivered, `sent_upto` how far the timeline is sent
/// (or may be, while `record` is `None`), and `settled` that nothing more will be sent.
#[derive(Debug)]
struct MessageCase {
    incident: Arc<Incident>,
    /// Whether it is on the Board.
    present: bool,
    /// Whether this sink sends no opening of it for now; see [`withheld`](super::withheld).
    withheld: bool,
    /// The row as the ledger should have it.
    row: LedgerRow,
    /// Whether the ledger has a row of it, or may have.
    stored: bool,
    /// Whether the ledger's row may differ.
    dirty: bool,
    /// The message that is sent until it is delivered.
    outgoing: Option<Arc<Message>>,
    /// When the last message was delivered in this run, and when the last that was not a repetition.
    last_sent: Option<Moment>,
    last_update: Option<Moment>,
    /// The number of worsenings that were sent.
    worsened: u32,
    /// The action in flight.
    in_flight: Option<(ActionId, ActionKind)>,
    deliver: Retry,
    ledger: Retry,
    /// Its end is not sent, because a later incident is open.
    gave_way: bool,
    /// The revision that was last reported as settled.
    settled_revision: Option<u64>,
}

/// What a case needs to know beyond itself.
#[derive(Debug)]
struct MessageContext<'a> {
    now: Now,
    settings: &'a MessageSettings,
    /// An earlier incident of the same key is not settled.
    earlier: bool,
    /// A later incident of the same key is open.
    later: bool,
}

/// The next step of a case.
#[derive(Debug)]
enum MessageStep {
    Do(Work<Arc<Message>>),
    Wait(Option<(Moment, &'static str)>),
    Settled,
}

impl MessageCase {
    /// The case of an incident that has appeared on the Board, with its row of the ledger.
    fn new(settings: &SinkRules, incident: Arc<Incident>, row: Option<LedgerRow>, now: Moment) -> Self {
        // An earlier run may have sent its last message just before it ended.
        let last_update = row.as_ref().is_some_and(|row| row.record.is_some()).then_some(now);
        let stored = row.is_some();
        let row = row.unwrap_or_else(|| LedgerRow::new(&settings.sink, incident.id.clone()));
        Self {
            worsened: incident.worsened.saturating_sub(worsened_since(&incident, row.sent_upto)),
            incident,
            present: true,
            withheld: false,
            row,
            stored,
            dirty: false,
            outgoing: None,
            last_sent: None,
            last_update,
            in_flight: None,
            deliver: Retry::default(),
            ledger: Retry::default(),
            gave_way: false,
            settled_revision: None,
        }
    }

    /// Starts a new generation of messages for the same incident.
    fn begin_again(&mut self) {
        self.row.generation += 1;
        self.row.record = None;
        self.row.sent_upto = 0;
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

    /// Whether the sink may have received it.
    fn may_have_sent(&self) -> bool {
        self.row.sent_upto > 0 || self.row.record.is_some() || (self.row.settled && self.stored)
    }

    /// Whether it waits, with nothing sent or about to be, for the end of what withholds it.
    const fn is_held_back(&self) -> bool {
        self.withheld && self.row.sent_upto == 0 && self.row.record.is_none()
    }

    /// Whether nothing waits to be sent except combined changes and repetitions.
    fn is_in_line(&self) -> bool {
        if self.is_held_back() {
            return true;
        }
        let news = self.outgoing.as_ref().is_some_and(|message| message.change != Change::Repeated);
        let known = self.row.record.is_some() || self.incident.found_at.is_some();
        if self.is_open() { known && !news } else { self.row.settled }
    }

    /// Decides the next step.
    fn advance(&mut self, context: &MessageContext<'_>) -> MessageStep {
        let now = context.now.mono;
        self.drop_what_is_stale();
        loop {
            if self.dirty && self.ledger.until(now, ActionKind::Commit.priority()).is_none() {
                self.stored = true;
                return MessageStep::Do(Work::Commit { row: Box::new(self.row.clone()) });
            }
            if !self.present {
                return self.absent(now);
            }
            if self.row.settled {
                let reported =
                    self.settled_revision.is_some_and(|revision| revision >= self.incident.revision);
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
                NextMessage::Send(change, at) => {
                    let occasion = Occasion {
                        sink: &context.settings.rules.sink.destination,
                        change,
                        generation: self.row.generation,
                        sent_upto: if change == Change::Opened { 0 } else { self.row.sent_upto },
                        at,
                    };
                    let message = compose(&self.incident, &context.settings.rules, occasion);
                    if priority(change) == Priority::Page {
                        // Whatever was rejected, it was another message.
                        self.deliver.let_go();
                    }
                    if change == Change::Opened && self.row.sent_upto == 0 {
                        // Committed before it is sent the first time: after a restart, what it contains is not sent again,
                        // and what it does not contain is.
                        self.row.sent_upto = message.upto.max(1);
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

    /// The incident has left the Board: there is nothing more to send.
    fn absent(&self, now: Moment) -> MessageStep {
        match self.ledger.until(now, ActionKind::Forget.priority()) {
            Some(until) => MessageStep::Wait(Some((until, "forget again"))),
            None => MessageStep::Do(Work::Forget { incident: self.incident.id.clone() }),
        }
    }

    /// A repetition reports the current state, so it is composed for every try. A change that waits is sent with the end as
    /// soon as there is one: a gap in the timeline is better than an end that waits. The same holds for a worsening, which
    /// waits neither for a lesser change nor for anything that was rejected.
    fn drop_what_is_stale(&mut self) {
        let (open, worsened, refused) = (self.is_open(), self.incident.worsened, self.deliver.is_rejected());
        self.outgoing.take_if(|message| match message.change {
            Change::Repeated => true,
            Change::Updated => !open || worsened > message.worsened,
            Change::Worsened => !open || (refused && worsened > message.worsened),
            Change::Opened | Change::Resolved | Change::Unwatched => false,
        });
    }

    /// Whether it gives the key to a later incident.
    fn gives_way(&self, context: &MessageContext<'_>) -> bool {
        let unsent = self.row.record.is_none();
        !self.is_open() && context.later && (unsent || self.deliver.is_rejected())
    }

    fn settle(&mut self) {
        self.outgoing = None;
        self.deliver.clear();
        self.row.settled = true;
        // What the ledger has never had need not be written to it: after a crash it comes to the same.
        self.dirty = self.stored || !self.is_held_back();
    }

    fn next(&self, context: &MessageContext<'_>) -> NextMessage {
        let opened = self.row.record.is_some();
        if self.incident.found_at.is_some() {
            return if self.is_open() { NextMessage::Wait(None) } else { NextMessage::Settle };
        }
        if self.is_held_back() {
            return if self.is_open() { NextMessage::Wait(None) } else { NextMessage::Settle };
        }
        match (self.incident.state, opened) {
            (IncidentState::Unwatched { .. }, false) => NextMessage::Settle,
            (IncidentState::Unwatched { at }, true) => NextMessage::Send(Change::Unwatched, at),
            (IncidentState::Resolved { at }, true) => NextMessage::Send(Change::Resolved, at),
            // The earlier one settles first.
            (IncidentState::Open | IncidentState::Resolved { .. }, false) if context.earlier => {
                NextMessage::Wait(None)
            }
            (IncidentState::Open | IncidentState::Resolved { .. }, false) => {
                NextMessage::Send(Change::Opened, self.incident.id.opened)
            }
            (IncidentState::Open, true) => self.next_of_open(context),
        }
    }

    fn next_of_open(&self, context: &MessageContext<'_>) -> NextMessage {
        let now = context.now.mono;
        let news = |entry: &&TimelineEntry| entry.seq >= self.row.sent_upto && is_news(&entry.what);
        // A change that has changed back is sent with the next change. After a restart no verdict is known at first, and then
        // the same one returns.
        let unsent = || self.incident.timeline.iter().filter(|entry| entry.seq >= self.row.sent_upto);
        // Entries that were sent may have been thinned since: then it is not known that nothing has changed.
        let lost = unsent().any(|entry| entry.repeats > 0);
        let changed =
            lost || standing(&self.incident, self.row.sent_upto) != standing(&self.incident, u32::MAX);
        let last = self.incident.timeline.iter().rfind(news).filter(|_| changed);
        let worse = self.incident.worsened > self.worsened;
        let update = match (last, worse) {
            (_, true) => Some(now),
            (Some(_), false) => Some(self.last_update.map_or(now, |last| last + UPDATE_EVERY)),
            (None, false) => None,
        };
        if update.is_some_and(|due| due <= now) {
            let at = last.map_or(context.now.wall, |entry| entry.at);
            return NextMessage::Send(if worse { Change::Worsened } else { Change::Updated }, at);
        }
        let repeat =
            context.settings.repeat_every.map(|every| self.last_sent.map_or(now, |last| last + every));
        if repeat.is_some_and(|due| due <= now) {
            return NextMessage::Send(Change::Repeated, context.now.wall);
        }
        let update = update.map(|due| (due, "what has changed"));
        NextMessage::Wait(update.into_iter().chain(repeat.map(|due| (due, "repeat"))).min())
    }

    /// An action has ended. Returns the reason for a journal record.
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
                // A vendor that treats silence as the end would end an open incident: a failure costs one repetition and no
                // more.
                if let Some(every) = repeat_every.filter(|_| open && !ledger) {
                    retry.at_most(now, every);
                }
                None
            }
        }
    }

    /// The message was delivered.
    fn delivered(&mut self, now: Moment) -> Option<NoticeReason> {
        let message = self.outgoing.take()?;
        self.last_sent = Some(now);
        self.dirty |= message.change != Change::Repeated;
        match message.change {
            Change::Opened => {
                // The first change after it is sent at once.
                self.row.record = Some(RecordId(message.key.clone()));
                Some(NoticeReason::Sent)
            }
            Change::Worsened | Change::Updated => {
                self.row.sent_upto = message.upto;
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

/// The next message.
enum NextMessage {
    Send(Change, Stamp),
    Settle,
    Wait(Option<(Moment, &'static str)>),
}

/// Whether a page waits for a message. Such a message is tried at once, even if another was rejected.
const fn priority(change: Change) -> Priority {
    match change {
        Change::Opened | Change::Worsened | Change::Resolved | Change::Unwatched => Priority::Page,
        Change::Updated | Change::Repeated => Priority::Quiet,
    }
}

/// A messenger has no records and no tokens: an error about them is a rejection.
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

/// How many connections of a parent have trouble, and of how many.
type Count = (u32, u32);

/// The state of an incident before the entry `seq`, as far as a change of it is worth a message.
fn standing(incident: &Incident, seq: u32) -> (Tunnels<'_>, Option<Count>, Option<&TimelineChange>) {
    let of = |tunnel: &TunnelSnapshot| (tunnel.assessment, tunnel.carrying);
    let mut tunnels: Tunnels<'_> = incident.tunnels.iter().map(|tunnel| (&tunnel.id, of(tunnel))).collect();
    let (mut children, mut phase) = (None, None);
    for entry in incident.timeline.iter().filter(|entry| entry.seq < seq) {
        match &entry.what {
            TimelineChange::Assessment { tunnel, name: _, assessment, carrying } => {
                tunnels.insert(tunnel, (*assessment, *carrying));
            }
            TimelineChange::Children { down: _, back: _, troubled, of } => children = Some((*troubled, *of)),
            TimelineChange::Clearing | TimelineChange::Confirmed => phase = Some(&entry.what),
            // It continues as before it was clearing.
            TimelineChange::Reopened => phase = None,
            TimelineChange::Opened
            | TimelineChange::Adopted { .. }
            | TimelineChange::View { .. }
            | TimelineChange::Cause { .. }
            | TimelineChange::Quality { .. }
            | TimelineChange::Withheld { .. }
            | TimelineChange::Released
            | TimelineChange::Resolved
            | TimelineChange::Unwatched
            | TimelineChange::HandedOver
            | TimelineChange::Missed => {}
        }
    }
    (tunnels, children, phase)
}

/// Whether a change is worth a message: one end's verdict is part of the assessment that follows it, and openings and ends
/// have messages of their own.
fn is_news(what: &TimelineChange) -> bool {
    match what {
        TimelineChange::Assessment { .. }
        | TimelineChange::Cause { .. }
        | TimelineChange::Quality { .. }
        | TimelineChange::Children { .. }
        | TimelineChange::Clearing
        | TimelineChange::Reopened
        | TimelineChange::Confirmed => true,
        TimelineChange::Opened
        | TimelineChange::Adopted { .. }
        | TimelineChange::View { .. }
        | TimelineChange::Withheld { .. }
        | TimelineChange::Released
        | TimelineChange::Resolved
        | TimelineChange::Unwatched
        | TimelineChange::HandedOver
        | TimelineChange::Missed => false,
    }
}

#[cfg(test)]
mod tests;

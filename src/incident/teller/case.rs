//! One incident at one sink: what it was told, and what is to be told next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::board::{Incident, IncidentState, TimelineChange, TimelineEntry, TunnelSnapshot};
use crate::domain::carrying::Carrying;
use crate::domain::names::TunnelId;
use crate::domain::story::worsened_since;
use crate::domain::time::{Moment, Now, Stamp};
use crate::domain::verdict::Assessment;

use super::super::action::{Act, ActionId, Failure, NoticeCause, Priority, Reply, Work};
use super::super::backoff::Retry;
use super::super::message::{Change, Message, Occasion, compose};
use super::super::settings::{SinkRules, TellerSettings};
use super::super::sink::{LedgerRow, RecordId, SinkError};

/// Changes that worsen nothing are gathered for so long: a line that flaps must not fill a mailbox.
pub const UPDATE_EVERY: Duration = Duration::from_secs(60);

/// One incident.
///
/// Of its [`LedgerRow`], `record` is the messages' key once the sink has taken the opening, `told` how far the story is told
/// (or may be, while `record` is `None`), and `settled` that nothing more is to be told.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) incident: Arc<Incident>,
    /// Whether it is on the Board.
    pub(super) present: bool,
    /// The row as it should be in the ledger.
    pub(super) row: LedgerRow,
    /// Whether the ledger may have another.
    pub(super) dirty: bool,
    /// What is being told until it is taken.
    outgoing: Option<Arc<Message>>,
    /// When anything was last told in this run, and when it was more than a repetition.
    last_told: Option<Moment>,
    last_update: Option<Moment>,
    /// How often it has worsened, as told.
    worsened: u32,
    pub(super) in_flight: Option<InFlight>,
    pub(super) deliver: Retry,
    pub(super) ledger: Retry,
    /// Its end is not told, because a later incident goes on.
    pub(super) gave_way: bool,
    /// The revision that was last reported as settled.
    pub(super) settled_revision: Option<u64>,
}

/// An action that has not ended.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) id: ActionId,
    pub(super) act: Act,
}

/// What a case must know beyond itself.
#[derive(Debug)]
pub(super) struct Around<'a> {
    pub(super) now: Now,
    pub(super) settings: &'a TellerSettings,
    /// An earlier incident of the same key is not settled.
    pub(super) older: bool,
    /// A later incident of the same key is open.
    pub(super) newer: bool,
}

/// What a case wants.
#[derive(Debug)]
pub(super) enum Step {
    Do(Work<Arc<Message>>),
    Wait(Option<(Moment, &'static str)>),
    Settled,
}

impl Case {
    /// A case for an incident that has appeared on the Board, with the row that the ledger has of it.
    pub(super) fn new(
        settings: &SinkRules,
        incident: Arc<Incident>,
        row: Option<LedgerRow>,
        now: Moment,
    ) -> Self {
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
    pub(super) fn begin_again(&mut self) {
        self.row.generation += 1;
        self.row.record = None;
        self.row.told = 0;
        self.row.settled = false;
        self.outgoing = None;
        self.gave_way = false;
        self.settled_revision = None;
    }

    pub(super) fn is_open(&self) -> bool {
        match self.incident.state {
            IncidentState::Open => true,
            IncidentState::Resolved { .. } | IncidentState::Unwatched { .. } => false,
        }
    }

    /// Whether the sink may have heard of it.
    pub(super) fn may_have_told(&self) -> bool {
        self.row.told > 0 || self.row.record.is_some() || self.row.settled
    }

    /// Whether nothing waits to be told but what is gathered, or repeated.
    pub(super) fn is_in_line(&self) -> bool {
        let news = self.outgoing.as_ref().is_some_and(|message| message.change != Change::Repeated);
        let known = self.row.record.is_some() || self.incident.found_at.is_some();
        if self.is_open() { known && !news } else { self.row.settled }
    }

    /// What is to be done next.
    pub(super) fn advance(&mut self, around: &Around<'_>) -> Step {
        let now = around.now.mono;
        self.drop_what_is_stale();
        loop {
            if self.dirty && self.ledger.until(now, Act::Commit.priority()).is_none() {
                return Step::Do(Work::Commit { row: Box::new(self.row.clone()) });
            }
            if !self.present {
                return self.absent(now);
            }
            if self.row.settled {
                let reported = self.settled_revision.is_some_and(|told| told >= self.incident.revision);
                return if reported || self.is_open() { Step::Wait(None) } else { Step::Settled };
            }
            if self.gives_way(around) {
                self.gave_way = true;
                self.settle();
                continue;
            }
            if let Some(message) = &self.outgoing {
                return match self.deliver.until(now, priority(message.change)) {
                    Some(until) => Step::Wait(Some((until, "deliver again"))),
                    None => Step::Do(Work::Call(Arc::clone(message))),
                };
            }
            match self.next(around) {
                Next::Tell(change, at) => {
                    let occasion = Occasion {
                        sink: &around.settings.sink.sink.destination,
                        change,
                        generation: self.row.generation,
                        told: if change == Change::Opened { 0 } else { self.row.told },
                        at,
                    };
                    let message = compose(&self.incident, &around.settings.sink, occasion);
                    if priority(change) == Priority::Page {
                        // Whatever was refused, it was another message.
                        self.deliver.let_go();
                    }
                    if change == Change::Opened && self.row.told == 0 {
                        // Before it is told the first time: what was in it is not told again after a restart, and what was
                        // not is.
                        self.row.told = message.upto.max(1);
                        self.worsened = message.worsened;
                        self.dirty = true;
                    }
                    self.outgoing = Some(Arc::new(message));
                }
                Next::Settle => self.settle(),
                Next::Wait(until) => return Step::Wait(until),
            }
        }
    }

    /// The incident has left the Board: there is nothing more to tell.
    fn absent(&self, now: Moment) -> Step {
        match self.ledger.until(now, Act::Forget.priority()) {
            Some(until) => Step::Wait(Some((until, "forget again"))),
            None => Step::Do(Work::Forget { incident: self.incident.id.clone() }),
        }
    }

    /// A repetition says how things are, so it is composed for every try. What has changed is told with the end, once there is
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
    fn gives_way(&self, around: &Around<'_>) -> bool {
        let untold = self.row.record.is_none();
        !self.is_open() && around.newer && (untold || self.deliver.is_rejected())
    }

    fn settle(&mut self) {
        self.outgoing = None;
        self.deliver.clear();
        self.row.settled = true;
        self.dirty = true;
    }

    fn next(&self, around: &Around<'_>) -> Next {
        let opened = self.row.record.is_some();
        if self.incident.found_at.is_some() {
            return if self.is_open() { Next::Wait(None) } else { Next::Settle };
        }
        match (self.incident.state, opened) {
            (IncidentState::Unwatched { .. }, false) => Next::Settle,
            (IncidentState::Unwatched { at }, true) => Next::Tell(Change::Unwatched, at),
            (IncidentState::Resolved { at }, true) => Next::Tell(Change::Resolved, at),
            // Whoever takes over settles first.
            (IncidentState::Open | IncidentState::Resolved { .. }, false) if around.older => Next::Wait(None),
            (IncidentState::Open | IncidentState::Resolved { .. }, false) => {
                Next::Tell(Change::Opened, self.incident.id.opened)
            }
            (IncidentState::Open, true) => self.next_of_open(around),
        }
    }

    fn next_of_open(&self, around: &Around<'_>) -> Next {
        let now = around.now.mono;
        let news = |entry: &&TimelineEntry| entry.seq >= self.row.told && is_news(&entry.what);
        // What has changed and changed back is told with the next change. A restart knows no verdict at first, and comes to
        // the same one.
        let untold = || self.incident.timeline.iter().filter(|entry| entry.seq >= self.row.told);
        // What was told may have been left out since: then it cannot be said that nothing has changed.
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
            let at = last.map_or(around.now.wall, |entry| entry.at);
            return Next::Tell(if worse { Change::Worsened } else { Change::Updated }, at);
        }
        let repeat =
            around.settings.repeat_every.map(|every| self.last_told.map_or(now, |last| last + every));
        if repeat.is_some_and(|due| due <= now) {
            return Next::Tell(Change::Repeated, around.now.wall);
        }
        let update = update.map(|due| (due, "what has changed"));
        Next::Wait(update.into_iter().chain(repeat.map(|due| (due, "repeat"))).min())
    }

    /// An action has ended; what people should hear of it.
    pub(super) fn ended(
        &mut self,
        act: Act,
        result: Result<Reply, Failure>,
        now: Moment,
        settings: &TellerSettings,
    ) -> Option<NoticeCause> {
        let TellerSettings { sink: settings, repeat_every } = settings;
        let ledger = act != Act::Deliver;
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
                let seed = [&*settings.site, settings.id().as_str(), &incident, act.as_str()];
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
    fn delivered(&mut self, now: Moment) -> Option<NoticeCause> {
        let message = self.outgoing.take()?;
        self.last_told = Some(now);
        self.dirty |= message.change != Change::Repeated;
        match message.change {
            Change::Opened => {
                // The first change after it is sent at once.
                self.row.record = Some(RecordId(message.key.clone()));
                Some(NoticeCause::Sent)
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
                Some(NoticeCause::SentEnd)
            }
            Change::Unwatched => {
                self.row.settled = true;
                Some(NoticeCause::SentUnwatched)
            }
        }
    }
}

/// What is to be told.
enum Next {
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
fn lasting(failure: Failure) -> Failure {
    match failure {
        Failure::Sink(error @ (SinkError::NotFound | SinkError::TokenKnown)) => {
            Failure::Sink(SinkError::Rejected { what: error.to_string(), source: None })
        }
        Failure::Sink(SinkError::Temporary { .. } | SinkError::Rejected { .. })
        | Failure::Ledger(_)
        | Failure::NoAnswer
        | Failure::Mismatch => failure,
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

/// Whether a change is worth a message: a verdict of one end is told by the assessment that it leads to, and openings and ends
/// have messages of their own.
pub(super) fn is_news(what: &TimelineChange) -> bool {
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

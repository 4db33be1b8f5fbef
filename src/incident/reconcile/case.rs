//! One incident at one sink that keeps records: what is known of its record, and its next step, by the rules in
//! [`super::rules`].
//!
//! Each function looks at what is durable (the row) and at what this run has learnt, changes at most one thing, and either
//! returns a step or is called again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::board::{Incident, IncidentState, TimelineEntry};
use crate::domain::story::worsened_since;
use crate::domain::time::{Moment, Now, Stamp};

use super::super::account::Account;
use super::super::action::{ActionId, ActionKind, RecordCall, Work};
use super::super::lookup::KnownRecords;
use super::super::outbox::Retry;
use super::super::settings::SinkRules;
use super::super::sink::{LedgerRow, Record, RecordId, RecordScope};
use super::super::{token, wording};

/// The notes of a thinned timeline that only repeat earlier ones are written in rounds, this often. The record's description
/// is current all the same.
const REPEATS_EVERY: Duration = Duration::from_secs(600);

/// The record must have been read this recently before a note is added: nothing is added to a closed record.
pub(super) const NOTE_CHECK: Duration = Duration::from_secs(10);

/// One incident at one sink.
#[derive(Debug)]
pub(super) struct RecordCase {
    pub(super) incident: Arc<Incident>,
    /// Whether it is on the Board.
    pub(super) present: bool,
    /// Whether this sink creates no record of it for now; see [`withheld`](super::super::withheld).
    pub(super) withheld: bool,
    /// An open record of the scope that a survey has shown meanwhile: the twin's, or the alarm's.
    pub(super) surveyed: Option<RecordId>,
    /// The row as the ledger should have it.
    pub(super) row: LedgerRow,
    /// Whether the ledger has a row of it, or may have.
    pub(super) stored: bool,
    /// Whether the ledger's row may differ.
    pub(super) dirty: bool,
    /// What this run knows of the row's record.
    pub(super) standing: Standing,
    /// The incident's `worsened` when its record was last known to be open.
    pub(super) open_at: u32,
    /// When this run first saw the incident.
    pub(super) since: Moment,
    /// It need not wait (any longer) for an earlier incident of its scope.
    pub(super) ahead: bool,
    /// Only a look-up sent at this moment or later counts.
    pub(super) look_after: Moment,
    /// Since when it has waited for a look-up.
    pub(super) looking_since: Option<Moment>,
    /// The row's request was made, or would be repeated, without a look-up.
    pub(super) blind: bool,
    /// When this run made the row's request, or first sent it if an earlier run made it.
    pub(super) attempted: Option<Now>,
    /// Since when the sink says that it knows the request's token, and the number of look-ups since.
    pub(super) token_known: Option<(Moment, u32)>,
    /// Earlier records of this incident: closed in an earlier generation, or as duplicates.
    pub(super) past: BTreeSet<RecordId>,
    /// The record of the generation before.
    pub(super) predecessor: Option<RecordId>,
    /// Since when the sink says that it does not have the record.
    pub(super) missing_since: Option<Moment>,
    /// Up to where the timeline is covered by the note, being tried, by which this site joins the record.
    pub(super) joined_upto: Option<u32>,
    /// When the last round of repeated notes began, and up to where it goes.
    round: Option<(Moment, u32)>,
    /// The last description of the record in this run.
    pub(super) described: Option<LastDescription>,
    /// When the list will show duplicates of the record, until they have been dealt with.
    pub(super) duplicates_due: Option<Moment>,
    /// Another record of the scope that was read and found open, and when that read was sent.
    pub(super) other_open: Option<(Record, Moment)>,
    /// When, in this run, the record was first known to be closed and the incident over.
    pub(super) sweep_after: Option<Moment>,
    pub(super) retries: BTreeMap<ActionKind, Retry>,
    pub(super) in_flight: Option<InFlight>,
    /// The revision that was last reported as settled.
    pub(super) settled_revision: Option<u64>,
}

/// What this run knows of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing yet.
    Unread,
    /// It was open when the sink was last asked.
    Open {
        /// When the sink was asked.
        asked: Moment,
        /// When it was created, on the sink's clock.
        created: Stamp,
    },
    /// It is closed, or gone.
    Closed,
}

/// The description of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LastDescription {
    /// The state of the incident.
    pub(super) revision: u64,
    pub(super) worsened: u32,
    pub(super) at: Moment,
    pub(super) account: Account,
}

/// An action in flight.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) id: ActionId,
    pub(super) purpose: Purpose,
    pub(super) asked: Moment,
}

/// The purpose of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Purpose {
    Commit,
    Start,
    /// Read the incident's own record; `worsened` is the incident's at that time.
    ReadOwn {
        worsened: u32,
    },
    /// Read another record of the scope.
    ReadOther(RecordId),
    /// Note the timeline up to and excluding this `seq`.
    Note {
        upto: u32,
    },
    Relate,
    /// Describe the incident as it is now.
    Describe(Box<LastDescription>),
    /// Close the incident's own record, because the incident is over.
    ResolveOwn,
    /// Close a record, its own or another, as a duplicate of the oldest.
    ResolveDuplicate {
        younger: RecordId,
        oldest: RecordId,
    },
    /// Close another open record of the scope, because the incident is over.
    ResolveLeftover(RecordId),
    Forget,
}

impl Purpose {
    /// Which kind of action it is.
    pub(super) const fn kind(&self) -> ActionKind {
        match self {
            Self::Commit => ActionKind::Commit,
            Self::Start => ActionKind::Start,
            Self::ReadOwn { .. } | Self::ReadOther(_) => ActionKind::Read,
            Self::Note { .. } => ActionKind::Note,
            Self::Relate => ActionKind::Relate,
            Self::Describe(_) => ActionKind::Describe,
            Self::ResolveOwn | Self::ResolveDuplicate { .. } | Self::ResolveLeftover(_) => {
                ActionKind::Resolve
            }
            Self::Forget => ActionKind::Forget,
        }
    }
}

/// The next step of a case.
#[derive(Debug)]
pub(super) enum RecordStep {
    /// Do this.
    Do(Purpose, Box<Work<RecordCall>>),
    /// Call again at that moment at the latest, and when a look-up sent at this moment or later has been answered.
    Wait { until: Option<(Moment, &'static str)>, look_up: Option<Moment> },
    /// Report that it is settled.
    Settled,
}

/// Nothing to do until something happens.
pub(super) const REST: RecordStep = RecordStep::Wait { until: None, look_up: None };

/// To call the sink.
pub(super) fn call(purpose: Purpose, call: RecordCall) -> RecordStep {
    RecordStep::Do(purpose, Box::new(Work::Call(call)))
}

pub(super) fn wait(until: Moment, why: &'static str) -> RecordStep {
    RecordStep::Wait { until: Some((until, why)), look_up: None }
}

pub(super) fn look_up(bound: Moment) -> RecordStep {
    RecordStep::Wait { until: None, look_up: Some(bound) }
}

/// What a case needs to know beyond itself.
#[derive(Debug)]
pub(super) struct CaseContext<'a> {
    pub(super) now: Now,
    pub(super) settings: &'a SinkRules,
    /// `None` if the connection is not configured (any more).
    pub(super) scope: Option<&'a RecordScope>,
    pub(super) place: &'a KnownRecords,
    /// An earlier incident of the scope is over, and its record is being brought into line.
    pub(super) earlier: Earlier,
    /// A later incident of the scope is open.
    pub(super) later: Option<Later>,
    /// The related incident's record and title.
    pub(super) related: Option<(RecordId, String)>,
    /// The records of other open incidents, which must not be closed.
    pub(super) held: &'a BTreeSet<RecordId>,
}

/// How far the earlier incidents of the same scope have got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Earlier {
    /// There is none, or none that has to be waited for, or a person must act first.
    Clear,
    /// It is over, and has paged nobody yet.
    Idle,
    /// A record of it is being brought into line.
    Working,
    /// A record of it is being started or closed at this moment.
    Busy,
}

/// A later incident of the same scope.
#[derive(Debug)]
pub(super) struct Later {
    /// It did not wait (any longer).
    pub(super) ahead: bool,
    /// Its record, once read.
    pub(super) record: Option<(RecordId, Standing)>,
}

impl RecordCase {
    /// The case of an incident that has appeared on the Board, with its rows of the ledger, oldest generation first.
    pub(super) fn new(
        settings: &SinkRules,
        incident: Arc<Incident>,
        rows: Vec<LedgerRow>,
        now: Moment,
    ) -> Self {
        let mut rows = rows;
        let row = rows.pop();
        let past: Vec<RecordId> = rows.into_iter().filter_map(|row| row.record).collect();
        let stored = row.is_some();
        let row = row.unwrap_or_else(|| LedgerRow::new(&settings.sink, incident.id.clone()));
        let standing = if row.closed_by_person_at.is_some() { Standing::Closed } else { Standing::Unread };
        Self {
            open_at: incident.worsened.saturating_sub(worsened_since(&incident, row.sent_upto)),
            incident,
            present: true,
            withheld: false,
            surveyed: None,
            row,
            stored,
            dirty: false,
            standing,
            since: now,
            ahead: false,
            // An earlier run may have sent a stored request: look up the outcome. Otherwise a look-up made ahead of time is
            // enough.
            look_after: if stored { now } else { Moment::from_nanos(i64::MIN) },
            looking_since: None,
            blind: false,
            attempted: None,
            token_known: None,
            predecessor: past.last().cloned(),
            past: past.into_iter().collect(),
            missing_since: None,
            joined_upto: None,
            round: None,
            described: None,
            duplicates_due: None,
            other_open: None,
            sweep_after: None,
            retries: BTreeMap::new(),
            in_flight: None,
            settled_revision: None,
        }
    }

    /// When the incident ended, if it is resolved.
    pub(super) fn over(&self) -> Option<Stamp> {
        match self.incident.state {
            IncidentState::Open | IncidentState::Unwatched { .. } => None,
            IncidentState::Resolved { at } => Some(at),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        match self.incident.state {
            IncidentState::Open => true,
            IncidentState::Resolved { .. } | IncidentState::Unwatched { .. } => false,
        }
    }

    /// Whether it waits, without a record or a request for one, for the end of what withholds it.
    pub(super) fn is_held_back(&self) -> bool {
        self.withheld && self.row.start.is_none() && self.row.record.is_none() && !self.is_only_found()
    }

    /// Whether it is held back and nothing of it is to be written or read.
    pub(super) fn rests(&self) -> bool {
        self.present && self.is_open() && self.is_held_back() && !self.dirty && self.surveyed.is_none()
    }

    /// The record that it holds while it is open: no other incident closes it.
    pub(super) fn holds(&self) -> Option<&RecordId> {
        self.row.record.as_ref().filter(|_| self.present && self.is_open())
    }

    /// Whether it is withheld from now on. What is released is like an incident that opens now: what has happened at the sink
    /// meanwhile counts, so it is looked up again.
    pub(super) fn withhold(&mut self, withheld: bool, now: Moment) {
        let released = self.is_held_back() && !withheld;
        self.withheld = withheld;
        if released {
            self.since = now;
            self.ahead = false;
            self.looking_since = None;
            self.look_after = now;
            self.surveyed = None;
        }
    }

    /// Whether nothing is left to do for now.
    pub(super) fn is_in_line(&self) -> bool {
        if self.is_held_back() {
            return true;
        }
        if self.row.settled && !self.is_open() {
            return true;
        }
        let noted = match (&self.row.record, self.standing) {
            (None, _) => self.is_only_found(),
            (Some(_), Standing::Unread) => false,
            (Some(_), Standing::Open { .. }) => {
                let waits = || self.round.is_some() && self.repeats_itself() && !self.is_in_round();
                self.next_note_upto().is_none() || waits()
            }
            (Some(_), Standing::Closed) => {
                let closed = self.row.closed_by_person_at;
                self.is_only_found() || self.withheld || closed.is_none_or(|at| at >= self.incident.worsened)
            }
        };
        self.is_open() && noted
    }

    /// Whether an action of this kind is rejected until a person acts.
    pub(super) fn is_rejected(&self, kind: ActionKind) -> bool {
        self.retries.get(&kind).is_some_and(Retry::is_rejected)
    }

    pub(super) fn not_before(&self, kind: ActionKind, now: Moment) -> Option<Moment> {
        self.retries.get(&kind).and_then(|retry| retry.until(now, kind.priority()))
    }

    /// Up to where the next note goes; `None` if everything has been noted.
    pub(super) fn next_note_upto(&self) -> Option<u32> {
        if self.row.sent_upto == 0 {
            return Some(self.joined_upto.unwrap_or_else(|| self.end_of_story()));
        }
        self.next_entry().map(|entry| entry.seq + 1)
    }

    /// The first entry that has not been noted. In a thinned timeline, an entry that is repeated later is noted then.
    pub(super) fn next_entry(&self) -> Option<&TimelineEntry> {
        let Incident { timeline, .. } = &*self.incident;
        let thinned = self.incident.is_thinned();
        let again = |index: usize| {
            timeline[index + 1..].iter().any(|later| later.what.says_the_same(&timeline[index].what))
        };
        let mut unnoted = timeline.iter().enumerate().skip_while(|(_, entry)| entry.seq < self.row.sent_upto);
        unnoted.find(|(index, _)| !thinned || !again(*index)).map(|(_, entry)| entry)
    }

    /// Whether the next note, of an open incident with a thinned timeline, only repeats what was noted before: such notes are
    /// written in rounds, [`REPEATS_EVERY`].
    fn repeats_itself(&self) -> bool {
        let before = |entry: &TimelineEntry| {
            let same = |earlier: &&TimelineEntry| earlier.what.says_the_same(&entry.what);
            let mut earlier = self.incident.timeline.iter().take_while(|earlier| earlier.seq < entry.seq);
            entry.repeats > 0 || earlier.any(|earlier| same(&earlier))
        };
        self.is_open()
            && self.row.sent_upto != 0
            && self.incident.is_thinned()
            && self.next_entry().is_some_and(before)
    }

    /// When the next note may be written, if it only repeats and that is later than now.
    pub(super) fn next_round(&self, now: Moment) -> Option<Moment> {
        let due = self.round.filter(|_| !self.is_in_round())?.0 + REPEATS_EVERY;
        Some(due).filter(|due| *due > now && self.repeats_itself())
    }

    /// The next note is being written.
    pub(super) fn begin_round(&mut self, now: Moment) {
        if self.repeats_itself() && !self.is_in_round() {
            self.round = Some((now, self.end_of_story()));
        }
    }

    fn is_in_round(&self) -> bool {
        let upto = self.round.map_or(0, |(_, upto)| upto);
        self.next_entry().is_some_and(|entry| entry.seq < upto)
    }

    /// Just after the last entry; never 0, which means that the record has no note of ours yet.
    fn end_of_story(&self) -> u32 {
        self.incident.timeline.last().map_or(1, |entry| entry.seq + 1)
    }

    /// Just after the opening's entry, which is part of the request that creates a record.
    pub(super) fn after_opening(&self) -> u32 {
        wording::opened_seq(&self.incident).map_or(1, |seq| seq + 1)
    }

    /// Adopts a record for the incident, whichever site created it.
    pub(super) fn adopt(&mut self, record: RecordId, standing: Standing) {
        self.row.start = None;
        self.row.record = Some(record);
        self.row.sent_upto = 0;
        self.row.related = false;
        self.row.linked = false;
        self.row.closed_by_person_at = None;
        self.described = None;
        self.standing = standing;
        self.open_at = self.incident.worsened;
        self.token_known = None;
        self.attempted = None;
        self.joined_upto = None;
        self.duplicates_due = None;
        self.missing_since = None;
        self.dirty = true;
    }

    /// Adopts a record that was closed after the incident had worsened at most this often.
    pub(super) fn adopt_closed(&mut self, record: RecordId, open_at: u32) {
        self.adopt(record, Standing::Closed);
        self.open_at = open_at;
        self.count_as_closed();
    }

    /// Counts the record as closed by a person (or the twin): it stays closed until the incident worsens.
    pub(super) fn count_as_closed(&mut self) {
        self.row.closed_by_person_at = Some(self.open_at);
        self.standing = Standing::Closed;
        self.missing_since = None;
        self.duplicates_due = None;
        self.dirty = true;
    }

    /// Drops a request that led to a record of another incident, and looks up again. The ledger keeps the row until there is
    /// another to replace it: after a crash it leads to the same result.
    pub(super) fn look_again(&mut self, now: Moment) {
        self.row.record = None;
        self.row.start = None;
        self.standing = Standing::Unread;
        self.token_known = None;
        self.attempted = None;
        self.look_after = now;
    }

    /// Starts another record, because the incident has worsened since a person closed the last.
    pub(super) fn next_generation(&mut self, now: Moment) {
        self.predecessor = self.row.record.clone();
        self.past.extend(self.predecessor.clone());
        self.row.generation += 1;
        self.row.closed_by_person_at = None;
        self.row.related = false;
        self.row.linked = false;
        self.described = None;
        self.open_at = self.incident.worsened;
        self.look_again(now);
    }

    /// An action is in flight.
    pub(super) fn launch(&mut self, id: ActionId, purpose: Purpose, now: Now) {
        match purpose {
            Purpose::Start => _ = self.attempted.get_or_insert(now),
            Purpose::Commit => self.stored = true,
            Purpose::ReadOwn { .. }
            | Purpose::ReadOther(_)
            | Purpose::Note { .. }
            | Purpose::Relate
            | Purpose::Describe(_)
            | Purpose::ResolveOwn
            | Purpose::ResolveDuplicate { .. }
            | Purpose::ResolveLeftover(_)
            | Purpose::Forget => {}
        }
        self.in_flight = Some(InFlight { id, purpose, asked: now.mono });
    }

    /// Decides the next step.
    pub(super) fn advance(&mut self, context: &CaseContext<'_>) -> RecordStep {
        loop {
            if let Some(step) = self.step(context) {
                return step;
            }
        }
    }

    /// Changes one thing, or returns the step that follows from the last change.
    fn step(&mut self, context: &CaseContext<'_>) -> Option<RecordStep> {
        let now = context.now.mono;
        if self.dirty && self.not_before(ActionKind::Commit, now).is_none() {
            return Some(RecordStep::Do(
                Purpose::Commit,
                Box::new(Work::Commit { row: Box::new(self.row.clone()) }),
            ));
        }
        if !self.present {
            return Some(self.absent(now));
        }
        if self.row.settled && !self.is_open() {
            let reported = self.settled_revision.is_some_and(|revision| revision >= self.incident.revision);
            return Some(if reported { REST } else { RecordStep::Settled });
        }
        let Some(record) = self.row.record.clone() else {
            return self.without_record(context);
        };
        match self.standing {
            Standing::Unread => Some(self.read_own(record, now)),
            Standing::Open { asked, created } => self.with_open_record(context, &record, asked, created),
            Standing::Closed => self.with_closed_record(context, &record),
        }
    }

    /// The incident has left the Board. Absence resolves nothing; a settled incident is forgotten.
    fn absent(&self, now: Moment) -> RecordStep {
        if !self.row.settled {
            return REST;
        }
        match self.not_before(ActionKind::Forget, now) {
            Some(until) => wait(until, "forget again"),
            None => {
                RecordStep::Do(Purpose::Forget, Box::new(Work::Forget { incident: self.incident.id.clone() }))
            }
        }
    }

    /// Nothing is left to do. What the ledger has never had need not be written to it: after a crash it comes to the same.
    pub(super) fn settle(&mut self) -> Option<RecordStep> {
        self.row.settled = true;
        self.dirty = self.stored || !self.is_held_back();
        None
    }

    pub(super) fn read_own(&self, record: RecordId, now: Moment) -> RecordStep {
        match self.not_before(ActionKind::Read, now) {
            Some(until) => wait(until, "read again"),
            None => call(Purpose::ReadOwn { worsened: self.incident.worsened }, RecordCall::Read { record }),
        }
    }

    /// Reads another record, unless it was found open just before.
    pub(super) fn read_other(&self, other: &RecordId, now: Moment) -> Option<RecordStep> {
        let fresh = |(read, at): &(Record, Moment)| read.id == *other && now.since(*at) <= NOTE_CHECK;
        if self.other_open.as_ref().is_some_and(fresh) {
            return None;
        }
        Some(match self.not_before(ActionKind::Read, now) {
            Some(until) => wait(until, "read again"),
            None => call(Purpose::ReadOther(other.clone()), RecordCall::Read { record: other.clone() }),
        })
    }

    pub(super) fn resolve(
        &self,
        context: &CaseContext<'_>,
        record: RecordId,
        purpose: Purpose,
        summary: String,
    ) -> RecordStep {
        if let Some(until) = self.not_before(ActionKind::Resolve, context.now.mono) {
            return wait(until, "resolve again");
        }
        // A record that was closed as a duplicate and reopened by a person is closed with another token at the end.
        let why = if matches!(purpose, Purpose::ResolveDuplicate { .. }) { "duplicate" } else { "over" };
        let client_token = token::resolve(&record, &context.settings.site, &self.incident.id, why);
        call(purpose, RecordCall::Resolve { record, summary, client_token })
    }
}

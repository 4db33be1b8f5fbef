//! One incident at one sink that keeps records: what is known of its record, and what has to be done next, by the rules in
//! [`super::rules`].
//!
//! Each function looks at what is durable (the row) and what this run has learnt, makes at most one change of mind, and
//! either says what to do or is asked again.

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
use super::super::sink::{LedgerRow, Record, RecordId, Scope};
use super::super::{token, wording};

/// A story that was thinned goes back and forth: its notes are written together, this often. What the record says is current
/// all the same.
const REPEATS_EVERY: Duration = Duration::from_secs(600);

/// Before a note the record must have been read this recently: a story does not go on in a record that is closed.
pub(super) const NOTE_CHECK: Duration = Duration::from_secs(10);

/// One incident at one sink.
#[derive(Debug)]
pub(super) struct RecordCase {
    pub(super) incident: Arc<Incident>,
    /// Whether it is on the Board.
    pub(super) present: bool,
    /// The row as it should be in the ledger.
    pub(super) row: LedgerRow,
    /// Whether the ledger may have another.
    pub(super) dirty: bool,
    /// What is known of the row's record in this run.
    pub(super) standing: Standing,
    /// The incident's `worsened` when its record was last known to be open.
    pub(super) open_at: u32,
    /// When this run first heard of it.
    pub(super) since: Moment,
    /// It need not wait (any longer) for an earlier incident of its scope.
    pub(super) ahead: bool,
    /// Only a look-up asked at this moment or later is of use.
    pub(super) look_after: Moment,
    /// Since when a look-up is waited for.
    pub(super) looking_since: Option<Moment>,
    /// The row's request was made, or would be repeated, without a look-up.
    pub(super) blind: bool,
    /// When, in this run, the row's request was made, or first sent if it is an earlier run's.
    pub(super) attempted: Option<Now>,
    /// Since when the sink says that it knows the request's token, and how often it was looked for since.
    pub(super) token_known: Option<(Moment, u32)>,
    /// Records that this incident has behind it: closed in an earlier generation, or as a duplicate.
    pub(super) past: BTreeSet<RecordId>,
    /// The record of the generation before.
    pub(super) predecessor: Option<RecordId>,
    /// Since when the sink says that it does not have the record.
    pub(super) missing_since: Option<Moment>,
    /// Up to where the note that is being tried speaks, by which this site joins the record.
    pub(super) joined_upto: Option<u32>,
    /// When the last round of notes that repeat themselves began, and up to where it tells.
    round: Option<(Moment, u32)>,
    /// What the record was last made to say, in this run.
    pub(super) described: Option<LastDescription>,
    /// When the list will show duplicates of the record, if that has not been seen to.
    pub(super) duplicates_due: Option<Moment>,
    /// Another record of the scope that was read and found open, and when that was asked.
    pub(super) other_open: Option<(Record, Moment)>,
    /// When, in this run, the record was first known to be closed and the incident over.
    pub(super) sweep_after: Option<Moment>,
    pub(super) retries: BTreeMap<ActionKind, Retry>,
    pub(super) in_flight: Option<InFlight>,
    /// The revision that was last reported as settled.
    pub(super) settled_revision: Option<u64>,
}

/// What is known of a record in this run.
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

/// What a record was made to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LastDescription {
    /// How the incident stood.
    pub(super) revision: u64,
    pub(super) worsened: u32,
    pub(super) at: Moment,
    pub(super) account: Account,
}

/// An action that has not ended.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) id: ActionId,
    pub(super) purpose: Purpose,
    pub(super) asked: Moment,
}

/// What an action is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Purpose {
    Commit,
    Start,
    /// Read the incident's own record, when the incident had worsened so often.
    ReadOwn {
        worsened: u32,
    },
    /// Read another record of the scope.
    ReadOther(RecordId),
    /// Tell up to and excluding this `seq`.
    Note {
        told: u32,
    },
    Relate,
    /// Make the record say how the incident stands.
    Describe(Box<LastDescription>),
    /// Close the own record, because the incident is over.
    ResolveOwn,
    /// Close a record, the own or another, in favour of the oldest.
    ResolveDuplicate {
        younger: RecordId,
        oldest: RecordId,
    },
    /// Close another open record of the scope, because the incident is over.
    ResolveLeftover(RecordId),
    Forget,
}

impl Purpose {
    /// Which way it is.
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

/// What a case wants.
#[derive(Debug)]
pub(super) enum RecordStep {
    /// To do this.
    Do(Purpose, Box<Work<RecordCall>>),
    /// To be asked again at the latest at that moment, and when a look-up asked at this moment or later is there.
    Wait { until: Option<(Moment, &'static str)>, look_up: Option<Moment> },
    /// To say that it is settled.
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

/// What a case must know beyond itself.
#[derive(Debug)]
pub(super) struct CaseContext<'a> {
    pub(super) now: Now,
    pub(super) settings: &'a SinkRules,
    /// `None` if the connection is not configured (any more).
    pub(super) scope: Option<&'a Scope>,
    pub(super) place: &'a KnownRecords,
    /// An earlier incident of the scope is over, and its record is being brought into line.
    pub(super) earlier: Earlier,
    /// A later incident of the scope is open.
    pub(super) later: Option<Later>,
    /// The related incident's record and title.
    pub(super) related: Option<(RecordId, String)>,
    /// The records of other open incidents: these are not ours to close.
    pub(super) held_by_others: BTreeSet<RecordId>,
}

/// How far the earlier incidents of the same scope are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Earlier {
    /// There is none, or nothing of it stands in the way, or a person must act before it gets on.
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
    /// A case for an incident that has appeared on the Board, with the rows that the ledger has of it, oldest generation
    /// first.
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
            open_at: incident.worsened.saturating_sub(worsened_since(&incident, row.told)),
            incident,
            present: true,
            row,
            dirty: false,
            standing,
            since: now,
            ahead: false,
            // A stored request may have been sent by an earlier run: look what became of it. Otherwise what was looked up
            // beforehand will do.
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

    /// When the incident was over, if it is resolved.
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

    /// Whether nothing is left to do, for the time being.
    pub(super) fn is_in_line(&self) -> bool {
        if self.row.settled && !self.is_open() {
            return true;
        }
        let told = match (&self.row.record, self.standing) {
            (None, _) => self.is_only_found(),
            (Some(_), Standing::Unread) => false,
            (Some(_), Standing::Open { .. }) => {
                let waits = || self.round.is_some() && self.repeats_itself() && !self.is_in_round();
                self.next_told().is_none() || waits()
            }
            (Some(_), Standing::Closed) => {
                let closed = self.row.closed_by_person_at;
                self.is_only_found() || closed.is_none_or(|at| at >= self.incident.worsened)
            }
        };
        self.is_open() && told
    }

    /// Whether an action of this kind is refused until a person acts.
    pub(super) fn is_rejected(&self, kind: ActionKind) -> bool {
        self.retries.get(&kind).is_some_and(Retry::is_rejected)
    }

    pub(super) fn not_before(&self, kind: ActionKind, now: Moment) -> Option<Moment> {
        self.retries.get(&kind).and_then(|retry| retry.until(now, kind.priority()))
    }

    /// Up to where the next note goes: `None` if everything has been noted.
    pub(super) fn next_told(&self) -> Option<u32> {
        if self.row.told == 0 {
            return Some(self.joined_upto.unwrap_or_else(|| self.end_of_story()));
        }
        self.next_entry().map(|entry| entry.seq + 1)
    }

    /// The first entry that has not been noted. Of a story that was thinned, what is said again later is noted then.
    pub(super) fn next_entry(&self) -> Option<&TimelineEntry> {
        let Incident { timeline, .. } = &*self.incident;
        let thinned = self.incident.is_thinned();
        let again = |index: usize| {
            timeline[index + 1..].iter().any(|later| later.what.says_the_same(&timeline[index].what))
        };
        let mut untold = timeline.iter().enumerate().skip_while(|(_, entry)| entry.seq < self.row.told);
        untold.find(|(index, _)| !thinned || !again(*index)).map(|(_, entry)| entry)
    }

    /// Whether the next note, of an incident that is open, says only what was said before, in a story that was thinned: such
    /// notes are written in rounds, [`REPEATS_EVERY`].
    fn repeats_itself(&self) -> bool {
        let before = |entry: &TimelineEntry| {
            let same = |earlier: &&TimelineEntry| earlier.what.says_the_same(&entry.what);
            let mut earlier = self.incident.timeline.iter().take_while(|earlier| earlier.seq < entry.seq);
            entry.repeats > 0 || earlier.any(|earlier| same(&earlier))
        };
        self.is_open()
            && self.row.told != 0
            && self.incident.is_thinned()
            && self.next_entry().is_some_and(before)
    }

    /// When the next note may be written, if it says only what was said before, and later than now.
    pub(super) fn next_round(&self, now: Moment) -> Option<Moment> {
        let due = self.round.filter(|_| !self.is_in_round())?.0 + REPEATS_EVERY;
        Some(due).filter(|due| *due > now && self.repeats_itself())
    }

    /// The next note is written now.
    pub(super) fn begin_round(&mut self, now: Moment) {
        if self.repeats_itself() && !self.is_in_round() {
            self.round = Some((now, self.end_of_story()));
        }
    }

    fn is_in_round(&self) -> bool {
        let upto = self.round.map_or(0, |(_, upto)| upto);
        self.next_entry().is_some_and(|entry| entry.seq < upto)
    }

    /// Just after the last entry; never 0, which means that the record has no word of ours yet.
    fn end_of_story(&self) -> u32 {
        self.incident.timeline.last().map_or(1, |entry| entry.seq + 1)
    }

    /// Just after the entry of the opening, which is what a record is started with.
    pub(super) fn after_opening(&self) -> u32 {
        wording::opened_seq(&self.incident).map_or(1, |seq| seq + 1)
    }

    /// Makes a record the incident's own, by whatever site it was started.
    pub(super) fn adopt(&mut self, record: RecordId, standing: Standing) {
        self.row.start = None;
        self.row.record = Some(record);
        self.row.told = 0;
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

    /// Makes a record the incident's own that somebody has closed after the incident had worsened at most so often.
    pub(super) fn adopt_closed(&mut self, record: RecordId, open_at: u32) {
        self.adopt(record, Standing::Closed);
        self.open_at = open_at;
        self.count_as_closed();
    }

    /// Takes the record as closed by a person (or the twin): it stays so until the incident worsens.
    pub(super) fn count_as_closed(&mut self) {
        self.row.closed_by_person_at = Some(self.open_at);
        self.standing = Standing::Closed;
        self.missing_since = None;
        self.duplicates_due = None;
        self.dirty = true;
    }

    /// Drops what led to a record that is not this incident's, and looks again. The ledger keeps the row until there is
    /// something to put in its place: after a crash it leads to the same insight.
    pub(super) fn look_again(&mut self, now: Moment) {
        self.row.record = None;
        self.row.start = None;
        self.standing = Standing::Unread;
        self.token_known = None;
        self.attempted = None;
        self.look_after = now;
    }

    /// Begins another record, because the incident has worsened since a person closed the last.
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

    /// An action is on its way.
    pub(super) fn launch(&mut self, id: ActionId, purpose: Purpose, now: Now) {
        if purpose == Purpose::Start {
            self.attempted.get_or_insert(now);
        }
        self.in_flight = Some(InFlight { id, purpose, asked: now.mono });
    }

    /// What is to be done next.
    pub(super) fn advance(&mut self, context: &CaseContext<'_>) -> RecordStep {
        loop {
            if let Some(step) = self.step(context) {
                return step;
            }
        }
    }

    /// One change of mind, or what comes of the last.
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
            let told = self.settled_revision.is_some_and(|told| told >= self.incident.revision);
            return Some(if told { REST } else { RecordStep::Settled });
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

    /// The incident has left the Board. Absence resolves nothing; what is settled is forgotten.
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

    /// Nothing is left to do.
    pub(super) fn settle(&mut self) -> Option<RecordStep> {
        self.row.settled = true;
        self.dirty = true;
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
        // A record that was closed as a duplicate and opened again by a person is closed with another token at the end.
        let why = if matches!(purpose, Purpose::ResolveDuplicate { .. }) { "duplicate" } else { "over" };
        let client_token = token::resolve(&record, &context.settings.site, &self.incident.id, why);
        call(purpose, RecordCall::Resolve { record, summary, client_token })
    }
}

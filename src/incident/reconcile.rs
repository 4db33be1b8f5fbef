//! One sink's reconciler: pure, level-triggered, patient.
//!
//! It gets the Board ([`super::action::SinkEvent::Board`]) and how its actions ended ([`super::action::SinkEvent::Ended`]); it is polled for
//! actions, for what is settled, for reports, notices and the time at which it wants to be asked again. It reads no
//! clock and does no input or output. Each incident has at most one action on its way, each scope at most one look-up;
//! a reply may be lost, late, repeated or out of order. One look-up serves every scope that needs one: what counts for each is
//! that it was asked for after what that scope's incident needs to know of.
//!
//! # Why one incident becomes one record
//! An incident pages when its record exists, and the daemon may die, the reply be lost or the twin act at any moment. What
//! makes it one record nevertheless:
//!
//! 1. *Look first.* An open record of the scope is ours, by whatever site it was started, and is adopted. So a second record can only
//!    come from a start that does not see the first: within the list's lag, or with the list out of reach.
//! 2. *One token.* Within that time everybody derives the same token from the newest record they know of, and a sink
//!    makes one record of one token. A retry, also after a crash, sends the committed bytes, so that it is the same call to
//!    a sink that compares parameters; a twin's call differs in them, and where the sink therefore answers "known" the
//!    record is looked for until it shows.
//! 3. *The two overlap.* The list lags a minute or so; a token is remembered for longer. A retry that comes so late that
//!    its token may be forgotten looks again first. Hence there is no time at which neither helps.
//! 4. *A fresh token when it must be one.* The token names the newest record, so a record that is over gives its successor
//!    another. If the list did not show that record, the token leads to it (or to "known"): what comes back is read, found to be
//!    closed and older than the incident, and the fresh token is derived from it.
//! 5. *What remains is mended.* A sink that makes a second record of a known token with other parameters, an alarm
//!    that starts its own in the same minute, or a page that could not wait for a list leave two. When the list must show both,
//!    the oldest stays and the younger ones of daemons are closed; everybody chooses the same one.
//!
//! # Why none is lost
//! The row is committed before the call, so a crash before, during or after it leads back here; the Board keeps the incident
//! until this sink has settled it; every failure is followed by another try. A ledger that cannot be written does
//! not hold up a page, a list that is refused neither; a list that fails holds it up for some minutes at most, and
//! then 2 and 5 alone stand against a second record.
//!
//! Wherever a rule must guess whether a closed record means "people know" or "that was another time" (clocks that differ, an
//! answer that was lost), it guesses for the page: one too many is closed by a person in a second.
//!
//! A record whose incident nobody has any more (the store was lost, the twin has died) is found by a survey and adopted by
//! the core, see [`Survey`]; of what was only found no record is started.
//!
//! # Withheld
//! An incident that a parent's incident explains, or that is silenced, stays on the Board and without a record
//! ([`super::withheld`] says when, and why no page is lost). It costs no call, and does not count as out of line. What is held
//! back is the creation alone, so nothing else may rest on it:
//!
//! - *A row with a request or a record goes on.* A call may have been made, and what it made must be closed. So a restart
//!   in the middle leads to what it would have led to: a row without either is one that was withheld, or one whose first step was
//!   not taken, and the Board says which.
//! - *What others open is ours.* While an incident is withheld it accounts for the records of its scope as ever, so the core does
//!   not adopt them. The survey shows an open one to the case itself, which adopts it, and closes it at the end. One that is
//!   opened just before the end is found by the next survey, when no incident accounts for it any more.
//! - *What is released begins now.* The look-up must be younger than the release: a record that somebody opened, and perhaps
//!   closed, meanwhile is the incident's. The newest record of that time also gives the token. From there on it is an
//!   incident that has just opened, however long ago it did; its title, kind and worsenings are those of now.
//! - *A closed record stays closed* while its incident worsens withheld; the release makes that a page.
//! - *Siblings.* A withheld one keeps no earlier one waiting, and none yields to it: it has no record to be noted in.
//! - *What ends withheld is settled* without a call, in a moment when the core may drop it. Whether its parent's incident leaves
//!   the Board before it, after it or with it makes no difference.
//!
//! # Why it is resolved once, and only by a reason
//! Only an incident that is on the Board as resolved has its record closed, after a read that found it open; absence
//! from the Board does nothing. A closed record under an open incident is a person's (or the twin's) decision: it stays until
//! the incident has worsened since the record was last known to be open. It is read whenever the incident worsens, so
//! that a close before that moment is distinguished from one after it.
//!
//! # One after the other
//! Of the incidents of one scope the earlier is brought into line first, so that its record is closed before the later looks.
//! But an open one waits no longer than a minute for one that is over, and not at all for one that has paged nobody: it
//! goes ahead, in the earlier's record if that is still open, and the earlier is noted there. A record that an open
//! incident holds, or may be about to hold, is not closed by another.
//!
//! Why an incident is the key, and not its scope (connection and kind, with the newest incident as what is wanted): each
//! incident has its own end. Its last notes and its closing summary must be in its record before that is closed, and the core
//! keeps it on the Board until its own revision is settled; a key that wants only the newest drops both, and an incident that
//! opened and ended while the sink was out of reach would never be recorded. The committed request (title, date, token) is one
//! incident's: under a scope a retry would send the bytes of another (2, "none is lost"). A person's close counts the worsenings
//! of one incident: under a scope the close of the first would silence the second. So the incidents of a scope would
//! have to be queued within it, and `Earlier` and `Later` would be the states of that queue: what is being started or closed
//! at this moment, what has paged nobody, which one is ahead. The keys of the ledger would change, and the proofs of 2 and 4.

mod case;
mod ended;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use self::case::{CaseContext, Earlier, InFlight, Later, Purpose, RecordCase, RecordStep, Standing};
use self::ended::ReplyContext;
use super::lookup::{KnownRecords, NeededLookUp};
use super::outbox::{Machine, Outbox, Retry, worst_problem};
use super::settings::SinkRules;
use super::withheld::Withholding;
use crate::domain::board::{Board, IncidentId, IncidentState};
use crate::domain::names::Kind;
use crate::domain::scope::Scope;
use crate::domain::time::{Moment, Now, Stamp};
use crate::health::Problem;
use crate::incident::action::{
    ActionFailure, ActionId, ActionKind, NoticeReason, RecordCall, Reply, Settled, SinkNotice,
    UnclaimedRecord, Work,
};
use crate::incident::sink::{LedgerRow, Record, RecordId, RecordScope, RecordStatus, Search, SinkError};
use crate::incident::{token, wording};

/// A row whose incident is not on the Board may belong to one that the core adopts late after a start: it is kept for this
/// long before it is forgotten (if settled) or reported.
const ABSENT_GRACE: Duration = Duration::from_secs(300);

/// The minimum time between look-ups, so that connections that go down within a second or two share one …
const LOOK_UPS_APART: Duration = Duration::from_secs(5);
/// … and if a page waits for the next.
const PAGES_LOOK_UPS_APART: Duration = Duration::from_secs(1);

/// One sink's reconciler.
#[derive(Debug)]
pub struct Reconciler {
    settings: SinkRules,
    cases: BTreeMap<IncidentId, RecordCase>,
    places: BTreeMap<(Scope, Kind), KnownRecords>,
    /// The ledger's rows of incidents that have not been on the Board in this run.
    stored: BTreeMap<IncidentId, Vec<LedgerRow>>,
    survey: Survey,
    /// When the last look-up was sent.
    looked_up: Option<Moment>,
    started: Moment,
    board: Arc<Board>,
    /// Notices that were sent in this run and are not repeated.
    noticed: BTreeSet<SinkNotice>,
    outbox: RecordOutbox,
}

type RecordOutbox = Outbox<RecordCall, RecordRoute>;

/// What an action belongs to.
#[derive(Debug)]
pub enum RecordRoute {
    /// An incident.
    Case(IncidentId),
    /// A look-up for several scopes.
    Places {
        /// The scopes.
        of: Vec<(Scope, Kind)>,
        /// When it was sent.
        asked: Moment,
    },
    /// A row whose incident is not on the Board.
    Stored,
    /// The survey's list.
    Survey {
        /// When it was sent.
        asked: Moment,
    },
    /// A read of a record that is open and that no incident explains.
    Unclaimed {
        /// Its scope.
        at: (Scope, Kind),
        /// Which.
        record: RecordId,
    },
}

/// The longest time for which a record stays open that no daemon closes, beyond the time that its incident needs to be
/// resolved: as long as the shortest `resolve_after` by default. One list covers all connections, so it costs one call each
/// time.
const SURVEY_EVERY: Duration = Duration::from_secs(300);

/// Records that are open at the sink and that no incident on the Board explains: the store was lost, the twin that created
/// one has died, or our alarm created it while no daemon was running. They are looked for at the start and every few minutes,
/// and the core adopts them.
///
/// A list may lag behind, so each record is read first: one that a daemon or a person closed a moment ago is not adopted
/// again.
#[derive(Debug, Default)]
struct Survey {
    /// When the last list was sent; `None` before the first, and if one is due at once.
    last: Option<Moment>,
    listing: bool,
    reading: bool,
    /// The oldest open record of each scope that no incident explained, to be read.
    unread: BTreeMap<(Scope, Kind), RecordId>,
    retry: Retry,
}

impl Survey {
    /// A list, or one of its records, could not be read: both are repeated after a while.
    fn failed(&mut self, failure: &ActionFailure, now: Moment, seed: &[&str]) {
        self.retry.failed(now, failure, seed);
        self.last = None;
    }
}

impl Reconciler {
    /// A reconciler that continues from the ledger's rows of this sink.
    pub fn new(settings: SinkRules, rows: Vec<LedgerRow>, now: Now) -> Self {
        let mut stored: BTreeMap<IncidentId, Vec<LedgerRow>> = BTreeMap::new();
        for row in rows {
            stored.entry(row.incident.clone()).or_default().push(row);
        }
        for rows in stored.values_mut() {
            rows.sort_by_key(|row| row.generation);
        }
        let outbox = Outbox::new(settings.id().clone());
        Self {
            settings,
            cases: BTreeMap::new(),
            places: BTreeMap::new(),
            stored,
            survey: Survey::default(),
            looked_up: None,
            started: now.mono,
            board: Arc::default(),
            noticed: BTreeSet::new(),
            outbox,
        }
    }

    /// A look-up has ended. It was sent at one moment for all of these scopes, so it shows the state of each at that moment.
    fn looked_up(
        &mut self,
        of: Vec<(Scope, Kind)>,
        asked: Moment,
        result: Result<Reply, ActionFailure>,
        now: Now,
    ) {
        let found = match result {
            Ok(Reply::Found(found)) => Ok(found),
            Ok(Reply::Surveyed(_) | Reply::Started(_) | Reply::Read(_) | Reply::Done) => {
                Err(ActionFailure::Mismatch)
            }
            Err(failure) => Err(failure),
        };
        // They wait equally long, so that one look-up covers them again.
        let seed = [&*self.settings.site, self.settings.id().as_str(), ActionKind::Find.as_str()];
        match found {
            Ok(found) => {
                let mut records: BTreeMap<(Scope, Kind), Vec<Record>> = BTreeMap::new();
                for (scope, record) in found {
                    records.entry((scope.of, scope.kind)).or_default().push(record);
                }
                for at in of {
                    let records = records.remove(&at).unwrap_or_default();
                    self.places.entry(at).or_default().found(asked, records);
                }
            }
            Err(failure) => {
                for at in of {
                    self.places.entry(at).or_default().failed(asked, &failure, now.mono, &seed);
                }
            }
        }
    }

    fn send(&mut self, call: RecordCall, route: RecordRoute, now: Now) {
        self.outbox.send(Work::Call(call), route, now.mono);
    }

    fn plan_case(
        &mut self,
        id: &IncidentId,
        held: &mut BTreeSet<RecordId>,
        now: Now,
        wanted: &mut BTreeMap<(Scope, Kind), NeededLookUp>,
    ) {
        if self.cases.get(id).is_none_or(|case| case.in_flight.is_some() || case.rests()) {
            return;
        }
        let at = (id.scope.clone(), id.kind);
        self.places.entry(at.clone()).or_default();
        let scope = self.settings.scope(&id.scope, id.kind);
        let (earlier, later) = self.siblings(id);
        let related = self.related(id);
        let (Some(case), Some(place)) = (self.cases.get_mut(id), self.places.get(&at)) else { return };
        let context = CaseContext {
            now,
            settings: &self.settings,
            scope: scope.as_ref(),
            place,
            earlier,
            later,
            related,
            held,
        };
        let step = case.advance(&context);
        held.extend(case.holds().cloned());
        let commit = case.not_before(ActionKind::Commit, now.mono).filter(|_| case.dirty);
        let page =
            case.row.record.is_none() && case.is_open() && !case.is_only_found() && !case.is_held_back();
        match step {
            RecordStep::Do(purpose, work) => {
                if purpose == Purpose::Start && case.blind {
                    let reason = NoticeReason::CreatedWithoutList;
                    let notice = SinkNotice::of(&case.incident, self.settings.id(), reason);
                    notice_once(&mut self.noticed, &mut self.outbox, notice);
                }
                let action = self.outbox.send(*work, RecordRoute::Case(id.clone()), now.mono);
                case.launch(action, purpose, now);
            }
            RecordStep::Wait { until, look_up } => {
                if let Some((until, why)) = until {
                    self.outbox.wake_at(Some(until), why);
                }
                if let Some(bound) = look_up.filter(|_| scope.is_some()) {
                    let look_up = NeededLookUp { bound, page };
                    wanted.entry(at).and_modify(|known| *known = look_up.or(*known)).or_insert(look_up);
                }
            }
            RecordStep::Settled => {
                case.settled_revision = Some(case.incident.revision);
                self.outbox.settle(Settled { incident: id.clone(), revision: case.incident.revision });
            }
        }
        self.outbox.wake_at(commit, "commit again");
    }

    /// How far the earlier incidents of the same scope have got, and whether a later one is open.
    fn siblings(&self, id: &IncidentId) -> (Earlier, Option<Later>) {
        let siblings = || {
            let of = |opened| IncidentId { opened, ..id.clone() };
            let all = of(Stamp::from_millis(i64::MIN))..=of(Stamp::from_millis(i64::MAX));
            self.cases.range(all).map(|(_, case)| case).filter(|case| case.present)
        };
        let earlier =
            siblings().filter(|case| case.incident.id.opened < id.opened && !case.row.settled).map(|case| {
                let busy = |flight: &InFlight| {
                    matches!(flight.purpose.kind(), ActionKind::Start | ActionKind::Resolve)
                };
                let known = case.row.start.is_some() || case.row.record.is_some();
                let stuck = [ActionKind::Start, ActionKind::Read, ActionKind::Resolve]
                    .into_iter()
                    .any(|kind| case.is_rejected(kind));
                if case.in_flight.as_ref().is_some_and(busy) {
                    Earlier::Busy
                } else if stuck {
                    Earlier::Clear
                } else if known {
                    Earlier::Working
                } else {
                    Earlier::Idle
                }
            });
        let later =
            // One that is held back has no page to leave anything to.
            siblings()
                .rfind(|case| {
                    case.incident.id.opened > id.opened && case.is_open() && !case.is_held_back()
                })
                .map(|case| {
                let read = case.row.record.clone().map(|record| (record, case.standing));
                Later {
                    ahead: case.ahead,
                    record: read.filter(|(_, standing)| *standing != Standing::Unread),
                }
            });
        (earlier.max().unwrap_or(Earlier::Clear), later)
    }

    fn related(&self, id: &IncidentId) -> Option<(RecordId, String)> {
        let related = self.cases.get(id)?.incident.related.as_ref()?;
        let case = self.cases.get(related)?;
        Some((case.row.record.clone()?, wording::title(&case.incident)))
    }

    /// Look-ups that a case needs, and those made ahead of time, so that only the commit and the call itself lie between
    /// agreement and page.
    fn plan_look_ups(&mut self, now: Now, wanted: &BTreeMap<(Scope, Kind), NeededLookUp>) {
        for scope in &self.board.prepare {
            for kind in Kind::ALL.into_iter().filter(|kind| self.settings.sink.takes(scope, *kind)) {
                self.places.entry((scope.clone(), kind)).or_default();
            }
        }
        let has_or_waits = |case: &&RecordCase| case.row.record.is_some() || case.is_held_back();
        let need_none: BTreeSet<(Scope, Kind)> = self
            .cases
            .values()
            .filter(|case| case.present && !case.row.settled)
            .filter(has_or_waits)
            .map(|case| (case.incident.id.scope.clone(), case.incident.id.kind))
            .collect();
        let (mut of, mut scopes, mut page, mut earliest) = (Vec::new(), Vec::new(), false, None);
        for (at, place) in &mut self.places {
            if !self.settings.knows(&at.0) {
                continue;
            }
            let taken = self.settings.sink.takes(&at.0, at.1);
            place.prepare(taken && !need_none.contains(at) && self.board.prepare.contains(&at.0), now.mono);
            let wanted = wanted.get(at).copied();
            let Some(due) = place.due(wanted, now.mono) else { continue };
            let Some(scope) = self.settings.scope(&at.0, at.1) else { continue };
            page |= due <= now.mono && wanted.is_some_and(|wanted| wanted.page);
            earliest = Some(earliest.map_or(due, |earliest: Moment| earliest.min(due)));
            of.push(at.clone());
            scopes.push(scope);
        }
        let apart = if page { PAGES_LOOK_UPS_APART } else { LOOK_UPS_APART };
        let again = self.looked_up.map(|last| last + apart);
        let Some(due) = earliest.map(|due| again.map_or(due, |again| due.max(again))) else { return };
        if due > now.mono {
            self.outbox.wake_at(Some(due), "look up");
            return;
        }
        // Those that are not due yet are included: it is the same call.
        let mut overtaken = None;
        for at in &of {
            if let Some(place) = self.places.get_mut(at) {
                place.asked = Some(now.mono);
                overtaken = overtaken.into_iter().chain(place.due(wanted.get(at).copied(), now.mono)).min();
            }
        }
        self.looked_up = Some(now.mono);
        self.outbox.wake_at(overtaken, "a list is overdue");
        let search = Search { scopes, page };
        self.send(RecordCall::Find { search }, RecordRoute::Places { of, asked: now.mono }, now);
    }

    /// Rows of incidents that have not returned to the Board since the start.
    fn plan_stored(&mut self, now: Now) {
        if self.stored.is_empty() {
            return;
        }
        let due = self.started + ABSENT_GRACE;
        if due > now.mono {
            self.outbox.wake_at(Some(due), "rows without an incident");
            return;
        }
        for (incident, rows) in mem::take(&mut self.stored) {
            if rows.last().is_some_and(|row| row.settled) {
                self.outbox.send(Work::Forget { incident }, RecordRoute::Stored, now.mono);
                continue;
            }
            let record = rows.last().and_then(|row| row.record.as_ref());
            let goes_on = |case: &RecordCase| case.present && case.row.record.as_ref() == record;
            if record.is_some() && self.cases.values().any(goes_on) {
                // It was found open, and adopted.
                self.outbox.send(Work::Forget { incident }, RecordRoute::Stored, now.mono);
                continue;
            }
            let notice = SinkNotice {
                site: Arc::clone(&self.settings.site),
                sink: self.settings.id().clone(),
                name: None,
                reason: NoticeReason::LeftOpen(record.cloned()),
                incident,
            };
            notice_once(&mut self.noticed, &mut self.outbox, notice);
        }
    }

    /// Requests a list if one is due, and reads its records one at a time.
    fn plan_survey(&mut self, now: Now) {
        while !self.survey.reading
            && let Some((at, record)) = self.survey.unread.pop_first()
        {
            if !self.is_accounted_for(&at) {
                self.survey.reading = true;
                self.send(
                    RecordCall::Read { record: record.clone() },
                    RecordRoute::Unclaimed { at, record },
                    now,
                );
            }
        }
        if self.survey.listing || self.survey.reading {
            return;
        }
        let due = self.survey.last.map_or(self.started, |last| last + self.survey_interval());
        let due = self
            .survey
            .retry
            .until(now.mono, ActionKind::Survey.priority())
            .map_or(due, |until| due.max(until));
        if due > now.mono {
            self.outbox.wake_at(Some(due), "records that nobody accounts for");
            return;
        }
        let scopes = self.settings.scopes();
        if scopes.is_empty() {
            return;
        }
        self.survey.listing = true;
        self.survey.last = Some(now.mono);
        self.send(RecordCall::Survey { scopes }, RecordRoute::Survey { asked: now.mono }, now);
    }

    /// A list was answered.
    fn surveyed(&mut self, asked: Moment, result: Result<Reply, ActionFailure>, now: Now) {
        self.survey.listing = false;
        match result {
            Ok(Reply::Surveyed(open)) => {
                self.survey.retry.clear();
                self.show_withheld(asked, &open);
                self.survey.unread = self.unaccounted_for(asked, open);
            }
            Ok(Reply::Found(_) | Reply::Started(_) | Reply::Read(_) | Reply::Done) => {
                self.survey_failed(&ActionFailure::Mismatch, now.mono);
            }
            Err(failure) => self.survey_failed(&failure, now.mono),
        }
    }

    /// Shows what is held back the oldest open record of its scope: it is to be closed when the incident is over.
    fn show_withheld(&mut self, asked: Moment, open: &[(RecordScope, Record)]) {
        for case in self.cases.values_mut().filter(|case| case.present && case.is_held_back()) {
            let id = &case.incident.id;
            let place = self.places.get(&(id.scope.clone(), id.kind));
            let of_scope = open.iter().filter(|(scope, _)| (&scope.of, scope.kind) == (&id.scope, id.kind));
            let records = of_scope.map(|(_, record)| record);
            let records =
                records.filter(|record| !place.is_some_and(|it| it.knows_closed(&record.id, asked)));
            let oldest = records.min_by_key(|record| (record.created, &record.id));
            case.surveyed = oldest.map(|record| record.id.clone());
        }
    }

    /// A record that the list showed as open was read.
    fn read_unclaimed(
        &mut self,
        at: (Scope, Kind),
        record: &RecordId,
        result: Result<Reply, ActionFailure>,
        now: Now,
    ) {
        self.survey.reading = false;
        match result {
            Ok(Reply::Read(record)) => {
                let (status, created) = (record.status, record.created);
                self.places.entry(at.clone()).or_default().read(record, None, now.mono);
                match status {
                    RecordStatus::Open if !self.is_accounted_for(&at) => {
                        self.outbox.unclaimed(UnclaimedRecord { scope: at.0, kind: at.1, created });
                    }
                    RecordStatus::Open | RecordStatus::Resolved => {}
                }
            }
            Ok(Reply::Found(_) | Reply::Started(_) | Reply::Surveyed(_) | Reply::Done) => {
                self.survey_failed(&ActionFailure::Mismatch, now.mono);
            }
            Err(ActionFailure::Sink(SinkError::NotFound)) => {
                self.places.entry(at).or_default().gone(record);
            }
            Err(failure) => self.survey_failed(&failure, now.mono),
        }
    }

    fn survey_failed(&mut self, failure: &ActionFailure, now: Moment) {
        let seed = [&*self.settings.site, self.settings.id().as_str(), ActionKind::Survey.as_str()];
        self.survey.failed(failure, now, &seed);
    }

    /// The oldest open record of each scope that no incident explains.
    fn unaccounted_for(
        &self,
        asked: Moment,
        open: Vec<(RecordScope, Record)>,
    ) -> BTreeMap<(Scope, Kind), RecordId> {
        let mut oldest: BTreeMap<(Scope, Kind), Record> = BTreeMap::new();
        for (RecordScope { of, kind, plan: _, source: _, resource: _ }, record) in open {
            let at = (of, kind);
            let known = self.places.get(&at).is_some_and(|place| place.knows_closed(&record.id, asked));
            if known || self.is_accounted_for(&at) {
                continue;
            }
            let key = |record: &Record| (record.created, record.id.clone());
            match oldest.get(&at) {
                Some(older) if key(older) <= key(&record) => {}
                Some(_) | None => {
                    oldest.insert(at, record);
                }
            }
        }
        oldest.into_iter().map(|(at, record)| (at, record.id)).collect()
    }

    /// Whether an incident of this scope is on the Board, open or over: it handles every record of the scope.
    fn is_accounted_for(&self, at: &(Scope, Kind)) -> bool {
        self.cases.values().any(|case| {
            let id = &case.incident.id;
            case.present && (&id.scope, id.kind) == (&at.0, at.1)
        })
    }

    /// Jittered, so that twins that started together do not stay in step.
    fn survey_interval(&self) -> Duration {
        let spread = token::spread(&[&self.settings.site, self.settings.id().as_str()]);
        SURVEY_EVERY.mul_f64(0.8 + 0.2 * f64::from(spread) / f64::from(u32::MAX))
    }
}

impl Machine for Reconciler {
    type Call = RecordCall;
    type Route = RecordRoute;

    fn see(&mut self, board: Arc<Board>, now: Now) {
        for case in self.cases.values_mut() {
            case.present = false;
        }
        for incident in &board.incidents {
            if !self.settings.sink.takes(&incident.id.scope, incident.id.kind) {
                continue;
            }
            let again = |settled: bool| settled && incident.state == IncidentState::Open;
            if let Some(case) = self.cases.get_mut(&incident.id).filter(|case| !again(case.row.settled)) {
                case.present = true;
                case.incident = incident.clone();
            } else {
                // An incident that is settled and open was handed over, and is adopted again under the same id: a new
                // generation.
                let mut rows = self.stored.remove(&incident.id).unwrap_or_default();
                rows.retain(|row| !again(row.settled));
                let case = RecordCase::new(&self.settings, incident.clone(), rows, now.mono);
                self.cases.insert(incident.id.clone(), case);
            }
        }
        let withholding = Withholding::new(&board, &self.settings.sink);
        for case in self.cases.values_mut().filter(|case| case.present) {
            case.withhold(withholding.holds(&case.incident), now.mono);
        }
        // These have paged nobody, so nothing has to be closed.
        let has_paged = |case: &RecordCase| {
            case.row.start.is_some() || case.row.record.is_some() || (case.row.settled && case.stored)
        };
        self.cases.retain(|_, case| case.present || case.in_flight.is_some() || has_paged(case));
        for case in self.cases.values().filter(|case| !case.present && !case.row.settled) {
            let left = NoticeReason::LeftOpen(case.row.record.clone());
            let notice = SinkNotice::of(&case.incident, self.settings.id(), left);
            notice_once(&mut self.noticed, &mut self.outbox, notice);
        }
        self.board = board;
    }

    fn ended(&mut self, route: RecordRoute, id: ActionId, result: Result<Reply, ActionFailure>, now: Now) {
        match route {
            RecordRoute::Case(incident) => {
                let Some(case) = self.cases.get_mut(&incident) else { return };
                let Some(flight) = case.in_flight.take_if(|flight| flight.id == id) else { return };
                if flight.purpose == Purpose::Forget && result.is_ok() {
                    self.cases.remove(&incident);
                    return;
                }
                let place = self.places.entry((incident.scope.clone(), incident.kind)).or_default();
                let mut context = ReplyContext { now, settings: &self.settings, place, notices: Vec::new() };
                case.ended(flight, result, &mut context);
                context.notices.into_iter().for_each(|notice| self.outbox.notice(notice));
            }
            RecordRoute::Places { of, asked } => self.looked_up(of, asked, result, now),
            RecordRoute::Stored => {}
            RecordRoute::Survey { asked } => self.surveyed(asked, result, now),
            RecordRoute::Unclaimed { at, record } => self.read_unclaimed(at, &record, result, now),
        }
    }

    /// Asks every case for its next step, and every scope whether a look-up is due.
    fn plan(&mut self, now: Now) {
        let mut wanted: BTreeMap<(Scope, Kind), NeededLookUp> = BTreeMap::new();
        let ids: Vec<IncidentId> = self.cases.keys().cloned().collect();
        let mut held: BTreeSet<RecordId> =
            self.cases.values().filter_map(RecordCase::holds).cloned().collect();
        for id in &ids {
            self.plan_case(id, &mut held, now, &mut wanted);
        }
        self.plan_look_ups(now, &wanted);
        self.plan_stored(now);
        self.plan_survey(now);
    }

    fn pending(&self) -> usize {
        self.cases.values().filter(|case| case.present && !case.is_in_line()).count()
    }

    fn problem(&self) -> Option<Problem> {
        let cases = self.cases.values().flat_map(|case| &case.retries).map(|(kind, retry)| (*kind, retry));
        let places = self.places.values().map(|place| (ActionKind::Find, &place.retry));
        worst_problem(cases.chain(places).chain([(ActionKind::Survey, &self.survey.retry)]))
    }

    fn outbox(&self) -> &RecordOutbox {
        &self.outbox
    }

    fn outbox_mut(&mut self) -> &mut RecordOutbox {
        &mut self.outbox
    }
}

/// Writes a notice once in a run.
fn notice_once(noticed: &mut BTreeSet<SinkNotice>, outbox: &mut RecordOutbox, notice: SinkNotice) {
    if noticed.insert(notice.clone()) {
        outbox.notice(notice);
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) mod world;

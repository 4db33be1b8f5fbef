//! The next step for an incident's record, one rule for each state of the record: none is known, it is open, it is closed.

use std::time::Duration;

use crate::domain::board::{Incident, IncidentState, TimelineChange, TimelineEntry};
use crate::domain::time::{Moment, Stamp};
use crate::domain::verdict::Assessment;

use super::super::account::Account;
use super::super::action::{ActionKind, RecordCall};
use super::super::lookup::{GOOD_FOR, KnownRecords, LIST_LAG};
use super::super::outbox::retry_wait;
use super::super::raw_data::raw_data;
use super::super::sink::{
    DESCRIPTION_MAX, Description, Note, Record, RecordId, RecordOrigin, RecordScope, RecordStatus,
    StartRequest,
};
use super::super::{token, wording};
use super::case::{
    CaseContext, Earlier, LastDescription, Later, NOTE_CHECK, Purpose, REST, RecordCase, RecordStep,
    Standing, call, look_up, wait,
};

/// How long an open incident waits for the record of the one before it to be closed. After that it continues in that record:
/// people who have an open record need no second one, but they must be notified.
const EARLIER_PATIENCE: Duration = Duration::from_secs(60);
/// If no list is available for this long, a page is sent without one: then only the token makes twins and restarts one
/// request, as long as the sink remembers it and every site knows the same predecessor; a duplicate is found and closed
/// later. A page that waits for a list is worse than that.
const BLIND_AFTER: Duration = Duration::from_secs(20);
/// A sink certainly remembers a token for this long (AWS does not document it; other AWS services forget after an hour at the
/// earliest). A retry after that first looks up what an earlier call may have created.
const TOKEN_TRUST: Duration = Duration::from_secs(1800);
/// The sink may round to whole seconds, and synchronised clocks differ by less.
const CLOCKS_APART: Duration = Duration::from_secs(2);

/// How often a sink that has no record is searched again for one created by another site.
const AGAIN: Duration = Duration::from_secs(300);
/// The incident's worsenings when its record is found open and adopted. A later worsening is news to the person who closes
/// the record, unless the record was read again.
const WHEN_FOUND: u32 = 0;

/// How often an open record is read, to see whether a person has closed it, and how often a closed incident's scope is
/// searched for a record that was reopened.
const CHECK: Duration = Duration::from_secs(60);
/// A record's description is updated at most this often, unless the incident has worsened: its timeline has every change.
const DESCRIBE_EVERY: Duration = Duration::from_secs(60);

/// The limit of Incident Manager's summary is in characters; counted in bytes, to be safe.
/// <https://docs.aws.amazon.com/incident-manager/latest/APIReference/API_UpdateIncidentRecord.html>
const SUMMARY_MAX: usize = 8000;

/// Whether the description differs.
enum DescriptionDue {
    Never,
    At(Moment),
    Now(Box<Account>),
}

impl RecordCase {
    // No record is known: find it, or create it.

    /// No record is known: find it, or create it.
    pub(super) fn without_record(&mut self, context: &CaseContext<'_>) -> Option<RecordStep> {
        match self.incident.state {
            IncidentState::Open if self.is_only_found() => return self.without_found_record(context),
            IncidentState::Resolved { .. } if self.is_only_found() => {
                return self.without_found_record(context);
            }
            IncidentState::Open | IncidentState::Resolved { .. } if self.is_held_back() => {
                return self.while_withheld(context);
            }
            IncidentState::Open => {}
            // It has paged nobody, and it is over and forgotten here: there is nothing to record.
            IncidentState::Unwatched { .. } => return self.settle(),
            IncidentState::Resolved { .. } => {
                if self.row.start.is_none() && self.row.generation > 0 {
                    // People had a record and closed it, and the incident is over: a worsening in between is no longer a
                    // page.
                    return self.settle();
                }
                let yields = |later: &&Later| later.ahead || self.row.start.is_none();
                if let Some(later) = context.later.as_ref().filter(yields) {
                    let record = later.record.clone();
                    return self.yield_to(record);
                }
            }
        }
        let now = context.now.mono;
        let patience = self.since + EARLIER_PATIENCE;
        match (context.earlier, self.over()) {
            (Earlier::Busy, _) | (Earlier::Idle | Earlier::Working, Some(_)) => return Some(REST),
            (Earlier::Working, None) if !self.ahead && now < patience => {
                return Some(wait(patience, "an earlier incident's record"));
            }
            (Earlier::Working, None) if !self.ahead => self.look_after = now,
            (Earlier::Clear | Earlier::Idle | Earlier::Working, _) => {}
        }
        self.ahead = true;
        let Some(scope) = context.scope else { return Some(REST) };
        if let Some(until) = self.not_before(ActionKind::Start, now) {
            return Some(wait(until, "start again"));
        }
        let records = match self.records(context) {
            Ok(records) => records,
            Err(bound) => {
                let until = self.blind_from(context).map(|from| (from, "start without a list"));
                return Some(RecordStep::Wait { until, look_up: Some(bound) });
            }
        };
        if let Some(open) = records.iter().find(|record| record.status == RecordStatus::Open) {
            // A list may lag behind: a record that it shows as open is read first.
            return self.read_other(&open.id, now).or_else(|| self.adopt_other(context));
        }
        let newest = records.last();
        if let Some(closed) =
            newest.filter(|newest| self.is_of_this_incident(newest, context.place, context.now.wall))
        {
            // A person, the twin, or this daemon before a crash created it, and it has been closed since. If this daemon
            // created it or found it open, a worsening since counts as after the close; if the twin did, the twin handles
            // that.
            let open_at = match &self.row.start {
                Some(_) => self.open_at,
                None if self.was_found_as(closed) => WHEN_FOUND,
                None => self.incident.worsened,
            };
            self.adopt_closed(closed.id.clone(), open_at);
            return None;
        }
        let token = token::start(scope, newest.map(|newest| &newest.id).or(self.predecessor.as_ref()));
        self.start(context, scope, token)
    }

    /// No record is created for now. One that the twin or the alarm has opened is the incident's all the same: who else would
    /// close it? What ends before is done with, and nobody need ever know.
    fn while_withheld(&mut self, context: &CaseContext<'_>) -> Option<RecordStep> {
        if let Some(open) = self.surveyed.clone() {
            return self.read_other(&open, context.now.mono).or_else(|| {
                self.surveyed = None;
                self.adopt_other(context)
            });
        }
        if self.is_open() { Some(REST) } else { self.settle() }
    }

    /// Leaves the page to a later incident of the scope, and is noted in that one's record. If an earlier call of ours
    /// succeeded after all, the later incident finds its record.
    fn yield_to(&mut self, record: Option<(RecordId, Standing)>) -> Option<RecordStep> {
        match record {
            None => return Some(REST),
            Some((record, Standing::Closed)) => self.adopt_closed(record, self.incident.worsened),
            Some((record, Standing::Unread | Standing::Open { .. })) => self.adopt(record, Standing::Unread),
        }
        None
    }

    /// The known records of the scope, oldest first; or else from when on a look-up counts.
    fn records(&mut self, context: &CaseContext<'_>) -> Result<Vec<Record>, Moment> {
        let now = context.now.mono;
        let Some(bound) = self.look_up_bound(now) else { return Ok(context.place.known()) };
        if let Some(records) = context.place.view(bound) {
            self.looking_since = None;
            self.blind = false;
            return Ok(records);
        }
        let refused = context.place.is_refused();
        if refused || self.blind_from(context).is_some_and(|from| now >= from) {
            self.blind = true;
            return Ok(context.place.known());
        }
        match context.earlier {
            // Until now the look-up was not what was missing.
            Earlier::Working | Earlier::Busy => self.looking_since = Some(now),
            Earlier::Clear | Earlier::Idle => {
                self.looking_since.get_or_insert(now);
            }
        }
        Err(bound)
    }

    /// Creates a record: the request is made, committed, and sent until it is answered. If the sink says that it knows the
    /// token, the token's record is looked up until it shows.
    fn start(&mut self, context: &CaseContext<'_>, scope: &RecordScope, token: String) -> Option<RecordStep> {
        let now = context.now.mono;
        match (&self.row.start, self.token_known) {
            (None, _) => {
                self.row.start = Some(self.request(context, scope, token));
                self.row.sent_upto = self.row.sent_upto.max(self.after_opening());
                self.attempted = Some(context.now);
                self.open_at = self.incident.worsened;
                self.dirty = true;
                None
            }
            (Some(request), None) => {
                Some(call(Purpose::Start, RecordCall::Start { request: request.clone() }))
            }
            (Some(_), Some(_)) if now < self.look_after => Some(look_up(self.look_after)),
            (Some(request), Some((since, _)))
                if request.client_token != token && now.since(since) >= LIST_LAG =>
            {
                // The token's record has shown, and it is closed: its successor has another token.
                self.look_again(now);
                None
            }
            (Some(request), Some((since, looks))) => {
                let wait = retry_wait(looks + 1, &[&request.client_token, &self.incident.site]);
                self.token_known = Some((since, looks + 1));
                self.look_after = now + wait;
                Some(look_up(self.look_after))
            }
        }
    }

    /// From when on a look-up counts; `None` if none is needed.
    fn look_up_bound(&self, now: Moment) -> Option<Moment> {
        match (&self.row.start, self.token_known) {
            (Some(_), None) if self.is_token_fresh(now) && !self.blind => None,
            (Some(_) | None, _) => Some(self.look_after.max(now - GOOD_FOR)),
        }
    }

    /// Whether the sink certainly remembers a request with the row's token, if one arrived.
    fn is_token_fresh(&self, now: Moment) -> bool {
        self.attempted.is_some_and(|first| now.since(first.mono) < TOKEN_TRUST)
    }

    /// From when on it is better to create a record without a look-up than to wait for one, as long as the look-up may
    /// succeed without help. Never for a page that may have been sent long ago, that is over, or that follows one whose
    /// record may still be open.
    fn blind_from(&self, context: &CaseContext<'_>) -> Option<Moment> {
        let first = self.is_open() && (self.row.start.is_none() || self.is_token_fresh(context.now.mono));
        let alone = match context.earlier {
            Earlier::Clear | Earlier::Idle => true,
            Earlier::Working | Earlier::Busy => false,
        };
        self.looking_since.filter(|_| first && alone).map(|since| since + BLIND_AFTER)
    }

    fn request(&self, context: &CaseContext<'_>, scope: &RecordScope, client_token: String) -> StartRequest {
        StartRequest {
            scope: scope.clone(),
            client_token,
            title: wording::title(&self.incident),
            impact: context.settings.impact(self.incident.id.kind),
            triggered: self.incident.began,
            description: Account::new(&self.incident, context.settings).markdown(DESCRIPTION_MAX),
            raw_data: raw_data(&self.incident, context.settings, self.row.generation),
        }
    }

    /// Whether a closed record was about this incident, and not about an earlier one of its kind: it was created after the
    /// condition began to hold, or to be worse. (If it was about a later one, this one has long been over, and needs no
    /// page.) A wrong "yes" would lose a page and a wrong "no" repeat one, so any sign of a "no" counts: a clock that cannot
    /// be right, or what this run knows of the record.
    pub(super) fn is_of_this_incident(&self, record: &Record, place: &KnownRecords, now: Stamp) -> bool {
        let other = place.owner(&record.id).is_some_and(|owner| *owner != self.incident.id);
        !other
            && !self.past.contains(&record.id)
            && record.created + CLOCKS_APART >= self.due_since()
            && record.created <= now + CLOCKS_APART
    }

    /// Since when this generation's record has been due: since the beginning, or the last worsening.
    fn due_since(&self) -> Stamp {
        let down = |entry: &&TimelineEntry| {
            matches!(entry.what, TimelineChange::Assessment { assessment: Assessment::Down, .. })
        };
        match (self.row.generation, self.over()) {
            (0, _) | (_, Some(_)) => self.incident.began,
            (_, None) => {
                self.incident.timeline.iter().rev().find(down).map_or(self.incident.began, |entry| entry.at)
            }
        }
    }

    /// Adopts the record that was just found open.
    pub(super) fn adopt_other<T>(&mut self, context: &CaseContext<'_>) -> Option<T> {
        let (record, asked) = self.other_open.take()?;
        let standing = Standing::Open { asked, created: record.created };
        let late = self.over().is_some_and(|over| record.created > over);
        if late && self.row.start.is_some() && self.token_known.is_none() && context.later.is_none() {
            // No other site creates a record of an incident that is over: a call of ours succeeded, and its answer was lost.
            self.row.record = Some(record.id);
            self.standing = standing;
            self.dirty = true;
        } else {
            self.adopt(record.id, standing);
        }
        self.duplicates_due = Some(context.now.mono + LIST_LAG);
        None
    }

    // The incident was adopted: its record was found open, and this site has not seen the condition hold. Then a record is
    // looked up and none is created, at this sink or any other: this site cannot report what it has not seen.

    /// Whether no record may be created.
    pub(super) fn is_only_found(&self) -> bool {
        self.incident.found_at.is_some()
    }

    /// No record is known, and none may be created.
    pub(super) fn without_found_record(&mut self, context: &CaseContext<'_>) -> Option<RecordStep> {
        let now = context.now.mono;
        let bound = if self.is_open() { self.look_after.max(now - GOOD_FOR) } else { now - GOOD_FOR };
        let records = match (context.scope, context.place.view(bound)) {
            (Some(_), Some(records)) => records,
            (Some(_), None) if self.is_open() || !context.place.is_refused() => return Some(look_up(bound)),
            (Some(_) | None, _) => Vec::new(),
        };
        if let Some(open) = records.iter().find(|record| record.status == RecordStatus::Open) {
            return self.read_other(&open.id, now).or_else(|| self.adopt_other(context));
        }
        if let Some(closed) = records.iter().find(|record| self.was_found_as(record)) {
            // It has been closed since.
            self.adopt_closed(closed.id.clone(), WHEN_FOUND);
            return None;
        }
        match self.incident.state {
            IncidentState::Resolved { .. } | IncidentState::Unwatched { .. } => self.settle(),
            IncidentState::Open if context.scope.is_none() => Some(REST),
            IncidentState::Open => {
                self.look_after = now + AGAIN;
                Some(look_up(self.look_after))
            }
        }
    }

    /// Whether it is the record that was found open at this sink, for which the incident was adopted.
    pub(super) fn was_found_as(&self, record: &Record) -> bool {
        let here = self.incident.adopted_from() == Some(&self.row.sink);
        here && record.created == self.incident.id.opened && !self.past.contains(&record.id)
    }

    // The record is open: add notes, and close it when the incident is over.

    /// The record is open: add notes, and close it when the incident is over.
    pub(super) fn with_open_record(
        &mut self,
        context: &CaseContext<'_>,
        record: &RecordId,
        asked: Moment,
        created: Stamp,
    ) -> Option<RecordStep> {
        let now = context.now.mono;
        let age = now.since(asked);
        if self.is_open() && (age >= CHECK || self.incident.worsened > self.open_at) {
            return Some(self.read_own(record.clone(), now));
        }
        let mut retry = None;
        match self.description_due(context) {
            DescriptionDue::Now(_) if age > NOTE_CHECK => return Some(self.read_own(record.clone(), now)),
            DescriptionDue::Now(account) => return Some(self.describe(context, record, *account)),
            DescriptionDue::At(until) => retry = Some(until),
            DescriptionDue::Never => {}
        }
        if let Some(upto) = self.next_note_upto() {
            match self.not_before(ActionKind::Note, now).max(self.next_round(now)) {
                None if age > NOTE_CHECK => return Some(self.read_own(record.clone(), now)),
                None => return Some(self.note(context, record, upto)),
                Some(until) => retry = Some(retry.map_or(until, |retry: Moment| until.min(retry))),
            }
        }
        if let Some((other, title)) = context.related.as_ref().filter(|_| !self.row.related) {
            match self.not_before(ActionKind::Relate, now) {
                None => {
                    let (record, other, title) = (record.clone(), other.clone(), title.clone());
                    return Some(call(Purpose::Relate, RecordCall::Relate { record, other, title }));
                }
                Some(until) => retry = Some(retry.map_or(until, |retry| until.min(retry))),
            }
        }
        // A gap in the timeline is better than a record that stays open: only temporary failures are waited for.
        let note_passes =
            self.not_before(ActionKind::Note, now).filter(|_| !self.is_rejected(ActionKind::Note));
        match self.incident.state {
            IncidentState::Open => self.seek_duplicate(context, record, asked, retry),
            IncidentState::Unwatched { .. } => match note_passes {
                Some(until) => Some(wait(until, "note again")),
                None => self.settle(),
            },
            IncidentState::Resolved { at } => {
                if let Some(until) = note_passes {
                    return Some(wait(until, "note again"));
                }
                if self.is_handed_over(context, record, created, at) {
                    return self.settle();
                }
                if age > NOTE_CHECK {
                    return Some(self.read_own(record.clone(), now));
                }
                Some(self.resolve(context, record.clone(), Purpose::ResolveOwn, self.closing_words(context)))
            }
        }
    }

    /// Whether the record outlives this incident: another open incident uses it, or a later one is about to, or somebody else
    /// created it after this incident was over.
    fn is_handed_over(
        &self,
        context: &CaseContext<'_>,
        record: &RecordId,
        created: Stamp,
        over: Stamp,
    ) -> bool {
        context.held.contains(record)
            || context.later.as_ref().is_some_and(|later| later.ahead)
            || (created > over && (self.row.start.is_none() || context.later.is_some()))
    }

    /// Whether the record needs another description.
    fn description_due(&mut self, context: &CaseContext<'_>) -> DescriptionDue {
        if !self.is_open() || self.is_only_found() {
            return DescriptionDue::Never;
        }
        let now = context.now.mono;
        let Incident { revision, worsened, .. } = *self.incident;
        let due = match &self.described {
            Some(last) if last.revision == revision && self.row.linked => return DescriptionDue::Never,
            Some(last) if last.worsened < worsened => now,
            Some(last) => last.at + DESCRIBE_EVERY,
            None => now,
        };
        if let Some(until) = self
            .not_before(ActionKind::Describe, now)
            .into_iter()
            .chain([due].into_iter().filter(|due| *due > now))
            .max()
        {
            return DescriptionDue::At(until);
        }
        let account = Account::new(&self.incident, context.settings);
        match &mut self.described {
            Some(last) if last.account == account && self.row.linked => {
                last.revision = revision;
                DescriptionDue::Never
            }
            Some(_) | None => DescriptionDue::Now(Box::new(account)),
        }
    }

    fn describe(&self, context: &CaseContext<'_>, record: &RecordId, account: Account) -> RecordStep {
        let Incident { id, revision, worsened, .. } = &*self.incident;
        let client_token = token::describe(record, &context.settings.site, id, *revision);
        let described = LastDescription {
            revision: *revision,
            worsened: *worsened,
            at: context.now.mono,
            account: account.clone(),
        };
        let links = if self.row.linked { Vec::new() } else { account.every_link() };
        let description = Box::new(Description { account, links, client_token });
        call(
            Purpose::Describe(Box::new(described)),
            RecordCall::Describe { record: record.clone(), description },
        )
    }

    /// The record's closing text.
    pub(super) fn closing_words(&self, context: &CaseContext<'_>) -> String {
        Account::new(&self.incident, context.settings).markdown(SUMMARY_MAX)
    }

    fn note(&mut self, context: &CaseContext<'_>, record: &RecordId, upto: u32) -> RecordStep {
        self.begin_round(context.now.mono);
        let incident = &self.incident;
        let site = &*context.settings.site;
        let entry = self.next_entry().filter(|_| self.row.sent_upto != 0);
        let note = match entry {
            Some(entry) => Note {
                at: entry.at,
                text: wording::note(incident, entry, self.row.sent_upto),
                client_token: token::note(record, site, entry),
            },
            None => Note {
                at: incident.id.opened,
                text: wording::joining_note(incident),
                client_token: token::joining_note(record, site, &incident.id, upto),
            },
        };
        if self.row.sent_upto == 0 {
            self.joined_upto = Some(upto);
        }
        call(Purpose::Note { upto }, RecordCall::Note { record: record.clone(), note })
    }

    /// One record too many may be created: the list did not show the alarm's or a twin's record yet, and the token did not
    /// make them one. Once the list must be up to date, the oldest open record stays, the younger ones that daemons created
    /// are closed, and their incidents continue in the oldest. Every site chooses the same, so one stays open whichever acts;
    /// the alarm's is left to people, who may be working in it.
    fn seek_duplicate(
        &mut self,
        context: &CaseContext<'_>,
        record: &RecordId,
        asked: Moment,
        retry: Option<Moment>,
    ) -> Option<RecordStep> {
        let now = context.now.mono;
        let check = (asked + CHECK, "read the record");
        let until = Some(retry.filter(|retry| *retry < check.0).map_or(check, |retry| (retry, "note again")));
        let Some(due) = self.duplicates_due else {
            return Some(RecordStep::Wait { until, look_up: None });
        };
        let Some(records) = context.place.view(due) else {
            return Some(RecordStep::Wait { until, look_up: Some(due) });
        };
        let mut open = records.iter().filter(|record| record.status == RecordStatus::Open);
        let oldest = open.next().map_or(record, |oldest| &oldest.id);
        let daemons =
            open.filter(|younger| younger.origin == RecordOrigin::Daemon).map(|younger| &younger.id);
        let own = if oldest == record { None } else { daemons.clone().find(|younger| *younger == record) };
        let Some(younger) = own.or_else(|| daemons.clone().find(|younger| *younger != record)) else {
            self.duplicates_due = None;
            return None;
        };
        let step =
            self.read_other(if younger == record { oldest } else { younger }, now).unwrap_or_else(|| {
                let summary = wording::duplicate_summary(&self.incident, &oldest.0);
                let purpose = Purpose::ResolveDuplicate { younger: younger.clone(), oldest: oldest.clone() };
                self.resolve(context, younger.clone(), purpose, summary)
            });
        Some(match step {
            RecordStep::Wait { until: Some(held), look_up: _ } if held.0 > check.0 => {
                RecordStep::Wait { until, look_up: None }
            }
            step @ (RecordStep::Wait { .. } | RecordStep::Do(..) | RecordStep::Settled) => step,
        })
    }

    // The record is closed: by this daemon, because the incident is over, or by somebody else.

    /// The record is closed: by this daemon, because the incident is over, or by somebody else.
    pub(super) fn with_closed_record(
        &mut self,
        context: &CaseContext<'_>,
        record: &RecordId,
    ) -> Option<RecordStep> {
        match self.incident.state {
            IncidentState::Open => self.stay_closed(context, record),
            IncidentState::Resolved { at } => self.sweep(context, at),
            IncidentState::Unwatched { .. } => self.settle(),
        }
    }

    /// What a person closed stays closed, until the incident worsens or somebody opens a record.
    fn stay_closed(&mut self, context: &CaseContext<'_>, record: &RecordId) -> Option<RecordStep> {
        let now = context.now.mono;
        let worse = self.row.closed_by_person_at.is_none_or(|closed| self.incident.worsened > closed);
        if worse && !self.withheld && !self.is_only_found() {
            self.next_generation(now);
            return None;
        }
        let Some(records) = context.place.view(self.look_after) else {
            return Some(look_up(self.look_after));
        };
        match records.iter().find(|record| record.status == RecordStatus::Open) {
            // A person has reopened it.
            Some(open) if open.id == *record => Some(self.read_own(record.clone(), now)),
            Some(open) => self.read_other(&open.id, now).or_else(|| {
                self.past.insert(record.clone());
                self.adopt_other(context)
            }),
            None => {
                self.look_after = now + CHECK;
                Some(look_up(self.look_after))
            }
        }
    }

    /// The incident is over, and so is its record: close the scope's other open records that are as old, such as one whose
    /// twin has died, or a duplicate.
    fn sweep(&mut self, context: &CaseContext<'_>, over: Stamp) -> Option<RecordStep> {
        let now = context.now.mono;
        let after = *self.sweep_after.get_or_insert(now);
        let Some(records) = context.place.view(after) else {
            if context.scope.is_none() || context.later.is_some() || context.place.is_refused() {
                return self.settle();
            }
            return Some(look_up(after));
        };
        let leftover = records.iter().find(|record| {
            record.status == RecordStatus::Open
                && record.created <= over
                && context.later.is_none()
                && !context.held.contains(&record.id)
        });
        let Some(leftover) = leftover.filter(|_| !self.is_rejected(ActionKind::Resolve)) else {
            return self.settle();
        };
        if let Some(step) = self.read_other(&leftover.id, now) {
            return Some(step);
        }
        let summary = self.closing_words(context);
        Some(self.resolve(
            context,
            leftover.id.clone(),
            Purpose::ResolveLeftover(leftover.id.clone()),
            summary,
        ))
    }
}

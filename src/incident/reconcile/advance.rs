//! What an incident's record needs next: the rules, one function per situation.
//!
//! Each function looks at what is durable (the row) and what this run has learnt, makes at most one change of mind, and
//! either says what to do or is asked again.

use std::time::Duration;

use crate::domain::board::{IncidentState, TimelineChange, TimelineEntry};
use crate::domain::time::{Moment, Stamp};
use crate::domain::verdict::Assessment;

use super::super::action::{Act, Work};
use super::super::backoff;
use super::super::lookup::{GOOD_FOR, LIST_LAG, Place};
use super::super::raw_data::raw_data;
use super::super::sink::{Note, Origin, Record, RecordId, RecordStatus, Scope, StartRequest};
use super::super::{token, wording};
use super::case::{Aim, Around, Case, Newer, Older, Standing, Step};

/// How often an open record is read, to see whether a person has closed it, and how often a closed incident's scope is
/// searched for a record that somebody has opened since.
const CHECK: Duration = Duration::from_secs(60);
/// Before a note the record must have been read this recently: a story does not go on in a record that is closed.
const NOTE_CHECK: Duration = Duration::from_secs(10);
/// How long an open incident waits for the record of the one before it to be closed. After that it goes on in that record:
/// people who have an open record in front of them need no second one, but they do need to hear.
const OLDER_PATIENCE: Duration = Duration::from_secs(60);
/// If looking up fails for this long, a page goes out without: then the token alone makes twins and restarts one, as
/// long as it is remembered and everybody knows of the same predecessor; a duplicate is found and closed later. A page
/// that waits for a list for ever is worse, and one that is this late is bad: the time is for the list to recover in.
const BLIND_AFTER: Duration = Duration::from_secs(300);
/// … and then only this soon after looking up has failed once more, so that a sink that works again is looked at first.
const STILL: Duration = Duration::from_secs(10);
/// A sink surely remembers a token this long (AWS does not say; other services of theirs forget after an hour at the
/// earliest). A retry after that first looks for what an earlier call may have started.
const TOKEN_TRUST: Duration = Duration::from_secs(1800);
/// The sink may stamp in whole seconds, and clocks that are kept differ by less.
const CLOCKS_APART: Duration = Duration::from_secs(2);

impl Case {
    /// What is to be done next.
    pub(super) fn advance(&mut self, around: &Around<'_>) -> Step {
        loop {
            if let Some(step) = self.step(around) {
                return step;
            }
        }
    }

    /// One change of mind, or what comes of the last.
    fn step(&mut self, around: &Around<'_>) -> Option<Step> {
        let now = around.now.mono;
        if self.dirty && self.held(Act::Commit, now).is_none() {
            return Some(Step::Do(Aim::Commit, Work::Commit { row: self.row.clone() }));
        }
        if !self.present {
            return Some(self.absent(now));
        }
        if self.row.settled && !self.is_open() {
            let told = self.settled_revision.is_some_and(|told| told >= self.incident.revision);
            return Some(if told { REST } else { Step::Settled });
        }
        let Some(record) = self.row.record.clone() else {
            return self.without_record(around);
        };
        match self.standing {
            Standing::Unread => Some(self.read_own(record, now)),
            Standing::Open { asked, created } => self.with_open_record(around, &record, asked, created),
            Standing::Closed => self.with_closed_record(around, &record),
        }
    }

    /// The incident has left the Board. Absence resolves nothing; what is settled is forgotten.
    fn absent(&self, now: Moment) -> Step {
        if !self.row.settled {
            return REST;
        }
        match self.held(Act::Forget, now) {
            Some(until) => wait(until, "forget again"),
            None => Step::Do(Aim::Forget, Work::Forget { incident: self.incident.id.clone() }),
        }
    }

    /// No record is known: find it, or start it.
    fn without_record(&mut self, around: &Around<'_>) -> Option<Step> {
        let now = around.now.mono;
        match self.incident.state {
            IncidentState::Open => {}
            // Nobody was told, and nothing is known of it any more: there is nothing to tell.
            IncidentState::Unwatched { .. } => return self.settle(),
            IncidentState::Resolved { .. } => {
                if self.row.start.is_none() && self.row.generation > 0 {
                    // People had a record, closed it, and it is over: the worsening in between is no page any more.
                    return self.settle();
                }
                let yields = |newer: &&Newer| newer.ahead || self.row.start.is_none();
                if let Some(newer) = around.newer.as_ref().filter(yields) {
                    // The page that matters is the later incident's; this one is told in its record. If a call of ours has
                    // got through after all, the later incident finds what it has started.
                    match newer.record.clone() {
                        None => return Some(REST),
                        Some((record, Standing::Closed)) => {
                            self.adopt(record, Standing::Closed);
                            self.count_as_closed();
                        }
                        Some((record, Standing::Unread | Standing::Open { .. })) => {
                            self.adopt(record, Standing::Unread);
                        }
                    }
                    return None;
                }
            }
        }
        let patience = self.since + OLDER_PATIENCE;
        match (around.older, self.over()) {
            (Older::Busy, _) | (Older::Idle | Older::Working, Some(_)) => return Some(REST),
            (Older::Working, None) if !self.ahead && now < patience => {
                return Some(wait(patience, "an earlier incident's record"));
            }
            (Older::Working, None) if !self.ahead => self.look_after = now,
            (Older::Clear | Older::Idle | Older::Working, _) => {}
        }
        self.ahead = true;
        let Some(scope) = around.scope else { return Some(REST) };
        if let Some(until) = self.held(Act::Start, now) {
            return Some(wait(until, "start again"));
        }
        let bound = self.look_up_bound(now);
        let records = match bound {
            None => around.place.known(),
            Some(bound) => match around.place.view(bound) {
                Some(records) => {
                    self.looking_since = None;
                    self.blind = false;
                    records
                }
                None if self.may_start_blindly(around) => {
                    self.blind = true;
                    around.place.known()
                }
                None => {
                    if around.older >= Older::Working {
                        // It was no look-up that was missing so far.
                        self.looking_since = Some(now);
                    }
                    self.looking_since.get_or_insert(now);
                    return Some(look_up(bound));
                }
            },
        };
        if let Some(open) = records.iter().find(|record| record.status == RecordStatus::Open) {
            // A list may lag behind: what it calls open is read before it is believed.
            return self.read_other(&open.id, now).or_else(|| self.adopt_other(around));
        }
        let newest = records.last();
        if let Some(closed) =
            newest.filter(|newest| self.is_of_this_incident(newest, around.place, around.now.wall))
        {
            // Somebody, our twin or we before a crash, has started it, and somebody has closed it since. If we have, what
            // has worsened since counts as after the close; if the twin has, the twin sees to that.
            let open_at = self.row.start.as_ref().map_or(self.incident.worsened, |_| self.open_at);
            self.adopt(closed.id.clone(), Standing::Closed);
            self.open_at = open_at;
            self.count_as_closed();
            return None;
        }
        let token = token::start(scope, newest.map(|newest| &newest.id).or(self.predecessor.as_ref()));
        match (&self.row.start, self.token_known) {
            (None, _) => {
                self.row.start = Some(self.request(around, scope, token));
                self.row.told = self.row.told.max(self.after_opening());
                self.attempted = Some(around.now);
                self.open_at = self.incident.worsened;
                self.dirty = true;
                None
            }
            (Some(request), None) => Some(Step::Do(Aim::Start, Work::Start { request: request.clone() })),
            (Some(_), Some(_)) if now < self.look_after => Some(look_up(self.look_after)),
            (Some(request), Some((since, looks))) => {
                if request.client_token != token && now.since(since) >= LIST_LAG {
                    // What the token started has shown, and it is over: its successor has another token.
                    self.look_again(now);
                    return None;
                }
                let wait = backoff::wait(looks + 1, &[&request.client_token, &self.incident.site]);
                self.token_known = Some((since, looks + 1));
                self.look_after = now + wait;
                Some(look_up(self.look_after))
            }
        }
    }

    /// From when on a look-up is of use; `None` if none is needed.
    fn look_up_bound(&self, now: Moment) -> Option<Moment> {
        match (&self.row.start, self.token_known) {
            (Some(_), None) if self.is_token_fresh(now) && !self.blind => None,
            (Some(_) | None, _) => Some(self.look_after.max(now - GOOD_FOR)),
        }
    }

    /// Whether the sink surely remembers a start with the row's token, should one have got through.
    fn is_token_fresh(&self, now: Moment) -> bool {
        self.attempted.is_some_and(|first| now.since(first.mono) < TOKEN_TRUST)
    }

    /// Whether a start without a look-up is better than waiting for one. A page that nobody has had is; one that may have
    /// gone out long ago, that is over, or that follows one whose record may still be open, is not, as long as looking up
    /// may work again by itself.
    fn may_start_blindly(&self, around: &Around<'_>) -> bool {
        let now = around.now.mono;
        let first = self.is_open() && (self.row.start.is_none() || self.is_token_fresh(now));
        let alone = match around.older {
            Older::Clear | Older::Idle => true,
            Older::Working | Older::Busy => false,
        };
        let long = self.looking_since.is_some_and(|since| now.since(since) >= BLIND_AFTER);
        let still = around.place.failed_at.is_some_and(|at| now.since(at) <= STILL);
        around.place.is_refused() || (long && still && first && alone)
    }

    fn request(&self, around: &Around<'_>, scope: &Scope, client_token: String) -> StartRequest {
        let vpn = around.settings.vpns.get(&self.incident.id.vpn);
        StartRequest {
            scope: scope.clone(),
            client_token,
            title: wording::title(&self.incident),
            impact: around.settings.impact(self.incident.id.kind),
            triggered: self.incident.began,
            raw_data: raw_data(&self.incident, vpn, self.row.generation),
        }
    }

    /// Whether a closed record was about this very incident, and not about an earlier one of its kind: it was created after
    /// the condition began to hold, or to be worse. (If it was about a later one, this one has been over for long, and nobody needs
    /// a page for it.) A wrong "yes" would lose a page and a wrong "no" repeat one, so whatever speaks
    /// for a "no" is believed: a clock that cannot be right, and what this run knows of the record.
    pub(super) fn is_of_this_incident(&self, record: &Record, place: &Place, now: Stamp) -> bool {
        let other = place.owner(&record.id).is_some_and(|owner| *owner != self.incident.id);
        !other
            && !self.past.contains(&record.id)
            && record.created + CLOCKS_APART >= self.due_since()
            && record.created <= now + CLOCKS_APART
    }

    /// Since when this generation of the record has been due: the beginning, or the last worsening.
    fn due_since(&self) -> Stamp {
        let down = |entry: &&TimelineEntry| {
            matches!(entry.what, TimelineChange::Assessment { assessment: Assessment::Down, .. })
        };
        match (self.row.generation, self.over()) {
            (0, _) | (_, Some(_)) => self.incident.began,
            (_, None) => self.incident.timeline.iter().rev().find(down).map_or(self.incident.began, |entry| entry.at),
        }
    }

    fn read_own(&self, record: RecordId, now: Moment) -> Step {
        match self.held(Act::Read, now) {
            Some(until) => wait(until, "read again"),
            None => Step::Do(Aim::ReadOwn { worsened: self.incident.worsened }, Work::Read { record }),
        }
    }

    /// The record is open: tell what happened, and close it when the incident is over.
    fn with_open_record(
        &mut self,
        around: &Around<'_>,
        record: &RecordId,
        asked: Moment,
        created: Stamp,
    ) -> Option<Step> {
        let now = around.now.mono;
        let age = now.since(asked);
        if self.is_open() && (age >= CHECK || self.incident.worsened > self.open_at) {
            return Some(self.read_own(record.clone(), now));
        }
        let mut retry = None;
        if let Some(told) = self.next_told() {
            match self.held(Act::Note, now) {
                None if age > NOTE_CHECK => return Some(self.read_own(record.clone(), now)),
                None => return Some(self.note(around, record, told)),
                Some(until) => retry = Some(until),
            }
        }
        if let Some((other, title)) = around.related.as_ref().filter(|_| !self.row.related) {
            match self.held(Act::Relate, now) {
                None => {
                    let (record, other, title) = (record.clone(), other.clone(), title.clone());
                    return Some(Step::Do(Aim::Relate, Work::Relate { record, other, title }));
                }
                Some(until) => retry = Some(retry.map_or(until, |retry| until.min(retry))),
            }
        }
        // A story with a gap is better than a record that stays open: only what will pass by itself is waited for.
        let note_passes = self.held(Act::Note, now).filter(|_| !self.is_rejected(Act::Note));
        match self.incident.state {
            IncidentState::Open => self.seek_duplicate(around, record, asked, retry),
            IncidentState::Unwatched { .. } => match note_passes {
                Some(until) => Some(wait(until, "note again")),
                None => self.settle(),
            },
            IncidentState::Resolved { at } => {
                if let Some(until) = note_passes {
                    return Some(wait(until, "note again"));
                }
                if self.is_handed_over(around, record, created, at) {
                    return self.settle();
                }
                if age > NOTE_CHECK {
                    return Some(self.read_own(record.clone(), now));
                }
                Some(self.resolve(
                    around,
                    record.clone(),
                    Aim::ResolveOwn,
                    wording::summary(&self.incident, at),
                ))
            }
        }
    }

    /// Whether the record goes on after this incident: another open incident holds it, or a later one is about to, or
    /// it was opened by somebody else after this incident was over.
    fn is_handed_over(&self, around: &Around<'_>, record: &RecordId, created: Stamp, over: Stamp) -> bool {
        around.held.contains(record)
            || around.newer.as_ref().is_some_and(|newer| newer.ahead)
            || (created > over && (self.row.start.is_none() || around.newer.is_some()))
    }

    fn note(&mut self, around: &Around<'_>, record: &RecordId, told: u32) -> Step {
        let incident = &self.incident;
        let site = &*around.settings.site;
        let entry = incident.timeline.iter().find(|entry| self.row.told != 0 && entry.seq >= self.row.told);
        let note = match entry {
            Some(entry) => Note {
                at: entry.at,
                text: wording::note(incident, entry),
                client_token: token::note(record, site, entry),
            },
            None => Note {
                at: incident.id.opened,
                text: wording::witness(incident),
                client_token: token::witness(record, site, &incident.id, told),
            },
        };
        if self.row.told == 0 {
            self.witness_upto = Some(told);
        }
        Step::Do(Aim::Note { told }, Work::Note { record: record.clone(), note })
    }

    /// A start can be one too many: the alarm's or a twin's record was not in the list yet, and the token did not make
    /// them one. When the list must have caught up, the oldest open record stays, the younger ones that daemons have
    /// started are closed, and whoever was in one of these goes on in the oldest. Everybody chooses the same, so
    /// one stays open whoever acts; the alarm's is left to people, who may be working in it.
    fn seek_duplicate(
        &mut self,
        around: &Around<'_>,
        record: &RecordId,
        asked: Moment,
        retry: Option<Moment>,
    ) -> Option<Step> {
        let now = around.now.mono;
        let check = (asked + CHECK, "read the record");
        let until = Some(retry.filter(|retry| *retry < check.0).map_or(check, |retry| (retry, "note again")));
        let Some(due) = self.duplicates_due else {
            return Some(Step::Wait { until, look_up: None });
        };
        let Some(records) = around.place.view(due) else {
            return Some(Step::Wait { until, look_up: Some(due) });
        };
        let mut open = records.iter().filter(|record| record.status == RecordStatus::Open);
        let oldest = open.next().map_or(record, |oldest| &oldest.id);
        let daemons = open.filter(|younger| younger.origin == Origin::Daemon).map(|younger| &younger.id);
        let own = if oldest == record { None } else { daemons.clone().find(|younger| *younger == record) };
        let Some(younger) = own.or_else(|| daemons.clone().find(|younger| *younger != record)) else {
            self.duplicates_due = None;
            return None;
        };
        let step =
            self.read_other(if younger == record { oldest } else { younger }, now).unwrap_or_else(|| {
                let summary = wording::duplicate_summary(&self.incident, &oldest.0);
                let aim = Aim::ResolveDuplicate { younger: younger.clone(), oldest: oldest.clone() };
                self.resolve(around, younger.clone(), aim, summary)
            });
        Some(match step {
            Step::Wait { until: Some(held), look_up: _ } if held.0 > check.0 => {
                Step::Wait { until, look_up: None }
            }
            step @ (Step::Wait { .. } | Step::Do(..) | Step::Settled) => step,
        })
    }

    /// Reads another record, unless it was found open just before.
    fn read_other(&self, other: &RecordId, now: Moment) -> Option<Step> {
        let fresh = |(read, at): &(Record, Moment)| read.id == *other && now.since(*at) <= NOTE_CHECK;
        if self.other_open.as_ref().is_some_and(fresh) {
            return None;
        }
        Some(match self.held(Act::Read, now) {
            Some(until) => wait(until, "read again"),
            None => Step::Do(Aim::ReadOther(other.clone()), Work::Read { record: other.clone() }),
        })
    }

    /// Makes the record that was just found open the incident's own.
    fn adopt_other<T>(&mut self, around: &Around<'_>) -> Option<T> {
        let (record, asked) = self.other_open.take()?;
        let standing = Standing::Open { asked, created: record.created };
        let late = self.over().is_some_and(|over| record.created > over);
        if late && self.row.start.is_some() && self.token_known.is_none() && around.newer.is_none() {
            // Nobody else starts a record of what is over: a call of ours has got through, and its answer has not.
            self.row.record = Some(record.id);
            self.standing = standing;
            self.dirty = true;
        } else {
            self.adopt(record.id, standing);
        }
        self.duplicates_due = Some(around.now.mono + LIST_LAG);
        None
    }

    fn resolve(&self, around: &Around<'_>, record: RecordId, aim: Aim, summary: String) -> Step {
        if let Some(until) = self.held(Act::Resolve, around.now.mono) {
            return wait(until, "resolve again");
        }
        let why = match aim {
            Aim::ResolveDuplicate { .. } => "duplicate",
            Aim::ResolveOwn | Aim::ResolveLeftover(_) => "over",
            Aim::Commit
            | Aim::Start
            | Aim::ReadOwn { .. }
            | Aim::ReadOther(_)
            | Aim::Note { .. }
            | Aim::Relate
            | Aim::Forget => "",
        };
        let client_token = token::resolve(&record, &around.settings.site, &self.incident.id, why);
        Step::Do(aim, Work::Resolve { record, summary, client_token })
    }

    /// The record is closed: by us, because the incident is over, or by somebody else.
    fn with_closed_record(&mut self, around: &Around<'_>, record: &RecordId) -> Option<Step> {
        match self.incident.state {
            IncidentState::Open => self.stay_closed(around, record),
            IncidentState::Resolved { at } => self.sweep(around, at),
            IncidentState::Unwatched { .. } => self.settle(),
        }
    }

    /// What a person closed stays closed as it was, until the incident worsens, or somebody opens a record.
    fn stay_closed(&mut self, around: &Around<'_>, record: &RecordId) -> Option<Step> {
        let now = around.now.mono;
        if self.row.closed_by_person_at.is_none_or(|closed| self.incident.worsened > closed) {
            self.next_generation(now);
            return None;
        }
        let Some(records) = around.place.view(self.look_after) else {
            return Some(look_up(self.look_after));
        };
        match records.iter().find(|record| record.status == RecordStatus::Open) {
            // A person has opened it again.
            Some(open) if open.id == *record => Some(self.read_own(record.clone(), now)),
            Some(open) => self.read_other(&open.id, now).or_else(|| {
                self.past.insert(record.clone());
                self.adopt_other(around)
            }),
            None => {
                self.look_after = now + CHECK;
                Some(look_up(self.look_after))
            }
        }
    }

    /// The incident is over, and so is its record: close what else is open in its scope and as old, a twin's
    /// record whose twin has died, or a duplicate.
    fn sweep(&mut self, around: &Around<'_>, over: Stamp) -> Option<Step> {
        let now = around.now.mono;
        let after = *self.sweep_after.get_or_insert(now);
        let Some(records) = around.place.view(after) else {
            if around.scope.is_none() || around.newer.is_some() || around.place.is_refused() {
                return self.settle();
            }
            return Some(look_up(after));
        };
        let leftover = records.iter().find(|record| {
            record.status == RecordStatus::Open
                && record.created <= over
                && around.newer.is_none()
                && !around.held.contains(&record.id)
        });
        let Some(leftover) = leftover.filter(|_| !self.is_rejected(Act::Resolve)) else {
            return self.settle();
        };
        if let Some(step) = self.read_other(&leftover.id, now) {
            return Some(step);
        }
        let summary = wording::summary(&self.incident, over);
        Some(self.resolve(around, leftover.id.clone(), Aim::ResolveLeftover(leftover.id.clone()), summary))
    }

    /// Nothing is left to do.
    fn settle(&mut self) -> Option<Step> {
        self.row.settled = true;
        self.dirty = true;
        None
    }
}

const REST: Step = Step::Wait { until: None, look_up: None };

fn wait(until: Moment, why: &'static str) -> Step {
    Step::Wait { until: Some((until, why)), look_up: None }
}

fn look_up(bound: Moment) -> Step {
    Step::Wait { until: None, look_up: Some(bound) }
}

//! No record is known: find it, or start it.

use std::time::Duration;

use crate::domain::board::{IncidentState, TimelineChange, TimelineEntry};
use crate::domain::time::{Moment, Stamp};
use crate::domain::verdict::Assessment;

use super::super::account::Account;
use super::super::action::{Act, RecordCall};
use super::super::backoff;
use super::super::lookup::{GOOD_FOR, KnownRecords, LIST_LAG};
use super::super::raw_data::raw_data;
use super::super::sink::{DESCRIPTION_MAX, Record, RecordId, RecordStatus, Scope, StartRequest};
use super::super::{token, wording};
use super::case::{Aim, Around, Case, Newer, Older, REST, Standing, Step, call, look_up, wait};
use super::found::WHEN_FOUND;

/// How long an open incident waits for the record of the one before it to be closed. After that it goes on in that record:
/// people who have an open record in front of them need no second one, but they do need to hear.
const OLDER_PATIENCE: Duration = Duration::from_secs(60);
/// If there is no list for this long, a page goes out without: then the token alone makes twins and restarts one, as
/// long as it is remembered and everybody knows of the same predecessor; a duplicate is found and closed later. A page
/// that waits for a list is worse than that.
const BLIND_AFTER: Duration = Duration::from_secs(20);
/// A sink surely remembers a token this long (AWS does not say; other services of theirs forget after an hour at the
/// earliest). A retry after that first looks for what an earlier call may have started.
const TOKEN_TRUST: Duration = Duration::from_secs(1800);
/// The sink may stamp in whole seconds, and clocks that are kept differ by less.
const CLOCKS_APART: Duration = Duration::from_secs(2);

impl Case {
    /// No record is known: find it, or start it.
    pub(super) fn without_record(&mut self, around: &Around<'_>) -> Option<Step> {
        match self.incident.state {
            IncidentState::Open if self.is_only_found() => return self.without_found_record(around),
            IncidentState::Resolved { .. } if self.is_only_found() => {
                return self.without_found_record(around);
            }
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
                    let record = newer.record.clone();
                    return self.yield_to(record);
                }
            }
        }
        let now = around.now.mono;
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
        let records = match self.records(around) {
            Ok(records) => records,
            Err(bound) => {
                let until = self.blind_from(around).map(|from| (from, "start without a list"));
                return Some(Step::Wait { until, look_up: Some(bound) });
            }
        };
        if let Some(open) = records.iter().find(|record| record.status == RecordStatus::Open) {
            // A list may lag behind: what it calls open is read before it is believed.
            return self.read_other(&open.id, now).or_else(|| self.adopt_other(around));
        }
        let newest = records.last();
        if let Some(closed) =
            newest.filter(|newest| self.is_of_this_incident(newest, around.place, around.now.wall))
        {
            // Somebody, our twin or we before a crash, has started it, and somebody has closed it since. If we have, or have
            // found it open, what has worsened since counts as after the close; if the twin has, the twin sees to that.
            let open_at = match &self.row.start {
                Some(_) => self.open_at,
                None if self.was_found_as(closed) => WHEN_FOUND,
                None => self.incident.worsened,
            };
            self.adopt_closed(closed.id.clone(), open_at);
            return None;
        }
        let token = token::start(scope, newest.map(|newest| &newest.id).or(self.predecessor.as_ref()));
        self.start(around, scope, token)
    }

    /// Leaves the page to a later incident of the scope, and is told in its record: that is the page that matters. If a
    /// call of ours has got through after all, the later incident finds what it has started.
    fn yield_to(&mut self, record: Option<(RecordId, Standing)>) -> Option<Step> {
        match record {
            None => return Some(REST),
            Some((record, Standing::Closed)) => self.adopt_closed(record, self.incident.worsened),
            Some((record, Standing::Unread | Standing::Open { .. })) => self.adopt(record, Standing::Unread),
        }
        None
    }

    /// The records of the scope, oldest first, as far as they have to be known; or else from when on a look-up is of use.
    fn records(&mut self, around: &Around<'_>) -> Result<Vec<Record>, Moment> {
        let now = around.now.mono;
        let Some(bound) = self.look_up_bound(now) else { return Ok(around.place.known()) };
        if let Some(records) = around.place.view(bound) {
            self.looking_since = None;
            self.blind = false;
            return Ok(records);
        }
        let refused = around.place.is_refused();
        if refused || self.blind_from(around).is_some_and(|from| now >= from) {
            self.blind = true;
            return Ok(around.place.known());
        }
        match around.older {
            // It was no look-up that was missing so far.
            Older::Working | Older::Busy => self.looking_since = Some(now),
            Older::Clear | Older::Idle => {
                self.looking_since.get_or_insert(now);
            }
        }
        Err(bound)
    }

    /// Starts a record: the request is made, committed, and sent until it is answered. Where the sink says that it knows the
    /// token, what it stands for is looked for until it shows.
    fn start(&mut self, around: &Around<'_>, scope: &Scope, token: String) -> Option<Step> {
        let now = around.now.mono;
        match (&self.row.start, self.token_known) {
            (None, _) => {
                self.row.start = Some(self.request(around, scope, token));
                self.row.told = self.row.told.max(self.after_opening());
                self.attempted = Some(around.now);
                self.open_at = self.incident.worsened;
                self.dirty = true;
                None
            }
            (Some(request), None) => Some(call(Aim::Start, RecordCall::Start { request: request.clone() })),
            (Some(_), Some(_)) if now < self.look_after => Some(look_up(self.look_after)),
            (Some(request), Some((since, _)))
                if request.client_token != token && now.since(since) >= LIST_LAG =>
            {
                // What the token started has shown, and it is over: its successor has another token.
                self.look_again(now);
                None
            }
            (Some(request), Some((since, looks))) => {
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

    /// From when on a start without a look-up is better than waiting for one, as long as looking up may work again by
    /// itself. Never for a page that may have gone out long ago, that is over, or that follows one whose record may still
    /// be open.
    fn blind_from(&self, around: &Around<'_>) -> Option<Moment> {
        let first = self.is_open() && (self.row.start.is_none() || self.is_token_fresh(around.now.mono));
        let alone = match around.older {
            Older::Clear | Older::Idle => true,
            Older::Working | Older::Busy => false,
        };
        self.looking_since.filter(|_| first && alone).map(|since| since + BLIND_AFTER)
    }

    fn request(&self, around: &Around<'_>, scope: &Scope, client_token: String) -> StartRequest {
        let vpn = around.settings.vpns.get(&self.incident.id.vpn);
        StartRequest {
            scope: scope.clone(),
            client_token,
            title: wording::title(&self.incident),
            impact: around.settings.impact(self.incident.id.kind),
            triggered: self.incident.began,
            description: Account::new(&self.incident, around.settings).markdown(DESCRIPTION_MAX),
            raw_data: raw_data(&self.incident, vpn, self.row.generation),
        }
    }

    /// Whether a closed record was about this very incident, and not about an earlier one of its kind: it was created after
    /// the condition began to hold, or to be worse. (If it was about a later one, this one has been over for long, and
    /// nobody needs a page for it.) A wrong "yes" would lose a page and a wrong "no" repeat one, so whatever speaks for a
    /// "no" is believed: a clock that cannot be right, and what this run knows of the record.
    pub(super) fn is_of_this_incident(&self, record: &Record, place: &KnownRecords, now: Stamp) -> bool {
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
            (_, None) => {
                self.incident.timeline.iter().rev().find(down).map_or(self.incident.began, |entry| entry.at)
            }
        }
    }

    /// Makes the record that was just found open the incident's own.
    pub(super) fn adopt_other<T>(&mut self, around: &Around<'_>) -> Option<T> {
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
}

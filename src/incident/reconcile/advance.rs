//! What an incident's record needs next. The rules are here and in [`super::start`] (no record is known), [`super::open`] (the
//! record is open) and [`super::closed`].
//!
//! Each function looks at what is durable (the row) and what this run has learnt, makes at most one change of mind, and
//! either says what to do or is asked again.

use crate::domain::time::Moment;

use super::super::action::{Act, RecordCall, Work};
use super::super::sink::{Record, RecordId};
use super::super::token;
use super::case::{Aim, Around, Case, NOTE_CHECK, REST, Standing, Step, call, wait};

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
            return Some(Step::Do(Aim::Commit, Box::new(Work::Commit { row: Box::new(self.row.clone()) })));
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
            None => Step::Do(Aim::Forget, Box::new(Work::Forget { incident: self.incident.id.clone() })),
        }
    }

    /// Nothing is left to do.
    pub(super) fn settle(&mut self) -> Option<Step> {
        self.row.settled = true;
        self.dirty = true;
        None
    }

    pub(super) fn read_own(&self, record: RecordId, now: Moment) -> Step {
        match self.held(Act::Read, now) {
            Some(until) => wait(until, "read again"),
            None => call(Aim::ReadOwn { worsened: self.incident.worsened }, RecordCall::Read { record }),
        }
    }

    /// Reads another record, unless it was found open just before.
    pub(super) fn read_other(&self, other: &RecordId, now: Moment) -> Option<Step> {
        let fresh = |(read, at): &(Record, Moment)| read.id == *other && now.since(*at) <= NOTE_CHECK;
        if self.other_open.as_ref().is_some_and(fresh) {
            return None;
        }
        Some(match self.held(Act::Read, now) {
            Some(until) => wait(until, "read again"),
            None => call(Aim::ReadOther(other.clone()), RecordCall::Read { record: other.clone() }),
        })
    }

    pub(super) fn resolve(&self, around: &Around<'_>, record: RecordId, aim: Aim, summary: String) -> Step {
        if let Some(until) = self.held(Act::Resolve, around.now.mono) {
            return wait(until, "resolve again");
        }
        // A record that was closed as a duplicate and opened again by a person is closed with another token at the end.
        let why = if matches!(aim, Aim::ResolveDuplicate { .. }) { "duplicate" } else { "over" };
        let client_token = token::resolve(&record, &around.settings.site, &self.incident.id, why);
        call(aim, RecordCall::Resolve { record, summary, client_token })
    }
}

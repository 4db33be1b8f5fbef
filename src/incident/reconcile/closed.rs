//! The record is closed: by us, because the incident is over, or by somebody else.

use crate::domain::board::IncidentState;
use crate::domain::time::Stamp;

use super::super::action::Act;
use super::super::sink::{RecordId, RecordStatus};
use super::case::{Aim, Around, Case, Step, look_up};
use super::open::CHECK;

impl Case {
    /// The record is closed: by us, because the incident is over, or by somebody else.
    pub(super) fn with_closed_record(&mut self, around: &Around<'_>, record: &RecordId) -> Option<Step> {
        match self.incident.state {
            IncidentState::Open => self.stay_closed(around, record),
            IncidentState::Resolved { at } => self.sweep(around, at),
            IncidentState::Unwatched { .. } => self.settle(),
        }
    }

    /// What a person closed stays closed as it was, until the incident worsens, or somebody opens a record.
    fn stay_closed(&mut self, around: &Around<'_>, record: &RecordId) -> Option<Step> {
        let now = around.now.mono;
        let worse = self.row.closed_by_person_at.is_none_or(|closed| self.incident.worsened > closed);
        if worse && !self.is_only_found() {
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
        let summary = self.closing_words(around);
        Some(self.resolve(around, leftover.id.clone(), Aim::ResolveLeftover(leftover.id.clone()), summary))
    }
}

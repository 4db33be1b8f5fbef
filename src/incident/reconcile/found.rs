//! The incident was taken up: its record was found open, and this site has not seen the condition hold for itself. Then a record
//! is looked for and none is started, neither where it was found nor anywhere else: somebody has told people, or has not,
//! and what this site has not seen it cannot tell.

use std::time::Duration;

use crate::domain::board::IncidentState;

use super::super::lookup::GOOD_FOR;
use super::super::sink::{Record, RecordStatus};
use super::case::{Around, Case, REST, Step, look_up};

/// How often a sink that has no record of it is searched for one that somebody else has started since.
const AGAIN: Duration = Duration::from_secs(300);
/// How often an incident has worsened when its record is found open and it is taken up. A later worsening is news to whoever
/// closes the record, unless the record was read again.
pub(super) const WHEN_FOUND: u32 = 0;

impl Case {
    /// Whether none is to be started.
    pub(super) fn is_only_found(&self) -> bool {
        self.incident.found_at.is_some()
    }

    /// No record is known, and none is to be started.
    pub(super) fn without_found_record(&mut self, around: &Around<'_>) -> Option<Step> {
        let now = around.now.mono;
        let bound = if self.is_open() { self.look_after.max(now - GOOD_FOR) } else { now - GOOD_FOR };
        let records = match (around.scope, around.place.view(bound)) {
            (Some(_), Some(records)) => records,
            (Some(_), None) if self.is_open() || !around.place.is_refused() => return Some(look_up(bound)),
            (Some(_) | None, _) => Vec::new(),
        };
        if let Some(open) = records.iter().find(|record| record.status == RecordStatus::Open) {
            return self.read_other(&open.id, now).or_else(|| self.adopt_other(around));
        }
        if let Some(closed) = records.iter().find(|record| self.was_found_as(record)) {
            // Somebody has closed it since.
            self.adopt_closed(closed.id.clone(), WHEN_FOUND);
            return None;
        }
        match self.incident.state {
            IncidentState::Resolved { .. } | IncidentState::Unwatched { .. } => self.settle(),
            IncidentState::Open if around.scope.is_none() => Some(REST),
            IncidentState::Open => {
                self.look_after = now + AGAIN;
                Some(look_up(self.look_after))
            }
        }
    }

    /// Whether it is the record whose being open at this sink made the incident be taken up.
    pub(super) fn was_found_as(&self, record: &Record) -> bool {
        let here = self.incident.taken_up_at() == Some(&self.row.sink);
        here && record.created == self.incident.id.opened && !self.past.contains(&record.id)
    }
}

//! Records that are open at the sink and that no incident on the Board accounts for: the store was lost, the twin that
//! started one has died, or our alarm started it while nobody here could speak. They are looked for at the start and then now
//! and again, and the core adopts them.
//!
//! A list may lag behind, so each is read before it is believed: what we, the twin or a person closed a moment ago is not
//! found again.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::names::{Kind, VpnId};
use crate::domain::time::{Moment, Now};

use super::super::action::{ActionFailure, ActionKind, RecordCall, Reply, UnclaimedRecord};
use super::super::sink::{Record, RecordId, RecordStatus, Scope, SinkError};
use super::super::token;
use super::{Reconciler, RecordRoute};

/// At most this long a record stays open without anybody to close it, beyond what its incident needs to be resolved: as long
/// as the shortest `resolve_after` by default. One list serves for all connections, so that it costs one call each time,
/// however many they are.
const EVERY: Duration = Duration::from_secs(300);

impl Reconciler {
    /// Asks for a list if one is due, and reads what it showed, one at a time.
    pub(super) fn plan_survey(&mut self, now: Now) {
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

    /// A list has come, or not.
    pub(super) fn surveyed(&mut self, asked: Moment, result: Result<Reply, ActionFailure>, now: Now) {
        self.survey.listing = false;
        match result {
            Ok(Reply::Surveyed(open)) => {
                self.survey.retry.clear();
                self.survey.unread = self.unaccounted_for(asked, open);
            }
            Ok(Reply::Found(_) | Reply::Started(_) | Reply::Read(_) | Reply::Done) => {
                self.survey_failed(&ActionFailure::Mismatch, now.mono);
            }
            Err(failure) => self.survey_failed(&failure, now.mono),
        }
    }

    /// A record that the list showed as open was read, or not.
    pub(super) fn read_unclaimed(
        &mut self,
        at: (VpnId, Kind),
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
                        self.outbox.unclaimed(UnclaimedRecord { vpn: at.0, kind: at.1, created });
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

    /// The oldest open record of each scope that nothing accounts for.
    fn unaccounted_for(
        &self,
        asked: Moment,
        open: Vec<(Scope, Record)>,
    ) -> BTreeMap<(VpnId, Kind), RecordId> {
        let mut oldest: BTreeMap<(VpnId, Kind), Record> = BTreeMap::new();
        for (Scope { vpn, kind, plan: _, source: _, resource: _ }, record) in open {
            let at = (vpn, kind);
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

    /// Whether an incident of this scope is on the Board, open or over: it sees to every record of the scope.
    fn is_accounted_for(&self, at: &(VpnId, Kind)) -> bool {
        self.cases.values().any(|case| {
            let id = &case.incident.id;
            case.present && (&id.vpn, id.kind) == (&at.0, at.1)
        })
    }

    /// Twins that started together do not stay in step.
    fn survey_interval(&self) -> Duration {
        let spread = token::spread(&[&self.settings.site, self.settings.id().as_str()]);
        EVERY.mul_f64(0.8 + 0.2 * f64::from(spread) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests;

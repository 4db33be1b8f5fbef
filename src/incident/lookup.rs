//! What is known of one scope's records at the sink: the last list, corrected by what single reads and calls have shown
//! since.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::board::IncidentId;
use crate::domain::time::Moment;

use super::action::{ActionFailure, Priority};
use super::outbox::Retry;
use super::sink::{Record, RecordId, RecordStatus};

/// Incident Manager does not document how far its list lags behind; we assume a minute, and half as much again.
pub(super) const LIST_LAG: Duration = Duration::from_secs(90);
/// A look-up made ahead of time is valid for a start this long. An older one would be safe while the sink remembers tokens,
/// but would miss what has no token: a record that the alarm created.
pub(super) const GOOD_FOR: Duration = Duration::from_secs(360);
/// While a tunnel is locally down the look-up is repeated after this long at first, when agreement is near …
const REFRESH_FIRST: Duration = Duration::from_secs(30);
/// … and then less often, up to this, for a tunnel that stays down for days; shorter than [`GOOD_FOR`].
const REFRESH_LAST: Duration = Duration::from_secs(300);
/// A list that is not answered within this time has hung.
const OVERTAKEN_AFTER: Duration = Duration::from_secs(5);
/// This many records are remembered beyond those in the last list; only the newest matter.
const SEEN_MAX: usize = 16;

/// One scope.
#[derive(Debug, Default)]
pub(super) struct KnownRecords {
    last: Option<LookUp>,
    prepared_since: Option<Moment>,
    seen: BTreeMap<RecordId, KnownRecord>,
    /// When the look-up may be retried.
    pub(super) retry: Retry,
    /// When the last look-up failed, if it did.
    pub(super) failed_at: Option<Moment>,
    /// When the look-up in flight was sent.
    pub(super) asked: Option<Moment>,
}

#[derive(Debug)]
struct LookUp {
    asked: Moment,
    records: Vec<Record>,
}

#[derive(Debug)]
struct KnownRecord {
    record: Record,
    /// The incident of ours that it belongs to.
    of: Option<IncidentId>,
    /// When it was last known to be closed.
    closed: Option<Moment>,
}

impl KnownRecords {
    /// The known records, oldest first, if a look-up was sent at `bound` or later.
    pub(super) fn view(&self, bound: Moment) -> Option<Vec<Record>> {
        self.last.as_ref().filter(|last| last.asked >= bound).map(|_| self.known())
    }

    /// The known records from any source, oldest first.
    pub(super) fn known(&self) -> Vec<Record> {
        let mut records: BTreeMap<RecordId, Record> =
            self.seen.values().map(|seen| (seen.record.id.clone(), seen.record.clone())).collect();
        if let Some(last) = &self.last {
            for listed in &last.records {
                let closed = self.seen.get(&listed.id).and_then(|seen| seen.closed);
                let mut record = listed.clone();
                if closed.is_some_and(|closed| closed + LIST_LAG > last.asked) {
                    record.status = RecordStatus::Resolved;
                }
                records.insert(record.id.clone(), record);
            }
        }
        let mut records: Vec<Record> = records.into_values().collect();
        records.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        records
    }

    /// The incident of ours that a record belongs to, as far as this run knows.
    pub(super) fn owner(&self, record: &RecordId) -> Option<&IncidentId> {
        self.seen.get(record).and_then(|seen| seen.of.as_ref())
    }

    /// Whether a record is known to be closed although a list that was sent at `asked` shows it open: that list may lag
    /// behind, or a person has reopened the record and works in it.
    pub(super) fn knows_closed(&self, record: &RecordId, asked: Moment) -> bool {
        self.seen.get(record).is_some_and(|seen| match (seen.closed, &seen.of) {
            (Some(_), Some(_)) => true,
            (Some(closed), None) => closed + LIST_LAG > asked,
            (None, _) => false,
        })
    }

    /// Whether the look-up is rejected until a person acts.
    pub(super) const fn is_refused(&self) -> bool {
        self.retry.is_rejected()
    }

    /// A look-up was answered.
    pub(super) fn found(&mut self, asked: Moment, records: Vec<Record>) {
        self.asked.take_if(|latest| *latest == asked);
        if self.is_overtaken(asked) {
            return;
        }
        self.retry.clear();
        self.failed_at = None;
        self.last = Some(LookUp { asked, records });
        self.forget();
    }

    /// Whether a look-up that was sent later has been answered: that one is newer.
    fn is_overtaken(&self, asked: Moment) -> bool {
        self.last.as_ref().is_some_and(|last| last.asked > asked)
    }

    /// A look-up that was sent at `asked` failed.
    pub(super) fn failed(&mut self, asked: Moment, failure: &ActionFailure, now: Moment, seed: &[&str]) {
        self.asked.take_if(|latest| *latest == asked);
        if self.is_overtaken(asked) {
            return;
        }
        self.failed_at = Some(now);
        self.retry.failed(now, failure, seed);
    }

    /// A record was read.
    pub(super) fn read(&mut self, record: Record, of: Option<&IncidentId>, now: Moment) {
        let closed = (record.status == RecordStatus::Resolved).then_some(now);
        let before = self.seen.remove(&record.id).and_then(|seen| seen.of);
        let of = of.cloned().or(before);
        self.seen.insert(record.id.clone(), KnownRecord { record, of, closed });
        self.forget();
    }

    /// Forgets the oldest records that the last list does not show. A record that the list shows is never forgotten: if it
    /// was closed since, it would count as open, and be closed again and again.
    fn forget(&mut self) {
        let listed = |id: &RecordId| {
            self.last.as_ref().is_some_and(|last| last.records.iter().any(|record| record.id == *id))
        };
        let unlisted = self.seen.values().map(|seen| &seen.record).filter(|record| !listed(&record.id));
        let mut unlisted: Vec<_> = unlisted.map(|record| (record.created, record.id.clone())).collect();
        unlisted.sort();
        for (_, id) in &unlisted[..unlisted.len().saturating_sub(SEEN_MAX)] {
            self.seen.remove(id);
        }
    }

    /// This daemon has closed a record that was read before, because `of` is over or has another record.
    pub(super) fn closed(&mut self, record: &RecordId, of: &IncidentId, now: Moment) {
        if let Some(seen) = self.seen.get_mut(record) {
            seen.record.status = RecordStatus::Resolved;
            seen.of = Some(of.clone());
            seen.closed = Some(now);
        }
    }

    /// A listed record does not exist any more.
    pub(super) fn gone(&mut self, record: &RecordId) {
        if let Some(last) = &mut self.last {
            last.records.retain(|listed| listed.id != *record);
        }
        self.seen.remove(record);
    }

    /// Whether a tunnel of the connection is locally down.
    pub(super) fn prepare(&mut self, prepared: bool, now: Moment) {
        self.prepared_since = prepared.then(|| self.prepared_since.unwrap_or(now));
    }

    /// When the next look-up is due: because a case needs one, because a tunnel is locally down, or because the last one was
    /// rejected and only a retry can show that this is fixed.
    pub(super) fn due(&self, wanted: Option<NeededLookUp>, now: Moment) -> Option<Moment> {
        let page = wanted.is_some_and(|wanted| wanted.page);
        // A look-up that a page needs does not wait for one that hangs.
        let busy = self.asked.map(|asked| asked + OVERTAKEN_AFTER);
        if busy.is_some() && !page {
            return None;
        }
        let last = self.last.as_ref().map(|last| last.asked);
        let wanted = wanted.filter(|wanted| last.is_none_or(|last| last < wanted.bound));
        let refresh = self.prepared_since.map(|since| {
            let every = (now.since(since) / 2).clamp(REFRESH_FIRST, REFRESH_LAST);
            last.map_or(since, |last| last + every)
        });
        let mend = self.retry.is_rejected().then_some(now);
        let at = |due: Moment, priority| self.retry.until(now, priority).map_or(due, |until| due.max(until));
        let wanted =
            wanted.map(|wanted| at(wanted.bound, if wanted.page { Priority::Page } else { Priority::Quiet }));
        let wanted = wanted.map(|due| busy.map_or(due, |busy| due.max(busy)));
        let rest = [refresh, mend].map(|due| due.filter(|_| busy.is_none()));
        let rest = rest.into_iter().flatten().map(|due| at(due, Priority::Quiet));
        wanted.into_iter().chain(rest).min()
    }
}

/// A look-up that a case needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NeededLookUp {
    /// It must be sent at this moment or later.
    pub(super) bound: Moment,
    /// Whether a page waits for it.
    pub(super) page: bool,
}

impl NeededLookUp {
    /// Combines the needs of two cases into one look-up.
    pub(super) fn or(self, other: Self) -> Self {
        Self { bound: self.bound.min(other.bound), page: self.page || other.page }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::sink::{RecordOrigin, SinkError};

    fn at(secs: u64) -> Moment {
        Moment::ORIGIN + Duration::from_secs(secs)
    }

    fn record() -> Record {
        Record {
            id: RecordId("record-1".into()),
            status: RecordStatus::Open,
            created: crate::domain::time::Stamp::from_secs(1),
            origin: RecordOrigin::Daemon,
        }
    }

    #[test]
    fn an_overtaken_look_up_that_ends_late_changes_nothing() {
        let mut place = KnownRecords { asked: Some(at(6)), ..KnownRecords::default() };
        place.found(at(6), vec![record()]);
        place.found(at(1), Vec::new());
        assert_eq!(place.view(at(6)), Some(vec![record()]));
        let failure = ActionFailure::Sink(SinkError::Temporary {
            what: "late".into(),
            retry_after: None,
            source: None,
        });
        place.failed(at(1), &failure, at(7), &[]);
        assert_eq!((place.failed_at, place.retry.until(at(7), Priority::Page)), (None, None));
    }

    #[test]
    fn what_was_closed_is_known_to_be_closed_as_long_as_the_list_shows_it_open_however_many_there_are() {
        let numbered = |number: usize| Record {
            id: RecordId(format!("record-{number}")),
            created: crate::domain::time::Stamp::from_secs(i64::try_from(number).unwrap()),
            ..record()
        };
        let of = crate::fixture::incident().id;
        let mut place = KnownRecords::default();
        place.found(at(0), (0..50).map(numbered).collect());
        for number in 0..50 {
            place.read(numbered(number), None, at(1));
            place.closed(&numbered(number).id, &of, at(1));
        }
        assert!(place.known().iter().all(|record| record.status == RecordStatus::Resolved));
        place.found(at(2), Vec::new());
        assert_eq!(place.known().len(), SEEN_MAX, "what no list shows is forgotten, the oldest first");
        assert_eq!(place.known()[0], Record { status: RecordStatus::Resolved, ..numbered(50 - SEEN_MAX) });
    }

    #[test]
    fn a_page_overtakes_a_list_that_hangs_and_nothing_else_does() {
        let place =
            KnownRecords { asked: Some(at(0)), prepared_since: Some(at(0)), ..KnownRecords::default() };
        let wanted = |page| Some(NeededLookUp { bound: at(0), page });
        assert_eq!(place.due(wanted(true), at(0)), Some(at(0) + OVERTAKEN_AFTER));
        assert_eq!((place.due(wanted(false), at(60)), place.due(None, at(60))), (None, None));
    }
}

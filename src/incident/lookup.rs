//! What is known of one scope's records at the sink: the last look-up, corrected by what was learnt record by record.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::board::IncidentId;
use crate::domain::time::Moment;

use super::action::Failure;
use super::backoff::Hold;
use super::sink::{Record, RecordId, RecordStatus};

/// Incident Manager does not say how far its list lags behind; we count on a minute, and half as much again.
pub(super) const LIST_LAG: Duration = Duration::from_secs(90);
/// A look-up made beforehand serves for a start this long. An older one would do no harm while the sink remembers tokens,
/// but would miss what has no token: a record that the alarm opened.
pub(super) const GOOD_FOR: Duration = Duration::from_secs(360);
/// While a tunnel is locally Down the look-up is made again after this long at first, when agreement is near …
const REFRESH_FIRST: Duration = Duration::from_secs(30);
/// … and more and more rarely up to this, for a tunnel that stays down for days; less than [`GOOD_FOR`].
const REFRESH_LAST: Duration = Duration::from_secs(300);
/// So many records are remembered; only the newest matter.
const SEEN_MAX: usize = 16;

/// One scope.
#[derive(Debug, Default)]
pub(super) struct Place {
    last: Option<LookUp>,
    prepared_since: Option<Moment>,
    seen: BTreeMap<RecordId, Seen>,
    /// When looking up may be tried again.
    pub(super) hold: Hold,
    /// When the last look-up failed, if it did.
    pub(super) failed_at: Option<Moment>,
    /// When a look-up in flight was asked.
    pub(super) asked: Option<Moment>,
}

#[derive(Debug)]
struct LookUp {
    asked: Moment,
    records: Vec<Record>,
}

#[derive(Debug)]
struct Seen {
    record: Record,
    /// The incident of ours that it is the record of.
    of: Option<IncidentId>,
    /// When it was last known to be closed.
    closed: Option<Moment>,
}

impl Place {
    /// The records as known, oldest first, if a look-up was asked at `bound` or later.
    pub(super) fn view(&self, bound: Moment) -> Option<Vec<Record>> {
        self.last.as_ref().filter(|last| last.asked >= bound).map(|_| self.known())
    }

    /// The records as known from whatever source, oldest first.
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

    /// Whether a record is known to be closed although a list that was asked for at `asked` shows it open: that list may lag
    /// behind, or a person has opened what we closed again, and works in it.
    pub(super) fn knows_closed(&self, record: &RecordId, asked: Moment) -> bool {
        self.seen.get(record).is_some_and(|seen| match (seen.closed, &seen.of) {
            (Some(_), Some(_)) => true,
            (Some(closed), None) => closed + LIST_LAG > asked,
            (None, _) => false,
        })
    }

    /// Whether looking up is refused, until a person acts.
    pub(super) const fn is_refused(&self) -> bool {
        self.hold.is_rejected()
    }

    /// A look-up was answered.
    pub(super) fn found(&mut self, asked: Moment, records: Vec<Record>) {
        self.hold.clear();
        self.failed_at = None;
        self.last = Some(LookUp { asked, records });
    }

    /// A look-up failed.
    pub(super) fn failed(&mut self, failure: &Failure, now: Moment, seed: &[&str]) {
        self.failed_at = Some(now);
        self.hold.failed(now, failure, seed);
    }

    /// A record was read.
    pub(super) fn read(&mut self, record: Record, of: Option<&IncidentId>, now: Moment) {
        let closed = (record.status == RecordStatus::Resolved).then_some(now);
        let before = self.seen.remove(&record.id).and_then(|seen| seen.of);
        let of = of.cloned().or(before);
        self.seen.insert(record.id.clone(), Seen { record, of, closed });
        while self.seen.len() > SEEN_MAX {
            let oldest =
                self.seen.values().min_by_key(|seen| seen.record.created).map(|seen| seen.record.id.clone());
            let Some(oldest) = oldest else { break };
            self.seen.remove(&oldest);
        }
    }

    /// A record that was read before has been closed by us, because `of` is over or has another.
    pub(super) fn closed(&mut self, record: &RecordId, of: &IncidentId, now: Moment) {
        if let Some(seen) = self.seen.get_mut(record) {
            seen.record.status = RecordStatus::Resolved;
            seen.of = Some(of.clone());
            seen.closed = Some(now);
        }
    }

    /// A record that was listed does not exist (any more).
    pub(super) fn gone(&mut self, record: &RecordId) {
        if let Some(last) = &mut self.last {
            last.records.retain(|listed| listed.id != *record);
        }
        self.seen.remove(record);
    }

    /// A tunnel of the connection is, or is no longer, locally Down.
    pub(super) fn prepare(&mut self, prepared: bool, now: Moment) {
        self.prepared_since = prepared.then(|| self.prepared_since.unwrap_or(now));
    }

    /// When the next look-up is due: because a case needs one asked at `wanted` or later, because the connection is
    /// being prepared, or because the last one was refused and only another try can tell that this is mended.
    pub(super) fn due(&self, wanted: Option<Moment>, now: Moment) -> Option<Moment> {
        if self.asked.is_some() {
            return None;
        }
        let last = self.last.as_ref().map(|last| last.asked);
        let wanted = wanted.filter(|wanted| last.is_none_or(|last| last < *wanted));
        let refresh = self.prepared_since.map(|since| {
            let every = (now.since(since) / 2).clamp(REFRESH_FIRST, REFRESH_LAST);
            last.map_or(since, |last| last + every)
        });
        let mend = self.hold.is_rejected().then_some(now);
        let due = [wanted, refresh, mend].into_iter().flatten().min()?;
        Some(self.hold.until(now).map_or(due, |until| due.max(until)))
    }
}

//! CloudWatch's side of `PutMetricData`: strict about what it accepts, and with a memory of every datum.

use std::collections::BTreeMap;
use std::time::Duration;

use bothends::domain::time::{Moment, Stamp};
use bothends::publish::datum::DATA_PER_CALL;
use bothends::publish::sink::{Datum, DatumValue, PutError};

use super::time::aws_clock;

/// The limits of the PutMetricData API reference.
const OLDEST: Duration = Duration::from_secs(14 * 24 * 3600);
const NEWEST: Duration = Duration::from_secs(2 * 3600);
const DISTINCT_VALUES: usize = 150;

/// One accepted call.
#[derive(Debug)]
pub struct Accepted {
    pub gateway: usize,
    /// Its data, each with whether the gateway knows for good: it got the reply, and its spool has stored that.
    pub data: Vec<(Key, bool)>,
}

/// The identity of a datum: name, dimensions, minute, value.
pub type Key = (String, Stamp);

pub fn key(datum: &Datum) -> Key {
    (format!("{} {:?} {:?}", datum.name, datum.dimensions, datum.value), datum.stamp)
}

#[derive(Debug, Default)]
pub struct Metrics {
    pub taken: Vec<Accepted>,
    /// Data with this name and minute are always rejected.
    pub always_rejected: Vec<(&'static str, Stamp)>,
    /// Data that must never be sent, as found by a strict service.
    pub complaints: Vec<String>,
}

impl Metrics {
    /// Accepts or rejects a whole batch; returns the number of the accepted call.
    pub fn put(&mut self, data: &[Datum], gateway: usize, at: Moment) -> Result<usize, PutError> {
        let clock = aws_clock(at);
        if data.is_empty() || data.len() > DATA_PER_CALL {
            self.complaints.push(format!("{} data in one call", data.len()));
        }
        for datum in data {
            let age = clock.since(datum.stamp);
            if age > OLDEST || datum.stamp.since(clock) > NEWEST {
                let text = format!("{} of {:?} ms, sent at {clock:?}", datum.name, datum.stamp);
                self.complaints.push(text);
                return Err(PutError::BadData { what: "a stamp out of range".into() });
            }
            let fine = match &datum.value {
                DatumValue::Single(value) => value.is_finite(),
                DatumValue::Distribution(bins) => {
                    !bins.is_empty()
                        && bins.len() <= DISTINCT_VALUES
                        && bins.iter().all(|(value, count)| value.is_finite() && *count > 0.0)
                }
            };
            if !fine {
                self.complaints.push(format!("{datum:?}"));
            }
        }
        if data.iter().any(|datum| self.is_always_rejected(datum)) {
            return Err(PutError::BadData { what: "a value that is not taken".into() });
        }
        self.taken.push(Accepted { gateway, data: data.iter().map(|datum| (key(datum), false)).collect() });
        Ok(self.taken.len() - 1)
    }

    /// The gateway has learned that a call was accepted.
    pub fn heard(&mut self, taken: usize) -> Vec<Key> {
        self.taken[taken].data.iter_mut().for_each(|(_, known)| *known = true);
        self.taken[taken].data.iter().map(|(key, _)| key.clone()).collect()
    }

    /// The gateway died before this was on the disk.
    pub fn forgotten(&mut self, taken: usize, lost: &[Key]) {
        for (key, known) in &mut self.taken[taken].data {
            *known &= !lost.contains(key);
        }
    }

    pub fn is_always_rejected(&self, datum: &Datum) -> bool {
        self.always_rejected.contains(&(datum.name, datum.stamp))
    }

    /// How often each datum of a gateway was accepted, and how often when the gateway could not know of the time
    /// before.
    pub fn counts(&self, gateway: usize) -> BTreeMap<&Key, Count> {
        let mut counts: BTreeMap<&Key, Count> = BTreeMap::new();
        for taken in self.taken.iter().filter(|taken| taken.gateway == gateway) {
            for (datum, known) in &taken.data {
                let count = counts.entry(datum).or_default();
                count.taken += 1;
                count.unknown += usize::from(!known);
            }
        }
        counts
    }
}

#[derive(Debug, Default, Clone, Copy)]
pub struct Count {
    pub taken: usize,
    pub unknown: usize,
}

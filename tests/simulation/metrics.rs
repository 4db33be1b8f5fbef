//! CloudWatch's side of `PutMetricData`: strict in what it takes, and with a memory of every datum.

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

/// One call that was taken.
#[derive(Debug)]
pub struct Taken {
    pub gateway: usize,
    /// What it held, and whether the gateway knows for good: it heard, and its spool says so on the disk.
    pub data: Vec<(Key, bool)>,
}

/// What makes a datum that datum: name, dimensions, minute, value.
pub type Key = (String, Stamp);

pub fn key(datum: &Datum) -> Key {
    (format!("{} {:?} {:?}", datum.name, datum.dimensions, datum.value), datum.stamp)
}

#[derive(Debug, Default)]
pub struct Metrics {
    pub taken: Vec<Taken>,
    /// Data of this name and minute are never taken.
    pub poison: Vec<(&'static str, Stamp)>,
    /// What a strict service found wrong that must never be sent.
    pub complaints: Vec<String>,
}

impl Metrics {
    /// Takes a whole batch or refuses it; the number of the call that was taken.
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
        if data.iter().any(|datum| self.is_poison(datum)) {
            return Err(PutError::BadData { what: "a value that is not taken".into() });
        }
        self.taken.push(Taken { gateway, data: data.iter().map(|datum| (key(datum), false)).collect() });
        Ok(self.taken.len() - 1)
    }

    /// The gateway has heard that a call was taken.
    pub fn heard(&mut self, taken: usize) -> Vec<Key> {
        self.taken[taken].data.iter_mut().for_each(|(_, known)| *known = true);
        self.taken[taken].data.iter().map(|(key, _)| key.clone()).collect()
    }

    /// The gateway has died before the disk had it.
    pub fn forgotten(&mut self, taken: usize, lost: &[Key]) {
        for (key, known) in &mut self.taken[taken].data {
            *known &= !lost.contains(key);
        }
    }

    pub fn is_poison(&self, datum: &Datum) -> bool {
        self.poison.contains(&(datum.name, datum.stamp))
    }

    /// How often each datum of a gateway was taken, and how often while it could not know of the time before.
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

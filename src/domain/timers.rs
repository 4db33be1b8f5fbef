//! When the core wants to be called again, and why.

use std::collections::{BTreeMap, BTreeSet};

use super::time::Moment;

/// One moment per key, in order of time.
#[derive(Debug, Clone)]
pub struct Timers<K> {
    by_key: BTreeMap<K, Moment>,
    by_time: BTreeSet<(Moment, K)>,
}

impl<K: Ord + Clone> Default for Timers<K> {
    fn default() -> Self {
        Self { by_key: BTreeMap::new(), by_time: BTreeSet::new() }
    }
}

impl<K: Ord + Clone> Timers<K> {
    /// Sets, moves or (`None`) takes back a key's moment.
    pub fn set(&mut self, key: K, at: Option<Moment>) {
        match (self.by_key.get_mut(&key), at) {
            (Some(known), Some(at)) if *known != at => {
                let mut timer = (std::mem::replace(known, at), key);
                self.by_time.remove(&timer);
                timer.0 = at;
                self.by_time.insert(timer);
            }
            (Some(_), Some(_)) | (None, None) => {}
            (Some(known), None) => {
                let timer = (*known, key);
                self.by_time.remove(&timer);
                self.by_key.remove(&timer.1);
            }
            (None, Some(at)) => {
                self.by_key.insert(key.clone(), at);
                self.by_time.insert((at, key));
            }
        }
    }

    /// The earliest.
    pub fn next(&self) -> Option<&(Moment, K)> {
        self.by_time.first()
    }

    /// Takes out the earliest, if it is due.
    pub fn pop_due(&mut self, now: Moment) -> Option<K> {
        let (at, _) = self.by_time.first()?;
        if *at > now {
            return None;
        }
        let (_, key) = self.by_time.pop_first()?;
        self.by_key.remove(&key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_moment_and_the_earliest_is_first() {
        let mut timers = Timers::default();
        timers.set("a", Some(Moment::from_nanos(5)));
        timers.set("b", Some(Moment::from_nanos(3)));
        timers.set("a", Some(Moment::from_nanos(1)));
        assert_eq!(timers.next(), Some(&(Moment::from_nanos(1), "a")));
        assert_eq!(timers.pop_due(Moment::from_nanos(4)), Some("a"));
        assert_eq!(timers.pop_due(Moment::from_nanos(4)), Some("b"));
        assert_eq!(timers.pop_due(Moment::from_nanos(4)), None);
    }

    #[test]
    fn a_moment_that_was_taken_back_never_comes() {
        let mut timers = Timers::default();
        timers.set(1, Some(Moment::from_nanos(1)));
        timers.set(1, None);
        assert_eq!(timers.next(), None);
    }
}

//! Suppresses records on the same subject, so that a tunnel that flaps or a call that keeps failing does not fill the
//! journal. It reads no clock and writes nothing.
//!
//! Each subject (see [`LimitKey`]) has a token bucket: as many records as its burst are written at once, and one token
//! returns per period. A record without a token replaces the one that is held, which is suppressed: counted and not written.
//! When a token returns, the held record is written, with the count. So the last state of everything reaches the journal
//! within a period, and the rest is a number.
//!
//! Bad news is no exception: every second record of a tunnel that flaps is worse than the one before. But the first change of
//! a state that has been at rest ([`LimitKey::at_rest_after`]) is written at once: a new failure is not delayed by earlier
//! flapping. Records that open, worsen, hand over or resolve an incident are never suppressed. And bad news does not vanish
//! from `journalctl -p warning` because the last of a series was good: a record that replaced others has the highest level
//! among them, and says so.

use std::collections::{BTreeMap, BTreeSet};

use log::Level;

use super::line::Line;
use crate::catalogue::phrases::{Suppressed, with_suppressed};
use crate::catalogue::rate_limit::{LimitKey, RateLimit};
use crate::domain::time::{Moment, Now, Stamp};

/// The number of subjects with a bucket of their own: more than 200 tunnels in trouble at once. Beyond that, further subjects
/// of a key share one bucket, so that memory and journal stay bounded: of those only the very last record is certain to be
/// written.
const SUBJECTS_MAX: usize = 1024;

/// The field with the number of suppressed records.
const SUPPRESSED: &str = "SUPPRESSED";

/// The buckets and the held records.
#[derive(Debug, Default)]
pub(super) struct Suppressor {
    buckets: BTreeMap<Subject, Bucket>,
    /// When the held records are due.
    due: BTreeSet<(Moment, Subject)>,
    suppressed: u64,
}

/// The subject of a record: its key, and the values of the key's fields.
type Subject = (LimitKey, Vec<String>);

#[derive(Debug)]
struct Bucket {
    /// When the bucket is full again.
    full_at: Moment,
    /// When the last record was created, written or not.
    last: Moment,
    held: Option<Held>,
}

/// A record that waits for a token.
#[derive(Debug)]
struct Held {
    line: Line,
    /// The number of records that it replaced.
    suppressed: u64,
    /// When the first of these was created.
    since: Stamp,
    /// The highest level among all of these.
    worst: Level,
}

impl Suppressor {
    /// Applies a record, and returns the one to write, if any. Call [`Self::handle_timeout`] first for records that are due.
    pub(super) fn handle(&mut self, line: Line, now: Now) -> Option<Line> {
        let key = match line.kind.limit {
            RateLimit::Unlimited => return Some(line),
            RateLimit::By(key) => key,
        };
        let subject = self.place(subject(key, &line), now.mono);
        let bucket = self.buckets.entry(subject.clone()).or_insert_with(|| Bucket {
            full_at: now.mono,
            last: now.mono,
            held: None,
        });
        let token_at = bucket.token_at(key);
        let first_after_rest = key.at_rest_after().is_some_and(|rest| now.mono.since(bucket.last) >= rest);
        bucket.last = now.mono;
        match bucket.held.take() {
            None if first_after_rest && token_at > now.mono => Some(line),
            None if token_at <= now.mono => {
                bucket.take_token(key, now.mono);
                Some(line)
            }
            None => {
                bucket.held = Some(Held { suppressed: 0, since: line.at, worst: line.level, line });
                self.due.insert((token_at, subject));
                None
            }
            Some(earlier) => {
                self.suppressed += 1;
                let held = earlier.give_way_to(line);
                if first_after_rest && token_at > now.mono {
                    self.due.remove(&(token_at, subject));
                    return Some(held.into_line(now.wall));
                }
                if token_at <= now.mono {
                    bucket.take_token(key, now.mono);
                    self.due.remove(&(token_at, subject));
                    return Some(held.into_line(now.wall));
                }
                bucket.held = Some(held);
                None
            }
        }
    }

    /// When the next held record is due.
    pub(super) fn poll_timeout(&self) -> Option<Moment> {
        self.due.first().map(|(at, _subject)| *at)
    }

    /// The held records whose token has returned.
    pub(super) fn handle_timeout(&mut self, now: Now) -> Vec<Line> {
        let mut written = Vec::new();
        while let Some(entry) = self.due.first().filter(|(at, _)| *at <= now.mono).cloned() {
            self.due.remove(&entry);
            let (_, subject) = entry;
            let Some(bucket) = self.buckets.get_mut(&subject) else { continue };
            bucket.take_token(subject.0, now.mono);
            written.extend(bucket.held.take().map(|held| held.into_line(now.wall)));
        }
        written
    }

    /// Every held record, by creation: the process ends.
    pub(super) fn flush(&mut self, now: Now) -> Vec<Line> {
        self.due.clear();
        let mut held: Vec<_> = self.buckets.values_mut().filter_map(|bucket| bucket.held.take()).collect();
        held.sort_by_key(|held| held.line.at);
        held.into_iter().map(|held| held.into_line(now.wall)).collect()
    }

    /// The number of suppressed records.
    pub(super) const fn suppressed(&self) -> u64 {
        self.suppressed
    }

    /// The subject's bucket: its own, or the shared one if there is no room for more.
    fn place(&mut self, subject: Subject, now: Moment) -> Subject {
        if self.buckets.len() < SUBJECTS_MAX || self.buckets.contains_key(&subject) {
            return subject;
        }
        // A full bucket need not be kept.
        self.buckets.retain(|_, bucket| bucket.held.is_some() || bucket.full_at > now);
        if self.buckets.len() < SUBJECTS_MAX { subject } else { (subject.0, Vec::new()) }
    }
}

impl Bucket {
    /// When a token is available: one is missing for each period until the bucket is full.
    fn token_at(&self, key: LimitKey) -> Moment {
        let allowance = key.allowance();
        self.full_at - allowance.period * (allowance.burst - 1)
    }

    fn take_token(&mut self, key: LimitKey, now: Moment) {
        self.full_at = self.full_at.max(now) + key.allowance().period;
    }
}

impl Held {
    fn give_way_to(self, line: Line) -> Self {
        let Self { line: _, suppressed, since, worst } = self;
        Self { suppressed: suppressed + 1, since, worst: worst.min(line.level), line }
    }

    fn into_line(self, now: Stamp) -> Line {
        let Self { mut line, suppressed, since, worst } = self;
        line.message = with_suppressed(
            &line.message,
            Suppressed {
                count: suppressed,
                since,
                of: line.at,
                worst: (worst < line.level).then_some(worst),
            },
            now,
        );
        line.level = worst;
        if suppressed > 0 {
            line.fields.push((SUPPRESSED.to_owned(), suppressed.to_string()));
        }
        line
    }
}

fn subject(key: LimitKey, line: &Line) -> Subject {
    let value = |field: &&'static str| line.value(field).unwrap_or_default();
    (key, key.fields().iter().map(value).collect())
}

#[cfg(test)]
mod tests;

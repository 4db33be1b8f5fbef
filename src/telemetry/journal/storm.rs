//! Merges records that say the same of many connections, so that one cause that cuts 500 of them does not fill the journal. It
//! reads no clock and writes nothing.
//!
//! Records say the same if they are of one kind and level and agree in the fields of [`SAYS`]. Of those the first connections
//! have theirs written as ever ([`SHOWN`] within [`WINDOW`]); records of further ones are merged: the latest is held, and
//! written with the number of the others when no further one has come for [`CALM`], at the latest after [`LONGEST`].
//!
//! A record that is alone never waits: one that follows a calm is written at once, whatever came before it. Only records on one
//! connection are merged ([`is_merged`]): none on a parent, on a sink or on the daemon, and none on an incident that is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use log::Level;

use super::line::Line;
use crate::catalogue::phrases::{Likewise, Suppressed, with_likewise, with_suppressed};
use crate::catalogue::rate_limit::RateLimit;
use crate::domain::time::{Moment, Now, Stamp};

/// So many connections have their records written in full: enough to see what goes on, and whether they are alike.
const SHOWN: usize = 5;

/// Within this time.
const WINDOW: Duration = Duration::from_secs(10);

/// What follows no other for this long is alone. One cause reaches all connections within a few probes.
const CALM: Duration = Duration::from_secs(1);

/// What goes on without a calm is summed up this often.
const LONGEST: Duration = Duration::from_secs(10);

/// More sayings at one time share one number per kind and level, so that memory stays bounded.
const SAYINGS_MAX: usize = 256;

/// The fields in which records on two connections must agree to say the same. What differs is never hidden: another cause,
/// another error, another reason for not being sent.
const SAYS: [&str; 8] = ["END", "VERDICT", "ASSESSMENT", "CAUSE", "KIND", "ERROR", "REASON", "WITHHELD"];

const VPN_ID: &str = "VPN_ID";

/// The field with the number of merged records.
const SUPPRESSED: &str = "SUPPRESSED";

/// What goes on, by what is said.
#[derive(Debug, Default)]
pub(super) struct Storms {
    sayings: BTreeMap<Saying, Storm>,
    merged: u64,
}

/// What is said, of whichever connection: the kind, the level, and the values of [`SAYS`].
type Saying = (&'static str, Level, Vec<Option<String>>);

#[derive(Debug)]
struct Storm {
    /// The connections whose records are written in full, and until when.
    shown: BTreeMap<String, Moment>,
    /// When a connection last had something to say.
    last: Moment,
    held: Option<Held>,
}

/// The latest of the records that are merged.
#[derive(Debug)]
struct Held {
    line: Line,
    /// How many it stands for besides itself.
    others: u64,
    /// The connections of all of them.
    vpns: BTreeSet<String>,
    since: Stamp,
    began: Moment,
}

impl Storms {
    /// Applies a record, and returns it if it is not merged.
    pub(super) fn handle(&mut self, line: Line, now: Now) -> Option<Line> {
        let Some(vpn) = line.value(VPN_ID).filter(|_| is_merged(&line)) else { return Some(line) };
        let saying = self.place(saying(&line), now.mono);
        let Some(storm) = self.sayings.get_mut(&saying) else {
            let shown = BTreeMap::from([(vpn, now.mono + WINDOW)]);
            self.sayings.insert(saying, Storm { shown, last: now.mono, held: None });
            return Some(line);
        };
        storm.shown.retain(|_, until| *until > now.mono);
        if storm.shown.contains_key(&vpn) {
            return Some(line);
        }
        let is_alone = storm.held.is_none() && now.mono.since(storm.last) >= CALM;
        storm.last = now.mono;
        match storm.held.take() {
            None if is_alone || storm.shown.len() < SHOWN => {
                storm.shown.insert(vpn, now.mono + WINDOW);
                Some(line)
            }
            None => {
                let (since, vpns) = (line.at, BTreeSet::from([vpn]));
                storm.held = Some(Held { line, others: 0, vpns, since, began: now.mono });
                None
            }
            Some(mut held) => {
                self.merged += 1;
                held.others += 1;
                held.vpns.insert(vpn);
                held.line = line;
                storm.held = Some(held);
                None
            }
        }
    }

    /// When the next merged record is due.
    pub(super) fn poll_timeout(&self) -> Option<Moment> {
        self.sayings.values().filter_map(Storm::due).min()
    }

    /// The merged records that are due.
    pub(super) fn handle_timeout(&mut self, now: Now) -> Vec<Line> {
        let due = self.sayings.values_mut().filter(|storm| storm.due().is_some_and(|due| due <= now.mono));
        in_order(due.filter_map(|storm| storm.held.take()), now.wall)
    }

    /// Every merged record: the process ends.
    pub(super) fn flush(&mut self, now: Now) -> Vec<Line> {
        in_order(self.sayings.values_mut().filter_map(|storm| storm.held.take()), now.wall)
    }

    /// The number of records that another one stands for.
    pub(super) const fn merged(&self) -> u64 {
        self.merged
    }

    /// The place of a saying: its own, or the one that all of its kind share if there is no room for more.
    fn place(&mut self, saying: Saying, now: Moment) -> Saying {
        if self.sayings.len() < SAYINGS_MAX || self.sayings.contains_key(&saying) {
            return saying;
        }
        self.sayings
            .retain(|_, storm| storm.held.is_some() || storm.shown.values().any(|until| *until > now));
        let (kind, level, _) = saying;
        if self.sayings.len() < SAYINGS_MAX { saying } else { (kind, level, Vec::new()) }
    }
}

impl Storm {
    fn due(&self) -> Option<Moment> {
        self.held.as_ref().map(|held| (self.last + CALM).min(held.began + LONGEST))
    }
}

impl Held {
    fn into_line(self, now: Stamp) -> Line {
        let Self { mut line, others, vpns, since, began: _ } = self;
        let of = line.at;
        line.message = match others {
            0 => with_suppressed(&line.message, Suppressed { count: 0, since, of, worst: None }, now),
            _ => {
                let connections = vpns.len() - 1;
                with_likewise(&line.message, Likewise { connections, records: others, since, of }, now)
            }
        };
        if others > 0 {
            line.fields.push((SUPPRESSED.to_owned(), others.to_string()));
        }
        line
    }
}

fn in_order(held: impl Iterator<Item = Held>, now: Stamp) -> Vec<Line> {
    let mut held: Vec<_> = held.collect();
    held.sort_by_key(|held| held.line.at);
    held.into_iter().map(|held| held.into_line(now)).collect()
}

/// Whether records on further connections may stand for it.
fn is_merged(line: &Line) -> bool {
    let is_withheld = line.value("WITHHELD").is_some();
    let is_sent = line.value("INCIDENT").is_some() && !is_withheld;
    match line.kind.limit {
        RateLimit::Unlimited => is_withheld,
        RateLimit::By(key) => key.is_of_many() && !is_sent,
    }
}

fn saying(line: &Line) -> Saying {
    (line.kind.id, line.level, SAYS.iter().map(|field| line.value(field)).collect())
}

#[cfg(test)]
mod tests;

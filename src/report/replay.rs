//! What would have been sent: the incidents of the history against the rules of the sinks.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::account::Report;
use super::calendar::Calendar;
use super::overview::when;
use super::page::{Block, Page, Table};
use super::words::counted;
use crate::catalogue::phrases::{parent_words, withheld_by};
use crate::domain::board::Withheld;
use crate::domain::holding::{Holding, Known};
use crate::domain::names::{Destination, Kind, SinkId};
use crate::domain::plan::SinkPlan;
use crate::domain::scope::Scope;
use crate::domain::time::Stamp;
use crate::history::{Period, Recalled, What};

/// The sinks whose rules are known.
#[derive(Debug, Clone, PartialEq)]
pub enum Rules {
    /// Those of the configuration.
    Sinks(Vec<SinkPlan>),
    /// None are known, for this reason: what a sink takes by default counts.
    Default {
        /// Why, in words.
        why: String,
    },
}

/// What would have become of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It would have been sent.
    Sent {
        /// When by the first sink: as it opened, or when what held it back there was over.
        at: Stamp,
        /// Where; a sink that held it back to the end is not among them. Empty where the sinks are not known.
        sinks: Vec<SinkId>,
    },
    /// Every sink that takes it held it back until it was over, or does so still.
    HeldBack(Withheld),
    /// It was over when it became known.
    Missed,
    /// Its record was there already: another site or an earlier run had sent it.
    Adopted,
    /// No sink takes this kind, or incidents of this.
    NoSink,
}

impl Fate {
    /// The word in JSON and CSV.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Sent { .. } => "sent",
            Self::HeldBack(Withheld::Explained(_)) => "explained",
            Self::HeldBack(Withheld::Silenced(_)) => "silenced",
            Self::Missed => "missed",
            Self::Adopted => "adopted",
            Self::NoSink => "no_sink",
        }
    }
}

impl Rules {
    /// What would have become of an incident, among all of that time.
    pub fn fate(&self, incident: &Recalled, all: &[Arc<Recalled>]) -> Fate {
        for entry in &incident.timeline {
            match &entry.what {
                What::Missed => return Fate::Missed,
                What::Adopted { .. } => return Fate::Adopted,
                What::Withheld { .. }
                | What::Released
                | What::Opened
                | What::Confirmed
                | What::Verdict { .. }
                | What::Assessment { .. }
                | What::Cause { .. }
                | What::Quality { .. }
                | What::Children { .. }
                | What::Clearing
                | What::Reopened
                | What::Resolved
                | What::Unwatched
                | What::HandedOver => {}
            }
        }
        let by_default;
        let (sinks, are_known) = match self {
            Self::Sinks(sinks) => (sinks.as_slice(), true),
            Self::Default { .. } => {
                by_default = [default_sink()];
                (by_default.as_slice(), false)
            }
        };
        let takes = |sink: &&SinkPlan| sink.takes(&incident.id.scope, incident.id.kind);
        let withheld = withheld_of(incident);
        let mut taken = false;
        let mut sent: Vec<(Stamp, SinkId)> = Vec::new();
        for sink in sinks.iter().filter(takes) {
            taken = true;
            sent.extend(sent_at(incident, &withheld, all, sink).map(|at| (at, sink.id.clone())));
        }
        let at = sent.iter().map(|(at, _)| *at).min();
        match (at, withheld.last()) {
            _ if !taken => Fate::NoSink,
            (Some(at), _) => {
                let sinks = sent.into_iter().filter(|_| are_known).map(|(_, sink)| sink).collect();
                Fate::Sent { at, sinks }
            }
            (None, Some(held)) => Fate::HeldBack(held.by.clone()),
            (None, None) => Fate::NoSink,
        }
    }
}

/// What a sink takes by default.
fn default_sink() -> SinkPlan {
    SinkPlan {
        id: SinkId::new(""),
        destination: Destination::new(""),
        kinds: Kind::BY_DEFAULT.into_iter().collect(),
        scopes: None,
    }
}

/// A time in which something withheld an incident's record.
struct Held {
    by: Withheld,
    from: Stamp,
    /// `None`: until the incident was over, or still.
    until: Option<Stamp>,
}

/// When an incident was withheld, oldest first.
fn withheld_of(incident: &Recalled) -> Vec<Held> {
    let mut all: Vec<Held> = Vec::new();
    for entry in &incident.timeline {
        let by = if let What::Withheld { by } = &entry.what {
            Some(by)
        } else if entry.what == What::Released {
            None
        } else {
            continue;
        };
        if let Some(last) = all.last_mut() {
            last.until.get_or_insert(entry.at);
        }
        all.extend(by.map(|by| Held { by: by.clone(), from: entry.at, until: None }));
    }
    all
}

/// When a sink would have sent an incident that it takes; `None`: it would have held it back to the end. As the daemon does, a sink
/// holds back only what is silenced, or what an incident explains that it takes as well.
fn sent_at(incident: &Recalled, withheld: &[Held], all: &[Arc<Recalled>], sink: &SinkPlan) -> Option<Stamp> {
    let opened = incident.id.opened;
    let Some(first) = withheld.first() else { return Some(opened) };
    if first.from > opened {
        return Some(opened);
    }
    for Held { by, from, until } in withheld {
        // What holds it back may be over before the core has released it.
        let mut moments: Vec<Stamp> =
            all.iter().flat_map(|other| [Some(other.id.opened), other.ended()]).flatten().collect();
        moments.retain(|at| from < at && until.is_none_or(|until| *at < until));
        moments.push(*from);
        moments.sort_unstable();
        let is_over = |at: &Stamp| incident.ended().is_some_and(|ended| ended <= *at);
        let held =
            |at: &Stamp| Holding::new(known_at(all, *from, *at), sink).holds(incident.id.kind, Some(by));
        if let Some(at) = moments.into_iter().find(|at| !is_over(at) && !held(at)) {
            return Some(at);
        }
        // Another reason may follow at once.
        let next = withheld.iter().any(|next| Some(next.from) == *until);
        if let Some(until) = until.filter(|_| !next) {
            return Some(until);
        }
    }
    None
}

/// The incidents at a moment, with those that had been open since `from`.
fn known_at(all: &[Arc<Recalled>], from: Stamp, at: Stamp) -> impl Iterator<Item = Known<'_>> {
    let was_there = move |other: &&Arc<Recalled>| {
        other.id.opened <= at && other.ended().is_none_or(|ended| from <= ended)
    };
    all.iter().filter(was_there).map(move |other| {
        let mut by = None;
        for entry in other.timeline.iter().take_while(|entry| entry.at <= at) {
            if let What::Withheld { by: now } = &entry.what {
                by = Some(now);
            } else if entry.what == What::Released {
                by = None;
            }
        }
        Known {
            scope: &other.id.scope,
            kind: other.id.kind,
            is_open: other.ended().is_none_or(|ended| at < ended),
            found_at: other.found_at.as_ref(),
            withheld: by,
        }
    })
}

/// The incidents that opened in the period, each with what would have become of it.
pub fn replay<'a>(report: &'a Report, rules: &Rules) -> Vec<(&'a Arc<Recalled>, Fate)> {
    let Period { from, until } = report.period;
    let opened = report.incidents.iter().filter(|it| it.id.opened >= from && it.id.opened < until);
    opened.map(|incident| (incident, rules.fate(incident, &report.incidents))).collect()
}

/// The replay as a page.
pub fn would_have_paged(report: &Report, rules: &Rules, calendar: &Calendar) -> Page {
    let found = replay(report, rules);
    let mut blocks = vec![Block::Paragraph(when(report.period, report.at, calendar))];
    blocks.push(Block::Paragraph(match rules {
        Rules::Sinks(sinks) => {
            let names: Vec<&str> = sinks.iter().map(|sink| sink.id.as_str()).collect();
            format!(
                "By the rules of {} in the configuration as it is now: {}.",
                counted(sinks.len(), "sink"),
                names.join(", ")
            )
        }
        Rules::Default { why } => format!(
            "{why}: every incident of a kind that sinks take by default (outage, redundancy_lost, one_sided) is counted as sent."
        ),
    }));
    let sent = found.iter().filter(|(_, fate)| matches!(fate, Fate::Sent { .. })).count();
    let really = found.iter().filter(|(incident, _)| report.paging.first(&incident.id).is_some()).count();
    blocks.push(Block::Paragraph(format!(
        "{} opened; {sent} would have been sent. Really sent: {really}. An incident that changes, worsens or is resolved would have \
         updated its record; that is not counted here.",
        counted(found.len(), "incident")
    )));
    blocks.push(Block::Heading(1, "Sent, by week".to_owned()));
    blocks.push(Block::Table(weeks(&found, report.period, calendar)));
    if !found.is_empty() {
        blocks.push(Block::Heading(1, "Incidents".to_owned()));
        let mut table = Table::with(&["opened", "what", "kind", "would have been"]);
        table.rows.extend(found.iter().map(|(incident, fate)| {
            let what = match &incident.id.scope {
                Scope::Connection(_) => incident.name.to_string(),
                Scope::Parent(parent) => parent_words(parent),
            };
            let opened = calendar.second(incident.id.opened);
            vec![opened, what, incident.id.kind.as_str().to_owned(), words(fate, incident, calendar)]
        }));
        blocks.push(Block::Table(table));
    }
    let site = if report.site.is_empty() { String::new() } else { format!(" at {}", report.site) };
    Page { title: format!("bothends: what would have paged{site}"), blocks }
}

fn words(fate: &Fate, incident: &Recalled, calendar: &Calendar) -> String {
    match fate {
        Fate::Sent { at, sinks } => {
            let names: Vec<&str> = sinks.iter().map(SinkId::as_str).collect();
            let to = if names.is_empty() { String::new() } else { format!(" to {}", names.join(", ")) };
            let later = if *at > incident.id.opened {
                format!(" at {}", calendar.second(*at))
            } else {
                String::new()
            };
            format!("sent{to}{later}")
        }
        Fate::HeldBack(by) => format!("held back: {}", withheld_by(by)),
        Fate::Missed => "not sent: over when it became known".to_owned(),
        Fate::Adopted => "not sent again: it had a record".to_owned(),
        Fate::NoSink => "not sent: no sink takes it".to_owned(),
    }
}

/// Every week of the period, those without a page, too.
fn weeks(found: &[(&Arc<Recalled>, Fate)], period: Period, calendar: &Calendar) -> Table {
    const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);
    let mut weeks: BTreeMap<String, ([usize; 4], usize)> = BTreeMap::new();
    let mut day = period.from;
    while day < period.until {
        weeks.entry(calendar.week(day)).or_default();
        day = day + DAY;
    }
    // The last one may have begun less than a day ago.
    if period.from < period.until {
        weeks.entry(calendar.week(period.until - std::time::Duration::from_millis(1))).or_default();
    }
    for (incident, fate) in found {
        let (sent, held) = weeks.entry(calendar.week(incident.id.opened)).or_default();
        match fate {
            Fate::Sent { .. } => {
                let place = Kind::ALL.iter().position(|kind| *kind == incident.id.kind);
                if let Some(count) = place.and_then(|place| sent.get_mut(place)) {
                    *count += 1;
                }
            }
            Fate::HeldBack(_) | Fate::Missed | Fate::Adopted | Fate::NoSink => *held += 1,
        }
    }
    let kinds = Kind::ALL.map(|kind| format!("#{}", kind.as_str()));
    let titles: Vec<&str> =
        ["week"].into_iter().chain(kinds.iter().map(String::as_str)).chain(["#not sent"]).collect();
    let mut table = Table::with(&titles);
    table.rows.extend(weeks.into_iter().map(|(week, (sent, held))| {
        [week].into_iter().chain(sent.map(|count| count.to_string())).chain([held.to_string()]).collect()
    }));
    table
}

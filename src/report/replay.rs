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
use crate::domain::names::{Kind, SinkId};
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
        /// When: as it opened, or when what held it back was over.
        at: Stamp,
        /// Where; empty where the sinks are not known.
        sinks: Vec<SinkId>,
    },
    /// It was held back until it was over, or is so still.
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
    /// What would have become of an incident.
    pub fn fate(&self, incident: &Recalled) -> Fate {
        let (mut held, mut at) = (None, incident.id.opened);
        for entry in &incident.timeline {
            match &entry.what {
                What::Missed => return Fate::Missed,
                What::Adopted { .. } => return Fate::Adopted,
                What::Withheld { by } => held = Some(by.clone()),
                What::Released => (held, at) = (None, entry.at),
                What::Opened
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
        if let Some(by) = held {
            return Fate::HeldBack(by);
        }
        let (scope, kind) = (&incident.id.scope, incident.id.kind);
        match self {
            Self::Default { .. } if Kind::BY_DEFAULT.contains(&kind) => Fate::Sent { at, sinks: Vec::new() },
            Self::Default { .. } => Fate::NoSink,
            Self::Sinks(sinks) => {
                let takes = sinks.iter().filter(|sink| sink.takes(scope, kind));
                let sinks: Vec<SinkId> = takes.map(|sink| sink.id.clone()).collect();
                if sinks.is_empty() { Fate::NoSink } else { Fate::Sent { at, sinks } }
            }
        }
    }
}

/// The incidents that opened in the period, each with what would have become of it.
pub fn replay<'a>(report: &'a Report, rules: &Rules) -> Vec<(&'a Arc<Recalled>, Fate)> {
    let Period { from, until } = report.period;
    let opened = report.incidents.iter().filter(|it| it.id.opened >= from && it.id.opened < until);
    opened.map(|incident| (incident, rules.fate(incident))).collect()
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

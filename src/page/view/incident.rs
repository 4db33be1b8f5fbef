//! An incident, with its timeline.

use serde::Serialize;

use super::super::address::may_be_followed;
use super::super::input::{Input, Links};
use super::super::when::When;
use super::listed::Listed;
use crate::catalogue::phrases::{count, kind_words, withheld_by};
use crate::domain::board::{Incident, IncidentState, TIMELINE_MAX};
use crate::incident::{account, wording};
use crate::records::OpenRecord;

/// `/` has the newest entries of a timeline, the page of a connection all of them.
pub(super) const ENTRIES_SOME: usize = 12;
pub(super) const ENTRIES_ALL: usize = TIMELINE_MAX;

/// So many connections of a parent are named.
const CHILDREN_MAX: usize = 20;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::page) struct IncidentView {
    id: String,
    title: String,
    kind: &'static str,
    /// `open`, `resolved` or `unwatched`.
    state: &'static str,
    open: bool,
    began: When,
    opened: When,
    ended: Option<When>,
    /// Why it is not sent.
    withheld: Option<String>,
    records: Vec<RecordView>,
    /// The connections of a parent that are affected.
    affected: Option<String>,
    children: Listed<ChildView>,
    /// The newest first.
    timeline: Listed<EntryView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct RecordView {
    sink: String,
    record: String,
    /// Where a browser finds it.
    address: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct ChildView {
    id: String,
    name: String,
    since: Option<When>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct EntryView {
    at: When,
    line: String,
}

impl RecordView {
    fn of(OpenRecord { incident: _, sink, record }: OpenRecord, links: &Links) -> Self {
        let console = links.regions.get(&sink).and_then(|region| account::record_console(&record, region));
        let address = console.or_else(|| Some(record.clone())).filter(|address| may_be_followed(address));
        Self { sink: sink.to_string(), record, address }
    }
}

impl IncidentView {
    pub(super) fn of(incident: &Incident, input: Input<'_>, entries: usize) -> Self {
        let now = input.now.wall;
        let ended = match incident.state {
            IncidentState::Open => None,
            IncidentState::Resolved { at } | IncidentState::Unwatched { at } => Some(When::of(at, now)),
        };
        let records = input.records.of(&incident.id).into_iter();
        let troubled = || incident.children.iter().filter(|child| child.trouble.is_some());
        let (affected, all) = (troubled().count(), incident.children.len());
        let children = troubled().map(|child| ChildView {
            id: child.vpn.to_string(),
            name: child.name.to_string(),
            since: child.trouble.as_ref().map(|trouble| When::of(trouble.since, now)),
        });
        let timeline = incident
            .timeline
            .iter()
            .rev()
            .map(|entry| EntryView { at: When::of(entry.at, now), line: wording::line(incident, entry) });
        Self {
            id: incident.id.to_string(),
            title: wording::title(incident),
            kind: kind_words(incident.id.kind),
            state: incident.state.as_str(),
            open: incident.is_open(),
            began: When::of(incident.began, now),
            opened: When::of(incident.id.opened, now),
            ended,
            withheld: incident.withheld.as_ref().map(withheld_by),
            records: records.map(|record| RecordView::of(record, input.links)).collect(),
            affected: (all > 0).then(|| format!("{affected} of {} affected", count(all, "connection"))),
            children: Listed::of(children, CHILDREN_MAX),
            timeline: Listed::of(timeline, entries),
        }
    }
}

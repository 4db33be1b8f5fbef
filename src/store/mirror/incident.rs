//! Incidents, with their whole timelines.

use serde::{Deserialize, Serialize};

use super::view::{Assessment, Carrying, End, Verdict, View};
use super::{Millis, Tunnel, mirror_words};
use crate::domain::board;
use crate::domain::carrying;
use crate::domain::names;
use crate::domain::time::Now;

/// The incident as JSON.
pub(in crate::store) fn write_incident(incident: &board::Incident) -> serde_json::Result<String> {
    serde_json::to_string(&Incident::from(incident))
}

/// The opposite. Errors if the text is none of this release's, nor of an older one's.
pub(in crate::store) fn read_incident(text: &str, anchor: Now) -> serde_json::Result<board::Incident> {
    serde_json::from_str::<Incident>(text).map(|incident| incident.read(anchor))
}

mirror_words!(Kind of names::Kind { Outage, RedundancyLost, OneSided });
mirror_words!(Role of names::Role { Active, Standby, Unused });

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Id {
    vpn: String,
    kind: Kind,
    opened: Millis,
}

#[derive(Debug, Serialize, Deserialize)]
struct Incident {
    id: Id,
    site: String,
    vpn_name: String,
    state: State,
    began: Millis,
    /// Rows of releases that took nothing up have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    found_at: Option<String>,
    tunnels: Vec<Snapshot>,
    timeline: Vec<Entry>,
    related: Option<Id>,
    worsened: u32,
    revision: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Open,
    Resolved { at: Millis },
    Unwatched { at: Millis },
}

#[derive(Debug, Serialize, Deserialize)]
struct Snapshot {
    id: Tunnel,
    name: String,
    role: Role,
    local: View,
    aws: View,
    assessment: Assessment,
    /// Rows of releases that did not judge it have none: what the assessment alone says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    carrying: Option<Carrying>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    seq: u32,
    at: Millis,
    what: Change,
    repeats: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Change {
    Opened,
    TakenUp {
        sink: String,
    },
    Witnessed,
    View {
        tunnel: Tunnel,
        name: String,
        end: End,
        verdict: Verdict,
        as_of: Option<Millis>,
    },
    Assessment {
        tunnel: Tunnel,
        name: String,
        assessment: Assessment,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        carrying: Option<Carrying>,
    },
    Clearing,
    Reopened,
    Resolved,
    Unwatched,
    HandedOver,
    Missed,
}

impl From<&board::IncidentId> for Id {
    fn from(board::IncidentId { vpn, kind, opened }: &board::IncidentId) -> Self {
        Self { vpn: vpn.as_str().to_owned(), kind: (*kind).into(), opened: (*opened).into() }
    }
}

impl From<Id> for board::IncidentId {
    fn from(Id { vpn, kind, opened }: Id) -> Self {
        Self { vpn: names::VpnId::new(vpn), kind: kind.into(), opened: opened.stamp() }
    }
}

impl From<&board::Incident> for Incident {
    fn from(incident: &board::Incident) -> Self {
        let board::Incident {
            id,
            site,
            vpn_name,
            state,
            began,
            found_at,
            tunnels,
            timeline,
            related,
            worsened,
            revision,
        } = incident;
        Self {
            id: id.into(),
            site: site.as_ref().to_owned(),
            vpn_name: vpn_name.as_ref().to_owned(),
            state: match *state {
                board::IncidentState::Open => State::Open,
                board::IncidentState::Resolved { at } => State::Resolved { at: at.into() },
                board::IncidentState::Unwatched { at } => State::Unwatched { at: at.into() },
            },
            began: (*began).into(),
            found_at: found_at.as_ref().map(ToString::to_string),
            tunnels: tunnels.iter().map(Snapshot::from).collect(),
            timeline: timeline.iter().map(Entry::from).collect(),
            related: related.as_ref().map(Id::from),
            worsened: *worsened,
            revision: *revision,
        }
    }
}

impl Incident {
    fn read(self, anchor: Now) -> board::Incident {
        let Self {
            id,
            site,
            vpn_name,
            state,
            began,
            found_at,
            tunnels,
            timeline,
            related,
            worsened,
            revision,
        } = self;
        board::Incident {
            id: id.into(),
            site: site.into(),
            vpn_name: vpn_name.into(),
            state: match state {
                State::Open => board::IncidentState::Open,
                State::Resolved { at } => board::IncidentState::Resolved { at: at.stamp() },
                State::Unwatched { at } => board::IncidentState::Unwatched { at: at.stamp() },
            },
            began: began.stamp(),
            found_at: found_at.map(names::SinkId::new),
            tunnels: tunnels.into_iter().map(|tunnel| tunnel.read(anchor)).collect(),
            timeline: timeline.into_iter().map(Entry::read).collect(),
            related: related.map(Into::into),
            worsened,
            revision,
        }
    }
}

impl From<&board::TunnelSnapshot> for Snapshot {
    fn from(snapshot: &board::TunnelSnapshot) -> Self {
        let board::TunnelSnapshot { id, name, role, local, aws, assessment, carrying } = snapshot;
        Self {
            id: id.into(),
            name: name.as_ref().to_owned(),
            role: (*role).into(),
            local: local.into(),
            aws: aws.into(),
            assessment: (*assessment).into(),
            carrying: Some((*carrying).into()),
        }
    }
}

impl Snapshot {
    fn read(self, anchor: Now) -> board::TunnelSnapshot {
        let Self { id, name, role, local, aws, assessment, carrying } = self;
        let assessment = assessment.into();
        board::TunnelSnapshot {
            id: id.into(),
            name: name.into(),
            role: role.into(),
            local: local.read(anchor),
            aws: aws.read(anchor),
            assessment,
            carrying: carrying.map_or_else(|| carrying::Carrying::of(assessment), Into::into),
        }
    }
}

impl From<&board::TimelineEntry> for Entry {
    fn from(board::TimelineEntry { seq, at, what, repeats }: &board::TimelineEntry) -> Self {
        Self { seq: *seq, at: (*at).into(), what: what.into(), repeats: *repeats }
    }
}

impl Entry {
    fn read(self) -> board::TimelineEntry {
        let Self { seq, at, what, repeats } = self;
        board::TimelineEntry { seq, at: at.stamp(), what: what.into(), repeats }
    }
}

impl From<&board::TimelineChange> for Change {
    fn from(change: &board::TimelineChange) -> Self {
        match change {
            board::TimelineChange::Opened => Self::Opened,
            board::TimelineChange::TakenUp { sink } => Self::TakenUp { sink: sink.to_string() },
            board::TimelineChange::Witnessed => Self::Witnessed,
            board::TimelineChange::View { tunnel, name, end, verdict, as_of } => Self::View {
                tunnel: tunnel.into(),
                name: name.as_ref().to_owned(),
                end: (*end).into(),
                verdict: (*verdict).into(),
                as_of: as_of.map(Millis::from),
            },
            board::TimelineChange::Assessment { tunnel, name, assessment, carrying } => Self::Assessment {
                tunnel: tunnel.into(),
                name: name.as_ref().to_owned(),
                assessment: (*assessment).into(),
                carrying: Some((*carrying).into()),
            },
            board::TimelineChange::Clearing => Self::Clearing,
            board::TimelineChange::Reopened => Self::Reopened,
            board::TimelineChange::Resolved => Self::Resolved,
            board::TimelineChange::Unwatched => Self::Unwatched,
            board::TimelineChange::HandedOver => Self::HandedOver,
            board::TimelineChange::Missed => Self::Missed,
        }
    }
}

impl From<Change> for board::TimelineChange {
    fn from(change: Change) -> Self {
        match change {
            Change::Opened => Self::Opened,
            Change::TakenUp { sink } => Self::TakenUp { sink: names::SinkId::new(sink) },
            Change::Witnessed => Self::Witnessed,
            Change::View { tunnel, name, end, verdict, as_of } => Self::View {
                tunnel: tunnel.into(),
                name: name.into(),
                end: end.into(),
                verdict: verdict.into(),
                as_of: as_of.map(Millis::stamp),
            },
            Change::Assessment { tunnel, name, assessment, carrying } => {
                let assessment = assessment.into();
                Self::Assessment {
                    tunnel: tunnel.into(),
                    name: name.into(),
                    assessment,
                    carrying: carrying.map_or_else(|| carrying::Carrying::of(assessment), Into::into),
                }
            }
            Change::Clearing => Self::Clearing,
            Change::Reopened => Self::Reopened,
            Change::Resolved => Self::Resolved,
            Change::Unwatched => Self::Unwatched,
            Change::HandedOver => Self::HandedOver,
            Change::Missed => Self::Missed,
        }
    }
}

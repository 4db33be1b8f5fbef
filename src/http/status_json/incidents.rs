//! Incidents and their timelines.

use serde::{Deserialize, Serialize};

use super::views::why;
use crate::clock::rfc3339;
use crate::domain::board::{Incident, IncidentId, IncidentState, TimelineChange, TimelineEntry};
use crate::records::Records;

/// One incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentJson {
    /// Its identity: connection, kind, and when it opened.
    pub id: String,
    /// The connection's id.
    pub vpn: String,
    /// `outage`, `redundancy_lost` or `one_sided`.
    pub kind: String,
    /// `open`, `resolved` or `unwatched`.
    pub state: String,
    /// When the condition began to hold.
    pub began: String,
    /// When the incident opened; of one that was taken up, when its record was created.
    pub opened: String,
    /// The sink at which its record was found open, as long as this site has not seen the condition hold for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found_at: Option<String>,
    /// When it was resolved, or ceased to be watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// How often it has worsened.
    pub worsened: u32,
    /// The incident that it follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub related: Option<String>,
    /// What is open of it at the sinks.
    #[serde(default)]
    pub records: Vec<RecordJson>,
    /// What happened, oldest first.
    pub timeline: Vec<EntryJson>,
}

/// A record that is open at a sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordJson {
    /// The sink.
    pub sink: String,
    /// Its name there: an ARN, an OpsItem's id, an alert's key.
    pub record: String,
}

/// One line of an incident's story.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryJson {
    /// Its place in the whole story, from 0.
    pub seq: u32,
    /// When.
    pub at: String,
    /// `opened`, `taken_up`, `witnessed`, `view`, `assessment`, `clearing`, `reopened`, `resolved`, `unwatched` or
    /// `handed_over`.
    pub what: String,
    /// The outside address of the tunnel that changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<String>,
    /// The end whose verdict changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// What it says since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// Why it is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The time AWS's evidence speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
    /// What both ends together say since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assessment: Option<String>,
    /// Whether the tunnel carries traffic since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrying: Option<String>,
    /// How many further entries of the same wording were folded into this one.
    pub repeats: u32,
}

impl IncidentJson {
    pub(super) fn of(incident: &Incident, records: &Records) -> Self {
        let Incident {
            id,
            site: _,
            vpn_name: _,
            state,
            began,
            found_at,
            tunnels: _,
            timeline,
            related,
            worsened,
            revision: _,
        } = incident;
        let IncidentId { vpn, kind, opened } = id;
        let ended = match state {
            IncidentState::Open => None,
            IncidentState::Resolved { at } | IncidentState::Unwatched { at } => Some(rfc3339(*at)),
        };
        Self {
            id: id.to_string(),
            vpn: vpn.to_string(),
            kind: kind.as_str().to_owned(),
            state: state.as_str().to_owned(),
            began: rfc3339(*began),
            opened: rfc3339(*opened),
            found_at: found_at.as_ref().map(ToString::to_string),
            ended,
            worsened: *worsened,
            related: related.as_ref().map(ToString::to_string),
            records: records
                .of(id)
                .into_iter()
                .map(|open| RecordJson { sink: open.sink.to_string(), record: open.record })
                .collect(),
            timeline: timeline.iter().map(EntryJson::of).collect(),
        }
    }
}

impl EntryJson {
    fn of(entry: &TimelineEntry) -> Self {
        let TimelineEntry { seq, at, what, repeats } = entry;
        let plain = |what: &str| Self {
            seq: *seq,
            at: rfc3339(*at),
            what: what.to_owned(),
            repeats: *repeats,
            ..Self::default()
        };
        match what {
            TimelineChange::Opened => plain("opened"),
            TimelineChange::TakenUp { sink: _ } => plain("taken_up"),
            TimelineChange::Witnessed => plain("witnessed"),
            TimelineChange::View { tunnel, name: _, end, verdict, as_of } => Self {
                tunnel: Some(tunnel.outside_ip.to_string()),
                end: Some(end.as_str().to_owned()),
                verdict: Some(verdict.as_str().to_owned()),
                why: why(*verdict),
                as_of: as_of.map(rfc3339),
                ..plain("view")
            },
            TimelineChange::Assessment { tunnel, name: _, assessment, carrying } => Self {
                tunnel: Some(tunnel.outside_ip.to_string()),
                assessment: Some(assessment.as_str().to_owned()),
                carrying: Some(carrying.as_str().to_owned()),
                ..plain("assessment")
            },
            TimelineChange::Clearing => plain("clearing"),
            TimelineChange::Reopened => plain("reopened"),
            TimelineChange::Resolved => plain("resolved"),
            TimelineChange::Unwatched => plain("unwatched"),
            TimelineChange::HandedOver => plain("handed_over"),
            TimelineChange::Missed => plain("missed"),
        }
    }
}

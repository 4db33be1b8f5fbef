//! Incidents in `/status`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::words::why;
use crate::catalogue::phrases::withheld_word;
use crate::clock::rfc3339;
use crate::domain::board::{Child, Incident, IncidentId, IncidentState, TimelineChange, TimelineEntry};
use crate::records::Records;

/// One incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct IncidentJson {
    /// Its identity: scope, kind, and when it opened.
    pub id: String,
    /// `connection`, `group`, `uplink` or `site`.
    #[serde(default = "connection")]
    pub scope: String,
    /// The name of the connection or parent.
    #[serde(default)]
    pub name: String,
    /// The connection's id, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vpn: Option<String>,
    /// `outage`, `redundancy_lost`, `one_sided` or `degraded`.
    pub kind: String,
    /// `open`, `resolved` or `unwatched`.
    pub state: String,
    /// When the condition began to hold.
    pub began: String,
    /// When the incident opened; of one that was adopted, when its record was created.
    pub opened: String,
    /// The sink at which its record was found open, as long as this site has not seen the condition hold for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found_at: Option<String>,
    /// Why no record of it is created for now: the parent that explains it, or `silence` and its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withheld: Option<String>,
    /// The connections of a parent, as they stand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<ChildJson>,
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RecordJson {
    /// The sink.
    pub sink: String,
    /// Its name there: an ARN, an OpsItem's id, an alert's key.
    pub record: String,
}

/// One line of an incident's story.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EntryJson {
    /// Its place in the whole story, from 0.
    pub seq: u32,
    /// When.
    pub at: String,
    /// `opened`, `adopted`, `confirmed`, `view`, `assessment`, `cause`, `quality`, `children`, `withheld`, `released`, `clearing`,
    /// `reopened`, `resolved`, `unwatched` or `handed_over`.
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
    /// The cause named since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// How far its evidence goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<String>,
    /// The tunnel's quality since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<String>,
    /// The connections of a parent that went down, the first of them by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub down: Vec<String>,
    /// Those that came back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub back: Vec<String>,
    /// How many of a parent's connections have trouble since …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub troubled: Option<u32>,
    /// … of how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u32>,
    /// What withholds its record: a parent, or `silence` and its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// How many further entries of the same wording this one stands for.
    pub repeats: u32,
}

/// A connection of a parent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ChildJson {
    /// Its id.
    pub vpn: String,
    /// Its name.
    pub name: String,
    /// Whether the parent's trouble shows in it.
    pub troubled: bool,
    /// The worst kind of its open incidents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Why, as far as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

impl ChildJson {
    fn of(child: &Child) -> Self {
        let Child { vpn, name, trouble } = child;
        let kind = trouble.as_ref().and_then(|trouble| trouble.kind);
        Self {
            vpn: vpn.to_string(),
            name: name.to_string(),
            troubled: trouble.is_some(),
            kind: kind.map(|kind| kind.as_str().to_owned()),
            since: trouble.as_ref().map(|trouble| rfc3339(trouble.since)),
            cause: trouble.as_ref().and_then(|trouble| trouble.cause).map(|cause| cause.as_str().to_owned()),
        }
    }
}

fn names(names: &[Arc<str>]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

impl IncidentJson {
    pub(super) fn of(incident: &Incident, records: &Records) -> Self {
        let Incident {
            id,
            site: _,
            name,
            state,
            began,
            found_at,
            withheld,
            children,
            tunnels: _,
            timeline,
            related,
            worsened,
            revision: _,
        } = incident;
        let IncidentId { scope, kind, opened } = id;
        let ended = match state {
            IncidentState::Open => None,
            IncidentState::Resolved { at } | IncidentState::Unwatched { at } => Some(rfc3339(*at)),
        };
        Self {
            id: id.to_string(),
            scope: scope.word().to_owned(),
            name: name.to_string(),
            vpn: scope.vpn().map(ToString::to_string),
            kind: kind.as_str().to_owned(),
            state: state.as_str().to_owned(),
            began: rfc3339(*began),
            opened: rfc3339(*opened),
            found_at: found_at.as_ref().map(ToString::to_string),
            ended,
            withheld: withheld.as_ref().map(withheld_word),
            children: children.iter().map(ChildJson::of).collect(),
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
            TimelineChange::Adopted { sink: _ } => plain("adopted"),
            TimelineChange::Confirmed => plain("confirmed"),
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
            TimelineChange::Cause { tunnel, name: _, diagnosis } => Self {
                tunnel: Some(tunnel.outside_ip.to_string()),
                cause: Some(diagnosis.cause.as_str().to_owned()),
                confidence: Some(diagnosis.confidence.as_str().to_owned()),
                ..plain("cause")
            },
            TimelineChange::Quality { tunnel, name: _, quality } => Self {
                tunnel: Some(tunnel.outside_ip.to_string()),
                quality: Some(quality.as_str().to_owned()),
                why: quality.reason().map(str::to_owned),
                ..plain("quality")
            },
            TimelineChange::Children { down, back, troubled, of } => Self {
                down: names(down),
                back: names(back),
                troubled: Some(*troubled),
                of: Some(*of),
                ..plain("children")
            },
            TimelineChange::Withheld { by } => Self { by: Some(withheld_word(by)), ..plain("withheld") },
            TimelineChange::Released => plain("released"),
            TimelineChange::Clearing => plain("clearing"),
            TimelineChange::Reopened => plain("reopened"),
            TimelineChange::Resolved => plain("resolved"),
            TimelineChange::Unwatched => plain("unwatched"),
            TimelineChange::HandedOver => plain("handed_over"),
            TimelineChange::Missed => plain("missed"),
        }
    }
}

fn connection() -> String {
    "connection".to_owned()
}

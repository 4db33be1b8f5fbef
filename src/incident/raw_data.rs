//! The evidence of both ends, as JSON, for the request that creates a record.

use serde::Serialize;

use crate::catalogue::phrases::parent_words;
use crate::clock::rfc3339;
use crate::domain::board::{Child, Incident, Trouble, TunnelSnapshot};
use crate::domain::cause::Cause;
use crate::domain::names::Kind;
use crate::domain::quality::Quality;
use crate::domain::scope::Scope;
use crate::domain::time::Now;
use crate::domain::verdict::{Evidence, View};

use super::account::OperatorWords;
use super::family::{self, Family};
use super::settings::SinkRules;
use super::wording::{CurrentTunnel, WORDS_MAX, as_they_stand, clip, degradation};

/// Incident Manager's limit on `triggerDetails.rawData` is in characters; counted in bytes, to be safe.
/// <https://docs.aws.amazon.com/incident-manager/latest/APIReference/API_TriggerDetails.html>
pub(super) const RAW_DATA_MAX: usize = 10_000;

/// The evidence as JSON of at most [`RAW_DATA_MAX`] bytes. If it does not fit, the last tunnels lose their details, then are
/// only counted, as the last connections of a parent are, then the notes go: the JSON is always complete.
pub(super) fn raw_data(incident: &Incident, settings: &SinkRules, generation: u32) -> String {
    RawData::that_fits(incident, settings, generation).to_json()
}

#[derive(Serialize)]
pub(super) struct RawData {
    /// Whether it is only a test; omitted otherwise.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) drill: bool,
    pub(super) site: String,
    /// What it is about, in a word, and its name.
    pub(super) scope: &'static str,
    pub(super) scope_name: String,
    /// A connection's id and name; of a parent, its identity at sinks and what it is called.
    pub(super) vpn_id: String,
    pub(super) vpn_name: String,
    pub(super) kind: &'static str,
    pub(super) began: String,
    pub(super) opened: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) follows: Option<String>,
    /// A person closed an earlier record of the same incident, and it has worsened since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) worsened_after_close: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) runbook_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) notes: Option<String>,
    pub(super) tunnels: Vec<TunnelData>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) tunnels_left_out: u32,
    /// The connections of a parent that have trouble.
    pub(super) children: Vec<ChildData>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) children_left_out: u32,
}

#[derive(Serialize)]
pub(super) struct ChildData {
    vpn_id: String,
    vpn_name: String,
    /// The worst kind of its open incidents, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    /// All of this for people.
    text: String,
}

impl ChildData {
    fn new(child: &Child, trouble: &Trouble) -> Self {
        Self {
            vpn_id: child.vpn.to_string(),
            vpn_name: clip(&child.name, WORDS_MAX),
            kind: trouble.kind.map(Kind::as_str),
            since: rfc3339(trouble.since),
            cause: trouble.cause.map(Cause::as_str),
            text: family::line(child, trouble),
        }
    }
}

impl RawData {
    /// The form of a message, and of a record.
    pub(super) fn that_fits(incident: &Incident, settings: &SinkRules, generation: u32) -> Self {
        let OperatorWords { runbook_url, notes } = OperatorWords::of(incident, settings);
        let standing = as_they_stand(incident);
        let family = Family::of(incident);
        let shown = family.iter().flat_map(Family::shown);
        let children: Vec<ChildData> = shown.map(|(child, trouble)| ChildData::new(child, trouble)).collect();
        let in_all = family.as_ref().map_or(0, |family| family.connections().1);
        let left_out = |shown: usize| u32::try_from(in_all - shown).unwrap_or(u32::MAX);
        let called = match &incident.id.scope {
            Scope::Connection(_) => incident.name.to_string(),
            Scope::Parent(parent) => parent_words(parent),
        };
        let mut data = Self {
            drill: false,
            site: clip(&incident.site, WORDS_MAX),
            scope: incident.id.scope.word(),
            scope_name: clip(&incident.name, WORDS_MAX),
            vpn_id: incident.id.scope.to_string(),
            vpn_name: clip(&called, WORDS_MAX),
            kind: incident.id.kind.as_str(),
            began: rfc3339(incident.began),
            opened: rfc3339(incident.id.opened),
            follows: incident.related.as_ref().map(ToString::to_string),
            worsened_after_close: (generation > 0).then_some(true),
            runbook_url,
            notes,
            tunnels: incident
                .tunnels
                .iter()
                .zip(&standing)
                .map(|(at, now)| TunnelData::new(at, now))
                .collect(),
            tunnels_left_out: 0,
            children_left_out: left_out(children.len()),
            children,
        };
        let mut json = data.to_json();
        for index in (0..data.tunnels.len()).rev() {
            if json.len() > RAW_DATA_MAX {
                data.tunnels[index].local = None;
                data.tunnels[index].aws = None;
                json = data.to_json();
            }
        }
        while json.len() > RAW_DATA_MAX && data.tunnels.pop().is_some() {
            data.tunnels_left_out += 1;
            json = data.to_json();
        }
        while json.len() > RAW_DATA_MAX && data.children.pop().is_some() {
            data.children_left_out = left_out(data.children.len());
            json = data.to_json();
        }
        if json.len() > RAW_DATA_MAX {
            data.notes = None;
        }
        data
    }

    /// Adds what each end says now.
    pub(super) fn with_standing(mut self, standing: &[CurrentTunnel]) -> Self {
        for (data, tunnel) in self.tunnels.iter_mut().zip(standing) {
            data.stands = Some(Stands { local: tunnel.local.to_string(), aws: tunnel.aws.to_string() });
        }
        self
    }

    pub(super) fn to_json(&self) -> String {
        // Structs of texts and numbers always become JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[derive(Serialize)]
pub(super) struct TunnelData {
    name: String,
    outside_ip: String,
    role: &'static str,
    /// As it is when the record is created.
    assessment: &'static str,
    /// Why it does not work, as far as that is known when the record is created.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    /// How it is degraded when the record is created.
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded: Option<String>,
    /// As it was when the incident opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    local: Option<ViewData>,
    /// As it was when the incident opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    aws: Option<ViewData>,
    /// As it is when a message is composed.
    #[serde(skip_serializing_if = "Option::is_none")]
    stands: Option<Stands>,
}

#[derive(Serialize)]
struct Stands {
    local: String,
    aws: String,
}

#[derive(Serialize)]
struct ViewData {
    verdict: String,
    since: String,
    #[serde(flatten)]
    evidence: EvidenceData,
}

#[derive(Serialize)]
#[serde(untagged)]
enum EvidenceData {
    Local {
        #[serde(skip_serializing_if = "Option::is_none")]
        last_reply: Option<String>,
        losses_in_row: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        first_loss: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        last_loss: Option<&'static str>,
        replies_in_row: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        loss_percent: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        median_rtt_ms: Option<f64>,
    },
    Aws {
        #[serde(skip_serializing_if = "Option::is_none")]
        source: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        as_of: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        words: Option<String>,
    },
}

impl TunnelData {
    fn new(at_opening: &TunnelSnapshot, standing: &CurrentTunnel) -> Self {
        let TunnelSnapshot {
            id,
            name,
            role,
            local,
            aws,
            assessment: _,
            carrying: _,
            diagnosis: _,
            quality: _,
            quality_since: _,
        } = at_opening;
        Self {
            name: clip(name, WORDS_MAX),
            outside_ip: id.outside_ip.to_string(),
            role: role.as_str(),
            assessment: standing.assessment.as_str(),
            cause: standing.diagnosis.as_ref().map(|diagnosis| diagnosis.cause.as_str()),
            degraded: match standing.quality {
                Quality::Degraded(what) => Some(degradation(what)),
                Quality::Good | Quality::Unknown => None,
            },
            local: Some(ViewData::new(local)),
            aws: Some(ViewData::new(aws)),
            stands: None,
        }
    }
}

impl ViewData {
    fn new(view: &View) -> Self {
        let at = |now: &Now| rfc3339(now.wall);
        let evidence = match &view.evidence {
            Evidence::Local(local) => EvidenceData::Local {
                last_reply: local.last_reply.as_ref().map(at),
                losses_in_row: local.losses_in_row,
                first_loss: local.first_loss.as_ref().map(at),
                last_loss: local.last_loss.map(|loss| loss.as_str()),
                replies_in_row: local.replies_in_row,
                loss_percent: local.loss_percent.map(|percent| (percent * 10.0).round() / 10.0),
                median_rtt_ms: local.median_rtt.map(|rtt| (rtt.as_secs_f64() * 1e6).round() / 1e3),
            },
            Evidence::Aws(aws) => EvidenceData::Aws {
                source: aws.source.map(|source| source.as_str()),
                as_of: aws.as_of.map(rfc3339),
                words: aws.words.as_deref().map(|words| clip(words, WORDS_MAX)),
            },
        };
        Self { verdict: view.verdict.to_string(), since: rfc3339(view.since.wall), evidence }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(is: &bool) -> bool {
    !is
}

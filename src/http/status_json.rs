//! The shape of `/status`, described in docs/status.md: keys stay, further ones may come. Times are RFC 3339 in UTC.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::catalogue::cause;
use crate::catalogue::phrases::degradation;
use crate::clock::rfc3339;
use crate::domain::board::{
    Child, Incident, IncidentId, IncidentState, TimelineChange, TimelineEntry, Withheld,
};
use crate::domain::cause::Diagnosis;
use crate::domain::clients::Fresh;
use crate::domain::maintenance::{Maintenance, MaintenanceState};
use crate::domain::names::{Kind, TunnelId};
use crate::domain::quality::{Measured, Quality};
use crate::domain::sensor::Finding;
use crate::domain::status::{
    CheckStatus, Phase, SensorStatus, SourceStatus, Status, TunnelStatus, VpnStatus,
};
use crate::domain::time::Now;
use crate::domain::verdict::{AwsEvidence, Evidence, LocalEvidence, Verdict, View};
use crate::health::overview::OpenProblem;
use crate::health::readiness::Readiness;
use crate::health::{CodeEntry, Problem};
use crate::records::Records;

/// Everything that the daemon knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusJson {
    /// The site's name.
    pub site: String,
    /// The daemon's version.
    pub version: String,
    /// `raise` or `observe`.
    pub mode: String,
    /// When the status was taken.
    pub at: String,
    /// Whether the daemon can decide and page for every connection, as `/readyz` says.
    pub ready: bool,
    /// The connections, in the order of the configuration.
    pub vpns: Vec<VpnJson>,
    /// Incidents that are open, or over and not yet settled by every sink.
    pub incidents: Vec<IncidentJson>,
    /// Who asks AWS.
    pub sources: Vec<SourceJson>,
    /// What stands between the daemon and its job.
    pub problems: Vec<ProblemJson>,
}

/// One connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VpnJson {
    /// `vpn-…`
    pub id: String,
    /// Its name.
    pub name: String,
    /// How it is routed: `bgp`, `static` or `unknown`.
    pub routing: String,
    /// Whether traffic gets through: `flows`, `does_not_flow` or `cannot_tell`.
    pub traffic: String,
    /// Its tunnels, in the order of the configuration.
    pub tunnels: Vec<TunnelJson>,
    /// Where each kind of incident stands: `clear`, `pending`, `open`, `clearing`.
    pub phases: PhasesJson,
}

/// One poller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceJson {
    /// `cloudwatch` or `ec2`.
    pub source: String,
    /// The Region, unless the SDK's own chain decides it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The role it assumes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// When it last answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_answer: Option<String>,
    /// Refusals since.
    pub refusals_in_row: u32,
}

/// One open problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemJson {
    /// Its stable code.
    pub code: String,
    /// What has it.
    pub component: String,
    /// `degraded` or `failed`.
    pub severity: String,
    /// What is wrong, as a headline.
    pub title: String,
    /// What is wrong here and what would mend it.
    pub text: String,
    /// What to do first.
    pub first_step: String,
}

impl StatusJson {
    /// The status as JSON sees it; ages are as of `now`.
    pub fn of(
        status: &Status,
        problems: &[OpenProblem],
        records: &Records,
        version: &str,
        mode: &str,
        now: Now,
    ) -> Self {
        let Status { at, site, vpns, incidents, parents: _, silences: _, sources } = status;
        let since_status = now.mono.since(at.mono);
        Self {
            site: site.to_string(),
            version: version.to_owned(),
            mode: mode.to_owned(),
            at: rfc3339(at.wall),
            ready: Readiness::of(status, problems, now).ready,
            vpns: vpns.iter().map(|vpn| VpnJson::of(vpn, since_status)).collect(),
            incidents: incidents.iter().map(|incident| IncidentJson::of(incident, records)).collect(),
            sources: sources.iter().map(SourceJson::of).collect(),
            problems: problems.iter().map(ProblemJson::of).collect(),
        }
    }
}

impl VpnJson {
    fn of(vpn: &VpnStatus, since_status: Duration) -> Self {
        let VpnStatus { id, name, routing, tunnels, stale_after: _, sources: _, phases } = vpn;
        let phase = |kind: Kind| {
            let phase = phases.iter().find(|(of, _)| *of == kind).map_or(Phase::Clear, |(_, phase)| *phase);
            phase.as_str().to_owned()
        };
        Self {
            id: id.to_string(),
            name: name.to_string(),
            routing: routing.as_str().to_owned(),
            traffic: vpn.traffic().as_str().to_owned(),
            tunnels: tunnels.iter().map(|tunnel| TunnelJson::of(tunnel, since_status)).collect(),
            phases: PhasesJson {
                outage: phase(Kind::Outage),
                redundancy_lost: phase(Kind::RedundancyLost),
                one_sided: phase(Kind::OneSided),
                degraded: phase(Kind::Degraded),
            },
        }
    }
}

impl SourceJson {
    fn of(source: &SourceStatus) -> Self {
        let SourceStatus { id, last_answer, refusals_in_row, cut_off: _ } = source;
        Self {
            source: id.kind.as_str().to_owned(),
            region: id.place.region.as_deref().map(str::to_owned),
            role_arn: id.place.role_arn.as_deref().map(str::to_owned),
            last_answer: last_answer.map(|at| rfc3339(at.wall)),
            refusals_in_row: *refusals_in_row,
        }
    }
}

impl ProblemJson {
    fn of(OpenProblem { component, problem }: &OpenProblem) -> Self {
        let Problem { code, severity, text } = problem;
        let CodeEntry { word, title, first_step, .. } = code.entry();
        Self {
            code: (*word).to_owned(),
            component: component.to_string(),
            severity: severity.as_str().to_owned(),
            title: (*title).to_owned(),
            text: text.clone(),
            first_step: (*first_step).to_owned(),
        }
    }
}

/// One incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// How many further entries of the same wording were folded into this one.
    pub repeats: u32,
}

/// A connection of a parent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

fn withheld_by(withheld: &Withheld) -> String {
    match withheld {
        Withheld::Explained(parent) => parent.to_string(),
        Withheld::Silenced(id) => format!("silence {id}"),
    }
}

fn names(names: &[Arc<str>]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

impl IncidentJson {
    fn of(incident: &Incident, records: &Records) -> Self {
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
            withheld: withheld.as_ref().map(withheld_by),
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
            TimelineChange::Withheld { by } => Self { by: Some(withheld_by(by)), ..plain("withheld") },
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

/// One tunnel, both ends side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TunnelJson {
    /// AWS's outside address.
    pub outside_ip: String,
    /// Its display name.
    pub name: String,
    /// `active`, `standby` or `unused`.
    pub role: String,
    /// Both ends together: `healthy`, `down`, `disputed`, `unconfirmed` or `blind`; the verdicts below tell which end
    /// says down.
    pub assessment: String,
    /// Since when.
    pub assessed_since: String,
    /// Whether it carries traffic: `carrying`, `not_carrying` or `cannot_tell`.
    pub carrying: String,
    /// Why not, or why it cannot be told, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrying_why: Option<String>,
    /// Since when packets have not passed, as far as both ends tell; left out while they pass or nobody can say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_passing_since: Option<String>,
    /// How good it is while our end says up.
    #[serde(default)]
    pub quality: QualityJson,
    /// Our end.
    pub local: LocalJson,
    /// AWS's end.
    pub aws: AwsJson,
    /// What AWS says of the maintenance of its endpoint; left out where EC2 has not been asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<MaintenanceJson>,
    /// The checks behind our end's view; none if the tunnel is unused.
    pub checks: Vec<CheckJson>,
    /// Why it does not work, or not well; `null` while nothing is wrong.
    #[serde(default)]
    pub cause: Option<CauseJson>,
    /// What is looked at besides the checks.
    #[serde(default)]
    pub evidence: Vec<SensorJson>,
}

/// Why a tunnel does not work, or not well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CauseJson {
    /// A cause of the list in docs/evidence.md, such as `path_to_aws`; `unknown` if the evidence supports none.
    pub cause: String,
    /// `certain`, `likely` or `possible`.
    pub confidence: String,
    /// Since when it is named.
    pub since: String,
    /// What it rests on, a sentence each.
    pub evidence: Vec<String>,
    /// The side on which the fault likely is: `this_gateway`, `path`, `aws` or `behind`; `null` if unknown.
    #[serde(default)]
    pub side: Option<String>,
    /// The first thing to do.
    pub do_first: Option<String>,
}

/// One source of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SensorJson {
    /// `ipsec`, `bgp`, `path`, `trace` or `mtu`.
    pub source: String,
    /// `works`, `unavailable`, or `not_asked` yet.
    pub state: String,
    /// Why it is unavailable, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// When it last answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
    /// What it found, in words.
    pub found: String,
}

/// How good a tunnel is that our end says is up.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct QualityJson {
    /// `good`, `degraded` or `unknown`.
    pub state: String,
    /// Why it is degraded: `loss`, `latency` or `jitter`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The same in words, with what is usual or accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Lost share of the probes, 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_percent: Option<f64>,
    /// Median round trip, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<f64>,
    /// From there to the 90th percentile, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter_ms: Option<f64>,
    /// Usual median round trip, in milliseconds; left out until it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usual_rtt_ms: Option<f64>,
    /// Usual jitter, in milliseconds; left out until it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usual_jitter_ms: Option<f64>,
}

/// What our end says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LocalJson {
    /// `up`, `down` or `unknown`.
    pub verdict: String,
    /// Why it is unknown, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Since when.
    pub since: String,
    /// On what evidence.
    pub evidence: LocalEvidenceJson,
}

/// The state of the tunnel's checks, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LocalEvidenceJson {
    /// When the last reply came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_reply: Option<String>,
    /// Overdue echoes since the last reply.
    pub losses_in_row: u32,
    /// When the oldest of these was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_loss: Option<String>,
    /// What became of the most recent lost echo: `timeout`, `no_path` or `blocked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_loss: Option<String>,
    /// Replies in a row.
    pub replies_in_row: u32,
    /// Lost share, 0 to 100, of the echoes sent since the verdict holds, at most of the last minute's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_percent: Option<f64>,
    /// Median round trip, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_rtt_ms: Option<f64>,
    /// The host behind the tunnel that all this is about, where it is not AWS's inside address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<IpAddr>,
}

/// What AWS says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AwsJson {
    /// `up`, `down` or `unknown`.
    pub verdict: String,
    /// Why it is unknown, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Since when.
    pub since: String,
    /// Where the evidence comes from: `cloudwatch` or `ec2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The time it speaks of, on AWS's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
    /// When it became so, on AWS's clock: EC2's `LastStatusChange`, or the earliest evidence in a row that says the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<String>,
    /// How old it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<f64>,
    /// AWS's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// The routes that AWS accepted from our gateway by BGP, by EC2's last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_routes: Option<u32>,
}

/// What AWS says of the maintenance of a tunnel's endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaintenanceJson {
    /// `none`, `pending` or `denied`: the permission to ask is missing.
    pub state: String,
    /// Soon after this AWS replaces the endpoint by itself, if a replacement is pending and has a date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied_after: Option<String>,
    /// When the endpoint was last replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_applied: Option<String>,
    /// The time of AWS's answer, on AWS's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckJson {
    /// `inside` or `through`.
    pub check: String,
    /// The host behind the tunnel that is probed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<IpAddr>,
    /// Whether our end's verdict rests on that host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// `up`, `down` or `unknown`.
    pub verdict: String,
    /// Why it is unknown, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Whether it asks faster, because an echo is overdue.
    pub suspect: bool,
    /// Whether an echo has been asked and has ended, or become overdue, since the start.
    pub asked: bool,
    /// Echoes left out since the start.
    pub ticks_skipped: u64,
    /// What came of a fresh socket, tried in peace: `untried`, `works`, `fails`, `unanswered`.
    #[serde(default)]
    pub fresh_client: String,
}

/// Where each kind of incident stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhasesJson {
    /// Both ends agree that an active tunnel is down, and no other carries traffic.
    pub outage: String,
    /// Both ends agree that an active tunnel is down, and another carries traffic, or may.
    pub redundancy_lost: String,
    /// The ends do not agree, and of each tunnel one or the other says that it is down.
    pub one_sided: String,
    /// A tunnel is up, but lossy, slow or uneven.
    #[serde(default = "clear")]
    pub degraded: String,
}

fn connection() -> String {
    "connection".to_owned()
}

fn clear() -> String {
    Phase::Clear.as_str().to_owned()
}

impl TunnelJson {
    fn of(tunnel: &TunnelStatus, since_status: Duration) -> Self {
        let TunnelStatus {
            id,
            name,
            role,
            local,
            aws,
            assessment,
            assessed_since,
            carrying,
            quality,
            measured,
            aws_evidence_age,
            accepted_routes,
            maintenance,
            checks,
            diagnosis,
            diagnosed_since,
            sensors,
        } = tunnel;
        Self {
            outside_ip: id.outside_ip.to_string(),
            name: name.to_string(),
            role: role.as_str().to_owned(),
            assessment: assessment.as_str().to_owned(),
            assessed_since: rfc3339(assessed_since.wall),
            carrying: carrying.as_str().to_owned(),
            carrying_why: carrying.why().map(str::to_owned),
            not_passing_since: tunnel.not_passing_since().map(|since| rfc3339(since.wall)),
            quality: QualityJson::of(*quality, *measured),
            local: LocalJson::of(local),
            aws: AwsJson::of(aws, *aws_evidence_age + since_status, *accepted_routes),
            maintenance: MaintenanceJson::of(maintenance),
            checks: checks.iter().map(CheckJson::of).collect(),
            cause: diagnosis.as_ref().map(|found| CauseJson::of(found, *diagnosed_since, id)),
            evidence: sensors.iter().map(SensorJson::of).collect(),
        }
    }
}

impl CauseJson {
    fn of(diagnosis: &Diagnosis, since: Now, tunnel: &TunnelId) -> Self {
        Self {
            cause: diagnosis.cause.as_str().to_owned(),
            confidence: diagnosis.confidence.as_str().to_owned(),
            since: rfc3339(since.wall),
            evidence: cause::evidence(&diagnosis.clues),
            side: diagnosis.side().as_str().map(str::to_owned),
            do_first: cause::first_step(diagnosis, tunnel),
        }
    }
}

impl SensorJson {
    fn of(sensor: &SensorStatus) -> Self {
        let SensorStatus { kind, as_of, last } = sensor;
        let (state, why) = match last.as_ref().map(Finding::unavailable) {
            None => ("not_asked", None),
            Some(None) => ("works", None),
            Some(Some(why)) => ("unavailable", Some(why.as_str().to_owned())),
        };
        Self {
            source: kind.as_str().to_owned(),
            state: state.to_owned(),
            why,
            as_of: as_of.map(|at| rfc3339(at.wall)),
            found: last.as_ref().map(cause::finding).unwrap_or_default(),
        }
    }
}

impl QualityJson {
    fn of(quality: Quality, measured: Measured) -> Self {
        let Measured { loss_percent, rtt, jitter, usual_rtt, usual_jitter } = measured;
        Self {
            state: quality.as_str().to_owned(),
            reason: quality.reason().map(str::to_owned),
            text: match quality {
                Quality::Degraded(what) => Some(degradation(what)),
                Quality::Good | Quality::Unknown => None,
            },
            loss_percent,
            rtt_ms: rtt.map(millis),
            jitter_ms: jitter.map(millis),
            usual_rtt_ms: usual_rtt.map(millis),
            usual_jitter_ms: usual_jitter.map(millis),
        }
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}

impl LocalJson {
    fn of(view: &View) -> Self {
        let View { verdict, since, evidence } = view;
        let evidence = match evidence {
            Evidence::Local(evidence) => LocalEvidenceJson::of(evidence),
            Evidence::Aws(_) => LocalEvidenceJson::default(),
        };
        Self {
            verdict: verdict.as_str().to_owned(),
            why: why(*verdict),
            since: rfc3339(since.wall),
            evidence,
        }
    }
}

impl LocalEvidenceJson {
    fn of(evidence: &LocalEvidence) -> Self {
        let LocalEvidence {
            last_reply,
            stopped: _,
            losses_in_row,
            first_loss,
            last_loss,
            replies_in_row,
            loss_percent,
            median_rtt,
            through,
        } = evidence;
        Self {
            last_reply: last_reply.map(|at| rfc3339(at.wall)),
            losses_in_row: *losses_in_row,
            first_loss: first_loss.map(|at| rfc3339(at.wall)),
            last_loss: last_loss.map(|loss| loss.as_str().to_owned()),
            replies_in_row: *replies_in_row,
            loss_percent: *loss_percent,
            median_rtt_ms: median_rtt.map(millis),
            through: *through,
        }
    }
}

impl AwsJson {
    fn of(view: &View, age: Duration, accepted_routes: Option<u32>) -> Self {
        let View { verdict, since, evidence } = view;
        let (source, as_of, changed, words) = match evidence {
            Evidence::Aws(AwsEvidence { source, as_of, as_of_here: _, changed, words }) => {
                (*source, *as_of, *changed, words.as_deref())
            }
            Evidence::Local(_) => (None, None, None, None),
        };
        Self {
            verdict: verdict.as_str().to_owned(),
            why: why(*verdict),
            since: rfc3339(since.wall),
            source: source.map(|source| source.as_str().to_owned()),
            as_of: as_of.map(rfc3339),
            changed: changed.map(rfc3339),
            age_seconds: as_of.map(|_| age.as_millis() as f64 / 1e3),
            words: words.map(str::to_owned),
            accepted_routes,
        }
    }
}

impl MaintenanceJson {
    fn of(state: &MaintenanceState) -> Option<Self> {
        match state {
            MaintenanceState::NotAsked => None,
            MaintenanceState::Denied => Some(Self {
                state: "denied".to_owned(),
                applied_after: None,
                last_applied: None,
                as_of: None,
            }),
            MaintenanceState::Known { maintenance, as_of } => {
                let Maintenance { pending, applied_after: _, last_applied } = maintenance;
                Some(Self {
                    state: if *pending { "pending" } else { "none" }.to_owned(),
                    applied_after: maintenance.announced().map(rfc3339),
                    last_applied: last_applied.map(rfc3339),
                    as_of: Some(rfc3339(*as_of)),
                })
            }
        }
    }
}

impl CheckJson {
    fn of(check: &CheckStatus) -> Self {
        let CheckStatus { kind, votes, verdict, suspect, asked, ticks_skipped, fresh_client } = check;
        Self {
            check: kind.as_str().to_owned(),
            host: kind.host(),
            required: kind.host().map(|_| *votes),
            verdict: verdict.as_str().to_owned(),
            why: why(*verdict),
            suspect: *suspect,
            asked: *asked,
            ticks_skipped: *ticks_skipped,
            fresh_client: word_of(*fresh_client).to_owned(),
        }
    }
}

const fn word_of(fresh: Fresh) -> &'static str {
    match fresh {
        Fresh::Untried => "untried",
        Fresh::Works => "works",
        Fresh::Fails(_) => "fails",
        Fresh::Unanswered => "unanswered",
    }
}

fn why(verdict: Verdict) -> Option<String> {
    match verdict {
        Verdict::Up | Verdict::Down => None,
        Verdict::Unknown(why) => Some(why.as_str().to_owned()),
    }
}

#[cfg(test)]
mod tests;

//! The shape of `/status`, described in docs/status.md: keys stay, further ones may come. Times are RFC 3339 in UTC.

mod incident;
mod phases;
mod shared;
mod words;

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::incident::{ChildJson, EntryJson, IncidentJson, RecordJson};
pub use self::phases::PhasesJson;
use self::phases::phases_json;
pub use self::shared::{ParentJson, SilenceJson};
use self::words::why;
use crate::catalogue::cause;
use crate::catalogue::phrases::degradation;
use crate::clock::rfc3339;
use crate::domain::cause::Diagnosis;
use crate::domain::clients::Fresh;
use crate::domain::maintenance::{Maintenance, MaintenanceState};
use crate::domain::names::TunnelId;
use crate::domain::quality::{Measured, Quality};
use crate::domain::sensor::Finding;
use crate::domain::status::{CheckStatus, SensorStatus, SourceStatus, Status, TunnelStatus, VpnStatus};
use crate::domain::time::Now;
use crate::domain::verdict::{AwsEvidence, Evidence, LocalEvidence, View};
use crate::health::overview::OpenProblem;
use crate::health::readiness::{Readiness, stuck};
use crate::health::silenced::Silenced;
use crate::health::{CodeEntry, Problem};
use crate::records::Records;

/// Everything that the daemon knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
    /// The daemon's core has not updated the status for more than 10 s: everything here is old.
    #[serde(default)]
    pub stuck: bool,
    /// The connections, in the order of the configuration.
    pub vpns: Vec<VpnJson>,
    /// What several of them share.
    #[serde(default)]
    pub parents: Vec<ParentJson>,
    /// What is silenced now, or will be.
    #[serde(default)]
    pub silences: Vec<SilenceJson>,
    /// Incidents that are open, or over and not yet settled by every sink.
    pub incidents: Vec<IncidentJson>,
    /// Who asks AWS.
    pub sources: Vec<SourceJson>,
    /// What stands between the daemon and its job.
    pub problems: Vec<ProblemJson>,
}

/// One connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
    /// The silence by which the whole connection is silenced now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silenced: Option<u32>,
}

/// One poller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
        let Status { at, site, vpns, incidents, parents, is_date_confirmed: _, silences, sources } = status;
        let since_status = now.mono.since(at.mono);
        let date = status.date(now.mono);
        let silenced = Silenced::of(status, date);
        Self {
            site: site.to_string(),
            version: version.to_owned(),
            mode: mode.to_owned(),
            at: rfc3339(at.wall),
            ready: Readiness::of(status, problems, now).ready,
            stuck: stuck(status, now).is_some(),
            vpns: vpns.iter().map(|vpn| VpnJson::of(vpn, &silenced, since_status)).collect(),
            parents: parents.iter().map(|parent| ParentJson::of(parent, &silenced)).collect(),
            silences: silences.iter().map(|silence| SilenceJson::of(silence, status, date)).collect(),
            incidents: incidents.iter().map(|incident| IncidentJson::of(incident, records)).collect(),
            sources: sources.iter().map(SourceJson::of).collect(),
            problems: problems.iter().map(ProblemJson::of).collect(),
        }
    }
}

impl VpnJson {
    fn of(vpn: &VpnStatus, silenced: &Silenced<'_>, since_status: Duration) -> Self {
        let VpnStatus { id, name, routing, tunnels, stale_after: _, sources: _, phases } = vpn;
        let tunnel = |tunnel| {
            let silence = silenced.tunnel(vpn, tunnel).map(|silence| silence.0);
            TunnelJson { silenced: silence, ..TunnelJson::of(tunnel, since_status) }
        };
        Self {
            id: id.to_string(),
            name: name.to_string(),
            routing: routing.as_str().to_owned(),
            traffic: vpn.traffic().as_str().to_owned(),
            tunnels: tunnels.iter().map(tunnel).collect(),
            phases: phases_json(phases),
            silenced: silenced.vpn(vpn).map(|silence| silence.0),
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

/// One tunnel, both ends side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
    /// Why not, or why nobody can tell, in one word.
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
    /// The uplink over which its packets go to AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uplink: Option<String>,
    /// The silence by which it is silenced now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silenced: Option<u32>,
}

/// Why a tunnel does not work, or not well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
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

impl TunnelJson {
    fn of(tunnel: &TunnelStatus, since_status: Duration) -> Self {
        let TunnelStatus {
            id,
            name,
            role,
            uplink,
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
            // By the silences that are active now, and not when the core last looked.
            silenced: _,
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
            uplink: uplink.as_deref().map(str::to_owned),
            silenced: None,
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

#[cfg(test)]
mod tests;

//! The shape of `/status`, described in docs/status.md: keys stay, further ones may come. Times are RFC 3339 in UTC.

mod incidents;
mod views;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::incidents::{EntryJson, IncidentJson, RecordJson};
pub use self::views::{AwsJson, CheckJson, LocalEvidenceJson, LocalJson, PhasesJson, TunnelJson};
use crate::clock::rfc3339;
use crate::domain::names::Kind;
use crate::domain::status::{Phase, SourceStatus, Status, VpnStatus};
use crate::domain::time::Now;
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
        let Status { at, site, vpns, incidents, sources } = status;
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

#[cfg(test)]
mod tests;

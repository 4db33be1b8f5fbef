//! The shape of `/status`, described in docs/status.md: keys stay, further ones may come. Times are RFC 3339 in UTC.

mod incidents;
mod views;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::incidents::{EntryJson, IncidentJson};
pub use self::views::{AwsJson, CheckJson, LocalEvidenceJson, LocalJson, PhasesJson, TunnelJson};
use crate::domain::names::Kind;
use crate::domain::status::{Phase, SourceStatus, Status, VpnStatus};
use crate::domain::time::{Now, Stamp};
use crate::health::{Component, Problem, Problems, Severity};

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
    /// People's words for it.
    pub name: String,
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
    /// Who has it.
    pub component: String,
    /// `degraded` or `failed`.
    pub severity: String,
    /// What is wrong and what would mend it.
    pub text: String,
}

impl StatusJson {
    /// The status as JSON sees it; ages are as of `now`.
    pub fn of(status: &Status, problems: &Problems, version: &str, mode: &str, now: Now) -> Self {
        let Status { at, site, vpns, incidents, sources } = status;
        let since_status = now.mono.since(at.mono);
        Self {
            site: site.to_string(),
            version: version.to_owned(),
            mode: mode.to_owned(),
            at: rfc3339(at.wall),
            vpns: vpns.iter().map(|vpn| VpnJson::of(vpn, since_status)).collect(),
            incidents: incidents.iter().map(|incident| IncidentJson::of(incident)).collect(),
            sources: sources.iter().map(SourceJson::of).collect(),
            problems: problems.iter().map(|(of, problem)| ProblemJson::of(of, problem)).collect(),
        }
    }
}

impl VpnJson {
    fn of(vpn: &VpnStatus, since_status: Duration) -> Self {
        let VpnStatus { id, name, tunnels, phases } = vpn;
        let phase = |kind: Kind| {
            let phase = phases.iter().find(|(of, _)| *of == kind).map_or(Phase::Clear, |(_, phase)| *phase);
            phase.as_str().to_owned()
        };
        Self {
            id: id.to_string(),
            name: name.to_string(),
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
        let SourceStatus { id, last_answer, refusals_in_row } = source;
        Self {
            source: id.kind.as_str().to_owned(),
            region: id.region.as_deref().map(str::to_owned),
            role_arn: id.role_arn.as_deref().map(str::to_owned),
            last_answer: last_answer.map(|at| rfc3339(at.wall)),
            refusals_in_row: *refusals_in_row,
        }
    }
}

impl ProblemJson {
    fn of(of: &Component, problem: &Problem) -> Self {
        let Problem { severity, text } = problem;
        let severity = match severity {
            Severity::Degraded => "degraded",
            Severity::Failed => "failed",
        };
        Self { component: component(of), severity: severity.to_owned(), text: text.clone() }
    }
}

/// A component in one or two words.
pub(super) fn component(component: &Component) -> String {
    match component {
        Component::Source(source) => format!("source {source}"),
        Component::Addresses(vpn) => format!("addresses {vpn}"),
        Component::Sink(sink) => format!("sink {sink}"),
        Component::Publisher => "publisher".to_owned(),
        Component::Store => "store".to_owned(),
        Component::Configuration => "configuration".to_owned(),
        Component::Probe => "probe".to_owned(),
        Component::Clock => "clock".to_owned(),
        Component::Listener => "listener".to_owned(),
    }
}

/// `2025-11-22T03:12:04.25Z`; a stamp beyond the year 9999 is given as the last one that can be written.
fn rfc3339(stamp: Stamp) -> String {
    let at = jiff::Timestamp::from_millisecond(stamp.as_millis()).unwrap_or(jiff::Timestamp::MAX);
    at.to_string()
}

#[cfg(test)]
mod tests;

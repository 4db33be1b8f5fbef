//! The present state: the one source of `/status`, of the states and ages in `/metrics`, and of systemd's status line.

use std::sync::Arc;
use std::time::Duration;

use super::board::Incident;
use super::carrying::{Carrying, Traffic, traffic};
use super::cause::Diagnosis;
use super::clients::Fresh;
use super::maintenance::MaintenanceState;
use super::names::{CheckKind, Kind, Role, Routing, SourceId, TunnelId, VpnId};
use super::quality::{Measured, Quality};
use super::scope::{ParentId, ParentState};
use super::sensor::{Finding, SensorKind};
use super::silence::{Silence, SilenceId};
use super::time::{Moment, Now, Stamp};
use super::verdict::{Assessment, Verdict, View};

/// The whole state, both ends side by side.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Status {
    /// When it was taken.
    pub at: Now,
    /// The site's name.
    pub site: Arc<str>,
    /// Every connection, in the order of the configuration.
    pub vpns: Vec<VpnStatus>,
    /// Incidents on the Board: open, or not yet settled by every sink.
    pub incidents: Vec<Arc<Incident>>,
    /// What several connections share.
    pub parents: Vec<ParentStatus>,
    /// Whether AWS's clock is known, which counts where the host's is far from it.
    pub is_date_confirmed: bool,
    /// The silences, each in its present or next window.
    pub silences: Arc<[Silence]>,
    /// Every poller.
    pub sources: Vec<SourceStatus>,
}

impl Status {
    /// The date at a later moment, by the clock by which the core decides.
    pub fn date(&self, now: Moment) -> Stamp {
        self.at.wall + now.since(self.at.mono)
    }
}

/// One connection.
#[derive(Debug, Clone, PartialEq)]
pub struct VpnStatus {
    /// Its id.
    pub id: VpnId,
    /// Its name.
    pub name: Arc<str>,
    /// How it is routed.
    pub routing: Routing,
    /// Its tunnels, in the order of the configuration.
    pub tunnels: Vec<TunnelStatus>,
    /// AWS's evidence older than this is stale.
    pub stale_after: Duration,
    /// The pollers that ask about it.
    pub sources: Vec<SourceId>,
    /// The phase of each kind.
    pub phases: Vec<(Kind, Phase)>,
}

/// The phase of a kind of incident on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The condition does not hold.
    Clear,
    /// The condition holds, not yet for long enough.
    Pending,
    /// An incident is open.
    Open,
    /// An incident is open, and its closing condition holds, not yet for long enough.
    Clearing,
}

impl Phase {
    /// The word used in `/status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Pending => "pending",
            Self::Open => "open",
            Self::Clearing => "clearing",
        }
    }
}

/// A parent's part of the status.
#[derive(Debug, Clone, PartialEq)]
pub struct ParentStatus {
    /// Which.
    pub id: ParentId,
    /// Its state.
    pub state: ParentState,
    /// Since when.
    pub since: Now,
    /// Its connections, with their names.
    pub vpns: Vec<(VpnId, Arc<str>)>,
    /// The phase of each kind of incident that it can have.
    pub phases: Vec<(Kind, Phase)>,
}

/// One tunnel.
#[derive(Debug, Clone, PartialEq)]
pub struct TunnelStatus {
    /// Its identity.
    pub id: TunnelId,
    /// Its name.
    pub name: Arc<str>,
    /// Its role.
    pub role: Role,
    /// The uplink that its packets take to AWS, if it has a name.
    pub uplink: Option<Arc<str>>,
    /// Our view.
    pub local: View,
    /// AWS's view.
    pub aws: View,
    /// Both together.
    pub assessment: Assessment,
    /// Since when.
    pub assessed_since: Now,
    /// Whether it carries traffic.
    pub carrying: Carrying,
    /// How good it is while it is Up.
    pub quality: Quality,
    /// The same in numbers.
    pub measured: Measured,
    /// The age of AWS's evidence at [`Status::at`]; before the first, the time since watching began.
    pub aws_evidence_age: Duration,
    /// The routes that AWS accepted from our gateway by BGP, by EC2's last answer.
    pub accepted_routes: Option<u32>,
    /// What AWS says of the maintenance of its endpoint.
    pub maintenance: MaintenanceState,
    /// Its checks; none if it is unused.
    pub checks: Vec<CheckStatus>,
    /// Why it does not work, or not well; `None` where nothing is wrong, or nothing is watched that could tell.
    pub diagnosis: Option<Diagnosis>,
    /// Since when that cause is named.
    pub diagnosed_since: Now,
    /// Its sensors.
    pub sensors: Vec<SensorStatus>,
    /// The silence that covers it.
    pub silenced: Option<SilenceId>,
}

/// One check.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckStatus {
    /// Which.
    pub kind: CheckKind,
    /// Whether our end's verdict on the tunnel rests on it.
    pub votes: bool,
    /// Its verdict.
    pub verdict: Verdict,
    /// Whether it probes faster, because an echo is overdue.
    pub suspect: bool,
    /// Whether an echo was sent since the start and has ended or become overdue.
    pub asked: bool,
    /// Ticks left out since the start.
    pub ticks_skipped: u64,
    /// The result of trying a fresh client in calm.
    pub fresh_client: Fresh,
}

/// One sensor of a tunnel.
#[derive(Debug, Clone, PartialEq)]
pub struct SensorStatus {
    /// Which.
    pub kind: SensorKind,
    /// When it last answered.
    pub as_of: Option<Now>,
    /// Its last answer.
    pub last: Option<Finding>,
}

/// One poller.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceStatus {
    /// Which.
    pub id: SourceId,
    /// When it last answered.
    pub last_answer: Option<Now>,
    /// Refusals since it last answered.
    pub refusals_in_row: u32,
    /// Whether the last question did not reach AWS; see [`Event::Refused`](super::event::Event::Refused).
    pub cut_off: bool,
}

impl VpnStatus {
    /// Whether traffic gets through it.
    pub fn traffic(&self) -> Traffic {
        let used = self.tunnels.iter().filter(|tunnel| tunnel.role != Role::Unused);
        traffic(used.map(|tunnel| tunnel.carrying))
    }
}

impl Status {
    /// Whether every used tunnel has been probed once: from then on the daemon works, whether AWS can be reached or not.
    pub fn every_tunnel_asked(&self) -> bool {
        self.vpns
            .iter()
            .flat_map(|vpn| &vpn.tunnels)
            .flat_map(|tunnel| &tunnel.checks)
            .all(|check| check.asked)
    }
}

//! What the core is informed of.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::board::IncidentId;
use super::maintenance::MaintenanceState;
use super::names::{CheckId, Destination, Kind, SinkId, SourceId, TunnelId, VpnId};
use super::request::EchoId;
use super::scope::{ParentId, Scope};
use super::sensor::Sensed;
use super::silence::Silence;
use super::time::{Moment, Now, Stamp};
use super::verdict::{Fault, Loss, Verdict};

/// Something that happened outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An echo has left.
    Sent {
        /// The check it belongs to.
        check: CheckId,
        /// Which echo.
        echo: EchoId,
        /// When it left.
        at: Moment,
    },
    /// A reply to an echo came, in time or late.
    Reply {
        /// The check it belongs to.
        check: CheckId,
        /// Which echo.
        echo: EchoId,
        /// Round-trip time.
        rtt: Duration,
    },
    /// An echo could not be sent.
    Failed {
        /// The check it belongs to.
        check: CheckId,
        /// Which echo.
        echo: EchoId,
        /// What the system said.
        failure: AskFailure,
    },
    /// AWS answered.
    Answered(AwsAnswer),
    /// AWS did not answer, or refused to.
    Refused {
        /// Who was asked.
        source: SourceId,
        /// Whether AWS was reached, that is, an answer came, whatever it said. No connection, no answer in time, or no
        /// credentials to ask with: not reached.
        reached: bool,
    },
    /// A sensor answered about a tunnel.
    Sensed(Sensed),
    /// CloudWatch returned the history of a connection's tunnels for a time without answers.
    HistoryAnswered(History),
    /// It did not answer, or refused to.
    HistoryRefused {
        /// Of which connection.
        vpn: VpnId,
    },
    /// AWS answered about the maintenance of a tunnel's endpoint, or the permission to ask is missing.
    Maintenance {
        /// The tunnel.
        tunnel: TunnelId,
        /// What is known of it from now on.
        state: MaintenanceState,
    },
    /// The silences from now on, each in its present or next window; they replace those before.
    Silences(Arc<[Silence]>),
    /// A sink's record of an incident that is over is up to date.
    Settled {
        /// The sink by its destination, because a reload may give its name to another one.
        sink: Destination,
        /// Which incident.
        incident: IncidentId,
        /// The revision that the sink has.
        revision: u64,
    },
    /// This host holds, or does not hold, an address; reported at the start and on each change.
    AddressHeld {
        /// Which.
        address: IpAddr,
        /// Whether it is this host's.
        held: bool,
    },
    /// A sink has an open record of ours with no incident on the Board for it: the store was lost, the twin that started it has
    /// died, or our CloudWatch alarm started it while no daemon here could.
    RecordFound {
        /// Which sink.
        sink: SinkId,
        /// What the record is about.
        scope: Scope,
        /// Its kind.
        kind: Kind,
        /// When it was created, on the sink's clock.
        created: Stamp,
    },
}

/// Why an echo could not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskFailure {
    /// A fault of our own: no evidence.
    Fault(Fault),
    /// The tunnel did not accept it: evidence of loss.
    Lost(Loss),
    /// The socket could not be bound, because the source address (EADDRNOTAVAIL) or the interface (ENODEV) is missing. It is a
    /// fault until the check's socket has once been bound, in this run or an earlier one. Afterwards it is a loss (no path):
    /// this host had the address and lost it.
    AddressMissing,
}

/// One answer of one source, about some or all of the tunnels it was asked about.
#[derive(Debug, Clone, PartialEq)]
pub struct AwsAnswer {
    /// Who answered.
    pub source: SourceId,
    /// When the question was sent. The answer's Date lies between this and its receipt; the earlier bound is used, so that a
    /// slow answer never counts as fresher than it is.
    pub asked: Moment,
    /// The answer's Date header.
    pub date: Stamp,
    /// One reading per tunnel.
    pub readings: Vec<(TunnelId, Reading)>,
    /// The bytes of the tunnels of which they were asked.
    pub data: Vec<(TunnelId, TunnelData)>,
}

/// CloudWatch's newest two datapoints of `TunnelDataIn` and `TunnelDataOut` of a tunnel: bytes per minute as AWS counts them. Both
/// can be greater than 0 while the tunnel is down (AWS Site-to-Site VPN User Guide, "VPN metrics and dimensions": status checks,
/// ARP and BGP are counted, too): a hint at which direction works, and nothing about whether the tunnel is up.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TunnelData {
    /// From our gateway, after decryption; the newest first.
    pub bytes_in: [Option<Datapoint>; 2],
    /// To our gateway, before encryption; the newest first.
    pub bytes_out: [Option<Datapoint>; 2],
}

/// `TunnelState` of a connection's tunnels over a time.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// The connection.
    pub vpn: VpnId,
    /// When the question was sent.
    pub asked: Moment,
    /// The answer's Date header.
    pub date: Stamp,
    /// Every datapoint of each tunnel, in any order.
    pub points: Vec<(TunnelId, Vec<Datapoint>)>,
}

/// What a source reported about one tunnel, unchanged; [`super::remote`] decides what it means.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// CloudWatch's newest datapoint of `TunnelState`, if there is one.
    TunnelState(Option<Datapoint>),
    /// EC2's telemetry.
    Telemetry(Telemetry),
    /// The VPN connection's State is deleting or deleted, or AWS does not know it.
    Gone,
    /// The answer's part on this tunnel could not be understood.
    Garbage,
}

/// Under which dimensions CloudWatch has a tunnel's data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FoundUnder {
    /// VpnId and TunnelIpAddress, as AWS documents it.
    #[default]
    VpnAndAddress,
    /// TunnelIpAddress alone.
    AddressAlone,
    /// Others, which ListMetrics named.
    Others,
}

/// A datapoint of a CloudWatch metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Datapoint {
    /// The start of its period, on AWS's clock.
    pub stamp: Stamp,
    /// The length of its period.
    pub period: Duration,
    /// The average over the period of `TunnelState`, the sum over it of bytes.
    pub value: f64,
    /// Under which dimensions it was found.
    pub under: FoundUnder,
}

/// `VgwTelemetry` of `DescribeVpnConnections`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telemetry {
    /// `Status`.
    pub status: TelemetryStatus,
    /// `StatusMessage`, such as `IPSEC IS DOWN` or `2 BGP ROUTES`; free text, a hint for the reader and never decisive.
    pub message: Arc<str>,
    /// `LastStatusChange`; it also moves when a phase of IKE or IPsec changes without `Status` changing.
    pub last_status_change: Option<Stamp>,
    /// `AcceptedRouteCount`: the routes that AWS accepted from our gateway by BGP.
    pub accepted_routes: Option<u32>,
}

/// `Status` of `VgwTelemetry`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TelemetryStatus {
    /// `UP`.
    Up,
    /// `DOWN`.
    Down,
    /// Anything else, or nothing.
    Other,
}

/// What the store kept from earlier runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Remembered {
    /// The ends that have seen a tunnel Up.
    pub seen_up: Vec<SeenUp>,
    /// The silences, each in its present or next window.
    pub silences: Arc<[Silence]>,
    /// The incidents on the Board, open or not yet settled.
    pub incidents: Vec<Arc<super::board::Incident>>,
    /// When incidents of each kind were opened within the last 24 h, for the doubling of `resolve_after`.
    pub openings: Vec<(Scope, Kind, Stamp)>,
    /// The parents that were down when the last run ended.
    pub down: Vec<ParentId>,
    /// What our end saw after AWS's view was lost, for tunnels where it stayed lost to the end of the last run.
    pub unheard: Vec<Unheard>,
    /// Since when packets have not passed, for tunnels that were locally Down when the last run ended, a short while ago.
    pub stopped: Vec<(TunnelId, Stamp)>,
    /// Our end's recent verdicts on each tunnel with their start, oldest first; Unknown from the end of a run.
    pub said: Vec<(TunnelId, Stamp, Verdict)>,
}

impl Remembered {
    /// Since when packets have not passed through a tunnel, on both clocks.
    pub fn stopped_at(&self, tunnel: &TunnelId, now: Now) -> Option<Now> {
        let (_, wall) = self.stopped.iter().find(|(of, at)| of == tunnel && *at <= now.wall)?;
        Some(Now { mono: now.mono - now.wall.since(*wall), wall: *wall })
    }

    /// Our end's recent verdicts on a tunnel, by this run's clock.
    pub fn said_of(&self, tunnel: &TunnelId, now: Now) -> impl Iterator<Item = (Moment, Verdict)> {
        let said = self.said.iter().filter(move |(of, at, _)| of == tunnel && *at <= now.wall);
        said.map(move |(_, at, verdict)| (now.mono - now.wall.since(*at), *verdict))
    }
}

/// What our end saw of a tunnel while AWS's view of it was unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unheard {
    /// The tunnel.
    pub tunnel: TunnelId,
    /// When AWS's view became Unknown.
    pub since: Stamp,
    /// When our end was Down: from, to. A Down that lasted to the end of the run ends at its last probe.
    pub down: Vec<(Stamp, Stamp)>,
}

/// An end has seen a tunnel Up at least once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SeenUp {
    /// A check got a reply over this route. That the inside address has answered stays true whatever our own end of the route
    /// is now; that this host held our own end is true for that end alone.
    Local(CheckId, super::plan::RouteKey),
    /// AWS said Up.
    Aws(TunnelId),
}

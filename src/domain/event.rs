//! What the core is told.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::board::IncidentId;
use super::names::{CheckId, Destination, Kind, SinkId, SourceId, TunnelId, VpnId};
use super::request::EchoId;
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
        /// Whether AWS was reached: an answer came, whatever it said. Without one (no connection, no answer in time, no
        /// credentials to ask with) it was not.
        reached: bool,
    },
    /// CloudWatch has told what became of a connection's tunnels while it was not heard.
    HistoryAnswered(History),
    /// It has not, or would not.
    HistoryRefused {
        /// Of which connection.
        vpn: VpnId,
    },
    /// A sink has brought its record into line with an incident that is over.
    Settled {
        /// Which sink: where it goes, because a reload may call another by the same name.
        sink: Destination,
        /// Which incident.
        incident: IncidentId,
        /// The incident's revision that the sink has taken in.
        revision: u64,
    },
    /// This host does, or does not, hold an address; told at first and when it changes.
    AddressHeld {
        /// Which.
        address: IpAddr,
        /// Whether it is this host's.
        held: bool,
    },
    /// A sink has an open record of ours that no incident on the Board accounts for: the store was lost, the twin that
    /// started it has died, or our CloudWatch alarm started it while nobody here could speak.
    RecordFound {
        /// Which sink.
        sink: SinkId,
        /// The record's connection.
        vpn: VpnId,
        /// Its kind.
        kind: Kind,
        /// When it was created, on the sink's clock.
        created: Stamp,
    },
}

/// Why an echo could not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskFailure {
    /// We could not ask: no evidence.
    Fault(Fault),
    /// The tunnel did not take it: evidence of loss.
    Lost(Loss),
    /// The socket could not be bound, because the source address (EADDRNOTAVAIL) or the interface (ENODEV) is missing:
    /// a fault until the check's socket has once been bound, in this run or an earlier one, and a loss (no path) afterwards: this
    /// host had them, and lost them.
    AddressMissing,
}

/// One answer of one source, about some or all of the tunnels it was asked about.
#[derive(Debug, Clone, PartialEq)]
pub struct AwsAnswer {
    /// Who answered.
    pub source: SourceId,
    /// When the question was sent. The answer's Date lies between this and its receipt; the earlier bound is taken, so
    /// that an answer which took its time never counts as fresher than it is.
    pub asked: Moment,
    /// The answer's Date header.
    pub date: Stamp,
    /// One reading per tunnel.
    pub readings: Vec<(TunnelId, Reading)>,
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
    /// Every datapoint there is of each tunnel, in any order.
    pub points: Vec<(TunnelId, Vec<Datapoint>)>,
}

/// What a source said of one tunnel, as it said it; [`super::remote`] decides what that means.
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
    /// The average over the period.
    pub value: f64,
    /// Under which dimensions it was found.
    pub under: FoundUnder,
}

/// `VgwTelemetry` of `DescribeVpnConnections`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telemetry {
    /// `Status`.
    pub status: TelemetryStatus,
    /// `StatusMessage`, such as `IPSEC IS DOWN` or `2 BGP ROUTES`; free text, a hint for people and never decisive.
    pub message: Arc<str>,
    /// `LastStatusChange`; it also moves when a phase of IKE or IPsec changes without `Status` changing.
    pub last_status_change: Option<Stamp>,
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

/// What outlived the last run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Remembered {
    /// The ends that have seen a tunnel Up.
    pub seen_up: Vec<SeenUp>,
    /// The incidents on the Board, open or not yet settled.
    pub incidents: Vec<Arc<super::board::Incident>>,
    /// When incidents of each kind were opened within the last 24 h, for the doubling of `resolve_after`.
    pub openings: Vec<(VpnId, Kind, Stamp)>,
    /// What our end saw after AWS's view was lost, where it was lost to the end of the last run.
    pub unheard: Vec<Unheard>,
    /// Since when packets have not passed through the tunnels that our end had Down when the last run ended, a short while ago.
    pub stopped: Vec<(TunnelId, Stamp)>,
    /// What our end said of each tunnel lately, from when on, oldest first; Unknown from where a run ended.
    pub said: Vec<(TunnelId, Stamp, Verdict)>,
}

impl Remembered {
    /// Since when packets have not passed through a tunnel, on both clocks.
    pub fn stopped_at(&self, tunnel: &TunnelId, now: Now) -> Option<Now> {
        let (_, wall) = self.stopped.iter().find(|(of, at)| of == tunnel && *at <= now.wall)?;
        Some(Now { mono: now.mono - now.wall.since(*wall), wall: *wall })
    }

    /// What our end said of a tunnel lately, by this run's clock.
    pub fn said_of(&self, tunnel: &TunnelId, now: Now) -> impl Iterator<Item = (Moment, Verdict)> {
        let said = self.said.iter().filter(move |(of, at, _)| of == tunnel && *at <= now.wall);
        said.map(move |(_, at, verdict)| (now.mono - now.wall.since(*at), *verdict))
    }
}

/// What our end saw of a tunnel while AWS's view of it was not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unheard {
    /// Which.
    pub tunnel: TunnelId,
    /// When AWS's view became Unknown.
    pub since: Stamp,
    /// When our end was Down: from, to. What lasted when the run ended lasts to where it was last probed.
    pub down: Vec<(Stamp, Stamp)>,
}

/// An end has seen a tunnel Up at least once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SeenUp {
    /// A check got a reply over this route. That the address which is asked has answered holds whatever our own end of the route
    /// is now; that this host held our own end holds for that end alone.
    Local(CheckId, super::plan::RouteKey),
    /// AWS said Up.
    Aws(TunnelId),
}

//! Sensors: what is known of a tunnel besides its probes and AWS's word. A sensor explains why a tunnel is down; it has no vote,
//! except a BGP session that the configuration calls `required`.
//!
//! The core asks ([`SenseRequest`]) and gets exactly one answer to each question ([`Sensed`]), late or never only if the edge
//! is broken. An answer that could not be had says why ([`Unavailable`]), and is no evidence of anything.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::names::TunnelId;
use super::time::{Moment, Stamp};

/// A kind of sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SensorKind {
    /// The IPsec daemon of this host, or the kernel's counters.
    Ipsec,
    /// The BGP daemon of this host.
    Bgp,
    /// Echoes to AWS's outside address and to the reference hosts of the uplink, outside the tunnel.
    Path,
    /// The hops to AWS's outside address.
    Trace,
    /// The largest echo that passes through the tunnel.
    Mtu,
}

impl SensorKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Ipsec, Self::Bgp, Self::Path, Self::Trace, Self::Mtu];

    /// The word used in the configuration, metrics, logs and `/status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ipsec => "ipsec",
            Self::Bgp => "bgp",
            Self::Path => "path",
            Self::Trace => "trace",
            Self::Mtu => "mtu",
        }
    }
}

/// A question to a sensor about one tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenseRequest {
    /// The tunnel.
    pub tunnel: TunnelId,
    /// Which sensor.
    pub sensor: SensorKind,
}

/// A sensor's answer about one tunnel.
#[derive(Debug, Clone, PartialEq)]
pub struct Sensed {
    /// The tunnel.
    pub tunnel: TunnelId,
    /// When the sensor began to look: what it found is as of this moment or later.
    pub asked: Moment,
    /// What it found.
    pub finding: Finding,
}

/// What a sensor found.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// Of [`SensorKind::Ipsec`].
    Ipsec(Result<Ipsec, Unavailable>),
    /// Of [`SensorKind::Bgp`].
    Bgp(Result<BgpSession, Unavailable>),
    /// Of [`SensorKind::Path`].
    Path(Result<Path, Unavailable>),
    /// Of [`SensorKind::Trace`].
    Trace(Result<Trace, Unavailable>),
    /// Of [`SensorKind::Mtu`].
    Mtu(Result<Mtu, Unavailable>),
}

impl Finding {
    /// Whose finding it is.
    pub const fn sensor(&self) -> SensorKind {
        match self {
            Self::Ipsec(_) => SensorKind::Ipsec,
            Self::Bgp(_) => SensorKind::Bgp,
            Self::Path(_) => SensorKind::Path,
            Self::Trace(_) => SensorKind::Trace,
            Self::Mtu(_) => SensorKind::Mtu,
        }
    }

    /// Why there is none, if so.
    pub const fn unavailable(&self) -> Option<Unavailable> {
        match self {
            Self::Ipsec(Err(why))
            | Self::Bgp(Err(why))
            | Self::Path(Err(why))
            | Self::Trace(Err(why))
            | Self::Mtu(Err(why)) => Some(*why),
            Self::Ipsec(Ok(_))
            | Self::Bgp(Ok(_))
            | Self::Path(Ok(_))
            | Self::Trace(Ok(_))
            | Self::Mtu(Ok(_)) => None,
        }
    }
}

/// Why a sensor has no answer. It is no evidence about the tunnel; only [`Self::NotRunning`] says something about this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unavailable {
    /// The socket or program does not exist.
    NotThere,
    /// The socket exists and nobody listens on it (ECONNREFUSED), or the program says that its daemon is not running.
    NotRunning,
    /// No permission to ask.
    Denied,
    /// No answer in time.
    TimedOut,
    /// The connection was closed in the middle of an answer.
    Closed,
    /// The answer could not be understood.
    Invalid,
    /// The answer was longer than any real one.
    TooLong,
    /// The answer does not name this tunnel: no IPsec connection with its outside address, no BGP neighbour with its inside address.
    NotListed,
    /// This host gave no socket, or an error of its own.
    HostError,
    /// The sensor looks at a few tunnels at a time, and others came first.
    Skipped,
}

impl Unavailable {
    /// Every reason.
    pub const ALL: [Self; 10] = [
        Self::NotThere,
        Self::NotRunning,
        Self::Denied,
        Self::TimedOut,
        Self::Closed,
        Self::Invalid,
        Self::TooLong,
        Self::NotListed,
        Self::HostError,
        Self::Skipped,
    ];

    /// The word used in metrics, logs and `/status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotThere => "not_there",
            Self::NotRunning => "not_running",
            Self::Denied => "denied",
            Self::TimedOut => "timed_out",
            Self::Closed => "closed",
            Self::Invalid => "invalid",
            Self::TooLong => "too_long",
            Self::NotListed => "not_listed",
            Self::HostError => "host_error",
            Self::Skipped => "skipped",
        }
    }
}

/// A tunnel's IPsec as this host's IKE daemon or kernel has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ipsec {
    /// The IKE SA; `None` where only the kernel was asked, which knows none.
    pub ike: Option<Ike>,
    /// The installed CHILD_SA (the newest, if several); `None` if none is installed.
    pub child: Option<Child>,
    /// The last refusal of an IKE exchange, by the peer or by this host, if the tunnel has not come up since.
    pub refusal: Option<Refusal>,
    /// Without traffic for this long the IKE daemon checks its peer (dead peer detection); `None` if unknown or off.
    pub dpd_delay: Option<Duration>,
}

/// The state of a tunnel's IKE SA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ike {
    /// The connection is configured, and there is no SA.
    Absent,
    /// It is being negotiated.
    Connecting,
    /// It is established.
    Established {
        /// An exchange has been started and not answered yet (strongSwan's `tasks-active`). One question may meet an exchange that is
        /// answered a moment later; several in a row mean retransmissions.
        unanswered: bool,
    },
}

/// An installed CHILD_SA. Counters begin at 0 with each SA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Child {
    /// Which SA: counters of different ones must not be compared.
    pub id: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// The time since the last packet came in; `None` if none has come since the SA was made.
    pub idle_in: Option<Duration>,
}

/// What a peer refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// `AUTHENTICATION_FAILED`: pre-shared key, certificate or identity.
    Authentication,
    /// `NO_PROPOSAL_CHOSEN`: algorithms, or no configuration for this peer.
    Proposal,
    /// `TS_UNACCEPTABLE`: traffic selectors.
    TrafficSelectors,
    /// Any other error notification.
    Other,
}

impl Refusal {
    /// Every refusal.
    pub const ALL: [Self; 4] = [Self::Authentication, Self::Proposal, Self::TrafficSelectors, Self::Other];

    /// The word used in `/status` and the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::Proposal => "proposal",
            Self::TrafficSelectors => "traffic_selectors",
            Self::Other => "other",
        }
    }
}

/// A tunnel's BGP session as this host's BGP daemon has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BgpSession {
    /// Whether it is established.
    pub established: bool,
    /// The daemon's own word for the state, such as `Active`.
    pub state: Arc<str>,
    /// The prefixes accepted from the neighbour, if the daemon says.
    pub prefixes: Option<u64>,
    /// FRR only: the session passes no route because a policy is missing (RFC 8212).
    pub no_policy: bool,
    /// Of `monitored_prefixes`, those that were not received; empty while the session is not established.
    pub missing: Vec<Arc<str>>,
    /// The last error, in the daemon's words; BIRD forgets it once the session is established.
    pub last_error: Option<Arc<str>>,
    /// Whether the neighbour closed the session because it heard nothing from here: `Hold timer expired`, received.
    pub peer_heard_nothing: bool,
}

/// What answers outside the tunnel, over the uplink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// AWS's outside address.
    pub outside: Reach,
    /// The reference hosts of the tunnel's uplink.
    pub references: Vec<(IpAddr, Reach)>,
    /// The uplink's interface; `None` if none is configured, or the kernel does not list them.
    pub interface: Option<Link>,
}

/// Whether a host answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It answered at least one of a few echoes.
    Answers {
        /// The shortest round trip.
        rtt: Duration,
    },
    /// It answered none.
    Silent,
    /// This host has no route to it, or no address or interface to send from.
    NoRoute,
    /// This host refuses to send: its firewall.
    Blocked,
    /// Nothing could be sent, for a reason that says nothing about the path.
    NotSent,
}

/// The state of an interface of this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Link {
    /// It exists and has its carrier, or does not know of one.
    Up,
    /// It exists, and is switched off or has no carrier.
    Down,
    /// It does not exist.
    Missing,
}

/// The hops to AWS's outside address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// When it was made.
    pub at: Stamp,
    /// What answered at each distance, from 1 on, up to the last one that did; `None` did not.
    pub hops: Vec<Option<IpAddr>>,
    /// Whether the destination itself answered.
    pub reached: bool,
}

impl Trace {
    /// The furthest hop that answered, with its distance.
    pub fn last(&self) -> Option<(usize, IpAddr)> {
        self.hops.iter().enumerate().rev().find_map(|(index, hop)| hop.map(|hop| (index + 1, hop)))
    }
}

/// The largest packet that passes through the tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mtu {
    /// Its size in bytes with the IP header, found with Don't Fragment set; `None` if even the smallest does not pass.
    pub largest: Option<u16>,
    /// The largest that was sent: 1500, or less where this host sends none so large (its interface's MTU).
    pub tried: u16,
}

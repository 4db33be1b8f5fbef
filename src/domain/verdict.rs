//! Three-valued truth: an end's verdict on a tunnel, and its evidence.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::names::{End, SourceKind};
use super::time::{Now, Stamp};

/// An end's verdict. No evidence is `Unknown`, never `Down`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It works.
    Up,
    /// It does not work.
    Down,
    /// The evidence does not say.
    Unknown(Why),
}

impl Verdict {
    /// The word used in metrics, logs and `/status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Whether two verdicts are the same word, whatever the reason of an Unknown.
    pub const fn same_word(self, other: Self) -> bool {
        matches!(
            (self, other),
            (Self::Up, Self::Up) | (Self::Down, Self::Down) | (Self::Unknown(_), Self::Unknown(_))
        )
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up | Self::Down => f.write_str(self.as_str()),
            Self::Unknown(why) => write!(f, "unknown ({why})"),
        }
    }
}

/// Why a verdict is Unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// Not probed for long enough yet.
    Starting,
    /// The inside address has never answered: a mistyped address or a gateway that drops ICMP must not vote.
    NeverAnswered,
    /// A fault of our own.
    Fault(Fault),
    /// Nothing was sent and nothing ended for too long.
    Silent,
    /// The BGP session is required, and its daemon does not say how it is.
    BgpUnknown,
    /// The tunnel's role is `unused`.
    Unused,
    /// This host does not hold the address that it votes for: the other host of the pair does.
    NotHere,
    /// Seen from behind the gateway the connection works, by this tunnel or by another one.
    Shared,
    /// AWS has not been asked or has not answered.
    NotAsked,
    /// AWS answered without data on this tunnel.
    NoData,
    /// AWS's newest evidence is too old.
    Stale,
    /// `TunnelState` between 0 and 1: the tunnel changed within the period.
    Fraction,
    /// AWS's evidence is stamped later than AWS's own clock.
    Future,
    /// AWS's sources contradict each other about the same time.
    Contradiction,
    /// AWS is deleting the VPN connection, or does not have it.
    Gone,
    /// AWS's answer could not be understood.
    Garbage,
}

impl Why {
    /// One word, for metrics and structured logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::NeverAnswered => "never_answered",
            Self::Fault(_) => "fault",
            Self::Silent => "silent",
            Self::BgpUnknown => "bgp_unknown",
            Self::Unused => "unused",
            Self::NotHere => "not_here",
            Self::Shared => "shared",
            Self::NotAsked => "not_asked",
            Self::NoData => "no_data",
            Self::Stale => "stale",
            Self::Fraction => "fraction",
            Self::Future => "future",
            Self::Contradiction => "contradiction",
            Self::Gone => "gone",
            Self::Garbage => "garbage",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::NeverAnswered => f.write_str("never answered"),
            Self::Fault(fault) => write!(f, "fault: {fault}"),
            Self::Silent => f.write_str("nothing sent"),
            Self::BgpUnknown => f.write_str("the BGP daemon does not answer"),
            Self::Unused => f.write_str("unused"),
            Self::NotHere => f.write_str("not here"),
            Self::Shared => f.write_str("the connection works, by this tunnel or another"),
            Self::NotAsked => f.write_str("AWS has not answered"),
            Self::NoData => f.write_str("no data"),
            Self::Stale => f.write_str("stale"),
            Self::Fraction => f.write_str("fraction"),
            Self::Future => f.write_str("stamped in the future"),
            Self::Contradiction => f.write_str("contradiction"),
            Self::Gone => f.write_str("gone"),
            Self::Garbage => f.write_str("not understood"),
        }
    }
}

/// Why a probe was not possible. It is no evidence and never counts as loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// No permission to open or set up the socket (EPERM, EACCES).
    NoPermission,
    /// The kernel had no memory (ENOMEM, or ENOBUFS for a socket).
    NoMemory,
    /// The interface took no packet (ENOBUFS): the queue of its link is full, or its other end is down.
    QueueFull,
    /// Too many open files (EMFILE).
    TooManyFiles,
    /// This host has never owned the source address or the interface (EADDRNOTAVAIL, ENODEV at bind).
    AddressMissing,
    /// The host slept or the process was stopped while the echo was in flight: a reply could not be seen.
    HeldUp,
    /// Any other failure to set up a socket, by its errno.
    Socket(i32),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPermission => f.write_str("no permission for an ICMP socket, or for its fwmark"),
            Self::NoMemory => f.write_str("no memory"),
            Self::QueueFull => {
                f.write_str("the interface takes no packets: its link is full or dead (ENOBUFS)")
            }
            Self::TooManyFiles => f.write_str("too many open files"),
            Self::AddressMissing => f.write_str("this host does not have the source address or interface"),
            Self::HeldUp => f.write_str("the host slept or the process was held up"),
            Self::Socket(errno) => write!(f, "socket error {errno}"),
        }
    }
}

/// An end's verdict on a tunnel, with since, as of, and evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// The verdict.
    pub verdict: Verdict,
    /// When this verdict was first given.
    pub since: Now,
    /// The evidence behind it.
    pub evidence: Evidence,
}

/// The evidence of a verdict.
#[derive(Debug, Clone, PartialEq)]
pub enum Evidence {
    /// Our own echoes.
    Local(LocalEvidence),
    /// AWS's report.
    Aws(AwsEvidence),
}

/// The state of a tunnel's checks, in numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LocalEvidence {
    /// When the last reply came.
    pub last_reply: Option<Now>,
    /// While the tunnel is Down: the last reply before it, or the first lost echo where no reply is known.
    pub stopped: Option<Now>,
    /// Overdue echoes since the last reply.
    pub losses_in_row: u32,
    /// When the oldest of these was sent.
    pub first_loss: Option<Now>,
    /// What became of the most recent lost echo.
    pub last_loss: Option<Loss>,
    /// Replies in a row.
    pub replies_in_row: u32,
    /// The lost share of the echoes sent since the verdict began, at most over the last minute, 0 to 100; `None` before the
    /// first has ended. While the tunnel is Down it counts from the last reply.
    pub loss_percent: Option<f64>,
    /// The median of the last 32 on-time round trips.
    pub median_rtt: Option<Duration>,
    /// The host behind the tunnel that all this is about; `None`: AWS's inside address.
    pub through: Option<IpAddr>,
}

/// AWS's newest evidence on a tunnel.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AwsEvidence {
    /// The source; `None` before the first answer.
    pub source: Option<SourceKind>,
    /// The time of AWS's evidence, on AWS's clock.
    pub as_of: Option<Stamp>,
    /// The same on our clocks.
    pub as_of_here: Option<Now>,
    /// When the state began, on AWS's clock: EC2's `LastStatusChange`, or else the earliest of consecutive equal evidence. Only
    /// for Up and Down.
    pub changed: Option<Stamp>,
    /// AWS's own words: the datapoint's value, or `Status` and `StatusMessage`.
    pub words: Option<Arc<str>>,
}

/// How an echo was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Loss {
    /// No reply came in time.
    Timeout,
    /// The kernel found no way to send it (ENETUNREACH, ENODEV, …).
    NoPath,
    /// The kernel refused to send it (EPERM, EACCES, EINVAL: an XFRM policy or the firewall).
    Blocked,
}

impl Loss {
    /// The word used in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::NoPath => "no_path",
            Self::Blocked => "blocked",
        }
    }
}

/// The outcome of one echo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A reply within `timeout`.
    Reply {
        /// Round-trip time.
        rtt: Duration,
    },
    /// A reply after `timeout`: slow, but a sign of life.
    Late {
        /// Round-trip time.
        rtt: Duration,
    },
    /// No reply.
    Lost(Loss),
    /// A fault of our own.
    Fault(Fault),
}

impl Outcome {
    /// The value of the label `outcome` of `bothends_echoes_total`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reply { .. } => "reply",
            Self::Late { .. } => "late",
            Self::Lost(Loss::Timeout) => "lost_timeout",
            Self::Lost(Loss::NoPath) => "lost_no_path",
            Self::Lost(Loss::Blocked) => "lost_blocked",
            Self::Fault(_) => "fault",
        }
    }

    /// Every value of that label, so that each series exists from the start.
    pub const LABELS: [&'static str; 6] =
        ["reply", "late", "lost_timeout", "lost_no_path", "lost_blocked", "fault"];
}

/// Both views of a tunnel together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Assessment {
    /// Both ends say Up.
    Healthy,
    /// Both ends say Down.
    Down,
    /// One end says Down, the other Up.
    Disputed(End),
    /// One end says Down, the other does not know.
    Unconfirmed(End),
    /// Neither end says Down, and not both say Up.
    Blind,
}

impl Assessment {
    /// The word used in metrics, logs and `/status`. Which end says Down is shown by the verdicts beside it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Down => "down",
            Self::Disputed(_) => "disputed",
            Self::Unconfirmed(_) => "unconfirmed",
            Self::Blind => "blind",
        }
    }

    /// Every word.
    pub const WORDS: [&'static str; 5] = ["healthy", "down", "disputed", "unconfirmed", "blind"];

    /// Every assessment.
    pub const ALL: [Self; 7] = [
        Self::Healthy,
        Self::Down,
        Self::Disputed(End::Local),
        Self::Disputed(End::Aws),
        Self::Unconfirmed(End::Local),
        Self::Unconfirmed(End::Aws),
        Self::Blind,
    ];
}

impl fmt::Display for Assessment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Healthy => f.write_str("healthy"),
            Self::Down => f.write_str("down"),
            Self::Disputed(end) => write!(f, "disputed: only {} says down", end.as_str()),
            Self::Unconfirmed(end) => {
                write!(f, "unconfirmed: {} says down, the other end does not know", end.as_str())
            }
            Self::Blind => f.write_str("blind"),
        }
    }
}

//! What happens in a run: drawn from the seed, and then plain data, so that a shorter schedule can be tried.

mod draw;

use std::time::Duration;

use bothends::domain::names::Routing;
use bothends::domain::plan::ProbeRules;

/// One run.
#[derive(Debug, Clone)]
pub struct Schedule {
    pub seed: u64,
    pub switches: Switches,
    /// In order of time; each with its number in the seed's whole schedule.
    pub ops: Vec<Timed>,
}

#[derive(Debug, Clone, Copy)]
pub struct Timed {
    pub number: usize,
    /// After the start.
    pub at: Duration,
    pub op: Op,
}

/// AWS's undocumented behaviour, and the operator's configuration.
#[derive(Debug, Clone, Copy)]
pub struct Switches {
    /// Two gateways watch the connection.
    pub twin: bool,
    /// Only the gateway that holds the VRRP address votes.
    pub vrrp: bool,
    pub tunnels: usize,
    /// Which tunnels are standby at first, as bits; the first is active.
    pub standby: u8,
    /// Which tunnels never worked, as bits: no reply, and AWS says Down. The first works.
    pub never: u8,
    /// At first.
    pub routing: Routing,
    pub probe: ProbeRules,
    pub poll_interval: Duration,
    pub stale_after: Duration,
    pub open_after_outage: Duration,
    pub open_after_redundancy_lost: Duration,
    pub one_sided_after: Option<Duration>,
    pub resolve_after: Duration,
    pub start_grace: Duration,
    /// What Incident Manager does with a known token and different parameters.
    pub known_token: KnownToken,
    pub token_memory: Duration,
    /// How long until a change shows in its list.
    pub list_lag: Duration,
    /// Whether a create is merged into the open record of the same response plan.
    pub folds: bool,
    /// Whether `TunnelState` has no datapoints instead of 0.
    pub silent_while_down: bool,
    pub cloudwatch_lag: Duration,
    /// The lag of EC2's answers, if it is polled.
    pub ec2_lag: Option<Duration>,
    /// Whether EC2 says when a status last changed.
    pub ec2_says_since: bool,
    /// Whether a crash resets the boot clock: a power cut, not a kill.
    pub power_cuts: bool,
}

impl Switches {
    /// The gateways' first configuration.
    pub fn setup(&self) -> Setup {
        let of = |tunnel: usize| match tunnel {
            absent if absent >= self.tunnels => Use::Absent,
            standby if (self.standby >> standby) & 1 == 1 => Use::Standby,
            _ => Use::Active,
        };
        Setup { uses: [0, 1, 2, 3].map(of), routing: self.routing }
    }

    /// Whether a tunnel never worked.
    pub fn never(&self, tunnel: usize) -> bool {
        (self.never >> tunnel) & 1 == 1
    }
}

/// The part of a gateway's configuration that a reload changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// At least one is used.
    pub uses: [Use; 4],
    pub routing: Routing,
}

/// The configuration of a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Active,
    Standby,
    Unused,
    /// Not configured.
    Absent,
    /// Active, with a source address that the host does not have: a typing error.
    Mistyped,
}

impl Setup {
    /// The tunnels that are probed and judged.
    pub fn used(&self) -> impl Iterator<Item = usize> + use<> {
        let uses = self.uses;
        (0..uses.len()).filter(move |tunnel| match uses[*tunnel] {
            Use::Active | Use::Standby | Use::Mistyped => true,
            Use::Unused | Use::Absent => false,
        })
    }

    /// The tunnels that count for redundancy.
    pub fn actives(&self) -> impl Iterator<Item = usize> + use<> {
        let setup = *self;
        self.used().filter(move |tunnel| setup.is_active(*tunnel))
    }

    pub fn is_active(&self, tunnel: usize) -> bool {
        match self.uses[tunnel] {
            Use::Active | Use::Mistyped => true,
            Use::Standby | Use::Unused | Use::Absent => false,
        }
    }

    /// The same without typing errors.
    pub fn corrected(mut self) -> Self {
        for of in &mut self.uses {
            if *of == Use::Mistyped {
                *of = Use::Active;
            }
        }
        self
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownToken {
    OldRecord,
    Conflict,
    NewRecord,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Both,
    One(usize),
}

impl Who {
    pub fn includes(self, gateway: usize) -> bool {
        match self {
            Self::Both => true,
            Self::One(one) => one == gateway,
        }
    }
}

/// What a path does with a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    Carries,
    Dead,
    NoRoute,
    /// This percentage is lost.
    Loses(u8),
    /// Replies come after the timeout.
    Slow,
    /// The host has lost the tunnel's inside address.
    Missing,
    /// No socket: a send error, no evidence.
    Faulty,
}

/// What an AWS source does instead of reporting what AWS sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceFault {
    Truth,
    Silent,
    Garbage,
    SaysUp,
    SaysDown,
    Fraction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    CloudWatch,
    Ec2,
}

/// The calls that fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    Ask,
    Incidents,
    Put,
}

/// How calls fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    Throttle,
    ServerError,
    Denied,
    /// No answer, ever; nothing is executed.
    Hang,
    /// Executed, late.
    Slow,
    /// Executed, and the answer is lost.
    LostReply,
}

impl Fault {
    pub const ALL: [Self; 6] =
        [Self::Throttle, Self::ServerError, Self::Denied, Self::Hang, Self::Slow, Self::LostReply];
}

/// What people silence at a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silenced {
    Site,
    Connection,
    Tunnel(usize),
}

#[derive(Debug, Clone, Copy)]
pub enum Op {
    /// The path between gateways and AWS through a tunnel.
    Path { who: Who, tunnel: usize, line: Line },
    /// Whether AWS sees the tunnel Up.
    Sees { tunnel: usize, up: bool },
    /// Whether AWS has a BGP session over a tunnel whose IPsec it sees Up.
    Bgp { tunnel: usize, up: bool },
    /// How a source reports it.
    Says { source: Source, fault: SourceFault },
    /// This percentage of calls fails from here on; 0 ends it.
    Trouble { calls: Calls, fault: Fault, percent: u8 },
    /// The gateway's route to AWS.
    Reach { who: Who, reachable: bool },
    /// Credentials, as AWS sees them.
    Credentials { who: Who, valid: bool },
    /// The disk fails every write, or works again.
    Disk { who: Who, writable: bool },
    /// SIGKILL or a power cut, and a start after this long.
    Crash { gateway: usize, down: Duration },
    /// The same, after this many further steps of the daemon.
    CrashSoon { gateway: usize, steps: u32, down: Duration },
    /// The configuration changes from here on, and a running daemon reloads it.
    Reload { who: Who, setup: Setup },
    /// The wall clock is set this many seconds off AWS's.
    Clock { gateway: usize, offset: i64 },
    /// The VRRP address moves here.
    TakeOver { gateway: usize },
    /// A person closes every open record.
    PersonCloses,
    /// Our template's alarm creates its record of an outage.
    Alarm,
    /// One datum of this minute is always rejected.
    Poison,
    /// A person silences something, from after this time on and for so long. The daemon's command is refused while it does
    /// not run, and while it cannot write.
    Silence { who: Who, of: Silenced, after: Duration, lasting: Duration },
    /// A person ends every silence.
    EndSilences { who: Who },
}

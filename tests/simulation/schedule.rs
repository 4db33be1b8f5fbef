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
    /// In order of time; each with its number in the whole schedule of this seed.
    pub ops: Vec<Timed>,
}

#[derive(Debug, Clone, Copy)]
pub struct Timed {
    pub number: usize,
    /// After the start.
    pub at: Duration,
    pub op: Op,
}

/// What AWS leaves undocumented, and what the operator configures.
#[derive(Debug, Clone, Copy)]
pub struct Switches {
    /// Two gateways watch the connection.
    pub twin: bool,
    /// Of these only the one that holds a VRRP address votes.
    pub vrrp: bool,
    /// How many tunnels there are, 1 to 4.
    pub tunnels: usize,
    /// Which of them are standby at first, as bits; the first is active.
    pub standby: u8,
    /// Which of them have never worked, as bits: nothing answers, and AWS says Down. The first works.
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
    /// What Incident Manager does with a token that it knows, and other parameters.
    pub known_token: KnownToken,
    /// How long it remembers a token.
    pub token_memory: Duration,
    /// How long a change takes to show in its list.
    pub list_lag: Duration,
    /// Whether a start is folded into the open record of the same response plan.
    pub folds: bool,
    /// Whether `TunnelState` has no datapoints while it would be 0.
    pub silent_while_down: bool,
    /// How far `TunnelState` lags behind.
    pub cloudwatch_lag: Duration,
    /// How far the answers of EC2 lag behind, if it is asked.
    pub ec2_lag: Option<Duration>,
    /// Whether EC2 says when a status last changed.
    pub ec2_says_since: bool,
    /// Whether a crash takes the boot clock along: a power cut, not a kill.
    pub power_cuts: bool,
}

impl Switches {
    /// What the gateways are configured with at first.
    pub fn setup(&self) -> Setup {
        let of = |tunnel: usize| match tunnel {
            absent if absent >= self.tunnels => Use::Absent,
            standby if (self.standby >> standby) & 1 == 1 => Use::Standby,
            _ => Use::Active,
        };
        Setup { uses: [0, 1, 2, 3].map(of), routing: self.routing }
    }

    /// Whether a tunnel has never worked.
    pub fn never(&self, tunnel: usize) -> bool {
        (self.never >> tunnel) & 1 == 1
    }
}

/// What a gateway's configuration says, as far as a reload changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// At least one is used.
    pub uses: [Use; 4],
    pub routing: Routing,
}

/// What it says of a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Active,
    Standby,
    Unused,
    /// It is not in there.
    Absent,
    /// Active, with an address of our end that the host does not have: a typing error.
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

    /// Those without which redundancy is lost.
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

/// Which gateways.
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

/// What a path does with an echo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    Carries,
    Dead,
    NoRoute,
    /// So many of a hundred get lost.
    Loses(u8),
    /// Answers come after the timeout.
    Slow,
    /// The host has lost our address inside the tunnel.
    Missing,
    /// The socket cannot be had: a fault, no evidence.
    Faulty,
}

/// What a source of AWS's does instead of saying what AWS sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
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

/// The calls that go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    Ask,
    Incidents,
    Put,
}

/// How calls go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    Throttle,
    ServerError,
    Denied,
    /// No answer, ever; nothing is done.
    Hang,
    /// It is done, late.
    Slow,
    /// It is done, and the answer gets lost.
    LostReply,
}

impl Fault {
    pub const ALL: [Self; 6] =
        [Self::Throttle, Self::ServerError, Self::Denied, Self::Hang, Self::Slow, Self::LostReply];
}

#[derive(Debug, Clone, Copy)]
pub enum Op {
    /// The path between gateways and AWS through a tunnel.
    Path { who: Who, tunnel: usize, line: Line },
    /// Whether AWS sees the tunnel Up.
    Sees { tunnel: usize, up: bool },
    /// Whether AWS has a BGP session over a tunnel whose IPsec it sees Up.
    Bgp { tunnel: usize, up: bool },
    /// What a source makes of it.
    Says { source: Source, word: Word },
    /// So many of a hundred calls go wrong from here on; 0 mends it.
    Trouble { calls: Calls, fault: Fault, percent: u8 },
    /// The gateway's way to AWS.
    Reach { who: Who, reachable: bool },
    /// Credentials, as AWS sees them.
    Credentials { who: Who, valid: bool },
    /// The disk takes no writes, or takes them again.
    Disk { who: Who, writable: bool },
    /// SIGKILL or a power cut, and a start after this long.
    Crash { gateway: usize, down: Duration },
    /// The same, after so many further steps of the daemon.
    CrashSoon { gateway: usize, steps: u32, down: Duration },
    /// The configuration is another from here on, and the daemon, if one runs, is told so.
    Reload { who: Who, setup: Setup },
    /// The wall clock is set to this much beside AWS's, in seconds.
    Clock { gateway: usize, offset: i64 },
    /// The VRRP address moves here.
    TakeOver { gateway: usize },
    /// Somebody closes every open record.
    PersonCloses,
    /// The alarm of our template opens its record of an outage.
    Alarm,
    /// One datum of this minute is never taken.
    Poison,
}

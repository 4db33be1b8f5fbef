//! How often journal records on one subject are written; `telemetry::journal` suppresses the rest.

use std::time::Duration;

/// Whether records of a kind may be suppressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RateLimit {
    /// Every one is written at once: it reports a page or the answer to a request, and something else limits how often it
    /// comes.
    Unlimited,
    /// Limited per subject, which this key names.
    By(LimitKey),
}

/// What identifies the subject of a record. Records with the same key and equal key fields are on the same subject, and a
/// later one supersedes an earlier one: if only one is written, it is the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitKey {
    /// One end's verdict on a tunnel.
    End,
    /// Both ends' assessment of a tunnel.
    Tunnel,
    /// The quality of a tunnel.
    Quality,
    /// The cause of a tunnel's trouble.
    Cause,
    /// The state of a kind of incident of a scope, between two records that page or resolve.
    Condition,
    /// The growth of an incident's timeline.
    Timeline,
    /// Whether a check is suspect.
    Check,
    /// Whether this host holds the address that it votes for.
    Address,
    /// The problem of a part of the daemon.
    Problem,
    /// Evidence in AWS's answers that cannot be used.
    Evidence,
    /// An event, and not a state, of a tunnel, a record at a sink, the store or the host.
    Happening,
    /// A library's own text.
    Library,
}

/// How many records on one subject are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// This many records may follow each other at once.
    pub burst: u32,
    /// After that, one in this time.
    pub period: Duration,
}

impl Allowance {
    const fn new(burst: u32, period_secs: u64) -> Self {
        Self { burst, period: Duration::from_secs(period_secs) }
    }
}

impl LimitKey {
    /// The fields that identify the subject; the others describe it.
    pub const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::End => &["VPN_ID", "TUNNEL_IP", "END"],
            Self::Tunnel | Self::Quality | Self::Cause => &["VPN_ID", "TUNNEL_IP"],
            Self::Condition | Self::Timeline => &["SCOPE", "KIND"],
            Self::Check => &["VPN_ID", "TUNNEL_IP", "CHECK"],
            // A host votes for one address.
            Self::Address => &[],
            // Without its text: one that names a different request each time would be a new problem each time.
            Self::Problem => &["COMPONENT", "PROBLEM"],
            Self::Evidence => &["VPN_ID", "TUNNEL_IP", "ERROR"],
            Self::Happening => &[
                "MESSAGE_ID",
                "VPN_ID",
                "TUNNEL_IP",
                "CHECK",
                "END",
                "KIND",
                "INCIDENT",
                "SINK",
                "ENTRY",
                "METRIC",
                "DIMENSIONS",
                "COMPONENT",
                "DETAIL",
            ],
            // Without its text, for the same reason; the level separates what matters from what does not.
            Self::Library => &["TARGET", "PRIORITY"],
        }
    }

    /// Whether its records say the same of many connections when one cause reaches all of them; `telemetry::journal` then writes a
    /// few, and a number.
    pub const fn is_of_many(self) -> bool {
        match self {
            Self::End
            | Self::Tunnel
            | Self::Quality
            | Self::Cause
            | Self::Condition
            | Self::Timeline
            | Self::Check
            | Self::Evidence
            | Self::Happening => true,
            // One of this host or of a library; and each problem has its own first step.
            Self::Address | Self::Problem | Self::Library => false,
        }
    }

    /// A state that has not changed for this long is at rest, and its next change is written at once; `None` for events. This
    /// adds at most one record in this time.
    pub const fn at_rest_after(self) -> Option<Duration> {
        match self {
            Self::End
            | Self::Tunnel
            | Self::Quality
            | Self::Cause
            | Self::Condition
            | Self::Check
            | Self::Address => Some(Duration::from_secs(20)),
            // A request that fails every minute is not a new problem each time.
            Self::Problem => Some(Duration::from_secs(2 * 60)),
            Self::Timeline | Self::Evidence | Self::Happening | Self::Library => None,
        }
    }

    /// How many records on its subject are written.
    pub const fn allowance(self) -> Allowance {
        match self {
            // Three episodes with start and end pass unchanged; a line that keeps flapping is one record a minute.
            Self::End
            | Self::Tunnel
            | Self::Quality
            | Self::Cause
            | Self::Condition
            | Self::Timeline
            | Self::Check
            | Self::Address => Allowance::new(6, 60),
            Self::Problem => Allowance::new(6, 10 * 60),
            // Every answer of AWS repeats it; anybody who looks today sees it at least once.
            Self::Evidence => Allowance::new(1, 60 * 60),
            Self::Happening => Allowance::new(6, 10 * 60),
            // Texts differ, and the first of a series say most, so several pass before only the last is written.
            Self::Library => Allowance::new(12, 10 * 60),
        }
    }
}

//! How often journal records on one subject are written; `telemetry::journal` suppresses the others.

use std::time::Duration;

/// Whether records of a kind may be suppressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RateLimit {
    /// Every one is written at once: it is what people are paged for or have asked for, and something else bounds how often it
    /// comes.
    Unlimited,
    /// Only so often about the subject that this key names.
    By(LimitKey),
}

/// What names the subject of a record. Records of one key that agree in the key's fields are on the same subject, and the later one
/// says what the earlier one said and more: where one of them must do, it is the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitKey {
    /// What one end says of a tunnel.
    End,
    /// What both ends together say of a tunnel.
    Tunnel,
    /// Where a kind of incident of a connection stands between two records that page or resolve.
    Condition,
    /// The growth of an incident's timeline.
    Timeline,
    /// Whether a check is suspect.
    Check,
    /// Whether this host holds the address that it votes for.
    Address,
    /// What a part of the daemon cannot do.
    Problem,
    /// Evidence in an answer of AWS's that cannot be used.
    Evidence,
    /// What happened to a tunnel, a record at a sink, the store or the host, without being a state of it.
    Happening,
    /// What a library says in its own words.
    Library,
}

/// How many records on one subject are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// As many records may follow each other at once.
    pub burst: u32,
    /// After that, one in this long.
    pub period: Duration,
}

impl Allowance {
    const fn new(burst: u32, period_secs: u64) -> Self {
        Self { burst, period: Duration::from_secs(period_secs) }
    }
}

impl LimitKey {
    /// The fields that name the subject; the rest say something of it.
    pub const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::End => &["VPN_ID", "TUNNEL_IP", "END"],
            Self::Tunnel => &["VPN_ID", "TUNNEL_IP"],
            Self::Condition | Self::Timeline => &["VPN_ID", "KIND"],
            Self::Check => &["VPN_ID", "TUNNEL_IP", "CHECK"],
            // A host votes for one address.
            Self::Address => &[],
            // Not its text: one that names another request each time would be another problem each time.
            Self::Problem => &["COMPONENT", "PROBLEM"],
            Self::Evidence => &["VPN_ID", "TUNNEL_IP", "ERROR"],
            Self::Happening => &["MESSAGE_ID", "VPN_ID", "TUNNEL_IP", "END", "KIND", "SINK", "DETAIL"],
            // Nor here its text, for the same reason: the level parts what matters from what does not.
            Self::Library => &["TARGET", "PRIORITY"],
        }
    }

    /// A state that has not changed for this long is at rest, and its next change is written at once; `None` of what is no state. At
    /// most one record more comes of it in this time.
    pub const fn at_rest_after(self) -> Option<Duration> {
        match self {
            Self::End | Self::Tunnel | Self::Condition | Self::Check | Self::Address => {
                Some(Duration::from_secs(20))
            }
            // A request that fails every minute is no new problem each time.
            Self::Problem => Some(Duration::from_secs(2 * 60)),
            Self::Timeline | Self::Evidence | Self::Happening | Self::Library => None,
        }
    }

    /// How many records on its subject are written.
    pub const fn allowance(self) -> Allowance {
        match self {
            // Three episodes with both their ends pass as they are; a line that flaps on is one record a minute.
            Self::End | Self::Tunnel | Self::Condition | Self::Timeline | Self::Check | Self::Address => {
                Allowance::new(6, 60)
            }
            Self::Problem => Allowance::new(6, 10 * 60),
            // It says the same each time, and comes with every answer; who looks today sees it at least once.
            Self::Evidence => Allowance::new(1, 60 * 60),
            Self::Happening => Allowance::new(6, 10 * 60),
            // Texts differ, and the first of a series say most: room for several before only the last is written.
            Self::Library => Allowance::new(12, 10 * 60),
        }
    }
}

//! Both views of a tunnel together: the assessment, and whether the tunnel carries traffic. Every kind of incident, every
//! sentence about traffic and every metric of it follows from this table.
//!
//! | our end | AWS | routing | the tunnel is |
//! |---|---|---|---|
//! | up | up | any | carrying |
//! | up | down, as of after our end came up, confirmed | `bgp` | not carrying: BGP is down. Both ends agree |
//! | up | down, as of after our end came up, EC2 says `IPSEC IS UP` | not configured | the same |
//! | up | down, any other | `bgp` | cannot tell: BGP may be down, and it is not confirmed |
//! | up | down, any other | `static`, not configured | disputed: cannot tell |
//! | up | unknown | any | cannot tell |
//! | unknown ([shared](super::through)) | any | any | as our end's up on `static` |
//! | down | down, as of after our end went down ([`downs`](super::downs)) | any | not carrying. Both ends agree |
//! | down | any other | any | not carrying: our end cannot reach AWS's |
//! | unknown (starting) | down | any | cannot tell until the start is over |
//! | unknown | down | any | not carrying: AWS says so, and our end does not contradict. It is not agreed |
//! | unknown | up or unknown | any | cannot tell |
//!
//! On a connection with BGP, AWS's `TunnelState` is the BGP session (1 is ESTABLISHED, 0 every other state:
//! <https://docs.aws.amazon.com/vpn/latest/s2svpn/monitoring-cloudwatch-vpn.html>), and an echo that is answered proves IPsec:
//! AWS's down beside our up is no contradiction there. It is confirmed by a second datapoint in a row, or by EC2's
//! `StatusMessage`, which says `IPSEC IS UP` of a tunnel whose BGP session is not established.

use super::names::{End, Routing};
use super::verdict::{Assessment, Verdict, Why};

/// Whether a tunnel carries traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Carrying {
    /// It does.
    Carrying,
    /// It does not.
    NotCarrying(NotCarrying),
    /// The evidence does not say.
    CannotTell(CannotTell),
}

/// Why a tunnel does not carry traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NotCarrying {
    /// Both ends say Down.
    BothEndsDown,
    /// IPsec works, the BGP session does not: AWS has no route over it. Both ends agree on that.
    BgpDown,
    /// Our end says Down, and AWS does not agree, or not yet.
    LocalDown,
    /// AWS says Down, and our end does not know.
    AwsDown,
}

/// Why it is unknown whether a tunnel carries traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CannotTell {
    /// Our end says Up and AWS Down, which may be BGP, and is not confirmed.
    BgpUnconfirmed,
    /// Our end says Up and AWS Down.
    Disputed,
    /// Our end says Up, and AWS does not know.
    AwsUnknown,
    /// Our end has not been probed for long enough, and AWS says Down.
    Starting,
    /// Our end does not know, and AWS does not say Down.
    LocalUnknown,
    /// The tunnel's role is `unused`.
    Unused,
}

/// What AWS's Down says about BGP, as far as it is later than our end's Up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BgpWord {
    /// Nothing.
    Nothing,
    /// Two datapoints of `TunnelState` in a row are 0.
    SecondDatapoint,
    /// EC2 says that IPsec is up.
    IpsecIsUp,
}

/// The evidence of a tunnel that decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// By our checks.
    pub local: Verdict,
    /// By AWS.
    pub aws: Verdict,
    /// Whether AWS's evidence speaks of a moment after our end's Down began.
    pub aws_is_later: bool,
    /// What AWS's Down says about BGP.
    pub bgp: BgpWord,
    /// How the connection is routed.
    pub routing: Routing,
}

/// The table.
pub const fn judge(said: Said) -> Carrying {
    use Carrying::{CannotTell as Unclear, NotCarrying as Not};
    match (said.local, said.aws) {
        (Verdict::Up | Verdict::Unknown(Why::Shared), Verdict::Up) => Carrying::Carrying,
        (Verdict::Unknown(Why::Shared), Verdict::Down) => Unclear(CannotTell::Disputed),
        (Verdict::Unknown(Why::Shared), Verdict::Unknown(_)) => Unclear(CannotTell::AwsUnknown),
        (Verdict::Up, Verdict::Down) => match (said.routing, said.bgp) {
            (Routing::Bgp, BgpWord::SecondDatapoint | BgpWord::IpsecIsUp)
            | (Routing::Unknown, BgpWord::IpsecIsUp) => Not(NotCarrying::BgpDown),
            (Routing::Bgp, BgpWord::Nothing) => Unclear(CannotTell::BgpUnconfirmed),
            (Routing::Unknown, BgpWord::Nothing | BgpWord::SecondDatapoint)
            | (Routing::Static, BgpWord::Nothing | BgpWord::SecondDatapoint | BgpWord::IpsecIsUp) => {
                Unclear(CannotTell::Disputed)
            }
        },
        (Verdict::Up, Verdict::Unknown(_)) => Unclear(CannotTell::AwsUnknown),
        (Verdict::Down, Verdict::Down) if said.aws_is_later => Not(NotCarrying::BothEndsDown),
        (Verdict::Down, Verdict::Up | Verdict::Down | Verdict::Unknown(_)) => Not(NotCarrying::LocalDown),
        (Verdict::Unknown(Why::Unused), _) => Unclear(CannotTell::Unused),
        (Verdict::Unknown(Why::Starting), Verdict::Down) => Unclear(CannotTell::Starting),
        (Verdict::Unknown(_), Verdict::Down) => Not(NotCarrying::AwsDown),
        (Verdict::Unknown(_), Verdict::Up | Verdict::Unknown(_)) => Unclear(CannotTell::LocalUnknown),
    }
}

impl Carrying {
    /// The word used in metrics, logs and `/status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Carrying => "carrying",
            Self::NotCarrying(_) => "not_carrying",
            Self::CannotTell(_) => "cannot_tell",
        }
    }

    /// Every word.
    pub const WORDS: [&'static str; 3] = ["carrying", "not_carrying", "cannot_tell"];

    /// The word for the reason; `None` where it carries.
    pub const fn why(self) -> Option<&'static str> {
        match self {
            Self::Carrying => None,
            Self::NotCarrying(why) => Some(why.as_str()),
            Self::CannotTell(why) => Some(why.as_str()),
        }
    }

    /// Whether both ends agree that it does not carry.
    pub const fn is_agreed_down(self) -> bool {
        match self {
            Self::NotCarrying(NotCarrying::BothEndsDown | NotCarrying::BgpDown) => true,
            Self::Carrying
            | Self::NotCarrying(NotCarrying::LocalDown | NotCarrying::AwsDown)
            | Self::CannotTell(_) => false,
        }
    }

    /// What an assessment alone implies, where nothing else was stored.
    pub const fn of(assessment: Assessment) -> Self {
        match assessment {
            Assessment::Healthy => Self::Carrying,
            Assessment::Down => Self::NotCarrying(NotCarrying::BothEndsDown),
            Assessment::Disputed(End::Local) | Assessment::Unconfirmed(End::Local) => {
                Self::NotCarrying(NotCarrying::LocalDown)
            }
            Assessment::Disputed(End::Aws) => Self::CannotTell(CannotTell::Disputed),
            Assessment::Unconfirmed(End::Aws) => Self::NotCarrying(NotCarrying::AwsDown),
            Assessment::Blind => Self::CannotTell(CannotTell::LocalUnknown),
        }
    }
}

impl NotCarrying {
    /// The word used in `/status` and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BothEndsDown => "both_ends_down",
            Self::BgpDown => "bgp_down",
            Self::LocalDown => "local_down",
            Self::AwsDown => "aws_down",
        }
    }
}

impl CannotTell {
    /// The word used in `/status` and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BgpUnconfirmed => "bgp_unconfirmed",
            Self::Disputed => "disputed",
            Self::AwsUnknown => "aws_unknown",
            Self::Starting => "starting",
            Self::LocalUnknown => "local_unknown",
            Self::Unused => "unused",
        }
    }
}

/// Whether traffic gets through a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Traffic {
    /// At least one tunnel carries.
    Flows,
    /// No tunnel carries.
    DoesNotFlow,
    /// No tunnel is known to carry, and at least one may.
    CannotTell,
}

impl Traffic {
    /// The word used in `/status` and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flows => "flows",
            Self::DoesNotFlow => "does_not_flow",
            Self::CannotTell => "cannot_tell",
        }
    }
}

/// Whether traffic gets through a connection with these tunnels (used ones only). Without tunnels it is unknown.
pub fn traffic(tunnels: impl IntoIterator<Item = Carrying>) -> Traffic {
    let mut said = None;
    for tunnel in tunnels {
        said = Some(match (said, tunnel) {
            (Some(Traffic::Flows), _) | (_, Carrying::Carrying) => Traffic::Flows,
            (Some(Traffic::CannotTell), _) | (_, Carrying::CannotTell(_)) => Traffic::CannotTell,
            (None | Some(Traffic::DoesNotFlow), Carrying::NotCarrying(_)) => Traffic::DoesNotFlow,
        });
    }
    said.unwrap_or(Traffic::CannotTell)
}

/// Both views of a tunnel put together.
///
/// | local \ aws | Up | Down | Unknown |
/// |---|---|---|---|
/// | Up | Healthy | Disputed(aws) | Blind |
/// | Down | Disputed(local) | **Down** | Unconfirmed(local) |
/// | Unknown, the connection works ([shared](super::through)) | Healthy | Unconfirmed(aws) | Blind |
/// | Unknown | Blind | Unconfirmed(aws) | Blind |
pub const fn correlate(local: Verdict, aws: Verdict) -> Assessment {
    match (local, aws) {
        (Verdict::Up | Verdict::Unknown(Why::Shared), Verdict::Up) => Assessment::Healthy,
        (Verdict::Up, Verdict::Down) => Assessment::Disputed(End::Aws),
        (Verdict::Up, Verdict::Unknown(_)) => Assessment::Blind,
        (Verdict::Down, Verdict::Up) => Assessment::Disputed(End::Local),
        (Verdict::Down, Verdict::Down) => Assessment::Down,
        (Verdict::Down, Verdict::Unknown(_)) => Assessment::Unconfirmed(End::Local),
        (Verdict::Unknown(_), Verdict::Up) => Assessment::Blind,
        (Verdict::Unknown(_), Verdict::Down) => Assessment::Unconfirmed(End::Aws),
        (Verdict::Unknown(_), Verdict::Unknown(_)) => Assessment::Blind,
    }
}

/// The table of [`correlate`], with agreement as decided by [`judge`]: AWS's Down agrees with a local Down only if it is later
/// than the start of the local Down, or of the first of a series ([`downs`](super::downs)): an old AWS Down and a one-second
/// blip do not agree. Where BGP is down both ends agree although our echoes are answered.
pub const fn assess(local: Verdict, aws: Verdict, carrying: Carrying) -> Assessment {
    match (correlate(local, aws), carrying) {
        (_, Carrying::CannotTell(CannotTell::Unused)) => Assessment::Blind,
        (_, Carrying::NotCarrying(NotCarrying::BothEndsDown | NotCarrying::BgpDown)) => Assessment::Down,
        (Assessment::Down, Carrying::Carrying | Carrying::NotCarrying(_) | Carrying::CannotTell(_)) => {
            Assessment::Unconfirmed(End::Local)
        }
        (
            assessment @ (Assessment::Healthy
            | Assessment::Disputed(_)
            | Assessment::Unconfirmed(_)
            | Assessment::Blind),
            Carrying::Carrying | Carrying::NotCarrying(_) | Carrying::CannotTell(_),
        ) => assessment,
    }
}

#[cfg(test)]
mod tests;

//! Silences: planned times in which incidents are recorded and not sent.
//!
//! The core knows one window of each silence. One that comes back every week gets its next window from outside, where time
//! zones are known.

use std::fmt;
use std::sync::Arc;

use super::names::{TunnelId, VpnId};
use super::scope::ParentId;
use super::time::Stamp;

/// Which silence: a number that is not given twice while the store lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SilenceId(pub u32);

impl fmt::Display for SilenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A planned time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// Which.
    pub id: SilenceId,
    /// What it silences.
    pub of: SilenceScope,
    /// When it begins, or began.
    pub from: Stamp,
    /// When it ends: later than `from`, by at most 7 days.
    pub until: Stamp,
    /// Whether it comes back every week, and in which time zone (an IANA name) the hour stays the same.
    pub weekly: Option<Arc<str>>,
    /// Why, in the words of who added it.
    pub reason: Arc<str>,
    /// The numeric user id of who added it.
    pub by: u32,
    /// When it was added.
    pub added: Stamp,
}

/// What a silence silences.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SilenceScope {
    /// Everything that this daemon watches.
    Site,
    /// A group, or what goes over an uplink.
    Parent(ParentId),
    /// A connection.
    Connection(VpnId),
    /// A tunnel.
    Tunnel(TunnelId),
}

impl SilenceScope {
    /// The word for what it is, used in metrics, logs and `/status`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Parent(parent) => parent.kind.as_str(),
            Self::Connection(_) => "connection",
            Self::Tunnel(_) => "tunnel",
        }
    }
}

/// As it is stored: `site`, a parent, a connection's id, or that and the outside address of a tunnel.
impl fmt::Display for SilenceScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Site => f.write_str("site"),
            Self::Parent(parent) => parent.fmt(f),
            Self::Connection(vpn) => vpn.fmt(f),
            Self::Tunnel(tunnel) => tunnel.fmt(f),
        }
    }
}

impl Silence {
    /// Whether it silences at this time.
    pub fn is_active(&self, at: Stamp) -> bool {
        self.from <= at && at < self.until
    }
}

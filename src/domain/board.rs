//! The incidents that should be known, each with its whole story. Each sink's reconciler brings its records into line
//! with the Board, for as long as it takes.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::names::{End, Kind, Role, SinkId, TunnelId, VpnId};
use super::time::Stamp;
use super::verdict::{Assessment, Verdict, View};

/// A timeline keeps at most this many entries; repeats are folded, and then the oldest but the first is left out. An
/// Incident Manager record takes more, but nobody reads more.
pub const TIMELINE_MAX: usize = 200;

/// What should be known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Board {
    /// Incidents that are open, or over but not settled by every sink; in the order of their ids.
    pub incidents: Vec<Arc<Incident>>,
    /// Connections on which a tunnel is locally Down: a sink looks up their records beforehand, so that nothing but the
    /// start itself stands between agreement and page.
    pub prepare: BTreeSet<VpnId>,
}

/// An incident's identity: ours, not a sink's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncidentId {
    /// The connection.
    pub vpn: VpnId,
    /// The kind.
    pub kind: Kind,
    /// When it opened, on our wall clock; of one that was taken up, when its record was created, on the sink's clock.
    pub opened: Stamp,
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.vpn, self.kind.as_str(), self.opened.as_millis())
    }
}

/// What people must know.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// Its identity.
    pub id: IncidentId,
    /// The site's name.
    pub site: Arc<str>,
    /// The connection's name.
    pub vpn_name: Arc<str>,
    /// Where it stands.
    pub state: IncidentState,
    /// When the condition began to hold: the incident's true start. Of one that was taken up, when its record was created.
    pub began: Stamp,
    /// The sink at which its record was found open, as long as this site has not seen the condition hold for itself: until
    /// then no record of it is started anywhere.
    pub found_at: Option<SinkId>,
    /// The tunnels as they were when it opened, or was taken up, unused ones left out.
    pub tunnels: Vec<TunnelSnapshot>,
    /// What happened, oldest first, at most [`TIMELINE_MAX`] entries.
    pub timeline: Vec<TimelineEntry>,
    /// The incident of another kind on the same connection that this one follows.
    pub related: Option<IncidentId>,
    /// How often it has worsened: a further tunnel went Down, or the same again after it had been Healthy. A record
    /// that a person closed stays closed until this grows.
    pub worsened: u32,
    /// Grows with every change.
    pub revision: u64,
}

/// Where an incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncidentState {
    /// People should know of it.
    Open,
    /// Its closing condition has held long enough.
    Resolved {
        /// When.
        at: Stamp,
    },
    /// Nothing is known of it here any more, and its record is left open: its connection was removed from the configuration, or
    /// this host has ceased to hold the address that it votes for.
    Unwatched {
        /// When.
        at: Stamp,
    },
}

impl IncidentState {
    /// The word used in `/status` and the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Resolved { .. } => "resolved",
            Self::Unwatched { .. } => "unwatched",
        }
    }
}

/// A tunnel at the moment an incident opened.
#[derive(Debug, Clone, PartialEq)]
pub struct TunnelSnapshot {
    /// Its identity.
    pub id: TunnelId,
    /// Its name.
    pub name: Arc<str>,
    /// Its role.
    pub role: Role,
    /// Our view.
    pub local: View,
    /// AWS's view.
    pub aws: View,
    /// Both together.
    pub assessment: Assessment,
}

/// One line of an incident's story.
#[derive(Debug, Clone, PartialEq)]
pub struct TimelineEntry {
    /// Its place in the incident's whole story, counted from 0; it stays the same when older entries are left out.
    pub seq: u32,
    /// When, on our wall clock.
    pub at: Stamp,
    /// What.
    pub what: TimelineChange,
    /// How many further entries of the same wording were folded into this one.
    pub repeats: u32,
}

/// What a timeline tells.
#[derive(Debug, Clone, PartialEq)]
pub enum TimelineChange {
    /// The incident opened.
    Opened,
    /// Its record was found open, and nothing on the Board accounted for it: it is taken up.
    TakenUp {
        /// Where.
        sink: SinkId,
    },
    /// The condition of an incident that was taken up has held for as long as would have opened one.
    Witnessed,
    /// An end's verdict on a tunnel changed.
    View {
        /// The tunnel.
        tunnel: TunnelId,
        /// Its name.
        name: Arc<str>,
        /// Whose verdict.
        end: End,
        /// What it says since.
        verdict: Verdict,
        /// The time the evidence speaks of, if it is AWS's: on AWS's clock.
        as_of: Option<Stamp>,
    },
    /// The assessment of a tunnel changed.
    Assessment {
        /// The tunnel.
        tunnel: TunnelId,
        /// Its name.
        name: Arc<str>,
        /// What both ends say since.
        assessment: Assessment,
    },
    /// The closing condition began to hold.
    Clearing,
    /// The closing condition ceased to hold.
    Reopened,
    /// The closing condition held long enough.
    Resolved,
    /// The connection was removed from the configuration.
    Unwatched,
    /// This host has ceased to hold the address that it votes for: whoever holds it takes the record up.
    HandedOver,
}

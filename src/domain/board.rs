//! The incidents that should be known, each with its whole story. Each sink's reconciler brings its records into line
//! with the Board, for as long as it takes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::carrying::{Carrying, Traffic, traffic};
use super::names::{Destination, End, Kind, Role, SinkId, TunnelId, VpnId};
use super::plan::Plan;
use super::time::Stamp;
use super::verdict::{Assessment, Evidence, Verdict, View};

/// A timeline keeps at most this many entries; see [`Story::add`](super::story::Story::add). An Incident Manager record takes
/// more, but nobody reads more.
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

impl Board {
    /// Whether it says nothing else than another: what changes an incident gives it another revision.
    pub fn is_same(&self, other: &Self) -> bool {
        let same = |(a, b): (&Arc<Incident>, &Arc<Incident>)| a.id == b.id && a.revision == b.revision;
        self.prepare == other.prepare
            && self.incidents.len() == other.incidents.len()
            && self.incidents.iter().zip(&other.incidents).all(same)
    }
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

impl Incident {
    /// Whether traffic gets through the connection, as the incident leaves it.
    pub fn traffic(&self) -> Traffic {
        let said_last = |tunnel: &TunnelSnapshot| {
            self.timeline.iter().rev().find_map(|entry| match &entry.what {
                TimelineChange::Assessment { tunnel: of, carrying, .. } if *of == tunnel.id => {
                    Some(*carrying)
                }
                TimelineChange::Assessment { .. }
                | TimelineChange::Opened
                | TimelineChange::Adopted { .. }
                | TimelineChange::Confirmed
                | TimelineChange::View { .. }
                | TimelineChange::Clearing
                | TimelineChange::Reopened
                | TimelineChange::Resolved
                | TimelineChange::Unwatched
                | TimelineChange::HandedOver
                | TimelineChange::Missed => None,
            })
        };
        traffic(self.tunnels.iter().map(|tunnel| said_last(tunnel).unwrap_or(tunnel.carrying)))
    }

    /// Whether a tunnel's view or assessment is what it says of the tunnel already, at its opening or since.
    pub fn says_already(&self, what: &TimelineChange) -> bool {
        let tunnel = match what {
            TimelineChange::View { tunnel, .. } | TimelineChange::Assessment { tunnel, .. } => tunnel,
            TimelineChange::Opened
            | TimelineChange::Adopted { .. }
            | TimelineChange::Confirmed
            | TimelineChange::Clearing
            | TimelineChange::Reopened
            | TimelineChange::Resolved
            | TimelineChange::Unwatched
            | TimelineChange::HandedOver
            | TimelineChange::Missed => return false,
        };
        let said = self.timeline.iter().rev().find(|entry| what.supersedes(&entry.what));
        match said {
            Some(said) => said.what.says_the_same(what),
            None => self
                .tunnels
                .iter()
                .filter(|opened| opened.id == *tunnel)
                .any(|opened| opened.changes().iter().any(|said| said.says_the_same(what))),
        }
    }

    /// Whether something of its timeline was left out because it was said again later.
    pub fn is_thinned(&self) -> bool {
        self.timeline.iter().any(|entry| entry.repeats > 0)
    }

    /// The sink where its record was found open, if that is how it began here.
    pub fn adopted_from(&self) -> Option<&SinkId> {
        match &self.timeline.first()?.what {
            TimelineChange::Adopted { sink } => Some(sink),
            TimelineChange::Opened
            | TimelineChange::Confirmed
            | TimelineChange::View { .. }
            | TimelineChange::Assessment { .. }
            | TimelineChange::Clearing
            | TimelineChange::Reopened
            | TimelineChange::Resolved
            | TimelineChange::Unwatched
            | TimelineChange::HandedOver
            | TimelineChange::Missed => None,
        }
    }
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
    /// Whether it carried traffic.
    pub carrying: Carrying,
}

impl TunnelSnapshot {
    /// What a story says of it: our view, AWS's view, and both together.
    pub fn changes(&self) -> [TimelineChange; 3] {
        let view = |end, view: &View| TimelineChange::View {
            tunnel: self.id.clone(),
            name: Arc::clone(&self.name),
            end,
            verdict: view.verdict,
            as_of: match &view.evidence {
                Evidence::Local(_) => None,
                Evidence::Aws(evidence) => evidence.as_of,
            },
        };
        let assessed = TimelineChange::Assessment {
            tunnel: self.id.clone(),
            name: Arc::clone(&self.name),
            assessment: self.assessment,
            carrying: self.carrying,
        };
        [view(End::Local, &self.local), view(End::Aws, &self.aws), assessed]
    }
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
    /// How many other entries that told the same were left out in favour of this one.
    pub repeats: u32,
}

/// What a timeline tells.
#[derive(Debug, Clone, PartialEq)]
pub enum TimelineChange {
    /// The incident opened.
    Opened,
    /// Its record was found open, and nothing on the Board accounted for it: it is taken up.
    Adopted {
        /// Where.
        sink: SinkId,
    },
    /// The condition of an incident that was taken up has held for as long as would have opened one.
    Confirmed,
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
    /// The assessment of a tunnel changed, or whether it carries traffic.
    Assessment {
        /// The tunnel.
        tunnel: TunnelId,
        /// Its name.
        name: Arc<str>,
        /// What both ends say since.
        assessment: Assessment,
        /// Whether it carries traffic since.
        carrying: Carrying,
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
    /// It became known only after the incident was over: nobody was told.
    Missed,
}

impl TimelineChange {
    /// Whether two entries tell the same, whatever the time of the evidence.
    pub fn says_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::View { tunnel: t1, end: e1, verdict: v1, .. },
                Self::View { tunnel: t2, end: e2, verdict: v2, .. },
            ) => (t1, e1, v1) == (t2, e2, v2),
            (Self::View { .. }, _) | (_, Self::View { .. }) => false,
            (a, b) => a == b,
        }
    }

    /// Whether this, said later, leaves nothing of the other that still holds.
    pub fn supersedes(&self, earlier: &Self) -> bool {
        match (self, earlier) {
            (Self::View { tunnel: t1, end: e1, .. }, Self::View { tunnel: t2, end: e2, .. }) => {
                (t1, e1) == (t2, e2)
            }
            (Self::Assessment { tunnel: t1, .. }, Self::Assessment { tunnel: t2, .. }) => t1 == t2,
            (later, earlier) => later == earlier,
        }
    }
}

/// The incidents that are over, until every sink has settled them.
#[derive(Debug, Default)]
pub struct Over {
    waiting: BTreeMap<IncidentId, (Arc<Incident>, BTreeSet<Destination>)>,
}

impl Over {
    /// An incident is over: the sinks that take it are waited for.
    pub fn put(&mut self, incident: Arc<Incident>, plan: &Plan) {
        let sinks = sinks_of(&incident.id, plan);
        self.waiting.insert(incident.id.clone(), (incident, sinks));
    }

    /// Every one of them.
    pub fn incidents(&self) -> impl Iterator<Item = &Arc<Incident>> {
        self.waiting.values().map(|(incident, _)| incident)
    }

    /// Whether there is one of this kind on this connection.
    pub fn has(&self, vpn: &VpnId, kind: Kind) -> bool {
        self.waiting.keys().any(|id| id.vpn == *vpn && id.kind == kind)
    }

    /// A sink has taken in this revision of an incident.
    pub fn settled(&mut self, sink: &Destination, incident: &IncidentId, revision: u64) {
        if let Some((over, sinks)) = self.waiting.get_mut(incident)
            && over.revision == revision
        {
            sinks.remove(sink);
        }
    }

    /// A sink that was removed from the configuration is not waited for.
    pub fn recount(&mut self, plan: &Plan) {
        for (id, (_, sinks)) in &mut self.waiting {
            let wanted = sinks_of(id, plan);
            sinks.retain(|sink| wanted.contains(sink));
        }
    }

    /// Whether some sink is waited for, of each of them.
    pub fn is_unsettled(&self) -> bool {
        self.waiting.values().all(|(_, sinks)| !sinks.is_empty())
    }

    /// Takes out those that no sink is waited for.
    pub fn take_settled(&mut self) -> Vec<Arc<Incident>> {
        self.waiting
            .extract_if(.., |_, (_, sinks)| sinks.is_empty())
            .map(|(_, (incident, _))| incident)
            .collect()
    }
}

fn sinks_of(incident: &IncidentId, plan: &Plan) -> BTreeSet<Destination> {
    let takes = plan.sinks.iter().filter(|sink| sink.takes(&incident.vpn, incident.kind));
    takes.map(|sink| sink.destination.clone()).collect()
}

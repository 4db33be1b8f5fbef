//! The incidents that sinks must show, each with its timeline. The reconciler of each sink brings its records into line with
//! the Board, however long that takes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::carrying::{Carrying, Traffic, traffic};
use super::cause::{Cause, Diagnosis};
use super::names::{Destination, End, Kind, Role, SinkId, TunnelId, VpnId};
use super::plan::Plan;
use super::quality::Quality;
use super::scope::{ParentId, Scope};
use super::silence::SilenceId;
use super::time::{Now, Stamp};
use super::verdict::{Assessment, Evidence, Verdict, View};

/// A timeline keeps at most this many entries; see [`Story::add`](super::story::Story::add). An Incident Manager record takes
/// more, but nobody reads more.
pub const TIMELINE_MAX: usize = 200;

/// The incidents that sinks must show, and where one may come next.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Board {
    /// Incidents that are open, or over but not settled by every sink; in the order of their ids.
    pub incidents: Vec<Arc<Incident>>,
    /// What may have an incident soon: connections with a tunnel that is locally Down. Sinks look up their records in advance, so that only the start itself
    /// stands between agreement and page.
    pub prepare: BTreeSet<Scope>,
}

impl Board {
    /// Whether both hold the same. Every change of an incident gives it a new revision.
    pub fn is_same(&self, other: &Self) -> bool {
        let same = |(a, b): (&Arc<Incident>, &Arc<Incident>)| a.id == b.id && a.revision == b.revision;
        self.prepare == other.prepare
            && self.incidents.len() == other.incidents.len()
            && self.incidents.iter().zip(&other.incidents).all(same)
    }
}

/// The identity of an incident. It is ours, not the sink's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncidentId {
    /// What it is about.
    pub scope: Scope,
    /// The kind.
    pub kind: Kind,
    /// When it opened, on our wall clock. For an adopted incident: when its record was created, on the sink's clock.
    pub opened: Stamp,
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.scope, self.kind.as_str(), self.opened.as_millis())
    }
}

/// One incident, with everything that sinks show.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// Its identity.
    pub id: IncidentId,
    /// The site's name.
    pub site: Arc<str>,
    /// The name of what it is about.
    pub name: Arc<str>,
    /// Its state.
    pub state: IncidentState,
    /// When the condition began to hold: the true start. For an adopted incident: when its record was created.
    pub began: Stamp,
    /// The sink at which its record was found open. It is set until this site has seen the condition hold itself; until then no
    /// other record of it is started.
    pub found_at: Option<SinkId>,
    /// Why no record of it is created for now; what has a record keeps it.
    pub withheld: Option<Withheld>,
    /// The connections of a parent as they stand, in the order of their ids.
    pub children: Vec<Child>,
    /// The tunnels of a connection at the time when it opened or was adopted, without unused ones.
    pub tunnels: Vec<TunnelSnapshot>,
    /// What happened, oldest first, at most [`TIMELINE_MAX`] entries.
    pub timeline: Vec<TimelineEntry>,
    /// The incident of another kind on the same connection that this one follows.
    pub related: Option<IncidentId>,
    /// How often it has worsened: a further tunnel went Down, or the same one again after it had been Healthy. A record that a
    /// person closed stays closed until this number grows.
    pub worsened: u32,
    /// Grows with every change.
    pub revision: u64,
}

impl Incident {
    /// Whether it is going on.
    pub const fn is_open(&self) -> bool {
        match self.state {
            IncidentState::Open => true,
            IncidentState::Resolved { .. } | IncidentState::Unwatched { .. } => false,
        }
    }

    /// Whether traffic gets through the connection, by the latest entries of the incident.
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
                | TimelineChange::Cause { .. }
                | TimelineChange::Quality { .. }
                | TimelineChange::Children { .. }
                | TimelineChange::Withheld { .. }
                | TimelineChange::Released
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

    /// Whether the incident already shows this view or assessment of the tunnel, from its opening or a later entry.
    pub fn says_already(&self, what: &TimelineChange) -> bool {
        let tunnel = match what {
            TimelineChange::View { tunnel, .. }
            | TimelineChange::Assessment { tunnel, .. }
            | TimelineChange::Cause { tunnel, .. }
            | TimelineChange::Quality { tunnel, .. } => tunnel,
            TimelineChange::Opened
            | TimelineChange::Adopted { .. }
            | TimelineChange::Confirmed
            | TimelineChange::Children { .. }
            | TimelineChange::Withheld { .. }
            | TimelineChange::Released
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
                .any(|opened| opened.changes().any(|said| said.says_the_same(what))),
        }
    }

    /// Whether entries were left out because a later one repeats them.
    pub fn is_thinned(&self) -> bool {
        self.timeline.iter().any(|entry| entry.repeats > 0)
    }

    /// The sink at which its record was found open, if this site adopted it.
    pub fn adopted_from(&self) -> Option<&SinkId> {
        match &self.timeline.first()?.what {
            TimelineChange::Adopted { sink } => Some(sink),
            TimelineChange::Opened
            | TimelineChange::Confirmed
            | TimelineChange::View { .. }
            | TimelineChange::Assessment { .. }
            | TimelineChange::Cause { .. }
            | TimelineChange::Quality { .. }
            | TimelineChange::Children { .. }
            | TimelineChange::Withheld { .. }
            | TimelineChange::Released
            | TimelineChange::Clearing
            | TimelineChange::Reopened
            | TimelineChange::Resolved
            | TimelineChange::Unwatched
            | TimelineChange::HandedOver
            | TimelineChange::Missed => None,
        }
    }
}

/// Why an incident has no record at any sink, although it is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Withheld {
    /// An open incident of this parent explains it. A sink that does not take the parent's gets this one.
    Explained(ParentId),
    /// It is silenced.
    Silenced(SilenceId),
}

/// A connection of a parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// Which.
    pub vpn: VpnId,
    /// Its name.
    pub name: Arc<str>,
    /// What is wrong with it; `None` where the parent's trouble does not show.
    pub trouble: Option<Trouble>,
}

/// What is wrong with a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The worst kind of its open incidents; `None` where none is open yet.
    pub kind: Option<Kind>,
    /// Since when.
    pub since: Stamp,
    /// Why, as far as it is known: the cause of one of its tunnels.
    pub cause: Option<Cause>,
}

/// The state of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncidentState {
    /// It is going on.
    Open,
    /// Its closing condition has held long enough.
    Resolved {
        /// When.
        at: Stamp,
    },
    /// It is no longer watched here, and its record stays open: its connection was removed from the configuration, or this host
    /// no longer holds the address that it votes for.
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
    /// Why it did not work, or not well, as far as that was known.
    pub diagnosis: Option<Diagnosis>,
    /// How good it was.
    pub quality: Quality,
    /// Since when; `None` in what older releases stored.
    pub quality_since: Option<Now>,
}

impl TunnelSnapshot {
    /// The entries that a timeline would have for this state: our view, AWS's view, the assessment, the quality, and the cause.
    pub fn changes(&self) -> impl Iterator<Item = TimelineChange> {
        let cause = self.diagnosis.as_ref().map(|diagnosis| self.cause(diagnosis));
        self.judgements().into_iter().chain(cause)
    }

    /// The entry of a cause.
    pub fn cause(&self, diagnosis: &Diagnosis) -> TimelineChange {
        TimelineChange::Cause {
            tunnel: self.id.clone(),
            name: Arc::clone(&self.name),
            diagnosis: diagnosis.clone(),
        }
    }

    /// The entries of our view, AWS's view, the assessment, and the quality.
    pub fn judgements(&self) -> [TimelineChange; 4] {
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
        let (tunnel, name, quality) = (self.id.clone(), Arc::clone(&self.name), self.quality);
        let quality = TimelineChange::Quality { tunnel, name, quality };
        [view(End::Local, &self.local), view(End::Aws, &self.aws), assessed, quality]
    }
}

/// One entry of the timeline.
#[derive(Debug, Clone, PartialEq)]
pub struct TimelineEntry {
    /// Its place in the whole timeline, counted from 0. It does not change when older entries are left out.
    pub seq: u32,
    /// When, on our wall clock.
    pub at: Stamp,
    /// What changed.
    pub what: TimelineChange,
    /// How many equal entries were left out in favour of this one.
    pub repeats: u32,
}

/// What a timeline entry reports.
#[derive(Debug, Clone, PartialEq)]
pub enum TimelineChange {
    /// The incident opened.
    Opened,
    /// Its record was found open with no incident on the Board for it: this site adopts it.
    Adopted {
        /// The sink with the record.
        sink: SinkId,
    },
    /// This site has seen the condition of an adopted incident hold for as long as it takes to open one.
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
        /// The time of AWS's evidence, on AWS's clock.
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
    /// The named cause of a tunnel's trouble changed.
    Cause {
        /// The tunnel.
        tunnel: TunnelId,
        /// Its name.
        name: Arc<str>,
        /// The cause since.
        diagnosis: Diagnosis,
    },
    /// The quality of a tunnel changed; only incidents that are about it have such entries.
    Quality {
        /// The tunnel.
        tunnel: TunnelId,
        /// Its name.
        name: Arc<str>,
        /// Its quality since.
        quality: Quality,
    },
    /// Connections of a parent went down or came back, within a few seconds of each other.
    Children {
        /// The names of those that went down, the first of them.
        down: Vec<Arc<str>>,
        /// The names of those that came back, the first of them.
        back: Vec<Arc<str>>,
        /// How many have trouble since …
        troubled: u32,
        /// … of how many.
        of: u32,
    },
    /// No record is created for now.
    Withheld {
        /// Why.
        by: Withheld,
    },
    /// What withheld it is over, and it is not: its record is created now.
    Released,
    /// The closing condition began to hold.
    Clearing,
    /// The closing condition ceased to hold.
    Reopened,
    /// The closing condition held long enough.
    Resolved,
    /// The connection was removed from the configuration.
    Unwatched,
    /// This host no longer holds the address that it votes for: the host that holds it adopts the record.
    HandedOver,
    /// It became known only after it was over, so no record was opened in time.
    Missed,
}

impl TimelineChange {
    /// Whether two entries report the same, whatever the time of their evidence.
    pub fn says_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::View { tunnel: t1, end: e1, verdict: v1, .. },
                Self::View { tunnel: t2, end: e2, verdict: v2, .. },
            ) => (t1, e1, v1) == (t2, e2, v2),
            (
                Self::Cause { tunnel: t1, diagnosis: d1, .. },
                Self::Cause { tunnel: t2, diagnosis: d2, .. },
            ) => t1 == t2 && d1.says_the_same(d2),
            (
                Self::Quality { tunnel: t1, quality: q1, .. },
                Self::Quality { tunnel: t2, quality: q2, .. },
            ) => t1 == t2 && q1.same_word(*q2),
            (Self::View { .. } | Self::Cause { .. }, _) | (_, Self::View { .. } | Self::Cause { .. }) => {
                false
            }
            (a, b) => a == b,
        }
    }

    /// Whether this entry, coming later, leaves nothing of the earlier one that still holds.
    pub fn supersedes(&self, earlier: &Self) -> bool {
        match (self, earlier) {
            (Self::View { tunnel: t1, end: e1, .. }, Self::View { tunnel: t2, end: e2, .. }) => {
                (t1, e1) == (t2, e2)
            }
            (Self::Assessment { tunnel: t1, .. }, Self::Assessment { tunnel: t2, .. })
            | (Self::Cause { tunnel: t1, .. }, Self::Cause { tunnel: t2, .. })
            | (Self::Quality { tunnel: t1, .. }, Self::Quality { tunnel: t2, .. }) => t1 == t2,
            (Self::Withheld { .. }, Self::Withheld { .. }) => true,
            (later, earlier) => later == earlier,
        }
    }
}

/// Incidents that are over and that some sink has not settled yet.
#[derive(Debug, Default)]
pub struct Over {
    waiting: BTreeMap<IncidentId, (Arc<Incident>, BTreeSet<Destination>)>,
}

impl Over {
    /// An incident is over: it stays until every sink that takes it has settled it.
    pub fn put(&mut self, incident: Arc<Incident>, plan: &Plan) {
        let sinks = sinks_of(&incident.id, plan);
        self.waiting.insert(incident.id.clone(), (incident, sinks));
    }

    /// Every one of them.
    pub fn incidents(&self) -> impl Iterator<Item = &Arc<Incident>> {
        self.waiting.values().map(|(incident, _)| incident)
    }

    /// Whether there is one of this kind and scope.
    pub fn has(&self, scope: &Scope, kind: Kind) -> bool {
        self.waiting.keys().any(|id| id.scope == *scope && id.kind == kind)
    }

    /// A sink has settled this revision of an incident.
    pub fn settled(&mut self, sink: &Destination, incident: &IncidentId, revision: u64) {
        if let Some((over, sinks)) = self.waiting.get_mut(incident)
            && over.revision == revision
        {
            sinks.remove(sink);
        }
    }

    /// Sinks that are no longer in the configuration are not waited for.
    pub fn recount(&mut self, plan: &Plan) {
        for (id, (_, sinks)) in &mut self.waiting {
            let wanted = sinks_of(id, plan);
            sinks.retain(|sink| wanted.contains(sink));
        }
    }

    /// Whether every incident still waits for a sink.
    pub fn is_unsettled(&self) -> bool {
        self.waiting.values().all(|(_, sinks)| !sinks.is_empty())
    }

    /// Removes and returns the incidents that no sink has to settle any more.
    pub fn take_settled(&mut self) -> Vec<Arc<Incident>> {
        self.waiting
            .extract_if(.., |_, (_, sinks)| sinks.is_empty())
            .map(|(_, (incident, _))| incident)
            .collect()
    }
}

fn sinks_of(incident: &IncidentId, plan: &Plan) -> BTreeSet<Destination> {
    let takes = plan.sinks.iter().filter(|sink| sink.takes(&incident.scope, incident.kind));
    takes.map(|sink| sink.destination.clone()).collect()
}

//! An incident as it is remembered: what a report says of it, without the evidence that a sink gets.

use std::sync::Arc;

use super::said::Said;
use crate::domain::board::{
    Incident, IncidentId, IncidentState, TimelineChange, TimelineEntry, TunnelSnapshot, Withheld,
};
use crate::domain::carrying::Carrying;
use crate::domain::cause::{Cause, Confidence};
use crate::domain::names::{End, Role, SinkId, TunnelId};
use crate::domain::time::Stamp;
use crate::domain::verdict::{Assessment, Evidence, Verdict};

/// One incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recalled {
    /// Its identity, with what it is about, its kind, and when it opened.
    pub id: IncidentId,
    /// The name of what it is about.
    pub name: Arc<str>,
    /// Open, or over since when.
    pub state: IncidentState,
    /// When the condition began to hold: the true start.
    pub began: Stamp,
    /// The sink at which its record was found open, until this site has seen the condition hold itself.
    pub found_at: Option<SinkId>,
    /// Why no record of it is created for now, or never was.
    pub withheld: Option<Withheld>,
    /// The incident of another kind that it follows.
    pub related: Option<IncidentId>,
    /// How often it has worsened.
    pub worsened: u32,
    /// The tunnels of a connection when it opened, without unused ones.
    pub tunnels: Vec<TunnelThen>,
    /// What happened, oldest first.
    pub timeline: Vec<Happened>,
}

/// A tunnel when an incident opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TunnelThen {
    /// Which.
    pub id: TunnelId,
    /// Its name.
    pub name: Arc<str>,
    /// Its role.
    pub role: Role,
    /// What our end said, and since when.
    pub local: (Said, Stamp),
    /// What AWS said, and since when we knew.
    pub aws: (Said, Stamp),
    /// When AWS's own state changed, by AWS's clock, where AWS says so.
    pub aws_changed: Option<Stamp>,
    /// Both together.
    pub assessment: Assessment,
    /// Why it did not work, as far as that was known by then.
    pub cause: Option<Cause>,
}

/// One entry of a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// Its place in the whole timeline, counted from 0.
    pub seq: u32,
    /// When.
    pub at: Stamp,
    /// What.
    pub what: What,
    /// How many equal entries were left out in favour of this one.
    pub repeats: u32,
}

/// What a timeline entry reports. Tunnels come with their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// It opened.
    Opened,
    /// Its record was found open, and this site adopted it.
    Adopted {
        /// Where.
        sink: SinkId,
    },
    /// This site has seen the condition hold itself.
    Confirmed,
    /// An end says something else.
    Verdict {
        /// Of which tunnel.
        tunnel: (TunnelId, Arc<str>),
        /// Which end.
        end: End,
        /// What it says since.
        to: Said,
        /// Why that is unknown, in a word of `/status`.
        why: Option<Arc<str>>,
        /// The time of AWS's evidence, on AWS's clock.
        as_of: Option<Stamp>,
    },
    /// Both ends together say something else, or it carries traffic no longer or again.
    Assessment {
        /// Of which tunnel.
        tunnel: (TunnelId, Arc<str>),
        /// What they say since.
        to: Assessment,
        /// Whether it carries traffic since.
        carrying: Carries,
    },
    /// Another cause is named.
    Cause {
        /// For which tunnel.
        tunnel: (TunnelId, Arc<str>),
        /// The cause since.
        to: Cause,
        /// How far its evidence goes.
        confidence: Confidence,
    },
    /// The quality changed.
    Quality {
        /// Of which tunnel.
        tunnel: (TunnelId, Arc<str>),
        /// `good`, `degraded` or `unknown`, since.
        to: Arc<str>,
    },
    /// Connections of a parent went down or came back.
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
    /// What withheld its record is over: it is created now.
    Released,
    /// The closing condition began to hold.
    Clearing,
    /// It ceased to hold.
    Reopened,
    /// It held long enough.
    Resolved,
    /// It is no longer in the configuration.
    Unwatched,
    /// Another host votes from here on.
    HandedOver,
    /// It was over when it became known.
    Missed,
}

/// Whether a tunnel carries traffic, without the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Carries {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// The evidence does not say.
    CannotTell,
}

impl Carries {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Yes, Self::No, Self::CannotTell];

    /// The word used in `/history`, as in `/status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "carrying",
            Self::No => "not_carrying",
            Self::CannotTell => "cannot_tell",
        }
    }
}

impl From<Carrying> for Carries {
    fn from(carrying: Carrying) -> Self {
        match carrying {
            Carrying::Carrying => Self::Yes,
            Carrying::NotCarrying(_) => Self::No,
            Carrying::CannotTell(_) => Self::CannotTell,
        }
    }
}

impl Recalled {
    /// What is remembered of an incident.
    pub fn of(incident: &Incident) -> Self {
        let Incident {
            id,
            site: _,
            name,
            state,
            began,
            found_at,
            withheld,
            children: _,
            tunnels,
            timeline,
            related,
            worsened,
            revision: _,
        } = incident;
        Self {
            id: id.clone(),
            name: Arc::clone(name),
            state: *state,
            began: *began,
            found_at: found_at.clone(),
            withheld: withheld.clone(),
            related: related.clone(),
            worsened: *worsened,
            tunnels: tunnels.iter().map(TunnelThen::of).collect(),
            timeline: timeline.iter().map(Happened::of).collect(),
        }
    }

    /// When it was over; `None` while it is open.
    pub const fn ended(&self) -> Option<Stamp> {
        match self.state {
            IncidentState::Open => None,
            IncidentState::Resolved { at } | IncidentState::Unwatched { at } => Some(at),
        }
    }
}

impl TunnelThen {
    fn of(tunnel: &TunnelSnapshot) -> Self {
        let TunnelSnapshot {
            id,
            name,
            role,
            local,
            aws,
            assessment,
            carrying: _,
            diagnosis,
            quality: _,
            quality_since: _,
        } = tunnel;
        let aws_changed = match &aws.evidence {
            Evidence::Aws(evidence) => evidence.changed,
            Evidence::Local(_) => None,
        };
        Self {
            id: id.clone(),
            name: Arc::clone(name),
            role: *role,
            local: (local.verdict.into(), local.since.wall),
            aws: (aws.verdict.into(), aws.since.wall),
            aws_changed,
            assessment: *assessment,
            cause: diagnosis.as_ref().map(|diagnosis| diagnosis.cause),
        }
    }
}

impl Happened {
    fn of(entry: &TimelineEntry) -> Self {
        let TimelineEntry { seq, at, what, repeats } = entry;
        Self { seq: *seq, at: *at, what: What::of(what), repeats: *repeats }
    }
}

impl What {
    fn of(change: &TimelineChange) -> Self {
        let named = |tunnel: &TunnelId, name: &Arc<str>| (tunnel.clone(), Arc::clone(name));
        match change {
            TimelineChange::Opened => Self::Opened,
            TimelineChange::Adopted { sink } => Self::Adopted { sink: sink.clone() },
            TimelineChange::Confirmed => Self::Confirmed,
            TimelineChange::View { tunnel, name, end, verdict, as_of } => {
                let why = match verdict {
                    Verdict::Up | Verdict::Down => None,
                    Verdict::Unknown(why) => Some(why.as_str().into()),
                };
                let to = (*verdict).into();
                Self::Verdict { tunnel: named(tunnel, name), end: *end, to, why, as_of: *as_of }
            }
            TimelineChange::Assessment { tunnel, name, assessment, carrying } => Self::Assessment {
                tunnel: named(tunnel, name),
                to: *assessment,
                carrying: (*carrying).into(),
            },
            TimelineChange::Cause { tunnel, name, diagnosis } => Self::Cause {
                tunnel: named(tunnel, name),
                to: diagnosis.cause,
                confidence: diagnosis.confidence,
            },
            TimelineChange::Quality { tunnel, name, quality } => {
                Self::Quality { tunnel: named(tunnel, name), to: quality.as_str().into() }
            }
            TimelineChange::Children { down, back, troubled, of } => {
                Self::Children { down: down.clone(), back: back.clone(), troubled: *troubled, of: *of }
            }
            TimelineChange::Withheld { by } => Self::Withheld { by: by.clone() },
            TimelineChange::Released => Self::Released,
            TimelineChange::Clearing => Self::Clearing,
            TimelineChange::Reopened => Self::Reopened,
            TimelineChange::Resolved => Self::Resolved,
            TimelineChange::Unwatched => Self::Unwatched,
            TimelineChange::HandedOver => Self::HandedOver,
            TimelineChange::Missed => Self::Missed,
        }
    }
}

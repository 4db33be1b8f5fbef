//! What the store remembers of the past, for reports and the status page.
//!
//! An entry says what changed and what was so before. The state at the beginning of a period is what the first entry in it changed
//! *from*; where nothing changed in it, what the newest one before it changed *to*, or what is so now. So each part of the past begins
//! with the newest change before it of each tunnel and kind. Where one entry's `from` is not the `to` of the one before, something was
//! not recorded, and nobody knows what was so in between.
//!
//! A run of the daemon begins with everything unknown, blind, without a cause and not silenced, and its first changes are
//! from there. So the first change of a run says nothing of the time before it, which lies outside every [`Period`] of watching; a
//! silence that was in force all along is a change of each run.

mod present;
mod recalled;
mod said;
mod spans;
mod state;

use std::sync::Arc;
use std::time::Duration;

use crate::domain::board::IncidentId;
use crate::domain::cause::Cause;
use crate::domain::names::{End, SinkId, TunnelId};
use crate::domain::silence::SilenceId;
use crate::domain::time::Stamp;
use crate::domain::verdict::Assessment;

pub use self::present::{Present, TunnelNow};
pub use self::recalled::{Carries, Happened, Recalled, TunnelThen, What};
pub use self::said::Said;
pub use self::spans::{Span, Spans};
pub use self::state::State;

/// Which part of the past is wanted: from a time until now, or until a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Its beginning. A period or an incident that has begun before and ended after it is part of it, and so is the minute in which
    /// it lies.
    pub since: Stamp,
    /// Its end, if that is not now: when the present was taken that is shown with it.
    pub until: Option<Stamp>,
    /// Whether the minutes of probes are wanted, of the last seven days.
    pub minutes: bool,
}

/// One thing that is remembered.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// The daemon watched. What is in no such period was not observed.
    Watched(Watch),
    /// Something about a tunnel changed.
    Change {
        /// When.
        at: Stamp,
        /// Which tunnel.
        tunnel: TunnelId,
        /// What.
        change: Change,
    },
    /// An incident that was open at any time of the period.
    Incident(Arc<Recalled>),
    /// A record of an incident was created, or its first message accepted: somebody has been paged.
    Paged {
        /// Which incident.
        incident: IncidentId,
        /// Where.
        sink: SinkId,
        /// When.
        at: Stamp,
    },
    /// A minute of probes.
    Minute(Minute),
}

/// From a time until, and not including, another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period {
    /// Its first moment.
    pub from: Stamp,
    /// The first moment after it.
    pub until: Stamp,
}

/// A time in which the daemon watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Watch {
    /// When.
    pub period: Period,
    /// Since when every change is recorded: the beginning of the run, or the end of a time of which something was lost. Never later
    /// than the period; earlier where the host slept, or older changes were removed. So what was so then goes on. `None`: not known.
    pub recorded_since: Option<Stamp>,
}

impl From<Period> for Watch {
    fn from(period: Period) -> Self {
        Self { period, recorded_since: None }
    }
}

/// A change of one tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// What an end says.
    Verdict {
        /// Which end.
        end: End,
        /// What it said before.
        from: Said,
        /// What it says since.
        to: Said,
    },
    /// What both ends say together.
    Assessment {
        /// Before.
        from: Assessment,
        /// Since.
        to: Assessment,
    },
    /// The named cause of its trouble; `None` where nothing is wrong.
    Cause {
        /// Before.
        from: Option<Cause>,
        /// Since.
        to: Option<Cause>,
    },
    /// Which silence covers it; `None` where none does.
    Silenced {
        /// Before.
        from: Option<SilenceId>,
        /// Since.
        to: Option<SilenceId>,
    },
    /// It left the configuration or came out of use, or is watched afresh: over another route, or because it came into use.
    Left {
        /// What was so until then.
        was: State,
        /// Whether it is watched from here on, as at the start of a run. Otherwise it is not watched.
        afresh: bool,
    },
}

/// The probes of one tunnel that were sent in one minute. A minute that a restart cut comes in two parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minute {
    /// The start of the minute.
    pub at: Stamp,
    /// Which tunnel.
    pub tunnel: TunnelId,
    /// Those that were answered, late ones included.
    pub answered: u32,
    /// Those that were not.
    pub lost: u32,
    /// The median round trip; `None` if nothing was answered.
    pub median_rtt: Option<Duration>,
}

//! What happened, in sink-neutral statements: journal, Prometheus and the store all read facts. And what a step of the core
//! brings about, facts and requests, collected for the driver to poll.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::board::Incident;
use super::cause::{Cause, Diagnosis};
use super::event::SeenUp;
use super::maintenance::MaintenanceState;
use super::names::{CheckId, End, Kind, SourceId, TunnelId, VpnId};
use super::quality::Quality;
use super::request::{ClientId, EchoId, Request};
use super::rollup::Rollup;
use super::scope::{ParentId, ParentState, Scope};
use super::side::Side;
use super::silence::SilenceId;
use super::time::{Moment, Now, Stamp};
use super::verdict::{Assessment, Outcome, Verdict, View};

/// One statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// An echo ended. Not a transition: it is counted, never logged.
    EchoEnded {
        /// The check it belongs to.
        check: CheckId,
        /// Its outcome.
        outcome: Outcome,
    },
    /// Ticks of a check were left out, because the host slept, the process was stopped, or 64 echoes were in flight already.
    TicksSkipped {
        /// The check.
        check: CheckId,
        /// How many.
        count: u64,
    },
    /// A check began or ceased to be suspect.
    Suspicion {
        /// The check.
        check: CheckId,
        /// Whether it is suspect.
        suspect: bool,
        /// When.
        at: Now,
    },
    /// An end's verdict on a tunnel changed.
    ViewChanged {
        /// The tunnel.
        tunnel: TunnelId,
        /// Whose verdict.
        end: End,
        /// The verdict before.
        from: Verdict,
        /// The view since.
        view: View,
        /// When.
        at: Now,
    },
    /// The assessment of a tunnel changed.
    AssessmentChanged {
        /// The tunnel.
        tunnel: TunnelId,
        /// The assessment before.
        from: Assessment,
        /// The assessment since.
        to: Assessment,
        /// Our view.
        local: View,
        /// AWS's view.
        aws: View,
        /// The side on which the fault likely is, as far as that was known by then.
        side: Side,
        /// When.
        at: Now,
    },
    /// The named cause of a tunnel's trouble changed, or its confidence.
    CauseChanged {
        /// The tunnel.
        tunnel: TunnelId,
        /// The cause before; `None` where nothing was wrong.
        from: Option<Diagnosis>,
        /// The cause since; `None` where nothing is wrong any more.
        to: Option<Diagnosis>,
        /// When.
        at: Now,
    },
    /// The quality of a tunnel changed, apart from its numbers.
    QualityChanged {
        /// The tunnel.
        tunnel: TunnelId,
        /// The quality before.
        from: Quality,
        /// The quality since.
        to: Quality,
        /// When.
        at: Now,
    },
    /// Another silence covers a tunnel, or none does any more.
    SilencedChanged {
        /// The tunnel.
        tunnel: TunnelId,
        /// The silence before; `None` at the start of a run, whether one was in force or not.
        from: Option<SilenceId>,
        /// The silence since.
        to: Option<SilenceId>,
        /// When.
        at: Now,
    },
    /// A tunnel left the configuration, came out of use, or is watched afresh, because its route changed or it came into use: what
    /// was so of it is so no longer.
    TunnelLeft {
        /// The tunnel.
        tunnel: TunnelId,
        /// What was so until then.
        was: TunnelWas,
        /// Whether it is watched afresh from here on: then its first changes are from how a tunnel begins, as at the start of a run.
        afresh: bool,
        /// When.
        at: Now,
    },
    /// An end has seen a tunnel Up for the first time.
    SeenUp(SeenUp),
    /// The condition of a kind began to hold, and will open an incident in `opens_in` if it goes on.
    IncidentPending {
        /// Of what.
        scope: Scope,
        /// The kind.
        kind: Kind,
        /// After this long.
        opens_in: Duration,
        /// When.
        at: Now,
    },
    /// The condition ceased before an incident opened.
    IncidentAverted {
        /// Of what.
        scope: Scope,
        /// The kind.
        kind: Kind,
        /// When.
        at: Now,
    },
    /// An incident opened, changed, began to clear, came back, was resolved, or is no longer watched. The store keeps the
    /// newest; the journal reports `change`.
    IncidentChanged {
        /// The incident as it stands.
        incident: Arc<Incident>,
        /// What happened to it.
        change: IncidentChange,
        /// When.
        at: Now,
    },
    /// Every sink has settled an incident that is over: it has left the Board.
    IncidentSettled {
        /// The incident as it stood.
        incident: Arc<Incident>,
        /// When.
        at: Now,
    },
    /// There was an incident while AWS could not be reached, and it is over: nobody was paged, and nobody will be. It is
    /// resolved and settled from the start.
    IncidentMissed {
        /// As it was.
        incident: Arc<Incident>,
        /// When that became known.
        at: Now,
    },
    /// AWS's answer held invalid evidence on a tunnel: it could not be understood, or its stamp lies in the future.
    EvidenceUnusable {
        /// Who answered.
        source: SourceId,
        /// The tunnel.
        tunnel: TunnelId,
        /// Why.
        verdict: Verdict,
    },
    /// The core was called much later than it asked for: the host slept, or the process was stopped.
    Resumed {
        /// The length of the gap.
        gap: Duration,
        /// When.
        at: Now,
    },
    /// This host now holds, or no longer holds, the address that it votes for.
    AddressHeld {
        /// The address.
        address: IpAddr,
        /// Whether it is held.
        held: bool,
        /// When.
        at: Now,
    },
    /// AWS says something else of the maintenance of a tunnel's endpoint.
    MaintenanceChanged {
        /// The tunnel.
        tunnel: TunnelId,
        /// What was known before.
        from: MaintenanceState,
        /// What is known since.
        to: MaintenanceState,
        /// When.
        at: Now,
    },
    /// The core has watched without a break until now, since the start or the last of these; a gap is a [`Self::Resumed`] before
    /// it. There is one at the start, with each minute's rollups, and at the end.
    Watched {
        /// Until when.
        at: Now,
    },
    /// It is known of a parent, or not known any more, whether it works.
    ParentChanged {
        /// Which.
        id: ParentId,
        /// What was known before.
        from: ParentState,
        /// What is known since.
        to: ParentState,
        /// When.
        at: Now,
    },
    /// A minute of a tunnel is complete.
    RollupReady(Arc<Rollup>),
    /// A minute of a connection that could have been decided on: of the tunnels that decide
    /// ([`votes`](super::votes)), one has a local verdict and fresh AWS evidence.
    CouldVote {
        /// The connection.
        vpn: VpnId,
        /// The start of the minute.
        minute: Stamp,
    },
}

/// What was so of a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TunnelWas {
    /// What our end said.
    pub local: Verdict,
    /// What AWS said.
    pub aws: Verdict,
    /// Both together.
    pub assessment: Assessment,
    /// Why it did not work; `None` where nothing was wrong.
    pub cause: Option<Cause>,
    /// The silence that covered it.
    pub silenced: Option<SilenceId>,
}

/// What happened to an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncidentChange {
    /// It opened.
    Opened,
    /// Its record was found open at a sink, and this site adopted it.
    Adopted,
    /// This site sees the condition of an adopted incident itself.
    Confirmed,
    /// Its timeline grew.
    Updated,
    /// A further tunnel went Down, or the same again after it had been Healthy.
    Worsened,
    /// What withheld its record is over, and it is not: it is sent from here on.
    Released,
    /// Its closing condition began to hold.
    Clearing,
    /// Its closing condition ceased to hold.
    Reopened,
    /// Its closing condition held long enough.
    Resolved,
    /// Its connection is no longer in the configuration: the record is left open, for a person.
    Unwatched,
    /// This host no longer holds the address that it votes for: the record stays open, for the host that holds it.
    HandedOver,
}

/// Requests and facts in order, and the next ids.
#[derive(Debug, Default)]
pub struct Effects {
    /// For the driver to execute.
    pub requests: VecDeque<Request>,
    /// For the driver to report.
    pub facts: VecDeque<Fact>,
    /// Echoes that ended, by check and the moment when they were sent: the data of rollups.
    pub ended: Vec<(CheckId, Moment, Outcome)>,
    last_echo: u64,
    last_client: u64,
}

impl Effects {
    /// An echo id that was never used.
    pub fn new_echo(&mut self) -> EchoId {
        self.last_echo += 1;
        EchoId(self.last_echo)
    }

    /// A client id that was never used.
    pub fn new_client(&mut self) -> ClientId {
        self.last_client += 1;
        ClientId(self.last_client)
    }
}

//! Whether a connection's traffic flows, as far as both ends tell.

use crate::domain::board::{Incident, IncidentState};
use crate::domain::carrying::{Carrying, NotCarrying};
use crate::domain::names::Kind;
use crate::domain::verdict::{Fault, Verdict, Why};
use crate::incident::wording::{Tunnel, list};

/// Whether a connection's traffic flows.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) carrying: Vec<String>,
    /// With the reason.
    pub(super) cannot_tell: Vec<String>,
    here_alone: bool,
}

impl Flow {
    pub(super) fn of(tunnels: &[Tunnel]) -> Self {
        let mut flow = Self { carrying: Vec::new(), cannot_tell: Vec::new(), here_alone: false };
        for tunnel in tunnels {
            match tunnel.carrying {
                Carrying::Carrying => flow.carrying.push(tunnel.named()),
                Carrying::NotCarrying(NotCarrying::LocalDown) => flow.here_alone = true,
                Carrying::NotCarrying(
                    NotCarrying::BothEndsDown | NotCarrying::BgpDown | NotCarrying::AwsDown,
                ) => {}
                Carrying::CannotTell(_) => {
                    flow.cannot_tell.push(format!("{}: {}", tunnel.named(), doubt(tunnel)));
                }
            }
        }
        if tunnels.is_empty() {
            flow.cannot_tell.push("nothing is known of its tunnels".to_owned());
        }
        flow
    }

    /// How it flows, where it does: in an outage it did not.
    pub(super) const fn again(incident: &Incident) -> &'static str {
        match (incident.state, incident.id.kind) {
            (IncidentState::Open, _) if incident.found_at.is_some() => "flows",
            (IncidentState::Resolved { .. }, _) | (_, Kind::Outage) => "flows again",
            (
                IncidentState::Open | IncidentState::Unwatched { .. },
                Kind::RedundancyLost | Kind::OneSided,
            ) => "still flows",
        }
    }

    pub(super) fn sentence(&self, incident: &Incident) -> String {
        if !self.carrying.is_empty() {
            let again = Self::again(incident);
            return format!("Traffic {again}, over {}.", list(&self.carrying));
        }
        if !self.cannot_tell.is_empty() {
            return format!("It is not known whether traffic flows. {}.", self.cannot_tell.join("; "));
        }
        if self.here_alone {
            return "No traffic flows, as far as this site can tell: no tunnel of this connection is carrying."
                .to_owned();
        }
        "No traffic flows: no tunnel of this connection is carrying.".to_owned()
    }

    pub(super) fn in_short(&self, incident: &Incident) -> String {
        match (self.carrying.is_empty(), self.cannot_tell.is_empty(), self.here_alone) {
            (false, _, _) => format!("Traffic {}.", Self::again(incident)),
            (true, true, true) => "No traffic flows, as seen from here.".to_owned(),
            (true, true, false) => "No traffic flows.".to_owned(),
            (true, false, _) => "Traffic: not known.".to_owned(),
        }
    }
}

/// Why nobody can tell whether a tunnel carries.
fn doubt(tunnel: &Tunnel) -> String {
    let word = |verdict: Verdict| match verdict {
        Verdict::Up => "says up".to_owned(),
        Verdict::Down => "says down".to_owned(),
        Verdict::Unknown(why) => format!("cannot tell ({})", why_words(why)),
    };
    format!("this site {}, AWS {}", word(tunnel.local), word(tunnel.aws))
}

/// Why an end cannot tell.
pub(super) fn why_words(why: Why) -> String {
    let words = match why {
        Why::Starting => "the daemon has just started",
        Why::NeverAnswered => {
            "the far end has never answered here (are the inside addresses right? try `bothends check`)"
        }
        Why::Fault(Fault::AddressMissing) => "this host does not have the tunnel's own inside address",
        Why::Fault(
            fault @ (Fault::NoPermission
            | Fault::NoMemory
            | Fault::QueueFull
            | Fault::TooManyFiles
            | Fault::HeldUp
            | Fault::Socket(_)),
        ) => return fault.to_string(),
        Why::Silent => "no probe was sent",
        Why::Unused => "the tunnel is not used",
        Why::NotHere => "the other gateway of the pair holds the address",
        Why::NotAsked => "AWS has not answered yet",
        Why::NoData => "AWS has no data on this tunnel",
        Why::Stale => "AWS's data is too old",
        Why::Fraction => "it changed within the last minute",
        Why::Future => "AWS's data is dated in the future",
        Why::Contradiction => "AWS's two sources contradict each other",
        Why::Gone => "AWS does not have this connection any more",
        Why::Garbage => "AWS's answer could not be read",
    };
    words.to_owned()
}

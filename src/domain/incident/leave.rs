//! This host ceases to be where the connection is judged: an address has moved to another one.

use super::super::board::{Incident, IncidentState, TimelineChange};
use super::super::effects::Effects;
use super::super::fact::{Fact, IncidentChange};
use super::super::time::Now;
use super::{KindWatch, State, tell};
use std::sync::Arc;

impl KindWatch {
    /// What is pending is let go: it would be evidence of another time when this host is back. What is open is handed over:
    /// its record stays open, and whoever judges from here on takes it up.
    pub fn leave(&mut self, now: Now, fx: &mut Effects) -> Option<Arc<Incident>> {
        match std::mem::replace(&mut self.state, State::Clear) {
            State::Clear => None,
            State::Pending { .. } => {
                let (vpn, kind) = (self.vpn.clone(), self.kind);
                fx.facts.push_back(Fact::IncidentAverted { vpn, kind, at: now });
                None
            }
            State::Open { mut story, .. } | State::Clearing { mut story, .. } => {
                story.set_state(IncidentState::Unwatched { at: now.wall });
                story.add(TimelineChange::HandedOver, now.wall);
                tell(&story, IncidentChange::HandedOver, now, fx);
                Some(Arc::clone(story.incident()))
            }
        }
    }
}

//! What of the facts is kept.

use std::sync::Arc;

use super::history::{Transition, TransitionBody};
use crate::domain::board::Incident;
use crate::domain::event::SeenUp;
use crate::domain::fact::Fact;
use crate::domain::rollup::Rollup;
use crate::domain::time::Stamp;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Entry {
    SeenUp(SeenUp),
    Incident { incident: Arc<Incident>, settled: Option<Stamp> },
    Transition(Box<Transition>),
    Rollup(Arc<Rollup>),
}

impl Entry {
    /// What is to be kept of a fact; `None` of most.
    pub(super) fn of(fact: &Fact) -> Option<Self> {
        match fact {
            Fact::ViewChanged { tunnel, end, from, view, at } => {
                let body = TransitionBody::View { end: *end, from: *from, view: view.clone() };
                Some(Self::Transition(Box::new(Transition { tunnel: tunnel.clone(), at: at.wall, body })))
            }
            Fact::AssessmentChanged { tunnel, from, to, local, aws, at } => {
                let body = TransitionBody::Assessment {
                    from: *from,
                    to: *to,
                    local: local.clone(),
                    aws: aws.clone(),
                };
                Some(Self::Transition(Box::new(Transition { tunnel: tunnel.clone(), at: at.wall, body })))
            }
            Fact::SeenUp(seen) => Some(Self::SeenUp(seen.clone())),
            Fact::IncidentChanged { incident, change: _, at: _ } => {
                Some(Self::Incident { incident: Arc::clone(incident), settled: None })
            }
            Fact::IncidentMissed { incident, at } | Fact::IncidentSettled { incident, at } => {
                Some(Self::Incident { incident: Arc::clone(incident), settled: Some(at.wall) })
            }
            Fact::RollupReady(rollup) => Some(Self::Rollup(Arc::clone(rollup))),
            Fact::EchoEnded { .. }
            | Fact::TicksSkipped { .. }
            | Fact::Suspicion { .. }
            | Fact::IncidentPending { .. }
            | Fact::IncidentAverted { .. }
            | Fact::EvidenceUnusable { .. }
            | Fact::AddressHeld { .. }
            | Fact::Resumed { .. }
            | Fact::CouldVote { .. } => None,
        }
    }

    /// Whether it may be dropped if it comes faster than the disk can take it.
    pub(super) const fn is_history(&self) -> bool {
        match self {
            Self::Transition(_) | Self::Rollup(_) => true,
            Self::SeenUp(_) | Self::Incident { .. } => false,
        }
    }
}

//! What a sink holds back: an incident that a parent's incident at this sink explains, or that is silenced.
//!
//! # Why nothing is lost by it
//! Only the creation of a record is held back, and only as long as all of this is true:
//!
//! 1. *The core says so*, on the Board, in what it stores with the incident: a restart changes nothing.
//! 2. *A silence, or a parent's incident that this sink shows.* An explanation counts only while the Board has an open incident
//!    of that parent, of a kind and scope that this sink takes, and whose record this sink may create: people have a page, or
//!    get one. A parent may itself be explained by another one; then the same holds of that one, and parents that explain each
//!    other in a circle explain nothing.
//! 3. *Nothing was begun.* An incident with a record, or with a committed request for one, goes on as if it were not withheld: its
//!    notes are written, and it is closed.
//!
//! When one of them ceases to hold, the incident is like one that opens at that moment: it is looked up, so that what a twin or an
//! alarm opened meanwhile is adopted, and started, with its true beginning. What is clearing when its parent's incident ends
//! is held until it is over or down again, where this sink took the parent: a page about what works again helps nobody.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::board::{Board, Incident, IncidentState, TimelineChange, Withheld};
use crate::domain::names::Kind;
use crate::domain::plan::SinkPlan;
use crate::domain::scope::{ParentId, ParentKind, Scope};

/// The parents' incidents that a sink takes.
#[derive(Debug)]
pub(super) struct Withholding<'a> {
    sink: &'a SinkPlan,
    parents: BTreeMap<&'a ParentId, Vec<&'a Arc<Incident>>>,
}

impl<'a> Withholding<'a> {
    /// Those on this Board.
    pub(super) fn new(board: &'a Board, sink: &'a SinkPlan) -> Self {
        let mut parents: BTreeMap<&ParentId, Vec<&Arc<Incident>>> = BTreeMap::new();
        for incident in &board.incidents {
            if let Scope::Parent(parent) = &incident.id.scope
                && sink.takes(&incident.id.scope, incident.id.kind)
            {
                parents.entry(parent).or_default().push(incident);
            }
        }
        Self { sink, parents }
    }

    /// Whether no record of the incident may be created for now.
    pub(super) fn holds(&self, incident: &Incident) -> bool {
        match &incident.withheld {
            None => false,
            Some(Withheld::Silenced(_)) => true,
            Some(Withheld::Explained(parent)) => {
                self.explains(parent, ParentKind::ALL.len())
                    || (!is_down(incident) && self.took(parent, incident))
            }
        }
    }

    /// Whether people have the page of this parent from this sink, or get it, or it is silenced.
    fn explains(&self, parent: &ParentId, steps: usize) -> bool {
        let at_the_top = |incident: &Incident| match &incident.withheld {
            None | Some(Withheld::Silenced(_)) => true,
            // Where that one is not here, this one is not held back.
            Some(Withheld::Explained(above)) => {
                self.open(above).next().is_none() || (steps > 0 && self.explains(above, steps - 1))
            }
        };
        self.open(parent).any(|incident| at_the_top(incident))
    }

    /// The open incidents of a parent of which this sink has a record, or may create one.
    fn open(&self, parent: &ParentId) -> impl Iterator<Item = &Arc<Incident>> {
        let is_here = |incident: &&&Arc<Incident>| {
            incident.state == IncidentState::Open
                && incident.found_at.as_ref().is_none_or(|sink| *sink == self.sink.id)
        };
        self.parents.get(parent).into_iter().flatten().filter(is_here).copied()
    }

    /// Whether the parent's incident, which is over, came to this sink. Once it has left the Board its kind is not known: it
    /// was at least as bad as what it explained.
    fn took(&self, parent: &ParentId, child: &Incident) -> bool {
        let scope = Scope::Parent(parent.clone());
        let as_bad = || Kind::ALL.into_iter().filter(|kind| *kind <= child.id.kind);
        self.parents.contains_key(parent) || as_bad().all(|kind| self.sink.takes(&scope, kind))
    }
}

/// Whether it lasts, and is not clearing.
fn is_down(incident: &Incident) -> bool {
    match incident.state {
        IncidentState::Open => {}
        IncidentState::Resolved { .. } | IncidentState::Unwatched { .. } => return false,
    }
    let phase = incident.timeline.iter().rev().find_map(|entry| match entry.what {
        TimelineChange::Clearing => Some(false),
        TimelineChange::Reopened => Some(true),
        TimelineChange::Opened
        | TimelineChange::Adopted { .. }
        | TimelineChange::Confirmed
        | TimelineChange::View { .. }
        | TimelineChange::Assessment { .. }
        | TimelineChange::Cause { .. }
        | TimelineChange::Quality { .. }
        | TimelineChange::Children { .. }
        | TimelineChange::Withheld { .. }
        | TimelineChange::Released
        | TimelineChange::Resolved
        | TimelineChange::Unwatched
        | TimelineChange::HandedOver
        | TimelineChange::Missed => None,
    });
    phase.unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::names::SinkId;
    use crate::domain::silence::SilenceId;
    use crate::domain::time::{Now, Stamp};
    use crate::incident::reconcile::world::{parent, parent_story, settings, story};

    fn child(withheld: Option<Withheld>) -> Incident {
        let story = story("milan-1", Kind::RedundancyLost, None, Now::default());
        Incident { withheld, ..Incident::clone(story.incident()) }
    }

    fn of(kind: ParentKind) -> Incident {
        Incident::clone(parent_story(kind, Kind::Outage, Now::default()).incident())
    }

    fn explained(kind: ParentKind) -> Option<Withheld> {
        Some(Withheld::Explained(parent(kind)))
    }

    fn holds(sink: &SinkPlan, incident: Incident, parents: Vec<Incident>) -> bool {
        let mut incidents: Vec<Arc<Incident>> = parents.into_iter().map(Arc::new).collect();
        incidents.push(Arc::new(incident.clone()));
        let board = Board { incidents, ..Board::default() };
        Withholding::new(&board, sink).holds(&incident)
    }

    fn clearing(mut incident: Incident) -> Incident {
        let mut story = crate::domain::story::Story::resume(Arc::new(incident));
        story.add(TimelineChange::Clearing, Stamp::default());
        incident = Incident::clone(story.incident());
        incident
    }

    #[test]
    fn what_is_explained_is_held_while_an_open_incident_of_the_parent_goes_to_this_sink() {
        let sink = settings("milan-1").sink;
        let child = || child(explained(ParentKind::Uplink));
        let uplink = || of(ParentKind::Uplink);
        let at = Stamp::default();
        assert!(holds(&sink, child(), vec![uplink()]));
        assert!(!holds(&sink, child(), vec![]));
        assert!(!holds(&sink, child(), vec![of(ParentKind::Site)]));
        for state in [IncidentState::Resolved { at }, IncidentState::Unwatched { at }] {
            assert!(!holds(&sink, child(), vec![Incident { state, ..uplink() }]));
        }
        let kinds = BTreeSet::from([Kind::RedundancyLost]);
        assert!(!holds(&SinkPlan { kinds, ..sink.clone() }, child(), vec![uplink()]));
        let scopes = Some(BTreeSet::from([child().id.scope]));
        assert!(!holds(&SinkPlan { scopes, ..sink.clone() }, child(), vec![uplink()]));
        assert!(!holds(&sink, Incident { withheld: None, ..child() }, vec![uplink()]));
    }

    #[test]
    fn a_parents_incident_that_was_found_at_another_sink_has_no_page_here() {
        let sink = settings("milan-1").sink;
        let found = |at: &str| Incident { found_at: Some(SinkId::new(at)), ..of(ParentKind::Uplink) };
        let child = || child(explained(ParentKind::Uplink));
        assert!(holds(&sink, child(), vec![found(sink.id.as_str())]));
        assert!(!holds(&sink, child(), vec![found("another")]));
    }

    #[test]
    fn what_is_silenced_is_held_at_every_sink() {
        let sink = settings("milan-1").sink;
        assert!(holds(&sink, child(Some(Withheld::Silenced(SilenceId(1)))), vec![]));
    }

    #[test]
    fn a_parent_that_another_one_explains_counts_if_that_one_is_here_and_a_circle_does_not() {
        let sink = settings("milan-1").sink;
        let child = || child(explained(ParentKind::Group));
        let by = |by, of: Incident| Incident { withheld: explained(by), ..of };
        let group = || by(ParentKind::Uplink, of(ParentKind::Group));
        assert!(holds(&sink, child(), vec![group()]), "the group's own is sent, as nothing here explains it");
        assert!(holds(&sink, child(), vec![group(), of(ParentKind::Uplink)]));
        assert!(holds(&sink, child(), vec![group(), by(ParentKind::Site, of(ParentKind::Uplink))]));
        assert!(!holds(&sink, child(), vec![group(), by(ParentKind::Group, of(ParentKind::Uplink))]));
        let silenced =
            Incident { withheld: Some(Withheld::Silenced(SilenceId(1))), ..of(ParentKind::Uplink) };
        assert!(holds(&sink, child(), vec![group(), silenced]));
    }

    #[test]
    fn what_is_clearing_or_over_when_its_parents_incident_ends_is_not_sent_where_that_one_was() {
        let sink = settings("milan-1").sink;
        let at = Stamp::default();
        let over = IncidentState::Resolved { at };
        let uplink = Incident { state: over, ..of(ParentKind::Uplink) };
        let child = || child(explained(ParentKind::Uplink));
        assert!(holds(&sink, clearing(child()), vec![uplink.clone()]));
        assert!(holds(&sink, clearing(child()), vec![]));
        assert!(holds(&sink, Incident { state: over, ..child() }, vec![]));
        let mut again = crate::domain::story::Story::resume(Arc::new(clearing(child())));
        again.add(TimelineChange::Reopened, at);
        assert!(!holds(&sink, Incident::clone(again.incident()), vec![uplink.clone()]));
        // The parent's incident may have been an outage.
        let kinds = BTreeSet::from([Kind::RedundancyLost]);
        let lesser = SinkPlan { kinds, ..sink };
        assert!(!holds(&lesser, clearing(child()), vec![uplink]));
        assert!(!holds(&lesser, Incident { state: over, ..child() }, vec![]));
    }
}

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
//! alarm opened meanwhile is adopted, and started, with its true beginning.
//!
//! When the parent's incident is over before the core has released the child, where this sink took that incident, the child is still
//! held: it is coming back, and a page about what works again helps nobody. The core releases it as soon as it is known to last.

use crate::domain::board::{Board, Incident};
use crate::domain::holding::{Holding, Known};
use crate::domain::plan::SinkPlan;

/// The parents' incidents that a sink takes.
#[derive(Debug)]
pub(super) struct Withholding<'a>(Holding<'a>);

impl<'a> Withholding<'a> {
    /// Those on this Board.
    pub(super) fn new(board: &'a Board, sink: &'a SinkPlan) -> Self {
        let known = board.incidents.iter().map(|incident| Known {
            scope: &incident.id.scope,
            kind: incident.id.kind,
            is_open: incident.is_open(),
            found_at: incident.found_at.as_ref(),
            withheld: incident.withheld.as_ref(),
        });
        Self(Holding::new(known, sink))
    }

    /// Whether no record of the incident may be created for now.
    pub(super) fn holds(&self, incident: &Incident) -> bool {
        self.0.holds(incident.id.kind, incident.withheld.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::domain::board::{IncidentState, Withheld};
    use crate::domain::names::{Kind, SinkId};
    use crate::domain::scope::ParentKind;
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

    #[test]
    fn what_is_explained_is_held_while_an_open_incident_of_the_parent_goes_to_this_sink() {
        let sink = settings("milan-1").sink;
        let child = || child(explained(ParentKind::Uplink));
        let uplink = || of(ParentKind::Uplink);
        let at = Stamp::default();
        assert!(holds(&sink, child(), vec![uplink()]));
        // Its incident is over, and the core has not released the child.
        assert!(holds(&sink, child(), vec![]));
        assert!(holds(&sink, child(), vec![of(ParentKind::Site)]));
        for state in [IncidentState::Resolved { at }, IncidentState::Unwatched { at }] {
            assert!(holds(&sink, child(), vec![Incident { state, ..uplink() }]));
        }
        let kinds = BTreeSet::from([Kind::RedundancyLost]);
        assert!(!holds(&SinkPlan { kinds: kinds.clone(), ..sink.clone() }, child(), vec![uplink()]));
        assert!(!holds(&SinkPlan { kinds, ..sink.clone() }, child(), vec![]));
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

    /// A connection is dead, and its group is not: whoever is paged for outages alone hears of it at once.
    #[test]
    fn a_sink_of_outages_gets_a_members_outage_while_its_group_has_lost_redundancy_alone() {
        let of =
            |kinds: &[Kind]| SinkPlan { kinds: kinds.iter().copied().collect(), ..settings("milan-1").sink };
        let (outages, both) = (of(&[Kind::Outage]), of(&[Kind::Outage, Kind::RedundancyLost]));
        let story = story("milan-1", Kind::Outage, None, Now::default());
        let member =
            || Incident { withheld: explained(ParentKind::Group), ..Incident::clone(story.incident()) };
        let group = |kind, state: IncidentState| {
            let story = parent_story(ParentKind::Group, kind, Now::default());
            Incident { state, ..Incident::clone(story.incident()) }
        };
        let lost = || group(Kind::RedundancyLost, IncidentState::Open);
        let resolved = IncidentState::Resolved { at: Stamp::default() };
        assert!(!holds(&outages, member(), vec![lost()]));
        assert!(holds(&both, member(), vec![lost()]));
        // Its own outage is over, and another of its connections works again.
        assert!(!holds(&outages, member(), vec![group(Kind::Outage, resolved), lost()]));
        assert!(holds(&outages, member(), vec![group(Kind::Outage, resolved)]));
        assert!(!holds(&outages, member(), vec![group(Kind::RedundancyLost, resolved)]));
        // It has left the Board, and may have been either.
        assert!(!holds(&outages, member(), vec![]));
        assert!(holds(&both, member(), vec![]));
    }
}

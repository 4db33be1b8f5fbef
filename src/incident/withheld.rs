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

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::board::{Board, Incident, IncidentState, Withheld};
use crate::domain::names::Kind;
use crate::domain::plan::SinkPlan;
use crate::domain::scope::{ParentId, ParentKind, Scope};

/// The parents' incidents that a sink takes.
#[derive(Debug)]
pub(super) struct Withholding<'a> {
    sink: &'a SinkPlan,
    parents: BTreeMap<&'a ParentId, Vec<&'a Arc<Incident>>>,
    /// Those with an open incident that the sink does not take.
    open_elsewhere: BTreeSet<&'a ParentId>,
}

impl<'a> Withholding<'a> {
    /// Those on this Board.
    pub(super) fn new(board: &'a Board, sink: &'a SinkPlan) -> Self {
        let mut parents: BTreeMap<&ParentId, Vec<&Arc<Incident>>> = BTreeMap::new();
        let mut open_elsewhere = BTreeSet::new();
        for incident in &board.incidents {
            let Scope::Parent(parent) = &incident.id.scope else { continue };
            if sink.takes(&incident.id.scope, incident.id.kind) {
                parents.entry(parent).or_default().push(incident);
            } else if incident.is_open() {
                open_elsewhere.insert(parent);
            }
        }
        Self { sink, parents, open_elsewhere }
    }

    /// Whether no record of the incident may be created for now.
    pub(super) fn holds(&self, incident: &Incident) -> bool {
        match &incident.withheld {
            None => false,
            Some(Withheld::Silenced(_)) => true,
            Some(Withheld::Explained(parent)) => {
                if self.is_open(parent) {
                    self.explains(parent, ParentKind::ALL.len())
                } else {
                    self.took(parent, incident)
                }
            }
        }
    }

    /// Whether an incident of this parent that the sink takes goes on, wherever its record is.
    fn is_open(&self, parent: &ParentId) -> bool {
        self.parents.get(parent).into_iter().flatten().any(|incident| incident.is_open())
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

    /// Whether the parent's incident, which is over, came to this sink. Where another one is open, that is not what explains; where it
    /// is one that this sink does not take, nobody is paged for it here. Once it has left the Board its kind is not known: a
    /// group's may have been any, as its `redundancy_lost` explains what is worse; another parent's was at least as bad as the child.
    fn took(&self, parent: &ParentId, child: &Incident) -> bool {
        if self.open_elsewhere.contains(parent) {
            return false;
        }
        let scope = Scope::Parent(parent.clone());
        let takes = |kind| self.sink.takes(&scope, kind);
        self.parents.contains_key(parent)
            || match parent.kind {
                ParentKind::Group => [Kind::Outage, Kind::RedundancyLost].into_iter().all(takes),
                ParentKind::Uplink | ParentKind::Site => {
                    Kind::ALL.into_iter().filter(|kind| *kind <= child.id.kind).all(takes)
                }
            }
    }
}

#[cfg(test)]
mod tests {
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

//! What a sink holds back: an incident that is silenced, or that the incident of a parent at this sink explains.

use std::collections::{BTreeMap, BTreeSet};

use super::board::Withheld;
use super::names::{Kind, SinkId};
use super::plan::SinkPlan;
use super::scope::{ParentId, ParentKind, Scope};

/// What counts of an incident.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// What it is about.
    pub scope: &'a Scope,
    /// Its kind.
    pub kind: Kind,
    /// Whether it is open.
    pub is_open: bool,
    /// The sink at which its record was found.
    pub found_at: Option<&'a SinkId>,
    /// What withholds its record.
    pub withheld: Option<&'a Withheld>,
}

/// The parents' incidents that a sink takes.
#[derive(Debug)]
pub struct Holding<'a> {
    sink: &'a SinkPlan,
    parents: BTreeMap<&'a ParentId, Vec<Known<'a>>>,
    /// Those with an open incident that the sink does not take.
    open_elsewhere: BTreeSet<&'a ParentId>,
}

impl<'a> Holding<'a> {
    /// Of these incidents: open ones, and those that are over and still known to the sink.
    pub fn new(incidents: impl IntoIterator<Item = Known<'a>>, sink: &'a SinkPlan) -> Self {
        let mut parents: BTreeMap<&ParentId, Vec<Known<'a>>> = BTreeMap::new();
        let mut open_elsewhere = BTreeSet::new();
        for incident in incidents {
            let Scope::Parent(parent) = incident.scope else { continue };
            if sink.takes(incident.scope, incident.kind) {
                parents.entry(parent).or_default().push(incident);
            } else if incident.is_open {
                open_elsewhere.insert(parent);
            }
        }
        Self { sink, parents, open_elsewhere }
    }

    /// Whether no record of an incident of this kind that this withholds may be created for now.
    pub fn holds(&self, kind: Kind, withheld: Option<&Withheld>) -> bool {
        match withheld {
            None => false,
            Some(Withheld::Silenced(_)) => true,
            Some(Withheld::Explained(parent)) => {
                if self.goes_on(parent) {
                    self.explains(parent, ParentKind::ALL.len())
                } else {
                    self.took(parent, kind)
                }
            }
        }
    }

    /// Whether an incident of this parent that the sink takes goes on, wherever its record is.
    fn goes_on(&self, parent: &ParentId) -> bool {
        self.parents.get(parent).into_iter().flatten().any(|incident| incident.is_open)
    }

    /// Whether people have the page of this parent from this sink, or get it, or it is silenced.
    fn explains(&self, parent: &ParentId, steps: usize) -> bool {
        let at_the_top = |incident: &Known<'_>| match incident.withheld {
            None | Some(Withheld::Silenced(_)) => true,
            // Where that one is not here, this one is not held back.
            Some(Withheld::Explained(above)) => {
                self.open(above).next().is_none() || (steps > 0 && self.explains(above, steps - 1))
            }
        };
        self.open(parent).any(at_the_top)
    }

    /// The open incidents of a parent of which this sink has a record, or may create one.
    fn open(&self, parent: &ParentId) -> impl Iterator<Item = &Known<'a>> {
        let is_here = |incident: &&Known<'_>| {
            incident.is_open && incident.found_at.is_none_or(|sink| *sink == self.sink.id)
        };
        self.parents.get(parent).into_iter().flatten().filter(is_here)
    }

    /// Whether the parent's incident, which is over, came to this sink. Where another one is open, that is not what explains; where it
    /// is one that this sink does not take, nobody is paged for it here. Once it has left the Board its kind is not known: a
    /// group's may have been any, as its `redundancy_lost` explains what is worse; another parent's was at least as bad as the child.
    fn took(&self, parent: &ParentId, child: Kind) -> bool {
        if self.open_elsewhere.contains(parent) {
            return false;
        }
        let scope = Scope::Parent(parent.clone());
        let takes = |kind| self.sink.takes(&scope, kind);
        self.parents.contains_key(parent)
            || match parent.kind {
                ParentKind::Group => [Kind::Outage, Kind::RedundancyLost].into_iter().all(takes),
                ParentKind::Uplink | ParentKind::Site => {
                    Kind::ALL.into_iter().filter(|kind| *kind <= child).all(takes)
                }
            }
    }
}

//! Who was paged when.

use std::collections::BTreeMap;

use crate::domain::board::IncidentId;
use crate::domain::names::SinkId;
use crate::domain::scope::ParentId;
use crate::domain::time::Stamp;
use crate::history::Entry;

/// The pages of every incident.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paging {
    pages: BTreeMap<IncidentId, Vec<Paged>>,
}

/// A sink took an incident.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Paged {
    /// When.
    pub at: Stamp,
    /// Which.
    pub sink: SinkId,
    /// The parent whose incident it was, where it was one.
    pub parent: Option<ParentId>,
}

impl Paging {
    /// Collects them.
    pub fn of(entries: &[Entry]) -> Self {
        let mut pages: BTreeMap<IncidentId, Vec<Paged>> = BTreeMap::new();
        for entry in entries {
            if let Entry::Paged { incident, sink, at } = entry {
                let parent = incident.scope.parent().cloned();
                let page = Paged { at: *at, sink: sink.clone(), parent };
                pages.entry(incident.clone()).or_default().push(page);
            }
        }
        for pages in pages.values_mut() {
            pages.sort();
        }
        Self { pages }
    }

    /// The pages of an incident, oldest first.
    pub fn pages(&self, incident: &IncidentId) -> &[Paged] {
        self.pages.get(incident).map_or(&[], Vec::as_slice)
    }

    /// The first page of an incident.
    pub fn first(&self, incident: &IncidentId) -> Option<Paged> {
        self.pages(incident).first().cloned()
    }
}

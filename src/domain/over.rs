//! Incidents that are over, until every sink has settled them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::board::{Incident, IncidentId};
use super::names::{Destination, Kind, VpnId};
use super::plan::Plan;

/// What is over, and whose word is waited for.
#[derive(Debug, Default)]
pub struct Over {
    waiting: BTreeMap<IncidentId, (Arc<Incident>, BTreeSet<Destination>)>,
}

impl Over {
    /// An incident is over: the sinks that take it are waited for.
    pub fn put(&mut self, incident: Arc<Incident>, plan: &Plan) {
        let sinks = sinks_of(&incident.id, plan);
        self.waiting.insert(incident.id.clone(), (incident, sinks));
    }

    /// Every one of them.
    pub fn incidents(&self) -> impl Iterator<Item = &Arc<Incident>> {
        self.waiting.values().map(|(incident, _)| incident)
    }

    /// Whether there is one of this kind on this connection.
    pub fn has(&self, vpn: &VpnId, kind: Kind) -> bool {
        self.waiting.keys().any(|id| id.vpn == *vpn && id.kind == kind)
    }

    /// A sink has taken in this revision of an incident.
    pub fn settled(&mut self, sink: &Destination, incident: &IncidentId, revision: u64) {
        if let Some((over, sinks)) = self.waiting.get_mut(incident)
            && over.revision == revision
        {
            sinks.remove(sink);
        }
    }

    /// A sink that was removed from the configuration is not waited for.
    pub fn recount(&mut self, plan: &Plan) {
        for (id, (_, sinks)) in &mut self.waiting {
            let wanted = sinks_of(id, plan);
            sinks.retain(|sink| wanted.contains(sink));
        }
    }

    /// Whether some sink is waited for, of each of them.
    pub fn is_unsettled(&self) -> bool {
        self.waiting.values().all(|(_, sinks)| !sinks.is_empty())
    }

    /// Takes out those that no sink is waited for.
    pub fn take_settled(&mut self) -> Vec<Arc<Incident>> {
        self.waiting
            .extract_if(.., |_, (_, sinks)| sinks.is_empty())
            .map(|(_, (incident, _))| incident)
            .collect()
    }
}

fn sinks_of(incident: &IncidentId, plan: &Plan) -> BTreeSet<Destination> {
    let takes = plan.sinks.iter().filter(|sink| sink.takes(&incident.vpn, incident.kind));
    takes.map(|sink| sink.destination.clone()).collect()
}

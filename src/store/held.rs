//! The state that is in memory as well as in the file: small, and what a fresh file must be given.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::database::Found;
use super::pending::{LedgerKey, Pending};
use crate::domain::board::{Incident, IncidentId, IncidentState};
use crate::domain::event::SeenUp;
use crate::domain::names::SinkId;
use crate::domain::time::{Now, Stamp};
use crate::incident::sink::LedgerRow;

#[derive(Debug, Default)]
pub(super) struct Held {
    seen_up: BTreeSet<SeenUp>,
    /// Those that are not settled.
    incidents: BTreeMap<IncidentId, Arc<Incident>>,
    ledger: BTreeMap<LedgerKey, LedgerRow>,
}

impl Held {
    pub(super) fn of(found: &Found) -> Self {
        let mut held = Self::default();
        held.seen_up.extend(found.remembered.seen_up.iter().cloned());
        found.remembered.incidents.iter().for_each(|incident| held.incident(incident, None));
        found.ledger.iter().for_each(|row| held.row(row.clone()));
        held
    }

    pub(super) fn seen_up(&mut self, seen: SeenUp) {
        // Of our own end of a route only the last counts.
        if let SeenUp::Local(check, key) = &seen {
            let same = |known: &SeenUp| match known {
                SeenUp::Local(of, known) => (of, known.inside_ip) == (check, key.inside_ip),
                SeenUp::Aws(_) => false,
            };
            self.seen_up.retain(|known| !same(known));
        }
        self.seen_up.insert(seen);
    }

    pub(super) fn incident(&mut self, incident: &Arc<Incident>, settled: Option<Stamp>) {
        if settled.is_some() {
            self.incidents.remove(&incident.id);
        } else {
            self.incidents.insert(incident.id.clone(), Arc::clone(incident));
        }
    }

    pub(super) fn row(&mut self, row: LedgerRow) {
        self.ledger.insert((row.sink.clone(), row.incident.clone(), row.generation), row);
    }

    pub(super) fn forget(&mut self, sink: &SinkId, incident: &IncidentId) {
        self.ledger.retain(|(of, about, _), _| (of, about) != (sink, incident));
    }

    /// Every row of a sink.
    pub(super) fn ledger(&self, sink: &SinkId) -> Vec<LedgerRow> {
        self.ledger.values().filter(|row| row.sink == *sink).cloned().collect()
    }

    /// Every row.
    pub(super) fn rows(&self) -> impl Iterator<Item = &LedgerRow> {
        self.ledger.values()
    }

    /// Takes in what a file holds that is opened late: what was seen up and the ledger, where they are not known better. An
    /// incident that is open in it, while another of its kind is open here, is settled, since of a kind only one is open.
    /// Returns which were.
    pub(super) fn join(&mut self, found: Found, pending: &mut Pending, now: Now) -> Vec<IncidentId> {
        self.seen_up.extend(found.remembered.seen_up);
        for row in found.ledger {
            let key = (row.sink.clone(), row.incident.clone(), row.generation);
            if !pending.forgotten.contains(&(row.sink.clone(), row.incident.clone())) {
                self.ledger.entry(key).or_insert(row);
            }
        }
        let mut settled = Vec::new();
        for incident in found.remembered.incidents {
            let IncidentId { vpn, kind, .. } = &incident.id;
            let is_open_here = self.incidents.keys().any(|open| (&open.vpn, open.kind) == (vpn, *kind));
            if is_open_here
                && !self.incidents.contains_key(&incident.id)
                && !pending.incidents.contains_key(&incident.id)
            {
                settled.push(incident.id.clone());
                let state = IncidentState::Unwatched { at: now.wall };
                pending.incident(Arc::new(Incident { state, ..Incident::clone(&incident) }), Some(now.wall));
            }
        }
        settled
    }

    /// Everything is to be written again, with what waits already.
    pub(super) fn write_again(&self, pending: &mut Pending) {
        pending.seen_up.extend(self.seen_up.iter().cloned());
        for incident in self.incidents.values() {
            pending.incident(Arc::clone(incident), None);
        }
        for row in self.ledger.values() {
            pending.row(row.clone());
        }
    }
}

//! What must outlive a restart, as it is in memory: small, and what a fresh file must be given. It knows what of it the file
//! does not have yet; later changes of the same thing replace earlier ones, however long the disk fails.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::database::Found;
use crate::domain::board::{Incident, IncidentId, IncidentState};
use crate::domain::event::SeenUp;
use crate::domain::names::{CheckKind, SinkId, TunnelId};
use crate::domain::time::{Now, Stamp};
use crate::incident::sink::LedgerRow;

#[derive(Debug, Default)]
pub(super) struct State {
    seen_up: BTreeMap<SeenKey, SeenUp>,
    /// Those on the Board; and those that have left it, with the time of that, until it is written.
    incidents: BTreeMap<IncidentId, (Arc<Incident>, Option<Stamp>)>,
    ledger: BTreeMap<RowKey, LedgerRow>,
    unwritten: BTreeSet<Key>,
}

/// The tunnel; and by which check and at which inside address our end saw it Up, where it was not AWS's.
type SeenKey = (TunnelId, Option<(CheckKind, IpAddr)>);
/// Sink, incident, generation.
type RowKey = (SinkId, IncidentId, u32);

/// What a commit writes, in this order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    SeenUp(SeenKey),
    Incident(IncidentId),
    /// An incident's rows of a sink are removed, before new ones are written.
    Forgotten(SinkId, IncidentId),
    Row(RowKey),
}

/// One change that the file lacks.
#[derive(Debug)]
pub(super) enum StateChange<'s> {
    SeenUp(&'s SeenUp),
    /// With the time when it left the Board.
    Incident(&'s Incident, Option<Stamp>),
    Forgotten(&'s SinkId, &'s IncidentId),
    Row(&'s LedgerRow),
}

fn seen_key(seen: &SeenUp) -> SeenKey {
    match seen {
        SeenUp::Local(check, route) => (check.tunnel.clone(), Some((check.kind, route.inside_ip))),
        SeenUp::Aws(tunnel) => (tunnel.clone(), None),
    }
}

fn has_own_end(seen: &SeenUp) -> bool {
    match seen {
        SeenUp::Local(_, route) => route.own.is_some(),
        SeenUp::Aws(_) => false,
    }
}

fn row_key(row: &LedgerRow) -> RowKey {
    (row.sink.clone(), row.incident.clone(), row.generation)
}

impl State {
    /// What a file holds.
    pub(super) fn of(found: &Found) -> Self {
        let seen_up = found.remembered.seen_up.iter().map(|seen| (seen_key(seen), seen.clone()));
        let incidents = found.remembered.incidents.iter();
        Self {
            seen_up: seen_up.collect(),
            incidents: incidents.map(|it| (it.id.clone(), (Arc::clone(it), None))).collect(),
            ledger: found.ledger.iter().map(|row| (row_key(row), row.clone())).collect(),
            unwritten: BTreeSet::new(),
        }
    }

    pub(super) fn seen_up(&mut self, seen: SeenUp) {
        let key = seen_key(&seen);
        // As in the file: without our end of the route it takes no place of one that has it.
        if has_own_end(&seen) || !self.seen_up.get(&key).is_some_and(has_own_end) {
            self.seen_up.insert(key.clone(), seen);
        }
        self.unwritten.insert(Key::SeenUp(key));
    }

    /// `settled` is the time when it left the Board.
    pub(super) fn incident(&mut self, incident: Arc<Incident>, settled: Option<Stamp>) {
        self.unwritten.insert(Key::Incident(incident.id.clone()));
        self.incidents.insert(incident.id.clone(), (incident, settled));
    }

    /// A row takes the place of the one with the same sink, incident and generation.
    pub(super) fn row(&mut self, row: LedgerRow) {
        let key = row_key(&row);
        self.unwritten.insert(Key::Row(key.clone()));
        self.ledger.insert(key, row);
    }

    /// Removes an incident's rows of a sink.
    pub(super) fn forget(&mut self, sink: &SinkId, incident: &IncidentId) {
        let is_other = |(of, about, _): &RowKey| (of, about) != (sink, incident);
        self.ledger.retain(|key, _| is_other(key));
        self.unwritten.retain(|key| !matches!(key, Key::Row(key) if !is_other(key)));
        self.unwritten.insert(Key::Forgotten(sink.clone(), incident.clone()));
    }

    /// Every row.
    pub(super) fn rows(&self) -> impl Iterator<Item = &LedgerRow> {
        self.ledger.values()
    }

    /// Takes in what a file holds that is opened late: what was seen up and the ledger, where they are not known better. An
    /// incident that is open in it, while another of its kind is open here, is settled, since of a kind only one is open.
    /// Returns which were.
    pub(super) fn join(&mut self, found: Found, now: Now) -> Vec<IncidentId> {
        for seen in found.remembered.seen_up {
            let key = seen_key(&seen);
            if !self.seen_up.get(&key).is_some_and(has_own_end) {
                self.seen_up.insert(key, seen);
            }
        }
        for row in found.ledger {
            if !self.unwritten.contains(&Key::Forgotten(row.sink.clone(), row.incident.clone())) {
                self.ledger.entry(row_key(&row)).or_insert(row);
            }
        }
        let mut settled = Vec::new();
        for incident in found.remembered.incidents {
            let of_its_kind = |(id, (_, settled)): (&IncidentId, &(_, Option<Stamp>))| {
                settled.is_none() && (&id.vpn, id.kind) == (&incident.id.vpn, incident.id.kind)
            };
            if self.incidents.iter().any(of_its_kind) && !self.incidents.contains_key(&incident.id) {
                settled.push(incident.id.clone());
                let state = IncidentState::Unwatched { at: now.wall };
                self.incident(Arc::new(Incident { state, ..Incident::clone(&incident) }), Some(now.wall));
            }
        }
        settled
    }

    /// The file has none of it.
    pub(super) fn write_again(&mut self) {
        let Self { seen_up, incidents, ledger, unwritten } = self;
        unwritten.extend(seen_up.keys().cloned().map(Key::SeenUp));
        unwritten.extend(incidents.keys().cloned().map(Key::Incident));
        unwritten.extend(ledger.keys().cloned().map(Key::Row));
    }

    /// The file has all of it.
    pub(super) fn written(&mut self) {
        self.unwritten.clear();
        self.incidents.retain(|_, (_, settled)| settled.is_none());
    }

    pub(super) fn is_written(&self) -> bool {
        self.unwritten.is_empty()
    }

    /// What the file lacks, in the order in which it is to be written.
    pub(super) fn unwritten(&self) -> impl Iterator<Item = StateChange<'_>> {
        self.unwritten.iter().filter_map(|key| {
            Some(match key {
                Key::SeenUp(key) => StateChange::SeenUp(self.seen_up.get(key)?),
                Key::Incident(id) => {
                    let (incident, settled) = self.incidents.get(id)?;
                    StateChange::Incident(incident, *settled)
                }
                Key::Forgotten(sink, incident) => StateChange::Forgotten(sink, incident),
                Key::Row(key) => StateChange::Row(self.ledger.get(key)?),
            })
        })
    }
}

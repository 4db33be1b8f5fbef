//! What is not on the disk yet.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::sync::Arc;

use super::history::Transition;
use crate::domain::board::{Incident, IncidentId};
use crate::domain::event::SeenUp;
use crate::domain::names::SinkId;
use crate::domain::rollup::Rollup;
use crate::domain::time::Stamp;
use crate::incident::sink::LedgerRow;

/// Rollups held while the disk fails: half a kilobyte each, three days of two tunnels.
pub(super) const ROLLUPS_MAX: usize = 10_000;
/// Transitions held while the disk fails.
const TRANSITIONS_MAX: usize = 5_000;

/// An incident to be written.
#[derive(Debug, Clone)]
pub(super) struct IncidentWrite {
    pub(super) incident: Arc<Incident>,
    /// When it left the Board.
    pub(super) settled: Option<Stamp>,
}

/// Sink, incident, generation.
pub(super) type LedgerKey = (SinkId, IncidentId, u32);

/// Later writes of the same thing replace earlier ones, so that of state only the newest is held, however long the disk
/// fails.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) seen_up: BTreeSet<SeenUp>,
    pub(super) incidents: BTreeMap<IncidentId, IncidentWrite>,
    /// To be removed before `ledger` is written.
    pub(super) forgotten: BTreeSet<(SinkId, IncidentId)>,
    pub(super) ledger: BTreeMap<LedgerKey, LedgerRow>,
    /// Rollups, oldest minute first, and whether they have been sent.
    pub(super) rollups: BTreeMap<(Stamp, Arc<Rollup>), bool>,
    pub(super) transitions: VecDeque<Transition>,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        let Self { seen_up, incidents, forgotten, ledger, rollups, transitions } = self;
        seen_up.is_empty()
            && incidents.is_empty()
            && forgotten.is_empty()
            && ledger.is_empty()
            && rollups.is_empty()
            && transitions.is_empty()
    }

    pub(super) fn incident(&mut self, incident: Arc<Incident>, settled: Option<Stamp>) {
        self.incidents.insert(incident.id.clone(), IncidentWrite { incident, settled });
    }

    pub(super) fn row(&mut self, row: LedgerRow) {
        self.ledger.insert((row.sink.clone(), row.incident.clone(), row.generation), row);
    }

    pub(super) fn forget(&mut self, sink: SinkId, incident: IncidentId) {
        self.ledger.retain(|(of, about, _), _| (of, about) != (&sink, &incident));
        self.forgotten.insert((sink, incident));
    }

    /// Takes a rollup in, unless it is known. Returns how many unsent ones had to go.
    pub(super) fn rollup(&mut self, rollup: Arc<Rollup>, sent: bool) -> u64 {
        self.rollups.entry((rollup.minute, rollup)).or_insert(sent);
        self.bound()
    }

    /// Takes in that a rollup has been sent. Returns how many unsent ones had to go.
    pub(super) fn sent(&mut self, rollup: Arc<Rollup>) -> u64 {
        self.rollups.insert((rollup.minute, rollup), true);
        self.bound()
    }

    /// Takes a transition in. Returns how many had to go.
    pub(super) fn transition(&mut self, transition: Transition) -> u64 {
        self.transitions.push_back(transition);
        if self.transitions.len() > TRANSITIONS_MAX {
            self.transitions.pop_front();
            return 1;
        }
        0
    }

    /// Takes out what one commit writes: all state, and of the history the oldest, up to about `rollups` rollups. A
    /// transition takes as much room as one.
    pub(super) fn part(&mut self, rollups: usize) -> Self {
        let transitions = self.transitions.len().min(rollups);
        let rest = self.transitions.split_off(transitions);
        let mut part = Self {
            rollups: BTreeMap::new(),
            transitions: mem::replace(&mut self.transitions, rest),
            seen_up: mem::take(&mut self.seen_up),
            incidents: mem::take(&mut self.incidents),
            forgotten: mem::take(&mut self.forgotten),
            ledger: mem::take(&mut self.ledger),
        };
        while part.rollups.len() + transitions < rollups
            && let Some((key, sent)) = self.rollups.pop_first()
        {
            part.rollups.insert(key, sent);
        }
        part
    }

    /// Takes back a part that was not written.
    pub(super) fn take_back(&mut self, part: Self) {
        let Self { seen_up, incidents, forgotten, ledger, rollups, mut transitions } = part;
        self.seen_up.extend(seen_up);
        self.incidents.extend(incidents);
        self.forgotten.extend(forgotten);
        self.ledger.extend(ledger);
        self.rollups.extend(rollups);
        transitions.append(&mut self.transitions);
        self.transitions = transitions;
    }

    fn bound(&mut self) -> u64 {
        let mut dropped = 0;
        while self.rollups.len() > ROLLUPS_MAX {
            if let Some((_, false)) = self.rollups.pop_first() {
                dropped += 1;
            }
        }
        dropped
    }
}

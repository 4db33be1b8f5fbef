//! Tells a sink that only takes messages: pure, level-triggered, patient, like [`super::reconcile`].
//!
//! # Why nothing is told twice, and nothing is lost
//! The sink cannot be asked what it was told: the ledger alone says so. A row is written after the sink has taken a message,
//! and before the first one, so that a restart knows how far the story went that may have been told. What the ledger cannot
//! know is whether a message arrived whose answer was lost, or after whose arrival the daemon died: that one is sent once
//! more. It has the same id then, so that a receiver can drop it: *at least once on the wire, once by its id*.
//!
//! A message is composed once in a run and sent until it is taken; what happens meanwhile is told by the next. Every failure
//! is followed by another try, and the Board keeps an incident until this sink has settled it. Two things overtake:
//! the end, and what worsens. A lesser change that waits is told with them, and that it was refused holds up neither.
//!
//! # What is told
//! An incident that opens; at once when it worsens, and so the first other change; further ones at most once in [`UPDATE_EVERY`],
//! taken together, and none for what has changed back by then; its
//! end, or that this site watches it no more; nothing after that. Of an incident that was only found at another sink
//! nothing is told: what this site has not seen it cannot tell.
//!
//! The messages of connection and kind share a key, and a vendor may hold one alert by it. So the incidents of one key are told
//! one after the other; but an end that is refused, or that follows an opening nobody was told of, gives way to the
//! later incident that is open: its page matters more.

mod case;

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::board::{Board, IncidentId, IncidentState};
use crate::domain::time::{Moment, Now};
use crate::health::Problem;

use super::action::{Act, ActionId, Failure, NoticeCause, Reply, Settled, SinkNotice, Work};
use super::message::Message;
use super::outbox::{Machine, Outbox, worst_problem};
use super::settings::TellerSettings;
use super::sink::LedgerRow;
pub use case::UPDATE_EVERY;
use case::{Around, Case, InFlight, Step};

/// A row whose incident is not on the Board may be of one that comes late after a start.
const ABSENT_GRACE: Duration = Duration::from_secs(300);

/// One sink's teller.
#[derive(Debug)]
pub struct Teller {
    settings: TellerSettings,
    cases: BTreeMap<IncidentId, Case>,
    /// What the ledger has of incidents that were not on the Board in this run.
    stored: BTreeMap<IncidentId, LedgerRow>,
    started: Moment,
    outbox: Outbox<Arc<Message>, MessageRoute>,
}

/// Whose action it is.
#[derive(Debug)]
pub enum MessageRoute {
    /// An incident's.
    Case(IncidentId),
    /// A row's whose incident is not on the Board.
    Stored,
}

impl Teller {
    /// A teller that takes up what the ledger has of this sink.
    pub fn new(settings: TellerSettings, rows: Vec<LedgerRow>, now: Now) -> Self {
        let mut stored: BTreeMap<IncidentId, LedgerRow> = BTreeMap::new();
        for row in rows {
            let newer = stored.get(&row.incident).is_none_or(|known| known.generation < row.generation);
            if newer {
                stored.insert(row.incident.clone(), row);
            }
        }
        let outbox = Outbox::new(settings.sink.id().clone());
        Self { settings, cases: BTreeMap::new(), stored, started: now.mono, outbox }
    }

    fn plan_case(&mut self, id: &IncidentId, now: Now) {
        let of_key = |other: &&Case| {
            let other_id = &other.incident.id;
            other.present && other_id.vpn == id.vpn && other_id.kind == id.kind && !other.row.settled
        };
        let siblings = || self.cases.values().filter(of_key);
        let around = Around {
            now,
            settings: &self.settings,
            older: siblings().any(|other| other.incident.id.opened < id.opened),
            newer: siblings().any(|other| other.incident.id.opened > id.opened && other.is_open()),
        };
        let Some(case) = self.cases.get_mut(id).filter(|case| case.in_flight.is_none()) else { return };
        let yielded = case.row.settled;
        let step = case.advance(&around);
        if case.gave_way && !yielded && case.row.record.is_some() {
            let id = around.settings.sink.id();
            self.outbox.notice(SinkNotice::of(&case.incident, id, NoticeCause::EndNotSent));
        }
        match step {
            Step::Do(work) => {
                let act = work.act();
                let action = self.outbox.send(work, MessageRoute::Case(id.clone()), now.mono);
                case.in_flight = Some(InFlight { id: action, act });
            }
            Step::Wait(until) => {
                let commit = case.ledger.until(now.mono, Act::Commit.priority()).filter(|_| case.dirty);
                if let Some((until, why)) = until {
                    self.outbox.wake_at(Some(until), why);
                }
                self.outbox.wake_at(commit, "commit again");
            }
            Step::Settled => {
                let revision = case.incident.revision;
                case.settled_revision = Some(revision);
                self.outbox.settle(Settled { incident: id.clone(), revision });
                // The core answers with a Board that does not have it.
            }
        }
    }

    /// Rows of incidents that have not come back on the Board since the start: there is nothing more to tell.
    fn plan_stored(&mut self, now: Now) {
        if self.stored.is_empty() {
            return;
        }
        let due = self.started + ABSENT_GRACE;
        if due > now.mono {
            self.outbox.wake_at(Some(due), "rows without an incident");
            return;
        }
        for (incident, row) in mem::take(&mut self.stored) {
            if !row.settled && row.record.is_some() {
                self.outbox.notice(SinkNotice {
                    site: Arc::clone(&self.settings.sink.site),
                    sink: self.settings.sink.id().clone(),
                    incident: incident.clone(),
                    vpn_name: None,
                    cause: NoticeCause::EndUnknown,
                });
            }
            self.outbox.send(Work::Forget { incident }, MessageRoute::Stored, now.mono);
        }
    }
}

impl Machine for Teller {
    type Call = Arc<Message>;
    type Route = MessageRoute;

    fn see(&mut self, board: Arc<Board>, now: Now) {
        for case in self.cases.values_mut() {
            case.present = false;
        }
        for incident in &board.incidents {
            if !self.settings.sink.sink.takes(&incident.id.vpn, incident.id.kind) {
                continue;
            }
            // What is settled and open was given up, and is taken up again under the same name: another story.
            let again = |row: &LedgerRow| row.settled && incident.state == IncidentState::Open;
            if let Some(case) = self.cases.get_mut(&incident.id) {
                case.present = true;
                case.incident = Arc::clone(incident);
                if again(&case.row) {
                    case.begin_again();
                }
            } else {
                let row = self.stored.remove(&incident.id);
                let mut case = Case::new(&self.settings.sink, Arc::clone(incident), row, now.mono);
                if again(&case.row) {
                    case.begin_again();
                }
                self.cases.insert(incident.id.clone(), case);
            }
        }
        self.cases.retain(|_, case| case.present || case.in_flight.is_some() || case.may_have_told());
    }

    fn ended(&mut self, route: MessageRoute, id: ActionId, result: Result<Reply, Failure>, now: Now) {
        let MessageRoute::Case(incident) = route else { return };
        let Some(case) = self.cases.get_mut(&incident) else { return };
        let Some(InFlight { id: _, act }) = case.in_flight.take_if(|flight| flight.id == id) else { return };
        if act == Act::Forget && result.is_ok() {
            self.cases.remove(&incident);
            return;
        }
        if let Some(sent) = case.ended(act, result, now.mono, &self.settings) {
            self.outbox.notice(SinkNotice::of(&case.incident, self.settings.sink.id(), sent));
        }
    }

    /// Asks every case what it wants.
    fn plan(&mut self, now: Now) {
        let ids: Vec<IncidentId> = self.cases.keys().cloned().collect();
        for id in &ids {
            self.plan_case(id, now);
        }
        self.plan_stored(now);
    }

    fn pending(&self) -> usize {
        self.cases.values().filter(|case| case.present && !case.is_in_line()).count()
    }

    fn problem(&self) -> Option<Problem> {
        let cases = self.cases.values();
        worst_problem(cases.flat_map(|case| [(Act::Deliver, &case.deliver), (Act::Commit, &case.ledger)]))
    }

    fn outbox(&self) -> &Outbox<Arc<Message>, MessageRoute> {
        &self.outbox
    }

    fn outbox_mut(&mut self) -> &mut Outbox<Arc<Message>, MessageRoute> {
        &mut self.outbox
    }
}

#[cfg(test)]
mod tests;

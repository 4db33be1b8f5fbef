//! What must outlive a restart, in memory: small, and what a new file must be given. It tracks what the file does not have
//! yet; later changes of the same item replace earlier ones, however long the disk fails.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::Arc;

use super::database::Found;
use crate::domain::board::{Incident, IncidentId, IncidentState};
use crate::domain::event::SeenUp;
use crate::domain::names::{CheckKind, SinkId, TunnelId};
use crate::domain::scope::ParentId;
use crate::domain::silence::{Silence, SilenceId};
use crate::domain::time::{Now, Stamp};
use crate::incident::sink::LedgerRow;

#[derive(Debug, Default)]
pub(super) struct State {
    seen_up: BTreeMap<SeenKey, SeenUp>,
    /// Those on the Board; and those that have left it, with that time, until they are written.
    incidents: BTreeMap<IncidentId, (Arc<Incident>, Option<Stamp>)>,
    ledger: BTreeMap<RowKey, LedgerRow>,
    /// The parents that are known to be down.
    down: BTreeSet<ParentId>,
    /// Those that are not over, each in its first window.
    silences: BTreeMap<SilenceId, Silence>,
    /// Those that are over, until that is written.
    over: BTreeMap<SilenceId, Silence>,
    /// The highest number of a silence that is known to be given.
    last_silence: u32,
    late: LateSilences,
    /// When an incident's first record at a sink was known, where that was in this run; `None` where it was not the incident's.
    paged: BTreeMap<(SinkId, IncidentId), Option<Stamp>>,
    unwritten: BTreeSet<Key>,
}

/// What of silences the daemon does not know yet.
#[derive(Debug, Default)]
pub(super) struct LateSilences {
    /// Those of a file that was opened late, by the numbers that they have now.
    pub(super) found: BTreeMap<SilenceId, Silence>,
    /// Of these, the number that the file had, where another silence has got it meanwhile.
    pub(super) renumbered: Vec<(SilenceId, Silence)>,
    /// Whether the file had given higher numbers.
    pub(super) has_higher: bool,
}

/// The tunnel; and the check and inside address by which our end saw it up, for our end.
type SeenKey = (TunnelId, Option<(CheckKind, IpAddr)>);
/// Sink, incident, generation.
type RowKey = (SinkId, IncidentId, u32);

/// The kinds of change, in the order in which a commit writes them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    SeenUp(SeenKey),
    Down(ParentId),
    Incident(IncidentId),
    /// An incident's rows of a sink are removed before new ones are written.
    Forgotten(SinkId, IncidentId),
    Row(RowKey),
    Paged(SinkId, IncidentId),
    Silence(SilenceId),
}

/// One change that the file does not have.
#[derive(Debug)]
pub(super) enum StateChange<'s> {
    SeenUp(&'s SeenUp),
    /// Whether it is known to be down.
    Down(&'s ParentId, bool),
    /// With the time when it left the Board.
    Incident(&'s Incident, Option<Stamp>),
    Forgotten(&'s SinkId, &'s IncidentId),
    Row(&'s LedgerRow),
    /// When; `None` if it was not.
    Paged(&'s SinkId, &'s IncidentId, Option<Stamp>),
    Silence(&'s Silence),
    SilenceOver(SilenceId),
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

/// Whether it is one silence, whatever number and dates it has got since.
fn is_same(one: &Silence, other: &Silence) -> bool {
    let key = |silence: &Silence| {
        let Silence { id: _, of, from: _, until: _, weekly, reason, by, added, from_now: _ } =
            silence.clone();
        (added, of, by, weekly, reason)
    };
    key(one) == key(other)
}

fn row_key(row: &LedgerRow) -> RowKey {
    (row.sink.clone(), row.incident.clone(), row.generation)
}

impl State {
    /// The state that a file holds.
    pub(super) fn of(found: &Found) -> Self {
        let seen_up = found.remembered.seen_up.iter().map(|seen| (seen_key(seen), seen.clone()));
        let incidents = found.remembered.incidents.iter();
        Self {
            seen_up: seen_up.collect(),
            down: found.remembered.down.iter().cloned().collect(),
            incidents: incidents.map(|it| (it.id.clone(), (Arc::clone(it), None))).collect(),
            ledger: found.ledger.iter().map(|row| (row_key(row), row.clone())).collect(),
            silences: found.silences.iter().map(|silence| (silence.id, silence.clone())).collect(),
            over: BTreeMap::new(),
            last_silence: found.list_of_silences().last().0,
            late: LateSilences::default(),
            paged: BTreeMap::new(),
            unwritten: BTreeSet::new(),
        }
    }

    pub(super) fn seen_up(&mut self, seen: SeenUp) {
        let key = seen_key(&seen);
        // As in the file: an entry without our end of the route does not replace one that has it.
        if has_own_end(&seen) || !self.seen_up.get(&key).is_some_and(has_own_end) {
            self.seen_up.insert(key.clone(), seen);
        }
        self.unwritten.insert(Key::SeenUp(key));
    }

    /// Whether a parent is known to be down.
    pub(super) fn down(&mut self, parent: ParentId, down: bool) {
        self.unwritten.insert(Key::Down(parent.clone()));
        if down {
            self.down.insert(parent);
        } else {
            self.down.remove(&parent);
        }
    }

    /// `settled` is the time when it left the Board.
    pub(super) fn incident(&mut self, incident: Arc<Incident>, settled: Option<Stamp>) {
        self.unwritten.insert(Key::Incident(incident.id.clone()));
        self.incidents.insert(incident.id.clone(), (incident, settled));
    }

    /// Stores a row like [`Self::row`]. Its first record, or accepted message, is a page at this time.
    pub(super) fn row_at(&mut self, row: LedgerRow, at: Stamp) {
        let has = |row: &LedgerRow| row.record.is_some();
        let had = self.ledger.get(&row_key(&row)).is_some_and(has);
        let other =
            self.rows_of(&row.sink, &row.incident).any(|it| it.generation != row.generation && has(it));
        let paged = match (had, has(&row)) {
            (false, true) if !other => Some(Some(at)),
            // The record was that of another incident.
            (true, false) if !other => Some(None),
            (_, _) => None,
        };
        if let Some(at) = paged {
            self.unwritten.insert(Key::Paged(row.sink.clone(), row.incident.clone()));
            self.paged.insert((row.sink.clone(), row.incident.clone()), at);
        }
        self.row(row);
    }

    fn rows_of(&self, sink: &SinkId, incident: &IncidentId) -> impl Iterator<Item = &LedgerRow> {
        let key = |generation| (sink.clone(), incident.clone(), generation);
        self.ledger.range(key(0)..=key(u32::MAX)).map(|(_, row)| row)
    }

    /// The pages of this run that the file may not have.
    pub(super) fn paged(&self, incident: &IncidentId) -> impl Iterator<Item = (&SinkId, Option<Stamp>)> {
        self.paged.iter().filter(move |((_, of), _)| of == incident).map(|((sink, _), at)| (sink, *at))
    }

    /// The incidents on the Board, and those that the file has not as settled yet, after this one; in the order of their ids.
    pub(super) fn incidents(&self, after: Option<&IncidentId>) -> impl Iterator<Item = &Arc<Incident>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.incidents.range((from, Bound::Unbounded)).map(|(_, (incident, _))| incident)
    }

    /// Stores a row, replacing the one with the same sink, incident and generation.
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

    /// A silence in its first window. It may have been given its number before that of a file was known.
    pub(super) fn silence(&mut self, silence: Silence) {
        self.last_silence = self.last_silence.max(silence.id.0);
        let there = self.silences.remove(&silence.id);
        self.unwritten.insert(Key::Silence(silence.id));
        let other = there.filter(|there| !is_same(there, &silence));
        self.silences.insert(silence.id, silence);
        if let Some(other) = other {
            self.late.found.remove(&other.id);
            self.renumber(other);
        }
    }

    /// Removes a silence that is over.
    pub(super) fn silence_over(&mut self, id: SilenceId) {
        self.unwritten.insert(Key::Silence(id));
        if let Some(silence) = self.silences.remove(&id) {
            self.over.insert(id, silence);
        }
    }

    /// Gives a number to a silence of a file whose own number is taken.
    fn renumber(&mut self, silence: Silence) {
        self.last_silence = self.last_silence.saturating_add(1);
        let (before, id) = (silence.id, SilenceId(self.last_silence));
        let silence = Silence { id, ..silence };
        self.late.renumbered.push((before, silence.clone()));
        self.late.found.insert(id, silence.clone());
        self.unwritten.insert(Key::Silence(id));
        self.silences.insert(id, silence);
    }

    /// The silences of a file that was opened late. One that has ended here meanwhile stays so; one whose number has been given to
    /// another gets another number.
    fn join_silences(&mut self, found: Vec<Silence>, last: u32) {
        self.late.has_higher |= last > self.last_silence;
        self.last_silence = self.last_silence.max(last);
        for silence in found {
            let is_known = |known: &Silence| is_same(known, &silence);
            if self.silences.values().any(is_known) || self.over.values().any(is_known) {
                continue;
            }
            if self.silences.contains_key(&silence.id) {
                self.renumber(silence);
            } else {
                self.late.found.insert(silence.id, silence.clone());
                self.silences.insert(silence.id, silence);
            }
        }
    }

    /// What of silences the daemon does not know yet, and the highest number that was given.
    pub(super) fn take_late_silences(&mut self) -> (LateSilences, u32) {
        (std::mem::take(&mut self.late), self.last_silence)
    }

    /// Every row.
    pub(super) fn rows(&self) -> impl Iterator<Item = &LedgerRow> {
        self.ledger.values()
    }

    /// Merges the data of a file that was opened late: what was seen up, the ledger and silences, where newer data is missing. An
    /// incident that is open in it, while another of its kind is open here, is settled, since only one of a kind is open.
    /// Returns those incidents.
    pub(super) fn join(&mut self, found: Found, now: Now) -> Vec<IncidentId> {
        let SilenceId(last) = found.list_of_silences().last();
        for seen in found.remembered.seen_up {
            let key = seen_key(&seen);
            if !self.seen_up.get(&key).is_some_and(has_own_end) {
                self.seen_up.insert(key, seen);
            }
        }
        for parent in found.remembered.down {
            if !self.unwritten.contains(&Key::Down(parent.clone())) {
                self.down.insert(parent);
            }
        }
        for row in found.ledger {
            if !self.unwritten.contains(&Key::Forgotten(row.sink.clone(), row.incident.clone())) {
                self.ledger.entry(row_key(&row)).or_insert(row);
            }
        }
        self.join_silences(found.silences, last);
        let mut settled = Vec::new();
        for incident in found.remembered.incidents {
            let of_its_kind = |(id, (_, settled)): (&IncidentId, &(_, Option<Stamp>))| {
                settled.is_none() && (&id.scope, id.kind) == (&incident.id.scope, incident.id.kind)
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
        let Self {
            seen_up,
            down,
            incidents,
            ledger,
            silences,
            over: _,
            last_silence: _,
            late: _,
            paged,
            unwritten,
        } = self;
        unwritten.extend(seen_up.keys().cloned().map(Key::SeenUp));
        unwritten.extend(down.iter().cloned().map(Key::Down));
        unwritten.extend(incidents.keys().cloned().map(Key::Incident));
        unwritten.extend(ledger.keys().cloned().map(Key::Row));
        unwritten.extend(silences.keys().copied().map(Key::Silence));
        unwritten.extend(paged.keys().cloned().map(|(sink, incident)| Key::Paged(sink, incident)));
    }

    /// The file has all of it.
    pub(super) fn written(&mut self) {
        self.unwritten.clear();
        self.over.clear();
        self.incidents.retain(|_, (_, settled)| settled.is_none());
        let ledger = &self.ledger;
        self.paged.retain(|(sink, incident), at| {
            let key = |generation| (sink.clone(), incident.clone(), generation);
            at.is_some() && ledger.range(key(0)..=key(u32::MAX)).next().is_some()
        });
    }

    pub(super) fn is_written(&self) -> bool {
        self.unwritten.is_empty()
    }

    /// The changes that the file does not have, in the order in which they are written.
    pub(super) fn unwritten(&self) -> impl Iterator<Item = StateChange<'_>> {
        self.unwritten.iter().filter_map(|key| {
            Some(match key {
                Key::SeenUp(key) => StateChange::SeenUp(self.seen_up.get(key)?),
                Key::Down(parent) => StateChange::Down(parent, self.down.contains(parent)),
                Key::Incident(id) => {
                    let (incident, settled) = self.incidents.get(id)?;
                    StateChange::Incident(incident, *settled)
                }
                Key::Forgotten(sink, incident) => StateChange::Forgotten(sink, incident),
                Key::Row(key) => StateChange::Row(self.ledger.get(key)?),
                Key::Paged(sink, incident) => {
                    let at = self.paged.get(&(sink.clone(), incident.clone()))?;
                    StateChange::Paged(sink, incident, *at)
                }
                Key::Silence(id) => match self.silences.get(id) {
                    Some(silence) => StateChange::Silence(silence),
                    None => StateChange::SilenceOver(*id),
                },
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::names::{CheckId, Kind};
    use crate::domain::plan::{OwnEnd, RouteKey};
    use crate::store::fixture::{HOUR, NOW, incident, row, sink, tunnel};

    fn seen(own: Option<&str>) -> SeenUp {
        let own = own.map(|ip| OwnEnd { source_ip: ip.parse().unwrap(), interface: None });
        let route = RouteKey { inside_ip: "169.254.10.1".parse().unwrap(), own };
        SeenUp::Local(CheckId { tunnel: tunnel(), kind: CheckKind::Inside }, route)
    }

    fn unwritten(state: &State) -> Vec<String> {
        let of = |change| match change {
            StateChange::SeenUp(SeenUp::Aws(_)) => "aws".to_owned(),
            StateChange::SeenUp(SeenUp::Local(_, route)) => {
                format!("local {:?}", route.own.as_ref().map(|own| own.source_ip))
            }
            StateChange::Incident(incident, settled) => format!("{} {settled:?}", incident.revision),
            StateChange::Forgotten(..) => "forgotten".to_owned(),
            StateChange::Row(row) => format!("row {}", row.generation),
            StateChange::Paged(_, _, at) => format!("paged {at:?}"),
            StateChange::Silence(silence) => format!("silence {}", silence.id),
            StateChange::Down(parent, down) => {
                format!("{} is {}", parent.name, if down { "down" } else { "not down" })
            }
            StateChange::SilenceOver(id) => format!("silence {id} is over"),
        };
        state.unwritten().map(of).collect()
    }

    #[test]
    fn of_each_thing_only_the_newest_is_written_and_what_is_removed_goes_before_what_is_new() {
        let mut state = State::default();
        let first = incident(HOUR);
        state.row(row(&first, 0));
        state.row(row(&first, 1));
        state.forget(&sink(), &first.id);
        state.row(row(&first, 2));
        state.incident(Arc::clone(&first), None);
        state.incident(Arc::new(Incident { revision: 7, ..Incident::clone(&first) }), None);
        state.seen_up(SeenUp::Aws(tunnel()));
        state.seen_up(SeenUp::Aws(tunnel()));
        assert_eq!(unwritten(&state), ["aws", "7 None", "forgotten", "row 2"]);
        state.written();
        assert!(state.is_written() && unwritten(&state).is_empty());
        state.row(row(&first, 2));
        assert_eq!(unwritten(&state), ["row 2"]);
        state.write_again();
        assert_eq!(unwritten(&state), ["aws", "7 None", "row 2"]);
    }

    #[test]
    fn an_incident_that_left_the_board_is_held_until_that_is_written() {
        let mut state = State::default();
        state.incident(incident(HOUR), Some(NOW.wall));
        state.write_again();
        assert_eq!(unwritten(&state), [format!("1 {:?}", Some(NOW.wall))]);
        state.written();
        state.write_again();
        assert!(state.is_written());
    }

    #[test]
    fn our_end_of_a_route_is_the_last_that_is_known_also_of_two_in_one_commit() {
        let mut state = State::default();
        for own in [None, Some("10.0.0.9"), Some("10.0.0.1"), None] {
            state.seen_up(seen(own));
        }
        assert_eq!(unwritten(&state), ["local Some(10.0.0.1)"]);
        let mut found = Found::default();
        found.remembered.seen_up = vec![seen(Some("10.0.0.7"))];
        state.join(found, NOW);
        assert_eq!(unwritten(&state), ["local Some(10.0.0.1)"]);
    }

    #[test]
    fn of_a_file_that_is_opened_late_what_was_forgotten_stays_so_and_what_it_has_open_is_settled_once() {
        let mut state = State::default();
        let (here, there) = (incident(Duration::from_secs(60)), incident(HOUR));
        state.incident(Arc::clone(&here), None);
        state.forget(&sink(), &there.id);
        let found = || {
            let mut found = Found { ledger: vec![row(&there, 0), row(&here, 0)], ..Found::default() };
            let other = IncidentId { kind: Kind::OneSided, ..there.id.clone() };
            let other = Arc::new(Incident { id: other, ..Incident::clone(&there) });
            found.remembered.incidents = vec![Arc::clone(&there), other];
            found
        };
        assert_eq!(state.join(found(), NOW), std::slice::from_ref(&there.id));
        assert_eq!(state.join(found(), NOW), []);
        assert_eq!(state.rows().cloned().collect::<Vec<_>>(), [row(&here, 0)]);
    }
}

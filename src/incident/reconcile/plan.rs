//! Who wants what: every case and every place is asked, and what they want is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::board::IncidentId;
use crate::domain::names::{Kind, VpnId};
use crate::domain::time::{Moment, Now};

use super::super::action::{Act, NoticeCause, RecordCall, Settled, SinkNotice, Work};
use super::super::lookup::Wanted;
use super::super::sink::{RecordId, Search};
use super::super::wording;
use super::case::{Aim, Around, Case, InFlight, Newer, Older, Standing, Step};
use super::{Reconciler, RecordRoute, notice_once};

/// A row whose incident is not on the Board may be of one that the core takes up late after a start: it is let be for
/// this long before it is forgotten (if settled) or complained of.
const ABSENT_GRACE: Duration = Duration::from_secs(300);

/// Look-ups follow each other at this distance at least, so that connections that go down within a second or two share them …
const LOOK_UPS_APART: Duration = Duration::from_secs(5);
/// … and at this, if a page waits for the next.
const PAGES_LOOK_UPS_APART: Duration = Duration::from_secs(1);

impl Reconciler {
    /// Asks every case what it wants, and every place whether a look-up is due.
    pub(super) fn plan_all(&mut self, now: Now) {
        let mut wanted: BTreeMap<(VpnId, Kind), Wanted> = BTreeMap::new();
        let ids: Vec<IncidentId> = self.cases.keys().cloned().collect();
        for id in &ids {
            self.plan_case(id, now, &mut wanted);
        }
        self.plan_look_ups(now, &wanted);
        self.plan_stored(now);
        self.plan_survey(now);
    }

    fn plan_case(&mut self, id: &IncidentId, now: Now, wanted: &mut BTreeMap<(VpnId, Kind), Wanted>) {
        let at = (id.vpn.clone(), id.kind);
        self.places.entry(at.clone()).or_default();
        let scope = self.settings.scope(&id.vpn, id.kind);
        let (older, newer) = self.siblings(id);
        let related = self.related(id);
        let held = self.held_by_others(id);
        let (Some(case), Some(place)) = (self.cases.get_mut(id), self.places.get(&at)) else { return };
        if case.in_flight.is_some() {
            return;
        }
        let around = Around {
            now,
            settings: &self.settings,
            scope: scope.as_ref(),
            place,
            older,
            newer,
            related,
            held,
        };
        let step = case.advance(&around);
        let commit = case.held(Act::Commit, now.mono).filter(|_| case.dirty);
        let page = case.row.record.is_none() && case.is_open() && !case.is_only_found();
        match step {
            Step::Do(aim, work) => {
                if aim == Aim::Start && case.blind {
                    let cause = NoticeCause::CreatedWithoutList;
                    let notice = SinkNotice::of(&case.incident, self.settings.id(), cause);
                    notice_once(&mut self.noticed, &mut self.outbox, notice);
                }
                let action = self.outbox.send(*work, RecordRoute::Case(id.clone()), now.mono);
                case.launch(action, aim, now);
            }
            Step::Wait { until, look_up } => {
                if let Some((until, why)) = until {
                    self.outbox.wake_at(Some(until), why);
                }
                if let Some(bound) = look_up.filter(|_| scope.is_some()) {
                    let look_up = Wanted { bound, page };
                    wanted.entry(at).and_modify(|known| *known = look_up.or(*known)).or_insert(look_up);
                }
            }
            Step::Settled => {
                case.settled_revision = Some(case.incident.revision);
                self.outbox.settle(Settled { incident: id.clone(), revision: case.incident.revision });
            }
        }
        self.outbox.wake_at(commit, "commit again");
    }

    /// How far the earlier incidents of the same scope are, and whether there is a later one that is open.
    fn siblings(&self, id: &IncidentId) -> (Older, Option<Newer>) {
        let siblings = || {
            self.cases.values().filter(|case| {
                let other = &case.incident.id;
                case.present && other.vpn == id.vpn && other.kind == id.kind
            })
        };
        let older =
            siblings().filter(|case| case.incident.id.opened < id.opened && !case.row.settled).map(|case| {
                let busy = |flight: &InFlight| matches!(flight.aim.act(), Act::Start | Act::Resolve);
                let known = case.row.start.is_some() || case.row.record.is_some();
                let stuck =
                    [Act::Start, Act::Read, Act::Resolve].into_iter().any(|act| case.is_rejected(act));
                if case.in_flight.as_ref().is_some_and(busy) {
                    Older::Busy
                } else if stuck {
                    Older::Clear
                } else if known {
                    Older::Working
                } else {
                    Older::Idle
                }
            });
        let newer =
            siblings().rfind(|case| case.incident.id.opened > id.opened && case.is_open()).map(|case| {
                let read = case.row.record.clone().map(|record| (record, case.standing));
                Newer {
                    ahead: case.ahead,
                    record: read.filter(|(_, standing)| *standing != Standing::Unread),
                }
            });
        (older.max().unwrap_or(Older::Clear), newer)
    }

    fn related(&self, id: &IncidentId) -> Option<(RecordId, String)> {
        let related = self.cases.get(id)?.incident.related.as_ref()?;
        let case = self.cases.get(related)?;
        Some((case.row.record.clone()?, wording::title(&case.incident)))
    }

    fn held_by_others(&self, id: &IncidentId) -> BTreeSet<RecordId> {
        let others =
            self.cases.values().filter(|case| case.incident.id != *id && case.present && case.is_open());
        others.filter_map(|case| case.row.record.clone()).collect()
    }

    /// Look-ups that a case needs, and those made beforehand, so that nothing but the commit and the start itself stands
    /// between agreement and page.
    fn plan_look_ups(&mut self, now: Now, wanted: &BTreeMap<(VpnId, Kind), Wanted>) {
        for vpn in &self.board.prepare {
            for kind in Kind::ALL.into_iter().filter(|kind| self.settings.sink.takes(vpn, *kind)) {
                self.places.entry((vpn.clone(), kind)).or_default();
            }
        }
        let told: BTreeSet<(VpnId, Kind)> = self
            .cases
            .values()
            .filter(|case| case.present && case.row.record.is_some() && !case.row.settled)
            .map(|case| (case.incident.id.vpn.clone(), case.incident.id.kind))
            .collect();
        let (mut of, mut scopes, mut page, mut earliest) = (Vec::new(), Vec::new(), false, None);
        for (at, place) in &mut self.places {
            if !self.settings.vpns.contains_key(&at.0) {
                continue;
            }
            let taken = self.settings.sink.takes(&at.0, at.1);
            place.prepare(taken && !told.contains(at) && self.board.prepare.contains(&at.0), now.mono);
            let wanted = wanted.get(at).copied();
            let Some(due) = place.due(wanted, now.mono) else { continue };
            let Some(scope) = self.settings.scope(&at.0, at.1) else { continue };
            page |= due <= now.mono && wanted.is_some_and(|wanted| wanted.page);
            earliest = Some(earliest.map_or(due, |earliest: Moment| earliest.min(due)));
            of.push(at.clone());
            scopes.push(scope);
        }
        let apart = if page { PAGES_LOOK_UPS_APART } else { LOOK_UPS_APART };
        let again = self.looked_up.map(|last| last + apart);
        let Some(due) = earliest.map(|due| again.map_or(due, |again| due.max(again))) else { return };
        if due > now.mono {
            self.outbox.wake_at(Some(due), "look up");
            return;
        }
        // Those that are not due yet are served as well: it is the same call.
        let mut overtaken = None;
        for at in &of {
            if let Some(place) = self.places.get_mut(at) {
                place.asked = Some(now.mono);
                overtaken = overtaken.into_iter().chain(place.due(wanted.get(at).copied(), now.mono)).min();
            }
        }
        self.looked_up = Some(now.mono);
        self.outbox.wake_at(overtaken, "a list is overdue");
        let search = Search { scopes, page };
        self.send(RecordCall::Find { search }, RecordRoute::Places { of, asked: now.mono }, now);
    }

    /// Rows of incidents that have not come back on the Board since the start.
    fn plan_stored(&mut self, now: Now) {
        if self.stored.is_empty() {
            return;
        }
        let due = self.started + ABSENT_GRACE;
        if due > now.mono {
            self.outbox.wake_at(Some(due), "rows without an incident");
            return;
        }
        for (incident, rows) in mem::take(&mut self.stored) {
            if rows.last().is_some_and(|row| row.settled) {
                self.outbox.send(Work::Forget { incident }, RecordRoute::Stored, now.mono);
                continue;
            }
            let record = rows.last().and_then(|row| row.record.as_ref());
            let goes_on = |case: &Case| case.present && case.row.record.as_ref() == record;
            if record.is_some() && self.cases.values().any(goes_on) {
                // It was found open, and taken up.
                self.outbox.send(Work::Forget { incident }, RecordRoute::Stored, now.mono);
                continue;
            }
            let notice = SinkNotice {
                site: Arc::clone(&self.settings.site),
                sink: self.settings.id().clone(),
                vpn_name: None,
                cause: NoticeCause::LeftOpen(record.cloned()),
                incident,
            };
            notice_once(&mut self.noticed, &mut self.outbox, notice);
        }
    }
}

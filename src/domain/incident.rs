//! When an incident opens and when it is resolved: one state machine per scope and kind.
//!
//! `Clear → Pending → Open → Clearing → Clear`. The condition must have held for a while before an incident opens, by its share
//! of the time ([`Hold`]), so that a line that flaps opens one; the closing condition must hold for a while without a
//! break before it is resolved. Unknown pauses both clocks and resets neither. The return of the condition sends Clearing back
//! to Open. Each further incident of a kind within a day doubles how long the closing condition must
//! hold, so that a flapping line is one incident.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::board::{Incident, IncidentState, TimelineChange, Withheld};
use super::condition::Hold;
use super::condition::Truth;
use super::fact::{Effects, Fact, IncidentChange};
use super::names::{Kind, SinkId};
use super::plan::IncidentRules;
use super::scope::Scope;
use super::status::Phase;
use super::story::{Scene, Story};
use super::time::{Moment, Now, Stamp};

/// Openings older than this do not count as flapping.
const FLAPPING_WITHIN: Duration = Duration::from_secs(24 * 3600);

/// However often a line flaps, an hour of health is health.
const RESOLVE_AFTER_MAX: Duration = Duration::from_secs(3600);

#[derive(Debug)]
enum WatchState {
    Clear,
    Pending {
        hold: Hold,
    },
    /// `confirming`: how long this site has seen the condition of an adopted incident hold.
    Open {
        story: Story,
        confirming: Hold,
    },
    Clearing {
        story: Story,
        hold: Hold,
    },
}

/// One step's input.
#[derive(Debug, Clone)]
pub struct KindEvidence {
    /// Whether the condition holds.
    pub opens: Truth,
    /// Whether the closing condition holds.
    pub closes: Truth,
    /// The rules in force.
    pub rules: IncidentRules,
    /// Nothing opens before.
    pub grace_until: Moment,
    /// What withholds the record of an incident of this kind now.
    pub withheld: Option<Withheld>,
    /// Whether what both ends agreed on lasts by our end, as far as AWS does not contradict: it may have fallen silent since.
    pub lasts: bool,
}

/// The phase machine of one kind and scope.
#[derive(Debug)]
pub struct KindWatch {
    scope: Scope,
    kind: Kind,
    state: WatchState,
    openings: VecDeque<Moment>,
    /// For how long the condition of an open incident has held, for the sake of its record.
    sendable: Hold,
}

impl KindWatch {
    /// Clear, or Open if an incident of an earlier run is still open.
    pub fn new(scope: Scope, kind: Kind, open: Option<Arc<Incident>>, openings: VecDeque<Moment>) -> Self {
        let state = open.map_or(WatchState::Clear, |incident| WatchState::Open {
            story: Story::resume(incident),
            confirming: Hold::default(),
        });
        Self { scope, kind, state, openings, sendable: Hold::default() }
    }

    /// Which kind.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Its phase.
    pub const fn phase(&self) -> Phase {
        match self.state {
            WatchState::Clear => Phase::Clear,
            WatchState::Pending { .. } => Phase::Pending,
            WatchState::Open { .. } => Phase::Open,
            WatchState::Clearing { .. } => Phase::Clearing,
        }
    }

    /// The open incident.
    pub const fn incident(&self) -> Option<&Arc<Incident>> {
        match &self.state {
            WatchState::Open { story, .. } | WatchState::Clearing { story, .. } => Some(story.incident()),
            WatchState::Clear | WatchState::Pending { .. } => None,
        }
    }

    /// What withholds the record of the open incident, while its condition holds and has held for as long as it takes to open.
    pub fn held_back_by(&self, rules: &IncidentRules) -> Option<&Withheld> {
        let needed = rules.open_after(self.kind)?;
        self.incident().filter(|_| self.sendable.has_held(needed))?.withheld.as_ref()
    }

    /// Whether an open incident's record is withheld.
    pub fn is_withheld(&self) -> bool {
        self.incident().is_some_and(|incident| incident.withheld.is_some())
    }

    /// The open incident's story.
    pub const fn story_mut(&mut self) -> Option<&mut Story> {
        match &mut self.state {
            WatchState::Open { story, .. } | WatchState::Clearing { story, .. } => Some(story),
            WatchState::Clear | WatchState::Pending { .. } => None,
        }
    }

    /// Applies the conditions as of `now`; returns the incident if it is over.
    pub fn step(
        &mut self,
        step: KindEvidence,
        scene: impl FnOnce() -> Scene,
        now: Now,
        fx: &mut Effects,
    ) -> Option<Arc<Incident>> {
        let to_be_sent = to_be_sent(&step, self.incident());
        self.sendable.observe(to_be_sent, step.rules.open_after(self.kind).unwrap_or_default(), now.mono);
        match std::mem::replace(&mut self.state, WatchState::Clear) {
            WatchState::Clear => {
                if step.opens == Truth::True
                    && let Some(opens_in) = step.rules.open_after(self.kind)
                {
                    let (scope, kind) = (self.scope.clone(), self.kind);
                    fx.facts.push_back(Fact::IncidentPending { scope, kind, opens_in, at: now });
                    self.pend(Hold::default(), &step, scene, now, fx);
                }
                None
            }
            WatchState::Pending { hold } => {
                self.pend(hold, &step, scene, now, fx);
                None
            }
            WatchState::Open { mut story, confirming } => {
                self.withhold(&mut story, &step, now, fx);
                self.open(story, confirming, &step, now, fx)
            }
            WatchState::Clearing { mut story, hold } => {
                self.withhold(&mut story, &step, now, fx);
                self.clear(story, hold, &step, now, fx)
            }
        }
    }

    /// When `step` must be called again, if nothing happens before.
    pub fn deadline(&self, rules: &IncidentRules, grace_until: Moment, now: Moment) -> Option<Moment> {
        let released = self.released_at(rules).filter(|at| self.is_withheld() && *at > now);
        self.changes_at(rules, grace_until).into_iter().chain(released).min()
    }

    fn changes_at(&self, rules: &IncidentRules, grace_until: Moment) -> Option<Moment> {
        match &self.state {
            WatchState::Clear => None,
            WatchState::Pending { hold } | WatchState::Open { confirming: hold, .. } => {
                let held_at = hold.held_at(rules.open_after(self.kind)?);
                held_at.map(|at| at.max(grace_until)).or(hold.spent_at())
            }
            WatchState::Clearing { hold, .. } => hold.held_at(self.resolve_after(rules)),
        }
    }

    /// The process was held up for this long: what may have held meanwhile does not count.
    pub fn held_up(&mut self, gap: Duration) {
        self.sendable.held_up(gap);
        match &mut self.state {
            WatchState::Clear => {}
            WatchState::Pending { hold, .. }
            | WatchState::Open { confirming: hold, .. }
            | WatchState::Clearing { hold, .. } => hold.held_up(gap),
        }
    }

    /// Whether an incident is about to open, or is open.
    pub const fn is_under_way(&self) -> bool {
        match &self.state {
            WatchState::Clear => false,
            WatchState::Pending { .. } | WatchState::Open { .. } | WatchState::Clearing { .. } => true,
        }
    }

    /// The recent openings, which double `resolve_after`.
    pub const fn openings(&self) -> &VecDeque<Moment> {
        &self.openings
    }

    /// The scope is no longer watched; returns the incident that was open.
    pub fn unwatch(&mut self, now: Now, fx: &mut Effects) -> Option<Arc<Incident>> {
        match std::mem::replace(&mut self.state, WatchState::Clear) {
            WatchState::Clear | WatchState::Pending { .. } => None,
            WatchState::Open { story, .. } | WatchState::Clearing { story, .. } => {
                Some(self.end(story, IncidentState::Unwatched { at: now.wall }, now, fx))
            }
        }
    }

    fn pend(
        &mut self,
        mut hold: Hold,
        step: &KindEvidence,
        scene: impl FnOnce() -> Scene,
        now: Now,
        fx: &mut Effects,
    ) {
        let open_after = step.rules.open_after(self.kind).filter(|open_after| {
            hold.observe(step.opens, *open_after, now.mono);
            step.opens != Truth::False || !hold.is_spent()
        });
        let Some(open_after) = open_after else {
            let (scope, kind) = (self.scope.clone(), self.kind);
            fx.facts.push_back(Fact::IncidentAverted { scope, kind, at: now });
            return;
        };
        if !hold.has_held(open_after) || now.mono < step.grace_until {
            self.state = WatchState::Pending { hold };
            return;
        }
        self.count_opening(now.mono, now.mono);
        let mut story = Story::open(self.scope.clone(), self.kind, scene(), now);
        if let Some(by) = &step.withheld {
            story.withhold(by.clone(), now.wall);
        }
        self.sendable = hold;
        report(&story, IncidentChange::Opened, now, fx);
        self.state = WatchState::Open { story, confirming: Hold::default() };
    }

    fn open(
        &mut self,
        mut story: Story,
        mut confirming: Hold,
        step: &KindEvidence,
        now: Now,
        fx: &mut Effects,
    ) -> Option<Arc<Incident>> {
        self.confirm(&mut story, &mut confirming, step, now, fx);
        match step.closes {
            Truth::True => {
                story.add(TimelineChange::Clearing, now.wall);
                report(&story, IncidentChange::Clearing, now, fx);
                self.clear(story, Hold::default(), step, now, fx)
            }
            Truth::False | Truth::Unknown => {
                self.state = WatchState::Open { story, confirming };
                None
            }
        }
    }

    fn clear(
        &mut self,
        mut story: Story,
        mut hold: Hold,
        step: &KindEvidence,
        now: Now,
        fx: &mut Effects,
    ) -> Option<Arc<Incident>> {
        hold.observe(step.closes, self.resolve_after(&step.rules), now.mono);
        if step.closes == Truth::False || step.opens == Truth::True {
            story.add(TimelineChange::Reopened, now.wall);
            report(&story, IncidentChange::Reopened, now, fx);
            let mut confirming = Hold::default();
            self.confirm(&mut story, &mut confirming, step, now, fx);
            self.state = WatchState::Open { story, confirming };
            return None;
        }
        if !hold.has_held(self.resolve_after(&step.rules)) {
            self.state = WatchState::Clearing { story, hold };
            return None;
        }
        Some(self.end(story, IncidentState::Resolved { at: now.wall }, now, fx))
    }

    fn end(&self, mut story: Story, state: IncidentState, now: Now, fx: &mut Effects) -> Arc<Incident> {
        let (entry, change) = match state {
            IncidentState::Open | IncidentState::Resolved { .. } => {
                (TimelineChange::Resolved, IncidentChange::Resolved)
            }
            IncidentState::Unwatched { .. } => (TimelineChange::Unwatched, IncidentChange::Unwatched),
        };
        story.set_state(state);
        story.add(entry, now.wall);
        report(&story, change, now, fx);
        Arc::clone(story.incident())
    }

    /// An opening at `at` counts as long as it is recent enough.
    fn count_opening(&mut self, at: Moment, now: Moment) {
        self.openings.push_back(at);
        self.openings.make_contiguous().sort_unstable();
        while self.openings.front().is_some_and(|at| now.since(*at) > FLAPPING_WITHIN) {
            self.openings.pop_front();
        }
    }

    /// What withholds the record changes, or ends. Then the record is created if the condition has held for as long as it takes to
    /// open, by its share of the time as at the opening: what was about to be over, and is not, may have an explanation that is not
    /// known yet.
    fn withhold(&self, story: &mut Story, step: &KindEvidence, now: Now, fx: &mut Effects) {
        let Some(by) = &story.incident().withheld else { return };
        match &step.withheld {
            Some(other) if other == by => {}
            Some(other) => {
                story.withhold(other.clone(), now.wall);
                report(story, IncidentChange::Updated, now, fx);
            }
            None if step.rules.open_after(self.kind).is_some_and(|needed| self.sendable.has_held(needed)) => {
                story.release(now.wall);
                report(story, IncidentChange::Released, now, fx);
            }
            None => {}
        }
    }

    fn released_at(&self, rules: &IncidentRules) -> Option<Moment> {
        self.sendable.held_at(rules.open_after(self.kind)?)
    }

    fn resolve_after(&self, rules: &IncidentRules) -> Duration {
        let doublings = u32::try_from(self.openings.len()).unwrap_or(u32::MAX).saturating_sub(1).min(16);
        let doubled = rules.resolve_after.saturating_mul(1 << doublings);
        doubled.min(RESOLVE_AFTER_MAX.max(rules.resolve_after))
    }

    /// This host stops voting: the address has moved to another one. A pending incident is dropped: when this host is back,
    /// that evidence will be out of date. An open one is handed over: its record stays open, and the host that votes from here
    /// on adopts it.
    pub fn leave(&mut self, now: Now, fx: &mut Effects) -> Option<Arc<Incident>> {
        match std::mem::replace(&mut self.state, WatchState::Clear) {
            WatchState::Clear => None,
            WatchState::Pending { .. } => {
                let (scope, kind) = (self.scope.clone(), self.kind);
                fx.facts.push_back(Fact::IncidentAverted { scope, kind, at: now });
                None
            }
            WatchState::Open { mut story, .. } | WatchState::Clearing { mut story, .. } => {
                story.set_state(IncidentState::Unwatched { at: now.wall });
                story.add(TimelineChange::HandedOver, now.wall);
                report(&story, IncidentChange::HandedOver, now, fx);
                Some(Arc::clone(story.incident()))
            }
        }
    }

    /// Adopts a record that was found open at `sink` (created at `created` on the sink's clock) and that no incident here
    /// accounts for. The daemon resolves it like its own, but starts no other record until this site has seen the condition
    /// hold itself. If an incident is already open it accounts for the record, and nothing changes.
    pub fn adopt(&mut self, sink: SinkId, created: Stamp, scene: Scene, now: Now, fx: &mut Effects) {
        let confirming = match &self.state {
            WatchState::Open { .. } | WatchState::Clearing { .. } => return,
            WatchState::Clear => Hold::default(),
            // The time held so far counts: the incident that was about to open is this one.
            WatchState::Pending { hold } => *hold,
        };
        self.count_opening(now.mono - now.wall.since(created), now.mono);
        let story = Story::adopt(self.scope.clone(), self.kind, scene, sink, created, now.wall);
        report(&story, IncidentChange::Adopted, now, fx);
        self.state = WatchState::Open { story, confirming };
    }

    /// Whether this site itself sees the condition of an adopted incident.
    fn confirm(
        &self,
        story: &mut Story,
        confirming: &mut Hold,
        step: &KindEvidence,
        now: Now,
        fx: &mut Effects,
    ) {
        let (Some(_), Some(open_after)) = (&story.incident().found_at, step.rules.open_after(self.kind))
        else {
            *confirming = Hold::default();
            return;
        };
        confirming.observe(step.opens, open_after, now.mono);
        if confirming.has_held(open_after) && now.mono >= step.grace_until {
            *confirming = Hold::default();
            story.confirm(now.wall);
            report(story, IncidentChange::Confirmed, now, fx);
        }
    }
}

/// Whether an incident's condition holds for the sake of its record. What both ends agreed on before a parent explained it also
/// lasts by our end alone; after a silence both ends must say so.
fn to_be_sent(step: &KindEvidence, incident: Option<&Arc<Incident>>) -> Truth {
    let by_parent = matches!(incident.and_then(|it| it.withheld.as_ref()), Some(Withheld::Explained(_)));
    if by_parent && step.lasts { Truth::True } else { step.opens }
}

fn report(story: &Story, change: IncidentChange, at: Now, fx: &mut Effects) {
    fx.facts.push_back(Fact::IncidentChanged { incident: Arc::clone(story.incident()), change, at });
}

#[cfg(test)]
mod tests;

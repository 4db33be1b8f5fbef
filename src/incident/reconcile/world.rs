//! A world for the reconciler's tests: a sink whose doubtful habits are switches, a line that fails, daemons with ledgers
//! of their own, and time by hand.

mod vendor;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::board::{
    Board, Child, Incident, IncidentId, IncidentState, TimelineChange, Trouble, TunnelSnapshot, Withheld,
};
use crate::domain::carrying::Carrying;
use crate::domain::cause::Cause;
use crate::domain::names::{Destination, End, Kind, Role, SinkId, TunnelId, VpnId};
use crate::domain::plan::SinkPlan;
use crate::domain::scope::{ParentId, ParentKind, Scope};
use crate::domain::silence::SilenceId;
use crate::domain::story::{Scene, Story};
use crate::domain::time::{Now, Stamp};
use crate::domain::verdict::{Assessment, AwsEvidence, Evidence, LocalEvidence, Verdict, View};

use super::super::action::{
    ActionFailure, ActionId, ActionKind, RecordCall, Reply, SinkAction, SinkEvent, SinkNotice, SinkReport,
    UnclaimedRecord, Work,
};
use super::super::outbox::Machine;
use super::super::settings::{SinkRules, VpnSettings};
use super::super::sink::{LedgerError, LedgerRow, RecordId, SinkError};
use super::Reconciler;

pub(super) use vendor::{Kept, KnownToken, Switches, Vendor};

pub(in super::super) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(in super::super) fn vpn() -> VpnId {
    VpnId::new("vpn-0123456789abcdef0")
}

/// Another connection with the same parents.
fn other_vpn() -> VpnId {
    VpnId::new("vpn-0123456789abcdef1")
}

/// Two sites whose plans are those of `{scope}` need different names for what is theirs alone: a plan's name does not have the site.
fn parent_of(site: &str, kind: ParentKind) -> ParentId {
    let name = match (kind, site) {
        (ParentKind::Group, _) => "paris",
        (ParentKind::Uplink, "milan-1") => "wan1",
        (ParentKind::Uplink, _) => "wan2",
        (ParentKind::Site, _) => site,
    };
    ParentId { kind, site: site.into(), name: name.into() }
}

/// A parent of the connection at milan-1.
pub(in super::super) fn parent(kind: ParentKind) -> ParentId {
    parent_of("milan-1", kind)
}

fn parent_scene(site: &str, id: &ParentId, at: Stamp) -> Scene {
    let trouble = Trouble { kind: Some(Kind::Outage), since: at, cause: Some(Cause::UplinkDown) };
    let child = |vpn, name: &str| Child { vpn, name: name.into(), trouble: Some(trouble.clone()) };
    Scene {
        site: site.into(),
        name: Arc::clone(&id.name),
        tunnels: Vec::new(),
        children: vec![child(vpn(), "Milan DC, primary"), child(other_vpn(), "Milan DC, secondary")],
        related: None,
    }
}

/// An incident of a parent at milan-1.
pub(in super::super) fn parent_story(parent: ParentKind, kind: Kind, now: Now) -> Story {
    story_of_parent("milan-1", parent, kind, now)
}

fn story_of_parent(site: &str, parent: ParentKind, kind: Kind, now: Now) -> Story {
    let id = parent_of(site, parent);
    let scene = parent_scene(site, &id, now.wall);
    Story::open(Scope::Parent(id), kind, scene, now)
}

/// The story of an incident that is withheld, or released.
pub(in super::super) fn withheld(story: &Story, by: Option<Withheld>, at: Stamp) -> Story {
    let change = match &by {
        Some(by) => TimelineChange::Withheld { by: by.clone() },
        None => TimelineChange::Released,
    };
    let incident = Incident { withheld: by, ..Incident::clone(story.incident()) };
    let mut story = Story::resume(Arc::new(incident));
    story.add(change, at);
    story
}

pub(in super::super) fn tunnel(last: u8) -> TunnelId {
    TunnelId { vpn: vpn(), outside_ip: [203, 0, 113, last].into() }
}

pub(in super::super) fn settings(site: &str) -> SinkRules {
    SinkRules {
        sink: SinkPlan {
            id: SinkId::new("incident_manager"),
            destination: Destination::new("0123"),
            kinds: BTreeSet::from(Kind::ALL),
            scopes: None,
        },
        site: site.into(),
        plan: "arn:aws:ssm-incidents::123456789012:response-plan/bothends-{scope}-{kind}".into(),
        impact: BTreeMap::new(),
        vpns: BTreeMap::from([(
            vpn(),
            VpnSettings {
                region: "eu-west-1".into(),
                runbook_url: Some("https://wiki.example/vpn".into()),
                notes: Some("Ring the carrier first.".into()),
                ..VpnSettings::default()
            },
        )]),
        parents: ParentKind::ALL
            .map(|kind| (parent_of(site, kind), BTreeSet::from([vpn(), other_vpn()])))
            .into(),
    }
}

pub(in super::super) fn snapshot(last: u8, at: Now) -> TunnelSnapshot {
    let stopped = Some(Now { mono: at.mono - secs(30), wall: at.wall - secs(30) });
    let local = Evidence::Local(LocalEvidence { losses_in_row: 10, stopped, ..LocalEvidence::default() });
    let aws = Evidence::Aws(AwsEvidence { as_of: Some(at.wall), ..AwsEvidence::default() });
    TunnelSnapshot {
        diagnosis: None,
        id: tunnel(last),
        name: format!("tunnel {}", last - 10).into(),
        role: Role::Active,
        local: View { verdict: Verdict::Down, since: at, evidence: local },
        aws: View { verdict: Verdict::Down, since: at, evidence: aws },
        assessment: Assessment::Down,
        carrying: Carrying::of(Assessment::Down),
        quality: Default::default(),
        quality_since: None,
    }
}

pub(in super::super) fn story(site: &str, kind: Kind, related: Option<IncidentId>, now: Now) -> Story {
    let tunnels = vec![snapshot(11, now), snapshot(12, now)];
    let scene =
        Scene { site: site.into(), name: "Milan DC, primary".into(), tunnels, children: Vec::new(), related };
    Story::open(vpn().into(), kind, scene, now)
}

/// Whether a connection's incident lasts.
fn is_open(story: &Story) -> bool {
    story.incident().id.scope.vpn().is_some() && lasts(story)
}

fn lasts(story: &Story) -> bool {
    story.incident().state == IncidentState::Open
}

/// A silence.
pub(in super::super) const SILENCED: Withheld = Withheld::Silenced(SilenceId(1));

/// How the line fails, in percent of the calls.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    /// The sink is not reached.
    pub(super) refused: u64,
    /// The sink acts, and its answer is lost.
    pub(super) lost: u64,
    /// The sink acts, or not, and there is no answer at all.
    pub(super) silent: u64,
    /// The answer comes twice.
    pub(super) twice: u64,
    /// The ledger does not write.
    pub(super) ledger: u64,
}

pub(super) struct Daemon {
    pub(super) site: &'static str,
    pub(super) machine: Reconciler,
    pub(super) ledger: BTreeMap<(IncidentId, u32), LedgerRow>,
    pub(super) stories: Vec<Story>,
    /// The records that the reconciler reported as unclaimed.
    pub(super) found: Vec<UnclaimedRecord>,
    pub(super) prepare: bool,
    /// Every incident that it has settled, with its record; those apart that it had taken up and never seen for itself.
    pub(super) settled: Vec<(IncidentId, Option<RecordId>)>,
    pub(super) settled_as_found: Vec<(IncidentId, Option<RecordId>)>,
    /// Those that were withheld to their end, and have none.
    pub(super) settled_withheld: BTreeSet<IncidentId>,
    /// What the core withholds the connection's incidents for.
    pub(super) withheld: Option<Withheld>,
    /// Its sink does not take incidents of parents.
    pub(super) takes_no_parent: bool,
    /// The incidents of which a first record was decided on.
    begun: BTreeSet<IncidentId>,
    pub(super) pending: usize,
    pub(super) said: Vec<SinkNotice>,
    pub(super) away_until: Stamp,
    /// It crashes when so many more of its actions have been executed.
    pub(super) fuse: Option<u32>,
    life: u32,
}

enum Due {
    Execute {
        daemon: usize,
        life: u32,
        id: ActionId,
        work: Box<Work<RecordCall>>,
        reach: bool,
        answer: Answer,
    },
    Answer {
        daemon: usize,
        life: u32,
        id: ActionId,
        result: Result<Reply, ActionFailure>,
    },
    Do(Box<dyn FnOnce(&mut World)>),
}

#[derive(Clone, Copy)]
enum Answer {
    Once,
    Twice,
    Lost,
    None,
}

pub(super) struct World {
    pub(super) now: Now,
    pub(super) vendor: Vendor,
    pub(super) daemons: Vec<Daemon>,
    pub(super) faults: Faults,
    /// What to answer to the next actions of a kind, without executing them.
    pub(super) scripted: BTreeMap<ActionKind, VecDeque<SinkError>>,
    /// Every action that has arrived: when, from which site, what.
    pub(super) log: Vec<(Stamp, &'static str, Work<RecordCall>)>,
    pub(super) dice: Dice,
    /// Whether the cores take up what is found.
    pub(super) takes_up: bool,
    /// Since when nothing is down.
    pub(super) well_since: Option<Stamp>,
    due: BTreeMap<(Stamp, u64), Due>,
    next: u64,
}

impl World {
    pub(super) fn new(switches: Switches, sites: &[&'static str], seed: u64) -> Self {
        let now = Now::default().after(secs(1_000_000));
        let daemons = sites
            .iter()
            .map(|site| Daemon {
                site,
                machine: Reconciler::new(settings(site), Vec::new(), now),
                ledger: BTreeMap::new(),
                stories: Vec::new(),
                found: Vec::new(),
                prepare: false,
                settled: Vec::new(),
                settled_as_found: Vec::new(),
                settled_withheld: BTreeSet::new(),
                withheld: None,
                takes_no_parent: false,
                begun: BTreeSet::new(),
                pending: 0,
                said: Vec::new(),
                away_until: Stamp::default(),
                fuse: None,
                life: 0,
            })
            .collect();
        Self {
            now,
            vendor: Vendor::new(switches),
            daemons,
            faults: Faults::default(),
            scripted: BTreeMap::new(),
            log: Vec::new(),
            dice: Dice(seed),
            takes_up: false,
            well_since: None,
            due: BTreeMap::new(),
            next: 0,
        }
    }

    /// Lets time pass, and everything happen that is due.
    pub(super) fn pass(&mut self, by: Duration) {
        let end = self.now.wall + by;
        loop {
            let event = self.due.keys().next().copied();
            let timer = self
                .daemons
                .iter()
                .enumerate()
                .filter_map(|(index, daemon)| daemon.machine.poll_timeout().map(|(at, _)| (at, index)))
                .min();
            // The simulated clocks run together; a timer between two milliseconds fires at the later.
            let timer = timer.map(|(at, index)| {
                let nanos = at.since(self.now.mono).as_nanos();
                let wait = Duration::from_millis(u64::try_from(nanos.div_ceil(1_000_000)).unwrap());
                (self.now.wall + wait, index)
            });
            match (event, timer) {
                (Some((at, _)), timer) if at <= end && timer.is_none_or(|(timer, _)| at <= timer) => {
                    self.advance_to(at);
                    let (_, due) = self.due.pop_first().unwrap();
                    self.happen(due);
                }
                (_, Some((at, index))) if at <= end => {
                    self.advance_to(at);
                    let now = self.now;
                    self.daemons[index].machine.handle_timeout(now);
                    self.take(index);
                }
                (_, _) => break,
            }
        }
        self.advance_to(end);
    }

    fn advance_to(&mut self, at: Stamp) {
        self.now = self.now.after(at.since(self.now.wall));
    }

    pub(super) fn later(&mut self, after: Duration, what: impl FnOnce(&mut Self) + 'static) {
        self.schedule(after, Due::Do(Box::new(what)));
    }

    fn schedule(&mut self, after: Duration, due: Due) {
        self.next += 1;
        self.due.insert((self.now.wall + after, self.next), due);
    }

    /// Shows a daemon its Board.
    pub(super) fn show(&mut self, index: usize) {
        let now = self.now;
        let daemon = &mut self.daemons[index];
        let mut incidents: Vec<Arc<Incident>> =
            daemon.stories.iter().map(|story| story.incident().clone()).collect();
        incidents.sort_by(|a, b| a.id.cmp(&b.id));
        let prepare = daemon.prepare.then(|| vpn().into()).into_iter().collect();
        daemon.machine.handle(SinkEvent::Board(Arc::new(Board { incidents, prepare })), now);
        self.take(index);
    }

    /// A daemon's core is sure: it opens an incident, or sees for itself what it has taken up.
    pub(super) fn open(&mut self, index: usize, kind: Kind) {
        let at = self.now.wall;
        let mut stories = self.daemons[index].stories.iter_mut();
        let open = |story: &&mut Story| is_open(story) && story.incident().id.kind == kind;
        if let Some(story) = stories.find(open) {
            if story.incident().found_at.is_some() {
                story.confirm(at);
            }
            self.mark(index);
            return self.show(index);
        }
        let related = self.daemons[index].stories.last().map(|story| story.incident().id.clone());
        let story = story(self.daemons[index].site, kind, related.filter(|id| id.kind != kind), self.now);
        self.daemons[index].stories.push(story);
        self.mark(index);
        self.show(index);
    }

    /// The core withholds the connection's incidents, those that are open and those to come, or releases what is still down.
    pub(super) fn withhold(&mut self, index: usize, by: Option<Withheld>) {
        self.daemons[index].withheld = by;
        self.mark(index);
        self.show(index);
    }

    fn mark(&mut self, index: usize) {
        let at = self.now.wall;
        let Daemon { stories, withheld: by, .. } = &mut self.daemons[index];
        for story in stories.iter_mut().filter(|story| is_open(story) && story.incident().withheld != *by) {
            *story = withheld(story, by.clone(), at);
        }
    }

    /// The uplink fails, and explains the connection's incidents.
    pub(super) fn uplink_fails(&mut self, index: usize) {
        let (at, site) = (self.now, self.daemons[index].site);
        let mut stories = self.daemons[index].stories.iter_mut();
        match stories.find(|story| story.incident().id.scope.parent().is_some() && lasts(story)) {
            Some(story) if story.incident().found_at.is_some() => story.confirm(at.wall),
            Some(_) => {}
            None => {
                let story = story_of_parent(site, ParentKind::Uplink, Kind::Outage, at);
                self.daemons[index].stories.push(story);
            }
        }
        let by = Withheld::Explained(parent_of(site, ParentKind::Uplink));
        self.withhold(index, Some(by));
    }

    /// It works again: what it explained and is still down is released at that moment.
    pub(super) fn uplink_works(&mut self, index: usize) {
        self.end_parent(index);
        self.withhold(index, None);
    }

    fn end_parent(&mut self, index: usize) {
        let at = self.now.wall;
        for story in &mut self.daemons[index].stories {
            if story.incident().id.scope.parent().is_some() && lasts(story) {
                story.set_state(IncidentState::Resolved { at });
                story.add(TimelineChange::Resolved, at);
            }
        }
    }

    /// Whether the core withholds this incident, by what the Board says alone.
    fn is_withheld(&self, index: usize, id: &IncidentId) -> bool {
        let stories = &self.daemons[index].stories;
        let incident = stories.iter().map(Story::incident).find(|incident| incident.id == *id);
        match incident.and_then(|incident| incident.withheld.as_ref()) {
            None => false,
            Some(Withheld::Silenced(_)) => true,
            Some(Withheld::Explained(_)) if self.daemons[index].takes_no_parent => false,
            Some(Withheld::Explained(parent)) => {
                stories.iter().any(|story| lasts(story) && story.incident().id.scope.parent() == Some(parent))
            }
        }
    }

    /// Adds to the newest open incident of a daemon.
    pub(super) fn add(&mut self, index: usize, changes: Vec<TimelineChange>) {
        let at = self.now.wall;
        let mut stories = self.daemons[index].stories.iter_mut().rev();
        if let Some(story) = stories.find(|story| is_open(story)) {
            for change in changes {
                match change {
                    TimelineChange::Resolved => story.set_state(IncidentState::Resolved { at }),
                    TimelineChange::Unwatched | TimelineChange::HandedOver => {
                        story.set_state(IncidentState::Unwatched { at })
                    }
                    TimelineChange::Opened
                    | TimelineChange::Adopted { .. }
                    | TimelineChange::Confirmed
                    | TimelineChange::View { .. }
                    | TimelineChange::Assessment { .. }
                    | TimelineChange::Cause { .. }
                    | TimelineChange::Quality { .. }
                    | TimelineChange::Children { .. }
                    | TimelineChange::Withheld { .. }
                    | TimelineChange::Released
                    | TimelineChange::Clearing
                    | TimelineChange::Reopened
                    | TimelineChange::Missed => {}
                }
                story.add(change, at);
            }
            self.show(index);
        }
    }

    /// The daemon dies and starts again, from its ledger and what its store remembers of the Board.
    pub(super) fn crash(&mut self, index: usize) {
        let now = self.now;
        let daemon = &mut self.daemons[index];
        daemon.life += 1;
        daemon.fuse = None;
        let rows = daemon.ledger.values().cloned().collect();
        daemon.machine = Reconciler::new(settings(daemon.site), rows, now);
        self.show(index);
    }

    /// The daemon's store is lost, and it starts again.
    pub(super) fn forget(&mut self, index: usize) {
        self.daemons[index].stories.clear();
        self.daemons[index].ledger.clear();
        self.crash(index);
    }

    /// What the core does with a record that was found: it takes it up, unless there is an incident of that kind.
    fn adopt(&mut self, index: usize, found: UnclaimedRecord) {
        self.daemons[index].found.push(found.clone());
        let UnclaimedRecord { scope, kind, created } = found;
        let known = |story: &Story| story.incident().id.kind == kind && story.incident().id.scope == scope;
        if !self.takes_up || self.daemons[index].stories.iter().any(known) {
            return;
        }
        let site = self.daemons[index].site;
        let scene = match &scope {
            Scope::Connection(_) => Scene {
                site: site.into(),
                name: "Milan DC, primary".into(),
                tunnels: vec![snapshot(11, self.now), snapshot(12, self.now)],
                children: Vec::new(),
                related: None,
            },
            Scope::Parent(parent) => parent_scene(site, parent, self.now.wall),
        };
        let sink = SinkId::new("incident_manager");
        let story = Story::adopt(scope, kind, scene, sink, created, self.now.wall);
        let id = story.incident().id.clone();
        self.daemons[index].stories.push(story);
        self.show(index);
        self.resolve_when_well(index, id);
    }

    /// What was taken up is resolved when all has been well for long enough.
    fn resolve_when_well(&mut self, index: usize, id: IncidentId) {
        self.later(secs(300), move |world| {
            let open = |story: &Story| {
                let incident = story.incident();
                incident.id == id && incident.state == IncidentState::Open
            };
            if !world.daemons[index].stories.iter().any(open) {
                return;
            }
            let well = match &id.scope {
                Scope::Connection(_) => {
                    world.well_since.is_some_and(|since| world.now.wall.since(since) >= secs(300))
                }
                Scope::Parent(_) => !matches!(world.daemons[index].withheld, Some(Withheld::Explained(_))),
            };
            if !well {
                return world.resolve_when_well(index, id);
            }
            match &id.scope {
                Scope::Connection(_) => world.add(index, over()),
                Scope::Parent(_) => {
                    world.end_parent(index);
                    world.show(index);
                }
            }
        });
    }

    /// Takes from a daemon's machine whatever it has.
    fn take(&mut self, index: usize) {
        while let Some(action) = self.daemons[index].machine.poll_action() {
            if let Work::Commit { row } = &action.work
                && row.start.is_some()
                && row.record.is_none()
                && row.generation == 0
                && self.daemons[index].begun.insert(row.incident.clone())
            {
                let id = &row.incident;
                assert!(!self.is_withheld(index, id), "a record of {id} is created, which is withheld");
            }
            self.carry(index, action);
        }
        let daemon = &mut self.daemons[index];
        while let Some(report) = daemon.machine.poll_report() {
            match report {
                SinkReport::Pending { sink: _, incidents } => daemon.pending = incidents,
                SinkReport::Request { .. } => {}
            }
        }
        daemon.said.extend(daemon.machine.poll_notices());
        let mut left = false;
        while let Some(settled) = daemon.machine.poll_settled() {
            let case = &daemon.machine.cases[&settled.incident];
            let record = case.row.record.as_ref().or(case.past.first());
            let as_found = case.incident.found_at.is_some();
            if record.is_none() && case.incident.withheld.is_some() {
                daemon.settled_withheld.insert(settled.incident.clone());
                daemon.stories.retain(|story| story.incident().id != settled.incident);
                left = true;
                continue;
            }
            let list = if as_found { &mut daemon.settled_as_found } else { &mut daemon.settled };
            list.push((settled.incident.clone(), record.cloned()));
            daemon.stories.retain(|story| story.incident().id != settled.incident);
            left = true;
        }
        let found: Vec<UnclaimedRecord> = std::iter::from_fn(|| daemon.machine.poll_unclaimed()).collect();
        if left {
            self.show(index);
        }
        for found in found {
            self.adopt(index, found);
        }
    }

    /// An action leaves; the line decides what becomes of it.
    fn carry(&mut self, index: usize, action: SinkAction<RecordCall>) {
        let SinkAction { id, work } = action;
        let request = work.kind().is_request();
        let Faults { refused, lost, silent, twice, ledger } = self.faults;
        let away = request && self.daemons[index].away_until > self.now.wall;
        let refused = if request { refused } else { ledger };
        let reach = !away && !self.dice.percent(refused);
        let answer = match () {
            () if request && self.dice.percent(lost) => Answer::Lost,
            () if request && self.dice.percent(silent) => Answer::None,
            () if self.dice.percent(twice) => Answer::Twice,
            () => Answer::Once,
        };
        let slow = if self.faults.refused > 0 { 3_000 } else { 50 };
        let after = Duration::from_millis(1 + self.dice.roll(if request { slow } else { 20 }));
        let life = self.daemons[index].life;
        self.schedule(after, Due::Execute { daemon: index, life, id, work: Box::new(work), reach, answer });
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Execute { daemon, life, id, work, reach, answer } => {
                // What was on the wire is executed whether or not who sent it lives; a ledger dies with its daemon.
                if !work.kind().is_request() && life != self.daemons[daemon].life {
                    return;
                }
                let result = self.execute(daemon, *work, reach);
                let lost = || Err(ActionFailure::Sink(temporary()));
                let (first, second) = match answer {
                    Answer::Once => (Some(result), None),
                    Answer::Twice => (Some(result.clone()), Some(result)),
                    Answer::Lost => (Some(result.and_then(|_| lost())), None),
                    Answer::None => (None, None),
                };
                for result in [first, second].into_iter().flatten() {
                    let after = Duration::from_millis(1 + self.dice.roll(100));
                    self.schedule(after, Due::Answer { daemon, life, id, result });
                }
                let fuse = &mut self.daemons[daemon].fuse;
                *fuse = fuse.map(|left| left.saturating_sub(1));
                if *fuse == Some(0) {
                    self.crash(daemon);
                }
            }
            Due::Answer { daemon, life, id, result } => {
                if life == self.daemons[daemon].life {
                    let now = self.now;
                    self.daemons[daemon].machine.handle(SinkEvent::Ended { id, result }, now);
                    self.take(daemon);
                }
            }
            Due::Do(what) => what(self),
        }
    }

    fn execute(&mut self, index: usize, work: Work<RecordCall>, reach: bool) -> Result<Reply, ActionFailure> {
        let site = self.daemons[index].site;
        let scripted = self.scripted.get(&work.kind()).is_some_and(|errors| !errors.is_empty());
        if scripted || reach {
            self.log.push((self.now.wall, site, work.clone()));
        }
        if let Some(error) = self.scripted.get_mut(&work.kind()).and_then(VecDeque::pop_front) {
            return Err(ActionFailure::Sink(error));
        }
        if !reach {
            return Err(if work.kind().is_request() {
                ActionFailure::Sink(temporary())
            } else {
                ActionFailure::Ledger(LedgerError { what: "disk full".into() })
            });
        }
        let daemon = &mut self.daemons[index];
        match work {
            Work::Commit { row } => {
                daemon.ledger.insert((row.incident.clone(), row.generation), *row);
                Ok(Reply::Done)
            }
            Work::Forget { incident } => {
                daemon.ledger.retain(|(known, _), _| *known != incident);
                Ok(Reply::Done)
            }
            Work::Call(call) => {
                self.vendor.execute(call, self.now.wall, daemon.site).map_err(ActionFailure::Sink)
            }
        }
    }
}

pub(super) fn temporary() -> SinkError {
    SinkError::Temporary { what: "no way to AWS".into(), retry_after: None, source: None }
}

pub(in super::super) fn assessed(last: u8, assessment: Assessment) -> TimelineChange {
    let name = format!("tunnel {}", last - 10).into();
    TimelineChange::Assessment { tunnel: tunnel(last), name, assessment, carrying: Carrying::of(assessment) }
}

pub(in super::super) fn viewed(last: u8, end: End, verdict: Verdict) -> TimelineChange {
    let name = format!("tunnel {}", last - 10).into();
    TimelineChange::View { tunnel: tunnel(last), name, end, verdict, as_of: None }
}

/// What makes an incident worsen: the same tunnel Down again after it was Healthy.
pub(super) fn worse() -> Vec<TimelineChange> {
    vec![assessed(11, Assessment::Healthy), assessed(11, Assessment::Down)]
}

pub(in super::super) fn over() -> Vec<TimelineChange> {
    vec![assessed(11, Assessment::Healthy), TimelineChange::Clearing, TimelineChange::Resolved]
}

/// SplitMix64, as published by Steele, Lea and Flood (OOPSLA 2014): small, and the same everywhere.
pub(in super::super) struct Dice(pub(in super::super) u64);

impl Dice {
    pub(in super::super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    pub(in super::super) fn percent(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }
}

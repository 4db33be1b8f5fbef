//! What several connections share: whether it works, what of their trouble it explains, and its incidents.
//!
//! | parent | it is down when | it is up again when |
//! |---|---|---|
//! | uplink | no tunnel over it is Up by our end, one is Down, no outside address of AWS and no reference answers, and a reference or the interface is known to be gone | a tunnel over it is Up, or an outside address or a reference answers |
//! | site | every connection that has ever worked does not carry traffic, and not only because of uplinks | one carries |
//! | group | the same of its own connections | one carries |
//!
//! What is known of a parent stays known until the evidence says otherwise. Only what is down, or was until a moment ago, explains
//! an incident; a parent that may be down explains nothing. Three rules hold at any time:
//!
//! 1. *Watching and recording are never withheld*, only the creation of a child's record. A sink withholds it only while it has, or
//!    will have, the record of the parent's incident ([`Board`](super::board::Board)).
//! 2. *Resolving is never withheld.* A withheld incident ends by its own closing condition.
//! 3. *What is still down when its parent is up again is sent*: what broke before that as soon as the parent has been up for
//!    `resolve_after`, because tunnels need a while to come back, and AWS to say so; what broke later at once.
//!
//! A parent's incident opens with the first child that it explains, so that both ends agree on it, and has the worst kind among
//! those. Of a group the kind is its own: some of its connections, or all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::board::{Child, Incident, IncidentId, TimelineChange, Trouble, Withheld};
use super::carrying::Carrying;
use super::cause::{Cause, Sign, UplinkSign};
use super::condition::Truth;
use super::connection::Connection;
use super::event::Remembered;
use super::fact::{Effects, Fact, IncidentChange};
use super::incident::{KindEvidence, KindWatch};
use super::names::{Kind, SinkId, VpnId};
use super::plan::{IncidentRules, ParentPlan};
use super::scope::{ParentId, ParentKind, ParentState, Scope};
use super::status::ParentStatus;
use super::story::Scene;
use super::time::{Moment, Now, Stamp};
use super::tunnel::Tunnel;
use super::verdict::Verdict;

/// The kinds that a parent's incident can have. AWS measures no quality, and a parent has none of its own.
const KINDS: [Kind; 3] = [Kind::Outage, Kind::RedundancyLost, Kind::OneSided];

/// How often the list of a parent's connections is brought up to date in its incident.
const LISTED_EVERY: Duration = Duration::from_secs(10);

/// A timeline's entry names at most this many connections each way.
const NAMED_AT_MOST: usize = 8;

/// While an uplink is down its sensors' looks are judged this often: none of them is worth a judgement of its own.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(1);

type Connections = BTreeMap<VpnId, Connection>;

/// Every parent.
#[derive(Debug, Default)]
pub struct Parents(BTreeMap<ParentId, Parent>);

#[derive(Debug)]
struct Parent {
    plan: Arc<ParentPlan>,
    site: Arc<str>,
    state: ParentState,
    since: Now,
    /// When it was last up again.
    recovered: Option<Moment>,
    /// Of a site: whether its uplinks explain all of its trouble.
    beneath_uplinks: bool,
    /// Of each of [`KINDS`].
    kinds: Vec<KindWatch>,
    /// The connections with trouble, as the timeline has them.
    troubled: BTreeSet<VpnId>,
    /// Those that have had trouble since its incident opened.
    ever_troubled: BTreeSet<VpnId>,
    /// When the list of connections was last brought up to date.
    listed: Option<Moment>,
}

/// The results of a step, apart from facts.
#[derive(Debug, Default)]
pub struct Stepped {
    /// Incidents that are over.
    pub over: Vec<Arc<Incident>>,
    /// When this must be called again for each parent.
    pub due: Vec<(ParentId, Option<Moment>)>,
}

impl Parents {
    /// Takes a plan: what is new starts with what is remembered, and what is gone is returned with its open incidents.
    pub fn reconfigure(
        &mut self,
        plans: &[Arc<ParentPlan>],
        site: &Arc<str>,
        remembered: &Remembered,
        now: Now,
        fx: &mut Effects,
    ) -> (Vec<ParentId>, Vec<Arc<Incident>>) {
        let mut before = std::mem::take(&mut self.0);
        for plan in plans {
            let parent = match before.remove(&plan.id) {
                Some(same) => Parent { plan: Arc::clone(plan), site: Arc::clone(site), ..same },
                None => Parent::new(plan, site, remembered, now),
            };
            self.0.insert(plan.id.clone(), parent);
        }
        let mut over = Vec::new();
        let gone: Vec<ParentId> = before.keys().cloned().collect();
        for (id, mut parent) in before {
            parent.becomes(&id, ParentState::Unknown, now, fx);
            over.extend(parent.kinds.iter_mut().filter_map(|kind| kind.unwatch(now, fx)));
        }
        (gone, over)
    }

    /// What must be kept in case a parent is removed and added again.
    pub fn remember(&self, openings: &mut Vec<(Scope, Kind, Stamp)>, now: Now) {
        for (id, parent) in &self.0 {
            let scope = Scope::Parent(id.clone());
            openings.retain(|(of, _, _)| *of != scope);
            for kind in &parent.kinds {
                let stamp = |at: &Moment| now.wall - now.mono.since(*at);
                openings.extend(kind.openings().iter().map(|at| (scope.clone(), kind.kind(), stamp(at))));
            }
        }
    }

    /// The process was held up for this long.
    pub fn held_up(&mut self, gap: Duration) {
        self.0.values_mut().flat_map(|parent| &mut parent.kinds).for_each(|kind| kind.held_up(gap));
    }

    /// Another host votes from now on; returns the incidents that were open.
    pub fn hand_over(&mut self, now: Now, fx: &mut Effects) -> Vec<Arc<Incident>> {
        let mut over = Vec::new();
        for (id, parent) in &mut self.0 {
            parent.becomes(id, ParentState::Unknown, now, fx);
            over.extend(parent.kinds.iter_mut().filter_map(|kind| kind.leave(now, fx)));
        }
        over
    }

    /// The open incidents.
    pub fn open_incidents(&self) -> impl Iterator<Item = &Arc<Incident>> {
        self.0.values().flat_map(Parent::open_incidents)
    }

    /// Their part of the status.
    pub fn status(&self, connections: &Connections) -> Vec<ParentStatus> {
        self.0.values().map(|parent| parent.status(connections)).collect()
    }

    /// The connections of a parent.
    pub fn connections_of(&self, id: &ParentId) -> BTreeSet<VpnId> {
        self.0.get(id).map(|parent| parent.plan.vpns.clone()).unwrap_or_default()
    }

    /// Whether the connection is one of this parent's.
    pub fn has(&self, id: &ParentId, vpn: &VpnId) -> bool {
        self.0.get(id).is_some_and(|parent| parent.plan.vpns.contains(vpn))
    }

    /// A record of this kind was found open at `sink`; see [`KindWatch::adopt`].
    #[expect(clippy::too_many_arguments, reason = "a record is found with all of this")]
    pub fn adopt(
        &mut self,
        id: &ParentId,
        kind: Kind,
        sink: SinkId,
        created: Stamp,
        connections: &Connections,
        now: Now,
        fx: &mut Effects,
    ) {
        let Some(parent) = self.0.get_mut(id) else { return };
        // The host that started the record knows which incident it followed.
        let scene = parent.scene(connections, None);
        if let Some(watch) = parent.kinds.iter_mut().find(|watch| watch.kind() == kind) {
            watch.adopt(sink, created, scene, now, fx);
        }
        let is_down = match id.kind {
            ParentKind::Uplink | ParentKind::Site => true,
            ParentKind::Group => kind == Kind::Outage,
        };
        if is_down && parent.state == ParentState::Unknown {
            // The host that started the record has seen it down.
            parent.becomes(id, ParentState::Down, now, fx);
        }
    }

    /// Judges the parents of these connections after they were judged.
    pub fn judge(&mut self, vpns: &BTreeSet<VpnId>, connections: &Connections, now: Now, fx: &mut Effects) {
        let of_kind = |kind: ParentKind| {
            move |(id, parent): &(&ParentId, &mut Parent)| id.kind == kind && parent.is_of(vpns)
        };
        for (id, parent) in self.0.iter_mut().filter(of_kind(ParentKind::Uplink)) {
            parent.judge(id, connections, now, fx);
        }
        // Those that were down until a moment ago still explain why nothing carries.
        let down: BTreeSet<Arc<str>> = self
            .0
            .iter()
            .filter(|(id, parent)| id.kind == ParentKind::Uplink && parent.explains_any(now.mono))
            .map(|(id, _)| Arc::clone(&id.name))
            .collect();
        for (id, parent) in self.0.iter_mut().filter(of_kind(ParentKind::Site)) {
            let over_one =
                |tunnel: &Tunnel| tunnel.plan().uplink.as_ref().is_some_and(|uplink| down.contains(uplink));
            let idle = |connection| Connection::concerned(connection, Kind::Outage);
            let beneath_uplinks = parent.members(connections).flat_map(idle).all(over_one);
            parent.beneath_uplinks = beneath_uplinks;
            parent.judge(id, connections, now, fx);
        }
        for (id, parent) in self.0.iter_mut().filter(of_kind(ParentKind::Group)) {
            parent.judge(id, connections, now, fx);
        }
    }

    /// The parent that explains an incident of this kind on a connection, whether it is open or would open now.
    pub fn explains(&self, connection: &Connection, kind: Kind, now: Moment) -> Option<&ParentId> {
        let vpn = &connection.plan().id;
        let mut of_connection = self.0.iter().filter(|(_, parent)| parent.plan.vpns.contains(vpn));
        let mut concerned = connection.concerned(kind).peekable();
        concerned.peek()?;
        let by = connection.withheld_since_it_opened(kind);
        let is_already = |id: &ParentId| matches!(by, Some(Withheld::Explained(known)) if known == id);
        let uplink_of = |tunnel: &Tunnel| {
            let name = tunnel.plan().uplink.as_ref()?;
            let is_it = |id: &ParentId| id.kind == ParentKind::Uplink && id.name == *name;
            let found = self.0.iter().find(|(id, parent)| is_it(id) && parent.plan.vpns.contains(vpn))?;
            let already = is_already(found.0);
            found.1.explains(broke(tunnel), already, now).then_some(found)
        };
        let by_uplinks = match kind {
            Kind::Outage | Kind::RedundancyLost | Kind::OneSided => {
                let each: Option<Vec<(&ParentId, &Parent)>> = concerned.map(uplink_of).collect();
                each.and_then(|each| last_down(connection, kind, &each)).map(|(id, _)| id)
            }
            Kind::Degraded => None,
        };
        let first_broke = || connection.concerned(kind).filter_map(broke).min();
        let by_others = |(id, parent): (&'_ ParentId, &Parent)| match (id.kind, kind) {
            (ParentKind::Site, Kind::Outage | Kind::OneSided) => {
                !parent.beneath_uplinks && parent.explains(first_broke(), is_already(id), now)
            }
            (ParentKind::Group, Kind::Outage) => true,
            (ParentKind::Uplink, _)
            | (ParentKind::Site, Kind::RedundancyLost | Kind::Degraded)
            | (ParentKind::Group, Kind::RedundancyLost | Kind::OneSided | Kind::Degraded) => false,
        };
        by_uplinks.or_else(|| {
            // The site before a group: it is the wider one.
            let others: Vec<_> = of_connection.by_ref().filter(|it| by_others((it.0, it.1))).collect();
            others.last().map(|(id, _)| *id)
        })
    }

    /// Opens, lists, clears and resolves the incidents of the parents of these connections.
    pub fn step(
        &mut self,
        vpns: &BTreeSet<VpnId>,
        connections: &Connections,
        now: Now,
        fx: &mut Effects,
    ) -> Stepped {
        let mut stepped = Stepped::default();
        for (id, parent) in &mut self.0 {
            if parent.is_of(vpns) {
                stepped.over.extend(parent.step(id, connections, now, fx));
                stepped.due.push((id.clone(), parent.due(id, connections, now.mono)));
            }
        }
        stepped
    }
}

impl Parent {
    /// What was down when an earlier run ended, or was left open by it, is down until the evidence says otherwise.
    fn new(plan: &Arc<ParentPlan>, site: &Arc<str>, remembered: &Remembered, now: Now) -> Self {
        let scope = Scope::Parent(plan.id.clone());
        let open = |kind: Kind| {
            let of_kind = |incident: &&Arc<Incident>| {
                incident.id.scope == scope && incident.id.kind == kind && incident.is_open()
            };
            remembered.incidents.iter().find(of_kind).cloned()
        };
        let kinds: Vec<KindWatch> = KINDS
            .into_iter()
            .map(|kind| {
                let of_kind =
                    remembered.openings.iter().filter(|(of, opened, _)| *of == scope && *opened == kind);
                let openings = of_kind.map(|(_, _, at)| now.mono - now.wall.since(*at)).collect();
                KindWatch::new(scope.clone(), kind, open(kind), openings)
            })
            .collect();
        let left: Vec<&Arc<Incident>> = kinds.iter().filter_map(KindWatch::incident).collect();
        let left_down = match plan.id.kind {
            ParentKind::Uplink | ParentKind::Site => !left.is_empty(),
            ParentKind::Group => left.iter().any(|incident| incident.id.kind == Kind::Outage),
        };
        let was_down = remembered.down.contains(&plan.id);
        let state = if was_down || left_down { ParentState::Down } else { ParentState::Unknown };
        let children = left.iter().flat_map(|incident| &incident.children);
        let troubled: BTreeSet<VpnId> =
            children.filter(|child| child.trouble.is_some()).map(|child| child.vpn.clone()).collect();
        Self {
            plan: Arc::clone(plan),
            site: Arc::clone(site),
            state,
            since: now,
            recovered: None,
            beneath_uplinks: false,
            kinds,
            ever_troubled: troubled.clone(),
            troubled,
            listed: None,
        }
    }

    fn is_of(&self, vpns: &BTreeSet<VpnId>) -> bool {
        !self.plan.vpns.is_disjoint(vpns)
    }

    fn members<'a>(&self, connections: &'a Connections) -> impl Iterator<Item = &'a Connection> {
        self.plan.vpns.iter().filter_map(|vpn| connections.get(vpn))
    }

    fn open_incidents(&self) -> impl Iterator<Item = &Arc<Incident>> {
        self.kinds.iter().filter_map(KindWatch::incident)
    }

    fn judge(&mut self, id: &ParentId, connections: &Connections, now: Now, fx: &mut Effects) {
        let found = match self.plan.id.kind {
            ParentKind::Uplink => self.uplink_state(connections, now.mono),
            ParentKind::Site => match self.common_state(connections) {
                // That is the uplinks' outage, until a connection has carried in between.
                Some(ParentState::Down) if self.beneath_uplinks && !self.has_incident() => {
                    Some(ParentState::Unknown)
                }
                found => found,
            },
            ParentKind::Group => self.common_state(connections),
        };
        if let Some(state) = found {
            self.becomes(id, state, now, fx);
        }
    }

    fn becomes(&mut self, id: &ParentId, state: ParentState, now: Now, fx: &mut Effects) {
        let from = self.state;
        if from == state {
            return;
        }
        let is_back = (from, state) == (ParentState::Down, ParentState::Up);
        self.recovered = is_back.then_some(now.mono);
        self.state = state;
        self.since = now;
        fx.facts.push_back(Fact::ParentChanged { id: id.clone(), from, to: state, at: now });
    }

    fn uplink_state(&self, connections: &Connections, now: Moment) -> Option<ParentState> {
        let over: Vec<&Tunnel> =
            self.members(connections).flat_map(Connection::tunnels).filter(|it| self.is_over(it)).collect();
        let carries = |tunnel: &&Tunnel| {
            tunnel.local().verdict == Verdict::Up || tunnel.carrying() == Carrying::Carrying
        };
        if over.iter().any(carries) {
            return Some(ParentState::Up);
        }
        // What a look has seen before the last of them broke says nothing.
        let down = over.iter().filter(|tunnel| tunnel.local().verdict == Verdict::Down);
        let broke = down.filter_map(|tunnel| tunnel.broken_since(now)).max()?;
        let mut silent = false;
        for tunnel in over {
            match tunnel.uplink_sign(broke) {
                Sign::Seen(UplinkSign::Answers) => return Some(ParentState::Up),
                Sign::Seen(UplinkSign::Silent) => silent = true,
                Sign::Awaited | Sign::Dark => {}
            }
        }
        silent.then_some(ParentState::Down)
    }

    /// The connections that have ever worked: others have nothing to lose.
    fn that_worked<'a>(&self, connections: &'a Connections) -> impl Iterator<Item = &'a Connection> {
        self.members(connections).filter(|connection| connection.has_worked())
    }

    /// Of a site or a group.
    fn common_state(&self, connections: &Connections) -> Option<ParentState> {
        let least = match self.plan.id.kind {
            ParentKind::Group => 1,
            // One connection's trouble is its own.
            ParentKind::Site | ParentKind::Uplink => 2,
        };
        let carry: Vec<Truth> = self.that_worked(connections).map(Connection::carries).collect();
        if carry.len() < least {
            return None;
        }
        match carry.into_iter().fold(Truth::False, Truth::or) {
            Truth::True => Some(ParentState::Up),
            Truth::False => Some(ParentState::Down),
            Truth::Unknown => None,
        }
    }

    /// Whether a tunnel goes over this uplink and counts.
    fn is_over(&self, tunnel: &Tunnel) -> bool {
        tunnel.plan().is_used() && tunnel.plan().uplink.as_ref() == Some(&self.plan.id.name)
    }

    fn has_incident(&self) -> bool {
        self.open_incidents().next().is_some()
    }

    /// Whether it is down, or was until a moment ago.
    fn explains_any(&self, now: Moment) -> bool {
        match self.state {
            ParentState::Down => true,
            ParentState::Up => self.was_down(now),
            ParentState::Unknown => false,
        }
    }

    /// Whether it explains the trouble of a tunnel, or of a connection, that broke at this moment. `already`: it has explained it
    /// until now, without a recovery that both ends saw. A tunnel that comes back may drop once more.
    fn explains(&self, broke: Option<Moment>, already: bool, now: Moment) -> bool {
        match self.state {
            ParentState::Down => true,
            ParentState::Unknown => false,
            ParentState::Up => {
                let before = |at| broke.is_some_and(|broke| broke < at);
                self.was_down(now) && self.recovered.is_some_and(|at| already || before(at))
            }
        }
    }

    /// Whether it was down a moment ago.
    fn was_down(&self, now: Moment) -> bool {
        self.explains_until().is_some_and(|until| now < until)
    }

    /// Until when it explains what broke before it was up again.
    fn explains_until(&self) -> Option<Moment> {
        self.recovered.map(|at| at + self.plan.incident.resolve_after)
    }

    fn step(
        &mut self,
        id: &ParentId,
        connections: &Connections,
        now: Now,
        fx: &mut Effects,
    ) -> Vec<Arc<Incident>> {
        let explained = self.explained(id, connections);
        let mut over = Vec::new();
        let related = self.open_incidents().map(|incident| incident.id.clone()).last();
        let mut kinds = std::mem::take(&mut self.kinds);
        // What is open of a worse kind stands for the lesser as well.
        let mut worse_is_open = false;
        for watch in &mut kinds {
            let kind = watch.kind();
            let opens = if worse_is_open {
                Truth::False
            } else {
                self.opens(kind, explained, watch.incident().is_some(), now.mono)
            };
            let step = KindEvidence {
                opens,
                closes: self.closes(kind, connections),
                rules: at_once(self.plan.incident),
                grace_until: now.mono,
                withheld: None,
                lasts: false,
            };
            let was_open = watch.incident().is_some();
            let scene = || self.scene(connections, related.clone());
            over.extend(watch.step(step, scene, now, fx));
            worse_is_open |= watch.incident().is_some();
            if !was_open && let Some(incident) = watch.incident() {
                let troubled = incident.children.iter().filter(|child| child.trouble.is_some());
                self.troubled = troubled.map(|child| child.vpn.clone()).collect();
                self.ever_troubled = self.troubled.clone();
                self.listed = Some(now.mono);
            }
        }
        self.kinds = kinds;
        self.list(connections, now, fx);
        over
    }

    /// The worst kind of the incidents that it explains and that are not about to be over.
    fn explained(&self, id: &ParentId, connections: &Connections) -> Option<Kind> {
        let by_this = Withheld::Explained(id.clone());
        let worst = |connection: &Connection| connection.held_back_by(&by_this).min();
        self.members(connections).filter_map(worst).min()
    }

    /// Also just after it is up again, once: AWS may agree only then, and the tunnels need a while.
    fn opens(&self, kind: Kind, explained: Option<Kind>, is_open: bool, now: Moment) -> Truth {
        let wanted = match (self.plan.id.kind, self.state) {
            (ParentKind::Uplink | ParentKind::Site, ParentState::Down) => explained,
            (ParentKind::Uplink | ParentKind::Site, ParentState::Up) if !is_open && self.was_down(now) => {
                explained
            }
            (ParentKind::Uplink | ParentKind::Site, ParentState::Up | ParentState::Unknown) => None,
            (ParentKind::Group, ParentState::Down) => explained.map(|_| Kind::Outage),
            (ParentKind::Group, ParentState::Up | ParentState::Unknown) => {
                explained.map(|_| Kind::RedundancyLost)
            }
        };
        Truth::known(wanted == Some(kind))
    }

    fn closes(&self, kind: Kind, connections: &Connections) -> Truth {
        match (self.plan.id.kind, kind) {
            (ParentKind::Group, Kind::RedundancyLost) => {
                // Of one that has had no trouble in this incident, silence is no reason to keep it open.
                let carries = |connection: &Connection| match connection.carries() {
                    Truth::Unknown if !self.ever_troubled.contains(&connection.plan().id) => Truth::True,
                    Truth::True => Truth::True,
                    Truth::False => Truth::False,
                    Truth::Unknown => Truth::Unknown,
                };
                self.that_worked(connections).map(carries).fold(Truth::True, Truth::and)
            }
            (ParentKind::Group, _) | (ParentKind::Uplink | ParentKind::Site, _) => match self.state {
                ParentState::Up => Truth::True,
                ParentState::Down => Truth::False,
                ParentState::Unknown => Truth::Unknown,
            },
        }
    }

    fn scene(&self, connections: &Connections, related: Option<IncidentId>) -> Scene {
        Scene {
            site: Arc::clone(&self.site),
            name: Arc::clone(&self.plan.id.name),
            tunnels: Vec::new(),
            children: self.children(connections),
            related,
        }
    }

    /// Its connections as they stand.
    fn children(&self, connections: &Connections) -> Vec<Child> {
        let child = |connection: &Connection| Child {
            vpn: connection.plan().id.clone(),
            name: Arc::clone(&connection.plan().name),
            trouble: self.trouble(connection),
        };
        self.members(connections).map(child).collect()
    }

    /// None where what is shared carries its traffic again, even while its incident is still clearing.
    fn trouble(&self, connection: &Connection) -> Option<Trouble> {
        let carries = match self.plan.id.kind {
            ParentKind::Uplink => connection.each_carries(|tunnel| self.is_over(tunnel)),
            ParentKind::Site | ParentKind::Group => connection.carries(),
        };
        if carries == Truth::True {
            return None;
        }
        let of_kind = |incident: &&Arc<Incident>| KINDS.contains(&incident.id.kind);
        let open: Vec<_> = connection.open_incidents().filter(of_kind).collect();
        let concerned: Vec<&Tunnel> = match self.plan.id.kind {
            ParentKind::Uplink => connection.concerned(Kind::Outage).filter(|it| self.is_over(it)).collect(),
            ParentKind::Site | ParentKind::Group if connection.carries() == Truth::False => {
                connection.concerned(Kind::Outage).collect()
            }
            ParentKind::Site | ParentKind::Group => Vec::new(),
        };
        let began = open.iter().map(|incident| incident.began);
        let broke = concerned.iter().filter_map(|tunnel| tunnel.not_passing_since()).map(|since| since.wall);
        let since = if concerned.is_empty() { began.min() } else { broke.chain(began).min() };
        let named = connection.tunnels().iter().filter_map(Tunnel::diagnosis).map(|named| named.cause);
        let down = concerned.iter().filter_map(|tunnel| tunnel.diagnosis()).map(|named| named.cause);
        Some(Trouble {
            kind: open.iter().map(|incident| incident.id.kind).min(),
            since: since?,
            cause: down.chain(named).find(|cause| *cause != Cause::Unknown),
        })
    }

    /// Brings the list of connections in its incidents up to date, seldom enough that a storm is a few entries.
    fn list(&mut self, connections: &Connections, now: Now, fx: &mut Effects) {
        if !self.has_incident() || self.listed_again_at().is_some_and(|at| now.mono < at) {
            return;
        }
        let children = self.children(connections);
        let troubled: BTreeSet<VpnId> =
            children.iter().filter(|child| child.trouble.is_some()).map(|child| child.vpn.clone()).collect();
        let names = |of: BTreeSet<&VpnId>| -> Vec<Arc<str>> {
            let of = children.iter().filter(|child| of.contains(&child.vpn));
            of.take(NAMED_AT_MOST).map(|child| Arc::clone(&child.name)).collect()
        };
        let down = names(troubled.difference(&self.troubled).collect());
        let back = names(self.troubled.difference(&troubled).collect());
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let entry = (!down.is_empty() || !back.is_empty()).then(|| TimelineChange::Children {
            down,
            back,
            troubled: count(troubled.len()),
            of: count(children.len()),
        });
        for story in self.kinds.iter_mut().filter_map(KindWatch::story_mut) {
            story.set_children(children.clone());
            if let Some(entry) = &entry {
                let before = story.incident().worsened;
                story.add(entry.clone(), now.wall);
                let incident = Arc::clone(story.incident());
                let worse = incident.worsened > before;
                let change = if worse { IncidentChange::Worsened } else { IncidentChange::Updated };
                fx.facts.push_back(Fact::IncidentChanged { incident, change, at: now });
            }
        }
        self.listed = Some(now.mono);
        self.ever_troubled.extend(troubled.iter().cloned());
        self.troubled = troubled;
    }

    fn listed_again_at(&self) -> Option<Moment> {
        self.listed.map(|at| at + LISTED_EVERY)
    }

    /// When [`Parents::step`] must be called again, if nothing happens before.
    fn due(&self, id: &ParentId, connections: &Connections, now: Moment) -> Option<Moment> {
        let rules = at_once(self.plan.incident);
        let kinds = self.kinds.iter().filter_map(|kind| kind.deadline(&rules, now, now));
        let looked_at = match (id.kind, self.state) {
            (ParentKind::Uplink, ParentState::Down) => Some(now + LOOKED_AT_EVERY),
            (ParentKind::Uplink, ParentState::Up | ParentState::Unknown)
            | (ParentKind::Site | ParentKind::Group, _) => None,
        };
        let listed = self.listed_again_at().filter(|at| self.has_incident() && *at > now);
        let explains_until = match self.state {
            ParentState::Up if self.explained(id, connections).is_some() => {
                // Just after the end, so that it is over then.
                self.explains_until().filter(|at| *at > now)
            }
            ParentState::Up | ParentState::Down | ParentState::Unknown => None,
        };
        kinds.chain(looked_at).chain(listed).chain(explains_until).min()
    }

    fn status(&self, connections: &Connections) -> ParentStatus {
        let named =
            |connection: &Connection| (connection.plan().id.clone(), Arc::clone(&connection.plan().name));
        ParentStatus {
            id: self.plan.id.clone(),
            state: self.state,
            since: self.since,
            vpns: self.members(connections).map(named).collect(),
            phases: self.kinds.iter().map(|kind| (kind.kind(), kind.phase())).collect(),
        }
    }
}

/// Of the uplinks that explain an incident together the one that explains it already, or the last one that went down: with the others
/// alone it would not be this incident.
fn last_down<'a>(
    connection: &Connection,
    kind: Kind,
    uplinks: &[(&'a ParentId, &'a Parent)],
) -> Option<(&'a ParentId, &'a Parent)> {
    let mut open = connection.open_incidents().filter(|incident| incident.id.kind == kind);
    let already = open.find_map(|incident| match &incident.withheld {
        Some(Withheld::Explained(by)) => Some(by),
        Some(Withheld::Silenced(_)) | None => None,
    });
    let by_state = |(id, uplink): &&(&ParentId, &Parent)| {
        (uplink.state == ParentState::Down, already == Some(*id), uplink.since.mono)
    };
    uplinks.iter().max_by_key(by_state).copied()
}

/// When a tunnel's trouble began. AWS may still say Down for a while after our end is up again.
fn broke(tunnel: &Tunnel) -> Option<Moment> {
    let by_aws = || (tunnel.aws().verdict == Verdict::Down).then(|| tunnel.aws().since.mono);
    tunnel.not_passing_since().map(|since| since.mono).or_else(by_aws)
}

/// The rules of a parent: its children have waited for `open_after` already.
fn at_once(rules: IncidentRules) -> IncidentRules {
    IncidentRules {
        open_after_outage: Duration::ZERO,
        open_after_redundancy_lost: Duration::ZERO,
        one_sided_after: Some(Duration::ZERO),
        degraded_after: None,
        ..rules
    }
}

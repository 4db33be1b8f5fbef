//! The composition: events and time in, requests and facts out.
//!
//! The driver owns the one Monitor. It calls [`Monitor::handle`] with each event and [`Monitor::handle_timeout`] when the
//! moment that [`Monitor::poll_timeout`] named has come, and then polls requests and facts until there are none.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::board::Over;
use super::board::{Board, Incident};
use super::condition::Grace;
use super::connection::Connection;
use super::event::{AwsAnswer, Event, History, Remembered};
use super::fact::{Effects, Fact};
use super::names::{CheckId, Kind, SinkId, SourceId, TunnelId, VpnId};
use super::parents::Parents;
use super::plan::{LATE_WINDOW, Plan};
use super::polling::Polling;
use super::request::{AwsRequest, Request, ViewsRequest};
use super::rollup::Minutes;
use super::scope::{ParentId, Scope};
use super::sensor::Sensed;
use super::silence::{Silence, SilenceId};
use super::status::Status;
use super::time::{self, Calendar};
use super::time::{Moment, Now, Stamp};
use super::timers::Timers;
use super::timers::{phase, suspect_interval};
use super::tunnel::Tunnel;
use super::verdict::Verdict;
use super::withholding;

/// Not being called for this long is not the jitter of a busy host: it slept, or the process was stopped, and the state of AWS
/// and the tunnels meanwhile is unknown.
const HELD_UP_AFTER: Duration = Duration::from_secs(10);

/// Why the core wants to be called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Wake {
    Check(CheckId),
    Connection(VpnId),
    Parent(ParentId),
    Silences,
    Sensors(VpnId),
    Source(SourceId),
    Minute,
}

impl Wake {
    const fn reason(&self) -> &'static str {
        match self {
            Self::Check(_) => "a check has an echo to send or to judge",
            Self::Connection(_) => "evidence goes stale or a condition has held",
            Self::Parent(_) => "a parent's incident is to be judged",
            Self::Silences => "a silence begins or ends",
            Self::Sensors(_) => "a sensor is to be asked",
            Self::Source(_) => "AWS is to be asked",
            Self::Minute => "a minute ends",
        }
    }
}

/// The pure core.
#[derive(Debug)]
pub struct Monitor {
    plan: Arc<Plan>,
    origin: Moment,
    connections: BTreeMap<VpnId, Connection>,
    parents: Parents,
    silences: Arc<[Silence]>,
    /// The time as of which they were last looked at.
    silences_as_of: Stamp,
    sources: BTreeMap<SourceId, Polling>,
    minutes: Minutes,
    minute: Stamp,
    /// Votes of the minute that has ended, held back until its rollups are complete: both are published together.
    votes: Vec<Fact>,
    over: Over,
    board: Arc<Board>,
    /// Whether something may have changed the Board since it was made. An echo that changes no verdict does not.
    board_outdated: bool,
    timers: Timers<Wake>,
    grace: Grace,
    /// Whether this host holds the plan's address; `None` before that is reported.
    held: Option<bool>,
    last_called: Now,
    calendar: Calendar,
    /// What outlives a connection or tunnel that is removed from the plan, in case it is added again.
    remembered: Remembered,
    fx: Effects,
}

impl Monitor {
    /// Starts to watch.
    pub fn new(plan: Arc<Plan>, remembered: Remembered, now: Now) -> Self {
        let mut monitor = Self {
            plan: Arc::clone(&plan),
            origin: now.mono,
            connections: BTreeMap::new(),
            parents: Parents::default(),
            silences: Arc::clone(&remembered.silences),
            silences_as_of: now.wall,
            sources: BTreeMap::new(),
            minutes: Minutes::default(),
            minute: now.wall.minute(),
            votes: Vec::new(),
            over: Over::default(),
            board: Arc::default(),
            board_outdated: true,
            timers: Timers::default(),
            grace: Grace::new(now.mono),
            held: None,
            last_called: now,
            calendar: Calendar::default(),
            remembered: Remembered::default(),
            fx: Effects::default(),
        };
        for incident in &remembered.incidents {
            let watched = plan.watches(&incident.id.scope);
            match incident.state {
                super::board::IncidentState::Open if watched => {}
                super::board::IncidentState::Open => monitor.unwatch_remembered(incident, now),
                super::board::IncidentState::Resolved { .. }
                | super::board::IncidentState::Unwatched { .. } => {
                    monitor.over.put(Arc::clone(incident), &plan);
                }
            }
        }
        monitor.apply_plan(plan, &remembered, now);
        monitor.remembered = Remembered {
            incidents: Vec::new(),
            unheard: Vec::new(),
            down: Vec::new(),
            stopped: Vec::new(),
            said: Vec::new(),
            ..remembered
        };
        monitor.fx.facts.push_back(Fact::Watched { at: now });
        monitor.after(now);
        monitor
    }

    /// Something happened.
    pub fn handle(&mut self, event: Event, now: Now) {
        let now = self.called(now);
        self.board_outdated |= !is_judged_apart(&event);
        match event {
            Event::Sent { check, echo, at } => self.with_check(&check, now, |check, _| check.sent(echo, at)),
            Event::Reply { check, echo, rtt } => {
                self.with_check(&check, now, |check, fx| check.replied(echo, rtt, now, fx));
            }
            Event::Failed { check, echo, failure } => {
                self.with_check(&check, now, |check, fx| check.failed(echo, failure, now, fx));
            }
            Event::Answered(answer) => self.answered(answer, now),
            Event::Sensed(sensed) => self.sensed(sensed, now),
            Event::Refused { source, reached } => self.refused(&source, reached, now),
            Event::HistoryAnswered(history) => self.history(&history.vpn, Some(&history), now),
            Event::HistoryRefused { vpn } => self.history(&vpn, None, now),
            Event::Maintenance { tunnel, state } => {
                let connection = self.connections.get_mut(&tunnel.vpn);
                if let Some(tunnel) = connection.and_then(|connection| connection.tunnel_mut(&tunnel)) {
                    tunnel.read_maintenance(state, now, &mut self.fx);
                }
            }
            Event::Silences(silences) => {
                self.silences = silences;
                self.refresh_all(now);
            }
            Event::Settled { sink, incident, revision } => self.over.settled(&sink, &incident, revision),
            Event::AddressHeld { address, held } => self.address_held(address, held, now),
            Event::RecordFound { sink, scope, kind, created } => {
                self.record_found(sink, &scope, kind, created, now);
            }
        }
        self.after(now);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Now) {
        let now = self.called(now);
        while let Some(wake) = self.timers.pop_due(now.mono) {
            match wake {
                Wake::Check(id) => self.with_check(&id, now, |check, fx| check.handle_timeout(now, fx)),
                Wake::Connection(vpn) => self.refresh(&vpn, now),
                Wake::Parent(id) => self.refresh_withheld_by(&id, now),
                Wake::Silences => self.refresh_all(now),
                Wake::Sensors(vpn) => self.sense(&vpn, now.mono),
                Wake::Source(id) => self.ask_aws(&id, now),
                Wake::Minute => self.end_minute(now),
            }
        }
        self.after(now);
    }

    /// Ends the run: incomplete minutes are reported as far as they have come. A later run reports its share of them
    /// separately.
    pub fn close(&mut self) {
        self.fx.facts.extend(self.minutes.rest().into_iter().map(Fact::RollupReady));
        self.fx.facts.push_back(Fact::Watched { at: self.last_called });
    }

    /// When to call [`Self::handle_timeout`], and why.
    pub fn poll_timeout(&self) -> Option<(Moment, &'static str)> {
        self.timers.next().map(|(at, wake)| (*at, wake.reason()))
    }

    /// The next request to execute.
    pub fn poll_request(&mut self) -> Option<Request> {
        self.fx.requests.pop_front()
    }

    /// The next fact to report.
    pub fn poll_fact(&mut self) -> Option<Fact> {
        self.fx.facts.pop_front()
    }

    /// The incidents that sinks must show; the same `Arc` as long as nothing changed.
    pub const fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// Everything, for `/status`.
    pub fn status(&self, now: Now) -> Status {
        let now = self.calendar.date(now);
        Status {
            at: now,
            site: Arc::clone(&self.plan.site),
            vpns: self
                .plan
                .vpns
                .iter()
                .filter_map(|vpn| self.connections.get(&vpn.id))
                .map(|connection| connection.status(now))
                .collect(),
            incidents: self.board.incidents.clone(),
            parents: self.parents.status(&self.connections),
            is_date_confirmed: self.calendar.has_heard(),
            silences: Arc::clone(&self.silences),
            sources: self.sources.values().map(Polling::status).collect(),
        }
    }

    /// Takes a new plan. A tunnel that did not change keeps its state; incidents on what is no longer watched end as unwatched.
    pub fn reconfigure(&mut self, plan: Arc<Plan>, now: Now) {
        let now = self.called(now);
        self.board_outdated = true;
        let mut remembered = std::mem::take(&mut self.remembered);
        self.connections.values().for_each(|connection| connection.remember(&mut remembered, now));
        self.parents.remember(&mut remembered.openings, now);
        let gone: Vec<VpnId> =
            self.connections.keys().filter(|vpn| plan.vpn(vpn).is_none()).cloned().collect();
        for vpn in gone {
            if let Some(mut connection) = self.connections.remove(&vpn) {
                self.clear_check_timers(&connection);
                self.timers.set(Wake::Connection(vpn.clone()), None);
                self.timers.set(Wake::Sensors(vpn), None);
                for incident in connection.unwatch(now, &mut self.fx) {
                    self.over.put(incident, &plan);
                }
            }
        }
        // A new address does not count as held until that is reported.
        self.held = self.held.filter(|_| plan.votes_if_address == self.plan.votes_if_address);
        self.apply_plan(plan, &remembered, now);
        self.remembered = remembered;
        self.take_place(now);
        self.over.recount(&self.plan);
        self.after(now);
    }

    //--- composition

    fn apply_plan(&mut self, plan: Arc<Plan>, remembered: &Remembered, now: Now) {
        self.plan = Arc::clone(&plan);
        let here = self.is_here();
        for (index, vpn) in plan.vpns.iter().enumerate() {
            let anchor = self.origin + phase(vpn.probe.interval, index, plan.vpns.len());
            let site = Arc::clone(&plan.site);
            match self.connections.remove(&vpn.id) {
                Some(mut same) => {
                    self.clear_check_timers(&same);
                    same.reconfigure(Arc::clone(vpn), site, anchor, remembered, now, &mut self.fx);
                    self.connections.insert(vpn.id.clone(), same);
                }
                None => {
                    let (id, vpn, fx) = (vpn.id.clone(), Arc::clone(vpn), &mut self.fx);
                    let fresh = Connection::new(vpn, site, anchor, remembered, here, now, fx);
                    self.connections.insert(id, fresh);
                }
            }
        }
        let wanted: BTreeSet<SourceId> =
            plan.vpns.iter().flat_map(|vpn| vpn.aws.sources.iter().cloned()).collect();
        for gone in self.sources.keys().filter(|id| !wanted.contains(id)).cloned().collect::<Vec<_>>() {
            self.sources.remove(&gone);
            self.timers.set(Wake::Source(gone), None);
        }
        for id in wanted {
            self.sources.entry(id.clone()).or_insert_with(|| Polling::new(id.clone(), &plan.site));
            self.set_source_timer(&id, now.mono);
        }
        self.share_budget();
        let (gone, over) = self.parents.reconfigure(&plan.parents, &plan.site, remembered, now, &mut self.fx);
        for id in gone {
            self.timers.set(Wake::Parent(id), None);
        }
        for incident in over {
            self.over.put(incident, &plan);
        }
        for vpn in &plan.vpns {
            self.set_check_timers(&vpn.id);
        }
        self.refresh_all(now);
        self.set_minute_timer(now);
    }

    fn unwatch_remembered(&mut self, incident: &Arc<Incident>, now: Now) {
        let mut watch = super::incident::KindWatch::new(
            incident.id.scope.clone(),
            incident.id.kind,
            Some(Arc::clone(incident)),
            std::collections::VecDeque::new(),
        );
        if let Some(incident) = watch.unwatch(now, &mut self.fx) {
            self.over.put(incident, &self.plan);
        }
    }

    /// Detects a gap between calls, and a wrong clock; returns the time that counts.
    fn called(&mut self, now: Now) -> Now {
        let expected = self.timers.next().map_or(now.mono, |(at, _)| (*at).max(self.last_called.mono));
        let now = self.dated(now);
        let gap = now.mono.since(expected);
        if gap < HELD_UP_AFTER {
            return now;
        }
        self.grace.held_up(now.mono);
        self.fx.facts.push_back(Fact::Resumed { gap, at: now });
        self.parents.held_up(gap);
        for connection in self.connections.values_mut() {
            connection.held_up(gap);
            for tunnel in connection.tunnels_mut() {
                for kind in tunnel.checks().iter().map(|check| check.id().kind).collect::<Vec<_>>() {
                    if let Some(check) = tunnel.check_mut(kind) {
                        check.held_up(now, &mut self.fx);
                    }
                }
            }
        }
        now
    }

    /// The time that counts. After a jump of the date, incomplete minutes move to the new one, which is the better one, and so
    /// does what was reckoned from it of silences.
    fn dated(&mut self, now: Now) -> Now {
        self.calendar.judge(now);
        let now = self.calendar.date(now);
        if let Some(expected) = time::jumped(self.last_called, now) {
            self.minutes.restamp(expected, now.wall);
            if !self.silences.is_empty() {
                self.silences =
                    self.silences.iter().map(|silence| silence.moved(expected, now.wall)).collect();
                self.timers.set(Wake::Silences, Some(now.mono));
            }
        }
        self.last_called = now;
        now
    }

    fn with_check(
        &mut self,
        id: &CheckId,
        now: Now,
        act: impl FnOnce(&mut super::check::Check, &mut Effects),
    ) {
        let Some(check) = self
            .connections
            .get_mut(&id.tunnel.vpn)
            .and_then(|connection| connection.tunnel_mut(&id.tunnel))
            .and_then(|tunnel| tunnel.check_mut(id.kind))
        else {
            return;
        };
        let before = (check.verdict(), check.is_suspect());
        act(check, &mut self.fx);
        let after = (check.verdict(), check.is_suspect());
        self.timers.set(Wake::Check(id.clone()), Some(check.next_timeout()));
        if before.1 != after.1 {
            self.share_budget();
        }
        if !before.1 && after.1 {
            let connection = self.connections.get_mut(&id.tunnel.vpn);
            let tunnel = connection.and_then(|connection| connection.tunnel_mut(&id.tunnel));
            for (other, at) in tunnel.map(|tunnel| tunnel.hurry(now)).unwrap_or_default() {
                self.timers.set(Wake::Check(other), Some(at));
            }
        }
        self.take_ended(now);
        if before.0 != after.0 {
            self.refresh(&id.tunnel.vpn, now);
        } else if before.1 != after.1 {
            self.sense(&id.tunnel.vpn, now.mono);
        }
    }

    /// Judges a connection and acts on the result.
    fn refresh(&mut self, vpn: &VpnId, now: Now) {
        self.refresh_each(&BTreeSet::from([vpn.clone()]), now);
    }

    /// Judges connections and acts on the result. First all of them are judged, then what they share: their trouble is explained by
    /// how all of them stand now.
    fn refresh_each(&mut self, vpns: &BTreeSet<VpnId>, now: Now) {
        self.board_outdated = true;
        let mut asked: BTreeMap<SourceId, bool> = BTreeMap::new();
        for vpn in vpns {
            let Some(connection) = self.connections.get_mut(vpn) else { continue };
            let ask_aws = connection.judge(now, &mut self.fx);
            for source in &connection.plan().aws.sources {
                *asked.entry(source.clone()).or_default() |= ask_aws;
            }
        }
        self.parents.judge(vpns, &self.connections, now, &mut self.fx);
        self.note_silences(vpns, now);
        for vpn in vpns {
            let Some(connection) = self.connections.get_mut(vpn) else { continue };
            let cut_off = is_cut_off(connection, &self.sources);
            let withheld = |connection: &Connection, kind| {
                withholding::withheld(connection, kind, &self.parents, &self.silences, now)
            };
            for incident in connection.decide(&self.grace, cut_off, withheld, now, &mut self.fx) {
                self.over.put(incident, &self.plan);
            }
        }
        self.step_parents(vpns, now);
        for vpn in vpns {
            self.ask_history(vpn, now);
            let Some(connection) = self.connections.get(vpn) else { continue };
            self.timers.set(Wake::Connection(vpn.clone()), connection.deadline(&self.grace, now.mono));
            connection.note_states(&mut self.minutes, now.wall);
            self.sense(vpn, now.mono);
        }
        for (source, ask_aws) in asked {
            if ask_aws && let Some(polling) = self.sources.get_mut(&source) {
                polling.hurry();
            }
            self.set_source_timer(&source, now.mono);
        }
    }

    /// Reports which silences cover the tunnels of these connections.
    fn note_silences(&mut self, vpns: &BTreeSet<VpnId>, now: Now) {
        for vpn in vpns {
            let Some(connection) = self.connections.get(vpn) else { continue };
            if self.silences.is_empty() && connection.tunnels().iter().all(|it| it.silenced().is_none()) {
                continue;
            }
            let by = |tunnel: &Tunnel| {
                withholding::silence_of(tunnel, connection, &self.parents, &self.silences, now)
                    .filter(|_| tunnel.plan().is_used())
            };
            let by: Vec<Option<SilenceId>> = connection.tunnels().iter().map(by).collect();
            let Some(connection) = self.connections.get_mut(vpn) else { continue };
            for (tunnel, by) in connection.tunnels_mut().zip(by) {
                tunnel.silence(by, now, &mut self.fx);
            }
        }
    }

    /// Judges every connection.
    fn refresh_all(&mut self, now: Now) {
        let vpns: BTreeSet<VpnId> = self.connections.keys().cloned().collect();
        self.refresh_each(&vpns, now);
        self.set_silence_timer(now);
    }

    /// Wakes when the next silence begins or ends, as far as the clock is right by then.
    fn set_silence_timer(&mut self, now: Now) {
        self.silences_as_of = now.wall;
        let changes = self.silences.iter().flat_map(|silence| [silence.from, silence.until]);
        let next = changes.filter(|at| *at > now.wall).min();
        self.timers.set(Wake::Silences, next.map(|at| now.mono + at.since(now.wall)));
    }

    /// Opens and ends the incidents of these connections' parents. One that is over explains nothing any more.
    fn step_parents(&mut self, of: &BTreeSet<VpnId>, now: Now) {
        if !self.is_here() {
            return;
        }
        let stepped = self.parents.step(of, &self.connections, now, &mut self.fx);
        for (id, due) in stepped.due {
            self.timers.set(Wake::Parent(id), due);
        }
        for incident in stepped.over {
            if let Scope::Parent(id) = &incident.id.scope {
                self.timers.set(Wake::Parent(id.clone()), Some(now.mono));
            }
            self.over.put(incident, &self.plan);
        }
    }

    /// Judges a parent, and every connection with an incident that is withheld.
    fn refresh_withheld_by(&mut self, id: &ParentId, now: Now) {
        self.board_outdated = true;
        let vpns = self.parents.connections_of(id);
        let withholds = |vpn: &&VpnId| self.connections.get(vpn).is_some_and(Connection::withholds);
        let mut of: BTreeSet<VpnId> = vpns.iter().filter(withholds).cloned().collect();
        if of.is_empty() {
            // Any connection will do to have the parent judged.
            of.extend(vpns.first().cloned());
        }
        self.refresh_each(&of, now);
    }

    /// Remakes the Board, if something on it may have changed.
    fn after(&mut self, now: Now) {
        if !std::mem::take(&mut self.board_outdated) {
            debug_assert!(
                self.over.is_unsettled() && *self.board == self.current_board(),
                "something on the Board has changed unnoticed"
            );
            return;
        }
        let settled = self.over.take_settled().into_iter();
        self.fx.facts.extend(settled.map(|incident| Fact::IncidentSettled { incident, at: now }));
        let board = self.current_board();
        if !self.board.is_same(&board) {
            self.board = Arc::new(board);
        }
    }

    /// The Board by the present state.
    fn current_board(&self) -> Board {
        let incidents: Vec<Arc<Incident>> = self
            .connections
            .values()
            .flat_map(Connection::open_incidents)
            .chain(self.parents.open_incidents())
            .chain(self.over.incidents())
            .map(|incident| (incident.id.clone(), Arc::clone(incident)))
            .collect::<BTreeMap<_, _>>()
            .into_values()
            .collect();
        let prepare = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.is_locally_down())
            .filter_map(|(_, connection)| connection.expected())
            .collect();
        Board { incidents, prepare }
    }

    //--- checks

    fn set_check_timers(&mut self, vpn: &VpnId) {
        let Some(connection) = self.connections.get(vpn) else { return };
        for check in connection.tunnels().iter().flat_map(|tunnel| tunnel.checks()) {
            self.timers.set(Wake::Check(check.id().clone()), Some(check.next_timeout()));
        }
    }

    fn clear_check_timers(&mut self, connection: &Connection) {
        for check in connection.tunnels().iter().flat_map(|tunnel| tunnel.checks()) {
            self.timers.set(Wake::Check(check.id().clone()), None);
        }
    }

    /// Shares the budget of echoes among the suspect checks.
    fn share_budget(&mut self) {
        let suspects = self
            .connections
            .values()
            .flat_map(Connection::tunnels)
            .flat_map(|tunnel| tunnel.checks())
            .filter(|check| check.is_suspect())
            .count();
        for connection in self.connections.values_mut() {
            let interval = suspect_interval(connection.plan().probe.suspect_interval, suspects);
            for tunnel in connection.tunnels_mut() {
                for kind in tunnel.checks().iter().map(|check| check.id().kind).collect::<Vec<_>>() {
                    if let Some(check) = tunnel.check_mut(kind) {
                        check.set_suspect_interval(interval);
                    }
                }
            }
        }
    }

    //--- sensors

    /// Puts the questions that are due, and waits for the next.
    fn sense(&mut self, vpn: &VpnId, now: Moment) {
        let Some(connection) = self.connections.get_mut(vpn) else { return };
        connection.sense(now, &mut self.fx);
        self.timers.set(Wake::Sensors(vpn.clone()), connection.sense_due());
    }

    fn sensed(&mut self, sensed: Sensed, now: Now) {
        let vpn = sensed.tunnel.vpn.clone();
        let Some(connection) = self.connections.get_mut(&vpn) else { return };
        if connection.sensed(sensed, now, &mut self.fx) {
            self.refresh(&vpn, now);
        } else {
            self.sense(&vpn, now.mono);
        }
    }

    //--- AWS

    fn answered(&mut self, answer: AwsAnswer, now: Now) {
        let AwsAnswer { source, asked, date, readings, data } = answer;
        let Some(polling) = self.sources.get_mut(&source) else { return };
        polling.answered(now);
        self.calendar.heard(asked, now.mono, date);
        let now = self.dated(now);
        let asked = Now { mono: asked, wall: now.wall - now.mono.since(asked) };
        for connection in self.connections.values_mut() {
            connection.answered(&source, asked.mono, date, now.mono);
        }
        for (tunnel, reading) in readings {
            if let Some(connection) = self.connections.get_mut(&tunnel.vpn) {
                connection.read(&source, &tunnel, &reading, asked, date, &mut self.fx);
            }
        }
        for (id, data) in data {
            let connection = self.connections.get_mut(&id.vpn);
            if let Some(tunnel) = connection.and_then(|connection| connection.tunnel_mut(&id)) {
                tunnel.read_data(data, asked.mono, date);
            }
        }
        self.refresh_asked_by(&source, now);
    }

    /// Judges every connection that a source was asked about, even one missing from its answer: that it answered counts.
    fn refresh_asked_by(&mut self, source: &SourceId, now: Now) {
        let asked = self.connections.iter().filter(|(_, connection)| connection.is_asked_by(source));
        let vpns = asked.map(|(vpn, _)| vpn.clone()).collect();
        self.refresh_each(&vpns, now);
        self.set_source_timer(source, now.mono);
    }

    fn ask_aws(&mut self, id: &SourceId, now: Now) {
        if self.sources.get(id).is_some_and(|polling| polling.is_lost(now.mono)) {
            self.refused(id, false, now);
        }
        let interval = self.source_interval(id, now.mono);
        let Some(polling) = self.sources.get_mut(id) else { return };
        // The doubt may be over since the timer was set.
        if polling.due(interval).is_some_and(|due| due <= now.mono) {
            polling.ask(now.mono);
            let request = ViewsRequest { source: id.clone(), called_down: self.called_down_of(id) };
            self.fx.requests.push_back(Request::AskAws(AwsRequest::Views(request)));
        }
        self.set_source_timer(id, now.mono);
    }

    /// The tunnels that an end calls down, of the connections with this source.
    fn called_down_of(&self, id: &SourceId) -> BTreeSet<TunnelId> {
        let asked = self.connections.values().filter(|connection| connection.is_asked_by(id));
        let is_down = |tunnel: &&Tunnel| {
            tunnel.plan().is_used()
                && [tunnel.local(), tunnel.aws()].iter().any(|view| view.verdict == Verdict::Down)
        };
        asked.flat_map(Connection::tunnels).filter(is_down).map(|tunnel| tunnel.plan().id.clone()).collect()
    }

    fn source_interval(&self, id: &SourceId, now: Moment) -> Duration {
        self.connections
            .values()
            .filter(|connection| connection.plan().aws.sources.contains(id))
            .map(|connection| connection.poll_interval(is_cut_off(connection, &self.sources), now))
            .min()
            .unwrap_or(Duration::MAX)
    }

    fn set_source_timer(&mut self, id: &SourceId, now: Moment) {
        let interval = self.source_interval(id, now);
        let due = self.sources.get(id).and_then(|polling| polling.due(interval));
        self.timers.set(Wake::Source(id.clone()), due);
    }

    /// AWS did not answer, or refused to.
    fn refused(&mut self, source: &SourceId, reached: bool, now: Now) {
        if let Some(polling) = self.sources.get_mut(source) {
            polling.refused(reached);
        }
        for connection in self.connections.values_mut() {
            connection.refused(source, now.mono);
        }
        self.refresh_asked_by(source, now);
    }

    /// Asks AWS about the past of a connection, if that is due.
    fn ask_history(&mut self, vpn: &VpnId, now: Now) {
        let Some(connection) = self.connections.get_mut(vpn) else { return };
        let wanted = connection.ask_history(now.mono).map(AwsRequest::History);
        self.fx.requests.extend(wanted.map(Request::AskAws));
    }

    /// AWS answered about the past, or (`None`) refused.
    fn history(&mut self, vpn: &VpnId, history: Option<&History>, now: Now) {
        if let Some(connection) = self.connections.get_mut(vpn) {
            match history {
                Some(history) => connection.history_answered(history, now, &mut self.fx),
                None => connection.history_refused(now.mono),
            }
        }
        self.refresh(vpn, now);
    }

    //--- which host of an HA pair votes

    /// This host holds, or does not hold, an address. One that is not the plan's belongs to an earlier plan.
    ///
    /// Taking over is like a start: the checks start afresh, and nothing opens for `start_grace`, because the tunnels
    /// themselves move with the address and are down for a while.
    fn address_held(&mut self, address: IpAddr, held: bool, now: Now) {
        if self.plan.votes_if_address != Some(address) || self.held == Some(held) {
            return;
        }
        let takes_over = self.held == Some(false) && held;
        self.held = Some(held);
        if takes_over {
            self.grace.taken_over(now.mono);
        }
        self.fx.facts.push_back(Fact::AddressHeld { address, held, at: now });
        self.take_place(now);
        if !held {
            // Includes what an earlier run left open: the address has moved while this host was down.
            let connections = self.connections.values_mut();
            let mut over: Vec<_> =
                connections.flat_map(|connection| connection.hand_over(now, &mut self.fx)).collect();
            over.extend(self.parents.hand_over(now, &mut self.fx));
            for incident in over {
                self.over.put(incident, &self.plan);
            }
        }
    }

    /// Whether this host votes. In an HA pair only the host that holds `votes_if_address` does. The other one polls AWS and
    /// keeps its history, but votes on nothing, because it cannot see the tunnels. Until the address is reported it does not
    /// vote.
    fn is_here(&self) -> bool {
        self.plan.votes_if_address.is_none() || self.held == Some(true)
    }

    /// Tells every connection whether this host votes.
    fn take_place(&mut self, now: Now) {
        let here = self.is_here();
        let vpns: Vec<VpnId> = self.connections.keys().cloned().collect();
        for vpn in vpns {
            let Some(mut connection) = self.connections.remove(&vpn) else { continue };
            self.clear_check_timers(&connection);
            for incident in connection.set_here(here, now, &mut self.fx) {
                self.over.put(incident, &self.plan);
            }
            self.connections.insert(vpn.clone(), connection);
            self.set_check_timers(&vpn);
            self.refresh(&vpn, now);
        }
        self.share_budget();
    }

    //--- incidents

    /// An incident that is over sees to its record itself, and sinks outside the plan do not count.
    fn record_found(&mut self, sink: SinkId, scope: &Scope, kind: Kind, created: Stamp, now: Now) {
        let takes = self.plan.sinks.iter().any(|plan| plan.id == sink && plan.takes(scope, kind));
        if !takes || self.over.has(scope, kind) {
            return;
        }
        match scope {
            Scope::Connection(vpn) => {
                if let Some(connection) = self.connections.get_mut(vpn) {
                    connection.adopt(kind, sink, created, now, &mut self.fx);
                }
                self.refresh(vpn, now);
            }
            // The host that votes accounts for it.
            Scope::Parent(_) if !self.is_here() => {}
            Scope::Parent(id) => {
                self.parents.adopt(id, kind, sink, created, &self.connections, now, &mut self.fx);
                self.refresh_withheld_by(id, now);
            }
        }
    }

    //--- minutes

    /// Echoes count in the minute in which they were sent.
    fn take_ended(&mut self, now: Now) {
        for (CheckId { tunnel: id, kind }, asked, outcome) in std::mem::take(&mut self.fx.ended) {
            let Some(connection) = self.connections.get_mut(&id.vpn) else { continue };
            if !connection.tunnel_mut(&id).is_some_and(|tunnel| tunnel.plan().is_measured_by(kind)) {
                continue;
            }
            self.minutes.echo_ended(&id, now.wall - now.mono.since(asked), outcome);
            if connection.echo_ended(&id, kind, outcome, asked, now, &mut self.fx) {
                self.refresh(&id.vpn, now);
            }
        }
    }

    /// A minute has ended, or the last echoes of one must have.
    fn end_minute(&mut self, now: Now) {
        self.take_ended(now);
        let minute = now.wall.minute();
        if minute != self.minute {
            let ended = std::mem::replace(&mut self.minute, minute);
            // A minute that the clock skipped or repeated was not fully observed.
            if minute == ended + Duration::from_secs(60) {
                for (vpn, connection) in &self.connections {
                    if connection.could_vote(now.mono) {
                        self.votes.push(Fact::CouldVote { vpn: vpn.clone(), minute: ended });
                    }
                }
            }
            for connection in self.connections.values() {
                connection.note_states(&mut self.minutes, now.wall);
            }
        }
        for rollup in self.minutes.complete(now.wall, self.settle_after()) {
            self.fx.facts.push_back(Fact::RollupReady(rollup));
        }
        if now.wall >= minute + self.settle_after() {
            self.fx.facts.extend(self.votes.drain(..));
            self.fx.facts.push_back(Fact::Watched { at: now });
        }
        // The date may have jumped over the beginning or end of a silence.
        let as_of = self.silences_as_of;
        if self.silences.iter().any(|silence| silence.is_active(as_of) != silence.is_active(now.wall)) {
            self.refresh_all(now);
        } else {
            self.set_silence_timer(now);
        }
        self.set_minute_timer(now);
    }

    /// Wakes at the end of the minute, and again when its last echoes must have ended.
    fn set_minute_timer(&mut self, now: Now) {
        let minute = now.wall.minute();
        let settled = minute + self.settle_after();
        let next = if now.wall < settled { settled } else { minute + Duration::from_secs(60) };
        self.timers.set(Wake::Minute, Some(now.mono + next.since(now.wall)));
    }

    /// How long after a minute's end its last echo may still be in flight.
    fn settle_after(&self) -> Duration {
        let timeout = self.plan.vpns.iter().map(|vpn| vpn.probe.timeout).max().unwrap_or_default();
        timeout + LATE_WINDOW + Duration::from_secs(1)
    }
}

/// Whether AWS is out of reach for a connection: no source was reached by its last question.
fn is_cut_off(connection: &Connection, sources: &BTreeMap<SourceId, Polling>) -> bool {
    let asked = &connection.plan().aws.sources;
    !asked.is_empty() && asked.iter().all(|source| sources.get(source).is_some_and(Polling::is_cut_off))
}

/// Whether an event changes the Board only by what is then judged anew, which marks the Board itself.
const fn is_judged_apart(event: &Event) -> bool {
    match event {
        Event::Sent { .. } | Event::Reply { .. } | Event::Failed { .. } | Event::Sensed(_) => true,
        Event::Answered(_)
        | Event::Refused { .. }
        | Event::HistoryAnswered(_)
        | Event::HistoryRefused { .. }
        | Event::Maintenance { .. }
        | Event::Silences(_)
        | Event::Settled { .. }
        | Event::AddressHeld { .. }
        | Event::RecordFound { .. } => false,
    }
}

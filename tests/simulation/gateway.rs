//! A gateway: the real core, reconciler, publisher and store, composed as in the daemon, without its threads.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bothends::domain::board::{Board, Incident, IncidentId};
use bothends::domain::event::Event;
use bothends::domain::fact::Fact;
use bothends::domain::monitor::Monitor;
use bothends::domain::names::{SinkId, SourceId, VpnId};
use bothends::domain::plan::Plan;
use bothends::domain::request::{AwsRequest, EchoRequest, HistoryRequest, Request};
use bothends::domain::rollup::Rollup;
use bothends::domain::sensor::SenseRequest;
use bothends::domain::silence::{FromNow, Silence, SilenceId};
use bothends::domain::status::Status;
use bothends::domain::time::{Moment, Now, Stamp};
use bothends::health::Severity;
use bothends::incident::action::{
    ActionId, NoticeReason, RecordCall, SinkAction, SinkEvent, UnclaimedRecord, Work,
};
use bothends::incident::outbox::Machine as _;
use bothends::incident::reconcile::Reconciler;
use bothends::incident::settings::SinkRules as SinkSettings;
use bothends::incident::sink::StartRequest;
use bothends::publish::datum;
use bothends::publish::machine::{
    Action as Publishing, Clock, Event as Published, PublishSettings, Publisher, Whose,
};
use bothends::publish::sink::Datum;
use bothends::settings::StoreSettings;
use bothends::store::StoreEngine;

use super::metrics::{Key, key};
use super::past::Past;
use super::schedule::{Setup, Silenced, Switches};
use super::site;
use super::time::Clocks;

/// From this many seconds of difference the daemon uses AWS's clock, as `daemon/context.rs` does.
const MAX_CLOCK_OFFSET: u64 = 60;

/// What a daemon asks for; the answer comes later.
#[derive(Debug)]
pub enum Command {
    Echo(EchoRequest),
    Ask(SourceId),
    /// AWS's history.
    AskHistory {
        vpn: VpnId,
        from: Stamp,
        to: Stamp,
    },
    /// A question to a sensor.
    Sense(SenseRequest),
    /// A call to the sink.
    Call(ActionId, Box<RecordCall>),
    Put(Arc<[Datum]>),
    Read {
        until: Stamp,
        limit: usize,
    },
}

/// Who waits for a write to the disk.
#[derive(Debug)]
pub enum WriteWaiter {
    Ledger(ActionId),
    /// Tell the spool that these were delivered.
    Mark(BTreeSet<Key>),
}

/// What a gateway consists of; it outlives its daemon.
#[derive(Debug)]
pub struct Gateway {
    pub site: Arc<str>,
    pub setup: Setup,
    plan: Arc<Plan>,
    pub sink: SinkSettings,
    pub store: StoreSettings,
    /// As they are on its disk.
    silences: Vec<Silence>,
    /// How many there have been: no number is given twice.
    silenced: u32,
    pub clocks: Clocks,
    pub reachable: bool,
    pub credentials: bool,
    pub writable: bool,
    /// Whether it holds the address that voting depends on, or needs none.
    pub votes: bool,
    pub daemon: Option<Daemon>,
    /// How many daemons have run.
    pub life: u32,
    /// The daemon dies after this many steps, and starts again after this time.
    pub fuse: Option<(u32, Duration)>,
    /// Data dropped for good, as counted by the daemons.
    pub dropped: u64,
    /// When the daemon wants to be woken, as last asked.
    pub wake: Option<Moment>,
    /// What its daemons have reported.
    pub past: Past,
}

/// One run of the daemon.
#[derive(Debug)]
pub struct Daemon {
    monitor: Monitor,
    pub reconciler: Reconciler,
    publisher: Publisher,
    pub engine: StoreEngine,
    board: Arc<Board>,
    pub waiters: Vec<WriteWaiter>,
    /// Whether a write is running, or the store is waiting after a failure.
    pub disk_busy: bool,
    /// Calls known to have been accepted, with the data that the spool has not yet stored as sent.
    pub undurable: Vec<(usize, Vec<Key>)>,
    /// The incident of each token.
    tokens: BTreeMap<String, IncidentId>,
    /// Whether AWS has answered this daemon, and how far its host's clock is ahead.
    pub heard: bool,
    pub offset: i64,
    /// Whether a record was created without a look at the list, which the daemon reports.
    pub blind: bool,
}

/// The result of a step.
#[derive(Debug, Default)]
pub struct Outcome {
    pub commands: Vec<Command>,
    pub facts: Vec<Fact>,
    pub dropped: u64,
}

impl Gateway {
    pub fn new(index: usize, switches: &Switches, directory: PathBuf) -> Self {
        let site = format!("milan-{}", index + 1);
        let setup = switches.setup();
        let plan = site::plan(switches, setup, &site);
        Self::of(index, setup, plan, site::sink_settings(&site), directory)
    }

    /// One with this plan.
    pub fn of(index: usize, setup: Setup, plan: Plan, sink: SinkSettings, directory: PathBuf) -> Self {
        let store = StoreSettings {
            path: directory.join(format!("gateway-{index}.db")),
            max_size: 64_000_000,
            keep: Duration::from_secs(90 * 86_400),
            spool: true,
        };
        Self {
            site: Arc::clone(&plan.site),
            plan: Arc::new(plan),
            sink,
            setup,
            store,
            silences: Vec::new(),
            silenced: 0,
            clocks: Clocks::booted_at(Moment::ORIGIN, 0),
            reachable: true,
            credentials: true,
            writable: true,
            votes: true,
            daemon: None,
            life: 0,
            fuse: None,
            dropped: 0,
            wake: None,
            past: Past::default(),
        }
    }

    /// The configuration changes; a running daemon loads it.
    pub fn reload(&mut self, switches: &Switches, setup: Setup, at: Moment) {
        self.setup = setup;
        self.load(site::plan(switches, setup, &self.site), at);
    }

    /// Another plan; a running daemon loads it.
    pub fn load(&mut self, plan: Plan, at: Moment) {
        self.plan = Arc::new(plan);
        let now = self.clocks.now(at);
        if let Some(daemon) = &mut self.daemon {
            self.past.before_reload(&daemon.monitor.status(now));
            daemon.monitor.reconfigure(Arc::clone(&self.plan), now);
        }
    }

    pub fn start(&mut self, at: Moment) {
        let now = self.clocks.now(at);
        self.life += 1;
        self.past.started(now);
        let (engine, mut remembered) = StoreEngine::open(&self.store, now).unwrap();
        remembered.silences = self.silences.clone().into();
        let rows = engine.load(self.sink.id());
        let tokens = rows
            .iter()
            .filter_map(|row| Some((row.start.as_ref()?.client_token.clone(), row.incident.clone())))
            .collect();
        let publisher = PublishSettings {
            site: Arc::clone(&self.site),
            interval: Duration::from_secs(60),
            seed: u64::from(self.life),
        };
        self.daemon = Some(Daemon {
            monitor: Monitor::new(Arc::clone(&self.plan), remembered, now),
            reconciler: Reconciler::new(self.sink.clone(), rows, now),
            publisher: Publisher::new(publisher, now),
            engine,
            board: Arc::default(),
            waiters: Vec::new(),
            disk_busy: false,
            undurable: Vec::new(),
            tokens,
            heard: false,
            offset: 0,
            blind: false,
        });
    }

    /// A person silences something; the daemon refuses that while it cannot keep it.
    pub fn silence(
        &mut self,
        of: Silenced,
        after: Duration,
        lasting: Duration,
        at: Moment,
    ) -> Option<&Silence> {
        let now = self.clocks.now(at);
        let daemon = self.daemon.as_mut().filter(|_| self.writable)?;
        daemon.offset = self.clocks.offset;
        let wall = daemon.dated(now, MAX_CLOCK_OFFSET).wall;
        self.silences.retain(|silence| silence.until > wall);
        self.silenced += 1;
        self.silences.push(Silence {
            id: SilenceId(self.silenced),
            of: site::silence_scope(of),
            from: wall + after,
            until: wall + after + lasting,
            weekly: None,
            reason: "planned work".into(),
            by: 1000,
            added: wall,
            from_now: FromNow::default(),
        });
        self.silences.last()
    }

    /// A person ends every silence; returns whether the daemon could be asked.
    pub fn end_silences(&mut self) -> bool {
        let asked = self.daemon.is_some() && self.writable;
        if asked {
            self.silences.clear();
        }
        asked
    }

    /// For the daemon.
    pub fn silences(&self) -> Event {
        Event::Silences(self.silences.clone().into())
    }

    /// Asks the daemon when it wants to be woken.
    pub fn ask_wake(&mut self) {
        self.wake = self.daemon.as_ref().and_then(Daemon::wake).map(|at| self.clocks.world(at));
    }
}

impl Daemon {
    pub fn status(&self, now: Now) -> Status {
        self.monitor.status(now)
    }

    fn wake(&self) -> Option<Moment> {
        let disk = if self.disk_busy { None } else { self.engine.poll_timeout() };
        let machines = [
            self.monitor.poll_timeout().map(|(at, _)| at),
            self.reconciler.poll_timeout().map(|(at, _)| at),
            self.publisher.poll_timeout().map(|(at, _)| at),
            disk,
        ];
        machines.into_iter().flatten().min()
    }

    /// Whether something has to be written at once.
    pub fn wants_disk(&self, now: Now) -> bool {
        !self.disk_busy && self.engine.poll_timeout().is_some_and(|at| at <= now.mono)
    }

    pub fn handle(&mut self, event: Event, now: Now) {
        self.monitor.handle(event, now);
    }

    pub fn sink_event(&mut self, event: SinkEvent, now: Now) {
        let now = self.dated(now, MAX_CLOCK_OFFSET);
        self.reconciler.handle(event, now);
    }

    pub fn published(&mut self, event: Published, now: Now) {
        self.publisher.handle(event, self.as_cloudwatch_judges(now));
    }

    fn as_cloudwatch_judges(&self, now: Now) -> Clock {
        let whose = if self.heard { Whose::Aws } else { Whose::Host };
        Clock { now: self.dated(now, 0), whose }
    }

    /// AWS's time, where it is known and the host is far off; else the host's.
    fn dated(&self, now: Now, far_off: u64) -> Now {
        if !self.heard || self.offset.unsigned_abs() <= far_off {
            return now;
        }
        let beside = Duration::from_secs(self.offset.unsigned_abs());
        let wall = if self.offset < 0 { now.wall + beside } else { now.wall - beside };
        Now { wall, ..now }
    }

    /// Runs everything that is due.
    pub fn handle_timeout(&mut self, now: Now) {
        if self.monitor.poll_timeout().is_some_and(|(at, _)| at <= now.mono) {
            self.monitor.handle_timeout(now);
        }
        if self.reconciler.poll_timeout().is_some_and(|(at, _)| at <= now.mono) {
            self.reconciler.handle_timeout(self.dated(now, MAX_CLOCK_OFFSET));
        }
        if self.publisher.poll_timeout().is_some_and(|(at, _)| at <= now.mono) {
            self.publisher.handle_timeout(self.as_cloudwatch_judges(now));
        }
    }

    /// Passes messages between the parts until none is left.
    pub fn drain(&mut self, sink: &SinkId, now: Now) -> Outcome {
        let mut outcome = Outcome::default();
        loop {
            let mut quiet = true;
            while let Some(request) = self.monitor.poll_request() {
                match request {
                    Request::Echo(echo) => outcome.commands.push(Command::Echo(echo)),
                    Request::AskAws(AwsRequest::Views(request)) => {
                        outcome.commands.push(Command::Ask(request.source));
                    }
                    Request::AskAws(AwsRequest::History(HistoryRequest { vpn, from, to, .. })) => {
                        outcome.commands.push(Command::AskHistory { vpn, from, to });
                    }
                    Request::Sense(question) => outcome.commands.push(Command::Sense(question)),
                    Request::Retire { .. } => {}
                }
            }
            while let Some(fact) = self.monitor.poll_fact() {
                quiet = false;
                self.engine.record(&fact, now);
                match &fact {
                    Fact::RollupReady(rollup) => {
                        self.published(Published::Ready(Arc::clone(rollup)), now);
                    }
                    Fact::CouldVote { vpn, minute } => {
                        let can_page =
                            self.reconciler.problem().is_none_or(|it| it.severity < Severity::Failed);
                        let (vpn, minute) = (vpn.clone(), *minute);
                        self.published(Published::CouldVote { vpn, minute, can_page }, now);
                    }
                    _ => {}
                }
                outcome.facts.push(fact);
            }
            if !Arc::ptr_eq(&self.board, self.monitor.board()) {
                quiet = false;
                self.board = Arc::clone(self.monitor.board());
                self.sink_event(SinkEvent::Board(Arc::clone(&self.board)), now);
            }
            while let Some(settled) = self.reconciler.poll_settled() {
                quiet = false;
                let (incident, revision) = (settled.incident, settled.revision);
                let sink = site::destination();
                self.monitor.handle(Event::Settled { sink, incident, revision }, now);
            }
            while let Some(UnclaimedRecord { scope, kind, created }) = self.reconciler.poll_unclaimed() {
                quiet = false;
                self.monitor.handle(Event::RecordFound { sink: sink.clone(), scope, kind, created }, now);
            }
            while let Some(action) = self.reconciler.poll_action() {
                quiet = false;
                self.act(action, sink, &mut outcome, now);
            }
            while self.reconciler.poll_report().is_some() {}
            for notice in self.reconciler.poll_notices() {
                self.blind |= notice.reason == NoticeReason::CreatedWithoutList;
            }
            while let Some(action) = self.publisher.poll_action() {
                quiet = false;
                match action {
                    Publishing::Put(data) => outcome.commands.push(Command::Put(data)),
                    Publishing::Read { until, limit } => {
                        outcome.commands.push(Command::Read { until, limit })
                    }
                    Publishing::Mark(rollups) => self.mark(&rollups, now),
                    Publishing::Dropped(count) => outcome.dropped += count,
                    Publishing::Problem(_) | Publishing::Notice(_) => {}
                }
            }
            if quiet {
                return outcome;
            }
        }
    }

    fn act(&mut self, action: SinkAction<RecordCall>, sink: &SinkId, outcome: &mut Outcome, now: Now) {
        match action.work {
            Work::Commit { row } => {
                if let Some(start) = &row.start {
                    self.tokens.insert(start.client_token.clone(), row.incident.clone());
                }
                self.engine.commit_row(*row, now);
                self.waiters.push(WriteWaiter::Ledger(action.id));
            }
            Work::Forget { incident } => {
                self.engine.forget(sink, &incident, now);
                self.waiters.push(WriteWaiter::Ledger(action.id));
            }
            Work::Call(call) => outcome.commands.push(Command::Call(action.id, Box::new(call))),
        }
    }

    fn mark(&mut self, rollups: &[Arc<Rollup>], now: Now) {
        self.engine.sent(rollups, now);
        let data = rollups.iter().flat_map(|rollup| datum::of_rollup(rollup));
        self.waiters.push(WriteWaiter::Mark(data.map(|datum| key(&datum)).collect()));
    }

    /// The disk has stored these as sent.
    pub fn marked(&mut self, data: &BTreeSet<Key>) {
        for (_, lacking) in &mut self.undurable {
            lacking.retain(|key| !data.contains(key));
        }
        self.undurable.retain(|(_, lacking)| !lacking.is_empty());
    }

    /// The incident that a record was created for.
    pub fn incident_of(&self, request: &StartRequest) -> Option<IncidentId> {
        // If the ledger cannot be written, the record is created without it.
        let newest = || {
            let of_kind =
                |it: &&Arc<Incident>| it.id.kind == request.scope.kind && it.id.scope == request.scope.of;
            let mut of_kind = self.board.incidents.iter().filter(of_kind);
            of_kind.next_back().map(|incident| incident.id.clone())
        };
        self.tokens.get(&request.client_token).cloned().or_else(newest)
    }

    /// The phase of each kind.
    pub fn phases(&self, now: Now) -> BTreeSet<&'static str> {
        let status = self.monitor.status(now);
        status.vpns.iter().flat_map(|vpn| &vpn.phases).map(|(_, phase)| phase.as_str()).collect()
    }

    pub fn board(&self) -> &Board {
        &self.board
    }
}

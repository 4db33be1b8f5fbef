//! A gateway: the real core, reconciler, publisher and store, put together as the daemon does it, without its threads.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bothends::domain::board::{Board, IncidentId};
use bothends::domain::event::Event;
use bothends::domain::fact::Fact;
use bothends::domain::monitor::Monitor;
use bothends::domain::names::{SinkId, SourceId};
use bothends::domain::plan::Plan;
use bothends::domain::request::{AwsRequest, EchoRequest, HistoryRequest, Request};
use bothends::domain::rollup::Rollup;
use bothends::domain::time::{Moment, Now, Stamp};
use bothends::health::Severity;
use bothends::incident::action::{Action, ActionId, Found, SinkEvent, Work};
use bothends::incident::outbox::Machine as _;
use bothends::incident::reconcile::{Reconciler, WITHOUT_A_LIST};
use bothends::incident::settings::SinkRules as SinkSettings;
use bothends::incident::sink::StartRequest;
use bothends::publish::datum;
use bothends::publish::machine::{
    Action as Publishing, Clock, Event as Published, PublishSettings, Publisher, Whose,
};
use bothends::publish::sink::Datum;
use bothends::settings::StoreSettings;
use bothends::store::Keeper;

use super::metrics::{Key, key};
use super::schedule::{Setup, Switches};
use super::site;
use super::time::Clocks;

/// From so many seconds on the daemon goes by AWS's clock, as `daemon/clock_offset.rs` gives it.
const FAR_OFF_FOR_RECORDS: u64 = 60;

/// What a daemon wants done; it hears of it later.
#[derive(Debug)]
pub enum Wish {
    Echo(EchoRequest),
    Ask(SourceId),
    /// What AWS saw in the past.
    AskHistory {
        from: Stamp,
        to: Stamp,
    },
    /// A call to the sink.
    Call(Box<Action>),
    Put(Arc<[Datum]>),
    Read {
        until: Stamp,
        limit: usize,
    },
}

/// Who waits for the disk.
#[derive(Debug)]
pub enum Waiter {
    Ledger(ActionId),
    /// The spool is told that these were delivered.
    Mark(BTreeSet<Key>),
}

/// What a gateway is made of; it outlives its daemon.
#[derive(Debug)]
pub struct Gateway {
    pub site: Arc<str>,
    pub setup: Setup,
    plan: Arc<Plan>,
    pub sink: SinkSettings,
    pub store: StoreSettings,
    pub clocks: Clocks,
    pub reachable: bool,
    pub credentials: bool,
    pub writable: bool,
    /// Whether it holds the address that it votes for, or needs none.
    pub votes: bool,
    pub daemon: Option<Daemon>,
    /// How many daemons have run.
    pub life: u32,
    /// The daemon dies after so many steps, and starts again after that time.
    pub fuse: Option<(u32, Duration)>,
    /// What is never to be sent, as the daemons counted it.
    pub dropped: u64,
    /// When the daemon wants to be called, as last asked.
    pub wake: Option<Moment>,
}

/// One run of the daemon.
#[derive(Debug)]
pub struct Daemon {
    monitor: Monitor,
    pub reconciler: Reconciler,
    publisher: Publisher,
    pub keeper: Keeper,
    board: Arc<Board>,
    pub waiters: Vec<Waiter>,
    /// Whether the disk is at work, or rests after a failure.
    pub disk_busy: bool,
    /// Calls that were heard to have been taken, with the data that the spool has not on the disk as sent.
    pub undurable: Vec<(usize, Vec<Key>)>,
    /// The incident that each token stands for.
    tokens: BTreeMap<String, IncidentId>,
    /// Whether AWS has answered it, and how far its host's clock is ahead.
    pub heard: bool,
    pub offset: i64,
    /// Whether a page went out without a look at the list, which is stated.
    pub blind: bool,
}

/// What a step brought about.
#[derive(Debug, Default)]
pub struct Outcome {
    pub wishes: Vec<Wish>,
    pub facts: Vec<Fact>,
    pub dropped: u64,
}

impl Gateway {
    pub fn new(index: usize, switches: &Switches, directory: PathBuf) -> Self {
        let site = format!("milan-{}", index + 1);
        let setup = switches.setup();
        let store = StoreSettings {
            path: directory.join(format!("gateway-{index}.db")),
            max_size: 64_000_000,
            keep: Duration::from_secs(90 * 86_400),
            spool: true,
        };
        Self {
            plan: Arc::new(site::plan(switches, setup, &site)),
            sink: site::sink_settings(&site),
            site: site.into(),
            setup,
            store,
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
        }
    }

    /// The configuration is another; a daemon that runs takes it.
    pub fn reload(&mut self, switches: &Switches, setup: Setup, at: Moment) {
        self.setup = setup;
        self.plan = Arc::new(site::plan(switches, setup, &self.site));
        let now = self.clocks.now(at);
        if let Some(daemon) = &mut self.daemon {
            daemon.monitor.reconfigure(Arc::clone(&self.plan), now);
        }
    }

    /// Starts the daemon.
    pub fn start(&mut self, at: Moment) {
        let now = self.clocks.now(at);
        self.life += 1;
        let (keeper, remembered) = Keeper::open(&self.store, now).unwrap();
        let rows = keeper.load(self.sink.id());
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
            keeper,
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

    /// Asks the daemon when it wants to be called.
    pub fn ask_wake(&mut self) {
        self.wake = self.daemon.as_ref().and_then(Daemon::wake).map(|at| self.clocks.world(at));
    }
}

impl Daemon {
    fn wake(&self) -> Option<Moment> {
        let disk = if self.disk_busy { None } else { self.keeper.poll_timeout() };
        let machines = [
            self.monitor.poll_timeout().map(|(at, _)| at),
            self.reconciler.poll_timeout().map(|(at, _)| at),
            self.publisher.poll_timeout().map(|(at, _)| at),
            disk,
        ];
        machines.into_iter().flatten().min()
    }

    /// Whether something is to be written at once.
    pub fn wants_disk(&self, now: Now) -> bool {
        !self.disk_busy && self.keeper.poll_timeout().is_some_and(|at| at <= now.mono)
    }

    pub fn handle(&mut self, event: Event, now: Now) {
        self.monitor.handle(event, now);
    }

    pub fn sink_event(&mut self, event: SinkEvent, now: Now) {
        let now = self.dated(now, FAR_OFF_FOR_RECORDS);
        self.reconciler.handle(event, now);
    }

    pub fn published(&mut self, event: Published, now: Now) {
        self.publisher.handle(event, self.as_cloudwatch_judges(now));
    }

    fn as_cloudwatch_judges(&self, now: Now) -> Clock {
        let whose = if self.heard { Whose::Aws } else { Whose::Host };
        Clock { now: self.dated(now, 0), whose }
    }

    /// The time as AWS has it, where it has been heard and the host is far off; else the host's.
    fn dated(&self, now: Now, far_off: u64) -> Now {
        if !self.heard || self.offset.unsigned_abs() <= far_off {
            return now;
        }
        let beside = Duration::from_secs(self.offset.unsigned_abs());
        let wall = if self.offset < 0 { now.wall + beside } else { now.wall - beside };
        Now { wall, ..now }
    }

    /// Calls whoever is due.
    pub fn handle_timeout(&mut self, now: Now) {
        if self.monitor.poll_timeout().is_some_and(|(at, _)| at <= now.mono) {
            self.monitor.handle_timeout(now);
        }
        if self.reconciler.poll_timeout().is_some_and(|(at, _)| at <= now.mono) {
            self.reconciler.handle_timeout(self.dated(now, FAR_OFF_FOR_RECORDS));
        }
        if self.publisher.poll_timeout().is_some_and(|(at, _)| at <= now.mono) {
            self.publisher.handle_timeout(self.as_cloudwatch_judges(now));
        }
    }

    /// Passes on what the parts have to say to each other, until they have no more.
    pub fn drain(&mut self, sink: &SinkId, now: Now) -> Outcome {
        let mut outcome = Outcome::default();
        loop {
            let mut quiet = true;
            while let Some(request) = self.monitor.poll_request() {
                match request {
                    Request::Echo(echo) => outcome.wishes.push(Wish::Echo(echo)),
                    Request::AskAws(AwsRequest::Views(source)) => outcome.wishes.push(Wish::Ask(source)),
                    Request::AskAws(AwsRequest::History(HistoryRequest { from, to, .. })) => {
                        outcome.wishes.push(Wish::AskHistory { from, to });
                    }
                    Request::Retire { .. } => {}
                }
            }
            while let Some(fact) = self.monitor.poll_fact() {
                quiet = false;
                self.keeper.record(&fact, now);
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
            while let Some(Found { vpn, kind, created }) = self.reconciler.poll_found() {
                quiet = false;
                self.monitor.handle(Event::RecordFound { sink: sink.clone(), vpn, kind, created }, now);
            }
            while let Some(action) = self.reconciler.poll_action() {
                quiet = false;
                self.act(action, sink, &mut outcome, now);
            }
            while self.reconciler.poll_report().is_some() {}
            for notice in self.reconciler.poll_notices() {
                self.blind |= notice.text.contains(WITHOUT_A_LIST);
            }
            while let Some(action) = self.publisher.poll_action() {
                quiet = false;
                match action {
                    Publishing::Put(data) => outcome.wishes.push(Wish::Put(data)),
                    Publishing::Read { until, limit } => outcome.wishes.push(Wish::Read { until, limit }),
                    Publishing::Mark(rollups) => self.mark(&rollups, now),
                    Publishing::Dropped(count) => outcome.dropped += count,
                    Publishing::Problem(_) | Publishing::Warn(_) => {}
                }
            }
            if quiet {
                return outcome;
            }
        }
    }

    fn act(&mut self, action: Action, sink: &SinkId, outcome: &mut Outcome, now: Now) {
        match action.work {
            Work::Commit { row } => {
                if let Some(start) = &row.start {
                    self.tokens.insert(start.client_token.clone(), row.incident.clone());
                }
                self.keeper.commit_row(row, now);
                self.waiters.push(Waiter::Ledger(action.id));
            }
            Work::Forget { incident } => {
                self.keeper.forget(sink, &incident, now);
                self.waiters.push(Waiter::Ledger(action.id));
            }
            Work::Find { .. }
            | Work::Survey { .. }
            | Work::Start { .. }
            | Work::Read { .. }
            | Work::Note { .. }
            | Work::Relate { .. }
            | Work::Describe { .. }
            | Work::Resolve { .. } => outcome.wishes.push(Wish::Call(Box::new(action))),
        }
    }

    fn mark(&mut self, rollups: &[Arc<Rollup>], now: Now) {
        self.keeper.sent(rollups, now);
        let data = rollups.iter().flat_map(|rollup| datum::of_rollup(rollup));
        self.waiters.push(Waiter::Mark(data.map(|datum| key(&datum)).collect()));
    }

    /// The disk has these as sent.
    pub fn marked(&mut self, data: &BTreeSet<Key>) {
        for (_, lacking) in &mut self.undurable {
            lacking.retain(|key| !data.contains(key));
        }
        self.undurable.retain(|(_, lacking)| !lacking.is_empty());
    }

    /// The incident that a record was started for.
    pub fn story_of(&self, request: &StartRequest) -> Option<IncidentId> {
        // If the ledger cannot be written a page goes out without it.
        let newest = || {
            let mut of_kind = self.board.incidents.iter().filter(|it| it.id.kind == request.scope.kind);
            of_kind.next_back().map(|incident| incident.id.clone())
        };
        self.tokens.get(&request.client_token).cloned().or_else(newest)
    }

    /// Where the kinds stand.
    pub fn phases(&self, now: Now) -> BTreeSet<&'static str> {
        let status = self.monitor.status(now);
        status.vpns.iter().flat_map(|vpn| &vpn.phases).map(|(_, phase)| phase.as_str()).collect()
    }

    pub fn board(&self) -> &Board {
        &self.board
    }
}

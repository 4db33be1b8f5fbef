//! The world: what happens when, and what follows.

mod commands;
mod ops;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bothends::domain::board::{IncidentId, Withheld};
use bothends::domain::event::{AwsAnswer, Event, History};
use bothends::domain::fact::{Fact, IncidentChange};
use bothends::domain::names::SourceId;
use bothends::domain::request::EchoRequest;
use bothends::domain::time::{Moment, Now, Stamp};
use bothends::incident::action::{ActionFailure, ActionId, RecordCall, Reply, SinkEvent};
use bothends::publish::machine::Event as Published;
use bothends::publish::sink::{Datum, PutError, SpoolError};

use super::calls::{Faults, Response};
use super::chance::Chance;
use super::expected::{Expected, Scene};
use super::gateway::{Daemon, Gateway};
use super::history;
use super::manager::{Manager, StoredRecord};
use super::metrics::Metrics;
use super::schedule::{Line, Op, Schedule, Switches, Timed, Who};
use super::site::{index_of, shared_address, tunnel, vpn};
use super::time::{Clocks, aws_clock};
use super::truth::{Truth, seconds};
use super::views::Views;

const DISK: (u64, u64) = (1, 60);
/// After a failure the store waits this long, unless somebody waits for it.
const DISK_RETRY: Duration = Duration::from_secs(30);
/// At the end everything works for at least this long: time for every back-off …
const CALM_LEAST: Duration = Duration::from_secs(900);
/// … and, while something is open, for at most this long: an hour of health, and the delivery.
const CALM_MOST: Duration = Duration::from_secs(3 * 3600);
/// How often to check whether something is still open.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// More steps than this at one instant mean an endless loop.
const STEPS_AT_ONCE: u32 = 20_000;

/// A scheduled event.
#[derive(Debug)]
enum Scheduled {
    Op(Op),
    Start {
        gateway: usize,
    },
    Reply {
        to: DaemonRun,
        echo: EchoRequest,
        sent: Moment,
    },
    Answer {
        to: DaemonRun,
        source: SourceId,
        asked: Moment,
        heard: Response,
    },
    History {
        to: DaemonRun,
        from: Stamp,
        until: Stamp,
        asked: Moment,
        heard: Response,
    },
    Do {
        to: DaemonRun,
        id: ActionId,
        call: Box<RecordCall>,
        story: Option<IncidentId>,
        answers: Option<(Duration, Response)>,
    },
    Hear {
        to: DaemonRun,
        id: ActionId,
        result: Result<Reply, ActionFailure>,
    },
    Put {
        to: DaemonRun,
        data: Arc<[Datum]>,
        answers: Option<Duration>,
    },
    HearPut {
        to: DaemonRun,
        taken: Option<usize>,
        result: Result<(), PutError>,
    },
    Read {
        to: DaemonRun,
        until: Stamp,
        limit: usize,
    },
    Disk {
        to: DaemonRun,
    },
    /// A silence begins or ends: something else is expected from here on.
    News,
}

/// One run of a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct DaemonRun {
    gateway: usize,
    life: u32,
}

pub struct World {
    pub switches: Switches,
    pub at: Moment,
    pub gateways: Vec<Gateway>,
    pub lines: Vec<Vec<Line>>,
    pub views: Views,
    pub manager: Manager,
    pub metrics: Metrics,
    pub faults: Faults,
    pub truth: Truth,
    expected: Expected,
    /// How often each fault occurred.
    pub met: BTreeMap<&'static str, u64>,
    /// What happened, if it is to be printed.
    pub history: Option<Vec<String>>,
    /// The holder of the shared address.
    holder: usize,
    agenda: BTreeMap<(Moment, u64), Box<Scheduled>>,
    numbers: u64,
    echo_luck: Vec<Chance>,
    call_luck: Vec<Chance>,
    disk_luck: Vec<Chance>,
    at_once: u32,
}

impl World {
    /// Plays a schedule to its end, with the stores' files in `directory`.
    pub fn play(schedule: &Schedule, directory: &Path) -> Self {
        let switches = schedule.switches;
        let count = if switches.twin { 2 } else { 1 };
        let gateways = (0..count).map(|index| Gateway::new(index, &switches, directory.to_owned())).collect();
        let luck = |what: &'static str| {
            (0..count).map(|index| Chance::of(schedule.seed, (what, index))).collect::<Vec<_>>()
        };
        let mut world = Self {
            switches,
            at: Moment::ORIGIN + Duration::from_secs(24 * 3600),
            gateways,
            lines: vec![
                (0..switches.tunnels)
                    .map(|tunnel| if switches.never(tunnel) { Line::Dead } else { Line::Carries })
                    .collect();
                count
            ],
            views: Views::new(switches),
            manager: Manager::new(switches),
            metrics: Metrics::default(),
            faults: Faults::default(),
            truth: Truth::new(count, switches),
            expected: Expected::new(count),
            met: BTreeMap::new(),
            history: std::env::var_os("BOTHENDS_HISTORY").map(|_| Vec::new()),
            holder: 0,
            agenda: BTreeMap::new(),
            numbers: 0,
            echo_luck: luck("echoes"),
            call_luck: luck("calls"),
            disk_luck: luck("disk"),
            at_once: 0,
        };
        let begin = world.at;
        for (gateway, tunnel) in
            (0..count).flat_map(|gateway| (0..switches.tunnels).map(move |t| (gateway, t)))
        {
            let line = world.lines[gateway][tunnel];
            world.truth.path(gateway, tunnel, line, begin);
        }
        for gateway in 0..count {
            world.gateways[gateway].clocks = Clocks::booted_at(begin, 0);
            world.later(Duration::ZERO, Scheduled::Start { gateway });
        }
        for Timed { at, op, number: _ } in &schedule.ops {
            world.later(*at, Scheduled::Op(*op));
        }
        let last = schedule.ops.last().map_or(Duration::ZERO, |timed| timed.at);
        world.run(begin + last + Duration::from_secs(1));
        world.mend();
        let mended = begin + last;
        world.run(mended + CALM_LEAST);
        while world.lasts() && world.at < mended + CALM_MOST {
            world.run(world.at + LOOK_EVERY);
        }
        world
    }

    /// Whether an incident or record is open.
    fn lasts(&self) -> bool {
        let open = self.manager.records.iter().any(StoredRecord::is_open);
        let boards = self.gateways.iter().filter_map(|gateway| gateway.daemon.as_ref());
        let board = boards.map(|daemon| daemon.board().incidents.len()).sum::<usize>() > 0;
        open || board || self.gateways.iter().any(|gateway| gateway.daemon.is_none())
    }

    fn remember(&mut self, what: impl FnOnce() -> String) {
        if let Some(history) = &mut self.history {
            history.push(format!("{:>10.3} s  {}", seconds(self.at), what()));
        }
    }

    fn later(&mut self, after: Duration, what: Scheduled) {
        self.numbers += 1;
        self.agenda.insert((self.at + after, self.numbers), Box::new(what));
    }

    fn run(&mut self, end: Moment) {
        loop {
            let planned = self.agenda.first_key_value().map(|((at, _), _)| *at);
            let wakes = self.gateways.iter().enumerate();
            let wake = wakes.filter_map(|(index, gateway)| Some((gateway.wake?, index))).min();
            let next = [planned, wake.map(|(at, _)| at)].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            if next > self.at {
                self.at = next;
                self.at_once = 0;
            }
            self.at_once += 1;
            assert!(self.at_once < STEPS_AT_ONCE, "endless loop: {:?}", self.agenda.first_key_value());
            if planned.is_some_and(|planned| planned <= self.at) {
                if let Some((_, happening)) = self.agenda.pop_first() {
                    self.happen(*happening);
                }
            } else if let Some((_, gateway)) = wake {
                self.with(gateway, |daemon, now| daemon.handle_timeout(now));
            }
            let Self { at, gateways, lines, views, faults, manager, truth, expected, .. } = self;
            expected.look(*at, &Scene { gateways, lines, views, faults, manager }, truth);
        }
        self.at = end;
    }

    /// Repairs everything.
    fn mend(&mut self) {
        for index in 0..self.gateways.len() {
            self.reload(Who::One(index), self.gateways[index].setup.corrected());
        }
        self.faults.clear();
        self.views.mend();
        for tunnel in 0..self.switches.tunnels {
            self.views.see(tunnel, true, self.at);
            self.views.bgp(tunnel, true, self.at);
        }
        for (index, gateway) in self.gateways.iter_mut().enumerate() {
            (gateway.reachable, gateway.credentials, gateway.writable) = (true, true, true);
            gateway.clocks.offset = 0;
            gateway.fuse = None;
            for tunnel in 0..self.switches.tunnels {
                self.lines[index][tunnel] = Line::Carries;
                self.truth.path(index, tunnel, Line::Carries, self.at);
            }
        }
        self.truth.news = true;
    }

    fn happen(&mut self, happening: Scheduled) {
        match happening {
            Scheduled::Op(op) => self.op(op),
            Scheduled::Start { gateway } => {
                let at = self.at;
                self.gateways[gateway].start(at);
                self.truth.started(gateway, at);
                self.expected.restart_counting(gateway);
                let mut used = self.gateways[gateway].setup.used();
                let gone = |tunnel: usize| {
                    self.lines[gateway][tunnel] == Line::Missing && self.truth.was_held(gateway, tunnel)
                };
                if used.all(gone) {
                    *self.met.entry("reboots without IPsec").or_default() += 1;
                }
                self.with(gateway, |_, _| {});
                self.look_at_addresses(gateway);
            }
            Scheduled::Reply { to, echo, sent } => {
                let rtt = self.at.since(sent);
                if self.lives(to) {
                    let tunnel = index_of(&echo.check.tunnel);
                    self.truth.replied(to.gateway, tunnel, echo.echo, self.at);
                    let event = Event::Reply { check: echo.check, echo: echo.echo, rtt };
                    self.with(to.gateway, |daemon, now| daemon.handle(event, now));
                }
            }
            Scheduled::Answer { to, source, asked, heard } => {
                let event = match heard {
                    Response::Answer => {
                        let clocks = self.gateways[to.gateway].clocks;
                        let readings: Vec<_> = (0..self.switches.tunnels)
                            .map(|index| (tunnel(index), self.views.read(source.kind, index, self.at)))
                            .collect();
                        if self.lives(to) {
                            if let Some(daemon) = &mut self.gateways[to.gateway].daemon {
                                daemon.heard = true;
                            }
                            for (index, (_, reading)) in readings.iter().enumerate() {
                                self.truth.heard(to.gateway, source.kind, index, reading, self.at);
                            }
                        }
                        let asked = clocks.now(asked).mono;
                        Event::Answered(AwsAnswer {
                            source,
                            asked,
                            date: aws_clock(self.at),
                            readings,
                            data: Vec::new(),
                        })
                    }
                    Response::Throttled | Response::Failed | Response::Denied => {
                        Event::Refused { source, reached: true }
                    }
                    Response::Silence => Event::Refused { source, reached: false },
                };
                if self.lives(to) {
                    self.with(to.gateway, |daemon, now| daemon.handle(event, now));
                }
            }
            Scheduled::History { to, from, until, asked, heard } => {
                let event = match heard {
                    Response::Answer => Event::HistoryAnswered(History {
                        vpn: vpn(),
                        asked: self.gateways[to.gateway].clocks.now(asked).mono,
                        date: aws_clock(self.at),
                        points: (0..self.switches.tunnels)
                            .map(|index| (tunnel(index), self.views.history(index, from, until, self.at)))
                            .collect(),
                    }),
                    Response::Throttled | Response::Failed | Response::Denied | Response::Silence => {
                        Event::HistoryRefused { vpn: vpn() }
                    }
                };
                if self.lives(to) {
                    self.with(to.gateway, |daemon, now| daemon.handle(event, now));
                }
            }
            Scheduled::Do { to, id, call, story, answers } => self.execute(to, id, &call, story, answers),
            Scheduled::Hear { to, id, result } => {
                if self.lives(to) {
                    self.with(to.gateway, |daemon, now| {
                        daemon.sink_event(SinkEvent::Ended { id, result }, now);
                    });
                }
            }
            Scheduled::Put { to, data, answers } => {
                let result = self.metrics.put(&data, to.gateway, self.at);
                if let Some(after) = answers {
                    let taken = result.as_ref().ok().copied();
                    self.later(after, Scheduled::HearPut { to, taken, result: result.map(drop) });
                }
            }
            Scheduled::HearPut { to, taken, result } => {
                if self.lives(to) {
                    let metrics = &mut self.metrics;
                    let gateway = &mut self.gateways[to.gateway];
                    if let (Some(taken), Some(daemon)) = (taken, &mut gateway.daemon) {
                        let mut lacking = metrics.heard(taken);
                        // A heartbeat is not spooled: it is sent at once or never.
                        lacking.retain(|(name, _)| !name.starts_with("Heartbeat"));
                        daemon.undurable.push((taken, lacking));
                    }
                    self.with(to.gateway, |daemon, now| daemon.published(Published::Put(result), now));
                }
            }
            Scheduled::Read { to, until, limit } => {
                if self.lives(to) {
                    self.with(to.gateway, |daemon, now| {
                        let retry_after = DISK_RETRY;
                        let found = daemon
                            .engine
                            .unsent(until, limit)
                            .map_err(|what| SpoolError { what: what.to_string(), retry_after });
                        daemon.published(Published::Read(found), now);
                    });
                }
            }
            Scheduled::Disk { to } => {
                if self.lives(to) {
                    self.write(to);
                }
            }
            Scheduled::News => self.truth.news = true,
        }
    }

    /// A daemon reads its host's addresses.
    fn look_at_addresses(&mut self, gateway: usize) {
        let (address, held) = (shared_address(), self.holder == gateway);
        self.gateways[gateway].votes = held || !self.switches.vrrp;
        if self.switches.vrrp {
            self.with(gateway, |daemon, now| daemon.handle(Event::AddressHeld { address, held }, now));
        }
    }

    /// What the stores of the running daemons say of the past that is not so.
    pub fn broken_past(&mut self) -> Vec<String> {
        let mut broken = Vec::new();
        for (index, gateway) in self.gateways.iter_mut().enumerate() {
            let now = gateway.clocks.now(self.at);
            let Gateway { daemon: Some(daemon), past, .. } = gateway else { continue };
            let status = daemon.status(now);
            let said = past.broken(&mut daemon.engine, &status, now).into_iter();
            broken.extend(
                said.map(|how| format!("what the store says of the past is so: gateway {index}: {how}")),
            );
        }
        broken
    }

    fn lives(&self, to: DaemonRun) -> bool {
        let gateway = &self.gateways[to.gateway];
        gateway.daemon.is_some() && gateway.life == to.life
    }

    /// Calls a daemon, then executes what it asks for.
    fn with(&mut self, index: usize, act: impl FnOnce(&mut Daemon, Now)) {
        self.act(index, act);
        self.gateways[index].ask_wake();
    }

    fn act(&mut self, index: usize, act: impl FnOnce(&mut Daemon, Now)) {
        let gateway = &mut self.gateways[index];
        let now = gateway.clocks.now(self.at);
        let to = DaemonRun { gateway: index, life: gateway.life };
        let Some(daemon) = &mut gateway.daemon else { return };
        daemon.offset = gateway.clocks.offset;
        act(daemon, now);
        if let Some((steps, down)) = &mut gateway.fuse {
            let down = *down;
            *steps = steps.saturating_sub(1);
            if *steps == 0 {
                self.crash(index, down);
                return;
            }
        }
        // A probe that cannot be sent is reported at once.
        loop {
            let gateway = &mut self.gateways[index];
            let Some(daemon) = &mut gateway.daemon else { return };
            let outcome = daemon.drain(gateway.sink.id(), now);
            gateway.dropped += outcome.dropped;
            outcome.facts.iter().for_each(|fact| gateway.past.hear(fact));
            gateway.past.step(|| daemon.status(now));
            for fact in &outcome.facts {
                if self.history.is_some()
                    && let Some(line) = history::fact(fact)
                {
                    self.remember(|| format!("gateway {index} {line}"));
                }
                self.truth.hear(index, fact, self.at, &self.views);
                if let Some(name) = withheld(fact) {
                    *self.met.entry(name).or_default() += 1;
                }
            }
            let mut echoed = false;
            for command in outcome.commands {
                echoed |= self.grant(to, command, now);
            }
            if !echoed {
                break;
            }
        }
        let gateway = &mut self.gateways[index];
        if let Some(daemon) = &mut gateway.daemon
            && daemon.wants_disk(now)
        {
            daemon.disk_busy = true;
            let after = self.disk_luck[index].millis(DISK.0, DISK.1);
            let rest = !gateway.writable && daemon.waiters.is_empty();
            self.later(if rest { DISK_RETRY } else { after }, Scheduled::Disk { to });
        }
    }
}

/// What a fact says of an incident without a record of its own for now.
fn withheld(fact: &Fact) -> Option<&'static str> {
    let Fact::IncidentChanged { incident, change, at: _ } = fact else { return None };
    match (change, &incident.withheld) {
        (IncidentChange::Opened, Some(Withheld::Silenced(_))) => Some("silenced incidents"),
        (IncidentChange::Released, _) => Some("released incidents"),
        (IncidentChange::Resolved, Some(Withheld::Silenced(_))) => Some("silenced to their end"),
        (
            IncidentChange::Opened
            | IncidentChange::Adopted
            | IncidentChange::Confirmed
            | IncidentChange::Updated
            | IncidentChange::Worsened
            | IncidentChange::Clearing
            | IncidentChange::Reopened
            | IncidentChange::Resolved
            | IncidentChange::Unwatched
            | IncidentChange::HandedOver,
            _,
        ) => None,
    }
}

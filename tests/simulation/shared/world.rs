//! The site: its uplink, its connections, its gateways, and AWS.

use std::collections::BTreeMap;
use std::path::Path as File;
use std::time::Duration;

use bothends::domain::board::IncidentId;
use bothends::domain::event::{AwsAnswer, Event, History};
use bothends::domain::fact::{Fact, IncidentChange};
use bothends::domain::names::{SourceId, VpnId};
use bothends::domain::request::EchoRequest;
use bothends::domain::sensor::{Finding, Path, Reach, SenseRequest, Sensed};
use bothends::domain::time::{Moment, Now, Stamp};
use bothends::incident::action::{ActionFailure, ActionId, RecordCall, Reply, SinkEvent};
use bothends::incident::sink::LedgerError;
use bothends::publish::machine::Event as Published;
use bothends::publish::sink::SpoolError;

use super::super::calls::{Faults, Response, sink_error};
use super::super::chance::Chance;
use super::super::gateway::{Command, Daemon, Gateway, WriteWaiter};
use super::super::history;
use super::super::manager::{Manager, StoredRecord};
use super::super::schedule::{Calls, Fault};
use super::super::site::index_of;
use super::super::time::{Clocks, aws_clock};
use super::super::views::Views;
use super::books::{Books, Scene};
use super::script::{Script, Step};
use super::site;

/// At the end everything works for at least this long …
const CALM_LEAST: Duration = Duration::from_secs(900);
/// … and, while something is open, for at most this long.
const CALM_MOST: Duration = Duration::from_secs(3 * 3600);
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// After a failure the store waits this long, unless somebody waits for it.
const DISK_RETRY: Duration = Duration::from_secs(30);
/// More steps than this at one instant mean an endless loop.
const STEPS_AT_ONCE: u32 = 20_000;

/// One run of a daemon: which gateway, and which of its lives.
type Run = (usize, u32);

#[derive(Debug)]
enum Scheduled {
    Step(Step),
    /// AWS notices how a tunnel is by now.
    Sees {
        tunnel: usize,
    },
    Start {
        gateway: usize,
    },
    Reply {
        to: Run,
        echo: EchoRequest,
        sent: Moment,
    },
    Sensed {
        to: Run,
        question: SenseRequest,
        asked: Moment,
    },
    Answer {
        to: Run,
        source: SourceId,
        asked: Moment,
        heard: Response,
    },
    History {
        to: Run,
        vpn: VpnId,
        from: Stamp,
        until: Stamp,
        asked: Moment,
        heard: Response,
    },
    Do {
        to: Run,
        id: ActionId,
        call: Box<RecordCall>,
        story: Option<IncidentId>,
        answers: Option<(Duration, Response)>,
    },
    Hear {
        to: Run,
        id: ActionId,
        result: Result<Reply, ActionFailure>,
    },
    Put {
        to: Run,
    },
    Read {
        to: Run,
        until: Stamp,
        limit: usize,
    },
    Disk {
        to: Run,
    },
}

pub struct World {
    pub script: Script,
    pub at: Moment,
    pub gateways: Vec<Gateway>,
    pub uplink: bool,
    /// Whether each connection works by itself.
    pub works: Vec<bool>,
    pub views: Views,
    pub manager: Manager,
    pub faults: Faults,
    pub books: Books,
    /// How often each of these occurred.
    pub met: BTreeMap<&'static str, u64>,
    /// What happened, if it is to be printed.
    pub history: Option<Vec<String>>,
    agenda: BTreeMap<(Moment, u64), Scheduled>,
    numbers: u64,
    luck: Chance,
    at_once: u32,
}

impl World {
    /// Plays a script to its end, with the stores' files in `directory`.
    pub fn play(script: &Script, directory: &File) -> Self {
        let switches = script.switches;
        let count = if switches.twin { 2 } else { 1 };
        let gateway = |index| {
            let plan = site::plan(&switches, script.connections, false);
            let sink = site::sink_settings(script.connections);
            Gateway::of(index, switches.setup(), plan, sink, directory.to_owned())
        };
        let mut world = Self {
            script: script.clone(),
            at: Moment::ORIGIN + Duration::from_secs(24 * 3600),
            gateways: (0..count).map(gateway).collect(),
            uplink: true,
            works: vec![true; script.connections],
            views: Views::new(switches),
            manager: Manager::new(switches),
            faults: Faults::default(),
            books: Books::new(script, count),
            met: BTreeMap::new(),
            history: std::env::var_os("BOTHENDS_HISTORY").map(|_| Vec::new()),
            agenda: BTreeMap::new(),
            numbers: 0,
            luck: Chance::of(script.seed, "shared luck"),
            at_once: 0,
        };
        let begin = world.at;
        for gateway in 0..count {
            world.gateways[gateway].clocks = Clocks::booted_at(begin, 0);
            world.later(Duration::ZERO, Scheduled::Start { gateway });
        }
        for (at, step) in &script.steps {
            world.later(*at, Scheduled::Step(*step));
        }
        let last = script.steps.last().map_or(Duration::ZERO, |(at, _)| *at);
        world.run(begin + last + Duration::from_secs(1));
        world.mend();
        world.run(begin + last + CALM_LEAST);
        while world.lasts() && world.at < begin + last + CALM_MOST {
            world.run(world.at + LOOK_EVERY);
        }
        world
    }

    /// Whether an incident or record is open.
    fn lasts(&self) -> bool {
        let boards = self.gateways.iter().map(|gateway| gateway.daemon.as_ref());
        let busy = |daemon: Option<&Daemon>| daemon.is_none_or(|daemon| !daemon.board().incidents.is_empty());
        self.manager.records.iter().any(StoredRecord::is_open) || boards.into_iter().any(busy)
    }

    fn later(&mut self, after: Duration, what: Scheduled) {
        self.numbers += 1;
        self.agenda.insert((self.at + after, self.numbers), what);
    }

    fn remember(&mut self, what: impl FnOnce() -> String) {
        if let Some(history) = &mut self.history {
            history.push(format!("{:>10.3} s  {}", super::super::truth::seconds(self.at), what()));
        }
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
                    self.happen(happening);
                }
            } else if let Some((_, gateway)) = wake {
                self.with(gateway, |daemon, now| daemon.handle_timeout(now));
            }
            let Self { at, gateways, uplink, works, views, manager, faults, books, .. } = self;
            books.look(*at, &Scene { gateways, uplink: *uplink, works, views, faults, manager });
        }
        self.at = end;
    }

    /// Repairs everything.
    fn mend(&mut self) {
        self.faults.clear();
        self.views.mend();
        for gateway in &mut self.gateways {
            (gateway.reachable, gateway.writable, gateway.fuse) = (true, true, None);
        }
        self.step(Step::Uplink { up: true });
        for connection in 0..self.works.len() {
            self.step(Step::Connection { connection, works: true });
        }
    }

    fn is_dead(&self, tunnel: usize) -> bool {
        !self.uplink || !self.works[tunnel / 2]
    }

    fn step(&mut self, step: Step) {
        self.remember(|| format!("{step:?}"));
        self.books.news = true;
        let name = match step {
            Step::Uplink { up } => {
                self.uplink = up;
                self.books.uplink(up, self.at);
                (0..self.script.switches.tunnels).for_each(|tunnel| self.notices(tunnel));
                if up {
                    return;
                }
                "cut uplinks"
            }
            Step::Connection { connection, works } => {
                self.works[connection] = works;
                self.books.connection(connection, works, self.at);
                [0, 1].into_iter().for_each(|tunnel| self.notices(2 * connection + tunnel));
                if works {
                    return;
                }
                if self.uplink { "connections down alone" } else { "faults under a cut" }
            }
            Step::Trouble { calls, fault, percent } => return self.faults.set(calls, fault, percent),
            Step::Reach { gateway, reachable } => {
                self.gateways[gateway].reachable = reachable;
                return;
            }
            Step::Disk { gateway, writable } => {
                self.gateways[gateway].writable = writable;
                self.books.disturbed(gateway, self.at);
                return;
            }
            Step::Crash { gateway, down } => return self.crash(gateway, down),
            Step::CrashSoon { gateway, steps, down } => {
                self.gateways[gateway].fuse = Some((steps, down));
                return;
            }
            Step::Reload { standby } => {
                let plan = site::plan(&self.script.switches, self.script.connections, standby);
                for index in 0..self.gateways.len() {
                    let at = self.at;
                    self.books.disturbed(index, at);
                    self.gateways[index].load(plan.clone(), at);
                    self.with(index, |_, _| {});
                }
                "reloads"
            }
            Step::PersonCloses => {
                self.books.person_closes(self.at);
                self.manager.person_closes(self.at);
                "closes by people"
            }
        };
        *self.met.entry(name).or_default() += 1;
    }

    /// AWS notices a little later.
    fn notices(&mut self, tunnel: usize) {
        let after = self.luck.millis(0, 45_000);
        self.later(after, Scheduled::Sees { tunnel });
    }

    fn crash(&mut self, index: usize, down: Duration) {
        self.remember(|| format!("gateway {index} dies"));
        let gateway = &mut self.gateways[index];
        gateway.fuse = None;
        if gateway.daemon.take().is_none() {
            return;
        }
        gateway.wake = None;
        if self.script.switches.power_cuts {
            gateway.clocks = Clocks::booted_at(self.at, 0);
        }
        self.books.disturbed(index, self.at);
        let when = if self.uplink { "crashes" } else { "crashes under a cut" };
        *self.met.entry(when).or_default() += 1;
        self.later(down, Scheduled::Start { gateway: index });
    }

    fn happen(&mut self, happening: Scheduled) {
        match happening {
            Scheduled::Step(step) => self.step(step),
            Scheduled::Sees { tunnel } => {
                let up = !self.is_dead(tunnel);
                self.views.see(tunnel, up, self.at);
                self.books.news = true;
            }
            Scheduled::Start { gateway } => {
                let at = self.at;
                self.gateways[gateway].start(at);
                self.books.started(gateway, at);
                self.with(gateway, |_, _| {});
            }
            Scheduled::Reply { to, echo, sent } => {
                let rtt = self.at.since(sent);
                let event = Event::Reply { check: echo.check, echo: echo.echo, rtt };
                self.tell(to, |daemon, now| daemon.handle(event, now));
            }
            Scheduled::Sensed { to, question, asked } => {
                let tunnel = index_of(&question.tunnel);
                let reach = |up: bool| {
                    if up { Reach::Answers { rtt: Duration::from_millis(9) } } else { Reach::Silent }
                };
                let path = Path {
                    outside: reach(!self.is_dead(tunnel)),
                    references: vec![(site::REFERENCE, reach(self.uplink))],
                    interface: None,
                };
                let asked = self.gateways[to.0].clocks.now(asked).mono;
                let sensed = Sensed { tunnel: question.tunnel, asked, finding: Finding::Path(Ok(path)) };
                self.tell(to, |daemon, now| daemon.handle(Event::Sensed(sensed), now));
            }
            Scheduled::Answer { to, source, asked, heard } => self.answer(to, source, asked, heard),
            Scheduled::History { to, vpn, from, until, asked, heard } => {
                let event = match heard {
                    Response::Answer => {
                        let points = |index: usize| {
                            (site::tunnel(index), self.views.history(index, from, until, self.at))
                        };
                        let of = (0..self.script.switches.tunnels).map(points);
                        Event::HistoryAnswered(History {
                            asked: self.gateways[to.0].clocks.now(asked).mono,
                            date: aws_clock(self.at),
                            points: of.filter(|(tunnel, _)| tunnel.vpn == vpn).collect(),
                            vpn,
                        })
                    }
                    Response::Throttled | Response::Failed | Response::Denied | Response::Silence => {
                        Event::HistoryRefused { vpn }
                    }
                };
                self.tell(to, |daemon, now| daemon.handle(event, now));
            }
            Scheduled::Do { to, id, call, story, answers } => self.execute(to, id, &call, story, answers),
            Scheduled::Hear { to, id, result } => {
                self.tell(to, |daemon, now| daemon.sink_event(SinkEvent::Ended { id, result }, now));
            }
            Scheduled::Put { to } => {
                self.tell(to, |daemon, now| daemon.published(Published::Put(Ok(())), now));
            }
            Scheduled::Read { to, until, limit } => self.tell(to, |daemon, now| {
                let found = daemon.engine.unsent(until, limit);
                let found =
                    found.map_err(|what| SpoolError { what: what.to_string(), retry_after: DISK_RETRY });
                daemon.published(Published::Read(found), now);
            }),
            Scheduled::Disk { to } => self.write(to),
        }
    }

    fn answer(&mut self, to: Run, source: SourceId, asked: Moment, heard: Response) {
        let event = match heard {
            Response::Answer => {
                let readings = (0..self.script.switches.tunnels)
                    .map(|index| (site::tunnel(index), self.views.read(source.kind, index, self.at)))
                    .collect();
                let asked = self.gateways[to.0].clocks.now(asked).mono;
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
        self.tell(to, |daemon, now| {
            daemon.heard |= heard == Response::Answer;
            daemon.handle(event, now);
        });
    }

    fn execute(
        &mut self,
        to: Run,
        id: ActionId,
        call: &RecordCall,
        story: Option<IncidentId>,
        answers: Option<(Duration, Response)>,
    ) {
        let before = self.manager.records.len();
        let result = self.manager.execute(call, to.0, self.at);
        self.remember(|| format!("gateway {} {}: {}", to.0, history::call(call), history::reply(&result)));
        if self.manager.records.len() > before {
            self.books.created(to.0, story, &self.manager.records[before], self.at);
        }
        let Some((after, heard)) = answers else { return };
        let result = match heard {
            Response::Answer => result.map_err(ActionFailure::Sink),
            Response::Throttled | Response::Failed | Response::Silence | Response::Denied => {
                Err(ActionFailure::Sink(sink_error(heard)))
            }
        };
        self.later(after, Scheduled::Hear { to, id, result });
    }

    /// The disk has finished a write, or failed.
    fn write(&mut self, to: Run) {
        let gateway = &mut self.gateways[to.0];
        let (now, writable) = (gateway.clocks.now(self.at), gateway.writable);
        let Some(daemon) = gateway.daemon.as_mut().filter(|_| gateway.life == to.1) else { return };
        daemon.disk_busy = false;
        let waiters = std::mem::take(&mut daemon.waiters);
        let done = if writable { daemon.engine.commit(now) } else { Err("the disk is full".to_owned()) };
        for waiter in waiters {
            let done = done.clone();
            match waiter {
                WriteWaiter::Ledger(id) => {
                    let result = done
                        .map(|()| Reply::Done)
                        .map_err(|what| ActionFailure::Ledger(LedgerError { what }));
                    self.tell(to, |daemon, now| daemon.sink_event(SinkEvent::Ended { id, result }, now));
                }
                WriteWaiter::Mark(_) => {
                    let result = done.map_err(|what| SpoolError { what, retry_after: DISK_RETRY });
                    self.tell(to, |daemon, now| daemon.published(Published::Marked(result), now));
                }
            }
        }
        self.tell(to, |_, _| {});
    }

    /// Calls a daemon, if it is still that run.
    fn tell(&mut self, to: Run, act: impl FnOnce(&mut Daemon, Now)) {
        if self.gateways[to.0].life == to.1 {
            self.with(to.0, act);
        }
    }

    /// Calls a daemon, then executes what it asks for.
    fn with(&mut self, index: usize, act: impl FnOnce(&mut Daemon, Now)) {
        self.act(index, act);
        self.gateways[index].ask_wake();
    }

    fn act(&mut self, index: usize, act: impl FnOnce(&mut Daemon, Now)) {
        let gateway = &mut self.gateways[index];
        let now = gateway.clocks.now(self.at);
        let to = (index, gateway.life);
        let Some(daemon) = &mut gateway.daemon else { return };
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
            for fact in &outcome.facts {
                self.hear(index, fact);
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
            let rest = !gateway.writable && daemon.waiters.is_empty();
            let after = self.luck.millis(1, 60);
            self.later(if rest { DISK_RETRY } else { after }, Scheduled::Disk { to });
        }
    }

    fn hear(&mut self, gateway: usize, fact: &Fact) {
        if self.history.is_some()
            && let Some(line) = history::fact(fact)
        {
            self.remember(|| format!("gateway {gateway} {line}"));
        }
        if let Fact::IncidentChanged { incident, change, at: _ } = fact {
            let name = match (change, &incident.withheld, incident.id.scope.parent()) {
                (IncidentChange::Opened, Some(_), _) => Some("explained incidents"),
                (IncidentChange::Opened, None, Some(_)) => Some("parents' incidents"),
                (IncidentChange::Released, _, _) => Some("released incidents"),
                (_, _, _) => None,
            };
            if let Some(name) = name {
                *self.met.entry(name).or_default() += 1;
            }
            self.books.changed(gateway, incident, *change, self.at);
        }
    }

    /// Executes a command; returns whether the daemon got its answer at once.
    fn grant(&mut self, to: Run, command: Command, now: Now) -> bool {
        let reach = self.gateways[to.0].reachable;
        let asked = self.at;
        let mut draw = |calls: Calls| self.faults.outcome(calls, reach, true, &mut self.luck);
        match command {
            Command::Echo(echo) => {
                self.echo(to, echo, now);
                return true;
            }
            Command::Sense(question) => {
                let after = self.luck.millis(20, 900);
                self.later(after, Scheduled::Sensed { to, question, asked });
            }
            Command::Ask(source) => {
                let (outcome, fault) = draw(Calls::Ask);
                if let Some((after, heard)) = outcome.heard {
                    let heard = if fault == Some(Fault::LostReply) { Response::Silence } else { heard };
                    self.later(after, Scheduled::Answer { to, source, asked, heard });
                }
            }
            Command::AskHistory { vpn, from, to: until } => {
                let (outcome, fault) = draw(Calls::Ask);
                if let Some((after, heard)) = outcome.heard {
                    let heard = if fault == Some(Fault::LostReply) { Response::Silence } else { heard };
                    self.later(after, Scheduled::History { to, vpn, from, until, asked, heard });
                }
            }
            Command::Call(id, call) => {
                let (outcome, _) = draw(Calls::Incidents);
                if let RecordCall::Resolve { record, .. } = &*call {
                    let records = &self.manager.records;
                    if let Some(stored) = records.iter().find(|stored| stored.id == *record) {
                        self.books.closes(to.0, stored, self.at);
                    }
                }
                let daemon = self.gateways[to.0].daemon.as_ref();
                let story = match &*call {
                    RecordCall::Start { request } => daemon.and_then(|daemon| daemon.incident_of(request)),
                    _ => None,
                };
                match (outcome.done, outcome.heard) {
                    (Some(done), heard) => {
                        let answers = heard.map(|(after, heard)| (after.saturating_sub(done), heard));
                        self.later(done, Scheduled::Do { to, id, call, story, answers });
                    }
                    (None, Some((after, heard))) => {
                        let result = Err(ActionFailure::Sink(sink_error(heard)));
                        self.later(after, Scheduled::Hear { to, id, result });
                    }
                    (None, None) => {}
                }
            }
            Command::Put(_) => self.later(Duration::from_millis(50), Scheduled::Put { to }),
            Command::Read { until, limit } => {
                self.later(Duration::from_millis(1), Scheduled::Read { to, until, limit });
            }
        }
        false
    }

    fn echo(&mut self, to: Run, echo: EchoRequest, now: Now) {
        let dead = self.is_dead(index_of(&echo.check.tunnel));
        let Some(daemon) = &mut self.gateways[to.0].daemon else { return };
        daemon.handle(Event::Sent { check: echo.check.clone(), echo: echo.echo, at: now.mono }, now);
        if !dead {
            let after = self.luck.millis(5, 60);
            self.later(after, Scheduled::Reply { to, echo, sent: self.at });
        }
    }
}

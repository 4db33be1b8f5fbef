//! The world: what happens when, and what comes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bothends::domain::event::{AskFailure, AwsAnswer, Event, History};
use bothends::domain::names::{Kind, Role, SinkId, SourceId, SourceKind, TunnelId, VpnId};
use bothends::domain::plan::{AwsRules, IncidentRules, Plan, Route, SinkPlan, TunnelPlan, VpnPlan};
use bothends::domain::request::EchoRequest;
use bothends::domain::time::{Moment, Now, Stamp};
use bothends::domain::verdict::{Fault as EchoFault, Loss};
use bothends::incident::action::{Action, ActionId, Failure, Reply, SinkEvent, Work};
use bothends::incident::settings::{Settings as SinkSettings, VpnSettings};
use bothends::incident::sink::{LedgerError, Scope, SinkError};
use bothends::publish::machine::Event as Published;
use bothends::publish::sink::{Datum, PutError, SpoolError};

use super::calls::{Heard, Weather};
use super::chance::Chance;
use super::expected::Expected;
use super::gateway::{Gateway, Waiter, Wish};
use super::history;
use super::manager::Manager;
use super::metrics::Metrics;
use super::schedule::{Calls, Fault, Line, Op, Schedule, Switches, Timed};
use super::time::{Clocks, aws_clock};
use super::truth::{Truth, seconds};
use super::views::Views;

/// The publisher's shell gives a call up after this long.
const PUT_GIVEN_UP: Duration = Duration::from_secs(60);
/// How long a write takes.
const DISK: (u64, u64) = (1, 60);
/// After a failure the store rests this long, unless somebody waits for it.
const DISK_RETRY: Duration = Duration::from_secs(30);
/// In the end everything works for this long at least: time for every back-off …
const CALM_LEAST: Duration = Duration::from_secs(900);
/// … and, while something is open, for this long at most: an hour of health, and the telling of it.
const CALM_MOST: Duration = Duration::from_secs(3 * 3600);
/// More than this at one instant, and it will never end.
const STEPS_AT_ONCE: u32 = 20_000;

/// Something that is going to happen.
#[derive(Debug)]
enum Happening {
    Op(Op),
    Start { gateway: usize },
    Reply { to: To, echo: EchoRequest, sent: Moment },
    Answer { to: To, source: SourceId, asked: Moment, heard: Heard },
    History { to: To, from: Stamp, until: Stamp, asked: Moment, heard: Heard },
    Do { to: To, action: Action, answers: Option<(Duration, Heard)> },
    Hear { to: To, id: ActionId, result: Result<Reply, Failure> },
    Put { to: To, data: Arc<[Datum]>, answers: Option<Duration> },
    HearPut { to: To, taken: Option<usize>, result: Result<(), PutError> },
    Read { to: To, until: Stamp, limit: usize },
    Disk { to: To },
}

/// A daemon, as long as it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct To {
    gateway: usize,
    life: u32,
}

pub struct World {
    pub switches: Switches,
    pub at: Moment,
    pub gateways: Vec<Gateway>,
    pub lines: Vec<[Line; 2]>,
    pub views: Views,
    pub manager: Manager,
    pub metrics: Metrics,
    pub weather: Weather,
    pub truth: Truth,
    expected: Expected,
    /// How often each fault was met.
    pub met: BTreeMap<&'static str, u64>,
    /// What happened, if it is to be told.
    pub history: Option<Vec<String>>,
    /// Who holds the shared address.
    holder: usize,
    agenda: BTreeMap<(Moment, u64), Happening>,
    numbers: u64,
    echo_luck: Vec<Chance>,
    call_luck: Vec<Chance>,
    disk_luck: Vec<Chance>,
    at_once: u32,
}

pub fn vpn() -> VpnId {
    VpnId::new("vpn-0123456789abcdef0")
}

pub fn tunnel(index: usize) -> TunnelId {
    let last = u8::try_from(index + 1).unwrap();
    TunnelId { vpn: vpn(), outside_ip: [203, 0, 113, last].into() }
}

fn index_of(tunnel: &TunnelId) -> usize {
    (0..2).find(|index| self::tunnel(*index) == *tunnel).unwrap()
}

fn sources(switches: &Switches) -> Vec<SourceId> {
    let of = |kind| SourceId { kind, region: None, role_arn: None };
    let mut sources = vec![of(SourceKind::CloudWatch)];
    sources.extend(switches.ec2_lag.map(|_| of(SourceKind::Ec2)));
    sources
}

fn plan(switches: &Switches, site: &str) -> Plan {
    let tunnels = (0..2_u8)
        .map(|index| {
            Arc::new(TunnelPlan {
                id: tunnel(usize::from(index)),
                name: format!("tunnel {}", index + 1).into(),
                role: if index == 1 && switches.standby { Role::Standby } else { Role::Active },
                route: Arc::new(Route {
                    inside_ip: [169, 254, index, 1].into(),
                    source_ip: [169, 254, index, 2].into(),
                    interface: None,
                }),
            })
        })
        .collect();
    let vpn = VpnPlan {
        id: vpn(),
        name: "Milan DC".into(),
        tunnels,
        probe: switches.probe,
        incident: IncidentRules {
            open_after_outage: switches.open_after_outage,
            open_after_redundancy_lost: switches.open_after_redundancy_lost,
            one_sided_after: switches.one_sided_after,
            resolve_after: switches.resolve_after,
            start_grace: switches.start_grace,
        },
        aws: AwsRules {
            poll_interval: switches.poll_interval,
            suspect_poll_interval: switches.poll_interval.min(Duration::from_secs(15)),
            stale_after: switches.stale_after,
            sources: sources(switches),
        },
    };
    let sink = SinkPlan { id: sink(), kinds: BTreeSet::from(Kind::ALL), vpns: None };
    let votes_if_address = switches.vrrp.then(shared_address);
    Plan { site: site.into(), votes_if_address, vpns: vec![Arc::new(vpn)], sinks: vec![sink] }
}

/// What VRRP moves between the gateways.
fn shared_address() -> IpAddr {
    [192, 0, 2, 1].into()
}

fn sink() -> SinkId {
    SinkId::new("incident_manager")
}

fn sink_settings(site: &str) -> SinkSettings {
    let region = VpnSettings { region: "eu-west-1".into(), runbook_url: None, notes: None };
    SinkSettings {
        sink: SinkPlan { id: sink(), kinds: BTreeSet::from(Kind::ALL), vpns: None },
        site: site.into(),
        plan: "arn:aws:ssm-incidents::123456789012:response-plan/bothends-{vpn_id}-{kind}".into(),
        impact: BTreeMap::new(),
        vpns: BTreeMap::from([(vpn(), region)]),
    }
}

/// Where the records of a kind are.
pub fn scope(kind: Kind) -> Scope {
    sink_settings("").scope(&vpn(), kind).unwrap()
}

impl World {
    /// Plays a schedule to its end, with the stores' files in `directory`.
    pub fn play(schedule: &Schedule, directory: &Path) -> Self {
        let switches = schedule.switches;
        let count = if switches.twin { 2 } else { 1 };
        let gateways = (0..count)
            .map(|index| {
                let site = format!("milan-{}", index + 1);
                let plan = Arc::new(plan(&switches, &site));
                Gateway::new(index, plan, sink_settings(&site), directory.to_owned())
            })
            .collect();
        let luck = |what: &'static str| {
            (0..count).map(|index| Chance::of(schedule.seed, (what, index))).collect::<Vec<_>>()
        };
        let mut world = Self {
            switches,
            at: Moment::ORIGIN + Duration::from_secs(24 * 3600),
            gateways,
            lines: vec![[Line::Carries; 2]; count],
            views: Views::new(switches, 2),
            manager: Manager::new(switches),
            metrics: Metrics::default(),
            weather: Weather::default(),
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
        for gateway in 0..count {
            world.gateways[gateway].clocks = Clocks::booted_at(begin, 0);
            world.later(Duration::ZERO, Happening::Start { gateway });
        }
        for Timed { at, op, number: _ } in &schedule.ops {
            world.later(*at, Happening::Op(*op));
        }
        let last = schedule.ops.last().map_or(Duration::ZERO, |timed| timed.at);
        world.run(begin + last + Duration::from_secs(1));
        world.mend();
        let mended = begin + last;
        while world.at < mended + CALM_LEAST || (world.lasts() && world.at < mended + CALM_MOST) {
            world.run(world.at + CALM_LEAST);
        }
        world
    }

    /// Whether something is open.
    fn lasts(&self) -> bool {
        let open = self.manager.records.iter().any(super::manager::Kept::is_open);
        let boards = self.gateways.iter().filter_map(|gateway| gateway.daemon.as_ref());
        let board = boards.map(|daemon| daemon.board().incidents.len()).sum::<usize>() > 0;
        open || board || self.gateways.iter().any(|gateway| gateway.daemon.is_none())
    }

    fn remember(&mut self, what: impl FnOnce() -> String) {
        if let Some(history) = &mut self.history {
            history.push(format!("{:>10.3} s  {}", seconds(self.at), what()));
        }
    }

    fn later(&mut self, after: Duration, what: Happening) {
        self.numbers += 1;
        self.agenda.insert((self.at + after, self.numbers), what);
    }

    fn run(&mut self, end: Moment) {
        loop {
            let planned = self.agenda.first_key_value().map(|((at, _), _)| *at);
            let wakes = self.gateways.iter().enumerate();
            let wake = wakes.filter_map(|(index, gateway)| Some((gateway.wake()?, index))).min();
            let next = [planned, wake.map(|(at, _)| at)].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            if next > self.at {
                self.at = next;
                self.at_once = 0;
            }
            self.at_once += 1;
            assert!(self.at_once < STEPS_AT_ONCE, "it never ends: {:?}", self.agenda.first_key_value());
            if planned.is_some_and(|planned| planned <= self.at) {
                if let Some((_, happening)) = self.agenda.pop_first() {
                    self.happen(happening);
                }
            } else if let Some((_, gateway)) = wake {
                self.with(gateway, |daemon, now| daemon.handle_timeout(now));
            }
            let Self { at, gateways, lines, views, weather, manager, truth, expected, .. } = self;
            expected.look(*at, gateways, lines, views, weather, manager, truth);
        }
        self.at = end;
    }

    /// Everything works again.
    fn mend(&mut self) {
        self.weather.clear();
        self.views.mend();
        for tunnel in 0..2 {
            self.views.see(tunnel, true, self.at);
        }
        for (index, gateway) in self.gateways.iter_mut().enumerate() {
            (gateway.reachable, gateway.credentials, gateway.writable) = (true, true, true);
            gateway.clocks.offset = 0;
            gateway.fuse = None;
            for tunnel in 0..2 {
                self.lines[index][tunnel] = Line::Carries;
                self.truth.path(index, tunnel, Line::Carries, self.at);
            }
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Op(op) => self.op(op),
            Happening::Start { gateway } => {
                let at = self.at;
                self.gateways[gateway].start(at);
                self.truth.started(gateway, at);
                self.expected.started(gateway);
                self.with(gateway, |_, _| {});
                self.look_at_addresses(gateway);
            }
            Happening::Reply { to, echo, sent } => {
                let rtt = self.at.since(sent);
                if self.lives(to) {
                    let tunnel = index_of(&echo.check.tunnel);
                    self.truth.replied(to.gateway, tunnel, echo.echo, self.at);
                    let event = Event::Reply { check: echo.check, echo: echo.echo, rtt };
                    self.with(to.gateway, |daemon, now| daemon.handle(event, now));
                }
            }
            Happening::Answer { to, source, asked, heard } => {
                let event = match heard {
                    Heard::Answer => {
                        let clocks = self.gateways[to.gateway].clocks;
                        let readings: Vec<_> = (0..2)
                            .map(|index| (tunnel(index), self.views.read(source.kind, index, self.at)))
                            .collect();
                        if self.lives(to) {
                            for (index, (_, reading)) in readings.iter().enumerate() {
                                self.truth.heard(to.gateway, source.kind, index, reading, self.at);
                            }
                        }
                        let asked = clocks.now(asked).mono;
                        Event::Answered(AwsAnswer { source, asked, date: aws_clock(self.at), readings })
                    }
                    Heard::Throttled | Heard::Failed | Heard::Denied => {
                        Event::Refused { source, reached: true }
                    }
                    Heard::Silence => Event::Refused { source, reached: false },
                };
                if self.lives(to) {
                    self.with(to.gateway, |daemon, now| daemon.handle(event, now));
                }
            }
            Happening::History { to, from, until, asked, heard } => {
                let event = match heard {
                    Heard::Answer => Event::HistoryAnswered(History {
                        vpn: vpn(),
                        asked: self.gateways[to.gateway].clocks.now(asked).mono,
                        date: aws_clock(self.at),
                        points: (0..2)
                            .map(|index| (tunnel(index), self.views.history(index, from, until, self.at)))
                            .collect(),
                    }),
                    Heard::Throttled | Heard::Failed | Heard::Denied | Heard::Silence => {
                        Event::HistoryRefused { vpn: vpn() }
                    }
                };
                if self.lives(to) {
                    self.with(to.gateway, |daemon, now| daemon.handle(event, now));
                }
            }
            Happening::Do { to, action, answers } => self.execute(to, action, answers),
            Happening::Hear { to, id, result } => {
                if self.lives(to) {
                    self.with(to.gateway, |daemon, now| {
                        daemon.sink_ended(SinkEvent::Ended { id, result }, now);
                    });
                }
            }
            Happening::Put { to, data, answers } => {
                let result = self.metrics.put(&data, to.gateway, self.at);
                if let Some(after) = answers {
                    let taken = result.as_ref().ok().copied();
                    self.later(after, Happening::HearPut { to, taken, result: result.map(drop) });
                }
            }
            Happening::HearPut { to, taken, result } => {
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
            Happening::Read { to, until, limit } => {
                if self.lives(to) {
                    self.with(to.gateway, |daemon, now| {
                        let retry_after = DISK_RETRY;
                        let found = daemon
                            .keeper
                            .unsent(until, limit)
                            .map_err(|what| SpoolError { what: what.to_string(), retry_after });
                        daemon.published(Published::Read(found), now);
                    });
                }
            }
            Happening::Disk { to } => {
                if self.lives(to) {
                    self.write(to);
                }
            }
        }
    }

    /// A daemon looks which addresses are its host's.
    fn look_at_addresses(&mut self, gateway: usize) {
        let (address, held) = (shared_address(), self.holder == gateway);
        self.gateways[gateway].votes = held || !self.switches.vrrp;
        if self.switches.vrrp {
            self.with(gateway, |daemon, now| daemon.handle(Event::AddressHeld { address, held }, now));
        }
    }

    fn lives(&self, to: To) -> bool {
        let gateway = &self.gateways[to.gateway];
        gateway.daemon.is_some() && gateway.life == to.life
    }

    /// Does something with a daemon, and what it then wants.
    fn with(&mut self, index: usize, act: impl FnOnce(&mut super::gateway::Daemon, Now)) {
        let gateway = &mut self.gateways[index];
        let now = gateway.clocks.now(self.at);
        let to = To { gateway: index, life: gateway.life };
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
        // An echo that cannot be sent is heard of at once.
        loop {
            let gateway = &mut self.gateways[index];
            let Some(daemon) = &mut gateway.daemon else { return };
            let outcome = daemon.drain(gateway.sink.id(), now);
            gateway.dropped += outcome.dropped;
            for fact in &outcome.facts {
                if self.history.is_some()
                    && let Some(line) = history::fact(fact)
                {
                    self.remember(|| format!("gateway {index} {line}"));
                }
                self.truth.hear(index, fact, self.at, &self.views);
            }
            let mut echoed = false;
            for wish in outcome.wishes {
                echoed |= self.grant(to, wish, now);
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
            self.later(if rest { DISK_RETRY } else { after }, Happening::Disk { to });
        }
    }

    /// Whether the daemon was told something at once.
    fn grant(&mut self, to: To, wish: Wish, now: Now) -> bool {
        let gateway = &self.gateways[to.gateway];
        let (reach, valid) = (gateway.reachable, gateway.credentials);
        match wish {
            Wish::Echo(echo) => {
                self.echo(to, echo, now);
                return true;
            }
            Wish::Ask(source) => {
                let luck = &mut self.call_luck[to.gateway];
                let (fate, fault) = self.weather.fate(Calls::Ask, reach, valid, luck);
                self.meet(Calls::Ask, fault);
                // The answer is what AWS knows when it answers, and comes a little later or not at all.
                let lost = fault == Some(Fault::LostReply);
                if let Some((after, heard)) = fate.heard {
                    let heard = if lost { Heard::Silence } else { heard };
                    self.later(after, Happening::Answer { to, source, asked: self.at, heard });
                }
            }
            Wish::AskHistory { from, to: until } => {
                let luck = &mut self.call_luck[to.gateway];
                let (fate, fault) = self.weather.fate(Calls::Ask, reach, valid, luck);
                self.meet(Calls::Ask, fault);
                if let Some((after, heard)) = fate.heard {
                    let heard = if fault == Some(Fault::LostReply) { Heard::Silence } else { heard };
                    let asked = self.at;
                    self.later(after, Happening::History { to, from, until, asked, heard });
                }
            }
            Wish::Call(action) => {
                let luck = &mut self.call_luck[to.gateway];
                let (fate, fault) = self.weather.fate(Calls::Incidents, reach, valid, luck);
                self.meet(Calls::Incidents, fault);
                match (fate.done, fate.heard) {
                    (Some(done), heard) => {
                        let answers = heard.map(|(after, heard)| (after.saturating_sub(done), heard));
                        self.later(done, Happening::Do { to, action, answers });
                    }
                    (None, Some((after, heard))) => {
                        let result = Err(Failure::Sink(sink_error(heard)));
                        self.later(after, Happening::Hear { to, id: action.id, result });
                    }
                    (None, None) => {}
                }
            }
            Wish::Put(data) => {
                let luck = &mut self.call_luck[to.gateway];
                let (fate, fault) = self.weather.fate(Calls::Put, reach, valid, luck);
                self.meet(Calls::Put, fault);
                let answer = fate.heard.filter(|(after, _)| *after < PUT_GIVEN_UP);
                if let Some(done) = fate.done {
                    let answers = answer
                        .filter(|(_, heard)| *heard == Heard::Answer)
                        .map(|(after, _)| after.saturating_sub(done));
                    self.later(done, Happening::Put { to, data, answers });
                }
                let failed = match answer {
                    None => Some((PUT_GIVEN_UP, Heard::Failed)),
                    Some((after, heard)) => (heard != Heard::Answer).then_some((after, heard)),
                };
                if let Some((after, heard)) = failed {
                    let result = Err(put_error(heard));
                    self.later(after, Happening::HearPut { to, taken: None, result });
                }
            }
            Wish::Read { until, limit } => {
                self.later(Duration::from_millis(1), Happening::Read { to, until, limit });
            }
        }
        false
    }

    fn meet(&mut self, calls: Calls, fault: Option<Fault>) {
        let name = match (calls, fault) {
            (_, None) => return,
            (_, Some(Fault::Throttle)) => "throttled calls",
            (_, Some(Fault::ServerError)) => "failed calls",
            (_, Some(Fault::Denied)) => "denied calls",
            (_, Some(Fault::Hang)) => "hung calls",
            (_, Some(Fault::Slow)) => "slow calls",
            (_, Some(Fault::LostReply)) => "lost replies",
        };
        *self.met.entry(name).or_default() += 1;
    }

    fn echo(&mut self, to: To, echo: EchoRequest, now: Now) {
        let tunnel = index_of(&echo.check.tunnel);
        let line = self.lines[to.gateway][tunnel];
        let luck = &mut self.echo_luck[to.gateway];
        let timeout = self.switches.probe.timeout;
        let after = match line {
            Line::Carries => Some(luck.millis(5, 60)),
            Line::Dead => None,
            Line::Loses(percent) => (!luck.percent(percent)).then(|| luck.millis(5, 120)),
            Line::Slow => Some(timeout + luck.millis(10, 800)),
            Line::NoRoute | Line::Faulty => {
                let failure = if line == Line::NoRoute {
                    self.truth.sent(to.gateway, tunnel, echo.echo, self.at);
                    AskFailure::Lost(Loss::NoPath)
                } else {
                    AskFailure::Fault(EchoFault::NoMemory)
                };
                let event = Event::Failed { check: echo.check, echo: echo.echo, failure };
                if let Some(daemon) = &mut self.gateways[to.gateway].daemon {
                    daemon.handle(event, now);
                }
                return;
            }
        };
        self.truth.sent(to.gateway, tunnel, echo.echo, self.at);
        let event = Event::Sent { check: echo.check.clone(), echo: echo.echo, at: now.mono };
        if let Some(daemon) = &mut self.gateways[to.gateway].daemon {
            daemon.handle(event, now);
        }
        if let Some(after) = after.filter(|after| *after < echo.give_up) {
            self.later(after, Happening::Reply { to, echo, sent: self.at });
        }
    }

    fn execute(&mut self, to: To, action: Action, answers: Option<(Duration, Heard)>) {
        let before = self.manager.records.len();
        let result = self.manager.execute(&action.work, to.gateway, self.at);
        self.remember(|| {
            let call = history::call(&action.work);
            format!("gateway {} {call}: {}", to.gateway, history::reply(&result))
        });
        if self.manager.records.len() > before
            && let Work::Start { request } = &action.work
        {
            let daemon = self.gateways[to.gateway].daemon.as_ref();
            let incident = daemon.and_then(|daemon| daemon.story_of(request));
            self.truth.record_created(incident);
        }
        if let Work::Resolve { record, .. } = &action.work
            && result.is_ok()
        {
            self.truth.resolved(to.gateway, record.clone(), self.at);
        }
        let Some((after, heard)) = answers else { return };
        let result = match heard {
            Heard::Answer => result.map_err(Failure::Sink),
            Heard::Throttled | Heard::Failed | Heard::Denied | Heard::Silence => {
                Err(Failure::Sink(sink_error(heard)))
            }
        };
        self.later(after, Happening::Hear { to, id: action.id, result });
    }

    /// The disk has done its work, or has not.
    fn write(&mut self, to: To) {
        let gateway = &mut self.gateways[to.gateway];
        let now = gateway.clocks.now(self.at);
        let writable = gateway.writable;
        let Some(daemon) = &mut gateway.daemon else { return };
        daemon.disk_busy = false;
        let waiters = std::mem::take(&mut daemon.waiters);
        let done = if writable { daemon.keeper.commit(now) } else { Err("the disk is full".to_owned()) };
        if done.is_ok() {
            self.truth.durable(to.gateway, self.at);
        } else {
            *self.met.entry("failed writes").or_default() += 1;
        }
        for waiter in waiters {
            let done = done.clone();
            match waiter {
                Waiter::Ledger(id) => {
                    let result =
                        done.map(|()| Reply::Done).map_err(|what| Failure::Ledger(LedgerError { what }));
                    self.with(to.gateway, |daemon, now| {
                        daemon.sink_ended(SinkEvent::Ended { id, result }, now);
                    });
                }
                Waiter::Mark(data) => {
                    let retry_after = DISK_RETRY;
                    let result = done.map_err(|what| SpoolError { what, retry_after });
                    self.with(to.gateway, |daemon, now| {
                        if result.is_ok() {
                            daemon.marked(&data);
                        }
                        daemon.published(Published::Marked(result), now);
                    });
                }
            }
            if !self.lives(to) {
                return;
            }
        }
        self.with(to.gateway, |_, _| {});
    }

    fn crash(&mut self, index: usize, down: Duration) {
        self.remember(|| format!("gateway {index} dies"));
        let gateway = &mut self.gateways[index];
        gateway.fuse = None;
        let Some(daemon) = gateway.daemon.take() else { return };
        *self.met.entry("crashes").or_default() += 1;
        for (taken, lacking) in &daemon.undurable {
            self.metrics.forgotten(*taken, lacking);
        }
        self.truth.crashed(index, daemon.blind, daemon.keeper.counts().rollups_dropped, self.at);
        if self.switches.power_cuts {
            let offset = gateway.clocks.offset;
            gateway.clocks = Clocks::booted_at(self.at, offset);
        }
        self.later(down, Happening::Start { gateway: index });
    }

    fn op(&mut self, op: Op) {
        self.remember(|| format!("{op:?}"));
        let name = match op {
            Op::Path { who, tunnel, line } => {
                for (gateway, lines) in self.lines.iter_mut().enumerate() {
                    if who.includes(gateway) {
                        lines[tunnel] = line;
                        self.truth.path(gateway, tunnel, line, self.at);
                    }
                }
                match line {
                    Line::Carries => return,
                    Line::Dead | Line::NoRoute => "dead paths",
                    Line::Loses(_) | Line::Slow => "bad paths",
                    Line::Faulty => "faulty sockets",
                }
            }
            Op::Sees { tunnel, up } => return self.views.see(tunnel, up, self.at),
            Op::Says { source, word } => {
                self.views.say(source, word);
                "false words"
            }
            Op::Trouble { calls, fault, percent } => return self.weather.set(calls, fault, percent),
            Op::Reach { who, reachable } => {
                self.each(who, |gateway| gateway.reachable = reachable);
                if reachable {
                    return;
                }
                "cut off"
            }
            Op::Credentials { who, valid } => {
                self.each(who, |gateway| gateway.credentials = valid);
                if valid {
                    return;
                }
                "expired credentials"
            }
            Op::Disk { who, writable } => {
                self.each(who, |gateway| gateway.writable = writable);
                if writable {
                    return;
                }
                "full disks"
            }
            Op::Crash { gateway, down } => return self.crash(gateway, down),
            Op::CrashSoon { gateway, steps, down } => {
                self.gateways[gateway].fuse = Some((steps, down));
                return;
            }
            Op::Clock { gateway, offset } => {
                self.gateways[gateway].clocks.offset = offset;
                self.truth.jumped(gateway);
                "clock jumps"
            }
            Op::PersonCloses => {
                self.truth.person_closes(self.at, &self.manager);
                self.manager.person_closes(self.at);
                "closes by people"
            }
            Op::Alarm => {
                self.manager.alarm(scope(Kind::Outage), self.at);
                while self.truth.records() < self.manager.records.len() {
                    self.truth.record_created(None);
                }
                "alarms"
            }
            Op::TakeOver { gateway } => {
                if self.holder == gateway {
                    return;
                }
                self.holder = gateway;
                self.truth.started(gateway, self.at);
                self.expected.started(gateway);
                for gateway in 0..self.gateways.len() {
                    self.look_at_addresses(gateway);
                }
                "take-overs"
            }
            Op::Poison => {
                self.metrics.poison.push(("RoundTripTime", aws_clock(self.at).minute()));
                "poisoned data"
            }
        };
        *self.met.entry(name).or_default() += 1;
    }

    fn each(&mut self, who: super::schedule::Who, change: impl Fn(&mut Gateway)) {
        for (index, gateway) in self.gateways.iter_mut().enumerate() {
            if who.includes(index) {
                change(gateway);
            }
        }
    }
}

fn sink_error(heard: Heard) -> SinkError {
    let what = "as drawn".to_owned();
    match heard {
        Heard::Answer | Heard::Failed | Heard::Silence => {
            SinkError::Temporary { what, retry_after: None, source: None }
        }
        Heard::Throttled => {
            SinkError::Temporary { what, retry_after: Some(Duration::from_secs(5)), source: None }
        }
        Heard::Denied => SinkError::Rejected { what, source: None },
    }
}

fn put_error(heard: Heard) -> PutError {
    let what = "as drawn".to_owned();
    match heard {
        Heard::Answer | Heard::Failed | Heard::Silence => {
            PutError::Temporary { what, throttled: false, source: None }
        }
        Heard::Throttled => PutError::Temporary { what, throttled: true, source: None },
        Heard::Denied => PutError::Denied { what },
    }
}

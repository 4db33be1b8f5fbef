//! A simulated world around one Monitor: lines that carry probes or not, an AWS that answers as scripted, and virtual
//! time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bothends::domain::board::Incident;
use bothends::domain::event::{
    AskFailure, AwsAnswer, Datapoint, Event, History, Reading, Remembered, Telemetry, TelemetryStatus,
    TunnelData,
};
use bothends::domain::fact::{Fact, IncidentChange};
use bothends::domain::monitor::Monitor;
use bothends::domain::names::{
    AwsPlace, CheckId, Destination, Kind, Role, Routing, SinkId, SourceId, SourceKind, TunnelId, VpnId,
};
use bothends::domain::plan::{
    AwsRules, IncidentRules, Plan, ProbeRules, QualityRules, Route, SinkPlan, TunnelPlan, VpnPlan,
};
use bothends::domain::request::{AwsRequest, EchoId, HistoryRequest, Request, ViewsRequest};
use bothends::domain::sensor::{Finding, SenseRequest, Sensed, SensorKind};
use bothends::domain::time::{Moment, Now, Stamp};
use bothends::domain::verdict::{Assessment, Fault, Loss, Verdict};

/// What a line does with a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    Carries(Duration),
    Swallows,
    NoPath,
    Faulty,
    /// The source address or the interface is missing.
    Missing,
}

/// What AWS reports for a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aws {
    Up,
    Down,
    /// IPsec is up, BGP is not.
    BgpDown,
    Fraction,
    Nothing,
    Gone,
}

pub const FAST: Line = Line::Carries(Duration::from_millis(20));
pub const WALL: Stamp = Stamp::from_secs(1_800_000_000);

pub fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub fn vpn() -> VpnId {
    VpnId::new("vpn-0123456789abcdef0")
}

pub fn tunnel(last: u8) -> TunnelId {
    TunnelId { vpn: vpn(), outside_ip: [203, 0, 113, last].into() }
}

pub fn sink() -> SinkId {
    SinkId::new("incident_manager")
}

pub fn destination() -> Destination {
    Destination::new("0123")
}

pub fn source(kind: SourceKind) -> SourceId {
    SourceId { kind, place: AwsPlace::default() }
}

/// Two tunnels with default settings, and EC2 as the only source, whose evidence is current.
pub fn plan(roles: &[Role]) -> Plan {
    let tunnels = roles
        .iter()
        .zip(1_u8..)
        .map(|(role, n)| {
            Arc::new(TunnelPlan {
                id: tunnel(n),
                name: format!("tunnel {n}").into(),
                role: *role,
                through: Default::default(),
                uplink: None,
                sensors: Default::default(),
                route: Arc::new(Route {
                    inside_ip: [169, 254, n, 1].into(),
                    source_ip: [169, 254, n, 2].into(),
                    interface: None,
                    fwmark: None,
                }),
            })
        })
        .collect();
    Plan {
        site: "milan-1".into(),
        votes_if_address: None,
        vpns: vec![Arc::new(VpnPlan {
            id: vpn(),
            name: "Milan DC".into(),
            routing: Routing::Unknown,
            tunnels,
            probe: ProbeRules {
                interval: secs(1),
                suspect_interval: Duration::from_millis(200),
                timeout: secs(1),
                down_after: NonZeroU32::new(10).unwrap(),
                up_after: NonZeroU32::new(5).unwrap(),
            },
            quality: QualityRules::default(),
            incident: IncidentRules {
                open_after_outage: secs(30),
                open_after_redundancy_lost: secs(120),
                one_sided_after: Some(secs(900)),
                degraded_after: None,
                resolve_after: secs(300),
                start_grace: secs(120),
            },
            aws: AwsRules {
                poll_interval: secs(60),
                suspect_poll_interval: secs(15),
                stale_after: secs(600),
                sources: vec![source(SourceKind::Ec2)],
            },
        })],
        parents: Vec::new(),
        sinks: vec![SinkPlan {
            id: sink(),
            destination: destination(),
            kinds: BTreeSet::from(Kind::ALL),
            scopes: None,
        }],
    }
}

pub fn two_active() -> Plan {
    plan(&[Role::Active, Role::Active])
}

pub struct World {
    pub monitor: Monitor,
    pub now: Now,
    pub lines: BTreeMap<TunnelId, Line>,
    /// What each sensor finds; one without an entry never answers.
    pub senses: BTreeMap<(TunnelId, SensorKind), Finding>,
    /// Every question to a sensor.
    pub looks: Vec<(Moment, SenseRequest)>,
    /// Hosts behind the tunnels; one that is not here answers as its tunnel does.
    pub hosts: BTreeMap<(TunnelId, IpAddr), Line>,
    pub aws: BTreeMap<TunnelId, Aws>,
    pub aws_reachable: bool,
    /// A source that is unreachable.
    pub unreachable: Option<SourceKind>,
    /// AWS is reachable and denies every request.
    pub aws_denies: bool,
    /// Queries to it vanish.
    pub aws_hangs: bool,
    /// How far the host's wall clock is off, in seconds.
    pub wrong_by: i64,
    /// How long after its end a minute appears in CloudWatch, with its average; `None`: CloudWatch is current.
    pub cloudwatch_lag: Option<Duration>,
    /// What AWS sees, Up or not, and since when.
    seen: BTreeMap<TunnelId, Vec<(Stamp, bool)>>,
    /// A source whose answers cannot be parsed.
    pub garbled: Option<SourceKind>,
    pub facts: Vec<(Moment, Fact)>,
    pub questions: Vec<Moment>,
    /// The tunnels that each question named as called down by an end.
    pub called_down: Vec<BTreeSet<TunnelId>>,
    /// The bytes in the next answer.
    pub data: Vec<(TunnelId, TunnelData)>,
    /// When AWS was asked for history, and for which period.
    pub histories: Vec<(Moment, Stamp, Stamp)>,
    /// AWS's state minute by minute, whether or not it was reachable.
    pub past: BTreeMap<(TunnelId, Stamp), f64>,
    /// When probes were requested.
    pub echoes: Vec<Moment>,
    /// The same, with their checks.
    pub probes: Vec<(Moment, CheckId)>,
    replies: BTreeMap<(Moment, EchoId), (CheckId, Duration)>,
    /// Queries that reached AWS, by the time of their answer.
    asked: BTreeMap<(Moment, SourceId), Moment>,
}

/// Until a query has left, and until its answer arrives.
const QUESTION: Duration = Duration::from_millis(1);
const ANSWER: Duration = Duration::from_millis(80);

impl World {
    /// Everything is up, and has been seen up.
    pub fn healthy(plan: Plan) -> Self {
        let mut world = Self::new(plan, Remembered::default());
        world.run(secs(180));
        world
    }

    pub fn new(plan: Plan, remembered: Remembered) -> Self {
        let now = Now { mono: Moment::ORIGIN, wall: WALL };
        let tunnels: Vec<TunnelId> =
            plan.vpns.iter().flat_map(|vpn| &vpn.tunnels).map(|tunnel| tunnel.id.clone()).collect();
        Self {
            monitor: Monitor::new(Arc::new(plan), remembered, now),
            now,
            lines: tunnels.iter().map(|tunnel| (tunnel.clone(), FAST)).collect(),
            senses: BTreeMap::new(),
            looks: Vec::new(),
            hosts: BTreeMap::new(),
            aws: tunnels.iter().map(|tunnel| (tunnel.clone(), Aws::Up)).collect(),
            aws_reachable: true,
            unreachable: None,
            aws_denies: false,
            aws_hangs: false,
            wrong_by: 0,
            garbled: None,
            cloudwatch_lag: None,
            seen: BTreeMap::new(),
            facts: Vec::new(),
            questions: Vec::new(),
            called_down: Vec::new(),
            data: Vec::new(),
            histories: Vec::new(),
            past: BTreeMap::new(),
            echoes: Vec::new(),
            probes: Vec::new(),
            replies: BTreeMap::new(),
            asked: BTreeMap::new(),
        }
    }

    pub fn line(&mut self, n: u8, line: Line) {
        self.lines.insert(tunnel(n), line);
    }

    /// Sets what AWS reports.
    pub fn aws(&mut self, n: u8, aws: Aws) {
        self.aws.insert(tunnel(n), aws);
        self.seen.entry(tunnel(n)).or_default().push((self.now.wall, aws == Aws::Up));
    }

    /// Sets what a host behind a tunnel does with probes that reach it.
    pub fn host(&mut self, n: u8, host: IpAddr, line: Line) {
        self.hosts.insert((tunnel(n), host), line);
    }

    pub fn run(&mut self, duration: Duration) {
        let end = self.now.mono + duration;
        self.execute();
        loop {
            let reply = self.replies.first_key_value().map(|((at, _), _)| *at);
            let answer = self.asked.first_key_value().map(|((at, _), _)| *at);
            let timeout = self.monitor.poll_timeout().map(|(at, _)| at);
            let Some(next) = [reply, answer, timeout].into_iter().flatten().min() else { break };
            let next = next.max(self.now.mono);
            if next > end {
                break;
            }
            self.advance(next);
            if reply.is_some_and(|reply| reply <= next) {
                let ((_, echo), (check, rtt)) = self.replies.pop_first().unwrap();
                self.monitor.handle(Event::Reply { check, echo, rtt }, self.here());
            } else if answer.is_some_and(|answer| answer <= next) {
                let ((_, source), asked) = self.asked.pop_first().unwrap();
                let reached = self.aws_reachable && self.unreachable != Some(source.kind);
                let event = if reached && !self.aws_denies {
                    self.answer(source, asked)
                } else {
                    Event::Refused { source, reached }
                };
                self.monitor.handle(event, self.here());
            } else {
                self.monitor.handle_timeout(self.here());
                let next = self.monitor.poll_timeout();
                assert!(
                    next.is_none_or(|(at, _)| at > self.now.mono),
                    "it would be woken for ever: {next:?}"
                );
            }
            self.execute();
        }
        self.advance(end);
    }

    /// Both clocks go on together, however small the steps are.
    fn advance(&mut self, to: Moment) {
        let millis = |at: Moment| at.as_nanos() / 1_000_000;
        let passed = millis(to) - millis(self.now.mono);
        self.now = Now { mono: to, wall: Stamp::from_millis(self.now.wall.as_millis() + passed) };
    }

    /// The host's clocks.
    fn here(&self) -> Now {
        let wall = Stamp::from_millis(self.now.wall.as_millis() + self.wrong_by * 1000);
        Now { wall, ..self.now }
    }

    pub fn sleep(&mut self, duration: Duration) {
        self.advance(self.now.mono + duration);
        self.replies.clear();
        self.asked.clear();
    }

    /// Feeds another event.
    pub fn feed(&mut self, event: Event) {
        self.monitor.handle(event, self.here());
        self.execute();
    }

    /// The process is killed, and another starts.
    pub fn restart(&mut self, plan: Plan, remembered: Remembered) {
        self.replies.clear();
        self.asked.clear();
        self.monitor = Monitor::new(Arc::new(plan), remembered, self.here());
        self.execute();
    }

    pub fn reconfigure(&mut self, plan: Plan) {
        self.monitor.reconfigure(Arc::new(plan), self.here());
        self.execute();
    }

    fn execute(&mut self) {
        loop {
            while let Some(fact) = self.monitor.poll_fact() {
                self.facts.push((self.now.mono, fact));
            }
            let Some(request) = self.monitor.poll_request() else { break };
            match request {
                Request::Echo(echo) => {
                    self.echoes.push(self.now.mono);
                    let behind = echo.check.kind.host().map(|host| (echo.check.tunnel.clone(), host));
                    let line = match (self.lines[&echo.check.tunnel], behind) {
                        (Line::Carries(rtt), Some(behind)) => {
                            self.hosts.get(&behind).copied().unwrap_or(Line::Carries(rtt))
                        }
                        (line, _) => line,
                    };
                    self.probes.push((self.now.mono, echo.check.clone()));
                    let sent = Event::Sent { check: echo.check.clone(), echo: echo.echo, at: self.now.mono };
                    let failed =
                        |failure| Event::Failed { check: echo.check.clone(), echo: echo.echo, failure };
                    match line {
                        Line::Carries(rtt) => {
                            self.monitor.handle(sent, self.here());
                            self.replies.insert((self.now.mono + rtt, echo.echo), (echo.check.clone(), rtt));
                        }
                        Line::Swallows => self.monitor.handle(sent, self.here()),
                        Line::NoPath => {
                            self.monitor.handle(failed(AskFailure::Lost(Loss::NoPath)), self.here());
                        }
                        Line::Missing => {
                            self.monitor.handle(failed(AskFailure::AddressMissing), self.here());
                        }
                        Line::Faulty => {
                            self.monitor.handle(failed(AskFailure::Fault(Fault::NoMemory)), self.here());
                        }
                    }
                }
                Request::Retire { .. } => {}
                Request::Sense(request) => {
                    self.looks.push((self.now.mono, request.clone()));
                    let SenseRequest { tunnel, sensor } = request;
                    if let Some(finding) = self.senses.get(&(tunnel.clone(), sensor)) {
                        let sensed = Sensed { tunnel, asked: self.now.mono, finding: finding.clone() };
                        self.monitor.handle(Event::Sensed(sensed), self.here());
                    }
                }
                Request::AskAws(AwsRequest::History(HistoryRequest { vpn, from, to, source: _ })) => {
                    self.histories.push((self.now.mono, from, to));
                    let event = self.history(vpn, from, to);
                    self.monitor.handle(event, self.here());
                }
                Request::AskAws(AwsRequest::Views(ViewsRequest { source, called_down })) => {
                    self.questions.push(self.now.mono);
                    self.called_down.push(called_down);
                    if !self.aws_hangs {
                        self.asked.insert((self.now.mono + ANSWER, source), self.now.mono + QUESTION);
                    }
                }
            }
        }
    }

    /// AWS records what it sees, minute by minute.
    pub fn live(&mut self, minutes: u64) {
        for _ in 0..minutes {
            for (tunnel, aws) in &self.aws {
                let value = match aws {
                    Aws::Up => 1.0,
                    Aws::Down | Aws::BgpDown => 0.0,
                    Aws::Fraction => 0.5,
                    Aws::Nothing | Aws::Gone => continue,
                };
                self.past.insert((tunnel.clone(), self.now.wall.minute()), value);
            }
            self.run(secs(60));
        }
    }

    fn history(&self, vpn: VpnId, from: Stamp, to: Stamp) -> Event {
        if !self.aws_reachable || self.aws_denies || self.aws_hangs {
            return Event::HistoryRefused { vpn };
        }
        let of = |tunnel: &TunnelId| {
            let points = self.past.iter().filter(|((id, at), _)| id == tunnel && (from..to).contains(at));
            points.map(|((_, at), value)| Datapoint::of_minute(*at, *value)).collect()
        };
        let points = self.aws.keys().map(|tunnel| (tunnel.clone(), of(tunnel))).collect();
        Event::HistoryAnswered(History { vpn, asked: self.now.mono, date: self.now.wall, points })
    }

    /// The average of the newest visible minute. Before its first entry, AWS saw the tunnel Up.
    fn late_minute(&self, tunnel: &TunnelId, lag: Duration) -> Reading {
        let stamp = (self.now.wall - lag).minute() - secs(60);
        let (mut up, mut down, mut at, mut is_up) = (0, 0, stamp, true);
        let end = [(stamp + secs(60), false)];
        for (since, then) in self.seen.get(tunnel).into_iter().flatten().chain(&end) {
            let until = (*since).clamp(stamp, stamp + secs(60));
            let millis = until.since(at).as_millis();
            *(if is_up { &mut up } else { &mut down }) += millis;
            (at, is_up) = (until.max(at), *then);
        }
        Reading::TunnelState(Some(Datapoint::of_minute(stamp, up as f64 / (up + down) as f64)))
    }

    fn answer(&self, source: SourceId, asked: Moment) -> Event {
        let reading = |aws: Aws| match (source.kind, aws) {
            _ if self.garbled == Some(source.kind) => Reading::Garbage,
            (_, Aws::Nothing) => Reading::TunnelState(None),
            (_, Aws::Gone) => Reading::Gone,
            (SourceKind::CloudWatch, Aws::Up) => {
                Reading::TunnelState(Some(Datapoint::of_minute(self.now.wall.minute(), 1.0)))
            }
            (SourceKind::CloudWatch, Aws::Down | Aws::BgpDown) => {
                Reading::TunnelState(Some(Datapoint::of_minute(self.now.wall.minute(), 0.0)))
            }
            (_, Aws::Fraction) => {
                Reading::TunnelState(Some(Datapoint::of_minute(self.now.wall.minute(), 0.5)))
            }
            (SourceKind::Ec2, Aws::Up) => telemetry(TelemetryStatus::Up, "2 BGP ROUTES"),
            (SourceKind::Ec2, Aws::BgpDown) => telemetry(TelemetryStatus::Down, "IPSEC IS UP"),
            (SourceKind::Ec2, Aws::Down) => telemetry(TelemetryStatus::Down, "IPSEC IS DOWN"),
        };
        let reading = |tunnel: &TunnelId, aws: Aws| match (source.kind, aws, self.cloudwatch_lag) {
            (SourceKind::CloudWatch, Aws::Up | Aws::Down | Aws::BgpDown, Some(lag)) => {
                self.late_minute(tunnel, lag)
            }
            (SourceKind::CloudWatch | SourceKind::Ec2, _, _) => reading(aws),
        };
        let readings = self.aws.iter().map(|(tunnel, aws)| (tunnel.clone(), reading(tunnel, *aws))).collect();
        Event::Answered(AwsAnswer { source, asked, date: self.now.wall, readings, data: self.data.clone() })
    }

    pub fn assessment(&self, n: u8) -> Assessment {
        let status = self.monitor.status(self.now);
        status.vpns.iter().flat_map(|vpn| &vpn.tunnels).find(|t| t.id == tunnel(n)).unwrap().assessment
    }

    pub fn local(&self, n: u8) -> Verdict {
        let status = self.monitor.status(self.now);
        status.vpns.iter().flat_map(|vpn| &vpn.tunnels).find(|t| t.id == tunnel(n)).unwrap().local.verdict
    }

    pub fn incidents(&self) -> Vec<Arc<Incident>> {
        self.monitor.board().incidents.clone()
    }

    pub fn kinds(&self) -> Vec<Kind> {
        self.incidents().iter().map(|incident| incident.id.kind).collect()
    }

    /// The incidents that opened, and when.
    pub fn opened(&self) -> Vec<(Moment, Kind)> {
        self.facts
            .iter()
            .filter_map(|(at, fact)| match fact {
                Fact::IncidentChanged { incident, change: IncidentChange::Opened, .. } => {
                    Some((*at, incident.id.kind))
                }
                _ => None,
            })
            .collect()
    }

    /// Every sink settles what is resolved.
    pub fn settle(&mut self) {
        for incident in self.incidents() {
            let settled = Event::Settled {
                sink: destination(),
                incident: incident.id.clone(),
                revision: incident.revision,
            };
            self.monitor.handle(settled, self.here());
        }
        self.execute();
    }
}

fn telemetry(status: TelemetryStatus, message: &str) -> Reading {
    Reading::Telemetry(Telemetry {
        status,
        message: message.into(),
        last_status_change: None,
        accepted_routes: None,
    })
}

//! What really happened, in the world's own books: independent of the core, except for when it reported what.

mod reported;
mod silences;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bothends::domain::board::{Incident, IncidentId};
use bothends::domain::event::Reading;
use bothends::domain::fact::IncidentChange;
use bothends::domain::names::{Kind, SourceKind};
use bothends::domain::request::EchoId;
use bothends::domain::rollup::Rollup;
use bothends::domain::time::Moment;
use bothends::incident::sink::RecordId;

use super::gateway::Gateway;
use super::manager::Manager;
use super::schedule::{Line, Setup, Switches, Use};
use silences::Silences;

/// The probes of one gateway through one tunnel.
#[derive(Debug, Clone)]
pub struct Probes {
    numbers: BTreeMap<EchoId, u64>,
    pub sent: u64,
    /// The number of the newest answered one.
    answered: u64,
    /// The numbers of the newest answered ones.
    replies: BTreeSet<u64>,
    /// Whether the daemon knows of a reply, and whether its disk does.
    pub is_known: bool,
    on_disk: bool,
    /// Whether the daemon knows that the host had our address: if it is missing now, it has gone.
    pub was_held: bool,
    /// The configured source address is a typing error: it never existed.
    mistyped: bool,
    line: Line,
    /// When the newest reply came.
    pub last_reply: Option<Moment>,
    /// When the local end was Down, from `down_after` lost probes in a row to `up_after` answered in a row: from, and
    /// until if it is over.
    pub down: Vec<(Moment, Option<Moment>)>,
    /// When no traffic passed, and the daemon could know it, likewise.
    pub dead: Vec<(Moment, Option<Moment>)>,
}

impl Probes {
    fn new() -> Self {
        Self {
            numbers: BTreeMap::new(),
            sent: 0,
            answered: 0,
            replies: BTreeSet::new(),
            is_known: false,
            on_disk: false,
            was_held: false,
            mistyped: false,
            line: Line::Carries,
            last_reply: None,
            down: Vec::new(),
            dead: Vec::new(),
        }
    }

    /// Whether a probe over a path that carries none counts as lost. Otherwise it means nothing.
    fn is_lost(&self) -> bool {
        match self.line {
            _ if self.mistyped => false,
            Line::Dead | Line::NoRoute => true,
            Line::Missing => self.was_held,
            Line::Carries | Line::Loses(_) | Line::Slow | Line::Faulty => false,
        }
    }

    fn mark_dead(&mut self, at: Moment) {
        match (is_now(&self.dead), self.is_lost()) {
            (false, true) => self.dead.push((at, None)),
            (true, false) => end(&mut self.dead, at),
            (true, true) | (false, false) => {}
        }
    }

    /// A check starts: no probe is outstanding, and it has seen nothing.
    fn begin(&mut self, at: Moment) {
        self.numbers.clear();
        self.answered = self.sent;
        self.replies.clear();
        self.was_held = self.is_known && !self.mistyped;
        end(&mut self.down, at);
        end(&mut self.dead, at);
        self.mark_dead(at);
    }
}

/// An incident change reported by a daemon.
#[derive(Debug, Clone)]
pub struct Reported {
    pub at: Moment,
    pub gateway: usize,
    pub change: IncidentChange,
    pub incident: Arc<Incident>,
    /// When that daemon started.
    pub started: Moment,
    /// Whether the daemon died before it was on the disk.
    pub lost: bool,
}

/// A minute that a daemon completed.
#[derive(Debug)]
pub struct Ready {
    pub rollup: Arc<Rollup>,
    pub at: Moment,
    /// Whether it is on the disk.
    pub durable: bool,
    /// Whether the daemon died before that.
    pub died: bool,
}

#[derive(Debug)]
pub struct Truth {
    pub switches: Switches,
    pub echoes: Vec<Vec<Probes>>,
    pub reported: Vec<Reported>,
    pub ready: Vec<Vec<Ready>>,
    /// For each record of the manager, in order, the incident it was created for; `None` if no daemon created it.
    pub stories: Vec<Option<IncidentId>>,
    /// Calls that close a record.
    pub resolves: Vec<(usize, RecordId, Moment)>,
    /// When people closed records, and of which kinds.
    pub closes: Vec<(Moment, BTreeSet<Kind>)>,
    pub crashes: Vec<Vec<Moment>>,
    pub jumped: Vec<bool>,
    /// Whether a record was created without a look at the list.
    pub blind: bool,
    /// Data dropped by the stores, up to the last crash.
    pub dropped_before: Vec<u64>,
    pub broken: Vec<String>,
    pub silences: Silences,
    /// Incidents that were not reported, because AWS was unreachable.
    pub missed: Vec<IncidentId>,
    /// When something kept a daemon from reporting: from, and until if it is over.
    trouble: Vec<(Moment, Option<Moment>)>,
    /// Per gateway, its configurations and since when, oldest first.
    setups: Vec<Vec<(Moment, Setup)>>,
    /// Whether something changed that matters for what is expected.
    pub news: bool,
    /// The last evidence that each gateway got for each tunnel: by source, its as-of time, and whether "Up" or "Down".
    heard: BTreeMap<(usize, usize, SourceKind), (Moment, Option<bool>)>,
    started: Vec<Moment>,
    /// When everything was last on the disk.
    written: Vec<Moment>,
}

impl Truth {
    pub fn new(gateways: usize, switches: Switches) -> Self {
        Self {
            switches,
            echoes: vec![vec![Probes::new(); switches.tunnels]; gateways],
            reported: Vec::new(),
            ready: (0..gateways).map(|_| Vec::new()).collect(),
            stories: Vec::new(),
            resolves: Vec::new(),
            closes: Vec::new(),
            crashes: vec![Vec::new(); gateways],
            jumped: vec![false; gateways],
            blind: false,
            dropped_before: vec![0; gateways],
            broken: Vec::new(),
            silences: Silences::new(gateways),
            missed: Vec::new(),
            trouble: Vec::new(),
            setups: vec![vec![(Moment::ORIGIN, switches.setup())]; gateways],
            news: true,
            heard: BTreeMap::new(),
            started: vec![Moment::ORIGIN; gateways],
            written: vec![Moment::ORIGIN; gateways],
        }
    }

    pub fn records(&self) -> usize {
        self.stories.len()
    }

    /// Records a broken promise.
    pub fn breaks(&mut self, at: Moment, promise: &str, how: &str) {
        self.broken.push(format!("{:>8.1} s  {promise}: {how}", seconds(at)));
    }

    /// Whether something keeps a daemon from reporting.
    pub fn troubled(&mut self, at: Moment, is_troubled: bool) {
        match (is_now(&self.trouble), is_troubled) {
            (false, true) => self.trouble.push((at, None)),
            (true, false) => end(&mut self.trouble, at),
            (true, true) | (false, false) => {}
        }
    }

    /// Whether nothing did in that whole period.
    pub fn was_undisturbed(&self, from: Moment, to: Moment) -> bool {
        self.trouble.iter().all(|(since, until)| *since > to || until.is_some_and(|until| until < from))
    }

    //--- probes

    /// A probe was sent, or lost at once.
    pub fn sent(&mut self, gateway: usize, tunnel: usize, echo: EchoId, at: Moment) {
        let down_after = u64::from(self.switches.probe.down_after.get());
        let echoes = &mut self.echoes[gateway][tunnel];
        self.news |= !std::mem::replace(&mut echoes.was_held, true);
        echoes.sent += 1;
        echoes.numbers.insert(echo, echoes.sent);
        if echoes.numbers.len() > 256 {
            echoes.numbers.pop_first();
        }
        if echoes.sent - echoes.answered >= down_after && !is_now(&echoes.down) {
            echoes.down.push((at, None));
        }
    }

    pub fn replied(&mut self, gateway: usize, tunnel: usize, echo: EchoId, at: Moment) {
        let probe = &self.switches.probe;
        let (down_after, up_after) =
            (u64::from(probe.down_after.get()), usize::try_from(probe.up_after.get()).expect("small"));
        let echoes = &mut self.echoes[gateway][tunnel];
        self.news |= !std::mem::replace(&mut echoes.is_known, true);
        echoes.last_reply = Some(at);
        let Some(number) = echoes.numbers.remove(&echo) else { return };
        echoes.answered = echoes.answered.max(number);
        echoes.replies.insert(number);
        if echoes.replies.len() > 256 {
            echoes.replies.pop_first();
        }
        let mut latest = (0..=echoes.answered).rev().take_while(|number| echoes.replies.contains(number));
        if echoes.sent - echoes.answered < down_after && latest.nth(up_after - 1).is_some() {
            end(&mut echoes.down, at);
        }
    }

    /// The path's behaviour has changed.
    pub fn path(&mut self, gateway: usize, tunnel: usize, line: Line, at: Moment) {
        self.news = true;
        let echoes = &mut self.echoes[gateway][tunnel];
        echoes.line = line;
        echoes.mark_dead(at);
    }

    /// Whether our address was there before, as far as the daemon can know; then it has gone.
    pub fn was_held(&self, gateway: usize, tunnel: usize) -> bool {
        self.echoes[gateway][tunnel].was_held
    }

    //--- configurations

    pub fn setup(&self, gateway: usize) -> Setup {
        self.setups[gateway].last().map_or_else(|| self.switches.setup(), |(_, setup)| *setup)
    }

    /// The gateway is reconfigured. A tunnel that comes into use, or gets another source address, starts fresh.
    pub fn reloaded(&mut self, gateway: usize, setup: Setup, at: Moment) {
        let before = self.setup(gateway);
        self.setups[gateway].push((at, setup));
        self.news = true;
        for (tunnel, echoes) in self.echoes[gateway].iter_mut().enumerate() {
            let route = |setup: Setup| match setup.uses[tunnel] {
                Use::Active | Use::Standby => Some(true),
                Use::Mistyped => Some(false),
                Use::Unused | Use::Absent => None,
            };
            if route(before) != route(setup) {
                echoes.mistyped = setup.uses[tunnel] == Use::Mistyped;
                echoes.begin(at);
                // No probe has ever been sent from there.
                echoes.was_held &= route(setup) == Some(true);
                echoes.mark_dead(at);
            }
        }
    }

    /// A period in parts, each with the gateway's configuration.
    fn setups_of(&self, gateway: usize, from: Moment, to: Moment) -> Vec<(Moment, Moment, Setup)> {
        let setups = &self.setups[gateway];
        let until = setups.iter().skip(1).map(|(since, _)| *since).chain([to]);
        let parts = setups
            .iter()
            .zip(until)
            .map(|((since, setup), until)| ((*since).max(from), until.min(to), *setup));
        parts.filter(|(from, to, _)| from < to).collect()
    }

    //--- lives

    pub fn started(&mut self, gateway: usize, at: Moment) {
        self.started[gateway] = at;
        self.news = true;
        for echoes in &mut self.echoes[gateway] {
            echoes.begin(at);
        }
    }

    pub fn crashed(&mut self, gateway: usize, blind: bool, dropped: u64, at: Moment) {
        self.blind |= blind;
        self.news = true;
        for echoes in &mut self.echoes[gateway] {
            echoes.is_known = echoes.on_disk;
        }
        self.dropped_before[gateway] += dropped;
        self.crashes[gateway].push(at);
        for ready in self.ready[gateway].iter_mut().filter(|ready| !ready.durable) {
            ready.died = true;
        }
        let written = self.written[gateway];
        for reported in
            self.reported.iter_mut().filter(|reported| reported.gateway == gateway && reported.at > written)
        {
            reported.lost = true;
        }
    }

    pub fn jumped(&mut self, gateway: usize) {
        self.jumped[gateway] = true;
    }

    pub fn durable(&mut self, gateway: usize, at: Moment) {
        self.written[gateway] = at;
        for echoes in &mut self.echoes[gateway] {
            echoes.on_disk = echoes.is_known;
        }
        for ready in self.ready[gateway].iter_mut().rev().take_while(|ready| !ready.durable) {
            ready.durable = !ready.died;
        }
    }

    //--- AWS

    pub fn heard(
        &mut self,
        gateway: usize,
        source: SourceKind,
        tunnel: usize,
        reading: &Reading,
        at: Moment,
    ) {
        let up = match reading {
            Reading::TunnelState(Some(point)) if point.value == 1.0 => Some(true),
            Reading::TunnelState(Some(point)) if point.value == 0.0 => Some(false),
            Reading::Telemetry(telemetry) => {
                Some(telemetry.status == bothends::domain::event::TelemetryStatus::Up)
            }
            // A minute that contains a change takes nothing back.
            Reading::TunnelState(Some(point)) if point.value > 0.0 && point.value < 1.0 => return,
            Reading::TunnelState(Some(_)) | Reading::Garbage | Reading::Gone => None,
            Reading::TunnelState(None) => return,
        };
        self.heard.insert((gateway, tunnel, source), (at, up));
    }

    pub fn record_created(&mut self, incident: Option<IncidentId>) {
        self.stories.push(incident);
    }

    pub fn resolved(&mut self, gateway: usize, record: RecordId, at: Moment) {
        self.resolves.push((gateway, record, at));
    }

    pub fn person_closes(&mut self, at: Moment, manager: &Manager) {
        let kinds = manager
            .records
            .iter()
            .filter(|stored| stored.is_open())
            .map(|stored| stored.scope.kind)
            .collect();
        self.closes.push((at, kinds));
    }

    /// A dead path is Down at the latest after this time.
    pub fn detection(&self) -> Duration {
        let probe = &self.switches.probe;
        probe.interval * 2
            + probe.suspect_interval * (2 * probe.down_after.get() + 4)
            + probe.timeout * 3
            + Duration::from_secs(5)
    }
}

/// So that different gateways share the same list format.
pub fn seconds(at: Moment) -> f64 {
    at.since(Moment::ORIGIN + Duration::from_secs(24 * 3600)).as_secs_f64()
}

fn is_now(periods: &[(Moment, Option<Moment>)]) -> bool {
    periods.last().is_some_and(|(_, until)| until.is_none())
}

fn end(periods: &mut [(Moment, Option<Moment>)], at: Moment) {
    if let Some((_, until @ None)) = periods.last_mut() {
        *until = Some(at);
    }
}

/// Whether nothing keeps a daemon from reporting.
pub fn can_report(gateway: &Gateway) -> bool {
    gateway.reachable && gateway.credentials && gateway.writable && gateway.daemon.is_some()
}

//! What really happened, in the world's own books: kept without asking the daemons' core, except for what it said when.

mod said;

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
use super::schedule::{Line, Switches};

/// The echoes of one gateway through one tunnel.
#[derive(Debug, Default, Clone)]
pub struct Echoes {
    numbers: BTreeMap<EchoId, u64>,
    pub sent: u64,
    /// The number of the last that was answered.
    answered: u64,
    pub ever_answered: bool,
    /// When more than `down_after` in a row were unanswered: from, and until if it is over.
    pub down: Vec<(Moment, Option<Moment>)>,
    /// When nothing got through, likewise.
    pub dead: Vec<(Moment, Option<Moment>)>,
}

/// What a daemon said of an incident.
#[derive(Debug, Clone)]
pub struct Told {
    pub at: Moment,
    pub gateway: usize,
    pub change: IncidentChange,
    pub incident: Arc<Incident>,
    /// When the daemon that says so had been started.
    pub started: Moment,
    /// Whether the daemon died before the disk had it.
    pub lost: bool,
}

/// A minute that a daemon completed.
#[derive(Debug)]
pub struct Ready {
    pub rollup: Arc<Rollup>,
    pub at: Moment,
    /// Whether the disk has it.
    pub durable: bool,
    /// Whether the daemon died before that.
    pub died: bool,
}

#[derive(Debug)]
pub struct Truth {
    pub switches: Switches,
    pub echoes: Vec<[Echoes; 2]>,
    pub told: Vec<Told>,
    pub ready: Vec<Vec<Ready>>,
    /// Of each record of the manager's, in order, the incident it was started for; `None` if a daemon did not start it.
    pub stories: Vec<Option<IncidentId>>,
    /// Calls that close a record.
    pub resolves: Vec<(usize, RecordId, Moment)>,
    /// When people closed records, and of which kinds.
    pub closes: Vec<(Moment, BTreeSet<Kind>)>,
    pub crashes: Vec<Vec<Moment>>,
    pub jumped: Vec<bool>,
    /// Whether a page went out without a look at the list.
    pub blind: bool,
    /// What the stores dropped, up to the last crash.
    pub dropped_before: Vec<u64>,
    pub broken: Vec<String>,
    /// Incidents that nobody was told of, because AWS could not be reached.
    pub missed: Vec<IncidentId>,
    /// When something kept a daemon from telling: from, and until if it is over.
    trouble: Vec<(Moment, Option<Moment>)>,
    /// What each gateway heard last of each tunnel: by source, as of when, and whether "Up" or "Down".
    heard: BTreeMap<(usize, usize, SourceKind), (Moment, Option<bool>)>,
    started: Vec<Moment>,
    /// When the disk had everything.
    written: Vec<Moment>,
}

impl Truth {
    pub fn new(gateways: usize, switches: Switches) -> Self {
        Self {
            switches,
            echoes: vec![Default::default(); gateways],
            told: Vec::new(),
            ready: (0..gateways).map(|_| Vec::new()).collect(),
            stories: Vec::new(),
            resolves: Vec::new(),
            closes: Vec::new(),
            crashes: vec![Vec::new(); gateways],
            jumped: vec![false; gateways],
            blind: false,
            dropped_before: vec![0; gateways],
            broken: Vec::new(),
            missed: Vec::new(),
            trouble: Vec::new(),
            heard: BTreeMap::new(),
            started: vec![Moment::ORIGIN; gateways],
            written: vec![Moment::ORIGIN; gateways],
        }
    }

    pub fn records(&self) -> usize {
        self.stories.len()
    }

    /// A promise is broken.
    pub fn breaks(&mut self, at: Moment, promise: &str, how: &str) {
        self.broken.push(format!("{:>8.1} s  {promise}: {how}", seconds(at)));
    }

    /// Whether something keeps a daemon from telling.
    pub fn troubled(&mut self, at: Moment, is_troubled: bool) {
        match (is_now(&self.trouble), is_troubled) {
            (false, true) => self.trouble.push((at, None)),
            (true, false) => end(&mut self.trouble, at),
            (true, true) | (false, false) => {}
        }
    }

    /// Whether nothing did in all that time.
    pub fn was_quiet(&self, from: Moment, to: Moment) -> bool {
        self.trouble.iter().all(|(since, until)| *since > to || until.is_some_and(|until| until < from))
    }

    //--- echoes

    pub fn sent(&mut self, gateway: usize, tunnel: usize, echo: EchoId, at: Moment) {
        let down_after = u64::from(self.switches.probe.down_after.get());
        let echoes = &mut self.echoes[gateway][tunnel];
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
        let down_after = u64::from(self.switches.probe.down_after.get());
        let echoes = &mut self.echoes[gateway][tunnel];
        echoes.ever_answered = true;
        let Some(number) = echoes.numbers.remove(&echo) else { return };
        echoes.answered = echoes.answered.max(number);
        if echoes.sent - echoes.answered < down_after {
            end(&mut echoes.down, at);
        }
    }

    /// What a path does with echoes has changed.
    pub fn path(&mut self, gateway: usize, tunnel: usize, line: Line, at: Moment) {
        let dead = &mut self.echoes[gateway][tunnel].dead;
        match line {
            Line::Dead | Line::NoRoute => {
                if !is_now(dead) {
                    dead.push((at, None));
                }
            }
            Line::Carries | Line::Loses(_) | Line::Slow | Line::Faulty => end(dead, at),
        }
    }

    //--- lives

    pub fn started(&mut self, gateway: usize, at: Moment) {
        self.started[gateway] = at;
        for echoes in &mut self.echoes[gateway] {
            echoes.numbers.clear();
            echoes.answered = echoes.sent;
            end(&mut echoes.down, at);
        }
    }

    pub fn crashed(&mut self, gateway: usize, blind: bool, dropped: u64, at: Moment) {
        self.blind |= blind;
        self.dropped_before[gateway] += dropped;
        self.crashes[gateway].push(at);
        for ready in self.ready[gateway].iter_mut().filter(|ready| !ready.durable) {
            ready.died = true;
        }
        let written = self.written[gateway];
        for told in self.told.iter_mut().filter(|told| told.gateway == gateway && told.at > written) {
            told.lost = true;
        }
    }

    pub fn jumped(&mut self, gateway: usize) {
        self.jumped[gateway] = true;
    }

    /// The disk has everything.
    pub fn durable(&mut self, gateway: usize, at: Moment) {
        self.written[gateway] = at;
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
        let word = match reading {
            Reading::TunnelState(Some(point)) if point.value == 1.0 => Some(true),
            Reading::TunnelState(Some(point)) if point.value == 0.0 => Some(false),
            Reading::Telemetry(telemetry) => {
                Some(telemetry.status == bothends::domain::event::TelemetryStatus::Up)
            }
            Reading::TunnelState(Some(_)) | Reading::Garbage | Reading::Gone => None,
            Reading::TunnelState(None) => return,
        };
        self.heard.insert((gateway, tunnel, source), (at, word));
    }

    pub fn record_created(&mut self, incident: Option<IncidentId>) {
        self.stories.push(incident);
    }

    pub fn resolved(&mut self, gateway: usize, record: RecordId, at: Moment) {
        self.resolves.push((gateway, record, at));
    }

    pub fn person_closes(&mut self, at: Moment, manager: &Manager) {
        let kinds =
            manager.records.iter().filter(|kept| kept.is_open()).map(|kept| kept.scope.kind).collect();
        self.closes.push((at, kinds));
    }

    pub fn actives(&self) -> Vec<usize> {
        if self.switches.standby { vec![0] } else { vec![0, 1] }
    }

    /// By then a dead path has surely been found to be Down.
    pub fn detection(&self) -> Duration {
        let probe = &self.switches.probe;
        probe.interval * 2
            + probe.suspect_interval * (2 * probe.down_after.get() + 4)
            + probe.timeout * 3
            + Duration::from_secs(5)
    }
}

/// So that gateways that are told of it look the same.
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

/// Whether nothing keeps a daemon from telling.
pub fn can_tell(gateway: &Gateway) -> bool {
    gateway.reachable && gateway.credentials && gateway.writable && gateway.daemon.is_some()
}

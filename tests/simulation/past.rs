//! What a gateway's store claims of the past, and what its daemons reported. Only of gateways whose clock was always right: under a
//! wrong date nothing can be compared.

use std::collections::BTreeSet;
use std::time::Duration;

use bothends::domain::fact::Fact;
use bothends::domain::names::Role;
use bothends::domain::names::TunnelId;
use bothends::domain::status::Status;
use bothends::domain::time::{Now, Stamp};
use bothends::domain::verdict::Assessment;
use bothends::history::{Change, Entry, Period, Present, Said, Spans, State, TunnelNow, Wanted, Watch};
use bothends::store::{Recall, StoreEngine};

use super::time::aws_clock;

/// A daemon says once a minute that it watches.
const SAID_WITHIN: Duration = Duration::from_secs(70);

/// One step in so many is looked at.
const LOOKS_EVERY: u32 = 4_001;

/// What the daemons of a gateway reported, and when they ran.
#[derive(Debug, Default)]
pub struct Past {
    changes: Vec<(Stamp, TunnelId, Change)>,
    /// What they said was so, now and then.
    said: Vec<Present>,
    steps: u32,
    ran: Vec<(Stamp, Option<Stamp>)>,
    was_wrong: bool,
}

impl Past {
    pub fn started(&mut self, now: Now) {
        self.ran.push((now.wall, None));
    }

    pub fn crashed(&mut self, now: Now) {
        self.ran.iter_mut().last().expect("it was started").1.get_or_insert(now.wall);
    }

    /// A step is over: what `/status` says is remembered of one in many, and of every one before a reload.
    pub fn step(&mut self, status: impl FnOnce() -> Status) {
        self.steps += 1;
        if self.steps.is_multiple_of(LOOKS_EVERY) {
            self.said.push(Present::of(&status()));
        }
    }

    pub fn before_reload(&mut self, status: &Status) {
        self.said.push(Present::of(status));
    }

    pub fn clock_jumped(&mut self) {
        self.was_wrong = true;
    }

    pub fn hear(&mut self, fact: &Fact) {
        let (tunnel, at, change) = match fact {
            Fact::ViewChanged { tunnel, end, from, view, at } => {
                let (from, to) = ((*from).into(), view.verdict.into());
                (tunnel, at, Change::Verdict { end: *end, from, to })
            }
            Fact::AssessmentChanged { tunnel, from, to, at, .. } => {
                (tunnel, at, Change::Assessment { from: *from, to: *to })
            }
            Fact::CauseChanged { tunnel, from, to, at } => {
                let [from, to] = [from, to].map(|it| it.as_ref().map(|diagnosis| diagnosis.cause));
                if from == to {
                    return;
                }
                (tunnel, at, Change::Cause { from, to })
            }
            Fact::SilencedChanged { tunnel, from, to, at } => {
                (tunnel, at, Change::Silenced { from: *from, to: *to })
            }
            Fact::TunnelLeft { tunnel, was, afresh, at } => {
                let was = State {
                    local: was.local.into(),
                    aws: was.aws.into(),
                    assessment: was.assessment,
                    cause: was.cause,
                    silence: was.silenced,
                };
                (tunnel, at, Change::Left { was, afresh: *afresh })
            }
            _ => return,
        };
        self.changes.push((at.wall, tunnel.clone(), change));
    }

    /// What the store says that is not so.
    pub fn broken(&self, engine: &mut StoreEngine, status: &Status, now: Now) -> Vec<String> {
        if self.was_wrong {
            return Vec::new();
        }
        let (mut entries, mut periods, mut changes) = (Vec::new(), Vec::new(), Vec::new());
        let wanted = Wanted { since: aws_clock(Default::default()), until: None, minutes: false };
        let mut recall = Recall::new(wanted);
        loop {
            match engine.recall(&mut recall, now) {
                Ok(Some(part)) => {
                    entries.extend(part.iter().cloned());
                    for entry in part {
                        match entry {
                            Entry::Watched(Watch { period, .. }) => periods.push(period),
                            Entry::Change { at, tunnel, change } => changes.push((at, tunnel, change)),
                            Entry::Incident(_) | Entry::Paged { .. } | Entry::Minute(_) => {}
                        }
                    }
                }
                Ok(None) => break,
                Err(error) => return vec![format!("the past cannot be read: {error}")],
            }
        }
        let mut broken = Vec::new();
        if !periods.is_sorted() || periods.windows(2).any(|pair| pair[0].until > pair[1].from) {
            broken.push(format!("periods of watching overlap: {periods:?}"));
        }
        for Period { from, until } in &periods {
            let runs = |ran: &&(Stamp, Option<Stamp>)| ran.0 <= *from && *until <= ran.1.unwrap_or(now.wall);
            if !self.ran.iter().any(|ran| runs(&ran)) {
                broken.push(format!("it did not run from {from:?} to {until:?}: {:?}", self.ran));
            }
        }
        let watched = |at: Stamp| periods.iter().any(|period| period.from < at && at < period.until);
        let missing = self.changes.iter().filter(|change| watched(change.0) && !changes.contains(change));
        broken.extend(missing.map(|change| format!("watched, and the change is missing: {change:?}")));
        broken.extend(self.says_otherwise(&entries, &Present::of(status), watched));
        let last = periods.last().map(|period| period.until);
        if last.is_none_or(|last| now.wall.since(last) > SAID_WITHIN) {
            broken.push(format!("it runs, and watched until {last:?} of {:?}", now.wall));
        }
        broken
    }

    /// What comes back is unobserved until both ends have spoken of it.
    fn has_left(&self, id: &TunnelId, at: Stamp) -> bool {
        self.changes.iter().any(|(left, tunnel, change)| {
            *left <= at && tunnel == id && matches!(change, Change::Left { .. })
        })
    }

    /// Where the spans of the past are not what the daemon said then.
    fn says_otherwise(
        &self,
        entries: &[Entry],
        present: &Present,
        watched: impl Fn(Stamp) -> bool,
    ) -> Vec<String> {
        let period = Period { from: aws_clock(Default::default()), until: present.at };
        let spans = Spans::of(entries, present, period);
        let changed: BTreeSet<Stamp> = self.changes.iter().map(|change| change.0).collect();
        let mut otherwise = Vec::new();
        for said in &self.said {
            let at = said.at;
            // Of several things at one moment each may be seen first.
            if changed.contains(&at) {
                continue;
            }
            for (id, spans) in spans.tunnels() {
                let span = spans.get(spans.partition_point(|span| span.period.until <= at));
                let recalled = span.and_then(|span| span.state);
                let then = said.tunnels.iter().find(|tunnel| tunnel.id == *id);
                let is_so = match (then, recalled) {
                    // It is not known that it was not there yet.
                    (None, recalled) => recalled.is_none_or(|state| state == BEGINS),
                    (Some(then), None) => {
                        let is_half = then.local == Said::Unknown || then.aws == Said::Unknown;
                        let unheard = is_half && self.has_left(id, at);
                        !watched(at) || then.role == Role::Unused || state_of(then) == BEGINS || unheard
                    }
                    (Some(then), Some(recalled)) => recalled == state_of(then),
                };
                if !is_so {
                    let then = then.map(state_of);
                    otherwise.push(format!("{id} at {at:?} is recalled as {recalled:?}, and was {then:?}"));
                }
            }
        }
        otherwise
    }
}

/// How a tunnel begins.
const BEGINS: State = State {
    local: Said::Unknown,
    aws: Said::Unknown,
    assessment: Assessment::Blind,
    cause: None,
    silence: None,
};

fn state_of(tunnel: &TunnelNow) -> State {
    let TunnelNow { local, aws, assessment, cause, silenced, .. } = tunnel;
    State { local: *local, aws: *aws, assessment: *assessment, cause: *cause, silence: *silenced }
}

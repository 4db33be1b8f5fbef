//! A sink and a spool with faults, and a clock moved by hand.

use std::collections::{BTreeMap, BTreeSet};

use super::super::*;
use crate::domain::names::TunnelId;
use crate::domain::rollup::RttBin;

pub(super) const START: i64 = 1_800_000_000;

pub(super) fn rollup(tunnel: u8, minute: i64) -> Arc<Rollup> {
    Arc::new(Rollup {
        tunnel: TunnelId { vpn: VpnId::new("vpn-1"), outside_ip: [203, 0, 113, tunnel].into() },
        minute: Stamp::from_secs(START + minute * 60),
        replies: 59,
        late: 0,
        lost: 1,
        faults: 0,
        rtt: vec![RttBin { mean: Duration::from_millis(12), count: 59 }],
        up: Some(true),
        both_ends_down: Some(false),
    })
}

pub(super) fn unknown(tunnel: u8, minute: i64) -> Arc<Rollup> {
    let known = Rollup::clone(&rollup(tunnel, minute));
    Arc::new(Rollup { replies: 0, lost: 0, faults: 60, rtt: vec![], up: None, both_ends_down: None, ..known })
}

/// What the sink does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    Unreachable,
    Throttled,
    /// It takes the data, and its reply is lost.
    LostReply,
    Denied,
    /// It finds fault with whatever it is given.
    RefusesAll,
}

pub(super) struct World {
    pub(super) now: Now,
    /// Whose wall clock that is.
    pub(super) whose: Whose,
    pub(super) publisher: Publisher,
    /// Rollups, and whether they are marked as sent.
    pub(super) spool: BTreeMap<Arc<Rollup>, bool>,
    pub(super) spool_broken: bool,
    pub(super) fault: Fault,
    /// Data that the sink never takes.
    pub(super) bad: BTreeSet<(Stamp, String)>,
    /// Accepted data, in order.
    pub(super) taken: Vec<Datum>,
    /// Data that may be accepted twice, because the reply was lost.
    pub(super) doubled: BTreeSet<(Stamp, String)>,
    pub(super) calls: Vec<Arc<[Datum]>>,
    pub(super) dropped: u64,
    pub(super) warnings: Vec<String>,
    pub(super) problem: Option<Problem>,
}

pub(super) fn key(datum: &Datum) -> (Stamp, String) {
    (datum.stamp, format!("{} {:?}", datum.name, datum.dimensions))
}

impl World {
    pub(super) fn new(interval: u64) -> Self {
        let now = Now { mono: Moment::ORIGIN, wall: Stamp::from_secs(START) };
        let settings =
            PublishSettings { site: "milan-1".into(), interval: Duration::from_secs(interval), seed: 1 };
        Self {
            now,
            whose: Whose::Aws,
            publisher: Publisher::new(settings, now),
            spool: BTreeMap::new(),
            spool_broken: false,
            fault: Fault::None,
            bad: BTreeSet::new(),
            taken: Vec::new(),
            doubled: BTreeSet::new(),
            calls: Vec::new(),
            dropped: 0,
            warnings: Vec::new(),
            problem: None,
        }
    }

    pub(super) fn clock(&self) -> Clock {
        Clock { now: self.now, whose: self.whose }
    }

    pub(super) fn restart(&mut self) {
        let settings = self.publisher.settings.clone();
        self.publisher = Publisher::new(settings, self.now);
    }

    pub(super) fn ready(&mut self, rollup: &Arc<Rollup>) {
        self.spool.entry(Arc::clone(rollup)).or_insert(false);
        self.handle(Event::Ready(Arc::clone(rollup)));
    }

    pub(super) fn could_vote(&mut self, minute: i64, can_page: bool) {
        let minute = Stamp::from_secs(START + minute * 60);
        self.handle(Event::CouldVote { vpn: VpnId::new("vpn-1"), minute, can_page });
    }

    pub(super) fn handle(&mut self, event: Event) {
        self.publisher.handle(event, self.clock());
        self.serve();
    }

    pub(super) fn serve(&mut self) {
        while let Some(action) = self.publisher.poll_action() {
            let reply = match action {
                Action::Put(data) => {
                    self.calls.push(Arc::clone(&data));
                    Event::Put(self.put(&data))
                }
                Action::Read { until, limit } => Event::Read(self.read(until, limit)),
                Action::Mark(rollups) => Event::Marked(self.mark(&rollups)),
                Action::Problem(problem) => {
                    self.problem = problem;
                    continue;
                }
                Action::Dropped(count) => {
                    self.dropped += count;
                    continue;
                }
                Action::Notice(notice) => {
                    self.warnings.push(notice.record().message);
                    continue;
                }
            };
            self.publisher.handle(reply, self.clock());
        }
    }

    pub(super) fn put(&mut self, data: &[Datum]) -> Result<(), PutError> {
        assert!(!data.is_empty() && data.len() <= DATA_PER_CALL, "{} data in a call", data.len());
        let temporary = |throttled| PutError::Temporary { what: "fault".into(), throttled, source: None };
        match self.fault {
            Fault::Unreachable => return Err(temporary(false)),
            Fault::Throttled => return Err(temporary(true)),
            Fault::Denied => {
                return Err(PutError::Denied { what: "cloudwatch:PutMetricData is missing".into() });
            }
            Fault::RefusesAll => return Err(PutError::BadData { what: "no such namespace".into() }),
            Fault::None | Fault::LostReply => {}
        }
        if data.iter().any(|datum| self.bad.contains(&key(datum))) {
            return Err(PutError::BadData { what: "bad".into() });
        }
        self.taken.extend_from_slice(data);
        if self.fault == Fault::LostReply {
            self.doubled.extend(data.iter().map(key));
            return Err(temporary(false));
        }
        Ok(())
    }

    pub(super) fn read(&self, until: Stamp, limit: usize) -> Result<Vec<Arc<Rollup>>, SpoolError> {
        if self.spool_broken {
            return Err(SpoolError { what: "disk full".into(), retry_after: Duration::from_secs(30) });
        }
        let mut unsent: Vec<_> = self
            .spool
            .iter()
            .filter(|(rollup, sent)| !**sent && rollup.minute <= until)
            .map(|(rollup, _)| Arc::clone(rollup))
            .collect();
        unsent.sort_by_key(|rollup| Reverse(rollup.minute));
        unsent.truncate(limit);
        Ok(unsent)
    }

    pub(super) fn mark(&mut self, rollups: &[Arc<Rollup>]) -> Result<(), SpoolError> {
        if self.spool_broken {
            return Err(SpoolError { what: "disk full".into(), retry_after: Duration::from_secs(30) });
        }
        for rollup in rollups {
            self.spool.insert(Arc::clone(rollup), true);
        }
        Ok(())
    }

    /// Moves the clock on by `secs`, stopping at every timer on the way.
    pub(super) fn advance(&mut self, secs: u64) {
        let end = self.now.after(Duration::from_secs(secs));
        let mut wakes = 0;
        while let Some((at, _why)) = self.publisher.poll_timeout().filter(|(at, _)| *at <= end.mono) {
            self.now = self.now.after(at.since(self.now.mono));
            self.publisher.handle_timeout(self.clock());
            self.serve();
            wakes += 1;
            assert!(wakes < 100_000, "the machine spins");
        }
        self.now = end;
    }

    pub(super) fn counts(&self) -> BTreeMap<(Stamp, String), usize> {
        let mut counts = BTreeMap::new();
        for datum in &self.taken {
            *counts.entry(key(datum)).or_default() += 1;
        }
        counts
    }

    pub(super) fn minutes(data: &[Datum]) -> Vec<i64> {
        data.iter().map(|datum| (datum.stamp.as_millis() / 1000 - START) / 60).collect()
    }
}

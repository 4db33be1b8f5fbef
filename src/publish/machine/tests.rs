//! The machine against a world of a sink and a spool with faults, under a clock moved by hand.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::domain::names::TunnelId;
use crate::domain::rollup::RttBin;
use crate::publish::sink::DatumValue;

const START: i64 = 1_800_000_000;

fn rollup(tunnel: u8, minute: i64) -> Arc<Rollup> {
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

fn unknown(tunnel: u8, minute: i64) -> Arc<Rollup> {
    let known = Rollup::clone(&rollup(tunnel, minute));
    Arc::new(Rollup { replies: 0, lost: 0, faults: 60, rtt: vec![], up: None, both_ends_down: None, ..known })
}

/// What the sink does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Unreachable,
    Throttled,
    /// It takes the data, and its reply is lost.
    LostReply,
    Denied,
    /// It finds fault with whatever it is given.
    RefusesAll,
}

struct World {
    now: Now,
    publisher: Publisher,
    /// Rollups, and whether they are marked as sent.
    spool: BTreeMap<Arc<Rollup>, bool>,
    spool_broken: bool,
    fault: Fault,
    /// Data that the sink never takes.
    bad: BTreeSet<(Stamp, String)>,
    /// Data taken, in order.
    taken: Vec<Datum>,
    /// Data that may be taken twice, because the reply was lost.
    doubled: BTreeSet<(Stamp, String)>,
    calls: Vec<Arc<[Datum]>>,
    dropped: u64,
    warnings: Vec<String>,
    problem: Option<Problem>,
}

fn key(datum: &Datum) -> (Stamp, String) {
    (datum.stamp, format!("{} {:?}", datum.name, datum.dimensions))
}

impl World {
    fn new(interval: u64) -> Self {
        let now = Now { mono: Moment::ORIGIN, wall: Stamp::from_secs(START) };
        let settings = Settings { site: "milan-1".into(), interval: Duration::from_secs(interval), seed: 1 };
        Self {
            now,
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

    fn restart(&mut self) {
        let settings = self.publisher.settings.clone();
        self.publisher = Publisher::new(settings, self.now);
    }

    fn ready(&mut self, rollup: &Arc<Rollup>) {
        self.spool.entry(Arc::clone(rollup)).or_insert(false);
        self.tell(Event::Ready(Arc::clone(rollup)));
    }

    fn could_vote(&mut self, minute: i64, can_page: bool) {
        let minute = Stamp::from_secs(START + minute * 60);
        self.tell(Event::CouldVote { vpn: VpnId::new("vpn-1"), minute, can_page });
    }

    fn tell(&mut self, event: Event) {
        self.publisher.handle(event, self.now);
        self.serve();
    }

    fn serve(&mut self) {
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
                Action::Warn(text) => {
                    self.warnings.push(text);
                    continue;
                }
            };
            self.publisher.handle(reply, self.now);
        }
    }

    fn put(&mut self, data: &[Datum]) -> Result<(), PutError> {
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

    fn read(&self, until: Stamp, limit: usize) -> Result<Vec<Arc<Rollup>>, SpoolError> {
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

    fn mark(&mut self, rollups: &[Arc<Rollup>]) -> Result<(), SpoolError> {
        if self.spool_broken {
            return Err(SpoolError { what: "disk full".into(), retry_after: Duration::from_secs(30) });
        }
        for rollup in rollups {
            self.spool.insert(Arc::clone(rollup), true);
        }
        Ok(())
    }

    /// Moves the clock on by `secs`, stopping at every timer on the way.
    fn advance(&mut self, secs: u64) {
        let end = self.now.after(Duration::from_secs(secs));
        let mut wakes = 0;
        while let Some((at, _why)) = self.publisher.poll_timeout().filter(|(at, _)| *at <= end.mono) {
            self.now = self.now.after(at.since(self.now.mono));
            self.publisher.handle_timeout(self.now);
            self.serve();
            wakes += 1;
            assert!(wakes < 100_000, "the machine spins");
        }
        self.now = end;
    }

    fn counts(&self) -> BTreeMap<(Stamp, String), usize> {
        let mut counts = BTreeMap::new();
        for datum in &self.taken {
            *counts.entry(key(datum)).or_default() += 1;
        }
        counts
    }

    fn minutes(data: &[Datum]) -> Vec<i64> {
        data.iter().map(|datum| (datum.stamp.as_millis() / 1000 - START) / 60).collect()
    }
}

#[test]
fn the_minutes_of_all_tunnels_go_in_one_call_a_minute() {
    let mut world = World::new(60);
    for minute in 0..5 {
        world.advance(60);
        world.ready(&rollup(1, minute));
        world.advance(1);
        world.ready(&rollup(2, minute));
        world.could_vote(minute, true);
        world.advance(0);
    }
    world.advance(60);
    assert_eq!(world.calls.len(), 5);
    assert!(world.calls.iter().all(|call| call.len() == 10), "two tunnels of four data, two heartbeats");
    assert!(world.spool.values().all(|sent| *sent));
}

#[test]
fn a_long_interval_gathers_what_is_complete() {
    let mut world = World::new(300);
    for minute in 0..11 {
        world.ready(&rollup(1, minute));
        world.advance(60);
    }
    assert_eq!(world.calls.len(), 3, "at the start, and every five minutes");
    world.advance(300);
    assert_eq!(world.taken.len(), 44);
}

#[test]
fn what_an_earlier_run_left_is_sent_newest_first_and_fresh_data_before_it() {
    let mut world = World::new(60);
    for minute in -1000..0 {
        world.spool.insert(rollup(1, minute), false);
    }
    world.ready(&rollup(1, 0));
    world.advance(30);
    assert_eq!(world.taken.len(), 4004);
    assert_eq!(World::minutes(&world.calls[0]), [0; 4]);
    let minutes = World::minutes(&world.taken);
    assert!(minutes.is_sorted_by(|earlier, later| earlier >= later), "newest minute first");
    assert!(world.spool.values().all(|sent| *sent));
}

#[test]
fn fresh_data_overtakes_a_backlog_whose_batches_are_being_split() {
    let mut world = World::new(60);
    for minute in -250..0 {
        world.spool.insert(rollup(1, minute), false);
    }
    for datum in datum::of_rollup(&rollup(1, -200)) {
        world.bad.insert(key(&datum));
    }
    // By hand up to the first refusal.
    world.publisher.handle_timeout(world.now.after(Duration::from_secs(10)));
    let mut refused = false;
    while let Some(action) = world.publisher.poll_action() {
        let reply = match action {
            Action::Put(data) if refused => {
                assert_eq!(World::minutes(&data), [0; 4]);
                return;
            }
            Action::Put(data) => {
                refused = true;
                world.publisher.handle(Event::Ready(rollup(1, 0)), world.now);
                Event::Put(world.put(&data))
            }
            Action::Read { until, limit } => Event::Read(world.read(until, limit)),
            Action::Mark(rollups) => Event::Marked(world.mark(&rollups)),
            Action::Problem(_) | Action::Dropped(_) | Action::Warn(_) => continue,
        };
        world.publisher.handle(reply, world.now);
    }
    panic!("the fresh minute was not sent");
}

#[test]
fn a_bad_datum_alone_is_dropped_with_one_warning() {
    let mut world = World::new(60);
    for minute in 0..100 {
        world.spool.insert(rollup(1, minute), false);
    }
    world.now = world.now.after(Duration::from_secs(6000));
    let bad = datum::of_rollup(&rollup(1, 37))[2].clone();
    world.bad.insert(key(&bad));
    world.restart();
    world.advance(10);
    assert_eq!(world.taken.len(), 399);
    assert_eq!((world.dropped, world.warnings.len()), (1, 1));
    assert!(world.warnings[0].contains("RoundTripTime"), "{}", world.warnings[0]);
    assert!(world.spool.values().all(|sent| *sent));
    assert_eq!(world.problem, None);
}

#[test]
fn a_service_that_refuses_everything_costs_no_data() {
    let mut world = World::new(60);
    world.fault = Fault::RefusesAll;
    for minute in 0..60 {
        world.ready(&rollup(1, minute));
        world.ready(&rollup(2, minute));
        world.advance(60);
    }
    assert_eq!(world.dropped, 0);
    assert!(world.problem.as_ref().is_some_and(|problem| problem.text.contains("no such namespace")));
    let calls = world.calls.len();
    assert!(calls < 60 * 40, "{calls} calls in an hour");
    world.fault = Fault::None;
    world.advance(600);
    assert_eq!(world.counts().len(), 480);
    assert!(world.counts().values().all(|count| *count == 1));
    assert_eq!((world.dropped, &world.problem), (0, &None));
}

#[test]
fn a_heartbeat_is_never_backfilled() {
    let mut world = World::new(60);
    world.fault = Fault::Unreachable;
    for minute in 0..10 {
        world.advance(60);
        world.could_vote(minute, true);
        world.ready(&rollup(1, minute));
    }
    world.fault = Fault::None;
    world.advance(120);
    let beats: Vec<_> = world.taken.iter().filter(|datum| datum.name == "Heartbeat").cloned().collect();
    let mut minutes = World::minutes(&beats);
    minutes.dedup();
    assert!(minutes.iter().all(|minute| *minute >= 7), "{minutes:?}");
    assert!(!minutes.is_empty());
    assert_eq!(world.taken.len() - beats.len(), 40, "the rollups are delivered all the same");
}

#[test]
fn without_a_sink_that_could_page_there_is_no_heartbeat() {
    let mut world = World::new(60);
    world.advance(60);
    world.could_vote(0, false);
    world.advance(60);
    assert!(world.calls.is_empty());
}

#[test]
fn a_heartbeat_goes_every_minute_whatever_the_interval() {
    let mut world = World::new(300);
    for minute in 0..5 {
        world.advance(60);
        world.could_vote(minute, true);
    }
    world.advance(60);
    assert_eq!(world.taken.len(), 10);
}

#[test]
fn a_minute_of_which_nothing_is_known_is_no_call_and_does_not_stay_in_the_spool() {
    let mut world = World::new(60);
    world.ready(&unknown(1, 0));
    world.advance(60);
    assert!(world.calls.is_empty());
    assert!(world.spool.values().all(|sent| *sent));
}

#[test]
fn minutes_older_than_two_weeks_are_given_up_and_counted() {
    let mut world = World::new(60);
    world.spool.insert(rollup(1, -14 * 24 * 60), false);
    world.spool.insert(rollup(1, -13 * 24 * 60), false);
    world.advance(60);
    assert_eq!((world.taken.len(), world.dropped, world.warnings.len()), (4, 1, 1));
    assert!(world.spool.values().all(|sent| *sent));
}

#[test]
fn a_minute_far_ahead_waits_in_the_spool_until_its_time() {
    let mut world = World::new(60);
    world.ready(&rollup(1, 180));
    world.advance(60);
    assert!(world.calls.is_empty());
    world.advance(90 * 60);
    world.ready(&rollup(1, 91));
    world.advance(60);
    assert_eq!((world.taken.len(), world.dropped), (8, 0));
}

#[test]
fn fresh_minutes_are_published_once_while_the_store_is_broken() {
    let mut world = World::new(60);
    world.spool_broken = true;
    for minute in 0..30 {
        world.ready(&rollup(1, minute));
        world.advance(60);
    }
    assert_eq!(world.taken.len(), 120);
    world.spool_broken = false;
    world.advance(120);
    assert!(world.spool.values().all(|sent| *sent));
    assert_eq!(world.taken.len(), 120);
}

#[test]
fn a_refused_permission_is_told_and_tried_again_every_minute() {
    let mut world = World::new(60);
    world.fault = Fault::Denied;
    world.ready(&rollup(1, 0));
    world.advance(600);
    assert!((9..=11).contains(&world.calls.len()), "{}", world.calls.len());
    assert!(world.problem.as_ref().is_some_and(|problem| problem.text.contains("PutMetricData")));
    world.fault = Fault::None;
    world.advance(61);
    assert_eq!((world.taken.len(), &world.problem), (4, &None));
}

#[test]
fn at_the_end_what_is_under_way_is_finished_and_nothing_else_begun() {
    let mut world = World::new(60);
    world.publisher.handle(Event::Ready(rollup(1, 0)), world.now);
    world.now = world.now.after(Duration::from_secs(10));
    world.publisher.handle_timeout(world.now);
    let Some(Action::Put(data)) = world.publisher.poll_action() else { panic!("nothing was sent") };
    world.publisher.handle(Event::Closing, world.now);
    world.publisher.handle(Event::Ready(rollup(1, 1)), world.now);
    assert!(!world.publisher.is_finished(), "a call is in flight");
    let reply = world.put(&data);
    world.publisher.handle(Event::Put(reply), world.now);
    assert!(!world.publisher.is_finished(), "its rollups are not marked");
    world.serve();
    assert!(world.publisher.is_finished());
    assert_eq!((world.taken.len(), world.publisher.poll_timeout()), (4, None));
}

#[derive(Debug, Clone)]
enum Step {
    Minute { tunnels: u8, unknown: bool },
    Fault(Fault),
    SpoolBroken(bool),
    Bad { tunnel: u8, minutes_ago: i64, which: usize },
    Wait(u64),
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let fault = prop_oneof![
        4 => Just(Fault::None),
        2 => Just(Fault::Unreachable),
        1 => Just(Fault::Throttled),
        1 => Just(Fault::LostReply),
        1 => Just(Fault::Denied),
        1 => Just(Fault::RefusesAll),
    ];
    prop_oneof![
        8 => (1..4_u8, prop::bool::weighted(0.1)).prop_map(|(tunnels, unknown)| Step::Minute { tunnels, unknown }),
        3 => fault.prop_map(Step::Fault),
        1 => any::<bool>().prop_map(Step::SpoolBroken),
        2 => (1..4_u8, 0..5_i64, 0..4_usize)
            .prop_map(|(tunnel, minutes_ago, which)| Step::Bad { tunnel, minutes_ago, which }),
        2 => (1..600_u64).prop_map(Step::Wait),
        1 => Just(Step::Crash),
    ]
}

proptest! {
    #[test]
    fn every_known_minute_is_delivered_once_and_twice_only_where_a_reply_was_lost(
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut world = World::new(60);
        let mut bad_before_it_was_sent = BTreeSet::new();
        let mut minute = 0;
        for step in steps {
            match step {
                Step::Minute { tunnels, unknown: is_unknown } => {
                    world.advance(60);
                    for tunnel in 1..=tunnels {
                        let rollup = if is_unknown { unknown(tunnel, minute) } else { rollup(tunnel, minute) };
                        world.ready(&rollup);
                    }
                    world.could_vote(minute, true);
                    minute += 1;
                }
                Step::Fault(fault) => world.fault = fault,
                Step::SpoolBroken(broken) => world.spool_broken = broken,
                Step::Bad { tunnel, minutes_ago, which } => {
                    let bad = key(&datum::of_rollup(&rollup(tunnel, minute - minutes_ago))[which]);
                    if !world.counts().contains_key(&bad) {
                        bad_before_it_was_sent.insert(bad.clone());
                        world.bad.insert(bad);
                    }
                }
                Step::Wait(secs) => {
                    world.advance(secs);
                    minute += i64::try_from(secs.div_ceil(60)).unwrap();
                }
                // What is sent and not yet marked is told twice then; the property speaks of crashes at rest.
                Step::Crash if world.publisher.undecided.is_empty() && world.publisher.delivered.is_empty() => {
                    world.restart();
                }
                Step::Crash => {}
            }
        }
        world.fault = Fault::None;
        world.spool_broken = false;
        // A fresh minute shows that the service takes data, which settles what is suspect.
        world.advance(600);
        minute = minute.max((world.now.wall.as_millis() / 1000 - START) / 60);
        world.ready(&rollup(9, minute));
        world.advance(1200);

        let counts = world.counts();
        for (rollup, sent) in &world.spool {
            prop_assert!(*sent, "{rollup:?} is left in the spool");
            for datum in datum::of_rollup(rollup) {
                let key = key(&datum);
                let count = counts.get(&key).copied().unwrap_or(0);
                if world.bad.contains(&key) {
                    prop_assert_eq!(count, 0);
                } else if world.doubled.contains(&key) {
                    prop_assert!(count >= 1);
                } else {
                    prop_assert_eq!(count, 1, "{:?}", key);
                }
            }
        }
        let told: BTreeSet<_> = world.spool.keys().flat_map(|rollup| datum::of_rollup(rollup)).map(|datum| key(&datum)).collect();
        let dropped = bad_before_it_was_sent.intersection(&told).count();
        prop_assert_eq!(usize::try_from(world.dropped).unwrap(), dropped);
        for datum in &world.taken {
            if let DatumValue::Distribution(bins) = &datum.value {
                prop_assert!(!bins.is_empty());
            }
        }
    }

    #[test]
    fn splitting_isolates_exactly_the_bad_data(bad in prop::collection::btree_set((0..200_i64, 0..4_usize), 0..12)) {
        let mut world = World::new(60);
        world.now = world.now.after(Duration::from_secs(200 * 60));
        for minute in 0..200 {
            world.spool.insert(rollup(1, minute), false);
        }
        for (minute, which) in &bad {
            world.bad.insert(key(&datum::of_rollup(&rollup(1, *minute))[*which]));
        }
        world.restart();
        world.advance(300);
        prop_assert_eq!(world.taken.len(), 800 - bad.len());
        prop_assert!(world.counts().values().all(|count| *count == 1));
        prop_assert_eq!(world.warnings.len(), bad.len());
        prop_assert_eq!(usize::try_from(world.dropped).unwrap(), bad.len());
    }
}

//! The machine against a world of faults.

mod world;

use std::collections::BTreeSet;

use proptest::prelude::*;

use self::world::{Fault, START, World, key, rollup, unknown};
use super::*;
use crate::publish::sink::DatumValue;

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
fn a_long_interval_gathers_complete_minutes() {
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
fn an_earlier_runs_backlog_is_sent_newest_first_and_fresh_data_before_it() {
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
    world.now = world.now.after(Duration::from_secs(10));
    world.publisher.handle_timeout(world.clock());
    let mut refused = false;
    while let Some(action) = world.publisher.poll_action() {
        let reply = match action {
            Action::Put(data) if refused => {
                assert_eq!(World::minutes(&data), [0; 4]);
                return;
            }
            Action::Put(data) => {
                refused = true;
                world.publisher.handle(Event::Ready(rollup(1, 0)), world.clock());
                Event::Put(world.put(&data))
            }
            Action::Read { until, limit } => Event::Read(world.read(until, limit)),
            Action::Mark(rollups) => Event::Marked(world.mark(&rollups)),
            Action::Problem(_) | Action::Dropped(_) | Action::Notice(_) => continue,
        };
        world.publisher.handle(reply, world.clock());
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
fn a_heartbeat_is_sent_every_minute_whatever_the_interval() {
    let mut world = World::new(300);
    for minute in 0..5 {
        world.advance(60);
        world.could_vote(minute, true);
    }
    world.advance(60);
    assert_eq!(world.taken.len(), 10);
}

#[test]
fn an_unknown_minute_causes_no_call_and_leaves_the_spool() {
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
fn before_aws_answers_nothing_is_given_up_whatever_the_hosts_clock_shows() {
    let mut world = World::new(60);
    world.whose = Whose::Host;
    for minute in -1000..0 {
        world.spool.insert(rollup(1, minute), false);
    }
    let right = world.now;
    world.now = right.after(Duration::from_secs(15 * 24 * 3600));
    world.restart();
    world.fault = Fault::Unreachable;
    let booted = 15 * 24 * 60;
    for minute in 0..3 {
        world.advance(60);
        world.ready(&rollup(1, booted + minute));
    }
    assert_eq!((world.dropped, world.warnings.len()), (0, 0));
    assert!(world.spool.values().all(|sent| !*sent));

    // AWS answers: the spool was right, and the minutes since the boot are not.
    world.fault = Fault::None;
    world.whose = Whose::Aws;
    world.now.wall = right.wall + Duration::from_secs(300);
    world.ready(&rollup(1, 4));
    world.advance(300);
    assert_eq!((world.taken.len(), world.dropped), (4004, 3));
    assert!(world.spool.values().all(|sent| *sent));
}

#[test]
fn a_minute_of_a_clock_that_was_ahead_is_given_up_and_never_sent() {
    for ahead in [3, 60, 40 * 24 * 60] {
        let mut world = World::new(60);
        for minute in ahead..ahead + 600 {
            world.spool.insert(rollup(1, minute), false);
        }
        world.ready(&rollup(1, 0));
        world.advance(60);
        assert_eq!(
            (world.taken.len(), world.dropped, world.warnings.len()),
            (4, 600, 1),
            "{ahead} min ahead"
        );
        assert!(world.warnings[0].contains("ahead of AWS's"), "{}", world.warnings[0]);
        assert!(world.spool.values().all(|sent| *sent));
    }
}

#[test]
fn a_minute_that_lies_ahead_of_this_host_s_clock_alone_waits_in_the_spool() {
    let mut world = World::new(60);
    world.whose = Whose::Host;
    world.ready(&rollup(1, 180));
    world.advance(60);
    assert!(world.calls.is_empty());
    world.whose = Whose::Aws;
    world.now = world.now.after(Duration::from_secs(180 * 60));
    world.ready(&rollup(1, 181));
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
fn a_refused_permission_is_reported_and_retried_every_minute() {
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
fn at_the_end_calls_in_flight_are_finished_and_none_started() {
    let mut world = World::new(60);
    world.publisher.handle(Event::Ready(rollup(1, 0)), world.clock());
    world.now = world.now.after(Duration::from_secs(10));
    world.publisher.handle_timeout(world.clock());
    let Some(Action::Put(data)) = world.publisher.poll_action() else { panic!("nothing was sent") };
    world.publisher.handle(Event::Closing, world.clock());
    world.publisher.handle(Event::Ready(rollup(1, 1)), world.clock());
    assert!(!world.publisher.is_finished(), "a call is in flight");
    let reply = world.put(&data);
    world.publisher.handle(Event::Put(reply), world.clock());
    assert!(!world.publisher.is_finished(), "its rollups are not marked");
    world.serve();
    assert!(world.publisher.is_finished());
    assert_eq!((world.taken.len(), world.publisher.poll_timeout()), (4, None));
}

#[test]
fn two_bad_data_left_over_together_are_both_given_up_once_fresh_data_are_accepted() {
    let mut world = World::new(60);
    let minute = rollup(1, 0);
    for which in [2, 3] {
        world.bad.insert(key(&datum::of_rollup(&minute)[which]));
    }
    world.ready(&minute);
    for fresh in 2..5 {
        world.advance(60);
        world.ready(&rollup(1, fresh));
    }
    world.advance(120);
    assert_eq!(world.dropped, 2);
    assert!(world.spool.values().all(|sent| *sent), "a minute is left in the spool");
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
                    minute = (world.now.wall.as_millis() / 1000 - START) / 60;
                }
                // What was sent and not yet marked is then sent twice; the property is about crashes at rest.
                Step::Crash if world.publisher.undecided.is_empty() && world.publisher.delivered.is_empty() => {
                    world.restart();
                }
                Step::Crash => {}
            }
        }
        world.fault = Fault::None;
        world.spool_broken = false;
        // Fresh minutes, as in operation, show that the service accepts data, which settles what is suspect.
        for _ in 0..3 {
            world.advance(600);
            minute = (minute + 1).max((world.now.wall.as_millis() / 1000 - START) / 60);
            world.ready(&rollup(9, minute));
            world.advance(1200);
        }

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
        let data = world.spool.keys().flat_map(|rollup| datum::of_rollup(rollup));
        let sent: BTreeSet<_> = data.map(|datum| key(&datum)).collect();
        let dropped = bad_before_it_was_sent.intersection(&sent).count();
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

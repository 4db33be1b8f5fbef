//! A wall-clock jump changes no decision, and it affects minute stamps only briefly.

use bothends::domain::event::Remembered;
use bothends::domain::fact::Fact;
use bothends::domain::time::{Moment, Stamp};
use proptest::prelude::*;

use crate::world::*;

/// Up to an hour off either way, or a dead RTC battery's year 2000.
fn wrong() -> impl Strategy<Value = i64> {
    let year_2000 = 946_684_800 - WALL.as_millis() / 1000;
    prop_oneof![Just(0), Just(3600), Just(-3600), Just(year_2000), -100_000_i64..100_000]
}

/// Verdicts, assessments and incidents, each with its time.
fn decided(world: &World) -> Vec<(Moment, String)> {
    let said = |fact: &Fact| match fact {
        Fact::ViewChanged { tunnel, end, view, .. } => Some(format!("{tunnel} {end:?} {}", view.verdict)),
        Fact::AssessmentChanged { tunnel, to, .. } => Some(format!("{tunnel} {to}")),
        Fact::IncidentChanged { incident, change, .. } => Some(format!("{:?} {change:?}", incident.id.kind)),
        Fact::IncidentPending { kind, .. } => Some(format!("{kind:?} pending")),
        Fact::IncidentAverted { kind, .. } => Some(format!("{kind:?} averted")),
        _ => None,
    };
    world.facts.iter().filter_map(|(at, fact)| said(fact).map(|said| (*at, said))).collect()
}

/// Breaks and repairs the lines, with these wall-clock jumps in between.
fn play(wrong_at_start: i64, turns: &[(bool, u64, i64)]) -> World {
    let mut world = World::new(two_active(), Remembered::default());
    world.wrong_by = wrong_at_start;
    world.run(secs(180));
    for (up, lasts, wrong_by) in turns {
        for n in [1, 2] {
            world.line(n, if *up { FAST } else { Line::Swallows });
            world.aws(n, if *up { Aws::Up } else { Aws::Down });
        }
        world.run(secs(lasts / 2));
        world.wrong_by = *wrong_by;
        world.run(secs(lasts - lasts / 2));
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn wall_clock_jumps_cause_no_verdict_no_incident_and_no_false_minute(
        at_start in wrong(),
        turns in prop::collection::vec((any::<bool>(), 10_u64..900, wrong()), 1..6),
    ) {
        let jumpy = play(at_start, &turns);
        let steady: Vec<_> = turns.iter().map(|(up, lasts, _)| (*up, *lasts, 0)).collect();
        prop_assert_eq!(decided(&jumpy), decided(&play(0, &steady)));
        let mut opened: Vec<Stamp> = jumpy.incidents().iter().map(|incident| incident.id.opened).collect();
        opened.dedup();
        prop_assert_eq!(opened.len(), jumpy.incidents().len(), "two incidents with one name");
        for (at, fact) in &jumpy.facts {
            if let Fact::RollupReady(rollup) = fact {
                let truly = WALL.as_millis() + at.as_nanos() / 1_000_000;
                let off = (truly - rollup.minute.as_millis()).abs();
                prop_assert!(off <= 180_000, "a minute that is {off} ms off at {at}");
            }
        }
    }
}

/// When the core said that it had watched, in seconds.
fn watched(world: &World) -> Vec<u64> {
    let watched = |(at, fact): &(Moment, Fact)| match fact {
        Fact::Watched { at: until } if until.mono == *at => Some(at.since(Moment::ORIGIN).as_secs()),
        Fact::Watched { at: until } => panic!("{until:?} at {at:?}"),
        _ => None,
    };
    world.facts.iter().filter_map(watched).collect()
}

#[test]
fn the_core_says_that_it_watches_at_the_start_each_minute_and_at_the_end() {
    let mut world = World::new(two_active(), Remembered::default());
    world.run(secs(200));
    let said = watched(&world);
    assert_eq!((said.first(), said.len()), (Some(&0), 5), "{said:?}");
    assert!(said[1..].windows(2).all(|pair| pair[1] - pair[0] == 60), "{said:?}");
    world.monitor.close();
    let last = std::iter::from_fn(|| world.monitor.poll_fact()).last();
    assert!(
        matches!(last, Some(Fact::Watched { at }) if at.mono <= world.now.mono
        && world.now.mono.since(at.mono) <= secs(2)),
        "{last:?}"
    );
}

#[test]
fn a_sleep_is_a_fact_before_the_core_says_that_it_watches_again() {
    let mut world = World::new(two_active(), Remembered::default());
    world.run(secs(100));
    world.sleep(secs(1000));
    world.run(secs(100));
    let order: Vec<&str> = world
        .facts
        .iter()
        .filter_map(|(at, fact)| match fact {
            Fact::Resumed { .. } => Some("resumed"),
            Fact::Watched { .. } if at.since(Moment::ORIGIN) > secs(100) => Some("watched"),
            _ => None,
        })
        .collect();
    assert_eq!(order.first(), Some(&"resumed"), "{order:?}");
    assert_eq!(order.iter().filter(|word| **word == "resumed").count(), 1);
}

//! Records that are open at a sink without an incident here.

use std::sync::Arc;

use bothends::domain::board::{Incident, IncidentState, TimelineChange};
use bothends::domain::event::{Event, Remembered};
use bothends::domain::fact::{Fact, IncidentChange};
use bothends::domain::names::{Kind, SinkId};
use bothends::domain::time::Stamp;

use crate::world::*;

/// When the record was created: before this world's start.
const CREATED: Stamp = Stamp::from_secs(1_799_999_000);

fn found(world: &mut World) {
    world.feed(Event::RecordFound {
        sink: sink(),
        scope: vpn().into(),
        kind: Kind::Outage,
        created: CREATED,
    });
}

fn cut(world: &mut World) {
    for n in [1, 2] {
        world.line(n, Line::Swallows);
        world.aws(n, Aws::Down);
    }
}

fn mend(world: &mut World) {
    for n in [1, 2] {
        world.line(n, FAST);
        world.aws(n, Aws::Up);
    }
}

fn only(world: &World) -> Arc<Incident> {
    let [incident] = world.incidents().try_into().unwrap();
    incident
}

fn changes(world: &World) -> Vec<IncidentChange> {
    let changes = world.facts.iter().filter_map(|(_, fact)| match fact {
        Fact::IncidentChanged { change, .. } => Some(*change),
        _ => None,
    });
    changes.filter(|change| *change != IncidentChange::Updated).collect()
}

#[test]
fn a_record_found_while_all_is_healthy_is_adopted_and_resolved_in_time() {
    let mut world = World::healthy(two_active());
    found(&mut world);
    let taken = only(&world);
    assert_eq!((taken.id.opened, taken.began, &taken.found_at), (CREATED, CREATED, &Some(sink())));
    world.run(secs(290));
    assert_eq!(only(&world).state, IncidentState::Open);
    world.run(secs(20));
    assert!(matches!(only(&world).state, IncidentState::Resolved { .. }));
    assert_eq!(
        changes(&world),
        [IncidentChange::Adopted, IncidentChange::Clearing, IncidentChange::Resolved]
    );
}

#[test]
fn an_adopted_record_stays_open_until_it_is_known_to_be_over() {
    let mut world = World::healthy(two_active());
    for n in [1, 2] {
        world.aws(n, Aws::Nothing);
    }
    world.run(secs(900));
    found(&mut world);
    world.run(secs(24 * 3600));
    assert_eq!(only(&world).state, IncidentState::Open);
}

#[test]
fn a_pending_incident_continues_as_the_adopted_one_and_is_confirmed_when_it_would_have_opened() {
    let mut world = World::healthy(two_active());
    cut(&mut world);
    world.run(secs(20));
    found(&mut world);
    assert_eq!(only(&world).found_at, Some(sink()));
    world.run(secs(40));
    let incident = only(&world);
    assert_eq!((incident.id.opened, &incident.found_at), (CREATED, &None));
    assert_eq!(incident.worsened, 0, "adoption is not worsening");
    assert_eq!(changes(&world), [IncidentChange::Adopted, IncidentChange::Confirmed]);
    assert_eq!(world.opened(), []);
}

#[test]
fn an_adopted_incident_worsens_when_a_healthy_tunnel_goes_down() {
    let mut world = World::healthy(two_active());
    found(&mut world);
    cut(&mut world);
    world.run(secs(60));
    let incident = only(&world);
    assert_eq!((incident.worsened, &incident.found_at), (2, &None));
}

#[test]
fn a_found_record_of_an_open_incident_is_not_adopted() {
    let mut world = World::healthy(two_active());
    cut(&mut world);
    world.run(secs(60));
    let before = only(&world);
    found(&mut world);
    assert_eq!(only(&world), before);
}

#[test]
fn a_found_record_of_a_resolved_but_unsettled_incident_is_not_adopted() {
    let mut world = World::healthy(two_active());
    cut(&mut world);
    world.run(secs(60));
    mend(&mut world);
    world.run(secs(330));
    let over = only(&world);
    found(&mut world);
    assert_eq!(only(&world), over);
    world.settle();
    found(&mut world);
    assert_eq!(only(&world).id.opened, CREATED);
}

#[test]
fn a_record_found_by_a_sink_outside_the_plan_is_ignored() {
    let mut world = World::healthy(two_active());
    let elsewhere = SinkId::new("elsewhere");
    world.feed(Event::RecordFound {
        sink: elsewhere,
        scope: vpn().into(),
        kind: Kind::Outage,
        created: CREATED,
    });
    assert_eq!(world.incidents(), []);
}

#[test]
fn an_adopted_incident_is_not_confirmed_before_it_would_have_opened_after_a_start() {
    let before = {
        let mut world = World::healthy(two_active());
        found(&mut world);
        world.incidents()
    };
    let seen_up = Vec::new();
    let mut world =
        World::new(two_active(), Remembered { incidents: before, seen_up, ..Remembered::default() });
    world.run(secs(10));
    cut(&mut world);
    world.run(secs(30));
    assert_eq!(only(&world).found_at, Some(sink()), "the same incident after the restart");
    world.run(secs(30));
    assert_eq!(only(&world).found_at, None);
    let whats: Vec<_> = only(&world).timeline.iter().map(|entry| entry.what.clone()).collect();
    assert_eq!(whats[0], TimelineChange::Adopted { sink: sink() });
    assert!(whats.contains(&TimelineChange::Confirmed));
}

#[test]
fn an_adopted_record_counts_as_an_opening_at_its_creation_time() {
    let mut world = World::healthy(two_active());
    found(&mut world);
    world.run(secs(330));
    world.settle();
    cut(&mut world);
    world.run(secs(60));
    mend(&mut world);
    world.run(secs(330));
    assert_eq!(only(&world).state, IncidentState::Open, "the second within a day clears for twice as long");
    world.run(secs(300));
    assert!(matches!(only(&world).state, IncidentState::Resolved { .. }));
}

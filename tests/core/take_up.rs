//! Records that a sink has open and that nothing here accounts for.

use std::sync::Arc;

use bothends::domain::board::{Incident, IncidentState, TimelineChange};
use bothends::domain::event::{Event, Remembered};
use bothends::domain::fact::{Fact, IncidentChange};
use bothends::domain::names::{Kind, SinkId};
use bothends::domain::time::Stamp;

use crate::world::*;

/// When the record was created: before the world began.
const CREATED: Stamp = Stamp::from_secs(1_799_999_000);

fn found(world: &mut World) {
    world.tell(Event::RecordFound { sink: sink(), vpn: vpn(), kind: Kind::Outage, created: CREATED });
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
fn what_is_found_while_all_is_well_is_taken_up_and_resolved_in_its_time() {
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
        [IncidentChange::TakenUp, IncidentChange::Clearing, IncidentChange::Resolved]
    );
}

#[test]
fn what_is_found_stays_open_as_long_as_it_is_not_known_to_be_over() {
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
fn what_is_about_to_open_goes_on_as_what_was_found_and_is_witnessed_when_it_would_have_opened() {
    let mut world = World::healthy(two_active());
    cut(&mut world);
    world.run(secs(20));
    found(&mut world);
    assert_eq!(only(&world).found_at, Some(sink()));
    world.run(secs(40));
    let incident = only(&world);
    assert_eq!((incident.id.opened, &incident.found_at), (CREATED, &None));
    assert_eq!(incident.worsened, 0, "it arrives here, and becomes no worse");
    assert_eq!(changes(&world), [IncidentChange::TakenUp, IncidentChange::Witnessed]);
    assert_eq!(world.opened(), []);
}

#[test]
fn what_was_healthy_here_when_it_was_found_and_goes_down_is_worse() {
    let mut world = World::healthy(two_active());
    found(&mut world);
    cut(&mut world);
    world.run(secs(60));
    let incident = only(&world);
    assert_eq!((incident.worsened, &incident.found_at), (2, &None));
}

#[test]
fn an_open_incident_accounts_for_what_is_found() {
    let mut world = World::healthy(two_active());
    cut(&mut world);
    world.run(secs(60));
    let before = only(&world);
    found(&mut world);
    assert_eq!(only(&world), before);
}

#[test]
fn an_incident_that_is_over_but_not_settled_accounts_for_what_is_found() {
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
fn a_sink_that_is_not_in_the_plan_finds_nothing() {
    let mut world = World::healthy(two_active());
    let elsewhere = SinkId::new("elsewhere");
    world.tell(Event::RecordFound { sink: elsewhere, vpn: vpn(), kind: Kind::Outage, created: CREATED });
    assert_eq!(world.incidents(), []);
}

#[test]
fn nothing_is_witnessed_before_it_would_have_opened_after_a_start() {
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
    assert_eq!(whats[0], TimelineChange::TakenUp { sink: sink() });
    assert!(whats.contains(&TimelineChange::Witnessed));
}

#[test]
fn what_was_taken_up_counts_as_an_opening_of_its_time() {
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

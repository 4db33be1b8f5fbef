//! What the Board holds and for how long, and what AWS and the sinks are asked meanwhile.

use std::sync::Arc;

use bothends::domain::board::{Incident, IncidentState};
use bothends::domain::event::{Event, Remembered};
use bothends::domain::fact::{Fact, IncidentChange};
use bothends::domain::names::{Destination, Kind, SinkId};
use bothends::domain::plan::{Plan, SinkPlan};

use crate::world::*;

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

/// An open outage.
fn outage() -> (World, Arc<Incident>) {
    let mut world = World::healthy(two_active());
    cut(&mut world);
    world.run(secs(60));
    let open = world.incidents().remove(0);
    (world, open)
}

fn resolved() -> World {
    let (mut world, _) = outage();
    mend(&mut world);
    world.run(secs(330));
    assert!(matches!(world.incidents()[0].state, IncidentState::Resolved { .. }));
    world
}

#[test]
fn the_board_is_replaced_exactly_when_its_content_changes() {
    let (mut world, open) = outage();
    let before = Arc::clone(world.monitor.board());
    world.run(secs(5));
    assert!(Arc::ptr_eq(&before, world.monitor.board()));
    world.aws(2, Aws::Up);
    world.run(secs(120));
    assert!(world.incidents()[0].revision > open.revision, "its timeline grew");
}

#[test]
fn sinks_look_up_records_as_soon_as_a_tunnel_is_locally_down() {
    let mut world = World::healthy(two_active());
    assert!(world.monitor.board().prepare.is_empty());
    world.line(1, Line::Swallows);
    world.run(secs(4));
    assert!(world.monitor.board().prepare.contains(&vpn().into()));
    world.line(1, FAST);
    world.run(secs(4));
    assert!(world.monitor.board().prepare.is_empty());
}

#[test]
fn settling_an_older_revision_does_not_settle_the_incident() {
    let mut world = resolved();
    let incident = world.incidents().remove(0);
    let settled = |revision| Event::Settled { sink: destination(), incident: incident.id.clone(), revision };
    world.monitor.handle(settled(incident.revision - 1), world.now);
    assert_eq!(world.incidents().len(), 1);
    world.monitor.handle(settled(incident.revision), world.now);
    assert_eq!(world.incidents(), []);
}

#[test]
fn a_removed_sink_is_not_waited_for() {
    let mut world = resolved();
    world.reconfigure(Plan { sinks: Vec::new(), ..two_active() });
    assert_eq!(world.incidents(), []);
}

#[test]
fn a_renamed_sink_is_still_waited_for_and_its_old_name_is_ignored() {
    let mut world = resolved();
    let plan = two_active();
    let moved_up = SinkPlan { id: SinkId::new("moved-up"), ..plan.sinks[0].clone() };
    let stranger = SinkPlan { destination: Destination::new("4567"), ..plan.sinks[0].clone() };
    world.reconfigure(Plan { sinks: vec![stranger, moved_up], ..plan });
    let incident = world.incidents().remove(0);
    let settled = |sink: &str| Event::Settled {
        sink: Destination::new(sink),
        incident: incident.id.clone(),
        revision: incident.revision,
    };
    world.monitor.handle(settled("4567"), world.now);
    assert_eq!(world.incidents().len(), 1, "another sink that now has the old name");
    world.monitor.handle(settled(destination().as_str()), world.now);
    assert_eq!(world.incidents(), []);
}

#[test]
fn an_incident_that_no_sink_takes_is_settled_as_soon_as_it_is_resolved() {
    let mut world = World::healthy(Plan { sinks: Vec::new(), ..two_active() });
    cut(&mut world);
    world.run(secs(60));
    assert_eq!(world.kinds(), [Kind::Outage], "it is still on the Board");
    mend(&mut world);
    world.run(secs(330));
    assert_eq!(world.incidents(), []);
    assert!(world.facts.iter().any(|(_, fact)| matches!(fact, Fact::IncidentSettled { .. })));
}

#[test]
fn a_resolved_but_unsettled_incident_is_on_the_board_after_a_restart() {
    let before = resolved();
    let remembered = Remembered { incidents: before.incidents(), ..Remembered::default() };
    let mut after = World::new(two_active(), remembered);
    assert_eq!(after.incidents(), before.incidents());
    after.settle();
    assert_eq!(after.incidents(), []);
}

#[test]
fn an_open_incident_is_no_longer_watched_after_a_restart_without_its_connection() {
    let (_, open) = outage();
    let remembered = Remembered { incidents: vec![open], ..Remembered::default() };
    let mut after = World::new(Plan { vpns: Vec::new(), ..two_active() }, remembered);
    after.run(secs(1));
    assert!(matches!(after.incidents()[0].state, IncidentState::Unwatched { .. }));
    assert!(
        after
            .facts
            .iter()
            .any(|(_, fact)| matches!(fact, Fact::IncidentChanged { change: IncidentChange::Unwatched, .. }))
    );
}

#[test]
fn incidents_of_an_earlier_run_count_towards_flapping() {
    let opened = WALL - secs(3600);
    let remembered =
        Remembered { openings: vec![(vpn().into(), Kind::Outage, opened)], ..Remembered::default() };
    let mut world = World::new(two_active(), remembered);
    world.run(secs(180));
    cut(&mut world);
    world.run(secs(60));
    mend(&mut world);
    world.run(secs(590));
    assert_eq!(world.incidents()[0].state, IncidentState::Open, "it is the second within a day");
    world.run(secs(60));
    assert!(matches!(world.incidents()[0].state, IncidentState::Resolved { .. }));
}

#[test]
fn a_local_change_asks_aws_at_once() {
    let mut world = World::healthy(two_active());
    world.run(secs(900));
    world.line(1, Line::Swallows);
    world.facts.clear();
    world.questions.clear();
    world.run(secs(10));
    let down = world.facts.iter().find(|(_, fact)| matches!(fact, Fact::ViewChanged { .. })).unwrap().0;
    assert_eq!(world.questions.first(), Some(&down));
}

#[test]
fn aws_is_asked_often_for_ten_minutes_after_a_change() {
    let mut world = World::healthy(two_active());
    world.run(secs(900));
    world.line(1, Line::Swallows);
    world.run(secs(590));
    world.questions.clear();
    world.run(secs(60));
    assert!(world.questions.len() <= 2, "{:?}", world.questions);
    world.line(1, FAST);
    world.run(secs(530));
    world.questions.clear();
    world.run(secs(60));
    assert!(world.questions.len() >= 4, "{:?}", world.questions);
}

#[test]
fn aws_is_asked_often_while_an_incident_is_opening() {
    let mut world = World::healthy(two_active());
    for n in [1, 2] {
        world.line(n, Line::Swallows);
    }
    world.run(secs(700));
    assert_eq!(world.opened(), []);
    world.questions.clear();
    world.run(secs(60));
    assert!(world.questions.len() >= 4, "one-sided opens after fifteen minutes: {:?}", world.questions);
}

/// How many minutes out of ten could have voted.
fn voted_in_ten_minutes(mut world: World) -> usize {
    world.run(secs(60));
    world.facts.clear();
    world.run(secs(600));
    world.facts.iter().filter(|(_, fact)| matches!(fact, Fact::CouldVote { .. })).count()
}

#[test]
fn a_minute_could_have_voted_if_any_active_tunnel_could() {
    for (lines, votes) in [
        ([FAST, FAST], 10),
        ([FAST, Line::Swallows], 10),
        ([FAST, Line::Faulty], 10),
        ([Line::Faulty, Line::Faulty], 0),
    ] {
        let mut world = World::healthy(two_active());
        world.line(1, lines[0]);
        world.line(2, lines[1]);
        assert_eq!(voted_in_ten_minutes(world), votes, "{lines:?}");
    }
}

#[test]
fn an_active_tunnel_that_never_answered_costs_a_working_one_no_minute() {
    for (lines, votes) in [([FAST, Line::Swallows], 10), ([Line::Swallows, Line::Swallows], 0)] {
        let mut world = World::new(two_active(), Remembered::default());
        world.line(1, lines[0]);
        world.line(2, lines[1]);
        assert_eq!(voted_in_ten_minutes(world), votes, "{lines:?}");
    }
}

#[test]
fn a_standby_tunnel_votes_for_the_minute_only_if_no_tunnel_is_active() {
    use bothends::domain::names::Role::{Active, Standby};
    for (roles, votes) in [([Active, Standby], 0), ([Standby, Standby], 10)] {
        let mut world = World::healthy(plan(&roles));
        world.line(1, Line::Faulty);
        assert_eq!(voted_in_ten_minutes(world), votes, "{roles:?}");
    }
}

#[test]
fn a_minute_skipped_by_a_clock_jump_could_not_have_voted() {
    let mut world = World::healthy(two_active());
    world.run(secs(30));
    world.facts.clear();
    world.now.wall = world.now.wall + secs(3600);
    world.run(secs(29));
    world.now.wall = world.now.wall - secs(1800);
    world.run(secs(29));
    assert!(!world.facts.iter().any(|(_, fact)| matches!(fact, Fact::CouldVote { .. })));
}

//! Records that no incident explains: read first, adopted, and resolved like our own.

use super::super::world::*;
use crate::domain::board::TimelineChange;
use crate::domain::names::{Kind, SinkId};
use crate::domain::story::{Scene, Story};
use crate::health::Severity;
use crate::incident::action::{ActionKind, NoticeReason, UnclaimedRecord};
use crate::incident::outbox::Machine as _;
use crate::incident::sink::{RecordId, RecordOrigin, RecordStatus, SinkError};

fn world() -> World {
    worlds(&["milan-1"])
}

fn worlds(sites: &[&'static str]) -> World {
    let mut world = World::new(Switches::default(), sites, 7);
    world.takes_up = true;
    world
}

/// A record that somebody else has started.
fn left_open(world: &mut World, origin: RecordOrigin) -> RecordId {
    let scope = settings("").scope(&vpn().into(), Kind::Outage).unwrap();
    world.vendor.create(scope, origin, world.now.wall)
}

/// An incident that another sink has found.
fn found_elsewhere(world: &World) -> Story {
    let tunnels = vec![snapshot(11, world.now), snapshot(12, world.now)];
    let scene =
        Scene { site: "milan-1".into(), name: "Milan".into(), tunnels, children: Vec::new(), related: None };
    Story::adopt(vpn().into(), Kind::Outage, scene, SinkId::new("elsewhere"), world.now.wall, world.now.wall)
}

fn count(world: &World, kind: ActionKind) -> usize {
    world.log.iter().filter(|(_, _, work)| work.kind() == kind).count()
}

#[test]
fn an_open_record_that_no_incident_explains_is_reported_to_the_core_at_the_start_and_within_minutes() {
    for at_start in [true, false] {
        let mut world = World::new(Switches::default(), &["milan-1"], 7);
        if !at_start {
            world.show(0);
            world.pass(secs(40));
        }
        let created = world.now.wall;
        left_open(&mut world, RecordOrigin::Daemon);
        world.now = world.now.after(secs(31));
        world.show(0);
        world.pass(secs(if at_start { 5 } else { 300 }));
        let found = UnclaimedRecord { scope: vpn().into(), kind: Kind::Outage, created };
        assert_eq!(world.daemons[0].found, [found], "at the start: {at_start}");
    }
}

#[test]
fn one_list_in_some_minutes_serves_for_every_connection_and_kind() {
    let mut world = world();
    world.show(0);
    world.pass(secs(3600));
    let surveys = count(&world, ActionKind::Survey);
    assert!((12..=16).contains(&surveys), "{surveys} in an hour");
    assert_eq!(count(&world, ActionKind::Find), 0);
}

#[test]
fn a_record_that_anybody_closed_a_moment_ago_is_not_found_whatever_the_list_shows() {
    for (by, crash) in [("a person", false), ("a person", true), ("milan-1", false), ("milan-1", true)] {
        let mut world = world();
        world.vendor.switches.lag = secs(60);
        world.open(0, Kind::Outage);
        world.pass(secs(200));
        if by == "a person" {
            world.vendor.close(&RecordId("record-001".into()), world.now.wall, by);
        }
        world.add(0, over());
        world.pass(secs(5));
        assert_eq!(world.daemons[0].stories.len(), 0, "it is settled");
        if crash {
            world.crash(0);
        }
        world.pass(secs(1200));
        assert_eq!(world.daemons[0].found, [], "closed by {by}, crash: {crash}");
        assert_eq!(world.vendor.records[0].closed.len(), 1);
    }
}

#[test]
fn what_is_on_the_board_accounts_for_its_record_open_or_over() {
    let mut world = world();
    world.open(0, Kind::Outage);
    world.pass(secs(30));
    world.daemons[0].away_until = world.now.wall + secs(20);
    world.add(0, over());
    world.crash(0);
    world.pass(secs(1200));
    assert_eq!(world.daemons[0].found, []);
    assert!(world.vendor.open().is_empty());
}

#[test]
fn an_incident_whose_store_was_lost_is_adopted_and_resolved_without_a_second_record() {
    let mut world = world();
    world.open(0, Kind::Outage);
    world.pass(secs(120));
    world.forget(0);
    world.pass(secs(60));
    world.add(0, over());
    world.pass(secs(60));
    assert_eq!((world.vendor.records.len(), world.vendor.open().len()), (1, 0));
    let notes = &world.vendor.records[0].notes;
    assert!(notes[0].2.text.contains("this site follows this record from here on"), "{notes:?}");
    assert_eq!(world.daemons[0].settled_as_found.len(), 1);
}

#[test]
fn a_record_handed_over_and_adopted_again_is_closed_in_time_although_the_ledger_calls_it_settled() {
    for crash in [false, true] {
        let mut world = world();
        left_open(&mut world, RecordOrigin::Alarm);
        world.show(0);
        world.pass(secs(400));
        assert_eq!(world.daemons[0].stories.len(), 1, "adopted");
        // The ledger takes nothing, so that what is settled is not forgotten.
        world.faults.ledger = 100;
        world.add(0, vec![TimelineChange::HandedOver]);
        world.pass(secs(30));
        if crash {
            world.faults.ledger = 0;
            world.crash(0);
        }
        world.pass(secs(400));
        assert_eq!(world.daemons[0].stories.len(), 1, "adopted again");
        world.faults.ledger = 0;
        world.add(0, over());
        world.pass(secs(120));
        assert_eq!(world.vendor.open().len(), 0, "crash: {crash}");
    }
}

#[test]
fn the_alarms_record_is_adopted_by_both_twins_and_resolved_once() {
    let mut world = worlds(&["milan-1", "milan-2"]);
    let record = left_open(&mut world, RecordOrigin::Alarm);
    for index in [0, 1] {
        world.show(index);
    }
    world.pass(secs(400));
    assert_eq!(world.daemons[0].stories[0].incident().id, world.daemons[1].stories[0].incident().id);
    for index in [0, 1] {
        world.add(index, over());
    }
    world.pass(secs(60));
    assert_eq!((world.vendor.records.len(), world.vendor.open().len()), (1, 0));
    assert_eq!(world.vendor.records[0].closed.len(), 1);
    assert!(world.daemons.iter().all(|daemon| daemon.settled_as_found[0].1.as_ref() == Some(&record)));
}

#[test]
fn a_restart_after_adopting_continues_in_the_same_record_and_notes_nothing_twice() {
    let mut world = world();
    left_open(&mut world, RecordOrigin::Daemon);
    world.show(0);
    world.pass(secs(400));
    world.crash(0);
    world.pass(secs(400));
    assert_eq!((world.vendor.records.len(), world.vendor.records[0].notes.len()), (1, 1));
    world.add(0, over());
    world.pass(secs(60));
    assert!(world.vendor.open().is_empty());
}

#[test]
fn of_what_another_sink_has_found_a_record_is_started_only_when_this_site_sees_it_too() {
    let mut world = world();
    let story = found_elsewhere(&world);
    world.daemons[0].stories.push(story);
    world.show(0);
    world.pass(secs(1200));
    assert_eq!((count(&world, ActionKind::Start), world.daemons[0].pending), (0, 0));
    world.open(0, Kind::Outage);
    world.pass(secs(10));
    assert_eq!(world.vendor.open().len(), 1);
}

#[test]
fn what_another_sink_found_and_this_site_never_saw_ends_without_a_record() {
    let mut world = world();
    let story = found_elsewhere(&world);
    world.daemons[0].stories.push(story);
    world.show(0);
    world.pass(secs(60));
    world.add(0, over());
    world.pass(secs(60));
    assert_eq!((count(&world, ActionKind::Start), world.daemons[0].settled_as_found.len()), (0, 1));
}

#[test]
fn each_sink_goes_on_in_the_record_that_is_open_there() {
    let mut world = world();
    let story = found_elsewhere(&world);
    world.daemons[0].stories.push(story);
    world.show(0);
    world.pass(secs(60));
    let record = left_open(&mut world, RecordOrigin::Daemon);
    world.pass(secs(400));
    assert_eq!(world.vendor.records[0].notes.len(), 1);
    world.add(0, over());
    world.pass(secs(60));
    assert_eq!(world.daemons[0].settled_as_found[0].1, Some(record));
    assert!(world.vendor.open().is_empty());
}

#[test]
fn what_a_person_closed_after_it_was_found_stays_closed_until_this_site_sees_it_become_worse() {
    for (worsens, witnessed, records) in [(false, true, 1), (true, false, 1), (true, true, 2)] {
        let mut world = world();
        let record = left_open(&mut world, RecordOrigin::Daemon);
        world.show(0);
        world.pass(secs(400));
        world.vendor.close(&record, world.now.wall, "a person");
        world.pass(secs(120));
        if worsens {
            world.add(0, worse());
        }
        world.pass(secs(30));
        if witnessed {
            world.open(0, Kind::Outage);
        }
        world.pass(secs(300));
        assert_eq!(world.vendor.records.len(), records, "worsens: {worsens}, witnessed: {witnessed}");
    }
}

#[test]
fn a_record_that_a_person_closes_while_it_is_adopted_is_not_created_again() {
    let mut world = world();
    let record = left_open(&mut world, RecordOrigin::Daemon);
    world.now = world.now.after(secs(31));
    world.show(0);
    while world.daemons[0].found.is_empty() {
        world.pass(std::time::Duration::from_millis(1));
    }
    world.vendor.close(&record, world.now.wall, "a person");
    world.pass(secs(200));
    world.open(0, Kind::Outage);
    world.pass(secs(300));
    assert_eq!((count(&world, ActionKind::Start), world.vendor.records.len()), (0, 1));
    assert_eq!(world.daemons[0].pending, 0);
}

#[test]
fn a_record_that_a_person_opens_again_after_we_closed_it_is_theirs() {
    let mut world = world();
    world.open(0, Kind::Outage);
    world.pass(secs(60));
    world.add(0, over());
    world.pass(secs(120));
    world.vendor.reopen(&RecordId("record-001".into()), world.now.wall);
    world.pass(secs(1200));
    assert_eq!(world.daemons[0].found, []);
    assert_eq!(world.vendor.open().len(), 1);
}

#[test]
fn a_rejected_survey_is_a_problem_and_is_retried_and_delays_nothing_else() {
    let mut world = world();
    let refused = SinkError::Rejected { what: "not allowed".into(), source: None };
    world.scripted.entry(ActionKind::Survey).or_default().push_back(refused);
    left_open(&mut world, RecordOrigin::Daemon);
    world.show(0);
    world.pass(secs(60));
    let problem = world.daemons[0].machine.problem().unwrap();
    assert_eq!(
        (problem.severity, problem.text.as_str()),
        (Severity::Degraded, "looking for records that were left open: not allowed")
    );
    world.pass(secs(300));
    assert_eq!(world.daemons[0].machine.problem(), None);
    assert_eq!(world.daemons[0].found.len(), 1);
}

#[test]
fn a_record_that_cannot_be_read_is_looked_for_again_soon() {
    let mut world = world();
    left_open(&mut world, RecordOrigin::Daemon);
    world.now = world.now.after(secs(31));
    world.scripted.entry(ActionKind::Read).or_default().push_back(temporary());
    world.show(0);
    world.pass(secs(10));
    assert_eq!(world.daemons[0].found.len(), 1);
}

#[test]
fn the_row_of_a_lost_incident_is_removed_when_its_record_is_adopted() {
    let mut world = world();
    world.open(0, Kind::Outage);
    world.pass(secs(120));
    // The ledger can be read, the incident cannot.
    world.daemons[0].stories.clear();
    world.crash(0);
    world.pass(secs(600));
    assert_eq!(world.daemons[0].ledger.len(), 1, "the row of the adopted record");
    assert!(world.daemons[0].said.iter().all(|said| !matches!(said.reason, NoticeReason::LeftOpen(_))));
    assert_eq!(world.vendor.records[0].status_now(), RecordStatus::Open);
}

#[test]
fn an_adopted_record_gets_the_later_changes() {
    let mut world = world();
    left_open(&mut world, RecordOrigin::Daemon);
    world.show(0);
    world.pass(secs(400));
    world.open(0, Kind::Outage);
    world.add(0, vec![TimelineChange::Clearing]);
    world.pass(secs(60));
    let said: Vec<_> =
        world.vendor.records[0].notes.iter().map(|(_, _, note)| note.text.lines().next().unwrap()).collect();
    insta::assert_snapshot!(said.join("\n"), @"
    milan-1: outage: this site follows this record from here on, and resolves it when it is over
    milan-1: outage: this site sees it too
    milan-1: clearing; this record is resolved if that lasts
    ");
}

//! Each rule by itself, in a world where nothing fails but what the test makes fail.

mod survey;

use std::time::Duration;

use super::super::action::{ActionKind, NoticeReason, RecordCall, Work};
use super::super::sink::{RecordId, RecordOrigin, SinkError};
use super::Reconciler;
use super::world::*;
use crate::domain::board::TimelineChange;
use crate::domain::names::{End, Kind};
use crate::domain::scope::{ParentKind, Scope};
use crate::domain::time::Stamp;
use crate::domain::verdict::{Assessment, Verdict};
use crate::incident::outbox::Machine as _;

fn world() -> World {
    World::new(Switches::default(), &["milan-1"], 7)
}

fn twins(switches: Switches) -> World {
    World::new(switches, &["milan-1", "milan-2"], 7)
}

/// The acts that were executed since, ledger and sink.
fn acts(world: &World, since: Stamp) -> Vec<ActionKind> {
    world.log.iter().filter(|(at, _, _)| *at >= since).map(|(_, _, work)| work.kind()).collect()
}

fn count(world: &World, kind: ActionKind) -> usize {
    world.log.iter().filter(|(_, _, work)| work.kind() == kind).count()
}

fn rejected() -> SinkError {
    SinkError::Rejected { what: "not allowed: ssm-incidents:StartIncident".into(), source: None }
}

fn record(number: usize) -> RecordId {
    RecordId(format!("record-{number:03}"))
}

#[test]
fn nothing_but_the_commit_and_the_start_stands_between_agreement_and_page() {
    let mut world = world();
    world.daemons[0].prepare = true;
    world.show(0);
    world.pass(secs(20));
    let agreed = world.now.wall;
    world.open(0, Kind::Outage);
    world.pass(secs(1));
    assert_eq!(
        acts(&world, agreed),
        [
            ActionKind::Commit,
            ActionKind::Start,
            ActionKind::Commit,
            ActionKind::Read,
            ActionKind::Describe,
            ActionKind::Commit
        ]
    );
}

#[test]
fn records_are_looked_up_again_while_a_tunnel_stays_down_and_more_and_more_rarely() {
    let mut world = world();
    world.daemons[0].prepare = true;
    world.show(0);
    world.pass(secs(3600));
    let finds = count(&world, ActionKind::Find);
    assert!((10..25).contains(&finds), "{finds} in an hour, each for three kinds");
    world.daemons[0].prepare = false;
    world.show(0);
    world.pass(secs(3600));
    assert_eq!(count(&world, ActionKind::Find), finds);
}

#[test]
fn the_whole_request_is_committed_before_the_call_and_a_retry_sends_the_same_bytes() {
    let mut world = world();
    world.scripted.entry(ActionKind::Start).or_default().extend([temporary(), temporary()]);
    world.open(0, Kind::Outage);
    world.pass(Duration::from_millis(500));
    world.add(0, worse());
    world.pass(secs(60));
    let committed = world
        .log
        .iter()
        .find_map(|(_, _, work)| if let Work::Commit { row } = work { row.start.clone() } else { None });
    let sent = world.log.iter().filter_map(|(_, _, work)| {
        if let Work::Call(RecordCall::Start { request }) = work { Some(request.clone()) } else { None }
    });
    let sent: Vec<_> = sent.collect();
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|sent| Some(sent) == committed.as_ref()), "{sent:?}");
}

#[test]
fn a_crash_between_the_start_and_its_answer_leads_to_the_same_record() {
    let mut world = world();
    world.faults.lost = 100;
    world.open(0, Kind::Outage);
    world.pass(secs(1));
    assert_eq!(world.vendor.records.len(), 0, "without a look-up nothing is started");
    world.faults.lost = 0;
    world.pass(secs(3));
    world.faults.lost = 100;
    world.pass(secs(3));
    world.crash(0);
    world.faults.lost = 0;
    world.pass(secs(120));
    assert_eq!(world.vendor.records.len(), 1);
    assert_eq!(world.daemons[0].pending, 0);
}

#[test]
fn an_open_record_of_any_site_is_adopted_and_gets_one_note_with_our_evidence() {
    for origin in [RecordOrigin::Daemon, RecordOrigin::Alarm] {
        let mut world = world();
        let scope = settings("").scope(&vpn().into(), Kind::Outage).unwrap();
        world.vendor.create(scope, origin, world.now.wall);
        world.pass(secs(60));
        world.open(0, Kind::Outage);
        world.pass(secs(300));
        let [kept] = world.vendor.records.as_slice() else { panic!("{:?}", world.vendor.records) };
        let [(_, "milan-1", note)] = kept.notes.as_slice() else { panic!("{:?}", kept.notes) };
        assert!(note.text.contains("also seen by this site, since"), "{}", note.text);
        world.add(0, over());
        world.pass(secs(60));
        assert!(world.vendor.open().is_empty());
    }
}

#[test]
fn a_page_goes_out_within_half_a_minute_though_the_records_cannot_be_listed() {
    for (what, error) in
        [("a list that fails", temporary as fn() -> SinkError), ("a list that is refused", rejected)]
    {
        let mut world = world();
        world.scripted.insert(ActionKind::Find, (0..200).map(|_| error()).collect());
        world.open(0, Kind::Outage);
        world.pass(secs(30));
        assert_eq!(world.vendor.open().len(), 1, "{what}");
        assert!(
            world.daemons[0].said.iter().any(|said| said.reason == NoticeReason::CreatedWithoutList),
            "{what}"
        );
        world.scripted.clear();
        world.add(0, over());
        world.pass(secs(900));
        assert!(world.vendor.open().is_empty(), "{what}");
        assert_eq!(world.vendor.records.len(), 1, "{what}");
    }
}

#[test]
fn a_list_that_still_shows_a_closed_record_as_open_is_not_believed() {
    let mut world = world();
    world.open(0, Kind::Outage);
    world.pass(secs(120));
    world.add(0, over());
    world.pass(secs(2));
    world.crash(0);
    world.open(0, Kind::Outage);
    world.pass(secs(5));
    assert_eq!(world.vendor.records.len(), 2);
    assert_eq!(world.vendor.open()[0].id, record(2));
}

#[test]
fn a_token_that_leads_to_a_closed_predecessor_gives_a_fresh_one() {
    let mut world = world();
    world.open(0, Kind::Outage);
    world.pass(secs(120));
    world.add(0, over());
    world.pass(secs(40));
    world.crash(0);
    // The list has forgotten what it had: as if it never showed closed records.
    world.vendor.switches.lag = secs(1_000_000);
    world.open(0, Kind::Outage);
    world.pass(secs(60));
    assert_eq!(count(&world, ActionKind::Start), 3, "the first record's, its token again, and the fresh one");
    assert_eq!(world.vendor.open()[0].id, record(2));
}

#[test]
fn a_known_token_means_look_again_until_it_shows_and_never_another_token() {
    let mut world = twins(Switches { known_token: KnownToken::Conflict, ..Switches::default() });
    world.open(0, Kind::Outage);
    world.open(1, Kind::Outage);
    world.pass(secs(20));
    assert_eq!(world.daemons[1].pending + world.daemons[0].pending, 1, "one waits for the list");
    world.pass(secs(60));
    assert_eq!((world.daemons[0].pending, world.daemons[1].pending), (0, 0));
    assert_eq!(world.vendor.records.len(), 1);
    assert_eq!(count(&world, ActionKind::Start), 2, "one each, and one of them refused");
}

#[test]
fn duplicates_of_a_sink_that_ignores_tokens_are_closed_in_favour_of_the_oldest() {
    let mut world = twins(Switches { known_token: KnownToken::NewRecord, ..Switches::default() });
    world.open(0, Kind::Outage);
    world.open(1, Kind::Outage);
    world.pass(secs(20));
    assert_eq!(world.vendor.open().len(), 2);
    world.pass(secs(300));
    let open: Vec<_> = world.vendor.open().iter().map(|kept| kept.id.clone()).collect();
    assert_eq!(open, [record(1)]);
    for index in [0, 1] {
        world.add(index, over());
    }
    world.pass(secs(60));
    assert!(world.vendor.open().is_empty());
    assert_eq!(world.vendor.records[0].closed.len(), 1, "resolved once");
}

#[test]
fn changes_are_noted_in_order_and_once() {
    let mut world = world();
    world.open(0, Kind::Outage);
    world.add(0, vec![viewed(11, End::Local, Verdict::Up)]);
    world.pass(secs(5));
    world.add(0, vec![viewed(12, End::Aws, Verdict::Up)]);
    world.add(0, over());
    world.pass(secs(60));
    let said: Vec<_> = world.vendor.records[0].notes.iter().map(|(_, _, note)| note.text.as_str()).collect();
    insta::assert_snapshot!(said.join("\n"), @"
    milan-1: tunnel 1 (203.0.113.11): this site says up
    milan-1: tunnel 2 (203.0.113.12): AWS says up
    milan-1: tunnel 1 (203.0.113.11): up at both ends
    milan-1: clearing; this record is resolved if that lasts
    milan-1: outage over
    ");
}

#[test]
fn what_a_person_closed_stays_closed_and_gets_no_more_notes() {
    let mut world = world();
    world.open(0, Kind::Outage);
    world.pass(secs(30));
    world.vendor.close(&record(1), world.now.wall, "a person");
    world.pass(secs(90));
    world.add(0, vec![viewed(11, End::Local, Verdict::Up)]);
    world.pass(secs(600));
    world.add(0, over());
    world.pass(secs(60));
    assert_eq!(world.vendor.records.len(), 1);
    assert!(world.vendor.records[0].notes.is_empty());
    assert_eq!(count(&world, ActionKind::Resolve), 0);
    assert_eq!(world.daemons[0].settled.len(), 1);
}

#[test]
fn what_a_person_closed_stays_closed_over_a_restart_by_a_clock_that_is_behind() {
    let mut world = world();
    world.open(0, Kind::Outage);
    world.pass(secs(10));
    world.vendor.close(&record(1), world.now.wall, "a person");
    // To a clock that is set back at the start the record lies ahead, and its date does not show whose it is.
    world.vendor.records[0].created = world.now.wall + secs(90);
    world.crash(0);
    world.pass(secs(3600));
    assert_eq!(world.vendor.records.len(), 1);
    world.add(0, worse());
    world.pass(secs(60));
    assert_eq!(world.vendor.records.len(), 2);
}

#[test]
fn what_a_person_closed_pages_again_when_it_worsens_even_if_the_close_was_not_seen_yet() {
    for seen in [false, true] {
        let mut world = world();
        world.open(0, Kind::Outage);
        world.pass(secs(30));
        world.vendor.close(&record(1), world.now.wall, "a person");
        world.pass(secs(if seen { 120 } else { 1 }));
        world.add(0, worse());
        world.pass(secs(5));
        let open: Vec<_> = world.vendor.open().iter().map(|kept| kept.id.clone()).collect();
        assert_eq!(open, [record(2)], "close seen before: {seen}");
        let request = world.vendor.records[1].request.as_ref().unwrap();
        assert!(request.raw_data.contains("\"worsened_after_close\":true"), "{}", request.raw_data);
        let notes = &world.vendor.records[1].notes;
        assert_eq!(notes.len(), 2, "the worsening itself");
    }
}

#[test]
fn a_record_that_a_person_opens_again_is_ours_again() {
    let mut world = world();
    world.open(0, Kind::Outage);
    world.pass(secs(30));
    world.vendor.close(&record(1), world.now.wall, "a person");
    world.pass(secs(400));
    world.vendor.reopen(&record(1), world.now.wall);
    world.pass(secs(300));
    world.add(0, over());
    world.pass(secs(60));
    assert_eq!(world.vendor.records.len(), 1);
    assert!(world.vendor.open().is_empty());
}

#[test]
fn a_deleted_record_counts_as_closed_and_is_not_replaced() {
    let mut world = world();
    world.open(0, Kind::Outage);
    world.pass(secs(30));
    world.vendor.records.clear();
    world.pass(secs(600));
    assert_eq!(count(&world, ActionKind::Start), 1);
    assert_eq!(world.daemons[0].pending, 0);
    assert!(world.daemons[0].said.iter().any(|said| matches!(said.reason, NoticeReason::Gone(_))));
}

#[test]
fn an_incident_that_opened_and_ended_while_the_sink_was_unreachable_is_recorded_and_closed() {
    let mut world = world();
    world.daemons[0].away_until = world.now.wall + secs(1200);
    world.open(0, Kind::Outage);
    world.pass(secs(100));
    world.add(0, over());
    world.pass(secs(1300));
    let [kept] = world.vendor.records.as_slice() else { panic!("{:?}", world.vendor.records) };
    assert_eq!((kept.notes.len(), kept.closed.len()), (3, 1));
    assert_eq!(world.daemons[0].settled.len(), 1);
}

#[test]
fn a_past_incident_never_delays_the_page_of_one_that_lasts() {
    let mut world = world();
    world.daemons[0].away_until = world.now.wall + secs(250);
    world.open(0, Kind::Outage);
    world.pass(secs(100));
    world.add(0, over());
    world.pass(secs(100));
    world.open(0, Kind::Outage);
    let lasts = world.daemons[0].stories[1].incident().began;
    world.pass(secs(300));
    let [kept] = world.vendor.records.as_slice() else { panic!("{:?}", world.vendor.records) };
    assert_eq!(kept.request.as_ref().unwrap().triggered, lasts);
    assert!(kept.notes.iter().any(|(_, _, note)| note.text.contains("reported late")));
    assert!(kept.closed.is_empty());
}

#[test]
fn the_related_record_is_named_once_and_never_delays_the_start() {
    let mut world = world();
    world.open(0, Kind::RedundancyLost);
    world.open(0, Kind::Outage);
    world.pass(secs(120));
    let outage = world.vendor.records.iter().find(|kept| kept.scope.kind == Kind::Outage).unwrap();
    let other = world.vendor.records.iter().find(|kept| kept.scope.kind == Kind::RedundancyLost).unwrap();
    assert_eq!(outage.related, std::slice::from_ref(&other.id));
    assert!(other.related.is_empty());
}

#[test]
fn unwatched_is_noted_and_leaves_the_record_open() {
    let mut world = world();
    world.open(0, Kind::Outage);
    world.pass(secs(30));
    world.add(0, vec![TimelineChange::Unwatched]);
    world.pass(secs(60));
    let [kept] = world.vendor.records.as_slice() else { panic!("{:?}", world.vendor.records) };
    assert!(kept.notes[0].2.text.contains("no longer watched"));
    assert!(kept.is_open());
    assert_eq!(world.daemons[0].settled.len(), 1);
}

#[test]
fn absence_from_the_board_resolves_nothing_and_is_complained_of_once() {
    let mut world = world();
    world.open(0, Kind::Outage);
    world.pass(secs(30));
    world.daemons[0].stories.clear();
    world.show(0);
    world.crash(0);
    world.pass(secs(3600));
    assert_eq!(world.vendor.open().len(), 1);
    assert_eq!(world.daemons[0].ledger.len(), 1);
    let complaints =
        world.daemons[0].said.iter().filter(|said| matches!(said.reason, NoticeReason::LeftOpen(_))).count();
    assert_eq!(complaints, 2, "once in each run");
}

#[test]
fn what_is_settled_is_forgotten_when_it_has_left_the_board() {
    let mut world = world();
    world.open(0, Kind::Outage);
    world.pass(secs(30));
    world.add(0, over());
    world.pass(secs(60));
    assert_eq!(world.daemons[0].settled.len(), 1);
    assert!(world.daemons[0].ledger.is_empty());
}

#[test]
fn a_refusal_is_a_failure_of_health_and_the_page_is_tried_again_within_30_seconds() {
    let mut world = world();
    world.scripted.entry(ActionKind::Start).or_default().extend((0..12).map(|_| rejected()));
    world.open(0, Kind::Outage);
    world.pass(secs(30));
    let problem = world.daemons[0].machine.problem().unwrap();
    assert_eq!(problem.severity, crate::health::Severity::Failed);
    assert_eq!(problem.text, "opening a record: not allowed: ssm-incidents:StartIncident");
    while !world.scripted[&ActionKind::Start].is_empty() {
        let left = world.scripted[&ActionKind::Start].len();
        world.pass(secs(31));
        assert!(world.scripted[&ActionKind::Start].len() < left, "no try within 30 s");
    }
    world.pass(secs(31));
    assert_eq!(world.vendor.open().len(), 1);
    assert_eq!(world.daemons[0].machine.problem(), None);
}

#[test]
fn a_page_that_comes_due_does_not_wait_out_what_a_look_up_made_beforehand_has_to() {
    let mut world = world();
    world.scripted.entry(ActionKind::Find).or_default().extend((0..4).map(|_| SinkError::Temporary {
        what: "busy".into(),
        retry_after: Some(secs(600)),
        source: None,
    }));
    world.daemons[0].prepare = true;
    world.show(0);
    world.pass(secs(60));
    world.open(0, Kind::Outage);
    world.pass(secs(100));
    assert_eq!(world.vendor.open().len(), 1);
}

#[test]
fn a_rejected_look_up_does_not_delay_the_page() {
    let mut world = world();
    world.scripted.entry(ActionKind::Find).or_default().extend([rejected()]);
    world.open(0, Kind::Outage);
    world.pass(secs(5));
    assert_eq!(world.vendor.open().len(), 1);
}

#[test]
fn a_ledger_that_cannot_be_written_does_not_hold_up_the_page() {
    let mut world = world();
    world.faults.ledger = 100;
    world.open(0, Kind::Outage);
    world.pass(secs(5));
    assert_eq!(world.vendor.open().len(), 1);
    world.add(0, over());
    world.pass(secs(60));
    assert!(world.vendor.open().is_empty());
    assert_eq!(world.daemons[0].settled.len(), 1);
}

#[test]
fn a_rejected_note_does_not_keep_a_record_open() {
    let mut world = world();
    world.open(0, Kind::Outage);
    world.pass(secs(30));
    world.scripted.entry(ActionKind::Note).or_default().extend([rejected()]);
    world.add(0, over());
    world.pass(secs(60));
    assert!(world.vendor.open().is_empty());
    assert_eq!(world.daemons[0].settled.len(), 1);
}

#[test]
fn a_twins_leftover_is_closed_when_its_daemon_has_died() {
    let mut world = twins(Switches::default());
    world.open(0, Kind::Outage);
    world.open(1, Kind::Outage);
    world.pass(secs(300));
    world.vendor.close(&record(1), world.now.wall, "a person");
    world.pass(secs(5));
    world.add(0, worse());
    world.pass(secs(5));
    assert_eq!(world.vendor.open()[0].id, record(2));
    // The first daemon dies for good; the second has not seen a worsening.
    world.daemons[0].away_until = world.now.wall + secs(1_000_000);
    world.pass(secs(100));
    world.add(1, over());
    world.pass(secs(100));
    assert!(world.vendor.open().is_empty());
}

/// The store was lost, the open record was found, and the sink went away before it could be read again.
fn found_and_then_cut_off() -> World {
    let mut world = world();
    world.takes_up = true;
    world.open(0, Kind::Outage);
    world.pass(secs(300));
    world.forget(0);
    while world.daemons[0].found.is_empty() {
        world.pass(secs(1));
    }
    world.daemons[0].away_until = world.now.wall + secs(600);
    world.vendor.close(&record(1), world.now.wall, "a person");
    world
}

#[test]
fn what_was_found_open_is_closed_by_a_person_and_worsens_while_the_sink_is_away_pages_again() {
    for seen_first in [true, false] {
        let mut world = found_and_then_cut_off();
        let steps: [fn(&mut World); 2] = [|world| world.open(0, Kind::Outage), |world| world.add(0, worse())];
        for step in if seen_first { [steps[0], steps[1]] } else { [steps[1], steps[0]] } {
            world.pass(secs(60));
            step(&mut world);
        }
        world.pass(secs(1200));
        let open: Vec<_> = world.vendor.open().iter().map(|kept| kept.id.clone()).collect();
        assert_eq!(open, [record(2)], "seen first: {seen_first}");
    }
}

#[test]
fn what_was_found_open_and_is_closed_by_a_person_while_the_sink_is_away_stays_closed_if_it_gets_no_worse() {
    let mut world = found_and_then_cut_off();
    world.pass(secs(60));
    world.open(0, Kind::Outage);
    world.pass(secs(1200));
    assert!(world.vendor.open().is_empty(), "{:?}", world.vendor.open());
    assert_eq!(world.vendor.records.len(), 1);
}

#[test]
fn a_record_says_how_the_incident_stands_when_that_has_changed_and_not_each_minute() {
    let mut world = world();
    world.open(0, Kind::Outage);
    world.pass(secs(600));
    let said = |world: &World| world.vendor.records[0].described.clone();
    assert_eq!(said(&world).len(), 1);
    assert!(said(&world)[0].contains("No traffic flows"), "{:?}", said(&world));
    let links = world.vendor.records[0].links.clone();
    assert!(links.iter().any(|link| link.contains("VpnConnectionDetails")), "{links:?}");
    assert!(links.iter().any(|link| link.contains("wiki.example")), "{links:?}");
    // What changes in the same minute is written together.
    world.add(0, vec![viewed(11, End::Local, Verdict::Up)]);
    world.pass(secs(1));
    world.add(0, vec![viewed(11, End::Aws, Verdict::Up), assessed(11, Assessment::Healthy)]);
    world.pass(secs(600));
    assert_eq!(said(&world).len(), 3, "{:?}", said(&world));
    assert!(said(&world)[2].contains("Traffic flows again"), "{:?}", said(&world)[2]);
    // A restart writes what it would have written, for what stands there is not known; the links are.
    world.crash(0);
    world.pass(secs(600));
    assert_eq!(said(&world)[3], said(&world)[2]);
    assert_eq!(said(&world).len(), 4);
    assert_eq!(world.vendor.records[0].links, links);
    world.add(0, over());
    world.pass(secs(600));
    assert_eq!(said(&world).len(), 4, "what is over is said when it is closed");
}

#[test]
fn a_rejected_description_delays_neither_note_nor_close() {
    let mut world = world();
    world.scripted.insert(ActionKind::Describe, (0..50).map(|_| rejected()).collect());
    world.open(0, Kind::Outage);
    world.pass(secs(30));
    world.add(0, vec![viewed(11, End::Local, Verdict::Up)]);
    world.pass(secs(30));
    assert_eq!(world.vendor.records[0].notes.len(), 1);
    world.add(0, over());
    world.pass(secs(60));
    assert!(world.vendor.open().is_empty());
}

#[test]
fn a_line_that_flaps_for_hours_is_noted_to_its_end_at_a_bounded_rate() {
    let mut world = world();
    world.open(0, Kind::Outage);
    let flap = |world: &mut World| {
        for (verdict, assessment) in [(Verdict::Up, Assessment::Healthy), (Verdict::Down, Assessment::Down)] {
            for last in [11, 12] {
                let viewed = [End::Local, End::Aws].map(|end| viewed(last, end, verdict));
                world.add(0, viewed.into_iter().chain([assessed(last, assessment)]).collect());
            }
            world.pass(secs(30));
        }
    };
    // A dozen changes in a minute, until the story is long.
    (0..9).for_each(|_| flap(&mut world));
    world.pass(secs(3600));
    let notes = |world: &World| world.vendor.records[0].notes.clone();
    let before = notes(&world).len();
    (0..200).for_each(|_| flap(&mut world));
    let said = |world: &World| world.vendor.records[0].described.last().cloned().unwrap();
    assert!(said(&world).contains("No traffic flows: no tunnel"), "{}", said(&world));
    assert_eq!(world.daemons[0].pending, 0, "what waits for its turn is in line");
    world.add(0, vec![viewed(11, End::Local, Verdict::Up), assessed(11, Assessment::Healthy)]);
    world.pass(secs(70));
    assert!(said(&world).contains("Traffic"), "{}", said(&world));
    let count = notes(&world).len() - before;
    // 200 minutes are 20 rounds of at most twelve different lines, and a round begins at once.
    assert!((12 * 10..=12 * 22).contains(&count), "{count} notes");
    // Of an end people hear at once.
    world.add(0, over());
    world.pass(secs(60));
    assert!(world.vendor.open().is_empty());
    let last: Vec<String> =
        notes(&world).iter().rev().take(2).map(|(_, _, note)| note.text.clone()).collect();
    assert_eq!(last, ["milan-1: outage over", "milan-1: clearing; this record is resolved if that lasts"]);
}

#[test]
fn a_restart_in_a_story_that_was_thinned_knows_that_it_has_worsened() {
    let mut world = world();
    world.open(0, Kind::Outage);
    world.pass(secs(60));
    // The sink is away; one tunnel goes down again, and the other one's story grows long. A person closes the record, and the
    // daemon restarts.
    world.daemons[0].away_until = world.now.wall + secs(3600);
    (0..2).for_each(|_| world.add(0, worse()));
    world.add(0, vec![assessed(11, Assessment::Healthy)]);
    for _ in 0..100 {
        world.add(0, [Verdict::Up, Verdict::Down].map(|said| viewed(12, End::Local, said)).into());
    }
    world.vendor.close(&record(1), world.now.wall, "a person");
    world.crash(0);
    world.pass(secs(5000));
    let open: Vec<_> = world.vendor.open().iter().map(|kept| kept.id.clone()).collect();
    assert_eq!(open, [record(2)]);
}

//--- withheld

fn starts(world: &World) -> Vec<(Stamp, Scope)> {
    let start = |(at, _, work): &(Stamp, &'static str, Work<RecordCall>)| match work {
        Work::Call(RecordCall::Start { request }) => Some((*at, request.scope.of.clone())),
        Work::Call(_) | Work::Commit { .. } | Work::Forget { .. } => None,
    };
    world.log.iter().filter_map(start).collect()
}

/// What was asked and written of the connection since, apart from the survey of everything.
fn calls_about_the_connection(world: &World, since: Stamp) -> Vec<ActionKind> {
    let about = |(at, _, work): &&(Stamp, &'static str, Work<RecordCall>)| {
        *at >= since
            && match work {
                Work::Call(RecordCall::Find { search }) => {
                    search.scopes.iter().any(|scope| scope.of.vpn().is_some())
                }
                Work::Call(RecordCall::Survey { .. }) => false,
                Work::Call(_) => true,
                Work::Commit { row } => row.incident.scope.vpn().is_some(),
                Work::Forget { incident } => incident.scope.vpn().is_some(),
            }
    };
    world.log.iter().filter(about).map(|(_, _, work)| work.kind()).collect()
}

#[test]
fn what_is_silenced_costs_no_call_is_in_line_and_is_sent_at_the_end_of_the_silence_with_its_true_start() {
    let mut world = world();
    world.withhold(0, Some(SILENCED));
    let opened = world.now.wall;
    world.open(0, Kind::Outage);
    world.pass(secs(6 * 3600));
    assert_eq!((calls_about_the_connection(&world, opened), world.daemons[0].pending), (vec![], 0));
    let released = world.now.wall;
    world.withhold(0, None);
    assert_eq!(world.daemons[0].pending, 1);
    world.pass(secs(2));
    let [(at, _)] = starts(&world)[..] else { panic!("{:?}", starts(&world)) };
    assert!(at.since(released) < secs(2), "{:?}", at.since(released));
    let first = calls_about_the_connection(&world, released)[0];
    assert_eq!(first, ActionKind::Find, "it is looked up first");
    let request = world.vendor.records[0].request.as_ref().unwrap();
    assert!(request.triggered <= opened);
    assert!(request.description.contains("Not sent until "), "{}", request.description);
    assert!(request.description.contains("silence 1 was on"), "{}", request.description);
    world.pass(secs(60));
    assert_eq!(world.daemons[0].pending, 0);
    world.add(0, over());
    world.pass(secs(60));
    assert!(!world.vendor.records[0].is_open());
}

#[test]
fn what_ends_withheld_is_settled_without_a_call_and_leaves_no_row() {
    let mut world = world();
    world.withhold(0, Some(SILENCED));
    let opened = world.now.wall;
    world.open(0, Kind::Outage);
    world.pass(secs(100));
    world.crash(0);
    world.pass(secs(100));
    world.add(0, over());
    world.pass(secs(7200));
    assert_eq!(calls_about_the_connection(&world, opened), []);
    assert_eq!((world.daemons[0].settled_withheld.len(), world.daemons[0].stories.len()), (1, 0));
    assert!(world.vendor.records.is_empty() && world.daemons[0].ledger.is_empty());
    assert_eq!(world.daemons[0].said, []);
}

#[test]
fn an_uplink_is_one_record_and_what_is_down_when_it_works_again_is_another() {
    let mut world = world();
    world.uplink_fails(0);
    world.open(0, Kind::Outage);
    world.pass(secs(3600));
    let [uplink] = world.vendor.records.as_slice() else { panic!("{:?}", world.vendor.records) };
    assert_eq!(uplink.scope.of, Scope::Parent(parent(ParentKind::Uplink)));
    let works = world.now.wall;
    world.uplink_works(0);
    world.pass(secs(10));
    let [uplink, connection] = world.vendor.records.as_slice() else { panic!("{:?}", world.vendor.records) };
    assert!(!uplink.is_open() && connection.is_open());
    assert_eq!(connection.scope.of, Scope::Connection(vpn()));
    assert!(connection.created.since(works) <= secs(2), "{:?}", connection.created.since(works));
    let description = &connection.request.as_ref().unwrap().description;
    assert!(description.contains("uplink wan1 was down"), "{description}");
}

#[test]
fn a_record_from_before_goes_on_while_its_incident_is_withheld_and_over_a_restart() {
    let mut world = world();
    world.open(0, Kind::Outage);
    world.pass(secs(60));
    world.withhold(0, Some(SILENCED));
    world.pass(secs(60));
    world.crash(0);
    let notes = world.vendor.records[0].notes.len();
    world.add(0, worse());
    world.pass(secs(120));
    assert!(world.vendor.records[0].notes.len() > notes);
    world.add(0, over());
    world.pass(secs(120));
    assert_eq!((world.vendor.records.len(), world.vendor.open().len()), (1, 0));
    assert_eq!(world.daemons[0].settled.len(), 1);
}

#[test]
fn a_committed_request_goes_on_although_its_incident_is_withheld_before_it_is_answered() {
    let mut world = world();
    world.daemons[0].away_until = world.now.wall + secs(300);
    world.daemons[0].prepare = true;
    world.open(0, Kind::Outage);
    world.pass(secs(100));
    assert!(world.daemons[0].ledger.values().any(|row| row.start.is_some()), "{:?}", world.daemons[0].ledger);
    world.withhold(0, Some(SILENCED));
    world.crash(0);
    world.pass(secs(600));
    assert_eq!(
        world.vendor.open().len(),
        1,
        "it may have been created: it is created, and closed at the end"
    );
    world.add(0, over());
    world.pass(secs(600));
    assert_eq!((world.vendor.records.len(), world.vendor.open().len()), (1, 0));
}

#[test]
fn what_an_alarm_opens_for_what_is_withheld_is_adopted_and_closed_at_the_end() {
    let mut world = world();
    world.takes_up = true;
    world.withhold(0, Some(SILENCED));
    world.open(0, Kind::Outage);
    let scope = settings("milan-1").scope(&vpn().into(), Kind::Outage).unwrap();
    world.vendor.create(scope, RecordOrigin::Alarm, world.now.wall);
    world.pass(secs(700));
    assert!(world.daemons[0].found.is_empty(), "an incident accounts for it");
    assert_eq!(world.vendor.records[0].notes.len(), 1, "with our evidence");
    world.add(0, over());
    world.pass(secs(120));
    assert_eq!((world.vendor.records.len(), world.vendor.open().len()), (1, 0));
    assert_eq!(starts(&world), []);
}

#[test]
fn what_a_person_closed_and_worsens_withheld_pages_again_at_the_release_and_not_before() {
    let mut world = world();
    world.open(0, Kind::Outage);
    world.pass(secs(200));
    world.vendor.close(&record(1), world.now.wall, "a person");
    world.pass(secs(200));
    world.withhold(0, Some(SILENCED));
    world.add(0, worse());
    world.pass(secs(3600));
    assert_eq!((world.vendor.records.len(), world.daemons[0].pending), (1, 0));
    world.withhold(0, None);
    world.pass(secs(60));
    assert_eq!((world.vendor.records.len(), world.vendor.open().len()), (2, 1));
}

#[test]
fn what_the_twin_opened_and_a_person_closed_while_it_was_withheld_here_stays_closed() {
    let mut world = twins(Switches::default());
    world.withhold(0, Some(SILENCED));
    world.open(0, Kind::Outage);
    world.open(1, Kind::Outage);
    world.pass(secs(100));
    world.vendor.close(&record(1), world.now.wall, "a person");
    world.pass(secs(200));
    world.withhold(0, None);
    world.pass(secs(3600));
    assert_eq!((world.vendor.records.len(), world.vendor.open().len()), (1, 0));
}

#[test]
fn a_withheld_incident_keeps_no_earlier_one_from_being_recorded() {
    let mut world = world();
    world.daemons[0].away_until = world.now.wall + secs(600);
    world.open(0, Kind::Outage);
    world.pass(secs(100));
    world.add(0, over());
    world.pass(secs(60));
    world.withhold(0, Some(SILENCED));
    world.open(0, Kind::Outage);
    world.pass(secs(1200));
    assert_eq!((world.vendor.records.len(), world.vendor.open().len()), (1, 0));
    assert_eq!((world.daemons[0].settled.len(), world.daemons[0].pending), (1, 0));
}

#[test]
fn a_sink_that_does_not_take_the_parent_gets_every_connection_at_once() {
    let mut world = world();
    let mut rules = settings("milan-1");
    rules.sink.scopes = Some([Scope::Connection(vpn())].into());
    world.daemons[0].machine = Reconciler::new(rules, Vec::new(), world.now);
    world.uplink_fails(0);
    let opened = world.now.wall;
    world.daemons[0].takes_no_parent = true;
    world.open(0, Kind::Outage);
    world.pass(secs(5));
    let [(at, ref of)] = starts(&world)[..] else { panic!("{:?}", starts(&world)) };
    assert_eq!(*of, Scope::Connection(vpn()));
    assert!(at.since(opened) <= secs(5));
}

//! The host of a pair that does not hold the address, and takes over.

use std::net::IpAddr;

use bothends::domain::board::IncidentState;
use bothends::domain::event::{Event, Remembered};
use bothends::domain::fact::{Fact, IncidentChange};
use bothends::domain::names::Kind;
use bothends::domain::plan::Plan;
use bothends::domain::time::Stamp;
use bothends::domain::verdict::{Verdict, Why};

use crate::world::*;

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 100));

fn pair() -> Plan {
    Plan { votes_if_address: Some(ADDRESS), ..two_active() }
}

fn held(world: &mut World, held: bool) {
    world.tell(Event::AddressHeld { address: ADDRESS, held });
}

/// The holder, and all is well.
fn holder() -> World {
    let mut world = World::new(pair(), Remembered::default());
    held(&mut world, true);
    world.run(secs(180));
    world
}

fn cut(world: &mut World) {
    for n in [1, 2] {
        world.line(n, Line::Swallows);
        world.aws(n, Aws::Down);
    }
}

fn sent_by_the_minute(world: &World) -> usize {
    let sent =
        |fact: &Fact| matches!(fact, Fact::RollupReady(_) | Fact::CouldVote { .. } | Fact::EchoEnded { .. });
    world.facts.iter().filter(|(_, fact)| sent(fact)).count()
}

#[test]
fn the_host_without_the_address_asks_nothing_and_votes_on_nothing() {
    for told in [false, true] {
        let mut world = World::new(pair(), Remembered::default());
        if told {
            held(&mut world, false);
        }
        cut(&mut world);
        world.run(secs(3600));
        assert_eq!(world.local(1), Verdict::Unknown(Why::NotHere));
        assert_eq!((sent_by_the_minute(&world), world.echoes.len()), (0, 0));
        assert_eq!(world.opened(), [], "nor is what AWS alone says one-sided");
        assert!(!world.questions.is_empty(), "AWS is asked all the same");
        assert!(world.monitor.status(world.now).every_tunnel_asked(), "it is ready");
    }
}

#[test]
fn it_takes_nothing_up_before_it_holds_the_address_and_then_does() {
    let mut world = World::new(pair(), Remembered::default());
    world.run(secs(10));
    let found =
        || Event::RecordFound { sink: sink(), vpn: vpn(), kind: Kind::Outage, created: Stamp::from_secs(1) };
    world.tell(found());
    assert_eq!(world.incidents(), []);
    held(&mut world, true);
    world.tell(found());
    assert_eq!(world.kinds(), [Kind::Outage]);
    world.run(secs(330));
    assert!(matches!(world.incidents()[0].state, IncidentState::Resolved { .. }));
}

#[test]
fn taking_over_begins_afresh_and_opens_nothing_for_the_grace_or_until_both_ends_agree() {
    let mut world = holder();
    held(&mut world, false);
    assert_eq!(world.local(1), Verdict::Unknown(Why::NotHere));
    world.run(secs(600));
    cut(&mut world);
    held(&mut world, true);
    assert_eq!(world.local(1), Verdict::Unknown(Why::Starting));
    world.run(secs(30));
    assert_eq!(world.local(1), Verdict::Down, "that it was answered before is remembered");
    assert_eq!(world.opened(), []);
    world.run(secs(10));
    assert_eq!(world.opened().len(), 1);
}

#[test]
fn an_address_that_moves_to_and_fro_keeps_no_outage_from_being_told() {
    let mut world = holder();
    cut(&mut world);
    held(&mut world, false);
    let from = world.now.mono;
    for _ in 0..20 {
        held(&mut world, true);
        world.run(secs(90));
        held(&mut world, false);
        world.run(secs(10));
    }
    let (opened, _) = *world.opened().first().expect("nobody was told");
    assert!(opened.since(from) < secs(500), "{opened}");
}

#[test]
fn what_was_pending_when_the_address_moved_is_let_go() {
    let mut world = holder();
    cut(&mut world);
    world.run(secs(25));
    assert!(world.facts.iter().any(|(_, fact)| matches!(fact, Fact::IncidentPending { .. })));
    held(&mut world, false);
    assert!(world.facts.iter().any(|(_, fact)| matches!(fact, Fact::IncidentAverted { .. })));
    world.run(secs(3600));
    assert_eq!(world.opened(), []);
}

#[test]
fn an_open_incident_is_handed_over_with_the_address_and_not_resolved() {
    let mut world = holder();
    cut(&mut world);
    world.run(secs(60));
    assert_eq!(world.kinds(), [Kind::Outage]);
    held(&mut world, false);
    let handed = world
        .facts
        .iter()
        .any(|(_, fact)| matches!(fact, Fact::IncidentChanged { change: IncidentChange::HandedOver, .. }));
    assert!(handed);
    assert!(matches!(world.incidents()[0].state, IncidentState::Unwatched { .. }));
    world.settle();
    world.run(secs(3600));
    assert_eq!(world.incidents(), []);
}

#[test]
fn what_an_earlier_run_left_open_is_handed_over_when_the_address_has_moved_meanwhile() {
    let mut world = holder();
    cut(&mut world);
    world.run(secs(60));
    let incidents = world.incidents();
    assert_eq!(incidents.len(), 1);
    let mut world = World::new(pair(), Remembered { incidents, ..Remembered::default() });
    assert_eq!(world.kinds(), [Kind::Outage], "as long as it is not known who holds it");
    held(&mut world, false);
    assert!(matches!(world.incidents()[0].state, IncidentState::Unwatched { .. }));
    world.settle();
    assert_eq!(world.incidents(), []);
}

#[test]
fn another_address_than_the_plans_says_nothing() {
    let mut world = World::new(pair(), Remembered::default());
    world.tell(Event::AddressHeld { address: [192, 0, 2, 101].into(), held: true });
    assert_eq!(world.local(1), Verdict::Unknown(Why::NotHere));
}

#[test]
fn a_reload_that_asks_for_an_address_waits_for_its_word_and_one_that_asks_for_none_votes() {
    let mut world = World::healthy(two_active());
    world.reconfigure(pair());
    assert_eq!(world.local(1), Verdict::Unknown(Why::NotHere));
    held(&mut world, true);
    world.run(secs(10));
    assert_eq!(world.local(1), Verdict::Up);
    world.reconfigure(Plan { site: "milan-9".into(), ..pair() });
    assert_eq!(world.local(1), Verdict::Up, "what is held stays held");
    held(&mut world, false);
    world.reconfigure(two_active());
    world.run(secs(10));
    assert_eq!(world.local(1), Verdict::Up);
}

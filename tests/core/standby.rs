//! The host of a VRRP pair without the shared address, and how it takes over.

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
    world.feed(Event::AddressHeld { address: ADDRESS, held });
}

/// The host that holds the address, all tunnels healthy.
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
fn the_host_without_the_address_sends_no_probes_and_does_not_vote() {
    for address_known in [false, true] {
        let mut world = World::new(pair(), Remembered::default());
        if address_known {
            held(&mut world, false);
        }
        cut(&mut world);
        world.run(secs(3600));
        assert_eq!(world.local(1), Verdict::Unknown(Why::NotHere));
        assert_eq!((sent_by_the_minute(&world), world.echoes.len()), (0, 0));
        assert_eq!(world.opened(), [], "AWS alone saying Down is not one_sided either");
        assert!(!world.questions.is_empty(), "AWS is still polled");
        assert!(world.monitor.status(world.now).every_tunnel_asked(), "it is ready");
    }
}

#[test]
fn it_adopts_records_only_once_it_holds_the_address() {
    let mut world = World::new(pair(), Remembered::default());
    world.run(secs(10));
    let found = || Event::RecordFound {
        sink: sink(),
        scope: vpn().into(),
        kind: Kind::Outage,
        created: Stamp::from_secs(1),
    };
    world.feed(found());
    assert_eq!(world.incidents(), []);
    held(&mut world, true);
    world.feed(found());
    assert_eq!(world.kinds(), [Kind::Outage]);
    world.run(secs(330));
    assert!(matches!(world.incidents()[0].state, IncidentState::Resolved { .. }));
}

#[test]
fn a_takeover_starts_fresh_and_opens_nothing_until_the_grace_is_over_or_both_ends_agree() {
    let mut world = holder();
    held(&mut world, false);
    assert_eq!(world.local(1), Verdict::Unknown(Why::NotHere));
    world.run(secs(600));
    cut(&mut world);
    held(&mut world, true);
    assert_eq!(world.local(1), Verdict::Unknown(Why::Starting));
    world.run(secs(30));
    assert_eq!(world.local(1), Verdict::Down, "it remembers that the tunnel answered before");
    assert_eq!(world.opened(), []);
    world.run(secs(10));
    assert_eq!(world.opened().len(), 1);
}

#[test]
fn an_address_that_moves_back_and_forth_does_not_prevent_an_outage() {
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
    let (opened, _) = *world.opened().first().expect("no incident opened");
    assert!(opened.since(from) < secs(500), "{opened}");
}

#[test]
fn a_pending_incident_is_dropped_when_the_address_moves_away() {
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
fn an_incident_left_open_by_an_earlier_run_is_handed_over_if_the_address_has_moved() {
    let mut world = holder();
    cut(&mut world);
    world.run(secs(60));
    let incidents = world.incidents();
    assert_eq!(incidents.len(), 1);
    let mut world = World::new(pair(), Remembered { incidents, ..Remembered::default() });
    assert_eq!(world.kinds(), [Kind::Outage], "as long as the holder is unknown");
    held(&mut world, false);
    assert!(matches!(world.incidents()[0].state, IncidentState::Unwatched { .. }));
    world.settle();
    assert_eq!(world.incidents(), []);
}

#[test]
fn an_address_that_is_not_in_the_plan_is_ignored() {
    let mut world = World::new(pair(), Remembered::default());
    world.feed(Event::AddressHeld { address: [192, 0, 2, 101].into(), held: true });
    assert_eq!(world.local(1), Verdict::Unknown(Why::NotHere));
}

#[test]
fn a_reload_that_adds_the_address_waits_for_its_state_and_one_without_it_votes() {
    let mut world = World::healthy(two_active());
    world.reconfigure(pair());
    assert_eq!(world.local(1), Verdict::Unknown(Why::NotHere));
    held(&mut world, true);
    world.run(secs(10));
    assert_eq!(world.local(1), Verdict::Up);
    world.reconfigure(Plan { site: "milan-9".into(), ..pair() });
    assert_eq!(world.local(1), Verdict::Up, "the host still holds the address");
    held(&mut world, false);
    world.reconfigure(two_active());
    world.run(secs(10));
    assert_eq!(world.local(1), Verdict::Up);
}

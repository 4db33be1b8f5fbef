//! A tunnel that is Up, but degraded: what the core says of it, and when that opens an incident.

use std::time::Duration;

use bothends::domain::board::{Incident, TimelineChange};
use bothends::domain::event::{Event, Remembered};
use bothends::domain::fact::{Fact, IncidentChange};
use bothends::domain::names::{Kind, Role};
use bothends::domain::plan::{IncidentRules, Plan, QualityRules, VpnPlan};
use bothends::domain::quality::{Degradation, Quality};
use bothends::domain::status::Phase;
use bothends::domain::time::Stamp;
use bothends::domain::verdict::Verdict;

use crate::world::*;

const SLOW: Line = Line::Carries(Duration::from_millis(220));

fn with_tickets(plan: Plan) -> Plan {
    let vpn = &plan.vpns[0];
    let incident = IncidentRules { degraded_after: Some(secs(300)), ..vpn.incident };
    Plan { vpns: vec![VpnPlan { incident, ..VpnPlan::clone(vpn) }.into()], ..plan }
}

/// Healthy for long enough to know what is usual.
fn known() -> World {
    let mut world = World::new(with_tickets(two_active()), Remembered::default());
    world.run(secs(600));
    world
}

fn cause(world: &World, n: u8) -> Option<&'static str> {
    let status = world.monitor.status(world.now);
    let diagnosis = &status.vpns[0].tunnels[usize::from(n) - 1].diagnosis;
    diagnosis.as_ref().map(|diagnosis| diagnosis.cause.as_str())
}

fn quality(world: &World, n: u8) -> Quality {
    world.monitor.status(world.now).vpns[0].tunnels[usize::from(n) - 1].quality
}

/// The words of the changes of a tunnel's quality.
fn changes(world: &World, n: u8) -> Vec<&'static str> {
    let word = |quality: &Quality| quality.reason().unwrap_or(quality.as_str());
    let of = |fact: &Fact| match fact {
        Fact::QualityChanged { tunnel: id, to, .. } if *id == tunnel(n) => Some(word(to)),
        _ => None,
    };
    world.facts.iter().filter_map(|(_, fact)| of(fact)).collect()
}

/// A line that loses every third echo.
fn lossy(world: &mut World, n: u8, seconds: u64) {
    for second in 0..seconds {
        world.line(n, if second % 3 == 0 { Line::Swallows } else { FAST });
        world.run(secs(1));
    }
    world.line(n, FAST);
}

fn degraded_incident(world: &World) -> Option<std::sync::Arc<Incident>> {
    world.incidents().into_iter().find(|incident| incident.id.kind == Kind::Degraded)
}

#[test]
fn a_slow_tunnel_is_degraded_and_stays_up() {
    let mut world = known();
    world.line(1, SLOW);
    world.run(secs(150));
    let Quality::Degraded(Degradation::Latency { rtt, .. }) = quality(&world, 1) else {
        panic!("{:?}", quality(&world, 1))
    };
    assert_eq!(rtt, Duration::from_millis(220));
    assert_eq!((world.local(1), quality(&world, 2)), (Verdict::Up, Quality::Good));
    assert_eq!((cause(&world, 1), cause(&world, 2)), (Some("slow_path"), None));
    world.line(1, FAST);
    world.run(secs(150));
    assert_eq!(changes(&world, 1), ["good", "latency", "good"]);
    assert_eq!(cause(&world, 1), None);
    assert_eq!((world.opened(), changes(&world, 2)), (Vec::new(), vec!["good"]));
}

#[test]
fn a_lossy_tunnel_is_degraded_and_never_counts_as_down() {
    let mut world = known();
    lossy(&mut world, 1, 200);
    assert_eq!((changes(&world, 1), cause(&world, 1)), (vec!["good", "loss"], Some("lossy_path")));
    let down = |fact: &Fact| matches!(fact, Fact::ViewChanged { view, .. } if view.verdict == Verdict::Down);
    assert!(!world.facts.iter().any(|(_, fact)| down(fact)));
}

#[test]
fn a_tunnel_that_goes_down_has_no_quality_and_starts_afresh() {
    let mut world = known();
    world.line(1, SLOW);
    world.run(secs(150));
    world.line(1, Line::Swallows);
    world.run(secs(30));
    assert_eq!((world.local(1), quality(&world, 1)), (Verdict::Down, Quality::Unknown));
    world.line(1, FAST);
    world.run(secs(60));
    assert_eq!((world.local(1), quality(&world, 1)), (Verdict::Up, Quality::Good));
    assert_eq!(changes(&world, 1), ["good", "latency", "unknown", "good"]);
}

#[test]
fn a_degraded_tunnel_opens_an_incident_of_its_own_kind_which_is_resolved_once_it_is_good() {
    let mut world = known();
    world.line(1, SLOW);
    let began = world.now.wall;
    world.run(secs(600));
    assert_eq!(world.kinds(), [Kind::Degraded]);
    let incident = degraded_incident(&world).expect("open");
    let degraded: Vec<_> = incident.tunnels.iter().map(|tunnel| tunnel.quality.reason()).collect();
    assert_eq!(degraded, [Some("latency"), None]);
    let late = incident.began.since(began);
    assert!((secs(60)..secs(120)).contains(&late), "it began when it was found: {late:?}");
    // Meanwhile AWS is not asked more often: it has no word about quality.
    let asked = world.questions.len();
    world.run(secs(600));
    assert!(world.questions.len() <= asked + 10);
    world.line(1, FAST);
    world.run(secs(600));
    let over = degraded_incident(&world).expect("not settled yet");
    let what: Vec<_> = over.timeline.iter().map(|entry| &entry.what).collect();
    let good = |what: &TimelineChange| matches!(what, TimelineChange::Quality { quality: Quality::Good, .. });
    assert!(good(what[1]) && what[2..] == [&TimelineChange::Clearing, &TimelineChange::Resolved], "{what:?}");
    assert_eq!(over.worsened, 0);
    world.settle();
    assert_eq!(world.kinds(), []);
}

#[test]
fn an_outage_is_its_own_incident_and_the_ticket_waits_for_the_tunnels_to_be_good() {
    let mut world = known();
    world.line(1, SLOW);
    world.run(secs(600));
    for n in [1, 2] {
        world.line(n, Line::Swallows);
        world.aws(n, Aws::Down);
    }
    world.run(secs(300));
    assert_eq!(world.kinds(), [Kind::Outage, Kind::Degraded]);
    let outage = &world.incidents()[0];
    assert_eq!(outage.related, None, "a ticket that few sinks have is not what an outage follows");
    let of_quality = |incident: &Incident| {
        incident.timeline.iter().any(|entry| matches!(entry.what, TimelineChange::Quality { .. }))
    };
    assert!(!of_quality(outage));
    let ticket = degraded_incident(&world).expect("open");
    assert!(of_quality(&ticket));
    assert_eq!(ticket.worsened, 0, "a tunnel that goes down is the outage's business");
    world.run(secs(3600));
    assert!(degraded_incident(&world).is_some(), "what is not known resolves nothing");
    for n in [1, 2] {
        world.line(n, FAST);
        world.aws(n, Aws::Up);
    }
    world.run(secs(900));
    let resolved = |fact: &Fact| match fact {
        Fact::IncidentChanged { incident, change: IncidentChange::Resolved, .. } => Some(incident.id.kind),
        _ => None,
    };
    let resolved: Vec<_> = world.facts.iter().filter_map(|(_, fact)| resolved(fact)).collect();
    assert_eq!(resolved.len(), 2, "{resolved:?}");
}

#[test]
fn a_standby_tunnel_counts_and_one_that_never_answered_does_not_hold_the_ticket_open() {
    let mut world = World::new(with_tickets(plan(&[Role::Standby, Role::Active])), Remembered::default());
    world.line(2, Line::Swallows);
    world.run(secs(600));
    world.line(1, SLOW);
    world.run(secs(600));
    assert!(degraded_incident(&world).is_some());
    world.line(1, FAST);
    world.run(secs(600));
    world.settle();
    assert!(degraded_incident(&world).is_none());
}

#[test]
fn a_record_of_a_degraded_tunnel_is_adopted_as_that_and_as_nothing_else() {
    let mut world = known();
    let found = |world: &World| Event::RecordFound {
        sink: sink(),
        scope: vpn().into(),
        kind: Kind::Degraded,
        created: Stamp::from_secs(world.now.wall.as_millis() / 1000 - 60),
    };
    let event = found(&world);
    world.feed(event);
    assert_eq!(world.kinds(), [Kind::Degraded]);
    world.run(secs(600));
    world.settle();
    assert_eq!(world.kinds(), []);
    // A sink that does not take the kind has nothing to do with it.
    let mut plan = with_tickets(two_active());
    plan.sinks[0].kinds = Kind::BY_DEFAULT.into();
    let mut world = World::healthy(plan);
    let event = found(&world);
    world.feed(event);
    assert_eq!(world.kinds(), []);
}

#[test]
fn short_rules_find_it_within_seconds_and_off_opens_nothing() {
    let mut plan = with_tickets(two_active());
    let vpn = VpnPlan::clone(&plan.vpns[0]);
    let probe = bothends::domain::plan::ProbeRules {
        interval: Duration::from_millis(200),
        suspect_interval: Duration::from_millis(100),
        timeout: secs(2),
        ..vpn.probe
    };
    let quality = QualityRules { after: secs(3), ..vpn.quality };
    let incident = IncidentRules { degraded_after: None, ..vpn.incident };
    plan.vpns = vec![VpnPlan { probe, quality, incident, ..vpn }.into()];
    let mut world = World::healthy(plan);
    world.line(1, SLOW);
    world.run(secs(10));
    assert_eq!(changes(&world, 1), ["good", "latency"]);
    world.run(secs(1200));
    assert_eq!(world.opened(), []);
    let phases = &world.monitor.status(world.now).vpns[0].phases;
    assert!(phases.contains(&(Kind::Degraded, Phase::Clear)));
}

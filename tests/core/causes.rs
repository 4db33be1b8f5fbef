//! Sensors: when they are asked, when what they find names a cause, and when not.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bothends::domain::board::TimelineChange;
use bothends::domain::cause::{Cause, Confidence, Diagnosis};
use bothends::domain::event::{Datapoint, TunnelData};
use bothends::domain::fact::{Fact, IncidentChange};
use bothends::domain::names::{End, Kind, Routing};
use bothends::domain::plan::{Plan, SensorRules, TunnelPlan, VpnPlan};
use bothends::domain::sensor::{
    BgpSession, Child, Finding, Ike, Ipsec, Mtu, Path, Reach, Refusal, SensorKind, Trace, Unavailable,
};
use bothends::domain::side::{Lead, Side};
use bothends::domain::status::TunnelStatus;
use bothends::domain::verdict::{Assessment, Verdict, Why};

use crate::world::*;

const ANSWERS: Reach = Reach::Answers { rtt: Duration::from_millis(5) };
/// Ten overdue echoes at the pace of suspicion, and a timeout.
const VERDICT: Duration = Duration::from_secs(4);

fn watched(plan: Plan, kinds: &[SensorKind], bgp_required: bool) -> Plan {
    let kinds: BTreeSet<SensorKind> = kinds.iter().copied().collect();
    let rules = SensorRules { kinds, bgp_required, mtu_interval: secs(3600) };
    let tunnel = |tunnel: &Arc<TunnelPlan>| {
        Arc::new(TunnelPlan { sensors: rules.clone(), ..TunnelPlan::clone(tunnel) })
    };
    let vpn = &plan.vpns[0];
    let tunnels = vpn.tunnels.iter().map(tunnel).collect();
    Plan {
        vpns: vec![Arc::new(VpnPlan { tunnels, routing: Routing::Bgp, ..VpnPlan::clone(vpn) })],
        ..plan.clone()
    }
}

fn sees(world: &mut World, n: u8, finding: Finding) {
    world.senses.insert((tunnel(n), finding.sensor()), finding);
}

fn path(outside: Reach, reference: Reach) -> Finding {
    Finding::Path(Ok(Path { outside, references: vec![([192, 0, 2, 1].into(), reference)], interface: None }))
}

fn child(bytes_in: u64, bytes_out: u64) -> Child {
    Child { id: 1, bytes_in, bytes_out, idle_in: None }
}

fn ipsec(ike: Ike, child: Option<Child>) -> Finding {
    Finding::Ipsec(Ok(Ipsec { ike: Some(ike), child, refusal: None, dpd_delay: Some(secs(10)) }))
}

const STANDS: Ike = Ike::Established { unanswered: false };

fn session(established: bool) -> Finding {
    Finding::Bgp(Ok(BgpSession {
        established,
        state: if established { "Established" } else { "Active" }.into(),
        prefixes: Some(2),
        no_policy: false,
        missing: Vec::new(),
        last_error: None,
        peer_heard_nothing: false,
    }))
}

/// Both tunnels are well for a while, with every sensor.
fn all_is_well(bgp_required: bool) -> World {
    let plan = watched(two_active(), &SensorKind::ALL, bgp_required);
    let mut world = World::new(plan, Default::default());
    for n in [1, 2] {
        sees(&mut world, n, path(ANSWERS, ANSWERS));
        sees(&mut world, n, ipsec(STANDS, Some(child(100, 100))));
        sees(&mut world, n, session(true));
        let hops = [1, 6, 9, 2].map(|last| Some([198, 51, 100, last].into())).into();
        sees(&mut world, n, Finding::Trace(Ok(Trace { at: WALL, hops, reached: true })));
        sees(&mut world, n, Finding::Mtu(Ok(Mtu { largest: Some(1438), tried: 1500 })));
    }
    world.run(secs(300));
    assert_eq!((cause(&world, 1), cause(&world, 2)), (None, None));
    world
}

fn status(world: &World, n: u8) -> TunnelStatus {
    let status = world.monitor.status(world.now);
    status.vpns[0].tunnels.iter().find(|of| of.id == tunnel(n)).unwrap().clone()
}

fn diagnosis(world: &World, n: u8) -> Option<Diagnosis> {
    status(world, n).diagnosis
}

fn cause(world: &World, n: u8) -> Option<Cause> {
    diagnosis(world, n).map(|found| found.cause)
}

/// Every cause that was ever named for a tunnel, in order.
fn named(world: &World, n: u8) -> Vec<Option<Cause>> {
    let of = |fact: &Fact| match fact {
        Fact::CauseChanged { tunnel: of, to, .. } if *of == tunnel(n) => {
            Some(to.as_ref().map(|found| found.cause))
        }
        _ => None,
    };
    world.facts.iter().filter_map(|(_, fact)| of(fact)).collect()
}

fn looks(world: &World, n: u8, kind: SensorKind) -> usize {
    world.looks.iter().filter(|(_, look)| look.tunnel == tunnel(n) && look.sensor == kind).count()
}

#[test]
fn a_broken_path_is_named_with_the_verdict_and_gone_with_it() {
    let mut world = all_is_well(false);
    world.line(1, Line::Swallows);
    world.aws(1, Aws::Down);
    sees(&mut world, 1, path(Reach::Silent, ANSWERS));
    world.run(VERDICT);
    assert_eq!(status(&world, 1).local.verdict, Verdict::Down);
    assert_eq!(cause(&world, 1), Some(Cause::PathToAws));
    world.run(secs(300));
    let [incident] = world.incidents().try_into().unwrap();
    assert_eq!(incident.tunnels[0].diagnosis.as_ref().map(|found| found.cause), Some(Cause::PathToAws));
    assert_eq!((cause(&world, 2), named(&world, 2)), (None, Vec::new()));
    world.line(1, FAST);
    world.aws(1, Aws::Up);
    sees(&mut world, 1, path(ANSWERS, ANSWERS));
    world.run(secs(10));
    assert_eq!(cause(&world, 1), None);
}

#[test]
fn a_dead_uplink_needs_the_references_and_both_outside_addresses() {
    let mut world = all_is_well(false);
    for n in [1, 2] {
        world.line(n, Line::Swallows);
        sees(&mut world, n, path(Reach::Silent, Reach::Silent));
    }
    world.run(VERDICT);
    for n in [1, 2] {
        assert_eq!(cause(&world, n), Some(Cause::UplinkDown));
    }
    // The references die, the other outside address lives: the uplink works.
    sees(&mut world, 2, path(ANSWERS, Reach::Silent));
    world.run(secs(5));
    assert_eq!(cause(&world, 1), Some(Cause::PathToAws));
}

#[test]
fn the_break_of_one_tunnel_asks_for_the_path_of_the_other() {
    let mut world = all_is_well(false);
    world.line(1, Line::Swallows);
    let before = [looks(&world, 2, SensorKind::Path), looks(&world, 2, SensorKind::Ipsec)];
    world.run(secs(10));
    let after = [looks(&world, 2, SensorKind::Path), looks(&world, 2, SensorKind::Ipsec)];
    assert!(after[0] >= before[0] + 7, "{before:?} {after:?}");
    assert!(after[1] <= before[1] + 1, "{before:?} {after:?}");
}

#[test]
fn a_cause_that_becomes_known_after_the_page_is_added_to_it() {
    let mut world = all_is_well(false);
    world.line(1, Line::Swallows);
    world.aws(1, Aws::Down);
    let unanswered = Finding::Ipsec(Err(Unavailable::TimedOut));
    sees(&mut world, 1, unanswered);
    world.run(secs(200));
    let [incident] = world.incidents().try_into().unwrap();
    let said = |incident: &bothends::domain::board::Incident| {
        incident.timeline.iter().filter(|entry| matches!(entry.what, TimelineChange::Cause { .. })).count()
    };
    assert_eq!(said(&incident), 0);
    sees(&mut world, 1, ipsec(Ike::Absent, None));
    world.run(secs(15));
    let [incident] = world.incidents().try_into().unwrap();
    assert_eq!((said(&incident), cause(&world, 1)), (1, Some(Cause::IkeDown)));
}

#[test]
fn one_look_alone_names_nothing() {
    let mut world = all_is_well(false);
    // An IKE rekey, and three lost echoes.
    let odd = [ipsec(Ike::Absent, None), path(Reach::Silent, Reach::Silent), session(false)];
    for finding in odd {
        let well = world.senses[&(tunnel(1), finding.sensor())].clone();
        let before = looks(&world, 1, finding.sensor());
        sees(&mut world, 1, finding.clone());
        while looks(&world, 1, finding.sensor()) == before {
            world.run(secs(1));
        }
        sees(&mut world, 1, well);
        world.run(secs(120));
    }
    assert_eq!(named(&world, 1), Vec::new());
}

#[test]
fn evidence_of_before_the_break_names_nothing() {
    let mut world = all_is_well(false);
    // The sensors stop answering at the moment of the break: what they said before is history.
    world.senses.clear();
    world.line(1, Line::Swallows);
    world.run(secs(60));
    assert_eq!(named(&world, 1), [Some(Cause::Unknown)]);
}

#[test]
fn a_refusal_is_remembered_as_long_as_no_sa_stands() {
    let mut world = all_is_well(false);
    world.line(1, Line::Swallows);
    let absent =
        |refusal| Finding::Ipsec(Ok(Ipsec { ike: Some(Ike::Absent), child: None, refusal, dpd_delay: None }));
    sees(&mut world, 1, absent(Some(Refusal::Authentication)));
    world.run(VERDICT);
    sees(&mut world, 1, absent(None));
    world.run(secs(300));
    assert_eq!(cause(&world, 1), Some(Cause::IkeRejected));
    assert!(!named(&world, 1).contains(&Some(Cause::IkeDown)), "{:?}", named(&world, 1));
}

#[test]
fn a_stopped_ike_daemon_is_named_only_where_it_was_there_or_left_its_socket() {
    for (was_there, why, named) in [
        (true, Unavailable::NotThere, Cause::GatewayHost),
        (false, Unavailable::NotThere, Cause::Unknown),
        (false, Unavailable::NotRunning, Cause::GatewayHost),
        (true, Unavailable::Denied, Cause::Unknown),
        (true, Unavailable::TimedOut, Cause::Unknown),
    ] {
        let mut world = World::new(watched(two_active(), &[SensorKind::Ipsec], false), Default::default());
        let at_first = if was_there { ipsec(STANDS, Some(child(1, 1))) } else { Finding::Ipsec(Err(why)) };
        sees(&mut world, 1, at_first);
        world.run(secs(120));
        sees(&mut world, 1, Finding::Ipsec(Err(why)));
        world.line(1, Line::Swallows);
        world.run(secs(8));
        assert_eq!(cause(&world, 1), Some(named), "{was_there} {why:?}");
    }
}

#[test]
fn one_way_needs_an_ike_peer_that_is_known_to_live() {
    let mut world = all_is_well(false);
    world.line(1, Line::Swallows);
    let mut sent = 100;
    let mut goes_on = |world: &mut World, seconds: u64, ike| {
        for _ in 0..seconds {
            sent += 84;
            sees(world, 1, ipsec(ike, Some(child(100, sent))));
            sees(world, 1, session(false));
            world.run(secs(1));
        }
    };
    goes_on(&mut world, 9, STANDS);
    // Until dead peer detection is due a dead endpoint looks the same.
    assert_eq!(cause(&world, 1), Some(Cause::Unknown));
    goes_on(&mut world, 10, STANDS);
    assert_eq!(cause(&world, 1), Some(Cause::IpsecOneWay));
    // It is due, and not answered.
    let mut world = all_is_well(false);
    world.line(1, Line::Swallows);
    goes_on(&mut world, 9, STANDS);
    goes_on(&mut world, 10, Ike::Established { unanswered: true });
    assert_eq!(cause(&world, 1), Some(Cause::IkeDown));
    assert!(!named(&world, 1).contains(&Some(Cause::IpsecOneWay)));
}

#[test]
fn bgp_is_named_when_it_alone_is_down_and_not_while_it_settles() {
    let mut world = all_is_well(false);
    sees(&mut world, 1, session(false));
    world.aws(1, Aws::BgpDown);
    world.run(secs(70));
    assert_eq!(cause(&world, 1), Some(Cause::BgpDown));
    sees(&mut world, 1, session(true));
    world.aws(1, Aws::Up);
    world.run(secs(70));
    assert_eq!(cause(&world, 1), None);
    // The tunnel comes back, and its session some seconds later.
    world.line(1, Line::Swallows);
    sees(&mut world, 1, session(false));
    sees(&mut world, 1, path(Reach::Silent, ANSWERS));
    world.run(secs(60));
    world.line(1, FAST);
    sees(&mut world, 1, path(ANSWERS, ANSWERS));
    world.run(secs(20));
    assert_eq!((status(&world, 1).local.verdict, cause(&world, 1)), (Verdict::Up, None));
    world.run(secs(30));
    assert_eq!(cause(&world, 1), Some(Cause::BgpDown));
}

#[test]
fn a_required_session_votes_and_its_silence_does_not() {
    let mut world = all_is_well(true);
    world.aws(1, Aws::BgpDown);
    sees(&mut world, 1, session(false));
    world.run(secs(15));
    assert_eq!(status(&world, 1).local.verdict, Verdict::Down);
    assert_eq!(
        diagnosis(&world, 1).map(|it| (it.cause, it.confidence)),
        Some((Cause::BgpDown, Confidence::Certain))
    );
    world.run(secs(200));
    assert_eq!(world.kinds(), [Kind::RedundancyLost]);
    sees(&mut world, 1, session(true));
    world.aws(1, Aws::Up);
    world.run(secs(15));
    assert_eq!(status(&world, 1).local.verdict, Verdict::Up);
    // The BGP daemon hangs: no evidence is no evidence of down.
    world.run(secs(400));
    sees(&mut world, 1, Finding::Bgp(Err(Unavailable::TimedOut)));
    world.run(secs(20));
    assert_eq!(status(&world, 1).local.verdict, Verdict::Up, "one answer holds for a while");
    world.run(secs(40));
    assert_eq!(status(&world, 1).local.verdict, Verdict::Unknown(Why::BgpUnknown));
    world.run(secs(3600));
    let opened =
        |(_, fact): &&(_, Fact)| matches!(fact, Fact::IncidentChanged { change: IncidentChange::Opened, .. });
    assert_eq!(world.facts.iter().filter(opened).count(), 1, "that of the session that was lost");
}

#[test]
fn a_failed_look_does_not_take_a_name_away() {
    let mut world = all_is_well(false);
    sees(&mut world, 1, Finding::Ipsec(Err(Unavailable::TimedOut)));
    world.line(1, Line::Swallows);
    sees(&mut world, 1, path(Reach::Silent, ANSWERS));
    world.run(secs(10));
    sees(&mut world, 1, Finding::Path(Err(Unavailable::HostError)));
    world.run(secs(5));
    sees(&mut world, 1, path(Reach::Silent, ANSWERS));
    world.run(secs(60));
    let all = named(&world, 1);
    assert_eq!(all.iter().filter(|cause| **cause == Some(Cause::PathToAws)).count(), 1, "{all:?}");
    assert_eq!(cause(&world, 1), Some(Cause::PathToAws));
}

#[test]
fn a_trace_is_made_at_the_break_and_a_good_one_in_calm() {
    let mut world = all_is_well(false);
    assert_eq!(looks(&world, 1, SensorKind::Trace), 1, "in calm");
    world.line(1, Line::Swallows);
    sees(&mut world, 1, path(Reach::Silent, ANSWERS));
    let hops = vec![Some([198, 51, 100, 1].into()), Some([198, 51, 100, 6].into())];
    let at = world.now.wall;
    sees(&mut world, 1, Finding::Trace(Ok(Trace { at, hops, reached: false })));
    world.run(secs(120));
    assert_eq!(looks(&world, 1, SensorKind::Trace), 2);
    assert_eq!(diagnosis(&world, 1).map(|it| it.confidence), Some(Confidence::Certain));
}

#[test]
fn calm_is_quiet_and_a_break_is_looked_at_every_second_for_a_while() {
    let mut world = all_is_well(false);
    let kinds = [SensorKind::Ipsec, SensorKind::Bgp, SensorKind::Path];
    let counts = |world: &World| kinds.map(|kind| looks(world, 1, kind));
    let before = counts(&world);
    world.run(secs(3600));
    let calm = counts(&world);
    for ((index, kind), expected) in kinds.iter().enumerate().zip([60, 120, 60]) {
        assert_eq!(calm[index] - before[index], expected, "{kind:?}");
    }
    world.line(1, Line::Swallows);
    world.run(secs(30));
    let fast = counts(&world);
    world.run(secs(3600));
    let long = counts(&world);
    for (index, kind) in kinds.iter().enumerate() {
        assert!((26..=31).contains(&(fast[index] - calm[index])), "{kind:?} {}", fast[index] - calm[index]);
        // 10 minutes briskly, the rest as in calm.
        assert!(long[index] - fast[index] < 230, "{kind:?} {}", long[index] - fast[index]);
    }
}

#[test]
fn a_lost_answer_is_asked_for_again() {
    let mut world = World::new(watched(two_active(), &[SensorKind::Path], false), Default::default());
    world.run(secs(50));
    assert_eq!(looks(&world, 1, SensorKind::Path), 1);
    world.run(secs(20));
    assert_eq!(looks(&world, 1, SensorKind::Path), 2);
}

#[test]
fn without_sensors_nothing_is_asked_and_a_cause_is_unknown() {
    let mut world = World::healthy(two_active());
    world.line(1, Line::Swallows);
    world.run(secs(60));
    assert!(world.looks.is_empty());
    assert_eq!(named(&world, 1), [Some(Cause::Unknown)]);
}

/// A minute of AWS's bytes, so many minutes ago.
fn bytes(world: &World, minutes_ago: u64, value: f64) -> Option<Datapoint> {
    let stamp = (world.now.wall - secs(60 * minutes_ago)).minute();
    Some(Datapoint { value, ..Datapoint::of_minute(stamp, 0.0) })
}

#[test]
fn awss_bytes_of_after_the_break_name_the_side() {
    let mut world = all_is_well(false);
    world.line(1, Line::Swallows);
    let mut sent = 100;
    let mut goes_on = |world: &mut World, seconds: u64| {
        for _ in 0..seconds {
            sent += 84;
            sees(world, 1, ipsec(STANDS, Some(child(100, sent))));
            sees(world, 1, session(false));
            world.run(secs(1));
        }
    };
    let lead = |world: &World| diagnosis(world, 1).and_then(|found| found.lead);
    goes_on(&mut world, 60);
    assert_eq!((cause(&world, 1), lead(&world)), (Some(Cause::IpsecOneWay), None));
    // Of before the break: AWS received nothing then either, by its count.
    let nothing = |world: &World, newest| [bytes(world, newest, 0.0), bytes(world, newest + 1, 0.0)];
    let data = |bytes_in| vec![(tunnel(1), TunnelData { bytes_in, bytes_out: [None, None] })];
    world.data = data(nothing(&world, 1));
    goes_on(&mut world, 60);
    assert_eq!(lead(&world), None, "one of the minutes holds the break");
    goes_on(&mut world, 120);
    world.data = data(nothing(&world, 1));
    goes_on(&mut world, 60);
    assert_eq!((cause(&world, 1), lead(&world)), (Some(Cause::IpsecOneWay), Some(Lead::OutboundLost)));
    assert_eq!(world.assessment(1), Assessment::Disputed(End::Local));
    // Told with the change, and gone with the trouble.
    let mut sides = world.facts.iter().filter_map(|(_, fact)| match fact {
        Fact::CauseChanged { to: Some(found), .. } => Some(found.side()),
        _ => None,
    });
    assert_eq!(sides.next_back(), Some(Side::ThisGateway));
    world.line(1, FAST);
    world.run(secs(60));
    assert_eq!(lead(&world), None);
}

#[test]
fn a_reference_that_died_in_calm_proves_nothing_at_the_next_break() {
    let mut world = all_is_well(false);
    for n in [1, 2] {
        sees(&mut world, n, path(Reach::Silent, Reach::Silent));
    }
    world.run(secs(24 * 3600));
    world.line(1, Line::Swallows);
    sees(&mut world, 1, ipsec(Ike::Absent, None));
    world.run(secs(10));
    assert_eq!(cause(&world, 1), Some(Cause::IkeDown));
}

#[test]
fn a_stray_reply_does_not_make_the_evidence_of_a_break_old() {
    let mut world = all_is_well(false);
    world.line(1, Line::Swallows);
    sees(&mut world, 1, path(Reach::Silent, ANSWERS));
    world.run(secs(60));
    let traces = looks(&world, 1, SensorKind::Trace);
    let changes = named(&world, 1).len();
    for _ in 0..5 {
        world.line(1, FAST);
        world.run(secs(1));
        world.line(1, Line::Swallows);
        world.run(secs(30));
    }
    assert_eq!(status(&world, 1).local.verdict, Verdict::Down);
    assert_eq!((looks(&world, 1, SensorKind::Trace), named(&world, 1).len()), (traces, changes));
}

#[test]
fn a_vote_of_long_ago_takes_no_vote_away() {
    let mut world = all_is_well(true);
    sees(&mut world, 1, session(false));
    world.aws(1, Aws::BgpDown);
    world.run(secs(60));
    assert_eq!(status(&world, 1).local.verdict, Verdict::Down);
    // The BGP daemon hangs for an hour, and the first answer after that shows a session that is being set up.
    sees(&mut world, 1, Finding::Bgp(Err(Unavailable::TimedOut)));
    world.run(secs(3600));
    sees(&mut world, 1, session(false));
    let before = looks(&world, 1, SensorKind::Bgp);
    while looks(&world, 1, SensorKind::Bgp) == before {
        world.run(Duration::from_millis(500));
    }
    assert_eq!(status(&world, 1).local.verdict, Verdict::Unknown(Why::BgpUnknown));
}

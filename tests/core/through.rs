//! Hosts behind a tunnel, required or not, and tunnels that are seen from behind the gateway.

use std::net::IpAddr;
use std::sync::Arc;

use bothends::domain::carrying::{Carrying, Traffic};
use bothends::domain::event::{Remembered, SeenUp};
use bothends::domain::fact::Fact;
use bothends::domain::names::{CheckKind, End, Kind, Role, Routing};
use bothends::domain::plan::{Plan, Route, ThroughGroup, ThroughRules, TunnelPlan, Vantage, VpnPlan};
use bothends::domain::status::TunnelStatus;
use bothends::domain::time::Moment;
use bothends::domain::verdict::{Assessment, Evidence, Verdict, Why};
use bothends::domain::votes;

use crate::world::*;

const HOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 10));
const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 1, 10));

fn group(hosts: &[IpAddr], min: usize, required: bool) -> ThroughGroup {
    let route = |host: &IpAddr| {
        Arc::new(Route {
            inside_ip: *host,
            source_ip: [192, 168, 1, 1].into(),
            interface: None,
            fwmark: None,
        })
    };
    ThroughGroup { routes: hosts.iter().map(route).collect(), min, required }
}

fn with(mut plan: Plan, routing: Routing, change: impl Fn(&mut TunnelPlan)) -> Plan {
    let changed = |vpn: &Arc<VpnPlan>| {
        let mut vpn = VpnPlan { routing, ..(**vpn).clone() };
        for tunnel in &mut vpn.tunnels {
            change(Arc::make_mut(tunnel));
        }
        Arc::new(vpn)
    };
    plan.vpns = plan.vpns.iter().map(changed).collect();
    plan
}

/// Two active tunnels, each with this group.
fn through(group: &ThroughGroup) -> Plan {
    with(two_active(), Routing::Unknown, |tunnel| {
        tunnel.through = ThroughRules { vantage: Vantage::Gateway, groups: vec![group.clone()] };
    })
}

/// Tunnels of these roles, seen from behind the gateway by one required host.
fn behind(roles: &[Role], routing: Routing) -> Plan {
    let shared = roles.iter().filter(|role| **role != Role::Unused).count() > 1;
    with(plan(roles), routing, |tunnel| {
        let groups = vec![group(&[HOST], 1, true)];
        tunnel.route = Arc::clone(&groups[0].routes[0]);
        tunnel.through = ThroughRules { vantage: Vantage::Behind { shared }, groups };
    })
}

fn status(world: &World, n: u8) -> TunnelStatus {
    let status = world.monitor.status(world.now);
    status.vpns[0].tunnels.iter().find(|status| status.id == tunnel(n)).unwrap().clone()
}

fn traffic(world: &World) -> Traffic {
    world.monitor.status(world.now).vpns[0].traffic()
}

/// When this kind of check of tunnel 1 probed, since a moment.
fn probes(world: &World, kind: CheckKind, since: Moment) -> Vec<Moment> {
    let of = |(at, check): &(Moment, _)| {
        let check: &bothends::domain::names::CheckId = check;
        (*at >= since && check.tunnel == tunnel(1) && check.kind == kind).then_some(*at)
    };
    world.probes.iter().filter_map(of).collect()
}

fn all_down(world: &mut World) {
    for n in [1, 2] {
        world.line(n, Line::Swallows);
        world.aws(n, Aws::Down);
    }
}

#[test]
fn a_required_host_that_falls_silent_makes_our_end_down_and_names_itself() {
    let mut world = World::healthy(through(&group(&[HOST], 1, true)));
    assert_eq!(world.local(1), Verdict::Up);
    let last = world.now;
    world.host(1, HOST, Line::Swallows);
    world.run(secs(10));
    let tunnel = status(&world, 1);
    assert_eq!(tunnel.local.verdict, Verdict::Down);
    let Evidence::Local(evidence) = tunnel.local.evidence else { panic!("not ours") };
    assert_eq!(evidence.through, Some(HOST));
    let stopped = evidence.stopped.unwrap().mono;
    assert!(last.mono.since(stopped) <= secs(2), "packets stopped with the host's last reply");
    assert_eq!((world.local(2), world.assessment(1)), (Verdict::Up, Assessment::Disputed(End::Local)));
    world.host(1, HOST, FAST);
    world.run(secs(3));
    assert_eq!(world.local(1), Verdict::Up);
}

#[test]
fn a_required_host_that_never_answered_takes_the_vote_and_is_never_down() {
    let mut world = World::new(through(&group(&[HOST], 1, true)), Remembered::default());
    world.host(1, HOST, Line::Swallows);
    world.run(secs(60));
    assert_eq!(world.local(1), Verdict::Unknown(Why::NeverAnswered));
    world.run(secs(1200));
    let missing = votes::missing(&world.monitor.status(world.now));
    let lacks: Vec<_> = missing.iter().map(|missing| (missing.lack, missing.tunnels.len())).collect();
    assert_eq!(lacks, [(votes::Lack::HostNeverAnswered, 1)]);
    // AWS's inside address votes all the same once it says Down.
    world.line(1, Line::Swallows);
    world.run(secs(10));
    assert_eq!(world.local(1), Verdict::Down);
}

#[test]
fn as_many_hosts_as_needed_are_enough() {
    let mut world = World::healthy(through(&group(&[HOST, OTHER], 1, true)));
    world.host(1, HOST, Line::Swallows);
    world.run(secs(30));
    assert_eq!(world.local(1), Verdict::Up);
    world.host(1, OTHER, Line::Swallows);
    world.run(secs(10));
    assert_eq!(world.local(1), Verdict::Down);
}

#[test]
fn a_host_that_is_not_required_explains_and_never_votes() {
    let mut world = World::healthy(through(&group(&[HOST], 1, false)));
    let from = world.now.mono;
    world.host(1, HOST, Line::Swallows);
    world.run(secs(60));
    let tunnel = status(&world, 1);
    assert_eq!((tunnel.local.verdict, tunnel.assessment), (Verdict::Up, Assessment::Healthy));
    let check = tunnel.checks.iter().find(|check| check.kind == CheckKind::Through(HOST)).unwrap();
    assert_eq!((check.votes, check.verdict), (false, Verdict::Down));
    let cause = tunnel.diagnosis.map(|found| found.cause);
    assert_eq!(cause, Some(bothends::domain::cause::Cause::VpcUnreachable));
    assert!(probes(&world, CheckKind::Through(HOST), from).len() > 10, "it is asked faster while in doubt");
    world.host(1, HOST, FAST);
    world.run(secs(3));
    let tunnel = status(&world, 1);
    assert!(tunnel.checks.iter().all(|check| check.verdict == Verdict::Up));
    assert_eq!(tunnel.diagnosis, None);
}

#[test]
fn a_host_without_a_vote_is_probed_seldom_in_calm_and_at_once_when_its_tunnel_is_in_doubt() {
    let mut world = World::healthy(through(&group(&[HOST], 1, false)));
    let calm = world.now.mono;
    world.run(secs(600));
    let seldom = probes(&world, CheckKind::Through(HOST), calm).len();
    assert!((19..=23).contains(&seldom), "{seldom}: every 30 s, and a fresh socket now and then");
    let often = probes(&world, CheckKind::Inside, calm).len();
    assert!((599..=603).contains(&often), "{often}: with a vote it is every second as before");

    let broken = world.now.mono;
    world.line(1, Line::Swallows);
    world.run(secs(5));
    assert_eq!(world.local(1), Verdict::Down);
    let first = probes(&world, CheckKind::Through(HOST), broken)[0];
    assert!(first.since(broken) < secs(2), "{:?}", first.since(broken));
    let through = status(&world, 1).checks[1].verdict;
    assert_eq!(through, Verdict::Down, "it is known at about the same time");
}

#[test]
fn minutes_are_those_of_the_inside_address_alone() {
    let counts = |plan: Plan| {
        let mut world = World::healthy(plan);
        world.run(secs(600));
        let of = |(_, fact): &(Moment, Fact)| match fact {
            Fact::RollupReady(rollup) => Some((rollup.replies, rollup.lost)),
            _ => None,
        };
        world.facts.iter().filter_map(of).collect::<Vec<_>>()
    };
    assert_eq!(counts(through(&group(&[HOST, OTHER], 1, true))), counts(two_active()));
}

#[test]
fn hosts_change_by_a_reload_and_the_tunnel_goes_on() {
    let mut world = World::healthy(through(&group(&[HOST], 1, false)));
    let since = status(&world, 1).local.since;
    world.host(1, OTHER, Line::Swallows);
    world.reconfigure(through(&group(&[HOST, OTHER], 1, true)));
    world.run(secs(30));
    let tunnel = status(&world, 1);
    assert_eq!((tunnel.local.verdict, tunnel.local.since), (Verdict::Up, since));
    assert_eq!(tunnel.checks.len(), 3);
    world.reconfigure(two_active());
    world.run(secs(1));
    let from = world.now.mono;
    world.run(secs(60));
    assert_eq!(status(&world, 1).checks.len(), 1);
    assert_eq!(probes(&world, CheckKind::Through(HOST), from).len(), 0);
}

#[test]
fn a_restart_remembers_that_a_host_has_answered() {
    let plan = through(&group(&[HOST], 1, true));
    let mut world = World::healthy(plan.clone());
    let seen_up: Vec<SeenUp> = world
        .facts
        .iter()
        .filter_map(|(_, fact)| match fact {
            Fact::SeenUp(seen) => Some(seen.clone()),
            _ => None,
        })
        .collect();
    world.host(1, HOST, Line::Swallows);
    world.restart(plan, Remembered { seen_up, ..Remembered::default() });
    world.run(secs(15));
    assert_eq!(world.local(1), Verdict::Down);
}

#[test]
fn from_behind_a_reply_is_of_the_connection_and_no_tunnel_is_called_up_by_it() {
    let mut world = World::healthy(behind(&[Role::Active, Role::Active], Routing::Unknown));
    for n in [1, 2] {
        let tunnel = status(&world, n);
        assert_eq!(tunnel.local.verdict, Verdict::Unknown(Why::Shared));
        assert_eq!((tunnel.assessment, tunnel.carrying), (Assessment::Healthy, Carrying::Carrying));
        assert_eq!(tunnel.checks.len(), 1, "AWS's inside address is not probed");
    }
    assert_eq!(traffic(&world), Traffic::Flows);
    world.run(secs(3600));
    let now = world.monitor.status(world.now);
    assert!(votes::missing(&now).is_empty(), "our end would say Down, so it has its vote");
    assert!(world.facts.iter().any(|(_, fact)| matches!(fact, Fact::CouldVote { .. })));
}

#[test]
fn from_behind_an_outage_is_agreed_on_and_ends() {
    for routing in [Routing::Unknown, Routing::Static, Routing::Bgp] {
        let mut world = World::healthy(behind(&[Role::Active, Role::Active], routing));
        all_down(&mut world);
        world.run(secs(10));
        assert_eq!([world.local(1), world.local(2)], [Verdict::Down; 2]);
        world.run(secs(110));
        assert_eq!(world.kinds(), [Kind::Outage], "{routing:?}");
        for n in [1, 2] {
            world.line(n, FAST);
            world.aws(n, Aws::Up);
        }
        world.run(secs(900));
        world.settle();
        world.run(secs(1));
        assert_eq!(world.kinds(), [], "{routing:?}");
    }
}

#[test]
fn from_behind_a_tunnel_that_aws_calls_down_is_unconfirmed_while_the_connection_works() {
    for routing in [Routing::Unknown, Routing::Static, Routing::Bgp] {
        let mut world = World::healthy(behind(&[Role::Active, Role::Active], routing));
        world.aws(1, Aws::BgpDown);
        world.run(secs(7200));
        let down = status(&world, 1);
        assert_eq!(down.local.verdict, Verdict::Unknown(Why::Shared), "{routing:?}");
        assert_eq!(down.assessment, Assessment::Unconfirmed(End::Aws), "{routing:?}");
        assert_eq!(status(&world, 2).assessment, Assessment::Healthy, "{routing:?}");
        assert_eq!(traffic(&world), Traffic::Flows, "{routing:?}");
        assert_eq!(world.opened(), [], "{routing:?}: our end confirms no tunnel's loss from here");
    }
}

#[test]
fn from_behind_one_tunnel_down_by_aws_and_a_silent_connection_are_an_outage() {
    let mut world = World::healthy(behind(&[Role::Active, Role::Active], Routing::Static));
    world.aws(1, Aws::Down);
    for n in [1, 2] {
        world.line(n, Line::Swallows);
    }
    world.run(secs(180));
    assert_eq!(world.assessment(1), Assessment::Down);
    assert_eq!(world.assessment(2), Assessment::Disputed(End::Local));
    assert_eq!(world.kinds(), [Kind::Outage]);
}

#[test]
fn from_behind_both_tunnels_down_by_aws_while_the_connection_works_is_one_sided() {
    let mut world = World::healthy(behind(&[Role::Active, Role::Active], Routing::Bgp));
    world.aws(1, Aws::Down);
    world.aws(2, Aws::Down);
    world.run(secs(600));
    assert_eq!(traffic(&world), Traffic::CannotTell, "AWS says that nothing flows, and replies come");
    assert_eq!(world.opened(), []);
    world.run(secs(600));
    assert_eq!(world.kinds(), [Kind::OneSided]);
}

#[test]
fn from_behind_the_only_used_tunnel_is_up_by_its_replies() {
    let mut world = World::healthy(behind(&[Role::Active, Role::Unused], Routing::Bgp));
    assert_eq!((world.local(1), world.assessment(1)), (Verdict::Up, Assessment::Healthy));
    // A reply had a route: that AWS's BGP session is down does not agree with it.
    world.aws(1, Aws::BgpDown);
    world.run(secs(600));
    assert_eq!(world.assessment(1), Assessment::Disputed(End::Aws));
    assert_eq!(world.opened(), []);
}

#[test]
fn from_behind_a_host_that_never_answered_is_no_evidence() {
    let mut world = World::new(behind(&[Role::Active, Role::Active], Routing::Static), Remembered::default());
    for n in [1, 2] {
        world.line(n, Line::Swallows);
    }
    world.run(secs(1800));
    assert_eq!([world.local(1), world.local(2)], [Verdict::Unknown(Why::NeverAnswered); 2]);
    assert_eq!(world.opened(), []);
    let lacks: Vec<_> =
        votes::missing(&world.monitor.status(world.now)).iter().map(|missing| missing.lack).collect();
    assert_eq!(lacks, [votes::Lack::HostNeverAnswered]);
}

#[test]
fn from_behind_minutes_count_the_replies_and_claim_no_tunnel() {
    let mut world = World::healthy(behind(&[Role::Active, Role::Active], Routing::Static));
    world.run(secs(600));
    let of = |(_, fact): &(Moment, Fact)| match fact {
        Fact::RollupReady(rollup) => Some((rollup.replies, rollup.up, rollup.both_ends_down)),
        _ => None,
    };
    let rollups: Vec<_> = world.facts.iter().filter_map(of).collect();
    let (replies, up, both_ends_down) = rollups[rollups.len() - 1];
    assert!(replies >= 59, "{replies}");
    assert_eq!((up, both_ends_down), (None, Some(false)));
}

/// How long after the end of a fault our end says Up again.
fn right_again_after(world: &mut World) -> std::time::Duration {
    let end = world.now.mono;
    while world.local(1) != Verdict::Up {
        assert!(world.now.mono.since(end) < secs(10), "{:?}", world.local(1));
        world.run(std::time::Duration::from_millis(50));
    }
    world.now.mono.since(end)
}

#[test]
fn probing_is_right_again_within_3_s_of_a_faults_end_and_the_other_tunnel_never_noticed() {
    // An interface that vanishes, an address that changes, no socket, a dead path.
    for fault in [Line::NoPath, Line::Missing, Line::Faulty, Line::Swallows] {
        for lasts in [secs(5), secs(65), secs(1800)] {
            let mut world = World::healthy(through(&group(&[HOST], 1, true)));
            let since = status(&world, 2).local.since;
            world.line(1, fault);
            world.run(lasts);
            if lasts > secs(60) {
                assert_ne!(world.local(1), Verdict::Up, "{fault:?}");
            }
            world.line(1, FAST);
            let after = right_again_after(&mut world);
            assert!(after <= secs(3), "{fault:?} of {lasts:?}: {after:?}");
            assert_eq!(status(&world, 2).local.since, since, "{fault:?}");
        }
    }
}

#[test]
fn after_a_suspension_probing_is_right_again_within_3_s_and_nothing_was_down() {
    for gap in [secs(11), secs(600), secs(8 * 3600)] {
        let mut world = World::healthy(through(&group(&[HOST], 1, true)));
        let facts = world.facts.len();
        world.sleep(gap);
        world.run(secs(3));
        assert_eq!([world.local(1), world.local(2)], [Verdict::Up; 2], "{gap:?}");
        let down = |(_, fact): &&(Moment, Fact)| matches!(fact, Fact::ViewChanged { end: End::Local, view, .. } if view.verdict == Verdict::Down);
        assert_eq!(world.facts[facts..].iter().find(down), None, "{gap:?}");
    }
}

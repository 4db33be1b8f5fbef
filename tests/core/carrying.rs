//! What counts as an outage: connections with one working tunnel, BGP, roles, and reloads in every phase.

use std::sync::Arc;

use bothends::domain::board::IncidentState;
use bothends::domain::carrying::{CannotTell, Carrying, NotCarrying, Traffic};
use bothends::domain::event::Remembered;
use bothends::domain::names::{Kind, Role, Routing, SourceKind};
use bothends::domain::plan::{Plan, VpnPlan};
use bothends::domain::verdict::{Assessment, Verdict};

use crate::world::*;

pub(crate) const ACTIVE: Role = Role::Active;
pub(crate) const STANDBY: Role = Role::Standby;

pub(crate) fn routed(plan: Plan, routing: Routing) -> Plan {
    let vpn = VpnPlan { routing, ..VpnPlan::clone(&plan.vpns[0]) };
    Plan { vpns: vec![Arc::new(vpn)], ..plan }
}

/// Only CloudWatch as evidence; it has no status messages.
pub(crate) fn by_cloudwatch(plan: Plan) -> Plan {
    let mut vpn = VpnPlan::clone(&plan.vpns[0]);
    vpn.aws.sources = vec![source(SourceKind::CloudWatch)];
    Plan { vpns: vec![Arc::new(vpn)], ..plan }
}

/// The first tunnel works, the others never answered, and AWS reports them Down.
fn one_works(roles: &[Role]) -> World {
    let mut world = World::new(plan(roles), Remembered::default());
    for n in others(roles) {
        world.line(n, Line::Swallows);
        world.aws(n, Aws::Down);
    }
    world.run(secs(300));
    world
}

fn others(roles: &[Role]) -> std::ops::RangeInclusive<u8> {
    2..=u8::try_from(roles.len()).unwrap()
}

pub(crate) fn cut(world: &mut World, n: u8) {
    world.line(n, Line::Swallows);
    world.aws(n, Aws::Down);
}

pub(crate) fn mend(world: &mut World, n: u8) {
    world.line(n, FAST);
    world.aws(n, Aws::Up);
}

pub(crate) fn kinds_opened(world: &World) -> Vec<Kind> {
    world.opened().iter().map(|(_, kind)| *kind).collect()
}

pub(crate) fn carrying(world: &World, n: u8) -> Carrying {
    let status = world.monitor.status(world.now);
    status.vpns[0].tunnels.iter().find(|t| t.id == tunnel(n)).unwrap().carrying
}

fn traffic(world: &World) -> Traffic {
    world.monitor.status(world.now).vpns[0].traffic()
}

#[test]
fn the_only_working_tunnel_going_down_is_an_outage() {
    for roles in [
        &[ACTIVE][..],
        &[ACTIVE, STANDBY],
        &[ACTIVE, ACTIVE],
        &[ACTIVE, STANDBY, ACTIVE],
        &[ACTIVE, ACTIVE, STANDBY, STANDBY],
    ] {
        let mut world = one_works(roles);
        assert_eq!((world.kinds(), traffic(&world)), (vec![], Traffic::Flows), "{roles:?}");
        cut(&mut world, 1);
        world.run(secs(60));
        assert_eq!(kinds_opened(&world), [Kind::Outage], "{roles:?}");
        assert_eq!(traffic(&world), Traffic::DoesNotFlow, "{roles:?}");
        assert_eq!(world.incidents()[0].traffic(), Traffic::DoesNotFlow);
        mend(&mut world, 1);
        world.run(secs(400));
        assert!(matches!(world.incidents()[0].state, IncidentState::Resolved { .. }), "{roles:?}");
        assert_eq!(kinds_opened(&world), [Kind::Outage], "{roles:?}");
    }
}

#[test]
fn the_only_working_tunnel_going_down_is_an_outage_even_if_the_other_cannot_be_probed() {
    for line in [Line::Faulty, Line::Missing] {
        let mut world = World::new(two_active(), Remembered::default());
        world.line(2, line);
        world.aws(2, Aws::Down);
        world.run(secs(300));
        assert_eq!(carrying(&world, 2), Carrying::NotCarrying(NotCarrying::AwsDown));
        cut(&mut world, 1);
        world.run(secs(60));
        assert_eq!(kinds_opened(&world), [Kind::Outage], "{line:?}");
    }
}

#[test]
fn if_the_other_tunnel_may_work_it_is_redundancy_lost_without_a_claim_about_traffic() {
    for (line, aws) in [(Line::Faulty, Aws::Up), (Line::Swallows, Aws::Nothing), (Line::Faulty, Aws::Nothing)]
    {
        let mut world = World::new(two_active(), Remembered::default());
        world.line(2, line);
        world.aws(2, aws);
        world.run(secs(300));
        cut(&mut world, 1);
        world.run(secs(100));
        assert_eq!(kinds_opened(&world), [], "{line:?} {aws:?}");
        world.run(secs(60));
        assert_eq!(kinds_opened(&world), [Kind::RedundancyLost], "{line:?} {aws:?}");
        assert_eq!(world.incidents()[0].traffic(), Traffic::CannotTell, "{line:?} {aws:?}");
        // It turns out to be an outage.
        world.aws(2, Aws::Down);
        world.run(secs(120));
        assert_eq!(kinds_opened(&world), [Kind::RedundancyLost, Kind::Outage], "{line:?} {aws:?}");
        let outage = world.incidents().into_iter().find(|it| it.id.kind == Kind::Outage).unwrap();
        assert_eq!(outage.related.as_ref().map(|id| id.kind), Some(Kind::RedundancyLost));
    }
}

#[test]
fn if_another_tunnel_carries_traffic_it_is_redundancy_lost_and_says_so() {
    let mut world = World::healthy(plan(&[ACTIVE, ACTIVE, STANDBY]));
    cut(&mut world, 1);
    world.run(secs(200));
    assert_eq!(kinds_opened(&world), [Kind::RedundancyLost]);
    assert_eq!(world.incidents()[0].traffic(), Traffic::Flows);
    cut(&mut world, 2);
    world.run(secs(200));
    assert_eq!(kinds_opened(&world), [Kind::RedundancyLost]);
    cut(&mut world, 3);
    world.run(secs(60));
    assert_eq!(kinds_opened(&world), [Kind::RedundancyLost, Kind::Outage]);
}

#[test]
fn if_no_far_end_ever_answered_an_all_down_from_aws_is_one_sided() {
    let mut world = World::new(two_active(), Remembered::default());
    for n in [1, 2] {
        world.line(n, Line::Swallows);
    }
    world.run(secs(300));
    assert_eq!(traffic(&world), Traffic::CannotTell);
    for n in [1, 2] {
        world.aws(n, Aws::Down);
    }
    world.run(secs(600));
    assert_eq!(kinds_opened(&world), []);
    world.run(secs(600));
    assert_eq!(kinds_opened(&world), [Kind::OneSided]);
}

#[test]
fn an_agreed_down_standby_does_not_suppress_one_sided_for_the_active_tunnel() {
    let mut world = one_works(&[ACTIVE, STANDBY]);
    mend(&mut world, 2);
    world.run(secs(300));
    cut(&mut world, 2);
    world.run(secs(300));
    assert_eq!((world.assessment(2), kinds_opened(&world)), (Assessment::Down, vec![]));
    world.line(1, Line::Swallows);
    world.run(secs(800));
    assert_eq!(kinds_opened(&world), []);
    world.run(secs(200));
    assert_eq!(kinds_opened(&world), [Kind::OneSided]);
    // When AWS agrees, it becomes an outage, which closes the lesser incident.
    world.aws(1, Aws::Down);
    world.run(secs(120));
    assert_eq!(kinds_opened(&world), [Kind::OneSided, Kind::Outage]);
}

#[test]
fn bgp_down_on_every_tunnel_is_an_outage() {
    for routing in [Routing::Bgp, Routing::Unknown] {
        let mut world = World::healthy(routed(two_active(), routing));
        for n in [1, 2] {
            world.aws(n, Aws::BgpDown);
        }
        world.run(secs(120));
        assert_eq!(kinds_opened(&world), [Kind::Outage], "{routing:?}");
        for n in [1, 2] {
            assert_eq!(carrying(&world, n), Carrying::NotCarrying(NotCarrying::BgpDown));
            assert_eq!((world.local(n), world.assessment(n)), (Verdict::Up, Assessment::Down));
        }
        for n in [1, 2] {
            world.aws(n, Aws::Up);
        }
        world.run(secs(400));
        assert!(matches!(world.incidents()[0].state, IncidentState::Resolved { .. }));
        assert_eq!(kinds_opened(&world), [Kind::Outage], "{routing:?}");
    }
}

#[test]
fn with_static_routes_a_tunnel_up_here_and_down_at_aws_stays_disputed() {
    let mut world = World::healthy(routed(two_active(), Routing::Static));
    for n in [1, 2] {
        world.aws(n, Aws::BgpDown);
    }
    world.run(secs(800));
    assert_eq!(kinds_opened(&world), []);
    assert_eq!(carrying(&world, 1), Carrying::CannotTell(CannotTell::Disputed));
    world.run(secs(300));
    assert_eq!(kinds_opened(&world), [Kind::OneSided]);
}

#[test]
fn bgp_down_on_one_tunnel_is_redundancy_lost_and_with_the_other_dead_an_outage() {
    let mut world = World::healthy(routed(two_active(), Routing::Bgp));
    world.aws(1, Aws::BgpDown);
    world.run(secs(200));
    assert_eq!(kinds_opened(&world), [Kind::RedundancyLost]);
    assert_eq!(world.incidents()[0].traffic(), Traffic::Flows);
    cut(&mut world, 2);
    world.run(secs(60));
    assert_eq!(kinds_opened(&world), [Kind::RedundancyLost, Kind::Outage]);
    assert_eq!(traffic(&world), Traffic::DoesNotFlow);
}

#[test]
fn bgp_down_on_a_standby_opens_nothing_but_counts_towards_an_outage() {
    let mut world = World::healthy(routed(plan(&[ACTIVE, STANDBY]), Routing::Bgp));
    world.aws(2, Aws::BgpDown);
    world.run(secs(2000));
    assert_eq!((kinds_opened(&world), world.assessment(2)), (vec![], Assessment::Down));
    cut(&mut world, 1);
    world.run(secs(60));
    assert_eq!(kinds_opened(&world), [Kind::Outage]);
}

#[test]
fn cloudwatch_alone_confirms_bgp_down_by_a_second_datapoint() {
    let mut world = World::healthy(by_cloudwatch(routed(two_active(), Routing::Bgp)));
    for n in [1, 2] {
        world.aws(n, Aws::Down);
    }
    // Datapoints are at least a minute apart.
    while carrying(&world, 1) == Carrying::Carrying {
        world.run(secs(1));
    }
    assert_eq!(carrying(&world, 1), Carrying::CannotTell(CannotTell::BgpUnconfirmed));
    assert_eq!(world.assessment(1), Assessment::Disputed(bothends::domain::names::End::Aws));
    world.run(secs(90));
    assert_eq!(carrying(&world, 1), Carrying::NotCarrying(NotCarrying::BgpDown));
    world.run(secs(60));
    assert_eq!(kinds_opened(&world), [Kind::Outage]);
    // Without `routing` in the configuration, BGP is not judged.
    let mut unknown = World::healthy(by_cloudwatch(two_active()));
    unknown.aws(1, Aws::Down);
    unknown.run(secs(600));
    assert_eq!(carrying(&unknown, 1), Carrying::CannotTell(CannotTell::Disputed));
}

#[test]
fn an_hours_old_bgp_status_does_not_confirm_a_new_datapoint() {
    for routing in [Routing::Bgp, Routing::Unknown] {
        let both = [SourceKind::CloudWatch, SourceKind::Ec2].map(source).to_vec();
        let mut plan = routed(two_active(), routing);
        Arc::make_mut(&mut plan.vpns[0]).aws.sources = both;
        let mut world = World::healthy(plan);
        // EC2 reports BGP down once, then fails; CloudWatch has it up for two hours, and then a single minute of 0.
        for n in [1, 2] {
            world.aws(n, Aws::BgpDown);
        }
        while carrying(&world, 1) != Carrying::NotCarrying(NotCarrying::BgpDown) {
            world.run(secs(1));
        }
        world.unreachable = Some(SourceKind::Ec2);
        for n in [1, 2] {
            world.aws(n, Aws::Up);
        }
        world.run(secs(7200));
        assert_eq!((carrying(&world, 1), kinds_opened(&world)), (Carrying::Carrying, vec![]), "{routing:?}");
        for n in [1, 2] {
            world.aws(n, Aws::Down);
        }
        while carrying(&world, 1) == Carrying::Carrying {
            world.run(secs(1));
        }
        assert!(matches!(carrying(&world, 1), Carrying::CannotTell(_)), "{routing:?}");
        world.run(secs(30));
        for n in [1, 2] {
            world.aws(n, Aws::Up);
        }
        world.run(secs(300));
        assert_eq!(kinds_opened(&world), [], "{routing:?}");
    }
}

#[test]
fn a_recovered_tunnel_gets_time_to_establish_bgp() {
    let mut world = one_works(&[ACTIVE, ACTIVE]);
    world.reconfigure(routed(two_active(), Routing::Bgp));
    cut(&mut world, 1);
    world.run(secs(60));
    assert_eq!(kinds_opened(&world), [Kind::Outage]);
    // IPsec comes up on the tunnel that never answered; BGP follows half a minute later.
    world.line(2, FAST);
    world.aws(2, Aws::BgpDown);
    world.run(secs(40));
    assert_eq!(carrying(&world, 2), Carrying::CannotTell(CannotTell::BgpUnconfirmed));
    world.aws(2, Aws::Up);
    world.run(secs(60));
    assert_eq!(carrying(&world, 2), Carrying::Carrying);
    // If BGP does not follow, the tunnel is down.
    cut(&mut world, 2);
    world.run(secs(60));
    world.line(2, FAST);
    world.aws(2, Aws::BgpDown);
    world.run(secs(180));
    assert_eq!(carrying(&world, 2), Carrying::NotCarrying(NotCarrying::BgpDown));
}

#[test]
fn a_reload_of_roles_or_routing_resolves_nothing_while_no_tunnel_carries_traffic() {
    let plans = [
        plan(&[STANDBY, STANDBY]),
        plan(&[STANDBY, ACTIVE]),
        plan(&[ACTIVE, STANDBY]),
        plan(&[Role::Unused, STANDBY]),
        routed(two_active(), Routing::Static),
        routed(two_active(), Routing::Bgp),
    ];
    for reloaded in plans {
        for bgp in [false, true] {
            let mut world = World::healthy(routed(two_active(), Routing::Bgp));
            world.aws(1, Aws::BgpDown);
            world.run(secs(200));
            if bgp {
                world.aws(2, Aws::BgpDown)
            } else {
                cut(&mut world, 2)
            }
            world.run(secs(120));
            assert_eq!(world.kinds(), [Kind::Outage, Kind::RedundancyLost]);
            world.reconfigure(reloaded.clone());
            world.run(secs(1500));
            let over = world.incidents().iter().filter(|it| it.state != IncidentState::Open).count();
            assert_eq!(over, 0, "{bgp} {:?}", reloaded.vpns[0]);
            world.reconfigure(two_active());
            for n in [1, 2] {
                mend(&mut world, n);
            }
            world.run(secs(1500));
            let open = world.incidents().iter().filter(|it| it.state == IncidentState::Open).count();
            assert_eq!(open, 0, "{bgp} {:?}", reloaded.vpns[0]);
        }
    }
}

#[test]
fn a_reload_before_an_incident_opens_applies_the_new_roles() {
    let mut world = World::healthy(two_active());
    for n in [1, 2] {
        cut(&mut world, n);
    }
    world.run(secs(20));
    assert_eq!(kinds_opened(&world), []);
    world.reconfigure(plan(&[STANDBY, STANDBY]));
    world.run(secs(600));
    assert_eq!(kinds_opened(&world), [], "no tunnel is active");
    world.reconfigure(plan(&[STANDBY, ACTIVE]));
    world.run(secs(60));
    assert_eq!(kinds_opened(&world), [Kind::Outage]);
}

#[test]
fn a_reload_while_an_incident_clears_does_not_interrupt_the_clearing() {
    let mut world = World::healthy(two_active());
    for n in [1, 2] {
        cut(&mut world, n);
    }
    world.run(secs(120));
    mend(&mut world, 2);
    world.run(secs(120));
    world.reconfigure(routed(plan(&[ACTIVE, STANDBY]), Routing::Bgp));
    world.run(secs(100));
    let outage =
        |world: &World| world.incidents().iter().find(|it| it.id.kind == Kind::Outage).unwrap().state;
    assert_eq!(outage(&world), IncidentState::Open);
    world.run(secs(120));
    assert!(matches!(outage(&world), IncidentState::Resolved { .. }));
}

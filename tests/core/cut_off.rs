//! Outages while AWS was unreachable.

use std::sync::Arc;

use bothends::domain::board::{Incident, IncidentState, TimelineChange};
use bothends::domain::event::{Remembered, Unheard};
use bothends::domain::fact::Fact;
use bothends::domain::names::{Kind, Role, SourceKind};
use bothends::domain::plan::{AwsRules, IncidentRules, Plan, VpnPlan};
use bothends::domain::verdict::{Evidence, Verdict};

use crate::world::*;

/// `one_sided` is disabled in these tests; it has tests of its own.
fn by_cloudwatch(plan: Plan) -> Plan {
    let vpn = &plan.vpns[0];
    let aws = AwsRules { sources: vec![source(SourceKind::CloudWatch)], ..vpn.aws.clone() };
    let incident = IncidentRules { one_sided_after: None, ..vpn.incident };
    Plan { vpns: vec![Arc::new(VpnPlan { aws, incident, ..VpnPlan::clone(vpn) })], ..plan }
}

/// `one_sided` opens after fifteen minutes.
fn one_end_counts() -> World {
    let (both, default) = (by_cloudwatch(two_active()), two_active());
    let vpn = VpnPlan { incident: default.vpns[0].incident, ..VpnPlan::clone(&both.vpns[0]) };
    let mut world = World::new(Plan { vpns: vec![Arc::new(vpn)], ..both }, Remembered::default());
    world.live(5);
    world
}

fn healthy() -> World {
    let mut world = World::new(by_cloudwatch(two_active()), Remembered::default());
    world.live(5);
    world
}

fn cut(world: &mut World, aws: Aws) {
    for n in [1, 2] {
        world.line(n, Line::Swallows);
        world.aws(n, aws);
    }
}

fn mend(world: &mut World) {
    for n in [1, 2] {
        world.line(n, FAST);
        world.aws(n, Aws::Up);
    }
}

fn missed(world: &World) -> Vec<Arc<Incident>> {
    let missed = world.facts.iter().filter_map(|(_, fact)| match fact {
        Fact::IncidentMissed { incident, .. } => Some(Arc::clone(incident)),
        _ => None,
    });
    missed.collect()
}

#[test]
fn an_outage_that_ended_before_aws_answered_again_is_recorded_and_pages_nobody() {
    let mut world = healthy();
    world.aws_reachable = false;
    world.live(1);
    let broke = world.now.wall;
    cut(&mut world, Aws::Down);
    world.live(20);
    mend(&mut world);
    let mended = world.now.wall;
    world.live(3);
    world.aws_reachable = true;
    world.live(10);
    let [outage] = missed(&world).try_into().unwrap();
    assert_eq!(outage.id.kind, Kind::Outage);
    assert!(outage.began >= broke && outage.began.since(broke) <= secs(5), "{outage:?}");
    let IncidentState::Resolved { at } = outage.state else { panic!("{:?}", outage.state) };
    assert!(at.since(mended).max(mended.since(at)) <= secs(60), "{at:?} for {mended:?}");
    assert_eq!(outage.tunnels.len(), 2);
    for tunnel in &outage.tunnels {
        assert_eq!((tunnel.local.verdict, tunnel.aws.verdict), (Verdict::Down, Verdict::Down));
        let Evidence::Aws(evidence) = &tunnel.aws.evidence else { panic!("{:?}", tunnel.aws) };
        assert!(evidence.as_of.is_some());
    }
    assert_eq!(outage.timeline.last().unwrap().what, TimelineChange::Missed);
    assert_eq!((world.opened(), world.incidents()), (vec![], vec![]));
    assert_eq!(world.histories.len(), 1);
}

#[test]
fn an_outage_that_still_lasts_when_aws_answers_again_opens_with_its_true_start() {
    let mut world = healthy();
    world.aws_reachable = false;
    world.live(1);
    let broke = world.now.wall;
    cut(&mut world, Aws::Down);
    world.live(20);
    assert_eq!(world.opened(), []);
    world.aws_reachable = true;
    world.live(2);
    let [outage] = world.incidents().try_into().unwrap();
    assert!(outage.began >= broke && outage.began.since(broke) <= secs(5), "{outage:?}");
    assert!(outage.id.opened.since(broke) >= secs(1200));
    world.live(20);
    assert_eq!(missed(&world), []);
    assert_eq!(world.opened().len(), 1);
}

#[test]
fn what_an_earlier_run_saw_while_cut_off_from_aws_is_checked_by_the_next_run() {
    for (value, expected) in [(0.0, vec![Kind::Outage]), (1.0, vec![])] {
        let ago = |minutes: u64| WALL - secs(60 * minutes);
        let saw = |n| Unheard { tunnel: tunnel(n), since: ago(50), down: vec![(ago(40), ago(20))] };
        let remembered = Remembered { unheard: vec![saw(1), saw(2)], ..Remembered::default() };
        let mut world = World::new(by_cloudwatch(two_active()), remembered);
        for minutes in 20..=41 {
            for n in [1, 2] {
                world.past.insert((tunnel(n), ago(minutes).minute()), value);
            }
        }
        world.live(10);
        let missed = missed(&world);
        assert_eq!(missed.iter().map(|incident| incident.id.kind).collect::<Vec<_>>(), expected);
        for incident in missed {
            assert_eq!(incident.began, ago(40));
            assert_eq!(incident.state, IncidentState::Resolved { at: ago(20) });
        }
        assert_eq!((world.opened(), world.incidents()), (vec![], vec![]));
    }
}

#[test]
fn if_aws_saw_it_up_or_has_no_data_nothing_was_missed() {
    for aws in [Aws::Up, Aws::Nothing, Aws::Fraction] {
        let mut world = healthy();
        world.aws_reachable = false;
        world.live(1);
        cut(&mut world, aws);
        world.live(20);
        mend(&mut world);
        world.live(1);
        world.aws_reachable = true;
        world.live(10);
        assert_eq!((missed(&world), world.opened()), (vec![], vec![]), "{aws:?}");
        assert_eq!(world.histories.len(), 1);
    }
}

#[test]
fn an_incident_that_was_open_before_aws_fell_silent_is_not_recorded_again() {
    let mut world = healthy();
    cut(&mut world, Aws::Down);
    world.live(3);
    assert_eq!(world.kinds(), [Kind::Outage]);
    world.aws_reachable = false;
    world.live(30);
    mend(&mut world);
    world.live(2);
    world.aws_reachable = true;
    world.live(20);
    assert_eq!(missed(&world), []);
    assert_eq!(world.opened().len(), 1);
}

#[test]
fn a_missed_redundancy_loss_is_recorded_with_the_lost_tunnel() {
    let mut world = World::new(by_cloudwatch(plan(&[Role::Active, Role::Standby])), Remembered::default());
    world.live(5);
    world.aws_reachable = false;
    world.live(1);
    world.line(1, Line::Swallows);
    world.aws(1, Aws::Down);
    world.live(10);
    mend(&mut world);
    world.live(1);
    world.aws_reachable = true;
    world.live(10);
    let [lost] = missed(&world).try_into().unwrap();
    assert_eq!(lost.id.kind, Kind::RedundancyLost);
    assert_eq!(lost.tunnels.iter().map(|tunnel| tunnel.id.clone()).collect::<Vec<_>>(), [tunnel(1)]);
}

#[test]
fn a_failed_history_query_is_retried_until_it_succeeds() {
    let mut world = healthy();
    world.aws_reachable = false;
    world.live(1);
    cut(&mut world, Aws::Down);
    world.live(10);
    mend(&mut world);
    world.live(1);
    world.aws_reachable = true;
    world.live(2);
    world.aws_reachable = false;
    world.live(10);
    assert!(world.histories.len() > 2);
    assert_eq!(missed(&world), []);
    world.aws_reachable = true;
    world.live(10);
    assert_eq!(missed(&world).len(), 1);
}

#[test]
fn aws_history_is_not_queried_for_a_period_without_a_local_down() {
    let mut world = healthy();
    world.aws_reachable = false;
    world.live(30);
    world.aws_reachable = true;
    world.live(10);
    cut(&mut world, Aws::Down);
    world.live(10);
    mend(&mut world);
    world.live(10);
    assert_eq!(world.histories, []);
}

#[test]
fn an_outage_while_aws_is_unreachable_does_not_open_as_one_sided() {
    for (hangs, cut_first) in [(false, true), (false, false), (true, true), (true, false)] {
        let mut world = one_end_counts();
        (world.aws_reachable, world.aws_hangs) = (hangs, hangs);
        if cut_first {
            world.live(5);
        }
        cut(&mut world, Aws::Down);
        for _ in 0..60 {
            world.live(1);
            assert_eq!(world.incidents(), [], "hangs: {hangs}, cut first: {cut_first}");
        }
        mend(&mut world);
        world.live(3);
        (world.aws_reachable, world.aws_hangs) = (true, false);
        world.live(30);
        assert_eq!(world.opened(), [], "hangs: {hangs}, cut first: {cut_first}");
        let kinds: Vec<Kind> = missed(&world).iter().map(|incident| incident.id.kind).collect();
        assert_eq!(kinds, [Kind::Outage], "hangs: {hangs}, cut first: {cut_first}");
    }
}

#[test]
fn if_aws_is_reachable_but_denies_one_sided_opens_while_it_lasts() {
    let mut world = one_end_counts();
    world.aws_denies = true;
    world.live(1);
    cut(&mut world, Aws::Down);
    world.live(14);
    assert_eq!(world.opened(), []);
    world.live(2);
    assert_eq!(world.kinds(), [Kind::OneSided]);
}

#[test]
fn if_one_of_two_sources_is_reachable_one_sided_opens() {
    let mut world = World::healthy(two_active());
    let vpn = VpnPlan::clone(&two_active().vpns[0]);
    let sources = vec![source(SourceKind::CloudWatch), source(SourceKind::Ec2)];
    let vpn = VpnPlan { aws: AwsRules { sources, ..vpn.aws.clone() }, ..vpn };
    world.reconfigure(Plan { vpns: vec![Arc::new(vpn)], ..two_active() });
    world.unreachable = Some(SourceKind::CloudWatch);
    cut(&mut world, Aws::Up);
    world.live(17);
    assert_eq!(world.kinds(), [Kind::OneSided]);
}

#[test]
fn time_without_aws_does_not_count_towards_one_sided() {
    let mut world = one_end_counts();
    cut(&mut world, Aws::Up);
    world.live(5);
    world.aws_reachable = false;
    world.live(5);
    world.aws_reachable = true;
    world.live(8);
    assert_eq!(world.opened(), []);
    world.live(4);
    assert_eq!(world.kinds(), [Kind::OneSided]);
}

#[test]
fn one_sided_counts_from_when_aws_answers_again() {
    let mut world = one_end_counts();
    world.aws_reachable = false;
    world.live(1);
    cut(&mut world, Aws::Up);
    world.live(60);
    world.aws_reachable = true;
    world.live(14);
    assert_eq!(world.opened(), []);
    world.live(3);
    assert_eq!(world.kinds(), [Kind::OneSided]);
}

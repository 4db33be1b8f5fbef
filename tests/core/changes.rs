//! What survives a change of the plan, a night of sleep, or a clock jump.

use std::sync::Arc;
use std::time::Duration;

use bothends::domain::board::IncidentState;
use bothends::domain::event::Remembered;
use bothends::domain::fact::Fact;
use bothends::domain::names::{Kind, Role, SourceKind, TunnelId, VpnId};
use bothends::domain::plan::{Plan, VpnPlan};
use bothends::domain::timers::SUSPECT_ECHOES_PER_SECOND;
use bothends::domain::verdict::{Assessment, Verdict};

use crate::world::*;

fn without_the_vpn() -> Plan {
    Plan { vpns: Vec::new(), ..two_active() }
}

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

/// This many connections with one active tunnel each.
fn hub(vpns: u8) -> Plan {
    let one = &two_active().vpns[0];
    let vpns = (0..vpns)
        .map(|n| {
            let mut vpn = VpnPlan::clone(one);
            vpn.id = VpnId::new(format!("vpn-{n:08x}"));
            vpn.tunnels.truncate(1);
            for tunnel in &mut vpn.tunnels {
                let tunnel = Arc::make_mut(tunnel);
                tunnel.id = TunnelId { vpn: vpn.id.clone(), outside_ip: [203, 0, 113, n].into() };
            }
            Arc::new(vpn)
        })
        .collect();
    Plan { vpns, ..two_active() }
}

#[test]
fn a_tunnel_stays_down_when_its_role_changes() {
    let mut world = World::healthy(two_active());
    cut(&mut world);
    world.run(secs(10));
    world.reconfigure(plan(&[Role::Active, Role::Standby]));
    assert_eq!(world.local(2), Verdict::Down);
    world.run(secs(60));
    assert_eq!(world.kinds(), [Kind::Outage]);
}

#[test]
fn a_tunnel_that_was_unused_for_a_while_is_still_remembered_as_seen_up() {
    let mut world = World::healthy(two_active());
    world.reconfigure(plan(&[Role::Active, Role::Unused]));
    world.run(secs(60));
    cut(&mut world);
    world.reconfigure(two_active());
    world.run(secs(60));
    assert_eq!(world.local(2), Verdict::Down);
}

#[test]
fn a_removed_and_readded_connection_is_still_remembered_as_seen_up() {
    let mut world = World::healthy(two_active());
    world.reconfigure(without_the_vpn());
    world.run(secs(60));
    cut(&mut world);
    world.reconfigure(two_active());
    world.run(secs(120));
    assert_eq!(world.kinds(), [Kind::Outage]);
}

#[test]
fn a_removed_and_readded_connection_keeps_its_flap_history() {
    let mut world = World::healthy(two_active());
    cut(&mut world);
    world.run(secs(60));
    world.reconfigure(without_the_vpn());
    world.settle();
    world.reconfigure(two_active());
    world.run(secs(120));
    assert_eq!(world.kinds(), [Kind::Outage]);
    mend(&mut world);
    world.run(secs(590));
    assert_eq!(world.incidents()[0].state, IncidentState::Open, "it is the second within a day");
    world.run(secs(60));
    assert!(matches!(world.incidents()[0].state, IncidentState::Resolved { .. }));
}

#[test]
fn time_asleep_counts_neither_towards_opening_nor_towards_resolving() {
    let mut world = World::healthy(two_active());
    for n in [1, 2] {
        world.line(n, Line::Swallows);
    }
    world.run(secs(60));
    world.sleep(secs(3600));
    world.run(secs(600));
    assert_eq!(world.opened(), [], "one-sided for eleven minutes");
    world.run(secs(300));
    assert_eq!(world.kinds(), [Kind::OneSided]);
    mend(&mut world);
    world.run(secs(30));
    world.sleep(secs(400));
    world.run(secs(200));
    assert_eq!(world.incidents()[0].state, IncidentState::Open, "healthy for four minutes");
    world.run(secs(120));
    assert!(matches!(world.incidents()[0].state, IncidentState::Resolved { .. }));
}

#[test]
fn each_connection_has_its_own_grace() {
    let mut patient = hub(2);
    Arc::make_mut(&mut patient.vpns[0]).incident.start_grace = secs(0);
    let ids: Vec<TunnelId> = patient.vpns.iter().map(|vpn| vpn.tunnels[0].id.clone()).collect();
    let mut world = World::new(patient, Remembered::default());
    for id in &ids {
        world.aws.insert(id.clone(), Aws::BgpDown);
    }
    world.run(secs(60));
    let open: Vec<_> = world.incidents().iter().map(|incident| incident.id.scope.clone()).collect();
    assert_eq!(open, [ids[0].vpn.clone().into()]);
    world.run(secs(90));
    assert_eq!(world.incidents().len(), 2);
}

const BUDGET: usize = SUSPECT_ECHOES_PER_SECOND as usize;

/// 250 tunnels whose own pace would be 12,500 echoes a second.
fn hasty_hub() -> Plan {
    let mut plan = hub(250);
    for vpn in &mut plan.vpns {
        Arc::make_mut(vpn).probe.suspect_interval = Duration::from_millis(20);
    }
    plan
}

#[test]
fn a_hub_that_starts_with_every_line_cut_stays_within_the_probe_budget() {
    let mut world = World::new(hasty_hub(), Remembered::default());
    for line in world.lines.values_mut() {
        *line = Line::Swallows;
    }
    world.run(secs(2));
    assert!(world.echoes.len() <= 2 * BUDGET + 250, "{}", world.echoes.len());
}

#[test]
fn after_a_reload_suspect_probing_stays_within_the_budget() {
    let mut world = World::new(hasty_hub(), Remembered::default());
    world.run(secs(10));
    for line in world.lines.values_mut() {
        *line = Line::Swallows;
    }
    world.run(secs(2));
    let mut renamed = hasty_hub();
    for vpn in &mut renamed.vpns {
        Arc::make_mut(vpn).probe.timeout = secs(5);
    }
    world.reconfigure(renamed);
    world.echoes.clear();
    world.run(secs(2));
    assert!(world.echoes.len() <= 2 * BUDGET + 250, "{}", world.echoes.len());
}

#[test]
fn an_unused_tunnel_has_no_minutes() {
    let mut world = World::healthy(plan(&[Role::Active, Role::Unused]));
    world.line(1, Line::Swallows);
    world.run(secs(600));
    assert!(world.facts.iter().any(|(_, fact)| matches!(fact, Fact::RollupReady(_))));
    assert!(!world.facts.iter().any(|(_, fact)| match fact {
        Fact::RollupReady(rollup) => rollup.tunnel == tunnel(2),
        _ => false,
    }));
}

#[test]
fn a_deleted_connection_opens_no_outage_when_aws_falls_silent() {
    let mut world = World::healthy(two_active());
    for n in [1, 2] {
        world.line(n, Line::Swallows);
        world.aws(n, Aws::Gone);
    }
    world.run(secs(120));
    world.aws_reachable = false;
    world.run(secs(1500));
    assert_eq!(world.assessment(1), Assessment::Unconfirmed(bothends::domain::names::End::Local));
    // Not even one_sided: AWS, which cannot be reached, has no vote.
    assert_eq!(world.kinds(), []);
}

#[test]
fn invalid_evidence_is_reported_once_not_at_every_answer_of_another_source() {
    let mut both = two_active();
    Arc::make_mut(&mut both.vpns[0]).aws.sources =
        vec![source(SourceKind::CloudWatch), source(SourceKind::Ec2)];
    let mut world = World::healthy(both);
    world.garbled = Some(SourceKind::CloudWatch);
    world.run(secs(1200));
    let reports =
        world.facts.iter().filter(|(_, fact)| matches!(fact, Fact::EvidenceUnusable { .. })).count();
    assert_eq!(reports, 2, "once for each tunnel");
    assert_eq!(world.assessment(1), Assessment::Healthy);
}

#[test]
fn a_wall_clock_jump_changes_no_verdict_and_opens_nothing() {
    for hours in [1, 24 * 365] {
        let mut world = World::healthy(two_active());
        world.facts.clear();
        world.now.wall = world.now.wall + secs(hours * 3600);
        world.run(secs(300));
        world.now.wall = world.now.wall - secs(2 * hours * 3600);
        world.run(secs(300));
        assert_eq!([world.assessment(1), world.assessment(2)], [Assessment::Healthy; 2]);
        let quiet = |fact: &Fact| {
            !matches!(fact, Fact::ViewChanged { .. } | Fact::AssessmentChanged { .. } | Fact::Resumed { .. })
        };
        assert!(world.facts.iter().all(|(_, fact)| quiet(fact)));
        assert_eq!(world.opened(), []);
    }
}

//! What happens at a site, step by step.

use bothends::domain::board::{IncidentState, TimelineChange};
use bothends::domain::event::{Remembered, SeenUp};
use bothends::domain::fact::Fact;
use bothends::domain::names::{CheckId, CheckKind, End, Kind, Role};
use bothends::domain::plan::RouteKey;
use bothends::domain::verdict::{Assessment, Verdict, Why};

use crate::world::*;

#[test]
fn a_tunnel_up_at_both_ends_is_healthy_within_seconds_of_the_start() {
    let mut world = World::new(two_active(), Remembered::default());
    world.run(secs(3));
    assert_eq!([world.assessment(1), world.assessment(2)], [Assessment::Healthy; 2]);
}

#[test]
fn a_blackhole_unseen_by_aws_is_disputed_and_opens_nothing_for_fifteen_minutes() {
    let mut world = World::healthy(two_active());
    world.line(2, Line::Swallows);
    world.run(secs(3600));
    assert_eq!(world.assessment(2), Assessment::Disputed(End::Local));
    assert_eq!(world.opened(), []);
}

#[test]
fn one_tunnel_down_at_both_ends_is_redundancy_lost_after_two_minutes() {
    let mut world = World::healthy(two_active());
    world.line(2, Line::Swallows);
    world.aws(2, Aws::Down);
    world.run(secs(120));
    assert_eq!(world.opened(), []);
    world.run(secs(10));
    assert_eq!(world.kinds(), [Kind::RedundancyLost]);
}

#[test]
fn both_tunnels_down_is_an_outage_that_names_the_earlier_redundancy_lost() {
    let mut world = World::healthy(two_active());
    world.line(2, Line::Swallows);
    world.aws(2, Aws::Down);
    world.run(secs(180));
    world.line(1, Line::NoPath);
    world.aws(1, Aws::Down);
    world.run(secs(40));
    assert_eq!(world.kinds(), [Kind::Outage, Kind::RedundancyLost]);
    let incidents = world.incidents();
    assert_eq!(incidents[0].related.as_ref(), Some(&incidents[1].id));
    assert_eq!(incidents[1].worsened, 1, "a further tunnel went down");
}

#[test]
fn a_healed_outage_is_resolved_after_resolve_after_and_leaves_the_board_when_settled() {
    let mut world = World::healthy(two_active());
    for n in [1, 2] {
        world.line(n, Line::Swallows);
        world.aws(n, Aws::Down);
    }
    world.run(secs(60));
    assert_eq!(world.kinds(), [Kind::Outage]);
    for n in [1, 2] {
        world.line(n, FAST);
        world.aws(n, Aws::Up);
    }
    world.run(secs(290));
    assert_eq!(world.incidents()[0].state, IncidentState::Open);
    world.run(secs(40));
    assert!(matches!(world.incidents()[0].state, IncidentState::Resolved { .. }));
    assert_eq!(world.incidents().len(), 1, "it stays until every sink has settled it");
    world.settle();
    assert_eq!(world.incidents(), []);
}

#[test]
fn a_standby_tunnel_down_alone_opens_nothing_but_counts_towards_an_outage() {
    let mut world = World::healthy(plan(&[Role::Active, Role::Standby]));
    world.line(2, Line::Swallows);
    world.aws(2, Aws::Down);
    world.run(secs(3600));
    assert_eq!(world.opened(), []);
    world.line(1, Line::Swallows);
    world.aws(1, Aws::Down);
    world.run(secs(60));
    assert_eq!(world.kinds(), [Kind::Outage]);
}

#[test]
fn an_unused_tunnel_is_neither_probed_nor_counted() {
    let mut world = World::healthy(plan(&[Role::Active, Role::Unused]));
    assert_eq!(world.local(2), Verdict::Unknown(Why::Unused));
    world.line(1, Line::Swallows);
    world.aws(1, Aws::Down);
    world.run(secs(60));
    assert_eq!(world.kinds(), [Kind::Outage]);
}

#[test]
fn every_tunnel_down_at_one_end_only_is_one_sided_after_fifteen_minutes() {
    let mut world = World::healthy(two_active());
    for n in [1, 2] {
        world.line(n, Line::Swallows);
    }
    world.run(secs(890));
    assert_eq!(world.opened(), []);
    world.run(secs(30));
    assert_eq!(world.kinds(), [Kind::OneSided]);
}

#[test]
fn blips_do_not_add_up_to_one_sided_while_aws_says_nothing() {
    let mut world = World::healthy(two_active());
    world.aws_denies = true;
    for _ in 0..40 {
        for n in [1, 2] {
            world.line(n, Line::Swallows);
        }
        world.run(secs(60));
        assert_eq!([world.local(1), world.local(2)], [Verdict::Down; 2]);
        for n in [1, 2] {
            world.line(n, FAST);
        }
        world.run(secs(600));
    }
    assert_eq!(world.opened(), []);
}

#[test]
fn each_end_seeing_a_different_tunnel_down_is_one_sided_after_fifteen_minutes() {
    for roles in [[Role::Active, Role::Active], [Role::Active, Role::Standby], [Role::Standby, Role::Active]]
    {
        let mut world = World::healthy(plan(&roles));
        world.line(1, Line::Swallows);
        world.aws(2, Aws::Down);
        world.run(secs(850));
        assert_eq!(world.opened(), [], "{roles:?}");
        world.run(secs(150));
        assert_eq!(world.kinds(), [Kind::OneSided], "{roles:?}");
        world.line(1, FAST);
        world.run(secs(400));
        assert!(matches!(world.incidents()[0].state, IncidentState::Resolved { .. }), "{roles:?}");
    }
}

#[test]
fn while_aws_is_silent_nothing_opens_and_nothing_resolves() {
    let mut world = World::healthy(two_active());
    world.aws_reachable = false;
    world.run(secs(700));
    world.line(1, Line::Swallows);
    world.line(2, Line::Swallows);
    world.run(secs(600));
    assert_eq!(world.opened(), []);
    assert_eq!(world.assessment(1), Assessment::Unconfirmed(End::Local));
    world.aws_reachable = true;
    world.aws(1, Aws::Down);
    world.aws(2, Aws::Down);
    world.run(secs(60));
    assert_eq!(world.kinds(), [Kind::Outage]);
    world.aws_reachable = false;
    world.line(1, FAST);
    world.line(2, FAST);
    world.run(secs(7200));
    assert_eq!(world.incidents()[0].state, IncidentState::Open);
}

#[test]
fn aws_is_polled_at_once_on_a_local_verdict_change_and_often_while_in_doubt() {
    let mut world = World::healthy(two_active());
    world.line(1, Line::Swallows);
    world.questions.clear();
    let cut = world.now.mono;
    world.run(secs(63));
    assert!(world.questions.iter().any(|at| at.since(cut) < secs(4)), "{:?}", world.questions);
    assert!(world.questions.len() >= 4, "{:?}", world.questions);
    world.line(1, FAST);
    world.run(secs(900));
    world.questions.clear();
    world.run(secs(600));
    assert_eq!(world.questions.len(), 10);
}

#[test]
fn after_a_night_of_sleep_nothing_opens_until_both_ends_agree_again_or_the_grace_is_over() {
    let mut world = World::healthy(two_active());
    for n in [1, 2] {
        world.line(n, Line::Swallows);
        world.aws(n, Aws::Down);
    }
    world.run(secs(10));
    assert_eq!(world.assessment(1), Assessment::Down);
    // AWS's answer from before the sleep is not stale yet, but old.
    world.sleep(secs(300));
    world.aws_reachable = false;
    world.run(secs(110));
    assert!(world.facts.iter().any(|(_, fact)| matches!(fact, Fact::Resumed { .. })));
    assert_eq!(world.opened(), []);

    let mut world = World::healthy(two_active());
    world.sleep(secs(8 * 3600));
    for n in [1, 2] {
        world.line(n, Line::Swallows);
        world.aws(n, Aws::Down);
    }
    world.run(secs(30));
    assert_eq!(world.opened(), []);
    world.run(secs(20));
    assert_eq!(world.kinds(), [Kind::Outage]);
}

#[test]
fn an_unchanged_tunnel_keeps_its_state_when_the_plan_changes() {
    let mut world = World::healthy(two_active());
    world.line(1, Line::Swallows);
    world.run(secs(10));
    let before = world.monitor.status(world.now).vpns[0].tunnels[0].local.since;
    let mut changed = two_active();
    let vpn = std::sync::Arc::make_mut(&mut changed.vpns[0]);
    vpn.name = "Milan DC, renamed".into();
    std::sync::Arc::make_mut(&mut vpn.tunnels[1]).role = Role::Standby;
    world.reconfigure(changed);
    let status = world.monitor.status(world.now);
    assert_eq!(&*status.vpns[0].name, "Milan DC, renamed");
    assert_eq!(status.vpns[0].tunnels[0].local.verdict, Verdict::Down);
    assert_eq!(status.vpns[0].tunnels[0].local.since, before);
    world.run(secs(3));
    assert_eq!(world.local(2), Verdict::Up);
}

#[test]
fn removing_a_connection_leaves_its_record_open_and_says_so() {
    let mut world = World::healthy(two_active());
    for n in [1, 2] {
        world.line(n, Line::Swallows);
        world.aws(n, Aws::Down);
    }
    world.run(secs(60));
    let mut without = two_active();
    without.vpns.clear();
    world.reconfigure(without);
    let incident = world.incidents().remove(0);
    assert!(matches!(incident.state, IncidentState::Unwatched { .. }));
    assert_eq!(incident.timeline.last().unwrap().what, TimelineChange::Unwatched);
}

#[test]
fn an_open_incident_of_an_earlier_run_is_resumed_and_resolved_in_time() {
    let mut before = World::healthy(two_active());
    for n in [1, 2] {
        before.line(n, Line::Swallows);
        before.aws(n, Aws::Down);
    }
    before.run(secs(60));
    let seen_up = [1, 2].map(|n| {
        let check = CheckId { tunnel: tunnel(n), kind: CheckKind::Inside };
        SeenUp::Local(check, RouteKey { inside_ip: [169, 254, n, 1].into(), own: None })
    });
    let remembered =
        Remembered { seen_up: seen_up.into(), incidents: before.incidents(), ..Remembered::default() };
    let mut after = World::new(two_active(), remembered);
    assert_eq!(after.incidents()[0].id, before.incidents()[0].id);
    after.run(secs(290));
    assert_eq!(after.incidents()[0].state, IncidentState::Open);
    after.run(secs(30));
    assert!(matches!(after.incidents()[0].state, IncidentState::Resolved { .. }));
    assert_eq!(after.opened(), []);
}

#[test]
fn each_minute_of_each_tunnel_gives_one_rollup() {
    let mut world = World::healthy(two_active());
    world.facts.clear();
    world.run(secs(600));
    let mut minutes: Vec<_> = world
        .facts
        .iter()
        .filter_map(|(_, fact)| match fact {
            Fact::RollupReady(rollup) => Some((rollup.minute, rollup.tunnel.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(minutes.len(), 20);
    minutes.dedup();
    assert_eq!(minutes.len(), 20);
    let votes = world.facts.iter().filter(|(_, fact)| matches!(fact, Fact::CouldVote { .. })).count();
    assert_eq!(votes, 10);
}

#[test]
fn a_minute_without_aws_evidence_could_not_have_voted() {
    let mut world = World::healthy(two_active());
    world.aws_reachable = false;
    world.run(secs(700));
    world.facts.clear();
    world.run(secs(600));
    assert!(!world.facts.iter().any(|(_, fact)| matches!(fact, Fact::CouldVote { .. })));
}

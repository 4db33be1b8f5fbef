//! Outages across restarts in every phase, reboots, and a process that is killed again and again.

use std::collections::BTreeMap;
use std::sync::Arc;

use bothends::domain::board::{IncidentState, TimelineChange};
use bothends::domain::carrying::{Carrying, NotCarrying};
use bothends::domain::event::{Remembered, SeenUp};
use bothends::domain::fact::{Fact, IncidentChange};
use bothends::domain::names::{CheckId, CheckKind, End, Kind, Routing, SourceKind, TunnelId};
use bothends::domain::plan::Plan;
use bothends::domain::time::Stamp;
use bothends::domain::verdict::{Assessment, Verdict, Why};

use crate::carrying::*;
use crate::world::*;

/// The state one run leaves to the next.
fn remembered(world: &World) -> Remembered {
    let seen_up = world.facts.iter().filter_map(|(_, fact)| match fact {
        Fact::SeenUp(seen) => Some(seen.clone()),
        _ => None,
    });
    let status = world.monitor.status(world.now);
    let down = status.vpns[0].tunnels.iter().filter(|tunnel| tunnel.local.verdict == Verdict::Down);
    let stopped = down.filter_map(|tunnel| Some((tunnel.id.clone(), tunnel.not_passing_since()?.wall)));
    let unknown = Verdict::Unknown(Why::Starting);
    let mut last: BTreeMap<&TunnelId, Stamp> = BTreeMap::new();
    let said = world.facts.iter().filter_map(|(_, fact)| match fact {
        Fact::ViewChanged { tunnel, end, from, view, at } => {
            // When a run starts, the previous one ended at the last time stored on the disk.
            let begins = *end == End::Local && *from == unknown;
            let ended = begins.then(|| Some((tunnel.clone(), *last.get(tunnel)?, unknown))).flatten();
            last.insert(tunnel, at.wall);
            let word = (*end == End::Local).then(|| (tunnel.clone(), at.wall, view.verdict));
            Some(ended.into_iter().chain(word))
        }
        _ => None,
    });
    let said: Vec<_> = said.flatten().collect();
    let ended = status.vpns[0].tunnels.iter().map(|tunnel| (tunnel.id.clone(), world.now.wall, unknown));
    Remembered {
        seen_up: seen_up.collect(),
        incidents: world.incidents(),
        stopped: stopped.collect(),
        said: said.into_iter().chain(ended).collect(),
        ..Remembered::default()
    }
}

/// The same world under a new process.
fn restarted(world: &World, plan: Plan) -> World {
    let mut after = World::new(plan, remembered(world));
    after.lines.clone_from(&world.lines);
    after.aws.clone_from(&world.aws);
    after
}

#[test]
fn a_reboot_after_which_ipsec_stays_down_is_an_outage() {
    for roles in [&[ACTIVE][..], &[ACTIVE, ACTIVE], &[ACTIVE, STANDBY]] {
        let before = World::healthy(plan(roles));
        let mut after = restarted(&before, plan(roles));
        for n in 1..=u8::try_from(roles.len()).unwrap() {
            after.line(n, Line::Missing);
            after.aws(n, Aws::Down);
        }
        after.run(secs(30));
        assert_eq!(kinds_opened(&after), [], "open_after");
        after.run(secs(30));
        assert_eq!(kinds_opened(&after), [Kind::Outage], "{roles:?}");
        assert_eq!(carrying(&after, 1), Carrying::NotCarrying(NotCarrying::BothEndsDown));
    }
}

/// Each run is shorter than the grace after a start, and CloudWatch lags by more than a run.
#[test]
fn a_repeatedly_killed_daemon_still_opens_an_outage() {
    for (kind, lag, within) in [(SourceKind::Ec2, 0, 60), (SourceKind::CloudWatch, 180, 600)] {
        let mut plan = two_active();
        Arc::make_mut(&mut plan.vpns[0]).aws.sources = vec![source(kind)];
        let mut world = World::healthy(plan.clone());
        world.cloudwatch_lag = Some(secs(lag));
        world.run(secs(600));
        let from = world.now.mono;
        for n in [1, 2] {
            cut(&mut world, n);
        }
        for _ in 0..10 {
            world.restart(plan.clone(), remembered(&world));
            world.run(secs(100));
        }
        let opened: Vec<_> =
            world.opened().iter().map(|(at, kind)| (at.since(from).as_secs(), *kind)).collect();
        assert!(matches!(opened[..], [(at, Kind::Outage)] if at < within), "{kind:?}: {opened:?}");
    }
}

/// AWS evidence from before this run's Down agrees only if an earlier run saw that Down, not too long ago.
#[test]
fn after_a_restart_earlier_aws_evidence_agrees_only_within_one_run_of_downs() {
    let unknown = Verdict::Unknown(Why::Starting);
    let agrees = |said: &[(u64, Verdict)]| {
        let plan = by_cloudwatch(plan(&[ACTIVE]));
        let mut world = World::healthy(plan.clone());
        world.cloudwatch_lag = Some(secs(120));
        cut(&mut world, 1);
        world.run(secs(600));
        let said = said.iter().map(|(ago, verdict)| (tunnel(1), world.now.wall - secs(*ago), *verdict));
        let before = remembered(&world);
        let before = Remembered { said: said.collect(), incidents: Vec::new(), ..before };
        world.restart(plan, before);
        world.run(secs(60));
        assert_eq!(world.local(1), Verdict::Down);
        world.assessment(1) == Assessment::Down
    };
    assert!(agrees(&[(300, Verdict::Down), (20, unknown)]));
    assert!(!agrees(&[(10, Verdict::Down), (5, unknown)]), "the evidence is from before the first Down");
    assert!(!agrees(&[(900, Verdict::Down), (300, unknown)]), "long ago");
    assert!(!agrees(&[(300, Verdict::Down), (290, Verdict::Up), (20, unknown)]));
    assert!(!agrees(&[]));
}

#[test]
fn a_bgp_session_that_follows_ipsec_gets_the_grace_after_a_start() {
    for roles in [&[ACTIVE][..], &[ACTIVE, ACTIVE]] {
        let before = World::healthy(routed(plan(roles), Routing::Bgp));
        let mut after = restarted(&before, routed(plan(roles), Routing::Bgp));
        after.aws(1, Aws::BgpDown);
        if roles.len() > 1 {
            cut(&mut after, 2);
        }
        after.run(secs(110));
        assert_eq!(kinds_opened(&after), [], "{roles:?}");
        after.run(secs(60));
        assert_eq!(kinds_opened(&after), [Kind::Outage], "{roles:?}");
    }
}

#[test]
fn a_missing_source_address_on_a_changed_or_never_answered_route_is_a_send_error() {
    let before = World::healthy(plan(&[ACTIVE]));
    let mut changed = plan(&[ACTIVE]);
    let vpn = Arc::make_mut(&mut changed.vpns[0]);
    let tunnel_plan = Arc::make_mut(&mut vpn.tunnels[0]);
    Arc::make_mut(&mut tunnel_plan.route).source_ip = [169, 254, 1, 3].into();
    let mut mistyped = restarted(&before, changed.clone());
    mistyped.line(1, Line::Missing);
    mistyped.aws(1, Aws::Down);
    mistyped.run(secs(600));
    assert!(matches!(mistyped.local(1), Verdict::Unknown(_)));
    assert_eq!(kinds_opened(&mistyped), []);
    // The same after a reload.
    let mut reloaded = World::healthy(plan(&[ACTIVE]));
    reloaded.reconfigure(changed);
    reloaded.line(1, Line::Missing);
    reloaded.run(secs(60));
    assert!(matches!(reloaded.local(1), Verdict::Unknown(_)));
    // A stored row that does not name its own end.
    let check = CheckId { tunnel: tunnel(1), kind: CheckKind::Inside };
    let key = bothends::domain::plan::RouteKey { inside_ip: [169, 254, 1, 1].into(), own: None };
    let seen_up = vec![SeenUp::Local(check, key)];
    let mut old = World::new(plan(&[ACTIVE]), Remembered { seen_up, ..Remembered::default() });
    old.line(1, Line::Missing);
    old.run(secs(60));
    assert!(matches!(old.local(1), Verdict::Unknown(_)));
}

/// Calm, pending, open and clearing: the process ends in each, and another starts.
#[test]
fn a_restart_in_any_phase_gives_one_outage_that_ends_when_a_tunnel_carries_traffic() {
    for bgp in [false, true] {
        for restart_after in [5_u64, 25, 100] {
            let plan = || routed(plan(&[ACTIVE, STANDBY]), Routing::Bgp);
            let mut world = World::healthy(plan());
            let down = |world: &mut World| {
                if bgp {
                    world.aws(1, Aws::BgpDown)
                } else {
                    cut(world, 1)
                }
                cut(world, 2);
            };
            down(&mut world);
            world.run(secs(restart_after));
            let opened_before = world.kinds().contains(&Kind::Outage);
            let mut after = restarted(&world, plan());
            after.run(secs(300));
            let outages = |world: &World| world.kinds().iter().filter(|kind| **kind == Kind::Outage).count();
            assert_eq!(outages(&after), 1, "bgp {bgp}, {restart_after} s");
            let opened = kinds_opened(&after).contains(&Kind::Outage);
            assert_eq!(opened, !opened_before, "bgp {bgp}, {restart_after} s");
            // The incident clears, and another process continues.
            mend(&mut after, 1);
            after.run(secs(100));
            assert!(after.facts.iter().any(|(_, fact)| matches!(
                fact,
                Fact::IncidentChanged { change: IncidentChange::Clearing, .. }
            )));
            let mut last = restarted(&after, plan());
            // The earlier runs' memory counts too.
            last.run(secs(250));
            let states = |world: &World| -> Vec<_> {
                world.incidents().iter().map(|it| (it.id.kind, it.state.as_str())).collect()
            };
            assert_eq!(states(&last), [(Kind::Outage, "open")], "bgp {bgp}, {restart_after} s");
            last.run(secs(200));
            assert_eq!(states(&last), [(Kind::Outage, "resolved")], "bgp {bgp}, {restart_after} s");
        }
    }
}

#[test]
fn a_restart_during_an_outage_adds_only_what_has_changed_to_its_timeline() {
    let plan = || plan(&[ACTIVE, STANDBY]);
    let mut world = World::healthy(plan());
    cut(&mut world, 1);
    cut(&mut world, 2);
    world.run(secs(300));
    let story = |world: &World| -> Vec<_> {
        let incidents = world.incidents();
        let lasting =
            incidents.iter().filter(|it| it.state == IncidentState::Open && it.id.kind == Kind::Outage);
        lasting.flat_map(|incident| incident.timeline.clone()).map(|entry| entry.what).collect()
    };
    let before = story(&world);
    for lasting in [40, 300] {
        let mut again = restarted(&world, plan());
        again.run(secs(lasting));
        assert_eq!(story(&again), before);
    }
    // What changed in between is reported.
    mend(&mut world, 1);
    let mut world = restarted(&world, plan());
    world.run(secs(100));
    let after = story(&world);
    let changed = |end| {
        after[before.len()..].iter().any(
            |what| matches!(what, TimelineChange::View { end: of, verdict: Verdict::Up, .. } if *of == end),
        )
    };
    assert!(after.starts_with(&before) && changed(End::Local) && changed(End::Aws), "{after:#?}");
}

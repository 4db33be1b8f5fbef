//! What is shown (since when, on what evidence, for how long), and what keeps an incident from opening.

use std::sync::Arc;

use bothends::domain::event::{Datapoint, Event, Remembered, SeenUp, TunnelData};
use bothends::domain::fact::Fact;
use bothends::domain::maintenance::{Maintenance, MaintenanceState};
use bothends::domain::names::{CheckId, CheckKind, End, Kind, SourceKind};
use bothends::domain::plan::{AwsRules, Plan, RouteKey, VpnPlan};
use bothends::domain::status::TunnelStatus;
use bothends::domain::time::Stamp;
use bothends::domain::verdict::{Assessment, Evidence, LocalEvidence, Verdict, Why};

use crate::world::*;

fn asked_of(plan: Plan, sources: &[SourceKind]) -> Plan {
    let sources = sources.iter().map(|kind| source(*kind)).collect();
    let aws = AwsRules { sources, ..plan.vpns[0].aws.clone() };
    Plan { vpns: vec![Arc::new(VpnPlan { aws, ..VpnPlan::clone(&plan.vpns[0]) })], ..plan }
}

fn status(world: &World, n: u8) -> TunnelStatus {
    let status = world.monitor.status(world.now);
    status.vpns[0].tunnels.iter().find(|of| of.id == tunnel(n)).unwrap().clone()
}

fn local(world: &World, n: u8) -> LocalEvidence {
    match status(world, n).local.evidence {
        Evidence::Local(evidence) => evidence,
        Evidence::Aws(_) => panic!("the local verdict rests on local evidence"),
    }
}

fn stopped(world: &World, n: u8) -> Option<Stamp> {
    status(world, n).not_passing_since().map(|since| since.wall)
}

fn cut(world: &mut World, n: u8) {
    world.line(n, Line::Swallows);
    world.aws(n, Aws::Down);
}

fn mend(world: &mut World, n: u8) {
    world.line(n, FAST);
    world.aws(n, Aws::Up);
}

#[test]
fn incident_and_status_start_at_the_same_time_the_last_reply() {
    for source in [SourceKind::Ec2, SourceKind::CloudWatch] {
        let mut world = World::healthy(asked_of(two_active(), &[source]));
        cut(&mut world, 1);
        // Probes already sent still get their replies.
        world.run(secs(1));
        let first = local(&world, 1).last_reply.unwrap().wall;
        world.run(secs(300));
        cut(&mut world, 2);
        world.run(secs(1));
        let last = local(&world, 2).last_reply.unwrap().wall;
        world.run(secs(300));
        assert_eq!(world.kinds(), [Kind::Outage, Kind::RedundancyLost]);
        let [outage, redundancy] = world.incidents().try_into().unwrap();
        assert_eq!((redundancy.began, outage.began), (first, last));
        assert_eq!((stopped(&world, 1), stopped(&world, 2)), (Some(first), Some(last)));
        assert_eq!(outage.tunnels[0].not_passing_since().map(|since| since.wall), Some(first));
        assert!(status(&world, 1).local.since.wall > first, "the local verdict changed later");
        mend(&mut world, 1);
        world.run(secs(30));
        assert_eq!(stopped(&world, 1), None);
    }
}

#[test]
fn a_few_replies_from_a_dead_tunnel_do_not_move_the_start() {
    let mut world = World::healthy(two_active());
    cut(&mut world, 1);
    world.run(secs(1));
    let since = local(&world, 1).last_reply.unwrap().wall;
    world.run(secs(60));
    world.line(1, FAST);
    world.run(std::time::Duration::from_millis(1100));
    world.line(1, Line::Swallows);
    world.run(secs(60));
    assert_eq!(world.local(1), Verdict::Down);
    assert!(local(&world, 1).last_reply.unwrap().wall > since);
    assert_eq!(stopped(&world, 1), Some(since));
}

#[test]
fn the_start_of_an_incident_survives_a_restart() {
    let ago = WALL - secs(400);
    let seen_up = vec![SeenUp::Local(
        CheckId { tunnel: tunnel(1), kind: CheckKind::Inside },
        RouteKey { inside_ip: [169, 254, 1, 1].into(), own: None },
    )];
    for (known, since) in [(vec![(tunnel(1), ago)], ago), (vec![], WALL)] {
        let remembered = Remembered { seen_up: seen_up.clone(), stopped: known, ..Remembered::default() };
        let mut world = World::new(two_active(), remembered);
        cut(&mut world, 1);
        world.run(secs(300));
        assert_eq!(world.kinds(), [Kind::RedundancyLost]);
        let began = world.incidents()[0].began;
        assert!(began.since(since) <= secs(1) && since <= began, "{began:?} for {since:?}");
        assert_eq!(stopped(&world, 1), Some(began));
        mend(&mut world, 1);
        world.run(secs(60));
        cut(&mut world, 1);
        world.run(secs(60));
        assert!(stopped(&world, 1).unwrap() > began, "a second break has a start of its own");
    }
}

#[test]
fn a_tunnel_that_never_answered_does_not_move_the_start() {
    let mut world = World::new(two_active(), Remembered::default());
    world.line(2, Line::Swallows);
    world.run(secs(300));
    cut(&mut world, 1);
    world.run(secs(1));
    let since = local(&world, 1).last_reply.unwrap().wall;
    world.run(secs(200));
    assert_eq!(world.kinds(), [Kind::RedundancyLost]);
    // AWS had it up, and now reports it down.
    world.aws(2, Aws::Down);
    world.run(secs(120));
    assert_eq!(world.kinds(), [Kind::Outage, Kind::RedundancyLost]);
    assert_eq!(world.incidents()[0].began, since);
}

#[test]
fn the_loss_shown_with_a_verdict_is_from_that_verdicts_time() {
    let mut world = World::healthy(two_active());
    assert_eq!(local(&world, 1).loss_percent, Some(0.0));
    cut(&mut world, 1);
    world.run(secs(5));
    assert_eq!((world.local(1), local(&world, 1).loss_percent), (Verdict::Down, Some(100.0)));
    let down = world.facts.iter().find_map(|(_, fact)| match fact {
        Fact::ViewChanged { end: End::Local, view, .. } if view.verdict == Verdict::Down => {
            Some(view.clone())
        }
        _ => None,
    });
    let Evidence::Local(evidence) = down.unwrap().evidence else {
        panic!("the local verdict rests on local evidence")
    };
    assert_eq!(evidence.loss_percent, Some(100.0));
    world.run(secs(120));
    assert_eq!(local(&world, 1).loss_percent, Some(100.0));
    mend(&mut world, 1);
    for _ in 0..70 {
        world.run(secs(1));
        let loss = local(&world, 1).loss_percent;
        assert!(world.local(1) == Verdict::Down || loss.is_none_or(|loss| loss == 0.0), "{loss:?}");
    }
    assert_eq!((world.local(1), local(&world, 1).loss_percent), (Verdict::Up, Some(0.0)));
}

#[test]
fn a_line_down_110_of_120_seconds_opens_within_ten_minutes_and_a_blipping_one_never() {
    let mut world = World::healthy(two_active());
    let from = world.now.mono;
    for _ in 0..30 {
        cut(&mut world, 1);
        world.run(secs(110));
        mend(&mut world, 1);
        world.run(secs(10));
    }
    let opened = world.opened();
    assert_eq!(opened.iter().map(|(_, kind)| *kind).collect::<Vec<_>>(), [Kind::RedundancyLost]);
    assert!(opened[0].0.since(from) < secs(600), "{opened:?}");

    let mut world = World::healthy(two_active());
    for _ in 0..60 {
        for n in [1, 2] {
            cut(&mut world, n);
        }
        world.run(secs(25));
        for n in [1, 2] {
            mend(&mut world, n);
        }
        world.run(secs(60));
    }
    assert_eq!(world.opened(), []);
}

#[test]
fn a_repeatedly_suspended_host_still_opens_an_outage() {
    let mut world = World::healthy(two_active());
    let from = world.now.mono;
    for n in [1, 2] {
        cut(&mut world, n);
    }
    for _ in 0..20 {
        world.run(secs(60));
        world.sleep(secs(11));
    }
    let (opened, kind) = *world.opened().first().expect("no incident opened");
    assert_eq!(kind, Kind::Outage);
    assert!(opened.since(from) < secs(200), "{opened}");
}

/// Both tunnels go down and up in turn, at both ends, with CloudWatch as the only source, at its usual lag: what opens,
/// and when.
fn flapping_by_cloudwatch(lag: u64, phase: u64, down: u64, up: u64, rounds: usize) -> Vec<(u64, Kind)> {
    let mut world = World::healthy(asked_of(two_active(), &[SourceKind::CloudWatch]));
    world.cloudwatch_lag = Some(secs(lag));
    world.run(secs(600 + phase));
    let from = world.now.mono;
    for _ in 0..rounds {
        for n in [1, 2] {
            cut(&mut world, n);
        }
        world.run(secs(down));
        for n in [1, 2] {
            mend(&mut world, n);
        }
        world.run(secs(up));
    }
    world.opened().iter().map(|(at, kind)| (at.since(from).as_secs(), *kind)).collect()
}

#[test]
fn a_line_that_flaps_faster_than_cloudwatch_reports_is_still_an_outage() {
    for lag in [120, 150, 180] {
        // Some minutes are 0; the others contain a change.
        for (phase, down, up) in [(0, 110, 10), (20, 110, 10), (55, 110, 10), (0, 80, 40), (30, 100, 13)] {
            let opened = flapping_by_cloudwatch(lag, phase, down, up, 20);
            let outage = opened.iter().find(|(_, kind)| *kind == Kind::Outage);
            assert!(outage.is_some_and(|(at, _)| *at < 900), "{lag} {phase} {down}/{up}: {opened:?}");
        }
        // Every minute contains a change: CloudWatch never reports it down.
        let opened = flapping_by_cloudwatch(lag, 5, 110, 10, 20);
        assert!(matches!(opened[..], [(at, Kind::OneSided)] if at < 1500), "{lag}: {opened:?}");
        for (down, up) in [(25, 60), (10, 110), (59, 61)] {
            let mut opened = flapping_by_cloudwatch(lag, 0, down, up, 60);
            opened.retain(|(_, kind)| *kind != Kind::OneSided);
            assert_eq!(opened, [], "{lag} {down}/{up}");
        }
    }
}

#[test]
fn cloudwatch_data_from_before_a_single_down_agrees_with_nothing() {
    let mut world = World::healthy(asked_of(two_active(), &[SourceKind::CloudWatch]));
    world.cloudwatch_lag = Some(secs(150));
    // Down at AWS only, until its datapoint has arrived.
    for n in [1, 2] {
        world.aws(n, Aws::Down);
    }
    world.run(secs(300));
    assert_eq!(world.assessment(1), Assessment::Disputed(End::Aws));
    for n in [1, 2] {
        world.line(n, Line::Swallows);
        world.aws(n, Aws::Up);
    }
    world.run(secs(100));
    assert_eq!(world.assessment(1), Assessment::Unconfirmed(End::Local));
    world.run(secs(140));
    assert_eq!((world.assessment(1), world.opened()), (Assessment::Disputed(End::Local), vec![]));
}

#[test]
fn if_the_source_that_reported_a_connection_gone_fails_the_other_one_decides() {
    let mut world = World::healthy(asked_of(two_active(), &[SourceKind::CloudWatch, SourceKind::Ec2]));
    for n in [1, 2] {
        world.aws(n, Aws::Gone);
    }
    world.run(secs(120));
    assert_eq!(status(&world, 1).aws.verdict, Verdict::Unknown(Why::Gone));
    world.unreachable = Some(SourceKind::Ec2);
    for n in [1, 2] {
        world.aws(n, Aws::Up);
    }
    world.run(secs(800));
    assert_eq!([world.assessment(1), world.assessment(2)], [Assessment::Healthy; 2]);
}

#[test]
fn a_minute_that_contains_a_change_is_no_new_evidence() {
    let mut world = World::healthy(asked_of(two_active(), &[SourceKind::CloudWatch]));
    world.facts.clear();
    let since = status(&world, 1).aws.since;
    world.aws(1, Aws::Fraction);
    world.run(secs(90));
    world.aws(1, Aws::Up);
    world.run(secs(90));
    assert_eq!(status(&world, 1).aws.since, since);
    let news = |fact: &Fact| matches!(fact, Fact::EvidenceUnusable { .. } | Fact::ViewChanged { .. });
    assert!(!world.facts.iter().any(|(_, fact)| news(fact)));
}

fn maintenance(pending: bool, as_of: i64) -> MaintenanceState {
    let maintenance = Maintenance { pending, ..Maintenance::default() };
    MaintenanceState::Known { maintenance, as_of: Stamp::from_secs(as_of) }
}

#[test]
fn maintenance_is_shown_and_each_change_of_it_is_a_fact_and_no_verdict_moves() {
    let mut world = World::healthy(two_active());
    world.facts.clear();
    let before = status(&world, 1);
    let says = |world: &mut World, state| {
        world.feed(Event::Maintenance { tunnel: tunnel(1), state });
        assert_eq!(status(world, 1).maintenance, state);
    };
    says(&mut world, maintenance(false, 0));
    says(&mut world, maintenance(false, 900));
    says(&mut world, maintenance(true, 1800));
    says(&mut world, MaintenanceState::Denied);
    let facts: Vec<&Fact> = world.facts.iter().map(|(_, fact)| fact).collect();
    let [first, second, third] = facts.as_slice() else { panic!("{facts:?}") };
    assert!(matches!(first, Fact::MaintenanceChanged { from: MaintenanceState::NotAsked, .. }));
    assert!(matches!(second, Fact::MaintenanceChanged { to, .. } if *to == maintenance(true, 1800)));
    assert!(matches!(third, Fact::MaintenanceChanged { to: MaintenanceState::Denied, .. }));
    let after = status(&world, 1);
    assert_eq!((after.local, after.aws, after.assessment), (before.local, before.aws, before.assessment));
    assert_eq!(status(&world, 2).maintenance, MaintenanceState::NotAsked);
    // An answer about a tunnel that has left the plan.
    let stranger = Event::Maintenance { tunnel: tunnel(9), state: maintenance(true, 0) };
    world.feed(stranger);
}

#[test]
fn maintenance_is_forgotten_when_ec2_is_no_longer_asked() {
    let mut world = World::healthy(asked_of(two_active(), &[SourceKind::CloudWatch, SourceKind::Ec2]));
    world.feed(Event::Maintenance { tunnel: tunnel(1), state: maintenance(true, 0) });
    world.reconfigure(asked_of(two_active(), &[SourceKind::CloudWatch, SourceKind::Ec2]));
    assert_eq!(status(&world, 1).maintenance, maintenance(true, 0));
    world.reconfigure(asked_of(two_active(), &[SourceKind::CloudWatch]));
    assert_eq!(status(&world, 1).maintenance, MaintenanceState::NotAsked);
}

#[test]
fn a_question_names_the_tunnels_that_either_end_calls_down() {
    let mut world = World::healthy(two_active());
    assert!(world.called_down.iter().all(std::collections::BTreeSet::is_empty));
    world.line(1, Line::Swallows);
    world.run(secs(60));
    assert_eq!(world.called_down.last(), Some(&[tunnel(1)].into()));
    world.aws(2, Aws::Down);
    world.run(secs(120));
    assert_eq!(world.called_down.last(), Some(&[tunnel(1), tunnel(2)].into()));
    mend(&mut world, 1);
    mend(&mut world, 2);
    world.run(secs(180));
    assert_eq!(world.called_down.last(), Some(&[].into()));
}

#[test]
fn bytes_touch_no_verdict() {
    let mut world = World::healthy(two_active());
    let point = Some(Datapoint::of_minute(world.now.wall.minute(), 1e9));
    world.data = vec![(tunnel(1), TunnelData { bytes_in: [point, None], bytes_out: [point, point] })];
    cut(&mut world, 1);
    world.run(secs(300));
    assert_eq!(world.assessment(1), Assessment::Down);
}

//! Invariants under any sequence of events.

use std::sync::Arc;
use std::time::Duration;

use bothends::domain::event::{Event, Remembered};
use bothends::domain::fact::Fact;
use bothends::domain::names::{End, Kind, TunnelId};
use bothends::domain::plan::Plan;
use bothends::domain::time::Moment;
use bothends::domain::verdict::{Assessment, Evidence, Verdict};
use proptest::prelude::*;

use crate::world::*;

/// One event, then some time passes.
#[derive(Debug, Clone)]
struct Turn {
    tunnel: u8,
    line: Line,
    aws: Aws,
    aws_reachable: bool,
    lasts: u64,
}

fn line() -> impl Strategy<Value = Line> {
    prop_oneof![
        4 => Just(FAST),
        1 => (100_u64..2500).prop_map(|millis| Line::Carries(Duration::from_millis(millis))),
        3 => Just(Line::Swallows),
        1 => Just(Line::NoPath),
        1 => Just(Line::Faulty),
    ]
}

fn aws() -> impl Strategy<Value = Aws> {
    prop_oneof![4 => Just(Aws::Up), 4 => Just(Aws::Down), 1 => Just(Aws::Fraction), 1 => Just(Aws::Nothing)]
}

fn turns(line: impl Strategy<Value = Line>) -> impl Strategy<Value = Vec<Turn>> {
    let turn = (1_u8..3, line, aws(), prop::bool::weighted(0.8), 1_u64..300).prop_map(
        |(tunnel, line, aws, aws_reachable, lasts)| Turn { tunnel, line, aws, aws_reachable, lasts },
    );
    prop::collection::vec(turn, 1..12)
}

fn play(world: &mut World, turns: &[Turn]) {
    for turn in turns {
        world.line(turn.tunnel, turn.line);
        world.aws(turn.tunnel, turn.aws);
        world.aws_reachable = turn.aws_reachable;
        world.run(secs(turn.lasts));
    }
}

/// When the run of Downs began that the Down at `since` belongs to: no gap of four minutes without a Down in between,
/// and the line was Down for most of the time since.
fn row_began(world: &World, tunnel: &TunnelId, since: Moment) -> Moment {
    let words: Vec<(Moment, Verdict)> = world
        .facts
        .iter()
        .filter_map(|(_, fact)| match fact {
            Fact::ViewChanged { tunnel: of, end: End::Local, from, view, at }
                if of == tunnel && !from.same_word(view.verdict) && at.mono <= since =>
            {
                Some((at.mono, view.verdict))
            }
            _ => None,
        })
        .collect();
    let (mut began, mut down, mut up) = (since, Duration::ZERO, Duration::ZERO);
    for pair in words.windows(2).rev() {
        let [(from, verdict), (to, _)] = pair else { unreachable!("windows of two") };
        match verdict {
            Verdict::Down if up < down + to.since(*from) => {
                down += to.since(*from);
                began = *from;
            }
            Verdict::Up => up += to.since(*from),
            Verdict::Down | Verdict::Unknown(_) => {}
        }
        if *verdict != Verdict::Down && to.since(*from) >= secs(240) {
            break;
        }
    }
    began
}

/// What may change the Board, besides the lines and AWS's word.
#[derive(Debug, Clone, Copy)]
enum Stir {
    Nothing,
    /// The host holds, or does not, the address that it votes for.
    Held(bool),
    /// The sink has settled what is on the Board.
    Settled,
    /// The sink has an open record of this kind.
    Found(Kind),
    /// The configuration has the connection or not, the sink or not, and a grace of so many seconds.
    Reloaded(bool, bool, u64),
    /// The host sleeps.
    Slept(u64),
}

fn stir() -> impl Strategy<Value = Stir> {
    prop_oneof![
        4 => Just(Stir::Nothing),
        2 => any::<bool>().prop_map(Stir::Held),
        2 => Just(Stir::Settled),
        2 => prop::sample::select(Kind::ALL.to_vec()).prop_map(Stir::Found),
        2 => (any::<bool>(), any::<bool>(), 0_u64..200).prop_map(|(vpn, sink, grace)| Stir::Reloaded(vpn, sink, grace)),
        1 => (1_u64..400).prop_map(Stir::Slept),
    ]
}

const ADDRESS: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 100));

/// Incidents open within seconds and are over as soon.
fn hasty(grace: u64) -> Plan {
    let mut plan = two_active();
    plan.votes_if_address = Some(ADDRESS);
    let mut vpn = (*plan.vpns[0]).clone();
    vpn.incident.open_after_outage = secs(3);
    vpn.incident.open_after_redundancy_lost = secs(5);
    vpn.incident.one_sided_after = Some(secs(20));
    vpn.incident.resolve_after = secs(10);
    vpn.incident.start_grace = secs(grace);
    plan.vpns = vec![Arc::new(vpn)];
    plan
}

impl Stir {
    fn happen(self, world: &mut World) {
        match self {
            Self::Nothing => {}
            Self::Held(held) => world.feed(Event::AddressHeld { address: ADDRESS, held }),
            Self::Settled => {
                for incident in world.incidents() {
                    let (id, revision) = (incident.id.clone(), incident.revision);
                    world.feed(Event::Settled { sink: destination(), incident: id, revision });
                }
            }
            Self::Found(kind) => {
                world.feed(Event::RecordFound { sink: sink(), scope: vpn().into(), kind, created: WALL });
            }
            Self::Reloaded(with_vpn, with_sink, grace) => {
                let mut plan = hasty(grace);
                if !with_vpn {
                    plan.vpns.clear();
                }
                if !with_sink {
                    plan.sinks.clear();
                }
                world.reconfigure(plan);
            }
            Self::Slept(seconds) => world.sleep(secs(seconds)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// After each call that lets the Board be, the core compares it with one made anew (`Monitor::after`).
    #[test]
    fn the_board_is_made_anew_whenever_something_on_it_changes(
        turns in turns(line()).prop_flat_map(|turns| {
            let stirs = prop::collection::vec(stir(), turns.len());
            (Just(turns), stirs)
        }),
    ) {
        let (turns, stirs) = turns;
        let mut world = World::new(hasty(2), Remembered::default());
        Stir::Held(true).happen(&mut world);
        world.run(secs(30));
        for (turn, stir) in turns.iter().zip(stirs) {
            let lasts = turn.lasts / 3;
            play(&mut world, &[Turn { lasts, ..turn.clone() }]);
            stir.happen(&mut world);
        }
        world.run(secs(60));
        let before = Arc::clone(world.monitor.board());
        // What is made anew where nothing has changed is the same.
        world.feed(Event::AddressHeld { address: [192, 0, 2, 101].into(), held: true });
        prop_assert!(Arc::ptr_eq(&before, world.monitor.board()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_tunnel_is_assessed_down_without_aws_evidence_from_after_the_local_down(turns in turns(line())) {
        let mut world = World::healthy(two_active());
        play(&mut world, &turns);
        for (_, fact) in &world.facts {
            if let Fact::AssessmentChanged { tunnel, to: Assessment::Down, local, aws, .. } = fact {
                prop_assert_eq!((local.verdict, aws.verdict), (Verdict::Down, Verdict::Down));
                let Evidence::Aws(evidence) = &aws.evidence else { panic!("AWS's verdict rests on AWS evidence") };
                let began = row_began(&world, tunnel, local.since.mono);
                prop_assert!(evidence.as_of_here.unwrap().mono > began);
            }
        }
    }

    #[test]
    fn no_agreed_incident_opens_unless_both_ends_reported_down_at_the_same_time(turns in turns(line())) {
        let mut world = World::healthy(two_active());
        play(&mut world, &turns);
        let agreed: Vec<Moment> = world
            .facts
            .iter()
            .filter(|(_, fact)| matches!(fact, Fact::AssessmentChanged { to: Assessment::Down, .. }))
            .map(|(at, _)| *at)
            .collect();
        for (opened, kind) in world.opened() {
            match kind {
                Kind::Outage | Kind::RedundancyLost => prop_assert!(agreed.iter().any(|at| *at < opened)),
                Kind::OneSided => {}
                Kind::Degraded => prop_assert!(false, "tickets are off here"),
            }
        }
    }

    #[test]
    fn send_errors_alone_open_nothing(turns in turns(Just(Line::Faulty))) {
        let mut world = World::healthy(two_active());
        for n in [1, 2] {
            world.line(n, Line::Faulty);
        }
        // AWS alone may still report everything Down, which is one_sided, not agreed.
        play(&mut world, &turns);
        prop_assert!(world.opened().iter().all(|(_, kind)| *kind == Kind::OneSided));
        for (_, fact) in &world.facts {
            if let Fact::ViewChanged { end: End::Local, view, .. } = fact {
                prop_assert_ne!(view.verdict, Verdict::Down);
            }
        }
    }

    #[test]
    fn a_tunnel_that_never_answered_never_votes(turns in turns(prop_oneof![Just(Line::Swallows), Just(Line::NoPath)])) {
        let mut world = World::new(two_active(), Remembered::default());
        for n in [1, 2] {
            world.line(n, Line::Swallows);
        }
        play(&mut world, &turns);
        for (_, fact) in &world.facts {
            if let Fact::ViewChanged { end: End::Local, view, .. } = fact {
                prop_assert!(matches!(view.verdict, Verdict::Unknown(_)));
            }
        }
        prop_assert!(world.opened().iter().all(|(_, kind)| *kind == Kind::OneSided));
    }

    #[test]
    fn the_same_events_give_the_same_facts(turns in turns(line())) {
        let play = || {
            let mut world = World::new(two_active(), Remembered::default());
            play(&mut world, &turns);
            (world.facts, world.questions)
        };
        prop_assert_eq!(play(), play());
    }

    #[test]
    fn an_incident_is_on_the_board_from_its_opening_until_it_is_settled(turns in turns(line())) {
        let mut world = World::healthy(two_active());
        play(&mut world, &turns);
        prop_assert_eq!(world.incidents().len(), world.opened().len());
        for incident in world.incidents() {
            prop_assert!(incident.timeline.is_sorted_by_key(|entry| entry.seq));
            prop_assert_eq!(incident.timeline[0].seq, 0);
        }
    }

    #[test]
    fn suspect_probing_never_exceeds_its_budget(cut in 1_u64..30) {
        let mut world = World::healthy(two_active());
        world.facts.clear();
        for n in [1, 2] {
            world.line(n, Line::Swallows);
        }
        world.run(secs(cut));
        let ended = world.facts.iter().filter(|(_, fact)| matches!(fact, Fact::EchoEnded { .. })).count();
        // Two checks, each at most five probes a second.
        prop_assert!(ended <= usize::try_from(2 * 5 * cut + 10).unwrap());
    }
}

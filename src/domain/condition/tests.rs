use proptest::prelude::*;

use super::*;
use crate::domain::carrying::{BgpWord, Said, assess, judge};
use crate::domain::names::Routing;
use crate::domain::verdict::Why;

const UP: Verdict = Verdict::Up;
const DOWN: Verdict = Verdict::Down;
/// Of either end.
const UNKNOWN: Verdict = Verdict::Unknown(Why::Stale);
const STARTING: Verdict = Verdict::Unknown(Why::Starting);

fn of(role: Role, said: Said) -> TunnelTruth {
    let carrying = judge(said);
    TunnelTruth {
        role,
        local: said.local,
        aws: said.aws,
        assessment: assess(said.local, said.aws, carrying),
        carrying,
        local_seen_up: true,
        aws_seen_up: true,
        aws_said_down: said.aws == DOWN,
        degraded: match said.local {
            UP => Truth::False,
            Verdict::Down | Verdict::Unknown(_) => Truth::Unknown,
        },
    }
}

fn tunnel(role: Role, local: Verdict, aws: Verdict) -> TunnelTruth {
    let (bgp, routing) = (BgpWord::Nothing, Routing::Static);
    of(role, Said { local, aws, aws_is_later: true, bgp, routing })
}

fn active(local: Verdict, aws: Verdict) -> TunnelTruth {
    tunnel(Role::Active, local, aws)
}

fn standby(local: Verdict, aws: Verdict) -> TunnelTruth {
    tunnel(Role::Standby, local, aws)
}

/// Echoes pass, and AWS says Down; on a connection with BGP.
fn bgp(role: Role, bgp: BgpWord) -> TunnelTruth {
    of(role, Said { local: UP, aws: DOWN, aws_is_later: true, bgp, routing: Routing::Bgp })
}

fn bgp_down(role: Role) -> TunnelTruth {
    bgp(role, BgpWord::SecondDatapoint)
}

fn bgp_unconfirmed(role: Role) -> TunnelTruth {
    bgp(role, BgpWord::Nothing)
}

const ACTIVE: Role = Role::Active;
const STANDBY: Role = Role::Standby;

fn outage(tunnels: &[TunnelTruth]) -> Truth {
    opens(Kind::Outage, tunnels, false)
}

fn lost(tunnels: &[TunnelTruth]) -> Truth {
    opens(Kind::RedundancyLost, tunnels, false)
}

fn one_sided(tunnels: &[TunnelTruth]) -> Truth {
    opens(Kind::OneSided, tunnels, false)
}

#[test]
fn an_outage_is_an_agreed_active_tunnel_while_no_other_carries() {
    let dead = active(DOWN, DOWN);
    assert_eq!(outage(&[dead]), Truth::True);
    assert_eq!(outage(&[dead, active(DOWN, UP)]), Truth::True);
    assert_eq!(outage(&[dead, active(DOWN, UNKNOWN)]), Truth::True);
    assert_eq!(outage(&[dead, standby(DOWN, DOWN)]), Truth::True);
    // What our end has no say on does not veto what AWS says of it.
    assert_eq!(outage(&[dead, active(UNKNOWN, DOWN)]), Truth::True);
    assert_eq!(outage(&[dead, standby(UNKNOWN, DOWN)]), Truth::True);
    assert_eq!(outage(&[dead, standby(UNKNOWN, DOWN), active(DOWN, UP), active(UNKNOWN, DOWN)]), Truth::True);
    assert_eq!(outage(&[dead, active(UP, UP)]), Truth::False);
    assert_eq!(outage(&[dead, standby(UNKNOWN, DOWN), active(UP, UP)]), Truth::False);
    assert_eq!(outage(&[dead, active(UP, DOWN)]), Truth::Unknown);
    assert_eq!(outage(&[dead, active(STARTING, DOWN)]), Truth::Unknown);
    assert_eq!(outage(&[dead, active(UNKNOWN, UP)]), Truth::Unknown);
    assert_eq!(outage(&[dead, active(UNKNOWN, UNKNOWN)]), Truth::Unknown);
    assert_eq!(outage(&[active(DOWN, UNKNOWN), active(DOWN, UNKNOWN)]), Truth::Unknown);
    // It never makes one alone.
    assert_eq!(outage(&[active(UNKNOWN, DOWN), active(UNKNOWN, DOWN)]), Truth::Unknown);
    assert_eq!(outage(&[active(DOWN, UP), active(DOWN, UP)]), Truth::False);
    assert_eq!(outage(&[standby(DOWN, DOWN), active(UP, UP)]), Truth::False);
    assert_eq!(outage(&[active(DOWN, UP), standby(DOWN, DOWN)]), Truth::False);
    assert_eq!(outage(&[standby(DOWN, DOWN), standby(DOWN, DOWN)]), Truth::False);
    assert_eq!(outage(&[]), Truth::False);
}

#[test]
fn bgp_that_is_down_counts_as_agreed_once_it_is_confirmed() {
    assert_eq!(outage(&[bgp_down(ACTIVE), bgp_down(ACTIVE)]), Truth::True);
    assert_eq!(outage(&[bgp_down(ACTIVE), active(DOWN, DOWN)]), Truth::True);
    assert_eq!(outage(&[bgp_down(ACTIVE), standby(DOWN, UP)]), Truth::True);
    assert_eq!(outage(&[bgp_down(STANDBY), active(DOWN, DOWN)]), Truth::True);
    assert_eq!(outage(&[bgp_down(ACTIVE), bgp_unconfirmed(ACTIVE)]), Truth::Unknown);
    assert_eq!(outage(&[bgp_unconfirmed(ACTIVE), bgp_unconfirmed(ACTIVE)]), Truth::Unknown);
    assert_eq!(outage(&[bgp_down(ACTIVE), active(UP, UP)]), Truth::False);
    assert_eq!(lost(&[bgp_down(ACTIVE), active(UP, UP)]), Truth::True);
    assert_eq!(lost(&[bgp_unconfirmed(ACTIVE), active(UP, UP)]), Truth::Unknown);
    assert_eq!(lost(&[bgp_down(STANDBY), active(UP, UP)]), Truth::False);
    assert_eq!(one_sided(&[bgp_down(ACTIVE), bgp_down(ACTIVE)]), Truth::False);
    assert_eq!(one_sided(&[active(DOWN, UP), bgp_down(STANDBY)]), Truth::True);
}

#[test]
fn redundancy_is_lost_when_an_active_tunnel_is_agreed_down_and_it_is_no_certain_outage() {
    let dead = active(DOWN, DOWN);
    assert_eq!(lost(&[dead, active(UP, UP)]), Truth::True);
    assert_eq!(lost(&[dead, active(UNKNOWN, UP)]), Truth::True);
    assert_eq!(lost(&[dead, active(UP, DOWN)]), Truth::True);
    assert_eq!(lost(&[dead, active(STARTING, DOWN)]), Truth::True);
    assert_eq!(lost(&[dead, active(DOWN, UP)]), Truth::False);
    assert_eq!(lost(&[dead, standby(UNKNOWN, DOWN)]), Truth::False);
    assert_eq!(lost(&[standby(DOWN, DOWN), active(UP, UP)]), Truth::False);
    assert_eq!(lost(&[active(DOWN, UNKNOWN), active(UP, UP)]), Truth::Unknown);
}

#[test]
fn one_sided_needs_a_down_of_each_tunnel_by_some_end_and_of_an_active_by_one_that_has_seen_it_up() {
    assert_eq!(one_sided(&[active(DOWN, UP), active(DOWN, UNKNOWN)]), Truth::True);
    assert_eq!(one_sided(&[active(UP, DOWN), standby(UNKNOWN, DOWN)]), Truth::True);
    // A standby on which both ends agree does not silence it, nor does a tunnel that was never up anywhere.
    assert_eq!(one_sided(&[active(DOWN, UP), standby(DOWN, DOWN)]), Truth::True);
    assert_eq!(one_sided(&[active(UP, DOWN), standby(DOWN, DOWN)]), Truth::True);
    let never_up = TunnelTruth { local_seen_up: false, aws_seen_up: false, ..active(UNKNOWN, DOWN) };
    assert_eq!(one_sided(&[active(DOWN, UP), never_up]), Truth::True);
    // No far end answers echoes, and AWS says Down of everything.
    assert_eq!(one_sided(&[active(UNKNOWN, DOWN), never_up]), Truth::True);
    // Each end of another tunnel: not one is known to carry.
    for standby_or_active in
        [standby(UP, DOWN), active(UP, DOWN), standby(DOWN, DOWN), standby(UNKNOWN, DOWN)]
    {
        let tunnels = [active(DOWN, UP), active(UP, DOWN), standby_or_active];
        assert_eq!(one_sided(&tunnels[..2]), Truth::True);
        assert_eq!(one_sided(&tunnels), Truth::True);
        assert_eq!([outage(&tunnels), lost(&tunnels)], [Truth::False; 2]);
    }
    assert_eq!(one_sided(&[active(DOWN, UP), bgp_unconfirmed(ACTIVE)]), Truth::True);
    assert_eq!(one_sided(&[active(DOWN, UP), active(UP, UNKNOWN)]), Truth::False);
    assert_eq!(one_sided(&[active(UP, UNKNOWN)]), Truth::False);
    assert_eq!(one_sided(&[TunnelTruth { aws_said_down: true, ..active(UP, UNKNOWN) }]), Truth::Unknown);
    assert_eq!(one_sided(&[active(DOWN, UP), active(STARTING, DOWN)]), Truth::Unknown);
    assert_eq!(one_sided(&[active(DOWN, UP), active(UP, DOWN), active(UP, UP)]), Truth::False);
    assert_eq!(one_sided(&[standby(DOWN, UP), standby(UP, DOWN)]), Truth::False);
    assert_eq!(one_sided(&[active(DOWN, UP), standby(UP, UP)]), Truth::False);
    assert_eq!(one_sided(&[active(DOWN, DOWN), active(DOWN, UP)]), Truth::False);
    assert_eq!(one_sided(&[active(DOWN, UP), active(UNKNOWN, UP)]), Truth::Unknown);
    assert_eq!(one_sided(&[active(UNKNOWN, UNKNOWN), active(UNKNOWN, DOWN)]), Truth::Unknown);
    assert_eq!(one_sided(&[standby(DOWN, UP), standby(DOWN, UP)]), Truth::False);
    let never_up_by_aws = TunnelTruth { aws_seen_up: false, ..active(UP, DOWN) };
    assert_eq!(one_sided(&[never_up_by_aws]), Truth::False);
    assert_eq!(one_sided(&[never_up, never_up]), Truth::False);
    assert_eq!(one_sided(&[]), Truth::False);
}

#[test]
fn while_aws_is_out_of_reach_our_end_alone_neither_holds_nor_refutes() {
    let cut_off = |kind, tunnels: &[TunnelTruth]| opens(kind, tunnels, true);
    let down = active(DOWN, UNKNOWN);
    assert_eq!(cut_off(Kind::OneSided, &[down, active(DOWN, UP)]), Truth::Unknown);
    assert_eq!(cut_off(Kind::OneSided, &[down, active(UNKNOWN, UNKNOWN)]), Truth::Unknown);
    assert_eq!(cut_off(Kind::OneSided, &[down, active(UP, UP)]), Truth::False);
    assert_eq!(cut_off(Kind::OneSided, &[active(DOWN, DOWN), active(DOWN, UP)]), Truth::False);
    assert_eq!(cut_off(Kind::OneSided, &[active(UP, DOWN), active(UP, DOWN)]), Truth::True);
    assert_eq!(cut_off(Kind::OneSided, &[active(DOWN, UP), active(UP, DOWN)]), Truth::Unknown);
    assert_eq!(cut_off(Kind::Outage, &[active(DOWN, DOWN), down]), Truth::True);
}

#[test]
fn unknown_closes_nothing() {
    let blind = active(UP, UNKNOWN);
    for kind in Kind::BY_DEFAULT {
        assert_eq!(closes(kind, &[blind, blind]), Truth::Unknown, "{kind:?}");
        for open in [
            [active(DOWN, UNKNOWN), active(UNKNOWN, DOWN)],
            [bgp_unconfirmed(ACTIVE), bgp_unconfirmed(ACTIVE)],
            [standby(DOWN, UNKNOWN), standby(UP, DOWN)],
        ] {
            assert_ne!(closes(kind, &open), Truth::True, "{kind:?}");
        }
    }
}

#[test]
fn each_kind_closes_on_its_own_condition() {
    let (well, dead) = (active(UP, UP), active(DOWN, DOWN));
    assert_eq!(closes(Kind::Outage, &[well, dead]), Truth::True);
    assert_eq!(closes(Kind::RedundancyLost, &[well, dead]), Truth::False);
    assert_eq!(closes(Kind::RedundancyLost, &[well, standby(DOWN, DOWN)]), Truth::True);
    assert_eq!(closes(Kind::OneSided, &[well, active(DOWN, UP)]), Truth::True);
    assert_eq!(closes(Kind::OneSided, &[dead, active(DOWN, UP)]), Truth::True);
    assert_eq!(closes(Kind::OneSided, &[active(DOWN, UP), active(DOWN, UP)]), Truth::False);
    assert_eq!(closes(Kind::OneSided, &[dead, active(UNKNOWN, UP)]), Truth::Unknown);
    assert_eq!(closes(Kind::Outage, &[bgp_down(ACTIVE), bgp_down(ACTIVE)]), Truth::False);
}

#[test]
fn with_no_active_tunnel_left_redundancy_is_back_when_every_tunnel_is() {
    let (well, dead) = (standby(UP, UP), standby(DOWN, DOWN));
    assert_eq!(closes(Kind::RedundancyLost, &[well, dead]), Truth::False);
    assert_eq!(closes(Kind::RedundancyLost, &[well, standby(UP, UNKNOWN)]), Truth::Unknown);
    assert_eq!(closes(Kind::RedundancyLost, &[well, well]), Truth::True);
    for kind in Kind::ALL {
        assert_eq!(closes(kind, &[]), Truth::False, "{kind:?}");
        assert_ne!(closes(kind, &[dead, dead]), Truth::True, "{kind:?}");
    }
    for kind in Kind::BY_DEFAULT {
        assert_eq!(closes(kind, &[dead, dead]), Truth::False, "{kind:?}");
    }
}

/// Whatever AWS says.
#[test]
fn a_degraded_tunnel_opens_its_own_kind_and_no_other() {
    for role in [ACTIVE, STANDBY] {
        for aws in [UP, DOWN, UNKNOWN] {
            let (good, dead) = (tunnel(role, UP, aws), tunnel(role, DOWN, aws));
            let slow = TunnelTruth { degraded: Truth::True, ..good };
            for kind in Kind::BY_DEFAULT {
                assert_eq!(opens(kind, &[slow, good], false), opens(kind, &[good, good], false), "{kind:?}");
            }
            let of = |tunnels: &[TunnelTruth]| {
                (opens(Kind::Degraded, tunnels, true), closes(Kind::Degraded, tunnels))
            };
            assert_eq!(of(&[slow, dead]), (Truth::True, Truth::False));
            assert_eq!(of(&[good, good]), (Truth::False, Truth::True));
            assert_eq!(
                of(&[good, dead]),
                (Truth::Unknown, Truth::Unknown),
                "it is neither good nor degraded"
            );
            let never = TunnelTruth { degraded: Truth::False, ..dead };
            assert_eq!(of(&[good, never]), (Truth::False, Truth::True));
        }
    }
}

/// Whatever the tunnels' roles and evidence, for one to four of them.
#[test]
fn the_kinds_exclude_each_other_and_nothing_closes_while_it_is_certain() {
    let said = [UP, DOWN, UNKNOWN];
    let mut kinds_of_tunnel = vec![bgp_down(ACTIVE), bgp_unconfirmed(ACTIVE), bgp_down(STANDBY)];
    for local in said.into_iter().chain([STARTING]) {
        for aws in said {
            kinds_of_tunnel.extend([ACTIVE, STANDBY].map(|role| tunnel(role, local, aws)));
        }
    }
    let check = |tunnels: &[TunnelTruth]| {
        let holding = Kind::ALL.into_iter().filter(|kind| opens(*kind, tunnels, false) == Truth::True);
        assert!(holding.clone().count() <= 1, "{tunnels:?}");
        for kind in holding {
            assert_ne!(closes(kind, tunnels), Truth::True, "{kind:?} {tunnels:?}");
        }
        let traffic = super::super::carrying::traffic(tunnels.iter().map(|tunnel| tunnel.carrying));
        let certain = outage(tunnels) == Truth::True;
        assert!(!certain || traffic == super::super::carrying::Traffic::DoesNotFlow, "{tunnels:?}");
    };
    for a in &kinds_of_tunnel {
        check(&[*a]);
        for b in &kinds_of_tunnel {
            check(&[*a, *b]);
            for c in &kinds_of_tunnel {
                check(&[*a, *b, *c]);
                check(&[*a, *b, *c, *c]);
            }
        }
    }
}

/// Plays times, each with what the condition is in it; whether it has held at the end of any.
fn played(times: impl IntoIterator<Item = (Truth, u64)>, needed: u64) -> Option<u64> {
    let needed = Duration::from_secs(needed);
    let (mut hold, mut at) = (Hold::default(), 0_u64);
    let moment = |at: u64| Moment::ORIGIN + Duration::from_secs(at);
    for (truth, long) in times {
        hold.observe(truth, needed, moment(at));
        if let Some(held_at) = hold.held_at(needed).filter(|held_at| *held_at <= moment(at + long)) {
            hold.observe(truth, needed, held_at);
            assert!(hold.has_held(needed));
            return Some(held_at.since(Moment::ORIGIN).as_secs());
        }
        at += long;
    }
    None
}

fn rounds(on: u64, off: u64, count: usize) -> impl Iterator<Item = (Truth, u64)> {
    std::iter::repeat_n([(Truth::True, on), (Truth::False, off)], count).flatten()
}

#[test]
fn a_line_that_is_down_for_110_of_120_seconds_has_held_within_two_rounds() {
    assert_eq!(played(rounds(110, 10, 3), 120), Some(140));
    assert_eq!(played(rounds(10, 110, 100), 120), None);
}

#[test]
fn not_knowing_stands_still_and_nothing_is_left_after_as_long_without_it() {
    let needed = Duration::from_secs(30);
    let at = |secs: u64| Moment::ORIGIN + Duration::from_secs(secs);
    let mut hold = Hold::default();
    hold.observe(Truth::True, needed, at(0));
    hold.observe(Truth::Unknown, needed, at(20));
    hold.observe(Truth::False, needed, at(1000));
    assert_eq!((hold.spent_at(), hold.held_at(needed)), (Some(at(1020)), None));
    hold.observe(Truth::False, needed, at(1020));
    assert!(hold.is_spent());
    assert_eq!(hold.spent_at(), None, "it would be looked at for ever");
}

#[test]
fn more_than_what_is_needed_is_not_kept() {
    let needed = Duration::from_secs(30);
    let at = |secs: u64| Moment::ORIGIN + Duration::from_secs(secs);
    let mut hold = Hold::default();
    hold.observe(Truth::True, needed, at(0));
    hold.observe(Truth::False, needed, at(3600));
    assert_eq!(hold.spent_at(), Some(at(3630)));
}

fn truth() -> impl Strategy<Value = Truth> {
    prop_oneof![Just(Truth::True), Just(Truth::False), Just(Truth::Unknown)]
}

proptest! {
    #[test]
    fn a_condition_that_never_holds_never_has_held(
        times in prop::collection::vec((prop_oneof![Just(Truth::False), Just(Truth::Unknown)], 0..1000_u64), 0..40),
    ) {
        prop_assert_eq!(played(times, 30), None);
    }

    #[test]
    fn a_blip_that_is_shorter_than_needed_has_not_held(
        before in prop::collection::vec((prop_oneof![Just(Truth::False), Just(Truth::Unknown)], 0..1000_u64), 0..10),
        blip in 0..30_u64,
        after in prop::collection::vec((prop_oneof![Just(Truth::False), Just(Truth::Unknown)], 0..1000_u64), 0..10),
    ) {
        let times = before.into_iter().chain([(Truth::True, blip)]).chain(after);
        prop_assert_eq!(played(times, 30), None);
    }

    #[test]
    fn blips_that_are_each_followed_by_as_long_a_time_without_have_not_held(
        blips in prop::collection::vec((0..30_u64, 0..30_u64), 0..60),
    ) {
        let times = blips.into_iter().flat_map(|(on, more)| [(Truth::True, on), (Truth::False, on + more)]);
        prop_assert_eq!(played(times, 30), None);
    }

    #[test]
    fn a_condition_that_mostly_holds_has_held_within_the_stated_bound(
        on in 2..200_u64, shorter in 1..200_u64, needed in 1..1000_u64,
    ) {
        let off = on.saturating_sub(shorter);
        let rounds_needed = 1 + needed.saturating_sub(on).div_ceil(on - off);
        let at = played(rounds(on, off, 2000), needed);
        prop_assert!(at.is_some_and(|at| at <= rounds_needed * (on + off)), "{:?}", at);
    }

    #[test]
    fn an_unbroken_condition_has_held_when_needed_and_not_before(needed in 1..1000_u64) {
        prop_assert_eq!(played([(Truth::True, needed)], needed), Some(needed));
        prop_assert_eq!(played([(Truth::True, needed - 1)], needed), None);
    }

    #[test]
    fn it_never_has_held_for_longer_than_the_condition_was_true(
        times in prop::collection::vec((truth(), 0..100_u64), 0..40), needed in 1..200_u64,
    ) {
        let was_true: u64 = times.iter().filter(|(truth, _)| *truth == Truth::True).map(|(_, long)| long).sum();
        prop_assert!(played(times, needed).is_none() || was_true >= needed);
    }
}

//--- grace

const GRACE: Duration = Duration::from_secs(120);

fn at(secs: u64) -> Moment {
    Moment::ORIGIN + Duration::from_secs(secs)
}

#[test]
fn after_a_start_it_lasts_until_both_ends_agree() {
    assert_eq!(Grace::new(at(7)).until(GRACE, false, |_| false), at(127));
    assert_eq!(Grace::new(at(7)).until(GRACE, true, |_| false), at(7));
}

#[test]
fn after_a_hold_up_it_lasts_as_long_or_until_both_ends_agree_on_evidence_of_after_it() {
    let mut grace = Grace::new(at(0));
    grace.held_up(at(5000));
    assert_eq!(grace.until(GRACE, false, |_| false), at(5120));
    assert_eq!(grace.until(GRACE, true, |after| after < at(5000)), at(5120));
    assert_eq!(grace.until(GRACE, true, |after| after == at(5000)), at(0));
    assert_eq!(grace.until(GRACE, false, |after| after == at(5000)), at(120));
}

#[test]
fn after_a_take_over_it_lasts_until_both_ends_agree() {
    let mut grace = Grace::new(at(0));
    grace.taken_over(at(600));
    assert_eq!(grace.until(GRACE, false, |_| false), at(720));
    assert_eq!(grace.until(GRACE, true, |_| false), at(0));
}

#[test]
fn repeated_takeovers_and_hold_ups_delay_openings_little() {
    let (mut held_up, mut moved) = (Grace::new(at(0)), Grace::new(at(0)));
    let mut kept = [0, 0];
    for second in 0..36_000 {
        if second % 100 == 0 {
            held_up.held_up(at(second));
            moved.taken_over(at(second));
        }
        for (grace, kept) in [held_up, moved].iter().zip(&mut kept) {
            *kept += u64::from(grace.until(GRACE, false, |_| false) > at(second));
        }
    }
    assert!(kept.iter().all(|kept| *kept <= 10 * 3 * 120), "{kept:?} of ten hours");
}

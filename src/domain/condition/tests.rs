use super::super::carrying::{BgpWord, Said, judge};
use super::super::correlate::assess;
use super::super::names::Routing;
use super::super::verdict::Why;
use super::*;

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
fn while_cut_off_what_our_end_alone_says_is_neither_held_nor_refuted() {
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
fn nothing_is_ever_closed_by_not_knowing() {
    let blind = active(UP, UNKNOWN);
    for kind in Kind::ALL {
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
        assert_eq!(closes(kind, &[dead, dead]), Truth::False, "{kind:?}");
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

use super::*;
use crate::domain::verdict::{Fault, Why};

const UP: Verdict = Verdict::Up;
const DOWN: Verdict = Verdict::Down;

const LOCAL_UNKNOWN: [Verdict; 6] = [
    Verdict::Unknown(Why::NeverAnswered),
    Verdict::Unknown(Why::Fault(Fault::AddressMissing)),
    Verdict::Unknown(Why::Fault(Fault::NoPermission)),
    Verdict::Unknown(Why::Fault(Fault::HeldUp)),
    Verdict::Unknown(Why::Silent),
    Verdict::Unknown(Why::NotHere),
];
const STARTING: Verdict = Verdict::Unknown(Why::Starting);
const AWS_UNKNOWN: [Verdict; 8] = [
    Verdict::Unknown(Why::NotAsked),
    Verdict::Unknown(Why::NoData),
    Verdict::Unknown(Why::Stale),
    Verdict::Unknown(Why::Fraction),
    Verdict::Unknown(Why::Future),
    Verdict::Unknown(Why::Contradiction),
    Verdict::Unknown(Why::Gone),
    Verdict::Unknown(Why::Garbage),
];
const ROUTINGS: [Routing; 3] = [Routing::Bgp, Routing::Static, Routing::Unknown];
const BGP: [BgpWord; 3] = [BgpWord::Nothing, BgpWord::SecondDatapoint, BgpWord::IpsecIsUp];

/// What is said of a pair of verdicts under every routing, word of BGP and time of AWS's evidence.
fn always(local: Verdict, aws: Verdict) -> Vec<Carrying> {
    let mut all = Vec::new();
    for routing in ROUTINGS {
        for bgp in BGP {
            for aws_is_later in [false, true] {
                all.push(judge(Said { local, aws, aws_is_later, bgp, routing }));
            }
        }
    }
    all.dedup();
    all
}

#[test]
fn a_tunnel_carries_only_if_both_ends_say_up() {
    assert_eq!(always(UP, UP), [Carrying::Carrying]);
    let others = [DOWN, STARTING].into_iter().chain(LOCAL_UNKNOWN).chain(AWS_UNKNOWN);
    for other in others {
        for (local, aws) in [(UP, other), (other, UP), (DOWN, other), (other, DOWN), (other, other)] {
            assert!(!always(local, aws).contains(&Carrying::Carrying), "{local}, {aws}");
        }
    }
}

#[test]
fn our_up_beside_awss_down_is_bgp_where_it_is_routed_so_and_confirmed() {
    let said = |routing, bgp| judge(Said { local: UP, aws: DOWN, aws_is_later: true, bgp, routing });
    let bgp_down = Carrying::NotCarrying(NotCarrying::BgpDown);
    let unconfirmed = Carrying::CannotTell(CannotTell::BgpUnconfirmed);
    let disputed = Carrying::CannotTell(CannotTell::Disputed);
    let table = [
        (Routing::Bgp, [unconfirmed, bgp_down, bgp_down]),
        (Routing::Static, [disputed, disputed, disputed]),
        (Routing::Unknown, [disputed, disputed, bgp_down]),
    ];
    for (routing, expected) in table {
        assert_eq!(BGP.map(|bgp| said(routing, bgp)), expected, "{routing:?}");
    }
}

#[test]
fn our_down_is_agreed_only_on_evidence_of_after_it_began() {
    for (routing, bgp) in ROUTINGS.into_iter().flat_map(|routing| BGP.map(|bgp| (routing, bgp))) {
        let said = |aws_is_later| judge(Said { local: DOWN, aws: DOWN, aws_is_later, bgp, routing });
        assert_eq!(said(true), Carrying::NotCarrying(NotCarrying::BothEndsDown));
        assert_eq!(said(false), Carrying::NotCarrying(NotCarrying::LocalDown));
    }
    for aws in AWS_UNKNOWN.into_iter().chain([UP]) {
        assert_eq!(always(DOWN, aws), [Carrying::NotCarrying(NotCarrying::LocalDown)], "{aws}");
    }
}

#[test]
fn an_end_that_does_not_know_neither_votes_nor_vetoes() {
    for local in LOCAL_UNKNOWN {
        assert_eq!(always(local, DOWN), [Carrying::NotCarrying(NotCarrying::AwsDown)], "{local}");
        for aws in AWS_UNKNOWN.into_iter().chain([UP]) {
            assert_eq!(
                always(local, aws),
                [Carrying::CannotTell(CannotTell::LocalUnknown)],
                "{local}, {aws}"
            );
        }
    }
    for aws in AWS_UNKNOWN {
        assert_eq!(always(UP, aws), [Carrying::CannotTell(CannotTell::AwsUnknown)], "{aws}");
    }
    assert_eq!(always(STARTING, DOWN), [Carrying::CannotTell(CannotTell::Starting)]);
    assert_eq!(always(STARTING, UP), [Carrying::CannotTell(CannotTell::LocalUnknown)]);
    assert_eq!(always(Verdict::Unknown(Why::Unused), DOWN), [Carrying::CannotTell(CannotTell::Unused)]);
}

#[test]
fn traffic_flows_over_any_tunnel_that_carries_and_is_stopped_only_if_none_does() {
    let carries = Carrying::Carrying;
    let dead = Carrying::NotCarrying(NotCarrying::AwsDown);
    let open = Carrying::CannotTell(CannotTell::AwsUnknown);
    let table: [(&[Carrying], Traffic); 9] = [
        (&[], Traffic::CannotTell),
        (&[carries], Traffic::Flows),
        (&[dead], Traffic::DoesNotFlow),
        (&[open], Traffic::CannotTell),
        (&[dead, carries], Traffic::Flows),
        (&[open, carries, dead], Traffic::Flows),
        (&[dead, dead, dead, dead], Traffic::DoesNotFlow),
        (&[dead, open], Traffic::CannotTell),
        (&[open, dead, dead], Traffic::CannotTell),
    ];
    for (tunnels, expected) in table {
        assert_eq!(traffic(tunnels.iter().copied()), expected, "{tunnels:?}");
        assert_eq!(traffic(tunnels.iter().rev().copied()), expected, "{tunnels:?}");
    }
}

const UNKNOWN: Verdict = Verdict::Unknown(Why::Stale);

#[test]
fn the_table_holds_in_all_nine_cells() {
    let table = [
        (Verdict::Up, Verdict::Up, Assessment::Healthy),
        (Verdict::Up, Verdict::Down, Assessment::Disputed(End::Aws)),
        (Verdict::Up, UNKNOWN, Assessment::Blind),
        (Verdict::Down, Verdict::Up, Assessment::Disputed(End::Local)),
        (Verdict::Down, Verdict::Down, Assessment::Down),
        (Verdict::Down, UNKNOWN, Assessment::Unconfirmed(End::Local)),
        (UNKNOWN, Verdict::Up, Assessment::Blind),
        (UNKNOWN, Verdict::Down, Assessment::Unconfirmed(End::Aws)),
        (UNKNOWN, UNKNOWN, Assessment::Blind),
    ];
    for (local, aws, expected) in table {
        assert_eq!(correlate(local, aws), expected, "local {local}, aws {aws}");
    }
}

#[test]
fn both_ends_agree_on_down_only_where_the_table_of_carrying_says_so() {
    let assessed = |local, aws, carrying| assess(local, aws, carrying);
    let (agreed, bgp) = (NotCarrying::BothEndsDown, NotCarrying::BgpDown);
    let table = [
        (Verdict::Down, Verdict::Down, Carrying::NotCarrying(agreed), Assessment::Down),
        (
            Verdict::Down,
            Verdict::Down,
            Carrying::NotCarrying(NotCarrying::LocalDown),
            Assessment::Unconfirmed(End::Local),
        ),
        (Verdict::Up, Verdict::Down, Carrying::NotCarrying(bgp), Assessment::Down),
        (
            Verdict::Up,
            Verdict::Down,
            Carrying::CannotTell(CannotTell::BgpUnconfirmed),
            Assessment::Disputed(End::Aws),
        ),
        (UNKNOWN, Verdict::Down, Carrying::CannotTell(CannotTell::Unused), Assessment::Blind),
    ];
    for (local, aws, carrying, expected) in table {
        assert_eq!(assessed(local, aws, carrying), expected, "{local}, {aws}, {carrying:?}");
    }
}

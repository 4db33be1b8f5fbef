//! The tables, row by row, and what holds for every input.

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::carrying::CannotTell;
use super::Confidence::{Certain, Likely, Possible};
use super::Sign::{Awaited, Dark, Seen};
use super::*;
use super::{Cause as C, OutsideSign as Out};

const HOP: (u8, IpAddr) = (4, IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 9)));

/// Our probes are lost, AWS does not say why, and nothing else is watched.
fn down() -> Symptoms {
    Symptoms {
        inside: Verdict::Down,
        loss: Some(Loss::Timeout),
        carrying: Carrying::NotCarrying(NotCarrying::BothEndsDown),
        ipsec: Sign::Dark,
        bgp: Sign::Dark,
        outside: Sign::Dark,
        references: Sign::Dark,
        others: Sign::Dark,
        interface: None,
        path_ends_at: None,
        hops: None,
        replacement: false,
        aws_ipsec: None,
        hosts_missing: None,
        mtu_shrank: None,
        lossy: None,
        slow: None,
        alone: None,
        lost_for: Duration::from_secs(600),
        may_be_bgp: true,
        aws_flow: AwsFlow::default(),
    }
}

fn up() -> Symptoms {
    Symptoms { inside: Verdict::Up, loss: None, carrying: Carrying::Carrying, ..down() }
}

fn standing(alive: bool, outbound: Option<bool>, inbound: Option<bool>) -> Sign<IpsecSign> {
    Sign::Seen(IpsecSign::Standing(Flow { alive, outbound, inbound }))
}

fn session(peer_heard_nothing: bool) -> Sign<BgpSign> {
    Sign::Seen(BgpSign::NotEstablished { state: "Active".into(), last_error: None, peer_heard_nothing })
}

#[track_caller]
fn names(symptoms: &Symptoms, cause: Cause, confidence: Confidence) {
    let found = diagnose(symptoms).expect("something is wrong");
    assert_eq!((found.cause, found.confidence), (cause, confidence), "{symptoms:?}\n{:?}", found.clues);
}

#[track_caller]
fn is_unknown(symptoms: &Symptoms) {
    names(symptoms, Cause::Unknown, Confidence::Possible);
}

#[test]
fn this_gateway_itself() {
    let stopped = Symptoms { ipsec: Seen(IpsecSign::DaemonNotRunning), ..down() };
    names(&stopped, C::GatewayHost, Certain);
    // The daemon took the interface with it.
    names(&Symptoms { loss: Some(Loss::NoPath), ..stopped.clone() }, C::GatewayHost, Certain);
    names(&Symptoms { loss: Some(Loss::Blocked), ..down() }, C::GatewayConfig, Certain);
    let no_path = Symptoms { loss: Some(Loss::NoPath), ..down() };
    names(&no_path, C::GatewayConfig, Likely);
    names(&Symptoms { ipsec: standing(false, None, None), ..no_path.clone() }, C::GatewayConfig, Certain);
    // An IKE daemon removes the interface when its peer is gone: that is why.
    let gone = Symptoms { ipsec: Seen(IpsecSign::IkeAbsent), outside: Seen(Out::Answers), ..no_path };
    names(&gone, C::IkeDown, Certain);
    names(&Symptoms { outside: Seen(Out::NoRoute), ..down() }, C::GatewayConfig, Certain);
    names(&Symptoms { outside: Seen(Out::Blocked), ..down() }, C::GatewayConfig, Certain);
    names(&Symptoms { ipsec: Seen(IpsecSign::ChildAbsent), ..down() }, C::GatewayConfig, Likely);
}

#[test]
fn the_uplink_and_the_path() {
    for link in [Link::Down, Link::Missing] {
        names(&Symptoms { interface: Some(link), ..down() }, C::UplinkDown, Certain);
    }
    let silent = Symptoms { outside: Seen(Out::Silent), interface: Some(Link::Up), ..down() };
    is_unknown(&silent);
    let answers = |sign| Symptoms { references: sign, ..silent.clone() };
    names(&answers(Seen(UplinkSign::Silent)), C::UplinkDown, Certain);
    names(&answers(Seen(UplinkSign::Answers)), C::PathToAws, Likely);
    let traced = Symptoms { path_ends_at: Some(HOP), ..answers(Seen(UplinkSign::Answers)) };
    // Nothing beyond it has ever answered, as far as is known.
    names(&traced, C::PathToAws, Likely);
    let (now, before): (Hops, Hops) = (vec![None, Some(HOP.1)].into(), vec![Some(HOP.1); 6].into());
    let with_hops = Symptoms { hops: Some((now.clone(), Some(before.clone()))), ..traced.clone() };
    names(&with_hops, C::PathToAws, Certain);
    let kept = diagnose(&with_hops).unwrap().clues;
    assert!(kept.contains(&Clue::Hops { now, before: Some(before) }), "the trace is kept: {kept:?}");
    is_unknown(&answers(Awaited));
    let others = |sign| Symptoms { others: sign, ..silent.clone() };
    names(&others(Seen(UplinkSign::Silent)), C::UplinkDown, Possible);
    names(&others(Seen(UplinkSign::Answers)), C::PathToAws, Likely);
    is_unknown(&others(Awaited));
    // A reference that is dead itself must not blame the uplink over which the other tunnel works.
    let both = Symptoms { others: Seen(UplinkSign::Answers), ..answers(Seen(UplinkSign::Silent)) };
    names(&both, C::PathToAws, Likely);
    // Nothing follows from the silence of an address that has never answered.
    is_unknown(&Symptoms { outside: Seen(Out::NeverAnswered), ..down() });
}

#[test]
fn a_row_that_may_still_hold_keeps_the_rows_below_it_from_naming_another() {
    let unanswered = Symptoms { ipsec: Seen(IpsecSign::IkeUnanswered), ..down() };
    is_unknown(&Symptoms { outside: Awaited, ..unanswered.clone() });
    names(
        &Symptoms { outside: Seen(Out::Silent), references: Seen(UplinkSign::Answers), ..unanswered },
        C::PathToAws,
        Likely,
    );
    let stands =
        Symptoms { ipsec: standing(true, Some(true), Some(false)), outside: Seen(Out::Answers), ..down() };
    is_unknown(&Symptoms { bgp: Awaited, ..stands });
    is_unknown(&Symptoms { ipsec: Awaited, outside: Seen(Out::Answers), aws_ipsec: Some(false), ..down() });
    // Only what leaves no other cause does not wait.
    let refused = Symptoms { ipsec: Seen(IpsecSign::Refused(Refusal::Proposal)), outside: Awaited, ..down() };
    names(&refused, C::IkeRejected, Certain);
}

#[test]
fn the_ike_peer() {
    for refusal in Refusal::ALL {
        names(&Symptoms { ipsec: Seen(IpsecSign::Refused(refusal)), ..down() }, C::IkeRejected, Certain);
    }
    for sign in [IpsecSign::IkeAbsent, IpsecSign::IkeConnecting, IpsecSign::IkeUnanswered] {
        let gone = Symptoms { ipsec: Seen(sign), ..down() };
        names(&gone, C::IkeDown, Likely);
        names(&Symptoms { outside: Seen(Out::NeverAnswered), ..gone.clone() }, C::IkeDown, Likely);
        names(&Symptoms { outside: Seen(Out::Answers), ..gone.clone() }, C::IkeDown, Certain);
        names(&Symptoms { replacement: true, ..gone }, C::AwsMaintenance, Likely);
    }
    let by_aws = Symptoms { outside: Seen(Out::Answers), aws_ipsec: Some(false), ..down() };
    names(&by_aws, C::IkeDown, Possible);
    is_unknown(&Symptoms { outside: Dark, ..by_aws });
}

#[test]
fn one_way() {
    let stands = |alive, outbound, inbound| Symptoms { ipsec: standing(alive, outbound, inbound), ..down() };
    names(&stands(true, Some(true), Some(false)), C::IpsecOneWay, Likely);
    // A dead endpoint looks like this until dead peer detection notices.
    is_unknown(&stands(false, Some(true), Some(false)));
    names(&stands(true, Some(false), Some(false)), C::GatewayConfig, Likely);
    is_unknown(&stands(true, Some(true), Some(true)));
    is_unknown(&stands(true, None, None));
    let with = |bgp, symptoms: Symptoms| Symptoms { bgp, ..symptoms };
    names(&with(session(true), stands(false, Some(true), None)), C::IpsecOneWay, Certain);
    is_unknown(&with(session(true), stands(false, None, None)));
    names(&with(session(false), stands(false, Some(true), Some(true))), C::IpsecOneWay, Likely);
    // BGP passes both ways: only our echoes are lost.
    for sign in [BgpSign::Established, BgpSign::WithoutPolicy, BgpSign::PrefixMissing("10.0.0.0/16".into())] {
        is_unknown(&with(Seen(sign), stands(true, Some(true), Some(true))));
    }
}

#[test]
fn one_way_by_awss_count() {
    let stands = |alive, outbound, inbound, received| Symptoms {
        ipsec: standing(alive, outbound, inbound),
        aws_flow: AwsFlow { received, sent: None },
        ..down()
    };
    let (yes, no) = (Some(true), Some(false));
    names(&stands(false, yes, yes, no), C::IpsecOneWay, Certain);
    names(&stands(false, None, no, yes), C::IpsecOneWay, Certain);
    names(&stands(true, yes, None, no), C::IpsecOneWay, Likely);
    let dead = stands(false, yes, no, no);
    is_unknown(&dead);
    names(&Symptoms { aws_ipsec: yes, ..dead.clone() }, C::IpsecOneWay, Likely);
    is_unknown(&Symptoms { aws_ipsec: no, ..dead });
    names(&stands(true, no, yes, no), C::GatewayConfig, Likely);
    // AWS receives, and packets come in: nothing follows.
    is_unknown(&stands(true, yes, yes, yes));
    // The session stands: AWS's count is of before, or wrong.
    is_unknown(&Symptoms { bgp: Seen(BgpSign::Established), ..stands(true, yes, yes, no) });
    is_unknown(&Symptoms { bgp: Awaited, ..stands(true, yes, yes, no) });
    // AWS receives: that the session fails says nothing of the direction any more.
    is_unknown(&Symptoms { bgp: session(false), ..stands(true, yes, yes, yes) });
}

#[test]
fn on_which_side() {
    let here = Symptoms { alone: Some(End::Local), ..down() };
    let lead = |symptoms: &Symptoms| diagnose(symptoms).and_then(|found| Some((found.cause, found.lead?)));
    let (yes, no) = (Some(true), Some(false));
    let flows = |outbound, inbound, received, sent| Symptoms {
        ipsec: standing(true, outbound, inbound),
        aws_flow: AwsFlow { received, sent },
        ..here.clone()
    };
    assert_eq!(lead(&here), None);
    assert_eq!(lead(&flows(yes, no, no, yes)), Some((C::IpsecOneWay, Lead::OutboundLost)));
    assert_eq!(lead(&flows(yes, no, yes, yes)), Some((C::IpsecOneWay, Lead::ReturnLost)));
    assert_eq!(lead(&flows(yes, no, yes, no)), Some((C::IpsecOneWay, Lead::AwsSilent)));
    assert_eq!(lead(&flows(yes, yes, yes, yes)), Some((C::Unknown, Lead::EchoesLost)));
    let unheard = Symptoms { bgp: session(true), ..flows(yes, None, None, None) };
    assert_eq!(lead(&unheard), Some((C::IpsecOneWay, Lead::OutboundLost)));
    // Both ends agree: the counts are those of a tunnel that is down.
    assert_eq!(lead(&Symptoms { alone: None, ..flows(yes, no, no, yes) }), None);
    // The path is not in order, or that is not known yet.
    for outside in [Awaited, Seen(Out::Silent)] {
        assert_eq!(lead(&Symptoms { outside, ..flows(yes, no, no, yes) }), None);
    }
    // A session that stands soon after the break may not have noticed it.
    let stands = Symptoms { bgp: Seen(BgpSign::Established), ..here.clone() };
    assert_eq!(lead(&stands), Some((C::Unknown, Lead::EchoesLost)));
    assert_eq!(lead(&Symptoms { lost_for: Duration::from_secs(60), ..stands }), None);
    // A named cause has its own side.
    let path = Symptoms { outside: Seen(Out::Silent), references: Seen(UplinkSign::Answers), ..here };
    let found = diagnose(&path).unwrap();
    assert_eq!((found.cause, found.lead, found.side()), (C::PathToAws, None, Side::Path));
}

#[test]
fn aws_alone_says_down() {
    let disputed = Carrying::CannotTell(CannotTell::Disputed);
    let there = Symptoms { alone: Some(End::Aws), carrying: disputed, ..up() };
    assert_eq!(diagnose(&there), None);
    let by_routes = Symptoms { may_be_bgp: false, ..there.clone() };
    let found = diagnose(&by_routes).unwrap();
    assert_eq!((found.cause, found.lead, found.side()), (C::Unknown, Some(Lead::AwsReport), Side::Aws));
    assert_eq!(found.clues, [Clue::ProbesAnswered]);
    let session_stands = Symptoms { bgp: Seen(BgpSign::Established), ..there.clone() };
    assert_eq!(diagnose(&session_stands).and_then(|found| found.lead), Some(Lead::AwsReport));
    // It is down indeed.
    let found = diagnose(&Symptoms { bgp: session(false), ..there }).unwrap();
    assert_eq!((found.cause, found.lead), (C::BgpDown, None));
}

#[test]
fn maintenance() {
    names(&Symptoms { replacement: true, ..down() }, C::AwsMaintenance, Likely);
    // What is wrong on this gateway is wrong whatever AWS does.
    let childless = Symptoms { replacement: true, ipsec: Seen(IpsecSign::ChildAbsent), ..down() };
    names(&childless, C::GatewayConfig, Likely);
    names(&Symptoms { replacement: true, loss: Some(Loss::NoPath), ..down() }, C::GatewayConfig, Likely);
    is_unknown(&Symptoms { replacement: true, ipsec: Awaited, ..down() });
    let silent = Symptoms {
        replacement: true,
        outside: Seen(Out::Silent),
        references: Seen(UplinkSign::Answers),
        ..down()
    };
    names(&silent, C::AwsMaintenance, Likely);
    names(&Symptoms { references: Seen(UplinkSign::Silent), ..silent }, C::UplinkDown, Certain);
}

#[test]
fn a_tunnel_that_answers() {
    assert_eq!(diagnose(&up()), None);
    names(&Symptoms { bgp: session(false), ..up() }, C::BgpDown, Certain);
    names(&Symptoms { bgp: Seen(BgpSign::WithoutPolicy), ..up() }, C::BgpDown, Certain);
    names(&Symptoms { bgp: Seen(BgpSign::PrefixMissing("10.0.0.0/16".into())), ..up() }, C::BgpDown, Certain);
    let by_aws = Symptoms { carrying: Carrying::NotCarrying(NotCarrying::BgpDown), ..up() };
    names(&by_aws, C::BgpDown, Likely);
    // Our own session is established: AWS's word alone names nothing.
    is_unknown(&Symptoms { bgp: Seen(BgpSign::Established), ..by_aws });
    names(&Symptoms { hosts_missing: Some((0, 2)), ..up() }, C::VpcUnreachable, Certain);
    names(&Symptoms { mtu_shrank: Some((1000, 1438)), ..up() }, C::Mtu, Certain);
    names(&Symptoms { lossy: Some(30), ..up() }, C::LossyPath, Certain);
    names(&Symptoms { slow: Some((230, 20)), ..up() }, C::SlowPath, Certain);
    // What carries no traffic comes before what carries it badly.
    let everything = Symptoms {
        bgp: session(false),
        hosts_missing: Some((0, 1)),
        mtu_shrank: Some((1000, 1438)),
        lossy: Some(30),
        slow: Some((230, 20)),
        ..up()
    };
    names(&everything, C::BgpDown, Certain);
    names(&Symptoms { bgp: Dark, ..everything }, C::VpcUnreachable, Certain);
}

#[test]
fn an_end_without_a_vote() {
    let unknown = |why| Symptoms {
        inside: Verdict::Unknown(why),
        carrying: Carrying::CannotTell(CannotTell::LocalUnknown),
        ..down()
    };
    let fault = |fault| unknown(Why::Fault(fault));
    names(&fault(Fault::AddressMissing), C::GatewayConfig, Certain);
    for own in [Fault::NoPermission, Fault::NoMemory, Fault::QueueFull, Fault::TooManyFiles, Fault::Socket(5)]
    {
        names(&fault(own), C::GatewayHost, Certain);
    }
    assert_eq!(diagnose(&fault(Fault::HeldUp)), None);
    for why in [Why::Starting, Why::NeverAnswered, Why::Silent, Why::Unused, Why::NotHere, Why::BgpUnknown] {
        assert_eq!(diagnose(&unknown(why)), None, "{why:?}");
    }
    let by_aws = Symptoms {
        carrying: Carrying::NotCarrying(NotCarrying::AwsDown),
        ipsec: Seen(IpsecSign::IkeAbsent),
        ..unknown(Why::NeverAnswered)
    };
    names(&by_aws, C::IkeDown, Likely);
}

fn sign<T: Clone + std::fmt::Debug + 'static>(
    seen: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Sign<T>> {
    prop_oneof![Just(Sign::Dark), Just(Sign::Awaited), seen.prop_map(Sign::Seen)]
}

fn symptoms() -> impl Strategy<Value = Symptoms> {
    let verdict = select(vec![
        Verdict::Up,
        Verdict::Down,
        Verdict::Unknown(Why::NeverAnswered),
        Verdict::Unknown(Why::Fault(Fault::NoMemory)),
        Verdict::Unknown(Why::Starting),
    ]);
    let loss = option::of(select(vec![Loss::Timeout, Loss::NoPath, Loss::Blocked]));
    let carrying = select(vec![
        Carrying::Carrying,
        Carrying::CannotTell(CannotTell::Disputed),
        Carrying::NotCarrying(NotCarrying::BothEndsDown),
        Carrying::NotCarrying(NotCarrying::BgpDown),
        Carrying::NotCarrying(NotCarrying::AwsDown),
    ]);
    let flow = (any::<bool>(), any::<Option<bool>>(), any::<Option<bool>>())
        .prop_map(|(alive, outbound, inbound)| IpsecSign::Standing(Flow { alive, outbound, inbound }));
    let ipsec = prop_oneof![
        flow,
        select(vec![
            IpsecSign::DaemonNotRunning,
            IpsecSign::Refused(Refusal::Authentication),
            IpsecSign::IkeAbsent,
            IpsecSign::IkeConnecting,
            IpsecSign::IkeUnanswered,
            IpsecSign::ChildAbsent,
        ])
    ];
    let bgp = prop_oneof![
        select(vec![
            BgpSign::Established,
            BgpSign::WithoutPolicy,
            BgpSign::PrefixMissing("10.0.0.0/8".into())
        ]),
        any::<bool>().prop_map(|peer_heard_nothing| BgpSign::NotEstablished {
            state: "Idle".into(),
            last_error: None,
            peer_heard_nothing
        }),
    ];
    let outside = select(vec![Out::Answers, Out::Silent, Out::NeverAnswered, Out::NoRoute, Out::Blocked]);
    let uplink = || sign(select(vec![UplinkSign::Answers, UplinkSign::Silent]));
    let link = option::of(select(vec![Link::Up, Link::Down, Link::Missing]));
    (
        (verdict, loss, carrying, sign(ipsec), sign(bgp), sign(outside)),
        (uplink(), uplink(), link, any::<bool>(), any::<Option<bool>>(), any::<bool>()),
        (
            option::of((0_u16..3, 1_u16..3)),
            option::of((Just(1000), Just(1400))),
            option::of(1_u8..100),
            any::<Option<(u32, u32)>>(),
        ),
        (
            option::of(select(vec![End::Local, End::Aws])),
            any::<bool>(),
            (any::<Option<bool>>(), any::<Option<bool>>())
                .prop_map(|(received, sent)| AwsFlow { received, sent }),
        ),
    )
        .prop_map(
            |(
                (inside, loss, carrying, ipsec, bgp, outside),
                (references, others, interface, replacement, aws_ipsec, traced),
                (hosts_missing, mtu_shrank, lossy, slow),
                (alone, may_be_bgp, aws_flow),
            )| Symptoms {
                inside,
                loss,
                carrying,
                ipsec,
                bgp,
                outside,
                references,
                others,
                interface,
                path_ends_at: traced.then_some(HOP),
                hops: None,
                replacement,
                aws_ipsec,
                hosts_missing,
                mtu_shrank,
                lossy,
                slow,
                alone,
                lost_for: Duration::from_secs(if may_be_bgp { 600 } else { 10 }),
                may_be_bgp,
                aws_flow,
            },
        )
}

proptest! {
    #[test]
    fn every_named_cause_rests_on_evidence(symptoms in symptoms()) {
        if let Some(found) = diagnose(&symptoms) {
            prop_assert_eq!(found.cause == Cause::Unknown && found.confidence != Possible, false);
            prop_assert!(found.cause == Cause::Unknown || !found.clues.is_empty());
        }
    }

    /// Evidence that is taken away never makes another cause certain.
    #[test]
    fn less_evidence_never_names_another_cause_with_certainty(symptoms in symptoms()) {
        let Some(whole) = diagnose(&symptoms) else { return Ok(()) };
        // A second fault beside it may be as certain, and shows where the first is not seen.
        let hides_another =
            |clue: &Clue| matches!(clue, Clue::IkeDaemonNotRunning | Clue::PeerRefused(_));
        if whole.clues.iter().any(hides_another) {
            return Ok(());
        }
        let less = [
            Symptoms { ipsec: Sign::Awaited, ..symptoms.clone() },
            Symptoms { bgp: Sign::Awaited, ..symptoms.clone() },
            Symptoms { outside: Sign::Awaited, ..symptoms.clone() },
            Symptoms { references: Sign::Awaited, ..symptoms.clone() },
            Symptoms { others: Sign::Awaited, ..symptoms.clone() },
        ];
        for symptoms in less {
            let Some(found) = diagnose(&symptoms) else { continue };
            let same_or_unsure = found.cause == whole.cause || found.confidence != Certain;
            // A tunnel that answers may have several troubles, and each is certain by itself.
            prop_assert!(same_or_unsure || symptoms.inside == Verdict::Up, "{:?} became {:?}", whole, found);
        }
    }
}

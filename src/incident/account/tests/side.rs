//! What people read where the evidence names a cause or a side.

use super::*;

/// Five minutes before noon.
fn five_minutes(tunnel: TunnelSnapshot) -> TunnelSnapshot {
    let Evidence::Local(evidence) = tunnel.local.evidence else { return tunnel };
    let since = Some(before(300));
    let evidence = LocalEvidence { last_reply: since, stopped: since, losses_in_row: 40, ..evidence };
    let local =
        View { verdict: tunnel.local.verdict, since: before(298), evidence: Evidence::Local(evidence) };
    TunnelSnapshot { local, ..tunnel }
}

fn here_alone(last: u8) -> TunnelSnapshot {
    five_minutes(tunnel(last, TIMED_OUT, AWS_UP, Assessment::Disputed(End::Local)))
}

fn named(tunnel: TunnelSnapshot, diagnosis: &Diagnosis) -> TunnelSnapshot {
    TunnelSnapshot { diagnosis: Some(diagnosis.clone()), ..tunnel }
}

fn of(cause: Cause, confidence: Confidence, clues: Vec<Clue>, lead: Option<Lead>) -> Diagnosis {
    Diagnosis { cause, confidence, clues, lead }
}

/// The mail down to the runbook.
fn page(incident: &Incident) -> String {
    let mail = mail(incident);
    mail.split_once("\nRunbook").map(|(page, _)| page.to_owned()).unwrap()
}

#[test]
fn what_this_gateway_sends_does_not_arrive_at_aws() {
    let clues = vec![
        Clue::AwsReceivesNothing,
        Clue::IkeEstablished,
        Clue::OutboundMoves,
        Clue::InboundStopped,
        Clue::AwsSends,
    ];
    let one_way = of(Cause::IpsecOneWay, Confidence::Likely, clues, Some(Lead::OutboundLost));
    let tunnels = [11, 12].map(|last| named(here_alone(last), &one_way));
    insta::assert_snapshot!(page(&incident(Kind::OneSided, tunnels.to_vec())), @r#"
    SMS: ONE-SIDED milan-1, Milan DC, primary. Only this site says tunnel 1 and tunnel 2 down. No traffic flows, as seen from here. Since 2026-11-22 11:55:00 UTC

    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): one-sided: IPsec passes one way only — only this site says that tunnel 1 (203.0.113.11) and tunnel 2 (203.0.113.12) are down

    Why: IPsec passes one way only (likely). AWS receives nothing; the IKE SA is established; packets leave by IPsec; no packet comes in by IPsec; AWS sends.
    Down since 2026-11-22 11:55:00 UTC (the last reply).
    No traffic flows, as far as this site can tell: no tunnel of this connection works.

    tunnel 1 (203.0.113.11): this site says down, AWS says up
      this site: down, probes are not answered; last reply 2026-11-22 11:55:00 UTC
      AWS: up since 2026-11-21 12:00:00 UTC ("UP, 2 BGP ROUTES" at 2026-11-22 11:59:40 UTC)
    tunnel 2 (203.0.113.12): this site says down, AWS says up
      this site: down, probes are not answered; last reply 2026-11-22 11:55:00 UTC
      AWS: up since 2026-11-21 12:00:00 UTC ("UP, 2 BGP ROUTES" at 2026-11-22 11:59:40 UTC)

    Likely: this gateway's outbound firewall, IPsec policy or route: what it sends does not reach AWS. 0 of 40 probes answered in 5 min.

    Do first:
    1. Does ESP or UDP 4500 to 203.0.113.11 leave this gateway (`tcpdump -ni any host 203.0.113.11`)? If not, look at `nft list ruleset`, `ip xfrm policy` and `ip route get 203.0.113.11`.
    2. If it leaves, AWS may have lost its SAs: renew the SAs (`swanctl --terminate --ike NAME`, then `--initiate --child NAME`). Still down? Ask the carrier whether it drops ESP to 203.0.113.11.
    "#);
}

#[test]
fn the_session_stands_and_only_echoes_are_lost() {
    let clues = vec![Clue::BgpEstablished, Clue::IkeEstablished, Clue::OutboundMoves, Clue::InboundMoves];
    let echoes = of(Cause::Unknown, Confidence::Possible, clues, Some(Lead::EchoesLost));
    let tunnels = [11, 12].map(|last| named(here_alone(last), &echoes));
    insta::assert_snapshot!(page(&incident(Kind::OneSided, tunnels.to_vec())), @r#"
    SMS: ONE-SIDED milan-1, Milan DC, primary. Only this site says tunnel 1 and tunnel 2 down. No traffic flows, as seen from here. Since 2026-11-22 11:55:00 UTC

    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): one-sided — only this site says that tunnel 1 (203.0.113.11) and tunnel 2 (203.0.113.12) are down

    Down since 2026-11-22 11:55:00 UTC (the last reply).
    No traffic flows, as far as this site can tell: no tunnel of this connection works.

    tunnel 1 (203.0.113.11): this site says down, AWS says up
      this site: down, probes are not answered; last reply 2026-11-22 11:55:00 UTC
      AWS: up since 2026-11-21 12:00:00 UTC ("UP, 2 BGP ROUTES" at 2026-11-22 11:59:40 UTC)
    tunnel 2 (203.0.113.12): this site says down, AWS says up
      this site: down, probes are not answered; last reply 2026-11-22 11:55:00 UTC
      AWS: up since 2026-11-21 12:00:00 UTC ("UP, 2 BGP ROUTES" at 2026-11-22 11:59:40 UTC)

    Likely: a filter on this gateway drops only the probes; traffic probably passes. 0 of 40 probes answered in 5 min; the BGP session is established; the IKE SA is established; packets leave by IPsec; packets come in by IPsec.

    Do first:
    1. Ping a host in the VPC from a host behind this gateway. If it answers, traffic passes, and only the probes are lost.
    2. Allow ICMP echo from 169.254.11.2 to 169.254.11.1, and the replies: `nft list ruleset`.
    "#);
}

#[test]
fn aws_says_down_and_probes_pass_on_static_routes() {
    let late = of(Cause::Unknown, Confidence::Possible, vec![Clue::ProbesAnswered], Some(Lead::AwsReport));
    let there = |last| tunnel(last, ANSWERED, IPSEC_DOWN, Assessment::Disputed(End::Aws));
    let tunnels = [11, 12].map(|last| named(there(last), &late));
    insta::assert_snapshot!(page(&incident(Kind::OneSided, tunnels.to_vec())), @r#"
    SMS: ONE-SIDED milan-1, Milan DC, primary (vpn-0123456789abcdef0). Only AWS says tunnel 1 and tunnel 2 down. Traffic: not known. Since 2026-11-22 11:59:15 UTC

    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): one-sided — only AWS says that tunnel 1 (203.0.113.11) and tunnel 2 (203.0.113.12) are down

    AWS says down since 2026-11-22 11:59:15 UTC.
    It is not known whether traffic flows. tunnel 1 (203.0.113.11): this site says up, AWS says down; tunnel 2 (203.0.113.12): this site says up, AWS says down.

    tunnel 1 (203.0.113.11): AWS says down, this site says up
      this site: up, probes are answered
      AWS: down since 2026-11-22 11:59:15 UTC ("DOWN, IPSEC IS DOWN" at 2026-11-22 11:59:40 UTC)
    tunnel 2 (203.0.113.12): AWS says down, this site says up
      this site: up, probes are answered
      AWS: down since 2026-11-22 11:59:15 UTC ("DOWN, IPSEC IS DOWN" at 2026-11-22 11:59:40 UTC)

    Likely: AWS's report is late or wrong, and the tunnel works. Our probes are answered.

    Do first:
    1. Find out whether traffic flows: ping a host in the VPC from a host behind this gateway. If it does not, treat this as an outage.
    2. AWS: open the connection in the console (Tunnel details). If it still says DOWN while probes are answered, open a case with AWS Support.
    "#);
}

#[test]
fn aws_has_no_data_and_the_path_is_broken() {
    let no_data = (Verdict::Unknown(Why::NoData), "");
    let here = |last| five_minutes(tunnel(last, TIMED_OUT, no_data, Assessment::Unconfirmed(End::Local)));
    let tunnels = [11, 12].map(|last| named(here(last), &crate::fixture::path_broken()));
    insta::assert_snapshot!(page(&incident(Kind::OneSided, tunnels.to_vec())), @r#"
    SMS: ONE-SIDED milan-1, Milan DC, primary. Only this site says tunnel 1 and tunnel 2 down. No traffic flows, as seen from here. Since 2026-11-22 11:55:00 UTC

    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): one-sided: the path to AWS is broken — only this site says that tunnel 1 (203.0.113.11) and tunnel 2 (203.0.113.12) are down

    Why: the path to AWS is broken. AWS's outside address no longer answers over the uplink; the uplink's references answer; the path ends at hop 4 (198.51.100.9).
    Down since 2026-11-22 11:55:00 UTC (the last reply).
    No traffic flows, as far as this site can tell: no tunnel of this connection works.

    tunnel 1 (203.0.113.11): this site says down, AWS does not confirm it
      this site: down, 0 of 40 probes answered in 5 min; last reply 2026-11-22 11:55:00 UTC
      AWS: cannot tell: AWS has no data on this tunnel
    tunnel 2 (203.0.113.12): this site says down, AWS does not confirm it
      this site: down, 0 of 40 probes answered in 5 min; last reply 2026-11-22 11:55:00 UTC
      AWS: cannot tell: AWS has no data on this tunnel

    Do first:
    1. Call the carrier: from this uplink the path to 203.0.113.11 ends at 198.51.100.9, while other hosts answer.
    "#);
}

#[test]
fn each_tunnel_has_its_own_side() {
    let clues = vec![Clue::AwsReceives, Clue::AwsSendsNothing];
    let silent = of(Cause::IpsecOneWay, Confidence::Certain, clues.clone(), Some(Lead::AwsSilent));
    let way_back = of(Cause::Unknown, Confidence::Possible, clues, Some(Lead::ReturnLost));
    let tunnels = vec![named(here_alone(11), &silent), named(here_alone(12), &way_back), here_alone(13)];
    let account = Account::new(&incident(Kind::OneSided, tunnels), &settings());
    insta::assert_snapshot!(account.likely.unwrap(), @r#"tunnel 1 (203.0.113.11): AWS's end: it receives our packets and sends nothing back. 0 of 40 probes answered in 5 min. tunnel 2 (203.0.113.12): the way back from AWS: the carrier, or this gateway's inbound firewall. 0 of 40 probes answered in 5 min; AWS receives our packets; AWS sends nothing."#);
}

#[test]
fn the_path_to_one_tunnel_ends_at_a_hop() {
    let broken = named(agreed(11), &crate::fixture::path_broken());
    insta::assert_snapshot!(page(&incident(Kind::RedundancyLost, vec![broken, healthy(12)])), @r#"
    SMS: REDUNDANCY LOST milan-1, Milan DC, primary: the path to AWS is broken. tunnel 1 down. Traffic still flows. Since 2026-11-22 11:59:29 UTC

    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): redundancy lost: the path to AWS is broken — tunnel 1 (203.0.113.11) down

    Why: the path to AWS is broken. AWS's outside address no longer answers over the uplink; the uplink's references answer; the path ends at hop 4 (198.51.100.9).
    Down since 2026-11-22 11:59:29 UTC (the last reply).
    Traffic still flows, over tunnel 2 (203.0.113.12).

    tunnel 1 (203.0.113.11): down at both ends
      this site: down, probes are not answered; last reply 2026-11-22 11:59:29 UTC
      AWS: down since 2026-11-22 11:59:15 UTC ("DOWN, IPSEC IS DOWN" at 2026-11-22 11:59:40 UTC)
    tunnel 2 (203.0.113.12): up at both ends
      this site: up, probes are answered
      AWS: up since 2026-11-21 12:00:00 UTC ("UP, 2 BGP ROUTES" at 2026-11-22 11:59:40 UTC)

    Do first:
    1. No rush: traffic flows over tunnel 2 (203.0.113.12). Leave that tunnel alone; do not restart all of IPsec.
    2. Call the carrier: from this uplink the path to 203.0.113.11 ends at 198.51.100.9, while other hosts answer.
    "#);
}

#[test]
fn the_uplink_of_both_tunnels_is_down() {
    let clues = vec![Clue::ReferencesSilent, Clue::OutsideSilent];
    let uplink = of(Cause::UplinkDown, Confidence::Certain, clues, None);
    let tunnels = [11, 12].map(|last| named(agreed(last), &uplink));
    insta::assert_snapshot!(page(&incident(Kind::Outage, tunnels.to_vec())), @r#"
    SMS: OUTAGE milan-1, Milan DC, primary: this site's uplink is down. tunnel 1 and tunnel 2 down. No traffic flows. Since 2026-11-22 11:59:29 UTC

    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): outage: this site's uplink is down — tunnel 1 (203.0.113.11) and tunnel 2 (203.0.113.12) down

    Why: this site's uplink is down. No reference on the uplink answers; AWS's outside address no longer answers over the uplink.
    Down since 2026-11-22 11:59:29 UTC (the last reply).
    No traffic flows: no tunnel of this connection works.

    tunnel 1 (203.0.113.11): down at both ends
      this site: down, probes are not answered; last reply 2026-11-22 11:59:29 UTC
      AWS: down since 2026-11-22 11:59:15 UTC ("DOWN, IPSEC IS DOWN" at 2026-11-22 11:59:40 UTC)
    tunnel 2 (203.0.113.12): down at both ends
      this site: down, probes are not answered; last reply 2026-11-22 11:59:29 UTC
      AWS: down since 2026-11-22 11:59:15 UTC ("DOWN, IPSEC IS DOWN" at 2026-11-22 11:59:40 UTC)

    Do first:
    1. Check this site's uplink: its interface and its modem. Nothing outside answers, AWS or not. If both are in order, call the provider.
    "#);
}

#[test]
fn the_ike_peer_refuses() {
    let clues = vec![Clue::PeerRefused(Refusal::Authentication)];
    let refused = of(Cause::IkeRejected, Confidence::Certain, clues, None);
    let broken = named(agreed(11), &refused);
    insta::assert_snapshot!(page(&incident(Kind::RedundancyLost, vec![broken, healthy(12)])), @r#"
    SMS: REDUNDANCY LOST milan-1, Milan DC, primary: IKE is rejected. tunnel 1 down. Traffic still flows. Since 2026-11-22 11:59:29 UTC

    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): redundancy lost: IKE is rejected — tunnel 1 (203.0.113.11) down

    Why: IKE is rejected. AWS answered AUTHENTICATION_FAILED.
    Down since 2026-11-22 11:59:29 UTC (the last reply).
    Traffic still flows, over tunnel 2 (203.0.113.12).

    tunnel 1 (203.0.113.11): down at both ends
      this site: down, probes are not answered; last reply 2026-11-22 11:59:29 UTC
      AWS: down since 2026-11-22 11:59:15 UTC ("DOWN, IPSEC IS DOWN" at 2026-11-22 11:59:40 UTC)
    tunnel 2 (203.0.113.12): up at both ends
      this site: up, probes are answered
      AWS: up since 2026-11-21 12:00:00 UTC ("UP, 2 BGP ROUTES" at 2026-11-22 11:59:40 UTC)

    Do first:
    1. No rush: traffic flows over tunnel 2 (203.0.113.12). Leave that tunnel alone; do not restart all of IPsec.
    2. Compare the pre-shared key (or certificate) and both identities with the tunnel's options at AWS. What was changed last, here or there? The IKE daemon's log names the error: `journalctl -t charon -t charon-systemd -n 50`.
    "#);
}

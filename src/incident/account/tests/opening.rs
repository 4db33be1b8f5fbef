//! What people read when an incident opens.

use super::*;

#[test]
fn an_outage_of_two_tunnels() {
    insta::assert_snapshot!(mail(&incident(Kind::Outage, vec![agreed(11), agreed(12)])), @r#"
    SMS: OUTAGE milan-1, Milan DC, primary (vpn-0123456789abcdef0). tunnel 1 and tunnel 2 down. No traffic flows. Since 2026-11-22 11:59:29 UTC

    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): outage — tunnel 1 (203.0.113.11) and tunnel 2 (203.0.113.12) down

    Down since 2026-11-22 11:59:29 UTC (the last reply).
    No traffic flows: no tunnel of this connection works.

    tunnel 1 (203.0.113.11): down at both ends
      this site: down, probes are not answered; last reply 2026-11-22 11:59:29 UTC
      AWS: down since 2026-11-22 11:59:15 UTC ("DOWN, IPSEC IS DOWN" at 2026-11-22 11:59:40 UTC)
    tunnel 2 (203.0.113.12): down at both ends
      this site: down, probes are not answered; last reply 2026-11-22 11:59:29 UTC
      AWS: down since 2026-11-22 11:59:15 UTC ("DOWN, IPSEC IS DOWN" at 2026-11-22 11:59:40 UTC)

    Likely: this site's uplink, IPsec daemon or firewall, which all tunnels share. AWS replaces one tunnel endpoint at a time.

    Do first:
    1. Uplink: does this gateway reach the Internet (`ping` a host there)? If not, call the provider.
    2. IPsec: `swanctl --list-sas`. No IKE SA to 203.0.113.11: is the IPsec daemon running (`systemctl status strongswan`), and what does its log say?
    3. AWS: open the connection in the console (Tunnel details), and the AWS Health Dashboard of the Region.

    Runbook: https://wiki.example.com/vpn
    Notes: Circuit 4711 of Telco, +39 02 555 0100.

    Sent by bothends 0.1.0 at site milan-1.
    VPN connection in the AWS console: https://console.aws.amazon.com/vpc/home?region=eu-west-1#VpnConnectionDetails:VpnConnectionId=vpn-0123456789abcdef0
    "#);
}

#[test]
fn an_outage_whose_second_tunnel_has_never_been_answered() {
    let never = tunnel(
        12,
        (Verdict::Unknown(Why::NeverAnswered), None),
        IPSEC_DOWN,
        Assessment::Unconfirmed(End::Aws),
    );
    insta::assert_snapshot!(mail(&incident(Kind::Outage, vec![agreed(11), never])), @r#"
    SMS: OUTAGE milan-1, Milan DC, primary (vpn-0123456789abcdef0). tunnel 1 and tunnel 2 down. No traffic flows. Since 2026-11-22 11:59:29 UTC

    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): outage — tunnel 1 (203.0.113.11) and tunnel 2 (203.0.113.12) down

    Down since 2026-11-22 11:59:29 UTC (the last reply).
    No traffic flows: no tunnel of this connection works.

    tunnel 1 (203.0.113.11): down at both ends
      this site: down, probes are not answered; last reply 2026-11-22 11:59:29 UTC
      AWS: down since 2026-11-22 11:59:15 UTC ("DOWN, IPSEC IS DOWN" at 2026-11-22 11:59:40 UTC)
    tunnel 2 (203.0.113.12): AWS says down, this site cannot tell
      this site: cannot tell: the far end has never answered here (are the inside addresses right? try `bothends check`)
      AWS: down since 2026-11-22 11:59:15 UTC ("DOWN, IPSEC IS DOWN" at 2026-11-22 11:59:40 UTC)

    Likely: IPsec at either end, or the path between this site and AWS: uplink, provider, firewall.

    Do first:
    1. Uplink: does this gateway reach the Internet (`ping` a host there)? If not, call the provider.
    2. IPsec: `swanctl --list-sas`. No IKE SA to 203.0.113.11: is the IPsec daemon running (`systemctl status strongswan`), and what does its log say?
    3. AWS: open the connection in the console (Tunnel details), and the AWS Health Dashboard of the Region.

    Runbook: https://wiki.example.com/vpn
    Notes: Circuit 4711 of Telco, +39 02 555 0100.

    Sent by bothends 0.1.0 at site milan-1.
    VPN connection in the AWS console: https://console.aws.amazon.com/vpc/home?region=eu-west-1#VpnConnectionDetails:VpnConnectionId=vpn-0123456789abcdef0
    "#);
}

#[test]
fn bgp_down_on_both_tunnels() {
    insta::assert_snapshot!(mail(&incident(Kind::Outage, vec![bgp_down(11), bgp_down(12)])), @r#"
    SMS: OUTAGE milan-1, Milan DC, primary (vpn-0123456789abcdef0). BGP down on tunnel 1 and tunnel 2. No traffic flows. Since 2026-11-22 11:59:15 UTC

    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): outage — BGP down on tunnel 1 (203.0.113.11) and tunnel 2 (203.0.113.12)

    BGP is down since 2026-11-22 11:59:15 UTC.
    No traffic flows: no tunnel of this connection works.

    tunnel 1 (203.0.113.11): BGP is down, although IPsec works: nothing flows over it
      this site: up, probes are answered
      AWS: down since 2026-11-22 11:59:15 UTC ("DOWN, IPSEC IS UP" at 2026-11-22 11:59:40 UTC)
    tunnel 2 (203.0.113.12): BGP is down, although IPsec works: nothing flows over it
      this site: up, probes are answered
      AWS: down since 2026-11-22 11:59:15 UTC ("DOWN, IPSEC IS UP" at 2026-11-22 11:59:40 UTC)

    Likely: BGP. IPsec works, because probes pass, but AWS has no BGP session over the tunnel, so it has no route to this site.

    Do first:
    1. BGP: `birdc show protocols` or `vtysh -c 'show bgp summary'`. Is the session to 169.254.11.1 established? If not, what is its last error?
    2. Is TCP port 179 open between 169.254.11.2 and 169.254.11.1, and are both AS numbers those at AWS?
    3. Does this site announce more routes than AWS takes (100 to a virtual private gateway, 1,000 to a transit gateway)? AWS then ends the session.

    Runbook: https://wiki.example.com/vpn
    Notes: Circuit 4711 of Telco, +39 02 555 0100.

    Sent by bothends 0.1.0 at site milan-1.
    VPN connection in the AWS console: https://console.aws.amazon.com/vpc/home?region=eu-west-1#VpnConnectionDetails:VpnConnectionId=vpn-0123456789abcdef0
    "#);
}

#[test]
fn redundancy_lost_while_the_other_tunnel_carries() {
    insta::assert_snapshot!(mail(&incident(Kind::RedundancyLost, vec![agreed(11), healthy(12)])), @r#"
    SMS: REDUNDANCY LOST milan-1, Milan DC, primary (vpn-0123456789abcdef0). tunnel 1 down. Traffic still flows. Since 2026-11-22 11:59:29 UTC

    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): redundancy lost — tunnel 1 (203.0.113.11) down

    Down since 2026-11-22 11:59:29 UTC (the last reply).
    Traffic still flows, over tunnel 2 (203.0.113.12).

    tunnel 1 (203.0.113.11): down at both ends
      this site: down, probes are not answered; last reply 2026-11-22 11:59:29 UTC
      AWS: down since 2026-11-22 11:59:15 UTC ("DOWN, IPSEC IS DOWN" at 2026-11-22 11:59:40 UTC)
    tunnel 2 (203.0.113.12): up at both ends
      this site: up, probes are answered
      AWS: up since 2026-11-21 12:00:00 UTC ("UP, 2 BGP ROUTES" at 2026-11-22 11:59:40 UTC)

    Likely: this tunnel's own IPsec, at either end. AWS replaces tunnel endpoints one at a time for maintenance.

    Do first:
    1. No rush: traffic flows over tunnel 2 (203.0.113.12). Leave that tunnel alone; do not restart all of IPsec.
    2. IPsec: `swanctl --list-sas`. No IKE SA to 203.0.113.11: start it (`swanctl --initiate --child NAME`) and read `journalctl -t charon -t charon-systemd -n 50`.
    3. Path: `ip route get 203.0.113.11`. Are UDP 500 and 4500 and ESP to it allowed, here and upstream?

    Runbook: https://wiki.example.com/vpn
    Notes: Circuit 4711 of Telco, +39 02 555 0100.

    Sent by bothends 0.1.0 at site milan-1.
    VPN connection in the AWS console: https://console.aws.amazon.com/vpc/home?region=eu-west-1#VpnConnectionDetails:VpnConnectionId=vpn-0123456789abcdef0
    "#);
}

#[test]
fn redundancy_lost_while_nobody_can_tell_whether_the_other_tunnel_carries() {
    let blind = tunnel(12, ANSWERED, (Verdict::Unknown(Why::Stale), ""), Assessment::Blind);
    insta::assert_snapshot!(mail(&incident(Kind::RedundancyLost, vec![agreed(11), blind])), @r#"
    SMS: REDUNDANCY LOST milan-1, Milan DC, primary (vpn-0123456789abcdef0). tunnel 1 down. Traffic: not known. Since 2026-11-22 11:59:29 UTC

    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): redundancy lost — tunnel 1 (203.0.113.11) down

    Down since 2026-11-22 11:59:29 UTC (the last reply).
    It is not known whether traffic flows. tunnel 2 (203.0.113.12): this site says up, AWS cannot tell (AWS's data is too old).

    tunnel 1 (203.0.113.11): down at both ends
      this site: down, probes are not answered; last reply 2026-11-22 11:59:29 UTC
      AWS: down since 2026-11-22 11:59:15 UTC ("DOWN, IPSEC IS DOWN" at 2026-11-22 11:59:40 UTC)
    tunnel 2 (203.0.113.12): not known
      this site: up, probes are answered
      AWS: cannot tell: AWS's data is too old

    Likely: this tunnel's own IPsec, at either end. AWS replaces tunnel endpoints one at a time for maintenance.

    Do first:
    1. Find out whether traffic flows: ping a host in the VPC from a host behind this gateway. If it does not, treat this as an outage.
    2. IPsec: `swanctl --list-sas`. No IKE SA to 203.0.113.11: start it (`swanctl --initiate --child NAME`) and read `journalctl -t charon -t charon-systemd -n 50`.
    3. Path: `ip route get 203.0.113.11`. Are UDP 500 and 4500 and ESP to it allowed, here and upstream?

    Runbook: https://wiki.example.com/vpn
    Notes: Circuit 4711 of Telco, +39 02 555 0100.

    Sent by bothends 0.1.0 at site milan-1.
    VPN connection in the AWS console: https://console.aws.amazon.com/vpc/home?region=eu-west-1#VpnConnectionDetails:VpnConnectionId=vpn-0123456789abcdef0
    "#);
}

#[test]
fn this_site_alone_says_down() {
    let here = |last| tunnel(last, TIMED_OUT, AWS_UP, Assessment::Disputed(End::Local));
    insta::assert_snapshot!(mail(&incident(Kind::OneSided, vec![here(11), here(12)])), @r#"
    SMS: ONE-SIDED milan-1, Milan DC, primary. Only this site says tunnel 1 and tunnel 2 down. No traffic flows, as seen from here. Since 2026-11-22 11:59:29 UTC

    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): one-sided — only this site says that tunnel 1 (203.0.113.11) and tunnel 2 (203.0.113.12) are down

    Down since 2026-11-22 11:59:29 UTC (the last reply).
    No traffic flows, as far as this site can tell: no tunnel of this connection works.

    tunnel 1 (203.0.113.11): this site says down, AWS says up
      this site: down, probes are not answered; last reply 2026-11-22 11:59:29 UTC
      AWS: up since 2026-11-21 12:00:00 UTC ("UP, 2 BGP ROUTES" at 2026-11-22 11:59:40 UTC)
    tunnel 2 (203.0.113.12): this site says down, AWS says up
      this site: down, probes are not answered; last reply 2026-11-22 11:59:29 UTC
      AWS: up since 2026-11-21 12:00:00 UTC ("UP, 2 BGP ROUTES" at 2026-11-22 11:59:40 UTC)

    Likely: this side, or the way back. AWS says the tunnel is up, but no reply reaches this gateway.

    Do first:
    1. IPsec: `swanctl --list-sas` twice. If bytes go out to 203.0.113.11 and none come in, replies are lost on the way back.
    2. Policies, firewall, routes: `ip xfrm policy`, `nft list ruleset`, `ip route get 169.254.11.1 from 169.254.11.2`.
    3. AWS: does the connection's page in the console still say UP? The console may lag by minutes.

    Runbook: https://wiki.example.com/vpn
    Notes: Circuit 4711 of Telco, +39 02 555 0100.

    Sent by bothends 0.1.0 at site milan-1.
    VPN connection in the AWS console: https://console.aws.amazon.com/vpc/home?region=eu-west-1#VpnConnectionDetails:VpnConnectionId=vpn-0123456789abcdef0
    "#);
}

#[test]
fn aws_alone_says_down() {
    let there = |last| tunnel(last, ANSWERED, IPSEC_DOWN, Assessment::Disputed(End::Aws));
    insta::assert_snapshot!(mail(&incident(Kind::OneSided, vec![there(11), there(12)])), @r#"
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

    Likely: AWS's side, or BGP. Probes pass through the tunnel, but AWS says it is down.

    Do first:
    1. Find out whether traffic flows: ping a host in the VPC from a host behind this gateway. If it does not, treat this as an outage.
    2. Does the connection use BGP? `birdc show protocols` or `vtysh -c 'show bgp summary'`: AWS calls a tunnel without a BGP session down.
    3. AWS: open the connection in the console (Tunnel details), and the AWS Health Dashboard of the Region.

    Runbook: https://wiki.example.com/vpn
    Notes: Circuit 4711 of Telco, +39 02 555 0100.

    Sent by bothends 0.1.0 at site milan-1.
    VPN connection in the AWS console: https://console.aws.amazon.com/vpc/home?region=eu-west-1#VpnConnectionDetails:VpnConnectionId=vpn-0123456789abcdef0
    "#);
}

#[test]
fn each_end_says_down_of_another_tunnel() {
    let here = tunnel(11, TIMED_OUT, AWS_UP, Assessment::Disputed(End::Local));
    let there = tunnel(12, ANSWERED, IPSEC_DOWN, Assessment::Disputed(End::Aws));
    insta::assert_snapshot!(mail(&incident(Kind::OneSided, vec![here, there])), @r#"
    SMS: ONE-SIDED milan-1, Milan DC, primary (vpn-0123456789abcdef0). This site says tunnel 1 down, AWS tunnel 2. Traffic: not known. Since 2026-11-22 11:59:29 UTC

    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): one-sided — this site says that tunnel 1 (203.0.113.11) is down, AWS says that tunnel 2 (203.0.113.12) is down

    No tunnel is up at both ends since 2026-11-22 11:59:29 UTC.
    It is not known whether traffic flows. tunnel 2 (203.0.113.12): this site says up, AWS says down.

    tunnel 1 (203.0.113.11): this site says down, AWS says up
      this site: down, probes are not answered; last reply 2026-11-22 11:59:29 UTC
      AWS: up since 2026-11-21 12:00:00 UTC ("UP, 2 BGP ROUTES" at 2026-11-22 11:59:40 UTC)
    tunnel 2 (203.0.113.12): AWS says down, this site says up
      this site: up, probes are answered
      AWS: down since 2026-11-22 11:59:15 UTC ("DOWN, IPSEC IS DOWN" at 2026-11-22 11:59:40 UTC)

    Likely: not known. This site and AWS call different tunnels down, and no tunnel is up at both ends.

    Do first:
    1. Find out whether traffic flows: ping a host in the VPC from a host behind this gateway. If it does not, treat this as an outage.
    2. IPsec: `swanctl --list-sas` twice. On which tunnel do bytes go out and come in?
    3. BGP, if the connection uses it: `birdc show protocols` or `vtysh -c 'show bgp summary'`. AWS calls a tunnel without a BGP session down.

    Runbook: https://wiki.example.com/vpn
    Notes: Circuit 4711 of Telco, +39 02 555 0100.

    Sent by bothends 0.1.0 at site milan-1.
    VPN connection in the AWS console: https://console.aws.amazon.com/vpc/home?region=eu-west-1#VpnConnectionDetails:VpnConnectionId=vpn-0123456789abcdef0
    "#);
}

#[test]
fn a_site_without_aws_data_says_that_first() {
    let cut = |last| {
        tunnel(last, TIMED_OUT, (Verdict::Unknown(Why::Stale), ""), Assessment::Unconfirmed(End::Local))
    };
    insta::assert_snapshot!(mail(&incident(Kind::Outage, vec![cut(11), cut(12)])), @"
    SMS: OUTAGE milan-1, Milan DC, primary (vpn-0123456789abcdef0). tunnel 1 and tunnel 2 down. No traffic flows, as seen from here. Since 2026-11-22 11:59:29 UTC

    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): outage — tunnel 1 (203.0.113.11) and tunnel 2 (203.0.113.12) down

    This site may be cut off: it has no current data from AWS and cannot update records there. Check the uplink first.
    Down since 2026-11-22 11:59:29 UTC (the last reply).
    No traffic flows, as far as this site can tell: no tunnel of this connection works.

    tunnel 1 (203.0.113.11): this site says down, AWS does not confirm it
      this site: down, probes are not answered; last reply 2026-11-22 11:59:29 UTC
      AWS: cannot tell: AWS's data is too old
    tunnel 2 (203.0.113.12): this site says down, AWS does not confirm it
      this site: down, probes are not answered; last reply 2026-11-22 11:59:29 UTC
      AWS: cannot tell: AWS's data is too old

    Likely: this site's uplink, IPsec daemon or firewall, which all tunnels share. AWS replaces one tunnel endpoint at a time.

    Do first:
    1. Uplink: does this gateway reach the Internet (`ping` a host there)? If not, call the provider.
    2. IPsec: `swanctl --list-sas`. No IKE SA to 203.0.113.11: is the IPsec daemon running (`systemctl status strongswan`), and what does its log say?
    3. AWS: open the connection in the console (Tunnel details), and the AWS Health Dashboard of the Region.

    Runbook: https://wiki.example.com/vpn
    Notes: Circuit 4711 of Telco, +39 02 555 0100.

    Sent by bothends 0.1.0 at site milan-1.
    VPN connection in the AWS console: https://console.aws.amazon.com/vpc/home?region=eu-west-1#VpnConnectionDetails:VpnConnectionId=vpn-0123456789abcdef0
    ");
}

#[test]
fn a_gateway_that_cannot_send_is_named_as_the_likely_side() {
    let lost = |how| {
        let down = |last| tunnel(last, (Verdict::Down, Some(how)), IPSEC_DOWN, Assessment::Down);
        let account = Account::new(&incident(Kind::Outage, vec![down(11), down(12)]), &settings());
        format!("{}\n{}", account.likely.unwrap(), account.steps.join("\n"))
    };
    insta::assert_snapshot!(format!("{}\n\n{}", lost(Loss::NoPath), lost(Loss::Blocked)), @"
    this gateway. It cannot send at all: the tunnel's address, interface or route is gone.
    `ip addr`: is 169.254.11.2 there? `ip link`: is the tunnel's interface (vti1) up?
    `ip route get 169.254.11.1 from 169.254.11.2`: what took the address or route away? See `journalctl -b`.
    IPsec: `swanctl --list-sas`. Is there an SA to 203.0.113.11? Its up script may set the address.

    this gateway. Its kernel refuses to send: an IPsec policy without a security association, or a firewall rule.
    IPsec: `swanctl --list-sas` and `ip xfrm policy`. Is there an SA to 203.0.113.11?
    Firewall: `nft list ruleset`. Does a rule drop what goes from 169.254.11.2 to 169.254.11.1?
    What was changed last? `journalctl -b`, and the firewall's own log.
    ");
}

#[test]
fn a_degraded_tunnel() {
    let good = TunnelSnapshot { quality: Quality::Good, ..healthy(12) };
    insta::assert_snapshot!(mail(&incident(Kind::Degraded, vec![slow(11), good])), @r#"
    SMS: DEGRADED milan-1, Milan DC, primary. tunnel 1: median round trip 212.3 ms (usual: 11.9 ms). Traffic still flows. Since 2026-11-22 11:55:00 UTC

    [milan-1] Milan DC, primary (vpn-0123456789abcdef0): degraded — tunnel 1 (203.0.113.11): median round trip 212.3 ms (usual: 11.9 ms)

    Degraded since 2026-11-22 11:55:00 UTC.
    Traffic still flows, over tunnel 1 (203.0.113.11) and tunnel 2 (203.0.113.12).

    tunnel 1 (203.0.113.11): up at both ends
      this site: up, but degraded: median round trip 212.3 ms (usual: 11.9 ms)
      AWS: up since 2026-11-21 12:00:00 UTC ("UP, 2 BGP ROUTES" at 2026-11-22 11:59:40 UTC)
    tunnel 2 (203.0.113.12): up at both ends
      this site: up, probes are answered
      AWS: up since 2026-11-21 12:00:00 UTC ("UP, 2 BGP ROUTES" at 2026-11-22 11:59:40 UTC)

    Likely: the path between this site and AWS: a full or faulty uplink where every tunnel shows it, the path to one endpoint where one does.

    Do first:
    1. Path: `mtr -n 203.0.113.11`, beside the other tunnel's address. Loss from one hop on to the end: call the carrier of that hop.
    2. Uplink: `ip -s link` and `tc -s qdisc`. Is it full, or does it count errors? Does it only happen under load?
    3. If another tunnel is good, move the traffic there. If this is normal for the line, raise its limit in [quality].

    Runbook: https://wiki.example.com/vpn
    Notes: Circuit 4711 of Telco, +39 02 555 0100.

    Sent by bothends 0.1.0 at site milan-1.
    VPN connection in the AWS console: https://console.aws.amazon.com/vpc/home?region=eu-west-1#VpnConnectionDetails:VpnConnectionId=vpn-0123456789abcdef0
    "#);
}

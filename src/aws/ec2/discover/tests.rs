//! What is found, what is missing, and in which words.

use super::super::answer::{Garbled, Inside, VpnConnection};
use super::*;

const ID: &str = "vpn-0123456789abcdef0";

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

fn tunnel(outside: &str, ends: (&str, &str)) -> TunnelAddresses {
    TunnelAddresses {
        outside_ip: ip(outside),
        inside_v4: Inside { aws: ip(ends.0), ours: ip(ends.1) },
        inside_v6: Inside::default(),
    }
}

fn available(tunnels: Vec<TunnelAddresses>) -> VpnConnection {
    VpnConnection {
        id: ID.to_owned(),
        state: "available".to_owned(),
        configuration: Some(Ok(tunnels)),
        ..VpnConnection::default()
    }
}

fn judged(which: &Which, known: Option<Presence>) -> Result<Discovered, String> {
    let known = BTreeMap::from([(VpnId::new(ID), known)]);
    judge(which, known, &"eu-west-1".into(), None)
        .map_err(|troubles| troubles.iter().map(Trouble::text).collect::<Vec<_>>().join("\n"))
}

fn by_id(connection: VpnConnection) -> Result<Discovered, String> {
    let which = Which::Ids(BTreeSet::from([VpnId::new(ID)]));
    judged(&which, Some(Presence::Described(connection)))
}

#[test]
fn tunnels_are_in_awss_order_with_awss_addresses_of_both_ends() {
    // AWS's end is not always the lower one.
    let two = tunnel("203.0.113.12", ("169.254.11.2", "169.254.11.1"));
    let one = tunnel("203.0.113.11", ("169.254.10.1", "169.254.10.2"));
    let telemetry = TunnelTelemetry {
        outside_ip: ip("203.0.113.12"),
        status: "DOWN".to_owned(),
        message: "IPSEC IS DOWN".to_owned(),
        last_status_change: Some(Stamp::from_secs(1_795_341_600)),
        accepted_routes: None,
    };
    // The order is that of the tunnel options, not that of the document, the telemetry or the addresses.
    let order = ["203.0.113.12", "203.0.113.11"].map(|ip| ip.parse().unwrap()).to_vec();
    let found =
        by_id(VpnConnection { telemetry: vec![telemetry], order, ..available(vec![one, two]) }).unwrap();
    let tunnels = &found.connections[0].tunnels;
    let shown: Vec<_> = tunnels
        .iter()
        .map(|t| format!("{} {} {} {:?} {}", t.outside_ip, t.inside_ip, t.source_ip, t.status, t.message))
        .collect();
    assert_eq!(
        shown,
        [
            "203.0.113.12 169.254.11.2 169.254.11.1 Down IPSEC IS DOWN",
            "203.0.113.11 169.254.10.1 169.254.10.2 Other "
        ]
    );
}

#[test]
fn a_tunnel_that_carries_ipv6_is_probed_by_ipv6() {
    let inside_v6 = Inside { aws: ip("fd00::1"), ours: ip("fd00::2") };
    let both = TunnelAddresses { inside_v6, ..tunnel("203.0.113.11", ("169.254.10.1", "169.254.10.2")) };
    let found = by_id(available(vec![both])).unwrap();
    assert_eq!(Some(found.connections[0].tunnels[0].inside_ip), ip("fd00::1"));
    let half = TunnelAddresses { inside_v6: Inside { ours: None, ..inside_v6 }, ..both };
    let found = by_id(available(vec![half])).unwrap();
    assert_eq!(Some(found.connections[0].tunnels[0].inside_ip), ip("169.254.10.1"));
}

#[test]
fn every_reason_against_a_connection_says_what_to_do() {
    let in_state = |state: &str| VpnConnection { state: state.to_owned(), ..available(vec![]) };
    let configured = |configuration| VpnConnection { configuration, ..available(vec![]) };
    let one = tunnel("203.0.113.11", ("169.254.10.1", "169.254.10.2"));
    let unfit = [
        in_state("pending"),
        in_state("deleting"),
        in_state("deleted"),
        in_state("modifying"),
        in_state("paused for \u{1b}[31m ever"),
        in_state(""),
        configured(None),
        configured(Some(Ok(vec![]))),
        configured(Some(Err(Garbled::Truncated))),
        available(vec![one, one]),
        available(vec![TunnelAddresses { inside_v4: Inside::default(), ..one }]),
    ];
    let which = Which::Ids(BTreeSet::from([VpnId::new(ID)]));
    let mut texts: Vec<String> = unfit.into_iter().map(|connection| by_id(connection).unwrap_err()).collect();
    texts.push(judged(&which, Some(Presence::NotFound)).unwrap_err());
    texts.push(judged(&which, None).unwrap_err());
    insta::assert_snapshot!(texts.join("\n"), @r#"
    vpn-0123456789abcdef0: ec2:DescribeVpnConnections in eu-west-1 says that it is pending: AWS is still creating it; wait until it is available (some minutes), then run discover again
    vpn-0123456789abcdef0: ec2:DescribeVpnConnections in eu-west-1 says that it is deleting: there is nothing to monitor; leave it out
    vpn-0123456789abcdef0: ec2:DescribeVpnConnections in eu-west-1 says that it is deleted: there is nothing to monitor; leave it out
    vpn-0123456789abcdef0: ec2:DescribeVpnConnections in eu-west-1 says that it is modifying: AWS is changing it, and its addresses may change; wait until it is available, then run discover again
    vpn-0123456789abcdef0: ec2:DescribeVpnConnections in eu-west-1 says that it is "paused?for???31m?ever": a state unknown to bothends; wait until it is available, then run discover again
    vpn-0123456789abcdef0: ec2:DescribeVpnConnections in eu-west-1 says that it is "": a state unknown to bothends; wait until it is available, then run discover again
    vpn-0123456789abcdef0: ec2:DescribeVpnConnections in eu-west-1 gives no CustomerGatewayConfiguration; ask again, and if that does not help configure its tunnels by hand, as docs/configuration.md says
    vpn-0123456789abcdef0: ec2:DescribeVpnConnections in eu-west-1 gives a CustomerGatewayConfiguration without tunnels; ask again, and if that does not help configure its tunnels by hand, as docs/configuration.md says
    vpn-0123456789abcdef0: ec2:DescribeVpnConnections in eu-west-1 gives a CustomerGatewayConfiguration that cannot be read (the answer is truncated); ask again, and if that does not help configure its tunnels by hand, as docs/configuration.md says
    vpn-0123456789abcdef0: ec2:DescribeVpnConnections in eu-west-1 gives a CustomerGatewayConfiguration with one outside address twice; ask again, and if that does not help configure its tunnels by hand, as docs/configuration.md says
    vpn-0123456789abcdef0: ec2:DescribeVpnConnections in eu-west-1 gives a CustomerGatewayConfiguration that lacks addresses of a tunnel; ask again, and if that does not help configure its tunnels by hand, as docs/configuration.md says
    vpn-0123456789abcdef0: ec2:DescribeVpnConnections in eu-west-1 finds no such connection; is it in another Region (--region) or account (AWS_PROFILE, --role-arn)?
    vpn-0123456789abcdef0: the answer of ec2:DescribeVpnConnections in eu-west-1 leaves it out; try again
    "#);
}

#[test]
fn a_deleted_connection_that_still_has_the_tag_is_left_out_and_reported() {
    let which = Which::Tagged { key: "Site".to_owned(), value: "milan-1".to_owned() };
    let deleted = VpnConnection { state: "deleted".to_owned(), ..available(vec![]) };
    let known = BTreeMap::from([
        (VpnId::new(ID), Some(Presence::Described(deleted.clone()))),
        (
            VpnId::new("vpn-0fedcba9876543210"),
            Some(Presence::Described(available(vec![tunnel(
                "203.0.113.11",
                ("169.254.10.1", "169.254.10.2"),
            )]))),
        ),
    ]);
    let found = judge(&which, known, &"eu-west-1".into(), None).unwrap();
    assert_eq!((found.connections.len(), found.left_out.len()), (1, 1));
    let alone = judged(&which, Some(Presence::Described(deleted))).unwrap_err();
    assert!(alone.contains("Site=milan-1") && alone.contains("deleted"), "{alone}");
}

#[test]
fn a_connection_that_is_being_changed_is_left_out_by_tag_and_refused_by_id() {
    let which = Which::Tagged { key: "Site".to_owned(), value: "milan-1".to_owned() };
    let whole = || available(vec![tunnel("203.0.113.11", ("169.254.10.1", "169.254.10.2"))]);
    for state in ["pending", "modifying", "deleting", "deleted", "paused"] {
        let changing = || VpnConnection { state: state.to_owned(), ..whole() };
        let known = BTreeMap::from([
            (VpnId::new(ID), Some(Presence::Described(changing()))),
            (VpnId::new("vpn-0fedcba9876543210"), Some(Presence::Described(whole()))),
        ]);
        let found = judge(&which, known, &"eu-west-1".into(), None).unwrap();
        assert_eq!(found.connections.len(), 1);
        assert!(found.left_out[0].contains(ID) && found.left_out[0].contains(state), "{:?}", found.left_out);
        assert!(by_id(changing()).unwrap_err().contains(state));
    }
}

#[test]
fn if_document_and_telemetry_list_different_tunnels_both_are_named() {
    let listed = |outside: &[&str]| {
        let one = |outside: &&str| TunnelTelemetry {
            outside_ip: ip(outside),
            status: "UP".to_owned(),
            ..TunnelTelemetry::default()
        };
        outside.iter().map(one).collect::<Vec<_>>()
    };
    let described = || available(vec![tunnel("203.0.113.11", ("169.254.10.1", "169.254.10.2"))]);
    let warnings = |outside: &[&str]| {
        by_id(VpnConnection { telemetry: listed(outside), ..described() }).unwrap().warnings
    };
    assert_eq!(warnings(&["203.0.113.11"]), [""; 0]);
    assert_eq!(warnings(&[]), [""; 0], "an answer without telemetry lists nothing");
    insta::assert_snapshot!(warnings(&["203.0.113.12"]).join("\n"), @r#"
    vpn-0123456789abcdef0: EC2's telemetry lists a tunnel 203.0.113.12 that CustomerGatewayConfiguration does not describe: it is left out. Ask again, for AWS may be replacing it, or add it by hand
    vpn-0123456789abcdef0: CustomerGatewayConfiguration describes a tunnel 203.0.113.11 that EC2's telemetry does not list: AWS may be replacing it. Ask again before you rely on it
    "#);
}

#[test]
fn the_routing_is_read_from_the_options_and_not_guessed() {
    let routing = |static_routes| {
        let tunnels = vec![tunnel("203.0.113.11", ("169.254.10.1", "169.254.10.2"))];
        by_id(VpnConnection { static_routes, ..available(tunnels) }).unwrap().connections[0].routing
    };
    assert_eq!(
        [Some(true), Some(false), None].map(routing),
        [Routing::Static, Routing::Bgp, Routing::Unknown]
    );
}

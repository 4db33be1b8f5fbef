use super::*;

/// Shaped like EC2's, with the key in all three places where EC2 has it.
const ANSWER: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<DescribeVpnConnectionsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
    <requestId>f2ab1c0e-0000-4000-8000-000000000000</requestId>
    <vpnConnectionSet>
        <item>
            <customerGatewayConfiguration>&lt;?xml version="1.0"?&gt;
&lt;vpn_connection&gt;&lt;ipsec_tunnel&gt;&lt;vpn_gateway&gt;&lt;tunnel_outside_address&gt;&lt;ip_address&gt;203.0.113.11&lt;/ip_address&gt;&lt;/tunnel_outside_address&gt;&lt;/vpn_gateway&gt;&lt;ike&gt;&lt;pre_shared_key&gt;s3cr3t&lt;/pre_shared_key&gt;&lt;/ike&gt;&lt;/ipsec_tunnel&gt;&lt;/vpn_connection&gt;
</customerGatewayConfiguration>
            <options>
                <tunnelOptionSet>
                    <item>
                        <outsideIpAddress>198.51.100.1</outsideIpAddress>
                        <preSharedKey>s3cr3t</preSharedKey>
                        <status>UP</status>
                    </item>
                </tunnelOptionSet>
                <staticRoutesOnly>false</staticRoutesOnly>
            </options>
            <vpnConnectionId>vpn-0123456789abcdef0</vpnConnectionId>
            <state>available</state>
            <vgwTelemetry>
                <item>
                    <acceptedRouteCount>2</acceptedRouteCount>
                    <lastStatusChange>2026-11-22T10:00:00.000Z</lastStatusChange>
                    <outsideIpAddress>203.0.113.11</outsideIpAddress>
                    <status>UP</status>
                    <statusMessage>2 BGP ROUTES</statusMessage>
                </item>
                <item>
                    <outsideIpAddress>2001:db8::12</outsideIpAddress>
                    <status>DOWN</status>
                    <statusMessage>A &amp; B &#33;</statusMessage>
                </item>
            </vgwTelemetry>
            <tagSet>
                <item><value>R&amp;D</value><key>Name</key></item>
                <item><key>status</key><value>s3cr3t</value></item>
            </tagSet>
        </item>
        <item>
            <customerGatewayConfiguration>&lt;vpn_connection&gt;&lt;pre_shared_key&gt;s3cr3t</customerGatewayConfiguration>
            <vpnConnectionId>vpn-0fedcba9876543210</vpnConnectionId><state>pending</state><vgwTelemetry/>
        </item>
    </vpnConnectionSet>
</DescribeVpnConnectionsResponse>"#;

#[test]
fn only_ids_state_name_addresses_and_telemetry_are_kept() {
    let read = connections(ANSWER.as_bytes()).unwrap();
    assert_eq!(
        read,
        vec![
            VpnConnection {
                id: "vpn-0123456789abcdef0".to_owned(),
                state: "available".to_owned(),
                name: Some("R&D".to_owned()),
                static_routes: Some(false),
                configuration: Some(Ok(vec![TunnelAddresses {
                    outside_ip: "203.0.113.11".parse().ok(),
                    ..TunnelAddresses::default()
                }])),
                telemetry: vec![
                    TunnelTelemetry {
                        outside_ip: "203.0.113.11".parse().ok(),
                        status: "UP".to_owned(),
                        message: "2 BGP ROUTES".to_owned(),
                        last_status_change: Some(Stamp::from_secs(1_795_341_600)),
                        accepted_routes: Some(2),
                    },
                    TunnelTelemetry {
                        outside_ip: "2001:db8::12".parse().ok(),
                        status: "DOWN".to_owned(),
                        message: "A & B !".to_owned(),
                        last_status_change: None,
                        accepted_routes: None,
                    },
                ],
                order: vec!["198.51.100.1".parse().unwrap()],
            },
            VpnConnection {
                id: "vpn-0fedcba9876543210".to_owned(),
                state: "pending".to_owned(),
                name: None,
                static_routes: None,
                configuration: Some(Err(Garbled::Truncated)),
                telemetry: vec![],
                order: vec![],
            },
        ]
    );
    assert!(!format!("{read:?}").contains("s3cr3t"));
}

#[test]
fn an_answer_truncated_anywhere_is_never_accepted() {
    for end in 0..ANSWER.len() {
        if let Ok(read) = connections(&ANSWER.as_bytes()[..end]) {
            panic!("cut at {end} it reads {read:?}");
        }
    }
}

#[test]
fn the_pieces_in_which_an_answer_arrives_make_no_difference() {
    let whole = connections(ANSWER.as_bytes()).unwrap();
    for size in [1, 2, 3, 7, 64, 1000, 100_000] {
        let pieces: Vec<&[u8]> = ANSWER.as_bytes().chunks(size).collect();
        assert_eq!(connections(Pieces::new(pieces)).as_ref(), Ok(&whole), "in pieces of {size}");
    }
}

#[test]
fn anything_but_an_answer_of_ec2_is_refused_by_kind() {
    assert_eq!(connections(&b"<html><body>portal</body></html>"[..]), Err(Garbled::Foreign));
    assert_eq!(connections(&b"{\"message\": \"hello\"}"[..]), Err(Garbled::Foreign));
    assert_eq!(connections(&b""[..]), Err(Garbled::Foreign));
    assert_eq!(connections(&b"<DescribeVpnConnectionsResponse><a></b>"[..]), Err(Garbled::Malformed));
    assert_eq!(connections(&b"<DescribeVpnConnectionsResponse>\xff\xfe"[..]), Err(Garbled::Malformed));
    let deep = "<DescribeVpnConnectionsResponse>".to_owned() + &"<a>".repeat(100);
    assert_eq!(connections(deep.as_bytes()), Err(Garbled::Malformed));
}

#[test]
fn an_error_answer_gives_its_code_and_message() {
    let body = b"<Response><Errors><Error><Code>InvalidVpnConnectionID.NotFound</Code><Message>The vpnConnection ID \
        'vpn-0123456789abcdef0' does not exist</Message></Error></Errors><RequestID>x</RequestID></Response>";
    let (code, message) = error(body).unwrap();
    assert_eq!(code, "InvalidVpnConnectionID.NotFound");
    assert!(message.contains("vpn-0123456789abcdef0"));
    assert_eq!(error(b"<html>502</html>"), None);
}

#[test]
fn a_text_that_would_have_to_move_in_memory_is_refused() {
    let long = "x".repeat(200 * 1024);
    let answer = format!(
        "<DescribeVpnConnectionsResponse><vpnConnectionSet><item><state>{long}</state></item></vpnConnectionSet></DescribeVpnConnectionsResponse>"
    );
    assert_eq!(connections(answer.as_bytes()), Err(Garbled::Malformed));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
        let _ = connections(bytes.as_slice());
    }
}

/// As AWS writes it for a connection that carries IPv6; the customer gateway's outside address does not matter.
const DOCUMENT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<vpn_connection id="vpn-0123456789abcdef0">
  <customer_gateway_id>cgw-0123456789abcdef0</customer_gateway_id>
  <vpn_gateway_id/>
  <vpn_connection_type>ipsec.1</vpn_connection_type>
  <ipsec_tunnel>
<customer_gateway>
  <tunnel_outside_address><ip_address>192.0.2.1</ip_address></tunnel_outside_address>
  <tunnel_inside_address>
    <ip_address>169.254.45.98</ip_address>
    <network_mask>255.255.255.252</network_mask>
    <network_cidr>30</network_cidr>
  </tunnel_inside_address>
  <tunnel_inside_ipv6_address>
    <ip_address>fd00:2001:db8::2</ip_address>
    <prefix_length>126</prefix_length>
  </tunnel_inside_ipv6_address>
</customer_gateway>
<vpn_gateway>
  <tunnel_outside_address><ip_address>203.0.113.11</ip_address></tunnel_outside_address>
  <tunnel_inside_address><ip_address>169.254.45.97</ip_address></tunnel_inside_address>
  <tunnel_inside_ipv6_address><ip_address>fd00:2001:db8::1</ip_address></tunnel_inside_ipv6_address>
</vpn_gateway>
<ike><pre_shared_key>s3cr3t</pre_shared_key></ike>
  </ipsec_tunnel>
  <ipsec_tunnel>
<vpn_gateway>
  <tunnel_outside_address><ip_address>203.0.113.12</ip_address></tunnel_outside_address>
  <tunnel_inside_address><ip_address>s3cr3t</ip_address></tunnel_inside_address>
</vpn_gateway>
  </ipsec_tunnel>
</vpn_connection>
"#;

#[test]
fn the_addresses_of_every_tunnel_are_kept_and_nothing_else() {
    let read = tunnels(DOCUMENT.as_bytes()).unwrap();
    let address = |text: &str| Some(text.parse().unwrap());
    assert_eq!(
        read,
        [
            TunnelAddresses {
                outside_ip: address("203.0.113.11"),
                inside_v4: Inside { aws: address("169.254.45.97"), ours: address("169.254.45.98") },
                inside_v6: Inside { aws: address("fd00:2001:db8::1"), ours: address("fd00:2001:db8::2") },
            },
            TunnelAddresses { outside_ip: address("203.0.113.12"), ..TunnelAddresses::default() },
        ]
    );
    assert!(!format!("{read:?}").contains("s3cr3t"));
}

#[test]
fn a_truncated_or_different_document_is_refused() {
    let cut = DOCUMENT.find("<ike>").unwrap();
    assert_eq!(tunnels(&DOCUMENT.as_bytes()[..cut]), Err(Garbled::Truncated));
    assert_eq!(tunnels(&b"<html></html>"[..]), Err(Garbled::Foreign));
    assert_eq!(tunnels(&b"<vpn_connection></vpn_connection>"[..]), Ok(vec![]));
}

fn replacement(details: &str) -> Result<Maintenance, Garbled> {
    let answer = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<GetVpnTunnelReplacementStatusResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
    <requestId>f2ab1c0e-0000-4000-8000-000000000000</requestId>
    <vpnConnectionId>vpn-0123456789abcdef0</vpnConnectionId>
    <customerGatewayId>cgw-0123456789abcdef0</customerGatewayId>
    <vpnTunnelOutsideIpAddress>203.0.113.11</vpnTunnelOutsideIpAddress>{details}
</GetVpnTunnelReplacementStatusResponse>"#
    );
    maintenance(answer.as_bytes())
}

#[test]
fn a_pending_maintenance_has_its_dates_as_far_as_they_can_be_read() {
    const DATE: &str = "2026-11-22T10:00:00.000Z";
    let stamp = Some(Stamp::from_secs(1_795_341_600));
    let details = |pending: &str, after: &str, last: &str| {
        let element = |name: &str, text: &str| match text {
            "-" => String::new(),
            "/" => format!("<{name}/>"),
            text => format!("<{name}>{text}</{name}>"),
        };
        let inner = [
            element("pendingMaintenance", pending),
            element("maintenanceAutoAppliedAfter", after),
            element("lastMaintenanceApplied", last),
        ];
        replacement(&format!("<maintenanceDetails>{}</maintenanceDetails>", inner.concat())).unwrap()
    };
    for (pending, after, last, expected) in [
        ("Available", DATE, DATE, (true, stamp, stamp)),
        ("available", DATE, "-", (true, stamp, None)),
        (" AVAILABLE\n", "-", "-", (true, None, None)),
        ("None", "-", DATE, (false, None, stamp)),
        ("none", DATE, "-", (false, stamp, None)),
        ("No", "/", "/", (false, None, None)),
        ("false", "-", "-", (false, None, None)),
        ("true", "-", "-", (true, None, None)),
        ("-", "-", "-", (false, None, None)),
        ("/", DATE, "-", (false, stamp, None)),
        // A word that nobody knows.
        ("Scheduled", DATE, "-", (true, stamp, None)),
        ("Scheduled", "-", "-", (false, None, None)),
        // Odd dates.
        ("Available", "soon", "1", (true, None, None)),
        ("Available", "2026-11-22T10:00:00Z", "2026-11-22T12:00:00+02:00", (true, stamp, None)),
    ] {
        let (is_pending, applied_after, last_applied) = expected;
        let expected = Maintenance { pending: is_pending, applied_after, last_applied };
        assert_eq!(details(pending, after, last), expected, "{pending:?} {after:?} {last:?}");
    }
}

#[test]
fn an_answer_without_details_announces_nothing() {
    for details in ["", "<maintenanceDetails/>", "<maintenanceDetails></maintenanceDetails>"] {
        assert_eq!(replacement(details), Ok(Maintenance::default()), "{details:?}");
    }
    // The same names elsewhere.
    let elsewhere = "<pendingMaintenance>Available</pendingMaintenance>\
                     <other><maintenanceDetails><pendingMaintenance>Available</pendingMaintenance></maintenanceDetails></other>";
    assert_eq!(replacement(elsewhere), Ok(Maintenance::default()));
}

#[test]
fn another_or_a_broken_document_is_no_answer_about_maintenance() {
    assert_eq!(maintenance(ANSWER.as_bytes()), Err(Garbled::Foreign));
    assert_eq!(maintenance(&b"<html>no"[..]), Err(Garbled::Foreign));
    assert_eq!(maintenance(&b"<GetVpnTunnelReplacementStatusResponse><a>"[..]), Err(Garbled::Truncated));
    assert_eq!(maintenance(&b""[..]), Err(Garbled::Foreign));
    assert_eq!(
        replacement(
            "<maintenanceDetails><pendingMaintenance>&nonsense;</pendingMaintenance></maintenanceDetails>"
        ),
        Err(Garbled::Malformed)
    );
}

#[test]
fn a_count_of_routes_that_is_no_number_is_unknown() {
    for (count, expected) in [("0", Some(0)), ("2", Some(2)), ("-1", None), ("many", None), ("", None)] {
        let answer = ANSWER.replace("<acceptedRouteCount>2<", &format!("<acceptedRouteCount>{count}<"));
        let read = connections(answer.as_bytes()).unwrap();
        assert_eq!(read[0].telemetry[0].accepted_routes, expected, "{count:?}");
    }
}

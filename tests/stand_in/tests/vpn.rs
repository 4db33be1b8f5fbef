//! EC2's `DescribeVpnConnections`.

use serde_json::json;

use super::super::clock;
use super::raw::Raw;
use super::{OTHER_REGION, OTHER_TUNNEL, TUNNEL, VPN, control, now, started};

#[test]
fn a_connection_has_its_telemetry_and_its_secrets() {
    let stand_in = started();
    let text = Raw::ec2(&format!("&VpnConnectionId.1={VPN}")).send(&stand_in).text();
    for part in [
        "<DescribeVpnConnectionsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">",
        "<vpnConnectionId>vpn-0123456789abcdef0</vpnConnectionId>",
        "<state>available</state>",
        "<outsideIpAddress>203.0.113.11</outsideIpAddress>",
        "<status>UP</status>",
        "<acceptedRouteCount>1</acceptedRouteCount>",
        "<preSharedKey>key.of_tunnel.1</preSharedKey>",
        "&lt;pre_shared_key&gt;key.of_tunnel.2&lt;/pre_shared_key&gt;",
        "<key>Name</key><value>R&amp;D &lt;milan&gt;</value>",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn malformed_and_unknown_ids_are_distinguished() {
    let stand_in = started();
    let malformed = "invalidvpnconnectionid.malformed";
    let cases = [
        ("vpn-0123456789abcdef1", "invalidvpnconnectionid.notfound"),
        ("vpn-01234567", "invalidvpnconnectionid.notfound"),
        ("vpn-0123456789ABCDEF0", malformed),
        ("vpn-123", malformed),
        ("vgw-0123456789abcdef0", malformed),
    ];
    for (id, code) in cases {
        let answer = Raw::ec2(&format!("&VpnConnectionId.1={id}")).send(&stand_in);
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{id}");
    }
}

#[test]
fn a_connection_exists_only_in_its_own_region() {
    let stand_in = started();
    let mut raw = Raw::ec2(&format!("&VpnConnectionId.1={VPN}"));
    assert_eq!(raw.send(&stand_in).code(), "ok");
    raw.region = OTHER_REGION;
    assert_eq!(raw.send(&stand_in).code(), "invalidvpnconnectionid.notfound");
}

#[test]
fn a_dry_run_only_says_that_it_would_have_succeeded() {
    let stand_in = started();
    let answer = Raw::ec2("&DryRun=true").send(&stand_in);
    assert_eq!((answer.status, answer.code().as_str()), (412, "dryrunoperation"));
}

#[test]
fn filters_work_and_unknown_ones_are_rejected() {
    let stand_in = started();
    let found = |form: &str| Raw::ec2(form).send(&stand_in).text().contains(VPN);
    assert!(found("&Filter.1.Name=state&Filter.1.Value.1=available"));
    assert!(!found("&Filter.1.Name=state&Filter.1.Value.1=deleted"));
    assert!(found(&format!("&Filter.1.Name=vpn-connection-id&Filter.1.Value.1={VPN}")));
    for tag in ["tag%3AName", "tag:Name"] {
        assert!(found(&format!("&Filter.1.Name={tag}&Filter.1.Value.1=R%26D%20%3Cmilan%3E")), "{tag}");
    }
    assert!(found("&Filter.1.Name=tag:Name&Filter.1.Value.1=R*mila?%3E?"));
    assert!(!found("&Filter.1.Name=tag:Name&Filter.1.Value.1=R*mila"));
    assert!(!found("&Filter.1.Name=tag:name&Filter.1.Value.1=*"), "keys are case-sensitive");
    assert!(found("&Filter.1.Name=tag-key&Filter.1.Value.1=Name"));
    for refused in ["&Filter.1.Name=colour&Filter.1.Value.1=red", "&Filter.1.Name=tag:Name"] {
        assert_eq!(Raw::ec2(refused).send(&stand_in).code(), "invalidparametervalue", "{refused}");
    }
}

#[test]
fn the_gateways_configuration_has_both_ends_of_every_tunnel_and_can_be_damaged() {
    let stand_in = started();
    let configuration = |view: &str| {
        control(&stand_in, json!({ "set_configuration": { "vpn_id": VPN, "configuration": view } }));
        let text = Raw::ec2("").send(&stand_in).text();
        let (_, rest) = text.split_once("<customerGatewayConfiguration>")?;
        Some(
            rest.split_once("</customerGatewayConfiguration>")
                .unwrap()
                .0
                .replace("&lt;", "<")
                .replace("&gt;", ">"),
        )
    };
    let whole = configuration("whole").unwrap();
    assert_eq!(whole.matches("<ipsec_tunnel>").count(), 2);
    for address in ["169.254.10.1", "169.254.10.2", "169.254.11.1", "169.254.11.2"] {
        let inside = format!("<tunnel_inside_address><ip_address>{address}</ip_address>");
        assert_eq!(whole.matches(&inside).count(), 1, "{address} in {whole}");
    }
    assert_eq!(configuration("absent"), None);
    assert!(!configuration("without_tunnels").unwrap().contains("<ipsec_tunnel>"));
    let without_inside = configuration("without_inside").unwrap();
    assert!(without_inside.contains("<ipsec_tunnel>") && !without_inside.contains("<tunnel_inside_address>"));
    assert!(configuration("broken").unwrap().ends_with("key.of_tunnel.2"));
}

#[test]
fn a_deleted_connection_keeps_its_state_and_loses_the_rest() {
    let stand_in = started();
    for (state, telemetry) in
        [("available", true), ("pending", false), ("deleting", false), ("deleted", false)]
    {
        control(&stand_in, json!({ "set_connection": { "vpn_id": VPN, "state": state } }));
        let text = Raw::ec2("").send(&stand_in).text();
        assert!(text.contains(&format!("<state>{state}</state>")), "{text}");
        assert_eq!(text.contains("<vgwTelemetry>"), telemetry, "{state}: {text}");
        assert_eq!(text.contains("customerGatewayConfiguration"), matches!(state, "available" | "pending"));
    }
}

#[test]
fn a_down_tunnel_has_its_change_time_and_no_routes() {
    let stand_in = started();
    control(&stand_in, json!({ "hold_clock": { "still": true } }));
    let at = (now(&stand_in) / 60.0).floor() * 60.0;
    let command = json!({ "outside_ip": TUNNEL, "up": false, "message": "IPSEC IS UP", "at": at });
    control(&stand_in, json!({ "set_tunnel": command }));
    let text = Raw::ec2("").send(&stand_in).text();
    let item = text.split("<vgwTelemetry>").nth(1).unwrap().split("</item>").next().unwrap();
    assert!(item.contains("<status>DOWN</status><statusMessage>IPSEC IS UP</statusMessage>"), "{item}");
    assert!(item.contains("<acceptedRouteCount>0</acceptedRouteCount>"), "{item}");
    assert!(item.contains(&format!("<lastStatusChange>{}</lastStatusChange>", clock::iso(at))), "{item}");
}

#[test]
fn a_replacement_is_announced_with_its_date_and_then_applied_or_withdrawn() {
    let stand_in = started();
    control(&stand_in, json!({ "hold_clock": { "still": true } }));
    let details = |address: &str| {
        let text = Raw::replacement(VPN, address).send(&stand_in).text();
        let part = text.split("<maintenanceDetails>").nth(1).unwrap().split("</maintenanceDetails>").next();
        part.unwrap().to_owned()
    };
    let none = "<pendingMaintenance>None</pendingMaintenance>";
    assert_eq!(details(TUNNEL), none);
    let date = (now(&stand_in) / 60.0).floor() * 60.0 + 86_400.0;
    let announced = json!({ "outside_ip": TUNNEL, "applied_after": date });
    control(&stand_in, json!({ "announce_maintenance": announced }));
    let iso = clock::iso(date);
    let pending = format!(
        "<maintenanceAutoAppliedAfter>{iso}</maintenanceAutoAppliedAfter><pendingMaintenance>Available</pendingMaintenance>"
    );
    assert_eq!(details(TUNNEL), pending);
    assert_eq!(details(OTHER_TUNNEL), none);
    control(&stand_in, json!({ "withdraw_maintenance": { "outside_ip": TUNNEL } }));
    assert_eq!(details(TUNNEL), none);
    control(&stand_in, json!({ "announce_maintenance": { "outside_ip": TUNNEL, "word": "Scheduled" } }));
    assert_eq!(details(TUNNEL), "<pendingMaintenance>Scheduled</pendingMaintenance>");
    control(&stand_in, json!({ "apply_maintenance": { "outside_ip": TUNNEL } }));
    let applied = clock::iso(now(&stand_in));
    assert_eq!(details(TUNNEL), format!("<lastMaintenanceApplied>{applied}</lastMaintenanceApplied>{none}"));
}

#[test]
fn maintenance_is_asked_of_a_known_tunnel_of_a_known_connection() {
    let stand_in = started();
    for (vpn, address, more, expected) in [
        (VPN, TUNNEL, "", "ok"),
        (VPN, TUNNEL, "&DryRun=true", "dryrunoperation"),
        (VPN, "203.0.113.99", "", "invalidparametervalue"),
        ("vpn-0123456789abcdef1", TUNNEL, "", "invalidvpnconnectionid.notfound"),
        (VPN, TUNNEL, "&Tunnel=1", "unknownparameter"),
    ] {
        let mut raw = Raw::replacement(vpn, address);
        raw.body.extend_from_slice(more.as_bytes());
        assert_eq!(raw.send(&stand_in).code(), expected, "{vpn} {address} {more}");
    }
    let mut without = Raw::replacement(VPN, TUNNEL);
    let text = String::from_utf8(without.body).unwrap();
    without.body = text.split("&VpnTunnelOutside").next().unwrap().as_bytes().to_vec();
    assert_eq!(without.send(&stand_in).code(), "missingparameter");
    control(
        &stand_in,
        json!({ "add_fault": { "fault": { "operation": "GetVpnTunnelReplacementStatus", "kind": "denied" } } }),
    );
    assert_eq!(Raw::replacement(VPN, TUNNEL).send(&stand_in).code(), "unauthorizedoperation");
}

#[test]
fn the_count_of_accepted_routes_can_be_set() {
    let stand_in = started();
    control(&stand_in, json!({ "set_routes": { "outside_ip": TUNNEL, "accepted": 0 } }));
    let text = Raw::ec2("").send(&stand_in).text();
    assert!(text.contains("<acceptedRouteCount>0<") && text.contains("<acceptedRouteCount>1<"), "{text}");
}

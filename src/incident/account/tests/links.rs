use super::super::*;

#[test]
fn the_console_is_that_of_the_regions_partition() {
    let url = |region: &str| console(&VpnId::new("vpn-0a"), region).url;
    assert_eq!(
        url("eu-west-1"),
        "https://console.aws.amazon.com/vpc/home?region=eu-west-1#VpnConnectionDetails:VpnConnectionId=vpn-0a"
    );
    assert!(url("cn-north-1").starts_with("https://console.amazonaws.cn/vpc/"));
    assert!(url("us-gov-west-1").starts_with("https://console.amazonaws-us-gov.com/vpc/"));
}

#[test]
fn a_graph_names_each_tunnel_and_escapes_what_the_console_would_read_as_its_own() {
    let tunnels = ["203.0.113.11".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    insta::assert_snapshot!(
        graph("eu-west-1", "AWS/VPN", "TunnelState", &VpnId::new("vpn-0a"), &tunnels),
        @"https://console.aws.amazon.com/cloudwatch/home?region=eu-west-1#metricsV2:graph=~(metrics~(~(~'AWS*2fVPN~'TunnelState~'VpnId~'vpn-0a~'TunnelIpAddress~'203.0.113.11)~(~'AWS*2fVPN~'TunnelState~'VpnId~'vpn-0a~'TunnelIpAddress~'2001*3adb8*3a*3a1))~view~'timeSeries~region~'eu-west-1~stat~'Minimum~period~60~start~'-PT3H~end~'P0D)"
    );
}

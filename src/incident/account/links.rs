//! Where to look: AWS's console.

use std::fmt::Write as _;
use std::net::IpAddr;

use serde::Serialize;

use crate::domain::board::Incident;
use crate::domain::names::VpnId;
use crate::incident::settings::{Metrics, VpnSettings};

/// AWS's metrics of a tunnel, and ours where they are published.
const NAMESPACE_AWS: &str = "AWS/VPN";

/// A page on the web.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// What is there.
    pub title: String,
    /// Its address.
    pub url: String,
    /// Whether it shows metrics.
    #[serde(skip)]
    pub metrics: bool,
}

/// The connection's page, and the metrics of both ends since before it began.
pub(super) fn of(incident: &Incident, vpn: Option<&VpnSettings>) -> Vec<Link> {
    let Some(vpn) = vpn.filter(|vpn| !vpn.region.is_empty()) else { return Vec::new() };
    let tunnels: Vec<IpAddr> = incident.tunnels.iter().map(|tunnel| tunnel.id.outside_ip).collect();
    let mut links = vec![console(&incident.id.vpn, &vpn.region)];
    if !tunnels.is_empty() {
        let url = graph(&vpn.region, NAMESPACE_AWS, "TunnelState", &incident.id.vpn, &tunnels);
        links.push(Link { title: "AWS's view: TunnelState in CloudWatch".to_owned(), url, metrics: true });
        if let Some(Metrics { namespace, region }) = &vpn.metrics {
            let url = graph(region, namespace, "TunnelUp", &incident.id.vpn, &tunnels);
            links.push(Link {
                title: "This site's view: TunnelUp in CloudWatch".to_owned(),
                url,
                metrics: true,
            });
        }
    }
    links
}

pub(super) fn of_connection(id: &VpnId, vpn: Option<&VpnSettings>) -> Vec<Link> {
    vpn.filter(|vpn| !vpn.region.is_empty()).map(|vpn| console(id, &vpn.region)).into_iter().collect()
}

fn console(vpn: &VpnId, region: &str) -> Link {
    Link {
        title: "VPN connection in the AWS console".to_owned(),
        url: format!("{}/vpc/home?region={region}#VpnConnectionDetails:VpnConnectionId={vpn}", host(region)),
        metrics: false,
    }
}

/// The console's address, which differs by partition.
fn host(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "https://console.amazonaws.cn"
    } else if region.starts_with("us-gov-") {
        "https://console.amazonaws-us-gov.com"
    } else {
        "https://console.aws.amazon.com"
    }
}

/// A graph of one metric of each tunnel over the last three hours. The console's own notation: `~(` opens a list, `~'` leads a
/// text, and `*` with two hexadecimal digits stands for a character.
fn graph(region: &str, namespace: &str, metric: &str, vpn: &VpnId, tunnels: &[IpAddr]) -> String {
    let mut metrics = String::new();
    for tunnel in tunnels {
        _ = write!(
            metrics,
            "~(~'{}~'{metric}~'VpnId~'{}~'TunnelIpAddress~'{})",
            escaped(namespace),
            escaped(vpn.as_str()),
            escaped(&tunnel.to_string())
        );
    }
    format!(
        "{}/cloudwatch/home?region={region}#metricsV2:graph=~(metrics~({metrics})~view~'timeSeries~region~'{region}\
         ~stat~'Minimum~period~60~start~'-PT3H~end~'P0D)",
        host(region)
    )
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => escaped.push(char::from(byte)),
            _ => _ = write!(escaped, "*{byte:02x}"),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

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
}

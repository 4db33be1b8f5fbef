//! Whether the addresses that AWS has are those of the configuration.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::answer::{TunnelAddresses, VpnConnection};
use crate::aws::source::Agreement;
use crate::domain::names::{Role, VpnId};
use crate::domain::plan::TunnelPlan;

/// Lays AWS's addresses beside the configured ones; `None` where the answer has none to compare with.
///
/// Our own end (`source_ip`) is not compared: who sends from another address than AWS proposes may have reason to.
pub(super) fn compare(
    vpn: &VpnId,
    configured: &[Arc<TunnelPlan>],
    described: &VpnConnection,
) -> Option<Agreement> {
    if described.state != "available" {
        return None;
    }
    let theirs = theirs(described);
    if theirs.is_empty() {
        return None;
    }
    let listed = words(theirs.keys());
    let mut complaints = Vec::new();
    for tunnel in configured {
        let outside_ip = tunnel.id.outside_ip;
        match theirs.get(&outside_ip) {
            None => complaints.push(format!("it has no tunnel with the configured outside_ip {outside_ip}")),
            Some(Some(inside)) if tunnel.role != Role::Unused => {
                let ends = words([inside.inside_v4.aws, inside.inside_v6.aws].iter().flatten());
                if !ends.is_empty() && !inside.has_inside(tunnel.route.inside_ip) {
                    complaints.push(format!(
                        "its end inside the tunnel {outside_ip} is {ends}, not the configured inside_ip {}",
                        tunnel.route.inside_ip
                    ));
                }
            }
            Some(Some(_) | None) => {}
        }
    }
    let unknown = theirs.keys().filter(|ip| !configured.iter().any(|tunnel| tunnel.id.outside_ip == **ip));
    complaints.extend(unknown.map(|ip| format!("its tunnel {ip} is not configured")));
    let complaint = (!complaints.is_empty()).then(|| {
        format!(
            "AWS's addresses are not those of the configuration: {}; EC2 lists {listed}; `bothends discover {vpn}` \
             prints them as a configuration",
            complaints.join("; ")
        )
    });
    Some(Agreement { vpn: vpn.clone(), complaint })
}

/// What AWS has by outside address; the addresses inside where its configuration for the gateway could be read.
fn theirs(described: &VpnConnection) -> BTreeMap<IpAddr, Option<TunnelAddresses>> {
    let listed = described.telemetry.iter().filter_map(|telemetry| telemetry.outside_ip);
    let mut theirs: BTreeMap<IpAddr, Option<TunnelAddresses>> = listed.map(|ip| (ip, None)).collect();
    if let Some(Ok(tunnels)) = &described.configuration {
        theirs.extend(tunnels.iter().filter_map(|tunnel| Some((tunnel.outside_ip?, Some(*tunnel)))));
    }
    theirs
}

fn words<'a>(addresses: impl IntoIterator<Item = &'a IpAddr>) -> String {
    addresses.into_iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::answer::{Garbled, Inside, TunnelTelemetry};
    use super::*;
    use crate::domain::names::TunnelId;
    use crate::domain::plan::Route;

    fn vpn() -> VpnId {
        VpnId::new("vpn-0123456789abcdef0")
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn configured(outside: &str, inside: &str, role: Role) -> Arc<TunnelPlan> {
        Arc::new(TunnelPlan {
            id: TunnelId { vpn: vpn(), outside_ip: ip(outside) },
            name: outside.into(),
            role,
            route: Arc::new(Route { inside_ip: ip(inside), source_ip: ip("192.0.2.1"), interface: None }),
        })
    }

    fn described(telemetry: &[&str], tunnels: &[(&str, &str)]) -> VpnConnection {
        let telemetry = telemetry
            .iter()
            .map(|outside| TunnelTelemetry { outside_ip: Some(ip(outside)), ..TunnelTelemetry::default() });
        let tunnel = |(outside, inside): &(&str, &str)| TunnelAddresses {
            outside_ip: Some(ip(outside)),
            inside_v4: Inside { aws: Some(ip(inside)), ours: None },
            ..TunnelAddresses::default()
        };
        VpnConnection {
            state: "available".to_owned(),
            configuration: Some(Ok(tunnels.iter().map(tunnel).collect())),
            telemetry: telemetry.collect(),
            ..VpnConnection::default()
        }
    }

    fn complaint(configured: &[Arc<TunnelPlan>], described: &VpnConnection) -> Option<String> {
        compare(&vpn(), configured, described).unwrap().complaint
    }

    #[test]
    fn addresses_that_agree_are_no_complaint_and_an_unused_tunnel_is_configured_too() {
        let ours = [
            configured("203.0.113.11", "169.254.10.1", Role::Active),
            configured("203.0.113.12", "169.254.99.1", Role::Unused),
        ];
        let theirs = described(
            &["203.0.113.11", "203.0.113.12"],
            &[("203.0.113.11", "169.254.10.1"), ("203.0.113.12", "169.254.11.1")],
        );
        assert_eq!(complaint(&ours, &theirs), None);
        let by_telemetry_alone = VpnConnection { configuration: Some(Err(Garbled::Truncated)), ..theirs };
        assert_eq!(complaint(&ours, &by_telemetry_alone), None);
    }

    #[test]
    fn every_address_that_differs_is_named_with_what_aws_lists() {
        let ours = [
            configured("203.0.113.11", "169.254.10.5", Role::Active),
            configured("203.0.113.99", "169.254.11.1", Role::Standby),
        ];
        let theirs = described(&["203.0.113.12"], &[("203.0.113.11", "169.254.10.1")]);
        insta::assert_snapshot!(complaint(&ours, &theirs).unwrap(), @r"
        AWS's addresses are not those of the configuration: its end inside the tunnel 203.0.113.11 is 169.254.10.1, not the configured inside_ip 169.254.10.5; it has no tunnel with the configured outside_ip 203.0.113.99; its tunnel 203.0.113.12 is not configured; EC2 lists 203.0.113.11, 203.0.113.12; `bothends discover vpn-0123456789abcdef0` prints them as a configuration
        ");
    }

    #[test]
    fn where_there_is_nothing_to_compare_with_nothing_is_said() {
        let ours = [configured("203.0.113.11", "169.254.10.1", Role::Active)];
        assert_eq!(compare(&vpn(), &ours, &described(&[], &[])), None);
        let going = VpnConnection { state: "deleting".to_owned(), ..described(&["203.0.113.12"], &[]) };
        assert_eq!(compare(&vpn(), &ours, &going), None);
    }
}

//! Marks, VRFs, hosts behind a tunnel, and from where a connection is seen.

use std::sync::Arc;

use crate::config::tests::{SINK, VPN, load_text};
use crate::domain::names::CheckKind;
use crate::domain::plan::{TunnelPlan, Vantage};
use crate::domain::sensor::SensorKind;

const BEHIND: &str = "[[vpn]]\nid = \"vpn-0123456789abcdef0\"\nvantage = \"behind\"\n\
    [[vpn.through]]\nhost = \"10.0.0.10\"\nsource = \"192.168.1.20\"\nrequired = true\n\
    [[vpn.through]]\nhost = \"10.0.1.10\"\nsource = \"192.168.1.20\"\n\
    [[vpn.tunnel]]\noutside_ip = \"203.0.113.11\"\n";

fn tunnels(text: &str) -> Vec<Arc<TunnelPlan>> {
    let config =
        load_text(&format!("{text}{SINK}")).unwrap_or_else(|rejection| panic!("{rejection}\n{text}"));
    config.plan.vpns[0].tunnels.clone()
}

/// The first tunnel with these lines.
fn tunnel(lines: &str) -> Arc<TunnelPlan> {
    Arc::clone(&tunnels(&VPN.replacen("[[vpn.tunnel]]\n", &format!("[[vpn.tunnel]]\n{lines}\n"), 1))[0])
}

#[test]
fn a_mark_and_a_vrf_are_part_of_the_way() {
    let route = Arc::clone(&tunnel("fwmark = 0x64\nvrf = \"vpn\"").route);
    assert_eq!((route.fwmark.map(u32::from), route.interface.as_deref()), (Some(100), Some("vpn")));
    let route = Arc::clone(&tunnel("").route);
    assert_eq!((route.fwmark, route.interface.as_deref()), (None, None));
}

#[test]
fn the_mtu_is_not_measured_by_another_way_than_the_marked_one() {
    let kinds = |lines: &str| {
        let text =
            format!("[mtu]\n{}", VPN.replacen("[[vpn.tunnel]]\n", &format!("[[vpn.tunnel]]\n{lines}\n"), 1));
        tunnels(&text)[0].sensors.kinds.contains(&SensorKind::Mtu)
    };
    assert!(kinds(""));
    assert!(!kinds("fwmark = 7"));
}

#[test]
fn hosts_behind_a_tunnel_are_probed_over_its_own_way() {
    let more = "[[vpn.tunnel.through]]\nhost = [\"10.0.0.10\", \"10.0.1.10\"]\nmin = 2\nrequired = true\n\
        [[vpn.tunnel.through]]\nhost = \"10.0.2.10\"\nsource = \"192.168.1.1\"\n";
    let text = VPN.replacen("[[vpn.tunnel]]\n", "[[vpn.tunnel]]\nfwmark = 7\n", 1) + more;
    let tunnel = tunnels(&text).pop().unwrap();
    let groups = &tunnel.through.groups;
    assert_eq!(tunnel.through.vantage, Vantage::Gateway);
    let shown: Vec<_> = groups.iter().map(|group| (group.routes.len(), group.min, group.required)).collect();
    assert_eq!(shown, [(2, 2, true), (1, 1, false)]);
    assert_eq!(groups[0].routes[1].source_ip, tunnel.route.source_ip, "by default that of the tunnel");
    assert_eq!(groups[1].routes[0].source_ip.to_string(), "192.168.1.1");
    assert!(groups.iter().flat_map(|group| &group.routes).all(|route| route.fwmark == tunnel.route.fwmark));
    let kinds: Vec<_> = tunnel.checks().map(|(kind, _)| kind.to_string()).collect();
    assert_eq!(kinds, ["inside", "through 10.0.0.10", "through 10.0.1.10", "through 10.0.2.10"]);
}

#[test]
fn from_behind_every_tunnel_is_seen_by_the_hosts_of_the_connection() {
    let two = format!("[ipsec]\n[mtu]\n[path]\n{BEHIND}[[vpn.tunnel]]\noutside_ip = \"203.0.113.12\"\n");
    for tunnel in tunnels(&two) {
        assert_eq!(tunnel.through.vantage, Vantage::Behind { shared: true });
        assert_eq!(tunnel.route.inside_ip.to_string(), "10.0.0.10");
        let kinds: Vec<_> = tunnel.checks().map(|(kind, _)| kind).collect();
        assert!(!kinds.contains(&CheckKind::Inside) && kinds.len() == 2, "{kinds:?}");
        assert!(tunnel.sensors.kinds.is_empty(), "what they look at is not on this host");
    }
    let unused = format!("{BEHIND}[[vpn.tunnel]]\noutside_ip = \"203.0.113.12\"\nrole = \"unused\"\n");
    assert_eq!(tunnels(&unused)[0].through.vantage, Vantage::Behind { shared: false });
}

//! A proposal for scripts: the configuration in its own names and shape, and beside it, in one member, what is no part of
//! it. docs/discover.md documents it.

use std::net::IpAddr;

use serde::Serialize;

use super::proposal::{Aws, NameFrom, Proposal, Tunnel, Vpn};

/// The text, or why there is none.
pub(super) fn render(proposal: &Proposal) -> Result<String, serde_json::Error> {
    let Proposal { region, at, role_arn, vpns, warnings, left_out } = proposal;
    let document = Document {
        aws: AwsTable { region },
        vpn: vpns.iter().map(|vpn| VpnTable::of(vpn, role_arn.as_deref())).collect(),
        incident: IncidentTable { mode: "observe" },
        discovered: Discovered {
            region,
            at: at.as_deref(),
            warnings,
            left_out,
            vpn: vpns.iter().map(DiscoveredVpn::of).collect(),
        },
    };
    serde_json::to_string_pretty(&document).map(|json| json + "\n")
}

/// Without `discovered` it is a configuration.
#[derive(Serialize)]
struct Document<'a> {
    aws: AwsTable<'a>,
    vpn: Vec<VpnTable<'a>>,
    incident: IncidentTable,
    discovered: Discovered<'a>,
}

#[derive(Serialize)]
struct AwsTable<'a> {
    region: &'a str,
}

#[derive(Serialize)]
struct IncidentTable {
    mode: &'static str,
}

/// TOML has no null: what is not known is not there.
#[derive(Serialize)]
struct VpnTable<'a> {
    id: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    routing: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role_arn: Option<&'a str>,
    tunnel: Vec<TunnelTable<'a>>,
}

#[derive(Serialize)]
struct TunnelTable<'a> {
    name: &'a str,
    outside_ip: IpAddr,
    inside_ip: IpAddr,
    source_ip: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<&'a str>,
    role: &'static str,
}

#[derive(Serialize)]
struct Discovered<'a> {
    region: &'a str,
    at: Option<&'a str>,
    warnings: &'a [String],
    left_out: &'a [String],
    vpn: Vec<DiscoveredVpn<'a>>,
}

#[derive(Serialize)]
struct DiscoveredVpn<'a> {
    id: &'a str,
    name_from: NameFrom,
    all_down: bool,
    tunnel: Vec<DiscoveredTunnel<'a>>,
}

#[derive(Serialize)]
struct DiscoveredTunnel<'a> {
    outside_ip: IpAddr,
    carried_by: &'a [String],
    aws: &'a Aws,
}

impl<'a> VpnTable<'a> {
    fn of(vpn: &'a Vpn, role_arn: Option<&'a str>) -> Self {
        let Vpn { id, name, name_from: _, routing, all_down: _, tunnels } = vpn;
        Self { id, name, routing: *routing, role_arn, tunnel: tunnels.iter().map(TunnelTable::of).collect() }
    }
}

impl<'a> TunnelTable<'a> {
    fn of(tunnel: &'a Tunnel) -> Self {
        let Tunnel { name, outside_ip, inside_ip, source_ip, interface, carried_by: _, role, aws: _ } =
            tunnel;
        Self {
            name,
            outside_ip: *outside_ip,
            inside_ip: *inside_ip,
            source_ip: *source_ip,
            interface: interface.as_deref(),
            role: role.as_str(),
        }
    }
}

impl<'a> DiscoveredVpn<'a> {
    fn of(vpn: &'a Vpn) -> Self {
        let Vpn { id, name: _, name_from, routing: _, all_down, tunnels } = vpn;
        let tunnel = tunnels
            .iter()
            .map(|tunnel| DiscoveredTunnel {
                outside_ip: tunnel.outside_ip,
                carried_by: &tunnel.carried_by,
                aws: &tunnel.aws,
            })
            .collect();
        Self { id, name_from: *name_from, all_down: *all_down, tunnel }
    }
}

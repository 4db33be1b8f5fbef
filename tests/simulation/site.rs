//! The one monitored connection, as configured at each gateway.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use bothends::domain::names::{
    AwsPlace, Destination, Kind, Role, SinkId, SourceId, SourceKind, TunnelId, VpnId,
};
use bothends::domain::plan::{
    AwsRules, IncidentRules, Plan, QualityRules, Route, SinkPlan, TunnelPlan, VpnPlan,
};
use bothends::domain::silence::SilenceScope;
use bothends::incident::settings::{SinkRules as SinkSettings, VpnSettings};
use bothends::incident::sink::RecordScope;

use super::schedule::{Setup, Silenced, Switches, Use};

pub fn vpn() -> VpnId {
    VpnId::new("vpn-0123456789abcdef0")
}

pub fn tunnel(index: usize) -> TunnelId {
    let last = u8::try_from(index + 1).unwrap();
    TunnelId { vpn: vpn(), outside_ip: [203, 0, 113, last].into() }
}

pub fn index_of(tunnel: &TunnelId) -> usize {
    match tunnel.outside_ip {
        IpAddr::V4(outside) => usize::from(outside.octets()[3] - 1),
        IpAddr::V6(_) => unreachable!("this site has no IPv6"),
    }
}

/// Our end inside a tunnel.
fn local_address(index: u8) -> Ipv4Addr {
    [169, 254, index, 2].into()
}

/// An address that no host has.
fn mistyped(index: u8) -> Ipv4Addr {
    [169, 254, index, 20].into()
}

/// Whether the source address may be on this host.
pub fn may_be_local(route: &Route) -> bool {
    (0..4).any(|index| route.source_ip == local_address(index))
}

pub fn sources(switches: &Switches) -> Vec<SourceId> {
    let of = |kind| SourceId { kind, place: AwsPlace::default() };
    let mut sources = vec![of(SourceKind::CloudWatch)];
    sources.extend(switches.ec2_lag.map(|_| of(SourceKind::Ec2)));
    sources
}

pub fn plan(switches: &Switches, setup: Setup, site: &str) -> Plan {
    let tunnels = (0_u8..)
        .zip(setup.uses)
        .filter_map(|(index, of)| {
            let (role, source_ip) = match of {
                Use::Active => (Role::Active, local_address(index)),
                Use::Standby => (Role::Standby, local_address(index)),
                Use::Unused => (Role::Unused, local_address(index)),
                Use::Mistyped => (Role::Active, mistyped(index)),
                Use::Absent => return None,
            };
            Some(Arc::new(TunnelPlan {
                id: tunnel(usize::from(index)),
                name: format!("tunnel {}", index + 1).into(),
                role,
                through: Default::default(),
                uplink: None,
                sensors: Default::default(),
                route: Arc::new(Route {
                    inside_ip: [169, 254, index, 1].into(),
                    source_ip: source_ip.into(),
                    interface: None,
                    fwmark: None,
                }),
            }))
        })
        .collect();
    let vpn = VpnPlan {
        id: vpn(),
        name: "Milan DC".into(),
        routing: setup.routing,
        tunnels,
        probe: switches.probe,
        quality: QualityRules::default(),
        incident: IncidentRules {
            open_after_outage: switches.open_after_outage,
            open_after_redundancy_lost: switches.open_after_redundancy_lost,
            one_sided_after: switches.one_sided_after,
            degraded_after: None,
            resolve_after: switches.resolve_after,
            start_grace: switches.start_grace,
        },
        aws: AwsRules {
            poll_interval: switches.poll_interval,
            suspect_poll_interval: switches.poll_interval.min(Duration::from_secs(15)),
            stale_after: switches.stale_after,
            sources: sources(switches),
        },
    };
    let sink =
        SinkPlan { id: sink(), destination: destination(), kinds: BTreeSet::from(Kind::ALL), scopes: None };
    let votes_if_address = switches.vrrp.then(shared_address);
    Plan {
        site: site.into(),
        votes_if_address,
        vpns: vec![Arc::new(vpn)],
        parents: Vec::new(),
        sinks: vec![sink],
    }
}

pub fn silence_scope(of: Silenced) -> SilenceScope {
    match of {
        Silenced::Site => SilenceScope::Site,
        Silenced::Connection => SilenceScope::Connection(vpn()),
        Silenced::Tunnel(index) => SilenceScope::Tunnel(tunnel(index)),
    }
}

/// The address that VRRP moves between the gateways.
pub fn shared_address() -> IpAddr {
    [192, 0, 2, 1].into()
}

pub fn sink() -> SinkId {
    SinkId::new("incident_manager")
}

pub fn destination() -> Destination {
    Destination::new("0123")
}

pub fn sink_settings(site: &str) -> SinkSettings {
    let region = VpnSettings { region: "eu-west-1".into(), ..VpnSettings::default() };
    SinkSettings {
        sink: SinkPlan {
            id: sink(),
            destination: destination(),
            kinds: BTreeSet::from(Kind::ALL),
            scopes: None,
        },
        site: site.into(),
        plan: "arn:aws:ssm-incidents::123456789012:response-plan/bothends-{vpn_id}-{kind}".into(),
        impact: BTreeMap::new(),
        vpns: BTreeMap::from([(vpn(), region)]),
        parents: BTreeMap::new(),
    }
}

/// The scope of a kind's records.
pub fn scope(kind: Kind) -> RecordScope {
    sink_settings("").scope(&vpn().into(), kind).unwrap()
}

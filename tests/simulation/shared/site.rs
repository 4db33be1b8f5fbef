//! The connections that share an uplink, as configured at each gateway.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bothends::domain::names::{Kind, Role, TunnelId, VpnId};
use bothends::domain::plan::{
    AwsRules, IncidentRules, ParentPlan, Plan, QualityRules, Route, SensorRules, SinkPlan, TunnelPlan,
    VpnPlan,
};
use bothends::domain::scope::{ParentId, ParentKind, Scope};
use bothends::domain::sensor::SensorKind;
use bothends::incident::settings::{SinkRules, VpnSettings};

use super::super::schedule::Switches;
use super::super::site::{destination, sink, sources};

/// Both gateways of a pair are one site.
const SITE: &str = "milan";

/// A host on the uplink.
pub const REFERENCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 53));

pub fn vpn(connection: usize) -> VpnId {
    VpnId::new(format!("vpn-0123456789abcde{connection:02x}"))
}

pub fn tunnel(index: usize) -> TunnelId {
    let last = u8::try_from(index + 1).expect("small");
    TunnelId { vpn: vpn(index / 2), outside_ip: [203, 0, 113, last].into() }
}

/// The connection of a scope.
pub fn connection_of(scope: &Scope, connections: usize) -> Option<usize> {
    (0..connections).find(|connection| scope.vpn() == Some(&vpn(*connection)))
}

fn parent(kind: ParentKind) -> ParentId {
    let name = match kind {
        ParentKind::Uplink => "wan1",
        ParentKind::Site => SITE,
        ParentKind::Group => "both",
    };
    ParentId { kind, site: SITE.into(), name: name.into() }
}

/// The uplink, and everything.
pub fn parents() -> [ParentId; 2] {
    [parent(ParentKind::Uplink), parent(ParentKind::Site)]
}

/// `standby`: so is the second tunnel of the first connection.
pub fn plan(switches: &Switches, connections: usize, standby: bool) -> Plan {
    let incident = IncidentRules {
        open_after_outage: switches.open_after_outage,
        open_after_redundancy_lost: switches.open_after_redundancy_lost,
        one_sided_after: switches.one_sided_after,
        degraded_after: None,
        resolve_after: switches.resolve_after,
        start_grace: switches.start_grace,
    };
    let tunnel = |index: usize| {
        let inside = u8::try_from(index).expect("small");
        Arc::new(TunnelPlan {
            id: tunnel(index),
            name: format!("tunnel {}", index % 2 + 1).into(),
            role: if index == 1 && standby { Role::Standby } else { Role::Active },
            through: Default::default(),
            uplink: Some("wan1".into()),
            sensors: SensorRules {
                kinds: BTreeSet::from([SensorKind::Path]),
                bgp_required: false,
                mtu_interval: Duration::from_secs(86_400),
            },
            route: Arc::new(Route {
                inside_ip: [169, 254, inside, 1].into(),
                source_ip: [169, 254, inside, 2].into(),
                interface: None,
                fwmark: None,
            }),
        })
    };
    let connection = |connection: usize| {
        Arc::new(VpnPlan {
            id: vpn(connection),
            name: format!("connection {}", connection + 1).into(),
            routing: switches.routing,
            tunnels: [2 * connection, 2 * connection + 1].map(tunnel).to_vec(),
            probe: switches.probe,
            quality: QualityRules::default(),
            incident,
            aws: AwsRules {
                poll_interval: switches.poll_interval,
                suspect_poll_interval: switches.poll_interval.min(Duration::from_secs(15)),
                stale_after: switches.stale_after,
                sources: sources(switches),
            },
        })
    };
    let parents = parents().map(|id| Arc::new(ParentPlan { id, vpns: vpns(connections), incident }));
    Plan {
        site: SITE.into(),
        votes_if_address: None,
        vpns: (0..connections).map(connection).collect(),
        parents: parents.to_vec(),
        sinks: vec![sink_plan()],
    }
}

fn vpns(connections: usize) -> BTreeSet<VpnId> {
    (0..connections).map(vpn).collect()
}

fn sink_plan() -> SinkPlan {
    SinkPlan { id: sink(), destination: destination(), kinds: BTreeSet::from(Kind::ALL), scopes: None }
}

pub fn sink_settings(connections: usize) -> SinkRules {
    let region = VpnSettings { region: "eu-west-1".into(), ..VpnSettings::default() };
    SinkRules {
        sink: sink_plan(),
        site: SITE.into(),
        plan: "arn:aws:ssm-incidents::123456789012:response-plan/bothends-{scope}-{kind}".into(),
        impact: BTreeMap::new(),
        vpns: vpns(connections).into_iter().map(|vpn| (vpn, region.clone())).collect(),
        parents: parents().into_iter().map(|parent| (parent, vpns(connections))).collect(),
    }
}

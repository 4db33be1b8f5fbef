//! A site of connections with two tunnels each, as it is configured by default.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bothends::domain::names::{Role, Routing, TunnelId, VpnId};
use bothends::domain::plan::{
    AwsRules, IncidentRules, Plan, ProbeRules, QualityRules, Route, TunnelPlan, VpnPlan,
};

/// Each connection has the third byte of its addresses beside its id.
pub fn of(vpns: impl Iterator<Item = (VpnId, u8)>) -> Plan {
    let second = Duration::from_secs(1);
    let vpn = |(id, n): (VpnId, u8)| {
        let tunnel = |last: u8| {
            Arc::new(TunnelPlan {
                id: TunnelId { vpn: id.clone(), outside_ip: [203, 0, n, last].into() },
                name: format!("tunnel {last}").into(),
                role: Role::Active,
                through: Default::default(),
                uplink: None,
                sensors: Default::default(),
                route: Arc::new(Route {
                    inside_ip: [169, 254, n, 4 * last + 1].into(),
                    source_ip: [169, 254, n, 4 * last + 2].into(),
                    interface: None,
                    fwmark: None,
                }),
            })
        };
        Arc::new(VpnPlan {
            id: id.clone(),
            name: "Milan DC".into(),
            routing: Routing::Unknown,
            tunnels: vec![tunnel(1), tunnel(2)],
            probe: ProbeRules {
                interval: second,
                suspect_interval: second / 5,
                timeout: second,
                down_after: NonZeroU32::new(10).expect("not zero"),
                up_after: NonZeroU32::new(5).expect("not zero"),
            },
            quality: QualityRules::default(),
            incident: IncidentRules {
                open_after_outage: 30 * second,
                open_after_redundancy_lost: 120 * second,
                one_sided_after: None,
                degraded_after: None,
                resolve_after: 300 * second,
                start_grace: 120 * second,
            },
            aws: AwsRules {
                poll_interval: 60 * second,
                suspect_poll_interval: 15 * second,
                stale_after: 600 * second,
                sources: Vec::new(),
            },
        })
    };
    Plan {
        site: "milan-1".into(),
        votes_if_address: None,
        vpns: vpns.map(vpn).collect(),
        parents: Vec::new(),
        sinks: Vec::new(),
    }
}

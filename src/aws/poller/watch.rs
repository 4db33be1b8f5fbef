//! What a source is asked about.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::names::{SourceId, TunnelId, VpnId};
use crate::domain::plan::{Plan, TunnelPlan};

/// The connections that name a source.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Watch {
    /// The connections and their tunnels that are not unused, in the order of the plan.
    pub(in crate::aws) vpns: Vec<(VpnId, Vec<TunnelId>)>,
    /// Every tunnel that is configured, the unused ones too.
    pub(in crate::aws) configured: BTreeMap<VpnId, Vec<Arc<TunnelPlan>>>,
    /// Those about which EC2 is asked as well, which says so if it does not have one.
    pub(in crate::aws) known_to_ec2: BTreeSet<VpnId>,
    /// The longest time that evidence stays good for any of them.
    pub(in crate::aws) stale_after: Duration,
}

impl Watch {
    /// What each source of the plan is asked about.
    pub(super) fn of(plan: &Plan) -> BTreeMap<SourceId, Self> {
        let mut watches: BTreeMap<SourceId, Self> = BTreeMap::new();
        for vpn in &plan.vpns {
            for source in &vpn.aws.sources {
                let watch = watches.entry(source.clone()).or_default();
                let tunnels = vpn.used_tunnels().map(|tunnel| tunnel.id.clone()).collect();
                watch.vpns.push((vpn.id.clone(), tunnels));
                watch.configured.insert(vpn.id.clone(), vpn.tunnels.clone());
                if vpn.aws.asks_ec2() {
                    watch.known_to_ec2.insert(vpn.id.clone());
                }
                watch.stale_after = watch.stale_after.max(vpn.aws.stale_after);
            }
        }
        watches
    }

    /// The tunnels of a connection; none if it is not watched (any more).
    pub(in crate::aws) fn tunnels_of(&self, vpn: &VpnId) -> &[TunnelId] {
        self.vpns.iter().find(|(id, _)| id == vpn).map_or(&[], |(_, tunnels)| tunnels)
    }

    /// Every tunnel, in the order of the plan.
    pub(in crate::aws) fn tunnels(&self) -> impl Iterator<Item = &TunnelId> {
        self.vpns.iter().flat_map(|(_, tunnels)| tunnels)
    }
}

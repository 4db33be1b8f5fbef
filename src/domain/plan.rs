//! What to watch and by which rules: the configuration as the core needs it.
//!
//! `config` builds it and guarantees the ranges stated here, so that nothing later has to check them again.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::names::{
    CheckKind, Destination, Kind, Role, Routing, SinkId, SourceId, SourceKind, TunnelId, VpnId,
};
use super::scope::{ParentId, Scope};
use super::sensor::SensorKind;

/// Everything the core decides on.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// This gateway's name, unique per daemon.
    pub site: Arc<str>,
    /// Our end votes only while this host holds this address; `None`: always.
    pub votes_if_address: Option<IpAddr>,
    /// The VPN connections, in the order of the configuration; ids are unique.
    pub vpns: Vec<Arc<VpnPlan>>,
    /// What several connections share; ids are unique.
    pub parents: Vec<Arc<ParentPlan>>,
    /// Where incidents go; empty in mode `observe`.
    pub sinks: Vec<SinkPlan>,
}

/// Something shared by several connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParentPlan {
    /// Its identity.
    pub id: ParentId,
    /// The connections that share it: at least two.
    pub vpns: BTreeSet<VpnId>,
    /// When an incident closes; of one that opens the rules are those of the connections.
    pub incident: IncidentRules,
}

/// One VPN connection.
#[derive(Debug, Clone, PartialEq)]
pub struct VpnPlan {
    /// Its id.
    pub id: VpnId,
    /// Its display name.
    pub name: Arc<str>,
    /// How it is routed.
    pub routing: Routing,
    /// Its tunnels, in the order of the configuration; at least one, outside addresses unique.
    pub tunnels: Vec<Arc<TunnelPlan>>,
    /// How its tunnels are probed.
    pub probe: ProbeRules,
    /// When an incident opens and closes.
    pub incident: IncidentRules,
    /// When a tunnel that is Up is degraded.
    pub quality: QualityRules,
    /// How AWS is asked.
    pub aws: AwsRules,
}

/// One tunnel.
#[derive(Debug, Clone, PartialEq)]
pub struct TunnelPlan {
    /// Its identity.
    pub id: TunnelId,
    /// Its display name.
    pub name: Arc<str>,
    /// Its role.
    pub role: Role,
    /// What is probed and from where: AWS's inside address, or from behind the gateway the first required host.
    pub route: Arc<Route>,
    /// From where the tunnel is seen, and the hosts behind it.
    pub through: ThroughRules,
    /// The uplink that its packets take to AWS, if it has a name.
    pub uplink: Option<Arc<str>>,
    /// What is looked at besides.
    pub sensors: SensorRules,
}

/// From where a tunnel is seen, and the hosts behind it that are probed through it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ThroughRules {
    /// From where; see [`through`](super::through).
    pub vantage: Vantage,
    /// The hosts; from behind the gateway at least one group is required. No host is in two groups.
    pub groups: Vec<ThroughGroup>,
}

/// Where this host stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Vantage {
    /// It is the gateway: AWS's inside address can be probed over each tunnel by itself.
    #[default]
    Gateway,
    /// It is behind the gateway, which chooses the tunnel.
    Behind {
        /// The connection has other used tunnels, by which a reply may have come as well.
        shared: bool,
    },
}

/// Hosts behind a tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThroughGroup {
    /// The way to each; [`Route::inside_ip`] is the host.
    pub routes: Vec<Arc<Route>>,
    /// How many must answer; 1 to all of them.
    pub min: usize,
    /// Whether it has a vote; otherwise it only explains.
    pub required: bool,
}

/// What is looked at besides the probes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SensorRules {
    /// The sensors that look at the tunnel.
    pub kinds: BTreeSet<SensorKind>,
    /// Whether a BGP session that is not established makes our end Down.
    pub bgp_required: bool,
    /// Between two looks at the MTU in calm; 10 s to 24 h.
    pub mtu_interval: Duration,
}

/// The way an echo takes: bound to our address and, if given, to the interface, so that it can leave by no other path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// AWS's end inside the tunnel, or the host behind it.
    pub inside_ip: IpAddr,
    /// Our end inside the tunnel; of the same address family.
    pub source_ip: IpAddr,
    /// The interface or VRF the socket is bound to.
    pub interface: Option<Arc<str>>,
    /// The mark of its packets, by which a rule may choose their routing table.
    pub fwmark: Option<NonZeroU32>,
}

/// `[probe]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeRules {
    /// Between echoes in calm; 100 ms to 60 s.
    pub interval: Duration,
    /// Between echoes under suspicion; 50 ms to `interval`.
    pub suspect_interval: Duration,
    /// An on-time reply arrives within this; 100 ms to 10 s.
    pub timeout: Duration,
    /// Overdue echoes in a row that make Down.
    pub down_after: NonZeroU32,
    /// Replies in a row that make Up.
    pub up_after: NonZeroU32,
}

/// A reply is ignored this long after `timeout`; until then it is Late, which distinguishes slow from dead.
pub const LATE_WINDOW: Duration = Duration::from_secs(3);

/// `[quality]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QualityRules {
    /// More loss is too much, in percent; 0.5 to 50.
    pub max_loss_percent: f64,
    /// A longer median round trip is too long; `None`: only what is usual for the tunnel counts.
    pub max_rtt: Option<Duration>,
    /// More jitter is too much; `None`: only what is usual for the tunnel counts.
    pub max_jitter: Option<Duration>,
    /// For how long something must be wrong, or nothing any more; 1 s to 1 h.
    pub after: Duration,
}

impl Default for QualityRules {
    /// TCP slows down from 1 % of loss on, and calls become hard to follow at 5 %. Without a limit of the operator only what
    /// hurts by any measure counts: loss has no usual, and an idle line of mobile radio loses 1 or 2 % every day.
    fn default() -> Self {
        Self { max_loss_percent: 5.0, max_rtt: None, max_jitter: None, after: Duration::from_secs(60) }
    }
}

/// `[incident]`, as far as the core decides on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IncidentRules {
    /// How long an outage must hold before it opens.
    pub open_after_outage: Duration,
    /// How long lost redundancy must hold before it opens.
    pub open_after_redundancy_lost: Duration,
    /// How long a one-sided view must hold before it opens; `None` is "off".
    pub one_sided_after: Option<Duration>,
    /// How long a tunnel must be degraded before it opens; `None` is "off".
    pub degraded_after: Option<Duration>,
    /// How long the closing condition must hold.
    pub resolve_after: Duration,
    /// After a start or resume nothing opens for this long.
    pub start_grace: Duration,
}

/// `[aws]`, as far as the core decides on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsRules {
    /// Between questions in calm; 5 s to 15 min.
    pub poll_interval: Duration,
    /// Between questions while in doubt; 2 s to `poll_interval`.
    pub suspect_poll_interval: Duration,
    /// Evidence older than this is Unknown(stale).
    pub stale_after: Duration,
    /// The sources for this connection: CloudWatch, and EC2 where it is enabled.
    pub sources: Vec<SourceId>,
}

impl AwsRules {
    /// Whether EC2 is asked as well.
    pub fn asks_ec2(&self) -> bool {
        self.sources.iter().any(|source| source.kind == SourceKind::Ec2)
    }
}

/// One sink, as far as the core must know: which settlements it waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkPlan {
    /// Its name.
    pub id: SinkId,
    /// Its identity.
    pub destination: Destination,
    /// The kinds it takes.
    pub kinds: BTreeSet<Kind>,
    /// What it takes incidents of; `None` takes all. With a connection it takes each parent of it.
    pub scopes: Option<BTreeSet<Scope>>,
}

/// A route in a form that can be stored: a check that moves to another address has to prove itself again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteKey {
    /// See [`Route::inside_ip`].
    pub inside_ip: IpAddr,
    /// Our end of it; rows of older releases have none.
    pub own: Option<OwnEnd>,
}

/// Our end of a route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OwnEnd {
    /// See [`Route::source_ip`].
    pub source_ip: IpAddr,
    /// See [`Route::interface`].
    pub interface: Option<Arc<str>>,
}

impl Route {
    /// What is stored of it once it was answered.
    pub fn key(&self) -> RouteKey {
        let own = OwnEnd { source_ip: self.source_ip, interface: self.interface.clone() };
        RouteKey { inside_ip: self.inside_ip, own: Some(own) }
    }
}

impl SinkPlan {
    /// Whether incidents of this kind and scope go to this sink.
    pub fn takes(&self, scope: &Scope, kind: Kind) -> bool {
        self.kinds.contains(&kind) && self.scopes.as_ref().is_none_or(|scopes| scopes.contains(scope))
    }

    /// Whether incidents of this kind on this connection go to this sink.
    pub fn takes_vpn(&self, vpn: &VpnId, kind: Kind) -> bool {
        self.takes(&Scope::Connection(vpn.clone()), kind)
    }
}

impl Plan {
    /// The connection with this id.
    pub fn vpn(&self, id: &VpnId) -> Option<&Arc<VpnPlan>> {
        self.vpns.iter().find(|vpn| vpn.id == *id)
    }

    /// Whether this is watched.
    pub fn watches(&self, scope: &Scope) -> bool {
        match scope {
            Scope::Connection(vpn) => self.vpn(vpn).is_some(),
            Scope::Parent(id) => self.parents.iter().any(|parent| parent.id == *id),
        }
    }

    /// The name of a scope, or the id of a connection that is not in the plan.
    pub fn name_of(&self, scope: &Scope) -> Arc<str> {
        match scope {
            Scope::Connection(id) => {
                self.vpn(id).map_or_else(|| id.as_str().into(), |vpn| Arc::clone(&vpn.name))
            }
            Scope::Parent(parent) => Arc::clone(&parent.name),
        }
    }
}

impl TunnelPlan {
    /// Whether it is probed and counted.
    pub fn is_used(&self) -> bool {
        self.role != Role::Unused
    }

    /// What is probed: AWS's inside address, and the hosts behind the tunnel.
    pub fn checks(&self) -> impl Iterator<Item = (CheckKind, &Arc<Route>)> {
        let inside = match self.through.vantage {
            Vantage::Gateway => Some((CheckKind::Inside, &self.route)),
            Vantage::Behind { .. } => None,
        };
        let routes = self.through.groups.iter().flat_map(|group| &group.routes);
        inside.into_iter().chain(routes.map(|route| (CheckKind::Through(route.inside_ip), route)))
    }

    /// Whether a check votes: AWS's inside address, and the hosts that are required.
    pub fn votes(&self, check: CheckKind) -> bool {
        match check {
            CheckKind::Inside => true,
            CheckKind::Through(host) => {
                let has = |group: &&ThroughGroup| group.routes.iter().any(|route| route.inside_ip == host);
                self.through.groups.iter().find(has).is_some_and(|group| group.required)
            }
        }
    }

    /// Whether a check's echoes make the tunnel's minutes: that of AWS's inside address, or from behind the gateway those that vote.
    pub fn is_measured_by(&self, check: CheckKind) -> bool {
        match self.through.vantage {
            Vantage::Gateway => check == CheckKind::Inside,
            Vantage::Behind { .. } => self.votes(check),
        }
    }
}

impl VpnPlan {
    /// The tunnels that are probed and counted: all but the unused ones.
    pub fn used_tunnels(&self) -> impl Iterator<Item = &Arc<TunnelPlan>> {
        self.tunnels.iter().filter(|tunnel| tunnel.is_used())
    }
}

impl IncidentRules {
    /// How long the condition of `kind` must hold before it opens; `None` never opens.
    pub fn open_after(&self, kind: Kind) -> Option<Duration> {
        match kind {
            Kind::Outage => Some(self.open_after_outage),
            Kind::RedundancyLost => Some(self.open_after_redundancy_lost),
            Kind::OneSided => self.one_sided_after,
            Kind::Degraded => self.degraded_after,
        }
    }
}

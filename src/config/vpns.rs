//! `[[vpn]]` and `[[vpn.tunnel]]`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use super::describe::metrics_elsewhere;
use super::problem::{Notes, ProblemKind, Provenance};
use super::section::{Listed, Once, Section};
use super::sensors::{BgpRules, Sensors};
use super::settings::{AwsDefaults, CloudWatchSettings, VpnDetails};
use super::through::{self, Egress, Group};
use super::{globals, labels, patterns};
use crate::domain::names::{AwsPlace, Role, Routing, SourceId, SourceKind, TunnelId, VpnId};
use crate::domain::plan::{
    AwsRules, IncidentRules, ProbeRules, QualityRules, Route, SensorRules, ThroughRules, TunnelPlan, Vantage,
    VpnPlan,
};
use crate::domain::sensor::SensorKind;
use crate::settings::{Labels, Subject, UplinkSettings};

/// The defaults for every connection.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) labels: Labels,
    pub(super) aws: AwsDefaults,
    /// Where the daemon's metrics go, if enabled.
    pub(super) metrics: Option<CloudWatchSettings>,
    pub(super) aws_rules: AwsRules,
    pub(super) probe: ProbeRules,
    pub(super) quality: QualityRules,
    pub(super) incident: IncidentRules,
    pub(super) sensors: Sensors,
}

/// What the tunnels of a connection have in common.
struct OfConnection<'c> {
    id: Option<&'c VpnId>,
    routing: Routing,
    bgp: &'c BgpRules,
    sensors: &'c Sensors,
    vantage: Vantage,
    /// The hosts by which it is seen from behind the gateway.
    through: &'c [Group],
}

/// Reads the connections one by one and detects duplicates.
#[derive(Debug, Default)]
pub(super) struct VpnReader {
    pub(super) plans: Vec<Arc<VpnPlan>>,
    pub(super) settings: BTreeMap<VpnId, VpnDetails>,
    /// Every used tunnel, in order.
    pub(super) subjects: Vec<Arc<Subject>>,
    ids: Once<VpnId>,
    outside_ips: Once<IpAddr>,
    addresses: Addresses,
    routes: Once<(IpAddr, IpAddr, Egress)>,
}

impl VpnReader {
    /// Whether `id` is in the configuration, even if its connection is invalid.
    pub(super) fn names(&self, id: &VpnId) -> bool {
        self.ids.has(id)
    }

    /// `, only vpn-…`: what a list of ids may name, after a message on one that is not there. The first ones, for a site may have
    /// hundreds.
    pub(super) fn known(&self) -> String {
        const SHOWN: usize = 10;
        let shown: Vec<&str> = self.ids.values().take(SHOWN).map(VpnId::as_str).collect();
        match (shown.as_slice(), self.ids.values().count().saturating_sub(SHOWN)) {
            ([], _) => String::new(),
            (_, 0) => format!(", only {}", shown.join(", ")),
            (_, more) => format!(", only {} and {more} more", shown.join(", ")),
        }
    }

    /// Reads one connection; keeps its plan if it is valid.
    pub(super) fn read(&mut self, section: &Section<'_>, common: &Common, notes: &mut Notes) {
        if !section.is_table() {
            return;
        }
        let id = section.required("id", &patterns::VPN_ID, notes);
        if let Some(id) = &id {
            self.ids.claim(id.clone(), section, "id", notes);
        }
        let name = section.text("name", &patterns::LABEL, notes);
        let routing = section.text("routing", &patterns::ROUTING, notes);
        let settings = VpnDetails {
            region: section.text("region", &patterns::REGION, notes),
            role_arn: section.text("role_arn", &patterns::ROLE_ARN, notes),
            runbook_url: section.text("runbook_url", &patterns::URL, notes),
            notes: section.text("notes", &patterns::NOTES, notes),
            labels: labels::read(&section.section("labels"), &common.labels, notes),
        };
        if let Some(metrics) = &common.metrics {
            for (key, what) in metrics_elsewhere(&settings, &common.aws, metrics) {
                section.warn(key, what, notes);
            }
        }
        let probe = globals::probe(&section.section("probe"), common.probe, notes);
        let quality = globals::quality(&section.section("quality"), common.quality, notes);
        let incident = globals::incident(&section.section("incident"), common.incident, notes);
        let bgp = common.sensors.bgp_of(section, routing.unwrap_or_default(), notes);
        let vantage = section.text("vantage", &patterns::VANTAGE, notes).unwrap_or_default();
        let through = through_behind(section, vantage, notes);
        let all = OfConnection {
            id: id.as_ref(),
            routing: routing.unwrap_or_default(),
            bgp: &bgp,
            sensors: &common.sensors,
            vantage,
            through: &through,
        };
        let tunnels = self.tunnels(section, &all, notes);

        let (Some(id), Some(tunnels)) = (id, tunnels) else { return };
        self.plans.push(Arc::new(VpnPlan {
            name: name.unwrap_or_else(|| id.as_str().into()),
            routing: routing.unwrap_or_default(),
            tunnels,
            probe,
            incident,
            quality,
            aws: AwsRules { sources: sources(&settings, &common.aws), ..common.aws_rules.clone() },
            id: id.clone(),
        }));
        self.settings.insert(id, settings);
    }

    fn tunnels(
        &mut self,
        section: &Section<'_>,
        all: &OfConnection<'_>,
        notes: &mut Notes,
    ) -> Option<Vec<Arc<TunnelPlan>>> {
        let sections = section.sections("tunnel")?;
        if sections.is_empty() {
            section.missing("tunnel", "at least one [[vpn.tunnel]]", notes);
            return None;
        }
        // Every tunnel is read, so that every problem is reported.
        let read: Vec<_> = sections
            .iter()
            .enumerate()
            .map(|(index, tunnel)| self.tunnel(index, tunnel, all, notes))
            .collect();
        let mut tunnels: Vec<TunnelPlan> = read.into_iter().collect::<Option<_>>()?;
        let shared = tunnels.iter().filter(|tunnel| tunnel.is_used()).count() > 1;
        for tunnel in &mut tunnels {
            tunnel.through.vantage = match all.vantage {
                Vantage::Gateway => Vantage::Gateway,
                Vantage::Behind { .. } => Vantage::Behind { shared },
            };
        }
        let used = |role: Role| tunnels.iter().any(|tunnel| tunnel.role == role);
        match (used(Role::Active), used(Role::Standby)) {
            (true, _) => {}
            (false, true) => {
                let what = "no tunnel is active: neither outage nor redundancy_lost can ever open";
                section.warn("tunnel", what, notes);
            }
            (false, false) => {
                section.wrong(
                    "tunnel",
                    "all tunnels are unused: at least one must be active or standby",
                    notes,
                );
            }
        }
        Some(tunnels.into_iter().map(Arc::new).collect())
    }

    fn tunnel(
        &mut self,
        index: usize,
        section: &Section<'_>,
        all: &OfConnection<'_>,
        notes: &mut Notes,
    ) -> Option<TunnelPlan> {
        if !section.is_table() {
            return None;
        }
        let name = section.text("name", &patterns::LABEL, notes);
        let outside_ip = section.required("outside_ip", &patterns::OUTSIDE_IP, notes);
        let egress = Egress::read(section, notes);
        let role = section.text("role", &patterns::ROLE, notes).unwrap_or(Role::Active);
        let is_used = role != Role::Unused;
        let uplink = all.sensors.uplink_of(section, is_used, notes);
        let ipsec_socket = all.sensors.ipsec_socket_of(section, notes);
        if is_used {
            all.sensors.interface_must_be_known(section, notes);
        }

        if let Some(outside_ip) = outside_ip {
            self.outside_ips.claim(outside_ip, section, "outside_ip", notes);
            self.addresses.claim(AddressKind::Outside, outside_ip, section, notes);
        }
        let ends = match all.vantage {
            Vantage::Gateway => self.ends(section, &egress, notes),
            Vantage::Behind { .. } => {
                for key in ["inside_ip", "source_ip", "through"] {
                    if section.sets(key) {
                        let what = "is not used with vantage = \"behind\", where [[vpn.through]] says what is probed and from where";
                        section.wrong(key, what, notes);
                    }
                }
                None
            }
        };
        let groups: Vec<Group> = match all.vantage {
            Vantage::Gateway => {
                let groups = through::groups(section, ends.map(|(_, source_ip)| source_ip), notes);
                for (host, source, at) in through::ways(&groups) {
                    self.routes.claim_at((host, source, egress.clone()), at.clone(), notes);
                }
                groups
            }
            Vantage::Behind { .. } => all.through.to_vec(),
        };
        let groups: Vec<_> = groups.iter().map(|group| group.over(&egress)).collect();
        let route = match (all.vantage, ends) {
            (Vantage::Gateway, ends) => {
                let (inside_ip, source_ip) = ends?;
                Arc::new(egress.route(inside_ip, source_ip))
            }
            (Vantage::Behind { .. }, _) => {
                let required = groups.iter().find(|group| group.required)?;
                Arc::clone(required.routes.first()?)
            }
        };
        let id = TunnelId { vpn: all.id?.clone(), outside_ip: outside_ip? };
        let over = uplink.name.clone();
        let sensors = self.sensors_of(&id, &route, (ipsec_socket, uplink), is_used, all);
        Some(TunnelPlan {
            id,
            name: name.unwrap_or_else(|| format!("tunnel {}", index + 1).into()),
            role,
            route,
            through: ThroughRules { vantage: all.vantage, groups },
            uplink: over,
            sensors,
        })
    }

    /// The ends of the tunnel inside it, AWS's and ours.
    fn ends(
        &mut self,
        section: &Section<'_>,
        egress: &Egress,
        notes: &mut Notes,
    ) -> Option<(IpAddr, IpAddr)> {
        let inside_ip = section.required("inside_ip", &patterns::HOST_IP, notes);
        let source_ip = section.required("source_ip", &patterns::HOST_IP, notes);
        if let Some(inside_ip) = inside_ip {
            self.addresses.claim(AddressKind::Inside, inside_ip, section, notes);
        }
        if let Some(source_ip) = source_ip.filter(|source_ip| inside_ip != Some(*source_ip)) {
            self.addresses.claim(AddressKind::Source, source_ip, section, notes);
        }
        let (inside_ip, source_ip) = (inside_ip?, source_ip?);
        if inside_ip.is_ipv4() != source_ip.is_ipv4() {
            let what = format!(
                "{source_ip} and inside_ip {inside_ip} must be of the same family, both IPv4 or both IPv6"
            );
            section.wrong("source_ip", what, notes);
        } else if inside_ip == source_ip {
            section.wrong(
                "source_ip",
                "is inside_ip as well: inside_ip is AWS's end, source_ip is this host's",
                notes,
            );
        } else {
            self.routes.claim((inside_ip, source_ip, egress.clone()), section, "inside_ip", notes);
        }
        Some((inside_ip, source_ip))
    }

    /// What looks at a tunnel besides its probes. From behind the gateway nothing does: no IKE daemon, BGP daemon or tunnel is here.
    fn sensors_of(
        &mut self,
        id: &TunnelId,
        route: &Route,
        (ipsec_socket, uplink): (Option<Arc<Path>>, Arc<UplinkSettings>),
        is_used: bool,
        all: &OfConnection<'_>,
    ) -> SensorRules {
        let is_here = match all.vantage {
            Vantage::Gateway => true,
            Vantage::Behind { .. } => false,
        };
        if !is_used || !is_here {
            return SensorRules::default();
        }
        self.subjects.push(Arc::new(Subject {
            tunnel: id.clone(),
            inside_ip: route.inside_ip,
            source_ip: route.source_ip,
            interface: route.interface.clone(),
            ipsec_socket,
            uplink,
            monitored_prefixes: Arc::clone(&all.bgp.monitored_prefixes),
        }));
        let mut rules = all.sensors.rules(all.routing, all.bgp);
        if route.fwmark.is_some() {
            // Its echoes have no mark, and without it would leave another way.
            rules.kinds.remove(&SensorKind::Mtu);
        }
        rules
    }
}

/// The hosts by which a connection is seen from behind its gateway.
fn through_behind(section: &Section<'_>, vantage: Vantage, notes: &mut Notes) -> Vec<Group> {
    match vantage {
        Vantage::Gateway => {
            if section.sets("through") {
                let what =
                    "needs vantage = \"behind\"; hosts behind one tunnel are in [[vpn.tunnel.through]]";
                section.wrong("through", what, notes);
            }
            Vec::new()
        }
        Vantage::Behind { .. } => {
            let groups = through::groups(section, None, notes);
            if !section.sets("through") {
                section.missing("through", "at least one [[vpn.through]] with required = true", notes);
            } else if !groups.is_empty() && !groups.iter().any(|group| group.required) {
                let what =
                    "needs one with required = true: with vantage = \"behind\" nothing else has a vote";
                section.wrong("through", what, notes);
            }
            groups
        }
    }
}

impl VpnReader {
    /// Reports the reference hosts that are an end of a tunnel.
    pub(super) fn must_not_hold<'l>(
        &self,
        references: impl Iterator<Item = &'l Listed<IpAddr>>,
        notes: &mut Notes,
    ) {
        for Listed { value: address, place, path } in references {
            let ends = AddressKind::ALL.into_iter().filter_map(|end| self.addresses.0.get(&(*address, end)));
            for (tunnel, end) in ends {
                let what = format!(
                    "{address} is {end} at {tunnel}, too: a reference answers whether the tunnel works or not; name another host"
                );
                notes.problem(place.clone(), path.clone(), ProblemKind::Other(what));
            }
        }
    }
}

/// The pollers of a connection: one per source, Region and role.
fn sources(vpn: &VpnDetails, aws: &AwsDefaults) -> Vec<SourceId> {
    let source = |kind| SourceId {
        kind,
        place: AwsPlace {
            region: vpn.region.clone().or_else(|| aws.region.clone()),
            role_arn: vpn.role_arn.clone(),
        },
    };
    let ec2 = aws.ec2_telemetry.then(|| source(SourceKind::Ec2));
    [source(SourceKind::CloudWatch)].into_iter().chain(ec2).collect()
}

//--- whether the addresses of the tunnels are plausible for their ends

/// The end that an address belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum AddressKind {
    /// AWS's, outside.
    Outside,
    /// AWS's, inside the tunnel.
    Inside,
    /// This host's, inside the tunnel.
    Source,
}

impl AddressKind {
    const ALL: [Self; 3] = [Self::Outside, Self::Inside, Self::Source];

    const fn key(self) -> &'static str {
        match self {
            Self::Outside => "outside_ip",
            Self::Inside => "inside_ip",
            Self::Source => "source_ip",
        }
    }
}

/// The addresses so far, and where each was first seen as which end.
#[derive(Debug, Default)]
struct Addresses(BTreeMap<(IpAddr, AddressKind), (Provenance, String)>);

impl Addresses {
    /// Reports what makes `address` implausible for this end of the tunnel in `section`.
    fn claim(&mut self, end: AddressKind, address: IpAddr, section: &Section<'_>, notes: &mut Notes) {
        if let Some(what) = odd(end, address) {
            section.warn(end.key(), what, notes);
        }
        for other in AddressKind::ALL {
            let Some((place, path)) = self.0.get(&(address, other)) else { continue };
            match (end, other) {
                (AddressKind::Outside, AddressKind::Outside)
                | (AddressKind::Inside, AddressKind::Inside)
                | (AddressKind::Source, AddressKind::Source) => {}
                (AddressKind::Outside, AddressKind::Inside | AddressKind::Source)
                | (AddressKind::Inside | AddressKind::Source, AddressKind::Outside) => {
                    let what = format!(
                        "{address} is {path} at {place}, too: no address is both outside and inside a tunnel"
                    );
                    section.wrong(end.key(), what, notes);
                }
                (AddressKind::Inside, AddressKind::Source) | (AddressKind::Source, AddressKind::Inside) => {
                    let what = format!(
                        "{address} is {path} at {place}, too: inside_ip is AWS's end, source_ip this host's; are \
                         they swapped in one of the two?"
                    );
                    section.warn(end.key(), what, notes);
                }
            }
        }
        let seen = (section.place(end.key()), section.path(end.key()));
        self.0.entry((address, end)).or_insert(seen);
    }
}

/// What is unusual about an address. The ends inside lie in 169.254.0.0/16 and fd00::/8 (Site-to-Site VPN user guide, "Tunnel
/// options"). `source_ip` may be any address of this host that AWS has a route back to.
fn odd(end: AddressKind, address: IpAddr) -> Option<String> {
    let inside = match address {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unique_local(),
    };
    match (end, inside) {
        // An outside address of 169.254.0.0/16 has been refused already.
        (AddressKind::Outside, true) => Some(format!(
            "{address} looks like an address inside the tunnel; AWS has data only by the tunnel's outside address"
        )),
        (AddressKind::Inside, false) => Some(format!(
            "{address} is not an inside address of AWS's (169.254.0.0/16, fd00::/8): if its replies do not come through the \
             tunnel, a dead tunnel looks up"
        )),
        (AddressKind::Outside, false) | (AddressKind::Inside, true) | (AddressKind::Source, _) => None,
    }
}

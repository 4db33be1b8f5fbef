//! How a tunnel's probes leave this host (`interface`, `vrf`, `fwmark`), from where it is seen (`vantage`), and the hosts behind it:
//! `[[vpn.tunnel.through]]`, or `[[vpn.through]]` of a connection that is seen from behind its gateway.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::patterns;
use super::problem::{Notes, ProblemKind, Provenance};
use super::section::{Once, Section};
use crate::domain::plan::{Route, ThroughGroup};

/// Each is probed once a second while anything is in doubt.
const HOSTS_MAX: usize = 16;

/// How probes leave this host.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Egress {
    /// The interface or VRF.
    pub(super) device: Option<Arc<str>>,
    pub(super) fwmark: Option<NonZeroU32>,
}

impl Egress {
    pub(super) fn read(tunnel: &Section<'_>, notes: &mut Notes) -> Self {
        let interface = tunnel.text("interface", &patterns::INTERFACE, notes);
        let vrf = tunnel.text("vrf", &patterns::INTERFACE, notes);
        if tunnel.sets("interface") && tunnel.sets("vrf") {
            // A socket has one device, and an interface in a VRF has the VRF's routing table already.
            let what = "and interface exclude each other: an interface in a VRF uses the VRF's table by itself; remove vrf";
            tunnel.wrong("vrf", what, notes);
        }
        let fwmark = tunnel.count("fwmark", 1..=u32::MAX, notes).and_then(NonZeroU32::new);
        Self { device: interface.or(vrf), fwmark }
    }

    pub(super) fn route(&self, host: IpAddr, source_ip: IpAddr) -> Route {
        Route { inside_ip: host, source_ip, interface: self.device.clone(), fwmark: self.fwmark }
    }
}

/// A group of hosts.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// Each with its place and path.
    hosts: Vec<(IpAddr, (Provenance, String))>,
    source: IpAddr,
    min: usize,
    pub(super) required: bool,
}

impl Group {
    /// The group as probed by a tunnel.
    pub(super) fn over(&self, egress: &Egress) -> ThroughGroup {
        let routes = self.hosts.iter().map(|(host, _)| Arc::new(egress.route(*host, self.source)));
        ThroughGroup { routes: routes.collect(), min: self.min, required: self.required }
    }
}

/// The hosts of a tunnel's groups, each once, with its source, its place and its path.
pub(super) fn ways(groups: &[Group]) -> impl Iterator<Item = (IpAddr, IpAddr, &(Provenance, String))> {
    let mut seen = BTreeSet::new();
    let all = groups.iter().flat_map(|group| group.hosts.iter().map(|(host, at)| (*host, group.source, at)));
    all.filter(move |(host, _, _)| seen.insert(*host))
}

/// The groups under `through`; those that are valid. `source_ip` is the tunnel's, if it has one.
pub(super) fn groups(section: &Section<'_>, source_ip: Option<IpAddr>, notes: &mut Notes) -> Vec<Group> {
    let mut seen = Once::default();
    let sections = section.sections("through").unwrap_or_default();
    let groups: Vec<Group> =
        sections.iter().filter_map(|through| group(through, source_ip, &mut seen, notes)).collect();
    let hosts: usize = groups.iter().map(|group| group.hosts.len()).sum();
    if hosts > HOSTS_MAX {
        section.wrong("through", format!("has {hosts} hosts, and at most {HOSTS_MAX} are probed"), notes);
    }
    groups
}

fn group(
    section: &Section<'_>,
    source_ip: Option<IpAddr>,
    seen: &mut Once<IpAddr>,
    notes: &mut Notes,
) -> Option<Group> {
    if !section.is_table() {
        return None;
    }
    let hosts = section.one_or_more("host", &patterns::HOST_IP, notes);
    if !section.sets("host") {
        section.missing("host", "the address of a host behind the tunnel, or a list of them", notes);
    }
    let source = section.text("source", &patterns::HOST_IP, notes).or(source_ip);
    let required = section.flag("required", notes).unwrap_or(false);
    let hosts = hosts?;
    let count = u32::try_from(hosts.len()).unwrap_or(u32::MAX).max(1);
    let min = section.count("min", 1..=count, notes).unwrap_or(1);
    let Some(source) = source else {
        if !section.sets("source") {
            section.missing("source", "the address of this host that probes are sent from", notes);
        }
        return None;
    };
    let mut addresses = Vec::new();
    for host in hosts {
        let at = (host.place.clone(), host.path.clone());
        seen.claim_at(host.value, at.clone(), notes);
        if host.value.is_ipv4() != source.is_ipv4() {
            let what = format!("{} and source {source} must be of the same family", host.value);
            notes.problem(host.place, host.path, ProblemKind::Other(what));
        } else if host.value == source {
            let what = format!("{} is the source as well: it is to be a host behind the tunnel", host.value);
            notes.problem(host.place, host.path, ProblemKind::Other(what));
        }
        addresses.push((host.value, at));
    }
    let min = usize::try_from(min).unwrap_or(usize::MAX);
    Some(Group { hosts: addresses, source, min, required })
}

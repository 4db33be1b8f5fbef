//! AWS's answer as a configuration would state it: names, roles, interfaces. The same for every format.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;

use crate::aws::{Discovered, DiscoveredTunnel, DiscoveredVpn};
use crate::config::{self, patterns};
use crate::domain::event::TelemetryStatus;
use crate::domain::names::{Role, Routing, VpnId};
use crate::domain::time::Stamp;
use crate::probe::Carrier;

/// The limit of the configuration.
const LONGEST_NAME: usize = 64;
/// Longer than any of AWS's messages on a tunnel.
const LONGEST_MESSAGE: usize = 200;

/// Context besides AWS's answer.
pub(super) struct ProposalContext<'a> {
    /// The role that AWS was asked with.
    pub(super) role_arn: Option<Arc<str>>,
    /// Which interfaces of this host carry an address.
    pub(super) carriers: &'a dyn Fn(IpAddr) -> io::Result<Vec<Carrier>>,
}

/// A configuration before it is text.
#[derive(Debug)]
pub(super) struct Proposal {
    pub(super) region: String,
    /// When AWS answered.
    pub(super) at: Option<String>,
    pub(super) role_arn: Option<String>,
    pub(super) vpns: Vec<Vpn>,
    pub(super) warnings: Vec<String>,
    /// Connections of the query that are not in the proposal, and why.
    pub(super) left_out: Vec<String>,
}

/// A `[[vpn]]`.
#[derive(Debug)]
pub(super) struct Vpn {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) name_from: NameFrom,
    /// `None` if AWS does not say.
    pub(super) routing: Option<&'static str>,
    /// AWS says that every tunnel is down.
    pub(super) all_down: bool,
    pub(super) tunnels: Vec<Tunnel>,
}

/// Where a name comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum NameFrom {
    /// The tag `Name`.
    Tag,
    /// The same, made to fit the rules for names.
    TagAltered,
    /// There is no such tag, or nothing in it.
    Id,
}

/// A `[[vpn.tunnel]]`.
#[derive(Debug)]
pub(super) struct Tunnel {
    pub(super) name: String,
    pub(super) outside_ip: IpAddr,
    pub(super) inside_ip: IpAddr,
    pub(super) source_ip: IpAddr,
    pub(super) interface: Option<String>,
    /// The interfaces of this host that have `source_ip`.
    pub(super) carried_by: Vec<String>,
    pub(super) role: Role,
    pub(super) aws: Aws,
}

/// What AWS says of a tunnel.
#[derive(Debug, Serialize)]
pub(super) struct Aws {
    /// `up`, `down`, or nothing.
    pub(super) status: Option<&'static str>,
    pub(super) message: String,
    pub(super) changed: Option<String>,
}

impl Proposal {
    /// The proposal, or why its configuration would be refused.
    pub(super) fn of(discovered: &Discovered, context: &ProposalContext<'_>) -> Result<Self, Vec<String>> {
        let Discovered { region, at, connections, left_out, warnings } = discovered;
        let mut warnings = warnings.clone();
        let vpns: Vec<Vpn> =
            connections.iter().map(|connection| vpn(connection, context, &mut warnings)).collect();
        let clashes = clashes(&vpns);
        if !clashes.is_empty() {
            return Err(clashes);
        }
        Ok(Self {
            region: region.to_string(),
            at: at.map(date),
            role_arn: context.role_arn.as_deref().map(str::to_owned),
            vpns,
            warnings,
            left_out: left_out.clone(),
        })
    }
}

fn vpn(connection: &DiscoveredVpn, context: &ProposalContext<'_>, warnings: &mut Vec<String>) -> Vpn {
    let DiscoveredVpn { id, name, routing, tunnels } = connection;
    let is_down = |tunnel: &DiscoveredTunnel| tunnel.status == TelemetryStatus::Down;
    // A connection without an active tunnel would never have an outage.
    let all_down = tunnels.iter().all(is_down);
    let (name, name_from) = named(name.as_deref(), id);
    let tunnels = tunnels.iter().enumerate().map(|(index, tunnel)| {
        // With static routes one tunnel is commonly idle; with BGP both sessions are up, whichever tunnel carries traffic.
        let idles = is_down(tunnel) && !all_down && *routing != Routing::Bgp;
        let role = if idles { Role::Standby } else { Role::Active };
        let carriers = (context.carriers)(tunnel.source_ip).unwrap_or_else(|error| {
            warnings.push(format!(
                "{id}: cannot find out whether this host has {}: {error}; interface is left out",
                tunnel.source_ip
            ));
            Vec::new()
        });
        proposed(index, tunnel, role, &carriers)
    });
    let tunnels = tunnels.collect();
    let routing = match routing {
        Routing::Bgp | Routing::Static => Some(routing.as_str()),
        Routing::Unknown => None,
    };
    Vpn { id: id.to_string(), name, name_from, routing, all_down, tunnels }
}

fn proposed(index: usize, tunnel: &DiscoveredTunnel, role: Role, carriers: &[Carrier]) -> Tunnel {
    // From a loopback address packets leave by the interface that the routes choose; among several there is no way to choose.
    let interface = match carriers {
        [Carrier { name, is_loopback: false }] => Some(name.clone()),
        [_] | [] | [_, ..] => None,
    };
    Tunnel {
        name: format!("tunnel {}", index + 1),
        outside_ip: tunnel.outside_ip,
        inside_ip: tunnel.inside_ip,
        source_ip: tunnel.source_ip,
        interface,
        carried_by: carriers.iter().map(|carrier| carrier.name.clone()).collect(),
        role,
        aws: Aws {
            status: match tunnel.status {
                TelemetryStatus::Up => Some("up"),
                TelemetryStatus::Down => Some("down"),
                TelemetryStatus::Other => None,
            },
            message: one_line(&tunnel.message, LONGEST_MESSAGE),
            changed: tunnel.changed.map(date),
        },
    }
}

/// The name from the tag, changed as far as the rules for names require.
fn named(tag: Option<&str>, id: &VpnId) -> (String, NameFrom) {
    let Some(tag) = tag else { return (id.to_string(), NameFrom::Id) };
    let name = one_line(tag, LONGEST_NAME);
    match patterns::label(&name) {
        Ok(_) if name == tag => (name, NameFrom::Tag),
        Ok(_) => (name, NameFrom::TagAltered),
        Err(_) => (id.to_string(), NameFrom::Id),
    }
}

/// Foreign text on one line, without invisible characters.
pub(super) fn one_line(text: &str, longest: usize) -> String {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let line: String = text.chars().map(|c| if breaks(c) { ' ' } else { c }).collect();
    let line: String = line.chars().filter(|c| !config::is_hidden(*c)).collect();
    let line: String = line.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(longest).collect::<String>().trim_end().to_owned()
}

/// Tunnels that one configuration cannot hold together. Connections of two AWS gateways may share inside addresses: then only the
/// interface distinguishes them. Private connections over Direct Connect may share outside addresses as well, which identify a tunnel.
fn clashes(vpns: &[Vpn]) -> Vec<String> {
    let mut routes: BTreeMap<(IpAddr, IpAddr, Option<&str>), (&str, IpAddr)> = BTreeMap::new();
    let mut outside: BTreeMap<IpAddr, &str> = BTreeMap::new();
    let mut clashes = Vec::new();
    for (vpn, tunnel) in vpns.iter().flat_map(|vpn| vpn.tunnels.iter().map(move |tunnel| (vpn, tunnel))) {
        if let Some(other) = outside.get(&tunnel.outside_ip) {
            clashes.push(format!(
                "{other} and {}: both have a tunnel with the outside address {}, by which tunnels are told apart, so one \
                 configuration cannot hold both; discover them one by one, each with --write to a file of its own, and run a \
                 bothends of its own for each",
                vpn.id, tunnel.outside_ip
            ));
        } else {
            outside.insert(tunnel.outside_ip, &vpn.id);
        }
        let route = (tunnel.inside_ip, tunnel.source_ip, tunnel.interface.as_deref());
        if let Some((other, outside_ip)) = routes.get(&route) {
            clashes.push(format!(
                "{other}, tunnel {outside_ip}, and {}, tunnel {}: both have the addresses {} and {} inside, which one \
                 configuration can tell apart only by interface, and here no interface tells them apart; discover them one \
                 by one, each with --write to a file of its own, and set interface under both before you put them together",
                vpn.id, tunnel.outside_ip, tunnel.source_ip, tunnel.inside_ip
            ));
        } else {
            routes.insert(route, (&vpn.id, tunnel.outside_ip));
        }
    }
    clashes
}

/// RFC 3339, to the second.
fn date(stamp: Stamp) -> String {
    jiff::Timestamp::from_second(stamp.as_millis().div_euclid(1000))
        .unwrap_or(jiff::Timestamp::MAX)
        .to_string()
}

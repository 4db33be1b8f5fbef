//! The addresses and interfaces of this host: where a route begins and ends, whether this host holds an address that moves
//! between hosts (as VRRP moves one), and whether an address that should be AWS's is one of its own.
//!
//! A probe of an own address never leaves the host, and a dead tunnel would look up. It happens when the ends of a tunnel are
//! swapped in the configuration, or when an address moves to this host later.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use rustix::net::netdevice::name_to_index;
use socket2::{Domain, Socket, Type};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use crate::catalogue::parts::{Detail, Oddity};
use crate::domain::event::Event;
use crate::domain::names::{Role, VpnId};
use crate::domain::plan::{Plan, Route, TunnelPlan};

/// Gives a socket the mark, the device and the source address of a route. The device comes before the address: only then can an
/// address be bound that is inside a VRF (ping(7)'s `bind` looks it up in the table of the socket's device).
///
/// # Errors
/// EPERM if the route has a mark and this process may set none: it needs CAP_NET_ADMIN, or since Linux 5.17 CAP_NET_RAW. ENODEV if
/// the interface does not exist, EADDRNOTAVAIL if this host does not have the address.
pub(super) fn bind(socket: &Socket, route: &Route) -> io::Result<()> {
    if let Some(mark) = route.fwmark {
        socket.set_mark(mark.get())?;
    }
    if let Some(interface) = &route.interface {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    socket.bind(&source(route)?.into())
}

/// The local address to bind, with port 0.
fn source(route: &Route) -> io::Result<SocketAddr> {
    Ok(match route.source_ip {
        IpAddr::V4(_) => SocketAddr::new(route.source_ip, 0),
        IpAddr::V6(ip) => SocketAddrV6::new(ip, 0, 0, scope(route, ip)?).into(),
    })
}

/// The IPv6 scope id of packets to AWS's end; 0 for an address that is not link-local.
///
/// # Errors
/// ENODEV if a link-local route's interface does not exist.
pub(super) fn destination_scope(route: &Route) -> io::Result<u32> {
    match route.inside_ip {
        IpAddr::V4(_) => Ok(0),
        IpAddr::V6(ip) => scope(route, ip),
    }
}

/// The index of the interface with this name.
///
/// # Errors
/// ENODEV if there is none.
pub(super) fn interface_index(name: &str) -> io::Result<u32> {
    let any = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    Ok(name_to_index(&any, name)?)
}

/// A link-local address means nothing without its interface (RFC 4007, section 6).
fn scope(route: &Route, ip: Ipv6Addr) -> io::Result<u32> {
    match &route.interface {
        Some(name) if ip.is_unicast_link_local() => interface_index(name),
        Some(_) | None => Ok(0),
    }
}

/// Whether this host owns a route's source address and interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// This host has the address, and the interface if one is configured.
    Here,
    /// The interface exists or none is configured, but the source address is not here.
    NoAddress,
    /// The interface does not exist.
    NoInterface,
}

impl fmt::Display for Ownership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Here => "this host has the source address",
            Self::NoAddress => "this host does not have the source address",
            Self::NoInterface => "this host does not have the interface",
        })
    }
}

/// Whether this host owns the route's source address and interface, found by binding a socket as a probe would, without its mark.
/// Sends nothing and needs no privilege.
///
/// With `net.ipv4.ip_nonlocal_bind` set, every address can be bound and counts as this host's.
///
/// # Errors
/// The system's, if the kernel does not list them.
pub fn owns(route: &Route) -> io::Result<Ownership> {
    if let Some(interface) = &route.interface {
        match interface_index(interface) {
            Ok(_) => (),
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => return Ok(Ownership::NoInterface),
            Err(error) => return Err(error),
        }
    }
    let unmarked = Route { fwmark: None, ..route.clone() };
    let socket = Socket::new(Domain::for_address(source(route)?), Type::DGRAM, None)?;
    match bind(&socket, &unmarked) {
        Ok(()) => Ok(Ownership::Here),
        Err(error) if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) => Ok(Ownership::NoAddress),
        Err(error) => Err(error),
    }
}

/// An interface that carries an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carrier {
    /// Its name.
    pub name: String,
    /// Packets never leave the host by it.
    pub is_loopback: bool,
}

/// The interfaces of this host that carry the address, in the kernel's order.
///
/// # Errors
/// The system's, other than that the address or interface does not exist.
pub fn carriers(ip: IpAddr) -> io::Result<Vec<Carrier>> {
    let mut found: Vec<Carrier> = Vec::new();
    for one in getifaddrs()? {
        let Some(has) = one.address else { continue };
        let v4 = has.as_sockaddr_in().map(|has| IpAddr::V4(has.ip()));
        let v6 = has.as_sockaddr_in6().map(|has| IpAddr::V6(has.ip()));
        if v4.or(v6) != Some(ip) {
            continue;
        }
        // The C library returns an address's label as the interface's name: `eth0:1` is on eth0, and a label may be any text.
        let name = one.interface_name.split(':').next().unwrap_or_default();
        match interface_index(name) {
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => continue,
            Err(error) => return Err(error),
        }
        if !found.iter().any(|carrier| carrier.name == name) {
            let is_loopback = one.flags.contains(InterfaceFlags::IFF_LOOPBACK);
            found.push(Carrier { name: name.to_owned(), is_loopback });
        }
    }
    Ok(found)
}

/// A move of the address is seen within this time; VRRP itself takes about three seconds to notice a dead master (RFC 9568, 6.1).
const HELD_EVERY: Duration = Duration::from_secs(1);
/// The discard service's port. Nothing is sent to it: connecting a datagram socket only looks up the route.
const DISCARD: u16 = 9;

/// Whether this host holds the address: the kernel would deliver a packet for it locally. Sends nothing, binds nothing, and
/// needs no privilege.
///
/// Binding proves nothing: with `net.ipv4.ip_nonlocal_bind` set, as is common beside VRRP, any address can be bound. An IPv6
/// address that is still being checked for duplicates is not held yet; an address inside a VRF is not seen.
///
/// # Errors
/// The system's, if no socket can be opened: whether the address is held is then unknown.
pub fn holds(address: IpAddr) -> io::Result<bool> {
    let socket = match Socket::new(Domain::for_address(SocketAddr::new(address, DISCARD)), Type::DGRAM, None)
    {
        Ok(socket) => socket,
        // A host without IPv6 holds no address of it.
        Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => return Ok(false),
        Err(error) => return Err(error),
    };
    if socket.connect(&SocketAddr::new(address, DISCARD).into()).is_err() {
        // Without a route to it, it is not here.
        return Ok(false);
    }
    let from = socket.local_addr()?.as_socket();
    Ok(from.is_some_and(|from| from.ip() == address))
}

/// Sends whether this host holds the wanted address: at first, after each new `wanted`, and at each change. Sends nothing while
/// that is unknown, which leaves the last known state in force. Ends when either channel closes.
pub async fn watch_held(mut wanted: watch::Receiver<Option<IpAddr>>, events: mpsc::Sender<Event>) {
    let mut ticks = interval(HELD_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sent: Option<(IpAddr, bool)> = None;
    let mut failing = false;
    loop {
        let current = *wanted.borrow_and_update();
        if let Some(address) = current {
            match holds(address) {
                Ok(held) => {
                    failing = false;
                    if sent != Some((address, held)) {
                        sent = Some((address, held));
                        if events.send(Event::AddressHeld { address, held }).await.is_err() {
                            return;
                        }
                    }
                }
                Err(error) if failing => {
                    Detail::AddressUnknown(address, &error).record().emit();
                }
                Err(error) => {
                    failing = true;
                    Oddity::AddressUnknown { address, error: &error }.record().emit();
                }
            }
        } else {
            sent = None;
        }
        tokio::select! {
            _ = ticks.tick() => {}
            changed = wanted.changed() => {
                if changed.is_err() {
                    return;
                }
                // After a reload the core may have forgotten it.
                sent = None;
            }
        }
    }
}

/// Addresses seldom change, and no verdict waits for this.
const OWN_EVERY: Duration = Duration::from_secs(5);

/// The addresses on this host's interfaces.
///
/// # Errors
/// The system's, if the kernel does not list them.
pub fn own_addresses() -> io::Result<BTreeSet<IpAddr>> {
    let found = getifaddrs()?.filter_map(|one| one.address).filter_map(|address| {
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
    });
    Ok(found.collect())
}

/// Why this tunnel's configured addresses cannot be right on a host with the addresses `own`, and what to do.
pub fn address_mistake(tunnel: &TunnelPlan, own: &BTreeSet<IpAddr>) -> Option<String> {
    let TunnelPlan { id, name, role, route, through, uplink: _, sensors: _ } = tunnel;
    let (outside_ip, inside_ip, source_ip) = (id.outside_ip, route.inside_ip, route.source_ip);
    let unused = match role {
        Role::Active | Role::Standby => false,
        Role::Unused => true,
    };
    let hosts = through.groups.iter().flat_map(|group| &group.routes).map(|route| route.inside_ip);
    let what = if unused {
        return None;
    } else if let Some(host) = hosts.into_iter().find(|host| own.contains(host)) {
        format!(
            "host {host} is an address of this host, which answers its own probes. Set it to a host behind the tunnel"
        )
    } else if own.contains(&inside_ip) && !own.contains(&source_ip) {
        format!(
            "inside_ip {inside_ip} is an address of this host and source_ip {source_ip} is not: they are swapped. Set \
             inside_ip = \"{source_ip}\" and source_ip = \"{inside_ip}\""
        )
    } else if own.contains(&inside_ip) {
        format!(
            "inside_ip {inside_ip} is an address of this host, which answers its own probes. Set inside_ip to AWS's address \
             inside the tunnel"
        )
    } else if own.contains(&outside_ip) {
        format!(
            "outside_ip {outside_ip} is an address of this host. Set it to AWS's outside address of the tunnel"
        )
    } else {
        return None;
    };
    Some(format!("{name} ({outside_ip}): {what}"))
}

/// Reports each connection's address mistakes every few seconds and at once after a new plan; an empty list once they are gone.
/// Ends when the sender of plans is dropped.
pub async fn watch_mistakes(
    mut plans: watch::Receiver<Arc<Plan>>,
    mut report: impl FnMut(&VpnId, &[String]),
) {
    let mut ticks = interval(OWN_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reported: BTreeSet<VpnId> = BTreeSet::new();
    loop {
        match own_addresses() {
            Ok(own) => {
                let plan = Arc::clone(&plans.borrow_and_update());
                let mut wrong = BTreeSet::new();
                for vpn in &plan.vpns {
                    let mistakes: Vec<_> =
                        vpn.tunnels.iter().filter_map(|tunnel| address_mistake(tunnel, &own)).collect();
                    if !mistakes.is_empty() {
                        report(&vpn.id, &mistakes);
                        wrong.insert(vpn.id.clone());
                    }
                }
                for over in reported.difference(&wrong) {
                    report(over, &[]);
                }
                reported = wrong;
            }
            Err(error) => Detail::AddressesUnknown(&error).record().emit(),
        }
        tokio::select! {
            _ = ticks.tick() => {}
            changed = plans.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(source_ip: &str, interface: Option<&str>) -> Route {
        Route {
            inside_ip: source_ip.parse().unwrap(),
            source_ip: source_ip.parse().unwrap(),
            interface: interface.map(Into::into),
            fwmark: None,
        }
    }

    #[test]
    fn an_address_of_this_host_is_here_with_and_without_its_interface() {
        assert_eq!(owns(&route("127.0.0.1", None)).unwrap(), Ownership::Here);
        assert_eq!(owns(&route("127.0.0.1", Some("lo"))).unwrap(), Ownership::Here);
    }

    #[test]
    fn a_documentation_address_is_not_here() {
        // RFC 5737 and RFC 3849 keep these out of every real network.
        assert_eq!(owns(&route("192.0.2.1", None)).unwrap(), Ownership::NoAddress);
        assert_eq!(owns(&route("2001:db8::1", Some("lo"))).unwrap(), Ownership::NoAddress);
    }

    #[test]
    fn an_interface_that_does_not_exist_is_named_before_the_address() {
        assert_eq!(owns(&route("192.0.2.1", Some("ipsec-absent"))).unwrap(), Ownership::NoInterface);
    }

    #[test]
    fn the_loopback_address_is_on_the_loopback_and_a_documentation_address_nowhere() {
        let lo = Carrier { name: "lo".to_owned(), is_loopback: true };
        assert_eq!(carriers("127.0.0.1".parse().unwrap()).unwrap(), [lo]);
        assert_eq!(carriers("192.0.2.1".parse().unwrap()).unwrap(), []);
    }

    #[test]
    fn an_address_of_this_host_is_held_and_a_documentation_address_is_not() {
        // RFC 5737 and RFC 3849 keep the last two out of every real network.
        let held = |address: &str| holds(address.parse().unwrap()).unwrap();
        assert!(held("127.0.0.1"));
        assert!(!held("192.0.2.1"));
        assert!(!held("2001:db8::1"));
    }

    #[tokio::test]
    async fn it_is_reported_at_first_and_again_after_every_reload() {
        let here: IpAddr = "127.0.0.1".parse().unwrap();
        let (want, wanted) = watch::channel(Some(here));
        let (events, mut reported) = mpsc::channel(8);
        let watching = tokio::spawn(watch_held(wanted, events));
        let held = Event::AddressHeld { address: here, held: true };
        assert_eq!(reported.recv().await, Some(held.clone()));
        want.send_replace(Some(here));
        assert_eq!(reported.recv().await, Some(held));
        let elsewhere: IpAddr = "192.0.2.1".parse().unwrap();
        want.send_replace(Some(elsewhere));
        assert_eq!(reported.recv().await, Some(Event::AddressHeld { address: elsewhere, held: false }));
        drop(want);
        watching.await.unwrap();
    }

    use crate::domain::names::TunnelId;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn mistake(role: Role, own: &[&str]) -> Option<String> {
        let tunnel = TunnelPlan {
            id: TunnelId { vpn: VpnId::new("vpn-0123456789abcdef0"), outside_ip: ip("203.0.113.11") },
            name: "tunnel 1".into(),
            role,
            through: Default::default(),
            uplink: None,
            sensors: Default::default(),
            route: Arc::new(Route {
                inside_ip: ip("169.254.10.1"),
                source_ip: ip("169.254.10.2"),
                interface: None,
                fwmark: None,
            }),
        };
        address_mistake(&tunnel, &own.iter().map(|address| ip(address)).collect())
    }

    #[test]
    fn an_address_that_should_be_awss_and_is_ours_is_a_mistake_with_what_to_set() {
        insta::assert_snapshot!(mistake(Role::Active, &["169.254.10.1"]).unwrap(), @r#"tunnel 1 (203.0.113.11): inside_ip 169.254.10.1 is an address of this host and source_ip 169.254.10.2 is not: they are swapped. Set inside_ip = "169.254.10.2" and source_ip = "169.254.10.1""#);
        insta::assert_snapshot!(mistake(Role::Standby, &["169.254.10.1", "169.254.10.2"]).unwrap(), @"tunnel 1 (203.0.113.11): inside_ip 169.254.10.1 is an address of this host, which answers its own probes. Set inside_ip to AWS's address inside the tunnel");
        insta::assert_snapshot!(mistake(Role::Active, &["169.254.10.2", "203.0.113.11"]).unwrap(), @"tunnel 1 (203.0.113.11): outside_ip 203.0.113.11 is an address of this host. Set it to AWS's outside address of the tunnel");
        for right in [&["169.254.10.2"][..], &["192.0.2.1"], &[]] {
            assert_eq!(mistake(Role::Active, right), None, "{right:?}");
        }
        assert_eq!(mistake(Role::Unused, &["169.254.10.1"]), None);
    }

    #[test]
    fn this_host_has_its_loopback_address_and_no_documentation_address() {
        let own = own_addresses().unwrap();
        assert!(own.contains(&ip("127.0.0.1")) && !own.contains(&ip("192.0.2.1")));
    }
}

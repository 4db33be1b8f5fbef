//! The addresses and interfaces of this host, and where a route begins and ends by them.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use rustix::net::netdevice::name_to_index;
use socket2::{Domain, Socket, Type};

use crate::domain::plan::Route;

/// Our end, to bind to; port 0.
///
/// # Errors
/// ENODEV if a link-local route's interface does not exist.
pub(super) fn source(route: &Route) -> io::Result<SocketAddr> {
    Ok(match route.source_ip {
        IpAddr::V4(_) => SocketAddr::new(route.source_ip, 0),
        IpAddr::V6(ip) => SocketAddrV6::new(ip, 0, 0, scope(route, ip)?).into(),
    })
}

/// The scope of a packet to AWS's end; 0 where the address stands for itself.
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
    /// Both are here, as far as they are configured.
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

/// Looks whether this host owns the route's source address and interface, by binding a socket as a probe would. Nothing
/// is sent, and no privilege is needed.
///
/// With `net.ipv4.ip_nonlocal_bind` set, the kernel lets every address be bound and thus calls every address its own.
///
/// # Errors
/// The system's, if it could not be found out.
pub fn owns(route: &Route) -> io::Result<Ownership> {
    if let Some(interface) = &route.interface {
        match interface_index(interface) {
            Ok(_) => (),
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => return Ok(Ownership::NoInterface),
            Err(error) => return Err(error),
        }
    }
    let source = source(route)?;
    let socket = Socket::new(Domain::for_address(source), Type::DGRAM, None)?;
    match socket.bind(&source.into()) {
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
    /// Nothing leaves the host by it.
    pub is_loopback: bool,
}

/// The interfaces of this host that carry the address, in the kernel's order.
///
/// # Errors
/// The system's, if it could not be found out.
pub fn carriers(ip: IpAddr) -> io::Result<Vec<Carrier>> {
    let mut found: Vec<Carrier> = Vec::new();
    for one in getifaddrs()? {
        let Some(has) = one.address else { continue };
        let v4 = has.as_sockaddr_in().map(|has| IpAddr::V4(has.ip()));
        let v6 = has.as_sockaddr_in6().map(|has| IpAddr::V6(has.ip()));
        if v4.or(v6) != Some(ip) {
            continue;
        }
        // The C library gives an address's label for the interface's name: `eth0:1` is on eth0, and a label may be anything.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn route(source_ip: &str, interface: Option<&str>) -> Route {
        Route {
            inside_ip: source_ip.parse().unwrap(),
            source_ip: source_ip.parse().unwrap(),
            interface: interface.map(Into::into),
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
}

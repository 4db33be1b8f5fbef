//! Where a route begins and ends, as socket addresses.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

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

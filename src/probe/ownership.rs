//! Whether this host has what a route begins with.

use std::fmt;
use std::io;

use socket2::{Domain, Socket, Type};

use super::address;
use crate::domain::plan::Route;

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
        match address::interface_index(interface) {
            Ok(_) => (),
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => return Ok(Ownership::NoInterface),
            Err(error) => return Err(error),
        }
    }
    let source = address::source(route)?;
    let socket = Socket::new(Domain::for_address(source), Type::DGRAM, None)?;
    match socket.bind(&source.into()) {
        Ok(()) => Ok(Ownership::Here),
        Err(error) if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) => Ok(Ownership::NoAddress),
        Err(error) => Err(error),
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
}

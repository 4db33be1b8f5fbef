//! Which interface of this host carries an address.

use std::io;
use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

use super::address;

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
        match address::interface_index(name) {
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

    #[test]
    fn the_loopback_address_is_on_the_loopback_and_a_documentation_address_nowhere() {
        let lo = Carrier { name: "lo".to_owned(), is_loopback: true };
        assert_eq!(carriers("127.0.0.1".parse().unwrap()).unwrap(), [lo]);
        assert_eq!(carriers("192.0.2.1".parse().unwrap()).unwrap(), []);
    }
}

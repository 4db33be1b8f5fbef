//! Whether the addresses of the tunnels are plausible for the ends that they are given for.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::problem::Notes;
use super::provenance::Provenance;
use super::section::Section;

/// What an address of a tunnel is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum AddressKind {
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

/// The addresses read so far, and where each was first seen as what.
#[derive(Debug, Default)]
pub(super) struct Addresses(BTreeMap<(IpAddr, AddressKind), (Provenance, String)>);

impl Addresses {
    /// Notes what makes `address` implausible as this end of the tunnel that `section` describes.
    pub(super) fn claim(
        &mut self,
        end: AddressKind,
        address: IpAddr,
        section: &Section<'_>,
        notes: &mut Notes,
    ) {
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
        // An outside address of 169.254.0.0/16 is refused before.
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

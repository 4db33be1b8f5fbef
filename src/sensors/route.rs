//! Whether the routing table has a way over an interface.
//!
//! To a socket that is bound to an interface Linux refuses no IPv4 destination: without a route it takes every host for a neighbour
//! on that link and asks for its link-layer address (`ip_route_output_key_hash_rcu`). What is a missing route would look like a dead
//! line. So the kernel is asked for the entry of its table itself. IPv6 has no such rule.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};

use nix::net::if_::if_nametoindex;
use socket2::{Domain, Protocol, Socket, Type};

use super::echo_socket::Egress;

// rtnetlink(7), <linux/rtnetlink.h>.
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
/// The entry that matches, not what the kernel would make of none.
const RTM_F_FIB_MATCH: u32 = 0x2000;
const RTA_DST: u16 = 1;
const RTA_SRC: u16 = 2;
const RTA_OIF: u16 = 4;
/// Of a message, up to its payload.
const HEADER: usize = 16;

/// A way to ask the kernel, for one egress.
#[derive(Debug)]
pub(super) struct Routes {
    socket: Socket,
    interface: u32,
    source: Option<Ipv4Addr>,
}

impl Routes {
    /// `None` where sending says by itself that there is no route, or where the kernel cannot be asked.
    pub(super) fn of(egress: &Egress, family_of: IpAddr) -> Option<Self> {
        if family_of.is_ipv6() {
            return None;
        }
        let interface = if_nametoindex(egress.interface.as_deref()?).ok()?;
        let source = egress.source.and_then(|source| match source {
            IpAddr::V4(source) => Some(source),
            IpAddr::V6(_) => None,
        });
        let route = Protocol::from(libc::NETLINK_ROUTE);
        let socket = Socket::new(Domain::from(libc::AF_NETLINK), Type::RAW, Some(route)).ok()?;
        socket.set_nonblocking(true).ok()?;
        Some(Self { socket, interface, source })
    }

    /// Whether the table certainly has no way to this host, or one that rejects.
    pub(super) fn lack(&self, to: IpAddr) -> bool {
        let IpAddr::V4(to) = to else { return false };
        let mut answer = [0; 4096];
        // The kernel answers before `send` returns.
        let asked = self.socket.send(&question(to, self.source, self.interface));
        match asked.and_then(|_| (&self.socket).read(&mut answer)) {
            Ok(length) => says_none(&answer[..length]) == Some(true),
            Err(_) => false,
        }
    }
}

fn question(to: Ipv4Addr, source: Option<Ipv4Addr>, interface: u32) -> Vec<u8> {
    let family = u8::try_from(libc::AF_INET).unwrap_or_default();
    let source_bits = if source.is_some() { 32 } else { 0 };
    let mut body = vec![family, 32, source_bits, 0, 0, 0, 0, 0];
    body.extend(RTM_F_FIB_MATCH.to_ne_bytes());
    let mut attribute = |kind: u16, value: [u8; 4]| {
        body.extend(8_u16.to_ne_bytes());
        body.extend(kind.to_ne_bytes());
        body.extend(value);
    };
    attribute(RTA_DST, to.octets());
    if let Some(source) = source {
        attribute(RTA_SRC, source.octets());
    }
    attribute(RTA_OIF, interface.to_ne_bytes());

    let length = u32::try_from(HEADER + body.len()).unwrap_or_default();
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(libc::RTM_GETROUTE.to_ne_bytes());
    message.extend(NLM_F_REQUEST.to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    message
}

/// Any other answer leaves it to the sending.
fn says_none(answer: &[u8]) -> Option<bool> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let error = i32::from_ne_bytes(answer.get(HEADER..HEADER + 4)?.try_into().ok()?);
    Some(kind == NLMSG_ERROR && matches!(error.wrapping_neg(), libc::EHOSTUNREACH | libc::ENETUNREACH))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(kind: u16, error: i32) -> Vec<u8> {
        let mut answer = vec![36, 0, 0, 0];
        answer.extend(kind.to_ne_bytes());
        answer.extend([0; 10]);
        answer.extend((-error).to_ne_bytes());
        answer
    }

    #[test]
    fn only_an_unreachable_host_or_network_is_no_route() {
        assert_eq!(says_none(&answer(NLMSG_ERROR, libc::EHOSTUNREACH)), Some(true));
        assert_eq!(says_none(&answer(NLMSG_ERROR, libc::ENETUNREACH)), Some(true));
        assert_eq!(says_none(&answer(NLMSG_ERROR, libc::EOPNOTSUPP)), Some(false));
        assert_eq!(says_none(&answer(libc::RTM_NEWROUTE, libc::EHOSTUNREACH)), Some(false), "a route");
        assert_eq!(says_none(&answer(NLMSG_ERROR, libc::EHOSTUNREACH)[..18]), None);
        assert_eq!(says_none(&[]), None);
    }

    #[test]
    fn a_question_has_the_length_that_it_says() {
        for source in [None, Some(Ipv4Addr::LOCALHOST)] {
            let question = question(Ipv4Addr::LOCALHOST, source, 1);
            assert_eq!(question[..4], u32::try_from(question.len()).unwrap().to_ne_bytes());
        }
    }

    #[test]
    fn the_loopback_has_a_route_to_itself_and_to_nowhere_else() {
        let egress = Egress { source: None, interface: Some("lo".into()) };
        let routes = Routes::of(&egress, IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap();
        assert!(!routes.lack(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9))));
        assert!(routes.lack(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))));
    }
}

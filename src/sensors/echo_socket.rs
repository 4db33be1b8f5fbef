//! Echoes outside the Prober: an ICMP datagram socket of which TTL, size and Don't Fragment can be set, and whose error queue can be
//! read. surge-ping has none of these, and opens a raw socket where a datagram socket is not permitted.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
};
use rustix::net::{RecvFlags, SendFlags, recvfrom, sendto};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::domain::sensor::Unavailable;
use crate::settings::{Subject, UplinkSettings};

/// How echoes leave this host. All that binds a packet to its way is set in [`EchoSocket::open`], and nothing is sent if it
/// cannot be set: it would leave by another way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Egress {
    /// The address they are sent from; the routing table chooses one if there is none.
    pub(super) source: Option<IpAddr>,
    /// The interface they are bound to.
    pub(super) interface: Option<Arc<str>>,
}

impl Egress {
    /// Outside the tunnels, over an uplink.
    pub(super) fn uplink(uplink: &UplinkSettings) -> Self {
        Self { source: uplink.source, interface: uplink.interface.clone() }
    }

    /// Through a tunnel.
    pub(super) fn tunnel(subject: &Subject) -> Self {
        Self { source: Some(subject.source_ip), interface: subject.interface.clone() }
    }
}

/// Why no echo left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsent {
    /// No route, or no address or interface to send from.
    NoRoute,
    /// This process may not open the socket.
    Denied,
    /// The firewall, an IPsec policy or a route refuses the packet.
    Blocked,
    /// The packet is larger than this host would send in one piece.
    TooLarge,
    /// Any other error of this host, which says nothing about the way.
    HostError,
}

impl Unsent {
    /// Of a sensor that can do nothing without this socket.
    pub(super) const fn unavailable(self) -> Unavailable {
        match self {
            Self::Denied => Unavailable::Denied,
            Self::NoRoute | Self::Blocked | Self::TooLarge | Self::HostError => Unavailable::HostError,
        }
    }

    fn at_open(error: &io::Error) -> Self {
        match error.raw_os_error() {
            // A host without IPv6 has no route to any address of it.
            Some(libc::ENODEV | libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT) => Self::NoRoute,
            Some(libc::EPERM | libc::EACCES) => Self::Denied,
            _ => Self::HostError,
        }
    }

    /// As in the Prober's table, apart from the size.
    fn at_send(error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EMSGSIZE) => Self::TooLarge,
            Some(libc::EPERM | libc::EACCES | libc::EINVAL) => Self::Blocked,
            Some(
                libc::ENETUNREACH
                | libc::EHOSTUNREACH
                | libc::ENETDOWN
                | libc::ENODEV
                | libc::ENXIO
                | libc::EADDRNOTAVAIL,
            ) => Self::NoRoute,
            _ => Self::HostError,
        }
    }
}

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// An echo's reply.
    Reply {
        /// Who sent it.
        from: IpAddr,
        /// The echo's.
        sequence: u16,
        /// Its size in bytes with the IP header.
        size: u16,
    },
    /// A router, or the destination, says that the echo goes no further. Only with [`EchoSocket::report_errors`].
    Stopped {
        /// Who says so.
        by: IpAddr,
        /// The echo's.
        sequence: u16,
        /// Why.
        why: Stop,
    },
}

/// Why an echo went no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Its TTL was used up.
    TimeExceeded,
    /// Its destination cannot be reached from there.
    Unreachable,
}

/// At the start of each payload. Not empty, because some networks drop echoes without a payload.
const MARK: &[u8] = b"bothends";
/// The ICMP header, the mark, and two bytes that keep the checksum.
const MESSAGE_MIN: u16 = 8 + 8 + 2;
/// More than any packet that is sent here.
const BUFFER: usize = 2048;

/// One socket of one address family, with an ICMP identifier that the kernel chooses. Never blocks.
pub(super) struct EchoSocket {
    /// tokio's way to a datagram socket's readiness; UDP is not spoken.
    socket: UdpSocket,
    v4: bool,
    /// The zone of link-local IPv6 addresses.
    scope: u32,
    reports_errors: bool,
}

impl EchoSocket {
    /// A socket for destinations of this one's family.
    pub(super) fn open(egress: &Egress, family_of: IpAddr) -> Result<Self, Unsent> {
        let v4 = family_of.is_ipv4();
        let open = || -> io::Result<Self> {
            let (domain, protocol) =
                if v4 { (Domain::IPV4, Protocol::ICMPV4) } else { (Domain::IPV6, Protocol::ICMPV6) };
            let socket = Socket::new(domain, Type::DGRAM, Some(protocol))?;
            socket.set_nonblocking(true)?;
            let mut scope = 0;
            // Before the address: an address inside a VRF can only be bound there. Needs no privilege since Linux 5.7.
            if let Some(interface) = &egress.interface {
                scope = if_nametoindex(interface.as_ref())?;
                setsockopt(&socket, sockopt::BindToDevice, &interface.as_ref().into())?;
            }
            if let Some(source) = egress.source {
                socket.bind(&address(source, scope).into())?;
            }
            let socket = UdpSocket::from_std(socket.into())?;
            Ok(Self { socket, v4, scope, reports_errors: false })
        };
        open().map_err(|error| Unsent::at_open(&error))
    }

    /// From now on ICMP errors are heard. Without this the kernel ignores them on a socket that is not connected.
    pub(super) fn report_errors(mut self) -> Result<Self, Unsent> {
        let set = if self.v4 {
            setsockopt(&self.socket, sockopt::Ipv4RecvErr, &true)
        } else {
            setsockopt(&self.socket, sockopt::Ipv6RecvErr, &true)
        };
        set.map_err(|_| Unsent::HostError)?;
        self.reports_errors = true;
        Ok(self)
    }

    /// From now on packets leave in one piece or not at all, and what the kernel has learned of the path's MTU is ignored: it
    /// would keep the size of a fault for ten minutes after its end.
    pub(super) fn never_fragment(self) -> Result<Self, Unsent> {
        let socket = &self.socket;
        let set = if self.v4 {
            set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::PROBE)
        } else {
            set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::PROBE)
        };
        set.map_err(|_| Unsent::HostError)?;
        Ok(self)
    }

    /// The TTL (hop limit) of the echoes that are sent from now on.
    pub(super) fn set_ttl(&self, ttl: u8) -> Result<(), Unsent> {
        let ttl = i32::from(ttl);
        let set = if self.v4 {
            setsockopt(&self.socket, sockopt::Ipv4Ttl, &ttl)
        } else {
            setsockopt(&self.socket, sockopt::Ipv6Ttl, &ttl)
        };
        set.map_err(|_| Unsent::HostError)
    }

    /// Sends the smallest echo.
    pub(super) fn send(&self, to: IpAddr, sequence: u16) -> Result<(), Unsent> {
        self.send_sized(to, sequence, 0)
    }

    /// Sends an echo of this size with the IP header; of the smallest if that is larger.
    pub(super) fn send_sized(&self, to: IpAddr, sequence: u16, size: u16) -> Result<(), Unsent> {
        let message = request(self.v4, sequence, size.saturating_sub(ip_header(self.v4)));
        let to = address(to, self.scope);
        // Where errors are reported, the error of an earlier echo makes a send fail, and nothing is sent. That clears it, so a
        // failure that stays is one of this packet.
        let attempts = if self.reports_errors { 4 } else { 1 };
        let mut failed = Unsent::HostError;
        for _ in 0..attempts {
            match sendto(&self.socket, &message, SendFlags::empty(), &to) {
                Ok(_) => return Ok(()),
                Err(error) => failed = Unsent::at_send(&error.into()),
            }
        }
        Err(failed)
    }

    /// The next packet that belongs to an echo of this socket.
    ///
    /// # Errors
    /// The socket's; it is of no further use then.
    pub(super) async fn receive(&self) -> io::Result<Heard> {
        loop {
            let ready = Interest::READABLE | Interest::ERROR;
            if let Some(heard) = self.socket.async_io(ready, || self.read()).await? {
                return Ok(heard);
            }
        }
    }

    /// `None` for what is no echo's.
    fn read(&self) -> io::Result<Option<Heard>> {
        if self.reports_errors {
            match read_error(&self.socket) {
                Err(Errno::EAGAIN) => (),
                heard => return Ok(heard?),
            }
        }
        let mut buffer = [0; BUFFER];
        let (length, from) = match recvfrom(&self.socket, &mut buffer, RecvFlags::empty()) {
            Ok((_, length, from)) => (length.min(BUFFER), from),
            // An error came since the queue was read.
            Err(error) if self.reports_errors && error != rustix::io::Errno::WOULDBLOCK => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let from = from.and_then(|from| SocketAddr::try_from(from).ok());
        Ok(from.and_then(|from| reply(self.v4, &buffer[..length], from.ip())))
    }
}

impl fmt::Debug for EchoSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EchoSocket").field("v4", &self.v4).finish_non_exhaustive()
    }
}

/// The smallest packet that every link must carry: RFC 791 and RFC 8200.
pub(super) const fn smallest_packet(to: IpAddr) -> u16 {
    match to {
        IpAddr::V4(_) => 576,
        IpAddr::V6(_) => 1280,
    }
}

/// Without options, which the kernel adds to no echo.
const fn ip_header(v4: bool) -> u16 {
    if v4 { 20 } else { 40 }
}

fn address(ip: IpAddr, scope: u32) -> SocketAddr {
    match ip {
        IpAddr::V6(ip) if ip.is_unicast_link_local() => SocketAddrV6::new(ip, 0, 0, scope).into(),
        IpAddr::V4(_) | IpAddr::V6(_) => SocketAddr::new(ip, 0),
    }
}

// ICMP types: RFC 792 and RFC 4443.
const ECHO_V4: u8 = 8;
const ECHO_V6: u8 = 128;
const REPLY_V4: u8 = 0;
const REPLY_V6: u8 = 129;
const UNREACHABLE_V4: u8 = 3;
const UNREACHABLE_V6: u8 = 1;
const TIME_EXCEEDED_V4: u8 = 11;
const TIME_EXCEEDED_V6: u8 = 3;

/// An echo request; the kernel sets identifier and checksum. All requests of one size and socket have the same checksum, so that
/// routers which balance by it send them along one path.
fn request(v4: bool, sequence: u16, length: u16) -> Vec<u8> {
    let mut message = vec![if v4 { ECHO_V4 } else { ECHO_V6 }, 0, 0, 0, 0, 0];
    message.extend(sequence.to_be_bytes());
    message.extend(MARK);
    message.extend((!sequence).to_be_bytes());
    message.resize(length.max(MESSAGE_MIN).into(), 0);
    message
}

fn reply(v4: bool, message: &[u8], from: IpAddr) -> Option<Heard> {
    let kind = if v4 { REPLY_V4 } else { REPLY_V6 };
    if message.first() != Some(&kind) || !message.get(8..)?.starts_with(MARK) {
        return None;
    }
    let size = u16::try_from(message.len()).ok()?.checked_add(ip_header(v4))?;
    Some(Heard::Reply { from, sequence: sequence(message)?, size })
}

fn sequence(message: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(message.get(6..8)?.try_into().ok()?))
}

/// The oldest error in the socket's queue. It quotes the echo from its ICMP header on.
fn read_error(socket: &UdpSocket) -> Result<Option<Heard>, Errno> {
    let mut quoted = [0; 64];
    let mut space = nix::cmsg_space!([u8; 128]);
    let mut parts = [IoSliceMut::new(&mut quoted)];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    let length = message.bytes;
    let mut said = None;
    for control in message.cmsgs()? {
        if let ControlMessageOwned::Ipv4RecvErr(error, Some(by)) = control {
            let by = Ipv4Addr::from(u32::from_be(by.sin_addr.s_addr));
            said = Some((error.ee_origin, error.ee_type, IpAddr::V4(by)));
        } else if let ControlMessageOwned::Ipv6RecvErr(error, Some(by)) = control {
            said = Some((error.ee_origin, error.ee_type, IpAddr::V6(Ipv6Addr::from(by.sin6_addr.s6_addr))));
        }
    }
    let Some((origin, kind, by)) = said else { return Ok(None) };
    let why = match (origin, kind) {
        (libc::SO_EE_ORIGIN_ICMP, TIME_EXCEEDED_V4) | (libc::SO_EE_ORIGIN_ICMP6, TIME_EXCEEDED_V6) => {
            Stop::TimeExceeded
        }
        (libc::SO_EE_ORIGIN_ICMP, UNREACHABLE_V4) | (libc::SO_EE_ORIGIN_ICMP6, UNREACHABLE_V6) => {
            Stop::Unreachable
        }
        _ => return Ok(None),
    };
    let quoted = &quoted[..length.min(quoted.len())];
    Ok(sequence(quoted).map(|sequence| Heard::Stopped { by, sequence, why }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

    fn as_reply(mut message: Vec<u8>, kind: u8) -> Vec<u8> {
        message[0] = kind;
        message
    }

    #[test]
    fn a_reply_is_known_by_its_sequence_number_and_measured_with_its_ip_header() {
        let v4 = as_reply(request(true, 0x0102, 1400 - 20), REPLY_V4);
        assert_eq!(reply(true, &v4, PEER), Some(Heard::Reply { from: PEER, sequence: 0x0102, size: 1400 }));
        let v6 = as_reply(request(false, 7, 1280 - 40), REPLY_V6);
        assert_eq!(reply(false, &v6, PEER), Some(Heard::Reply { from: PEER, sequence: 7, size: 1280 }));
    }

    #[test]
    fn what_is_no_reply_to_an_echo_of_ours_is_nothing() {
        let good = as_reply(request(true, 1, 0), REPLY_V4);
        for length in 0..16 {
            assert_eq!(reply(true, &good[..length], PEER), None, "{length} bytes");
        }
        assert_eq!(reply(true, &request(true, 1, 0), PEER), None, "a request");
        assert_eq!(reply(true, &as_reply(vec![1; 64], REPLY_V4), PEER), None, "another payload");
        assert_eq!(reply(false, &good, PEER), None, "the other family's type");
    }

    #[test]
    fn all_requests_of_one_size_have_the_same_checksum() {
        let sum = |message: Vec<u8>| {
            let words = message.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
            words.fold(0, |sum, word| (sum + word) % 0xffff)
        };
        for sequence in [0, 1, 0x0102, 0xfffe, u16::MAX] {
            assert_eq!(sum(request(true, sequence, 0)), sum(request(true, 1, 0)), "{sequence}");
        }
    }

    #[test]
    fn an_errno_means_the_same_as_to_a_probe_but_for_the_size() {
        let at_send = |errno| Unsent::at_send(&io::Error::from_raw_os_error(errno));
        for errno in [libc::EPERM, libc::EACCES, libc::EINVAL] {
            assert_eq!(at_send(errno), Unsent::Blocked);
        }
        for errno in [libc::ENETUNREACH, libc::EHOSTUNREACH, libc::ENODEV, libc::EADDRNOTAVAIL] {
            assert_eq!(at_send(errno), Unsent::NoRoute);
        }
        assert_eq!(at_send(libc::EMSGSIZE), Unsent::TooLarge);
        for errno in [libc::ENOBUFS, libc::EAGAIN, libc::ENOMEM] {
            assert_eq!(at_send(errno), Unsent::HostError);
        }
        let at_open = |errno| Unsent::at_open(&io::Error::from_raw_os_error(errno));
        assert_eq!(at_open(libc::EACCES).unavailable(), Unavailable::Denied);
        assert_eq!(at_open(libc::EADDRNOTAVAIL), Unsent::NoRoute);
        assert_eq!(at_open(libc::EMFILE).unavailable(), Unavailable::HostError);
    }
}

//! A client: one socket, one ICMP identifier, bound to where its route begins.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::Type;
use surge_ping::{Client, Config, ICMP, PingIdentifier, PingSequence, Pinger};

use super::address;
use super::errno::{self, Call};
use super::permission::SocketKind;
use crate::domain::event::AskFailure;
use crate::domain::plan::Route;

/// A client as the Prober keeps it; its echoes hold handles of their own, and the socket closes with the last of them.
pub(super) struct OpenClient {
    handle: Handle,
    sequence: Sequence,
}

/// What one echo needs of its client. While it lives, the socket is open.
#[derive(Clone)]
pub(super) struct Handle {
    client: Client,
    ident: PingIdentifier,
    scope: u32,
    settled: Arc<AtomicBool>,
}

impl OpenClient {
    /// Opens a socket for this route, bound to its source address and, if it names one, its interface. surge-ping sets
    /// SO_BINDTODEVICE after `bind`, so an address inside a VRF cannot be bound unless
    /// `net.ipv4.ip_nonlocal_bind` is set.
    ///
    /// `ident` is what a raw socket knows its replies by; for a datagram socket the kernel picks the identifier.
    pub(super) fn open(route: &Route, ident: u16) -> Result<Self, AskFailure> {
        Self::try_open(route, ident).map_err(|error| errno::meaning_of(Call::Prepare, &error))
    }

    fn try_open(route: &Route, ident: u16) -> io::Result<Self> {
        let config = Config::builder().sock_type_hint(Type::DGRAM).bind(address::source(route)?);
        let config = match route.source_ip {
            IpAddr::V4(_) => config.kind(ICMP::V4),
            IpAddr::V6(_) => config.kind(ICMP::V6),
        };
        let config = match &route.interface {
            Some(interface) => config.interface(interface),
            None => config,
        };
        let handle = Handle {
            client: Client::new(&config.build())?,
            ident: PingIdentifier(ident),
            scope: address::destination_scope(route)?,
            settled: Arc::new(AtomicBool::new(false)),
        };
        Ok(Self { handle, sequence: Sequence::default() })
    }

    /// What surge-ping opened: it falls back from datagram to raw without a word.
    pub(super) fn kind(&self) -> SocketKind {
        self.handle.client.get_socket().get_type().into()
    }

    /// What one more echo needs.
    pub(super) fn next_echo(&mut self) -> (Handle, PingSequence) {
        (self.handle.clone(), self.sequence.take())
    }
}

impl Handle {
    /// A pinger towards `host`, once the runtime knows that the socket can be written to.
    ///
    /// It learns that on its first look at the socket after it was opened. Before, an echo would have to wait for it
    /// inside surge-ping, where nobody sees when it leaves or that it cannot.
    pub(super) async fn pinger(&self, host: IpAddr) -> Pinger {
        if !self.settled.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
            self.settled.store(true, Ordering::Relaxed);
        }
        let mut pinger = self.client.pinger(host, self.ident).await;
        pinger.scope_id(self.scope);
        pinger
    }
}

impl fmt::Debug for OpenClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenClient")
            .field("kind", &self.kind())
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}

/// ICMP sequence numbers. They wrap, but not onto an echo in flight: a client has at most 64 of these, each for some
/// seconds.
#[derive(Debug, Default)]
struct Sequence(u16);

impl Sequence {
    fn take(&mut self) -> PingSequence {
        let taken = self.0;
        self.0 = taken.wrapping_add(1);
        PingSequence(taken)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    #[test]
    fn sequence_numbers_wrap_without_meeting_any_of_the_64_in_flight() {
        let mut sequence = Sequence::default();
        let mut in_flight = VecDeque::new();
        for _ in 0..=u32::from(u16::MAX) + 64 {
            let taken = sequence.take().into_u16();
            assert!(!in_flight.contains(&taken), "{taken} is in flight twice");
            in_flight.push_back(taken);
            if in_flight.len() == 64 {
                in_flight.pop_front();
            }
        }
    }
}

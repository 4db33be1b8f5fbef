//! A client: one socket with one ICMP identifier, bound to the start of its route; and each of its echoes, from sending to the
//! reply or the end of the wait.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use socket2::{Socket, Type};
use surge_ping::{Client, Config, ICMP, IcmpPacket, PingIdentifier, PingSequence, Pinger, SurgeError};
use tokio::sync::mpsc::UnboundedSender;

use super::address;
use super::errno::{self, Call};
use super::permission::SocketKind;
use crate::catalogue::parts::{Detail, Oddity};
use crate::clock;
use crate::domain::event::{AskFailure, Event};
use crate::domain::plan::Route;
use crate::domain::request::EchoRequest;
use crate::domain::verdict::Fault;

/// The payload of an echo. Not empty, because some networks drop echoes without a payload.
const PAYLOAD: &[u8] = b"bothends";

// ICMP types of an echo reply: RFC 792 and RFC 4443, section 4.2.
const ECHO_REPLY_V4: u8 = 0;
const ECHO_REPLY_V6: u8 = 129;

type Answer = Result<(IcmpPacket, Duration), SurgeError>;

/// Sends one echo and reports `Sent` or `Failed`, and `Reply` if one arrives before `give_up`.
///
/// surge-ping sends and waits in one future. It sends in the first poll, so the result of that poll shows whether the echo has
/// left. It leaves later only if the socket's buffer is full; an echo that the kernel refuses then is `Failed` after it was
/// `Sent`.
pub(super) async fn run(
    client: Handle,
    sequence: PingSequence,
    request: EchoRequest,
    events: UnboundedSender<Event>,
) {
    let EchoRequest { check, echo, client: _, route, give_up } = request;
    // The receiver is gone only while the daemon stops.
    let send = |event| drop(events.send(event));

    let mut pinger = client.pinger(route.inside_ip).await;
    pinger.timeout(give_up);
    let mut ping = pin!(pinger.ping(sequence, PAYLOAD));
    let at = clock::now().mono;
    let first: Poll<Answer> = poll_fn(|cx| Poll::Ready(ping.as_mut().poll(cx))).await;

    let answer = match first {
        Poll::Pending => {
            send(Event::Sent { check: check.clone(), echo, at });
            ping.await
        }
        Poll::Ready(answer) => answer,
    };
    match outcome(answer) {
        Ending::Reply(rtt) => send(Event::Reply { check, echo, rtt }),
        Ending::Failed(failure) => send(Event::Failed { check, echo, failure }),
        Ending::Nothing => (),
    }
}

/// How the wait for an answer ended.
#[derive(Debug, PartialEq)]
enum Ending {
    Reply(Duration),
    Failed(AskFailure),
    /// Nothing to report: the core knows by its own deadlines that no reply has come.
    Nothing,
}

fn outcome(answer: Answer) -> Ending {
    match answer {
        Ok((packet, rtt)) if is_echo_reply(&packet) => Ending::Reply(rtt),
        // Only a raw socket receives ICMP errors. The echo had left and will get no reply, as it would through a datagram socket.
        // It counts as a loss; reported as a fault of ours, it would cost the client its socket.
        Ok((packet, _)) => {
            Detail::IcmpError(&packet).record().emit();
            Ending::Nothing
        }
        Err(SurgeError::IOError(error)) => Ending::Failed(errno::meaning_of(Call::SendTo, &error)),
        Err(SurgeError::Timeout { .. } | SurgeError::NetworkError) => Ending::Nothing,
        // None of these can happen with a sequence number of its own and a client that is held open. The echo has not left.
        Err(
            error @ (SurgeError::IdenticalRequests { .. }
            | SurgeError::ClientDestroyed
            | SurgeError::IncorrectBufferSize
            | SurgeError::MalformedPacket(_)
            | SurgeError::EchoRequestPacket),
        ) => {
            Oddity::EchoNotMade { error: &error }.record().emit();
            Ending::Failed(AskFailure::Fault(Fault::Socket(libc::EIO)))
        }
    }
}

fn is_echo_reply(packet: &IcmpPacket) -> bool {
    match packet {
        IcmpPacket::V4(packet) => packet.get_icmp_type().0 == ECHO_REPLY_V4,
        IcmpPacket::V6(packet) => packet.get_icmpv6_type().0 == ECHO_REPLY_V6,
    }
}

/// A client in the Prober. Each of its echoes holds a handle, and the socket closes with the last of them.
pub(super) struct OpenClient {
    handle: Handle,
    sequence: Sequence,
}

/// What one echo needs of its client; keeps the socket open.
#[derive(Clone)]
pub(super) struct Handle {
    client: Client,
    ident: PingIdentifier,
    scope: u32,
    settled: Arc<AtomicBool>,
}

impl OpenClient {
    /// Opens a socket for this route, bound to its source address and, if it names one, its interface, and with its mark.
    /// Nothing is sent by it before all of that is in force, and without any of it there is no client.
    ///
    /// A raw socket recognises its replies by `ident`; for a datagram socket the kernel chooses the identifier.
    pub(super) fn open(route: &Route, ident: u16) -> Result<Self, AskFailure> {
        Self::try_open(route, ident).map_err(|error| errno::meaning_of(Call::Prepare, &error))
    }

    fn try_open(route: &Route, ident: u16) -> io::Result<Self> {
        let config = Config::builder().sock_type_hint(Type::DGRAM).kind(match route.source_ip {
            IpAddr::V4(_) => ICMP::V4,
            IpAddr::V6(_) => ICMP::V6,
        });
        let client = Client::new(&config.build())?;
        address::bind(&socket_of(&client)?, route)?;
        let handle = Handle {
            client,
            ident: PingIdentifier(ident),
            scope: address::destination_scope(route)?,
            settled: Arc::new(AtomicBool::new(false)),
        };
        Ok(Self { handle, sequence: Sequence::default() })
    }

    /// The kind that surge-ping opened: it falls back from datagram to raw silently.
    pub(super) fn kind(&self) -> SocketKind {
        self.handle.client.get_socket().get_type().into()
    }

    /// A handle and the next sequence number.
    pub(super) fn next_echo(&mut self) -> (Handle, PingSequence) {
        (self.handle.clone(), self.sequence.take())
    }
}

/// The client's socket, by a descriptor of our own. surge-ping knows no mark, binds the address before the device, and shows
/// its descriptor as a number only, of which no safe code makes a socket; but a number can be sent to oneself (unix(7),
/// SCM_RIGHTS).
fn socket_of(client: &Client) -> io::Result<Socket> {
    let (here, there) = UnixStream::pair()?;
    let number = [client.get_socket().get_native_sock()];
    let rights = [ControlMessage::ScmRights(&number)];
    sendmsg::<()>(here.as_raw_fd(), &[IoSlice::new(b"\0")], &rights, MsgFlags::empty(), None)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    recvmsg(&there, &mut [IoSliceMut::new(&mut [0])], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let received = ancillary.drain().find_map(|message| {
        if let RecvAncillaryMessage::ScmRights(mut descriptors) = message { descriptors.next() } else { None }
    });
    // The kernel leaves out what this process has no descriptor for.
    received.map(Socket::from).ok_or_else(|| io::Error::from_raw_os_error(libc::EMFILE))
}

impl Handle {
    /// A pinger towards `host`, once the runtime knows that the socket is writable.
    ///
    /// The runtime learns that when it first polls the socket after it was opened. Until then surge-ping would queue an echo
    /// internally, where nobody sees whether and when it leaves.
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

/// ICMP sequence numbers. They wrap, but never onto an echo in flight: a client has at most 64 of them, each for a few seconds.
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
    use std::net::{Ipv4Addr, Ipv6Addr};

    use surge_ping::{Icmpv4Packet, Icmpv6Packet};

    use super::*;
    use crate::domain::verdict::Loss;

    const HERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

    fn v4(kind: u8) -> IcmpPacket {
        let mut message = vec![kind, 0, 0, 0, 0, 0, 0, 0];
        // The packet that an error quotes: an IPv4 header and the start of an echo.
        message.extend([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
        message.extend([8, 0, 0, 0, 0, 1, 0, 2]);
        IcmpPacket::V4(Icmpv4Packet::decode(&message, socket2::Type::DGRAM, HERE, HERE).unwrap())
    }

    fn v6_reply() -> IcmpPacket {
        let message = [ECHO_REPLY_V6, 0, 0, 0, 0, 1, 0, 2];
        IcmpPacket::V6(Icmpv6Packet::decode(&message, Ipv6Addr::LOCALHOST).unwrap())
    }

    #[test]
    fn only_an_echo_reply_is_a_reply() {
        const DESTINATION_UNREACHABLE: u8 = 3;
        const TIME_EXCEEDED: u8 = 11;
        let rtt = Duration::from_millis(7);
        assert_eq!(outcome(Ok((v4(ECHO_REPLY_V4), rtt))), Ending::Reply(rtt));
        assert_eq!(outcome(Ok((v6_reply(), rtt))), Ending::Reply(rtt));
        assert_eq!(outcome(Ok((v4(DESTINATION_UNREACHABLE), rtt))), Ending::Nothing);
        assert_eq!(outcome(Ok((v4(TIME_EXCEEDED), rtt))), Ending::Nothing);
    }

    #[test]
    fn a_system_error_is_looked_up_in_the_table_and_a_timeout_is_left_to_the_core() {
        let refused = SurgeError::IOError(io::Error::from_raw_os_error(libc::EPERM));
        assert_eq!(outcome(Err(refused)), Ending::Failed(AskFailure::Lost(Loss::Blocked)));
        let timeout = SurgeError::Timeout { seq: PingSequence(1) };
        assert_eq!(outcome(Err(timeout)), Ending::Nothing);
    }

    #[test]
    fn an_echo_that_surge_ping_refuses_is_our_fault() {
        let failure = outcome(Err(SurgeError::ClientDestroyed));
        assert_eq!(failure, Ending::Failed(AskFailure::Fault(Fault::Socket(libc::EIO))));
    }

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

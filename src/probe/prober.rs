//! The owner of all clients.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use tokio::sync::mpsc::UnboundedSender;

use super::echo::{self, OpenClient};
use super::permission::{self, SocketKind};
use crate::catalogue::parts::Oddity;
use crate::domain::event::{AskFailure, Event};
use crate::domain::names::CheckId;
use crate::domain::request::{ClientId, EchoRequest};
use crate::domain::verdict::Fault;
use crate::health::{Component, Health};

/// A check alternates between two clients and replaces one at a time; more than this many are left over from a mistake
/// and must not eat up the file descriptors.
const MAX_CLIENTS_PER_CHECK: usize = 8;

/// Executes `Request::Echo` and `Request::Retire`. Use it inside a current-thread runtime.
///
/// The channel of events needs no bound of its own: an echo puts in at most two, and the core bounds the echoes.
#[derive(Debug)]
pub struct Prober {
    events: UnboundedSender<Event>,
    health: Health,
    clients: BTreeMap<(CheckId, ClientId), OpenClient>,
    next_ident: u16,
    /// So many sockets may be open.
    sockets: usize,
}

impl Prober {
    /// A Prober that reports what becomes of its echoes to `events`, and to `health` that only raw sockets are to be
    /// had.
    pub fn new(events: UnboundedSender<Event>, health: Health) -> Self {
        // Random, so that raw sockets of another process are unlikely to take our replies for theirs.
        let [first, second, ..] = RandomState::new().hash_one(0_u8).to_ne_bytes();
        Self {
            events,
            health,
            clients: BTreeMap::new(),
            next_ident: u16::from_ne_bytes([first, second]),
            sockets: usize::MAX,
        }
    }

    /// The same with at most so many sockets: the descriptors beyond are for others.
    pub fn with_at_most(self, sockets: usize) -> Self {
        Self { sockets, ..self }
    }

    /// Sends one echo, opening its client if need be, and returns at once.
    ///
    /// Exactly one of `Sent` and `Failed` answers it (both, in this order, if the kernel's buffer was full and the
    /// kernel then refused the packet), and after `Sent` a `Reply` if one comes before `give_up`, however late. If the
    /// client cannot be opened as its route demands, nothing is sent, and the next echo with it tries again.
    pub fn execute(&mut self, request: EchoRequest) {
        let key = (request.check.clone(), request.client);
        let client = match self.clients.remove(&key) {
            Some(client) => Ok(client),
            None => self.open(&request),
        };
        match client {
            Ok(mut client) => {
                let (handle, sequence) = client.next_echo();
                self.clients.insert(key, client);
                tokio::spawn(echo::run(handle, sequence, request, self.events.clone()));
            }
            Err(failure) => {
                let EchoRequest { check, echo, client: _, route: _, give_up: _ } = request;
                // The receiver is gone only when the daemon is ending.
                drop(self.events.send(Event::Failed { check, echo, failure }));
            }
        }
    }

    /// Lets go of a client: its socket closes when its last echo has ended. Nothing happens if it is not open.
    pub fn retire(&mut self, check: &CheckId, client: ClientId) {
        self.clients.remove(&(check.clone(), client));
    }

    /// Lets go of every client.
    pub fn retire_all(&mut self) {
        self.clients.clear();
    }

    fn open(&mut self, request: &EchoRequest) -> Result<OpenClient, AskFailure> {
        if self.clients.len() >= self.sockets {
            // As the kernel would say, a little later.
            return Err(AskFailure::Fault(Fault::TooManyFiles));
        }
        let client = OpenClient::open(&request.route, self.next_ident)?;
        self.next_ident = self.next_ident.wrapping_add(1);
        self.make_room(&request.check);
        self.tell_socket_kind(client.kind());
        Ok(client)
    }

    fn make_room(&mut self, check: &CheckId) {
        let all = (check.clone(), ClientId(0))..=(check.clone(), ClientId(u64::MAX));
        let mut clients = self.clients.range(all).map(|(key, _)| key);
        let oldest = clients.next().cloned();
        if clients.count() + 1 >= MAX_CLIENTS_PER_CHECK
            && let Some(oldest) = oldest
        {
            Oddity::ClientNotRetired { tunnel: &check.tunnel }.record().emit();
            self.clients.remove(&oldest);
        }
    }

    fn tell_socket_kind(&self, kind: SocketKind) {
        match kind {
            SocketKind::Raw => {
                self.health.set(Component::Probe, permission::raw_in_use());
            }
            SocketKind::Datagram if self.uses_raw() => (),
            SocketKind::Datagram => {
                self.health.clear(&Component::Probe);
            }
        }
    }

    fn uses_raw(&self) -> bool {
        self.clients.values().any(|client| client.kind() == SocketKind::Raw)
    }
}

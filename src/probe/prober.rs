//! Owns all clients, and opens and retires them.

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

/// A check alternates between two clients and replaces one at a time. More than this many were left open by a bug and must not
/// exhaust the file descriptors.
const MAX_CLIENTS_PER_CHECK: usize = 8;

/// Executes `Request::Echo` and `Request::Retire`. Call it inside a current-thread runtime.
///
/// The channel of events needs no bound of its own: an echo sends at most two, and the core bounds the echoes.
#[derive(Debug)]
pub struct Prober {
    events: UnboundedSender<Event>,
    health: Health,
    clients: BTreeMap<(CheckId, ClientId), OpenClient>,
    next_ident: u16,
    /// At most this many sockets are open.
    sockets: usize,
}

impl Prober {
    /// A Prober that reports outcomes to `events`, and to `health` that it has to use raw sockets.
    pub fn new(events: UnboundedSender<Event>, health: Health) -> Self {
        // Random: raw sockets of another process are then unlikely to mistake our replies for theirs.
        let [first, second, ..] = RandomState::new().hash_one(0_u8).to_ne_bytes();
        Self {
            events,
            health,
            clients: BTreeMap::new(),
            next_ident: u16::from_ne_bytes([first, second]),
            sockets: usize::MAX,
        }
    }

    /// The same, limited to this many sockets; other file descriptors are left for the rest of the daemon.
    pub fn with_at_most(self, sockets: usize) -> Self {
        Self { sockets, ..self }
    }

    /// Sends one echo, opening its client first if necessary, and returns at once.
    ///
    /// Answered by exactly one of `Sent` and `Failed` (both, in this order, if the kernel's buffer was full and the kernel then
    /// refused the packet); after `Sent` by a `Reply` if one arrives before `give_up`, however late. If the client cannot be
    /// opened as its route demands, nothing is sent, and the next echo tries again.
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
                // The receiver is gone only while the daemon stops.
                drop(self.events.send(Event::Failed { check, echo, failure }));
            }
        }
    }

    /// Drops a client: its socket closes when its last echo has ended. Does nothing if it is not open.
    pub fn retire(&mut self, check: &CheckId, client: ClientId) {
        self.clients.remove(&(check.clone(), client));
    }

    /// Drops every client.
    pub fn retire_all(&mut self) {
        self.clients.clear();
    }

    fn open(&mut self, request: &EchoRequest) -> Result<OpenClient, AskFailure> {
        if self.clients.len() >= self.sockets {
            // The error that the kernel would return a little later.
            return Err(AskFailure::Fault(Fault::TooManyFiles));
        }
        let client = OpenClient::open(&request.route, self.next_ident)?;
        self.next_ident = self.next_ident.wrapping_add(1);
        self.make_room(&request.check);
        self.report_socket_kind(client.kind());
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

    fn report_socket_kind(&self, kind: SocketKind) {
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

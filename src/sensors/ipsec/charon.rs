//! A connection to charon, strongSwan's IKE daemon.

use std::io;
use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::vici::{Malformed, Packet, Request, SEGMENT_MAX, Section};
use crate::domain::sensor::Unavailable;

/// A connection to charon's VICI socket. It has no limit of time: whoever uses it has.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<UnixStream>,
    segment: Vec<u8>,
    /// How many more bytes are read.
    left: usize,
}

impl Connection {
    /// Connects; at most this many bytes are read.
    pub async fn open(socket: &Path, limit: usize) -> Result<Self, Unavailable> {
        let stream = UnixStream::connect(socket).await.map_err(|error| not_connected(&error))?;
        Ok(Self { stream: BufReader::new(stream), segment: Vec::new(), left: limit })
    }

    /// Registers for the events of that name. charon keeps every event until it is read, without a bound: whoever registers
    /// reads, or hangs up.
    pub async fn register(&mut self, event: &str) -> Result<(), Unavailable> {
        self.send(Request::Register, event).await?;
        loop {
            match self.receive().await? {
                Packet::Registered => return Ok(()),
                Packet::Event { .. } => {}
                Packet::Response(_) | Packet::CommandUnknown | Packet::EventUnknown => {
                    return Err(Unavailable::Invalid);
                }
            }
        }
    }

    /// The next event of the names that are registered.
    pub async fn event(&mut self) -> Result<Section<'_>, Unavailable> {
        match self.receive().await? {
            Packet::Event { message, .. } => Ok(message),
            Packet::Response(_) | Packet::CommandUnknown | Packet::Registered | Packet::EventUnknown => {
                Err(Unavailable::Invalid)
            }
        }
    }

    /// Has charon list something: each item is an event, and a client that has not registered for it hears of none. While charon
    /// works on an SA it waits with that one; `noblock` would leave the SA out, as if there were none.
    pub async fn list(
        &mut self,
        command: &str,
        event: &str,
        mut each: impl FnMut(&Section<'_>) -> Result<(), Malformed> + Send,
    ) -> Result<(), Unavailable> {
        self.register(event).await?;
        self.send(Request::Command, command).await?;
        loop {
            match self.receive().await? {
                Packet::Event { name, message } if name == event.as_bytes() => {
                    each(&message).map_err(|Malformed| Unavailable::Invalid)?;
                }
                Packet::Event { .. } => {}
                Packet::Response(message) if message.text("success") != Some("no") => return Ok(()),
                Packet::Response(_) | Packet::CommandUnknown | Packet::Registered | Packet::EventUnknown => {
                    return Err(Unavailable::Invalid);
                }
            }
        }
    }

    async fn send(&mut self, request: Request, name: &str) -> Result<(), Unavailable> {
        self.stream.write_all(&request.encode(name)).await.map_err(|error| lost(&error))
    }

    async fn receive(&mut self) -> Result<Packet<'_>, Unavailable> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).await.map_err(|error| lost(&error))?;
        let length = u32::from_be_bytes(length) as usize;
        if length > SEGMENT_MAX {
            return Err(Unavailable::Invalid);
        }
        self.left = self.left.checked_sub(4 + length).ok_or(Unavailable::TooLong)?;
        self.segment.resize(length, 0);
        self.stream.read_exact(&mut self.segment).await.map_err(|error| lost(&error))?;
        Packet::decode(&self.segment).map_err(|Malformed| Unavailable::Invalid)
    }
}

pub(super) fn not_connected(error: &io::Error) -> Unavailable {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENOTDIR) => Unavailable::NotThere,
        // Also what is there and no socket.
        Some(libc::ECONNREFUSED) => Unavailable::NotRunning,
        Some(libc::EACCES | libc::EPERM) => Unavailable::Denied,
        // Its queue of connections is full: it accepts none.
        Some(libc::EAGAIN) => Unavailable::TimedOut,
        Some(_) | None => Unavailable::HostError,
    }
}

fn lost(error: &io::Error) -> Unavailable {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};

    if matches!(error.kind(), UnexpectedEof | ConnectionReset | BrokenPipe) {
        Unavailable::Closed
    } else {
        Unavailable::HostError
    }
}

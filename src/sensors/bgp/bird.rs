//! BIRD 2 and 3, at the control socket. One connection per look, restricted before the first question: whatever is asked then,
//! nothing can be changed.

use std::io::{Error, ErrorKind};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::bird_reply::{Progress, progress, route, sessions};
use super::peer::{BgpPeer, PrefixQuestion, not_had};
use crate::domain::sensor::Unavailable;
use crate::sensors::ANSWER_MAX;

/// "BIRD 2.0.12 ready."
const WELCOME: u16 = 1;
/// "Access restricted"
const RESTRICTED: u16 = 16;

/// BIRD.
#[derive(Debug)]
pub(super) struct Bird {
    socket: PathBuf,
    /// During a look.
    connection: Option<Connection>,
}

impl Bird {
    pub(super) fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned(), connection: None }
    }

    /// The sessions with these neighbours. Begins a look.
    pub(super) async fn sessions(&mut self, wanted: &[IpAddr]) -> Result<Vec<BgpPeer>, Unavailable> {
        self.connection = None;
        let mut connection = Connection::open(&self.socket).await?;
        let peers = sessions(connection.ask("show protocols all").await?.1, wanted)?;
        self.connection = Some(connection);
        Ok(peers)
    }

    /// Whether each prefix is accepted from the neighbour. An exact look-up costs BIRD the same in a table of any size.
    pub(super) async fn announced(
        &mut self,
        questions: &[PrefixQuestion],
    ) -> Result<Vec<Result<bool, Unavailable>>, Unavailable> {
        let connection = self.connection.as_mut().ok_or(Unavailable::Closed)?;
        let mut announced = Vec::with_capacity(questions.len());
        for PrefixQuestion { at, prefix, .. } in questions {
            let is_name = at.chars().all(|c| c.is_ascii_alphanumeric() || "_-.:".contains(c));
            announced.push(if is_name {
                let question = format!("show route {prefix} protocol '{at}'");
                route(connection.ask(&question).await?.1, *prefix)
            } else {
                Err(Unavailable::Invalid)
            });
        }
        Ok(announced)
    }

    /// Ends a look.
    pub(super) fn close(&mut self) {
        self.connection = None;
    }
}

/// A connection to BIRD in restricted mode.
#[derive(Debug)]
struct Connection {
    stream: UnixStream,
    /// What has been read; the last reply first.
    read: Vec<u8>,
    /// The length of the last reply.
    used: usize,
    /// How many bytes may still be read.
    left: usize,
}

impl Connection {
    async fn open(socket: &Path) -> Result<Self, Unavailable> {
        let stream = UnixStream::connect(socket).await.map_err(|error| {
            // So many wait to be accepted that one more may not.
            let is_busy = error.kind() == ErrorKind::WouldBlock;
            if is_busy { Unavailable::TimedOut } else { not_had(&error) }
        })?;
        let mut connection = Self { stream, read: Vec::new(), used: 0, left: ANSWER_MAX };
        if connection.reply().await?.0 != WELCOME || connection.ask("restrict").await?.0 != RESTRICTED {
            return Err(Unavailable::Invalid);
        }
        Ok(connection)
    }

    /// The reply to a question, with its last code.
    async fn ask(&mut self, question: &str) -> Result<(u16, &[u8]), Unavailable> {
        let line = format!("{question}\n");
        self.stream.write_all(line.as_bytes()).await.map_err(|error| broken(&error))?;
        self.reply().await
    }

    async fn reply(&mut self) -> Result<(u16, &[u8]), Unavailable> {
        self.read.drain(..self.used);
        self.used = 0;
        let mut from = 0;
        loop {
            match progress(&self.read, from) {
                Progress::Complete { code, length } => {
                    self.used = length;
                    return Ok((code, &self.read[..length]));
                }
                Progress::Garbage => return Err(Unavailable::Invalid),
                Progress::Partial { line } => from = line,
            }
            if self.left == 0 {
                return Err(Unavailable::TooLong);
            }
            let mut some = [0; 16 << 10];
            let most = some.len().min(self.left);
            let count = self.stream.read(&mut some[..most]).await.map_err(|error| broken(&error))?;
            if count == 0 {
                return Err(Unavailable::Closed);
            }
            self.left -= count;
            self.read.extend_from_slice(&some[..count]);
        }
    }
}

/// Why a connection cannot be used any more.
fn broken(error: &Error) -> Unavailable {
    let closed = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset, ErrorKind::NotConnected];
    if closed.contains(&error.kind()) { Unavailable::Closed } else { Unavailable::HostError }
}

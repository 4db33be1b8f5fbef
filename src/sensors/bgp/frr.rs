//! FRR 8 to 10, by `vtysh`: as an unprivileged user (`-u`), which knows no command that changes anything, and reads no vtysh.conf.
//!
//! One process has all questions of a look. Which prefixes to ask for is known from the look before; what has changed since costs a
//! second process.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::UnixStream;
use tokio::process::Command;

use super::frr_json::{announcers, documents, sessions};
use super::peer::{BgpPeer, Prefix, PrefixQuestion, not_had};
use crate::domain::sensor::Unavailable;
use crate::process::Group;
use crate::sensors::ANSWER_MAX;

/// bgpd's socket, where FRR's packages have it.
const SOCKET: &str = "/run/frr/bgpd.vty";
/// The error output is read up to this many bytes: a few lines matter.
const COMPLAINT_MAX: u64 = 64 << 10;

/// A prefix in a VRF.
type Asked = (Arc<str>, Prefix);

/// FRR.
#[derive(Debug)]
pub(super) struct Frr {
    vtysh: PathBuf,
    socket: PathBuf,
    /// How many bytes may still be read in this look.
    left: usize,
    /// What the last look asked for.
    asked: BTreeSet<Asked>,
    /// What this look has heard.
    heard: BTreeMap<Asked, Result<BTreeSet<IpAddr>, Unavailable>>,
}

impl Frr {
    pub(super) fn new(vtysh: &Path) -> Self {
        let (asked, heard) = (BTreeSet::new(), BTreeMap::new());
        Self { vtysh: vtysh.to_owned(), socket: SOCKET.into(), left: 0, asked, heard }
    }

    /// With another socket of bgpd's.
    #[cfg(test)]
    pub(super) fn with_socket(self, socket: &Path) -> Self {
        Self { socket: socket.to_owned(), ..self }
    }

    /// The sessions with these neighbours. Begins a look.
    pub(super) async fn sessions(&mut self, wanted: &[IpAddr]) -> Result<Vec<BgpPeer>, Unavailable> {
        self.left = ANSWER_MAX;
        self.heard = BTreeMap::new();
        // What fails is not asked along again.
        let along: Vec<Asked> = std::mem::take(&mut self.asked).into_iter().collect();
        let mut commands = vec!["show bgp vrf all neighbors json".to_owned()];
        commands.extend(along.iter().map(command));
        let printed = self.ask(&commands).await?;
        let answers = documents(&printed, commands.len())?;
        let (neighbours, routes) = answers.split_first().ok_or(Unavailable::Invalid)?;
        self.hear(along, routes);
        sessions(neighbours, wanted)
    }

    /// Whether each prefix is accepted from the neighbour.
    pub(super) async fn announced(
        &mut self,
        questions: &[PrefixQuestion],
    ) -> Result<Vec<Result<bool, Unavailable>>, Unavailable> {
        let asked: BTreeSet<Asked> = questions.iter().map(|of| (Arc::clone(&of.at), of.prefix)).collect();
        let is_name = |vrf: &str| vrf.chars().all(|c| c.is_ascii_alphanumeric() || "_-.:".contains(c));
        let new: Vec<Asked> =
            asked.iter().filter(|of| is_name(&of.0) && !self.heard.contains_key(*of)).cloned().collect();
        if !new.is_empty() {
            let commands: Vec<String> = new.iter().map(command).collect();
            let printed = self.ask(&commands).await?;
            let routes = documents(&printed, commands.len())?;
            self.hear(new, &routes);
        }
        self.asked = asked.into_iter().filter(|of| matches!(self.heard.get(of), Some(Ok(_)))).collect();
        let announced = questions.iter().map(|of| match self.heard.get(&(Arc::clone(&of.at), of.prefix)) {
            Some(Ok(announcers)) => Ok(announcers.contains(&of.neighbour)),
            Some(Err(why)) => Err(*why),
            None => Err(Unavailable::Invalid),
        });
        Ok(announced.collect())
    }

    /// Ends a look.
    pub(super) fn close(&mut self) {
        self.heard = BTreeMap::new();
    }

    fn hear(&mut self, asked: Vec<Asked>, routes: &[&[u8]]) {
        self.heard.extend(asked.into_iter().zip(routes).map(|(asked, route)| {
            let heard = announcers(route, asked.1);
            (asked, heard)
        }));
    }

    /// What vtysh prints for these commands.
    async fn ask(&mut self, commands: &[String]) -> Result<Vec<u8>, Unavailable> {
        let mut vtysh = Command::new(&self.vtysh);
        vtysh.args(["-u", "-d", "bgpd"]).args(commands.iter().flat_map(|command| ["-c", command]));
        vtysh.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Killed when dropped, with what it started.
        let mut group = Group::start(&mut vtysh).map_err(|error| not_had(&error))?;
        let (output, complaint) = (group.child.stdout.take(), group.child.stderr.take());
        let (printed, complained) =
            tokio::try_join!(read(output, self.left), async { Ok(beginning(complaint).await) })?;
        self.left -= printed.len();
        let status = group.child.wait().await.map_err(|_| Unavailable::HostError)?;
        if status.success() { Ok(printed) } else { Err(self.failed(status, &complained).await) }
    }

    /// Why vtysh failed. Whether bgpd is not there or may not be spoken to it says in the same words, so its socket is tried.
    async fn failed(&self, status: ExitStatus, complained: &str) -> Unavailable {
        if status.signal().is_some() {
            return Unavailable::Closed;
        }
        if complained.contains("vtysh_connect") && complained.contains("Permission denied") {
            return Unavailable::Denied;
        }
        if complained.contains("failed to connect to any daemons")
            || complained.contains("bgpd is not running")
        {
            let tried = UnixStream::connect(&self.socket).await.map_err(|error| not_had(&error));
            let is_denied = matches!(tried, Err(Unavailable::Denied));
            return if is_denied { Unavailable::Denied } else { Unavailable::NotRunning };
        }
        Unavailable::Invalid
    }
}

/// The question for a prefix.
fn command((vrf, prefix): &Asked) -> String {
    let family = if prefix.is_ipv4() { "ipv4" } else { "ipv6" };
    format!("show bgp vrf {vrf} {family} unicast {prefix} json")
}

/// Reads to the end.
async fn read(from: Option<impl AsyncRead + Unpin>, most: usize) -> Result<Vec<u8>, Unavailable> {
    let mut read = Vec::new();
    if let Some(from) = from {
        // One more than may be shows that it is too long.
        from.take(most as u64 + 1).read_to_end(&mut read).await.map_err(|_| Unavailable::HostError)?;
    }
    if read.len() > most { Err(Unavailable::TooLong) } else { Ok(read) }
}

/// Its beginning; a program that has more to say is ended by SIGPIPE.
async fn beginning(from: Option<impl AsyncRead + Unpin>) -> String {
    let mut read = Vec::new();
    if let Some(from) = from {
        // What cannot be read explains nothing.
        let _ = from.take(COMPLAINT_MAX).read_to_end(&mut read).await;
    }
    String::from_utf8_lossy(&read).into_owned()
}

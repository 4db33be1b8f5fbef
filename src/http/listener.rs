//! The listeners: the address of `[http] listen`, bound now or as soon as possible, and the control socket.
//!
//! A missing address may appear: a network that comes up after the boot, VRRP, DHCP, a tunnel's interface. One in use may become
//! free: a process that is still ending. Monitoring works without the listener, so the daemon waits for both and reports a problem
//! meanwhile. `IP_FREEBIND` would bind a missing address, but silently a mistyped one as well.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time;

use crate::catalogue::parts::ListenerKind;

/// Between two attempts. Scrapes come every 10 s or less often; an attempt costs a socket.
const AGAIN: Duration = Duration::from_secs(2);

/// A client whose host is gone acknowledges nothing. A status page's connection has no other limit in time, and seldom much to send.
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);

/// The user id of the client's process, as the kernel says (SO_PEERCRED); only at the control socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller(pub Option<u32>);

/// Who has connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The client's address over TCP.
    pub address: Option<IpAddr>,
    /// The client's user.
    pub caller: Caller,
}

/// A bound listener.
pub trait Listener: Send + Sync + 'static {
    /// Which of the two this is, for the journal.
    const KIND: ListenerKind;
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection, and its client.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Peer)>> + Send;

    /// Writes as much as it can without waiting.
    fn try_write(stream: &Self::Stream, bytes: &[u8]);
}

impl Listener for TcpListener {
    const KIND: ListenerKind = ListenerKind::Http;
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, Peer)> {
        let (stream, peer) = Self::accept(self).await?;
        // Where the kernel does not have it, the limits in time still hold.
        _ = SockRef::from(&stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED));
        Ok((stream, Peer { address: Some(peer.ip()), caller: Caller(None) }))
    }

    fn try_write(stream: &TcpStream, bytes: &[u8]) {
        _ = stream.try_write(bytes);
    }
}

impl Listener for UnixListener {
    const KIND: ListenerKind = ListenerKind::Control;
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<(UnixStream, Peer)> {
        let (stream, _) = Self::accept(self).await?;
        let caller = Caller(stream.peer_cred().ok().map(|credentials| credentials.uid()));
        Ok((stream, Peer { address: None, caller }))
    }

    fn try_write(stream: &UnixStream, bytes: &[u8]) {
        _ = stream.try_write(bytes);
    }
}

/// Why the listener could not be bound.
#[derive(Debug)]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}

impl BindError {
    /// Whether a permission is missing, and not only the address.
    pub fn is_permission(&self) -> bool {
        self.source.kind() == ErrorKind::PermissionDenied
    }

    /// Whether it may go away by itself.
    pub fn may_pass(&self) -> bool {
        [ErrorKind::AddrInUse, ErrorKind::AddrNotAvailable].contains(&self.source.kind())
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, source } = self;
        write!(f, "[http] listen = \"{address}\": cannot listen there: {source}")?;
        let kind = source.kind();
        if kind == ErrorKind::AddrInUse {
            write!(f, "; is another bothends running? `ss -ltnp 'sport = :{}'` tells", address.port())?;
        } else if kind == ErrorKind::AddrNotAvailable {
            write!(
                f,
                "; this host does not have the address {}: `ip address` shows those it has",
                address.ip()
            )?;
        } else if kind == ErrorKind::PermissionDenied {
            f.write_str("; take a port above 1023")?;
        }
        Ok(())
    }
}

impl Error for BindError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// Binds the listener.
///
/// # Errors
/// The address is in use, is not this host's, or is not permitted.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|source| BindError { address, source })
}

/// Retries after `error` until the listener is bound. Calls `report` with `error` and with the error of each failed attempt.
pub async fn bind_after(mut error: BindError, mut report: impl FnMut(&BindError)) -> TcpListener {
    loop {
        report(&error);
        time::sleep(AGAIN).await;
        match bind(error.address).await {
            Ok(listener) => return listener,
            Err(still) => error = still,
        }
    }
}

/// The control socket of the package's unit (`RuntimeDirectory=bothends`).
pub const DEFAULT_SOCKET: &str = "/run/bothends/control.sock";

/// The control socket in the directory that systemd made for the unit (the first of `RUNTIME_DIRECTORY`).
pub fn socket(env: &BTreeMap<String, String>) -> Option<PathBuf> {
    let directory = env.get("RUNTIME_DIRECTORY")?.split(':').next()?;
    (!directory.is_empty()).then(|| Path::new(directory).join("control.sock"))
}

/// Why there is no control socket.
#[derive(Debug)]
pub struct SocketError {
    path: PathBuf,
    source: io::Error,
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, source } = self;
        write!(
            f,
            "no control socket at {}: {source}; `bothends reload` will not work, SIGHUP does",
            path.display()
        )
    }
}

impl Error for SocketError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// Binds the socket, replacing one that a crashed daemon left. It gets its name only after its mode, so that no other user can
/// connect at any time.
///
/// # Errors
/// Another daemon listens there, or the directory cannot be written to.
pub fn bind_socket(path: &Path) -> Result<UnixListener, SocketError> {
    let bound = || {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(ErrorKind::AddrInUse, "another bothends listens there"));
        }
        let unnamed = path.with_extension(format!("{}", std::process::id()));
        let _ = fs::remove_file(&unnamed);
        let listener = UnixListener::bind(&unnamed)?;
        fs::set_permissions(&unnamed, Permissions::from_mode(0o600))?;
        fs::rename(&unnamed, path)?;
        Ok(listener)
    };
    bound().map_err(|source| SocketError { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Used by no other test, so that a free port stays free.
    const LOOPBACK: [u8; 4] = [127, 98, 46, 1];

    #[tokio::test]
    async fn an_address_in_use_is_retried_and_the_error_says_how_to_find_its_user() {
        let holder = bind(SocketAddr::from((LOOPBACK, 0))).await.unwrap();
        let error = bind(holder.local_addr().unwrap()).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("is another bothends running?") && text.contains("ss -ltnp"), "{text}");
        assert!(error.may_pass() && !error.is_permission());
    }

    #[tokio::test]
    async fn a_missing_address_is_retried_and_the_error_says_where_to_look() {
        // RFC 5737 keeps it out of every real network.
        let error = bind("192.0.2.77:9846".parse().unwrap()).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("does not have the address 192.0.2.77: `ip address`"), "{text}");
        assert!(error.may_pass() && !error.is_permission());
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_becomes_free_is_bound_and_reported_until_then() {
        let holder = bind(SocketAddr::from((LOOPBACK, 0))).await.unwrap();
        let address = holder.local_addr().unwrap();
        let error = bind(address).await.unwrap_err();
        let (mut holder, mut reports) = (Some(holder), 0);
        let listener = bind_after(error, |_| {
            reports += 1;
            if reports == 3 {
                holder = None;
            }
        });
        assert_eq!(listener.await.local_addr().unwrap(), address);
        assert_eq!(reports, 3);
    }

    #[test]
    fn the_socket_is_in_the_first_runtime_directory() {
        let at = |directory: &str| socket(&BTreeMap::from([("RUNTIME_DIRECTORY".into(), directory.into())]));
        assert_eq!(at("/run/bothends"), Some(DEFAULT_SOCKET.into()));
        assert_eq!(at("/run/bothends:/run/other"), Some(DEFAULT_SOCKET.into()));
        assert_eq!(at(""), None);
        assert_eq!(socket(&BTreeMap::new()), None);
    }

    #[tokio::test]
    async fn a_socket_that_a_crash_left_is_replaced_and_one_in_use_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let (used, stale) = (directory.path().join("control.sock"), directory.path().join("stale.sock"));
        let _listener = bind_socket(&used).unwrap();
        let text = bind_socket(&used).map(drop).unwrap_err().to_string();
        assert!(text.contains("another bothends listens there") && text.contains("SIGHUP does"), "{text}");
        for _ in 0..2 {
            drop(bind_socket(&stale).unwrap());
        }
        assert_eq!(stale.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let mut left: Vec<_> =
            fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["control.sock", "stale.sock"]);
    }
}

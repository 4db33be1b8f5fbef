//! What is listened on: the address of `[http] listen`, bound now or as soon as that can be, and the control socket.
//!
//! An address that is not here may come: a network that is up only after the boot, VRRP, DHCP, a tunnel's interface. One that is
//! taken may become free: a process that is still ending. Neither keeps anybody from watching, so both are waited for
//! and said meanwhile. `IP_FREEBIND` would bind an address before it is there, but a mistyped one as well, in silence.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time;

use crate::catalogue::parts::ListenerKind;

/// Between two attempts. Scrapes come every 10 s or less often; an attempt costs a socket.
const AGAIN: Duration = Duration::from_secs(2);

/// A bound listener.
pub trait Listener: Send + Sync + 'static {
    /// Which of the two it is, for the journal.
    const KIND: ListenerKind;
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection, and the address that it comes from, if it comes from one.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Option<IpAddr>)>> + Send;

    /// Writes what can be written without waiting.
    fn try_write(stream: &Self::Stream, bytes: &[u8]);
}

impl Listener for TcpListener {
    const KIND: ListenerKind = ListenerKind::Http;
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, Option<IpAddr>)> {
        Self::accept(self).await.map(|(stream, peer)| (stream, Some(peer.ip())))
    }

    fn try_write(stream: &TcpStream, bytes: &[u8]) {
        _ = stream.try_write(bytes);
    }
}

impl Listener for UnixListener {
    const KIND: ListenerKind = ListenerKind::Control;
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<(UnixStream, Option<IpAddr>)> {
        Self::accept(self).await.map(|(stream, _)| (stream, None))
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
/// The address is taken, is not this host's, or may not be used.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|source| BindError { address, source })
}

/// Binds it after `error`, when that can be; until then `tell` hears what is in the way, at first and after each attempt.
pub async fn bind_after(mut error: BindError, mut tell: impl FnMut(&BindError)) -> TcpListener {
    loop {
        tell(&error);
        time::sleep(AGAIN).await;
        match bind(error.address).await {
            Ok(listener) => return listener,
            Err(still) => error = still,
        }
    }
}

/// Where the package's unit has the control socket (`RuntimeDirectory=bothends`).
pub const DEFAULT_SOCKET: &str = "/run/bothends/control.sock";

/// The control socket, where systemd made a directory for it (`RUNTIME_DIRECTORY`, of several the first).
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

/// Binds the socket, in place of what a daemon that crashed has left there. Nobody else can connect at any time: it gets its
/// name when it has its mode.
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

    /// No other test's: the ports that are free there are not taken meanwhile.
    const LOOPBACK: [u8; 4] = [127, 98, 46, 1];

    #[tokio::test]
    async fn an_address_in_use_is_said_with_how_to_find_who_has_it_and_may_become_free() {
        let holder = bind(SocketAddr::from((LOOPBACK, 0))).await.unwrap();
        let error = bind(holder.local_addr().unwrap()).await.unwrap_err();
        let said = error.to_string();
        assert!(said.contains("is another bothends running?") && said.contains("ss -ltnp"), "{said}");
        assert!(error.may_pass() && !error.is_permission());
    }

    #[tokio::test]
    async fn an_address_that_is_not_here_is_said_with_where_to_look_and_may_come() {
        // RFC 5737 keeps it out of every real network.
        let error = bind("192.0.2.77:9846".parse().unwrap()).await.unwrap_err();
        let said = error.to_string();
        assert!(said.contains("does not have the address 192.0.2.77: `ip address`"), "{said}");
        assert!(error.may_pass() && !error.is_permission());
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_becomes_free_is_bound_and_until_then_it_is_said_what_is_in_the_way() {
        let holder = bind(SocketAddr::from((LOOPBACK, 0))).await.unwrap();
        let address = holder.local_addr().unwrap();
        let error = bind(address).await.unwrap_err();
        let (mut holder, mut told) = (Some(holder), 0);
        let listener = bind_after(error, |_| {
            told += 1;
            if told == 3 {
                holder = None;
            }
        });
        assert_eq!(listener.await.local_addr().unwrap(), address);
        assert_eq!(told, 3);
    }

    #[test]
    fn the_socket_is_in_the_first_directory_that_systemd_made() {
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
        let told = bind_socket(&used).map(drop).unwrap_err().to_string();
        assert!(told.contains("another bothends listens there") && told.contains("SIGHUP does"), "{told}");
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

//! Binds the address of `[http] listen`, now or as soon as that can be.
//!
//! An address that is not here may come: a network that is up only after the boot, VRRP, DHCP, a tunnel's interface. One that is
//! taken may become free: a process that is still ending. Neither keeps anybody from watching, so both are waited for
//! and said meanwhile. `IP_FREEBIND` would bind an address before it is there, but a mistyped one as well, in silence.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time;

/// Between two attempts. Whoever scrapes does so every 10 s or less often; an attempt costs a socket.
const AGAIN: Duration = Duration::from_secs(2);

/// Why the listener could not be bound.
#[derive(Debug)]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}

impl BindError {
    /// Whether a permission is missing, and not only the address.
    pub fn is_permission(&self) -> bool {
        self.source.kind() == io::ErrorKind::PermissionDenied
    }

    /// Whether it may go away by itself.
    pub fn may_pass(&self) -> bool {
        [io::ErrorKind::AddrInUse, io::ErrorKind::AddrNotAvailable].contains(&self.source.kind())
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, source } = self;
        write!(f, "[http] listen = \"{address}\": cannot listen there: {source}")?;
        let kind = source.kind();
        if kind == io::ErrorKind::AddrInUse {
            write!(f, "; is another bothends running? `ss -ltnp 'sport = :{}'` tells", address.port())?;
        } else if kind == io::ErrorKind::AddrNotAvailable {
            write!(
                f,
                "; this host does not have the address {}: `ip address` shows those it has",
                address.ip()
            )?;
        } else if kind == io::ErrorKind::PermissionDenied {
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
}

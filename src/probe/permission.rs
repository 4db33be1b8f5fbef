//! Whether this process may send echoes at all, and what would permit it.

use std::error::Error;
use std::fmt;
use std::io;

use socket2::{Domain, Protocol, Socket, Type};

use crate::health::Problem;

/// The kinds of ICMP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketKind {
    /// An ICMP datagram socket: receives the replies to its own echoes and nothing else.
    Datagram,
    /// A raw socket: receives every ICMP packet of the host.
    Raw,
}

impl From<Type> for SocketKind {
    fn from(kind: Type) -> Self {
        if kind == Type::RAW { Self::Raw } else { Self::Datagram }
    }
}

/// Neither kind of ICMP socket can be opened; the text says what would help.
#[derive(Debug)]
pub struct AccessDenied {
    datagram: io::Error,
    raw: io::Error,
    gid: u32,
}

/// The kind of ICMP socket that this process can open; datagram is tried first. Sends nothing.
///
/// # Errors
/// [`AccessDenied`] if it can open neither.
pub fn icmp_access() -> Result<SocketKind, AccessDenied> {
    let datagram = match open(Type::DGRAM) {
        Ok(()) => return Ok(SocketKind::Datagram),
        Err(error) => error,
    };
    match open(Type::RAW) {
        Ok(()) => Ok(SocketKind::Raw),
        Err(raw) => Err(AccessDenied { datagram, raw, gid: effective_gid() }),
    }
}

/// Why a process in these groups, its primary group first, cannot open an ICMP datagram socket in this network namespace, and
/// what would permit it; `None` if it can, or if that cannot be determined.
pub fn datagram_closed_to(groups: &[u32]) -> Option<String> {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ping_group_range").ok()?;
    closed_by(&range, groups)
}

fn closed_by(range: &str, groups: &[u32]) -> Option<String> {
    let mut ends = range.split_whitespace().map(str::parse::<u32>);
    let (low, high) = (ends.next()?.ok()?, ends.next()?.ok()?);
    let own = groups.first()?;
    if groups.iter().any(|group| (low..=high).contains(group)) {
        return None;
    }
    Some(format!("net.ipv4.ping_group_range is \"{low} {high}\". {}", sysctl_advice(*own)))
}

/// What raw sockets cost compared with datagram sockets, and how to avoid them.
pub(super) fn raw_in_use() -> Problem {
    let gid = effective_gid();
    Problem::raw_sockets(gid, &sysctl_advice(gid))
}

impl fmt::Display for AccessDenied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { datagram, raw, gid } = self;
        write!(
            f,
            "no permission to send ICMP probes (datagram socket: {datagram}; raw socket: {raw})\n\
             {}\n\
             Or let the service use raw sockets, at a higher cost in CPU (`systemctl edit bothends`, then restart it):\n    \
             [Service]\n    \
             AmbientCapabilities=CAP_NET_RAW\n    \
             CapabilityBoundingSet=CAP_NET_RAW\n    \
             PrivateUsers=no",
            sysctl_advice(*gid)
        )
    }
}

impl Error for AccessDenied {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.datagram)
    }
}

/// One sysctl governs both IPv4 and IPv6, and each network namespace has its own.
fn sysctl_advice(gid: u32) -> String {
    format!(
        "Allow ICMP datagram sockets for group {gid}: \
         `sysctl -w net.ipv4.ping_group_range=\"{gid} {gid}\"` (or \"0 2147483647\" for every group), \
         and the same line in /etc/sysctl.d for the next boot."
    )
}

fn open(kind: Type) -> io::Result<()> {
    Socket::new(Domain::IPV4, kind, Some(Protocol::ICMPV4)).map(drop)
}

fn effective_gid() -> u32 {
    rustix::process::getegid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_names_the_sysctl_and_the_capability_with_the_process_group_id() {
        let denied = AccessDenied {
            datagram: io::Error::from_raw_os_error(libc::EACCES),
            raw: io::Error::from_raw_os_error(libc::EPERM),
            gid: 987,
        };
        insta::assert_snapshot!(denied, @r#"
        no permission to send ICMP probes (datagram socket: Permission denied (os error 13); raw socket: Operation not permitted (os error 1))
        Allow ICMP datagram sockets for group 987: `sysctl -w net.ipv4.ping_group_range="987 987"` (or "0 2147483647" for every group), and the same line in /etc/sysctl.d for the next boot.
        Or let the service use raw sockets, at a higher cost in CPU (`systemctl edit bothends`, then restart it):
            [Service]
            AmbientCapabilities=CAP_NET_RAW
            CapabilityBoundingSet=CAP_NET_RAW
            PrivateUsers=no
        "#);
    }

    #[test]
    fn a_group_outside_the_sysctls_range_is_denied() {
        assert_eq!(closed_by("0\t2147483647\n", &[987]), None);
        assert_eq!(closed_by("987\t987\n", &[4, 987]), None, "a supplementary group counts as well");
        assert_eq!(closed_by("", &[987]), None, "what cannot be read says nothing");
        let text = closed_by("1\t0\n", &[987]).unwrap();
        assert!(
            text.starts_with(
                "net.ipv4.ping_group_range is \"1 0\". Allow ICMP datagram sockets for group 987"
            ),
            "{text}"
        );
    }
}

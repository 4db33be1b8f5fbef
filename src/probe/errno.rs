//! What an errno means for a tunnel: the one table.
//!
//! AWS contradicts a wrong loss, at the cost of a dispute; a wrong fault removes our vote, at the cost of the page. So a failure
//! to set up a socket is our fault, and a packet's failure is the tunnel's.

use std::io;

use crate::domain::event::AskFailure;
use crate::domain::verdict::{Fault, Loss};

/// The system call that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Setting up the socket: `socket`, `setsockopt` (SO_MARK, SO_BINDTODEVICE) and `bind`.
    /// They need not be distinguished: only a missing address or interface gives EADDRNOTAVAIL or ENODEV, and the other rows are
    /// the same for all three.
    Prepare,
    /// `sendto`.
    SendTo,
}

/// The outcome of a call that failed with this errno.
pub const fn meaning(call: Call, errno: i32) -> AskFailure {
    match errno {
        libc::ENOMEM => AskFailure::Fault(Fault::NoMemory),
        libc::EMFILE | libc::ENFILE => AskFailure::Fault(Fault::TooManyFiles),
        // A socket needs memory; a packet needs a place in the link's queue (netdevice(7)'s txqueuelen).
        libc::ENOBUFS => AskFailure::Fault(match call {
            Call::Prepare => Fault::NoMemory,
            Call::SendTo => Fault::QueueFull,
        }),
        errno => match call {
            Call::Prepare => prepare(errno),
            Call::SendTo => send_to(errno),
        },
    }
}

/// The outcome of a call that failed with this error.
pub(super) fn meaning_of(call: Call, error: &io::Error) -> AskFailure {
    meaning(call, errno_of(error))
}

const fn prepare(errno: i32) -> AskFailure {
    match errno {
        libc::EPERM | libc::EACCES => AskFailure::Fault(Fault::NoPermission),
        libc::EADDRNOTAVAIL | libc::ENODEV => AskFailure::AddressMissing,
        errno => AskFailure::Fault(Fault::Socket(errno)),
    }
}

const fn send_to(errno: i32) -> AskFailure {
    match errno {
        // An XFRM policy, the firewall, or a route of type prohibit or blackhole.
        libc::EPERM | libc::EACCES | libc::EINVAL => AskFailure::Lost(Loss::Blocked),
        // ENODEV, ENXIO, ENETDOWN, ENETUNREACH, EHOSTUNREACH, EADDRNOTAVAIL and anything else.
        _ => AskFailure::Lost(Loss::NoPath),
    }
}

/// For a refused socket surge-ping makes an error of its own without the errno; only its kind remains.
fn errno_of(error: &io::Error) -> i32 {
    match error.raw_os_error() {
        Some(errno) => errno,
        None if error.kind() == io::ErrorKind::PermissionDenied => libc::EACCES,
        None => libc::EIO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Call; 2] = [Call::Prepare, Call::SendTo];

    #[track_caller]
    fn means(call: Call, errnos: &[i32], meant: AskFailure) {
        for &errno in errnos {
            assert_eq!(meaning(call, errno), meant, "{call:?}: {}", io::Error::from_raw_os_error(errno));
        }
    }

    #[test]
    fn no_memory_is_a_fault_in_every_call() {
        for call in BOTH {
            means(call, &[libc::ENOMEM], AskFailure::Fault(Fault::NoMemory));
        }
        means(Call::Prepare, &[libc::ENOBUFS], AskFailure::Fault(Fault::NoMemory));
    }

    #[test]
    fn a_full_link_queue_is_neither_lack_of_memory_nor_loss() {
        means(Call::SendTo, &[libc::ENOBUFS], AskFailure::Fault(Fault::QueueFull));
    }

    #[test]
    fn too_many_files_are_a_fault_in_every_call() {
        for call in BOTH {
            means(call, &[libc::EMFILE, libc::ENFILE], AskFailure::Fault(Fault::TooManyFiles));
        }
    }

    #[test]
    fn a_socket_that_is_not_allowed_is_a_fault() {
        means(Call::Prepare, &[libc::EPERM, libc::EACCES], AskFailure::Fault(Fault::NoPermission));
    }

    #[test]
    fn an_address_or_interface_that_cannot_be_bound_is_missing() {
        means(Call::Prepare, &[libc::EADDRNOTAVAIL, libc::ENODEV], AskFailure::AddressMissing);
    }

    #[test]
    fn any_other_socket_that_cannot_be_set_up_is_a_fault_with_its_errno() {
        for errno in [libc::EINVAL, libc::EAFNOSUPPORT, libc::ENETUNREACH, libc::EIO] {
            means(Call::Prepare, &[errno], AskFailure::Fault(Fault::Socket(errno)));
        }
    }

    #[test]
    fn a_packet_that_policy_or_firewall_refuses_is_blocked() {
        means(Call::SendTo, &[libc::EPERM, libc::EACCES, libc::EINVAL], AskFailure::Lost(Loss::Blocked));
    }

    #[test]
    fn a_packet_without_a_route_has_no_path() {
        let errnos = [
            libc::ENODEV,
            libc::ENXIO,
            libc::ENETDOWN,
            libc::ENETUNREACH,
            libc::EHOSTUNREACH,
            libc::EADDRNOTAVAIL,
        ];
        means(Call::SendTo, &errnos, AskFailure::Lost(Loss::NoPath));
    }

    #[test]
    fn a_packet_refused_in_a_way_not_listed_has_no_path() {
        means(
            Call::SendTo,
            &[libc::EIO, libc::EMSGSIZE, libc::EHOSTDOWN, 4095],
            AskFailure::Lost(Loss::NoPath),
        );
    }

    #[test]
    fn a_refusal_without_errno_is_still_a_refusal() {
        let without_errno = io::Error::new(io::ErrorKind::PermissionDenied, "in words");
        assert_eq!(meaning_of(Call::Prepare, &without_errno), AskFailure::Fault(Fault::NoPermission));
    }
}

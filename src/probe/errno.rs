//! What an errno says of a tunnel: the one table.
//!
//! A wrong loss is contradicted by AWS and costs a dispute; a wrong fault takes our vote away and costs the page. So
//! setting up a socket is ours to answer for, and whatever happens to a packet is the tunnel's.

use std::io;

use crate::domain::event::AskFailure;
use crate::domain::verdict::{Fault, Loss};

/// The call that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Setting up the socket: `socket`, `bind` or `setsockopt` (`SO_BINDTODEVICE` among them). surge-ping makes them in
    /// one go, and need not tell them apart: only an address or an interface that is missing gives EADDRNOTAVAIL or
    /// ENODEV, and the other rows are the same for all three.
    Prepare,
    /// `sendto`.
    SendTo,
}

/// What this errno of this call means.
pub const fn meaning(call: Call, errno: i32) -> AskFailure {
    match errno {
        libc::ENOMEM => AskFailure::Fault(Fault::NoMemory),
        libc::EMFILE | libc::ENFILE => AskFailure::Fault(Fault::TooManyFiles),
        // Setting up a socket takes memory, and a packet a place in the link's queue (netdevice(7)'s txqueuelen).
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

/// What this error of this call means.
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
        // ENODEV, ENXIO, ENETDOWN, ENETUNREACH, EHOSTUNREACH, EADDRNOTAVAIL and whatever else a kernel may think of.
        _ => AskFailure::Lost(Loss::NoPath),
    }
}

/// surge-ping words a refused socket itself and drops the errno; the kind is left.
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
    fn a_link_that_takes_no_packet_is_no_want_of_memory_and_no_loss() {
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
    fn a_packet_without_a_way_has_no_path() {
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
    fn a_refusal_in_words_alone_is_still_a_refusal() {
        let worded = io::Error::new(io::ErrorKind::PermissionDenied, "in words");
        assert_eq!(meaning_of(Call::Prepare, &worded), AskFailure::Fault(Fault::NoPermission));
    }
}

//! Which end has a vote on which tunnel, and why not: the daemon can decide on a connection only where both ends have a vote.
//!
//! | an end says | it has | from when |
//! |---|---|---|
//! | up, down, unknown because the path is shared ([`through`](super::through)) | a vote | |
//! | unknown, since less than `stale_after` | a vote that wavers, if it has had evidence before; else none *yet* | |
//! | unknown for longer | none, and a reason | `stale_after` after its last evidence, or after watching began |
//! | AWS: gone | none, and a reason | at once |
//! | our end: unused, or the address of `votes_if_address` is not here | none is expected | |
//!
//! A connection can be decided on while one of its active tunnels has both votes (of its standby tunnels, if none is active). A
//! standby tunnel that never answers beside a working active one means less monitoring, not none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::names::{End, Role, TunnelId, VpnId};
use super::status::{Status, TunnelStatus, VpnStatus};
use super::time::Now;
use super::verdict::{Evidence, Fault, LocalEvidence, Verdict, Why};

/// Why an end has no vote on a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lack {
    /// AWS does not have the connection.
    Gone,
    /// AWS answers without data.
    NoData,
    /// AWS's evidence is too old, or has never come.
    Old,
    /// AWS's evidence cannot be used.
    Unclear,
    /// The inside address has never answered.
    NeverAnswered,
    /// A required host behind the tunnel has never answered.
    HostNeverAnswered,
    /// This host does not have the source address or the interface.
    AddressMissing,
    /// No permission to open an ICMP socket.
    NotPermitted,
    /// The kernel gives no socket.
    NoSocket,
    /// Nothing was probed for too long.
    Silent,
    /// The BGP session is required, and its daemon does not say how it is.
    SessionUnknown,
}

/// What an end has on a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vote {
    /// A vote, or one that wavers.
    Has,
    /// None is expected.
    NotExpected,
    /// None yet.
    NotYet,
    /// None, for too long.
    Lacks(Lack),
}

/// Tunnels of a connection on which an end has no vote for the same reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The connection.
    pub vpn: VpnId,
    /// Its name.
    pub name: Arc<str>,
    /// The reason; it implies the end.
    pub lack: Lack,
    /// The tunnels, in the order of the configuration.
    pub tunnels: Vec<(TunnelId, Arc<str>)>,
    /// Whether both ends still have a vote on another tunnel of the connection.
    pub decidable: bool,
}

/// Every missing vote, in the order of the configuration.
pub fn missing(status: &Status) -> Vec<Missing> {
    let mut all = Vec::new();
    for vpn in &status.vpns {
        let mut by_lack = BTreeMap::<Lack, Vec<(TunnelId, Arc<str>)>>::new();
        for tunnel in used(vpn) {
            for vote in votes(tunnel, vpn.stale_after, status.at) {
                if let Vote::Lacks(lack) = vote {
                    by_lack.entry(lack).or_default().push((tunnel.id.clone(), Arc::clone(&tunnel.name)));
                }
            }
        }
        if by_lack.is_empty() {
            continue;
        }
        let decidable = deciders(vpn).any(|tunnel| {
            votes(tunnel, vpn.stale_after, status.at).iter().all(|vote| !matches!(vote, Vote::Lacks(_)))
        });
        all.extend(by_lack.into_iter().map(|(lack, tunnels)| Missing {
            vpn: vpn.id.clone(),
            name: Arc::clone(&vpn.name),
            lack,
            tunnels,
            decidable,
        }));
    }
    all
}

/// Connections that cannot be decided on *yet*: a vote is missing, and its time has not passed.
pub fn starting(status: &Status) -> impl Iterator<Item = &VpnStatus> {
    status.vpns.iter().filter(|vpn| {
        let mut waits = false;
        for tunnel in deciders(vpn) {
            let votes = votes(tunnel, vpn.stale_after, status.at);
            if votes.iter().all(|vote| matches!(vote, Vote::Has | Vote::NotExpected)) {
                return false;
            }
            waits |=
                votes.contains(&Vote::NotYet) && !votes.iter().any(|vote| matches!(vote, Vote::Lacks(_)));
        }
        waits
    })
}

fn used(vpn: &VpnStatus) -> impl Iterator<Item = &TunnelStatus> {
    vpn.tunnels.iter().filter(|tunnel| tunnel.role != Role::Unused)
}

fn deciders(vpn: &VpnStatus) -> impl Iterator<Item = &TunnelStatus> {
    deciding(&vpn.tunnels, |tunnel| tunnel.role)
}

/// The tunnels that decide an outage: the active ones, or all used ones if none is active. Both votes on one of them are
/// enough, for readiness and for the heartbeat alike.
pub(super) fn deciding<T>(tunnels: &[T], role: impl Fn(&T) -> Role + Copy) -> impl Iterator<Item = &T> {
    let has_active = tunnels.iter().any(|tunnel| role(tunnel) == Role::Active);
    tunnels.iter().filter(move |tunnel| match role(tunnel) {
        Role::Active => true,
        Role::Standby => !has_active,
        Role::Unused => false,
    })
}

/// The votes of both ends.
fn votes(tunnel: &TunnelStatus, stale_after: Duration, now: Now) -> [Vote; 2] {
    [End::Local, End::Aws].map(|end| vote(tunnel, end, stale_after, now))
}

/// The vote of an end on a used tunnel.
pub fn vote(tunnel: &TunnelStatus, end: End, stale_after: Duration, now: Now) -> Vote {
    let view = match end {
        End::Local => &tunnel.local,
        End::Aws => &tunnel.aws,
    };
    let Verdict::Unknown(why) = view.verdict else { return Vote::Has };
    let since = now.mono.since(view.since.mono);
    let heard_before = match &view.evidence {
        Evidence::Local(evidence) => evidence.last_reply.is_some(),
        Evidence::Aws(evidence) => evidence.as_of.is_some(),
    };
    // Earlier evidence ages; without any, the time since it was first missing counts.
    let unheard_for = if heard_before { tunnel.aws_evidence_age } else { since };
    let not_for_long = if heard_before { Vote::Has } else { Vote::NotYet };
    let after = |lasted: Duration, lack| if lasted > stale_after { Vote::Lacks(lack) } else { not_for_long };
    match why {
        Why::BgpUnknown => after(since, Lack::SessionUnknown),
        Why::Unused | Why::NotHere => Vote::NotExpected,
        // It says Down as soon as the connection does not work.
        Why::Shared => Vote::Has,
        Why::Gone => Vote::Lacks(Lack::Gone),
        // It was too old from the moment when it was called stale.
        Why::Stale => Vote::Lacks(Lack::Old),
        Why::NotAsked => after(unheard_for, Lack::Old),
        Why::NoData => after(unheard_for, Lack::NoData),
        Why::Fraction | Why::Future | Why::Contradiction | Why::Garbage => after(since, Lack::Unclear),
        Why::NeverAnswered => match &view.evidence {
            Evidence::Local(LocalEvidence { through: Some(_), .. }) => after(since, Lack::HostNeverAnswered),
            Evidence::Local(_) | Evidence::Aws(_) => after(since, Lack::NeverAnswered),
        },
        Why::Fault(Fault::AddressMissing) => after(since, Lack::AddressMissing),
        Why::Fault(Fault::NoPermission) => after(since, Lack::NotPermitted),
        Why::Fault(Fault::NoMemory | Fault::TooManyFiles | Fault::Socket(_)) => after(since, Lack::NoSocket),
        Why::Starting | Why::Silent | Why::Fault(Fault::HeldUp | Fault::QueueFull) => {
            after(since, Lack::Silent)
        }
    }
}

#[cfg(test)]
mod tests;

//! Faults that a test injects: what fails, for which operation, how many times.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::clock::Epoch;
use super::refusal::Refusal;

/// A failure at AWS or on the path there.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    /// The operation's name (`StartIncident`), or `*`.
    pub(crate) operation: String,
    pub(crate) kind: FaultKind,
    /// How many requests hit it; without a number, all until it is cleared.
    #[serde(default)]
    pub(crate) times: Option<u32>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FaultKind {
    /// The service's own code and status for "too many requests".
    Throttle,
    /// The same for requests beyond this many per second.
    Rate { per_second: usize },
    /// 500.
    Internal,
    /// 503.
    Unavailable,
    /// The credentials have expired.
    Expired,
    /// IAM does not allow the action.
    Denied,
    /// RST instead of an answer; not executed.
    Reset,
    /// The connection closes without an answer; not executed.
    Close,
    /// No answer for this long, then the connection closes; not executed.
    Hang { seconds: f64 },
    /// Executed; the answer comes this late.
    Slow { seconds: f64 },
    /// Executed; the connection closes without an answer.
    LostReply,
    /// Executed; status 200 and a body that is not an answer.
    Garbage,
    /// Executed; the answer is truncated.
    Truncated,
    /// AWS's clock jumps by this much just before the request arrives, and stays there. To AWS, and to readers of its
    /// `Date`, the client's clock is off by as much from then on. (`advance_clock` does it at any other time.)
    Skew { seconds: f64 },
}

/// The point at which a fault strikes.
pub(super) enum Strike {
    /// AWS rejects the request; nothing is executed.
    Refused(Refusal),
    /// Nothing is executed, and no answer comes.
    Before { delay: f64, reset: bool },
    /// The operation is executed; its answer is damaged.
    After(Damaged),
}

/// How an answer is damaged.
pub(super) enum Damaged {
    Slow(f64),
    Lost,
    Garbage,
    Truncated,
}

impl FaultKind {
    /// How a fault affects a correctly signed request; `None`: not at all.
    pub(super) fn strike(&self, principal: &str, operation: &str) -> Option<Strike> {
        Some(match self {
            Self::Throttle | Self::Rate { .. } => Strike::Refused(Refusal::Throttled),
            Self::Internal => Strike::Refused(Refusal::Internal),
            Self::Unavailable => Strike::Refused(Refusal::Unavailable),
            Self::Expired => Strike::Refused(Refusal::ExpiredToken),
            Self::Denied => Strike::Refused(Refusal::Denied {
                principal: principal.to_owned(),
                action: operation.to_owned(),
            }),
            Self::Reset => Strike::Before { delay: 0.0, reset: true },
            Self::Close => Strike::Before { delay: 0.0, reset: false },
            Self::Hang { seconds } => Strike::Before { delay: *seconds, reset: false },
            Self::Slow { seconds } => Strike::After(Damaged::Slow(*seconds)),
            Self::LostReply => Strike::After(Damaged::Lost),
            Self::Garbage => Strike::After(Damaged::Garbage),
            Self::Truncated => Strike::After(Damaged::Truncated),
            Self::Skew { .. } => return None,
        })
    }
}

/// Takes the first fault for `operation`, and counts it.
pub(super) fn take(faults: &mut Vec<Fault>, operation: &str) -> Option<FaultKind> {
    take_if(faults, operation, |kind| !matches!(kind, FaultKind::Skew { .. } | FaultKind::Rate { .. }))
}

/// The limit that a request at `now` exceeds, if any; `admitted` are the times of those that did not.
pub(super) fn beyond(
    faults: &[Fault],
    operation: &str,
    admitted: &mut VecDeque<Epoch>,
    now: Epoch,
) -> Option<FaultKind> {
    let limits = faults.iter().filter(|fault| fault.operation == "*" || fault.operation == operation);
    let (limit, most) = limits.into_iter().find_map(|fault| match &fault.kind {
        limit @ FaultKind::Rate { per_second } => Some((limit, *per_second)),
        _ => None,
    })?;
    while admitted.front().is_some_and(|first| now - first >= 1.0) {
        admitted.pop_front();
    }
    if admitted.len() >= most {
        return Some(limit.clone());
    }
    admitted.push_back(now);
    None
}

/// How many seconds AWS's clock jumps as a request for `operation` arrives.
pub(super) fn take_skew(faults: &mut Vec<Fault>, operation: &str) -> Option<f64> {
    let skew = take_if(faults, operation, |kind| matches!(kind, FaultKind::Skew { .. }))?;
    if let FaultKind::Skew { seconds } = skew { Some(seconds) } else { None }
}

fn take_if(
    faults: &mut Vec<Fault>,
    operation: &str,
    wanted: impl Fn(&FaultKind) -> bool,
) -> Option<FaultKind> {
    let waits = |fault: &Fault| fault.operation == "*" || fault.operation == operation;
    let index = faults.iter().position(|fault| waits(fault) && wanted(&fault.kind))?;
    let fault = &mut faults[index];
    let kind = fault.kind.clone();
    fault.times = fault.times.map(|times| times.saturating_sub(1));
    if fault.times == Some(0) {
        faults.remove(index);
    }
    Some(kind)
}

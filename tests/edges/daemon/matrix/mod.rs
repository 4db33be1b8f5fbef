//! Every fault of AWS, or of the path there, at every operation that the daemon calls: afterwards everything was
//! delivered once.
//!
//! A cell of the matrix is a site of its own, with an AWS of its own, on which one outage runs through: redundancy is
//! lost, then everything is, then both tunnels heal; or BGP is down on the only tunnel, which still answers probes. Its
//! fault strikes its operation a bounded number of times. At the end there is one record of each kind, resolved, with
//! every line of its timeline once; every probed minute is in CloudWatch once; and no probe was skipped.
//!
//! Cells cost little, they wait: for probes, for back-off, and all of them for the end of the same minute. The cells of
//! a fault run side by side.
//!
//! No cell is left out. Some need an explanation:
//! - *denied* is fixed by a person. A rejected call is retried after a minute or more, and at once by a daemon that
//!   starts: once the fault has struck the daemon is restarted, except where the operation is a poll, which repeats
//!   anyway.
//! - *expired* strikes once: credentials that were good are loaded again, and the call is retried.
//! - *garbage* and *lost reply* strike after AWS has executed the request. `PutMetricData` has no token against
//!   accepting the same data twice: a minute may be there once more for each reply that the daemon did not get.
//! - *skew* sets AWS's clock forward by an hour for good at the first call of the operation: from then on ours is an
//!   hour slow.

mod cell;
mod delivered;
mod fault;
mod sinks;

use std::panic::resume_unwind;
use std::thread;

use self::cell::{Outage, play};
use self::fault::{Fault, Operation};

fn everything_is_delivered_once_after(fault: Fault) {
    everything_is_delivered_once(fault, Outage::OfTwoTunnels);
}

/// Runs the cells of a fault side by side. The panic of a cell that fails is printed with the cell's name, which is the
/// name of its thread.
fn everything_is_delivered_once(fault: Fault, outage: Outage) {
    let failed: Vec<String> = thread::scope(|scope| {
        let cells = Operation::ALL.map(|operation| {
            let name = format!("{fault:?} x {operation:?}");
            let cell = thread::Builder::new().name(name.clone());
            (name, cell.spawn_scoped(scope, move || play(fault, operation, outage)).unwrap())
        });
        let ended = cells.into_iter().map(|(name, cell)| (name, cell.join()));
        ended.filter_map(|(name, ended)| ended.is_err().then_some(name)).collect()
    });
    if !failed.is_empty() {
        resume_unwind(Box::new(format!("these cells failed, as printed above: {failed:?}")));
    }
}

#[test]
fn everything_is_delivered_once_if_any_operation_is_throttled() {
    everything_is_delivered_once_after(Fault::Throttle);
}

#[test]
fn everything_is_delivered_once_if_any_operation_fails_within_aws() {
    everything_is_delivered_once_after(Fault::Internal);
}

#[test]
fn everything_is_delivered_once_if_any_operation_is_unavailable() {
    everything_is_delivered_once_after(Fault::Unavailable);
}

#[test]
fn everything_is_delivered_once_if_the_credentials_expire_at_any_operation() {
    everything_is_delivered_once_after(Fault::Expired);
}

#[test]
fn everything_is_delivered_once_if_any_operation_is_denied_for_a_while() {
    everything_is_delivered_once_after(Fault::Denied);
}

#[test]
fn everything_is_delivered_once_if_the_connection_is_reset_at_any_operation() {
    everything_is_delivered_once_after(Fault::Reset);
}

#[test]
fn everything_is_delivered_once_if_the_connection_closes_at_any_operation() {
    everything_is_delivered_once_after(Fault::Close);
}

#[test]
fn everything_is_delivered_once_if_any_operation_is_answered_with_garbage() {
    everything_is_delivered_once_after(Fault::Garbage);
}

#[test]
fn everything_is_delivered_once_if_any_operation_hangs() {
    everything_is_delivered_once_after(Fault::Hang);
}

#[test]
fn everything_is_delivered_once_if_any_operation_is_slow() {
    everything_is_delivered_once_after(Fault::Slow);
}

#[test]
fn everything_is_delivered_once_if_the_reply_to_any_operation_is_lost() {
    everything_is_delivered_once_after(Fault::LostReply);
}

#[test]
fn everything_is_delivered_once_if_our_clock_turns_out_wrong_at_any_operation() {
    everything_is_delivered_once_after(Fault::Skew);
}

#[test]
fn everything_is_delivered_once_if_any_reply_is_lost_while_bgp_of_the_only_tunnel_is_down() {
    everything_is_delivered_once(Fault::LostReply, Outage::OfBgpOnTheOnlyTunnel);
}

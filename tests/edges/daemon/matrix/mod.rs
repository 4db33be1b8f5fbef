//! Every fault of AWS, or of the way there, at every operation that the daemon calls: afterwards everything is delivered
//! once.
//!
//! A cell of the matrix is a site of its own, with an AWS of its own, on which one outage runs through: redundancy is
//! lost, then everything is, then both tunnels heal; or BGP is down on the only tunnel, through which echoes pass. Its fault strikes its operation a bounded number of times. At the
//! end there is one record of each kind, resolved, with every line of its story once; every minute that was probed is in
//! CloudWatch once; and no echo was left out.
//!
//! Cells cost little, they wait: for echoes, for back-off, and all of them for the end of the same minute. The cells of a
//! fault run side by side.
//!
//! No cell is left out. What one of them means is not always obvious:
//! - *denied* is mended by a person. What a person must mend is tried again after a minute or more, and at once by a daemon
//!   that starts: once the fault has struck the daemon is restarted, except where it asks about tunnels, which it does
//!   again and again anyway.
//! - *expired* strikes once: credentials that were good are loaded afresh, and the call is made again.
//! - *garbage* and *lost reply* strike after AWS has done what it was asked. `PutMetricData` has no token that would keep
//!   the same data from being taken again: a minute may be there once more for each answer that the daemon did not get.
//! - *skew* sets AWS's clock forward by an hour for good as the operation is first called: ours is an hour slow from then on.

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

/// Plays the cells of a fault side by side. The panic of a cell that fails is printed with the cell's name, which is
/// that of its thread.
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
fn everything_is_delivered_once_though_any_operation_is_throttled() {
    everything_is_delivered_once_after(Fault::Throttle);
}

#[test]
fn everything_is_delivered_once_though_any_operation_fails_within_aws() {
    everything_is_delivered_once_after(Fault::Internal);
}

#[test]
fn everything_is_delivered_once_though_any_operation_is_unavailable() {
    everything_is_delivered_once_after(Fault::Unavailable);
}

#[test]
fn everything_is_delivered_once_though_the_credentials_expire_at_any_operation() {
    everything_is_delivered_once_after(Fault::Expired);
}

#[test]
fn everything_is_delivered_once_though_any_operation_is_denied_for_a_while() {
    everything_is_delivered_once_after(Fault::Denied);
}

#[test]
fn everything_is_delivered_once_though_the_connection_is_reset_at_any_operation() {
    everything_is_delivered_once_after(Fault::Reset);
}

#[test]
fn everything_is_delivered_once_though_the_connection_closes_at_any_operation() {
    everything_is_delivered_once_after(Fault::Close);
}

#[test]
fn everything_is_delivered_once_though_any_operation_is_answered_with_garbage() {
    everything_is_delivered_once_after(Fault::Garbage);
}

#[test]
fn everything_is_delivered_once_though_any_operation_hangs() {
    everything_is_delivered_once_after(Fault::Hang);
}

#[test]
fn everything_is_delivered_once_though_any_operation_is_slow() {
    everything_is_delivered_once_after(Fault::Slow);
}

#[test]
fn everything_is_delivered_once_though_the_reply_to_any_operation_is_lost() {
    everything_is_delivered_once_after(Fault::LostReply);
}

#[test]
fn everything_is_delivered_once_though_our_clock_is_found_wrong_at_any_operation() {
    everything_is_delivered_once_after(Fault::Skew);
}

#[test]
fn everything_is_delivered_once_though_the_reply_is_lost_to_any_operation_while_bgp_of_the_only_tunnel_is_down()
 {
    everything_is_delivered_once(Fault::LostReply, Outage::OfBgpOnTheOnlyTunnel);
}

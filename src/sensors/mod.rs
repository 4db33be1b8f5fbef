//! Sensors: the edges that look at a tunnel from another side than its probes do. What they find explains a break
//! ([`domain::cause`](crate::domain::cause)); none of them can delay a probe, because they run on the I/O thread, each with a
//! bound on its time and its memory.

pub mod any;
pub mod bgp;
mod bisection;
mod echo_socket;
pub mod ipsec;
pub mod mtu;
pub mod path;
mod route;
pub mod runner;
pub mod trace;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::sensor::Finding;
pub use crate::settings::Subject;

/// A sensor that has not answered after this long is given up, and its finding is
/// [`TimedOut`](crate::domain::sensor::Unavailable::TimedOut).
pub const ANSWER_WITHIN: Duration = Duration::from_secs(4);

/// The same for the bisection of the MTU, which takes many echoes one after the other.
pub const MTU_WITHIN: Duration = Duration::from_secs(30);

/// The longest answer that is read of a neighbour, in bytes: 1,000 connections are a tenth of it.
pub const ANSWER_MAX: usize = 4 << 20;

/// One way of looking at tunnels.
pub trait Sensor {
    /// Looks at these tunnels at once. One finding for each, in their order; within [`ANSWER_WITHIN`] (or [`MTU_WITHIN`]), and
    /// with at most [`ANSWER_MAX`] bytes read, whatever the neighbour does. May be dropped at any await.
    fn look(&mut self, subjects: &[Arc<Subject>]) -> impl Future<Output = Vec<Finding>> + Send;
}

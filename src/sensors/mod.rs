//! Sensors: the edges that look at a tunnel from another side than its probes do. What they find explains a break
//! ([`domain::sensor`](crate::domain::sensor)); none of them can delay a probe, because they run on the I/O thread, each with a
//! bound on its time and its memory.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::names::TunnelId;
use crate::domain::sensor::Finding;
use crate::settings::UplinkSettings;

/// A sensor that has not answered after this long is given up, and its finding is
/// [`TimedOut`](crate::domain::sensor::Unavailable::TimedOut).
pub const ANSWER_WITHIN: Duration = Duration::from_secs(4);

/// The longest answer that is read of a neighbour, in bytes: 1,000 connections are a tenth of it.
pub const ANSWER_MAX: usize = 4 << 20;

/// A tunnel, as far as a sensor must know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its identity; `outside_ip` is the IKE peer.
    pub tunnel: TunnelId,
    /// AWS's end inside the tunnel, which is the BGP neighbour.
    pub inside_ip: IpAddr,
    /// Our end inside the tunnel.
    pub source_ip: IpAddr,
    /// The tunnel's interface.
    pub interface: Option<Arc<str>>,
    /// The way to AWS's outside address.
    pub uplink: Arc<UplinkSettings>,
    /// The prefixes that the neighbour must announce, as `10.0.0.0/16`.
    pub monitored_prefixes: Arc<[Arc<str>]>,
}

/// One way of looking at tunnels.
pub trait Sensor {
    /// Looks at these tunnels at once. One finding for each, in their order; within [`ANSWER_WITHIN`], and with at most
    /// [`ANSWER_MAX`] bytes read, whatever the neighbour does. May be dropped at any await.
    fn look(&mut self, subjects: &[Arc<Subject>]) -> impl Future<Output = Vec<Finding>> + Send;
}

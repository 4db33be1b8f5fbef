//! One minute of one tunnel, aggregated: what goes to CloudWatch and stays as history.

use std::time::Duration;

use super::names::TunnelId;
use super::time::Stamp;

/// One minute of one tunnel. An echo belongs to the minute it was sent in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rollup {
    /// The tunnel.
    pub tunnel: TunnelId,
    /// The start of the minute, on our wall clock.
    pub minute: Stamp,
    /// Echoes that were answered in time.
    pub replies: u32,
    /// Echoes that were answered late.
    pub late: u32,
    /// Echoes that were lost.
    pub lost: u32,
    /// Echoes that could not be asked; no evidence.
    pub faults: u32,
    /// Round-trip times, replies and late ones, in at most [`RTT_BINS_MAX`] log-spaced bins.
    pub rtt: Vec<RttBin>,
    /// `Some(false)` if the local verdict was Down at any time of the minute, `Some(true)` if it was Up for some of it and
    /// never Down, `None` if it was Unknown throughout.
    pub up: Option<bool>,
    /// `Some(true)` if both ends agreed on Down at any time of the minute, `Some(false)` if they did not and at least one
    /// end knew, `None` if the tunnel was Blind throughout.
    pub both_ends_down: Option<bool>,
}

/// CloudWatch takes 150 values a datum; 24 log-spaced ones keep percentiles within a few per cent at a sixth of the bytes.
pub const RTT_BINS_MAX: usize = 24;

/// Round-trip times that fell together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RttBin {
    /// The mean of the round-trip times in the bin.
    pub mean: Duration,
    /// How many.
    pub count: u32,
}

impl Rollup {
    /// The lost share of the echoes that were asked, 0 to 100; `None` if none was.
    pub fn loss_percent(&self) -> Option<f64> {
        let asked = self.replies + self.late + self.lost;
        (asked > 0).then(|| f64::from(self.lost) * 100.0 / f64::from(asked))
    }
}

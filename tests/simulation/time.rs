//! The world's time, and what a gateway's clocks make of it.

use std::time::Duration;

use bothends::domain::time::{Moment, Now, Stamp};

/// What AWS's clock, which is right, says at [`Moment::ORIGIN`] of the world.
const EPOCH: Stamp = Stamp::from_secs(1_800_000_000);

/// What AWS's clock says.
pub fn aws_clock(at: Moment) -> Stamp {
    EPOCH + at.since(Moment::ORIGIN)
}

/// When AWS's clock says so.
pub fn of_aws_clock(stamp: Stamp) -> Moment {
    Moment::ORIGIN + stamp.since(EPOCH)
}

/// A gateway's clocks.
#[derive(Debug, Clone, Copy)]
pub struct Clocks {
    /// When it was booted.
    booted: Moment,
    /// How far the wall clock is ahead, in seconds.
    pub offset: i64,
}

impl Clocks {
    pub fn booted_at(at: Moment, offset: i64) -> Self {
        Self { booted: at, offset }
    }

    pub fn now(&self, at: Moment) -> Now {
        let wall = aws_clock(at);
        let beside = Duration::from_secs(self.offset.unsigned_abs());
        let wall = if self.offset < 0 { wall - beside } else { wall + beside };
        Now { mono: Moment::ORIGIN + at.since(self.booted), wall }
    }

    /// The world's time of a moment of the boot clock.
    pub fn world(&self, mono: Moment) -> Moment {
        self.booted + mono.since(Moment::ORIGIN)
    }
}

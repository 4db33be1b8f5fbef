//! The world's time, and how a gateway's clocks show it.

use std::time::Duration;

use bothends::domain::time::{Moment, Now, Stamp};

/// AWS's clock, which is right, at the world's [`Moment::ORIGIN`].
const EPOCH: Stamp = Stamp::from_secs(1_800_000_000);

pub fn aws_clock(at: Moment) -> Stamp {
    EPOCH + at.since(Moment::ORIGIN)
}

/// The moment at which AWS's clock shows this.
pub fn of_aws_clock(stamp: Stamp) -> Moment {
    Moment::ORIGIN + stamp.since(EPOCH)
}

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

    /// The world's time for a moment of the boot clock.
    pub fn world(&self, mono: Moment) -> Moment {
        self.booted + mono.since(Moment::ORIGIN)
    }
}

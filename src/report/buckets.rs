//! Where time goes: every millisecond of a period lies in exactly one bucket.

use std::fmt;
use std::iter::Sum;
use std::ops::AddAssign;
use std::time::Duration;

use super::cells::{Cell, Column};
use crate::history::{Period, Said};

/// How long something was what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Buckets {
    /// Up.
    pub up: Duration,
    /// Down.
    pub down: Duration,
    /// Observed, without a verdict.
    pub unknown: Duration,
    /// Not observed.
    pub unobserved: Duration,
    /// Silenced, apart from the three above.
    pub silenced: Silenced,
}

/// Silenced time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Silenced {
    /// Up meanwhile.
    pub up: Duration,
    /// Down meanwhile: not counted against the availability.
    pub down: Duration,
    /// Without a verdict meanwhile.
    pub unknown: Duration,
}

impl Silenced {
    /// All of it.
    pub fn all(&self) -> Duration {
        let Self { up, down, unknown } = self;
        *up + *down + *unknown
    }
}

impl Buckets {
    /// Counts the cells, as far as they lie in the period.
    pub fn of(cells: &[Cell], column: Column, period: Period) -> Self {
        let first = cells.partition_point(|cell| cell.period.until <= period.from);
        let inside = cells.iter().skip(first).take_while(|cell| cell.period.from < period.until);
        let mut buckets = Self::default();
        for cell in inside {
            let length = cell.period.overlap(period).map_or(Duration::ZERO, |part| part.length());
            *buckets.place(cell, column) += length;
        }
        buckets
    }

    fn place(&mut self, cell: &Cell, column: Column) -> &mut Duration {
        let Some(counted) = &cell.counted else { return &mut self.unobserved };
        let silenced = counted.silence.is_some();
        match (counted.said(column), silenced) {
            (Said::Up, false) => &mut self.up,
            (Said::Down, false) => &mut self.down,
            (Said::Unknown, false) => &mut self.unknown,
            (Said::Up, true) => &mut self.silenced.up,
            (Said::Down, true) => &mut self.silenced.down,
            (Said::Unknown, true) => &mut self.silenced.unknown,
        }
    }

    /// The whole period.
    pub fn all(&self) -> Duration {
        self.observed() + self.unobserved
    }

    /// What was observed of it.
    pub fn observed(&self) -> Duration {
        self.up + self.down + self.unknown + self.silenced.all()
    }

    /// Up, of the time that counts: observed, not silenced, with a verdict. `None` where there is no such time.
    pub fn availability(&self) -> Option<Share> {
        Share::of(self.up, self.up + self.down)
    }

    /// How much of the period was observed.
    pub fn coverage(&self) -> Option<Share> {
        Share::of(self.observed(), self.all())
    }
}

impl AddAssign for Buckets {
    fn add_assign(&mut self, other: Self) {
        let Self { up, down, unknown, unobserved, silenced } = other;
        self.up += up;
        self.down += down;
        self.unknown += unknown;
        self.unobserved += unobserved;
        self.silenced.up += silenced.up;
        self.silenced.down += silenced.down;
        self.silenced.unknown += silenced.unknown;
    }
}

impl Sum for Buckets {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), |mut all, part| {
            all += part;
            all
        })
    }
}

/// A part of a time that is not empty. It is shown in percent, cut and not rounded: less than all is never 100 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    part: u128,
    of: u128,
}

/// Thousandths of a percent in the whole.
const WHOLE: u128 = 100_000;

impl Share {
    fn of(part: Duration, of: Duration) -> Option<Self> {
        (!of.is_zero()).then_some(Self { part: part.as_millis(), of: of.as_millis() })
    }

    /// In thousandths of a percent, 0 to 100,000.
    pub fn milli_percent(self) -> u32 {
        u32::try_from(self.part * WHOLE / self.of.max(1)).unwrap_or(0)
    }
}

/// `99.987 %`.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milli = self.milli_percent();
        let text = if self.part == self.of {
            "100 %".to_owned()
        } else {
            format!("{}.{:03} %", milli / 1000, milli % 1000)
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(part: u64, of: u64) -> String {
        Share::of(Duration::from_millis(part), Duration::from_millis(of)).unwrap().to_string()
    }

    #[test]
    fn less_than_all_is_never_a_hundred_percent() {
        assert_eq!(share(10, 10), "100 %");
        assert_eq!(share(9_999_996, 10_000_000), "99.999 %");
        // One millisecond in 90 days.
        assert_eq!(share(90 * 86_400_000 - 1, 90 * 86_400_000), "99.999 %");
        assert_eq!(share(0, 10), "0.000 %");
        assert_eq!(share(1, 3), "33.333 %");
        assert_eq!(share(2, 3), "66.666 %");
    }

    #[test]
    fn of_no_time_there_is_no_share() {
        assert_eq!(Share::of(Duration::ZERO, Duration::ZERO), None);
        assert_eq!(
            Buckets { unobserved: Duration::from_secs(60), ..Buckets::default() }.availability(),
            None
        );
        assert_eq!(Buckets { unknown: Duration::from_secs(60), ..Buckets::default() }.availability(), None);
    }
}

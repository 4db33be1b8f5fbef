//! Durations and sizes as text: `"200ms"`, `"30s"`, `"1m30s"`, `"2h"`, `"90d"`; `"64MB"`, `"500 KiB"`, `"2GB"`.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The units, largest first, with their milliseconds.
const DURATION_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The range of a duration.
#[derive(Debug, Clone)]
pub(super) struct DurationBounds {
    range: RangeInclusive<Duration>,
}

impl DurationBounds {
    /// From `min` to `max`, both included.
    pub(super) const fn new(min: Duration, max: Duration) -> Self {
        Self { range: min..=max }
    }

    /// The duration in `text`, if it lies within.
    pub(super) fn parse(&self, text: &str) -> Option<Duration> {
        parse_duration(text).filter(|duration| self.range.contains(duration))
    }
}

impl fmt::Display for DurationBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a duration with its unit, \"{}\" to \"{}\"",
            ShownDuration(*self.range.start()),
            ShownDuration(*self.range.end())
        )
    }
}

/// Whole numbers with units, each unit smaller than the one before, with optional blanks. A bare number is invalid: nobody
/// remembers whether it means seconds.
fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut units = DURATION_UNITS.iter();
    let mut millis = None;
    while !rest.is_empty() {
        let (number, tail) = split_where(rest, |c| !c.is_ascii_digit());
        let (unit, tail) = split_where(tail.trim_start(), |c| !c.is_ascii_alphabetic());
        let (_, factor) = units.find(|(name, _)| *name == unit)?;
        let part = number.parse::<u64>().ok()?.checked_mul(*factor)?;
        millis = Some(part.checked_add(millis.unwrap_or(0))?);
        rest = tail.trim_start();
    }
    millis.map(Duration::from_millis)
}

/// The length of a unit.
pub(super) fn duration_unit(name: &str) -> Option<Duration> {
    DURATION_UNITS.iter().find(|(unit, _)| *unit == name).map(|(_, millis)| Duration::from_millis(*millis))
}

fn split_where(text: &str, end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(end).unwrap_or(text.len()))
}

/// A duration as [`parse_duration`] reads it, to the millisecond.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShownDuration(pub(super) Duration);

impl fmt::Display for ShownDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_millis();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, factor) in DURATION_UNITS {
            let count = rest / u128::from(factor);
            rest %= u128::from(factor);
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

/// The units, largest first, with their bytes: those of a thousand, as disks are sold, and those of 1024.
const SIZE_UNITS: [(&str, u64); 6] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
];

/// The range of a size.
#[derive(Debug, Clone)]
pub(super) struct SizeBounds {
    range: RangeInclusive<u64>,
}

impl SizeBounds {
    /// From `min` to `max` bytes, both included.
    pub(super) const fn new(min: u64, max: u64) -> Self {
        Self { range: min..=max }
    }

    /// The bytes in `text`, if they lie within.
    pub(super) fn parse(&self, text: &str) -> Option<u64> {
        parse_size(text).filter(|bytes| self.range.contains(bytes))
    }
}

impl fmt::Display for SizeBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (min, max) = (ShownSize(*self.range.start()), ShownSize(*self.range.end()));
        write!(f, "a size with its unit (KB, MB, GB, KiB, MiB, GiB), \"{min}\" to \"{max}\"")
    }
}

/// A whole number with a unit. A bare number is invalid: nobody remembers whether it means bytes.
fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let (_, factor) = SIZE_UNITS.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// A size in the largest unit that it is a whole number of.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShownSize(pub(super) u64);

impl fmt::Display for ShownSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SIZE_UNITS.iter().find(|(_, factor)| self.0.is_multiple_of(*factor)) {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_numbers_with_units() {
        for (text, millis) in [
            ("200ms", 200),
            ("1s", 1_000),
            ("2m", 120_000),
            ("15m", 900_000),
            ("1h", 3_600_000),
            ("90d", 90 * 86_400_000),
            ("1m30s", 90_000),
            (" 1 h  5 ms ", 3_600_005),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn an_invalid_duration_is_rejected() {
        for text in [
            "",
            " ",
            "30",
            "s",
            "1.5s",
            "-1s",
            "1S",
            "1 sec",
            "1s1m",
            "1s1s",
            "5 5s",
            "1s,",
            "99999999999999999d",
            "１s",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn a_duration_that_is_shown_can_be_read_back() {
        for millis in [0, 1, 200, 1_000, 1_500, 60_000, 90_000, 3_600_000, 86_399_999, 90 * 86_400_000] {
            let duration = Duration::from_millis(millis);
            assert_eq!(
                parse_duration(&ShownDuration(duration).to_string()),
                Some(duration),
                "{}",
                ShownDuration(duration)
            );
        }
        assert_eq!(ShownDuration(Duration::from_secs(90)).to_string(), "1m30s");
    }

    #[test]
    fn sizes_are_whole_numbers_with_a_unit() {
        for (text, bytes) in [
            ("64MB", 64_000_000),
            ("64 MiB", 67_108_864),
            (" 1GB ", 1_000_000_000),
            ("1GiB", 1 << 30),
            ("500KB", 500_000),
            ("0KiB", 0),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn an_invalid_size_is_rejected() {
        for text in ["", "64", "MB", "64mb", "64M", "1.5GB", "-1MB", "64MB 1KB", "99999999999999GB", "６４MB"]
        {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn a_size_that_is_shown_can_be_read_back() {
        for bytes in [64_000_000, 64 << 20, 4_000_000, 1 << 30, 10_000_000_000, 1024, 1000] {
            assert_eq!(parse_size(&ShownSize(bytes).to_string()), Some(bytes), "{}", ShownSize(bytes));
        }
        assert_eq!(ShownSize(64_000_000).to_string(), "64MB");
        assert_eq!(ShownSize(7).to_string(), "7 bytes");
    }
}

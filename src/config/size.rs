//! Sizes as people write them: `"64MB"`, `"500 KiB"`, `"2GB"`.

use std::fmt;
use std::ops::RangeInclusive;

/// The units, largest first, with their bytes: those of a thousand, as disks are sold, and those of 1024.
const UNITS: [(&str, u64); 6] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
];

/// What a size may be.
#[derive(Debug, Clone)]
pub(super) struct SizeBounds {
    range: RangeInclusive<u64>,
}

impl SizeBounds {
    /// From `min` to `max` bytes, both included.
    pub(super) const fn new(min: u64, max: u64) -> Self {
        Self { range: min..=max }
    }

    /// The bytes that `text` names, if they lie within.
    pub(super) fn parse(&self, text: &str) -> Option<u64> {
        parse(text).filter(|bytes| self.range.contains(bytes))
    }
}

impl fmt::Display for SizeBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (min, max) = (ShownSize(*self.range.start()), ShownSize(*self.range.end()));
        write!(f, "a size with its unit (KB, MB, GB, KiB, MiB, GiB), \"{min}\" to \"{max}\"")
    }
}

/// A whole number with a unit. A bare number is none: nobody remembers whether it means bytes.
fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// A size in the largest unit that it is a whole number of.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShownSize(pub(super) u64);

impl fmt::Display for ShownSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, factor)| self.0.is_multiple_of(*factor)) {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_told_apart() {
        for text in ["", "64", "MB", "64mb", "64M", "1.5GB", "-1MB", "64MB 1KB", "99999999999999GB", "６４MB"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read_back() {
        for bytes in [64_000_000, 64 << 20, 4_000_000, 1 << 30, 10_000_000_000, 1024, 1000] {
            assert_eq!(parse(&ShownSize(bytes).to_string()), Some(bytes), "{}", ShownSize(bytes));
        }
        assert_eq!(ShownSize(64_000_000).to_string(), "64MB");
        assert_eq!(ShownSize(7).to_string(), "7 bytes");
    }
}

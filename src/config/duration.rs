//! Durations as people write them: `"200ms"`, `"30s"`, `"1m30s"`, `"2h"`, `"90d"`.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The units, largest first, with their milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// What a duration may be.
#[derive(Debug, Clone)]
pub(super) struct DurationBounds {
    range: RangeInclusive<Duration>,
}

impl DurationBounds {
    /// From `min` to `max`, both included.
    pub(super) const fn new(min: Duration, max: Duration) -> Self {
        Self { range: min..=max }
    }

    /// The duration that `text` names, if it lies within.
    pub(super) fn parse(&self, text: &str) -> Option<Duration> {
        parse(text).filter(|duration| self.range.contains(duration))
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

/// Whole numbers with units, each unit smaller than the one before, blanks between them at will. A bare number is none:
/// nobody remembers whether it means seconds.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut units = UNITS.iter();
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

/// How long a unit is.
pub(super) fn unit(name: &str) -> Option<Duration> {
    UNITS.iter().find(|(unit, _)| *unit == name).map(|(_, millis)| Duration::from_millis(*millis))
}

fn split_where(text: &str, end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(end).unwrap_or(text.len()))
}

/// A duration as [`parse`] reads it, to the millisecond.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShownDuration(pub(super) Duration);

impl fmt::Display for ShownDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_millis();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, factor) in UNITS {
            let count = rest / u128::from(factor);
            rest %= u128::from(factor);
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
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
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_told_apart() {
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
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read_back() {
        for millis in [0, 1, 200, 1_000, 1_500, 60_000, 90_000, 3_600_000, 86_399_999, 90 * 86_400_000] {
            let duration = Duration::from_millis(millis);
            assert_eq!(
                parse(&ShownDuration(duration).to_string()),
                Some(duration),
                "{}",
                ShownDuration(duration)
            );
        }
        assert_eq!(ShownDuration(Duration::from_secs(90)).to_string(), "1m30s");
    }
}

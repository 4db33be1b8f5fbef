//! Lengths of time in words.

use std::time::Duration;

/// `0.3 s`, `12 s`, `5 min 12 s`, `3 h 5 min`, `2 d 4 h`: its two greatest units, cut.
pub(super) fn words(length: Duration) -> String {
    let seconds = length.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes, seconds % 60) {
        (0, 0, 0, 0) if !length.is_zero() => format!("{}.{} s", 0, length.as_millis().max(100) / 100),
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, m, 0) => format!("{m} min"),
        (0, 0, m, s) => format!("{m} min {s} s"),
        (0, h, 0, _) => format!("{h} h"),
        (0, h, m, _) => format!("{h} h {m} min"),
        (d, 0, ..) => format!("{d} d"),
        (d, h, ..) => format!("{d} d {h} h"),
    }
}

/// `719:54:12`: hours, minutes and seconds. Less than a second is one: there was something.
pub(super) fn hours(length: Duration) -> String {
    let seconds = if length.is_zero() { 0 } else { length.as_secs().max(1) };
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// `1 outage`, `2 outages`.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_their_two_greatest_units() {
        let cases = [
            (0, "0 s"),
            (7, "0.1 s"),
            (350, "0.3 s"),
            (12_900, "12 s"),
            (60_000, "1 min"),
            (312_000, "5 min 12 s"),
            (3_600_000, "1 h"),
            (11_105_000, "3 h 5 min"),
            (86_400_000, "1 d"),
            (187_200_000, "2 d 4 h"),
        ];
        for (millis, expected) in cases {
            assert_eq!(words(Duration::from_millis(millis)), expected);
        }
    }

    #[test]
    fn what_was_there_is_not_zero_in_hours() {
        assert_eq!(hours(Duration::ZERO), "0:00:00");
        assert_eq!(hours(Duration::from_millis(20)), "0:00:01");
        assert_eq!(hours(Duration::from_secs(2_591_652)), "719:54:12");
    }
}

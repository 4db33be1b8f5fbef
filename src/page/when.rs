//! Times for people: how long ago, and when exactly.

use serde::Serialize;

use crate::clock::rfc3339;
use crate::domain::time::Stamp;

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// A time on a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct When {
    /// For programs: RFC 3339.
    pub(super) iso: String,
    /// `03:12:07 UTC`, with the date if it is another day than the page's.
    pub(super) utc: String,
    /// `3 min ago`, `in 2 h`. The script of the page says it in the same words.
    pub(super) ago: String,
}

impl When {
    pub(super) fn of(at: Stamp, now: Stamp) -> Self {
        // Fractions of a second interest nobody here.
        let whole = Stamp::from_secs(at.as_millis().div_euclid(1000));
        Self { iso: rfc3339(whole), utc: utc(at, now), ago: ago(at, now) }
    }
}

/// `03:12:07 UTC`, `2025-11-21 03:12:07 UTC`.
pub(super) fn utc(at: Stamp, now: Stamp) -> String {
    let same_day = at.as_millis().div_euclid(DAY_MILLIS) == now.as_millis().div_euclid(DAY_MILLIS);
    formatted(at, if same_day { "%H:%M:%S UTC" } else { "%Y-%m-%d %H:%M:%S UTC" })
}

/// `03:12`.
pub(super) fn minute(at: Stamp) -> String {
    formatted(at, "%H:%M")
}

fn formatted(at: Stamp, format: &str) -> String {
    match jiff::Timestamp::from_millisecond(at.as_millis()) {
        Ok(at) => at.strftime(format).to_string(),
        Err(_) => "an unknown time".to_owned(),
    }
}

/// In one unit, rounded down.
fn ago(at: Stamp, now: Stamp) -> String {
    let (past, ahead) = (now.since(at).as_secs(), at.since(now).as_secs());
    let seconds = past.max(ahead);
    let length = match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    };
    if ahead > past { format!("in {length}") } else { format!("{length} ago") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_ago_is_said_in_one_unit() {
        let now = Stamp::from_secs(1_763_781_120);
        let said = |offset: i64| ago(Stamp::from_secs(1_763_781_120 + offset), now);
        let all = [0, -59, -60, -3599, -3600, -172_799, -172_800, 90, 7200].map(said);
        let expected = [
            "0 s ago",
            "59 s ago",
            "1 min ago",
            "59 min ago",
            "1 h ago",
            "47 h ago",
            "2 days ago",
            "in 1 min",
            "in 2 h",
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn a_time_of_another_day_has_its_date() {
        let now = Stamp::from_secs(1_763_781_120);
        assert_eq!(When::of(Stamp::from_millis(1_763_781_120_999), now).iso, "2025-11-22T03:12:00Z");
        assert_eq!(utc(now, now), "03:12:00 UTC");
        assert_eq!(utc(Stamp::from_secs(1_763_694_720), now), "2025-11-21 03:12:00 UTC");
    }
}

//! Times for people.

use jiff::Timestamp;

use crate::domain::time::Stamp;

/// The time without fractions of a second, and without its date if `near` has the same.
pub(super) fn short(time: &str, near: &str) -> String {
    let whole = match time.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => time.to_owned(),
    };
    match (whole.split_once('T'), near.split_once('T')) {
        (Some((day, clock)), Some((today, _))) if day == today => clock.to_owned(),
        _ => whole,
    }
}

/// The same for a narrow column: of another day `11-21 03:12Z`.
pub(super) fn brief(time: &str, near: &str) -> String {
    let shown = short(time, near);
    match parsed(&shown) {
        Some(at) => at.strftime("%m-%d %H:%MZ").to_string(),
        None => shown,
    }
}

/// How long before `now` the time was: `23s`, `12m`, `5h`, `4d`; `0s` of a time to come. `None` if one of the two is not a time.
pub(super) fn ago(time: &str, now: &str) -> Option<String> {
    let [time, now] = [time, now].map(parsed);
    Some(compact(now?.as_second().saturating_sub(time?.as_second()).max(0)))
}

/// So many seconds, in one unit.
pub(super) fn compact(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// The time as a number; `None` if it is not a time. As text `…:12.345Z` would come before `…:12Z`.
pub(super) fn stamp(time: &str) -> Option<Stamp> {
    Some(Stamp::from_millis(parsed(time)?.as_millisecond()))
}

fn parsed(time: &str) -> Option<Timestamp> {
    time.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_another_day_keeps_its_date() {
        assert_eq!(short("2025-11-22T03:12:04.25Z", "2025-11-22T04:00:00Z"), "03:12:04Z");
        assert_eq!(short("2025-11-21T03:12:04Z", "2025-11-22T04:00:00Z"), "2025-11-21T03:12:04Z");
        assert_eq!(brief("2025-11-22T03:12:04.25Z", "2025-11-22T04:00:00Z"), "03:12:04Z");
        assert_eq!(brief("2025-11-21T03:12:04.25Z", "2025-11-22T04:00:00Z"), "11-21 03:12Z");
        assert_eq!(brief("soon", "2025-11-22T04:00:00Z"), "soon");
    }

    #[test]
    fn how_long_ago_is_said_in_one_unit() {
        let now = "2025-11-22T04:00:00Z";
        for (time, expected) in [
            ("2025-11-22T03:59:01.9Z", "59s"),
            ("2025-11-22T03:59:00Z", "1m"),
            ("2025-11-22T03:00:01Z", "59m"),
            ("2025-11-21T04:00:01Z", "23h"),
            ("2025-11-20T04:00:00Z", "2d"),
            ("2025-11-22T05:00:00Z", "0s"),
        ] {
            assert_eq!(ago(time, now).as_deref(), Some(expected), "{time}");
        }
        assert_eq!(ago("soon", now), None);
    }
}

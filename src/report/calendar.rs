//! Days, weeks and months by the clocks of a time zone. They are as long as they are: a day has 23 or 25 hours where the clocks change.

use std::fmt;

use jiff::tz::{Disambiguation, TimeZone};
use jiff::{Span, Timestamp, ToSpan as _, civil};

use crate::domain::time::Stamp;
use crate::history::Period;

/// The clocks by which times are read and shown.
#[derive(Debug, Clone)]
pub struct Calendar {
    zone: TimeZone,
}

/// Why there is no such month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoMonth;

impl fmt::Display for NoMonth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("give a month as 2026-11")
    }
}

impl Calendar {
    /// By the clocks of this zone.
    pub const fn of(zone: TimeZone) -> Self {
        Self { zone }
    }

    /// The zone.
    pub const fn time_zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The zone's name, or its offset from UTC at this time.
    pub fn zone(&self, at: Stamp) -> String {
        self.zone.iana_name().map_or_else(|| self.format(at, "%Z"), str::to_owned)
    }

    /// `2026-11-03 02:14:05`, without the offset: the page says the zone once.
    pub fn second(&self, at: Stamp) -> String {
        self.format(at, "%Y-%m-%d %H:%M:%S")
    }

    /// `2026-11-03 02:14`.
    pub fn minute(&self, at: Stamp) -> String {
        self.format(at, "%Y-%m-%d %H:%M")
    }

    /// `02:14:05`.
    pub fn clock(&self, at: Stamp) -> String {
        self.format(at, "%H:%M:%S")
    }

    /// `2026-11-03T02:14:05+01:00`, for programs.
    pub fn rfc3339(&self, at: Stamp) -> String {
        self.format(at, "%Y-%m-%dT%H:%M:%S%.3f%:z")
    }

    /// `2026-W45`, by ISO 8601.
    pub fn week(&self, at: Stamp) -> String {
        self.format(at, "%G-W%V")
    }

    fn format(&self, at: Stamp, form: &str) -> String {
        timestamp(at).to_zoned(self.zone.clone()).strftime(form).to_string()
    }

    /// The month that is written as `2026-11`.
    ///
    /// # Errors
    /// It is not, or there is no such month.
    pub fn month(&self, text: &str) -> Result<(String, Period), NoMonth> {
        let (year, month) = text.split_once('-').ok_or(NoMonth)?;
        if year.len() != 4 || month.len() != 2 {
            return Err(NoMonth);
        }
        let first =
            civil::Date::new(year.parse().map_err(|_| NoMonth)?, month.parse().map_err(|_| NoMonth)?, 1)
                .map_err(|_| NoMonth)?;
        self.month_from(first).ok_or(NoMonth)
    }

    /// The last so many months, that of `now` included, oldest first.
    pub fn months(&self, count: u16, now: Stamp) -> Vec<(String, Period)> {
        let first = timestamp(now).to_zoned(self.zone.clone()).date().first_of_month();
        let back = |months: u16| first.checked_sub(Span::new().try_months(i64::from(months)).ok()?).ok();
        (0..count).rev().filter_map(|ago| self.month_from(back(ago)?)).collect()
    }

    fn month_from(&self, first: civil::Date) -> Option<(String, Period)> {
        let next = first.checked_add(1.month()).ok()?;
        let period = Period { from: self.midnight(first)?, until: self.midnight(next)? };
        Some((first.strftime("%Y-%m").to_string(), period))
    }

    /// When a day begins: at midnight, or when the clocks have skipped that.
    fn midnight(&self, day: civil::Date) -> Option<Stamp> {
        let ambiguous = self.zone.to_ambiguous_zoned(day.to_datetime(civil::Time::midnight()));
        let zoned = ambiguous.disambiguate(Disambiguation::Compatible).ok()?;
        Some(Stamp::from_millis(zoned.timestamp().as_millisecond()))
    }
}

/// A stamp outside the range of dates is the first or last one.
fn timestamp(at: Stamp) -> Timestamp {
    let millis = at.as_millis();
    let nearest = if millis < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(millis).unwrap_or(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin() -> Calendar {
        Calendar::of(TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap())
    }

    fn at(text: &str) -> Stamp {
        Stamp::from_millis(text.parse::<Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn months_are_as_long_as_their_clocks_say() {
        let hours = |month: &str| berlin().month(month).unwrap().1.length().as_secs_f64() / 3600.0;
        assert_eq!(hours("2026-11"), 720.0);
        assert_eq!(hours("2027-03"), 743.0);
        assert_eq!(hours("2027-10"), 745.0);
        assert_eq!(hours("2028-02"), 696.0);
    }

    #[test]
    fn a_month_begins_and_ends_at_midnight_of_the_zone() {
        let (name, period) = berlin().month("2026-10").unwrap();
        assert_eq!(name, "2026-10");
        assert_eq!(period, Period { from: at("2026-09-30T22:00:00Z"), until: at("2026-10-31T23:00:00Z") });
    }

    #[test]
    fn the_last_months_follow_each_other_and_end_with_this_one() {
        let months = berlin().months(3, at("2026-12-31T23:30:00Z"));
        let names: Vec<&str> = months.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["2026-11", "2026-12", "2027-01"], "in Berlin it is next year already");
        assert!(months.windows(2).all(|pair| pair[0].1.until == pair[1].1.from));
    }

    #[test]
    fn what_is_no_month_is_refused() {
        for text in ["", "2026", "2026-13", "2026-00", "2026-1", "26-11", "2026-11-01", "november"] {
            assert_eq!(berlin().month(text).unwrap_err(), NoMonth, "{text:?}");
        }
    }

    #[test]
    fn a_month_whose_first_midnight_is_skipped_begins_when_the_clocks_go_on() {
        // Paraguay's clocks skipped the midnight of the first Sunday in October.
        let zone = TimeZone::posix("<-04>4<-03>,M10.1.0/0,M3.4.0/0").unwrap();
        let (_, period) = Calendar::of(zone).month("2023-10").unwrap();
        assert_eq!(period.from, at("2023-10-01T04:00:00Z"));
    }

    #[test]
    fn times_are_shown_by_the_clocks_of_the_zone() {
        let at = at("2026-11-03T01:14:05.250Z");
        assert_eq!(berlin().second(at), "2026-11-03 02:14:05");
        assert_eq!(berlin().minute(at), "2026-11-03 02:14");
        assert_eq!(berlin().clock(at), "02:14:05");
        assert_eq!(berlin().rfc3339(at), "2026-11-03T02:14:05.250+01:00");
        assert_eq!(berlin().week(at), "2026-W45");
    }
}

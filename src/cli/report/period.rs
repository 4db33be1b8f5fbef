//! The period of a report, as it is written: a length back from its end, dates and times, or calendar months.

use std::fmt;
use std::time::Duration;

use jiff::tz::{AmbiguousOffset, Disambiguation, TimeZone};
use jiff::{Span, SpanRelativeTo, Timestamp, civil};

use crate::domain::time::Stamp;
use crate::history::Period;
use crate::report::{Calendar, NoMonth};
use crate::silences::Zones;

/// How far back a report goes by default.
const BY_DEFAULT: Duration = Duration::from_secs(30 * 24 * 3600);

/// The clocks by which times are read and shown.
#[derive(Debug, Clone)]
pub(super) struct Clocks(Calendar);

/// A period as it is written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted<'a> {
    pub(super) since: Option<&'a str>,
    pub(super) until: Option<&'a str>,
    pub(super) month: Option<&'a str>,
    pub(super) months: Option<u16>,
}

/// Why it is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PeriodError {
    /// The zone is not known.
    Zone(String),
    /// It has no form of a time.
    Form { option: &'static str, text: String },
    /// The clocks skip it.
    Skipped { option: &'static str, at: civil::DateTime },
    /// There is no such month.
    Month { text: String, why: NoMonth },
    /// It ends before it begins.
    Empty,
    /// It has not begun.
    Ahead,
    /// It is out of the range of dates.
    Range,
}

impl fmt::Display for PeriodError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zone(name) => write!(
                f,
                "--tz {name}: this host does not know this time zone; give a name such as Europe/Berlin or UTC (package tzdata)"
            ),
            Self::Form { option: option @ "--since", text } => write!(
                f,
                "{option} {text:?}: give a length such as 30d or 12h, or a time as 2026-11-01, \"2026-11-01 04:00\" or \
                 2026-11-01T04:00:00Z"
            ),
            Self::Form { option, text } => write!(
                f,
                "{option} {text:?}: give a time as 2026-11-01, \"2026-11-01 04:00\" or 2026-11-01T04:00:00Z"
            ),
            Self::Skipped { option, at } => {
                write!(
                    f,
                    "{option}: there is no {}: the clocks are put forward then; give another hour",
                    at.strftime("%Y-%m-%d %H:%M")
                )
            }
            Self::Month { text, why } => write!(f, "--month {text:?}: {why}"),
            Self::Empty => f.write_str("the period ends before it begins: check --since and --until"),
            Self::Ahead => f.write_str("the period has not begun yet: check the year"),
            Self::Range => f.write_str("the time is out of the range of dates: check the year"),
        }
    }
}

impl Clocks {
    /// The clocks of this zone, or of the host's.
    pub(super) fn of(name: Option<&str>, zones: Zones) -> Result<Self, PeriodError> {
        let zone = match name {
            Some(name) => zones(name).ok_or_else(|| PeriodError::Zone(name.to_owned()))?,
            None => TimeZone::try_system().unwrap_or(TimeZone::UTC),
        };
        Ok(Self(Calendar::of(zone)))
    }

    pub(super) const fn calendar(&self) -> &Calendar {
        &self.0
    }

    /// The whole period and its parts, up to the present at most.
    pub(super) fn period(
        &self,
        wanted: Wanted<'_>,
        now: Stamp,
    ) -> Result<(Period, Vec<(String, Period)>), PeriodError> {
        let Wanted { since, until, month, months } = wanted;
        let (period, parts) = match (month, months) {
            (Some(text), _) => {
                let named = self.calendar().month(text);
                let (_, period) = named.map_err(|why| PeriodError::Month { text: text.to_owned(), why })?;
                (period, Vec::new())
            }
            (None, Some(count)) => {
                let parts = self.calendar().months(count, now);
                let (first, last) = parts.first().zip(parts.last()).ok_or(PeriodError::Range)?;
                (Period { from: first.1.from, until: last.1.until }, parts)
            }
            (None, None) => {
                let until = until.map_or(Ok(now), |text| self.time("--until", text))?;
                let from = match since {
                    None => until - BY_DEFAULT,
                    Some(text) => match length(text) {
                        Some(length) => until - length,
                        None => self.time("--since", text)?,
                    },
                };
                (Period { from, until }, Vec::new())
            }
        };
        if period.until <= period.from {
            return Err(PeriodError::Empty);
        }
        if period.from >= now {
            return Err(PeriodError::Ahead);
        }
        let parts = parts.into_iter().map(|(name, part)| (name, until_now(part, now)));
        Ok((until_now(period, now), parts.collect()))
    }

    /// A date, or a time with or without an offset.
    fn time(&self, option: &'static str, text: &str) -> Result<Stamp, PeriodError> {
        let text = text.trim();
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(stamp(at));
        }
        let form = || PeriodError::Form { option, text: text.to_owned() };
        if text.len() < "2026-11-01".len() {
            return Err(form());
        }
        let at: civil::DateTime = text.parse().map_err(|_| form())?;
        let is_midnight = at.time() == civil::Time::midnight();
        let ambiguous = self.calendar().time_zone().to_ambiguous_zoned(at);
        match ambiguous.offset() {
            // A day whose first hour is skipped begins with the next.
            AmbiguousOffset::Gap { .. } if !is_midnight => return Err(PeriodError::Skipped { option, at }),
            AmbiguousOffset::Gap { .. }
            | AmbiguousOffset::Unambiguous { .. }
            | AmbiguousOffset::Fold { .. } => {}
        }
        // The clocks show an hour twice when they are put back: the longer period.
        let twice = if option == "--until" { Disambiguation::Later } else { Disambiguation::Earlier };
        let twice = if is_midnight { Disambiguation::Compatible } else { twice };
        Ok(stamp(ambiguous.disambiguate(twice).map_err(|_| PeriodError::Range)?.timestamp()))
    }
}

/// The period as far as it is past.
fn until_now(period: Period, now: Stamp) -> Period {
    Period { from: period.from.min(now), until: period.until.min(now) }
}

/// `30d`, `12h`, `1w`, by days of 24 hours.
fn length(text: &str) -> Option<Duration> {
    let span: Span = text.trim().parse().ok()?;
    let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(length).ok().filter(|length| !length.is_zero())
}

fn stamp(at: Timestamp) -> Stamp {
    Stamp::from_millis(at.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Berlin's clocks: put forward on 2027-03-28 at 02:00, back on 2027-10-31 at 03:00.
    fn berlin(_name: &str) -> Option<TimeZone> {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").ok()
    }

    const NOW: &str = "2027-12-01T12:00:00Z";

    fn at(text: &str) -> Stamp {
        stamp(text.parse().unwrap())
    }

    fn read(wanted: Wanted<'_>) -> Result<[Stamp; 2], PeriodError> {
        let clocks = Clocks::of(Some("Europe/Berlin"), berlin).unwrap();
        clocks.period(wanted, at(NOW)).map(|(Period { from, until }, _)| [from, until])
    }

    fn since(text: &str) -> Result<[Stamp; 2], PeriodError> {
        read(Wanted { since: Some(text), ..Wanted::default() })
    }

    fn both(since: &str, until: &str) -> Result<[Stamp; 2], PeriodError> {
        read(Wanted { since: Some(since), until: Some(until), ..Wanted::default() })
    }

    #[test]
    fn a_length_goes_back_from_the_end() {
        assert_eq!(read(Wanted::default()).unwrap(), [at("2027-11-01T12:00:00Z"), at(NOW)]);
        assert_eq!(since("12h").unwrap(), [at("2027-12-01T00:00:00Z"), at(NOW)]);
        assert_eq!(since("1w").unwrap(), [at("2027-11-24T12:00:00Z"), at(NOW)]);
        assert_eq!(since("1d12h").unwrap(), [at("2027-11-30T00:00:00Z"), at(NOW)]);
        let until = [at("2027-11-13T23:00:00Z"), at("2027-11-14T23:00:00Z")];
        assert_eq!(both("24h", "2027-11-15").unwrap(), until);
    }

    #[test]
    fn dates_and_times_are_by_the_clocks_of_the_zone_unless_they_have_an_offset() {
        assert_eq!(
            both("2027-07-01", "2027-07-02 04:30").unwrap(),
            [at("2027-06-30T22:00:00Z"), at("2027-07-02T02:30:00Z")]
        );
        assert_eq!(
            both("2027-07-01T00:00:00Z", "2027-07-01T12:00:00+05:00").unwrap(),
            [at("2027-07-01T00:00:00Z"), at("2027-07-01T07:00:00Z")]
        );
    }

    #[test]
    fn a_day_on_which_the_clocks_change_has_23_or_25_hours() {
        for (day, next, hours) in [("2027-03-28", "2027-03-29", 23), ("2027-10-31", "2027-11-01", 25)] {
            let [from, until] = both(day, next).unwrap();
            assert_eq!(until.since(from), Duration::from_secs(hours * 3600));
        }
    }

    #[test]
    fn an_hour_that_comes_twice_makes_the_longer_period_and_one_that_is_skipped_is_refused() {
        let twice = both("2027-10-31 02:30", "2027-10-31 02:45").unwrap();
        assert_eq!(twice, [at("2027-10-31T00:30:00Z"), at("2027-10-31T01:45:00Z")]);
        assert_eq!(
            since("2027-03-28 02:30").unwrap_err().to_string(),
            "--since: there is no 2027-03-28 02:30: the clocks are put forward then; give another hour"
        );
    }

    #[test]
    fn a_month_that_is_not_over_ends_now() {
        let clocks = Clocks::of(Some("Europe/Berlin"), berlin).unwrap();
        let wanted = Wanted { months: Some(2), ..Wanted::default() };
        let (period, parts) = clocks.period(wanted, at(NOW)).unwrap();
        assert_eq!(period, Period { from: at("2027-10-31T23:00:00Z"), until: at(NOW) });
        let names: Vec<_> = parts.iter().map(|(name, part)| (name.as_str(), part.until)).collect();
        assert_eq!(names, [("2027-11", at("2027-11-30T23:00:00Z")), ("2027-12", at(NOW))]);
        let month = read(Wanted { month: Some("2027-12"), ..Wanted::default() }).unwrap();
        assert_eq!(month, [at("2027-11-30T23:00:00Z"), at(NOW)]);
    }

    #[test]
    fn what_is_no_period_is_refused_with_what_to_give() {
        for text in ["", "yesterday", "30", "12:00", "-3h", "0h", "1 month", "2027-13-01", "2027-11-01 25:00"]
        {
            let error = since(text).unwrap_err().to_string();
            assert!(error.contains("give a length such as 30d"), "{text:?}: {error}");
        }
        let error = both("1d", "12h").unwrap_err().to_string();
        assert!(error.starts_with("--until \"12h\": give a time as 2026-11-01"), "{error}");
        assert_eq!(both("2027-11-02", "2027-11-01"), Err(PeriodError::Empty));
        assert_eq!(since("2028-01-01"), Err(PeriodError::Empty));
        assert_eq!(both("2028-01-01", "2028-02-01"), Err(PeriodError::Ahead));
        assert!(matches!(
            read(Wanted { month: Some("2028-01"), ..Wanted::default() }),
            Err(PeriodError::Ahead)
        ));
        assert!(matches!(
            read(Wanted { month: Some("11"), ..Wanted::default() }),
            Err(PeriodError::Month { .. })
        ));
        assert!(matches!(Clocks::of(Some("Mars"), |_| None), Err(PeriodError::Zone(_))));
    }
}

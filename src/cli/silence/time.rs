//! Times as people write them, and as they read them: with a date and an offset, or by the clocks of a time zone.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::{AmbiguousOffset, Disambiguation, TimeZone};
use jiff::{Span, SpanRelativeTo, Timestamp, civil};

use crate::domain::time::Stamp;
use crate::silences::{Until, Zones};

/// The clocks by which times without an offset are meant.
#[derive(Debug, Clone)]
pub(super) struct Times {
    zone: TimeZone,
}

/// A window as it is written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Window<'a> {
    pub(super) from: Option<&'a str>,
    pub(super) until: Option<&'a str>,
    pub(super) length: Option<&'a str>,
}

/// Why a time is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TimeError {
    /// The zone is not known.
    Zone(String),
    /// The host's zone has no name, and a weekly silence needs one.
    NoName,
    /// It has no form of a time.
    Form { option: &'static str, text: String },
    /// The clocks skip it.
    Skipped { option: &'static str, at: civil::DateTime },
    /// It has no form of a duration.
    Length(String),
    /// It lasts no time at all.
    Empty(String),
    /// It is out of the range of dates.
    Range,
}

impl fmt::Display for TimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zone(name) => write!(
                f,
                "--tz {name}: this host does not know this time zone; give a name such as Europe/Berlin or UTC (package tzdata)"
            ),
            Self::NoName => {
                f.write_str("the time zone of this host has no name, which --weekly needs: give --tz")
            }
            Self::Form { option, text } => write!(
                f,
                "{option} {text:?}: give a time as 2026-12-01T04:00:00Z, \"2026-12-01 04:00\", 2026-12-01 (00:00 of that day) or 04:00"
            ),
            Self::Skipped { option, at } => write!(
                f,
                "{option}: there is no {}: the clocks are put forward then; give another hour",
                at.strftime("%Y-%m-%d %H:%M")
            ),
            Self::Length(text) => write!(f, "--for {text:?}: give a duration as 90m, 2h or 1d12h"),
            Self::Empty(text) => {
                write!(f, "--for {text:?}: that is no time at all; give a duration as 90m, 2h or 1d12h")
            }
            Self::Range => f.write_str("the time is out of range: check the year"),
        }
    }
}

impl Times {
    /// By the clocks of this zone, or of the host's.
    pub(super) fn of(name: Option<&str>, zones: Zones) -> Result<Self, TimeError> {
        match name {
            Some(name) => {
                zones(name).map(|zone| Self { zone }).ok_or_else(|| TimeError::Zone(name.to_owned()))
            }
            None => Ok(Self::here()),
        }
    }

    /// By the host's clocks.
    pub(super) fn here() -> Self {
        Self { zone: TimeZone::try_system().unwrap_or(TimeZone::UTC) }
    }

    /// The zone's name.
    pub(super) fn name(&self) -> Result<Arc<str>, TimeError> {
        self.zone.iana_name().map(Into::into).ok_or(TimeError::NoName)
    }

    /// The beginning of a window, if it is given, and the end. What is not a date is reckoned by the daemon, whose clock decides.
    pub(super) fn window(&self, window: Window<'_>, now: Stamp) -> Result<(Option<Stamp>, Until), TimeError> {
        let Window { from, until, length } = window;
        let from = from.map(|text| self.read("--from", text, now, Disambiguation::Earlier)).transpose()?;
        let until = match (until, length) {
            // The clocks show an hour twice when they are put back: the longer window.
            (Some(text), _) => {
                Until::At(self.read("--until", text, from.unwrap_or(now), Disambiguation::Later)?)
            }
            (None, Some(text)) => Until::After(duration(text)?),
            (None, None) => return Err(TimeError::Form { option: "--until", text: String::new() }),
        };
        Ok((from, until))
    }

    /// A time; an hour alone is the next after `after`.
    fn read(
        &self,
        option: &'static str,
        text: &str,
        after: Stamp,
        twice: Disambiguation,
    ) -> Result<Stamp, TimeError> {
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(stamp(at));
        }
        let form = || TimeError::Form { option, text: text.to_owned() };
        let resolve = |at: civil::DateTime| {
            let ambiguous = self.zone.to_ambiguous_zoned(at);
            match ambiguous.offset() {
                AmbiguousOffset::Gap { .. } => return Err(TimeError::Skipped { option, at }),
                AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => {}
            }
            let zoned = ambiguous.disambiguate(twice).map_err(|_| TimeError::Range)?;
            Ok(stamp(zoned.timestamp()))
        };
        if text.len() > "23:59:59".len() {
            return resolve(text.parse().map_err(|_| form())?);
        }
        let time: civil::Time =
            Some(text).filter(|text| text.contains(':')).ok_or_else(form)?.parse().map_err(|_| form())?;
        let after = Timestamp::from_millisecond(after.as_millis()).map_err(|_| TimeError::Range)?;
        let shown = after.to_zoned(self.zone.clone()).datetime();
        let today = shown.date();
        let has_passed = time <= shown.time();
        let day = if has_passed { today.tomorrow().map_err(|_| TimeError::Range)? } else { today };
        resolve(day.to_datetime(time))
    }

    /// `2026-12-01 04:00 CET`.
    fn show(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string()
    }
}

/// `90m`, `2h`, `1d12h`, by days of 24 hours.
fn duration(text: &str) -> Result<Duration, TimeError> {
    let wrong = || TimeError::Length(text.to_owned());
    let span: Span = text.trim().parse().map_err(|_| wrong())?;
    let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    let length = Duration::try_from(length).map_err(|_| wrong())?;
    if length.is_zero() { Err(TimeError::Empty(text.to_owned())) } else { Ok(length) }
}

fn stamp(at: Timestamp) -> Stamp {
    Stamp::from_millis(at.as_millisecond())
}

/// A time of the daemon's answer by the reader's clocks; as it is, if it is none.
pub(super) fn shown(text: &str, times: &Times) -> String {
    text.parse().map_or_else(|_| text.to_owned(), |at| times.show(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Berlin's clocks: put forward on 2027-03-28 at 02:00, back on 2027-10-31 at 03:00.
    fn berlin(_name: &str) -> Option<TimeZone> {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").ok()
    }

    fn at(text: &str) -> Stamp {
        stamp(text.parse().unwrap())
    }

    fn read(from: Option<&str>, until: &str, now: &str) -> Result<[Stamp; 2], TimeError> {
        let times = Times::of(Some("Europe/Berlin"), berlin).unwrap();
        let window = Window { from, until: Some(until), length: None };
        let (from, until) = times.window(window, at(now))?;
        match until {
            Until::At(until) => Ok([from.unwrap_or_else(|| at(now)), until]),
            Until::After(_) => panic!("no length was given"),
        }
    }

    #[test]
    fn a_time_has_an_offset_or_is_by_the_clocks_of_the_zone() {
        let now = "2026-12-01T12:00:00Z";
        let [from, until] = read(Some("2026-12-02 02:00"), "2026-12-02T04:00:00Z", now).unwrap();
        assert_eq!([from, until], [at("2026-12-02T01:00:00Z"), at("2026-12-02T04:00:00Z")]);
        assert_eq!(
            read(None, "2026-12-06", now).unwrap()[1],
            at("2026-12-05T23:00:00Z"),
            "00:00 of that day"
        );
        assert_eq!(read(None, "2026-07-01T02:30", now).unwrap(), [at(now), at("2026-07-01T00:30:00Z")]);
    }

    #[test]
    fn an_hour_alone_is_the_next_one_and_the_end_comes_after_the_beginning() {
        let now = "2026-12-01T12:00:00Z";
        let both = |from, until| read(Some(from), until, now).unwrap();
        assert_eq!(both("13:30", "14:00"), [at("2026-12-01T12:30:00Z"), at("2026-12-01T13:00:00Z")]);
        assert_eq!(both("13:00", "14:00"), [at("2026-12-02T12:00:00Z"), at("2026-12-02T13:00:00Z")]);
        assert_eq!(both("22:00", "02:00"), [at("2026-12-01T21:00:00Z"), at("2026-12-02T01:00:00Z")]);
    }

    #[test]
    fn an_hour_that_the_clocks_skip_is_refused_and_one_that_they_show_twice_is_the_longer_window() {
        let skipped = read(None, "2027-03-28 02:30", "2027-03-27T12:00:00Z").unwrap_err();
        assert_eq!(
            skipped.to_string(),
            "--until: there is no 2027-03-28 02:30: the clocks are put forward then; give another hour"
        );
        assert!(read(None, "02:30", "2027-03-27T23:30:00Z").is_err());
        let twice = read(Some("2027-10-31 02:15"), "2027-10-31 02:45", "2027-10-30T12:00:00Z").unwrap();
        assert_eq!(twice, [at("2027-10-31T00:15:00Z"), at("2027-10-31T01:45:00Z")]);
    }

    #[test]
    fn what_is_no_time_or_duration_is_refused_with_the_forms() {
        for text in ["", "tomorrow", "4", "0400", "25:00", "2026-13-01 04:00", "04:00 CET"] {
            let error = read(None, text, "2026-12-01T12:00:00Z").unwrap_err();
            assert!(error.to_string().contains("give a time as 2026-12-01T04:00:00Z"), "{text:?}: {error}");
        }
        for (text, hours) in [("90m", 1.5), ("2h", 2.0), ("1d12h", 36.0), ("1 day", 24.0)] {
            assert_eq!(duration(text).unwrap().as_secs_f64(), hours * 3600.0, "{text}");
        }
        let nothing = duration("0s").unwrap_err().to_string();
        assert_eq!(nothing, "--for \"0s\": that is no time at all; give a duration as 90m, 2h or 1d12h");
        for text in ["", "2", "two hours", "-2h", "1 month"] {
            assert_eq!(duration(text), Err(TimeError::Length(text.to_owned())));
        }
        assert!(matches!(Times::of(Some("Mars"), |_| None), Err(TimeError::Zone(_))));
    }
}

//! 24 hours of both ends of a tunnel, one above the other: runs of one verdict, as rectangles and in words.

use std::time::Duration;

use serde::Serialize;

use super::when::{minute, utc};
use crate::domain::time::Stamp;
use crate::history::{Period, Said, Span};

/// A strip is so many units wide: one is a minute.
pub(super) const WIDTH: f64 = 1440.0;

/// Shorter times would be invisible on a phone. They are drawn over what comes next to them.
const WIDTH_MIN: f64 = 5.0;

/// With more runs than this, each quarter of an hour is drawn as the worst in it.
const RUNS_MAX: usize = 48;
const QUARTER: Duration = Duration::from_secs(15 * 60);

/// More bars than this have no titles of their own: the words beside the strip say the same.
const TITLES_MAX: usize = 24;

/// A line in words names so many times.
const NAMED_MAX: usize = 4;

/// Both ends of a tunnel.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Strips {
    pub(super) local: Strip,
    pub(super) aws: Strip,
}

/// One end.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Strip {
    /// Rectangles, those that must be seen last.
    pub(super) bars: Vec<Bar>,
    /// The same in words: `up, except down 12:03–12:17`.
    pub(super) words: String,
}

/// A time in which an end said the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Bar {
    /// `up`, `down`, `unknown` or `off`: not observed.
    pub(super) class: &'static str,
    pub(super) x: String,
    pub(super) width: String,
    /// `down 12:03–12:17`.
    pub(super) title: Option<String>,
}

/// A run: what an end said; `None` while it was not observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    period: Period,
    said: Option<Said>,
}

impl Strips {
    /// `None` without history of the tunnel.
    pub(super) fn of(spans: &[Span], period: Period) -> Option<Self> {
        (!spans.is_empty()).then(|| Self {
            local: Strip::of(spans, period, |span| span.state.map(|state| state.local)),
            aws: Strip::of(spans, period, |span| span.state.map(|state| state.aws)),
        })
    }
}

impl Strip {
    fn of(spans: &[Span], period: Period, said: impl Fn(&Span) -> Option<Said>) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        for span in spans {
            let said = said(span);
            match runs.last_mut() {
                Some(last) if last.said == said => last.period.until = span.period.until,
                Some(_) | None => runs.push(Run { period: span.period, said }),
            }
        }
        let mut drawn = if runs.len() > RUNS_MAX { quarters(&runs, period) } else { runs.clone() };
        let titled = drawn.len() <= TITLES_MAX;
        drawn.sort_by_key(|run| order(run.said));
        Self {
            bars: drawn.iter().map(|run| bar(*run, period, titled)).collect(),
            words: words(&runs, period),
        }
    }
}

const fn order(said: Option<Said>) -> u8 {
    match said {
        None => 0,
        Some(Said::Up) => 1,
        Some(Said::Unknown) => 2,
        Some(Said::Down) => 3,
    }
}

/// The worst of each quarter of an hour.
fn quarters(runs: &[Run], all: Period) -> Vec<Run> {
    let mut drawn: Vec<Run> = Vec::new();
    let mut from = all.from;
    while from < all.until {
        let until = (from + QUARTER).min(all.until);
        let within = runs.iter().filter(|run| run.period.from < until && from < run.period.until);
        let said = within.map(|run| run.said).max_by_key(|said| order(*said)).flatten();
        match drawn.last_mut() {
            Some(last) if last.said == said => last.period.until = until,
            Some(_) | None => drawn.push(Run { period: Period { from, until }, said }),
        }
        from = until;
    }
    drawn
}

const fn class(said: Option<Said>) -> &'static str {
    match said {
        None => "off",
        Some(said) => said.as_str(),
    }
}

const fn word(said: Option<Said>) -> &'static str {
    match said {
        None => "not observed",
        Some(said) => said.as_str(),
    }
}

fn bar(Run { period: Period { from, until }, said }: Run, all: Period, titled: bool) -> Bar {
    let minutes = |at: Stamp| at.since(all.from).as_secs_f64() / 60.0;
    let (x, end) = (minutes(from), minutes(until));
    let width = (end - x).max(WIDTH_MIN);
    // What ends now must not stick out.
    let x = x.min(WIDTH - width);
    let title = titled.then(|| format!("{} {}", word(said), times(Period { from, until }, all)));
    Bar { class: class(said), x: number(x), width: number(width), title }
}

/// With at most one decimal, and none where it is zero.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// `12:03–12:17`, `since 12:03`, `until 12:17`, `all the time`.
fn times(Period { from, until }: Period, all: Period) -> String {
    // Two days have each hour twice.
    let named = |at: Stamp| {
        let text = utc(at, all.until);
        if text.contains('-') { format!("yesterday {}", minute(at)) } else { minute(at) }
    };
    match (from <= all.from, until >= all.until) {
        (true, true) => "all the time".to_owned(),
        (true, false) => format!("until {}", named(until)),
        (false, true) => format!("since {}", named(from)),
        (false, false) if minute(from) == minute(until) => named(from),
        (false, false) => format!("{}–{}", named(from), minute(until)),
    }
}

/// What was said most of the time, and the exceptions, the newest first: `observed since 12:00; up, except down 12:03–12:17`.
fn words(runs: &[Run], all: Period) -> String {
    if let [Run { period: before, said: None }, runs @ ..] = runs
        && !runs.is_empty()
    {
        return format!(
            "observed {}; {}",
            times(Period { from: before.until, ..all }, all),
            words(runs, all)
        );
    }
    let length = |said: Option<Said>| -> u128 {
        let of = runs.iter().filter(|run| run.said == said);
        of.map(|run| run.period.until.since(run.period.from).as_millis()).sum()
    };
    let every = [None, Some(Said::Up), Some(Said::Unknown), Some(Said::Down)];
    let Some(usual) = every.into_iter().max_by_key(|said| length(*said)) else { return String::new() };
    let others: Vec<&Run> = runs.iter().rev().filter(|run| run.said != usual).collect();
    // What was down comes first.
    let down = others.iter().filter(|run| run.said == Some(Said::Down));
    let rest = others.iter().filter(|run| run.said != Some(Said::Down));
    let named = down.chain(rest).take(NAMED_MAX);
    let named: Vec<_> = named.map(|run| format!("{} {}", word(run.said), times(run.period, all))).collect();
    let more = match others.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    if named.is_empty() {
        format!("{} all the time", word(usual))
    } else {
        format!("{}, except {}{more}", word(usual), named.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::verdict::Assessment;
    use crate::history::State;

    /// 2025-11-22T12:00:00Z.
    const NOON: i64 = 1_763_812_800;

    fn all() -> Period {
        Period { from: Stamp::from_secs(NOON - 86_400), until: Stamp::from_secs(NOON) }
    }

    /// The verdicts of both ends from each minute of the 24 hours on.
    fn spans(runs: &[(i64, Option<(Said, Said)>)]) -> Vec<Span> {
        let at = |minute: i64| Stamp::from_secs(NOON - 86_400 + 60 * minute);
        let ends = runs.iter().skip(1).map(|(minute, _)| *minute).chain([1440]);
        let spans = runs.iter().zip(ends).map(|((from, said), until)| Span {
            period: Period { from: at(*from), until: at(until) },
            state: said.map(|(local, aws)| State {
                local,
                aws,
                assessment: Assessment::Blind,
                cause: None,
                silence: None,
            }),
        });
        spans.collect()
    }

    #[test]
    fn both_ends_stand_one_above_the_other_with_the_gap_between_them() {
        use Said::{Down, Up};
        let spans = spans(&[
            (0, Some((Up, Up))),
            (1423, Some((Down, Up))),
            (1425, Some((Down, Down))),
            (1437, Some((Up, Down))),
            (1438, Some((Up, Up))),
        ]);
        let Strips { local, aws } = Strips::of(&spans, all()).unwrap();
        assert_eq!(local.words, "up, except down 11:43–11:57");
        assert_eq!(aws.words, "up, except down 11:45–11:58");
        let shown = |strip: &Strip| -> Vec<String> {
            strip.bars.iter().map(|bar| format!("{} {}+{}", bar.class, bar.x, bar.width)).collect()
        };
        assert_eq!(shown(&local), ["up 0+1423", "up 1435+5", "down 1423+14"]);
        assert_eq!(shown(&aws), ["up 0+1425", "up 1435+5", "down 1425+13"]);
    }

    #[test]
    fn what_was_not_observed_is_neither_up_nor_down() {
        use Said::{Unknown, Up};
        let spans = spans(&[
            (0, None),
            (10, Some((Unknown, Up))),
            (12, Some((Up, Up))),
            (600, None),
            (660, Some((Up, Up))),
        ]);
        let strips = Strips::of(&spans, all()).unwrap();
        assert_eq!(
            strips.local.words,
            "observed since yesterday 12:10; up, except not observed yesterday 22:00–23:00, unknown yesterday 12:10–12:12"
        );
        assert_eq!(strips.local.bars[0].class, "off");
    }

    #[test]
    fn a_short_break_is_visible_and_a_long_list_is_cut() {
        use Said::{Down, Up};
        let mut runs = vec![(0, Some((Up, Up)))];
        for n in 0..10 {
            runs.push((100 + n * 100, Some((Down, Up))));
            runs.push((101 + n * 100, Some((Up, Up))));
        }
        let strips = Strips::of(&spans(&runs), all()).unwrap();
        let down: Vec<_> = strips.local.bars.iter().filter(|bar| bar.class == "down").collect();
        assert_eq!(
            (down.len(), &*down[0].width, down[0].title.as_deref()),
            (10, "5", Some("down yesterday 13:40–13:41"))
        );
        assert!(
            strips.local.words.ends_with("down yesterday 23:40–23:41, and 6 more"),
            "{}",
            strips.local.words
        );
        assert_eq!(strips.aws.words, "up all the time");
        assert_eq!(Strips::of(&[], all()), None);
    }

    #[test]
    fn a_line_that_flaps_all_day_is_drawn_by_the_quarter_of_an_hour() {
        use Said::{Down, Up};
        let runs: Vec<_> = (0..1440)
            .map(|minute| (minute, Some(if minute % 2 == 0 { (Up, Up) } else { (Down, Up) })))
            .collect();
        let strips = Strips::of(&spans(&runs), all()).unwrap();
        assert_eq!(strips.local.bars.len(), 1, "{:?}", strips.local.bars);
        let mut half = runs;
        half.retain(|(minute, _)| minute % 30 < 11);
        let strips = Strips::of(&spans(&half), all()).unwrap();
        assert!((2..=97).contains(&strips.local.bars.len()), "{}", strips.local.bars.len());
        assert!(strips.local.bars.iter().all(|bar| bar.title.is_none()));
        assert!(strips.local.words.ends_with("more"), "{}", strips.local.words);
    }
}

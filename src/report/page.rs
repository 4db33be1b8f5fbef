//! A page for people, before it has a format: headings, paragraphs, tables, charts.

mod html;
mod markdown;
mod text;

pub use self::html::html;
pub use self::markdown::markdown;
pub use self::text::text;

use crate::domain::time::Stamp;
use crate::history::Period;

/// A page. Its texts may hold what others named: each format escapes all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The title.
    pub title: String,
    /// What follows.
    pub blocks: Vec<Block>,
}

/// A part of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// A heading below the title: 1 or 2.
    Heading(u8, String),
    /// A paragraph.
    Paragraph(String),
    /// A table.
    Table(Table),
    /// One line each.
    List(Vec<String>),
    /// What was so along a time.
    Chart(Chart),
}

/// A table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// The title of each column.
    pub head: Vec<Head>,
    /// The rows, with as many cells.
    pub rows: Vec<Vec<String>>,
}

/// The head of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its title.
    pub title: String,
    /// Whether it holds numbers, which are aligned right.
    pub number: bool,
}

/// Strips along one axis of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chart {
    /// The axis.
    pub period: Period,
    /// Its ends, in words.
    pub ends: [String; 2],
    /// The strips, each with its name.
    pub strips: Vec<(String, Vec<(Period, Shade)>)>,
}

/// What a strip shows of a stretch of time; of several within one step of the chart the greatest is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shade {
    /// Up.
    Up,
    /// Not observed.
    Unobserved,
    /// Observed, without a verdict.
    Unknown,
    /// Down.
    Down,
}

impl Shade {
    const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Unobserved => "unobserved",
            Self::Unknown => "unknown",
            Self::Down => "down",
        }
    }
}

impl Table {
    /// A table with columns of words and columns of numbers; the latter begin with a `#`.
    pub fn with(titles: &[&str]) -> Self {
        let head = titles.iter().map(|title| match title.strip_prefix('#') {
            Some(title) => Head { title: title.to_owned(), number: true },
            None => Head { title: (*title).to_owned(), number: false },
        });
        Self { head: head.collect(), rows: Vec::new() }
    }
}

impl Chart {
    /// A strip in so many steps: one after another, what lies in it, as step and number of equal ones.
    fn steps(&self, parts: &[(Period, Shade)], steps: u32) -> Vec<(Shade, u32)> {
        let length = self.period.length();
        let edge = |step: u32| self.period.from + length * step / steps.max(1);
        let mut found: Vec<(Shade, u32)> = Vec::new();
        let mut first = 0;
        for step in 0..steps {
            let (from, until) = (edge(step), edge(step + 1));
            // A step shorter than a millisecond shows what is so at its beginning.
            let until = until.max(Stamp::from_millis(from.as_millis().saturating_add(1)));
            while parts.get(first).is_some_and(|(part, _)| part.until <= from) {
                first += 1;
            }
            let inside = parts.iter().skip(first).take_while(|(part, _)| part.from < until);
            let shade = inside.map(|(_, shade)| *shade).max().unwrap_or(Shade::Unobserved);
            match found.last_mut() {
                Some((last, count)) if *last == shade => *count += 1,
                Some(_) | None => found.push((shade, 1)),
            }
        }
        found
    }
}

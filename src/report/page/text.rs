//! A page for a terminal of 80 columns.

use std::fmt::Write as _;

use super::{Block, Chart, Page, Shade, Table};

const COLUMNS: usize = 80;
/// A name is not cut shorter than this.
const NAME_MIN: usize = 10;
/// A last column that is broken into lines is no narrower.
const LINES_MIN: usize = 24;

/// The page as text. Control characters of foreign names become U+FFFD.
pub fn text(page: &Page) -> String {
    let mut out = String::new();
    let Page { title, blocks } = page;
    paragraph(&mut out, title);
    for block in blocks {
        out.push('\n');
        match block {
            Block::Heading(1, words) => {
                let words = plain(words);
                let _ = writeln!(out, "{words}\n{}", "-".repeat(words.chars().count().min(COLUMNS)));
            }
            Block::Heading(_, words) => paragraph(&mut out, words),
            Block::Paragraph(words) => paragraph(&mut out, words),
            Block::Table(of) => table(&mut out, of),
            Block::List(lines) => {
                for line in lines {
                    wrapped(&mut out, &format!("- {}", plain(line)), "  ");
                }
            }
            Block::Chart(of) => chart(&mut out, of),
        }
    }
    out
}

/// Without control characters.
pub(super) fn plain(words: &str) -> String {
    words.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn paragraph(out: &mut String, words: &str) {
    wrapped(out, &plain(words), "");
}

/// Breaks lines between words.
fn wrapped(out: &mut String, words: &str, indent: &str) {
    for line in lines(words, COLUMNS, indent) {
        let _ = writeln!(out, "{line}");
    }
}

/// The words in lines of so many columns, all but the first indented. A number stays with its unit, and a word is not broken.
fn lines(words: &str, columns: usize, indent: &str) -> Vec<String> {
    let (mut lines, mut line, mut is_new) = (Vec::new(), String::new(), true);
    for part in parts(words) {
        let is_full = line.chars().count() + 1 + part.chars().count() > columns;
        if is_full && !is_new {
            lines.push(std::mem::replace(&mut line, indent.to_owned()));
        } else if !is_new {
            line.push(' ');
        }
        line.push_str(&part);
        is_new = false;
    }
    lines.push(line);
    lines
}

/// The words, those that stay on one line as one.
fn parts(words: &str) -> Vec<String> {
    const UNITS: [&str; 5] = ["s", "min", "h", "d", "%"];
    let mut parts: Vec<String> = Vec::new();
    for word in words.split(' ') {
        let is_unit = UNITS.contains(&word.trim_end_matches(|c: char| !c.is_alphanumeric() && c != '%'));
        let is_number = !word.is_empty() && word.chars().all(|c| c.is_ascii_digit());
        let follows = |last: &str| match last.rsplit_once(' ') {
            Some((_, unit)) if is_number => UNITS.contains(&unit),
            Some(_) | None => is_unit && last.ends_with(|c: char| c.is_ascii_digit()),
        };
        match parts.last_mut() {
            Some(last) if follows(last) => {
                last.push(' ');
                last.push_str(word);
            }
            Some(_) | None => parts.push(word.to_owned()),
        }
    }
    parts
}

fn table(out: &mut String, table: &Table) {
    let Table { head, rows } = table;
    let titles = head.iter().map(|head| head.title.clone()).collect::<Vec<_>>();
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| plain(cell)).collect()).collect();
    let width = |column: usize| {
        let cells = [&titles].into_iter().chain(&rows).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = (0..head.len()).map(width).collect();
    let last = widths.len().saturating_sub(1);
    // A last column of words is broken into lines …
    let is_words = |column: usize| head.get(column).is_some_and(|head| !head.number);
    let least = |column: usize| if column == last { LINES_MIN } else { NAME_MIN };
    let shrink = |widths: &mut Vec<usize>, column: usize| {
        let beyond = (widths.iter().sum::<usize>() + 2 * last).saturating_sub(COLUMNS);
        if let Some(width) = widths.get_mut(column) {
            *width = (*width).min(width.saturating_sub(beyond).max(least(column)));
        }
    };
    if is_words(last) {
        shrink(&mut widths, last);
    }
    // … and the widest other one is cut.
    if let Some(widest) =
        (0..last).filter(|column| is_words(*column)).max_by_key(|column| widths.get(*column).copied())
    {
        shrink(&mut widths, widest);
    }
    for row in [&titles].into_iter().chain(&rows) {
        let mut line = String::new();
        let mut more = Vec::new();
        for (column, ((cell, width), head)) in row.iter().zip(&widths).zip(head).enumerate() {
            let width = *width;
            let cell = if column == last && !head.number {
                let mut broken = lines(cell, width, "").into_iter();
                let first = broken.next().unwrap_or_default();
                more = broken
                    .map(|rest| format!("{:indent$}{rest}", "", indent = line.chars().count()))
                    .collect();
                first
            } else {
                cut(cell, width)
            };
            let _ =
                if head.number { write!(line, "{cell:>width$}  ") } else { write!(line, "{cell:<width$}  ") };
        }
        for line in [line].iter().chain(&more) {
            let _ = writeln!(out, "{}", line.trim_end());
        }
    }
}

fn cut(cell: &str, width: usize) -> String {
    if cell.chars().count() <= width {
        return cell.to_owned();
    }
    cell.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// What a step of a strip looks like.
const fn mark(shade: Shade) -> char {
    match shade {
        Shade::Up => '=',
        Shade::Unobserved => '.',
        Shade::Unknown => '?',
        Shade::Down => 'X',
    }
}

/// The strips, one line each, with the axis below and a legend.
pub(super) fn chart(out: &mut String, chart: &Chart) {
    let Chart { period: _, ends: [from, until], strips } = chart;
    let names = strips.iter().map(|(name, _)| plain(name).chars().count()).max().unwrap_or(0).min(24);
    let steps = COLUMNS - names - 2;
    for (name, parts) in strips {
        let steps = chart.steps(parts, u32::try_from(steps).unwrap_or(1));
        let line: String = steps
            .into_iter()
            .flat_map(|(shade, count)| std::iter::repeat_n(mark(shade), usize::try_from(count).unwrap_or(0)))
            .collect();
        let _ = writeln!(out, "{:<names$}  {line}", cut(&plain(name), names));
    }
    let gap = steps.saturating_sub(from.chars().count() + until.chars().count()).max(1);
    let _ = writeln!(out, "{:names$}  {from}{:gap$}{until}", "", "");
    let _ = writeln!(out, "{:names$}  = up   X down   ? unknown   . unobserved", "");
}

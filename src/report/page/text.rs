//! A page for a terminal of 80 columns.

use std::fmt::Write as _;

use super::{Block, Chart, Page, Shade, Table};

const COLUMNS: usize = 80;
/// A name is not cut shorter than this.
const NAME_MIN: usize = 10;

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
    let mut line = String::new();
    for word in words.split(' ') {
        let full = line.chars().count() + 1 + word.chars().count() > COLUMNS;
        if full && !line.trim().is_empty() {
            let _ = writeln!(out, "{}", line.trim_end());
            line = format!("{indent}{word}");
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    let _ = writeln!(out, "{}", line.trim_end());
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
    let all = widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1);
    // The widest column of words gives way.
    let widest = (0..widths.len()).filter(|column| head.get(*column).is_some_and(|head| !head.number));
    if let Some(widest) = widest.max_by_key(|column| widths.get(*column).copied())
        && let Some(width) = widths.get_mut(widest)
    {
        *width = (*width).min(width.saturating_sub(all.saturating_sub(COLUMNS)).max(NAME_MIN));
    }
    for row in [&titles].into_iter().chain(&rows) {
        let mut line = String::new();
        for ((cell, width), head) in row.iter().zip(&widths).zip(head) {
            let width = *width;
            let cell = cut(cell, width);
            let _ =
                if head.number { write!(line, "{cell:>width$}  ") } else { write!(line, "{cell:<width$}  ") };
        }
        let _ = writeln!(out, "{}", line.trim_end());
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

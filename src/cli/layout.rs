//! Text within a width: harmless, cut, wrapped, and in columns. Widths are columns of a terminal: a CJK character takes two.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::style::{Painter, Tone};

/// What stands in for what was cut off.
const CUT: char = '…';

/// Stands in for a character that could control the terminal.
const REPLACEMENT: char = '\u{fffd}';

/// The columns that the text takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// Whether the character changes how or where what follows is shown: control characters, the direction of text, line separators.
pub(super) fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The text without characters that could control the terminal; a line break becomes a space.
pub(super) fn harmless(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' | '\t' => ' ',
        c if is_control(c) => REPLACEMENT,
        c => c,
    };
    text.chars().map(shown).collect()
}

/// The text, cut with `…` if it takes more than this.
pub(super) fn cut(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let mut left = most.saturating_sub(1);
    let mut short = String::new();
    for c in text.chars() {
        let Some(rest) = left.checked_sub(c.width().unwrap_or(0)) else { break };
        left = rest;
        short.push(c);
    }
    if most > 0 {
        short.push(CUT);
    }
    short
}

/// The text in lines of at most this width. The first begins with `first`, the others with as many spaces as `further` says. A word
/// that is longer than a line, such as an ARN, stays whole, so that it can be copied.
pub(super) fn wrapped(first: &str, further: usize, text: &str, most: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = first.to_owned();
    let mut is_begun = !first.trim().is_empty();
    for word in text.split_whitespace() {
        if is_begun && width(line.trim_end()) + 1 + width(word) > most {
            lines.push(line.trim_end().to_owned());
            line = " ".repeat(further);
            is_begun = false;
        }
        if is_begun && !line.ends_with(' ') {
            line.push(' ');
        }
        line.push_str(word);
        is_begun = true;
    }
    lines.push(line.trim_end().to_owned());
    lines
}

/// A cell of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    pub(super) fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self { text: harmless(&text.into()), tone }
    }

    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self::new(Tone::Plain, text)
    }
}

/// The lines of a table within a width: cells are aligned left, two spaces apart, behind this indent. Columns are shortened from
/// those named first in `shorten`, each to no less than its width there, and at last the end of the line is cut.
pub(super) fn columns<const N: usize>(
    rows: &[[Cell; N]],
    indent: usize,
    shorten: &[(usize, usize)],
    most: usize,
    painter: Painter,
) -> Vec<String> {
    let mut widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| width(&row[column].text)).max().unwrap_or(0));
    let total = |widths: &[usize; N]| {
        let used = widths.iter().filter(|width| **width > 0).count();
        indent + widths.iter().sum::<usize>() + 2 * used.saturating_sub(1)
    };
    for (column, least) in shorten {
        let over = total(&widths).saturating_sub(most);
        if let Some(width) = widths.get_mut(*column) {
            *width = (*width).saturating_sub(over).max((*least).min(*width));
        }
    }
    rows.iter().map(|row| line(row, &widths, indent, most, painter)).collect()
}

fn line<const N: usize>(
    row: &[Cell; N],
    widths: &[usize; N],
    indent: usize,
    most: usize,
    painter: Painter,
) -> String {
    let mut shown = " ".repeat(indent);
    let mut at = indent;
    // What stands before a cell is written with it, so that no line ends with spaces.
    let mut gap = 0;
    for (Cell { text, tone }, column) in row.iter().zip(widths).filter(|(_, column)| **column > 0) {
        let room = most.saturating_sub(at + gap).min(*column);
        let text = cut(text, room);
        let used = width(&text);
        if used > 0 {
            shown.push_str(&" ".repeat(gap));
            shown.push_str(&painter.paint(*tone, &text));
            at += gap + used;
            gap = 0;
        }
        gap += column.saturating_sub(used) + 2;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Painter = Painter { on: false };

    #[test]
    fn a_text_is_cut_by_its_width_on_the_screen() {
        assert_eq!(cut("Milan DC", 8), "Milan DC");
        assert_eq!(cut("Milan DC, primary", 8), "Milan D…");
        assert_eq!(cut("東京データ", 7), "東京デ…");
        assert_eq!(cut("東京データ", 6), "東京…");
        assert_eq!((cut("x", 0).as_str(), cut("xy", 1).as_str()), ("", "…"));
    }

    #[test]
    fn what_could_control_the_terminal_is_replaced() {
        assert_eq!(
            harmless("\x1b[31mred\u{9b}2J\u{202e}x\n\ty\u{7f}"),
            "\u{fffd}[31mred\u{fffd}2J\u{fffd}x  y\u{fffd}"
        );
        assert_eq!(harmless("Zürich 東京"), "Zürich 東京");
    }

    #[test]
    fn a_long_text_is_wrapped_at_words_and_a_long_word_stays_whole() {
        assert_eq!(wrapped("First: ", 7, "call the carrier", 16), ["First: call the", "       carrier"]);
        assert_eq!(wrapped("", 2, "a arn:aws:ssm-incidents b", 6), ["a", "  arn:aws:ssm-incidents", "  b"]);
        assert_eq!(wrapped("- ", 2, "", 10), ["-"]);
        for most in 8..30 {
            let lines = wrapped("  ", 2, "a bb 東京デ cccc\nd", most);
            assert!(lines.iter().all(|line| width(line) <= most), "{most}: {lines:?}");
        }
    }

    #[test]
    fn columns_are_shortened_in_their_order_until_the_table_fits() {
        let row = |cells: [&str; 3]| cells.map(Cell::plain);
        let rows = [row(["Milan DC, primary", "up", "no tunnel"]), row(["東京", "down", ""])];
        let table = |most| columns(&rows, 2, &[(0, 6), (2, 4)], most, PLAIN);
        assert_eq!(table(80), ["  Milan DC, primary  up    no tunnel", "  東京               down"]);
        assert_eq!(table(27), ["  Milan D…  up    no tunnel", "  東京      down"].map(String::from));
        assert_eq!(table(22), ["  Milan…  up    no tu…", "  東京    down"].map(String::from));
        for most in 4..40 {
            assert!(table(most).iter().all(|line| width(line) <= most), "{most}: {:?}", table(most));
        }
    }

    #[test]
    fn colours_change_no_width() {
        let rows = [
            [Cell::new(Tone::Bad, "DOWN"), Cell::plain("x")],
            [Cell::new(Tone::Good, "ok"), Cell::plain("y")],
        ];
        let lines = columns(&rows, 0, &[], 80, Painter { on: true });
        assert!(lines[0].ends_with("\x1b[0m  x") && lines[1].ends_with("\x1b[0m    y"), "{lines:?}");
    }
}

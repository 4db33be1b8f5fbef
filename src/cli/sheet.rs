//! A page of text for a screen: wrapped to its width, with its colours.

use std::io::{self, IsTerminal as _};

use rustix::termios::tcgetwinsize;

use super::layout::{Cell, columns, harmless, wrapped};
use super::style::{ColorChoice, Painter, Tone};

/// The width of what goes into a pipe or a file, and of a terminal that does not say its own.
const USUAL: usize = 80;

/// Narrower, nothing would be readable.
const NARROWEST: usize = 40;

/// Wider, the eye would lose the line.
const WIDEST: usize = 160;

/// What a page is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Screen {
    /// Columns.
    pub(super) width: usize,
    /// Lines; `None` if there is no end of them.
    pub(super) height: Option<usize>,
    /// Colours.
    pub(super) painter: Painter,
}

impl Screen {
    /// Standard output, as large as it is now.
    pub(super) fn of_stdout(color: ColorChoice) -> Self {
        let painter = color.of_stdout();
        let size = io::stdout().is_terminal().then(|| tcgetwinsize(io::stdout()).ok()).flatten();
        let plain = Self { width: USUAL, height: None, painter };
        match size {
            Some(size) if size.ws_col > 0 => Self {
                width: usize::from(size.ws_col).clamp(NARROWEST, WIDEST),
                height: Some(usize::from(size.ws_row)).filter(|rows| *rows > 0),
                painter,
            },
            Some(_) | None => plain,
        }
    }

    /// Whether this is a terminal with a size of its own.
    pub(super) const fn is_terminal(&self) -> bool {
        self.height.is_some()
    }
}

/// A page in the making.
#[derive(Debug)]
pub(super) struct Sheet {
    screen: Screen,
    lines: Vec<String>,
}

impl Sheet {
    pub(super) const fn new(screen: Screen) -> Self {
        Self { screen, lines: Vec::new() }
    }

    /// An empty line, unless the page is empty or has one there.
    pub(super) fn gap(&mut self) {
        if self.lines.last().is_some_and(|line| !line.is_empty()) {
            self.lines.push(String::new());
        }
    }

    /// A text behind this indent; its further lines stand two columns further right.
    pub(super) fn text(&mut self, tone: Tone, indent: usize, text: &str) {
        self.behind(tone, indent, indent + 2, text);
    }

    /// A text whose beginning has a colour: `DOWN: …`. Its further lines stand where what follows the beginning stands, if that leaves
    /// room.
    pub(super) fn begun(&mut self, tone: Tone, indent: usize, beginning: &str, text: &str) {
        let further = (indent + beginning.len() + 1).min(indent + 12);
        let from = self.lines.len();
        self.behind(Tone::Plain, indent, further, &format!("{beginning} {text}"));
        let painted = self.screen.painter.paint(tone, beginning);
        if let Some(line) = self.lines.get_mut(from) {
            *line = line.replacen(beginning, &painted, 1);
        }
    }

    /// The same in one line, however long, as programs read it.
    pub(super) fn begun_whole(&mut self, tone: Tone, beginning: &str, text: &str) {
        let painted = self.screen.painter.paint(tone, beginning);
        self.lines.push(format!("{painted} {}", harmless(text)));
    }

    fn behind(&mut self, tone: Tone, indent: usize, further: usize, text: &str) {
        let painter = self.screen.painter;
        let lines = wrapped(&" ".repeat(indent), further, &harmless(text), self.screen.width);
        self.lines.extend(lines.iter().map(|line| painter.paint(tone, line)));
    }

    /// The lines of a table, for the caller to place.
    pub(super) fn table<const N: usize>(
        &self,
        rows: &[[Cell; N]],
        indent: usize,
        shorten: &[(usize, usize)],
    ) -> Vec<String> {
        columns(rows, indent, shorten, self.screen.width, self.screen.painter)
    }

    /// A line as it is.
    pub(super) fn line(&mut self, line: String) {
        self.lines.push(line);
    }

    pub(super) const fn screen(&self) -> Screen {
        self.screen
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(on: bool) -> Sheet {
        Sheet::new(Screen { width: 40, height: None, painter: Painter { on } })
    }

    #[test]
    fn a_text_is_wrapped_behind_its_indent_and_gaps_are_single() {
        let mut sheet = sheet(false);
        sheet.gap();
        sheet.text(Tone::Plain, 2, "the quick brown fox jumps over the lazy dog");
        sheet.gap();
        sheet.gap();
        sheet.begun(Tone::Bad, 0, "First:", "call the carrier and say where it ends");
        assert_eq!(
            sheet.into_lines(),
            [
                "  the quick brown fox jumps over the",
                "    lazy dog",
                "",
                "First: call the carrier and say where it",
                "       ends",
            ]
        );
    }

    #[test]
    fn only_the_beginning_has_the_colour() {
        let mut sheet = sheet(true);
        sheet.begun(Tone::Bad, 0, "DOWN:", "Milan");
        sheet.begun_whole(Tone::Good, "HEALTHY:", &"x ".repeat(40));
        let lines = sheet.into_lines();
        assert!(lines[0].starts_with("\x1b[") && lines[0].ends_with("DOWN:\x1b[0m Milan"), "{lines:?}");
        assert_eq!(lines.len(), 2);
    }
}

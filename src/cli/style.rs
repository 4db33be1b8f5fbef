//! Colours: when there are any, and which. A state is always a word as well; its colour only helps the eye.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};

use anstyle::{AnsiColor, Effects, Reset, Style};
use clap::ValueEnum;

use crate::process::environment;

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb.
    #[default]
    Auto,
    /// Always, also into a pipe.
    Always,
    /// Never.
    Never,
}

impl ColorChoice {
    /// The painter of standard output.
    pub(super) fn of_stdout(self) -> Painter {
        Painter { on: self.is_on(io::stdout().is_terminal(), &environment()) }
    }

    fn is_on(self, terminal: bool, env: &BTreeMap<String, String>) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            // https://no-color.org: when present and not an empty string.
            Self::Auto => terminal && !is_dumb(env) && env.get("NO_COLOR").is_none_or(String::is_empty),
        }
    }
}

/// Whether the terminal understands no escape sequences.
pub(super) fn is_dumb(env: &BTreeMap<String, String>) -> bool {
    env.get("TERM").is_none_or(|term| term.is_empty() || term == "dumb")
}

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// Text.
    Plain,
    /// A title.
    Strong,
    /// Less important.
    Faint,
    /// All is well.
    Good,
    /// Look at it, not at once.
    Warning,
    /// It is down.
    Bad,
    /// It is not known.
    Unknown,
}

impl Tone {
    const fn style(self) -> Style {
        let plain = Style::new();
        match self {
            Self::Plain => plain,
            Self::Strong => plain.effects(Effects::BOLD),
            Self::Faint => plain.effects(Effects::DIMMED),
            Self::Good => plain.fg_color(Some(anstyle::Color::Ansi(AnsiColor::Green))),
            Self::Warning => plain.fg_color(Some(anstyle::Color::Ansi(AnsiColor::Yellow))),
            Self::Bad => plain.fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red))).effects(Effects::BOLD),
            Self::Unknown => plain.fg_color(Some(anstyle::Color::Ansi(AnsiColor::Magenta))),
        }
    }
}

/// Gives text its colour, or leaves it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Painter {
    /// Whether there are colours.
    pub(super) on: bool,
}

impl Painter {
    /// The text in the colour of this tone.
    pub(super) fn paint(self, tone: Tone, text: &str) -> String {
        if !self.on || tone == Tone::Plain || text.is_empty() {
            return text.to_owned();
        }
        format!("{}{text}{Reset}", tone.style())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(of: &[(&str, &str)]) -> BTreeMap<String, String> {
        of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn there_are_colours_only_on_a_terminal_that_shows_them_and_where_nobody_forbids_them() {
        let xterm = env(&[("TERM", "xterm-256color")]);
        assert!(ColorChoice::Auto.is_on(true, &xterm));
        assert!(!ColorChoice::Auto.is_on(false, &xterm), "a pipe");
        assert!(!ColorChoice::Auto.is_on(true, &env(&[("TERM", "dumb")])));
        assert!(!ColorChoice::Auto.is_on(true, &env(&[])), "no TERM, as under cron");
        assert!(!ColorChoice::Auto.is_on(true, &env(&[("TERM", "xterm"), ("NO_COLOR", "1")])));
        assert!(ColorChoice::Auto.is_on(true, &env(&[("TERM", "xterm"), ("NO_COLOR", "")])), "an empty one");
        assert!(ColorChoice::Always.is_on(false, &env(&[("NO_COLOR", "1")])), "the option is more explicit");
        assert!(!ColorChoice::Never.is_on(true, &xterm));
    }

    #[test]
    fn a_painted_text_is_reset_at_its_end_and_without_colours_nothing_is_added() {
        let painted = Painter { on: true }.paint(Tone::Bad, "DOWN");
        assert!(painted.starts_with("\x1b[") && painted.ends_with("DOWN\x1b[0m"), "{painted:?}");
        assert_eq!(Painter { on: true }.paint(Tone::Plain, "x"), "x");
        assert_eq!(Painter { on: false }.paint(Tone::Bad, "DOWN"), "DOWN");
    }
}

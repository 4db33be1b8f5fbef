//! The output of a monitoring plugin, as the Monitoring Plugins Development Guidelines want it and Nagios Core reads it: a first line
//! `BOTHENDS WARNING - text | perfdata`, then further lines of text.
//!
//! Nagios Core takes every exit code above 3 for CRITICAL and drops the text (findings/nagios-exit-codes.sh), so nothing but 0 to 3
//! leaves here, whatever happens.

use super::perfdata::{Datum, within};
use crate::cli::layout::harmless;
use crate::http::summary::Level;

/// Nagios Core reads 8,192 bytes of a plugin's output (MAX_PLUGIN_OUTPUT_LENGTH), the final zero included.
const OUTPUT_MAX: usize = 8000;

/// The text of the first line, which is shown in lists and sent in notifications.
const TEXT_MAX: usize = 400;

/// The rest of the output is for the lines of text.
const PERFDATA_MAX: usize = 5000;

/// A line of text.
const LINE_MAX: usize = 300;

/// The word for a state.
const fn word(level: Level) -> &'static str {
    match level {
        Level::Healthy => "OK",
        Level::Degraded => "WARNING",
        Level::Down => "CRITICAL",
        Level::Unknown => "UNKNOWN",
    }
}

/// The whole output, with a final line break.
pub(super) fn output(level: Level, text: &str, lines: &[String], data: &[Datum]) -> String {
    let mut out = format!("BOTHENDS {} - {}", word(level), shortened(text, TEXT_MAX));
    let data = within(data, PERFDATA_MAX);
    if !data.is_empty() {
        out.push_str(" | ");
        out.push_str(&data);
    }
    out.push('\n');
    for (at, line) in lines.iter().enumerate() {
        let more = format!("and {} more: bothends status\n", lines.len() - at);
        let line = shortened(line, LINE_MAX) + "\n";
        if out.len() + line.len() + more.len() > OUTPUT_MAX {
            out.push_str(&more);
            break;
        }
        out.push_str(&line);
    }
    out
}

/// One line of at most so many bytes. What follows a bar would be read as performance data.
fn shortened(text: &str, most: usize) -> String {
    let text = harmless(text).replace('|', "/");
    if text.len() <= most {
        return text;
    }
    let end = text.floor_char_boundary(most.saturating_sub("…".len()));
    format!("{}…", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::perfdata::data;
    use super::super::perfdata_reader::read;
    use super::*;
    use crate::fixture;
    use crate::http::status_json::StatusJson;
    use crate::records::Records;

    fn status() -> StatusJson {
        StatusJson::of(&fixture::status(), &[], &Records::default(), "0.1.0", "raise", fixture::after(31))
    }

    #[test]
    fn the_first_line_has_the_word_the_text_and_the_numbers() {
        let lines = ["Milan DC: no tunnel carries traffic".to_owned(), "second | line".to_owned()];
        let text = output(
            Level::Down,
            "Milan | DC:\nno tunnel carries traffic",
            &lines,
            &data(&status(), false)[..2],
        );
        assert_eq!(
            text,
            "BOTHENDS CRITICAL - Milan / DC: no tunnel carries traffic | connections=1;;;0 connections_without_traffic=0;;;0;1\n\
             Milan DC: no tunnel carries traffic\nsecond / line\n"
        );
        let words =
            [Level::Healthy, Level::Degraded, Level::Unknown].map(|level| output(level, "x", &[], &[]));
        assert_eq!(words, ["BOTHENDS OK - x\n", "BOTHENDS WARNING - x\n", "BOTHENDS UNKNOWN - x\n"]);
    }

    #[test]
    fn five_hundred_connections_with_long_names_fit_and_say_how_much_is_left_out() {
        let mut status = status();
        status.vpns = (0..500)
            .map(|n| {
                let mut vpn = status.vpns[0].clone();
                vpn.name = format!("{n} {}", "ü".repeat(60));
                vpn
            })
            .collect();
        let lines: Vec<_> =
            status.vpns.iter().map(|vpn| format!("{}: {}", vpn.name, "down ".repeat(100))).collect();
        let text = output(Level::Down, &"ü|".repeat(5000), &lines, &data(&status, false));
        assert!(text.len() <= OUTPUT_MAX, "{}", text.len());
        let first = text.lines().next().unwrap();
        let (words, numbers) = first.split_once(" | ").unwrap();
        assert!(words.ends_with('…') && words.len() < TEXT_MAX + 30, "{words}");
        assert_eq!(text.matches('|').count(), 1, "a second bar would begin performance data");
        assert!(read(numbers).len() > 20);
        let more = text.lines().last().unwrap();
        let shown = text.lines().count() - 2;
        assert_eq!(more, format!("and {} more: bothends status", 500 - shown));
    }
}

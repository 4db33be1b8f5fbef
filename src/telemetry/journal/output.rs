//! Where records go.

use std::io::{self, IsTerminal, Write};

use systemd_journal_logger::{JournalLog, connected_to_journal};

use super::line::Line;
use crate::clock;
use crate::domain::time::Stamp;

/// Something that takes records, one at a time, and may block.
pub(super) trait Output {
    fn write(&mut self, line: &Line) -> io::Result<()>;
}

/// The journal, or standard error.
pub(super) enum Destination {
    Journal(JournalLog),
    StandardError {
        /// A person who watches wants the time; whoever collects standard error stamps its lines anyway.
        interactive: bool,
    },
}

impl Destination {
    /// The journal if standard error is connected to it and it can be reached, else standard error.
    pub(super) fn connect() -> Self {
        let journal = connected_to_journal().then(JournalLog::empty).and_then(Result::ok);
        match journal {
            Some(journal) => {
                Self::Journal(journal.with_syslog_identifier(env!("CARGO_CRATE_NAME").to_owned()))
            }
            None => Self::StandardError { interactive: io::stderr().is_terminal() },
        }
    }
}

impl Output for Destination {
    fn write(&mut self, line: &Line) -> io::Result<()> {
        match self {
            Self::Journal(journal) => line
                .parts()
                .iter()
                .try_for_each(|part| part.with_record(|record| journal.journal_send(record))),
            Self::StandardError { interactive } => {
                let at = interactive.then(clock::wall);
                io::stderr().lock().write_all(as_text(line, at).as_bytes())
            }
        }
    }
}

/// `03:12:04Z WARN  message KEY=value`, ended by a line break; further lines of a message are indented, so that none can
/// pass for a record of its own. `MESSAGE_ID` is for machines and left out, and so are phrases that the message has already.
fn as_text(line: &Line, at: Option<Stamp>) -> String {
    let Line { level, kind: _, at: _, target: _, message, fields } = line;
    let mut text = String::with_capacity(message.len() + 64);
    if let Some(at) = at.and_then(|at| jiff::Timestamp::from_millisecond(at.as_millis()).ok()) {
        text.push_str(&at.strftime("%H:%M:%SZ ").to_string());
    }
    text.push_str(&format!("{level:<5} "));
    for (index, part) in message.split('\n').enumerate() {
        if index > 0 {
            text.push_str(CONTINUATION);
        }
        push_escaped(&mut text, part);
    }
    let is_said = |value: &str| value.contains([' ', '\n']) && message.contains(value);
    for (key, value) in fields.iter().filter(|(key, value)| key != "MESSAGE_ID" && !is_said(value)) {
        text.push(' ');
        push_escaped(&mut text, key);
        text.push('=');
        if value.is_empty() || value.contains([' ', '"', '=']) {
            text.push_str(&format!("{value:?}"));
        } else {
            push_escaped(&mut text, value);
        }
    }
    text.push('\n');
    text
}

/// What a message of several lines, such as all that is wrong with a configuration, goes on with; as wide as a level.
const CONTINUATION: &str = "\n      ";

/// A line break inside a field would forge another record, and an escape sequence would reach the reader's terminal.
fn push_escaped(text: &mut String, part: &str) {
    for c in part.chars() {
        if c.is_control() {
            text.extend(c.escape_default());
        } else {
            text.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use log::Level;

    use super::*;
    use crate::catalogue::MessageId;

    #[test]
    fn a_record_on_standard_error_begins_one_line_and_ends_with_its_fields() {
        let mut line =
            Line::sample(Level::Warn, MessageId::DISPUTED, "milan-1: \x1b[31mforged\nline".to_owned());
        line.fields.push(("VPN_ID".to_owned(), "vpn-1".to_owned()));
        line.fields.push(("ERROR".to_owned(), "two words\n".to_owned()));
        assert_eq!(
            as_text(&line, Some(Stamp::from_secs(11_524))),
            "03:12:04Z WARN  milan-1: \\u{1b}[31mforged\n      line VPN_ID=vpn-1 ERROR=\"two words\\n\"\n"
        );
    }

    #[test]
    fn a_phrase_of_the_message_is_not_said_again_and_a_word_is() {
        let mut line =
            Line::sample(Level::Warn, MessageId::CANNOT_START, "cannot start: a:1\nb:2".to_owned());
        line.fields.push(("ERROR".to_owned(), "a:1\nb:2".to_owned()));
        line.fields.push(("KIND".to_owned(), "start".to_owned()));
        assert_eq!(as_text(&line, None), "WARN  cannot start: a:1\n      b:2 KIND=start\n");
    }

    #[test]
    fn nobody_watching_means_no_time() {
        let line = Line::sample(Level::Error, MessageId::DISPUTED, "text".to_owned());
        assert_eq!(as_text(&line, None), "ERROR text\n");
    }
}

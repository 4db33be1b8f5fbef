//! A log record that owns its parts, so that it can wait in a queue, and its destination: the journal or standard error.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use log::kv::{Error, Key, Value, VisitSource};
use log::{Level, Record};
use systemd_journal_logger::{JournalLog, connected_to_journal};

use crate::catalogue::{JournalRecord, MessageId};
use crate::clock;
use crate::domain::time::Stamp;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) level: Level,
    pub(super) kind: MessageId,
    /// When it was created; it may have waited since.
    pub(super) at: Stamp,
    pub(super) target: Cow<'static, str>,
    pub(super) message: String,
    /// The journal's fields, `MESSAGE_ID` among them.
    pub(super) fields: Vec<(String, String)>,
}

impl Line {
    /// A record of this logger, which has no fields.
    pub(super) fn ours(record: JournalRecord) -> Self {
        let JournalRecord { level, kind, message, fields: _ } = record;
        Self {
            level,
            kind,
            at: clock::wall(),
            target: Cow::Borrowed(module_path!()),
            message,
            fields: vec![(MESSAGE_ID.to_owned(), kind.id.to_owned())],
        }
    }

    #[cfg(test)]
    pub(super) fn sample(level: Level, kind: MessageId, message: String) -> Self {
        Self::ours(JournalRecord { level, kind, message, fields: Vec::new() })
    }

    /// The value of a journal field.
    pub(super) fn value(&self, field: &str) -> Option<String> {
        match field {
            "TARGET" => Some(self.target.to_string()),
            "PRIORITY" => Some(self.level.to_string()),
            _ => self.fields.iter().find(|(key, _)| key == field).map(|(_, value)| value.clone()),
        }
    }

    /// The record as one or more records with no field that is too long, divided at line ends if possible.
    pub(super) fn parts(&self) -> Vec<Cow<'_, Self>> {
        if self.message.len() <= FIELD_MAX {
            return vec![Cow::Borrowed(self)];
        }
        let (mut texts, mut rest) = (Vec::new(), self.message.as_str());
        while !rest.is_empty() {
            let (text, after) = rest.split_at(first_part(rest));
            texts.push(text.trim_end_matches('\n'));
            rest = after;
        }
        let of = texts.len();
        let part = |(index, text): (usize, &&str)| {
            let message = format!("{text} (part {} of {of})", index + 1);
            Cow::Owned(Self { message, ..self.clone() })
        };
        texts.iter().enumerate().map(part).collect()
    }

    /// Passes it as a [`Record`] to `give`.
    pub(super) fn with_record<T>(&self, give: impl FnOnce(&Record<'_>) -> T) -> T {
        let Self { level, kind: _, at: _, target, message, fields } = self;
        give(
            &Record::builder()
                .level(*level)
                .target(target)
                .args(format_args!("{message}"))
                .key_values(fields)
                .build(),
        )
    }
}

/// Where the first part of a message ends.
fn first_part(text: &str) -> usize {
    let longest = FIELD_MAX - ROOM_FOR_COUNT;
    if text.len() <= longest {
        return text.len();
    }
    let end = text.floor_char_boundary(longest);
    text[..end].rfind('\n').map_or(end, |line| line + 1)
}

impl From<&Record<'_>> for Line {
    fn from(record: &Record<'_>) -> Self {
        let mut fields = Fields(Vec::with_capacity(record.key_values().count() + 1));
        // The visitor never fails.
        _ = record.key_values().visit(&mut fields);
        let Fields(mut fields) = fields;
        let known =
            fields.iter().find(|(key, _)| key == MESSAGE_ID).and_then(|(_, id)| MessageId::with_id(id));
        // Every record of ours names its kind.
        let kind = known.unwrap_or_else(|| {
            let kind = MessageId::LIBRARY_NOTICE;
            fields.retain(|(key, _)| key != MESSAGE_ID);
            fields.insert(0, (MESSAGE_ID.to_owned(), kind.id.to_owned()));
            kind
        });
        Self {
            level: record.level(),
            kind,
            at: clock::wall(),
            target: Cow::Owned(record.target().to_owned()),
            message: bounded(record.args().to_string(), MESSAGE_MAX),
            fields,
        }
    }
}

/// `journalctl -o json` shows a field of 4,096 bytes or more, its name included, as null (systemd's Journal JSON Format).
const FIELD_MAX: usize = 3_900;

/// Some hundred lines: every problem of a configuration. It is written in as many records as necessary.
const MESSAGE_MAX: usize = 32 * 1024;

/// The text, or as much of it as fits in `longest` bytes, with the number of bytes that were cut.
fn bounded(mut text: String, longest: usize) -> String {
    if text.len() > longest {
        let end = text.floor_char_boundary(longest - ROOM_FOR_COUNT);
        let cut = text.len() - end;
        text.truncate(end);
        text.push_str(&format!("… ({cut} more bytes)"));
        text.shrink_to_fit();
    }
    text
}

/// Space for the note of what was cut, or which part of a message a record is.
const ROOM_FOR_COUNT: usize = 64;

const MESSAGE_ID: &str = "MESSAGE_ID";

struct Fields(Vec<(String, String)>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        self.0.push((key.to_string(), bounded(value.to_string(), FIELD_MAX)));
        Ok(())
    }
}

/// A destination for records, one at a time; it may block.
pub(super) trait Output {
    fn write(&mut self, line: &Line) -> io::Result<()>;
}

/// The journal, or standard error.
pub(super) enum Destination {
    Journal(JournalLog),
    StandardError {
        /// A person who watches wants the time; a collector of standard error adds its own.
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

/// `03:12:04Z WARN  message KEY=value`, and a line break; further lines of a message are indented, so that none looks like a
/// record of its own. `MESSAGE_ID` is left out, and so are values that the message contains.
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

/// The indentation of a message's further lines, such as the problems of a configuration; as wide as a level.
const CONTINUATION: &str = "\n      ";

/// A line break in a field would forge another record, and an escape sequence would reach the reader's terminal.
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
    use super::*;

    fn line(message: &str, field: &str) -> Line {
        let fields = [("ERROR", field)];
        Line::from(
            &Record::builder()
                .level(Level::Error)
                .target("bothends::daemon")
                .args(format_args!("{message}"))
                .key_values(&fields)
                .build(),
        )
    }

    #[test]
    fn no_field_of_a_record_is_too_long_for_the_journals_json() {
        let long = "ü".repeat(5_000);
        for message in ["short".to_owned(), long.clone(), "a line\n".repeat(2_000), "x".repeat(1 << 20)] {
            for part in line(&message, &long).parts() {
                assert!(part.message.len() + "MESSAGE=".len() < 4_096, "{}", part.message.len());
                let (_, error) = part.fields.iter().find(|(key, _)| key == "ERROR").unwrap();
                assert!(error.len() + "ERROR=".len() < 4_096);
                assert!(error.ends_with(" more bytes)"), "{}", &error[3_800..]);
            }
        }
    }

    #[test]
    fn a_long_message_is_written_in_parts_that_end_where_lines_do_and_nothing_of_it_is_lost() {
        let lines: Vec<_> =
            (0..300).map(|n| format!("bothends.toml:{n}: something is wrong there")).collect();
        let line = line(&lines.join("\n"), "");
        let parts = line.parts();
        assert!(parts.len() > 1);
        let written = parts.iter().enumerate().map(|(index, part)| {
            let count = format!(" (part {} of {})", index + 1, parts.len());
            part.message.strip_suffix(&count).unwrap()
        });
        assert_eq!(written.collect::<Vec<_>>().join("\n"), lines.join("\n"));
        assert!(parts.iter().all(|part| part.fields == line.fields && part.level == line.level));
    }

    #[test]
    fn what_is_longer_than_any_message_of_ours_is_cut_with_a_count() {
        let written = line(&"x".repeat(100_000), "").message;
        assert!(
            written.len() <= MESSAGE_MAX && written.ends_with("x… (67296 more bytes)"),
            "{}",
            &written[32_000..]
        );
    }

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
    fn lines_have_no_time_when_nobody_watches() {
        let line = Line::sample(Level::Error, MessageId::DISPUTED, "text".to_owned());
        assert_eq!(as_text(&line, None), "ERROR text\n");
    }
}

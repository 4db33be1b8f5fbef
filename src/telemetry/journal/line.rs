//! A log record that owns its parts, so that it can wait in a queue.

use std::borrow::Cow;

use log::kv::{Error, Key, Value, VisitSource};
use log::{Level, Record};

use crate::catalogue::{JournalRecord, MessageId};
use crate::clock;
use crate::domain::time::Stamp;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) level: Level,
    pub(super) kind: MessageId,
    /// When it was made; it may have waited since.
    pub(super) at: Stamp,
    pub(super) target: Cow<'static, str>,
    pub(super) message: String,
    /// The journal's fields, `MESSAGE_ID` among them.
    pub(super) fields: Vec<(String, String)>,
}

impl Line {
    /// A record of the journal's own, which has no fields.
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

    /// What a field of the journal's holds.
    pub(super) fn value(&self, field: &str) -> Option<String> {
        match field {
            "TARGET" => Some(self.target.to_string()),
            "PRIORITY" => Some(self.level.to_string()),
            _ => self.fields.iter().find(|(key, _)| key == field).map(|(_, value)| value.clone()),
        }
    }

    /// The same as records none of whose fields is too long, divided where lines end if possible.
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

    /// The record as a [`Record`], for as long as `give` takes.
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

/// Some hundred lines: all that is wrong with a configuration. It is written in as many records as it takes.
const MESSAGE_MAX: usize = 32 * 1024;

/// The text, or as much of it as `longest` bytes take, with how much more there was.
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

/// For what says what was cut, or which part of a message a record has.
const ROOM_FOR_COUNT: usize = 64;

const MESSAGE_ID: &str = "MESSAGE_ID";

struct Fields(Vec<(String, String)>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        self.0.push((key.to_string(), bounded(value.to_string(), FIELD_MAX)));
        Ok(())
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
}

//! A log record that owns its parts, so that it can wait in a queue.

use std::borrow::Cow;

use log::kv::{Error, Key, Value, VisitSource};
use log::{Level, Record};

use crate::telemetry::message_id::MessageId;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) level: Level,
    pub(super) target: Cow<'static, str>,
    pub(super) message: String,
    pub(super) fields: Vec<(String, String)>,
}

impl Line {
    /// A record of the journal's own.
    pub(super) fn ours(level: Level, kind: MessageId, message: String) -> Self {
        Self {
            level,
            target: Cow::Borrowed(module_path!()),
            message,
            fields: vec![("MESSAGE_ID".to_owned(), kind.id.to_owned())],
        }
    }

    /// The record as a [`Record`], for as long as `tell` takes.
    pub(super) fn with_record<T>(&self, tell: impl FnOnce(&Record<'_>) -> T) -> T {
        let Self { level, target, message, fields } = self;
        tell(
            &Record::builder()
                .level(*level)
                .target(target)
                .args(format_args!("{message}"))
                .key_values(fields)
                .build(),
        )
    }
}

impl From<&Record<'_>> for Line {
    fn from(record: &Record<'_>) -> Self {
        let mut fields = Fields(Vec::with_capacity(record.key_values().count()));
        // The visitor never fails.
        _ = record.key_values().visit(&mut fields);
        Self {
            level: record.level(),
            target: Cow::Owned(record.target().to_owned()),
            message: record.args().to_string(),
            fields: fields.0,
        }
    }
}

struct Fields(Vec<(String, String)>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        self.0.push((key.to_string(), value.to_string()));
        Ok(())
    }
}

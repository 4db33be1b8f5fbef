//! A log record that owns its parts, so that it can wait in a queue.

use std::borrow::Cow;

use log::kv::{Error, Key, Value, VisitSource};
use log::{Level, Record};

use crate::clock;
use crate::domain::time::Stamp;
use crate::telemetry::message_id::MessageId;

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
    /// A record of the journal's own.
    pub(super) fn ours(level: Level, kind: MessageId, message: String) -> Self {
        Self {
            level,
            kind,
            at: clock::wall(),
            target: Cow::Borrowed(module_path!()),
            message,
            fields: vec![(MESSAGE_ID.to_owned(), kind.id.to_owned())],
        }
    }

    /// What a field of the journal's holds.
    pub(super) fn value(&self, field: &str) -> Option<String> {
        match field {
            "TARGET" => Some(self.target.to_string()),
            "PRIORITY" => Some(self.level.to_string()),
            _ => self.fields.iter().find(|(key, _)| key == field).map(|(_, value)| value.clone()),
        }
    }

    /// The record as a [`Record`], for as long as `tell` takes.
    pub(super) fn with_record<T>(&self, tell: impl FnOnce(&Record<'_>) -> T) -> T {
        let Self { level, kind: _, at: _, target, message, fields } = self;
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
        let mut fields = Fields(Vec::with_capacity(record.key_values().count() + 1));
        // The visitor never fails.
        _ = record.key_values().visit(&mut fields);
        let Fields(mut fields) = fields;
        let known =
            fields.iter().find(|(key, _)| key == MESSAGE_ID).and_then(|(_, id)| MessageId::with_id(id));
        let kind = known.unwrap_or_else(|| {
            let kind = kind_by_target(record.target());
            fields.retain(|(key, _)| key != MESSAGE_ID);
            fields.insert(0, (MESSAGE_ID.to_owned(), kind.id.to_owned()));
            kind
        });
        Self {
            level: record.level(),
            kind,
            at: clock::wall(),
            target: Cow::Owned(record.target().to_owned()),
            message: record.args().to_string(),
            fields,
        }
    }
}

const MESSAGE_ID: &str = "MESSAGE_ID";

/// The kind of a record that names none: libraries know nothing of ours, and the parts that stand beside telemetry say what has
/// no fact of its own in words of their own.
fn kind_by_target(target: &str) -> MessageId {
    let mut path = target.split("::");
    match (path.next(), path.next()) {
        (Some(env!("CARGO_CRATE_NAME")), Some("probe")) => MessageId::PROBE_NOTICE,
        (Some(env!("CARGO_CRATE_NAME")), Some("incident")) => MessageId::SINK_NOTICE,
        (Some(env!("CARGO_CRATE_NAME")), Some("publish")) => MessageId::METRICS_NOTICE,
        (Some(env!("CARGO_CRATE_NAME")), Some("store")) => MessageId::STORE_NOTICE,
        (Some(env!("CARGO_CRATE_NAME")), Some(_) | None) => MessageId::DAEMON_NOTICE,
        (Some(_) | None, _) => MessageId::LIBRARY_NOTICE,
    }
}

struct Fields(Vec<(String, String)>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        self.0.push((key.to_string(), value.to_string()));
        Ok(())
    }
}

//! A journal record, before it is written. Only this room creates one.

use log::Level;

use super::message_id::MessageId;
use crate::domain::scope::Scope;

/// One journal record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalRecord {
    /// How much it matters. The journal shows `Info` as notice.
    pub level: Level,
    /// What kind of record it is.
    pub kind: MessageId,
    /// One line of text; begins with the names of its subject.
    pub message: String,
    /// The journal's fields, `MESSAGE_ID` apart.
    pub fields: Vec<(&'static str, String)>,
}

impl MessageId {
    /// A record of this kind at its usual level.
    pub(super) fn record(self, message: impl Into<String>) -> JournalRecord {
        JournalRecord { level: self.levels[0], kind: self, message: message.into(), fields: Vec::new() }
    }
}

impl JournalRecord {
    /// Sends the record to the process's logger.
    pub fn emit(&self) {
        let mut fields = Vec::with_capacity(self.fields.len() + 1);
        fields.push(("MESSAGE_ID", self.kind.id));
        fields.extend(self.fields.iter().map(|(key, value)| (*key, value.as_str())));
        log::logger().log(
            &log::Record::builder()
                .level(self.level)
                .target(env!("CARGO_CRATE_NAME"))
                .args(format_args!("{}", self.message))
                .key_values(&fields)
                .build(),
        );
    }

    /// Adds a field.
    pub(super) fn with(mut self, field: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((field, value.into()));
        self
    }

    /// Adds what it is about; of a connection also its id, as in every record on one.
    pub(super) fn with_scope(self, scope: &Scope) -> Self {
        let record = self.with("SCOPE", scope.to_string());
        match scope.vpn() {
            Some(vpn) => record.with("VPN_ID", vpn.as_str()),
            None => record,
        }
    }

    /// Changes the level.
    pub(super) fn at(self, level: Level) -> Self {
        Self { level, ..self }
    }
}

//! How a state is shown.

use serde::Serialize;

use crate::http::summary::Level;

/// A state in a word, a sign and a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(in crate::page) struct Badge {
    /// `good`, `bad`, `warn`, `unclear` or `off`.
    pub(in crate::page) class: &'static str,
    pub(in crate::page) sign: &'static str,
    pub(in crate::page) word: &'static str,
}

impl Badge {
    pub(in crate::page) const fn of(level: Level) -> Self {
        let (class, sign) = match level {
            Level::Down => ("bad", "✕"),
            Level::Degraded => ("warn", "!"),
            Level::Unknown => ("unclear", "?"),
            Level::Healthy => ("good", "✓"),
        };
        Self { class, sign, word: level.word() }
    }
}

//! What a record says of those that it stands for.

use log::Level;

use super::phrases::time;
use crate::domain::time::Stamp;

/// The records that a record stands for beside itself.
#[derive(Debug, Clone, Copy)]
pub(in crate::telemetry) struct Folded {
    /// How many.
    pub(in crate::telemetry) count: u64,
    /// When the first of them was made.
    pub(in crate::telemetry) since: Stamp,
    /// When the record itself was made: it may have been held.
    pub(in crate::telemetry) of: Stamp,
    /// The level of the worst of them, if it is worse than the record's own.
    pub(in crate::telemetry) worst: Option<Level>,
}

/// The message of a record that was held, or that stands for others; told at `now`.
pub(in crate::telemetry) fn folded(message: &str, folded: Folded, now: Stamp) -> String {
    let Folded { count, since, of, worst } = folded;
    let (of, since) = (time(of, now), time(since, now));
    let worst = worst.map_or("", |level| match level {
        Level::Error => ", the worst an ERROR",
        Level::Warn => ", the worst a WARNING",
        Level::Info | Level::Debug | Level::Trace => "",
    });
    match count {
        0 => format!("{message} (reported late: this happened at {of})"),
        1 => format!("{message} (1 similar record since {since} suppressed{worst}; this one is of {of})"),
        _ => format!(
            "{message} ({count} similar records since {since} suppressed{worst}; this one is of {of})"
        ),
    }
}

//! The catalogue: everything that the daemon reports to people, in one place. Two tables name it, [`MessageId`] (journal records) and
//! [`Code`] (problems); from them come the journal's catalog, docs/journal.md, the table in docs/status.md, `/readyz`, `/status` and
//! the metric `bothends_problem`. The texts are beside the types that parts of the daemon report: facts of the core ([`fact`], those on incidents in `incident`), what
//! happens to the daemon ([`notice`]), to silences ([`silence`]), to sinks, the store, metrics and probing ([`parts`]), and [`problem`]s. How often a record is written is in [`rate_limit`].

pub mod cause;
pub mod code;
pub mod fact;
mod incident;
pub mod message_id;
pub mod notice;
pub mod parts;
pub mod phrases;
pub mod problem;
pub mod rate_limit;
pub mod record;
pub mod silence;
#[cfg(test)]
pub(crate) mod tests;
pub mod traffic;

pub use code::{Code, CodeEntry, Severity};
pub use message_id::MessageId;
pub use notice::Notice;
pub use phrases::Names;
pub use problem::{Component, Problem};
pub use record::JournalRecord;

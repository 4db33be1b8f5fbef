//! What a report says of the past: availability, outages, incidents. Pure: history in, numbers and pages out. The rules of the
//! accounting stand in the tables of docs/report.md, which the tests read.

mod account;
mod analysis;
mod buckets;
mod calendar;
mod cells;
mod csv;
mod json;
mod lookup;
mod outages;
mod overview;
mod page;
mod paging;
mod replay;
mod words;

#[cfg(test)]
mod tests;

pub use self::account::{Account, Asked, Columns, Happening, Part, Report, Subject};
pub use self::analysis::analysis;
pub use self::buckets::{Buckets, Share, Silenced};
pub use self::calendar::{Calendar, NoMonth};
pub use self::cells::{Cell, Column, Counted};
pub use self::csv::{availability_csv, outages_csv, would_have_paged_csv};
pub use self::json::json;
pub use self::lookup::{NotFound, find};
pub use self::outages::{BRIDGED_MAX, End, Means, Outage};
pub use self::overview::overview;
pub use self::page::{Block, Chart, Head, Page, Shade, Table, html, markdown, text};
pub use self::paging::{Paged, Paging};
pub use self::replay::{Fate, Rules, replay, would_have_paged};

//! What the operator is told about the store, once each.

use std::path::{Path, PathBuf};

use crate::domain::board::IncidentId;

/// Something of the store was lost, repaired or cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreNotice {
    /// A row cannot be read, and stays in the file as it is.
    Unreadable(Unreadable),
    /// Unsent metrics are dropped for want of room, or because of their age.
    Full,
    /// An incident is open in a file that was opened late, while another of its kind was open already.
    OpenTwice(IncidentId),
    /// Somebody has removed or replaced the file.
    FileReplaced,
    /// The same of its log.
    LogReplaced,
    /// The file was damaged, and another is in its place.
    SetAside {
        /// What was found, with the path.
        damage: String,
        /// Where the damaged file is.
        aside: PathBuf,
        /// How many unsent rollups went with it; `None` if that is not known.
        lost: Option<u64>,
    },
}

/// A row that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// Which end saw which tunnel Up: the row's words.
    SeenUp(String),
    /// An incident that is on the Board.
    Incident {
        /// Its id.
        id: String,
        /// Why.
        error: String,
    },
    /// What is known of an incident's record at a sink.
    LedgerRow {
        /// The sink.
        sink: String,
        /// Why.
        error: String,
    },
}

impl StoreNotice {
    /// A warning wants a look today; with an error something was lost, or may be.
    pub const fn level(&self) -> log::Level {
        match self {
            Self::Unreadable(_) | Self::Full | Self::OpenTwice(_) => log::Level::Warn,
            Self::FileReplaced | Self::LogReplaced | Self::SetAside { .. } => log::Level::Error,
        }
    }

    /// The text, of the store at `path`.
    pub fn text(&self, path: &Path) -> String {
        let what = match self {
            Self::Unreadable(Unreadable::SeenUp(row)) => {
                format!("cannot read what was seen up, {row}; it is left as it is")
            }
            Self::Unreadable(Unreadable::Incident { id, error }) => {
                format!("cannot read incident {id}: {error}; it is left as it is")
            }
            Self::Unreadable(Unreadable::LedgerRow { sink, error }) => format!(
                "cannot read a ledger row of {sink}: {error}; it is left as it is, and its record at the sink is looked for again"
            ),
            Self::Full => {
                "store full or retention exceeded ([store] max_size, keep): dropping the oldest unsent \
                           metrics; bothends_rollups_dropped_total counts them"
                    .to_owned()
            }
            Self::OpenTwice(IncidentId { vpn, kind, opened }) => format!(
                "the file, unusable until now, has {vpn}/{}/{} as open, while another incident of this kind is \
                 open; it is now closed in the file: check whether its record is still open at a sink",
                kind.as_str(),
                opened.as_millis()
            ),
            Self::FileReplaced => {
                "the file was removed or replaced; another is written in its place".to_owned()
            }
            Self::LogReplaced => {
                "its log (-wal) was removed or replaced; what that held is written into the file".to_owned()
            }
            Self::SetAside { damage, aside, lost } => {
                let lost = match lost {
                    Some(0) => String::new(),
                    Some(lost) => format!("; {lost} unsent one-minute rollups for CloudWatch are lost"),
                    None => "; unsent metrics for CloudWatch are lost, how many is not known".to_owned(),
                };
                return format!(
                    "{damage}. It is kept as {}, and a new one is created from memory{lost}: check the disk",
                    aside.display()
                );
            }
        };
        format!("store {}: {what}", path.display())
    }
}

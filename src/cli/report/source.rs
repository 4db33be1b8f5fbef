//! Where the history comes from: the daemon, or a store's file.

use std::fmt;
use std::io::ErrorKind;
use std::path::Path;

use crate::cli::daemon_address::{Failure, Way, ask_daemon};
use crate::clock;
use crate::domain::time::Stamp;
use crate::history::{Entry, Period, Present, Wanted};
use crate::http::client::Client;
use crate::http::history::{self, HISTORY_PATIENCE};
use crate::http::history_lines::HistoryError;
use crate::process::Exit;
use crate::store::{self, OpenError};

/// What is known of the past.
#[derive(Debug)]
pub(super) struct History {
    pub(super) entries: Vec<Entry>,
    pub(super) present: Present,
}

/// Why nothing is known.
#[derive(Debug)]
pub(super) enum SourceError {
    /// The daemon gave none.
    Daemon(String),
    /// The file cannot be read.
    File(OpenError),
}

impl SourceError {
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Daemon(_) => Exit::BadNews,
            Self::File(OpenError::Unusable { source, .. })
                if source.kind() == ErrorKind::PermissionDenied =>
            {
                Exit::Permission
            }
            Self::File(
                OpenError::Unsuitable { .. }
                | OpenError::Unusable { .. }
                | OpenError::Failed { .. }
                | OpenError::Corrupt { .. }
                | OpenError::Held { .. },
            ) => Exit::BadNews,
        }
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Daemon(why) => f.write_str(why),
            Self::File(error @ OpenError::Held { .. }) => {
                write!(f, "--store: {error}; ask the daemon instead (without --store), or read a copy")
            }
            Self::File(error) => write!(f, "--store: {error}"),
        }
    }
}

impl History {
    /// What the daemon remembers of the period, and what it needs to know of the time before.
    pub(super) fn of_daemon(
        config: &Path,
        url: Option<&str>,
        way: &Way,
        period: Period,
    ) -> Result<Self, SourceError> {
        ask_daemon(config, url, way, |client| Self::ask(client, period.from)).map_err(SourceError::Daemon)
    }

    fn ask(client: &Client, since: Stamp) -> Result<Self, Failure> {
        let mut entries = Vec::new();
        let present = history::ask(client, since, false, HISTORY_PATIENCE, |entry| entries.push(entry));
        match present {
            Ok(present) => Ok(Self { entries, present }),
            Err(HistoryError::Client(error)) => Err(Failure::Client(error)),
            Err(HistoryError::Refused { code: 401, body }) => Err(Failure::Answered(401, body)),
            Err(
                error @ (HistoryError::Refused { .. }
                | HistoryError::NoHistory
                | HistoryError::Version { .. }
                | HistoryError::Line { .. }
                | HistoryError::Failed { .. }
                | HistoryError::CutShort),
            ) => Err(Failure::Unfit(error.to_string())),
        }
    }

    /// Everything that a file remembers; what is older than the report says what was so at its beginning.
    pub(super) fn of_file(path: &Path) -> Result<Self, SourceError> {
        let mut entries = Vec::new();
        let wanted = Wanted { since: Stamp::from_millis(i64::MIN), until: None, minutes: false };
        let present = store::recall_file(path, wanted, clock::now(), |entry| entries.push(entry));
        Ok(Self { present: present.map_err(SourceError::File)?, entries })
    }
}

//! Where the history comes from: the daemon, or a store's file.

use std::fmt;
use std::path::Path;

use crate::domain::time::Stamp;
use crate::history::{Entry, Period, Present};
use crate::process::Exit;

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
}

impl SourceError {
    pub(super) const fn exit(&self) -> Exit {
        match self {
            Self::Daemon(_) => Exit::BadNews,
        }
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Daemon(why) => f.write_str(why),
        }
    }
}

impl History {
    pub(super) fn of_daemon(
        _config: &Path,
        _url: Option<&str>,
        _period: Period,
    ) -> Result<Self, SourceError> {
        Err(SourceError::Daemon("not yet".to_owned()))
    }

    pub(super) fn of_file(_path: &Path, _since: Stamp) -> Result<Self, SourceError> {
        Err(SourceError::Daemon("not yet".to_owned()))
    }
}

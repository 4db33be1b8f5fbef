//! The store on the disk, read from a copy: while a daemon has it open nobody else may open it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tempfile::TempDir;

use super::wait::until;

pub(crate) struct Copy {
    pub(super) path: PathBuf,
    _directory: TempDir,
}

impl Copy {
    /// With the WAL, if there is one. A torn copy fails when it is read.
    pub(crate) fn of(store: &Path) -> io::Result<Self> {
        let directory = TempDir::new()?;
        let path = directory.path().join("bothends.db");
        fs::copy(store, &path)?;
        match fs::copy(store.with_file_name("bothends.db-wal"), path.with_file_name("bothends.db-wal")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            copied => _ = copied?,
        }
        Ok(Self { path, _directory: directory })
    }

    pub(crate) fn count(&self, from: &str) -> rusqlite::Result<i64> {
        let query = format!("SELECT count(*) FROM {from}");
        Connection::open(&self.path)?.query_row(&query, [], |row| row.get(0))
    }
}

/// Waits until the store holds this many rows.
#[track_caller]
pub(super) fn until_holds(store: &Path, from: &str, rows: i64) {
    let look = || Copy::of(store).ok()?.count(from).ok();
    until(&format!("{rows} rows of {from} are written"), || look() == Some(rows));
}

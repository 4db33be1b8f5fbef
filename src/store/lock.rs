//! One daemon has a store: two would overwrite each other's incidents and ledger, and both page.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::open::{self, OpenError};

/// A lock that goes with the process, however it ends. It is on a file beside the store and not on the store, whose own
/// locks SQLite would lose with a second descriptor of it (sqlite.org/howtocorrupt.html, 2.2).
#[derive(Debug)]
pub(super) struct StoreLock {
    _file: File,
}

impl StoreLock {
    /// Takes the store at `path`, if somebody has had it before: nothing is made beside a file that may not be ours. To be
    /// asked before the store is opened, which a daemon that has it lets nobody do.
    ///
    /// # Errors
    /// Another process has it.
    pub(super) fn take_again(path: &Path) -> Result<Option<Self>, OpenError> {
        Self::lock(path, OpenOptions::new().write(true))
    }

    /// Takes the store at `path`. `None` where the disk lets no lock be had: it keeps nobody from watching.
    ///
    /// # Errors
    /// Another process has it.
    pub(super) fn take(path: &Path) -> Result<Option<Self>, OpenError> {
        // On a first start it is missing yet. That it cannot be made is told by whoever writes to it.
        let _made = open::create_directory(path);
        Self::lock(path, OpenOptions::new().write(true).create(true).truncate(false).mode(0o600))
    }

    fn lock(path: &Path, options: &OpenOptions) -> Result<Option<Self>, OpenError> {
        let mut beside = OsString::from(path);
        beside.push("-lock");
        let file = match options.open(beside) {
            Ok(file) => file,
            Err(error) => {
                log::debug!("store {}: no lock beside it: {error}", path.display());
                return Ok(None);
            }
        };
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Err(OpenError::Held { path: path.into() }),
            Err(TryLockError::Error(error)) => {
                log::debug!("store {}: it cannot be locked: {error}", path.display());
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_one_holders_until_it_is_let_go() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bothends.db");
        assert!(StoreLock::take_again(&path).unwrap().is_none());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is made");
        let held = StoreLock::take(&path).unwrap();
        assert!(held.is_some());
        assert!(matches!(StoreLock::take_again(&path), Err(OpenError::Held { .. })));
        let refused = StoreLock::take(&path).unwrap_err();
        assert!(!refused.is_misconfigured(), "it may end by itself");
        let told = refused.to_string();
        assert!(
            told.contains("locked by another bothends process") && told.contains("systemctl status bothends"),
            "{told}"
        );
        drop(held);
        assert!(StoreLock::take_again(&path).unwrap().is_some());
    }

    #[test]
    fn where_no_lock_can_be_had_nobody_is_kept_from_watching() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "in the way").unwrap();
        assert!(StoreLock::take(&file.join("bothends.db")).unwrap().is_none());
    }
}

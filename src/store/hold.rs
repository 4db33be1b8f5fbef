//! One daemon has a store: two would overwrite each other's incidents and ledger, and both page.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::open::OpenError;

/// A lock that goes with the process, however it ends. It is on a file beside the store and not on the store, whose own
/// locks SQLite would lose with a second descriptor of it (sqlite.org/howtocorrupt.html, 2.2).
#[derive(Debug)]
pub(super) struct Hold {
    _file: File,
}

impl Hold {
    /// Takes the store at `path`. `None` where the disk lets no lock be had: it keeps nobody from watching.
    ///
    /// # Errors
    /// Another process has it.
    pub(super) fn take(path: &Path) -> Result<Option<Self>, OpenError> {
        let mut beside = OsString::from(path);
        beside.push("-lock");
        let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(beside);
        let file = match opened {
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
    fn a_store_is_one_holders_until_he_lets_it_go() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bothends.db");
        let held = Hold::take(&path).unwrap();
        assert!(held.is_some());
        let refused = Hold::take(&path).unwrap_err();
        assert!(!refused.is_misconfigured(), "it may end by itself");
        let told = refused.to_string();
        assert!(
            told.contains("another bothends has it") && told.contains("systemctl status bothends"),
            "{told}"
        );
        drop(held);
        assert!(Hold::take(&path).unwrap().is_some());
    }

    #[test]
    fn where_no_lock_can_be_had_nobody_is_kept_from_watching() {
        assert!(Hold::take(Path::new("/nonexistent/bothends.db")).unwrap().is_none());
    }
}

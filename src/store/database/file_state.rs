//! Whether the files are still those that are written: somebody may have removed, replaced or cut them short.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::store::open::companions;

/// How things are with the files of a connection's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum FileState {
    /// As they were left.
    Kept,
    /// The file of that name is another one, or there is none: what is written would be in vain.
    Replaced,
    /// The same of its log. The connection still has all that was in it.
    WithoutLog,
    /// The log is shorter than it was left: what was in it and not yet in the file is lost.
    LogCut,
}

/// The files as they were left.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left {
    file: Option<Seen>,
    log: Option<Seen>,
}

/// A file, whatever its name.
#[derive(Debug, Clone, Copy)]
struct Seen {
    device: u64,
    inode: u64,
    length: u64,
}

impl Left {
    pub(super) fn at(path: &Path) -> Self {
        let [log, _shared_memory] = companions(path);
        Self { file: seen(path), log: seen(&log) }
    }

    /// What has become of them.
    pub(super) fn place(&self, path: &Path) -> FileState {
        let now = Self::at(path);
        if !is_same(self.file, now.file) {
            return FileState::Replaced;
        }
        match (self.log, now.log) {
            // It comes with the first access.
            (None, _) => FileState::Kept,
            (left, now) if !is_same(left, now) => FileState::WithoutLog,
            (left, now) if now.map(|now| now.length) < left.map(|left| left.length) => FileState::LogCut,
            _ => FileState::Kept,
        }
    }

    /// They were written: the log is as long as it is now.
    pub(super) fn written(&mut self, path: &Path) {
        let now = Self::at(path);
        if is_same(self.file, now.file) && (self.log.is_none() || is_same(self.log, now.log)) {
            self.log = now.log;
        }
    }
}

fn is_same(left: Option<Seen>, now: Option<Seen>) -> bool {
    matches!((left, now), (Some(left), Some(now)) if (left.device, left.inode) == (now.device, now.inode))
}

fn seen(path: &Path) -> Option<Seen> {
    let found = fs::symlink_metadata(path).ok()?;
    Some(Seen { device: found.dev(), inode: found.ino(), length: found.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed_replaced_or_cut_is_noticed_and_what_grew_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bothends.db");
        let [log, _] = companions(&path);
        fs::write(&path, "file").unwrap();
        assert_eq!(Left::at(&path).place(&path), FileState::Kept);
        let without_log = Left::at(&path);
        fs::write(&log, "log").unwrap();
        assert_eq!(without_log.place(&path), FileState::Kept);

        let left = Left::at(&path);
        fs::write(&log, "longer log").unwrap();
        assert_eq!(left.place(&path), FileState::Kept);
        fs::write(&log, "").unwrap();
        assert_eq!(left.place(&path), FileState::LogCut);
        let mut emptied = left;
        emptied.written(&path);
        assert_eq!(emptied.place(&path), FileState::Kept, "whoever writes it empties it, too");
        let other = directory.path().join("other");
        fs::write(&other, "another log").unwrap();
        fs::rename(&other, &log).unwrap();
        emptied.written(&path);
        assert_eq!((left.place(&path), emptied.place(&path)), (FileState::WithoutLog, FileState::WithoutLog));
        fs::remove_file(&log).unwrap();
        assert_eq!(left.place(&path), FileState::WithoutLog);
        fs::write(&other, "file").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(left.place(&path), FileState::Replaced);
        fs::remove_file(&path).unwrap();
        assert_eq!(left.place(&path), FileState::Replaced);
    }
}

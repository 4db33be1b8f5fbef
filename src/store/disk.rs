//! The file under every condition: it appears and disappears, fills up, cannot be written, is damaged.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{ErrorCode, ffi};

use super::database::{Database, FileState, Found, Removed};
use super::history::{History, ROLLUPS_MAX};
use super::open::{OpenError, companions};
use super::state::State;
use crate::catalogue::parts::StoreNotice;
use crate::domain::rollup::Rollup;
use crate::domain::time::{Moment, Now, Stamp};
use crate::settings::StoreSettings;

/// At most one file is set aside in this time: a disk that damages every write would fill up with them.
const SET_ASIDE_AT_MOST_EVERY: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub(super) struct Disk {
    path: PathBuf,
    max_size: u64,
    keep: Duration,
    /// `None` while it cannot be opened.
    database: Option<Database>,
    /// Set when reading found damage.
    damaged: Option<OpenError>,
    set_aside_at: Option<Moment>,
    /// Unsent rollups that were removed for lack of space.
    dropped: u64,
    /// Unsent rollups that were lost with a damaged file.
    lost: u64,
}

impl Disk {
    /// Opens the file, if possible, and reads what the last run left.
    ///
    /// # Errors
    /// The path is wrong.
    pub(super) fn open(
        settings: &StoreSettings,
        now: Now,
        notices: &mut VecDeque<StoreNotice>,
    ) -> Result<(Self, Opening), OpenError> {
        Self::opened(settings, now, notices, Self::open_and_read)
    }

    /// Opens it without writing to it, unless it is damaged or from an older release: [`Self::write`] does the rest.
    ///
    /// # Errors
    /// The path is wrong.
    pub(super) fn open_before_writing(
        settings: &StoreSettings,
        now: Now,
        notices: &mut VecDeque<StoreNotice>,
    ) -> Result<(Self, Opening), OpenError> {
        Self::opened(settings, now, notices, Self::read_before_writing)
    }

    fn opened(
        settings: &StoreSettings,
        now: Now,
        notices: &mut VecDeque<StoreNotice>,
        read: impl FnOnce(&mut Self, Now) -> Result<Found, OpenError>,
    ) -> Result<(Self, Opening), OpenError> {
        let StoreSettings { path, max_size, keep, spool: _ } = settings;
        let mut disk = Self {
            path: path.clone(),
            max_size: *max_size,
            keep: *keep,
            database: None,
            damaged: None,
            set_aside_at: None,
            dropped: 0,
            lost: 0,
        };
        let (found, failure) = match read(&mut disk, now) {
            Err(error) if error.is_misconfigured() => return Err(error),
            Err(error) => (Found::default(), Some(error)),
            Ok(mut found) => {
                let damage = found.damage.take().map(|error| OpenError::of(path, error));
                (found, damage)
            }
        };
        let opening = match failure {
            None => Opening { found, ..Opening::default() },
            Some(error @ OpenError::Corrupt { .. }) => {
                let Rescue { rollups, lost } = disk.rescue();
                let failure = disk.replace_damaged(&error, lost, now, notices).err();
                Opening { found, rescued: rollups, replaced: true, failure }
            }
            Some(error) => {
                // It cannot be written, but perhaps read.
                let found = Database::peek(path, now).unwrap_or_default();
                Opening { found, failure: Some(error), ..Opening::default() }
            }
        };
        Ok((disk, opening))
    }

    /// Opens it and reads its data.
    fn open_and_read(&mut self, now: Now) -> Result<Found, OpenError> {
        let database = Database::open(&self.path, self.keep, self.max_size, now)?;
        let found = database.found(now).map_err(|error| OpenError::of(&self.path, error))?;
        self.database = Some(database);
        Ok(found)
    }

    fn read_before_writing(&mut self, now: Now) -> Result<Found, OpenError> {
        let database = Database::open_before_writing(&self.path, self.keep, self.max_size, now)?;
        let Some(database) = database else { return Ok(Found::default()) };
        let found = database.found(now).map_err(|error| OpenError::of(&self.path, error))?;
        self.database = Some(database);
        Ok(found)
    }

    /// Whether the file is there and writable.
    pub(super) fn is_open(&self) -> bool {
        self.database.as_ref().is_some_and(Database::is_configured)
    }

    /// Writes everything that waits.
    pub(super) fn write(
        &mut self,
        state: &mut State,
        history: &mut History,
        now: Now,
        notices: &mut VecDeque<StoreNotice>,
    ) -> Result<(), OpenError> {
        self.check_files(notices);
        let done = match self.damaged.take() {
            None => self.attempt(state, history, now, notices),
            Some(damage) => Err(damage),
        };
        let Err(damage @ OpenError::Corrupt { .. }) = done else { return done };
        // Whatever happens to the file, this is in memory from here on.
        let Rescue { rollups, lost } = self.rescue();
        for rollup in rollups {
            self.dropped += history.rollup(rollup, false);
        }
        state.write_again();
        self.replace_damaged(&damage, lost, now, notices)?;
        history.watched.forget_committed();
        self.attempt(state, history, now, notices)
    }

    /// Handles files that were removed, replaced or truncated.
    fn check_files(&mut self, notices: &mut VecDeque<StoreNotice>) {
        let Some(database) = &self.database else { return };
        let done = match database.file_state() {
            FileState::Kept => return,
            FileState::Replaced => Ok(StoreNotice::FileReplaced),
            FileState::WithoutLog => database.save_log().map(|()| StoreNotice::LogReplaced),
            FileState::LogCut => {
                let text = "its log (-wal) was cut short".to_owned();
                Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), Some(text)))
            }
        };
        match done {
            Ok(notice) => {
                notices.push_back(notice);
                self.close();
            }
            Err(source) => self.damaged = Some(OpenError::Corrupt { path: self.path.clone(), source }),
        }
    }

    /// The number of unsent rollups that were removed for lack of space since the last call.
    pub(super) fn take_dropped(&mut self) -> u64 {
        mem::take(&mut self.dropped)
    }

    /// The number of unsent rollups that were lost with a damaged file since the last call.
    pub(super) fn take_lost(&mut self) -> u64 {
        mem::take(&mut self.lost)
    }

    fn attempt(
        &mut self,
        state: &mut State,
        history: &mut History,
        now: Now,
        notices: &mut VecDeque<StoreNotice>,
    ) -> Result<(), OpenError> {
        let done = self.write_parts(state, history, now, notices);
        if let Err(OpenError::Failed { source, .. }) = &done
            && may_need_opening(source.sqlite_error_code())
        {
            self.close();
        }
        done
    }

    fn write_parts(
        &mut self,
        state: &mut State,
        history: &mut History,
        now: Now,
        notices: &mut VecDeque<StoreNotice>,
    ) -> Result<(), OpenError> {
        let database = match &mut self.database {
            Some(database) => {
                database.configure().map_err(|error| OpenError::of(&self.path, error))?;
                database
            }
            none => {
                let opened = Database::open(&self.path, self.keep, self.max_size, now)?;
                // It may be another file than before, or one that could not be read until now.
                let damage = match opened.found(now) {
                    Ok(mut found) => {
                        let damage = found.damage.take();
                        notices.extend(state.join(found, now).into_iter().map(StoreNotice::OpenTwice));
                        damage
                    }
                    Err(error) => Some(error),
                };
                state.write_again();
                let is_it = |until| opened.was_watched_until(until).unwrap_or(false);
                if !history.watched.committed().is_none_or(is_it) {
                    history.watched.forget_committed();
                }
                if let Some(damage) = damage {
                    let error = OpenError::of(&self.path, damage);
                    if matches!(error, OpenError::Corrupt { .. }) {
                        // Its readable rollups will be rescued.
                        *none = Some(opened);
                    }
                    return Err(error);
                }
                none.insert(opened)
            }
        };
        let failed = |error| OpenError::of(&self.path, error);
        while !(state.is_written() && history.is_empty()) {
            let part = history.part(database.shares().rollups_per_commit());
            match database.write(state, &part, now) {
                Ok(Removed { unsent, before }) => {
                    self.dropped += unsent;
                    state.written();
                    history.written(before);
                }
                Err(error) => {
                    history.take_back(part);
                    return Err(failed(error));
                }
            }
            database.empty_log().map_err(failed)?;
        }
        // A failed write is retried even when nothing new waits.
        database.empty_log().map_err(failed)
    }

    /// Reads from the file; `None` while there is none. Damage that this finds is handled by the next [`Self::write`].
    pub(super) fn read<T>(
        &mut self,
        read: impl FnOnce(&Database) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, String> {
        let Some(database) = &self.database else { return Ok(None) };
        read(database).map(Some).map_err(|error| {
            let error = OpenError::of(&self.path, error);
            let text = error.in_full();
            if matches!(error, OpenError::Corrupt { .. }) {
                self.damaged = Some(error);
            }
            text
        })
    }

    /// Whether there is a file to read.
    pub(super) const fn has_file(&self) -> bool {
        self.database.is_some()
    }

    /// Whether there is damage to handle.
    pub(super) const fn is_damaged(&self) -> bool {
        self.damaged.is_some()
    }

    fn rescue(&self) -> Rescue {
        let Some(database) = &self.database else { return Rescue { rollups: Vec::new(), lost: None } };
        let rollups = database.rescue_unsent(ROLLUPS_MAX);
        let rescued = u64::try_from(rollups.len()).unwrap_or(u64::MAX);
        let lost = database.count_unsent_of_damaged().map(|unsent| unsent.saturating_sub(rescued));
        Rescue { rollups, lost }
    }

    /// Sets the damaged file aside and creates a new one.
    fn replace_damaged(
        &mut self,
        damage: &OpenError,
        lost: Option<u64>,
        now: Now,
        notices: &mut VecDeque<StoreNotice>,
    ) -> Result<(), OpenError> {
        self.close();
        let unusable = |doing| {
            let path = self.path.clone();
            move |source| OpenError::Unusable { path, doing, source }
        };
        if self.set_aside_at.is_some_and(|at| now.mono.since(at) < SET_ASIDE_AT_MOST_EVERY) {
            let source = io::Error::other(damage.in_full());
            return Err(unusable(
                "go on: the file is damaged for the second time within an hour; check the disk",
            )(source));
        }
        let aside = set_aside(&self.path, now.wall).map_err(unusable("set the damaged file aside"))?;
        self.set_aside_at = Some(now.mono);
        notices.push_back(StoreNotice::SetAside { damage: damage.in_full(), aside, lost });
        self.lost += lost.unwrap_or(0);
        self.database = Some(Database::open(&self.path, self.keep, self.max_size, now)?);
        Ok(())
    }

    fn close(&mut self) {
        if let Some(database) = self.database.take() {
            database.abandon();
        }
    }
}

/// The unsent rollups that can still be read from a damaged file.
struct Rescue {
    rollups: Vec<Arc<Rollup>>,
    /// How many more it held; `None` if that cannot be read.
    lost: Option<u64>,
}

/// The result of opening the store.
#[derive(Debug, Default)]
pub(super) struct Opening {
    pub(super) found: Found,
    /// Unsent rollups of a damaged file.
    pub(super) rescued: Vec<Arc<Rollup>>,
    /// Whether the current file is new, so that everything must be written to it again.
    pub(super) replaced: bool,
    /// Why there is no file.
    pub(super) failure: Option<OpenError>,
}

/// Whether the file may work again only after it is reopened: a connection does not notice that a disk has become writable,
/// or was replaced.
const fn may_need_opening(code: Option<ErrorCode>) -> bool {
    matches!(
        code,
        Some(ErrorCode::ReadOnly | ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::NotFound)
    )
}

/// Moves a damaged file aside and keeps it, for a person to examine. Names it, its log and its shared memory after the
/// current time, such as `bothends.db.damaged-2026-11-23T01-20-00Z`. Returns its path. Never overwrites a file.
fn set_aside(path: &Path, now: Stamp) -> io::Result<PathBuf> {
    let aside = free_name(path, now);
    // The file is moved last: as long as it is there, the next try finds it damaged and sets it aside.
    for (from, to) in companions(path).into_iter().zip(companions(&aside)) {
        if from.try_exists()? {
            fs::rename(from, to)?;
        }
    }
    fs::rename(path, &aside)?;
    Ok(aside)
}

fn free_name(path: &Path, now: Stamp) -> PathBuf {
    // No colons: some file systems and archives reject them.
    let date = jiff::Timestamp::from_millisecond(now.as_millis())
        .map_or_else(|_| now.as_millis().to_string(), |at| at.strftime("%Y-%m-%dT%H-%M-%SZ").to_string());
    let named = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".damaged-{date}{suffix}"));
        PathBuf::from(name)
    };
    let taken = |name: &PathBuf| {
        fs::symlink_metadata(name).is_ok()
            || companions(name).iter().any(|one| fs::symlink_metadata(one).is_ok())
    };
    let mut name = named("");
    let mut further = 2_u32;
    while taken(&name) {
        name = named(&format!("-{further}"));
        further += 1;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_after_the_time_and_takes_no_name_that_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bothends.db");
        let [log, _] = companions(&path);
        let now = Stamp::from_secs(1_795_392_000);
        for text in ["one", "two"] {
            fs::write(&path, text).unwrap();
            fs::write(&log, format!("log of {text}")).unwrap();
            set_aside(&path, now).unwrap();
        }
        let read = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
        assert_eq!(read("bothends.db.damaged-2026-11-23T00-00-00Z"), "one");
        assert_eq!(read("bothends.db.damaged-2026-11-23T00-00-00Z-wal"), "log of one");
        assert_eq!(read("bothends.db.damaged-2026-11-23T00-00-00Z-2"), "two");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 4);
    }
}

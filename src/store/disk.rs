//! The file through everything that can happen to it: it comes and goes, fills up, cannot be written, is damaged.

use std::collections::VecDeque;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{ErrorCode, ffi};

use super::aside::set_aside;
use super::database::{Database, FileState, Found};
use super::held::Held;
use super::notice::StoreNotice;
use super::open::OpenError;
use super::pending::{Pending, ROLLUPS_MAX};
use crate::domain::board::IncidentId;
use crate::domain::rollup::Rollup;
use crate::domain::time::{Moment, Now};
use crate::settings::StoreSettings;

/// No more than one file is set aside in this time: a disk that damages whatever is written to it would fill up with
/// them.
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
    /// Unsent rollups that had to go for want of room.
    dropped: u64,
    /// Unsent rollups that were lost with a damaged file.
    lost: u64,
}

impl Disk {
    /// Opens the file, if that can be, and finds what the last run left.
    ///
    /// # Errors
    /// The path is wrong.
    pub(super) fn open(
        settings: &StoreSettings,
        now: Now,
        notices: &mut VecDeque<StoreNotice>,
    ) -> Result<(Self, Opening), OpenError> {
        Self::opened(settings, now, notices, Self::look)
    }

    /// The same without writing to it, unless it is damaged or of an older release: [`Self::write`] does the rest.
    ///
    /// # Errors
    /// The path is wrong.
    pub(super) fn open_before_writing(
        settings: &StoreSettings,
        now: Now,
        notices: &mut VecDeque<StoreNotice>,
    ) -> Result<(Self, Opening), OpenError> {
        Self::opened(settings, now, notices, Self::look_before_writing)
    }

    fn opened(
        settings: &StoreSettings,
        now: Now,
        notices: &mut VecDeque<StoreNotice>,
        look: impl FnOnce(&mut Self, Now) -> Result<Found, OpenError>,
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
        let (found, failure) = match look(&mut disk, now) {
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
                let failure = disk.begin_anew(&error, lost, now, notices).err();
                Opening { found, rescued: rollups, begun_anew: true, failure }
            }
            Some(error) => {
                // It cannot be written, but perhaps it can be read.
                let found = Database::peek(path, now).unwrap_or_default();
                Opening { found, failure: Some(error), ..Opening::default() }
            }
        };
        Ok((disk, opening))
    }

    /// Opens it and reads what there is.
    fn look(&mut self, now: Now) -> Result<Found, OpenError> {
        let database = Database::open(&self.path, self.keep, self.max_size, now)?;
        let found = database.found(now).map_err(|error| OpenError::of(&self.path, error))?;
        self.database = Some(database);
        Ok(found)
    }

    fn look_before_writing(&mut self, now: Now) -> Result<Found, OpenError> {
        let database = Database::open_before_writing(&self.path, self.keep, self.max_size, now)?;
        let Some(database) = database else { return Ok(Found::default()) };
        let found = database.found(now).map_err(|error| OpenError::of(&self.path, error))?;
        self.database = Some(database);
        Ok(found)
    }

    /// Whether the file is there and may be written to.
    pub(super) fn is_open(&self) -> bool {
        self.database.as_ref().is_some_and(Database::is_configured)
    }

    /// Writes everything that waits.
    pub(super) fn write(
        &mut self,
        pending: &mut Pending,
        held: &mut Held,
        now: Now,
        notices: &mut VecDeque<StoreNotice>,
    ) -> Result<(), OpenError> {
        self.look_after(notices);
        let done = match self.damaged.take() {
            None => self.attempt(pending, held, now, notices),
            Some(damage) => Err(damage),
        };
        let Err(damage @ OpenError::Corrupt { .. }) = done else { return done };
        // Whatever becomes of the file, this is in memory from here on.
        let Rescue { rollups, lost } = self.rescue();
        for rollup in rollups {
            self.dropped += pending.rollup(rollup, false);
        }
        held.write_again(pending);
        self.begin_anew(&damage, lost, now, notices)?;
        self.attempt(pending, held, now, notices)
    }

    /// Deals with files that somebody has removed, replaced or cut short.
    fn look_after(&mut self, notices: &mut VecDeque<StoreNotice>) {
        let Some(database) = &self.database else { return };
        let done = match database.file_state() {
            FileState::Kept => return,
            FileState::Replaced => Ok("the file was removed or replaced; another is written in its place"),
            FileState::WithoutLog => database
                .save_log()
                .map(|()| "its log (-wal) was removed or replaced; what that held is written into the file"),
            FileState::LogCut => {
                let text = "its log (-wal) was cut short".to_owned();
                Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), Some(text)))
            }
        };
        match done {
            Ok(what) => {
                notices.push_back(StoreNotice::Error(format!("store {}: {what}", self.path.display())));
                self.let_go();
            }
            Err(source) => self.damaged = Some(OpenError::Corrupt { path: self.path.clone(), source }),
        }
    }

    /// How many unsent rollups had to go for want of room since this was asked last.
    pub(super) fn take_dropped(&mut self) -> u64 {
        mem::take(&mut self.dropped)
    }

    /// How many unsent rollups were lost with a damaged file since this was asked last.
    pub(super) fn take_lost(&mut self) -> u64 {
        mem::take(&mut self.lost)
    }

    fn attempt(
        &mut self,
        pending: &mut Pending,
        held: &mut Held,
        now: Now,
        notices: &mut VecDeque<StoreNotice>,
    ) -> Result<(), OpenError> {
        let done = self.write_parts(pending, held, now, notices);
        if let Err(OpenError::Failed { source, .. }) = &done
            && may_need_opening(source.sqlite_error_code())
        {
            self.let_go();
        }
        done
    }

    fn write_parts(
        &mut self,
        pending: &mut Pending,
        held: &mut Held,
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
                // It may be another file than before, or one that could not be read until this moment.
                let damage = match opened.found(now) {
                    Ok(mut found) => {
                        let damage = found.damage.take();
                        for id in held.join(found, pending, now) {
                            notices.push_back(second_open(&self.path, &id));
                        }
                        damage
                    }
                    Err(error) => Some(error),
                };
                held.write_again(pending);
                if let Some(damage) = damage {
                    let error = OpenError::of(&self.path, damage);
                    if matches!(error, OpenError::Corrupt { .. }) {
                        // What it still gives is to be rescued.
                        *none = Some(opened);
                    }
                    return Err(error);
                }
                none.insert(opened)
            }
        };
        let failed = |error| OpenError::of(&self.path, error);
        while !pending.is_empty() {
            let part = pending.part(database.shares().rollups_per_commit());
            match database.write(&part, now) {
                Ok(dropped) => self.dropped += dropped,
                Err(error) => {
                    pending.take_back(part);
                    return Err(failed(error));
                }
            }
            database.empty_log().map_err(failed)?;
        }
        // What failed is tried again when nothing waits, too.
        database.empty_log().map_err(failed)
    }

    /// Reads from the file; `None` while there is none. Damage that is found so is dealt with at the next
    /// [`Self::write`].
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

    /// Whether there is damage to be dealt with.
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

    /// Sets the damaged file aside and begins a fresh one.
    fn begin_anew(
        &mut self,
        damage: &OpenError,
        lost: Option<u64>,
        now: Now,
        notices: &mut VecDeque<StoreNotice>,
    ) -> Result<(), OpenError> {
        self.let_go();
        let unusable = |doing| {
            let path = self.path.clone();
            move |source| OpenError::Unusable { path, doing, source }
        };
        if self.set_aside_at.is_some_and(|at| now.mono.since(at) < SET_ASIDE_AT_MOST_EVERY) {
            let source = std::io::Error::other(damage.in_full());
            return Err(unusable(
                "go on: the file is damaged for the second time within an hour; check the disk",
            )(source));
        }
        let aside = set_aside(&self.path, now.wall).map_err(unusable("set the damaged file aside"))?;
        self.set_aside_at = Some(now.mono);
        notices.push_back(StoreNotice::Error(format!(
            "{}. It is kept as {}, and a new one is created from memory{}: check the disk",
            damage.in_full(),
            aside.display(),
            match lost {
                Some(0) => String::new(),
                Some(lost) => format!("; {lost} unsent one-minute rollups for CloudWatch are lost"),
                None => "; unsent metrics for CloudWatch are lost, how many is not known".to_owned(),
            }
        )));
        self.lost += lost.unwrap_or(0);
        self.database = Some(Database::open(&self.path, self.keep, self.max_size, now)?);
        Ok(())
    }

    fn let_go(&mut self) {
        if let Some(database) = self.database.take() {
            database.abandon();
        }
    }
}

/// What a damaged file still gives of the rollups that wait to be sent.
struct Rescue {
    rollups: Vec<Arc<Rollup>>,
    /// How many it held beyond them; `None` if that cannot be read.
    lost: Option<u64>,
}

/// What was found when the store was opened.
#[derive(Debug, Default)]
pub(super) struct Opening {
    pub(super) found: Found,
    /// Unsent rollups of a damaged file.
    pub(super) rescued: Vec<Arc<Rollup>>,
    /// Whether the file at hand is a fresh one, to which everything is to be written again.
    pub(super) begun_anew: bool,
    /// Why there is no file at hand.
    pub(super) failure: Option<OpenError>,
}

/// What is said of an incident that was open in a file that was opened late, while another of its kind was open already.
fn second_open(path: &Path, IncidentId { vpn, kind, opened }: &IncidentId) -> StoreNotice {
    StoreNotice::Warning(format!(
        "store {}: the file, unusable until now, has {vpn}/{}/{} as open, while another incident of this kind is \
         open; it is now closed in the file: check whether its record is still open at a sink",
        path.display(),
        kind.as_str(),
        opened.as_millis()
    ))
}

/// Whether the file may work again only once it is opened again: a connection does not notice that a disk can be written
/// again, or that another one is there.
const fn may_need_opening(code: Option<ErrorCode>) -> bool {
    matches!(
        code,
        Some(ErrorCode::ReadOnly | ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::NotFound)
    )
}

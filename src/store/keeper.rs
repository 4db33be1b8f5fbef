//! The store without its thread: synchronous, and told the time, so that a simulation can run it.
//!
//! What is recorded waits in memory until [`Keeper::handle_timeout`] is called at [`Keeper::poll_timeout`], or
//! [`Keeper::commit`] at any time. Dropping a Keeper commits nothing: to the file it is a crash.

use std::collections::VecDeque;
use std::sync::Arc;

use rusqlite::ErrorCode;

use super::database::{Database, Found};
use super::entry::Entry;
use super::handle::{Counts, Settings};
use super::open::OpenError;
use super::pace::Pace;
use super::pending::Pending;
use crate::domain::board::IncidentId;
use crate::domain::event::Remembered;
use crate::domain::fact::Fact;
use crate::domain::names::SinkId;
use crate::domain::rollup::Rollup;
use crate::domain::time::{Moment, Now, Stamp};
use crate::health::{Problem, Severity};
use crate::incident::sink::LedgerRow;

/// The store's whole logic: what is written when, what is read, and what is said of a disk that fails.
#[derive(Debug)]
pub struct Keeper {
    database: Database,
    /// What it is called in messages.
    name: String,
    /// Whether it is on a disk at all; if not, that is its problem, and stays so.
    on_disk: bool,
    /// Whether rollups wait to be sent.
    spool: bool,
    pending: Pending,
    pace: Pace,
    counts: Counts,
    problem: Option<Problem>,
    notices: VecDeque<Notice>,
}

/// What people are to be told, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Someone should look today.
    Warning(String),
    /// Something was lost.
    Error(String),
}

impl Keeper {
    /// Opens the file, or creates it (0600, and its directory 0700); blocks for as long as the disk takes. A disk that
    /// cannot be used is no error but a [`Self::problem`]: everything is kept in memory.
    ///
    /// `now` anchors the moments of what is remembered: they keep their distance on the wall clock.
    ///
    /// # Errors
    /// The path does not name a file that could be ours: [`OpenError::is_misconfigured`]. It is untouched.
    pub fn open(settings: &Settings, now: Now) -> Result<(Self, Remembered), OpenError> {
        match Self::on_disk(settings, now) {
            Err(error) if !error.is_misconfigured() => Self::without_disk(settings, now, &error),
            opened => opened,
        }
    }

    fn on_disk(settings: &Settings, now: Now) -> Result<(Self, Remembered), OpenError> {
        let database = Database::open(&settings.path, settings.keep)?;
        let failed = |source| OpenError::of(&settings.path, source);
        let Found { remembered, unreadable } = database.remembered(now).map_err(failed)?;
        let mut keeper = Self::new(database, settings, true);
        for what in unreadable {
            let text = format!("{}: cannot read {what}; it is left as it is", keeper.name);
            keeper.notices.push_back(Notice::Warning(text));
        }
        Ok((keeper, remembered))
    }

    fn without_disk(settings: &Settings, now: Now, why: &OpenError) -> Result<(Self, Remembered), OpenError> {
        let failed = |source| OpenError::Failed { path: settings.path.clone(), source };
        let database = Database::in_memory(settings.keep).map_err(failed)?;
        let Found { remembered, unreadable: _ } = database.remembered(now).map_err(failed)?;
        let mut keeper = Self::new(database, settings, false);
        let cause = std::error::Error::source(why).map_or(String::new(), |source| format!(" ({source})"));
        keeper.problem = Some(from_memory(format!("{why}{cause}")));
        Ok((keeper, remembered))
    }

    fn new(database: Database, settings: &Settings, on_disk: bool) -> Self {
        Self {
            database,
            name: format!("store {}", settings.path.display()),
            on_disk,
            spool: settings.spool,
            pending: Pending::default(),
            pace: Pace::default(),
            counts: Counts::default(),
            problem: None,
            notices: VecDeque::new(),
        }
    }

    //--- what comes in

    /// Takes in what must outlive a restart, for a commit at once, and what is history, for a later one.
    pub fn record(&mut self, fact: &Fact, now: Now) {
        if let Some(entry) = Entry::of(fact) {
            self.take(entry, now);
        }
    }

    pub(super) fn take(&mut self, entry: Entry, now: Now) {
        match entry {
            Entry::SeenUp(seen) => {
                self.pending.seen_up.insert(seen);
                self.pace.state(now.mono);
            }
            Entry::Incident { incident, settled } => {
                self.pending.incident(incident, settled);
                self.pace.state(now.mono);
            }
            Entry::Transition(transition) => {
                self.counts.transitions_dropped += self.pending.transition(*transition);
                self.pace.history(now.mono);
            }
            Entry::Rollup(rollup) => {
                self.counts.rollups_dropped += self.pending.rollup(rollup, !self.spool);
                self.pace.history(now.mono);
            }
        }
    }

    /// Takes in a row of the ledger, in place of the one with the same sink, incident and generation, for a commit at once.
    pub fn commit_row(&mut self, row: LedgerRow, now: Now) {
        self.pending.row(row);
        self.pace.state(now.mono);
    }

    /// Takes in that an incident's rows of a sink are to go, for a commit at once.
    pub fn forget(&mut self, sink: &SinkId, incident: &IncidentId, now: Now) {
        self.pending.forget(sink.clone(), incident.clone());
        self.pace.state(now.mono);
    }

    /// Takes in that rollups have been sent (or never will be), whether they had been recorded before or not, for a commit
    /// at once.
    pub fn sent(&mut self, rollups: &[Arc<Rollup>], now: Now) {
        for rollup in rollups {
            self.counts.rollups_dropped += self.pending.sent(Arc::clone(rollup));
        }
        self.pace.state(now.mono);
    }

    //--- when it is written

    /// When [`Self::handle_timeout`] is to be called; a moment that has passed if state waits.
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.pace.due()
    }

    /// Commits if that is due.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn handle_timeout(&mut self, now: Now) -> Result<(), String> {
        if self.pace.due().is_some_and(|due| due <= now.mono) { self.commit(now) } else { Ok(()) }
    }

    /// Commits everything that waits; when this returns it survives a power cut.
    ///
    /// # Errors
    /// What is wrong with the disk, in an operator's words. Everything is kept, and tried again at [`Self::poll_timeout`].
    pub fn commit(&mut self, now: Now) -> Result<(), String> {
        if self.pending.is_empty() {
            return Ok(());
        }
        match self.database.write(&self.pending, now) {
            Ok(given_up) => {
                self.pending = Pending::default();
                self.pace.committed(now.mono);
                self.counts.rollups_dropped += given_up;
                if self.on_disk {
                    self.problem = None;
                }
                Ok(())
            }
            Err(error) => {
                self.pace.failed(now.mono);
                let what = self.failed(&error);
                if self.problem.is_none() {
                    self.problem = Some(from_memory(format!("{what} ({error})")));
                }
                Err(what)
            }
        }
    }

    //--- what is read

    /// Every row of a sink's ledger, committed or waiting.
    ///
    /// # Errors
    /// What is wrong with the disk, in an operator's words.
    pub fn load(&mut self, sink: &SinkId) -> Result<Vec<LedgerRow>, String> {
        let (stored, unreadable) = self.database.ledger(sink).map_err(|error| self.failed(&error))?;
        for what in unreadable {
            let text =
                format!("{}: cannot read {what}; its record at the sink is looked for again", self.name);
            self.notices.push_back(Notice::Error(text));
        }
        let forgotten = |row: &LedgerRow| {
            self.pending.forgotten.iter().any(|(of, incident)| of == sink && *incident == row.incident)
        };
        let mut rows: Vec<_> = stored.into_iter().filter(|row| !forgotten(row)).collect();
        for ((of, incident, generation), row) in &self.pending.ledger {
            if of == sink {
                rows.retain(|stored| (&stored.incident, &stored.generation) != (incident, generation));
                rows.push(row.clone());
            }
        }
        Ok(rows)
    }

    /// Up to `limit` unsent rollups of minutes that began at `until` or before, newest first, committed or waiting.
    ///
    /// # Errors
    /// What is wrong with the disk, in an operator's words.
    pub fn unsent(&self, until: Stamp, limit: usize) -> Result<Vec<Arc<Rollup>>, String> {
        let sent = self.pending.rollups.values().filter(|sent| **sent).count();
        let stored =
            self.database.unsent(until, limit.saturating_add(sent)).map_err(|error| self.failed(&error))?;
        let is_known =
            |rollup: &Arc<Rollup>| self.pending.rollups.contains_key(&(rollup.minute, Arc::clone(rollup)));
        let waiting = self.pending.rollups.iter().filter(|((minute, _), sent)| !**sent && *minute <= until);
        let mut unsent: Vec<_> = waiting.map(|((_, rollup), _)| Arc::clone(rollup)).collect();
        unsent.extend(stored.into_iter().filter(|rollup| !is_known(rollup)));
        unsent.sort_by_key(|rollup| std::cmp::Reverse(rollup.minute));
        unsent.truncate(limit);
        Ok(unsent)
    }

    /// How many rollups wait to be sent, committed or not.
    ///
    /// # Errors
    /// What is wrong with the disk, in an operator's words.
    pub fn pending(&self) -> Result<u64, String> {
        let mut count = self.database.unsent_count().map_err(|error| self.failed(&error))?;
        for ((_, rollup), sent) in &self.pending.rollups {
            let stored = self.database.is_unsent(rollup).map_err(|error| self.failed(&error))?;
            match (stored, *sent) {
                (true, true) => count = count.saturating_sub(1),
                (false, false) => count += 1,
                (true, false) | (false, true) => {}
            }
        }
        Ok(count)
    }

    //--- what is told

    /// What was lost since the start.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// What is wrong with the disk, as long as it is.
    pub const fn problem(&self) -> Option<&Problem> {
        self.problem.as_ref()
    }

    /// The next thing that people are to be told.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    fn failed(&self, error: &rusqlite::Error) -> String {
        format!("{}: {}", self.name, words(error))
    }
}

fn from_memory(what: String) -> Problem {
    let text = format!("{what}. Probing and incidents go on from memory, and a restart would forget them");
    Problem { severity: Severity::Failed, text }
}

/// What SQLite's error means to an operator.
fn words(error: &rusqlite::Error) -> String {
    let known = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full; make room",
        Some(ErrorCode::ReadOnly) => "it cannot be written; check the mount and the file's owner",
        Some(ErrorCode::SystemIoFailure) => "the disk reports an error; check it",
        Some(ErrorCode::CannotOpen) => "it cannot be opened; check its directory",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "another process holds it; let it go",
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "the file is damaged; move it away and restart"
        }
        Some(_) | None => return error.to_string(),
    };
    known.to_owned()
}

#[cfg(test)]
mod tests;

//! The store's thread: takes jobs from the queue, decides when to commit, and says when the disk fails.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use rusqlite::ErrorCode;
use tokio::sync::oneshot;

use super::database::Database;
use super::handle::Shared;
use super::mirror::Transition;
use super::pending::Pending;
use crate::clock;
use crate::domain::board::{Incident, IncidentId};
use crate::domain::event::SeenUp;
use crate::domain::names::SinkId;
use crate::domain::rollup::Rollup;
use crate::domain::time::{Moment, Now, Stamp};
use crate::health::{Component, Health, Problem, Severity};
use crate::incident::sink::LedgerRow;

/// In calm there is at most one commit in this time.
const COMMIT_INTERVAL: Duration = Duration::from_secs(60);
/// A minute's rollups wait this long for each other and for CloudWatch's answer, which then goes in the same commit.
const SETTLE: Duration = Duration::from_secs(5);
/// A failing disk is tried again this often, and with every further piece of state.
pub(super) const RETRY: Duration = Duration::from_secs(30);
/// Jobs taken in before their commit.
const JOBS_PER_COMMIT: usize = 1024;

/// The answer to whoever waits: `Err` tells an operator why.
pub(super) type Reply<T> = oneshot::Sender<Result<T, String>>;

#[derive(Debug)]
pub(super) enum Job {
    SeenUp(SeenUp),
    Incident { incident: Arc<Incident>, settled: Option<Stamp> },
    Transition(Box<Transition>),
    Rollup { rollup: Arc<Rollup>, sent: bool },
    Commit { row: Box<LedgerRow>, reply: Reply<()> },
    Forget { sink: SinkId, incident: IncidentId, reply: Reply<()> },
    Load { sink: SinkId, reply: Reply<Vec<LedgerRow>> },
    Sent { rollups: Vec<Arc<Rollup>>, reply: Reply<()> },
    Unsent { until: Stamp, limit: usize, reply: Reply<Vec<Arc<Rollup>>> },
    Count { reply: Reply<u64> },
}

#[derive(Debug)]
pub(super) struct Worker {
    pub(super) database: Database,
    /// What it is called in messages.
    pub(super) name: String,
    /// Whether it is on a disk at all; if not, that is stated already and stays so.
    pub(super) on_disk: bool,
    pub(super) health: Health,
    pub(super) shared: Arc<Shared>,
    pub(super) pending: Pending,
    pub(super) pace: Pace,
    pub(super) failing: bool,
}

/// When the next commit is due.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Pace {
    /// When the oldest thing that waits came.
    waiting_since: Option<Moment>,
    last_commit: Option<Moment>,
    retry_at: Option<Moment>,
}

impl Pace {
    fn arrived(&mut self, now: Moment) {
        self.waiting_since.get_or_insert(now);
    }

    fn committed(&mut self, now: Moment) {
        *self = Self { waiting_since: None, last_commit: Some(now), retry_at: None };
    }

    fn failed(&mut self, now: Moment) {
        self.retry_at = Some(now + RETRY);
    }

    fn due(&self) -> Option<Moment> {
        let settled = self.waiting_since? + SETTLE;
        let paced = self.last_commit.map_or(settled, |at| at + COMMIT_INTERVAL);
        Some(self.retry_at.unwrap_or_else(|| settled.max(paced)))
    }
}

impl Worker {
    /// Works until every handle is dropped, writes what is left, and closes the file.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            let first = match self.pace.due() {
                None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => jobs.recv_timeout(due.since(clock::now().mono)),
            };
            let mut waiters = Vec::new();
            let mut urgent = false;
            match first {
                Ok(job) => {
                    urgent |= self.take(job, &mut waiters);
                    for job in jobs.try_iter().take(JOBS_PER_COMMIT) {
                        urgent |= self.take(job, &mut waiters);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let _already_stated = self.commit(clock::now());
                    return;
                }
            }
            let now = clock::now();
            if urgent || self.pace.due().is_some_and(|due| due <= now.mono) {
                let done = self.commit(now);
                for waiter in waiters {
                    // Nobody may wait for it any more.
                    let _gone = waiter.send(done.clone());
                }
            }
        }
    }

    /// Takes a job in. Returns whether it asks for a commit at once; who waits for that is added to `waiters`.
    fn take(&mut self, job: Job, waiters: &mut Vec<Reply<()>>) -> bool {
        if matches!(job, Job::Rollup { .. } | Job::Transition(_)) {
            self.shared.history_waiting.fetch_sub(1, Ordering::Relaxed);
        }
        let urgent = match job {
            Job::SeenUp(seen) => {
                self.pending.seen_up.insert(seen);
                true
            }
            Job::Incident { incident, settled } => {
                self.pending.incident(incident, settled);
                true
            }
            Job::Transition(transition) => {
                let dropped = self.pending.transition(*transition);
                self.shared.transitions_dropped.fetch_add(dropped, Ordering::Relaxed);
                false
            }
            Job::Rollup { rollup, sent } => {
                let dropped = self.pending.rollup(rollup, sent);
                self.shared.rollups_dropped.fetch_add(dropped, Ordering::Relaxed);
                false
            }
            Job::Commit { row, reply } => {
                self.pending.row(*row);
                waiters.push(reply);
                true
            }
            Job::Forget { sink, incident, reply } => {
                self.pending.forget(sink, incident);
                waiters.push(reply);
                true
            }
            Job::Sent { rollups, reply } => {
                let dropped: u64 = rollups.into_iter().map(|rollup| self.pending.sent(rollup)).sum();
                self.shared.rollups_dropped.fetch_add(dropped, Ordering::Relaxed);
                waiters.push(reply);
                true
            }
            Job::Load { sink, reply } => {
                let _gone = reply.send(self.load(&sink));
                return false;
            }
            Job::Unsent { until, limit, reply } => {
                let _gone = reply.send(self.unsent(until, limit));
                return false;
            }
            Job::Count { reply } => {
                let _gone = reply.send(self.count());
                return false;
            }
        };
        self.pace.arrived(clock::now().mono);
        urgent
    }

    fn commit(&mut self, now: Now) -> Result<(), String> {
        if self.pending.is_empty() {
            return Ok(());
        }
        match self.database.write(&self.pending, now) {
            Ok(given_up) => {
                self.pending = Pending::default();
                self.pace.committed(now.mono);
                self.shared.rollups_dropped.fetch_add(given_up, Ordering::Relaxed);
                if self.on_disk && self.failing {
                    self.health.clear(&Component::Store);
                }
                self.failing = false;
                Ok(())
            }
            Err(error) => {
                self.pace.failed(now.mono);
                let what = format!("{}: {}", self.name, words(&error));
                if !self.failing {
                    self.failing = true;
                    let text = format!(
                        "{what} ({error}). Probing and incidents go on from memory, and a restart would forget them"
                    );
                    self.health.set(Component::Store, Problem { severity: Severity::Failed, text });
                }
                Err(what)
            }
        }
    }

    fn load(&self, sink: &SinkId) -> Result<Vec<LedgerRow>, String> {
        let (stored, unreadable) = self.database.ledger(sink).map_err(|error| self.unread(&error))?;
        for what in unreadable {
            log::error!("{}: cannot read {what}; its record at the sink is looked for again", self.name);
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

    /// Newest first, what waits here included.
    fn unsent(&self, until: Stamp, limit: usize) -> Result<Vec<Arc<Rollup>>, String> {
        let sent = self.pending.rollups.values().filter(|sent| **sent).count();
        let stored =
            self.database.unsent(until, limit.saturating_add(sent)).map_err(|error| self.unread(&error))?;
        let is_known =
            |rollup: &Arc<Rollup>| self.pending.rollups.contains_key(&(rollup.minute, Arc::clone(rollup)));
        let waiting = self.pending.rollups.iter().filter(|((minute, _), sent)| !**sent && *minute <= until);
        let mut unsent: Vec<_> = waiting.map(|((_, rollup), _)| Arc::clone(rollup)).collect();
        unsent.extend(stored.into_iter().filter(|rollup| !is_known(rollup)));
        unsent.sort_by_key(|rollup| std::cmp::Reverse(rollup.minute));
        unsent.truncate(limit);
        Ok(unsent)
    }

    fn count(&self) -> Result<u64, String> {
        let mut count = self.database.unsent_count().map_err(|error| self.unread(&error))?;
        for ((_, rollup), sent) in &self.pending.rollups {
            let stored = self.database.is_unsent(rollup).map_err(|error| self.unread(&error))?;
            match (stored, *sent) {
                (true, true) => count = count.saturating_sub(1),
                (false, false) => count += 1,
                (true, false) | (false, true) => {}
            }
        }
        Ok(count)
    }

    fn unread(&self, error: &rusqlite::Error) -> String {
        format!("{}: {}", self.name, words(error))
    }
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
mod tests {
    use super::*;

    fn at(secs: u64) -> Moment {
        Moment::ORIGIN + Duration::from_secs(secs)
    }

    #[test]
    fn history_is_committed_once_a_minute_and_soon_after_a_long_calm() {
        let mut pace = Pace::default();
        assert_eq!(pace.due(), None);
        pace.arrived(at(100));
        pace.arrived(at(102));
        assert_eq!(pace.due(), Some(at(105)));
        pace.committed(at(105));
        assert_eq!(pace.due(), None);
        pace.arrived(at(110));
        assert_eq!(pace.due(), Some(at(165)));
        pace.committed(at(165));
        pace.arrived(at(1000));
        assert_eq!(pace.due(), Some(at(1005)));
    }

    #[test]
    fn a_failing_disk_is_tried_again_after_a_while() {
        let mut pace = Pace::default();
        pace.arrived(at(0));
        pace.failed(at(5));
        assert_eq!(pace.due(), Some(at(35)));
        pace.committed(at(35));
        assert_eq!(pace.due(), None);
    }
}

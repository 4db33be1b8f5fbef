//! The store as the rest of the daemon sees it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::entry::Entry;
use super::keeper::{Counts, Keeper};
use super::lock::StoreLock;
use super::open::OpenError;
use super::pace::RETRY;
use super::thread::{Job, Reply, Shared, Worker};
use crate::domain::board::IncidentId;
use crate::domain::event::Remembered;
use crate::domain::fact::Fact;
use crate::domain::names::SinkId;
use crate::domain::plan::SinkPlan;
use crate::domain::rollup::Rollup;
use crate::domain::time::{Now, Stamp};
use crate::health::Health;
use crate::incident::sink::{Ledger, LedgerError, LedgerRow};
use crate::publish::sink::{Spool, SpoolError};
use crate::settings::StoreSettings;

/// Rollups and transitions that may wait for the thread. State is not bounded: there is a piece of it per change that people
/// must know, and losing one would be worse than any queue.
const HISTORY_QUEUE: usize = 8192;

/// A commit takes milliseconds, on worn flash a second.
const COMMIT_WITHIN: Duration = Duration::from_secs(5);

/// What opening a store gives.
#[derive(Debug)]
pub struct Opened {
    /// The handle.
    pub store: Store,
    /// What outlived the last run.
    pub remembered: Remembered,
    /// The thread, to be waited for at the end.
    pub thread: StoreThread,
}

/// A handle of the store. When the last clone is dropped, the thread writes what is left and ends.
#[derive(Debug, Clone)]
pub struct Store {
    jobs: mpsc::Sender<Job>,
    shared: Arc<Shared>,
}

/// The store's thread.
#[derive(Debug)]
pub struct StoreThread {
    ended: oneshot::Receiver<()>,
}

impl StoreThread {
    /// Waits until everything is written and the file is closed; that needs every [`Store`] dropped.
    pub async fn ended(self) {
        // The other half is dropped, unused, when the thread ends.
        let _dropped = self.ended.await;
    }
}

impl Store {
    /// Reads the file, if there is one, and starts the thread, which creates it (0600, and its directory 0700) or brings it
    /// up to date soon. Blocks for as long as the disk takes to be read. If the disk cannot be used that is stated, and
    /// everything is kept in memory.
    ///
    /// `now` anchors the moments of what is remembered: they keep their distance on the wall clock.
    ///
    /// # Errors
    /// The path does not name a file that could be ours, another daemon has it, or there can be no thread.
    pub fn open(settings: &StoreSettings, health: Health, now: Now) -> Result<Opened, OpenError> {
        let held = StoreLock::take_again(&settings.path)?;
        let (keeper, remembered) = Keeper::begin(settings, now)?;
        let lock = held.map_or_else(|| StoreLock::take(&settings.path), |lock| Ok(Some(lock)))?;
        let (jobs, queue) = mpsc::channel();
        let (alive, ended) = oneshot::channel();
        let shared = Arc::new(Shared::default());
        let worker = Worker::new(keeper, health, Arc::clone(&shared));
        let run = move || {
            worker.run(&queue);
            drop(lock);
            drop::<oneshot::Sender<()>>(alive);
        };
        thread::Builder::new().name("store".into()).spawn(run).map_err(|source| OpenError::Unusable {
            path: settings.path.clone(),
            doing: "start its thread",
            source,
        })?;
        Ok(Opened { store: Self { jobs, shared }, remembered, thread: StoreThread { ended } })
    }

    /// Takes in what must outlive a restart and what is history; never waits.
    pub fn record(&self, fact: &Fact) {
        let Some(entry) = Entry::of(fact) else { return };
        let dropped = match &entry {
            Entry::SeenUp(_) | Entry::Incident { .. } => None,
            Entry::Transition(_) => Some(&self.shared.transitions_dropped),
            Entry::Rollup(_) => Some(&self.shared.rollups_dropped),
        };
        match dropped {
            Some(dropped) if !self.has_room() => {
                dropped.fetch_add(1, Ordering::Relaxed);
            }
            Some(_) | None => self.send(Job::Record(entry)),
        }
    }

    /// Gives each row of the ledger to the sink that goes on with it, and forgets the others; returns the newest of these of
    /// each incident. No sink may be at work meanwhile.
    ///
    /// # Errors
    /// The store's thread has ended.
    pub async fn allot(&self, sinks: Vec<SinkPlan>) -> Result<Vec<LedgerRow>, LedgerError> {
        self.ask(|reply| Job::Allot { sinks, reply }).await.map_err(|what| LedgerError { what })
    }

    /// What was lost since the start.
    pub fn counts(&self) -> Counts {
        Counts {
            rollups_dropped: self.shared.rollups_dropped.load(Ordering::Relaxed),
            transitions_dropped: self.shared.transitions_dropped.load(Ordering::Relaxed),
        }
    }

    /// Whether one more piece of history may wait; it is counted as waiting then.
    fn has_room(&self) -> bool {
        let room = self.shared.history_waiting.fetch_add(1, Ordering::Relaxed) < HISTORY_QUEUE;
        if !room {
            self.shared.history_waiting.fetch_sub(1, Ordering::Relaxed);
        }
        room
    }

    fn send(&self, job: Job) {
        // The thread lives as long as a handle does; if it is gone the process is about to be.
        let _ended = self.jobs.send(job);
    }

    async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, String> {
        let (reply, answer) = oneshot::channel();
        self.send(job(reply));
        answer.await.unwrap_or_else(|_| Err("the store's thread has ended".into()))
    }
}

/// An error here means: not on the disk, but held by the thread and written as soon as the disk can be. The caller goes on
/// from its own memory.
impl Ledger for Store {
    async fn load(&self, sink: &SinkId) -> Result<Vec<LedgerRow>, LedgerError> {
        let sink = sink.clone();
        self.ask(|reply| Job::Load { sink, reply }).await.map_err(|what| LedgerError { what })
    }

    async fn commit(&self, row: LedgerRow) -> Result<(), LedgerError> {
        let committed = self.ask(|reply| Job::Commit { row: Box::new(row), reply });
        committed_in_time(committed).await
    }

    async fn forget(&self, sink: &SinkId, incident: &IncidentId) -> Result<(), LedgerError> {
        let (sink, incident) = (sink.clone(), incident.clone());
        committed_in_time(self.ask(|reply| Job::Forget { sink, incident, reply })).await
    }
}

/// A page does not wait for a disk that takes seconds for a write.
async fn committed_in_time(commit: impl Future<Output = Result<(), String>>) -> Result<(), LedgerError> {
    let what = match timeout(COMMIT_WITHIN, commit).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(what)) => what,
        Err(_) => format!(
            "the disk has not written it within {} s; it will be written later",
            COMMIT_WITHIN.as_secs()
        ),
    };
    Err(LedgerError { what })
}

impl Spool for Store {
    async fn unsent(&self, until: Stamp, limit: usize) -> Result<Vec<Arc<Rollup>>, SpoolError> {
        self.ask(|reply| Job::Unsent { until, limit, reply }).await.map_err(spool_error)
    }

    async fn sent(&self, rollups: &[Arc<Rollup>]) -> Result<(), SpoolError> {
        let rollups = rollups.to_vec();
        self.ask(|reply| Job::Sent { rollups, reply }).await.map_err(spool_error)
    }

    async fn pending(&self) -> Result<u64, SpoolError> {
        self.ask(|reply| Job::Count { reply }).await.map_err(spool_error)
    }
}

fn spool_error(what: String) -> SpoolError {
    SpoolError { what, retry_after: RETRY }
}

#[cfg(test)]
mod tests;

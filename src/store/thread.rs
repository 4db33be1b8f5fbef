//! The store's thread: passes jobs from the queue to the [`Keeper`], wakes it, and passes on what it has to say.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use tokio::sync::oneshot;

use super::entry::Entry;
use super::keeper::Keeper;
use super::notice::StoreNotice;
use crate::clock;
use crate::domain::board::IncidentId;
use crate::domain::names::SinkId;
use crate::domain::plan::SinkPlan;
use crate::domain::rollup::Rollup;
use crate::domain::time::Stamp;
use crate::health::{Component, Health, Problem};
use crate::incident::sink::LedgerRow;

/// Jobs taken in before their commit.
const JOBS_PER_COMMIT: usize = 1024;

/// The answer to whoever waits: `Err` tells an operator why.
pub(super) type Reply<T> = oneshot::Sender<Result<T, String>>;

#[derive(Debug)]
pub(super) enum Job {
    Record(Entry),
    Commit { row: Box<LedgerRow>, reply: Reply<()> },
    Forget { sink: SinkId, incident: IncidentId, reply: Reply<()> },
    Allot { sinks: Vec<SinkPlan>, reply: Reply<Vec<LedgerRow>> },
    Load { sink: SinkId, reply: Reply<Vec<LedgerRow>> },
    Sent { rollups: Vec<Arc<Rollup>>, reply: Reply<()> },
    Unsent { until: Stamp, limit: usize, reply: Reply<Vec<Arc<Rollup>>> },
    Count { reply: Reply<u64> },
}

/// What the handles and the thread share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) history_waiting: AtomicUsize,
    pub(super) rollups_dropped: AtomicU64,
    pub(super) transitions_dropped: AtomicU64,
}

#[derive(Debug)]
pub(super) struct Worker {
    keeper: Keeper,
    health: Health,
    shared: Arc<Shared>,
    stated: Option<Problem>,
}

impl Worker {
    /// A worker whose Keeper's problem is stated already when this returns.
    pub(super) fn new(keeper: Keeper, health: Health, shared: Arc<Shared>) -> Self {
        let mut worker = Self { keeper, health, shared, stated: None };
        worker.tell();
        worker
    }

    /// Works until every handle is dropped, writes what is left, and closes the file.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        // Who waits for a commit, until there is one: the first write after the start is held back.
        let mut waiters = Vec::new();
        loop {
            let first = match self.keeper.poll_timeout() {
                None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => jobs.recv_timeout(due.since(clock::now().mono)),
            };
            let before = self.keeper.counts();
            match first {
                Ok(job) => {
                    waiters.extend(self.take(job));
                    for job in jobs.try_iter().take(JOBS_PER_COMMIT) {
                        waiters.extend(self.take(job));
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let done = self.keeper.commit(clock::now());
                    self.tell();
                    for waiter in waiters {
                        let _gone = waiter.send(done.clone());
                    }
                    return;
                }
            }
            let now = clock::now();
            let is_due = self.keeper.poll_timeout().is_none_or(|due| due <= now.mono);
            let done = self.keeper.handle_timeout(now);
            self.tell();
            let counts = self.keeper.counts();
            let Shared { history_waiting: _, rollups_dropped, transitions_dropped } = &*self.shared;
            rollups_dropped.fetch_add(counts.rollups_dropped - before.rollups_dropped, Ordering::Relaxed);
            let transitions = counts.transitions_dropped - before.transitions_dropped;
            transitions_dropped.fetch_add(transitions, Ordering::Relaxed);
            if is_due {
                for waiter in waiters.drain(..) {
                    // Nobody may wait for it any more.
                    let _gone = waiter.send(done.clone());
                }
            }
        }
    }

    /// Takes a job in. Returns who waits for the commit, which is then due at once.
    fn take(&mut self, job: Job) -> Option<Reply<()>> {
        let now = clock::now();
        match job {
            Job::Record(entry) => {
                if entry.is_history() {
                    self.shared.history_waiting.fetch_sub(1, Ordering::Relaxed);
                }
                self.keeper.take(entry, now);
                None
            }
            Job::Commit { row, reply } => {
                self.keeper.commit_row(*row, now);
                Some(reply)
            }
            Job::Forget { sink, incident, reply } => {
                self.keeper.forget(&sink, &incident, now);
                Some(reply)
            }
            Job::Sent { rollups, reply } => {
                self.keeper.sent(&rollups, now);
                Some(reply)
            }
            Job::Allot { sinks, reply } => {
                let _gone = reply.send(Ok(self.keeper.allot(&sinks, now)));
                None
            }
            Job::Load { sink, reply } => {
                let _gone = reply.send(Ok(self.keeper.load(&sink)));
                None
            }
            Job::Unsent { until, limit, reply } => {
                let _gone = reply.send(self.keeper.unsent(until, limit));
                None
            }
            Job::Count { reply } => {
                let _gone = reply.send(self.keeper.pending());
                None
            }
        }
    }

    fn tell(&mut self) {
        while let Some(notice) = self.keeper.poll_notice() {
            match notice {
                StoreNotice::Warning(text) => log::warn!("{text}"),
                StoreNotice::Error(text) => log::error!("{text}"),
            }
        }
        if self.keeper.problem() == self.stated.as_ref() {
            return;
        }
        self.stated = self.keeper.problem().cloned();
        match &self.stated {
            Some(problem) => self.health.set(Component::Store, problem.clone()),
            None => self.health.clear(&Component::Store),
        };
    }
}

//! The store as the rest of the daemon uses it: a handle, and the thread behind it, which passes jobs to the [`StoreEngine`],
//! wakes it, and reports its results.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::engine::{Counts, Kept, RETRY, StoreEngine};
use super::open::{OpenError, StoreLock};
use super::recall::Recall;
use crate::clock;
use crate::domain::board::IncidentId;
use crate::domain::event::Remembered;
use crate::domain::fact::Fact;
use crate::domain::names::SinkId;
use crate::domain::plan::SinkPlan;
use crate::domain::rollup::Rollup;
use crate::domain::silence::{Silence, SilenceId};
use crate::domain::time::{Now, Stamp};
use crate::health::{Component, Health, Problem};
use crate::history::{Entry, Period, Wanted};
use crate::incident::sink::{Ledger, LedgerError, LedgerRow};
use crate::publish::sink::{Spool, SpoolError};
use crate::settings::StoreSettings;
use crate::silences::Silences;

/// Rollups and transitions that may wait for the thread. State is not bounded: there is one item per change that an operator
/// must know, and losing one would be worse than any queue.
const HISTORY_QUEUE: usize = 8192;

/// The maximum number of jobs before a commit.
const JOBS_PER_COMMIT: usize = 1024;

/// A commit takes milliseconds, on worn flash a second. Whoever pages waits no longer, for a commit or for what is in memory: while
/// the disk hangs the thread answers nobody.
const COMMIT_WITHIN: Duration = Duration::from_secs(5);

/// The same for metrics, which can wait; a read goes to the disk, and may be a long one.
const SPOOL_WITHIN: Duration = Duration::from_secs(60);

/// The answer to a job: `Err` is for an operator.
type Reply<T> = oneshot::Sender<Result<T, String>>;

type Work = dyn FnOnce(&mut StoreEngine, Now) + Send;

/// A job of the thread: a read, or a write that nobody waits for, unless `committed` is to be notified of the commit.
struct Job {
    run: Box<Work>,
    committed: Option<Reply<()>>,
}

/// State that the handles and the thread share.
#[derive(Debug, Default)]
struct Shared {
    history_waiting: AtomicUsize,
    rollups_dropped: AtomicU64,
    transitions_dropped: AtomicU64,
    path: PathBuf,
    /// A handle has stated that the disk hangs; the thread takes it back.
    hangs: AtomicBool,
    /// From the first to the last transition that was dropped, until the thread knows.
    lost: Mutex<Option<Period>>,
}

impl Shared {
    fn lose(&self, at: Stamp) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lost.unwrap_or(Period { from: at, until: at });
        *lost = Some(Period { from: known.from.min(at), until: known.until.max(at) });
    }

    fn take_lost(&self) -> Option<Period> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The result of opening a store.
#[derive(Debug)]
pub struct Opened {
    /// The handle.
    pub store: Store,
    /// The data of the last run.
    pub remembered: Remembered,
    /// The silences of the last run.
    pub silences: StoredSilences,
    /// The thread, to join at the end.
    pub thread: StoreThread,
}

/// The silences of the last run, each in its first window.
#[derive(Debug)]
pub struct StoredSilences {
    /// Those that could be read at the start.
    pub list: Silences,
    /// Those of a file that could not, as soon as it can; with the highest number.
    pub late: UnboundedReceiver<Silences>,
}

/// A handle of the store. When the last clone is dropped, the thread writes the rest and ends.
#[derive(Debug, Clone)]
pub struct Store {
    jobs: mpsc::Sender<Job>,
    shared: Arc<Shared>,
    health: Health,
}

/// What the thread has not answered yet, because the disk hangs.
#[derive(Debug)]
pub struct Unanswered<T> {
    /// For an operator.
    pub what: String,
    answer: oneshot::Receiver<Result<T, String>>,
}

impl<T> Unanswered<T> {
    /// The answer, when the disk no longer hangs; `None` if the thread has ended.
    pub async fn answer(self) -> Option<T> {
        self.answer.await.ok()?.ok()
    }
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
    /// Reads the file, if there is one, and starts the thread, which creates it (0600, and its directory 0700) or upgrades it
    /// soon. Blocks for as long as the disk takes to read it. If the disk cannot be used, a problem is stated and everything
    /// is kept in memory.
    ///
    /// `now` anchors the moments of the remembered data: they keep their distance on the wall clock.
    ///
    /// # Errors
    /// The path does not name a file that could be ours, another daemon uses it, or the thread cannot be started.
    pub fn open(settings: &StoreSettings, health: Health, now: Now) -> Result<Opened, OpenError> {
        let held = StoreLock::take_again(&settings.path)?;
        let (engine, remembered) = StoreEngine::start(settings, now)?;
        let lock = held.map_or_else(|| StoreLock::take(&settings.path), |lock| Ok(Some(lock)))?;
        let (late, late_in) = tokio::sync::mpsc::unbounded_channel();
        let silences = StoredSilences { list: engine.silences().clone(), late: late_in };
        let (jobs, queue) = mpsc::channel();
        let (alive, ended) = oneshot::channel();
        let shared = Arc::new(Shared { path: settings.path.clone(), ..Shared::default() });
        let worker = Worker::new(engine, health.clone(), Arc::clone(&shared), late);
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
        let thread = StoreThread { ended };
        Ok(Opened { store: Self { jobs, shared, health }, remembered, silences, thread })
    }

    /// Records a fact; never waits.
    pub fn record(&self, fact: &Fact) {
        let Some(kept) = Kept::of(fact) else { return };
        let dropped = match &kept {
            Kept::SeenUp(_)
            | Kept::Down(_, _)
            | Kept::Incident { .. }
            | Kept::Watched(_)
            | Kept::HeldUp { .. } => None,
            Kept::Transition(_) => Some(&self.shared.transitions_dropped),
            Kept::Rollup(_) => Some(&self.shared.rollups_dropped),
        };
        match dropped {
            None => self.send(move |engine, now| engine.keep(kept, now), None),
            Some(dropped) if !self.has_room() => {
                dropped.fetch_add(1, Ordering::Relaxed);
                if let Kept::Transition(transition) = kept {
                    self.shared.lose(transition.at.wall);
                }
            }
            Some(_) => {
                let shared = Arc::clone(&self.shared);
                let run = move |engine: &mut StoreEngine, now| {
                    shared.history_waiting.fetch_sub(1, Ordering::Relaxed);
                    engine.keep(kept, now);
                };
                self.send(run, None);
            }
        }
    }

    /// Gives each row of the ledger to the sink that continues with it, and removes the others; returns the newest of these of
    /// each incident. No sink may be at work when this is called. Jobs are done in the order in which they come: a sink may begin
    /// when this returns, also without an answer.
    ///
    /// # Errors
    /// The disk hangs, and what is forgotten is not known yet.
    pub async fn allot(&self, sinks: Vec<SinkPlan>) -> Result<Vec<LedgerRow>, Unanswered<Vec<LedgerRow>>> {
        let mut answer = self.queue(move |engine, now| Ok(engine.allot(&sinks, now)));
        let allotted = timeout(COMMIT_WITHIN, &mut answer).await;
        // Without the thread the daemon is ending.
        allotted
            .map(|answer| answer.ok().and_then(Result::ok).unwrap_or_default())
            .map_err(|_elapsed| Unanswered { what: self.hangs(COMMIT_WITHIN), answer })
    }

    /// Reads what is remembered, in parts: between two of them the thread does what else there is to do.
    pub fn recall(&self, wanted: Wanted) -> Recalling {
        Recalling { store: self.clone(), recall: Some(Recall::new(wanted)) }
    }

    /// Keeps silences, each in its first window.
    ///
    /// # Errors
    /// They are not on the disk, but will be as soon as it works; until then a restart loses them.
    pub async fn keep_silences(&self, silences: Vec<Silence>) -> Result<(), String> {
        self.write(COMMIT_WITHIN, move |engine, now| engine.keep_silences(silences, now)).await
    }

    /// Removes silences that are over.
    ///
    /// # Errors
    /// The disk still has them, until it works again.
    pub async fn forget_silences(&self, ids: Vec<SilenceId>) -> Result<(), String> {
        self.write(COMMIT_WITHIN, move |engine, now| engine.forget_silences(&ids, now)).await
    }

    /// What was lost since the start.
    pub fn counts(&self) -> Counts {
        Counts {
            rollups_dropped: self.shared.rollups_dropped.load(Ordering::Relaxed),
            transitions_dropped: self.shared.transitions_dropped.load(Ordering::Relaxed),
        }
    }

    /// Whether one more piece of history may wait; counts it if so.
    fn has_room(&self) -> bool {
        let room = self.shared.history_waiting.fetch_add(1, Ordering::Relaxed) < HISTORY_QUEUE;
        if !room {
            self.shared.history_waiting.fetch_sub(1, Ordering::Relaxed);
        }
        room
    }

    fn send(&self, run: impl FnOnce(&mut StoreEngine, Now) + Send + 'static, committed: Option<Reply<()>>) {
        // The thread lives as long as a handle; if it is gone the process is about to end.
        let _ended = self.jobs.send(Job { run: Box::new(run), committed });
    }

    fn queue<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut StoreEngine, Now) -> Result<T, String> + Send + 'static,
    ) -> oneshot::Receiver<Result<T, String>> {
        let (reply, answer) = oneshot::channel();
        // The caller may have given up.
        self.send(move |engine, now| drop(reply.send(read(engine, now))), None);
        answer
    }

    /// Has something read.
    async fn ask<T: Send + 'static>(
        &self,
        within: Duration,
        read: impl FnOnce(&mut StoreEngine, Now) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        match timeout(within, self.queue(read)).await {
            Ok(answer) => answer.unwrap_or_else(|_| Err(ENDED.into())),
            Err(_elapsed) => Err(self.hangs(within)),
        }
    }

    /// Runs a write on the thread, and waits for its commit.
    async fn write(
        &self,
        within: Duration,
        change: impl FnOnce(&mut StoreEngine, Now) + Send + 'static,
    ) -> Result<(), String> {
        let (reply, committed) = oneshot::channel();
        self.send(change, Some(reply));
        match timeout(within, committed).await {
            Ok(done) => done.unwrap_or_else(|_| Err(ENDED.into())),
            Err(_elapsed) => {
                self.hangs(within);
                let within = within.as_secs();
                Err(format!("the disk has not written it within {within} s; it will be written later"))
            }
        }
    }

    /// States it: the thread cannot. Returns what is wrong.
    fn hangs(&self, within: Duration) -> String {
        let (path, within) = (self.shared.path.display(), within.as_secs());
        let what = format!("store {path}: the disk has not answered within {within} s");
        self.health.set(Component::Store, Problem::store_failing(&what));
        // After that, so that the thread takes it back at once or when it is done with what comes next.
        self.shared.hangs.store(true, Ordering::Release);
        what
    }
}

/// A reading of what is remembered.
#[derive(Debug)]
pub struct Recalling {
    store: Store,
    /// `None` after the end.
    recall: Option<Recall>,
}

impl Recalling {
    /// The next part; `None` at the end.
    ///
    /// # Errors
    /// What is wrong with the disk, for an operator. Nothing comes after it.
    pub async fn next(&mut self) -> Result<Option<Vec<Entry>>, String> {
        let Some(mut recall) = self.recall.take() else { return Ok(None) };
        let read = move |engine: &mut StoreEngine, now| {
            let part = engine.recall(&mut recall, now)?;
            Ok((part, recall))
        };
        let (part, recall) = self.store.ask(SPOOL_WITHIN, read).await?;
        self.recall = part.is_some().then_some(recall);
        Ok(part)
    }
}

const ENDED: &str = "the store's thread has ended";

/// An error here means: not on the disk, but held by the thread and written as soon as possible. The caller continues from
/// its own memory.
impl Ledger for Store {
    async fn load(&self, sink: &SinkId) -> Result<Vec<LedgerRow>, LedgerError> {
        let sink = sink.clone();
        self.ask(COMMIT_WITHIN, move |engine, _| Ok(engine.load(&sink)))
            .await
            .map_err(|what| LedgerError { what })
    }

    async fn commit(&self, row: LedgerRow) -> Result<(), LedgerError> {
        let written = self.write(COMMIT_WITHIN, move |engine, now| engine.commit_row(row, now));
        written.await.map_err(|what| LedgerError { what })
    }

    async fn forget(&self, sink: &SinkId, incident: &IncidentId) -> Result<(), LedgerError> {
        let (sink, incident) = (sink.clone(), incident.clone());
        let written = self.write(COMMIT_WITHIN, move |engine, now| engine.forget(&sink, &incident, now));
        written.await.map_err(|what| LedgerError { what })
    }
}

impl Spool for Store {
    async fn unsent(&self, until: Stamp, limit: usize) -> Result<Vec<Arc<Rollup>>, SpoolError> {
        self.ask(SPOOL_WITHIN, move |engine, _| engine.unsent(until, limit)).await.map_err(spool_error)
    }

    async fn sent(&self, rollups: &[Arc<Rollup>]) -> Result<(), SpoolError> {
        let rollups = rollups.to_vec();
        self.write(SPOOL_WITHIN, move |engine, now| engine.sent(&rollups, now)).await.map_err(spool_error)
    }

    async fn pending(&self) -> Result<u64, SpoolError> {
        self.ask(SPOOL_WITHIN, |engine, _| engine.pending()).await.map_err(spool_error)
    }
}

fn spool_error(what: String) -> SpoolError {
    SpoolError { what, retry_after: RETRY }
}

#[derive(Debug)]
struct Worker {
    engine: StoreEngine,
    health: Health,
    shared: Arc<Shared>,
    stated: Option<Problem>,
    /// One message for each file that is opened late.
    late: UnboundedSender<Silences>,
}

impl Worker {
    /// A worker; its engine's problem is stated when this returns.
    fn new(
        engine: StoreEngine,
        health: Health,
        shared: Arc<Shared>,
        late: UnboundedSender<Silences>,
    ) -> Self {
        let mut worker = Self { engine, health, shared, stated: None, late };
        worker.report();
        worker
    }

    /// Works until every handle is dropped, writes what is left, and closes the file.
    fn run(mut self, jobs: &Receiver<Job>) {
        // Writes that wait for a commit: the first one after the start is delayed.
        let mut waiters = Vec::new();
        loop {
            let first = match self.engine.poll_timeout() {
                None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => jobs.recv_timeout(due.since(clock::now().mono)),
            };
            let before = self.engine.counts();
            match first {
                Ok(job) => {
                    waiters.extend(self.run_job(job));
                    for job in jobs.try_iter().take(JOBS_PER_COMMIT) {
                        waiters.extend(self.run_job(job));
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    if let Some(lost) = self.shared.take_lost() {
                        self.engine.lost(lost);
                    }
                    let done = self.engine.commit(clock::now());
                    self.report();
                    for waiter in waiters {
                        let _gone = waiter.send(done.clone());
                    }
                    return;
                }
            }
            if let Some(lost) = self.shared.take_lost() {
                self.engine.lost(lost);
            }
            let now = clock::now();
            let is_due = self.engine.poll_timeout().is_none_or(|due| due <= now.mono);
            let done = self.engine.handle_timeout(now);
            self.report();
            let counts = self.engine.counts();
            let Shared {
                history_waiting: _,
                rollups_dropped,
                transitions_dropped,
                path: _,
                hangs: _,
                lost: _,
            } = &*self.shared;
            rollups_dropped.fetch_add(counts.rollups_dropped - before.rollups_dropped, Ordering::Relaxed);
            let transitions = counts.transitions_dropped - before.transitions_dropped;
            transitions_dropped.fetch_add(transitions, Ordering::Relaxed);
            if is_due {
                for waiter in waiters.drain(..) {
                    // The caller may have given up.
                    let _gone = waiter.send(done.clone());
                }
            }
        }
    }

    /// Runs a job. Returns what waits for the commit, which is then due at once.
    fn run_job(&mut self, Job { run, committed }: Job) -> Option<Reply<()>> {
        run(&mut self.engine, clock::now());
        committed
    }

    fn report(&mut self) {
        while let Some(notice) = self.engine.poll_notice() {
            notice.record(self.engine.path()).emit();
        }
        while let Some(silences) = self.engine.poll_late_silences() {
            // Nobody has the list once the daemon is ending.
            let _ending = self.late.send(silences);
        }
        let hung = self.shared.hangs.swap(false, Ordering::AcqRel);
        if !hung && self.engine.problem() == self.stated.as_ref() {
            return;
        }
        self.stated = self.engine.problem().cloned();
        match &self.stated {
            Some(problem) => self.health.set(Component::Store, problem.clone()),
            None => self.health.clear(&Component::Store),
        };
    }
}

#[cfg(test)]
mod tests;

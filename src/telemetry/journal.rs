//! The process's logger: the journal if there is one, else standard error. It has a bounded queue and a thread of its own,
//! because a journald that does not read blocks its writers.
//!
//! When the queue is full, records are dropped and counted, and one record reports the count when there is room again.
//! Records on one subject are rate-limited ([`suppress`]), and those that say the same of many connections are merged
//! ([`storm`]). Every record passes here, those of libraries too.

mod filter;
mod line;
mod storm;
mod suppress;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use log::{LevelFilter, Log, Metadata, Record};

pub use self::filter::{LevelError, level_from_env};
use self::line::{Destination, Line, Output};
use self::storm::Storms;
use self::suppress::Suppressor;
use crate::catalogue::Notice;
use crate::clock;
use crate::domain::time::{Moment, Now};

/// Records that may wait: minutes of the worst flapping, or what 1,000 tunnels say when one cause cuts them all, at about 500
/// bytes each.
const QUEUE_LEN: usize = 8192;

/// How long [`Log::flush`] waits for the queue to be written before the process ends regardless.
const FLUSH_WAIT: Duration = Duration::from_secs(1);

/// Sets up the process's logger: our own records from `level` upwards, those of libraries from WARN upwards (lower ones could
/// contain request bodies, and so secrets), and none of the AWS SDK's. `log::logger().flush()` waits up to a second until
/// everything is written.
///
/// # Errors
/// The thread could not be started, or the process has a logger already.
pub fn init_logging(level: LevelFilter) -> io::Result<()> {
    let queue = Queue::default();
    let (sender, jobs) = sync_channel(QUEUE_LEN);
    let writer = queue.clone();
    thread::Builder::new()
        .name("journal".to_owned())
        // Connecting can block, like writing: only this thread does either.
        .spawn(move || write_all(&jobs, writer, Destination::connect(), clock::now))?;
    log::set_boxed_logger(Box::new(QueuedLogger { level, sender, queue })).map_err(io::Error::other)?;
    log::set_max_level(level.max(filter::FOREIGN_LEVEL));
    Ok(())
}

/// journald reads a record within milliseconds, on a host that is busy within some tens of them.
const READ_WITHIN: Duration = Duration::from_millis(300);

/// Call it before a process ends right after writing a record: journald finds a record's unit by looking at the process that
/// sent it, and `journalctl -u` would not show the record of a process that has ended. Without systemd it does nothing.
pub fn wait_until_read() {
    // Set for a service whose output goes to the journal (systemd.exec(5)).
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        thread::sleep(READ_WITHIN);
    }
}

/// How many records this process has dropped because the journal did not take them.
pub fn records_dropped() -> u64 {
    DROPPED_TOTAL.load(Ordering::Relaxed)
}

/// How many records of this process were suppressed by rate limiting.
pub fn records_suppressed() -> u64 {
    SUPPRESSED_TOTAL.load(Ordering::Relaxed)
}

/// One per process, like the logger.
static DROPPED_TOTAL: AtomicU64 = AtomicU64::new(0);
static SUPPRESSED_TOTAL: AtomicU64 = AtomicU64::new(0);

/// Records dropped since the last record that reported drops.
#[derive(Debug, Clone, Default)]
struct Queue {
    dropped: Arc<AtomicU64>,
}

impl Queue {
    fn drop_one(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        DROPPED_TOTAL.fetch_add(1, Ordering::Relaxed);
    }
}

enum Job {
    Write(Box<Line>),
    /// Answers once everything before it is written.
    Flush(SyncSender<()>),
}

struct QueuedLogger {
    level: LevelFilter,
    sender: SyncSender<Job>,
    queue: Queue,
}

impl Log for QueuedLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        filter::passes(self.level, metadata.level(), metadata.target())
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        match self.sender.try_send(Job::Write(Box::new(Line::from(record)))) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.queue.drop_one(),
        }
    }

    fn flush(&self) {
        let (done, wait) = sync_channel(1);
        // A full queue means that journald does not read: do not wait.
        if self.sender.try_send(Job::Flush(done)).is_ok() {
            _ = wait.recv_timeout(FLUSH_WAIT);
        }
    }
}

/// The thread: writes until every sender is gone, and then the held records.
fn write_all(jobs: &Receiver<Job>, queue: Queue, output: impl Output, clock: impl Fn() -> Now) {
    let (storms, suppressor) = (Storms::default(), Suppressor::default());
    let mut writer = Writer { queue, output, storms, suppressor, since_reported: 0 };
    loop {
        let job = match jobs.try_recv() {
            Ok(job) => Ok(job),
            Err(TryRecvError::Empty) => {
                writer.report_drops();
                match writer.poll_timeout() {
                    None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                    Some(due) => jobs.recv_timeout(due.since(clock().mono)),
                }
            }
            Err(TryRecvError::Disconnected) => Err(RecvTimeoutError::Disconnected),
        };
        let now = clock();
        writer.write_due(now);
        match job {
            Ok(Job::Write(line)) => writer.take(*line, now),
            Ok(Job::Flush(done)) => {
                writer.flush(now);
                _ = done.try_send(());
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return writer.flush(now),
        }
    }
}

struct Writer<O> {
    queue: Queue,
    output: O,
    storms: Storms,
    suppressor: Suppressor,
    /// Records taken since drops were last reported.
    since_reported: usize,
}

impl<O: Output> Writer<O> {
    fn take(&mut self, line: Line, now: Now) {
        let before = self.suppressed();
        // First by connection: a storm would make a subject of each of its tunnels.
        if let Some(line) = self.storms.handle(line, now).and_then(|line| self.suppressor.handle(line, now)) {
            self.write(&line);
        }
        SUPPRESSED_TOTAL.fetch_add(self.suppressed() - before, Ordering::Relaxed);
        self.since_reported += 1;
        // A queue that is never empty must not hide that records are missing.
        if self.since_reported >= QUEUE_LEN {
            self.report_drops();
        }
    }

    const fn suppressed(&self) -> u64 {
        self.storms.merged() + self.suppressor.suppressed()
    }

    fn poll_timeout(&self) -> Option<Moment> {
        [self.storms.poll_timeout(), self.suppressor.poll_timeout()].into_iter().flatten().min()
    }

    fn write_due(&mut self, now: Now) {
        for line in self.suppressor.handle_timeout(now).into_iter().chain(self.storms.handle_timeout(now)) {
            self.write(&line);
        }
    }

    fn flush(&mut self, now: Now) {
        for line in self.suppressor.flush(now).into_iter().chain(self.storms.flush(now)) {
            self.write(&line);
        }
        self.report_drops();
    }

    fn write(&mut self, line: &Line) {
        if self.output.write(line).is_err() {
            self.queue.drop_one();
        }
    }

    fn report_drops(&mut self) {
        self.since_reported = 0;
        let dropped = self.queue.dropped.swap(0, Ordering::Relaxed);
        if dropped == 0 {
            return;
        }
        let record = Notice::RecordsDropped { count: dropped }.record(None);
        if self.output.write(&Line::ours(record)).is_err() {
            self.queue.dropped.fetch_add(dropped, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;

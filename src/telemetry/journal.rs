//! The process's logger: the journal where there is one, else standard error, behind a bounded queue and a thread of its
//! own, because a journald that does not read blocks whoever writes to it.
//!
//! When the queue is full records are dropped and counted, and the count is told in one record when there is room again.

mod filter;
mod line;
mod output;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use log::{Level, LevelFilter, Log, Metadata, Record};

pub use self::filter::{LevelError, level_from_env};
use self::line::Line;
use self::output::{Destination, Output};
use super::message_id::MessageId;

/// Records that may wait: minutes of the worst flapping, at about 300 bytes each.
const QUEUE_LEN: usize = 1024;

/// How long [`Log::flush`] waits for the queue to be written before the process ends regardless.
const FLUSH_WAIT: Duration = Duration::from_secs(1);

/// Sets the process's logger up: own records from `level` upwards, those of libraries from WARN upwards (theirs could
/// hold request bodies, and so secrets, below that). `log::logger().flush()` waits up to a second until all is written.
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
        .spawn(move || write_all(&jobs, &writer, Destination::connect()))?;
    log::set_boxed_logger(Box::new(QueuedLogger { level, sender, queue })).map_err(io::Error::other)?;
    log::set_max_level(level.max(filter::FOREIGN_LEVEL));
    Ok(())
}

/// How many records this process has dropped because the journal did not take them.
pub fn records_dropped() -> u64 {
    DROPPED_TOTAL.load(Ordering::Relaxed)
}

/// The logger is the process's, and so is this.
static DROPPED_TOTAL: AtomicU64 = AtomicU64::new(0);

/// Records dropped since the last record that told so.
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
    Write(Line),
    /// Everything before this is written: say so.
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
        match self.sender.try_send(Job::Write(Line::from(record))) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.queue.drop_one(),
        }
    }

    fn flush(&self) {
        let (done, wait) = sync_channel(1);
        // A full queue means that nobody reads: there is nothing to wait for.
        if self.sender.try_send(Job::Flush(done)).is_ok() {
            _ = wait.recv_timeout(FLUSH_WAIT);
        }
    }
}

/// The thread: writes until every sender is gone.
fn write_all(jobs: &Receiver<Job>, queue: &Queue, mut output: impl Output) {
    let mut since_told = 0;
    loop {
        let job = match jobs.try_recv() {
            Ok(job) => job,
            Err(TryRecvError::Empty) => {
                tell_drops(queue, &mut output);
                since_told = 0;
                match jobs.recv() {
                    Ok(job) => job,
                    Err(_) => return,
                }
            }
            Err(TryRecvError::Disconnected) => return tell_drops(queue, &mut output),
        };
        match job {
            Job::Write(line) => {
                if output.write(&line).is_err() {
                    queue.drop_one();
                }
                since_told += 1;
            }
            Job::Flush(done) => {
                tell_drops(queue, &mut output);
                _ = done.try_send(());
            }
        }
        // A queue that never runs dry must not hide that records are missing.
        if since_told >= QUEUE_LEN {
            tell_drops(queue, &mut output);
            since_told = 0;
        }
    }
}

fn tell_drops(queue: &Queue, output: &mut impl Output) {
    let dropped = queue.dropped.swap(0, Ordering::Relaxed);
    if dropped == 0 {
        return;
    }
    let message = format!("{dropped} journal records were dropped: the journal did not take them");
    if output.write(&Line::ours(Level::Warn, MessageId::RECORDS_DROPPED, message)).is_err() {
        queue.dropped.fetch_add(dropped, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;

//! The queue in front of a journal that does not read.

use std::sync::atomic::AtomicI64;
use std::sync::mpsc::{Sender, channel};

use log::Level;

use super::*;
use crate::catalogue::MessageId;
use crate::domain::time::{Moment, Stamp};

/// A journal that takes a record only when it is allowed to.
struct Gated {
    allowed: Receiver<io::Result<()>>,
    taken: Sender<Line>,
}

impl Output for Gated {
    fn write(&mut self, line: &Line) -> io::Result<()> {
        self.allowed.recv().unwrap_or(Ok(()))?;
        _ = self.taken.send(line.clone());
        Ok(())
    }
}

struct World {
    logger: QueuedLogger,
    allow: Sender<io::Result<()>>,
    taken: Receiver<Line>,
    thread: thread::JoinHandle<()>,
    /// In milliseconds.
    clock: Arc<AtomicI64>,
}

fn world(level: LevelFilter, len: usize) -> World {
    let (allow, allowed) = channel();
    let (taken, taken_out) = channel();
    let (sender, jobs) = sync_channel(len);
    let queue = Queue::default();
    let writer = queue.clone();
    let clock = Arc::<AtomicI64>::default();
    let now = {
        let clock = Arc::clone(&clock);
        move || {
            let millis = clock.load(Ordering::Relaxed);
            Now { mono: Moment::from_nanos(millis * 1_000_000), wall: Stamp::from_millis(millis) }
        }
    };
    let thread = thread::spawn(move || write_all(&jobs, writer, Gated { allowed, taken }, now));
    World { logger: QueuedLogger { level, sender, queue }, allow, taken: taken_out, thread, clock }
}

impl World {
    /// A record that is never suppressed.
    fn log(&self, message: &str) {
        self.log_a(MessageId::INCIDENT_OPENED, message);
    }

    fn log_a(&self, kind: MessageId, message: &str) {
        self.logger.log(
            &Record::builder()
                .level(Level::Info)
                .target("bothends::test")
                .args(format_args!("{message}"))
                .key_values(&[("MESSAGE_ID", kind.id), ("VPN_ID", "vpn-1")])
                .build(),
        );
    }

    fn next(&self) -> String {
        self.taken.recv_timeout(Duration::from_secs(30)).expect("it is not written").message
    }

    /// Opens the journal for good, ends the logger, and returns the messages that arrived.
    fn finish(self) -> Vec<String> {
        drop(self.allow);
        drop(self.logger);
        self.thread.join().unwrap();
        self.taken.iter().map(|line| line.message).collect()
    }
}

#[test]
fn a_journal_that_does_not_read_blocks_no_writer_and_drops_are_reported_once() {
    let world = world(LevelFilter::Info, 4);
    for n in 0..20 {
        world.log(&n.to_string());
    }
    let dropped = world.logger.queue.dropped.load(Ordering::Relaxed);
    assert!(dropped >= 15, "4 wait and at most 1 is being written, yet only {dropped} were dropped");
    let taken = world.finish();
    let written = format!("{dropped} journal records were dropped: the journal did not take them");
    assert_eq!(taken.iter().filter(|message| **message == written).count(), 1, "{taken:?}");
    assert_eq!(taken.len() as u64, 20 - dropped + 1, "{taken:?}");
}

#[test]
fn a_record_keeps_its_fields_on_the_way() {
    let world = world(LevelFilter::Info, 4);
    world.log("text");
    world.allow.send(Ok(())).unwrap();
    let line = world.taken.recv().unwrap();
    let fields = [("MESSAGE_ID", MessageId::INCIDENT_OPENED.id), ("VPN_ID", "vpn-1")];
    assert_eq!(line.fields, fields.map(|(key, value)| (key.to_owned(), value.to_owned())));
    assert_eq!((line.level, line.message.as_str(), &*line.target), (Level::Info, "text", "bothends::test"));
}

#[test]
fn a_journal_that_went_away_costs_records_that_are_counted() {
    let world = world(LevelFilter::Info, 4);
    world.allow.send(Err(io::Error::from(io::ErrorKind::ConnectionRefused))).unwrap();
    world.log("lost");
    assert_eq!(world.finish(), ["1 journal records were dropped: the journal did not take them"]);
}

#[test]
fn records_below_the_level_are_not_queued() {
    let world = world(LevelFilter::Warn, 4);
    world.log("too low");
    assert_eq!(world.finish(), Vec::<String>::new());
}

#[test]
fn flush_returns_when_all_is_written() {
    let world = world(LevelFilter::Info, 4);
    world.log("text");
    world.allow.send(Ok(())).unwrap();
    world.logger.flush();
    assert_eq!(world.taken.try_recv().map(|line| line.message), Ok("text".to_owned()));
}

#[test]
fn what_a_blocked_journal_held_up_is_suppressed_when_it_reads_again_and_nothing_is_missing() {
    let world = world(LevelFilter::Info, 64);
    let suppressed = records_suppressed();
    for n in 0..20 {
        world.log_a(MessageId::END_DOWN, &format!("turn {n}"));
    }
    world.log("page");
    let taken = world.finish();
    let as_they_came = ["turn 0", "turn 1", "turn 2", "turn 3", "turn 4", "turn 5", "page"];
    assert_eq!(taken[..7], as_they_came, "the page waits for no token");
    assert!(taken[7].starts_with("turn 19 (13 similar records since "), "{taken:?}");
    assert_eq!(taken.len(), 8, "{taken:?}");
    // Other tests suppress at the same time.
    assert!(records_suppressed() - suppressed >= 13);
}

#[test]
fn the_last_state_is_written_when_its_token_returns_without_another_record() {
    let world = world(LevelFilter::Info, 64);
    for _ in 0..20 {
        world.allow.send(Ok(())).unwrap();
    }
    for n in 0..6 {
        world.log_a(MessageId::END_DOWN, &format!("turn {n}"));
        assert_eq!(world.next(), format!("turn {n}"));
    }
    // This one must wait; it has been taken in when what came after it is there.
    world.log_a(MessageId::END_UP, "the last turn");
    world.log("page");
    assert_eq!(world.next(), "page");
    // A millisecond before the token the thread waits with it.
    world.clock.store(59_999, Ordering::Relaxed);
    world.log("another page");
    assert_eq!(world.next(), "another page");
    world.clock.store(60_000, Ordering::Relaxed);
    let written = world.next();
    assert!(written.starts_with("the last turn (reported late: this happened at "), "{written}");
    assert_eq!(world.finish(), Vec::<String>::new());
}

#[test]
fn flush_writes_what_is_held() {
    let world = world(LevelFilter::Info, 64);
    for _ in 0..20 {
        world.allow.send(Ok(())).unwrap();
    }
    for n in 0..7 {
        world.log_a(MessageId::END_DOWN, &format!("turn {n}"));
    }
    world.logger.flush();
    let written: Vec<_> = world.taken.try_iter().map(|line| line.message).collect();
    assert!(written.len() == 7 && written[6].starts_with("turn 6 "), "{written:?}");
}

#[test]
fn a_record_that_names_no_kind_is_a_librarys() {
    let world = world(LevelFilter::Trace, 64);
    let kind_of = |target: &str, id: &str| {
        world.logger.log(
            &Record::builder()
                .level(Level::Warn)
                .target(target)
                .args(format_args!("words"))
                .key_values(&[("MESSAGE_ID", id)])
                .build(),
        );
        world.allow.send(Ok(())).unwrap();
        let line = world.taken.recv().unwrap();
        assert_eq!(line.fields, [("MESSAGE_ID".to_owned(), line.kind.id.to_owned())]);
        line.kind.name
    };
    let kinds = [("hyper_util::client", "LIBRARY_NOTICE"), ("incident", "LIBRARY_NOTICE")];
    for (target, kind) in kinds {
        assert_eq!(kind_of(target, "not one of ours"), kind, "{target}");
        assert_eq!(kind_of(target, MessageId::STARTED.id), "STARTED", "{target}");
    }
}

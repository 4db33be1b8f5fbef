//! The queue in front of a journal that does not read.

use std::sync::mpsc::{Sender, channel};

use super::*;

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
}

fn world(level: LevelFilter, len: usize) -> World {
    let (allow, allowed) = channel();
    let (taken, taken_out) = channel();
    let (sender, jobs) = sync_channel(len);
    let queue = Queue::default();
    let writer = queue.clone();
    let thread = thread::spawn(move || write_all(&jobs, &writer, Gated { allowed, taken }));
    World { logger: QueuedLogger { level, sender, queue }, allow, taken: taken_out, thread }
}

impl World {
    fn log(&self, message: &str) {
        self.logger.log(
            &Record::builder()
                .level(Level::Info)
                .target("bothends::test")
                .args(format_args!("{message}"))
                .key_values(&[("VPN_ID", "vpn-1")])
                .build(),
        );
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
fn a_journal_that_does_not_read_blocks_nobody_and_the_drops_are_told_once() {
    let world = world(LevelFilter::Info, 4);
    for n in 0..20 {
        world.log(&n.to_string());
    }
    let dropped = world.logger.queue.dropped.load(Ordering::Relaxed);
    assert!(dropped >= 15, "4 wait and at most 1 is being written, yet only {dropped} were dropped");
    let taken = world.finish();
    let told = format!("{dropped} journal records were dropped: the journal did not take them");
    assert_eq!(taken.iter().filter(|message| **message == told).count(), 1, "{taken:?}");
    assert_eq!(taken.len() as u64, 20 - dropped + 1, "{taken:?}");
}

#[test]
fn a_record_keeps_its_fields_on_the_way() {
    let world = world(LevelFilter::Info, 4);
    world.log("text");
    world.allow.send(Ok(())).unwrap();
    let line = world.taken.recv().unwrap();
    assert_eq!(line.fields, [("VPN_ID".to_owned(), "vpn-1".to_owned())]);
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

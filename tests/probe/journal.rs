//! The calling thread's log. Each test runs its Prober on a thread of its own.

use std::sync::{Mutex, Once};
use std::thread::{self, ThreadId};

use log::{Level, LevelFilter, Log, Metadata, Record};

struct Journal(Mutex<Vec<(ThreadId, Level, String)>>);

static JOURNAL: Journal = Journal(Mutex::new(Vec::new()));

/// Starts recording; earlier records are not kept.
pub(crate) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&JOURNAL).unwrap();
        log::set_max_level(LevelFilter::Info);
    });
}

/// The warnings and errors so far, in order.
pub(crate) fn warnings() -> Vec<String> {
    let records = JOURNAL.0.lock().unwrap();
    let here = thread::current().id();
    records
        .iter()
        .filter(|(thread, level, _)| *thread == here && *level <= Level::Warn)
        .map(|(_, _, text)| text.clone())
        .collect()
}

impl Log for Journal {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let entry = (thread::current().id(), record.level(), record.args().to_string());
        self.0.lock().unwrap().push(entry);
    }

    fn flush(&self) {}
}

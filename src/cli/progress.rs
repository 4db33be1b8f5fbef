//! A line on standard error that says what a command waits for, on a terminal only. It is removed before anything else is printed.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::style::is_dumb;
use crate::clock;
use crate::process::environment;

/// What is done by then needs no line.
const QUIET: Duration = Duration::from_secs(1);

/// Between two looks at the clock.
const TICK: Duration = Duration::from_millis(250);

/// Whether the line stands on the terminal. It changes only while standard error is locked.
static IS_SHOWN: AtomicBool = AtomicBool::new(false);

/// What removes the line.
const ERASURE: &str = "\r\x1b[K";

/// What whoever has locked standard error has to write before anything else, so that it does not stand behind the line.
pub(super) fn erasure() -> &'static str {
    if IS_SHOWN.swap(false, Ordering::Relaxed) { ERASURE } else { "" }
}

/// The line, for as long as this lives.
#[derive(Debug)]
pub(super) struct Progress(Option<(Sender<()>, JoinHandle<()>)>);

impl Progress {
    /// `what` is what the command does, such as `asking AWS`.
    pub(super) fn start(what: impl Into<String>) -> Self {
        if !io::stderr().is_terminal() || is_dumb(&environment()) {
            return Self(None);
        }
        let what = what.into();
        let (end, ended) = channel::<()>();
        let begun = clock::now().mono;
        let drawing = move || {
            let mut pause = QUIET;
            while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                let text = shown(&what, clock::now().mono.since(begun));
                let mut err = io::stderr().lock();
                let _ = write!(err, "\r{text}\x1b[K");
                IS_SHOWN.store(true, Ordering::Relaxed);
                pause = TICK;
            }
            let mut err = io::stderr().lock();
            let _ = write!(err, "{}", erasure());
        };
        // Without the thread there is no line, and the command works all the same.
        let thread = std::thread::Builder::new().name("progress".to_owned()).spawn(drawing);
        Self(thread.ok().map(|thread| (end, thread)))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.0.take() {
            drop(end);
            // It only draws.
            let _ = thread.join();
        }
    }
}

fn shown(what: &str, waited: Duration) -> String {
    format!("{what} … {} s", waited.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_is_waited_for_and_for_how_long() {
        assert_eq!(shown("asking AWS", Duration::from_millis(12_900)), "asking AWS … 12 s");
    }

    #[test]
    fn it_ends_at_once_when_it_is_dropped() {
        let (done, ended) = channel();
        std::thread::spawn(move || {
            drop(Progress::start("asking AWS"));
            done.send(())
        });
        assert_eq!(ended.recv_timeout(Duration::from_secs(10)), Ok(()));
    }
}

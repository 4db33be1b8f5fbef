//! The terminal: lines, tables whose columns line up, and Ctrl-C.
//!
//! A reader that stops early, as in `bothends check | head`, has read enough. That must neither change a command's exit code nor
//! end the command half way, as the standard library's macros do.
//!
//! A command that asks AWS may have started a `credential_process`. It has a process group of its own, so Ctrl-C does not reach it,
//! and it would outlive the command. So a signal ends the work instead of the process, and with the work everything it has started.

use std::fmt::Arguments;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::progress::{self, Progress};
use crate::process::Exit;

/// A line to standard output.
macro_rules! say {
    ($($words:tt)*) => { $crate::cli::terminal::text(format_args!("{}\n", format_args!($($words)*))) };
}

/// A line to standard error: what is wrong, what was left out, what to do.
macro_rules! complain {
    ($($words:tt)*) => { $crate::cli::terminal::aside(format_args!("{}\n", format_args!($($words)*))) };
}

/// Whether standard output could not be written to, although somebody reads it: a disk that is full.
static FAILED: AtomicBool = AtomicBool::new(false);

/// Text to standard output as it is, flushed. If that fails, it is stated once, and the command ends as [`finished`] says.
pub(super) fn text(text: Arguments<'_>) {
    let mut out = io::stdout().lock();
    let Err(error) = out.write_fmt(text).and_then(|()| out.flush()) else { return };
    if error.kind() != io::ErrorKind::BrokenPipe && !FAILED.swap(true, Ordering::Relaxed) {
        aside(format_args!("cannot write to standard output: {error}\n"));
    }
}

/// The exit code of a command that is done: what could not be written has not succeeded. Any other exit code says more.
pub(super) fn finished(exit: Exit) -> Exit {
    let is_cut = exit == Exit::Success && FAILED.load(Ordering::Relaxed);
    if is_cut { Exit::BadNews } else { exit }
}

/// The same, where it matters whether somebody reads it.
pub(super) fn printed(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

/// Text to standard error as it is.
pub(super) fn aside(text: Arguments<'_>) {
    let mut err = io::stderr().lock();
    let _ = err.write_all(progress::erasure().as_bytes()).and_then(|()| err.write_fmt(text));
}

/// Adds a line. Text from the network must not control the terminal.
pub(super) fn line(page: &mut String, text: Arguments<'_>) {
    let text = text.to_string();
    page.extend(text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }));
    page.push('\n');
}

/// One line per row. The first `words` columns are aligned left, the others are numbers and aligned right; the last is not padded.
pub(super) fn aligned<const N: usize>(rows: &[[String; N]], words: usize) -> impl Iterator<Item = String> {
    let length = |cell: &String| cell.chars().count();
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| length(&row[column])).max().unwrap_or(0));
    rows.iter().map(move |row| {
        let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| match column {
            _ if column + 1 == N => cell.clone(),
            _ if column < words => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    })
}

/// The signals that end a command. Once this exists, they no longer end the process by themselves.
pub(super) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Interrupts {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal and returns its name as kill(1) spells it.
    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "INT",
            _ = self.terminate.recv() => "TERM",
            _ = self.hangup.recv() => "HUP",
        }
    }
}

/// The runtime of the commands that ask AWS.
pub(super) fn runtime() -> Result<Runtime, Exit> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        complain!("cannot start: {error}");
        Exit::Internal
    })
}

/// Runs work that changes nothing at AWS, until it is done or interrupted. At a terminal `what` is shown meanwhile.
pub(super) fn unless_interrupted<T>(
    runtime: Runtime,
    what: &str,
    work: impl Future<Output = T>,
) -> Result<T, Exit> {
    let outcome = runtime.block_on(async {
        let mut interrupts = Interrupts::new().map_err(|error| {
            complain!("cannot listen for signals: {error}");
            Exit::Internal
        })?;
        let progress = Progress::start(what);
        tokio::select! {
            done = work => Ok(done),
            _ = interrupts.next() => {
                drop(progress);
                complain!("interrupted");
                Err(Exit::BadNews)
            }
        }
    });
    // Do not wait for a name that does not resolve.
    runtime.shutdown_background();
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_control_the_terminal() {
        let mut page = String::new();
        line(&mut page, format_args!("\x1b[31mred"));
        assert_eq!(page, "\u{fffd}[31mred\n");
    }

    #[test]
    fn words_are_aligned_left_and_numbers_right_counted_in_characters() {
        let rows = [["name", "ms", "remark"], ["Zürich", "1100.000", ""], ["", "5", "late"]]
            .map(|row| row.map(str::to_owned));
        let lines: Vec<String> = aligned(&rows, 1).collect();
        assert_eq!(lines, ["name          ms  remark", "Zürich  1100.000", "               5  late"]);
    }
}

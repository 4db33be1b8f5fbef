//! A command that asks AWS may have started a `credential_process`, which has a process group of its own: Ctrl-C does not reach it, and it
//! would outlive the command. So a signal that would end the process ends the work instead, and with it whatever that has started.

use std::io;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::process::Exit;

/// The signals by which somebody ends a command. From when this is made they end nothing by themselves.
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

    /// The next one's name, as kill(1) has it.
    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "INT",
            _ = self.terminate.recv() => "TERM",
            _ = self.hangup.recv() => "HUP",
        }
    }
}

/// What the commands run on that ask AWS.
pub(super) fn runtime() -> Result<Runtime, Exit> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        complain!("cannot start: {error}");
        Exit::Internal
    })
}

/// Does what changes nothing at AWS, and gives it up when somebody interrupts it.
pub(super) fn unless_interrupted<T>(runtime: Runtime, work: impl Future<Output = T>) -> Result<T, Exit> {
    let outcome = runtime.block_on(async {
        let mut interrupts = Interrupts::new().map_err(|error| {
            complain!("cannot listen for signals: {error}");
            Exit::Internal
        })?;
        tokio::select! {
            done = work => Ok(done),
            _ = interrupts.next() => {
                complain!("interrupted");
                Err(Exit::BadNews)
            }
        }
    });
    // A name that is looked up in vain is not waited for.
    runtime.shutdown_background();
    outcome
}

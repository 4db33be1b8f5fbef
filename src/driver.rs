//! The one task that owns the core: it reads the clock once per wake-up, feeds events and time in, and hands requests,
//! facts, the Board and the status on. It never waits for any of them.
//!
//! It also sees whether the daemon is of use: the core makes progress, and the thread that speaks to AWS and to the sinks is alive. A
//! daemon that probes but can tell nobody is as good as dead.
//!
//! Cancel-safety: every await is on a channel or a timer; nothing is lost when the `select!` drops one.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::catalogue::notice::Stuck;
use crate::clock;
use crate::domain::board::Board;
use crate::domain::event::Event;
use crate::domain::fact::Fact;
use crate::domain::monitor::Monitor;
use crate::domain::plan::Plan;
use crate::domain::request::Request;
use crate::domain::status::Status;
use crate::domain::time::{Moment, Now};

/// Something a person or the system wants of the core.
#[derive(Debug)]
pub enum Command {
    /// Take another plan; answered when it is in force.
    Reconfigure(Arc<Plan>, oneshot::Sender<()>),
}

/// Where the driver hears from.
#[derive(Debug)]
pub struct Inputs {
    /// From the probe, on the same thread; never more than the core has asked for.
    pub echoes: mpsc::UnboundedReceiver<Event>,
    /// From the pollers and the sinks.
    pub events: mpsc::Receiver<Event>,
    /// From the daemon.
    pub commands: mpsc::Receiver<Command>,
    /// Set to true when the daemon is to end.
    pub shutdown: watch::Receiver<bool>,
    /// The last beat of the I/O thread, in nanoseconds of the monotonic clock.
    pub io_beat: Arc<AtomicI64>,
}

/// Where the driver speaks to. Nothing here may block.
#[expect(missing_debug_implementations, reason = "it holds closures")]
pub struct Outputs {
    /// Does what the core wants done; what becomes of it comes back as events.
    pub requests: Box<dyn FnMut(Request)>,
    /// What is watched, latest wins. It is set before the core takes it, so that no question is about a source that the
    /// pollers do not know yet.
    pub plan: watch::Sender<Arc<Plan>>,
    /// Takes every fact.
    pub facts: Box<dyn FnMut(Fact)>,
    /// The Board, latest wins.
    pub board: watch::Sender<Arc<Board>>,
    /// The status, latest wins.
    pub status: watch::Sender<Arc<Status>>,
    /// Ends a daemon that is stuck.
    pub watchdog: Watchdog,
}

/// What ends a daemon that is stuck. It hears nothing while the core does not return from a call.
#[expect(missing_debug_implementations, reason = "it holds a closure")]
pub struct Watchdog {
    /// For how long something may be stuck before it is reported.
    pub patience: Duration,
    /// Takes what is stuck, or that nothing is; at least once a second.
    pub tell: Box<dyn FnMut(Option<Stuck>)>,
}

/// Where the Board and the status are shown, as they are before the first wake-up: a question so early must not be answered that
/// nothing is watched and nothing open.
pub fn shown(monitor: &Monitor, now: Now) -> (watch::Sender<Arc<Board>>, watch::Sender<Arc<Status>>) {
    let status = Arc::new(monitor.status(now));
    (watch::Sender::new(Arc::clone(monitor.board())), watch::Sender::new(status))
}

/// Runs the core until the shutdown.
pub async fn run(mut monitor: Monitor, mut inputs: Inputs, mut outputs: Outputs) {
    let mut published = Moment::ORIGIN - STATUS_EVERY;
    let mut vitals = Vitals::default();
    loop {
        let now = clock::now();
        let news = flush(&mut monitor, &mut outputs);
        if news || now.mono.since(published) >= STATUS_EVERY {
            published = now.mono;
            publish(&monitor, &mut outputs, now);
            look(&mut vitals, &inputs, &mut outputs.watchdog, now);
        }
        let wake_at = monitor.poll_timeout().map_or(published + STATUS_EVERY, |(at, _)| at);
        let wake = tokio::time::sleep_until(clock::timer_at(wake_at.min(published + STATUS_EVERY)));
        tokio::select! {
            // Replies before deadlines: one that has arrived must not be judged overdue.
            biased;
            changed = inputs.shutdown.changed() => {
                if changed.is_err() || *inputs.shutdown.borrow() {
                    break;
                }
            }
            Some(event) = inputs.echoes.recv() => {
                monitor.handle(event, clock::now());
                while let Ok(event) = inputs.echoes.try_recv() {
                    monitor.handle(event, clock::now());
                }
            }
            Some(event) = inputs.events.recv() => monitor.handle(event, clock::now()),
            Some(command) = inputs.commands.recv() => match command {
                Command::Reconfigure(plan, done) => {
                    outputs.plan.send_replace(Arc::clone(&plan));
                    monitor.reconfigure(plan, clock::now());
                    flush(&mut monitor, &mut outputs);
                    publish(&monitor, &mut outputs, clock::now());
                    // The command may have gone; the plan is in force all the same.
                    let _ = done.send(());
                }
            },
            () = wake => {
                let now = clock::now();
                monitor.handle_timeout(now);
                vitals.called(now.mono, monitor.poll_timeout().map(|(at, _)| at));
            }
        }
    }
    monitor.close();
    flush(&mut monitor, &mut outputs);
}

/// Hands on what the core wants done and what happened; true if something changed that people see.
fn flush(monitor: &mut Monitor, outputs: &mut Outputs) -> bool {
    while let Some(request) = monitor.poll_request() {
        (outputs.requests)(request);
    }
    let mut news = false;
    while let Some(fact) = monitor.poll_fact() {
        news |= is_news(&fact);
        (outputs.facts)(fact);
    }
    outputs.board.send_if_modified(|board| {
        let changed = !Arc::ptr_eq(board, monitor.board());
        if changed {
            *board = Arc::clone(monitor.board());
        }
        changed
    });
    news
}

fn publish(monitor: &Monitor, outputs: &mut Outputs, now: Now) {
    outputs.status.send_replace(Arc::new(monitor.status(now)));
}

/// Only from the loop, and only between two calls of the core.
fn look(vitals: &mut Vitals, inputs: &Inputs, watchdog: &mut Watchdog, now: Now) {
    let beat = Moment::from_nanos(inputs.io_beat.load(Ordering::Relaxed));
    (watchdog.tell)(vitals.look(now.mono, beat, watchdog.patience));
}

/// Whether a fact changes what the status shows at a glance; echoes do not.
const fn is_news(fact: &Fact) -> bool {
    match fact {
        Fact::EchoEnded { .. }
        | Fact::TicksSkipped { .. }
        | Fact::RollupReady(_)
        | Fact::CouldVote { .. } => false,
        Fact::Suspicion { .. }
        | Fact::ViewChanged { .. }
        | Fact::AssessmentChanged { .. }
        | Fact::SeenUp(_)
        | Fact::IncidentPending { .. }
        | Fact::IncidentAverted { .. }
        | Fact::IncidentChanged { .. }
        | Fact::IncidentSettled { .. }
        | Fact::IncidentMissed { .. }
        | Fact::EvidenceUnusable { .. }
        | Fact::AddressHeld { .. }
        | Fact::Resumed { .. } => true,
    }
}

/// The status is taken at least this often, so that ages and systemd's watchdog move even while nothing else does.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// What the driver sees of both.
#[derive(Debug, Default)]
struct Vitals {
    progress: Progress,
    silence: Silence,
}

impl Vitals {
    /// The core was called at `at`, and wants to be called again at `next`.
    fn called(&mut self, at: Moment, next: Option<Moment>) {
        self.progress.called(at, next);
    }

    /// What has been stuck for as long as `patience`, at this moment, in which the other thread's last beat is that of `beat`.
    fn look(&mut self, now: Moment, beat: Moment, patience: Duration) -> Option<Stuck> {
        self.silence.look(now, beat);
        if self.progress.circling_for(now) >= patience {
            Some(Stuck::Core)
        } else if self.silence.length >= patience {
            Some(Stuck::IoThread)
        } else {
            None
        }
    }
}

/// What is due is done within one call. While the core wants to be called for something of the past that a call has not
/// done away with, it turns in circles, which looks like work on its thread.
#[derive(Debug, Default)]
struct Progress {
    circling_since: Option<Moment>,
}

impl Progress {
    fn called(&mut self, at: Moment, next: Option<Moment>) {
        if next.is_some_and(|next| next <= at) {
            self.circling_since.get_or_insert(at);
        } else {
            self.circling_since = None;
        }
    }

    fn circling_for(&self, now: Moment) -> Duration {
        self.circling_since.map_or(Duration::ZERO, |since| now.since(since))
    }
}

/// How long the other thread has not beaten *while this one ran*: after a suspend of the host, or of the process, neither has,
/// and the first of the two to run must not take the other for dead.
#[derive(Debug, Default)]
struct Silence {
    last: Option<(Moment, Moment)>,
    length: Duration,
}

impl Silence {
    /// More than this does not pass between two looks of a thread that runs.
    const LOOK_MAX: Duration = Duration::from_secs(2 * STATUS_EVERY.as_secs());

    fn look(&mut self, now: Moment, beat: Moment) {
        self.length = match self.last {
            Some((looked, known)) if known == beat => self.length + now.since(looked).min(Self::LOOK_MAX),
            Some(_) | None => Duration::ZERO,
        };
        self.last = Some((now, beat));
    }
}

#[cfg(test)]
mod tests;

//! The one task that owns the core: it reads the clock once per wake-up, feeds events and time in, and hands requests,
//! facts, the Board and the status on. It never waits for any of them.
//!
//! It also checks that the daemon works: that the core makes progress, and that the thread for AWS and the sinks is alive. A daemon
//! that probes but cannot page is as good as dead.
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

/// A command to the core.
#[derive(Debug)]
pub enum Command {
    /// Use another plan; answered when it is in force.
    Reconfigure(Arc<Plan>, oneshot::Sender<()>),
}

/// The driver's inputs.
#[derive(Debug)]
pub struct Inputs {
    /// From the probe, on the same thread; bounded by the echoes that the core has requested.
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

/// The driver's outputs. None of them may block.
#[expect(missing_debug_implementations, reason = "it holds closures")]
pub struct Outputs {
    /// Executes requests; their results come back as events.
    pub requests: Box<dyn FnMut(Request)>,
    /// The plan, latest wins. It is set before the core gets it, so that the pollers know every source the core asks about.
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

/// Ends a stuck daemon. It is not called while the core does not return from a call.
#[expect(missing_debug_implementations, reason = "it holds a closure")]
pub struct Watchdog {
    /// For how long something may be stuck before it is reported.
    pub patience: Duration,
    /// Takes what is stuck, if anything; at least once a second.
    pub report: Box<dyn FnMut(Option<Stuck>)>,
}

/// The channels of the Board and the status, with their values before the first wake-up: an early request must not be answered
/// that nothing is monitored and nothing open.
pub fn outputs_at_start(
    monitor: &Monitor,
    now: Now,
) -> (watch::Sender<Arc<Board>>, watch::Sender<Arc<Status>>) {
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
            check_vitals(&mut vitals, &inputs, &mut outputs.watchdog, now);
        }
        let wake_at = monitor.poll_timeout().map_or(published + STATUS_EVERY, |(at, _)| at);
        let wake = tokio::time::sleep_until(clock::timer_at(wake_at.min(published + STATUS_EVERY)));
        tokio::select! {
            // Replies before deadlines: a reply that has arrived must not count as overdue.
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
                    // The plan is in force even if nobody waits for the answer.
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

/// Passes on the core's requests, facts and Board; true if the status changed visibly.
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

/// Checks for stuck parts; only from the loop, between two calls of the core.
fn check_vitals(vitals: &mut Vitals, inputs: &Inputs, watchdog: &mut Watchdog, now: Now) {
    let beat = Moment::from_nanos(inputs.io_beat.load(Ordering::Relaxed));
    (watchdog.report)(vitals.look(now.mono, beat, watchdog.patience));
}

/// Whether a fact changes what the status shows at a glance.
const fn is_news(fact: &Fact) -> bool {
    match fact {
        // An uplink that dies changes the cause of every tunnel: the next regular status is soon enough.
        Fact::CauseChanged { .. }
        | Fact::EchoEnded { .. }
        | Fact::TicksSkipped { .. }
        | Fact::Watched { .. }
        | Fact::RollupReady(_)
        | Fact::CouldVote { .. } => false,
        Fact::Suspicion { .. }
        | Fact::ViewChanged { .. }
        | Fact::AssessmentChanged { .. }
        | Fact::QualityChanged { .. }
        | Fact::SilencedChanged { .. }
        | Fact::TunnelLeft { .. }
        | Fact::SeenUp(_)
        | Fact::ParentChanged { .. }
        | Fact::IncidentPending { .. }
        | Fact::IncidentAverted { .. }
        | Fact::IncidentChanged { .. }
        | Fact::IncidentSettled { .. }
        | Fact::IncidentMissed { .. }
        | Fact::EvidenceUnusable { .. }
        | Fact::AddressHeld { .. }
        | Fact::MaintenanceChanged { .. }
        | Fact::Resumed { .. } => true,
    }
}

/// The status is published at least this often, so that ages and systemd's watchdog advance while nothing else happens.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// Whether the core makes progress and the I/O thread is alive.
#[derive(Debug, Default)]
struct Vitals {
    progress: Progress,
    silence: Silence,
}

impl Vitals {
    /// The core was called at `at`, and asks for its next call at `next`.
    fn called(&mut self, at: Moment, next: Option<Moment>) {
        self.progress.called(at, next);
    }

    /// What has been stuck for `patience` by now. `beat` is the I/O thread's last beat.
    fn look(&mut self, now: Moment, beat: Moment, patience: Duration) -> Option<Stuck> {
        self.silence.look(now, beat);
        if self.progress.spinning_for(now) >= patience {
            Some(Stuck::Core)
        } else if self.silence.length >= patience {
            Some(Stuck::IoThread)
        } else {
            None
        }
    }
}

/// One call does everything that is due. A core that asks to be called for the past again after a call spins, which looks like work
/// on its thread.
#[derive(Debug, Default)]
struct Progress {
    spinning_since: Option<Moment>,
}

impl Progress {
    fn called(&mut self, at: Moment, next: Option<Moment>) {
        if next.is_some_and(|next| next <= at) {
            self.spinning_since.get_or_insert(at);
        } else {
            self.spinning_since = None;
        }
    }

    fn spinning_for(&self, now: Moment) -> Duration {
        self.spinning_since.map_or(Duration::ZERO, |since| now.since(since))
    }
}

/// How long the I/O thread has not beaten *while this thread ran*: after a suspend of the host or the process neither has, and the
/// first of the two to run must not take the other for dead.
#[derive(Debug, Default)]
struct Silence {
    last: Option<(Moment, Moment)>,
    length: Duration,
}

impl Silence {
    /// The longest time between two checks by a thread that runs.
    const CHECK_MAX: Duration = Duration::from_secs(2 * STATUS_EVERY.as_secs());

    fn look(&mut self, now: Moment, beat: Moment) {
        self.length = match self.last {
            Some((looked, known)) if known == beat => self.length + now.since(looked).min(Self::CHECK_MAX),
            Some(_) | None => Duration::ZERO,
        };
        self.last = Some((now, beat));
    }
}

#[cfg(test)]
mod tests;

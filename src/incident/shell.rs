//! Runs one sink's reconciler or dispatcher: executes its actions and returns the results to it.
//!
//! One task owns the machine; each action is a child task, so that a call that hangs delays no other. Dropping [`run`] at any
//! moment is safe, and equals a crash: the next start looks up the outcome of what was in flight. When the Board's channel
//! closes, only commits are started, and [`run`] returns when everything in flight has ended, or after [`DRAIN`].

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Sleep;

use crate::catalogue::parts::{Instead, LedgerUnreadable};
use crate::domain::board::Board;
use crate::domain::event::Event;
use crate::domain::names::SinkId;
use crate::domain::plan::SinkPlan;
use crate::domain::time::Now;
use crate::health::{Component, Health, Problem};
use crate::records::Records;

use super::action::{
    ActionFailure, ActionId, ActionKind, RecordCall, Reply, Settled, SinkEvent, SinkNotice, SinkReport,
    UnclaimedRecord, Work,
};
use super::dispatcher::MessageDispatcher;
use super::message::{Message, Messenger};
use super::outbox::Machine;
use super::reconcile::Reconciler;
use super::settings::{MessageSettings, SinkRules};
use super::sink::{IncidentSink, Ledger, LedgerRow, SinkError};

/// How often the ledger is read at the start. After that the sink runs without it: records are found again at the sink, and a
/// page must not wait for a disk.
const LOAD_TRIES: u32 = 3;
/// Between these tries.
const LOAD_WAIT: Duration = Duration::from_secs(1);

/// At the end, actions in flight get this long: less than the daemon's own deadline.
const DRAIN: Duration = Duration::from_secs(3);

/// The family of a sink: its machine, and how its calls are made.
pub trait SinkFamily: Send + Sync + 'static {
    /// The machine's settings.
    type Settings;
    /// The machine.
    type Machine: Machine;
    /// What is done about open incidents if the ledger cannot be read at the start.
    const WITHOUT_LEDGER: Instead;

    /// The settings that every sink has.
    fn rules(settings: &Self::Settings) -> &SinkRules;

    /// Creates the machine from the ledger's rows of the sink.
    fn machine(settings: Self::Settings, rows: Vec<LedgerRow>, now: Now) -> Self::Machine;

    /// Makes a call; `now` is the time of this try.
    fn call(
        &self,
        call: <Self::Machine as Machine>::Call,
        now: Now,
    ) -> impl Future<Output = Result<Reply, SinkError>> + Send;
}

/// A sink that keeps records.
#[derive(Debug)]
pub struct KeepsRecords<S>(pub S);

impl<S: IncidentSink> SinkFamily for KeepsRecords<S> {
    type Settings = SinkRules;
    type Machine = Reconciler;
    const WITHOUT_LEDGER: Instead = Instead::Search;

    fn rules(settings: &SinkRules) -> &SinkRules {
        settings
    }

    fn machine(settings: SinkRules, rows: Vec<LedgerRow>, now: Now) -> Reconciler {
        Reconciler::new(settings, rows, now)
    }

    async fn call(&self, call: RecordCall, _now: Now) -> Result<Reply, SinkError> {
        let Self(sink) = self;
        match call {
            RecordCall::Find { search } => sink.find(&search).await.map(Reply::Found),
            RecordCall::Survey { scopes } => sink.survey(&scopes).await.map(Reply::Surveyed),
            RecordCall::Start { request } => sink.start(&request).await.map(Reply::Started),
            RecordCall::Read { record } => sink.read(&record).await.map(Reply::Read),
            RecordCall::Note { record, note } => sink.note(&record, &note).await.map(|()| Reply::Done),
            RecordCall::Relate { record, other, title } => {
                sink.relate(&record, &other, &title).await.map(|()| Reply::Done)
            }
            RecordCall::Describe { record, description } => {
                sink.describe(&record, &description).await.map(|()| Reply::Done)
            }
            RecordCall::Resolve { record, summary, client_token } => {
                sink.resolve(&record, &summary, &client_token).await.map(|()| Reply::Done)
            }
        }
    }
}

/// A sink that only accepts messages.
#[derive(Debug)]
pub struct TakesMessages<M>(pub M);

impl<M: Messenger> SinkFamily for TakesMessages<M> {
    type Settings = MessageSettings;
    type Machine = MessageDispatcher;
    const WITHOUT_LEDGER: Instead = Instead::SendAgain;

    fn rules(settings: &MessageSettings) -> &SinkRules {
        &settings.rules
    }

    fn machine(settings: MessageSettings, rows: Vec<LedgerRow>, now: Now) -> MessageDispatcher {
        MessageDispatcher::new(settings, rows, now)
    }

    async fn call(&self, message: Arc<Message>, now: Now) -> Result<Reply, SinkError> {
        self.0.deliver(&message, now.wall).await.map(|()| Reply::Done)
    }
}

/// Serves a sink until the Board's channel closes.
///
/// `events` receives an [`Event::Settled`] for each incident that is over and in line, and an [`Event::RecordFound`] for each
/// open record that no incident explains; if nothing receives from it, this sink waits. `observe` is called on this task and
/// must not block. `now` is the time for the sink's records.
#[expect(
    clippy::too_many_arguments,
    reason = "everything it works with, once, where the daemon is put together"
)]
pub async fn run<F: SinkFamily, L: Ledger>(
    now: impl Fn() -> Now,
    settings: F::Settings,
    sink: F,
    ledger: L,
    board: watch::Receiver<Arc<Board>>,
    events: mpsc::Sender<Event>,
    health: Health,
    records: Records,
    observe: impl Fn(&SinkReport),
) {
    let rules = F::rules(&settings).clone();
    let rows = load(&ledger, &rules, F::WITHOUT_LEDGER).await;
    rows.iter().for_each(|row| track(&records, row));
    let machine = F::machine(settings, rows, now());
    let executor = Executor { sink_id: rules.id().clone(), sink, ledger, records };
    let outlets = SinkOutlets { events, reporter: SinkReporter::new(&rules, health), observe };
    serve(now, &rules.sink, machine, executor, board, outlets).await;
}

/// Where a machine's output goes.
struct SinkOutlets<O> {
    events: mpsc::Sender<Event>,
    reporter: SinkReporter,
    observe: O,
}

async fn serve<F: SinkFamily, L: Ledger>(
    now: impl Fn() -> Now,
    SinkPlan { id, destination, .. }: &SinkPlan,
    mut machine: F::Machine,
    executor: Executor<F, L>,
    mut board: watch::Receiver<Arc<Board>>,
    mut outlets: SinkOutlets<impl Fn(&SinkReport)>,
) {
    let executor = Arc::new(executor);
    let mut under_way: JoinSet<(ActionId, Result<Reply, ActionFailure>)> = JoinSet::new();
    let first = board.borrow_and_update().clone();
    machine.handle(SinkEvent::Board(first), now());
    let mut closing: Option<Pin<Box<Sleep>>> = None;
    loop {
        while let Some(action) = machine.poll_action() {
            // Decisions are committed even while the daemon ends.
            if closing.is_none() || action.work.kind() == ActionKind::Commit {
                let (executor, at) = (executor.clone(), now());
                under_way.spawn(async move { (action.id, executor.execute(action.work, at).await) });
            }
        }
        while let Some(report) = machine.poll_report() {
            (outlets.observe)(&report);
        }
        outlets.reporter.report(machine.poll_notices(), machine.problem());
        while let Some(Settled { incident, revision }) = machine.poll_settled() {
            let sink = destination.clone();
            // If nothing receives, the daemon is ending: the next start reports it again.
            let _ = outlets.events.send(Event::Settled { sink, incident, revision }).await;
        }
        while let Some(UnclaimedRecord { scope, kind, created }) = machine.poll_unclaimed() {
            let _ = outlets.events.send(Event::RecordFound { sink: id.clone(), scope, kind, created }).await;
        }
        if closing.is_some() && under_way.is_empty() {
            return;
        }
        let timeout = machine.poll_timeout().map(|(at, _why)| at.since(now().mono));
        tokio::select! {
            Some(ended) = under_way.join_next() => match ended {
                Ok((id, result)) => machine.handle(SinkEvent::Ended { id, result }, now()),
                // A call that panicked gives no answer: the machine times it out.
                Err(_) => machine.handle_timeout(now()),
            },
            changed = board.changed(), if closing.is_none() => match changed {
                Ok(()) => {
                    let board = board.borrow_and_update().clone();
                    machine.handle(SinkEvent::Board(board), now());
                }
                Err(_) => closing = Some(Box::pin(tokio::time::sleep(DRAIN))),
            },
            () = drained(closing.as_mut()) => return,
            () = sleep(timeout) => machine.handle_timeout(now()),
        }
    }
}

async fn drained(closing: Option<&mut Pin<Box<Sleep>>>) {
    match closing {
        Some(end) => end.await,
        None => std::future::pending().await,
    }
}

async fn sleep(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => tokio::time::sleep(timeout).await,
        None => std::future::pending().await,
    }
}

async fn load<L: Ledger>(ledger: &L, settings: &SinkRules, instead: Instead) -> Vec<LedgerRow> {
    for tried in 1..=LOAD_TRIES {
        match ledger.load(settings.id()).await {
            Ok(rows) => return rows,
            Err(_) if tried < LOAD_TRIES => tokio::time::sleep(LOAD_WAIT).await,
            Err(error) => {
                let (site, sink, error) = (&*settings.site, settings.id(), error.what.as_str());
                LedgerUnreadable { site, sink, instead, error }.record().emit();
            }
        }
    }
    Vec::new()
}

/// Executes actions.
struct Executor<F, L> {
    sink_id: SinkId,
    sink: F,
    ledger: L,
    records: Records,
}

impl<F: SinkFamily, L: Ledger> Executor<F, L> {
    async fn execute(
        &self,
        work: Work<<F::Machine as Machine>::Call>,
        now: Now,
    ) -> Result<Reply, ActionFailure> {
        match work {
            Work::Call(call) => self.sink.call(call, now).await.map_err(ActionFailure::Sink),
            Work::Commit { row } => {
                track(&self.records, &row);
                self.ledger.commit(*row).await.map(|()| Reply::Done).map_err(ActionFailure::Ledger)
            }
            Work::Forget { incident } => {
                self.records.set(&self.sink_id, &incident, None);
                let forgotten = self.ledger.forget(&self.sink_id, &incident).await;
                forgotten.map(|()| Reply::Done).map_err(ActionFailure::Ledger)
            }
        }
    }
}

/// Records what a row has open at its sink.
fn track(records: &Records, row: &LedgerRow) {
    let open = row.record.as_ref().filter(|_| row.may_be_open());
    records.set(&row.sink, &row.incident, open.map(|record| record.0.as_str()));
}

/// Writes the machine's journal records and states its problem, each once until it is fixed.
struct SinkReporter {
    sink: String,
    health: Health,
    problem: Option<Problem>,
}

impl SinkReporter {
    fn new(settings: &SinkRules, health: Health) -> Self {
        let sink = settings.id().to_string();
        Self { sink, health, problem: None }
    }

    fn report(&mut self, notices: Vec<SinkNotice>, problem: Option<Problem>) {
        for notice in notices {
            notice.record().emit();
        }
        if problem == self.problem {
            return;
        }
        let component = Component::Sink(self.sink.clone());
        match &problem {
            Some(problem) => self.health.set(component, problem.clone()),
            None => self.health.clear(&component),
        };
        self.problem = problem;
    }
}

#[cfg(test)]
mod tests;

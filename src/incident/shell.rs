//! Runs one sink's reconciler: executes its actions and feeds the results back.
//!
//! One task, which owns the reconciler; each action is a task of its own beneath it, so that a call that hangs holds up
//! no other. Dropping [`run`] at any moment is safe, and like a crash: what was under way is found out about at the next
//! start. When the Board's channel closes nothing more is begun but to commit what was learnt, and [`run`] returns when what was
//! under way has ended, or after [`DRAIN`].

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Sleep;

use crate::domain::board::Board;
use crate::domain::event::Event;
use crate::domain::time::Now;
use crate::health::{Component, Health, Problem};

use super::action::{
    Act, Action, ActionId, Failure, Found, Notice, NoticeLevel, Reply, Settled, SinkEvent, SinkReport, Work,
};
use super::reconcile::Reconciler;
use super::settings::Settings;
use super::sink::{IncidentSink, Ledger, LedgerRow};

/// How often the ledger is tried at the start. After that the sink is served without what it has: records are found
/// again at the sink, and a page must not wait for a disk.
const LOAD_TRIES: u32 = 3;
/// Between these tries.
const LOAD_WAIT: Duration = Duration::from_secs(1);

/// At the end, what is under way gets this long: less than what the daemon has to end in.
const DRAIN: Duration = Duration::from_secs(3);

/// Serves a sink until the Board's channel closes.
///
/// `events` gets an [`Event::Settled`] for each incident that is over and brought into line, and an
/// [`Event::RecordFound`] for each open record that nothing accounts for; the receiver must go on receiving, or this sink
/// waits. `observe` is called on this task and must not block. `now` tells the time as the sink's records are dated.
#[expect(
    clippy::too_many_arguments,
    reason = "everything it works with, once, where the daemon is put together"
)]
pub async fn run<S: IncidentSink, L: Ledger>(
    now: impl Fn() -> Now,
    settings: Settings,
    sink: S,
    ledger: L,
    mut board: watch::Receiver<Arc<Board>>,
    events: mpsc::Sender<Event>,
    health: Health,
    observe: impl Fn(&SinkReport),
) {
    let doer = Arc::new(Doer { settings, sink, ledger });
    let rows = load(&doer).await;
    let mut reconciler = Reconciler::new(doer.settings.clone(), rows, now());
    let mut speaker = Speaker::new(&doer.settings, health);
    let mut under_way: JoinSet<(ActionId, Result<Reply, Failure>)> = JoinSet::new();
    let first = board.borrow_and_update().clone();
    reconciler.handle(SinkEvent::Board(first), now());
    let mut closing: Option<Pin<Box<Sleep>>> = None;
    loop {
        while let Some(action) = reconciler.poll_action() {
            if closing.is_none() || action.work.act() == Act::Commit {
                let doer = doer.clone();
                under_way.spawn(async move { doer.execute(action).await });
            }
        }
        while let Some(report) = reconciler.poll_report() {
            observe(&report);
        }
        speaker.say(reconciler.poll_notices(), reconciler.problem());
        while let Some(Settled { incident, revision }) = reconciler.poll_settled() {
            let sink = doer.settings.id().clone();
            // If nobody listens the daemon is ending: it is said again at the next start.
            let _ = events.send(Event::Settled { sink, incident, revision }).await;
        }
        while let Some(Found { vpn, kind, created }) = reconciler.poll_found() {
            let sink = doer.settings.id().clone();
            let _ = events.send(Event::RecordFound { sink, vpn, kind, created }).await;
        }
        if closing.is_some() && under_way.is_empty() {
            return;
        }
        let timeout = reconciler.poll_timeout().map(|(at, _why)| at.since(now().mono));
        tokio::select! {
            Some(ended) = under_way.join_next() => match ended {
                Ok((id, result)) => reconciler.handle(SinkEvent::Ended { id, result }, now()),
                // A call that panicked gives no answer: the reconciler gives it up in its time.
                Err(_) => reconciler.handle_timeout(now()),
            },
            changed = board.changed(), if closing.is_none() => match changed {
                Ok(()) => {
                    let board = board.borrow_and_update().clone();
                    reconciler.handle(SinkEvent::Board(board), now());
                }
                Err(_) => closing = Some(Box::pin(tokio::time::sleep(DRAIN))),
            },
            () = drained(closing.as_mut()) => return,
            () = sleep(timeout) => reconciler.handle_timeout(now()),
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

async fn load<S: IncidentSink, L: Ledger>(doer: &Doer<S, L>) -> Vec<LedgerRow> {
    for tried in 1..=LOAD_TRIES {
        match doer.ledger.load(doer.settings.id()).await {
            Ok(rows) => return rows,
            Err(_) if tried < LOAD_TRIES => tokio::time::sleep(LOAD_WAIT).await,
            Err(error) => log::error!(
                SINK = doer.settings.id().as_str(), ERROR = error.what.as_str();
                "{}: {}: what was told before the start cannot be read; records are looked for at the sink instead: {error}",
                doer.settings.site, doer.settings.id()
            ),
        }
    }
    Vec::new()
}

/// What executes actions.
struct Doer<S, L> {
    settings: Settings,
    sink: S,
    ledger: L,
}

impl<S: IncidentSink, L: Ledger> Doer<S, L> {
    async fn execute(&self, action: Action) -> (ActionId, Result<Reply, Failure>) {
        let Action { id, work } = action;
        let result = match work {
            Work::Find { scope } => self.sink.find(&scope).await.map(Reply::Found).map_err(Failure::Sink),
            Work::Survey { scopes } => {
                self.sink.survey(&scopes).await.map(Reply::Surveyed).map_err(Failure::Sink)
            }
            Work::Start { request } => {
                self.sink.start(&request).await.map(Reply::Started).map_err(Failure::Sink)
            }
            Work::Read { record } => self.sink.read(&record).await.map(Reply::Read).map_err(Failure::Sink),
            Work::Note { record, note } => done(self.sink.note(&record, &note).await.map_err(Failure::Sink)),
            Work::Relate { record, other, title } => {
                done(self.sink.relate(&record, &other, &title).await.map_err(Failure::Sink))
            }
            Work::Resolve { record, summary, client_token } => {
                done(self.sink.resolve(&record, &summary, &client_token).await.map_err(Failure::Sink))
            }
            Work::Commit { row } => done(self.ledger.commit(row).await.map_err(Failure::Ledger)),
            Work::Forget { incident } => {
                done(self.ledger.forget(self.settings.id(), &incident).await.map_err(Failure::Ledger))
            }
        };
        (id, result)
    }
}

fn done(result: Result<(), Failure>) -> Result<Reply, Failure> {
    result.map(|()| Reply::Done)
}

/// Says to people what the reconciler has to say: each problem once until it is mended.
struct Speaker {
    sink: String,
    health: Health,
    problem: Option<Problem>,
}

impl Speaker {
    fn new(settings: &Settings, health: Health) -> Self {
        let sink = settings.id().to_string();
        Self { sink, health, problem: None }
    }

    fn say(&mut self, notices: Vec<Notice>, problem: Option<Problem>) {
        for Notice { level, about, text } in notices {
            let level = match level {
                NoticeLevel::Info => log::Level::Info,
                NoticeLevel::Warning => log::Level::Warn,
            };
            let (vpn, kind) = about.as_ref().map_or(("", ""), |(vpn, kind)| (vpn.as_str(), kind.as_str()));
            log::log!(level, VPN_ID = vpn, KIND = kind, SINK = self.sink.as_str(); "{text}");
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

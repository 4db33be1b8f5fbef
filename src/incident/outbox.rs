//! What a sink's machine hands out, the same for [`super::reconcile`], which keeps records, and [`super::dispatcher`], which sends
//! messages. [`super::shell`] executes either.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::mem;
use std::sync::Arc;

use crate::domain::board::Board;
use crate::domain::names::SinkId;
use crate::domain::time::{Moment, Now};
use crate::health::Problem;

use super::action::{
    ActionFailure, ActionId, ActionKind, Reply, Settled, SinkAction, SinkCall, SinkEvent, SinkNotice,
    SinkReport, UnclaimedRecord, Work,
};
use super::backoff::Retry;
use super::sink::SinkError;

/// One sink's share of the work, decided purely: the Board, results and time go in, and what is to be done comes out. After each
/// call, poll everything until it is empty.
pub trait Machine {
    /// The calls of the sink's family.
    type Call: SinkCall;

    /// Whose action it is.
    type Route: Debug + Send;

    /// Takes the Board in.
    fn see(&mut self, board: Arc<Board>, now: Now);

    /// An action has ended, or is given up.
    fn ended(&mut self, route: Self::Route, id: ActionId, result: Result<Reply, ActionFailure>, now: Now);

    /// Decides what is to be done next.
    fn plan(&mut self, now: Now);

    /// How many incidents are not in line with the sink.
    fn pending(&self) -> usize;

    /// What stands between this sink and its job.
    fn problem(&self) -> Option<Problem>;

    /// Where what is polled lies.
    fn outbox(&self) -> &Outbox<Self::Call, Self::Route>;

    /// The same, to take from.
    fn outbox_mut(&mut self) -> &mut Outbox<Self::Call, Self::Route>;

    /// Something happened.
    fn handle(&mut self, event: SinkEvent, now: Now) {
        match event {
            SinkEvent::Board(board) => self.see(board, now),
            SinkEvent::Ended { id, result } => end(self, id, result, now),
        }
        decide(self, now);
    }

    /// Time has passed.
    fn handle_timeout(&mut self, now: Now) {
        for id in self.outbox().overdue(now.mono) {
            end(self, id, Err(ActionFailure::NoAnswer), now);
        }
        decide(self, now);
    }

    /// When to call [`Self::handle_timeout`], and why.
    fn poll_timeout(&self) -> Option<(Moment, &'static str)> {
        self.outbox().wake
    }

    /// What is to be done. Take all of them: each may be under way at the same time as the others.
    fn poll_action(&mut self) -> Option<SinkAction<Self::Call>> {
        self.outbox_mut().actions.pop_front()
    }

    /// What has been brought to its end at the sink; once per incident and revision.
    fn poll_settled(&mut self) -> Option<Settled> {
        self.outbox_mut().settled.pop_front()
    }

    /// What is open at the sink without an incident on the Board: for the core to adopt.
    fn poll_unclaimed(&mut self) -> Option<UnclaimedRecord> {
        self.outbox_mut().unclaimed.pop_front()
    }

    /// What telemetry counts.
    fn poll_report(&mut self) -> Option<SinkReport> {
        self.outbox_mut().reports.pop_front()
    }

    /// What people should hear.
    fn poll_notices(&mut self) -> Vec<SinkNotice> {
        mem::take(&mut self.outbox_mut().notices)
    }
}

fn end<M: Machine + ?Sized>(machine: &mut M, id: ActionId, result: Result<Reply, ActionFailure>, now: Now) {
    let outbox = machine.outbox_mut();
    if let Some(Unanswered { route, kind, until: _ }) = outbox.under_way.remove(&id) {
        outbox.report(kind, &result);
        machine.ended(route, id, result, now);
    }
}

fn decide<M: Machine + ?Sized>(machine: &mut M, now: Now) {
    machine.outbox_mut().wake = None;
    machine.plan(now);
    let pending = machine.pending();
    let outbox = machine.outbox_mut();
    outbox.wake_at(outbox.under_way.values().map(|action| action.until).min(), "an answer is overdue");
    outbox.report_pending(pending);
}

/// What is handed out, until it is polled, and what is under way.
#[derive(Debug)]
pub struct Outbox<C, R> {
    sink: SinkId,
    next_id: u64,
    wake: Option<(Moment, &'static str)>,
    pending: Option<usize>,
    under_way: BTreeMap<ActionId, Unanswered<R>>,
    actions: VecDeque<SinkAction<C>>,
    settled: VecDeque<Settled>,
    unclaimed: VecDeque<UnclaimedRecord>,
    reports: VecDeque<SinkReport>,
    notices: Vec<SinkNotice>,
}

/// An action that has not ended.
#[derive(Debug)]
struct Unanswered<R> {
    route: R,
    kind: ActionKind,
    /// When it is given up.
    until: Moment,
}

impl<C: SinkCall, R> Outbox<C, R> {
    /// Nothing is handed out yet.
    pub(super) const fn new(sink: SinkId) -> Self {
        Self {
            sink,
            next_id: 0,
            wake: None,
            pending: None,
            under_way: BTreeMap::new(),
            actions: VecDeque::new(),
            settled: VecDeque::new(),
            unclaimed: VecDeque::new(),
            reports: VecDeque::new(),
            notices: Vec::new(),
        }
    }

    /// Hands an action out; its name is returned, to know its end by.
    pub(super) fn send(&mut self, work: Work<C>, route: R, now: Moment) -> ActionId {
        let id = ActionId(self.next_id);
        self.next_id += 1;
        let kind = work.kind();
        self.under_way.insert(id, Unanswered { route, kind, until: now + kind.given_up_after() });
        self.actions.push_back(SinkAction { id, work });
        id
    }

    /// Is to be called at this moment at the latest.
    pub(super) fn wake_at(&mut self, at: Option<Moment>, why: &'static str) {
        if let Some(at) = at.filter(|at| self.wake.is_none_or(|(wake, _)| *at < wake)) {
            self.wake = Some((at, why));
        }
    }

    /// An incident has been brought to its end at the sink.
    pub(super) fn settle(&mut self, settled: Settled) {
        self.settled.push_back(settled);
    }

    /// Something is open at the sink, and nothing accounts for it.
    pub(super) fn unclaimed(&mut self, record: UnclaimedRecord) {
        self.unclaimed.push_back(record);
    }

    /// People should hear something.
    pub(super) fn notice(&mut self, notice: SinkNotice) {
        self.notices.push(notice);
    }

    fn overdue(&self, now: Moment) -> Vec<ActionId> {
        self.under_way.iter().filter(|(_, action)| action.until <= now).map(|(id, _)| *id).collect()
    }

    /// A request has ended.
    fn report(&mut self, kind: ActionKind, result: &Result<Reply, ActionFailure>) {
        if kind.is_request() {
            let sink = self.sink.clone();
            let (action, result) = (kind.as_str(), label(result));
            self.reports.push_back(SinkReport::Request { sink, action, result });
        }
    }

    fn report_pending(&mut self, incidents: usize) {
        if self.pending.replace(incidents) != Some(incidents) {
            self.reports.push_back(SinkReport::Pending { sink: self.sink.clone(), incidents });
        }
    }
}

/// What telemetry calls an answer.
fn label(result: &Result<Reply, ActionFailure>) -> &'static str {
    match result {
        Ok(Reply::Found(_) | Reply::Surveyed(_) | Reply::Started(_) | Reply::Read(_) | Reply::Done) => "ok",
        Err(
            ActionFailure::Sink(SinkError::Temporary { .. })
            | ActionFailure::Ledger(_)
            | ActionFailure::Mismatch,
        ) => "temporary",
        Err(ActionFailure::Sink(SinkError::Rejected { .. })) => "rejected",
        Err(ActionFailure::Sink(SinkError::TokenKnown)) => "token_known",
        Err(ActionFailure::Sink(SinkError::NotFound)) => "not_found",
        Err(ActionFailure::NoAnswer) => "no_answer",
    }
}

/// The worst of what stands between a sink and its job, of all that is tried again.
pub(super) fn worst_problem<'a>(retries: impl Iterator<Item = (ActionKind, &'a Retry)>) -> Option<Problem> {
    let problems = retries.filter_map(|(kind, retry)| {
        let code = kind.problem_code(retry.is_rejected());
        Some(Problem::sink(code, kind.doing(), retry.complaint()?))
    });
    problems.max_by_key(|problem| problem.severity)
}

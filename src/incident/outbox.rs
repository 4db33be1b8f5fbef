//! What a sink's machine outputs, the same for [`super::reconcile`], which keeps records, and [`super::dispatcher`], which
//! sends messages; [`super::shell`] executes either. [`Retry`] says when a failed action is retried.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::board::Board;
use crate::domain::names::SinkId;
use crate::domain::time::{Moment, Now};
use crate::health::Problem;
use crate::incident::action::{
    ActionFailure, ActionId, ActionKind, Priority, Reply, Settled, SinkAction, SinkCall, SinkEvent,
    SinkNotice, SinkReport, UnclaimedRecord, Work,
};
use crate::incident::sink::SinkError;
use crate::incident::token;

/// One sink's decisions, as a pure machine: the Board, results and time go in, actions come out. After each call, poll every
/// output until it is empty.
pub trait Machine {
    /// The calls of the sink's family.
    type Call: SinkCall;

    /// What an action belongs to.
    type Route: Debug + Send;

    /// Applies a new Board.
    fn see(&mut self, board: Arc<Board>, now: Now);

    /// An action has ended, or timed out.
    fn ended(&mut self, route: Self::Route, id: ActionId, result: Result<Reply, ActionFailure>, now: Now);

    /// Decides the next actions.
    fn plan(&mut self, now: Now);

    /// How many incidents the sink is not in line with.
    fn pending(&self) -> usize;

    /// What prevents this sink from working.
    fn problem(&self) -> Option<Problem>;

    /// The output.
    fn outbox(&self) -> &Outbox<Self::Call, Self::Route>;

    /// The output, to take from.
    fn outbox_mut(&mut self) -> &mut Outbox<Self::Call, Self::Route>;

    /// Handles an event.
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

    /// The next action. Take all of them: they may run at the same time.
    fn poll_action(&mut self) -> Option<SinkAction<Self::Call>> {
        self.outbox_mut().actions.pop_front()
    }

    /// The next incident that is settled at the sink; once per incident and revision.
    fn poll_settled(&mut self) -> Option<Settled> {
        self.outbox_mut().settled.pop_front()
    }

    /// The next record that is open without an incident on the Board: for the core to adopt.
    fn poll_unclaimed(&mut self) -> Option<UnclaimedRecord> {
        self.outbox_mut().unclaimed.pop_front()
    }

    /// The next report for telemetry.
    fn poll_report(&mut self) -> Option<SinkReport> {
        self.outbox_mut().reports.pop_front()
    }

    /// The records for the journal.
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

/// The output until it is polled, and the actions in flight.
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
    /// When it times out.
    until: Moment,
}

impl<C: SinkCall, R> Outbox<C, R> {
    /// An empty output.
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

    /// Outputs an action and returns its id.
    pub(super) fn send(&mut self, work: Work<C>, route: R, now: Moment) -> ActionId {
        let id = ActionId(self.next_id);
        self.next_id += 1;
        let kind = work.kind();
        self.under_way.insert(id, Unanswered { route, kind, until: now + kind.given_up_after() });
        self.actions.push_back(SinkAction { id, work });
        id
    }

    /// Asks to be called at this moment at the latest.
    pub(super) fn wake_at(&mut self, at: Option<Moment>, why: &'static str) {
        if let Some(at) = at.filter(|at| self.wake.is_none_or(|(wake, _)| *at < wake)) {
            self.wake = Some((at, why));
        }
    }

    /// An incident is settled at the sink.
    pub(super) fn settle(&mut self, settled: Settled) {
        self.settled.push_back(settled);
    }

    /// A record is open that no incident explains.
    pub(super) fn unclaimed(&mut self, record: UnclaimedRecord) {
        self.unclaimed.push_back(record);
    }

    /// Adds a record for the journal.
    pub(super) fn notice(&mut self, notice: SinkNotice) {
        self.notices.push(notice);
    }

    fn overdue(&self, now: Moment) -> Vec<ActionId> {
        self.under_way.iter().filter(|(_, action)| action.until <= now).map(|(id, _)| *id).collect()
    }

    /// Counts a call that has ended.
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

/// The label `result` of a call.
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

/// The most severe problem of all that is being retried.
pub(super) fn worst_problem<'a>(retries: impl Iterator<Item = (ActionKind, &'a Retry)>) -> Option<Problem> {
    let problems = retries.filter_map(|(kind, retry)| {
        let code = kind.problem_code(retry.is_rejected());
        Some(Problem::sink(code, kind.doing(), retry.complaint()?))
    });
    problems.max_by_key(|problem| problem.severity)
}

/// The first wait; it doubles with each failure in a row.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait for anything that a page needs, whatever the sink answered: credentials are renewed, a permission is
/// granted, a response plan is created at any moment, and until then nobody has been paged.
const LONGEST_OF_PAGE: Duration = Duration::from_secs(30);
/// The longest wait for anything else after a temporary failure: an outage of the sink should not delay us much beyond its
/// end.
const LONGEST: Duration = Duration::from_secs(60);
/// Between retries of a rejected action, if no page needs it.
const REJECTED: Duration = Duration::from_secs(300);
/// The sink's own retry time is honoured up to here, if no page needs it.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);
/// This many failures in a row make a problem: about half a minute.
const LASTING: u32 = 5;

/// One thing that is retried until it succeeds.
#[derive(Debug, Default)]
pub(super) struct Retry {
    failures: u32,
    /// When a page may retry …
    page: Option<Moment>,
    /// … and when anything else may.
    quiet: Option<Moment>,
    rejected: bool,
    what: String,
}

impl Retry {
    /// When it may be retried, if that is later than `now`.
    pub(super) fn until(&self, now: Moment, priority: Priority) -> Option<Moment> {
        let until = match priority {
            Priority::Page => self.page,
            Priority::Quiet => self.quiet,
        };
        until.filter(|until| *until > now)
    }

    /// Whether the sink has rejected it.
    pub(super) const fn is_rejected(&self) -> bool {
        self.rejected
    }

    /// The problem's text: none until it is rejected or has failed for a while.
    pub(super) fn complaint(&self) -> Option<&str> {
        (self.rejected || self.failures >= LASTING).then_some(self.what.as_str())
    }

    /// Something else is to be sent at once. The rejection stands until that succeeds.
    pub(super) const fn let_go(&mut self) {
        if self.rejected {
            self.page = None;
            self.quiet = None;
        }
    }

    /// It succeeded.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// It failed.
    pub(super) fn failed(&mut self, now: Moment, failure: &ActionFailure, seed: &[&str]) {
        let (rejected, retry_after) = match failure {
            ActionFailure::Sink(SinkError::Temporary { retry_after, .. }) => (false, *retry_after),
            ActionFailure::Sink(SinkError::Rejected { .. }) => (true, None),
            ActionFailure::Sink(SinkError::TokenKnown | SinkError::NotFound)
            | ActionFailure::Ledger(_)
            | ActionFailure::NoAnswer
            | ActionFailure::Mismatch => (false, None),
        };
        self.failures = self.failures.saturating_add(1);
        self.rejected = rejected;
        self.what = failure.to_string();
        let wait = retry_wait(self.failures, seed);
        let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        self.page = Some(now + wait.max(asked).min(LONGEST_OF_PAGE));
        self.quiet = Some(now + if rejected { REJECTED } else { wait.max(asked) });
    }

    /// Retries after `longest` at the latest.
    pub(super) fn at_most(&mut self, now: Moment, longest: Duration) {
        for until in [&mut self.page, &mut self.quiet] {
            *until = until.map(|until| until.min(now + longest));
        }
    }
}

/// The wait after the `failures`th failure in a row: doubling, and reduced by a jitter of up to a half, so that many
/// connections, or twins, do not retry in step. The jitter is a hash, so that a simulation can be replayed.
pub(super) fn retry_wait(failures: u32, seed: &[&str]) -> Duration {
    let full = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST);
    let count = failures.to_string();
    let seed: Vec<&str> = seed.iter().copied().chain([count.as_str()]).collect();
    full.mul_f64(0.5 + 0.5 * f64::from(token::spread(&seed)) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::sink::LedgerError;

    #[test]
    fn waits_double_from_a_second_to_a_minute_and_are_jittered() {
        for (failures, most) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60), (u32::MAX, 60)] {
            let most = Duration::from_secs(most);
            let wait = retry_wait(failures, &["milan-1"]);
            assert!(wait <= most && wait >= most / 2, "{failures}: {wait:?}");
        }
        assert_ne!(retry_wait(3, &["milan-1"]), retry_wait(3, &["milan-2"]));
    }

    fn temporary(retry_after: Option<u64>) -> ActionFailure {
        let retry_after = retry_after.map(Duration::from_secs);
        ActionFailure::Sink(SinkError::Temporary { what: "busy".into(), retry_after, source: None })
    }

    fn rejected() -> ActionFailure {
        ActionFailure::Sink(SinkError::Rejected { what: "denied".into(), source: None })
    }

    fn until(retry: &Retry, priority: Priority) -> Option<u64> {
        retry.until(Moment::ORIGIN, priority).map(|until| until.since(Moment::ORIGIN).as_secs())
    }

    #[test]
    fn the_sinks_own_word_is_honoured_but_not_for_ever() {
        let mut retry = Retry::default();
        retry.failed(Moment::ORIGIN, &temporary(Some(45)), &[]);
        assert_eq!(until(&retry, Priority::Quiet), Some(45));
        retry.failed(Moment::ORIGIN, &temporary(Some(1_000_000)), &[]);
        assert_eq!(until(&retry, Priority::Quiet), Some(600));
    }

    #[test]
    fn a_page_is_tried_again_within_30_seconds_whatever_the_sink_answered() {
        let ledger = ActionFailure::Ledger(LedgerError { what: "disk full".into() });
        let not_found = ActionFailure::Sink(SinkError::NotFound);
        let token_known = ActionFailure::Sink(SinkError::TokenKnown);
        for failure in
            [temporary(None), temporary(Some(1_000_000)), rejected(), not_found, token_known, ledger]
        {
            let mut retry = Retry::default();
            for _ in 0..100 {
                retry.failed(Moment::ORIGIN, &failure, &["milan-1"]);
                let next = retry.until(Moment::ORIGIN, Priority::Page).unwrap();
                assert!(next <= Moment::ORIGIN + Duration::from_secs(30), "{failure}: {next:?}");
            }
        }
    }

    #[test]
    fn a_wait_can_be_cut_short_and_not_made_longer() {
        let mut retry = Retry::default();
        retry.failed(Moment::ORIGIN, &temporary(Some(600)), &[]);
        retry.at_most(Moment::ORIGIN, Duration::from_secs(60));
        assert_eq!((until(&retry, Priority::Quiet), until(&retry, Priority::Page)), (Some(60), Some(30)));
        retry.at_most(Moment::ORIGIN, Duration::from_secs(90));
        assert_eq!((until(&retry, Priority::Quiet), until(&retry, Priority::Page)), (Some(60), Some(30)));
    }

    #[test]
    fn a_rejected_action_that_no_page_needs_is_retried_every_five_minutes() {
        let mut retry = Retry::default();
        retry.failed(Moment::ORIGIN, &rejected(), &[]);
        retry.failed(Moment::ORIGIN, &rejected(), &[]);
        assert_eq!(until(&retry, Priority::Quiet), Some(300));
        assert_eq!(retry.complaint(), Some("denied"));
    }

    #[test]
    fn a_rejection_allows_another_try_at_once_and_stands_but_a_retry_time_holds() {
        let mut retry = Retry::default();
        retry.failed(Moment::ORIGIN, &rejected(), &[]);
        retry.let_go();
        assert_eq!((until(&retry, Priority::Page), retry.complaint()), (None, Some("denied")));
        retry.failed(Moment::ORIGIN, &temporary(Some(20)), &[]);
        retry.let_go();
        assert_eq!(until(&retry, Priority::Page), Some(20));
    }

    #[test]
    fn a_temporary_failure_becomes_a_problem_when_it_lasts() {
        let mut retry = Retry::default();
        for _ in 1..LASTING {
            retry.failed(Moment::ORIGIN, &temporary(None), &[]);
            assert_eq!(retry.complaint(), None);
        }
        retry.failed(Moment::ORIGIN, &temporary(None), &[]);
        assert_eq!(retry.complaint(), Some("busy"));
        retry.clear();
        assert_eq!((retry.complaint(), until(&retry, Priority::Page)), (None, None));
    }
}

//! What a sink's machine hands out, the same for [`super::reconcile`], which keeps records, and [`super::teller`], which sends
//! messages. [`super::shell`] executes either.

use std::collections::{BTreeMap, VecDeque};
use std::mem;

use crate::domain::names::{Kind, SinkId, VpnId};
use crate::domain::time::{Moment, Now};
use crate::health::Problem;

use super::action::{
    Act, Action, ActionId, Failure, Found, NoticeLevel, Reply, Settled, SinkEvent, SinkNotice, SinkReport,
};
use super::sink::SinkError;

/// One sink's share of the work, decided purely: the Board, results and time go in, and what is to be done comes out. After each
/// call, poll everything until it is empty.
pub trait Machine {
    /// What it wants done.
    type Work: Send + 'static;

    /// Something happened.
    fn handle(&mut self, event: SinkEvent, now: Now);

    /// Time has passed.
    fn handle_timeout(&mut self, now: Now);

    /// What stands between this sink and its job.
    fn problem(&self) -> Option<Problem>;

    /// Where what is polled lies.
    fn outbox(&self) -> &Outbox<Self::Work>;

    /// The same, to take from.
    fn outbox_mut(&mut self) -> &mut Outbox<Self::Work>;

    /// When to call [`Self::handle_timeout`], and why.
    fn poll_timeout(&self) -> Option<(Moment, &'static str)> {
        self.outbox().wake
    }

    /// What is to be done. Take all of them: each may be under way at the same time as the others.
    fn poll_action(&mut self) -> Option<Action<Self::Work>> {
        self.outbox_mut().actions.pop_front()
    }

    /// What has been brought to its end at the sink; once per incident and revision.
    fn poll_settled(&mut self) -> Option<Settled> {
        self.outbox_mut().settled.pop_front()
    }

    /// What is open at the sink without an incident on the Board: for the core to take up.
    fn poll_found(&mut self) -> Option<Found> {
        self.outbox_mut().found.pop_front()
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

/// What is handed out, until it is polled.
#[derive(Debug)]
pub struct Outbox<W> {
    sink: SinkId,
    next_id: u64,
    wake: Option<(Moment, &'static str)>,
    pending: Option<usize>,
    actions: VecDeque<Action<W>>,
    settled: VecDeque<Settled>,
    found: VecDeque<Found>,
    reports: VecDeque<SinkReport>,
    notices: Vec<SinkNotice>,
}

impl<W> Outbox<W> {
    /// Nothing is handed out yet.
    pub(super) const fn new(sink: SinkId) -> Self {
        Self {
            sink,
            next_id: 0,
            wake: None,
            pending: None,
            actions: VecDeque::new(),
            settled: VecDeque::new(),
            found: VecDeque::new(),
            reports: VecDeque::new(),
            notices: Vec::new(),
        }
    }

    /// Hands an action out; its name is returned, to know its end by.
    pub(super) fn send(&mut self, work: W) -> ActionId {
        let id = ActionId(self.next_id);
        self.next_id += 1;
        self.actions.push_back(Action { id, work });
        id
    }

    /// Forgets when to be called: it is worked out anew.
    pub(super) const fn clear_wake(&mut self) {
        self.wake = None;
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
    pub(super) fn found(&mut self, found: Found) {
        self.found.push_back(found);
    }

    /// A request has ended.
    pub(super) fn report(&mut self, act: Act, result: &'static str) {
        if act.is_request() {
            let sink = self.sink.clone();
            self.reports.push_back(SinkReport::Request { sink, action: act.as_str(), result });
        }
    }

    /// So many incidents are not in line with the sink.
    pub(super) fn report_pending(&mut self, incidents: usize) {
        if self.pending.replace(incidents) != Some(incidents) {
            self.reports.push_back(SinkReport::Pending { sink: self.sink.clone(), incidents });
        }
    }

    /// People should hear something of a connection and kind.
    pub(super) fn notice(&mut self, level: NoticeLevel, about: (VpnId, Kind), text: String) {
        self.notices.push(SinkNotice { level, about, text });
    }
}

/// What is under way: whose it is, and when it is given up.
#[derive(Debug)]
pub(super) struct UnderWay<R>(BTreeMap<ActionId, (R, Moment)>);

impl<R> Default for UnderWay<R> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<R> UnderWay<R> {
    /// An action is on its way.
    pub(super) fn add(&mut self, id: ActionId, route: R, until: Moment) {
        self.0.insert(id, (route, until));
    }

    /// An action has ended, or is given up.
    pub(super) fn remove(&mut self, id: ActionId) -> Option<R> {
        self.0.remove(&id).map(|(route, _)| route)
    }

    /// Those that are to be given up.
    pub(super) fn overdue(&self, now: Moment) -> Vec<ActionId> {
        self.0.iter().filter(|(_, (_, until))| *until <= now).map(|(id, _)| *id).collect()
    }

    /// When the next is given up.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.0.values().map(|(_, until)| *until).min()
    }
}

/// What telemetry calls an answer. That none came is for the machine to call.
pub(super) fn label(result: &Result<Reply, Failure>) -> &'static str {
    match result {
        Ok(Reply::Found(_) | Reply::Surveyed(_) | Reply::Started(_) | Reply::Read(_) | Reply::Done) => "ok",
        Err(Failure::Sink(SinkError::Temporary { .. }) | Failure::Ledger(_)) => "temporary",
        Err(Failure::Sink(SinkError::Rejected { .. })) => "rejected",
        Err(Failure::Sink(SinkError::TokenKnown)) => "token_known",
        Err(Failure::Sink(SinkError::NotFound)) => "not_found",
    }
}

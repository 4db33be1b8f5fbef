//! The pollers: one task per source, so a call that hangs delays no other.
//!
//! ```text
//! driver ─ AwsRequest ──► run ─ ask (capacity 1: one more waits) ─► source task ─ Event::{Answered, Refused} ─► driver
//!       └ watch<Plan> ──┘  └ watch<Coverage>, watch<called down> ─┘         └─ Health, PollOutcome
//! ```
//! A source has at most one call in flight; a request that arrives meanwhile causes one more call after it. But a call for
//! history is dropped for a request about the present: its answer may take long just when the line is back. So is one about
//! maintenance, which the task of EC2 makes by itself, at the pace of [`Rounds`]. After a failure a source pauses, and requests in that time are answered `Refused`. A task may be dropped at any await: it owns nothing but its
//! knowledge of AWS's clock.
//!
//! The driver sets the plan before it sends requests for it, and the plan is read before each request. So no request is about an
//! unknown source: neither the first after a start, nor the first after a reload.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use super::budget::Urgency;
use super::cloudwatch::CloudWatch;
use super::connection::AwsConnections;
use super::ec2;
use super::ec2::rounds::Rounds;
use super::errors::{Failure, FailureKind};
use super::permission::Call;
use super::source::{Agreement, Coverage, IdCheck, Remark, SourceAnswer};
use crate::backoff::Backoff;
use crate::catalogue::parts::Detail;
use crate::clock;
use crate::domain::event::{AwsAnswer, Event, History};
use crate::domain::maintenance::{Maintenance, MaintenanceState};
use crate::domain::names::{AwsPlace, SourceId, SourceKind, TunnelId};
use crate::domain::plan::Plan;
use crate::domain::request::{AwsRequest, HistoryRequest, ViewsRequest};
use crate::domain::time::{Moment, Stamp};
use crate::health::{Code, Component, Health, Problem};

/// History requests that may wait for one source.
const HISTORIES: usize = 64;

/// Runs the pollers of the sources in `plan` until `requests` closes. A source that leaves the plan stops.
pub async fn run(
    connections: AwsConnections,
    plan: watch::Receiver<Arc<Plan>>,
    requests: mpsc::Receiver<AwsRequest>,
    outlets: Outlets,
) {
    let make = move |source: &SourceId| AwsSource::new(connections.clone(), source.clone());
    Pollers::new(outlets, make).run(plan, requests).await;
}

/// The running tasks; stopped on drop.
struct Pollers<Make> {
    outlets: Outlets,
    make: Make,
    tasks: BTreeMap<SourceId, Handle>,
}

struct Handle {
    asks: mpsc::Sender<()>,
    histories: mpsc::Sender<HistoryRequest>,
    watch: watch::Sender<Arc<Coverage>>,
    /// The tunnels that an end calls down, by the newest request.
    down: watch::Sender<Arc<BTreeSet<TunnelId>>>,
    task: AbortHandle,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<Make, Source> Pollers<Make>
where
    Make: Fn(&SourceId) -> Source,
    Source: Ask,
{
    fn new(outlets: Outlets, make: Make) -> Self {
        Self { outlets, make, tasks: BTreeMap::new() }
    }

    async fn run(mut self, mut plan: watch::Receiver<Arc<Plan>>, mut requests: mpsc::Receiver<AwsRequest>) {
        let mut watched = Arc::clone(&plan.borrow_and_update());
        self.watch(&watched);
        loop {
            let request = tokio::select! {
                biased;
                request = requests.recv() => if request.is_some() { request } else { return },
                Ok(()) = plan.changed() => None,
            };
            let newest = Arc::clone(&plan.borrow_and_update());
            if !Arc::ptr_eq(&watched, &newest) {
                self.watch(&newest);
                watched = newest;
            }
            match request {
                Some(AwsRequest::Views(request)) => self.ask(request).await,
                Some(AwsRequest::History(request)) => self.ask_history(request).await,
                None => {}
            }
        }
    }

    async fn ask(&mut self, request: ViewsRequest) {
        let ViewsRequest { source, called_down } = request;
        match self.tasks.get(&source) {
            // Full: a request already waits for the end of the current call, and covers this one.
            Some(handle) => {
                handle.down.send_replace(Arc::new(called_down));
                match handle.asks.try_send(()) {
                    Ok(()) | Err(mpsc::error::TrySendError::Full(())) => {}
                    Err(mpsc::error::TrySendError::Closed(())) => self.refuse(source).await,
                }
            }
            // A request for a source that a newer plan has dropped.
            None => self.refuse(source).await,
        }
    }

    /// The queue holds one request per connection of a large site; the core repeats a refused one.
    async fn ask_history(&mut self, request: HistoryRequest) {
        let taken = self.tasks.get(&request.source).map(|handle| handle.histories.try_send(request.clone()));
        match taken {
            Some(Ok(())) => {}
            Some(Err(_)) | None => {
                drop(self.outlets.events.send(Event::HistoryRefused { vpn: request.vpn }).await);
            }
        }
    }

    /// If the driver is gone, the requests close and everything ends soon.
    async fn refuse(&self, source: SourceId) {
        drop(self.outlets.events.send(Event::Refused { source, reached: false }).await);
    }

    fn watch(&mut self, plan: &Plan) {
        let mut wanted = Coverage::of(plan);
        let health = &self.outlets.health;
        self.tasks.retain(|source, handle| {
            let still = wanted.get(source);
            for vpn in handle.watch.borrow().configured.keys() {
                if still.is_none_or(|watch| !watch.configured.contains_key(vpn)) {
                    health.clear(&Component::Addresses(vpn.to_string()));
                    // Another source that still watches it states it again.
                    health.clear(&Component::Identity(vpn.to_string()));
                }
            }
            let stays = still.is_some();
            if !stays {
                health.clear(&Component::Source(source.to_string()));
            }
            stays
        });
        while let Some((source, watch)) = wanted.pop_first() {
            match self.tasks.get(&source) {
                Some(handle) => {
                    handle.watch.send_replace(Arc::new(watch));
                }
                None => {
                    let handle = self.start(&source, Arc::new(watch));
                    self.tasks.insert(source, handle);
                }
            }
        }
    }

    fn start(&self, source: &SourceId, watch: Arc<Coverage>) -> Handle {
        // One request may wait while a call is in flight.
        let (asks, requests) = mpsc::channel(1);
        let (histories, histories_in) = mpsc::channel(HISTORIES);
        let (watch, watched) = watch::channel(watch);
        let (down, called_down) = watch::channel(Arc::default());
        let task = SourceTask::new(source.clone(), (self.make)(source), self.outlets.clone());
        let inlets = Inlets { requests, histories: histories_in, watched, called_down };
        let task = tokio::spawn(task.run(inlets)).abort_handle();
        Handle { asks, histories, watch, down, task }
    }
}

/// A source of many connections may have as many problems; a few are enough to start with.
const REMARKS_SHOWN: usize = 3;

/// Where the pollers report to.
#[derive(Clone)]
pub struct Outlets {
    /// The driver.
    pub events: mpsc::Sender<Event>,
    /// The problems of sources.
    pub health: Health,
    /// Called after every poll.
    pub observe: Arc<dyn Fn(&PollOutcome) + Send + Sync>,
}

impl fmt::Debug for Outlets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outlets")
    }
}

/// One poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollOutcome {
    /// The polled source.
    pub source: SourceId,
    /// What came of it.
    pub result: PollResult,
}

/// The result of a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PollResult {
    /// An answer.
    Ok,
    /// AWS throttled it.
    Throttled,
    /// A permission is missing.
    Denied,
    /// Credentials are missing, expired or not accepted.
    Expired,
    /// No answer in time.
    Timeout,
    /// An answer, or part of one, that is invalid.
    Garbage,
    /// Anything else.
    Error,
}

impl PollResult {
    /// Every result.
    pub const ALL: [Self; 7] =
        [Self::Ok, Self::Throttled, Self::Denied, Self::Expired, Self::Timeout, Self::Garbage, Self::Error];

    /// The word used in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Throttled => "throttled",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Timeout => "timeout",
            Self::Garbage => "garbage",
            Self::Error => "error",
        }
    }

    const fn of(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Throttled { .. } => Self::Throttled,
            FailureKind::TimedOut => Self::Timeout,
            FailureKind::Denied => Self::Denied,
            FailureKind::CredentialsRefused | FailureKind::CredentialsMissing => Self::Expired,
            FailureKind::Garbage => Self::Garbage,
            FailureKind::CredentialsFailed
            | FailureKind::Unreachable
            | FailureKind::ServiceFault
            | FailureKind::Contended
            | FailureKind::NotFound
            | FailureKind::TokenKnown
            | FailureKind::Rejected => Self::Error,
        }
    }
}

/// Reports a source's problem, always with the same text for the same problem.
#[derive(Debug)]
struct Reporter {
    component: Component,
    health: Health,
    /// The current problem is that AWS is unreachable.
    unreachable: bool,
}

impl Reporter {
    fn new(source: &SourceId, health: Health) -> Self {
        Self { component: Component::Source(source.to_string()), health, unreachable: false }
    }

    /// A poll failed.
    ///
    /// A broken path shows differently from call to call (a timeout, a name that does not resolve): that is one problem, and its
    /// first text stays.
    fn failed(&mut self, failure: &Failure) {
        let unreachable = matches!(failure.kind, FailureKind::TimedOut | FailureKind::Unreachable);
        if unreachable && self.unreachable {
            return;
        }
        self.unreachable = unreachable;
        self.state(Problem::of(code(failure.kind), &failure.text));
    }

    /// A poll succeeded, with these remarks.
    fn answered(&mut self, remarks: &[Remark]) {
        self.unreachable = false;
        let (first, more) = remarks.split_at(remarks.len().min(REMARKS_SHOWN));
        let first: Vec<&str> = first.iter().map(|remark| remark.text.as_str()).collect();
        if first.is_empty() {
            self.health.clear(&self.component);
        } else {
            self.state(Problem::aws_answer_invalid(&first, more.len()));
        }
    }

    /// AWS's addresses were compared with the configured ones. Connections that could not be compared keep their last result.
    fn compared(&self, addresses: Vec<Agreement>) {
        self.agreed(addresses, Component::Addresses, Code::AddressesDiffer);
    }

    /// The connections' ids were checked against the data.
    fn identified(&self, id_checks: Vec<IdCheck>) {
        let agreement =
            |IdCheck { vpn, doubt }| Agreement { vpn, complaint: doubt.map(|doubt| doubt.to_string()) };
        self.agreed(
            id_checks.into_iter().map(agreement).collect(),
            Component::Identity,
            Code::ConnectionUnconfirmed,
        );
    }

    fn agreed(&self, agreements: Vec<Agreement>, of: fn(String) -> Component, code: Code) {
        for Agreement { vpn, complaint } in agreements {
            let component = of(vpn.to_string());
            match complaint {
                Some(text) => _ = self.health.set(component, Problem::of(code, text)),
                None => _ = self.health.clear(&component),
            }
        }
    }

    fn state(&self, problem: Problem) {
        self.health.set(self.component.clone(), problem);
    }
}

/// The problem's code. Without AWS's evidence nothing can be agreed on; what passes by itself is not yet that.
const fn code(kind: FailureKind) -> Code {
    match kind {
        FailureKind::TimedOut | FailureKind::Unreachable => Code::AwsUnreachable,
        FailureKind::Throttled { .. } => Code::AwsThrottled,
        FailureKind::Denied => Code::AwsDenied,
        FailureKind::CredentialsRefused | FailureKind::CredentialsMissing => Code::CredentialsFailing,
        FailureKind::CredentialsFailed => Code::CredentialsSourceFailing,
        FailureKind::ServiceFault | FailureKind::Contended => Code::AwsFailing,
        FailureKind::Garbage => Code::AwsAnswerInvalid,
        FailureKind::NotFound | FailureKind::TokenKnown | FailureKind::Rejected => Code::AwsRefuses,
    }
}

/// Limit on one poll or history query, however many calls it takes. Each call has a limit of its own; this one holds even if that
/// fails.
const POLL_LIMIT: Duration = Duration::from_secs(60);

/// A source; tests have their own.
trait Ask: Send + 'static {
    /// The call that it makes.
    fn call(&self) -> Call;

    /// Asks about every watched tunnel, and more about those that an end calls down.
    fn ask(
        &mut self,
        coverage: &Coverage,
        called_down: &BTreeSet<TunnelId>,
    ) -> impl Future<Output = Result<SourceAnswer, Failure>> + Send;

    /// Asks about the maintenance of a tunnel's endpoint; returns the answer with its Date.
    fn maintenance(
        &mut self,
        tunnel: &TunnelId,
    ) -> impl Future<Output = Result<(Maintenance, Stamp), Failure>> + Send;

    /// Asks about the state of these tunnels over a period.
    fn history(
        &mut self,
        request: &HistoryRequest,
        tunnels: &[TunnelId],
    ) -> impl Future<Output = Result<History, Failure>> + Send;
}

/// A source at AWS.
#[derive(Debug)]
struct AwsSource {
    connections: AwsConnections,
    kind: SourceKind,
    place: AwsPlace,
    cloudwatch: CloudWatch,
}

impl AwsSource {
    fn new(connections: AwsConnections, source: SourceId) -> Self {
        let SourceId { kind, place } = source;
        Self { connections, kind, place, cloudwatch: CloudWatch::default() }
    }
}

impl Ask for AwsSource {
    fn call(&self) -> Call {
        match self.kind {
            SourceKind::CloudWatch => Call::GetMetricData,
            SourceKind::Ec2 => Call::DescribeVpnConnections,
        }
    }

    async fn ask(
        &mut self,
        coverage: &Coverage,
        called_down: &BTreeSet<TunnelId>,
    ) -> Result<SourceAnswer, Failure> {
        let connection = self.connections.at(&self.place).await;
        let answer = match self.kind {
            SourceKind::CloudWatch => self.cloudwatch.ask(&connection, coverage, called_down).await,
            SourceKind::Ec2 => ec2::ask(&connection, coverage).await,
        };
        // A source is asked again soon, whatever the result.
        answer
            .inspect(|_| connection.accepted())
            .inspect_err(|failure| _ = self.connections.renew_after(failure, &connection))
    }

    async fn maintenance(&mut self, tunnel: &TunnelId) -> Result<(Maintenance, Stamp), Failure> {
        let call = Call::GetVpnTunnelReplacementStatus;
        let turn = self.connections.budget(call.service(), &self.place).turn(Urgency::LookUp).await;
        let turn = turn.ok_or_else(|| Failure::timed_out(call, &self.place))?;
        let connection = self.connections.at(&self.place).await;
        let answer = ec2::maintenance(&connection, tunnel).await;
        answer.inspect(|_| connection.accepted()).inspect_err(|failure| {
            if let FailureKind::Throttled { .. } = failure.kind {
                turn.throttled();
            }
            self.connections.renew_after(failure, &connection);
        })
    }

    async fn history(&mut self, request: &HistoryRequest, tunnels: &[TunnelId]) -> Result<History, Failure> {
        let connection = self.connections.at(&self.place).await;
        let answer = match self.kind {
            SourceKind::CloudWatch => self.cloudwatch.history(&connection, request, tunnels).await,
            SourceKind::Ec2 => Err(Failure::garbage(self.call(), &self.place, "EC2 keeps no history")),
        };
        answer
            .inspect(|_| connection.accepted())
            .inspect_err(|failure| _ = self.connections.renew_after(failure, &connection))
    }
}

/// Waits until a tunnel is due; `None` at once if there is none, which ends the wait for it.
async fn due(next: Option<(Moment, TunnelId)>) -> Option<TunnelId> {
    let (due, tunnel) = next?;
    tokio::time::sleep_until(clock::timer_at(due)).await;
    Some(tunnel)
}

/// The task of one source.
struct SourceTask<Source> {
    id: SourceId,
    source: Source,
    outlets: Outlets,
    backoff: Backoff,
    /// Whether the failed call that `backoff` waits after reached AWS.
    reached: bool,
    reporter: Reporter,
    rounds: Rounds,
}

/// What a source task is given.
struct Inlets {
    requests: mpsc::Receiver<()>,
    histories: mpsc::Receiver<HistoryRequest>,
    watched: watch::Receiver<Arc<Coverage>>,
    called_down: watch::Receiver<Arc<BTreeSet<TunnelId>>>,
}

/// What a source task does next.
enum Step {
    Poll,
    LookBack(HistoryRequest),
    /// There is a new plan.
    Watch,
    Maintenance(TunnelId),
}

impl<Source: Ask> SourceTask<Source> {
    fn new(id: SourceId, source: Source, outlets: Outlets) -> Self {
        let reporter = Reporter::new(&id, outlets.health.clone());
        let (backoff, rounds) = (Backoff::random(), Rounds::new(Backoff::random()));
        Self { id, source, outlets, backoff, reached: false, reporter, rounds }
    }

    /// Answers every request, until the requests close or nobody receives the answers.
    async fn run(mut self, inlets: Inlets) {
        let Inlets { mut requests, mut histories, mut watched, called_down } = inlets;
        self.go_round(&watched.borrow_and_update());
        loop {
            let maintenance = self.next_maintenance();
            // The present comes before the past, and both before what is ahead.
            let step = tokio::select! {
                biased;
                request = requests.recv() => if request.is_some() { Step::Poll } else { return },
                Some(history) = histories.recv() => Step::LookBack(history),
                Ok(()) = watched.changed() => Step::Watch,
                Some(tunnel) = due(maintenance) => Step::Maintenance(tunnel),
            };
            let coverage = Arc::clone(&watched.borrow_and_update());
            let down = Arc::clone(&called_down.borrow());
            let ready = self.backoff.ready(clock::now().mono);
            let event = match step {
                Step::Watch => {
                    self.go_round(&coverage);
                    continue;
                }
                Step::Maintenance(tunnel) => {
                    self.rounds.asked(&tunnel, clock::now().mono);
                    tokio::select! {
                        biased;
                        events = self.ask_maintenance(&tunnel, &coverage) => {
                            for event in events {
                                if self.outlets.events.send(event).await.is_err() {
                                    return;
                                }
                            }
                            continue;
                        }
                        request = requests.recv() => match request {
                            Some(()) => self.poll(&coverage, &down).await,
                            None => return,
                        },
                    }
                }
                Step::LookBack(history) if ready => {
                    let vpn = history.vpn.clone();
                    tokio::select! {
                        // An answer about the past that is complete is not thrown away.
                        biased;
                        event = self.look_back(history, &coverage) => event,
                        request = requests.recv() => {
                            let listens = self.outlets.events.send(Event::HistoryRefused { vpn }).await.is_ok();
                            if request.is_none() || !listens {
                                return;
                            }
                            let coverage = Arc::clone(&watched.borrow());
                            let down = Arc::clone(&called_down.borrow());
                            self.poll(&coverage, &down).await
                        }
                    }
                }
                Step::LookBack(HistoryRequest { vpn, .. }) => Event::HistoryRefused { vpn },
                Step::Poll if ready => self.poll(&coverage, &down).await,
                Step::Poll => self.refusal(),
            };
            if self.outlets.events.send(event).await.is_err() {
                return;
            }
        }
    }

    /// Begins to ask about the maintenance of these tunnels; only EC2 knows of it.
    fn go_round(&mut self, coverage: &Coverage) {
        match self.id.kind {
            SourceKind::CloudWatch => {}
            SourceKind::Ec2 => self.rounds.watch(coverage.tunnels(), clock::now().mono),
        }
    }

    /// Nothing beside the tunnels' state is asked while AWS does not answer about that.
    fn next_maintenance(&self) -> Option<(Moment, TunnelId)> {
        let next = self.rounds.next().filter(|_| !self.backoff.is_waiting());
        next.map(|(due, tunnel)| (due, tunnel.clone()))
    }

    async fn ask_maintenance(&mut self, tunnel: &TunnelId, coverage: &Coverage) -> Vec<Event> {
        let answer = tokio::time::timeout(POLL_LIMIT, self.source.maintenance(tunnel)).await;
        let late = || Failure::timed_out(Call::GetVpnTunnelReplacementStatus, &self.id.place);
        let now = clock::now().mono;
        match answer.unwrap_or_else(|_| Err(late())) {
            Ok((maintenance, as_of)) => {
                self.rounds.answered(tunnel, maintenance.pending, now);
                let state = MaintenanceState::Known { maintenance, as_of };
                vec![Event::Maintenance { tunnel: tunnel.clone(), state }]
            }
            Err(failure) => {
                Detail::LookupFailed(&failure).record().emit();
                if failure.kind != FailureKind::Denied {
                    return Vec::new();
                }
                self.rounds.denied(&tunnel.vpn, now);
                let tunnels = coverage.tunnels_of(&tunnel.vpn).iter().cloned();
                let state = MaintenanceState::Denied;
                tunnels.map(|tunnel| Event::Maintenance { tunnel, state }).collect()
            }
        }
    }

    async fn poll(&mut self, coverage: &Coverage, called_down: &BTreeSet<TunnelId>) -> Event {
        self.rounds.see_down(called_down);
        let answer = tokio::time::timeout(POLL_LIMIT, self.source.ask(coverage, called_down)).await;
        match answer.unwrap_or_else(|_| Err(self.timed_out())) {
            Ok(answer) => Event::Answered(self.answered(answer)),
            Err(failure) => {
                self.refused(&failure);
                self.refusal()
            }
        }
    }

    async fn look_back(&mut self, request: HistoryRequest, coverage: &Coverage) -> Event {
        let tunnels = coverage.tunnels_of(&request.vpn);
        let answer = tokio::time::timeout(POLL_LIMIT, self.source.history(&request, tunnels)).await;
        match answer.unwrap_or_else(|_| Err(self.timed_out())) {
            Ok(history) => {
                self.backoff.succeeded();
                self.observe(PollResult::Ok);
                Event::HistoryAnswered(history)
            }
            Err(failure) => {
                self.refused(&failure);
                Event::HistoryRefused { vpn: request.vpn }
            }
        }
    }

    fn timed_out(&self) -> Failure {
        Failure::timed_out(self.source.call(), &self.id.place)
    }

    fn answered(&mut self, answer: SourceAnswer) -> AwsAnswer {
        let SourceAnswer { asked, date, readings, data, remarks, addresses, id_checks } = answer;
        self.backoff.succeeded();
        let garbled = remarks.iter().any(|remark| remark.is_garbage);
        self.observe(if garbled { PollResult::Garbage } else { PollResult::Ok });
        self.reporter.answered(&remarks);
        self.reporter.compared(addresses);
        self.reporter.identified(id_checks);
        AwsAnswer { source: self.id.clone(), asked, date, readings, data }
    }

    fn refusal(&self) -> Event {
        Event::Refused { source: self.id.clone(), reached: self.reached }
    }

    fn refused(&mut self, failure: &Failure) {
        self.backoff.failed(clock::now().mono, failure.kind.retry_after());
        self.reached = failure.kind.reached_aws();
        self.observe(PollResult::of(failure.kind));
        self.reporter.failed(failure);
    }

    fn observe(&self, result: PollResult) {
        (self.outlets.observe)(&PollOutcome { source: self.id.clone(), result });
    }
}

#[cfg(test)]
mod tests;

//! One source's task: waits for a request, asks, answers.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::report::{Outlets, PollOutcome, PollResult, Reporter};
use crate::aws::cloudwatch::CloudWatch;
use crate::aws::connection::AwsConnections;
use crate::aws::ec2;
use crate::aws::errors::Failure;
use crate::aws::permission::Call;
use crate::aws::source::{Coverage, Heard};
use crate::backoff::Backoff;
use crate::clock;
use crate::domain::event::{AwsAnswer, Event, History};
use crate::domain::names::{AwsPlace, SourceId, SourceKind, TunnelId};
use crate::domain::request::HistoryRequest;

/// For one poll or look back, however many calls it takes. A call has a bound of its own; this one holds if even that one
/// fails.
const POLL_LIMIT: Duration = Duration::from_secs(60);

/// Who can be asked.
pub(super) trait Ask: Send + 'static {
    /// Which call asks.
    fn call(&self) -> Call;

    /// Asks about everything that is watched.
    fn ask(&mut self, coverage: &Coverage) -> impl Future<Output = Result<Heard, Failure>> + Send;

    /// Asks what became of these tunnels over a time.
    fn history(
        &mut self,
        request: &HistoryRequest,
        tunnels: &[TunnelId],
    ) -> impl Future<Output = Result<History, Failure>> + Send;
}

/// A source at AWS.
#[derive(Debug)]
pub(super) struct AwsSource {
    connections: AwsConnections,
    kind: SourceKind,
    place: AwsPlace,
    cloudwatch: CloudWatch,
}

impl AwsSource {
    pub(super) fn new(connections: AwsConnections, source: SourceId) -> Self {
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

    async fn ask(&mut self, coverage: &Coverage) -> Result<Heard, Failure> {
        let connection = self.connections.at(&self.place).await;
        let heard = match self.kind {
            SourceKind::CloudWatch => self.cloudwatch.ask(&connection, coverage).await,
            SourceKind::Ec2 => ec2::ask(&connection, coverage).await,
        };
        // A source is asked again soon, whatever comes of it.
        heard
            .inspect(|_| connection.accepted())
            .inspect_err(|failure| _ = self.connections.renew_after(failure, &connection))
    }

    async fn history(&mut self, request: &HistoryRequest, tunnels: &[TunnelId]) -> Result<History, Failure> {
        let connection = self.connections.at(&self.place).await;
        let heard = match self.kind {
            SourceKind::CloudWatch => self.cloudwatch.history(&connection, request, tunnels).await,
            SourceKind::Ec2 => Err(Failure::garbage(self.call(), &self.place, "EC2 keeps no history")),
        };
        heard
            .inspect(|_| connection.accepted())
            .inspect_err(|failure| _ = self.connections.renew_after(failure, &connection))
    }
}

/// The task of one source.
pub(super) struct SourceTask<Source> {
    id: SourceId,
    source: Source,
    outlets: Outlets,
    backoff: Backoff,
    /// Whether the call that `backoff` waits after reached AWS: so far that is all there is to say.
    reached: bool,
    reporter: Reporter,
}

impl<Source: Ask> SourceTask<Source> {
    pub(super) fn new(id: SourceId, source: Source, outlets: Outlets) -> Self {
        let reporter = Reporter::new(&id, outlets.health.clone());
        Self { id, source, outlets, backoff: Backoff::random(), reached: false, reporter }
    }

    /// Answers every request, until there can be no more or nobody listens.
    pub(super) async fn run(
        mut self,
        mut requests: mpsc::Receiver<()>,
        mut histories: mpsc::Receiver<HistoryRequest>,
        watched: watch::Receiver<Arc<Coverage>>,
    ) {
        loop {
            // What is comes before what was.
            let history = tokio::select! {
                biased;
                request = requests.recv() => if request.is_some() { None } else { return },
                Some(history) = histories.recv() => Some(history),
            };
            let coverage = Arc::clone(&watched.borrow());
            let ready = self.backoff.ready(clock::now().mono);
            let event = match history {
                Some(history) if ready => {
                    let vpn = history.vpn.clone();
                    tokio::select! {
                        // What has just been told of the past is not thrown away.
                        biased;
                        event = self.look_back(history, &coverage) => event,
                        request = requests.recv() => {
                            let listens = self.outlets.events.send(Event::HistoryRefused { vpn }).await.is_ok();
                            if request.is_none() || !listens {
                                return;
                            }
                            let coverage = Arc::clone(&watched.borrow());
                            self.poll(&coverage).await
                        }
                    }
                }
                Some(HistoryRequest { vpn, .. }) => Event::HistoryRefused { vpn },
                None if ready => self.poll(&coverage).await,
                None => self.refusal(),
            };
            if self.outlets.events.send(event).await.is_err() {
                return;
            }
        }
    }

    async fn poll(&mut self, coverage: &Coverage) -> Event {
        let heard = tokio::time::timeout(POLL_LIMIT, self.source.ask(coverage)).await;
        match heard.unwrap_or_else(|_| Err(self.timed_out())) {
            Ok(heard) => Event::Answered(self.answered(heard)),
            Err(failure) => {
                self.refused(&failure);
                self.refusal()
            }
        }
    }

    async fn look_back(&mut self, request: HistoryRequest, coverage: &Coverage) -> Event {
        let tunnels = coverage.tunnels_of(&request.vpn);
        let heard = tokio::time::timeout(POLL_LIMIT, self.source.history(&request, tunnels)).await;
        match heard.unwrap_or_else(|_| Err(self.timed_out())) {
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

    fn answered(&mut self, heard: Heard) -> AwsAnswer {
        let Heard { asked, date, readings, remarks, addresses, id_checks } = heard;
        self.backoff.succeeded();
        let garbled = remarks.iter().any(|remark| remark.is_garbage);
        self.observe(if garbled { PollResult::Garbage } else { PollResult::Ok });
        self.reporter.answered(&remarks);
        self.reporter.compared(addresses);
        self.reporter.identified(id_checks);
        AwsAnswer { source: self.id.clone(), asked, date, readings }
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

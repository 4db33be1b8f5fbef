//! Tries the calls that a configuration needs, so that none of them has an effect.
//!
//! | call | how it is tried |
//! |---|---|
//! | reads | by reading |
//! | `DescribeVpnConnections` | with `DryRun` |
//! | `PutMetricData` | with a datum that is too old to be taken ([`metrics`]) |
//! | `StartIncident` | with a response plan that does not exist ([`incident_manager`]) |
//! | what reads or writes an incident record | with a record that does not exist |
//! | `AssumeRole` | by assuming the role |
//!
//! That a call was refused for want of a permission, AWS says itself. That it was refused for what it asked, and not for
//! that, is all that the others can show: AWS documents nowhere that it looks at the permission first. Hence
//! [`Verdict::NotDenied`], which is less than [`Verdict::Allowed`].

mod folds;
mod incident_manager;
mod metrics;
mod statement;
#[cfg(test)]
mod tests;
mod tunnels;
mod verdict;

use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use tokio::task::JoinSet;

pub use self::folds::folds;
pub use self::incident_manager::{Family, PlanUse, SeenPlan};
pub use self::statement::{Grant, Statement, statements};
pub use self::verdict::{Meant, Verdict};
use super::connection::{AwsConnections, Connection, Place};
use super::errors::{Failure, FailureKind};
use super::exchange::{Capture, call};
use super::permission::Call;
use crate::domain::names::{TunnelId, VpnId};

/// A call that is throttled is made again, so often at most: a check makes more calls at once than the daemon does.
const ATTEMPTS: u32 = 4;
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Nobody waits for longer than this, whatever AWS says of when to come back.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What is to be tried at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// Where, and as whom.
    pub place: Place,
    /// What for.
    pub uses: Vec<Use>,
}

/// What AWS is used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    /// CloudWatch's view of the tunnels.
    TunnelState {
        /// The tunnels, by connection.
        vpns: Vec<(VpnId, Vec<TunnelId>)>,
        /// How old a datapoint may be.
        stale_after: Duration,
    },
    /// EC2's view of the tunnels.
    VpnTelemetry,
    /// The daemon's own metrics.
    Metrics {
        /// Their namespace.
        namespace: Arc<str>,
    },
    /// Incidents in Incident Manager.
    IncidentManager {
        /// The response plans.
        families: Vec<Family>,
    },
}

/// What came of a trial.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Where, as the SDK's own chain completes it, and as whom.
    pub at: String,
    /// Who we are there.
    pub identity: Option<Identity>,
    /// The calls, in the order in which they were made.
    pub tried: Vec<Tried>,
    /// What is not as it should be, and what to do.
    pub findings: Vec<String>,
    /// The response plans that are there.
    pub plans: Vec<SeenPlan>,
}

/// Who asks, as AWS sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account.
    pub account: String,
    /// The user or role.
    pub arn: String,
}

/// One call that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The call.
    pub call: Call,
    /// What it was about, in a few words.
    pub on: String,
    /// What came of it.
    pub verdict: Verdict,
    /// What the call needs.
    pub grant: Grant,
}

/// Tries everything, all places at once.
pub async fn run(connections: &AwsConnections, trials: Vec<Trial>) -> Vec<Outcome> {
    let mut tasks = JoinSet::new();
    let count = trials.len();
    for (index, trial) in trials.into_iter().enumerate() {
        let connections = connections.clone();
        tasks.spawn(async move { (index, at_place(&connections, trial).await) });
    }
    let mut outcomes = vec![Outcome::default(); count];
    while let Some(done) = tasks.join_next().await {
        if let Ok((index, outcome)) = done {
            outcomes[index] = outcome;
        }
    }
    outcomes
}

async fn at_place(connections: &AwsConnections, trial: Trial) -> Outcome {
    let Trial { place, uses } = trial;
    let connection = connections.at(&place).await;
    let mut trier = Trier::new(Arc::clone(&connection));
    let identity = match trier.identity().await {
        Ok(identity) => identity,
        Err(Stop) => return trier.done(None),
    };
    let mut tasks = JoinSet::new();
    let count = uses.len();
    for (index, one) in uses.into_iter().enumerate() {
        let mut trier = Trier::new(Arc::clone(&connection));
        tasks.spawn(async move {
            match &one {
                Use::TunnelState { vpns, stale_after } => {
                    tunnels::tunnel_state(&mut trier, vpns, *stale_after).await;
                }
                Use::VpnTelemetry => tunnels::telemetry(&mut trier).await,
                Use::Metrics { namespace } => metrics::put(&mut trier, namespace).await,
                Use::IncidentManager { families } => incident_manager::all(&mut trier, families).await,
            }
            (index, trier)
        });
    }
    let mut parts: Vec<Option<Trier>> = Vec::new();
    parts.resize_with(count, || None);
    while let Some(done) = tasks.join_next().await {
        if let Ok((index, part)) = done {
            parts[index] = Some(part);
        }
    }
    for part in parts.into_iter().flatten() {
        trier.take(part);
    }
    trier.done(identity)
}

/// Nothing else can be tried at this place.
struct Stop;

/// Makes calls at one place, and takes down what comes of them.
struct Trier {
    connection: Arc<Connection>,
    tried: Vec<Tried>,
    findings: Vec<String>,
    plans: Vec<SeenPlan>,
    /// AWS has not answered: to wait for each of the other answers would take minutes.
    silent: bool,
}

impl Trier {
    fn new(connection: Arc<Connection>) -> Self {
        Self { connection, tried: Vec::new(), findings: Vec::new(), plans: Vec::new(), silent: false }
    }

    /// Makes one call. `None` where nothing came of it, which is taken down already.
    async fn attempt<T, Sent>(
        &mut self,
        call: Call,
        on: &str,
        grant: Grant,
        meant: Meant,
        send: impl Fn() -> Sent,
    ) -> Option<Result<T, FailureKind>>
    where
        Sent: Future<Output = Result<T, Failure>>,
    {
        if self.silent {
            self.skip(call, on, grant);
            return None;
        }
        let result = patiently(send).await;
        let kind = result.as_ref().map(|_| ()).map_err(|failure| failure.kind);
        let verdict = Verdict::of(meant, kind);
        // The same of another response plan is in the table, and in the statement to add.
        let told = self.tried.iter().any(|tried| tried.call == call && tried.verdict == verdict);
        self.tried.push(Tried { call, on: on.to_owned(), verdict, grant });
        match result {
            Ok(value) => Some(Ok(value)),
            Err(failure) => {
                self.silent |= !failure.kind.reached_aws();
                match verdict {
                    Verdict::Allowed | Verdict::NotDenied => {}
                    Verdict::Denied | Verdict::NoCredentials if told => {}
                    Verdict::Denied | Verdict::NoCredentials | Verdict::NotTried | Verdict::Failed => {
                        self.find(failure.text);
                    }
                }
                Some(Err(failure.kind))
            }
        }
    }

    /// Finds out who we are, and with it whether the role can be assumed.
    async fn identity(&mut self) -> Result<Option<Identity>, Stop> {
        let connection = Arc::clone(&self.connection);
        let place = &connection.place;
        let nothing_else = |what: &str| format!("{what}; nothing else was tried {place}");
        if place.region.is_none() {
            self.skip(Call::GetCallerIdentity, "", Grant::on(None));
            self.find(nothing_else(&Failure::no_region(Call::GetCallerIdentity).text));
            return Err(Stop);
        }
        let request = connection.sts.get_caller_identity();
        let send = |capture| request.clone().customize().interceptor(capture).send();
        let said = patiently(|| sent(Call::GetCallerIdentity, &connection, send)).await;
        let verdict = Verdict::of(Meant::Answer, said.as_ref().map(|_| ()).map_err(|failure| failure.kind));
        match (&place.role_arn, &said) {
            (Some(role), _) => {
                let grant = Grant::on(Some(role));
                self.tried.push(Tried { call: Call::AssumeRole, on: role.to_string(), verdict, grant });
            }
            // It needs no permission: that it is answered is no news.
            (None, Ok(_)) => {}
            (None, Err(_)) => {
                let (call, grant) = (Call::GetCallerIdentity, Grant::on(None));
                self.tried.push(Tried { call, on: String::new(), verdict, grant });
            }
        }
        let failure = match said {
            Ok(said) => {
                let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
                return Ok(Some(Identity { account: text(said.account()), arn: text(said.arn()) }));
            }
            Err(failure) => failure,
        };
        // Where STS cannot be reached, other services may be; without credentials there is nobody to ask as.
        let without = match verdict {
            Verdict::Denied | Verdict::NoCredentials => true,
            Verdict::Allowed | Verdict::NotDenied | Verdict::NotTried | Verdict::Failed => {
                place.role_arn.is_some()
            }
        };
        if without {
            self.find(nothing_else(&failure.text));
            return Err(Stop);
        }
        self.find(failure.text);
        Ok(None)
    }

    /// Says that a call was not tried.
    fn skip(&mut self, call: Call, on: &str, grant: Grant) {
        self.tried.push(Tried { call, on: on.to_owned(), verdict: Verdict::NotTried, grant });
    }

    /// Says more of the call that was tried last.
    fn row_says(&mut self, call: Call, on: &str) {
        if let Some(tried) = self.tried.iter_mut().rev().find(|tried| tried.call == call) {
            on.clone_into(&mut tried.on);
        }
    }

    fn find(&mut self, what: String) {
        if !self.findings.contains(&what) {
            self.findings.push(what);
        }
    }

    fn take(&mut self, part: Self) {
        let Self { connection: _, tried, findings, plans, silent: _ } = part;
        self.tried.extend(tried);
        self.plans.extend(plans);
        for finding in findings {
            self.find(finding);
        }
    }

    fn done(self, identity: Option<Identity>) -> Outcome {
        let Self { connection, tried, findings, plans, silent: _ } = self;
        Outcome { at: connection.place.to_string(), identity, tried, findings, plans }
    }
}

/// Makes a call, and makes it again when AWS asks us to slow down.
async fn patiently<T, Sent>(send: impl Fn() -> Sent) -> Result<T, Failure>
where
    Sent: Future<Output = Result<T, Failure>>,
{
    let mut wait = FIRST_WAIT;
    for _ in 1..ATTEMPTS {
        match send().await {
            Err(Failure { kind: FailureKind::Throttled { retry_after }, .. }) => {
                tokio::time::sleep(retry_after.unwrap_or(wait).min(LONGEST_WAIT)).await;
                wait *= 2;
            }
            other => return other,
        }
    }
    send().await
}

/// One call through the SDK.
async fn sent<T, E, Sent>(
    of: Call,
    connection: &Connection,
    send: impl Fn(Capture) -> Sent,
) -> Result<T, Failure>
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    Sent: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
{
    call(of, &connection.place, send).await.map(|(value, _)| value)
}

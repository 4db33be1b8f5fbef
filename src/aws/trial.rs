//! Tries the calls that a configuration needs, without effect.
//!
//! | call | how it is tried |
//! |---|---|
//! | reads | by reading |
//! | `DescribeVpnConnections`, `GetVpnTunnelReplacementStatus` | with `DryRun` |
//! | `PutMetricData` | with a datum that is too old to be accepted ([`calls`]) |
//! | `StartIncident` | with a response plan that does not exist ([`calls`]) |
//! | what reads or writes an incident record | with a record that does not exist |
//! | `AssumeRole` | by assuming the role |
//! | `CreateOpsItem`, `Publish` | not at all ([`calls`]); whether a topic is there, by reading its attributes |
//!
//! AWS states a missing permission explicitly. For the others a refusal of the request itself is all that can show: AWS documents
//! nowhere that it checks the permission first. Hence [`Verdict::NotDenied`], which is weaker than [`Verdict::Allowed`].

mod calls;
#[cfg(test)]
mod tests;
mod trier;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

pub use self::trier::{CallerIdentity, Family, PlanUse, SeenPlan, TrialOutcome, folds};
pub use self::trier::{Grant, Statement, Tried, statements};
pub use self::trier::{Meant, PermissionVerdict};
use self::trier::{Stop, Trier};
use super::connection::AwsConnections;
use crate::domain::names::{AwsPlace, TunnelId, VpnId};

/// The uses of one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// The Region and role.
    pub place: AwsPlace,
    /// What for.
    pub uses: Vec<Use>,
}

/// A use of AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    /// CloudWatch's view of the tunnels.
    TunnelState {
        /// The tunnels, by connection.
        vpns: Vec<(VpnId, Vec<TunnelId>)>,
        /// The limit on a datapoint's age.
        stale_after: Duration,
        /// Those that the daemon will ask EC2 about as well.
        known_to_ec2: BTreeSet<VpnId>,
    },
    /// EC2's view of the tunnels.
    VpnTelemetry {
        /// A tunnel of each connection: the permission to ask about maintenance may be granted per connection.
        tunnels: Vec<TunnelId>,
    },
    /// The daemon's own metrics.
    Metrics {
        /// The namespace.
        namespace: Arc<str>,
    },
    /// Incidents in Incident Manager.
    IncidentManager {
        /// The response plans.
        families: Vec<Family>,
    },
    /// Incidents in OpsCenter.
    OpsCenter,
    /// Messages to a topic of SNS.
    Topic {
        /// The topic's ARN.
        arn: Arc<str>,
    },
}

/// Runs all trials, all places in parallel.
pub async fn run(connections: &AwsConnections, trials: Vec<Trial>) -> Vec<TrialOutcome> {
    let mut tasks = JoinSet::new();
    let count = trials.len();
    for (index, trial) in trials.into_iter().enumerate() {
        let connections = connections.clone();
        tasks.spawn(async move { (index, at_place(&connections, trial).await) });
    }
    let mut outcomes = vec![TrialOutcome::default(); count];
    while let Some(done) = tasks.join_next().await {
        if let Ok((index, outcome)) = done {
            outcomes[index] = outcome;
        }
    }
    outcomes
}

async fn at_place(connections: &AwsConnections, trial: Trial) -> TrialOutcome {
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
                Use::TunnelState { vpns, stale_after, known_to_ec2 } => {
                    calls::tunnel_state(&mut trier, vpns, *stale_after, known_to_ec2).await;
                }
                Use::VpnTelemetry { tunnels } => calls::telemetry(&mut trier, tunnels).await,
                Use::Metrics { namespace } => calls::metrics(&mut trier, namespace).await,
                Use::IncidentManager { families } => calls::incident_manager(&mut trier, families).await,
                Use::OpsCenter => calls::ops_center(&mut trier).await,
                Use::Topic { arn } => calls::topic(&mut trier, arn).await,
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

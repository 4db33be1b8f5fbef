//! What the parts on the I/O thread share: their inputs and outputs, the clocks that AWS judges by, and the way of the facts to
//! journal, Prometheus, store and publisher.

use std::path::PathBuf;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

use crate::aws::{AwsClock, AwsConnections};
use crate::catalogue::{Names, fact};
use crate::clock;
use crate::config::{Config, Warning};
use crate::domain::board::Board;
use crate::domain::event::Event;
use crate::domain::fact::Fact;
use crate::domain::plan::Plan;
use crate::domain::status::Status;
use crate::domain::time::Now;
use crate::driver::Command;
use crate::health::Health;
use crate::publish::machine::{Clock, Whose};
use crate::publish::shell::Feed;
use crate::records::Records;
use crate::store::Store;
use crate::telemetry::prometheus::Prometheus;

/// Shared by the parts on the I/O thread.
pub(super) struct IoContext {
    pub(super) config_path: PathBuf,
    /// The configuration in force.
    pub(super) config: Config,
    /// Its warnings; all of them are logged.
    pub(super) warnings: Vec<Warning>,
    pub(super) connections: AwsConnections,
    pub(super) store: Store,
    pub(super) prometheus: Arc<Prometheus>,
    pub(super) health: Health,
    pub(super) records: Records,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) plan: watch::Receiver<Arc<Plan>>,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) shutdown: watch::Sender<bool>,
    pub(super) board: watch::Receiver<Arc<Board>>,
    pub(super) status: watch::Receiver<Arc<Status>>,
    pub(super) facts: Facts,
    pub(super) io_beat: Arc<AtomicI64>,
}

impl IoContext {
    /// Runs `task` for as long as the driver runs.
    pub(super) fn spawn(
        &self,
        tasks: &mut JoinSet<()>,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> AbortHandle {
        let ends = self.until_driver_ends();
        tasks.spawn(async move {
            tokio::select! {
                () = task => {}
                () = ends => {}
            }
        })
    }

    /// Completes when the driver ends, which holds the status' sender.
    pub(super) fn until_driver_ends(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut status = self.status.clone();
        async move { while status.changed().await.is_ok() {} }
    }
}

/// A host clock further from AWS's than this is wrong. Verdicts and durations do not depend on it, but dates do: from here on the
/// daemon uses AWS's clock for them (see [`Calendar`](crate::domain::time::Calendar)), and the journal's own time stamps differ.
pub(super) const MAX_CLOCK_OFFSET: Duration = Duration::from_secs(60);

/// The time by which CloudWatch accepts or rejects our minutes, if AWS has answered. Minutes of a host clock that was reset to the
/// year 2000 are too old for CloudWatch, though not by that clock.
pub(super) fn time_at_cloudwatch(connections: &AwsConnections) -> Clock {
    let now = clock::now();
    match connections.clock() {
        Some(aws) => Clock { now: Now { wall: aws.reads(now.mono), ..now }, whose: Whose::Aws },
        None => Clock { now, whose: Whose::Host },
    }
}

/// The time by which AWS dates its records: the host's, unless that is wrong. A wrong one would make a record of a minute ago look
/// an hour old.
pub(super) fn time_of_records(connections: &AwsConnections) -> Now {
    let now = clock::now();
    let is_far = |aws: &AwsClock| aws.offset(now).exceeds(MAX_CLOCK_OFFSET) == Some(true);
    let wall = connections.clock().filter(is_far).map_or(now.wall, |aws| aws.reads(now.mono));
    Now { wall, ..now }
}

/// The part of the facts' way that a reload changes.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    shared: Arc<Mutex<FactOutputs>>,
}

#[derive(Debug)]
struct FactOutputs {
    names: Names,
    publisher: Option<Feed>,
}

/// The driver's end of the way. Nothing here waits, because it runs on the driver's thread.
pub(super) struct FactSink {
    shared: Arc<Mutex<FactOutputs>>,
    store: Store,
    prometheus: Arc<Prometheus>,
}

/// Both ends of the facts' way.
pub(super) fn facts(config: &Config, store: Store, prometheus: Arc<Prometheus>) -> (Facts, FactSink) {
    let shared = Arc::new(Mutex::new(FactOutputs { names: Names::from(&*config.plan), publisher: None }));
    let sink = FactSink { shared: Arc::clone(&shared), store, prometheus };
    (Facts { shared }, sink)
}

impl Facts {
    /// Uses these names in records from here on.
    pub(super) fn set_names(&self, names: Names) {
        self.lock().names = names;
    }

    /// Sends minutes to this publisher from here on; the one before ends when it has sent its own.
    pub(super) fn set_publisher(&self, publisher: Option<Feed>) {
        self.lock().publisher = publisher;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, FactOutputs> {
        // The state is valid after every statement, so a poisoned lock is harmless.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FactSink {
    /// The form that the driver takes.
    pub(super) fn into_closure(self) -> Box<dyn FnMut(Fact)> {
        Box::new(move |fact| self.take(&fact))
    }

    fn take(&self, fact: &Fact) {
        self.store.record(fact);
        self.prometheus.count(fact);
        let record = {
            let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(publisher) = &shared.publisher {
                publisher.record(fact);
            }
            fact::record(fact, &shared.names)
        };
        if let Some(record) = record {
            record.emit();
        }
    }
}

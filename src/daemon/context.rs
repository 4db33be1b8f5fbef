//! What the parts on the I/O thread work with.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::facts::Facts;
use crate::aws::AwsConnections;
use crate::config::{Config, Warning};
use crate::domain::board::Board;
use crate::domain::event::Event;
use crate::domain::plan::Plan;
use crate::domain::status::Status;
use crate::driver::Command;
use crate::health::Health;
use crate::records::Records;
use crate::store::Store;
use crate::telemetry::prometheus::Prometheus;

/// What every part that runs there may need.
pub(super) struct IoContext {
    pub(super) config_path: PathBuf,
    /// In force.
    pub(super) config: Config,
    /// What is allowed in it and deserves a look; all of it has been told.
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

    /// The driver holds the status' sending end.
    pub(super) fn until_driver_ends(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut status = self.status.clone();
        async move { while status.changed().await.is_ok() {} }
    }
}

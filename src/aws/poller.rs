//! The pollers: one task per source, so that a call that hangs delays no other.
//!
//! ```text
//! driver ─ AwsRequest ──► run ─ ask (capacity 1: one more waits) ─► source task ─ Event::{Answered, Refused} ─► driver
//!       └ watch<Plan> ──┘  └ watch<Coverage> ─────────────────────┘         └─ Health, PollOutcome
//! ```
//! A source has at most one call under way; a request that comes meanwhile is answered by one more call after it. But
//! a call about the past is given up for one about the present: its answer may take long just when the line is back. After
//! a failure a source is left alone for a while, and requests that come then are answered `Refused`. A task may be
//! dropped at any await: it owns nothing but what it knows of AWS's clock.
//!
//! The driver sets the plan before it asks by it, and the plan is read before each request. So no question is about a source
//! that is not known here yet: neither the first after a start, nor the first after a reload.

mod report;
mod task;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch as channel};
use tokio::task::AbortHandle;

pub use report::{Outlets, PollOutcome, PollResult};
use task::{Ask, AwsSource, SourceTask};

use super::connection::AwsConnections;
use super::source::Coverage;
use crate::domain::event::Event;
use crate::domain::names::SourceId;
use crate::domain::plan::Plan;
use crate::domain::request::{AwsRequest, HistoryRequest};
use crate::health::Component;

/// Questions about the past that may wait for one source.
const HISTORIES: usize = 64;

/// Runs the pollers of what `plan` names until `requests` closes. A source that the plan does not name any more falls silent.
pub async fn run(
    connections: AwsConnections,
    plan: channel::Receiver<Arc<Plan>>,
    requests: mpsc::Receiver<AwsRequest>,
    outlets: Outlets,
) {
    let make = move |source: &SourceId| AwsSource::new(connections.clone(), source.clone());
    Pollers::new(outlets, make).run(plan, requests).await;
}

/// The tasks that run. They end when this is dropped.
struct Pollers<Make> {
    outlets: Outlets,
    make: Make,
    tasks: BTreeMap<SourceId, Handle>,
}

struct Handle {
    asks: mpsc::Sender<()>,
    histories: mpsc::Sender<HistoryRequest>,
    watch: channel::Sender<Arc<Coverage>>,
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

    async fn run(mut self, mut plan: channel::Receiver<Arc<Plan>>, mut requests: mpsc::Receiver<AwsRequest>) {
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
                Some(AwsRequest::Views(source)) => self.ask(source).await,
                Some(AwsRequest::History(request)) => self.ask_history(request).await,
                None => {}
            }
        }
    }

    async fn ask(&mut self, source: SourceId) {
        match self.tasks.get(&source) {
            // Full means that a request already waits for the call under way: this one is folded into it.
            Some(handle) => match handle.asks.try_send(()) {
                Ok(()) | Err(mpsc::error::TrySendError::Full(())) => {}
                Err(mpsc::error::TrySendError::Closed(())) => self.refuse(source).await,
            },
            // A question about a source that a newer plan has dropped.
            None => self.refuse(source).await,
        }
    }

    /// As many may wait as a large site has connections; the core asks again for what is refused.
    async fn ask_history(&mut self, request: HistoryRequest) {
        let taken = self.tasks.get(&request.source).map(|handle| handle.histories.try_send(request.clone()));
        match taken {
            Some(Ok(())) => {}
            Some(Err(_)) | None => {
                drop(self.outlets.events.send(Event::HistoryRefused { vpn: request.vpn }).await);
            }
        }
    }

    /// A driver that is gone ends everything soon by closing the requests.
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
        // One request may wait while a call is under way.
        let (asks, requests) = mpsc::channel(1);
        let (histories, histories_in) = mpsc::channel(HISTORIES);
        let (watch, watched) = channel::channel(watch);
        let task = SourceTask::new(source.clone(), (self.make)(source), self.outlets.clone());
        let task = tokio::spawn(task.run(requests, histories_in, watched)).abort_handle();
        Handle { asks, histories, watch, task }
    }
}

#[cfg(test)]
mod tests;

//! The way from the facts to the publisher.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::domain::fact::Fact;
use crate::domain::names::VpnId;
use crate::domain::rollup::Rollup;
use crate::domain::time::Stamp;

/// News that may wait for the publisher: some minutes of the largest site. What finds the queue full is not lost, since
/// the spool has every rollup; a heartbeat is, and would have been late anyway.
const QUEUE: usize = 4096;

/// What of the facts concerns the publisher.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// A minute of a tunnel is complete.
    Ready(Arc<Rollup>),
    /// A minute of a connection that could have been decided on.
    CouldVote {
        /// The connection.
        vpn: VpnId,
        /// The start of the minute.
        minute: Stamp,
    },
}

/// The end that is told the facts. The publisher ends when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Feed {
    news: mpsc::Sender<News>,
}

/// Both ends.
pub fn channel() -> (Feed, mpsc::Receiver<News>) {
    let (news, receiver) = mpsc::channel(QUEUE);
    (Feed { news }, receiver)
}

impl Feed {
    /// Passes on what concerns the publisher; never waits.
    pub fn record(&self, fact: &Fact) {
        let news = match fact {
            Fact::RollupReady(rollup) => News::Ready(Arc::clone(rollup)),
            Fact::CouldVote { vpn, minute } => News::CouldVote { vpn: vpn.clone(), minute: *minute },
            Fact::EchoEnded { .. }
            | Fact::TicksSkipped { .. }
            | Fact::Suspicion { .. }
            | Fact::ViewChanged { .. }
            | Fact::AssessmentChanged { .. }
            | Fact::SeenUp(_)
            | Fact::IncidentPending { .. }
            | Fact::IncidentAverted { .. }
            | Fact::IncidentChanged { .. }
            | Fact::IncidentSettled { .. }
            | Fact::IncidentMissed { .. }
            | Fact::EvidenceUnusable { .. }
            | Fact::AddressHeld { .. }
            | Fact::Resumed { .. } => return,
        };
        // A full queue is no error: see QUEUE.
        drop(self.news.try_send(news));
    }
}

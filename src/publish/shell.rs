//! Executes what the [`Publisher`] decides, fed with facts by a [`Feed`].

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};

use super::machine::{Action, Clock, Event, Publisher};
use super::sink::{Datum, MetricSink, PutError, Spool};
use crate::clock::timer_at;
use crate::domain::fact::Fact;
use crate::domain::names::VpnId;
use crate::domain::rollup::Rollup;
use crate::domain::time::Stamp;
use crate::health::{Component, Health};

/// A call that has not returned by then is given up. A sink has shorter limits of its own.
const STUCK: Duration = Duration::from_secs(60);

/// A number for telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tally {
    /// A call ended: `ok`, or a [`PutError`]'s word.
    Put(&'static str),
    /// Rollups that wait in the spool.
    Pending(u64),
    /// Rollups, or single data of one, that will never be sent; adds up.
    Dropped(u64),
}

type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Publishes until the last [`Feed`] is dropped; then finishes what is in flight, and ends.
///
/// `clock` decides which minutes are too old or from the future. `can_page` says whether some sink of the connection works and
/// does not reject; `tally` receives the numbers for telemetry. Dropping the future loses nothing that is in the spool, but may
/// send twice what was in flight.
#[expect(clippy::too_many_arguments, reason = "each is another part of the daemon")]
pub async fn run<S: MetricSink, P: Spool>(
    clock: impl Fn() -> Clock,
    mut publisher: Publisher,
    mut news: mpsc::Receiver<News>,
    sink: S,
    spool: P,
    health: Health,
    can_page: impl Fn(&VpnId) -> bool,
    mut tally: impl FnMut(Tally),
) {
    let mut putting: Option<Pending<'_, (Event, Option<u64>)>> = None;
    let mut spooling: Option<Pending<'_, (Event, Option<u64>)>> = None;
    let mut open = true;
    loop {
        while let Some(action) = publisher.poll_action() {
            match action {
                Action::Put(data) => putting = Some(Box::pin(put(&sink, &spool, data))),
                Action::Read { until, limit } => {
                    spooling = Some(Box::pin(read(&spool, until, limit)));
                }
                Action::Mark(rollups) => spooling = Some(Box::pin(mark(&spool, rollups))),
                Action::Problem(Some(problem)) => {
                    health.set(Component::Publisher, problem);
                }
                Action::Problem(None) => {
                    health.clear(&Component::Publisher);
                }
                Action::Dropped(count) => tally(Tally::Dropped(count)),
                Action::Notice(notice) => notice.record().emit(),
            }
        }
        if publisher.is_finished() {
            return;
        }
        let wake = publisher.poll_timeout().map(|(at, _why)| timer_at(at));
        tokio::select! {
            received = news.recv(), if open => {
                let event = match received {
                    Some(News::Ready(rollup)) => Event::Ready(rollup),
                    Some(News::CouldVote { vpn, minute }) => {
                        let can_page = can_page(&vpn);
                        Event::CouldVote { vpn, minute, can_page }
                    }
                    None => {
                        open = false;
                        Event::Closing
                    }
                };
                publisher.handle(event, clock());
            }
            (reply, waiting) = or_never(&mut putting) => {
                putting = None;
                if let Event::Put(result) = &reply {
                    tally(Tally::Put(result.as_ref().map_or_else(PutError::as_str, |()| "ok")));
                }
                if let Some(waiting) = waiting {
                    tally(Tally::Pending(waiting));
                }
                publisher.handle(reply, clock());
            }
            (answer, waiting) = or_never(&mut spooling) => {
                spooling = None;
                if let Some(waiting) = waiting {
                    tally(Tally::Pending(waiting));
                }
                publisher.handle(answer, clock());
            }
            () = async { if let Some(at) = wake { sleep_until(at).await } else { pending().await } } => {
                publisher.handle_timeout(clock());
            }
        }
    }
}

async fn put<S: MetricSink, P: Spool>(sink: &S, spool: &P, data: Arc<[Datum]>) -> (Event, Option<u64>) {
    let stuck =
        || PutError::Temporary { what: "no answer within a minute".into(), throttled: false, source: None };
    let done = timeout(STUCK, sink.put(&data)).await.unwrap_or_else(|_elapsed| Err(stuck()));
    // The spool's count is needed while CloudWatch accepts nothing: it then shows the backlog.
    let waiting = if done.is_err() { spool.pending().await.ok() } else { None };
    (Event::Put(done), waiting)
}

async fn read<P: Spool>(spool: &P, until: Stamp, limit: usize) -> (Event, Option<u64>) {
    let found = spool.unsent(until, limit).await;
    (Event::Read(found), spool.pending().await.ok())
}

async fn mark<P: Spool>(spool: &P, rollups: Arc<[Arc<Rollup>]>) -> (Event, Option<u64>) {
    let done = spool.sent(&rollups).await;
    (Event::Marked(done), spool.pending().await.ok())
}

async fn or_never<T>(slot: &mut Option<Pending<'_, T>>) -> T {
    match slot {
        Some(future) => future.await,
        None => pending().await,
    }
}

/// Capacity of the queue to the publisher: several minutes of the largest site. A rollup that finds it full is not lost, since
/// the spool has every rollup; a heartbeat is, and would have been late anyway.
const QUEUE: usize = 4096;

/// The facts that concern the publisher.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// A minute of a tunnel is complete.
    Ready(Arc<Rollup>),
    /// A minute of a connection in which both ends could vote.
    CouldVote {
        /// The connection.
        vpn: VpnId,
        /// The start of the minute.
        minute: Stamp,
    },
}

/// The sending end, for facts. The publisher ends when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Feed {
    news: mpsc::Sender<News>,
}

/// A feed and the receiver for [`run`].
pub fn channel() -> (Feed, mpsc::Receiver<News>) {
    let (news, receiver) = mpsc::channel(QUEUE);
    (Feed { news }, receiver)
}

impl Feed {
    /// Queues the fact if it concerns the publisher; never waits.
    pub fn record(&self, fact: &Fact) {
        let news = match fact {
            Fact::RollupReady(rollup) => News::Ready(Arc::clone(rollup)),
            Fact::CouldVote { vpn, minute } => News::CouldVote { vpn: vpn.clone(), minute: *minute },
            Fact::EchoEnded { .. }
            | Fact::TicksSkipped { .. }
            | Fact::Suspicion { .. }
            | Fact::ViewChanged { .. }
            | Fact::AssessmentChanged { .. }
            | Fact::CauseChanged { .. }
            | Fact::QualityChanged { .. }
            | Fact::SilencedChanged { .. }
            | Fact::TunnelLeft { .. }
            | Fact::Watched { .. }
            | Fact::SeenUp(_)
            | Fact::ParentChanged { .. }
            | Fact::IncidentPending { .. }
            | Fact::IncidentAverted { .. }
            | Fact::IncidentChanged { .. }
            | Fact::IncidentSettled { .. }
            | Fact::IncidentMissed { .. }
            | Fact::EvidenceUnusable { .. }
            | Fact::AddressHeld { .. }
            | Fact::MaintenanceChanged { .. }
            | Fact::Resumed { .. } => return,
        };
        // A full queue is no error: see QUEUE.
        drop(self.news.try_send(news));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::clock;
    use crate::domain::names::TunnelId;
    use crate::publish::machine::{PublishSettings, Whose};
    use crate::publish::sink::SpoolError;

    /// Answers a call only when permitted.
    struct Sink {
        called: mpsc::UnboundedSender<Vec<Datum>>,
        go: tokio::sync::Semaphore,
    }

    impl MetricSink for Arc<Sink> {
        async fn put(&self, data: &[Datum]) -> Result<(), PutError> {
            self.called.send(data.to_vec()).unwrap();
            self.go.acquire().await.unwrap().forget();
            Ok(())
        }
    }

    #[derive(Clone, Default)]
    struct Marked(Arc<Mutex<Vec<Arc<Rollup>>>>);

    impl Spool for Marked {
        async fn unsent(&self, _until: Stamp, _limit: usize) -> Result<Vec<Arc<Rollup>>, SpoolError> {
            Ok(Vec::new())
        }

        async fn sent(&self, rollups: &[Arc<Rollup>]) -> Result<(), SpoolError> {
            self.0.lock().unwrap().extend_from_slice(rollups);
            Ok(())
        }

        async fn pending(&self) -> Result<u64, SpoolError> {
            Ok(7)
        }
    }

    #[tokio::test]
    async fn a_call_in_flight_at_the_end_is_awaited_and_marked() {
        let now = clock::now();
        let rollup = Arc::new(Rollup {
            tunnel: TunnelId { vpn: VpnId::new("vpn-1"), outside_ip: [203, 0, 113, 1].into() },
            minute: now.wall.minute(),
            replies: 60,
            late: 0,
            lost: 0,
            faults: 0,
            rtt: vec![],
            up: Some(true),
            both_ends_down: None,
        });
        let (called, mut calls) = mpsc::unbounded_channel();
        let sink = Arc::new(Sink { called, go: tokio::sync::Semaphore::new(0) });
        let spool = Marked::default();
        let settings = PublishSettings { site: "milan-1".into(), interval: Duration::from_secs(60), seed: 1 };
        let (feed, news) = channel();
        let tallied = Arc::new(Mutex::new(Vec::new()));
        let tally = {
            let tallied = Arc::clone(&tallied);
            move |count| tallied.lock().unwrap().push(count)
        };
        let publisher = Publisher::new(settings, now);
        let health = Health::default();
        let running = tokio::spawn(run(
            || Clock { now: clock::now(), whose: Whose::Aws },
            publisher,
            news,
            Arc::clone(&sink),
            spool.clone(),
            health,
            |_vpn| true,
            tally,
        ));
        feed.record(&Fact::RollupReady(Arc::clone(&rollup)));
        feed.record(&Fact::CouldVote { vpn: VpnId::new("vpn-1"), minute: rollup.minute });

        let data = timeout(Duration::from_secs(30), calls.recv()).await.unwrap().unwrap();
        let names: Vec<_> = data.iter().map(|datum| datum.name).collect();
        assert_eq!(names, ["Heartbeat", "Heartbeat", "TunnelUp", "PacketLoss"]);
        drop(feed);
        assert!(spool.0.lock().unwrap().is_empty(), "marked before the reply");
        sink.go.add_permits(1);
        timeout(Duration::from_secs(30), running).await.unwrap().unwrap();
        assert_eq!(*spool.0.lock().unwrap(), [rollup]);
        let tallied = tallied.lock().unwrap();
        let puts = tallied.iter().filter(|tally| matches!(tally, Tally::Put(_)));
        assert_eq!(puts.collect::<Vec<_>>(), [&Tally::Put("ok")]);
        assert!(tallied.contains(&Tally::Pending(7)));
    }
}

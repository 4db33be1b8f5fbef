//! Runs the sensors: takes the core's questions, looks, and answers each exactly once.
//!
//! Each kind has a task of its own, so one that hangs delays no other. Questions that come while it looks are put together in
//! the next look: the core has at most one question per tunnel and kind under way, which bounds what can wait here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::any::AnySensor;
use super::{ANSWER_WITHIN, MTU_WITHIN, Sensor as _};
use crate::clock;
use crate::domain::event::Event;
use crate::domain::names::TunnelId;
use crate::domain::sensor::{Finding, SenseRequest, Sensed, SensorKind, Unavailable};
use crate::settings::{SensorSettings, Subject};

/// Questions that may wait to be taken: far more than a large hub has tunnels.
const QUEUE: usize = 8192;

/// A sensor is given up this long after it should have answered by itself.
const GRACE: Duration = Duration::from_secs(1);

/// The core's end: takes its questions without waiting.
#[derive(Debug, Clone)]
pub struct Questions(mpsc::Sender<SenseRequest>);

impl Questions {
    /// Puts a question. If the queue is full it is left out, and the core puts it again later.
    pub fn put(&self, request: SenseRequest) {
        drop(self.0.try_send(request));
    }
}

/// Both ends of the questions' way.
pub fn channel() -> (Questions, mpsc::Receiver<SenseRequest>) {
    let (questions, receiver) = mpsc::channel(QUEUE);
    (Questions(questions), receiver)
}

/// Answers questions by the settings in force. Ends when the core's end is dropped; may be dropped at any await.
pub async fn run(
    settings: watch::Receiver<Arc<SensorSettings>>,
    mut questions: mpsc::Receiver<SenseRequest>,
    events: mpsc::Sender<Event>,
) {
    let mut tasks = JoinSet::new();
    let queues: BTreeMap<SensorKind, mpsc::UnboundedSender<TunnelId>> = SensorKind::ALL
        .into_iter()
        .map(|kind| {
            let (queue, receiver) = mpsc::unbounded_channel();
            tasks.spawn(work(kind, settings.clone(), receiver, events.clone()));
            (kind, queue)
        })
        .collect();
    while let Some(SenseRequest { tunnel, sensor }) = questions.recv().await {
        if let Some(queue) = queues.get(&sensor) {
            // The task ends only with this function.
            drop(queue.send(tunnel));
        }
    }
}

/// One kind's task.
async fn work(
    kind: SensorKind,
    mut settings: watch::Receiver<Arc<SensorSettings>>,
    mut queue: mpsc::UnboundedReceiver<TunnelId>,
    events: mpsc::Sender<Event>,
) {
    let mut current = Arc::clone(&settings.borrow_and_update());
    let mut sensor = AnySensor::of(kind, &current);
    while let Some(first) = queue.recv().await {
        let mut asked_about = BTreeSet::from([first]);
        while let Ok(next) = queue.try_recv() {
            asked_about.insert(next);
        }
        if settings.has_changed().unwrap_or(false) {
            let newer = Arc::clone(&settings.borrow_and_update());
            if !kind_is_same(kind, &newer, &current) {
                sensor = AnySensor::of(kind, &newer);
            }
            current = newer;
        }
        let subjects: Vec<Arc<Subject>> = current
            .subjects
            .iter()
            .filter(|subject| asked_about.contains(&subject.tunnel))
            .cloned()
            .collect();
        let asked = clock::now().mono;
        let mut findings = match sensor.as_mut() {
            Some(sensor) => timeout(limit(kind), sensor.look(&subjects)).await.unwrap_or_default(),
            None => vec![unavailable(kind, Unavailable::NotThere); subjects.len()],
        };
        findings.resize(subjects.len(), unavailable(kind, Unavailable::TimedOut));
        let found = subjects.iter().map(|subject| subject.tunnel.clone()).zip(findings);
        // A reload has taken the others out of the configuration, and the core may not know yet.
        let known: BTreeSet<&TunnelId> = subjects.iter().map(|subject| &subject.tunnel).collect();
        let unknown: Vec<(TunnelId, Finding)> = asked_about
            .iter()
            .filter(|tunnel| !known.contains(tunnel))
            .map(|tunnel| (tunnel.clone(), unavailable(kind, Unavailable::Skipped)))
            .collect();
        for (tunnel, finding) in found.chain(unknown) {
            let sensed = Sensed { tunnel, asked, finding };
            if events.send(Event::Sensed(sensed)).await.is_err() {
                return;
            }
        }
    }
}

/// Whether a sensor can go on with other settings.
fn kind_is_same(kind: SensorKind, a: &SensorSettings, b: &SensorSettings) -> bool {
    match kind {
        SensorKind::Ipsec => a.ipsec == b.ipsec,
        SensorKind::Bgp => a.bgp == b.bgp,
        SensorKind::Path | SensorKind::Trace | SensorKind::Mtu => true,
    }
}

const fn limit(kind: SensorKind) -> Duration {
    let by_itself = match kind {
        SensorKind::Ipsec | SensorKind::Bgp | SensorKind::Path | SensorKind::Trace => ANSWER_WITHIN,
        SensorKind::Mtu => MTU_WITHIN,
    };
    by_itself.saturating_add(GRACE)
}

const fn unavailable(kind: SensorKind, why: Unavailable) -> Finding {
    match kind {
        SensorKind::Ipsec => Finding::Ipsec(Err(why)),
        SensorKind::Bgp => Finding::Bgp(Err(why)),
        SensorKind::Path => Finding::Path(Err(why)),
        SensorKind::Trace => Finding::Trace(Err(why)),
        SensorKind::Mtu => Finding::Mtu(Err(why)),
    }
}

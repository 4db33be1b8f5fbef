use crate::records::Records;
use std::cell::RefCell;
use std::future::{Future, pending, ready};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::domain::board::{IncidentId, IncidentState, TimelineChange};
use crate::domain::names::Kind;
use crate::domain::names::SinkId;
use crate::incident::reconcile::world::{over, settings, story, vpn};
use crate::incident::sink::{
    LedgerError, Note, Record, RecordId, RecordOrigin, RecordScope, RecordStatus, Search, StartRequest,
};

/// A sink that holds one record.
#[derive(Default)]
struct OneRecord {
    record: Arc<Mutex<Option<Record>>>,
    /// The next look-up never ends.
    hangs: AtomicBool,
}

impl OneRecord {
    fn get(&self) -> Result<Record, SinkError> {
        self.record.lock().unwrap().clone().ok_or(SinkError::NotFound)
    }
}

impl IncidentSink for OneRecord {
    fn find(
        &self,
        search: &Search,
    ) -> impl Future<Output = Result<Vec<(RecordScope, Record)>, SinkError>> + Send {
        let hangs = self.hangs.swap(false, Ordering::Relaxed);
        let scope = search.scopes.iter().find(|scope| scope.kind == Kind::Outage).cloned();
        let found = scope.zip(self.get().ok()).into_iter().collect();
        async move { if hangs { pending().await } else { Ok(found) } }
    }

    fn survey(
        &self,
        scopes: &[RecordScope],
    ) -> impl Future<Output = Result<Vec<(RecordScope, Record)>, SinkError>> + Send {
        let open = self.get().ok().filter(|record| record.status == RecordStatus::Open);
        let scope = scopes.iter().find(|scope| scope.kind == Kind::Outage).cloned();
        ready(Ok(scope.zip(open).into_iter().collect()))
    }

    fn start(&self, _: &StartRequest) -> impl Future<Output = Result<RecordId, SinkError>> + Send {
        let id = RecordId("record-1".into());
        let record = Record {
            id: id.clone(),
            status: RecordStatus::Open,
            created: now().wall,
            origin: RecordOrigin::Daemon,
        };
        *self.record.lock().unwrap() = Some(record);
        ready(Ok(id))
    }

    fn read(&self, _: &RecordId) -> impl Future<Output = Result<Record, SinkError>> + Send {
        ready(self.get())
    }

    fn note(&self, _: &RecordId, _: &Note) -> impl Future<Output = Result<(), SinkError>> + Send {
        ready(Ok(()))
    }

    fn relate(
        &self,
        _: &RecordId,
        _: &RecordId,
        _: &str,
    ) -> impl Future<Output = Result<(), SinkError>> + Send {
        ready(Ok(()))
    }

    fn describe(
        &self,
        _: &RecordId,
        _: &crate::incident::sink::Description,
    ) -> impl Future<Output = Result<(), SinkError>> + Send {
        ready(Ok(()))
    }

    fn resolve(&self, _: &RecordId, _: &str, _: &str) -> impl Future<Output = Result<(), SinkError>> + Send {
        if let Some(record) = self.record.lock().unwrap().as_mut() {
            record.status = RecordStatus::Resolved;
        }
        ready(Ok(()))
    }
}

/// A ledger that cannot be read or written.
struct Broken;

impl Ledger for Broken {
    fn load(&self, _: &SinkId) -> impl Future<Output = Result<Vec<LedgerRow>, LedgerError>> + Send {
        ready(Err(LedgerError { what: "disk full".into() }))
    }

    fn commit(&self, _: LedgerRow) -> impl Future<Output = Result<(), LedgerError>> + Send {
        ready(Err(LedgerError { what: "disk full".into() }))
    }

    fn forget(&self, _: &SinkId, _: &IncidentId) -> impl Future<Output = Result<(), LedgerError>> + Send {
        ready(Err(LedgerError { what: "disk full".into() }))
    }
}

/// Both clocks, by tokio's, which the tests pause.
#[expect(clippy::disallowed_methods, reason = "the paused clock is the tests' own time")]
fn now() -> Now {
    thread_local!(static ORIGIN: tokio::time::Instant = tokio::time::Instant::now());
    Now::default().after(Duration::from_secs(1_000_000) + ORIGIN.with(tokio::time::Instant::elapsed))
}

#[tokio::test(start_paused = true)]
async fn an_incident_is_recorded_and_settled_although_another_call_hangs_and_the_ledger_fails() {
    let sink = OneRecord { hangs: AtomicBool::new(true), ..OneRecord::default() };
    let record = Arc::clone(&sink.record);
    let (board, watched) = watch::channel(Arc::new(Board::default()));
    let (settled, mut heard) = mpsc::channel(8);
    let (health, reports) = (Health::default(), RefCell::new(Vec::new()));
    let records = Records::default();
    let observe = |report: &SinkReport| reports.borrow_mut().push(report.clone());
    let running = run(
        now,
        settings("milan-1"),
        KeepsRecords(sink),
        Broken,
        watched,
        settled,
        health.clone(),
        records.clone(),
        observe,
    );
    let story_told = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let mut story = story("milan-1", Kind::Outage, None, now());
        let prepare = std::collections::BTreeSet::from([vpn().into()]);
        board.send_replace(Arc::new(Board {
            incidents: vec![story.incident().clone()],
            prepare: prepare.clone(),
        }));
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(record.lock().unwrap().as_ref().map(|record| record.status), Some(RecordStatus::Open));
        assert_eq!(records.all().len(), 1, "the record that is open is known");
        story.set_state(IncidentState::Resolved { at: now().wall });
        for change in over() {
            story.add(change, now().wall);
        }
        story.add(TimelineChange::Resolved, now().wall);
        board.send_replace(Arc::new(Board { incidents: vec![story.incident().clone()], prepare }));
        let Some(Event::Settled { sink, incident, revision }) = heard.recv().await else {
            panic!("nothing is settled")
        };
        assert_eq!((sink, &incident), (settings("milan-1").sink.destination, &story.incident().id));
        assert_eq!(revision, story.incident().revision);
        drop(board);
    };
    tokio::join!(running, story_told);
    assert_eq!(record.lock().unwrap().as_ref().map(|record| record.status), Some(RecordStatus::Resolved));
    let started =
        SinkReport::Request { sink: SinkId::new("incident_manager"), action: "start", result: "ok" };
    assert_eq!(reports.borrow().iter().filter(|report| **report == started).count(), 1);
}

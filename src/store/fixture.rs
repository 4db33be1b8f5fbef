//! Helpers of the store's tests.

use std::fs;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use super::history::{Transition, TransitionBody};
use super::open::companions;
use crate::domain::board::{Incident, IncidentId, IncidentState};
use crate::domain::event::SeenUp;
use crate::domain::fact::{Fact, IncidentChange};
use crate::domain::names::{Destination, End, Kind, SinkId, TunnelId, VpnId};
use crate::domain::rollup::{RTT_BINS_MAX, Rollup, RttBin};
use crate::domain::time::{Moment, Now, Stamp};
use crate::domain::verdict::{Evidence, LocalEvidence, Verdict, View, Why};
use crate::incident::sink::{LedgerRow, RecordId};
use crate::settings::StoreSettings;

pub(super) const KEEP: Duration = Duration::from_secs(90 * 24 * 3600);
pub(super) const MAX_SIZE: u64 = 64_000_000;
pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);
/// 2027-01-15T08:00:00Z.
pub(super) const NOW: Now = Now { mono: Moment::ORIGIN, wall: Stamp::from_secs(1_800_000_000) };

pub(super) fn settings(directory: &Path) -> StoreSettings {
    StoreSettings { path: directory.join("state/bothends.db"), max_size: MAX_SIZE, keep: KEEP, spool: true }
}

pub(super) fn tunnel() -> TunnelId {
    TunnelId { vpn: VpnId::new("vpn-1"), outside_ip: [203, 0, 113, 1].into() }
}

/// This many minutes after [`NOW`].
pub(super) fn rollup(minute: i64) -> Arc<Rollup> {
    Arc::new(Rollup {
        tunnel: tunnel(),
        minute: Stamp::from_secs(NOW.wall.as_millis() / 1000 + minute * 60),
        replies: 59,
        late: 1,
        lost: 2,
        faults: 3,
        rtt: vec![RttBin { mean: Duration::from_micros(12_345), count: 60 }],
        up: Some(true),
        both_ends_down: None,
    })
}

/// One with the maximum number of bins.
pub(super) fn wide_rollup(minute: i64) -> Rollup {
    let bin = |n| RttBin { mean: Duration::from_nanos(50_123_456 + n), count: 25 };
    let bins = (0..u64::try_from(RTT_BINS_MAX).unwrap()).map(bin);
    Rollup { rtt: bins.collect(), ..Rollup::clone(&rollup(minute)) }
}

/// Opened this long before [`NOW`].
pub(super) fn incident(ago: Duration) -> Arc<Incident> {
    Arc::new(Incident {
        id: IncidentId { scope: VpnId::new("vpn-1").into(), kind: Kind::Outage, opened: NOW.wall - ago },
        site: "milan-1".into(),
        name: "Milan".into(),
        state: IncidentState::Open,
        began: NOW.wall - ago,
        found_at: None,
        withheld: None,
        children: Vec::new(),
        tunnels: vec![],
        timeline: vec![],
        related: None,
        worsened: 0,
        revision: 1,
    })
}

pub(super) fn sink() -> SinkId {
    SinkId::new("incident_manager")
}

pub(super) fn row(incident: &Incident, generation: u32) -> LedgerRow {
    LedgerRow {
        sink: sink(),
        destination: Some(Destination::new("0123")),
        incident: incident.id.clone(),
        generation,
        start: None,
        record: Some(RecordId(format!("arn:{generation}"))),
        sent_upto: 3,
        closed_by_person_at: None,
        related: false,
        linked: false,
        settled: false,
    }
}

pub(super) fn seen_up() -> Fact {
    Fact::SeenUp(SeenUp::Aws(tunnel()))
}

pub(super) fn view_changed() -> Fact {
    let view =
        View { verdict: Verdict::Down, since: NOW, evidence: Evidence::Local(LocalEvidence::default()) };
    let from = Verdict::Unknown(Why::Starting);
    Fact::ViewChanged { tunnel: tunnel(), end: End::Local, from, view, at: NOW }
}

pub(super) fn transition() -> Transition {
    let Fact::ViewChanged { tunnel, end, from, view, at } = view_changed() else { panic!() };
    Transition { tunnel, at, body: TransitionBody::View { end, from, view } }
}

pub(super) fn opened(incident: &Arc<Incident>) -> Fact {
    Fact::IncidentChanged { incident: Arc::clone(incident), change: IncidentChange::Opened, at: NOW }
}

/// A copy of the file as it is on the disk: no other process may open it while it is in use.
pub(super) struct OnDisk {
    connection: Connection,
    _directory: tempfile::TempDir,
}

impl Deref for OnDisk {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

pub(super) fn on_disk(path: &Path) -> OnDisk {
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("copy.db");
    let ([log, _], [log_of_copy, _]) = (companions(path), companions(&copy));
    fs::copy(path, &copy).unwrap();
    if log.exists() {
        fs::copy(log, log_of_copy).unwrap();
    }
    OnDisk { connection: Connection::open(copy).unwrap(), _directory: directory }
}

/// Bytes of the file, its log and its shared memory.
pub(super) fn size(path: &Path) -> u64 {
    let [log, shared_memory] = companions(path);
    let length = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    length(path) + length(&log) + length(&shared_memory)
}

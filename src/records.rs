//! The open records at the sinks, as the sinks' tasks know them: for `/status`, and for the journal when the daemon stops.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::board::IncidentId;
use crate::domain::names::SinkId;

/// A handle that the sinks' tasks write and others read.
#[derive(Debug, Clone, Default)]
pub struct Records {
    open: Arc<Mutex<Open>>,
}

type Open = BTreeMap<(IncidentId, SinkId), String>;

/// A record that is open at a sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRecord {
    /// Its incident.
    pub incident: IncidentId,
    /// The sink.
    pub sink: SinkId,
    /// Its name at the sink: an ARN, an OpsItem's id, an alert's key.
    pub record: String,
}

impl Records {
    /// Sets the open record of an incident at a sink; `None` if there is none any more.
    pub fn set(&self, sink: &SinkId, incident: &IncidentId, record: Option<&str>) {
        let key = (incident.clone(), sink.clone());
        match record {
            Some(record) => _ = self.lock().insert(key, record.to_owned()),
            None => _ = self.lock().remove(&key),
        }
    }

    /// Removes the records of a sink that is no longer configured.
    pub fn forget(&self, sink: &SinkId) {
        self.lock().retain(|(_, of), _| of != sink);
    }

    /// The open records of an incident, by sink.
    pub fn of(&self, incident: &IncidentId) -> Vec<OpenRecord> {
        self.all().into_iter().filter(|record| record.incident == *incident).collect()
    }

    /// All open records, by incident and sink.
    pub fn all(&self) -> Vec<OpenRecord> {
        let open = self.lock();
        let records = open.iter().map(|((incident, sink), record)| OpenRecord {
            incident: incident.clone(),
            sink: sink.clone(),
            record: record.clone(),
        });
        records.collect()
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::{Kind, VpnId};
    use crate::domain::time::Stamp;

    #[test]
    fn what_is_open_is_known_until_it_is_closed_or_its_sink_is_gone() {
        let records = Records::default();
        let incident = IncidentId {
            scope: VpnId::new("vpn-0a").into(),
            kind: Kind::Outage,
            opened: Stamp::from_secs(1),
        };
        let [first, second] = ["incident_manager", "webhook"].map(SinkId::new);
        records.set(&first, &incident, Some("arn"));
        records.set(&second, &incident, Some("bothends/vpn-0a/outage"));
        let names = || records.of(&incident).into_iter().map(|open| open.record).collect::<Vec<_>>();
        assert_eq!(names(), ["arn", "bothends/vpn-0a/outage"]);
        records.set(&first, &incident, None);
        assert_eq!(names(), ["bothends/vpn-0a/outage"]);
        records.forget(&second);
        assert_eq!(records.all(), []);
    }
}

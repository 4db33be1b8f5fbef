//! AWS's silence, and its word on what happened meanwhile.

use std::collections::BTreeMap;

use super::Monitor;
use crate::domain::connection::Connection;
use crate::domain::event::History;
use crate::domain::names::{SourceId, VpnId};
use crate::domain::polling::Polling;
use crate::domain::request::Request;
use crate::domain::time::Now;

impl Monitor {
    /// AWS did not answer, or refused to.
    pub(super) fn refused(&mut self, source: &SourceId, reached: bool, now: Now) {
        if let Some(polling) = self.sources.get_mut(source) {
            polling.refused(reached);
        }
        for connection in self.connections.values_mut() {
            connection.refused(source, now.mono);
        }
        self.refresh_asked_by(source, now);
    }

    /// Asks AWS about the past of a connection, if that is due.
    pub(super) fn ask_history(&mut self, vpn: &VpnId, now: Now) {
        let Some(connection) = self.connections.get_mut(vpn) else { return };
        if let Some((source, wanted)) = connection.ask_history(now.mono) {
            let (from, to) = (wanted.from, wanted.to);
            self.fx.requests.push_back(Request::AskHistory { source, vpn: vpn.clone(), from, to });
        }
    }

    /// AWS has told about the past, or (`None`) would not.
    pub(super) fn history(&mut self, vpn: &VpnId, history: Option<&History>, now: Now) {
        if let Some(connection) = self.connections.get_mut(vpn) {
            match history {
                Some(history) => connection.history_answered(history, now, &mut self.fx),
                None => connection.history_refused(now.mono),
            }
        }
        self.refresh(vpn, now);
    }
}

/// Whether AWS is out of a connection's reach: by its last question, no source reached it.
pub(super) fn is_cut_off(connection: &Connection, sources: &BTreeMap<SourceId, Polling>) -> bool {
    let asked = &connection.plan().aws.sources;
    !asked.is_empty() && asked.iter().all(|source| sources.get(source).is_some_and(Polling::is_cut_off))
}

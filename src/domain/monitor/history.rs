//! AWS's silence, and its word on what happened meanwhile.

use super::Monitor;
use crate::domain::event::History;
use crate::domain::names::{SourceId, VpnId};
use crate::domain::request::Request;
use crate::domain::time::Now;

impl Monitor {
    /// AWS did not answer, or refused to.
    pub(super) fn refused(&mut self, source: &SourceId, now: Now) {
        if let Some(polling) = self.sources.get_mut(source) {
            polling.refused();
        }
        for connection in self.connections.values_mut() {
            connection.refused(source, now.mono);
        }
        self.set_source_timer(source, now.mono);
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

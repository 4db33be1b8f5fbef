//! The checks' turns, and the echoes that they share.

use super::{Monitor, Wake};
use crate::domain::connection::Connection;
use crate::domain::names::VpnId;
use crate::domain::pace::suspect_interval;

impl Monitor {
    pub(super) fn set_check_timers(&mut self, vpn: &VpnId) {
        let Some(connection) = self.connections.get(vpn) else { return };
        for check in connection.tunnels().iter().flat_map(|tunnel| tunnel.checks()) {
            self.timers.set(Wake::Check(check.id().clone()), Some(check.next_timeout()));
        }
    }

    pub(super) fn clear_check_timers(&mut self, connection: &Connection) {
        for check in connection.tunnels().iter().flat_map(|tunnel| tunnel.checks()) {
            self.timers.set(Wake::Check(check.id().clone()), None);
        }
    }

    /// Shares the budget of echoes among the suspect checks.
    pub(super) fn share_budget(&mut self) {
        let suspects = self
            .connections
            .values()
            .flat_map(Connection::tunnels)
            .flat_map(|tunnel| tunnel.checks())
            .filter(|check| check.is_suspect())
            .count();
        for connection in self.connections.values_mut() {
            let interval = suspect_interval(connection.plan().probe.suspect_interval, suspects);
            for tunnel in connection.tunnels_mut() {
                for kind in tunnel.checks().iter().map(|check| check.id().kind).collect::<Vec<_>>() {
                    if let Some(check) = tunnel.check_mut(kind) {
                        check.set_suspect_interval(interval);
                    }
                }
            }
        }
    }
}

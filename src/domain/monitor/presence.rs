//! Whether this host judges at all: on an HA pair only the host that holds a certain address does (`votes_if_address`). The other
//! watches AWS, keeps its records, and votes on nothing, so that it tells nobody of what it cannot see.

use std::net::IpAddr;

use super::Monitor;
use crate::domain::fact::Fact;
use crate::domain::names::VpnId;
use crate::domain::time::Now;

impl Monitor {
    /// The host does, or does not, hold an address. Another address than the plan's is of an earlier plan.
    ///
    /// Taking over is like a start: the checks begin afresh, and nothing opens for `start_grace`, because the tunnels themselves
    /// move with the address and are down for a while.
    pub(super) fn address_held(&mut self, address: IpAddr, held: bool, now: Now) {
        if self.plan.votes_if_address != Some(address) || self.held == Some(held) {
            return;
        }
        let takes_over = self.held == Some(false) && held;
        self.held = Some(held);
        if takes_over {
            self.grace.taken_over(now.mono);
        }
        self.fx.facts.push_back(Fact::AddressHeld { address, held, at: now });
        self.take_place(now);
        if !held {
            // What an earlier run left open, too: the address has moved while this host was down.
            for connection in self.connections.values_mut() {
                for incident in connection.hand_over(now, &mut self.fx) {
                    self.over.put(incident, &self.plan);
                }
            }
        }
    }

    /// Whether this host judges. As long as that is not known it does not.
    pub(super) fn is_here(&self) -> bool {
        self.plan.votes_if_address.is_none() || self.held == Some(true)
    }

    /// Has every connection judged, or not, as it is.
    pub(super) fn take_place(&mut self, now: Now) {
        let here = self.is_here();
        let vpns: Vec<VpnId> = self.connections.keys().cloned().collect();
        for vpn in vpns {
            let Some(mut connection) = self.connections.remove(&vpn) else { continue };
            self.clear_check_timers(&connection);
            for incident in connection.set_here(here, now, &mut self.fx) {
                self.over.put(incident, &self.plan);
            }
            self.connections.insert(vpn.clone(), connection);
            self.set_check_timers(&vpn);
            self.refresh(&vpn, now);
        }
        self.share_budget();
    }
}

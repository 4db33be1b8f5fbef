//! Minute by minute: what becomes a rollup, and in which minutes the daemon could have voted.

use std::time::Duration;

use super::{Monitor, Wake};
use crate::domain::echo::LATE_WINDOW;
use crate::domain::fact::Fact;
use crate::domain::time::Now;

impl Monitor {
    /// Echoes that ended belong to the minute they were asked in.
    pub(super) fn take_ended(&mut self, now: Now) {
        for (tunnel, asked, outcome) in std::mem::take(&mut self.fx.ended) {
            self.minutes.echo_ended(&tunnel, now.wall - now.mono.since(asked), outcome);
            if let Some(tunnel) =
                self.connections.get_mut(&tunnel.vpn).and_then(|connection| connection.tunnel_mut(&tunnel))
            {
                tunnel.echo_ended(outcome, asked, now.mono);
            }
        }
    }

    /// The minute has ended, or the echoes of the last one must have.
    pub(super) fn end_minute(&mut self, now: Now) {
        self.take_ended(now);
        let minute = now.wall.minute();
        if minute != self.minute {
            let ended = std::mem::replace(&mut self.minute, minute);
            // A minute that the clock jumped over or fell back from was not lived through.
            if minute == ended + Duration::from_secs(60) {
                for (vpn, connection) in &self.connections {
                    if connection.could_vote(now.mono) {
                        self.votes.push(Fact::CouldVote { vpn: vpn.clone(), minute: ended });
                    }
                }
            }
            for connection in self.connections.values() {
                connection.note_states(&mut self.minutes, now.wall);
            }
        }
        for rollup in self.minutes.complete(now.wall, self.settle_after()) {
            self.fx.facts.push_back(Fact::RollupReady(rollup));
        }
        if now.wall >= minute + self.settle_after() {
            self.fx.facts.extend(self.votes.drain(..));
        }
        self.set_minute_timer(now);
    }

    /// Wakes at the end of the minute, and again when the echoes of the last one must have ended.
    pub(super) fn set_minute_timer(&mut self, now: Now) {
        let minute = now.wall.minute();
        let settled = minute + self.settle_after();
        let next = if now.wall < settled { settled } else { minute + Duration::from_secs(60) };
        self.timers.set(Wake::Minute, Some(now.mono + next.since(now.wall)));
    }

    /// After a minute's end its last echo may be under way for this long.
    fn settle_after(&self) -> Duration {
        let timeout = self.plan.vpns.iter().map(|vpn| vpn.probe.timeout).max().unwrap_or_default();
        timeout + LATE_WINDOW + Duration::from_secs(1)
    }
}
